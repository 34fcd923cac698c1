"""What comes with a translation: whether it is immutable, remarks, suggestions, and names found and quoted."""

from __future__ import annotations

from model.catalog import Column, SqlType, Table
from mssql.expressions import translate_check, translate_computed, translate_default
from tests.expression_corpus import column, table
from tests.mssql.expressions.translations import check_sql, default_sql, quote, sequence_name


def test_immutability_is_reported() -> None:
    def immutable(text: str, type_: str) -> bool:
        return translate_default(text, column("c", type_), sequence_name=sequence_name).is_immutable

    assert immutable("((1))", "int")
    assert not immutable("(getdate())", "datetime")
    assert not immutable("(newid())", "uniqueidentifier")
    assert not immutable("(NEXT VALUE FOR [corpus_seq])", "bigint")
    assert not immutable("(user_name())", "nvarchar(128)")


def test_remarks_accompany_what_depends_on_settings() -> None:
    moving = translate_default("(getdate())", column("c", "datetime"), sequence_name=sequence_name)
    assert "TimeZone" in (moving.suggestion or "")
    checked = translate_check("([d]<getdate())", table({"d": "datetime"}), quote)
    assert "NOT VALID" in (checked.suggestion or "")
    named = translate_default("(suser_sname())", column("c", "nvarchar(50)"), sequence_name=sequence_name)
    assert "role" in (named.suggestion or "")


def test_a_refusal_carries_a_suggestion_where_one_exists() -> None:
    result = translate_check("([s]>'a')", table({"s": "varchar(9)"}), quote)
    assert result.sql is None
    assert result.suggestion is not None


def test_unknown_sequence_is_refused_by_name() -> None:
    result = translate_default("(NEXT VALUE FOR [s].[q])", column("c", "int"), sequence_name=sequence_name)
    assert result.sql is None
    assert "s.q" in (result.reason or "")


def test_sequence_name_is_escaped() -> None:
    result = translate_default(
        "(NEXT VALUE FOR [dbo].[o'k])", column("c", "bigint"), sequence_name=lambda _schema, name: quote(name)
    )
    assert result.sql == "nextval('\"o''k\"'::regclass)"


def test_functions_are_known_by_name_without_case() -> None:
    assert default_sql("(GetDate())", "datetime") == default_sql("(getdate())", "datetime")


def test_column_is_found_by_its_exact_name_first() -> None:
    sql = check_sql("([Ab]>[aB])", Ab="int", aB="int")
    assert sql == '"Ab" > "aB"'
    assert check_sql("([AB]>(0))", Ab="int", aB="int") is None


def test_computed_column_on_a_computed_column_is_refused() -> None:
    from model.catalog import Computed  # noqa: PLC0415

    other = Column("x", SqlType("int"), computed=Computed("([a]+(1))"))
    result = translate_computed("([x]+(1))", column("c", "int"), Table("dbo", "t", (other,)), quote)
    assert "computed column" in (result.reason or "")


def test_xml_is_given_as_it_is_written() -> None:
    assert default_sql("('<settings a=\"1\"/>')", "xml") == "'<settings a=\"1\"/>'"


def test_whether_a_text_is_json_is_asked_where_the_target_can() -> None:
    columns = table({"j": "nvarchar(max)"})
    old = translate_check("(isjson([j])=(1))", columns, quote, target_version=150000)
    assert old.sql is None
    assert "from version 16 on" in (old.reason or "")
    assert "json_typeof" in (old.suggestion or "")
    assert "IS JSON OBJECT" in (translate_check("(isjson([j])=(1))", columns, quote, target_version=160000).sql or "")

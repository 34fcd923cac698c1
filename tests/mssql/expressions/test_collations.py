"""A text is compared by its own collation or by the one that is named; one that is not known is refused."""

from __future__ import annotations

from model.catalog import Column, SqlType, Table
from mssql.expressions import translate_check
from tests.mssql.expressions.translations import check_sql, quote


def test_unknown_collation_is_refused() -> None:
    unknown = Table("dbo", "t", (Column("s", SqlType("varchar", 10)),))
    result = translate_check("([s]='a')", unknown, quote)
    assert "collation is not known" in (result.reason or "")


def test_explicit_collation_decides() -> None:
    sql = check_sql("([s] COLLATE Latin1_General_BIN2='A')", s="varchar(9)")
    assert sql == "rtrim(\"s\", ' ') = 'A'"

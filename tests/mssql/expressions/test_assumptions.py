"""What is assumed for values that hardly any database holds: applied and told, or refused by EXPRESSIONS=strict."""

from __future__ import annotations

from pathlib import Path

from mssql.expressions import translate_check, translate_computed
from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import column, table
from tests.mssql.expressions.translations import quote

_TEXT = "(case when [s]=N'A' then (1) else (0) end)"
_COLUMNS = {"s": "nvarchar(9)"}


def test_usual_applies_what_is_assumed_and_says_so() -> None:
    result = translate_computed(_TEXT, column("c", "int"), table(_COLUMNS), quote)
    assert result.sql is not None
    assert result.suggestion == Assumption.EQUAL_CHARACTERS.value


def test_strict_refuses_what_is_assumed_and_suggests_it() -> None:
    usual = translate_computed(_TEXT, column("c", "int"), table(_COLUMNS), quote)
    result = translate_computed(_TEXT, column("c", "int"), table(_COLUMNS), quote, policy="strict")
    assert result.sql is None
    assert "more characters are equal" in (result.reason or "")
    assert result.suggestion == usual.sql


def test_a_check_that_refuses_aloud_assumes_nothing() -> None:
    result = translate_check("([s]=N'A')", table(_COLUMNS), quote, policy="strict")
    assert result.sql is not None
    assert result.suggestion is None


def test_docs_list_every_assumption_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "schema.md").read_text(encoding="utf-8")
    section = page.split("## Expressions that mean almost the same")[1].split("\n## ")[0]
    listed = [" ".join(item.split()) for item in section.split("\n- ")[1:]]
    assert sorted(listed) == sorted(assumption.value for assumption in Assumption)

"""`COLLATION_POLICY=icu` on a PostgreSQL built with ICU: what the tables take, refuse and compute."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from demo.shop import INT, nvarchar, varchar
from model.catalog import Check, Column, Computed, Database, Index, KeyColumn, Table
from model.findings import Finding
from postgres.ddl import Step
from schema_phase.steps import run_step
from standin.server import StandIn
from tests.handmade import primary, required
from tests.harness import Workplace, source_settings

LOOSE = "Latin1_General_100_CI_AS_SC"
SEARCHED = Table(
    "dbo",
    "Searched",
    (
        required("ID"),
        Column("Code", varchar(20), collation=LOOSE),
        Column("Name", nvarchar(20), collation=LOOSE),
        Column("Digits", INT, computed=Computed("(len([Name]))", is_persisted=True)),
    ),
    primary("PK_Searched", "ID"),
    indexes=(Index("IX_Searched", (KeyColumn("Code"),), filter="([Code] like 'a%')"),),
    checks=(
        Check("CK_Length", "(len([Name])>(1))"),
        Check("CK_Like", "([Code] like '[a-z][0-9]%')"),
        Check("CK_Place", "(charindex('-',[Code])=(0))"),
        Check("CK_Case", "([Name]<>'none')"),
    ),
)


@pytest.fixture
def icu() -> Iterator[Any]:
    """A cursor in autocommit mode on a PostgreSQL with ICU, without the tables of the tests."""
    url = os.environ.get("ICU_TEST_URL")
    if not url:
        pytest.skip("no PostgreSQL with ICU: set ICU_TEST_URL to the address of an empty database to run this")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS searched")
        yield cursor
        cursor.execute("DROP TABLE IF EXISTS searched")
    connection.close()


def replicate(folder: Path) -> str:
    """The schema phase over the table; returns the report."""
    with StandIn(Database("searched", (SEARCHED,)), {}) as source:
        settings = {"DATABASE_URL": os.environ["ICU_TEST_URL"], "COLLATION_POLICY": "icu"}
        finished = Workplace(folder, {**source_settings(source.port, "searched"), **settings}).run("schema")
        assert finished.code == 0, finished.text
    return (folder / "schema_report.json").read_text(encoding="utf-8")


def test_a_table_with_checks_that_search_in_texts_takes_rows(icu: Any, tmp_path: Path) -> None:
    report = replicate(tmp_path)
    assert '"dbo.Searched' in report
    assert [entry for entry in json.loads(report)["objects"] if entry["state"] != "done"][:-2] == []
    icu.execute("INSERT INTO searched (id, code, name) VALUES (1, 'A7', 'Ann'), (2, NULL, NULL)")
    icu.execute("SELECT digits, name = 'ANN' FROM searched WHERE id = 1")
    assert icu.fetchall() == [(3, True)]  # computed, and as loosely compared as on the source
    for values in ("3, 'A7', 'A'", "4, 'AA', 'Ann'", "5, 'A7-', 'Ann'", "6, 'A7', 'NONE'"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            icu.execute(f"INSERT INTO searched (id, code, name) VALUES ({values})")
    icu.execute("SELECT count(*) FROM pg_constraint WHERE conrelid = 'searched'::regclass AND contype = 'c'")
    assert icu.fetchall() == [(4,)]
    icu.execute("SELECT indpred IS NOT NULL FROM pg_index WHERE indexrelid = 'ix_searched'::regclass")
    assert icu.fetchall() == [(True,)]


def test_a_step_after_which_a_table_would_take_no_row_is_refused(icu: Any) -> None:
    icu.execute("CREATE COLLATION IF NOT EXISTS mssql_ci_as (provider = icu, locale = 'und-u-ks-level2', "
                "deterministic = false)")  # fmt: skip
    icu.execute("CREATE TABLE searched (code varchar(20) COLLATE mssql_ci_as)")
    icu.execute("BEGIN")
    add = "ALTER TABLE searched ADD CONSTRAINT ck CHECK (code ~ 'a')"
    row = "(SELECT CAST('' AS varchar(20)) COLLATE mssql_ci_as AS code) AS probe"
    (refused,) = run_step(icu, Step(add, Finding("check", "ck"), True, probe=f"SELECT (code ~ 'a') FROM {row}"))
    assert refused.state == "skipped"
    assert refused.reason is not None
    assert "with it the table would take no row: nondeterministic collations are not supported" in refused.reason
    # A probe that fails for its empty text says nothing.
    fine = "ALTER TABLE searched ADD CONSTRAINT ck CHECK (code::int > 0)"
    assert run_step(icu, Step(fine, Finding("check", "ck"), True, probe=f"SELECT (code::int > 0) FROM {row}")) == []
    icu.execute("COMMIT")
    icu.execute("INSERT INTO searched VALUES ('7')")

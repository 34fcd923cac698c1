"""Tables that exist already: told and left, mended where nothing is lost, or made anew when that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.shop import BIGINT, INT, decimal, nvarchar
from demo.target import EmbeddedTarget
from model.catalog import Check, Column, Computed, Database, Default, ForeignKey, Key, KeyColumn, SqlType, Table
from postgres.drift import is_narrower, widens
from standin.server import StandIn
from tests.handmade import index, primary, required
from tests.harness import Workplace, source_settings
from tests.made_schemas import Made, dump
from tests.samples import statuses


def _table(name: str, *columns: Column, **more: object) -> Table:
    return Table("dbo", name, (required("ID"), *columns), primary(f"PK_{name}", "ID"), **more)  # type: ignore[arg-type]


DRIFTED = Database(
    "drift",
    (
        _table(
            "Lacks",
            Column("Name", nvarchar(20), default=Default("DF_Lacks", "(N'new')")),
            Column("Half", INT, computed=Computed("([ID]/(2))", is_persisted=True)),
            checks=(Check("CK_Lacks", "([ID]>(0))"),),
            indexes=(index("IX_Lacks", "Name"),),
        ),
        _table("Narrow", Column("Small", BIGINT), Column("Text", nvarchar(40)), Column("Price", decimal(12, 4))),
        _table("Wide", Column("Number", INT), Column("Text", nvarchar(10))),
        _table("Strict", Column("Name", nvarchar(10))),
        _table("Lax", required("Name", nvarchar(10))),
        _table("Extra"),
        _table("Filled", required("Name", nvarchar(10))),
        _table("Kinds", Column("When", SqlType("datetime2", scale=3))),
        _table("Keyed"),
        _table("Indexed", Column("A", INT), Column("B", INT), indexes=(index("IX_Indexed", "A", "B DESC"),)),
        _table("Fits", Column("Name", nvarchar(10))),
        _table(
            "Refers",
            Column("Wide", INT),
            foreign_keys=(ForeignKey("FK_Refers", ("Wide",), "dbo", "Wide", ("ID",), on_delete="CASCADE"),),
        ),
        Table("dbo", "Unkeyed", (required("ID"),), unique=(Key("UQ_Unkeyed", (KeyColumn("ID"),)),)),
    ),
)
BEFORE = """
CREATE TABLE lacks (id integer NOT NULL);
INSERT INTO lacks VALUES (7);
CREATE TABLE narrow (id integer NOT NULL, small integer, text varchar(10), price numeric(6,2));
INSERT INTO narrow VALUES (1, 2, 'three', 4.56);
CREATE TABLE wide (id integer NOT NULL PRIMARY KEY, number bigint, text text);
INSERT INTO wide VALUES (1, 5000000000, repeat('x', 100));
CREATE TABLE strict (id integer NOT NULL, name varchar(10) NOT NULL);
CREATE TABLE lax (id integer NOT NULL, name varchar(10));
CREATE TABLE extra (id integer NOT NULL, own text);
CREATE TABLE filled (id integer NOT NULL);
INSERT INTO filled VALUES (1);
CREATE TABLE kinds (id integer NOT NULL, "when" text);
CREATE TABLE keyed (id integer NOT NULL, CONSTRAINT mine PRIMARY KEY (id));
CREATE TABLE indexed (id integer NOT NULL, a integer, b integer);
CREATE INDEX ix_indexed ON indexed (b);
CREATE TABLE fits (name varchar(10), id integer NOT NULL);
CREATE TABLE refers (id integer NOT NULL, wide integer CONSTRAINT fk_refers REFERENCES wide ON DELETE CASCADE);
CREATE TABLE unkeyed (id integer NOT NULL CONSTRAINT uq_unkeyed UNIQUE);
"""
#: tables that fit, or need only what every run adds: keys, indexes, checks, defaults
FITTING = {"Fits", "Keyed", "Unkeyed", "Refers"}


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """The source, which does not change."""
    with StandIn(DRIFTED, {}) as running:
        yield running


@pytest.fixture
def drifted(source: StandIn, target: EmbeddedTarget, target_database: str, tmp_path: Path) -> Made:
    """A target whose tables differ from it in every way."""
    environment = {**source_settings(source.port, DRIFTED.name), **target.environment(target_database)}
    made = Made(Workplace(tmp_path, environment), target, target_database)
    made.query(BEFORE)
    return made


def failed(made: Made) -> set[str]:
    """The tables that the last run left as failed."""
    return {name for name, status in statuses(made.workplace.schema_progress, "schema").items() if status == "failed"}


def test_differences_are_told_and_tables_left_as_they_are(drifted: Made) -> None:
    before = {name: drifted.columns(name) for name in ("lacks", "narrow", "wide", "strict", "lax", "extra", "kinds")}
    finished = drifted.workplace.run("schema")
    assert finished.code == 1, finished.text
    assert failed(drifted) == {table.name for table in DRIFTED.tables} - FITTING
    for words in (
        "column name is missing; column half is missing",
        "column small is integer, the source asks for bigint",
        "column text is text, the source asks for character varying(10)",
        "column name refuses NULL, the source allows it",
        "column name allows NULL, the source refuses it",
        "column own is not on the source",
        "column when is text, the source asks for timestamp(3) without time zone",
        'ix_indexed: exists and differs: it is INDEX ("b"), the source asks for INDEX ("a", "b" DESC)',
        "--apply-drift adds missing columns",
        "--recreate drop it with its rows",
    ):
        assert words in finished.text
    assert before == {name: drifted.columns(name) for name in before}
    assert drifted.index("ix_indexed") == "(b)"
    # A key under another name is a key.
    assert drifted.constraint("keyed", "mine") == "PRIMARY KEY (id)"
    assert drifted.constraint("fits", "pk_fits") == "PRIMARY KEY (id)"
    assert drifted.entry("table", "dbo.Lacks")["state"] == "skipped"
    assert drifted.entry("index", "dbo.Indexed.IX_Indexed")["state"] == "skipped"


def test_apply_drift_mends_what_loses_nothing_and_leaves_the_rest(drifted: Made) -> None:
    finished = drifted.workplace.run("schema", "--apply-drift")
    assert finished.code == 1, finished.text
    assert failed(drifted) == {"Wide", "Lax", "Extra", "Filled", "Kinds", "Indexed", "Refers"} - FITTING
    assert drifted.columns("lacks") == {
        "id": ("integer", True), "name": ("character varying(20)", False), "half": ("integer", False),
    }  # fmt: skip
    assert drifted.query("SELECT * FROM lacks") == [(7, None, 3)]
    assert drifted.query("INSERT INTO lacks (id) VALUES (8) RETURNING name") == [("new",)]
    assert drifted.constraint("lacks", "ck_lacks")
    assert drifted.index("ix_lacks") == "(name)"
    assert drifted.columns("narrow") == {
        "id": ("integer", True), "small": ("bigint", False), "text": ("character varying(40)", False),
        "price": ("numeric(12,4)", False),
    }  # fmt: skip
    assert str(drifted.query("SELECT * FROM narrow")) == "[(1, 2, 'three', Decimal('4.5600'))]"
    assert drifted.columns("strict")["name"] == ("character varying(10)", False)
    # Nothing narrower, nothing dropped, and rows where they were.
    assert drifted.columns("wide")["text"] == ("text", False)
    assert drifted.columns("extra")["own"] == ("text", False)
    assert drifted.query("SELECT number FROM wide") == [(5_000_000_000,)]
    assert drifted.columns("filled") == {"id": ("integer", True)}
    assert "filled" in finished.text.lower()
    assert drifted.one("SELECT count(*) FROM filled") == 1


def test_recreate_makes_differing_tables_anew_with_the_keys_to_them(
    drifted: Made, source: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    drifted.query("INSERT INTO refers VALUES (1, 1); INSERT INTO fits VALUES ('kept', 1)")
    finished = drifted.workplace.run("schema", "--recreate")
    # An index is no reason to drop a table, and stays a person's decision.
    assert failed(drifted) == {"Indexed"}, finished.text
    assert finished.code == 1
    assert drifted.query("SELECT * FROM fits") == [("kept", 1)]
    assert drifted.query("SELECT * FROM wide") == []
    # The rows that refer to what was dropped stay; their key is not valid, and that is told.
    assert drifted.query("SELECT * FROM refers") == [(1, 1)]
    assert drifted.constraint("refers", "fk_refers").endswith("ON DELETE CASCADE NOT VALID")
    assert "violate" in drifted.entry("foreign key", "dbo.Refers.FK_Refers")["reason"]
    drifted.query("DROP INDEX ix_indexed; DELETE FROM refers; DROP TABLE fits, keyed, refers")
    assert drifted.workplace.run("schema").code == 0
    target.create_database("fresh")
    folder = tmp_path / "fresh"
    folder.mkdir()
    fresh = Workplace(folder, {**source_settings(source.port, DRIFTED.name), **target.environment("fresh")})
    assert fresh.run("schema").code == 0
    assert dump(target, drifted.database) == dump(target, "fresh")


def test_recreate_never_drops_what_is_not_its_own(drifted: Made) -> None:
    drifted.query("CREATE TABLE theirs (wide integer CONSTRAINT fk_theirs REFERENCES wide)")
    drifted.query("CREATE VIEW seen AS SELECT own FROM extra")
    finished = drifted.workplace.run("schema", "--recreate")
    assert {"Wide", "Extra"} <= failed(drifted)
    assert "fk_theirs" in finished.text
    assert drifted.columns("wide")["number"] == ("bigint", False)
    assert drifted.query("SELECT number FROM wide") == [(5_000_000_000,)]
    assert drifted.query("SELECT * FROM seen") == []
    # The key that was to be dropped with the table came back with the failure.
    assert drifted.constraint("refers", "fk_refers")


def test_a_generated_column_where_values_are_to_go_is_told(drifted: Made) -> None:
    drifted.query("DROP TABLE fits")
    drifted.query("CREATE TABLE fits (id integer NOT NULL, name varchar(10) GENERATED ALWAYS AS ('x') STORED)")
    finished = drifted.workplace.run("schema", "--tables", "Fits")
    assert finished.code == 1
    assert "column name is generated, but must receive the source's values" in finished.text


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("smallint", "bigint", True), ("bigint", "integer", False), ("real", "double precision", True),
        ("double precision", "real", False), ("numeric(6,2)", "numeric(8,4)", True),
        ("numeric(6,2)", "numeric(6,4)", False), ("numeric(19,4)", "numeric(10,4)", False),
        ("character varying(10)", "text", True), ("text", "character varying(10)", False),
        ("character varying(10)", "character varying(9)", False), ("character(4)", "character(8)", False),
        ("timestamp(0) without time zone", "timestamp(3) without time zone", True),
        ("timestamp(3) without time zone", "timestamp(3) with time zone", False),
        ("time(6) without time zone", "time(0) without time zone", False), ("integer", "text", False),
        ("citext", "text", False), ("integer", "boolean", False),
    ],
)  # fmt: skip
def test_only_what_loses_nothing_is_wider(old: str, new: str, expected: bool) -> None:
    assert widens(old, new) is expected


@pytest.mark.parametrize(
    ("there", "wanted", "narrower"),
    [
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("real", "double precision", True),
        ("character varying(10)", "character varying(40)", True),
        ("character varying(40)", "character varying(10)", False),
        ("character varying", "character varying(10)", False),
        ("character varying(10)", "text", True),
        ("text", "character varying(10)", False),
        ("numeric(6,2)", "numeric(12,4)", True),
        ("numeric(12,2)", "numeric(12,4)", True),
        ("numeric(14,4)", "numeric(12,4)", False),
        ("numeric", "numeric(12,4)", False),
        ("timestamp(0) without time zone", "timestamp(3) without time zone", True),
        ("character(10)", "character(5)", False),
        ("uuid", "text", False),
    ],
)
def test_what_may_not_hold_all_that_the_source_has(there: str, wanted: str, narrower: bool) -> None:
    assert is_narrower(there, wanted) == narrower

"""Names: what becomes of them in PostgreSQL, and those that may not fall together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog import Check, Column, Database, ForeignKey, SqlType, Table
from catalog import Sequence as SequenceObject
from db import Driver, Secrets, Settings, Source, Target
from demo.shop import INT
from demo.standin import StandIn
from demo.target import EmbeddedTarget
from postgres.ddl import RelationNames
from postgres.names import NameCollisionError, check_collisions, cut, fold, quote, target_name
from tests.handmade import LONG_TWINS, index, primary, required
from tests.test_schema_traps import make, run_on

SETTINGS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())
BIGINT = SqlType("bigint")


def _table(name: str, *columns: str, schema: str = "dbo", **more: object) -> Table:
    return Table(
        schema,
        name,
        (required("ID"), *(Column(column, INT) for column in columns)),
        primary(f"PK_{schema}_{name}", "ID"),
        **more,  # type: ignore[arg-type]
    )


# -- one name ---------------------------------------------------------------------------------------


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=128))
def test_a_name_of_any_characters_fits_and_stays_the_same(name: str) -> None:
    folded = fold(name, SETTINGS)
    assert 0 < len(folded.encode()) <= 63
    assert cut(folded) == folded
    assert fold(name, SETTINGS) == folded
    if len(name.lower().encode()) <= 63:
        assert folded == name.lower()


def test_long_names_with_the_same_beginning_differ() -> None:
    one, two = (fold(name, SETTINGS) for name in LONG_TWINS)
    assert one != two
    assert one[:50] == two[:50]
    # Characters are not cut in the middle.
    assert cut("ü" * 40).startswith("ü" * 27 + "_")


@pytest.mark.parametrize(("name", "quoted"), [("plain", '"plain"'), ('a"b', '"a""b"'), ("%s", '"%s"'), ("", '""')])
def test_quoting(name: str, quoted: str) -> None:
    assert quote(name) == quoted


def test_schemas_go_where_the_settings_say() -> None:
    mapped = replace(SETTINGS, target_schema="shop", schema_map={"sales": "Sales EU"})
    assert str(target_name(_table("Orders"), mapped)) == "shop.orders"
    assert str(target_name(_table("Orders", schema="Sales"), mapped)) == "Sales EU.orders"
    assert str(target_name(_table("Orders", schema="HR"), mapped)) == "hr.orders"
    assert target_name(_table("Orders"), replace(SETTINGS, naming="preserve")).quoted == '"public"."Orders"'


# -- twins ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ((_table("Orders"), _table("ORDERS")), "tables dbo.Orders, dbo.ORDERS all become public.orders"),
        ((_table("T", "Name", "NAME"),), "columns Name, NAME of dbo.T all become name"),
        ((_table("T"), _table("t", schema="PUBLIC")), "tables dbo.T, PUBLIC.t all become public.t"),
        ((_table("Straße", "ẞ", "ß"),), "columns ẞ, ß of dbo.Straße all become ß"),
    ],
)
def test_twins_are_refused_by_name(tables: tuple[Table, ...], words: str) -> None:
    with pytest.raises(NameCollisionError) as caught:
        check_collisions(tables, SETTINGS)
    assert words in str(caught.value)
    assert "NAMING=preserve" in str(caught.value)


def test_twins_after_63_bytes_are_kept_apart_and_no_reason_to_stop() -> None:
    check_collisions([_table(name, *LONG_TWINS) for name in LONG_TWINS], SETTINGS)


def test_twins_stop_a_run_before_anything_is_made(target: EmbeddedTarget, tmp_path: Path) -> None:
    database = Database(
        "twins", (_table("Fine"), _table("Orders", "ΣΥΝΟΛΟ", "συνολο")), collation="Latin1_General_CS_AS"
    )
    with StandIn(database, {}) as source:
        made, finished = make(source, database, target, tmp_path, "twins")
        assert finished.code == 2, finished.text
        assert "columns ΣΥΝΟΛΟ, συνολο of dbo.Orders all become συνολο" in finished.err
        assert made.one("SELECT to_regclass('fine')") is None
        assert not made.place.schema_progress.exists()
        # Each of the ways out that the message names.
        assert made.place.run("schema", "--exclude", "Orders").code == 0
        made.query("DROP TABLE fine")
        preserving = made.place.with_settings(NAMING="preserve")
        kept = preserving.run("schema")
        assert kept.code == 0, kept.text
    assert list(made.columns('"Orders"')) == ["ID", "ΣΥΝΟΛΟ", "συνολο"]


# -- names of keys, indexes, constraints and sequences ------------------------------------------------------


def test_names_of_indexes_do_not_depend_on_the_order_of_tables() -> None:
    tables = [
        _table("A", indexes=(index("IX", "ID"),)),
        _table("B", indexes=(index("IX", "ID"), index("a", "ID"))),
        _table("C", indexes=(index("ix", "ID"), index("A_IX", "ID"))),
    ]
    names = RelationNames.allocate(tables, SETTINGS)
    assert names.by_object == RelationNames.allocate(tables[::-1], SETTINGS).by_object
    values = list(names.by_object.values())
    assert len(values) == len(set(values))
    assert not set(values) & {"a", "b", "c"}
    assert names.of(tables[0], "PK_dbo_A") == "pk_dbo_a"


def test_constraints_and_sequences_whose_names_fall_together(target: EmbeddedTarget, tmp_path: Path) -> None:
    """Names that differ by case alone, as a database with a case-sensitive collation may have them."""
    sequences = tuple(
        SequenceObject("dbo", name, BIGINT, start, 1, 1, 2**63 - 1)
        for name, start in (("Numbers", 10), ("NUMBERS", 20), ("T_seq", 1), ("IX_Own", 1))
    )
    table = _table(
        "T",
        "Other",
        checks=(Check("CK", "([ID]>(0))"), Check("ck", "([ID]<(100))")),
        foreign_keys=(
            ForeignKey("FK", ("Other",), "dbo", "T", ("ID",)),
            ForeignKey("fk", ("Other",), "dbo", "T", ("ID",), on_delete="CASCADE"),
        ),
        indexes=(index("IX_Own", "Other"),),
    )
    database = Database("alike", (table,), collation="Latin1_General_CS_AS", sequences=sequences)
    made, finished = run_on(database, target, tmp_path)
    assert finished.code == 0, finished.text
    kinds = made.query(
        "SELECT contype, count(*) FROM pg_constraint WHERE conrelid = 't'::regclass GROUP BY 1 ORDER BY 1"
    )
    assert {kind: count for kind, count in kinds if kind != "n"} == {"c": 2, "f": 2, "p": 1}
    # A sequence and an index are both relations in PostgreSQL, unlike on the source.
    assert made.index("t_ix_own") == "(other)"
    assert made.one("SELECT nextval('ix_own')") == 1
    states = {name: entry["state"] for (kind, name), entry in made.entries().items() if kind == "sequence"}
    assert sorted(states.values()) == ["done", "done", "done", "skipped"]
    skipped = next(name for name, state in states.items() if state == "skipped")
    assert "falls together" in made.entry("sequence", skipped)["reason"]

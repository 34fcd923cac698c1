"""Names: what becomes of them in PostgreSQL, and those that may not fall together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.shop import INT
from demo.target import EmbeddedTarget
from model.catalog import Check, Column, Database, ForeignKey, SqlType, Table
from model.catalog import Sequence as SequenceObject
from model.errors import NameCollisionError
from model.settings import Driver, Secrets, Settings, Source, Target
from postgres.ddl import RelationNames
from postgres.names import check_collisions, cut, fold, quote, target_name
from run.options import Options
from run.selection import find_table, select_tables
from run.type_map import TypeMap
from standin.server import StandIn
from tests.handmade import LONG_TWINS, index, primary, required
from tests.harness import Workplace
from tests.made_schemas import make, run_on
from tests.samples import (
    TEXT,
    MakeWorkplace,
    Serve,
    Shop,
    counts,
    entries,
    labelled,
    processed,
    statuses,
    table,
    target_tables,
)

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
        assert not made.workplace.schema_progress.exists()
        # Each of the ways out that the message names.
        assert made.workplace.run("schema", "--exclude", "Orders").code == 0
        made.query("DROP TABLE fine")
        preserving = made.workplace.with_settings(NAMING="preserve")
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
    assert "collides" in made.entry("sequence", skipped)["reason"]


# -- names with dots in them ----------------------------------------------------------------------------

DOTTED = Database("shop", (table("Sales.Orders"), table("Orders", "Sales"), table("x.y", "Sales"), table("a]b")))
DOTTED_ROWS = {
    "dbo.[Sales.Orders]": labelled(4, "dotted"), "Sales.Orders": labelled(9, "sale"), "Sales.[x.y]": labelled(2, "xy"),
    "dbo.[a]]b]": labelled(3, "bracket"),
}  # fmt: skip
DOTTED_KEYS = {"[a]]b]": 3, "[Sales.Orders]": 4, "Sales.Orders": 9, "Sales.[x.y]": 2}


@pytest.fixture
def dotted(serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]) -> Workplace:
    """Two tables that would share a name, were a dot in a name a dot between names."""
    return make_workplace(serve(DOTTED, DOTTED_ROWS), DOTTED)


def test_a_table_with_a_dot_in_its_name_and_one_of_another_schema_are_two(
    dotted: Workplace, target: EmbeddedTarget, target_database: str
) -> None:
    for script in ("schema", "data"):
        finished = dotted.run(script)
        assert finished.code == 0, finished.text
        assert processed(finished.out) == list(DOTTED_KEYS)
    assert {key: entry["rows_synced"] for key, entry in entries(dotted.data_progress).items()} == DOTTED_KEYS
    assert statuses(dotted.schema_progress, "schema") == dict.fromkeys(DOTTED_KEYS, "completed")
    found = counts(target, target_database, 'public."sales.orders"', "sales.orders", 'sales."x.y"', 'public."a]b"')
    assert list(found.values()) == [4, 9, 2, 3]
    names = [entry["name"] for entry in json.loads((dotted.folder / "schema_report.json").read_text())["objects"]]
    assert {"dbo.[Sales.Orders]", "Sales.Orders", "Sales.[x.y]", "dbo.[a]]b]"} <= set(names)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("--tables", "[Sales.Orders]"), ["[Sales.Orders]"]),
        (("--tables", "dbo.[sales.orders]"), ["[Sales.Orders]"]),
        (("--tables", "Sales.Orders"), ["Sales.Orders"]),
        (("--tables", "Sales.*"), ["Sales.Orders", "Sales.[x.y]"]),
        (("--tables", "*.Orders"), ["Sales.Orders"]),
        (("--tables", "dbo.*"), ["[a]]b]", "[Sales.Orders]"]),
        (("--tables", "x.y"), ["Sales.[x.y]"]),
        (("--exclude", "Sales.Orders"), ["[a]]b]", "[Sales.Orders]", "Sales.[x.y]"]),
        (("--exclude", "[Sales.Orders]"), ["[a]]b]", "Sales.Orders", "Sales.[x.y]"]),
        (("--start-from-table", "Sales.Orders"), ["Sales.Orders", "Sales.[x.y]"]),
        (("--start-from-table", "[Sales.Orders]"), list(DOTTED_KEYS)[1:]),
        (("--start-from-table", "[dbo].[a]]b]"), list(DOTTED_KEYS)),
        (("--start-from-table", "a]b"), list(DOTTED_KEYS)),
        (("--start-from-table", "sales.x.y"), ["Sales.[x.y]"]),
    ],
)  # fmt: skip
def test_flags_tell_names_with_dots_apart(arguments: tuple[str, str], wanted: list[str]) -> None:
    start = arguments[1] if arguments[0] == "--start-from-table" else None
    options = Options(**({arguments[0][2:]: (arguments[1],)} if start is None else {}))  # type: ignore[arg-type]
    tables, _ = select_tables(sorted(DOTTED.tables, key=lambda table: table.sort_key), options, SETTINGS)
    first = find_table(tables, start).sort_key if start else tables[0].sort_key
    assert [table.key for table in tables if table.sort_key >= first] == wanted


def test_an_older_file_is_read_where_its_name_can_only_mean_one_table(dotted: Workplace) -> None:
    assert dotted.run("schema").code == 0
    old = {name: {"data": {"status": "completed", "error": None}} for name in ("Sales.Orders", "a]b", "Sales.x.y")}
    dotted.data_progress.write_text(json.dumps({"tables": old}), encoding="utf-8")
    finished = dotted.run("data", "--resume")
    assert finished.code == 0, finished.text
    # The entry that stood for both of two tables is believed of neither.
    assert processed(finished.out) == ["[Sales.Orders]", "Sales.Orders"]
    assert "Sales.Orders in data_sync_progress.json may mean any of [Sales.Orders], Sales.Orders" in finished.out
    assert set(statuses(dotted.data_progress).values()) == {"completed"}
    again = dotted.run("data", "--resume")
    assert processed(again.out) == []
    assert "may mean" not in again.out


@pytest.mark.parametrize(
    ("entry", "table_of_it"),
    [
        ("Sales.Orders.label", "Sales.Orders"), ("dbo.[Sales.Orders].label", "dbo.[Sales.Orders]"),
        ("[sales.orders].label", "dbo.[Sales.Orders]"), ("dbo.Sales.Orders.label", "dbo.[Sales.Orders]"),
        ("sales.x.y.label", "Sales.[x.y]"), ("x.y.label", "Sales.[x.y]"),
    ],
)  # fmt: skip
def test_a_type_map_tells_names_with_dots_apart(entry: str, table_of_it: str) -> None:
    tables = [replace(one, columns=(Column("label", SqlType("json", -1)),)) for one in DOTTED.tables]
    assert TypeMap(columns={entry: "json"}).resolved(tables).columns == {f"{table_of_it}.label": "json"}


@given(st.lists(st.tuples(st.text(".[]ab", min_size=1), st.text(".[]ab", min_size=1)), unique=True))
def test_no_two_tables_share_a_key(names: list[tuple[str, str]]) -> None:
    tables = [Table(schema, name, ()) for schema, name in [*names, *(("dbo", name) for _, name in names)]]
    assert len({table.key for table in tables}) == len({(table.schema, table.name) for table in tables})


# -- names that fall together, by a run ---------------------------------------------------------------


def test_names_that_fall_together_are_refused_and_preserve_keeps_them_apart(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    identity = Column("id", INT, is_nullable=False)
    twins = Table("dbo", "Twins", (identity, Column("Ä", TEXT), Column("ä", TEXT)))
    database = Database("shop", (Table("dbo", "Öl", (identity,)), Table("dbo", "öl", (identity,)), twins))
    workplace = make_workplace(serve(database, {}), database)
    refused = workplace.run("schema")
    assert refused.code == 2, refused.text
    assert "dbo.Öl" in refused.err
    assert "dbo.öl" in refused.err
    assert "all become public.öl" in refused.err
    assert "of dbo.Twins all become ä" in refused.err
    assert "NAMING=preserve" in refused.err
    assert target_tables(target, target_database) == []
    kept = workplace.with_settings(NAMING="preserve").run("schema")
    assert kept.code == 0, kept.text
    assert target_tables(target, target_database) == ["public.Twins", "public.Öl", "public.öl"]


def test_names_alike_in_their_first_63_bytes_stay_apart(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    names = ["ü" * 40 + end for end in ("a", "b")]
    database = Database("shop", tuple(table(name) for name in names))
    rows = {f"dbo.{name}": [(1, name[-1])] for name in names}
    workplace = make_workplace(serve(database, rows), database)
    assert workplace.run("schema").code == 0
    assert workplace.run("data").code == 0
    made = target_tables(target, target_database)
    assert len(made) == 2
    assert all(len(name.removeprefix("public.").encode()) <= 63 for name in made)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"TARGET_SCHEMA": "shop"}, ["sales.orders", "shop.customers", "shop.orders", "shop.products"]),
        (
            {"SCHEMA_MAP": "dbo:a, SALES:sales_eu", "TARGET_SCHEMA": "unused"},
            ["a.customers", "a.orders", "a.products", "sales_eu.orders"],
        ),
        ({"NAMING": "preserve"}, ["public.Customers", "public.Orders", "public.Products", "sales.Orders"]),
    ],
    ids=["target schema", "schema map", "preserve"],
)
def test_settings_say_where_tables_go_and_both_scripts_agree(
    shop: Shop, settings: dict[str, str], wanted: list[str]
) -> None:
    workplace = shop.workplace.with_settings(**settings)
    assert workplace.run("schema").code == 0
    assert shop.tables == wanted
    copied = workplace.run("data")
    assert copied.code == 0, copied.text
    quoted = ['"' + name.replace(".", '"."') + '"' for name in wanted]
    assert sorted(counts(shop.target, shop.database, *quoted).values()) == [5, 9, 12, 20]


def test_a_schema_map_that_brings_two_tables_together_is_refused(shop: Shop) -> None:
    finished = shop.workplace.with_settings(SCHEMA_MAP="Sales:public").run("schema")
    assert finished.code == 2, finished.text
    assert "dbo.Orders, Sales.Orders all become public.orders" in finished.err
    assert shop.tables == []

"""The catalog of servers from 2012 on: what only some versions have, and what looks like something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Identity, Index, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.made_schemas import Made, make
from tests.samples import target_rows, target_tables

INT = SqlType("int", 4)
TEXT = SqlType("nvarchar", 100)


def numbered(name: str, identity: Identity | None = None, **more: object) -> Table:
    """A table with a key, which may be an identity, and a text."""
    columns = (Column("id", INT, is_nullable=False, identity=identity), Column("label", TEXT))
    key = Key(f"PK_{name}", (KeyColumn("id"),))
    return replace(Table("dbo", name, columns, key), **more)  # type: ignore[arg-type]


@pytest.fixture
def carry(
    serve: Callable[..., StandIn], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> Callable[..., tuple[StandIn, Made]]:
    """Runs the schema phase over a database, on a server that a test may change first."""

    def run(
        tables: tuple[Table, ...],
        rows: dict[str, object] | None = None,
        change: Callable[[StandIn], None] = lambda _: None,
    ) -> tuple[StandIn, Made]:
        database = Database("versions", tables)
        source = serve(database, rows or {})
        change(source)
        made, finished = make(source, database, target, tmp_path, f"{target_database}_made", CHUNK_ROWS="10")
        assert finished.code == 0, finished.text
        return source, made

    return run


# -- identities -------------------------------------------------------------------------------------


def test_an_identity_goes_on_where_the_source_would(carry: Callable[..., tuple[StandIn, Made]]) -> None:
    # IDENT_CURRENT is 5 for the first two of them.
    _, made = carry(
        (
            numbered("Unused", Identity(5, 3)),
            numbered("UsedOnce", Identity(5, 3, last_value=5)),
            numbered("Falling", Identity(-1, -1, last_value=-1)),
            numbered("Filled", Identity(5, 3)),
        ),
        {"dbo.Filled": [(5, "a"), (8, "b")]},
    )
    assert made.workplace.run("data").code == 0
    for name, wanted in (("unused", 5), ("usedonce", 8), ("falling", -2), ("filled", 11)):
        assert made.one(f"INSERT INTO {name} (label) VALUES ('next') RETURNING id") == wanted, name


# -- texts of any length -----------------------------------------------------------------------------


def test_a_long_filter_of_an_index_does_not_end_the_data_phase(carry: Callable[..., tuple[StandIn, Made]]) -> None:
    condition = "(" + " OR ".join(f"[label]=N'text {number:05d}'" for number in range(300)) + ")"
    assert len(condition) > 4000
    unique = Index("UX_some", (KeyColumn("id"),), is_unique=True, filter=condition)
    plain = numbered("Filtered", primary_key=None, indexes=(unique,))
    _, made = carry((plain,), {"dbo.Filtered": [(number, f"row {number}") for number in range(50)]})
    loaded = made.workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert made.one("SELECT count(*) FROM filtered") == 50
    # It is a filter still: no key to cut the table by.
    assert made.one("SELECT count(*) FROM replication.checkpoint WHERE table_name = 'filtered'") == 1


# -- views that came later ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["11.0.2100.60", "12.0.2000.8"])
def test_security_policies_are_not_asked_for_below_2016(
    carry: Callable[..., tuple[StandIn, Made]], version: str
) -> None:
    _, made = carry((numbered("Plain"),), change=lambda source: source.pose_as(version, without=("security_policies",)))
    assert [name for kind, name in made.entries() if kind == "catalog view"] == []


def test_security_policies_are_asked_for_where_the_server_has_them(
    carry: Callable[..., tuple[StandIn, Made]],
) -> None:
    def hide(source: StandIn) -> None:
        source.execute(
            "INSERT INTO sys.security_policies BY NAME SELECT 'OnlyMine' AS name, 77 AS object_id, 1 AS schema_id,"
            " 1 AS is_enabled"
        )

    _, made = carry((numbered("Plain"),), change=hide)
    assert "row-level security is in force" in made.entry("security policy", "OnlyMine")["reason"]


# -- ledgers ----------------------------------------------------------------------------------------


def test_what_a_ledger_keeps_of_dropped_tables_and_columns_is_left_out_and_told(
    carry: Callable[..., tuple[StandIn, Made]], target: EmbeddedTarget
) -> None:
    # Named as the server names what it keeps (Microsoft, "Ledger considerations and limitations").
    column = Column("MSSQL_DroppedLedgerColumn_old_1A2B", INT, is_dropped=True)
    deeds = numbered("Deeds", traits=("ledger",))
    deeds = replace(deeds, columns=(*deeds.columns, column))
    gone = numbered("MSSQL_DroppedLedgerTable_Gone_3C4D", traits=("ledger", "dropped"))
    _, made = carry((deeds, gone), {"dbo.Deeds": [(1, "kept", 7)], f"dbo.{gone.name}": [(1, "gone")]})
    assert made.entry("column", f"dbo.Deeds.{column.name}")["state"] == "skipped"
    assert "a ledger keeps its values" in made.entry("column", f"dbo.Deeds.{column.name}")["reason"]
    assert made.entry("dropped ledger table", f"dbo.{gone.name}")["state"] == "skipped"
    assert "a ledger keeps its rows" in made.entry("dropped ledger table", f"dbo.{gone.name}")["reason"]
    loaded = made.workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert gone.name not in loaded.text
    assert target_tables(target, made.database) == ["public.deeds"]
    assert target_rows(target, made.database, "deeds") == [(1, "kept")]
    assert list(made.columns("deeds")) == ["id", "label"]


# -- old compatibility levels ------------------------------------------------------------------------


def test_a_load_at_an_old_compatibility_level_is_whole_and_says_that_it_is_one_chunk(
    carry: Callable[..., tuple[StandIn, Made]],
) -> None:
    rows = [(number, f"row {number}") for number in range(50)]
    _, made = carry((numbered("Old"),), {"dbo.Old": rows}, lambda source: source.set_compatibility_level(100))
    for flags in ((), ("--verify",)):
        done = made.workplace.run("data", *flags)
        assert done.code == 0, done.text
        assert "read as one chunk" in done.out
        assert "Incorrect syntax near 'OFFSET'" in done.out
    assert made.one("SELECT count(*) FROM old") == 50

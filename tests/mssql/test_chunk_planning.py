"""Chunks: they cut a table, whatever its key, into parts that are disjoint and cover it."""

from __future__ import annotations

import datetime
import json
import random
import sqlite3
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyodbc
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from db import connect_source, load_settings
from model.catalog import Column, Database, Index, Key, KeyColumn, SqlType, Table
from model.errors import PlanningError
from model.ranges import WHOLE_TABLE, Chunk
from model.settings import Settings
from mssql import reader, snapshots, wanted_rows
from mssql.chunk_keys import chunk_key
from mssql.chunk_planning import CANDIDATES, Sampling, plan_chunks
from mssql.introspection import read_tables
from mssql.quoting import quote, quote_table
from mssql.wanted_rows import WantedRows
from mssql.where import where_clause
from standin.script import create_script, load_rows
from standin.server import StandIn
from tests.harness import source_settings
from tests.tsql_servers import own_database

ROWS = 700
CHUNK_ROWS = 130
LATIN = "SQL_Latin1_General_CP1_CI_AS"
INT = SqlType("int", 4)
CODE = SqlType("varchar", 40)

Value = tuple[object, ...]


def keyed(name: str, *kinds: SqlType, key: str = "k1", collation: str | None = None, **more: object) -> Table:
    """A table of the columns k1, k2, … and n, which tells its rows apart; `key` is made of `-` and names.

    The columns' names are those that chunks.py gives to a query's results, which must not confuse the server.
    """
    texts = {"char", "varchar", "nchar", "nvarchar"}
    columns = [
        Column(f"k{position}", kind, is_nullable=False, collation=collation if kind.name in texts else None)
        for position, kind in enumerate(kinds, start=1)
    ]
    parts = tuple(KeyColumn(word.removeprefix("-"), word.startswith("-")) for word in key.split())
    primary = Key(f"PK_{name}", parts, is_clustered=True) if parts else None
    return Table("dbo", name, (*columns, Column("n", INT)), primary_key=primary, **more)  # type: ignore[arg-type]


def text(number: int) -> str:
    """Texts of which no two are equal without case, in no order, with what text may hold below the BMP's end."""
    starts = ("a", "B", "ä", "Ö", "ß", "'", "''", "%", "_", "[", "]", " ", "-", "\\", '"')
    return f"{starts[number % len(starts)]}{number:05d}{'  ' if number % 4 == 0 else ''}"


def wide_text(number: int) -> str:
    """The same with what only Unicode has; runs of texts that cannot stand in a query are short."""
    return ("Ω", "日本", "Ж", "’", "🙂 ")[number % 5] * (1 if number % 5 else number % 3) + text(number)


FIRST_DAY = datetime.date(1, 1, 1)
NOON = datetime.datetime(2000, 2, 29, 12)
DAY = datetime.timedelta(days=1)
US = datetime.timedelta(microseconds=1)
UUIDS = [str(uuid.UUID(int=random.Random(7).getrandbits(128) ^ number << 64)) for number in range(ROWS)]


def skewed(number: int) -> int:
    """Two dense runs and gaps that double between them."""
    return number if number < ROWS // 2 else 2 ** (10 + number // 40) + number


#: tables that are cut, and the keys of their row number n
CUT: Mapping[str, tuple[Table, Sequence[Value]]] = {
    name: (table, keys)
    for name, table, keys in (
        ("int", keyed("int_key", INT), [(skewed(n) - 500,) for n in range(ROWS)]),
        ("bigint", keyed("bigint_key", SqlType("bigint", 8)), [(-(2**63) + n * (2**63 // 400),) for n in range(ROWS)]),
        ("smallint", keyed("smallint_key", SqlType("smallint", 2)), [(n * 93 - 32768,) for n in range(ROWS)]),
        (
            "decimal",
            keyed("decimal_key", SqlType("decimal", 17, 38, 10)),
            [(Decimal(n - 300) * Decimal("123456789012345678.0123456789"),) for n in range(ROWS)],
        ),
        ("money", keyed("money_key", SqlType("money", 8)), [(Decimal(n - 300) / 10000,) for n in range(ROWS)]),
        ("date", keyed("date_key", SqlType("date", 3)), [(FIRST_DAY + n * 4000 * DAY,) for n in range(ROWS)]),
        ("datetime", keyed("datetime_key", SqlType("datetime", 8)), [(NOON + n * 10000 * US,) for n in range(ROWS)]),
        (
            "smalldatetime",
            keyed("smalldatetime_key", SqlType("smalldatetime", 4)),
            [(NOON + n * datetime.timedelta(minutes=1),) for n in range(ROWS)],
        ),
        (
            "datetime2",
            keyed("datetime2_key", SqlType("datetime2", 8, 27, 7)),
            [(f"{(NOON + 3 * n * US).isoformat(' ', 'microseconds')}{n % 10}",) for n in range(ROWS)],
        ),
        (
            "datetimeoffset",
            keyed("datetimeoffset_key", SqlType("datetimeoffset", 10, 34, 7)),
            [(f"{(NOON + n * US).isoformat(' ', 'microseconds')} {n % 27 - 13:+03d}:30",) for n in range(ROWS)],
        ),
        (
            "time",
            keyed("time_key", SqlType("time", 5, 16, 7)),
            [(f"{(NOON + n * 61 * US).time().isoformat('microseconds')}",) for n in range(ROWS)],
        ),
        ("varchar", keyed("varchar_key", CODE, collation=LATIN), [(text(n),) for n in range(ROWS)]),
        ("char", keyed("char_key", SqlType("char", 30), collation=LATIN), [(text(n),) for n in range(ROWS)]),
        (
            "nvarchar",
            keyed("nvarchar_key", SqlType("nvarchar", 80), collation=LATIN),
            [(wide_text(n),) for n in range(ROWS)],
        ),
        (
            "nvarchar, binary",
            keyed("binary_key", SqlType("nvarchar", 80), collation="Latin1_General_BIN2"),
            [(wide_text(n),) for n in range(ROWS)],
        ),
        ("uniqueidentifier", keyed("uuid_key", SqlType("uniqueidentifier", 16)), [(one,) for one in UUIDS]),
        (
            "two columns",
            keyed("two_columns", SqlType("date", 3), SqlType("nvarchar", 80), key="k1 k2", collation=LATIN),
            [(NOON.date() + n // 300 * DAY, text(n)) for n in range(ROWS)],
        ),
        (
            "three columns",
            keyed("three_columns", INT, CODE, SqlType("datetime", 8), key="k1 k2 k3", collation=LATIN),
            [(n // 350, text(n // 10 * 10), NOON + n % 10 * DAY) for n in range(ROWS)],
        ),
        ("descending", keyed("descending", INT, key="-k1"), [(skewed(n),) for n in range(ROWS)]),
        (
            "descending in part",
            keyed("in_part", INT, CODE, key="-k1 k2", collation=LATIN),
            [(n // 50, text(n)) for n in range(ROWS)],
        ),
        (
            "a unique index in place of a primary key",
            keyed("by_index", INT, key="", indexes=(Index("UX_by_index", (KeyColumn("k1", True),), is_unique=True),)),
            [(skewed(n),) for n in range(ROWS)],
        ),
        (
            "a unique constraint in place of a primary key",
            keyed("by_constraint", INT, key="", unique=(Key("UQ_by_constraint", (KeyColumn("k1"),)),)),
            [(skewed(n),) for n in range(ROWS)],
        ),
        (
            "a unique constraint where the primary key is a float",
            keyed("beside_float", SqlType("float", 8), INT, unique=(Key("UQ_beside_float", (KeyColumn("k2"),)),)),
            [(n / 7, skewed(n)) for n in range(ROWS)],
        ),
    )
}  # fmt: skip

_NULLABLE = Table(
    "dbo", "nullable_index", (Column("k1", INT), Column("n", INT)),
    indexes=(Index("UX_nullable_index", (KeyColumn("k1"),), is_unique=True),),
)  # fmt: skip
#: tables that are not cut
WHOLE: Mapping[str, tuple[Table, Sequence[Value]]] = {
    "a nullable unique index": (_NULLABLE, [(n or None,) for n in range(ROWS)]),
    "a float": (keyed("float_key", SqlType("float", 8)), [(n / 7,) for n in range(ROWS)]),
    "a binary": (keyed("bytes_key", SqlType("binary", 4)), [(n.to_bytes(4, "big"),) for n in range(ROWS)]),
    "no key": (keyed("no_key", INT, key=""), [(n % 3,) for n in range(ROWS)]),
    "a unique index with a filter": (
        keyed("filtered", INT, key="",
              indexes=(Index("UX_filtered", (KeyColumn("k1"),), is_unique=True, filter="([k1]>(5))"),)),
        [(n,) for n in range(ROWS)],
    ),
    "a plain index": (
        keyed("plain_index", INT, key="", indexes=(Index("IX_plain_index", (KeyColumn("k1"),)),)),
        [(n,) for n in range(ROWS)],
    ),
}  # fmt: skip

#: rows of the tables that are sampled; each chunk's sample is thirty of the stand-in's pages
MANY_ROWS = 60_000
SAMPLED_CHUNK_ROWS = 6_000
SAMPLING = Sampling(from_rows=0, page_rows=600, single_rows=300)
#: tables large enough for a sample, their rows in the key's order, so that those of a page are neighbours
SAMPLED: Mapping[str, tuple[Table, Sequence[Value]]] = {
    "int": (keyed("many_int", INT), [(n * 3 + n // 7,) for n in range(MANY_ROWS)]),
    "skewed first column": (
        keyed("many_skewed", SqlType("tinyint", 1), CODE, INT, key="k1 k2 k3", collation=LATIN),
        [
            (7, f"C{n // 50:05d}", n) if MANY_ROWS // 4 < n < MANY_ROWS * 3 // 4 else (n * 12 // MANY_ROWS, "c", n)
            for n in range(MANY_ROWS)
        ],
    ),
    "text without case": (
        keyed("many_text", CODE, collation=LATIN),
        [(f"{'kK'[n % 2]}ey {n:06d}",) for n in range(MANY_ROWS)],
    ),
}
EVERYTHING = {**CUT, **WHOLE, **{f"many: {name}": case for name, case in SAMPLED.items()}}
DATABASE = Database("chunks", tuple(table for table, _ in EVERYTHING.values()))


def shuffled(keys: Sequence[Value]) -> list[Value]:
    """The rows of a table in no order, so that none is read off how they were inserted."""
    rows = [(*key, n) for n, key in enumerate(keys)]
    random.Random(1).shuffle(rows)
    return rows


def database_rows() -> dict[str, list[Value]]:
    """All tables' rows, as the stand-in takes them."""
    few = {table.full_name: shuffled(keys) for table, keys in (*CUT.values(), *WHOLE.values())}
    many = {table.full_name: [(*key, n) for n, key in enumerate(keys)] for table, keys in SAMPLED.values()}
    return {**few, **many}


# -- the servers -------------------------------------------------------------------------------


@dataclass
class Source:
    """A server that holds all the tables, and the tables as its catalog shows them, by name."""

    settings: Settings
    tables: Mapping[str, Table]
    stand_in: StandIn | None = None

    def connect(self) -> Any:
        """An arrow-odbc connection, closed when it is let go: a database in use could not be dropped."""
        return reader.connect(self.settings)


@pytest.fixture(scope="module", params=["the stand-in", pytest.param("a T-SQL server", marks=pytest.mark.tsql)])
def source(request: pytest.FixtureRequest) -> Iterator[Source]:
    """Each server in turn."""
    if request.param == "the stand-in":
        with StandIn(DATABASE, database_rows()) as server:
            yield replace(_seen({**source_settings(server.port, DATABASE.name), "PGDATABASE": "none"}), stand_in=server)
        return
    with own_database(request.getfixturevalue("tsql_server"), "chunks") as there:
        given = {**there, "PGDATABASE": "none"}
        settings = load_settings(None, given)
        with closing(pyodbc.connect(settings.source.connection_string, autocommit=True)) as connection:
            for statement in create_script(DATABASE, with_comments=False, with_others=False):
                connection.execute(statement)
        with closing(pyodbc.connect(settings.source.connection_string)) as connection:
            load_rows(connection, DATABASE, {name: rows for name, rows in database_rows().items() if len(rows) == ROWS})
            for table, keys in SAMPLED.values():
                insert_many(connection, table, [(*key, n) for n, key in enumerate(keys)])
        yield _seen(given)


def insert_many(connection: pyodbc.Connection, table: Table, rows: Sequence[Value]) -> None:
    """Numbers and texts in one statement, many times as fast as one statement for each row."""
    names = ", ".join(quote(column.name) for column in table.columns)
    types = ", ".join(f"{quote(column.name)} {column.type} '$[{i}]'" for i, column in enumerate(table.columns))
    connection.execute(
        f"INSERT INTO {quote_table(table.schema, table.name)} ({names})"
        f" SELECT {names} FROM OPENJSON(CAST(? AS nvarchar(max))) WITH ({types})",
        json.dumps(rows),
    )
    connection.commit()


def _seen(environment: Mapping[str, str]) -> Source:
    settings = load_settings(None, environment)
    tables = {table.name.lower(): table for table in read_tables(reader.connect(settings))}
    return Source(settings, tables)


def numbers_of(source: Source, table: Table, *chunks: Chunk) -> list[list[int]]:
    """The row numbers of each of the chunks, read the way a load reads rows."""
    connection = wanted_rows.SourceConnections(source.connect(), source.settings)
    (column,) = [column for column in table.columns if column.name == "n"]
    return [
        [
            number
            for batch in reader.read_batches(connection, WantedRows(table, (column,), chunk))
            for number in batch.column(0).to_pylist()
        ]
        for chunk in chunks
    ]


# -- cut and not cut ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", CUT)
def test_chunks_are_disjoint_and_cover_the_table(source: Source, case: str) -> None:
    table = source.tables[CUT[case][0].name]
    told: list[None] = []
    chunks = plan_chunks(source.connect(), table, CHUNK_ROWS, lambda: told.append(None))
    assert len(told) == len(chunks) - 1
    parts = numbers_of(source, table, *chunks)
    assert Counter(number for part in parts for number in part) == Counter(range(ROWS))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    # A boundary that cannot stand in a query gives way to one soon after it; the last chunk takes what is left.
    assert all(CHUNK_ROWS - 1 <= len(part) <= CHUNK_ROWS + CANDIDATES for part in parts[:-1])
    assert 0 < len(parts[-1]) <= CHUNK_ROWS + CANDIDATES


@pytest.mark.parametrize("case", WHOLE)
def test_a_table_without_a_usable_key_is_one_chunk(source: Source, case: str) -> None:
    table = source.tables[WHOLE[case][0].name]
    if case == "a unique index with a filter" and table.indexes[0].filter is None:
        pytest.skip("this server's catalog hides the filters of indexes")
    assert chunk_key(table) == ()
    assert plan_chunks(source.connect(), table, CHUNK_ROWS) == (WHOLE_TABLE,)
    assert sorted(numbers_of(source, table, WHOLE_TABLE)[0]) == list(range(ROWS))


def test_a_table_of_few_rows_is_one_chunk(source: Source) -> None:
    assert plan_chunks(source.connect(), source.tables["int_key"], ROWS) == (WHOLE_TABLE,)


def test_sorted_by_the_server_not_by_python(source: Source) -> None:
    """The order of a uuid or a collation is the server's own: Python's would make other chunks."""
    chunks = plan_chunks(source.connect(), source.tables["varchar_key"], CHUNK_ROWS)
    with closing(connect_source(source.settings)) as connection:
        ordered = [n for (n,) in connection.execute("SELECT n FROM varchar_key ORDER BY k1")]
    position_of = {number: position for position, number in enumerate(ordered)}
    parts = numbers_of(source, source.tables["varchar_key"], *chunks)
    positions = [sorted(position_of[n] for n in part) for part in parts]
    assert [position for part in positions for position in part] == list(range(ROWS))


def test_a_disabled_key_is_not_used() -> None:
    table, _ = CUT["int"]
    assert table.primary_key is not None
    assert chunk_key(replace(table, primary_key=replace(table.primary_key, is_disabled=True))) == ()


# -- boundaries from a sample ------------------------------------------------------------------


def skipped_to(source: Source, table: Table) -> tuple[Chunk, ...]:
    """The chunks of a table that is no large one: the same each time."""
    return plan_chunks(source.connect(), table, CHUNK_ROWS, sampling=Sampling(from_rows=2**62))


@pytest.mark.parametrize("case", CUT)
def test_chunks_from_a_sample_are_disjoint_and_cover_the_table(source: Source, case: str) -> None:
    """Whatever the key, and however few rows were drawn."""
    table = replace(source.tables[CUT[case][0].name], row_count=0)
    # A tenth of the table: about seventy rows, of which every thirteenth ends a chunk.
    chunks = plan_chunks(source.connect(), table, CHUNK_ROWS, sampling=Sampling(0, page_rows=13, single_rows=13))
    parts = numbers_of(source, table, *chunks)
    assert Counter(number for part in parts for number in part) == Counter(range(ROWS))
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))


@pytest.mark.parametrize("case", SAMPLED)
def test_chunks_from_a_sample_are_about_equal(source: Source, case: str) -> None:
    table = source.tables[SAMPLED[case][0].name]
    told: list[None] = []
    chunks = plan_chunks(source.connect(), table, SAMPLED_CHUNK_ROWS, lambda: told.append(None), SAMPLING)
    assert len(told) >= len(chunks) - 1
    parts = numbers_of(source, table, *chunks)
    assert Counter(number for part in parts for number in part) == Counter(range(MANY_ROWS))
    # Thirty pages that are drawn independently lie this far apart, except once in a million plans.
    assert 6 <= len(chunks) <= 15
    assert all(SAMPLED_CHUNK_ROWS / 3 <= len(part) <= SAMPLED_CHUNK_ROWS * 3 for part in parts[:-1])
    assert len(parts[-1]) <= SAMPLED_CHUNK_ROWS * 3


def test_each_plan_of_a_large_table_draws_anew(source: Source) -> None:
    """Which shows that boundaries come from a sample at all: those that are skipped to stay the same."""
    table = source.tables["many_int"]
    plans = {plan_chunks(source.connect(), table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING) for _ in range(3)}
    assert len(plans) > 1


def test_a_sample_much_smaller_than_expected_is_not_trusted(source: Source) -> None:
    table = replace(source.tables["int_key"], row_count=1000 * ROWS)
    assert plan_chunks(source.connect(), table, CHUNK_ROWS, sampling=Sampling(0, 13, 13)) == skipped_to(source, table)


def test_chunks_too_small_for_a_sample_are_skipped_to(source: Source) -> None:
    """The sample would be a large part of the table."""
    table = source.tables["int_key"]
    assert plan_chunks(source.connect(), table, CHUNK_ROWS, sampling=Sampling(0, 14, 14)) == skipped_to(source, table)


@pytest.mark.parametrize(
    "change",
    [
        {"traits": ("memory-optimised",)},
        {"indexes": (Index("CCI", (), included=("k1",), kind="CLUSTERED COLUMNSTORE"),)},
    ],
)
def test_tables_without_pages_are_not_sampled(source: Source, change: dict[str, Any]) -> None:
    table = replace(source.tables["many_int"], **change)
    whole = plan_chunks(source.connect(), table, SAMPLED_CHUNK_ROWS, sampling=Sampling(from_rows=2**62))
    assert plan_chunks(source.connect(), table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING) == whole


def test_a_table_that_the_server_does_not_sample_is_skipped_through(source: Source) -> None:
    if source.stand_in is None:
        pytest.skip("only the stand-in fails when it is told to")
    table = source.tables["int_key"]
    source.stand_in.fail_next("dbo.int_key", 10794, "The operation 'TABLESAMPLE' is not supported with this table.")
    assert plan_chunks(source.connect(), table, CHUNK_ROWS, sampling=Sampling(0, 13, 13)) == skipped_to(source, table)


def test_a_temporary_error_while_a_sample_is_drawn_is_left_to_the_retries(source: Source) -> None:
    if source.stand_in is None:
        pytest.skip("only the stand-in fails when it is told to")
    source.stand_in.fail_next("dbo.int_key", 1205, "Transaction was deadlocked.")
    with pytest.raises(PlanningError, match="deadlocked") as caught:
        plan_chunks(source.connect(), source.tables["int_key"], CHUNK_ROWS, sampling=Sampling(0, 13, 13))
    assert caught.value.is_temporary


def test_a_session_that_sees_one_snapshot_outlives_the_planning(source: Source) -> None:
    table = source.tables["many_int"]
    connection = source.connect()
    for statement in snapshots.BEGIN:
        connection.execute(statement)
    chunks = plan_chunks(connection, table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING)
    assert len(chunks) > 1
    assert snapshots.Session(connection).is_open
    if source.stand_in is not None:
        source.stand_in.fail_next("dbo.many_int", 10794, "The operation 'TABLESAMPLE' is not supported.")
        assert len(plan_chunks(connection, table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING)) == 10
        assert snapshots.Session(connection).is_open
    connection.execute("ROLLBACK TRANSACTION")


@pytest.fixture
def old_source() -> Iterator[Source]:
    """A stand-in whose database is of SQL Server 2008's compatibility level, in which OFFSET is not understood."""
    table, keys = SAMPLED["int"]
    database = Database("old", (table,))
    with StandIn(database, {table.full_name: [(*key, n) for n, key in enumerate(keys)]}) as server:
        server.set_compatibility_level(100)
        yield replace(_seen({**source_settings(server.port, "old"), "PGDATABASE": "none"}), stand_in=server)


def test_at_an_old_compatibility_level_a_table_is_one_chunk_and_that_is_told(old_source: Source) -> None:
    told: list[str] = []
    connection = old_source.connect()
    for statement in snapshots.BEGIN:
        connection.execute(statement)
    assert plan_chunks(connection, old_source.tables["many_int"], 20_000, tell=told.append) == (WHOLE_TABLE,)
    (words,) = told
    assert "read as one chunk" in words
    assert "Incorrect syntax near 'OFFSET'. (102)" in words
    # The transaction that sees one snapshot is as it was.
    assert snapshots.Session(connection).is_open
    connection.execute("ROLLBACK TRANSACTION")


def test_at_an_old_compatibility_level_a_large_table_is_cut_all_the_same(old_source: Source) -> None:
    told: list[str] = []
    table = old_source.tables["many_int"]
    chunks = plan_chunks(old_source.connect(), table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING, tell=told.append)
    assert len(chunks) > 1
    assert told == []


def test_a_database_snapshot_is_sampled_like_the_database(source: Source) -> None:
    if source.stand_in is None:
        pytest.skip("this server makes no database snapshots")
    source.stand_in.makes_snapshots = True
    with closing(connect_source(source.settings)) as connection:
        name = snapshots.take_snapshot(connection, "planning")
        snapshot = load_settings(None, {**source_settings(source.stand_in.port, name), "PGDATABASE": "none"})
        table = source.tables["many_int"]
        chunks = plan_chunks(reader.connect(snapshot), table, SAMPLED_CHUNK_ROWS, sampling=SAMPLING)
        parts = numbers_of(replace(source, settings=snapshot), table, *chunks)
        assert len(chunks) > 1
        assert sum(map(len, parts)) == MANY_ROWS
        snapshots.drop_snapshot(connection, name)


# -- the comparison of rows --------------------------------------------------------------------

SMALL = st.integers(0, 3)
WIDTHS = st.integers(1, 4)


def rows_of(width: int, least: int = 0, most: int = 12) -> st.SearchStrategy[list[tuple[int, ...]]]:
    """Lists of tuples of small numbers, so that equal parts are frequent."""
    return st.lists(st.tuples(*[SMALL] * width), min_size=least, max_size=most, unique=True)


@hypothesis_settings(deadline=None, max_examples=300)
@given(WIDTHS.flatmap(lambda width: st.tuples(rows_of(width, 1, 40), rows_of(width))))
def test_comparing_rows_in_sql_is_comparing_tuples(
    given_rows: tuple[list[tuple[int, ...]], list[tuple[int, ...]]],
) -> None:
    """Every row is in the chunk that Python's order of tuples puts it into, and in no other."""
    keys, cuts = given_rows
    names = tuple(f"column {position}" for position in range(len(keys[0])))
    boundaries = sorted(cuts)
    edges = [None, *(tuple(map(str, boundary)) for boundary in boundaries), None]
    with closing(sqlite3.connect(":memory:")) as connection:
        # SQLite understands brackets, and compares whole numbers as SQL Server does.
        connection.execute(f"CREATE TABLE t ({', '.join(f'[{name}] INTEGER NOT NULL' for name in names)})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(names))})", keys)
        for number, (lower, upper) in enumerate(pairwise(edges)):
            found = connection.execute(f"SELECT * FROM t{where_clause(Chunk(number, names, lower, upper))}").fetchall()
            wanted = [
                key
                for key in keys
                if (number == 0 or key > boundaries[number - 1])
                and (number == len(boundaries) or key <= boundaries[number])
            ]
            assert sorted(found) == sorted(wanted)

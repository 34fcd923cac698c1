"""Every statement that the product builds: made by its builders from all types and shapes, and sent to a stand-in.

A new builder that is reached by nothing here fails `tests/mssql/test_microsofts_parser.py`: call it in `built` where it
makes a text, in `send_all` where it asks a connection.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from db import connect_source, load_settings
from model.catalog import (
    Check,
    Column,
    Computed,
    Database,
    Default,
    ForeignKey,
    Identity,
    Index,
    Key,
    KeyColumn,
    SqlType,
    Table,
)
from model.errors import ReplicationError
from model.ranges import WHOLE_TABLE, Chunk, Picked
from mssql import (
    activity,
    answers,
    chunk_keys,
    chunk_planning,
    data_checks,
    descriptions,
    figures,
    hiding,
    introspection,
    keys_read_back,
    losses,
    native_numbers,
    reader,
    rights,
    server_version,
    snapshot_limits,
    snapshots,
    table_sizes,
    wanted_rows,
    where,
)
from mssql.catalog_queries import ArrowConnection, Catalog, PyodbcConnection, text_questions
from mssql.quoting import quote
from standin.server import StandIn
from tests.handmade import AWKWARD_NAMES
from tests.harness import ROOT
from tests.type_values import VALUES
from type_mapping import MAPPINGS, VARIANTS, has_seventh_digit, read_type, traits_of

Q = SqlType
LATIN, CYRILLIC = "Latin1_General_CI_AS", "Cyrillic_General_CI_AS"
#: types whose size decides how they are read or compared, beside those of `VALUES`
MORE_TYPES = (
    Q("decimal", 17, 38, 38), Q("decimal", 17, 9, 9), Q("decimal", 5, 5, 5), Q("time", 5, 16, 7),
    Q("datetime2", 8, 27, 7), Q("datetimeoffset", 10, 34, 7), Q("datetimeoffset", 8, 26, 0), Q("varchar", 8000),
    Q("sysname", 256), Q("sql_variant", 8016), Q("hierarchyid", 892), Q("geography", -1), Q("geometry", -1),
    Q("json", -1), Q("vector", 20, 3), Q("nchar", 2), Q("smalldatetime", 4), Q("rowversion", 8),
)  # fmt: skip
TYPES: tuple[SqlType, ...] = (
    *(kind for _, kind, _, _ in VALUES),
    *(kind for kind in MORE_TYPES if kind.name in MAPPINGS),
    *(Q(name, -1, option=option) for name, option in VARIANTS),
)
#: a value of each kind of key as the server would write it
KEYS: Sequence[tuple[SqlType, str]] = (
    (Q("int", 4), "-2147483648"), (Q("bigint", 8), "9223372036854775807"), (Q("tinyint", 1), "0"),
    (Q("decimal", 17, 38, 10), "-1234567890123456789012345678.0123456789"), (Q("money", 8), "-922337203685477.5808"),
    (Q("date", 3), "0001-01-01"), (Q("datetime", 8), "2024-02-03 12:30:15.123"),
    (Q("smalldatetime", 4), "2024-02-03 12:30:00"), (Q("datetime2", 8, 27, 7), "2024-02-03 12:30:15.1234567"),
    (Q("datetimeoffset", 10, 34, 7), "2024-02-03 12:30:15.1234567 +05:30"), (Q("time", 5, 16, 7), "23:59:59.9999999"),
    (Q("uniqueidentifier", 16), "6F9619FF-8B86-D011-B42D-00C04FC964FF"), (Q("varchar", 30), "it's"),
    (Q("nvarchar", 80), "a\\\nb\\\r\n''"), (Q("char", 5), "ab   "), (Q("nchar", 10), "日本   "),
)  # fmt: skip
OTHER_VALUES = {"text": "zz", "uuid": "FFFFFFFF-8B86-D011-B42D-00C04FC964FF"}


def column(name: str, kind: SqlType, **more: Any) -> Column:
    """A column that takes no NULL, of a collation where it is text."""
    collation = LATIN if traits_of(kind).is_text else None
    return Column(name, kind, **{"is_nullable": False, "collation": collation, **more})


def key_tables() -> Iterator[tuple[Table, tuple[str, ...], tuple[str, ...]]]:
    """Tables with keys of one to eight columns of all kinds, and the texts of two keys of each."""
    names = itertools.cycle(AWKWARD_NAMES)
    for size in range(1, chunk_keys.MAX_KEY_COLUMNS + 1):
        for start in range(len(KEYS)):
            parts = [KEYS[(start + offset) % len(KEYS)] for offset in range(size)]
            columns = tuple(column(f"{next(names)[:100]} {at}", kind) for at, (kind, _) in enumerate(parts))
            table = Table(
                "odd ]schema",
                f"{next(names)[:100]} {size}_{start}",
                (*columns, Column("n", Q("int", 4))),
                Key(f"PK_{size}_{start}", tuple(KeyColumn(one.name, at % 2 == 1) for at, one in enumerate(columns))),
                row_count=100_000,
            )
            low = tuple(text for _, text in parts)
            yield table, low, tuple(OTHER_VALUES.get(traits_of(kind).key or "", text) for kind, text in parts)


def chunks(table: Table, low: Sequence[str], high: Sequence[str]) -> Iterator[Chunk | Picked]:
    """Every shape of a range of a table's keys: open at either end, equal up to each column; and rows picked."""
    key = chunk_keys.chunk_key(table)
    names = tuple(one.name for one in key)

    def literals(texts: Sequence[str]) -> tuple[str, ...]:
        return chunk_keys.key_literals(key, {f"k{at}": text for at, text in enumerate(texts)})

    first, last = literals(low), literals(high)
    yield WHOLE_TABLE
    yield Chunk(0, names, None, last)
    yield Chunk(1, names, first, None)
    for same in range(len(key)):
        # Planning sees to it that the first column in which they differ rises; to the parser it is all the same.
        yield Chunk(2, names, first, (*first[:same], f"({last[same]})", *last[same + 1 :]))
    yield Picked(names, (first,))
    yield Picked(names, (first, last, first))


def built() -> Iterator[str]:
    """What builders make of types, names and keys without asking a server."""
    of_types = [column(f"{AWKWARD_NAMES[at % len(AWKWARD_NAMES)]} {at}"[:128], kind) for at, kind in enumerate(TYPES)]
    everything = Table("dbo", "every ]type", tuple(of_types))
    for view, numbers in (("default_constraints", (1,)), ("check_constraints", (1,)), ("computed_columns", (1, 2))):
        yield from text_questions(f"sys.{view}", *numbers)
    yield f"SELECT {wanted_rows.select_list(of_types)} FROM {wanted_rows.WantedRows(everything, ()).rows}"
    for one in of_types:
        yield from _of_a_column(one)
    for arrived in (1, answers.MOST_COUNTED + 1):
        yield answers.count_query(arrived)
    for table, low, high in key_tables():
        yield from _of_a_key(table, low, high)


def _of_a_column(one: Column) -> Iterator[str]:
    table = Table("dbo", "of 'one", (one,), unique=(Key("UQ", (KeyColumn(one.name),)),))
    for chunk in (WHOLE_TABLE, Chunk(1, ("a]b",), ("1",), ("2",))):
        yield f"SELECT {wanted_rows.select_list([one])} FROM {wanted_rows.WantedRows(table, (one,), chunk).rows}"
        yield figures.figures_query(table, [one], chunk, [read_type(one)])
    if hidden := descriptions.bare([one]):
        yield descriptions.bare_query([one], hidden, "[dbo].[t]")
    if has_seventh_digit(one.type):
        yield f"SELECT {losses.seventh_digit_flag(quote(one.name))} FROM [dbo].[t]"
    texts = [one] if data_checks.is_text(one) else []
    yield data_checks.columns_query(table, texts, [one] if has_seventh_digit(one.type) else [])
    for compares in ("exact", "lower", "source"):
        request = data_checks.Request([table], lambda _, compares=compares: compares)  # type: ignore[misc]
        for condition in (None, "([a]>(1) AND [b] IS NOT NULL)"):
            yield data_checks.duplicates_query(table, [one], condition, request)
    yield data_checks.orphans_query(
        table, ForeignKey("FK", (one.name,), "dbo", "p", (one.name,)), [" AND DATALENGTH({p}) = DATALENGTH({c})"]
    )


def _of_a_key(table: Table, low: Sequence[str], high: Sequence[str]) -> Iterator[str]:
    key = chunk_keys.chunk_key(table)
    names = [quote(one.name) for one in key]
    yield f"SELECT {chunk_keys.key_texts(key, names)} FROM [dbo].[t]"
    for chunk in chunks(table, low, high):
        wanted = wanted_rows.WantedRows(table, table.columns, chunk)
        yield f"SELECT {wanted_rows.select_list(table.columns)} FROM {wanted.rows}"
        if isinstance(chunk, Chunk):
            yield figures.figures_query(table, table.columns, chunk, [read_type(one) for one in table.columns])
            for terms in where.ranges(names, chunk.lower, None):
                yield f"SELECT COUNT_BIG(*) FROM [dbo].[t] WHERE {' AND '.join(terms)}"
        else:
            yield keys_read_back.read_back(chunk.keys)


# -- what asks a connection ------------------------------------------------------------------------

_WIDE = Table(
    "dbo",
    "Wide",
    (
        column("id", Q("int", 4), identity=Identity()),
        column("code", Q("varchar", 20), collation=CYRILLIC),
        Column("text", Q("nvarchar", -1)),
        Column("bytes", Q("varbinary", -1)),
        Column("exact", Q("decimal", 17, 38, 38)),
        Column("fraction", Q("decimal", 5, 5, 5)),
        Column("amount", Q("money", 8)),
        Column("at", Q("datetime2", 8, 27, 7)),
        Column("zoned", Q("datetimeoffset", 10, 34, 7)),
        Column("secret", Q("nvarchar", 40), is_masked=True),
        Column("old", Q("ntext", 16), default=Default("DF_old", "(N'')")),
        Column("next", Q("int", 4), computed=Computed("([id]+(1))")),
    ),
    Key("PK_Wide", (KeyColumn("id"),), is_clustered=True),
    unique=(Key("UQ_Code", (KeyColumn("code"),)),),
    indexes=(Index("IX_Filtered", (KeyColumn("secret"),), is_unique=True, filter="([id]>(1))"),),
    row_count=60,
)
_CHILD = Table(
    "dbo",
    "Child",
    (column("code", Q("varchar", 20), collation=CYRILLIC), column("n", Q("int", 4))),
    Key("PK_Child", (KeyColumn("code"), KeyColumn("n"))),
    foreign_keys=(ForeignKey("FK_Code", ("code",), "dbo", "Wide", ("code",)),),
    checks=(Check("CK_n", "([n]>=(0))"),),
    row_count=60,
)
#: one that is read value by value, because of its name
_FAR = replace(_WIDE, name="Far 🎉")
DATABASE = Database("built", (_WIDE, _CHILD, _FAR))
ROWS: Mapping[str, Any] = {
    "dbo.Wide": [
        (number, f"code {number:02}", "\ud83d half", b"\x00", "0.1", "0.1", "1.5", "0001-01-01 00:00:00.0000001",
         "9999-12-31 00:00:00.0000001 +00:00", f"secret {number}", "old", number + 1)
        for number in range(60)
    ],
    "dbo.Far 🎉": [],
    "dbo.Child": [(f"code {number % 9:02}", number) for number in range(60)],
}  # fmt: skip


def send_all(source: StandIn, given: Mapping[str, str]) -> None:
    """Let each part of the product that asks the source ask this one. What it answers, other tests look at."""
    settings = load_settings(None, {**given, "PGDATABASE": "none"})
    tables = list(DATABASE.tables)
    with closing(connect_source(settings)) as connection:
        server_version.read_version(connection)
        server_version.read_name(connection)
        rights.unreadable(Catalog(PyodbcConnection(connection.cursor())), tables)
        # As sp_bindefault leaves it ("sys.columns").
        source.execute("UPDATE sys.columns SET default_object_id = 7001 WHERE name = 'fraction'")
        introspection.read_database(connection, settings.comment_properties)
        catalog = Catalog(PyodbcConnection(connection.cursor()))
        source.execute("DELETE FROM sys.standin_rights")
        hiding.read_hiding(catalog, tables)
        checks = [row.object_id for row in catalog.rows("SELECT object_id FROM sys.check_constraints")]
        source.fail_next("sys.check_constraints", 8134, "One of the definitions cannot be told.")
        catalog.texts("check", "sys.check_constraints", checks)
        for table in tables:
            hiding.count_seen(catalog, table)
        activity.at_work(connection)
        figures.count_rows(connection, _WIDE)
        kinds = [read_type(one) for one in _WIDE.columns]
        figures.count_values(connection, _WIDE, _WIDE.columns, WHOLE_TABLE, kinds)
        snapshot_limits.read_limits(connection, [replace(_CHILD, traits=("FileTable",))])
        source.makes_snapshots = True
        snapshots.drop_snapshot(connection, snapshots.take_snapshot(connection, "built"))
    for compares in ("exact", "lower"):
        request = data_checks.Request(tables, lambda _, compares=compares: compares)  # type: ignore[misc]
        list(data_checks.count_problems(lambda: connect_source(settings), request, lambda _: None))
    rows = reader.connect(settings)
    introspection.read_tables(rows)
    introspection.read_sequences(rows)
    table_sizes.read_sizes(ArrowConnection(rows), tables)
    rights.unreadable(Catalog(ArrowConnection(rows)), tables)
    server_version.read_version(rows)
    native_numbers.are_offered(rows)
    keys_read_back.misread_keys(rows, _CHILD, [{"code": "a", "n": 1}, {"code": "b", "n": 2}])
    for is_babelfish in (False, True):
        source.properties["babelfish"] = int(is_babelfish)
        for table in tables:
            sampling = chunk_planning.Sampling(0, 2, 2)
            with suppress(ReplicationError):
                chunk_planning.plan_chunks(rows, table, 7, sampling=chunk_planning.Sampling())
            with suppress(ReplicationError):
                chunk_planning.plan_chunks(rows, table, 30, sampling=sampling)
    source.properties.pop("babelfish")
    connections = wanted_rows.SourceConnections(rows, settings)
    for table in tables:
        list(reader.read_batches(connections, wanted_rows.WantedRows(table, table.columns), lambda *_: None))
    for session in snapshots.open_sessions(settings, tables, 2):
        assert session.is_open


@contextmanager
def functions_run(ran: set[tuple[str, str]]) -> Iterator[None]:
    """Add to `ran` the product's functions that are called meanwhile: their module's path and their name."""
    root = f"{ROOT}/"

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(root):
            ran.add((Path(frame.f_code.co_filename).relative_to(ROOT).as_posix(), frame.f_code.co_name))

    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)
        threading.setprofile(None)

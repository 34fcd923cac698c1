"""What reads by an access token, held against what reads by a password: the same rows, the same errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import arrow_odbc
import pyarrow as pa
import pytest
from arrow_odbc import TextEncoding

from db import load_settings
from model.catalog import Database, SqlType, Table
from model.settings import Settings
from mssql import reader
from mssql.answers import has_outgrown
from mssql.token_connection import TokenConnection
from mssql.wanted_rows import SourceConnections, WantedRows
from standin.server import StandIn
from tests.harness import source_settings
from tests.samples import TEXT, table

#: rows of blocks of different sizes, with NULLs at their edges
COUNTS = [0, 1, 7, 8, 9, 100]
MANY = table("Many", label=TEXT, moment=SqlType("datetime2", 8, 27, 7), raw=SqlType("varbinary", 9))
TEXTS = [None, "", "a", "é", "漢字", "🎉", "x🎉y", "e\u0301", "\ufffd", "z" * 50]


def many(count: int) -> list[tuple[object, ...]]:
    """So many rows of it, with every text at every place of a block."""
    return [
        (
            number,
            TEXTS[number * 7 % len(TEXTS)],
            None if number % 5 == 0 else datetime(1969 + number % 60, 1 + number % 12, 28, 23, 59, 59, number),
            None if number % 3 == 0 else bytes(range(number % 9)),
        )
        for number in range(1, count + 1)
    ]


def settings_of(source: StandIn) -> Settings:
    """Settings of a login by password, which either connection takes."""
    return load_settings(None, {**source_settings(source.port, "shop"), "PGDATABASE": "d", "BATCH_SIZE": "8"})


def read(connection: Any, settings: Settings, wanted: Table) -> list[dict[str, object]]:
    """All rows of a table by a connection."""
    parts = reader.read_batches(SourceConnections(connection, settings), WantedRows(wanted, wanted.columns))
    return [row for part in parts for row in part.to_pylist()]


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_the_same_by_either_connection(serve: Callable[..., StandIn], count: int) -> None:
    settings = settings_of(serve(Database("shop", (MANY,)), {"dbo.Many": many(count)}))
    found = read(TokenConnection(settings), settings, MANY)
    assert found == read(reader.connect(settings), settings, MANY)
    assert [row["label"] for row in found] == [row[1] for row in many(count)]


QUERIES = [
    "SELECT c0 = CAST(1 AS bit), c1 = CAST(255 AS tinyint), c2 = CAST(-32768 AS smallint), c3 = CAST(NULL AS int)",
    "SELECT c0 = CAST(-9223372036854775808 AS bigint), c1 = CAST(1.5 AS real), c2 = CAST(-0.1 AS float)",
    "SELECT c0 = CAST(-0.5 AS decimal(9, 2)), c1 = CAST(0 AS decimal(38, 38)), c2 = CAST(NULL AS decimal(5, 1))",
    "SELECT c0 = CAST('0001-01-01' AS date), c1 = CAST('9999-12-31' AS date), c2 = CAST('2000-02-29' AS date)",
    "SELECT c0 = CAST('1900-03-01' AS date), c1 = CAST('1969-12-31' AS date), c2 = CAST(NULL AS date)",
    "SELECT c0 = CAST('0001-01-01 00:00:00.001' AS datetime2(3)), c1 = CAST('9999-12-31 23:59:59.999' AS datetime2(3))",
    "SELECT c0 = CAST('23:59:59.999999' AS time(7)), c1 = CAST('00:00:00' AS time(0)), c2 = CAST('01:02:03.4' AS "
    "time(1))",
    "SELECT c0 = NCHAR(233) + NCHAR(28450), c1 = 'abc', c2 = 0x00FF",
]


def answer(connection: Any, query: str) -> list[pa.RecordBatch]:
    """What a connection answers to a query."""
    encoding = TextEncoding.UTF16
    return list(connection.read_arrow_batches(query, batch_size=10, max_text_size=100, payload_text_encoding=encoding))


@pytest.mark.parametrize("query", [*QUERIES, "SELECT c0 = CAST('23:59:59.9999999' AS time(7))"])
def test_values_have_the_types_that_arrow_odbc_gives_them(serve: Callable[..., StandIn], query: str) -> None:
    settings = settings_of(serve(Database("shop", (MANY,)), {}))
    (ours,), (theirs,) = answer(TokenConnection(settings), query), answer(reader.connect(settings), query)
    kinds = [pa.binary() if pa.types.is_fixed_size_binary(kind) else kind for kind in theirs.schema.types]
    assert ours.schema.types == kinds
    assert ours.columns == [column.cast(kind) for column, kind in zip(theirs.columns, kinds, strict=True)]


def test_a_value_longer_than_its_room_is_an_error_and_never_a_shorter_value(serve: Callable[..., StandIn]) -> None:
    settings = settings_of(serve(Database("shop", (MANY,)), {"dbo.Many": many(20)}))
    for column, text, binary in (("label", 49, None), ("raw", None, 3)):
        with pytest.raises(arrow_odbc.Error) as refused:
            list(
                TokenConnection(settings).read_arrow_batches(
                    f"SELECT {column} FROM Many", batch_size=7, max_text_size=text, max_binary_size=binary
                )
            )
        assert has_outgrown(refused.value)


def test_a_moment_that_nanoseconds_cannot_count_is_an_error(serve: Callable[..., StandIn]) -> None:
    settings = settings_of(serve(Database("shop", (MANY,)), {}))
    query = "SELECT c0 = CAST('9999-12-31 23:59:59' AS datetime2(7))"
    with pytest.raises(arrow_odbc.Error, match="Timestamp is not representable in arrow"):
        answer(TokenConnection(settings), query)


def test_the_servers_error_in_the_midst_of_rows_is_told(serve: Callable[..., StandIn]) -> None:
    source = serve(Database("shop", (MANY,)), {"dbo.Many": many(100)})
    settings = settings_of(source)
    source.fail_after_rows("dbo.Many", 20, 823, "The operating system returned error 21.")
    with pytest.raises(arrow_odbc.Error, match="error 21"):
        list(TokenConnection(settings).read_arrow_batches("SELECT id FROM Many", batch_size=8))


def test_on_a_tsql_server_values_are_the_same_by_either_connection(tsql_server: Mapping[str, str]) -> None:
    settings = load_settings(None, {**tsql_server, "MSSQL_DATABASE": "master", "PGDATABASE": "d"})
    ours, theirs = TokenConnection(settings), reader.connect(settings)
    for query in QUERIES:
        (one,), (other,) = answer(ours, query), answer(theirs, query)
        for mine, its in zip(one.columns, other.columns, strict=True):
            assert mine == its.cast(mine.type), query
    # Many rows, in several blocks.
    query = (
        "SELECT c0 = o.object_id, c1 = CAST(o.name AS nvarchar(128)), c2 = o.create_date, c3 = CAST(o.object_id / 7.0 "
        "AS decimal(20, 6)) FROM sys.all_objects AS o ORDER BY o.object_id, o.name"
    )
    found = rows(answer(ours, query))
    assert len(found) > 100
    assert found == rows(answer(theirs, query))


def rows(batches: Sequence[pa.RecordBatch]) -> list[dict[str, object]]:
    """The rows of batches."""
    return [row for batch in batches for row in batch.to_pylist()]

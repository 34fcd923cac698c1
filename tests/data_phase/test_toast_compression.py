"""TOAST_COMPRESSION: how a load's large values are compressed, on a server with lz4 and on one without."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from model.catalog import Database, SqlType
from standin.server import StandIn
from tests.harness import Workplace, source_settings
from tests.samples import query, table

TEXT_MAX = SqlType("nvarchar", -1)
LETTERS = Database("shop", (table("Letters", body=TEXT_MAX, kept=TEXT_MAX),))
LETTER_ROWS = {"dbo.Letters": [(1, "a large text " * 2_000, "another one " * 2_000)]}
COMPRESSIONS = "SELECT pg_column_compression(body), pg_column_compression(kept) FROM letters"


@pytest.fixture
def with_lz4(tmp_path: Path, serve: Callable[..., StandIn]) -> Iterator[tuple[Workplace, Any]]:
    """The table in a PostgreSQL that has lz4, where one column says how it is compressed; and a cursor there."""
    url = os.environ.get("LZ4_TEST_URL")
    if not url:
        pytest.skip("no PostgreSQL with lz4: set LZ4_TEST_URL to the address of an empty database to run this")
    source = serve(LETTERS, LETTER_ROWS)
    workplace = Workplace(tmp_path, {**source_settings(source.port, "shop"), "DATABASE_URL": url})
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("DROP TABLE IF EXISTS letters; DROP SCHEMA IF EXISTS replication CASCADE")
        assert workplace.run("schema").code == 0
        cursor.execute("ALTER TABLE letters ALTER COLUMN kept SET COMPRESSION pglz")
        yield workplace, cursor
        cursor.execute("DROP TABLE letters; DROP SCHEMA IF EXISTS replication CASCADE")


@pytest.mark.parametrize(
    ("settings", "arrived"),
    [
        ({}, ("lz4", "pglz")),
        ({"TOAST_COMPRESSION": "LZ4"}, ("lz4", "pglz")),
        ({"TOAST_COMPRESSION": "server"}, ("pglz", "pglz")),
    ],
)
def test_large_values_are_compressed_as_the_setting_says_where_the_column_does_not(
    with_lz4: tuple[Workplace, Any], settings: dict[str, str], arrived: tuple[str, str]
) -> None:
    workplace, cursor = with_lz4
    loaded = workplace.with_settings(**settings).run("data")
    assert loaded.code == 0, loaded.text
    cursor.execute(COMPRESSIONS)
    assert cursor.fetchone() == arrived


def test_a_server_without_lz4_compresses_in_its_own_way_and_nothing_is_said(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    known = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    assert query(target, target_database, known) == [(False,)]
    workplace = make_workplace(serve(LETTERS, LETTER_ROWS), LETTERS)
    assert workplace.run("schema").code == 0
    loaded = workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert "compress" not in loaded.text
    assert query(target, target_database, COMPRESSIONS) == [("pglz", "pglz")]


def test_server_is_what_the_database_has_set(with_lz4: tuple[Workplace, Any]) -> None:
    workplace, cursor = with_lz4
    cursor.execute("SELECT format('ALTER DATABASE %I', current_database())")
    alter = cursor.fetchone()[0]
    cursor.execute(f"{alter} SET default_toast_compression = lz4")
    loaded = workplace.with_settings(TOAST_COMPRESSION="server").run("data")
    cursor.execute(f"{alter} RESET default_toast_compression")
    assert loaded.code == 0, loaded.text
    cursor.execute(COMPRESSIONS)
    assert cursor.fetchone() == ("lz4", "pglz")

"""Texts in T-SQL: what a literal stands for is the text that it was made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import connect_source, load_settings
from model.catalog import Column, Database, SqlType
from model.errors import SnapshotError
from mssql.chunk_keys import key_literals
from mssql.quoting import can_be_one_constant, literal
from mssql.snapshots import take_snapshot
from standin.server import StandIn
from tests.harness import source_settings

#: what T-SQL would drop from `N'…'`, and what looks like it
TEXTS = [
    "a\\\nb", "a\\\r\nb", "\\\n", "a\\\n\\\nb", "\\\\\n", "'\\\n'", "\\\n\n", "a\\\rb", "a\\", "\na", "\\'\n", "a\n\\b",
    "]] -- /* \\\n */",
]  # fmt: skip


@pytest.fixture(scope="module", params=["the stand-in", "a T-SQL server"])
def connection(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A session on each server in turn. Only the first continues lines as SQL Server does; Babelfish never does."""
    if request.param == "the stand-in":
        with StandIn(Database("texts", ()), {}) as server:
            given_ = {**source_settings(server.port, "texts"), "PGDATABASE": "none"}
            with closing(connect_source(load_settings(None, given_))) as opened:
                yield opened
        return
    given_ = {**request.getfixturevalue("tsql_server"), "MSSQL_DATABASE": "master", "PGDATABASE": "none"}
    with closing(connect_source(load_settings(None, given_))) as opened:
        yield opened


def answer(connection: Any, sql: str) -> str:
    """The one value of a query."""
    found: str = connection.cursor().execute(sql).fetchone()[0]
    return found


def test_the_stand_in_continues_lines_as_sql_server_does() -> None:
    with StandIn(Database("texts", ()), {}) as server:
        given_ = {**source_settings(server.port, "texts"), "PGDATABASE": "none"}
        with closing(connect_source(load_settings(None, given_))) as opened:
            assert answer(opened, "SELECT N'a\\\nb' + 'c\\\r\nd' -- '\\\n + 'e'") == "abcde"


@pytest.mark.parametrize("text", TEXTS)
def test_a_backslash_before_a_line_break_is_kept(connection: Any, text: str) -> None:
    assert answer(connection, f"SELECT {literal(text)}") == text
    assert answer(connection, f"SELECT CAST({literal(text)} COLLATE Latin1_General_BIN2 AS varchar(30))") == text
    assert can_be_one_constant(text) is not literal(text).startswith("(")


@pytest.mark.parametrize("text", TEXTS)
def test_a_key_s_literal_keeps_it_too(connection: Any, text: str) -> None:
    for kind in (SqlType("nvarchar", 40), SqlType("varchar", 40)):
        column = Column("k", kind, is_nullable=False, collation="Latin1_General_CI_AS")
        (found,) = key_literals([column], {"k0": text})
        assert answer(connection, f"SELECT {found}") == text


@given(st.text(st.sampled_from("\\\r\n'a]"), max_size=12))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_of_such_characters_comes_back(connection: Any, text: str) -> None:
    assert answer(connection, f"SELECT {literal(text)}") == text


def test_a_database_snapshot_is_not_made_where_a_file_s_name_would_be_read_otherwise() -> None:
    with StandIn(Database("texts", ()), {}) as server:
        server.makes_snapshots = True
        server.execute("UPDATE sys.master_files SET physical_name = '/data/a\\' || chr(10) || 'b' WHERE type = 0")
        given_ = {**source_settings(server.port, "texts"), "PGDATABASE": "none"}
        with (
            closing(connect_source(load_settings(None, given_))) as opened,
            pytest.raises(SnapshotError, match="a backslash before the end of a line"),
        ):
            take_snapshot(opened, "texts")
        assert not any("CREATE DATABASE" in batch for batch in server.batches)

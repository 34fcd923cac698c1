"""Literals of a key's values: of the column's own type, and read alike whatever the session's language."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from db import connect_source, load_settings
from model.catalog import Column, Database, SqlType
from mssql.chunk_keys import key_literals, key_texts
from standin.server import StandIn
from tests.harness import source_settings

Q = SqlType

WHOLE_NUMBERS = [
    (Q("tinyint", 1), "255"),
    (Q("smallint", 2), "-32768"),
    (Q("int", 4), "-2147483648"),
    (Q("bigint", 8), "2147483648"),
    (Q("bigint", 8), "7"),
    (Q("bigint", 8), "-9223372036854775808"),
]
#: a type, a moment of it, and the literal that it becomes
MOMENTS = [
    (Q("date", 3), "2024-02-03", "CAST('2024-02-03' AS date)"),
    (Q("time", 5, 16, 7), "12:30:15.1234560", "CAST('12:30:15.1234560' AS time(7))"),
    (Q("datetime", 8), "2024-02-03 12:30:15.123", "CAST('2024-02-03T12:30:15.123' AS datetime)"),
    (Q("smalldatetime", 4), "2024-02-03 12:30:00", "CAST('2024-02-03T12:30:00' AS smalldatetime)"),
    (
        Q("datetime2", 8, 26, 6),
        "2024-02-03 12:30:15.123456",
        "CAST('2024-02-03T12:30:15.123456' AS datetime2(6))",
    ),
    (
        Q("datetimeoffset", 10, 33, 6),
        "2024-02-03 12:30:15.123456 +05:30",
        "CAST('2024-02-03T12:30:15.123456+05:30' AS datetimeoffset(6))",
    ),
]
FORMATS = ["SET LANGUAGE us_english", "SET LANGUAGE French", "SET DATEFORMAT dmy", "SET DATEFORMAT ymd"]


def literal(kind: SqlType, text: str) -> str:
    """The literal of a key of one column."""
    (found,) = key_literals([Column("k", kind, is_nullable=False)], {"k0": text})
    return found


@pytest.fixture(scope="module", params=["the stand-in", "a T-SQL server"])
def connection(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A session on each server in turn."""
    if request.param == "the stand-in":
        with StandIn(Database("keys", ()), {}) as server:
            given = source_settings(server.port, "keys")
            with closing(connect_source(load_settings(None, {**given, "PGDATABASE": "none"}))) as opened:
                yield opened
        return
    given = {**request.getfixturevalue("tsql_server"), "MSSQL_DATABASE": "master", "PGDATABASE": "none"}
    with closing(connect_source(load_settings(None, given))) as opened:
        yield opened


@pytest.mark.parametrize(("kind", "text"), WHOLE_NUMBERS)
def test_a_bound_of_a_whole_number_key_is_of_the_columns_type(connection: Any, kind: SqlType, text: str) -> None:
    asked = (
        f"SELECT CAST(SQL_VARIANT_PROPERTY({literal(kind, text)}, 'BaseType') AS nvarchar(128)), {literal(kind, text)}"
    )
    base, value = connection.cursor().execute(asked).fetchone()
    assert (base, value) == (kind.name, int(text))


@pytest.mark.parametrize(("kind", "text", "wanted"), MOMENTS)
def test_moments_are_written_in_iso_8601(kind: SqlType, text: str, wanted: str) -> None:
    # Microsoft, "datetime (Transact-SQL)" and its neighbours: ISO 8601 is what SET LANGUAGE and SET DATEFORMAT leave
    # alone; of a date and a time it is this form without a T.
    assert literal(kind, text) == wanted


@pytest.mark.parametrize("setting", FORMATS)
@pytest.mark.parametrize(("kind", "text", "_wanted"), MOMENTS)
def test_a_bound_is_the_moment_that_it_was_made_of_in_every_language(
    connection: Any, kind: SqlType, text: str, _wanted: str, setting: str
) -> None:
    connection.cursor().execute(setting).close()
    texts = key_texts([Column("k", kind)], [f"CAST({literal(kind, text)} AS {kind})"])
    (found,) = connection.cursor().execute(f"SELECT {texts}").fetchone()
    assert found.removesuffix(".000") == text

"""Source and target compared, every row and every value, by a way of its own.

The rows are read by other drivers than the load uses (pyodbc, psycopg2), as Python values, so that a
fault of the fast lane cannot hide itself. Each row becomes a digest, and the digests of a table are
added up: the order of rows does not matter, a lost, doubled or changed row does. Memory stays bounded
whatever the size of a table.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg2
import pyodbc

from catalog import Column, Table
from db import Settings, UnreachableError, connect_source, connect_target, odbc_words, target_words
from display import closing_block
from mssql.quoting import quote as quote_source
from mssql.quoting import quote_table
from postgres.names import fold, target_name
from postgres.names import quote as quote_target
from postgres.shape import read_tables, target_schemas
from session import ALL_DONE, SOME_FAILED, Run, announce
from type_mapping import Family, mapping_of, select_expression

ROWS_A_FETCH = 1000
_MODULUS = 1 << 128
_ENCODING = r"^(<\?xml\s[^>]*?)\s+encoding\s*=\s*(\"[^\"]*\"|'[^']*')"


#: types that pyodbc cannot read as they are
_READ_AS_LOADED = {"datetimeoffset", "sql_variant", "hierarchyid", "geography", "geometry", "json", "vector"}


class ComparisonError(Exception):
    """A side could not be read; the message holds the server's words."""


@dataclass(frozen=True)
class Digest:
    """A table's rows, whatever their order: how many, and the sum of their digests."""

    rows: int
    total: int


@dataclass(frozen=True)
class Comparison:
    """What the two sides of a table hold; `problem` says why they could not be compared."""

    table: Table
    source: Digest | None = None
    target: Digest | None = None
    problem: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both sides hold the same rows."""
        return self.problem is None and self.source == self.target

    def describe(self) -> str:
        """One line for a person."""
        name = self.table.full_name
        if self.problem is not None or self.source is None or self.target is None:
            return f"❌ {name}: {self.problem}"
        if self.is_equal:
            return f"✅ {name}: {self.source.rows:,} rows equal"
        if self.source.rows != self.target.rows:
            return f"❌ {name}: {self.source.rows:,} rows on the source, {self.target.rows:,} on the target"
        return f"❌ {name}: {self.source.rows:,} rows on both sides, but not the same values"


def run(this_run: Run) -> int:
    """Compare all tables of a run and say what was found; returns the exit code.

    Raises UnreachableError.
    """
    announce(this_run)
    started = time.monotonic()
    display = this_run.display
    comparisons: list[Comparison] = []
    for comparison in compare(this_run.tables, this_run.settings):
        display.say(comparison.describe())
        comparisons.append(comparison)
    unlike = sum(not comparison.is_equal for comparison in comparisons)
    rows = sum(comparison.source.rows for comparison in comparisons if comparison.source)
    display.say(
        "\n"
        + closing_block(
            "Verification Summary",
            [
                ("Total tables", str(len(comparisons))),
                ("Equal", str(len(comparisons) - unlike)),
                ("Different", str(unlike)),
                ("Rows compared", f"{rows:,}"),
                ("Duration", f"{time.monotonic() - started:.2f} seconds"),
            ],
        )
    )
    return SOME_FAILED if unlike else ALL_DONE


def compare(tables: Sequence[Table], settings: Settings) -> Iterable[Comparison]:
    """Compare table by table. Raises UnreachableError when a side cannot be reached."""
    with closing(connect_source(settings)) as source, closing(connect_target(settings)) as target:
        _read_half_pairs(source)
        try:
            existing = read_tables(target, target_schemas(tables, settings))
        except psycopg2.Error as error:
            raise UnreachableError(f"the target's catalog cannot be read: {target_words(error)}") from None
        nul = "\ufffd" if settings.nul_policy == "replace" else ""
        for table in tables:
            if target_name(table, settings) not in existing:
                yield Comparison(table, problem=f"{target_name(table, settings)} does not exist on the target")
                continue
            try:
                source_digest = _digest_source(source, table, nul)
                yield Comparison(table, source_digest, _digest_target(target, table, settings))
            except ComparisonError as error:
                yield Comparison(table, problem=str(error))


def _digest_source(connection: Any, table: Table, nul: str) -> Digest:
    columns = ", ".join(_source_expression(column) for column in table.columns)
    cursor = connection.cursor()
    try:
        cursor.execute(f"SELECT {columns} FROM {quote_table(table.schema, table.name)}")
        return _digest(cursor.fetchmany, table.columns, nul)
    except pyodbc.Error as error:
        raise ComparisonError(f"the source cannot be read: {odbc_words(error)}") from None
    finally:
        cursor.close()


def _source_expression(column: Column) -> str:
    # pyodbc has no datetimeoffset; everything else is read as the column itself, unlike in the load.
    name = quote_source(column.source_name)
    return select_expression(column, name) if column.type.name in _READ_AS_LOADED else name


def _digest_target(connection: Any, table: Table, settings: Settings) -> Digest:
    columns = ", ".join(quote_target(fold(column.name, settings)) for column in table.columns)
    try:
        with connection.cursor() as plain:
            plain.execute("SET LOCAL TIME ZONE 'UTC'")
            plain.execute("SET LOCAL extra_float_digits = 3")
        with connection.cursor("verification") as cursor:
            cursor.execute(f"SELECT {columns} FROM {target_name(table, settings).quoted}")
            digest = _digest(cursor.fetchmany, table.columns, "")
        connection.rollback()
        return digest
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise ComparisonError(f"the target cannot be read: {target_words(error)}") from None


def _digest(fetch: Callable[[int], Sequence[Sequence[Any]]], columns: Sequence[Column], nul: str) -> Digest:
    forms = [_form(column, nul) for column in columns]
    count = total = 0
    while rows := fetch(ROWS_A_FETCH):
        for row in rows:
            hasher = hashlib.blake2b(digest_size=16)
            for form, value in zip(forms, row, strict=True):
                encoded = b"\x00" if value is None else form(value)
                # Lengths part the values, so that no two rows run together alike.
                hasher.update(b"%d:" % (-1 if value is None else len(encoded)) + encoded)
            total = (total + int.from_bytes(hasher.digest(), "big")) % _MODULUS
        count += len(rows)
    return Digest(count, total)


def _form(column: Column, nul: str) -> Callable[[Any], bytes]:
    """How a value of the column is written down, the same from either driver; `nul` stands for U+0000."""
    if column.type.name == "real":
        return lambda value: struct.pack(">f", value)
    forms: dict[Family, Callable[[Any], bytes]] = {
        "boolean": lambda value: b"1" if value else b"0",
        "integer": lambda value: str(int(value)).encode(),
        "decimal": lambda value: format(Decimal(value).normalize(), "f").encode(),
        "float": lambda value: struct.pack(">d", value),
        "date": lambda value: value.isoformat().encode(),
        "time": lambda value: value.isoformat("microseconds").encode(),
        "timestamp": _moment,
        "timestamptz": _moment,
        "text": lambda value: _text(value, nul),
        "xml": lambda value: _text(re.sub(_ENCODING, r"\1", value), nul),
        "binary": bytes,
        "uuid": lambda value: str(value).lower().encode(),
        "json": lambda value: json.dumps(
            json.loads(value) if isinstance(value, str) else value, sort_keys=True
        ).encode(),
        "spatial": bytes,
        "vector": lambda value: str(value).encode(),
    }
    return forms[mapping_of(column.type).family]


def _text(value: str, nul: str) -> bytes:
    """A text as PostgreSQL can hold it: NULs by policy."""
    return value.replace("\0", nul).encode("utf-8")


def _read_half_pairs(connection: Any) -> None:
    """Let pyodbc read text that holds half a surrogate pair, as U+FFFD, in place of failing on it."""
    for kind in (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR):
        connection.add_output_converter(kind, lambda raw: None if raw is None else raw.decode("utf-16-le", "replace"))


def _moment(value: datetime) -> bytes:
    return value.replace(tzinfo=None).isoformat(timespec="microseconds").encode()

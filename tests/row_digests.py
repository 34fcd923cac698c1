"""Source and target compared a second way: as Python values, by pyodbc and psycopg2, digest by digest.

Slow, and sharing no code with the verification that it is held against but the catalog and the SELECT
expression of datetimeoffset. Each row becomes a digest, and the digests of a table are added up.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyodbc

from db import connect_source, connect_target
from model.catalog import Column, Table
from model.settings import Settings
from mssql.quoting import quote as quote_source
from mssql.quoting import quote_table
from postgres.names import fold, target_name
from postgres.names import quote as quote_target
from type_mapping import Family, mapping_of, select_expression

ROWS_A_FETCH = 1000
_MODULUS = 1 << 128
_ENCODING = r"^(<\?xml\s[^>]*?)\s+encoding\s*=\s*(\"[^\"]*\"|'[^']*')"

#: types that pyodbc cannot read as they are
_READ_AS_LOADED = {"datetimeoffset", "sql_variant", "hierarchyid", "geography", "geometry", "json", "vector"}


@dataclass(frozen=True)
class Digest:
    """A table's rows, whatever their order: how many, and the sum of their digests."""

    rows: int
    total: int


def digests(table: Table, settings: Settings) -> tuple[Digest, Digest]:
    """A table's digest on the source and on the target; equal where both hold the same rows."""
    nul = "\ufffd" if settings.nul_policy == "replace" else ""
    with closing(connect_source(settings)) as source, closing(connect_target(settings)) as target:
        _read_half_pairs(source)
        return _digest_source(source, table, nul), _digest_target(target, table, settings)


def _digest_source(connection: Any, table: Table, nul: str) -> Digest:
    columns = ", ".join(_source_expression(column) for column in table.columns)
    cursor = connection.cursor()
    cursor.execute(f"SELECT {columns} FROM {quote_table(table.schema, table.name)}")
    return _digest(cursor.fetchmany, table.columns, nul)


def _source_expression(column: Column) -> str:
    # Everything that pyodbc can read is read as the column itself, unlike in the load.
    name = quote_source(column.source_name)
    return select_expression(column, name) if column.type.name in _READ_AS_LOADED else name


def _digest_target(connection: Any, table: Table, settings: Settings) -> Digest:
    columns = ", ".join(quote_target(fold(column.name, settings)) for column in table.columns)
    with connection.cursor() as plain:
        plain.execute("SET LOCAL TIME ZONE 'UTC'")
        plain.execute("SET LOCAL extra_float_digits = 3")
    with connection.cursor("digests") as cursor:
        cursor.execute(f"SELECT {columns} FROM {target_name(table, settings).quoted}")
        return _digest(cursor.fetchmany, table.columns, "")


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


def _variant(value: str) -> str:
    """A sql_variant as the load selects it, or as the target holds it: no value in these tests begins with a mark."""
    if value.startswith("#"):
        (number,) = struct.unpack("<d", int(value[1:]).to_bytes(8, "little", signed=True))
        mantissa, exponent = f"{number:.16e}".split("e")
        return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03}"
    return value.removeprefix("=")


def _form(column: Column, nul: str) -> Callable[[Any], bytes]:
    """How a value of the column is written down, the same from either driver; `nul` stands for U+0000."""
    if column.type.name in ("char", "nchar"):
        # PostgreSQL pads by characters, SQL Server by UTF-16 units.
        return lambda value: _text(value.rstrip(" "), nul)
    if column.type.name == "real":
        return lambda value: struct.pack(">f", value)
    forms: dict[Family, Callable[[Any], bytes]] = {
        "boolean": lambda value: b"1" if value else b"0",
        "integer": lambda value: str(int(value)).encode(),
        "decimal": lambda value: format(Decimal(value).normalize(), "f").encode(),
        "float": lambda value: struct.pack(">d", value),
        "date": lambda value: value.isoformat().encode(),
        "time": lambda value: value.isoformat("microseconds").encode(),
        "timestamp": _timestamp,
        "timestamptz": _timestamp,
        "text": lambda value: _text(value, nul),
        "xml": lambda value: _text(re.sub(_ENCODING, r"\1", value), nul),
        "binary": bytes,
        "uuid": lambda value: str(value).lower().encode(),
        "json": lambda value: json.dumps(
            json.loads(value) if isinstance(value, str) else value, sort_keys=True
        ).encode(),
        "spatial": bytes,
        "vector": lambda value: str(value).encode(),
        "variant": lambda value: _text(_variant(value), nul),
    }
    return forms[mapping_of(column.type).family]


def _text(value: str, nul: str) -> bytes:
    """A text as PostgreSQL can hold it: NULs by policy."""
    return value.replace("\0", nul).encode("utf-8")


def _read_half_pairs(connection: Any) -> None:
    """Let pyodbc read text that holds half a surrogate pair, as U+FFFD, instead of failing on it."""
    for kind in (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR):
        connection.add_output_converter(kind, lambda raw: None if raw is None else raw.decode("utf-16-le", "replace"))


def _timestamp(value: datetime) -> bytes:
    return value.replace(tzinfo=None).isoformat(timespec="microseconds").encode()

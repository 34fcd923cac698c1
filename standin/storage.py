"""How T-SQL's types lie in DuckDB.

Three forms of a value meet in the stand-in. *Stored*: the DuckDB column that holds it (`storage`). *Projected*: the
DuckDB expression that hands it to Arrow in a form whose buffers need no further arithmetic (`WireType.projection`).
*Wire*: the bytes of the TDS row (`WireType.encode_array`), a whole Arrow column at a time, since a Python call for
every value would dominate the demo's run time.

DuckDB's TIMESTAMP and TIME hold microseconds. Columns that can hold a seventh digit (`time(7)`, `datetime2(7)`) and
every `datetimeoffset` are therefore stored as text of fixed width, which compares and sorts as the values do:
`2024-02-29 23:59:59.9999999`, followed by ` +05:30` for datetimeoffset. A sql_variant is its value's text, with a mark
and the base type behind it (`Variant`); a geography or geometry its SRID, well-known binary and text in one blob
(`Shape`), since nothing here computes with it.
"""

from __future__ import annotations

import re

from model.catalog import SqlType
from standin.types import BINARIES, MOMENTS, TEXTS, is_text_moment


def storage(kind: SqlType) -> str:
    """The DuckDB type that holds a column of the T-SQL type."""
    simple = {
        "bit": "UTINYINT",
        "tinyint": "UTINYINT",
        "smallint": "SMALLINT",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "real": "FLOAT",
        "float": "DOUBLE",
        "money": "DECIMAL(19,4)",
        "smallmoney": "DECIMAL(10,4)",
        "date": "DATE",
        "uniqueidentifier": "UUID",
    }
    if kind.name in simple:
        return simple[kind.name]
    if kind.name in {"decimal", "numeric"}:
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name in BINARIES:
        return "BLOB"
    if is_text_moment(kind) or kind.name in TEXTS:
        return "VARCHAR"
    if kind.name == "time":
        return "TIME"
    return "TIMESTAMP" if kind.name in MOMENTS else "VARCHAR"


def from_duckdb(name: str) -> SqlType:
    """The T-SQL type to send a DuckDB result as where the query itself does not tell."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", name)
    if decimal:
        return SqlType("decimal", precision=int(decimal[1]), scale=int(decimal[2]))
    known = {
        "BOOLEAN": SqlType("bit"),
        "UTINYINT": SqlType("tinyint"),
        "TINYINT": SqlType("smallint"),
        "SMALLINT": SqlType("smallint"),
        "USMALLINT": SqlType("int"),
        "INTEGER": SqlType("int"),
        "UINTEGER": SqlType("bigint"),
        "BIGINT": SqlType("bigint"),
        "UBIGINT": SqlType("decimal", precision=20),
        "HUGEINT": SqlType("decimal", precision=38),
        "FLOAT": SqlType("real"),
        "DOUBLE": SqlType("float"),
        "DATE": SqlType("date"),
        "TIME": SqlType("time", scale=6),
        "TIMESTAMP": SqlType("datetime2", scale=6),
        "UUID": SqlType("uniqueidentifier"),
        "BLOB": SqlType("varbinary", -1),
        '"NULL"': SqlType("int"),
        "NULL": SqlType("int"),
    }
    return known.get(name, SqlType("nvarchar", -1))

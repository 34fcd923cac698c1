"""The families of T-SQL's types, and the bytes that values of some take."""

from __future__ import annotations

from model.catalog import SqlType

NARROW = frozenset({"char", "varchar", "text"})
WIDE = frozenset({"nchar", "nvarchar", "ntext", "sysname", "xml", "sql_variant", "hierarchyid", "json", "vector"})
TEXTS = NARROW | WIDE
SPATIAL = frozenset({"geography", "geometry"})
BINARIES = frozenset({"binary", "varbinary", "image", "timestamp"}) | SPATIAL
INTEGERS = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
DECIMALS = frozenset({"decimal", "numeric", "money", "smallmoney"})
MOMENTS = frozenset({"smalldatetime", "datetime", "datetime2"})


def is_text_moment(kind: SqlType) -> bool:
    """Whether the type is one of those stored as text to keep its seventh digit or its offset."""
    return kind.name == "datetimeoffset" or (kind.name in {"time", "datetime2"} and kind.scale == 7)


def decimal_size(precision: int) -> int:
    """The bytes of a decimal, the one of its sign included ("decimal and numeric")."""
    return 5 if precision <= 9 else 9 if precision <= 19 else 13 if precision <= 28 else 17


def clock_size(scale: int) -> int:
    """The bytes of a time of day ("time")."""
    return 3 if scale <= 2 else 4 if scale <= 4 else 5


def moment_size(kind: SqlType) -> int:
    """The bytes of a time, datetime2 or datetimeoffset: its clock, its day, its offset."""
    return clock_size(kind.scale) + {"datetime2": 3, "datetimeoffset": 5}.get(kind.name, 0)

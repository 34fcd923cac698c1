"""What type a value has in T-SQL, and which type PostgreSQL has for it.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model.catalog import SqlType
from mssql.expressions.tree import Refused

INTEGERS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
MONEY = {"money": 19, "smallmoney": 10}
FLOATS = {"float", "real"}
STRINGS = {"char", "varchar", "nchar", "nvarchar", "text", "ntext"}
UNICODE = {"nchar", "nvarchar", "ntext"}
_TIMESTAMPS = {"smalldatetime", "datetime", "datetime2"}
DATED = _TIMESTAMPS | {"date"}
TIMES = DATED | {"time", "datetimeoffset"}
BINARIES = {"binary", "varbinary", "image"}
#: types with a number of fractional digits
SCALED_TIMES = {"time", "datetime2", "datetimeoffset"}

PRECEDENCE = (
    "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real", "decimal", "money",
    "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image", "uniqueidentifier",
    "nvarchar", "nchar", "varchar", "char", "varbinary", "binary",
)  # fmt: skip
"""Highest first ("Data type precedence"). A type that is missing here takes part in IS NULL only."""

_POSTGRES_TYPES = {
    "bit": "boolean", "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint",
    "real": "real", "float": "double precision", "date": "date", "time": "time", "uniqueidentifier": "uuid",
    "smalldatetime": "timestamp", "datetime": "timestamp", "datetime2": "timestamp", "datetimeoffset": "timestamptz",
}  # fmt: skip

INT = SqlType("int", 4, 10)
BIT = SqlType("bit", 1, 1)
FLOAT = SqlType("float", 8, 53)
DATE = SqlType("date")
DATETIME = SqlType("datetime", 8, 23, 3)

#: other names of types
SYNONYMS = {
    "numeric": "decimal", "dec": "decimal", "integer": "int", "character": "char", "sysname": "nvarchar",
}  # fmt: skip
_PLAIN_TYPES = {
    name: SqlType(name)
    for name in (
        "bit", "tinyint", "smallint", "int", "bigint", "money", "smallmoney", "real", "date", "smalldatetime",
        "datetime", "uniqueidentifier",
    )
}  # fmt: skip
_LENGTH_TYPES = {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}


def decimal_type(precision: int, scale: int = 0) -> SqlType:
    """A decimal type. Raises Refused where T-SQL has none such."""
    if not (1 <= precision <= 38 and 0 <= scale <= precision):
        raise Refused(f"decimal({precision},{scale}) is beyond T-SQL's 38 digits")
    return SqlType("decimal", 17, precision, scale)


def sized_type(name: str, characters: int) -> SqlType:
    """A string or binary type of so many characters, -1 for (max)."""
    return SqlType(name, characters * 2 if name in {"nchar", "nvarchar"} and characters > 0 else characters)


def declared_type(name: str, numbers: Sequence[str]) -> SqlType:
    """A type as CAST and CONVERT write it, with T-SQL's defaults ("CAST and CONVERT": n is 30 when left out)."""
    name = SYNONYMS.get(name, name)
    written = f"{name}({','.join(numbers)})" if numbers else name
    if name in _PLAIN_TYPES and not numbers:
        return _PLAIN_TYPES[name]
    allowed = 2 if name == "decimal" else 1
    if name not in {"decimal", "float"} | _LENGTH_TYPES | SCALED_TIMES or len(numbers) > allowed:
        raise Refused(f"the type {written} is not one that this tool converts to")
    if numbers == ["max"]:
        if name not in {"varchar", "nvarchar", "varbinary"}:
            raise Refused(f"the type {written} is not one that this tool converts to")
        return SqlType(name, -1)
    if not all(number.isdigit() for number in numbers):
        raise Refused(f"the type {written} is not one that this tool converts to")
    sizes = [int(number) for number in numbers]
    if name == "decimal":
        return decimal_type(*sizes) if sizes else decimal_type(18)
    if name == "float":
        return SqlType("real") if sizes and sizes[0] <= 24 else SqlType("float", 8, 53)
    if name in SCALED_TIMES:
        return SqlType(name, scale=sizes[0] if sizes else 7)
    return sized_type(name, sizes[0] if sizes else 30)


def normalised(type_: SqlType) -> SqlType:
    """A column's type under the one name that this package uses for it."""
    if type_.is_clr:
        return type_
    if type_.name == "sysname":
        return sized_type("nvarchar", 128)
    if type_.name == "float" and 0 < type_.precision <= 24:
        return SqlType("real")
    return replace(type_, name=SYNONYMS.get(type_.name, type_.name))


def varying(type_: SqlType) -> SqlType:
    """The type of texts made of texts of this type."""
    return sized_type("nvarchar" if type_.name in UNICODE else "varchar", type_.characters)


def postgres_type(type_: SqlType) -> str:
    """The PostgreSQL type that holds the values of this one, texts apart."""
    if type_.name == "decimal":
        return f"numeric({type_.precision},{type_.scale})"
    if type_.name in MONEY:
        return f"numeric({MONEY[type_.name]},4)"
    return _POSTGRES_TYPES[type_.name]


def digits_of(type_: SqlType) -> tuple[int, int]:
    """Precision and scale of an exact number, as decimal arithmetic sees it."""
    if type_.name == "decimal":
        return type_.precision, type_.scale
    if type_.name in MONEY:
        return MONEY[type_.name], 4
    return INTEGERS.get(type_.name, 1), 0


def is_exact(type_: SqlType) -> bool:
    """Integers, decimals and money."""
    return type_.name == "decimal" or type_.name in MONEY or type_.name in INTEGERS


def same_numeric(source: SqlType, target: SqlType) -> bool:
    """Two types of numbers that hold the same values."""
    return digits_of(source) == digits_of(target) and source.name == target.name


def holds(target: SqlType, source: SqlType) -> bool:
    """Every value of the source's length fits into the target's."""
    if target.max_length == -1 or target.name in {"text", "ntext", "image"}:
        return True
    return source.name not in {"text", "ntext", "image"} and -1 < source.characters <= target.characters


def higher_type(one: SqlType, other: SqlType) -> SqlType:
    """The type of higher precedence ("Data type precedence")."""
    for type_ in (one, other):
        if type_.name not in PRECEDENCE:
            raise Refused(f"{type_} cannot be used in an expression")
    return one if PRECEDENCE.index(one.name) <= PRECEDENCE.index(other.name) else other


def common_type(one: SqlType, other: SqlType) -> SqlType:
    """The type of a result that may be either."""
    target = higher_type(one, other)
    if target.name in STRINGS:
        sizes = [type_.characters if type_.name not in {"text", "ntext"} else -1 for type_ in (one, other)]
        return sized_type(target.name, -1 if -1 in sizes else max(sizes))
    if target.name == "decimal":
        if not (is_exact(one) and is_exact(other)):
            return target
        (precision1, scale1), (precision2, scale2) = digits_of(one), digits_of(other)
        scale = max(scale1, scale2)
        return decimal_type(max(precision1 - scale1, precision2 - scale2) + scale, scale)
    if target.name in SCALED_TIMES:
        return replace(target, scale=max(type_.scale for type_ in (one, other) if type_.name in SCALED_TIMES))
    return target

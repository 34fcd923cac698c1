"""How two values of a column are held against each other: exactly, by what its type can do (PostgreSQL, "Data Types").

`=` is not enough: citext and texts of a nondeterministic collation are equal when they look different, so are blanks at
the end of a char, -0.0 and 0.0, an interval of a day and one of 24 hours; json, xml and points have no `=` at all.
What is not listed is compared byte by byte as it is stored.
"""

from __future__ import annotations

from collections.abc import Iterable

from postgres.merging.description import MergedColumn
from postgres.names import quote

#: whose `=` is exact. Numbers by value: 1.0 and 1.00 are the same number.
_EXACT = frozenset(
    f"pg_catalog.{name}"
    for name in (
        "bool", "int2", "int4", "int8", "oid", "numeric", "money", "bytea", "uuid", "date", "time", "timetz",
        "timestamp", "timestamptz",
    )
)  # fmt: skip
_FLOATS = {"pg_catalog.float4": "float4send", "pg_catalog.float8": "float8send"}
_TEXTS = frozenset({"pg_catalog.text", "pg_catalog.varchar"})


def differs(column: MergedColumn, left: str, right: str) -> str:
    """The condition, never NULL, that the values of two rows with these aliases are not the same."""
    one, other = f"{left}.{quote(column.name)}", f"{right}.{quote(column.name)}"
    base = column.base_type
    if base in _EXACT:
        return f"{one} IS DISTINCT FROM {other}"
    if base in _FLOATS:
        # The bytes matter for the two zeros alone, and are dearer to look at.
        sent = " <> ".join(f"{_FLOATS[base]}({value})" for value in (one, other))
        return f"({one} IS DISTINCT FROM {other} OR {one} = 0 AND {other} = 0 AND {sent})"
    # A char(n) is always filled up to n characters, so that blanks at the end make no difference.
    if base in _TEXTS or (base == "pg_catalog.bpchar" and column.modifier >= 0):
        return f'{one} COLLATE "C" IS DISTINCT FROM {other} COLLATE "C"'
    if base.endswith(".citext"):
        return f'{one}::text COLLATE "C" IS DISTINCT FROM {other}::text COLLATE "C"'
    return f"record_image_ne(ROW({one}), ROW({other}))"


def any_differs(columns: Iterable[MergedColumn], one: str, other: str) -> str:
    """The condition that two rows differ in at least one of these columns."""
    return " OR ".join(differs(column, one, other) for column in columns) or "false"


def is_exact_by_equality(column: MergedColumn) -> bool:
    """Whether two values of the column that are equal by its index are the same value."""
    if column.base_type in _TEXTS or (column.base_type == "pg_catalog.bpchar" and column.modifier >= 0):
        return column.is_deterministic
    return column.base_type in _EXACT


def bytes_of(columns: Iterable[MergedColumn], row: str) -> str:
    """The bytes of all values of a row with this alias, different for different values."""
    return f"record_send(ROW({', '.join(_sent(column, row) for column in columns)}))"


def _sent(column: MergedColumn, row: str) -> str:
    value = f"{row}.{quote(column.name)}"
    if column.base_type == "pg_catalog.numeric" and column.modifier < 0:
        # Without a declared scale a number is kept as it was written, 1.0 or 1.00.
        text = f"{value}::text"
        return f"CASE WHEN position('.' IN {text}) > 0 THEN rtrim(rtrim({text}, '0'), '.') ELSE {text} END"
    return value if column.has_bytes else f"{value}::text"

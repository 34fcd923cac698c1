"""Conditions that say which rows of a table are read: a chunk's range of keys, or rows picked by their keys."""

from __future__ import annotations

from collections.abc import Sequence

from model.ranges import Chunk, Picked
from mssql.quoting import quote


def where_clause(chunk: Chunk | Picked) -> str:
    """` WHERE …` for the chunk's rows, or those picked; empty for a whole table."""
    names = [quote(column) for column in chunk.columns]
    if isinstance(chunk, Picked):
        rows = (" AND ".join(map(" = ".join, zip(names, key, strict=True))) for key in chunk.keys)
        return f" WHERE {' OR '.join(f'({row})' for row in rows)}"
    found = ranges(names, chunk.lower, chunk.upper)
    if len(found) > 1:
        exact = " OR ".join(f"({' AND '.join(terms)})" for terms in found)
        return f" WHERE {' AND '.join(_hull(names, chunk.lower, chunk.upper))} AND ({exact})"
    return f" WHERE {' AND '.join(found[0])}" if found else ""


def ranges(names: Sequence[str], lower: Sequence[str] | None, upper: Sequence[str] | None) -> list[list[str]]:
    """The keys above `lower` and up to `upper` as ranges, in the key's order, each of which an index can seek.

    T-SQL has no comparison of rows. A range is the terms that hold for it: equal columns first, then one that
    is bounded. Relies on what planning has made sure of: the first column in which the bounds' texts differ
    rises, and those before it are equal.
    """
    if lower is None and upper is None:
        return []
    same = _equal_columns(lower, upper)
    middle = _equal(names, lower, same)
    found = []
    if lower is not None:
        for position in reversed(range(same + 1, len(names))):
            found.append([*_equal(names, lower, position), f"{names[position]} > {lower[position]}"])
        middle.append(f"{names[same]} > {lower[same]}")
    if upper is not None:
        middle.append(f"{names[same]} {_up_to(names, same)} {upper[same]}")
    found.append(middle)
    if upper is not None:
        for position in range(same + 1, len(names)):
            found.append(
                [*_equal(names, upper, position), f"{names[position]} {_up_to(names, position)} {upper[position]}"]
            )
    return found


def _hull(names: Sequence[str], lower: Sequence[str] | None, upper: Sequence[str] | None) -> list[str]:
    """One range around all ranges, for servers that would rather seek once than several times."""
    same = _equal_columns(lower, upper)
    terms = _equal(names, lower, same)
    if lower is not None:
        terms.append(f"{names[same]} >= {lower[same]}")
    if upper is not None:
        terms.append(f"{names[same]} <= {upper[same]}")
    return terms


def _equal_columns(lower: Sequence[str] | None, upper: Sequence[str] | None) -> int:
    if lower is None or upper is None:
        return 0
    return next(position for position, (low, high) in enumerate(zip(lower, upper, strict=True)) if low != high)


def first_difference(lower: Sequence[str], upper: Sequence[str]) -> tuple[str, str]:
    """The literals of both bounds in the first column in which they differ."""
    position = _equal_columns(lower, upper)
    return lower[position], upper[position]


def _equal(names: Sequence[str], bound: Sequence[str] | None, count: int) -> list[str]:
    return [] if bound is None else [f"{names[position]} = {bound[position]}" for position in range(count)]


def _up_to(names: Sequence[str], position: int) -> str:
    # Only in the last column is the bound itself within.
    return "<=" if position == len(names) - 1 else "<"

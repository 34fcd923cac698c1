"""How long a row of an index can become: a B-tree refuses one that takes more than a third of a page, and its row.

Sources: PostgreSQL, "B-Tree Indexes" (BTMaxItemSize) and "Database Page Layout"; Microsoft, "Maximum capacity
specifications for SQL Server", which bounds keys by what is in them, not by what is declared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from model.catalog import Column, Table
from type_mapping import mapping_of, traits_of

#: bytes of a B-tree's row on PostgreSQL's usual pages, without its head
ROOM = 2_704 - 8
#: bytes of a key on the source: of a clustered index, of another, and in a memory-optimised table, which bounds rows
_CLUSTERED, _NONCLUSTERED, _IN_MEMORY = 900, 1_700, 8_060
#: what a text or binary begins with, and the bytes at whose multiples any value can be made to begin
_LENGTH_WORD, _ALIGNED = 4, 8
#: a decimal's head, and the digits of two bytes; a group of them may be begun on both sides of the point
_DECIMAL_HEAD, _GROUP = 3, 4
#: the text by which a graph's node or edge is known: the names of its schema and table, and a number
_GRAPH_ID = 900
#: any other value
_SMALL = 16


def longest_key(table: Table, names: Sequence[str], *, is_clustered: bool) -> int:
    """Bytes that a key of these columns takes in PostgreSQL at most, holding what the source has room for."""
    columns = [column for column in table.columns if column.name in names]
    left = _IN_MEMORY if "memory-optimised" in table.traits else _CLUSTERED if is_clustered else _NONCLUSTERED
    longest = 0
    # Values of a fixed size take theirs in any case; what they leave goes, at the worst, to those that grow most.
    for column in sorted(columns, key=lambda one: (_varies(one), -_growth(one))):
        size = 0 if column.graph_type else min(column.type.max_length, left)
        left -= size
        longest += _bytes(column, size)
    return longest


def longest_value(column: Column) -> int | None:
    """Bytes of a column's longest value in PostgreSQL; None where none is declared."""
    return None if mapping_of(column.type).lob(column.type) is not None else _bytes(column, column.type.max_length)


def _varies(column: Column) -> bool:
    return _is_measured(column) and not traits_of(column.type).is_fixed_size


def _is_measured(column: Column) -> bool:
    """Whether a value takes as many bytes as it has on the source, or characters there."""
    return traits_of(column.type).is_text or mapping_of(column.type).family in ("binary", "variant")


def _growth(column: Column) -> float:
    """Bytes in PostgreSQL for one on the source; code pages have characters of one byte that take three in UTF-8."""
    traits = traits_of(column.type)
    if mapping_of(column.type).family == "variant":
        return 3
    if not traits.is_text or (column.collation or "").upper().endswith("_UTF8"):
        return 1
    return 1.5 if traits.is_wide else 3


def _bytes(column: Column, size: int) -> int:
    mapping = mapping_of(column.type)
    if column.graph_type:
        taken = _GRAPH_ID
    elif _is_measured(column):
        taken = _LENGTH_WORD + math.ceil(size * _growth(column))
    elif mapping.family == "decimal":
        taken = _DECIMAL_HEAD + 2 * (mapping.arrow(column.type).precision // _GROUP + 2)
    else:
        # A hierarchyid among them: only in a tree of many hundred levels are there paths too long for an index.
        taken = _SMALL
    return -(-taken // _ALIGNED) * _ALIGNED

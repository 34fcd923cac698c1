"""The statements that make live rows equal to staged ones.

All tables that foreign keys tie together are changed in one statement, since a foreign key is checked when a statement
ends (PostgreSQL, "CREATE TABLE", NOT DEFERRABLE): so neither an order of tables nor deferrable keys are needed, also
where keys go in circles. A unique index refuses a row at once. So rows of a table are deleted first, then changed, then
inserted: a part that counts what another one returns runs after it (PostgreSQL, "WITH Queries").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from postgres.merging.comparison import differs
from postgres.merging.description import Merge, MergedColumn
from postgres.merging.differences import Difference
from postgres.names import quote

_RETURNING = "RETURNING 1"


@dataclass(frozen=True)
class _Part:
    """One part of a statement; `counts` says whether its rows are counted."""

    name: str
    sql: str
    counts: bool


def at_place(merge: Merge, live: str, place: str) -> str:
    """The condition that a live row is the one whose place a pair has."""
    # Rows of different partitions can have the same place, each in its own.
    part = f" AND {live}.tableoid = {place}.part" if merge.is_partitioned else ""
    return f"{live}.ctid = {place}.live{part}"


def execute(cursor: Any, differing: Sequence[Difference]) -> dict[str, int]:
    """Delete, change and insert the differing rows of these tables; returns the rows that each part has touched."""
    return _execute(cursor, [part for one in differing for part in _parts(one)])


def delete_postponed(cursor: Any, tables: Sequence[Difference]) -> None:
    """Delete the live rows of postponed pairs, of all tables in one statement."""
    _execute(cursor, [
        _Part(
            f"deleted_{one.number}",
            f"DELETE FROM {one.merge.rows} AS l USING {one.pairs} AS d "
            f"WHERE d.postponed AND {at_place(one.merge, 'l', 'd')}",
            counts=False,
        )
        for one in tables
    ])  # fmt: skip


def insert_postponed(cursor: Any, tables: Sequence[Difference]) -> None:
    """Insert the staged rows of postponed pairs, of all tables in one statement."""
    _execute(cursor, [
        _Part(f"inserted_{one.number}", _insert(one.merge, one.pairs, "d.postponed"), counts=False) for one in tables
    ])  # fmt: skip


def _execute(cursor: Any, parts: Sequence[_Part]) -> dict[str, int]:
    if not parts:
        return {}
    counted = [part.name for part in parts if part.counts]
    counts = "".join(f", (SELECT count(*) FROM {name})" for name in counted)
    listed = ",\n".join(f"{part.name} AS ({part.sql}{' ' + _RETURNING if part.counts else ''})" for part in parts)
    cursor.execute(f"WITH {listed}\nSELECT true{counts}")
    return dict(zip(counted, cursor.fetchone()[1:], strict=True))


def _parts(one: Difference) -> list[_Part]:
    deleted, changed, inserted = (f"{what}_{one.number}" for what in ("deleted", "changed", "inserted"))
    merge = one.merge
    found: list[_Part] = []

    def after() -> str:
        return "".join(f" AND (SELECT count(*) FROM {part.name}) >= 0" for part in found)

    if one.counts.deleted:
        found.append(_Part(
            deleted,
            f"DELETE FROM {merge.rows} AS l USING {one.table} AS d "
            f"WHERE {at_place(merge, 'l', 'd')} AND (d.staged IS NULL OR d.replaced)",
            counts=True,
        ))  # fmt: skip
    if one.counts.changed:
        found.append(_Part(
            changed,
            f"UPDATE {merge.rows} AS l SET {_set(merge)} FROM {one.table} AS d "
            f"JOIN {merge.staged_rows} AS s ON s.ctid = d.staged "
            f"WHERE {at_place(merge, 'l', 'd')} AND NOT d.replaced{after()}",
            counts=True,
        ))  # fmt: skip
    if one.counts.new or one.counts.replaced:
        wanted = f"(d.live IS NULL OR d.replaced){after()}"
        found.append(_Part(inserted, _insert(merge, one.table, wanted), counts=False))
    return found


def _set(merge: Merge) -> str:
    return ", ".join(
        f"{quote(column.name)} = {_new_value(column)}" for column in merge.stored if column.name not in merge.fixed
    )


def _new_value(column: MergedColumn) -> str:
    staged, live = f"s.{quote(column.name)}", f"l.{quote(column.name)}"
    # A value that is stored out of line is kept there, not written again, where it is the very same one.
    return f"CASE WHEN {differs(column, 'l', 's')} THEN {staged} ELSE {live} END" if column.is_variable else staged


def _insert(merge: Merge, pairs: str, wanted: str) -> str:
    names = ", ".join(quote(column.name) for column in merge.stored)
    values = ", ".join(f"s.{quote(column.name)}" for column in merge.stored)
    return (
        f"INSERT INTO {merge.live.quoted} ({names}) OVERRIDING SYSTEM VALUE SELECT {values} "
        f"FROM {merge.staged_rows} AS s JOIN {pairs} AS d ON s.ctid = d.staged WHERE {wanted}"
    )

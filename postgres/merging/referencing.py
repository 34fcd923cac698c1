"""Rows that reference rows which are to be deleted: those that must not be touched, and those that must wait.

ON DELETE CASCADE, SET NULL, SET DEFAULT and RESTRICT act on every row that still references a deleted one when the
statement ends, also where a row with the same values has come in its place. Only NO ACTION looks for that one first
(PostgreSQL, "CREATE TABLE"). So before anything is deleted

- rows of tables outside the merge that would be hit are counted, and the merge is refused;
- staged rows that would be hit are found. Where what they reference is not staged, the source breaks its own key, and
  the merge is refused. Otherwise the pairs are postponed: deleted before all others, and inserted after them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from model.errors import TargetError
from postgres.merging.description import ForeignKey
from postgres.merging.differences import Difference, pair_all
from postgres.merging.statements import at_place
from postgres.names import TargetName

_DOES = {
    "a": "NO ACTION refuses that",
    "r": "RESTRICT refuses that",
    "c": "ON DELETE CASCADE would delete them",
    "n": "ON DELETE SET NULL would change them",
    "d": "ON DELETE SET DEFAULT would change them",
}

Differences = Mapping[TargetName, Difference]


def check_outside(cursor: Any, key: ForeignKey, parent: Difference) -> None:
    """Raise TargetError where rows of a table outside the merge reference rows that are to be deleted."""
    places = f"SELECT FROM {parent.table} AS d WHERE (d.staged IS NULL OR d.replaced)"
    _lock(cursor, parent, f"{places} AND {at_place(parent.merge, 'p', 'd')}")
    child = key.child.own_rows(key.is_child_partitioned)
    condition = f"EXISTS ({_deleted(key, parent, 'c')})"
    if key.on_delete == "a":
        condition += f" AND NOT EXISTS ({_staged(key, parent, 'c')})"
    _refuse_outside(key, _count(cursor, f"SELECT count(*) FROM {child} AS c WHERE {condition}"))


def _lock(cursor: Any, parent: Difference, places: str) -> None:
    """Let nobody reference these live rows any more; who is about to is waited for, so that its rows are seen."""
    cursor.execute(
        f"SELECT count(*) FROM (SELECT FROM {parent.merge.rows} AS p WHERE EXISTS ({places}) FOR UPDATE) AS x"
    )


def _refuse_outside(key: ForeignKey, rows: int) -> None:
    if rows:
        raise TargetError(
            f"{_rows(rows)} of {key.child}, which is not merged in this run, reference rows of {key.parent} that go "
            f"({key}: {_DOES[key.on_delete]}). Nothing was changed. Take {key.child} into the run, or let its rows "
            f"reference others first"
        )


def postpone(cursor: Any, keys: Sequence[ForeignKey], outside: Sequence[ForeignKey], found: Differences) -> Differences:
    """The tables, tied by `keys`, of which pairs are postponed; these are taken out of the differing ones.

    `outside` are the keys by which tables outside the merge reference these. Raises TargetError where the source breaks
    a key, or a table outside is in the way.
    """
    paired: dict[TargetName, Difference] = {}
    for key in keys:
        parent = found[key.parent]
        if key.on_delete == "a" or not parent.counts.deleted or not _is_hit(cursor, key, found):
            continue
        hit = (
            f"SELECT c.ctid FROM {found[key.child].merge.staged_rows} AS c WHERE EXISTS ({_deleted(key, parent, 'c')})"
        )
        _mark(cursor, found[key.child], f"x.staged IN ({hit})", paired)
    if not paired:
        return {}
    is_growing = True
    while is_growing:
        is_growing = False
        for key in keys:
            if key.parent in paired:
                is_growing |= _follow(cursor, key, found, paired)
    for key in outside:
        if key.parent in paired:
            places = f"SELECT FROM {paired[key.parent].pairs} AS y WHERE y.postponed"
            _lock(cursor, paired[key.parent], f"{places} AND {at_place(found[key.parent].merge, 'p', 'y')}")
            referenced = _postponed(key, paired[key.parent], "c")
            child = key.child.own_rows(key.is_child_partitioned)
            _refuse_outside(key, _count(cursor, f"SELECT count(*) FROM {child} AS c WHERE EXISTS ({referenced})"))
    for one in (one for one in paired.values() if one.counts):
        for what in ("d.live = x.live AND d.part = x.part", "d.staged = x.staged"):
            cursor.execute(f"DELETE FROM {one.table} AS d USING {one.pairs} AS x WHERE x.postponed AND {what}")
    return paired


def _is_hit(cursor: Any, key: ForeignKey, found: Differences) -> bool:
    """Whether staged rows reference what is to be deleted. Raises TargetError where that is not staged."""
    parent, child = found[key.parent], found[key.child]
    hit = f"FROM {child.merge.staged_rows} AS c WHERE EXISTS ({_deleted(key, parent, 'c')})"
    if not _count(cursor, f"SELECT count(*) {hit}"):
        return False
    broken = _count(cursor, f"SELECT count(*) {hit} AND NOT EXISTS ({_staged(key, parent, 'c')})")
    if broken:
        raise TargetError(
            f"{_rows(broken)} of {key.child} reference rows of {key.parent} that the source does not have ({key}: "
            f"{_DOES[key.on_delete]}). The source's own key is not trusted: it was made WITH NOCHECK, or disabled. "
            f"Nothing was changed. Mend the rows at the source, or drop the key on the target"
        )
    return True


def _follow(cursor: Any, key: ForeignKey, found: Differences, paired: dict[TargetName, Difference]) -> bool:
    """Postpone the pairs that reference postponed ones; whether there were any."""
    parent, child = paired[key.parent], found[key.child]
    live = f"SELECT FROM {child.merge.rows} AS c WHERE {at_place(child.merge, 'c', 'x')}"
    staged = (
        f"SELECT c.ctid FROM {child.merge.staged_rows} AS c WHERE EXISTS (SELECT FROM {parent.pairs} AS y "
        f"JOIN {parent.merge.staged_rows} AS p ON p.ctid = y.staged WHERE y.postponed AND {key.references('c', 'p')})"
    )
    conditions = (f"EXISTS ({live} AND EXISTS ({_postponed(key, parent, 'c')}))", f"x.staged IN ({staged})")
    return sum(_mark(cursor, child, condition, paired) for condition in conditions) > 0


def _mark(cursor: Any, child: Difference, condition: str, paired: dict[TargetName, Difference]) -> int:
    """Postpone pairs that meet a condition; returns how many."""
    if child.merge.live not in paired:
        pair_all(cursor, child)
        paired[child.merge.live] = child
    cursor.execute(f"UPDATE {child.pairs} AS x SET postponed = true WHERE NOT x.postponed AND {condition}")
    return int(cursor.rowcount)


def _deleted(key: ForeignKey, parent: Difference, child: str) -> str:
    """A query for what a row references among the live rows that are to be deleted."""
    return (
        f"SELECT FROM {parent.table} AS d JOIN {parent.merge.rows} AS p ON {at_place(parent.merge, 'p', 'd')} "
        f"WHERE (d.staged IS NULL OR d.replaced) AND {key.references(child, 'p')}"
    )


def _postponed(key: ForeignKey, parent: Difference, child: str) -> str:
    """A query for what a row references among the live rows of postponed pairs."""
    return (
        f"SELECT FROM {parent.pairs} AS y JOIN {parent.merge.rows} AS p ON {at_place(parent.merge, 'p', 'y')} "
        f"WHERE y.postponed AND {key.references(child, 'p')}"
    )


def _staged(key: ForeignKey, parent: Difference, child: str) -> str:
    """A query for what a row references among the staged rows."""
    return f"SELECT FROM {parent.merge.staged_rows} AS q WHERE {key.references(child, 'q')}"


def _count(cursor: Any, query: str) -> int:
    cursor.execute(query)
    return int(cursor.fetchone()[0])


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"

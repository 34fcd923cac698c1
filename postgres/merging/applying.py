"""A merge: the live tables are changed where they differ from their staging tables, in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from db import target_words
from model.errors import TargetError
from postgres.merging import referencing, statements
from postgres.merging.description import ForeignKey, Merge, Merges
from postgres.merging.differences import FOR_CHANGING, FOR_COMPARING, Difference, counted, find
from postgres.names import TargetName, quote

#: unique_violation, exclusion_violation
_TAKEN = ("23505", "23P01")
#: the class of violated constraints
_VIOLATED = "23"


@dataclass(frozen=True)
class Applied:
    """What a merge did to a table, and the rows that it has now."""

    inserted: int
    updated: int
    deleted: int
    rows: int

    @property
    def changed(self) -> int:
        """Rows that are not as they were."""
        return self.inserted + self.updated + self.deleted


def _nothing(*_: object) -> None:
    """For callers who need not be told."""


def apply(
    cursor: Any,
    merges: Merges,
    *,
    compared: Callable[[TargetName], None] = _nothing,
    applied: Callable[[TargetName, Applied], None] = _nothing,
    tell: Callable[[str], None] = _nothing,
) -> dict[TargetName, Applied]:
    """Make the live tables equal to their staging tables, in the caller's transaction.

    The caller holds SHARE ROW EXCLUSIVE locks on all live tables, and has run ANALYZE on the staging tables. A table
    that does not differ is not touched. Triggers do not fire, unless they are ENABLE ALWAYS. `compared` is called for
    each table when its differences are known, `applied` when they are gone, `tell` with words about what takes longer.
    Deferred constraints are checked, and stay immediate until the transaction ends.

    Raises TargetError where a constraint refuses rows or rows outside the merge would be hit, and psycopg2.Error; the
    caller rolls back, and nothing was changed.
    """
    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    numbers = {merge.live: number for number, merge in enumerate(merges.tables)}
    done: dict[TargetName, Applied] = {}
    cursor.execute(FOR_COMPARING)
    for tied in _tied(merges):
        found: dict[TargetName, Difference] = {}
        for merge in tied:
            found[merge.live] = find(cursor, merge, numbers[merge.live])
            compared(merge.live)
        if any(one.counts for one in found.values()):
            _tell_of_slow_keys(merges.keys, found, tell)
            cursor.execute(FOR_CHANGING)
            _change(cursor, merges.keys, found, tell)
            cursor.execute(FOR_COMPARING)
        for one in found.values():
            done[one.merge.live] = _checked(cursor, one)
            applied(one.merge.live, done[one.merge.live])
    return {merge.live: done[merge.live] for merge in merges.tables}


def _tied(merges: Merges) -> list[list[Merge]]:
    """The tables in groups that no foreign key crosses, all in the order of the merge."""
    group: dict[TargetName, set[TargetName]] = {name: {name} for name in merges.names}
    for key in merges.keys:
        if key.child in group and key.parent in group and group[key.child] is not group[key.parent]:
            group[key.child] |= group[key.parent]
            for name in group[key.parent]:
                group[name] = group[key.child]
    tied: dict[int, list[Merge]] = {}
    for merge in merges.tables:
        tied.setdefault(id(group[merge.live]), []).append(merge)
    return list(tied.values())


def _tell_of_slow_keys(
    keys: Iterable[ForeignKey], found: Mapping[TargetName, Difference], tell: Callable[[str], None]
) -> None:
    """Tell where the server reads a whole table for each row that goes."""
    for key in keys:
        gone = found[key.parent].counts.deleted if key.parent in found else 0
        if gone and not key.is_indexed:
            columns = ", ".join(map(quote, key.child_columns))
            tell(
                f"rows of {key.parent} go ({gone:,}), and for each of them the server reads all "
                f"of {key.child} ({key} has no index). CREATE INDEX ON {key.child.quoted} ({columns}) spares that"
            )


def _change(
    cursor: Any, keys: Iterable[ForeignKey], found: Mapping[TargetName, Difference], tell: Callable[[str], None]
) -> None:
    """Change the tables of one group. Raises TargetError where a constraint refuses rows."""
    try:
        while any(one.counts.moved for one in found.values()):
            cursor.execute("SAVEPOINT merge")
            try:
                _change_once(cursor, keys, found)
            except psycopg2.Error as error:
                movable = _movable(error, found)
                if not movable:
                    raise
            else:
                cursor.execute("RELEASE SAVEPOINT merge")
                return
            # One row takes a value that another one is about to give up: both go first, and come again.
            cursor.execute("ROLLBACK TO SAVEPOINT merge; RELEASE SAVEPOINT merge")
            names = ", ".join(str(one.merge.live) for one in movable)
            tell(f"unique values move between rows of {names}: these rows are replaced")
            found = {**found, **{one.merge.live: _replacing(cursor, one) for one in movable}}
        _change_once(cursor, keys, found)
    except psycopg2.Error as error:
        if not (error.pgcode or "").startswith(_VIOLATED):
            raise
        raise TargetError(_words(error)) from None


def _movable(error: psycopg2.Error, found: Mapping[TargetName, Difference]) -> list[Difference]:
    """The tables whose unique values were in the way of each other, of which rows can still be replaced."""
    if error.pgcode not in _TAKEN:
        return []
    refused = found.get(TargetName(error.diag.schema_name or "", error.diag.table_name or ""))
    # A partition has another name.
    return [one for one in ([refused] if refused is not None else found.values()) if one.counts.moved]


def _replacing(cursor: Any, one: Difference) -> Difference:
    """A table's difference, with rows replaced whose unique values differ."""
    cursor.execute(f"UPDATE {one.table} SET replaced = true WHERE moved AND live IS NOT NULL AND staged IS NOT NULL")
    return counted(cursor, one)


def _change_once(cursor: Any, keys: Iterable[ForeignKey], found: Mapping[TargetName, Difference]) -> None:
    inside = [key for key in keys if key.child in found and key.parent in found]
    outside = [key for key in keys if key.parent in found and key.child not in found]
    for key in outside:
        if found[key.parent].counts.deleted:
            referencing.check_outside(cursor, key, found[key.parent])
    postponed = referencing.postpone(cursor, inside, outside, found)
    remaining = (counted(cursor, one) if one.merge.live in postponed else one for one in found.values() if one.counts)
    differing = [one for one in remaining if one.counts]
    touched = [one.merge for one in found.values() if one.counts or one.merge.live in postponed]
    _switch_triggers(cursor, touched, "DISABLE")
    statements.delete_postponed(cursor, list(postponed.values()))
    _expect(differing, statements.execute(cursor, differing))
    statements.insert_postponed(cursor, list(postponed.values()))
    _switch_triggers(cursor, touched, "ENABLE")


def _switch_triggers(cursor: Any, merges: Sequence[Merge], how: str) -> None:
    for merge in merges:
        for name in merge.triggers:
            # Those of tables that inherit from it are not ours.
            cursor.execute(f"ALTER TABLE ONLY {merge.live.quoted} {how} TRIGGER {quote(name)}")


def _expect(differing: Sequence[Difference], touched: Mapping[str, int]) -> None:
    """Raise TargetError where other rows were touched than those that differ."""
    for one in differing:
        for what, wanted in (("deleted", one.counts.deleted), ("changed", one.counts.changed)):
            found = touched.get(f"{what}_{one.number}", 0)
            if found != wanted:
                raise TargetError(
                    f"{one.merge.live}: {wanted:,} rows were to be {what}, and {found:,} were; rolled back. Something "
                    f"on the table, such as a trigger that is ENABLE ALWAYS, keeps rows as they are"
                )


def _checked(cursor: Any, one: Difference) -> Applied:
    """What was done to a table. Raises TargetError unless it has as many rows as were staged."""
    merge, counts = one.merge, one.counts
    # What is locked for counting alone is let go, and a transaction over many tables needs fewer locks.
    cursor.execute("SAVEPOINT counting")
    rows, staged = (_count(cursor, table) for table in (merge.rows, merge.staged_rows))
    cursor.execute("ROLLBACK TO SAVEPOINT counting; RELEASE SAVEPOINT counting")
    if rows != staged:
        raise TargetError(
            f"{merge.live} has {rows:,} rows after the merge, and {staged:,} were staged; rolled back. "
            + _why_not_equal(merge)
        )
    return Applied(counts.new, counts.changed + counts.replaced, counts.gone, rows)


def _why_not_equal(merge: Merge) -> str:
    if merge.key is None:
        return "Something on the table, such as a trigger that is ENABLE ALWAYS, changes what is written to it"
    names = ", ".join(merge.key.columns)
    return (
        f"Either rows of the source have the same {names} by the rules of the target's key, or something on the table, "
        f"such as a trigger that is ENABLE ALWAYS, changes what is written to it"
    )


def _count(cursor: Any, table: str) -> int:
    cursor.execute(f"SELECT count(*) FROM {table}")
    return int(cursor.fetchone()[0])


def _words(error: psycopg2.Error) -> str:
    """What a constraint said, and what to do."""
    words = target_words(error)
    advice = {
        "23503": "A row of the source references one that it does not have (a key made WITH NOCHECK, or disabled), "
        "or the table that the key points to is not merged in this run. Mend the rows at the source, or take the other "
        "table into the run, or drop the key on the target",
        "23505": "Rows of the source have the same values by the rules of the target's key. Mend the rows at the "
        "source, or the key on the target",
    }.get(error.pgcode or "", "Mend the rows at the source, or the constraint on the target")
    return f"the merge is refused: {words}. Nothing was changed. {advice}"

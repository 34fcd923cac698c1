"""Foreign keys of twins: they hold before anybody sees the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from db import is_temporary_target_error, target_words
from model.errors import TargetError
from postgres import locks
from postgres.names import TargetName, quote
from postgres.suspension_record import QUALIFIED
from postgres.twins.parts import OTHER, Part, Table, read_all


@dataclass(frozen=True)
class TwinKey:
    """A foreign key that a twin should have. `table` is the live one, `points_to` where the twin's own key points."""

    part: Part
    table: TargetName
    twin: TargetName
    points_to: TargetName
    is_valid: bool

    @property
    def statements(self) -> list[str]:
        """What makes it without looking at the rows."""
        first, *rest = [
            made.replace(OTHER, self.points_to.quoted) for made in self.part.made(self.twin, self.part.name)
        ]
        return [first if first.endswith(" NOT ENFORCED") else f"{first} NOT VALID", *rest]

    def is_made_as(self, other: Part | None) -> bool:
        """Whether the twin's key, or none, is this one, validated or not."""
        return other is not None and (other.statements, other.points_to) == (self.part.statements, self.points_to)


def wanted(
    live: Table, twin: TargetName, pairs: Mapping[TargetName, TargetName], not_yet: Collection[TargetName]
) -> list[TwinKey]:
    """The foreign keys of a table, as its twin should have them."""
    found = []
    for part in live.of("foreign key"):
        assert part.points_to is not None
        is_valid = part.is_valid and part.points_to not in not_yet
        found.append(TwinKey(part, live.name, twin, pairs.get(part.points_to, part.points_to), is_valid))
    return found


def foreign_keys(
    connection: Any,
    pairs: Mapping[TargetName, TargetName],
    not_yet: Collection[TargetName] = (),
    *,
    patience: float = locks.PATIENCE_S,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Make the foreign keys of twins, and validate them where those of the live tables, the keys of `pairs`, are valid.

    They point to twins where there are some, otherwise to the live table; a key to one of `not_yet`, whose rows come
    with the switch, is left not validated. The twins must be complete. What is done is not done again. For locks it
    waits as `locks.patiently` does. Raises TargetError with the key's name where rows violate it, LoadLostError,
    psycopg2.Error.
    """
    with connection.cursor() as cursor:
        tables = read_all(cursor, [*pairs, *pairs.values()])
    connection.rollback()
    waiting = _Waiting(connection, patience, tell)
    to_validate = []
    for live, twin in pairs.items():
        keys = wanted(tables[live], twin, pairs, not_yet)
        standing = {part.name: part for part in tables[twin].of("foreign key")}
        for part in standing.values():
            if not any(key.part.name == part.name and key.is_made_as(part) for key in keys):
                _drop(waiting, twin, part)
        for key in keys:
            there = standing.get(key.part.name)
            if not key.is_made_as(there):
                _make(waiting, key)
                there = None
            if key.is_valid and not (there is not None and there.is_valid):
                to_validate.append(key)
    for key in to_validate:
        _validate(waiting, key)


@dataclass(frozen=True)
class _Waiting:
    """A connection, how many seconds each of its steps is tried, and whom it tells who is waited for."""

    connection: Any
    patience: float
    tell: Callable[[str], None]

    def execute(self, tables: Sequence[TargetName], statement: str) -> None:
        """Execute and commit. Raises psycopg2.Error."""
        locks.execute_patiently(self.connection, tables, statement, self.patience, tell=self.tell)
        self.connection.commit()


def _make(waiting: _Waiting, key: TwinKey) -> None:
    waiting.execute([key.points_to, key.twin], "; ".join([QUALIFIED, *key.statements]))


def _drop(waiting: _Waiting, twin: TargetName, part: Part) -> None:
    assert part.points_to is not None
    waiting.execute([part.points_to, twin], f"ALTER TABLE {twin.quoted} DROP CONSTRAINT {quote(part.name)}")


def _validate(waiting: _Waiting, key: TwinKey) -> None:
    statement = f"ALTER TABLE {key.twin.quoted} VALIDATE CONSTRAINT {quote(key.part.name)}"
    try:
        waiting.execute([key.points_to, key.twin], statement)
    except psycopg2.Error as error:
        if waiting.connection.closed or is_temporary_target_error(error):
            raise
        waiting.connection.rollback()
        raise TargetError(
            f"the new rows of {key.table} violate its foreign key {key.part.name}, and were not shown: "
            f"{target_words(error)}"
        ) from None

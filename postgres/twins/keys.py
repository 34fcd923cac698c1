"""Foreign keys of twins: they hold before anybody sees the rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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


def foreign_keys(connection: Any, pairs: Mapping[TargetName, TargetName], not_yet: Collection[TargetName] = ()) -> None:
    """Make the foreign keys of twins, and validate them where those of the live tables, the keys of `pairs`, are valid.

    They point to twins where there are some, otherwise to the live table; a key to one of `not_yet`, whose rows come
    with the switch, is left not validated. The twins must be complete. What is done is not done again. Raises
    TargetError with the key's name where rows violate it, LoadLostError, psycopg2.Error.
    """
    with connection.cursor() as cursor:
        tables = read_all(cursor, [*pairs, *pairs.values()])
    connection.rollback()
    to_validate = []
    for live, twin in pairs.items():
        keys = wanted(tables[live], twin, pairs, not_yet)
        standing = {part.name: part for part in tables[twin].of("foreign key")}
        for part in standing.values():
            if not any(key.part.name == part.name and key.is_made_as(part) for key in keys):
                _drop(connection, twin, part)
        for key in keys:
            there = standing.get(key.part.name)
            if not key.is_made_as(there):
                _make(connection, key)
                there = None
            if key.is_valid and not (there is not None and there.is_valid):
                to_validate.append(key)
    for key in to_validate:
        _validate(connection, key)


def _make(connection: Any, key: TwinKey) -> None:
    def step(cursor: Any) -> None:
        cursor.execute(QUALIFIED)
        cursor.execute("; ".join(key.statements))

    locks.patiently(connection, [key.points_to, key.twin], step)
    connection.commit()


def _drop(connection: Any, twin: TargetName, part: Part) -> None:
    assert part.points_to is not None
    statement = f"ALTER TABLE {twin.quoted} DROP CONSTRAINT {quote(part.name)}"
    locks.execute_patiently(connection, [part.points_to, twin], statement)
    connection.commit()


def _validate(connection: Any, key: TwinKey) -> None:
    statement = f"ALTER TABLE {key.twin.quoted} VALIDATE CONSTRAINT {quote(key.part.name)}"
    try:
        locks.execute_patiently(connection, [key.points_to, key.twin], statement)
        connection.commit()
    except psycopg2.Error as error:
        if connection.closed or is_temporary_target_error(error):
            raise
        connection.rollback()
        raise TargetError(
            f"the new rows of {key.table} violate its foreign key {key.part.name}, and were not shown: "
            f"{target_words(error)}"
        ) from None

"""Locks of tables, which sessions take by hints."""

from __future__ import annotations

import threading
from collections.abc import Callable

from standin.errors import SqlError
from standin.relations import Relation

#: seconds between two looks whether a waiting client has gone
LOOK_S = 0.05


class TableLocks:
    """Who holds a lock of which table, and whether it is an exclusive one."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._held: dict[tuple[str, str], dict[int, bool]] = {}

    def take(self, table: Relation, spid: int, *, is_exclusive: bool, lasts: bool) -> None:
        """A session's lock; refused at once (error 1222) where another session's is in the way.

        One that does not last is only asked whether it could be had.
        """
        with self._lock:
            held = self._held.setdefault(_key(table), {})
            if any(is_exclusive or other for owner, other in held.items() if owner != spid):
                raise SqlError(1222, "Lock request time out period exceeded.")
            if lasts:
                held[spid] = is_exclusive or held.get(spid, False)

    def wait(self, table: Relation, spid: int, waits_for: Callable[[int], None]) -> None:
        """Until no other session has an exclusive lock of a table, which keeps readers out.

        `waits_for` is told now and then which session that is, 0 once there is none; what it raises ends the wait.
        """
        with self._lock:
            while blocker := self._exclusive(table, spid):
                waits_for(blocker)
                self._lock.wait(LOOK_S)
        waits_for(0)

    def _exclusive(self, table: Relation, spid: int) -> int:
        held = self._held.get(_key(table), {})
        return next((owner for owner, is_exclusive in held.items() if is_exclusive and owner != spid), 0)

    def release(self, spid: int) -> None:
        """End of a session's transaction."""
        with self._lock:
            for held in self._held.values():
                held.pop(spid, None)
            self._lock.notify_all()


def _key(table: Relation) -> tuple[str, str]:
    return table.schema.lower(), table.name.lower()

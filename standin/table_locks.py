"""Locks of tables, which sessions take by hints."""

from __future__ import annotations

import threading

from standin.errors import SqlError
from standin.relations import Relation


class TableLocks:
    """Who holds a lock of which table, and whether it is an exclusive one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], dict[int, bool]] = {}

    def take(self, table: Relation, spid: int, *, is_exclusive: bool, lasts: bool) -> None:
        """A session's lock; refused at once (error 1222) where another session's is in the way.

        One that does not last is only asked whether it could be had.
        """
        with self._lock:
            held = self._held.setdefault((table.schema.lower(), table.name.lower()), {})
            if any(is_exclusive or other for owner, other in held.items() if owner != spid):
                raise SqlError(1222, "Lock request time out period exceeded.")
            if lasts:
                held[spid] = is_exclusive or held.get(spid, False)

    def release(self, spid: int) -> None:
        """End of a session's transaction."""
        with self._lock:
            for held in self._held.values():
                held.pop(spid, None)

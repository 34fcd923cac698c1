"""Connections to the target: how many a run may have, and those that its threads share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from db import connect_target
from model.errors import CancelledError
from model.settings import Settings
from postgres.connections import break_off, spare_connections
from run.context import Run
from scheduling.work import Places


def affordable(this_run: Run, places: Places, target: Any) -> Places:
    """As many workers as PostgreSQL has connections for: one has `target` already, and the run itself needs another.

    Those who join later get what is left then, but for the finisher's. Nobody joins a run that keeps to a rate, since
    each has its share of it from the beginning.
    """
    workers, spare = places.now, spare_connections(target)
    if spare is None:
        return Places(workers, workers)
    fewer = max(1, min(workers, spare))
    if fewer < workers:
        this_run.display.say(
            f"⚠️ {workers} workers need more connections than PostgreSQL has left for this role: {fewer} "
            f"worker{'s' if fewer != 1 else ''} instead. See max_connections, and the role's and the database's "
            f"CONNECTION LIMIT."
        )
    if fewer < workers or this_run.settings.max_rate is not None:
        return Places(fewer, fewer)
    return Places(workers, max(workers, min(places.most, spare - 1)))


def has_one_more(workers: int, target: Any) -> bool:
    """Whether PostgreSQL is known to have a connection left beside those of so many workers; as for `affordable`."""
    spare = spare_connections(target)
    return spare is not None and spare > workers


class TargetConnections:
    """Connections to the target that threads share, each opened when it is needed and again when it is broken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._first = _Connection(settings)
        self._all = [self._first]
        self._free = [self._first]

    @property
    def first(self) -> Any:
        """The one that the caller's own thread works with. Raises UnreachableError."""
        return self._first.opened()

    @contextmanager
    def one(self) -> Iterator[Callable[[], Any]]:
        """One that nobody else uses meanwhile."""
        try:
            own = self._free.pop()
        except IndexError:
            own = _Connection(self._settings)
            self._all.append(own)
        yield own.opened
        self._free.append(own)

    def give_up(self) -> None:
        """End all of them for good, from any thread."""
        for one in self._all:
            one.give_up()

    def close(self) -> None:
        """Close all of them."""
        for one in self._all:
            one.close()


class _Connection:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Any = None
        self._is_given_up = False

    def opened(self) -> Any:
        if self._is_given_up:
            raise CancelledError
        if self._connection is None or self._connection.closed:
            self._connection = connect_target(self._settings)
        return self._connection

    def give_up(self) -> None:
        self._is_given_up = True
        break_off(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

"""Errors to order: what waits for queries on a table."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from standin.errors import SqlError

#: Faults' numbers that close the connection, or say nothing any more, instead of sending an error.
DROP, HOLD = -1, -2


class ConnectionDroppedError(Exception):
    """A fault asked for the connection to be closed without a word."""


class HeldBackError(Exception):
    """A fault asked for the answer to be held back until the client cancels it or is gone."""


@dataclass
class Fault:
    """An error waiting for queries on a table; `after_rows` of `None` means before the first row."""

    number: int
    message: str
    times: int = 1
    after_rows: int | None = None

    @property
    def exception(self) -> Exception:
        """What ends the answer: the error that the client is told, or that it is told nothing."""
        if self.number == DROP:
            return ConnectionDroppedError()
        if self.number == HOLD:
            return HeldBackError()
        return SqlError(self.number, self.message, 13 if self.number == 1205 else 16)


@dataclass(frozen=True)
class Interruption:
    """What ends an answer once so many rows are sent."""

    after_rows: int
    exception: Exception


class Faults:
    """The faults that wait, by table (`schema.table`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Fault]] = {}

    def add(self, table: str, fault: Fault) -> None:
        """The fault waits behind those that the table has already."""
        with self._lock:
            self._waiting.setdefault(table.lower(), []).append(fault)

    def add_file(self, path: Path) -> None:
        """Adds the faults that a JSON file lists.

        Each is an object of `table`, `number` and `message`, and if wanted `times` and `after_rows`.
        """
        for given in json.loads(path.read_text(encoding="utf-8")):
            fault = Fault(
                given.get("number", DROP), given.get("message", ""), given.get("times", 1), given.get("after_rows")
            )
            self.add(given["table"], fault)

    def strike(self, table: str) -> Interruption | None:
        """What the next fault does to a query that names the table.

        Raises SqlError, ConnectionDroppedError or HeldBackError where the fault comes before the first row.
        """
        fault = self._take(table.lower())
        if fault is None:
            return None
        if fault.after_rows is not None:
            return Interruption(fault.after_rows, fault.exception)
        raise fault.exception

    def _take(self, table: str) -> Fault | None:
        with self._lock:
            waiting = self._waiting.get(table)
            if not waiting:
                return None
            fault = waiting[0]
            fault.times -= 1
            if fault.times <= 0:
                waiting.pop(0)
            return fault

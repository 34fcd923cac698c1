"""Readers who ask for all tables of a target all the time while it is refreshed, and never find one empty or half."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from types import TracebackType

import psycopg2

from demo.target import EmbeddedTarget
from postgres.names import quote
from tests.harness import wait_until

#: milliseconds that a reader waits for a lock; a longer wait is a failed query (docs/refresh.md)
LONGEST_WAIT_MS = 250
PAUSE_S = 0.02

Answer = tuple[str, ...]


class Watch:
    """Two readers at work while this context manager is open: one asks for all tables at once, one for each in turn.

    The tables' rows carry a note `night N …`; `rows_in` says how many there are of a night.
    """

    def __init__(
        self, target: EmbeddedTarget, database: str, tables: Sequence[str], rows_in: Callable[[int], int]
    ) -> None:
        self._target, self._database, self._rows_in = target, database, rows_in
        each = [
            f"(SELECT concat_ws(' ', count(*), min(split_part(note, ' ', 2)), max(split_part(note, ' ', 2)))"
            f" FROM {quote(table.lower())})"
            for table in tables
        ]
        self._seen: dict[str, list[Answer]] = {}
        self._failures: list[str] = []
        self._rounds = [0, 0]
        self._is_over = threading.Event()
        asked = ([f"SELECT {', '.join(each)}"], [f"SELECT {one}" for one in each])
        self._threads = [
            threading.Thread(target=self._read, args=(number, queries), daemon=True)
            for number, queries in enumerate(asked)
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        self._go_round()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._go_round()
        finally:
            self._is_over.set()
            for thread in self._threads:
                thread.join(20)

    @property
    def troubles(self) -> list[str]:
        """What no reader may see: a failure, an empty table, rows of two nights, or more than the old and the new."""
        found = list(self._failures[:10])
        for query, answers in self._seen.items():
            mixed = [one for one in answers if not all(map(self._is_whole, one))]
            if mixed or len(answers) > 2:
                found.append(f"a reader saw {' then '.join(map(str, answers))} by {query}")
        return found

    def _is_whole(self, table: str) -> bool:
        """Whether a table's answer is all rows of one night."""
        count, *nights = map(int, table.split())
        return len(set(nights)) == 1 and count == self._rows_in(nights[0])

    def _go_round(self) -> None:
        before = list(self._rounds)
        wait_until(
            lambda: all(now >= then + 2 for now, then in zip(self._rounds, before, strict=True)),
            f"readers go on reading; {self._failures}",
        )

    def _read(self, number: int, queries: Sequence[str]) -> None:
        with closing(self._target.connect(self._database)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"SET lock_timeout = {LONGEST_WAIT_MS}")
            while not self._is_over.is_set():
                for query in queries:
                    try:
                        cursor.execute(query)
                        (answer,) = cursor.fetchall()
                    except psycopg2.Error as error:
                        self._failures.append(f"a reader's query failed: {error.pgcode} {' '.join(str(error).split())}")
                        if connection.closed:
                            return
                    else:
                        seen = self._seen.setdefault(query, [])
                        if not seen or seen[-1] != answer:
                            seen.append(answer)
                    time.sleep(PAUSE_S)
                self._rounds[number] += 1

"""Workers that are threads of this process, watched by the thread that gave them their tasks."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic

from model.errors import CancelledError
from model.rates import MaxRate
from scheduling.pace import Pace
from scheduling.retry import Again
from scheduling.tasks import C, Label, Lane, Task, let_go

#: threads that may hang in a driver for ever before a run does
MOST_HANGING = 1000
#: seconds of a wait for the pace after which a worker looks whether it is to end
LONGEST_PAUSE_S = 0.5


@dataclass(frozen=True)
class Remark:
    """What a worker says of its task's table; `again` where it tries something again."""

    label: Label
    words: str = ""
    again: Again | None = None


class LocalWorkers(Generic[C]):
    """Runs tasks in threads, which go on with each other's connections.

    A thread that hangs in a driver is left behind, its connections broken: the next task gets a new one.
    """

    def __init__(
        self, count: int, connections: Iterable[C] = (), rate: MaxRate | None = None, finishing: C | None = None
    ) -> None:
        """`connections` are those with which the first workers go on; `rate` is kept by all together.

        `finishing` are those of the finisher, where there is one.
        """
        self.count = count
        self.has_finisher = finishing is not None
        self._pace = None if rate is None else Pace(rate)
        # Far more threads than workers, made when needed: one that hangs must not keep another from beginning.
        self._executor = ThreadPoolExecutor(count + MOST_HANGING, thread_name_prefix="worker")
        # Each lane keeps to its own: a worker's are needed for what only they can do.
        self._idle: Mapping[Lane, queue.SimpleQueue[C]] = {
            "working": queue.SimpleQueue(), "finishing": queue.SimpleQueue(),
        }  # fmt: skip
        for one in connections:
            self._idle["working"].put(one)
        if finishing is not None:
            self._idle["finishing"].put(finishing)
        self._busy: dict[Label, C] = {}
        self._rows: dict[Label, int] = {}
        self._moved_at: dict[Label, float] = {}
        self._given_up: set[Label] = set()
        self._futures: dict[Label, Future[object]] = {}
        self._stopping = threading.Event()
        self._remarks: queue.SimpleQueue[Remark] = queue.SimpleQueue()

    def submit(
        self, task: Task[C, object], lane: Lane = "working", *, tries_again: bool = False, pace: Pace | None = None
    ) -> Future[object]:
        """Have a task done, as soon as a thread is free, by whoever is in that lane.

        It `tries_again` where others were given it before and lost. It keeps to a `pace` of its own, or to that of all.
        """
        if tries_again:
            self._given_up.add(task.label)
        future = self._executor.submit(self._run, task, lane, pace or self._pace)
        self._futures = {label: one for label, one in self._futures.items() if not one.done()} | {task.label: future}
        return future

    def remarks(self) -> list[Remark]:
        """What workers said since the last time."""
        found = []
        while not self._remarks.empty():
            found.append(self._remarks.get())
        return found

    def rows_under_way(self) -> dict[str, int]:
        """The rows of each table that are on their way and not committed."""
        rows: dict[str, int] = {}
        for label, count in list(self._rows.items()):
            rows[label.table] = rows.get(label.table, 0) + count
        return rows

    def rows_of_tasks(self) -> dict[Label, int]:
        """The same of each task."""
        return dict(self._rows)

    def stands_still(self, label: Label, seconds: float) -> bool:
        """Whether a task has not moved for so long."""
        moved_at = self._moved_at.get(label)
        return moved_at is not None and time.monotonic() - moved_at > seconds

    def seconds_still(self, label: Label) -> float:
        """For how long a task has not moved; 0 where it may take long."""
        moved_at = self._moved_at.get(label)
        return 0.0 if moved_at is None else max(time.monotonic() - moved_at, 0.0)

    def give_up(self, label: Label) -> None:
        """End a task that stands still.

        Its thread may hang in a driver for ever; its connections are broken, so it cannot commit any more.
        """
        connections = self._busy.pop(label, None)
        if connections is not None:
            connections.give_up()
        self._given_up.add(label)
        # It may never end.
        self._futures.pop(label, None)
        self._rows.pop(label, None)
        self._moved_at.pop(label, None)

    def stop(self, seconds: float) -> None:
        """End all tasks, and wait so long for them at most; what they had not committed is rolled back."""
        self._stopping.set()
        for connections in list(self._busy.values()):
            connections.give_up()
        _, left = wait(self._futures.values(), timeout=seconds)
        for future in left:
            future.cancel()

    def close(self) -> None:
        """Take no more tasks. Does not wait: a thread may hang for ever."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def disconnect(self) -> None:
        """Close the connections that nobody uses."""
        for idle in self._idle.values():
            while not idle.empty():
                idle.get().disconnect()

    def _run(self, task: Task[C, object], lane: Lane, pace: Pace | None) -> object:
        if self._stopping.is_set():
            raise CancelledError
        with self._connections_for(task, self._idle[lane]) as connections:
            return task.run(_Watched(self, task.label, connections, task.label in self._given_up, pace))

    @contextmanager
    def _connections_for(self, task: Task[C, Any], idle: queue.SimpleQueue[C]) -> Iterator[C]:
        try:
            connections = idle.get_nowait()
        except queue.Empty:
            connections = task.connect()
        label = task.label
        self._busy[label] = connections
        self._moved_at[label] = time.monotonic()
        try:
            yield connections
        except BaseException as error:
            let_go(error)
            connections.disconnect()
            raise
        finally:
            # What was given up is not used again.
            if self._busy.get(label) is connections:
                del self._busy[label]
                self._rows.pop(label, None)
                self._moved_at.pop(label, None)
                idle.put(connections)
            else:
                connections.disconnect()

    # -- what a worker reports -----------------------------------------------------------------------

    def _note(self, worker: _Watched[C], rows: int) -> None:
        if self._is_watched(worker):
            self._rows[worker.label] = rows
            self._moved_at[worker.label] = time.monotonic()
        self._end_if_stopping(worker)

    def _keep_pace(self, worker: _Watched[C], rows: int, size: int) -> None:
        left = 0.0 if worker.pace is None else worker.pace.seconds_for(rows, size)
        while left > 0:
            # Whoever waits for the pace does not stand still.
            if self._is_watched(worker):
                self._moved_at[worker.label] = time.monotonic()
            self._end_if_stopping(worker)
            self._stopping.wait(min(left, LONGEST_PAUSE_S))
            left -= LONGEST_PAUSE_S
        self._end_if_stopping(worker)

    def _pause_watching(self, worker: _Watched[C]) -> None:
        if self._is_watched(worker):
            self._moved_at.pop(worker.label, None)

    def _wait(self, worker: _Watched[C], again: Again) -> None:
        self._end_if_stopping(worker)
        if self._is_watched(worker):
            self._moved_at[worker.label] = time.monotonic() + again.seconds
        self._remarks.put(Remark(worker.label, again=again))
        self._stopping.wait(again.seconds)
        self._end_if_stopping(worker)

    def _say(self, worker: _Watched[C], words: str) -> None:
        self._remarks.put(Remark(worker.label, words))

    def _is_watched(self, worker: _Watched[C]) -> bool:
        return self._busy.get(worker.label) is worker.connections

    def _end_if_stopping(self, worker: _Watched[C]) -> None:
        if self._stopping.is_set() or not self._is_watched(worker):
            raise CancelledError


@dataclass(frozen=True)
class _Watched(Generic[C]):
    """A thread at work on a task."""

    _of: LocalWorkers[C]
    label: Label
    connections: C
    tries_again: bool
    pace: Pace | None

    def moved(self, rows: int = 0) -> None:
        self._of._note(self, rows)

    def keep_pace(self, rows: int, size: int) -> None:
        self._of._keep_pace(self, rows, size)

    def may_take_long(self) -> None:
        self._of._pause_watching(self)

    def wait(self, again: Again) -> None:
        self._of._wait(self, again)

    def remark(self, words: str) -> None:
        self._of._say(self, words)

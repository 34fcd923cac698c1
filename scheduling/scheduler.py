"""Tables and their tasks over workers: what is done next, what stands still, what ends.

Knows nothing of rows, servers or what a person reads. A table says which tasks it needs; whatever happens is told as
events, in one thread, to whoever listens.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, Protocol

from model.errors import CancelledError, ReplicationError, ServerError, Stopped, TableError, TimeIsUpError
from model.events import (
    FINISHER,
    Event,
    MovesAgain,
    Remarked,
    RowsUnderWay,
    StandsStill,
    Stopping,
    TaskBegun,
    TaskEnded,
    TriedAgain,
)
from scheduling.local_workers import Remark
from scheduling.tasks import C, Label, Lane, Task

#: seconds after which events of standing tasks, rows under way and remarks are looked at
SECONDS_A_ROUND = 0.25
#: seconds without a row after which a task is not expected to end soon
STILL_SECONDS = 2.0


class Workers(Protocol[C]):
    """Whatever runs tasks: threads of this process, or others."""

    @property
    def count(self) -> int:
        """How many workers there are: tasks that may run at the same time, but for the finisher's."""

    @property
    def has_finisher(self) -> bool:
        """Whether there is one beside them who takes up what is in the lane `finishing`."""

    def submit(self, task: Task[C, object], lane: Lane) -> Future[object]:
        """Have a task done by a worker, or by the finisher."""

    def remarks(self) -> list[Remark]:
        """What workers said since the last time."""

    def rows_under_way(self) -> dict[str, int]:
        """The rows of each table that are on their way and not committed."""

    def stands_still(self, label: Label, seconds: float) -> bool:
        """Whether a task has not moved for so long."""

    def seconds_still(self, label: Label) -> float:
        """For how long a task has not moved; 0 where it may take long."""

    def give_up(self, label: Label) -> None:
        """End a task that stands still, so that it cannot commit any more."""

    def stop(self, seconds: float) -> None:
        """End all tasks, and wait so long for them at most."""


class TableTasks(Protocol[C]):
    """A table on its way: the tasks that it needs, as they become known, and the events of it.

    All of it is called in the scheduler's thread.
    """

    @property
    def key(self) -> str:
        """The table's key in the progress file."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be done for it."""

    def begin(self) -> Sequence[Task[C, object]]:
        """Its first tasks."""

    def take(self, task: Task[C, object], result: Any) -> Sequence[Task[C, object]]:
        """What a task brought; returns the tasks that follow from it."""

    def fail(self, error: Exception) -> Sequence[Task[C, object]]:
        """It cannot be done; returns what is to be done all the same."""

    def events(self) -> list[Event]:
        """What happened to it since the last time."""


@dataclass(frozen=True)
class Limits:
    """After how many seconds a task stands still, and how often one may before its table fails.

    `seconds_to_stop` is how long tasks get to end when the run ends before its time; tasks that only read get none, and
    are not waited for where a server is gone.
    """

    stall_seconds: float
    attempts: int
    seconds_to_stop: float = 10.0
    #: tasks that run when a signal comes get so long to end by themselves, as long as they move; ten seconds after it
    #: both servers are free
    seconds_to_end: float = 8.0
    #: the moment from which no task begins any more, and its words for a person
    stop_at: datetime | None = None
    #: seconds after which it is told that a task does not move, and again
    told_after: float = 10.0
    told_again: float = 60.0


_Ready = tuple[TableTasks[C], Task[C, object]]


@dataclass
class _Running(Generic[C]):
    #: counted from 1, or the finisher
    worker: int
    table: TableTasks[C]
    task: Task[C, object]
    stalls: int = 0
    #: seconds of standing still at which it was told last; 0 where it moves
    told_at: float = 0.0

    @property
    def lane(self) -> Lane:
        return "finishing" if self.worker == FINISHER else "working"

    @property
    def begun(self) -> Event:
        return TaskBegun(self.table.key, self.worker, self.task.label.task)

    @property
    def ended(self) -> Event:
        return TaskEnded(self.table.key, self.worker, self.task.label.task)


class Scheduler(Generic[C]):
    """Hands tables' tasks to workers until all are over."""

    def __init__(self, workers: Workers[C], limits: Limits, publish: Callable[[Sequence[Event]], None]) -> None:
        """`publish` is given the events of each round, in order, before the tasks that follow from them begin."""
        self._workers = workers
        self._limits = limits
        self._publish = publish
        self._waiting: deque[TableTasks[C]] = deque()
        self._ready: deque[_Ready[C]] = deque()
        self._running: dict[Future[object], _Running[C]] = {}
        self._events: list[Event] = []
        self._server_error: ServerError | None = None
        self._is_time_up = False
        #: kept, since letting go of an error frees what its worker hangs in, and waits with it
        self._errors: list[BaseException] = []

    def run(self, tables: Iterable[TableTasks[C]], following: Callable[[], Iterable[TableTasks[C]]] = tuple) -> None:
        """Work until every table is over. Raises ServerError, once the tasks that run have ended, and Stopped.

        `following` gives, each round, what is to be done because of what was, each once.
        """
        self._waiting.extend(tables)
        done: Iterable[Future[object]] = ()
        try:
            while True:
                self._tell_remarks()
                for future in done:
                    self._take(self._running.pop(future), future)
                if self._server_error is not None and not self._limits.seconds_to_stop:
                    raise self._server_error
                self._look_for_standstill()
                self._look_at_the_clock()
                self._waiting.extendleft(following())
                chosen = self._choose()
                if not (chosen or self._running):
                    # Tables may have been over as soon as they began.
                    self._waiting.extendleft(following())
                    chosen = self._choose()
                if under_way := self._workers.rows_under_way():
                    self._events.append(RowsUnderWay(under_way))
                events, self._events = self._events, []
                self._publish(events)
                for one in chosen:
                    self._running[self._workers.submit(one.task, one.lane)] = one
                if not self._running:
                    break
                done, _ = wait(self._running, timeout=SECONDS_A_ROUND, return_when=FIRST_COMPLETED)
        except BaseException as error:
            try:
                if isinstance(error, Stopped):
                    self._let_end()
            finally:
                self._workers.stop(self._limits.seconds_to_stop)
            raise
        if self._server_error is not None:
            raise self._server_error
        if self._is_time_up and (self._waiting or any(not table.is_over for table, _ in self._ready)):
            raise TimeIsUpError(f"it is {self._limits.stop_at:%H:%M}, at which --stop-at ends the run")

    def _look_at_the_clock(self) -> None:
        stop_at = self._limits.stop_at
        if stop_at is not None and not self._is_time_up and datetime.now() >= stop_at:
            self._is_time_up = True
            if self._running:
                self._events.append(Stopping(f"It is {stop_at:%H:%M}: the chunks under way are brought to their end"))

    def _let_end(self) -> None:
        """Let tasks that run end by themselves, if that is soon: what they have brought by then is not lost."""
        deadline = time.monotonic() + self._limits.seconds_to_end
        if self._limits.seconds_to_stop and self._moving():
            self._publish([Stopping("Stopping once the chunks under way are through", self._limits.seconds_to_end)])
        while self._limits.seconds_to_stop and time.monotonic() < deadline and self._moving():
            self._end_what_stands_still()
            done, _ = wait(self._running, timeout=SECONDS_A_ROUND, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(self._running.pop(future), future)
            events, self._events = self._events, []
            self._publish(events)

    def _moving(self) -> list[_Running[C]]:
        return [one for one in self._running.values() if self._moves(one)]

    def _moves(self, running: _Running[C]) -> bool:
        return self._workers.seconds_still(running.task.label) < STILL_SECONDS

    def _end_what_stands_still(self) -> None:
        """It may hang for ever: its servers need not wait until others are through."""
        for future, running in list(self._running.items()):
            if not (future.done() or self._moves(running)):
                del self._running[future]
                self._workers.give_up(running.task.label)
                self._events.append(running.ended)

    def _choose(self) -> list[_Running[C]]:
        """What those who are free do next: what was begun before what waits."""
        chosen: list[_Running[C]] = []
        if self._server_error is not None or self._is_time_up:
            return chosen
        busy = {one.worker for one in self._running.values()}
        workers = [number for number in range(1, self._workers.count + 1) if number not in busy]
        finisher = [FINISHER] if self._workers.has_finisher and FINISHER not in busy else []
        # The finisher last: what no worker has time for. The last table's end needs no other connection.
        for number in (*workers, *finisher):
            found = self._take_ready("finishing") if number == FINISHER else self._next_of_worker()
            if found is not None:
                chosen.append(_Running(number, *found))
                self._events.append(chosen[-1].begun)
        return chosen

    def _next_of_worker(self) -> _Ready[C] | None:
        """What a worker does next: chunks before the next table, and what the finisher does not get to."""
        while True:
            if not self._workers.has_finisher and self._ready:
                return self._ready.popleft()
            # A stop costs what is copied and not finished, so no more of it piles up than the workers soon work off.
            late = sum(task.lane == "finishing" for _, task in self._ready) > self._workers.count
            found = self._take_ready("working") or (self._take_ready("finishing") if late else None)
            if found is None and self._waiting:
                table = self._waiting.popleft()
                self._follow(table, table.begin)
                continue
            return found or self._take_ready("finishing")

    def _take_ready(self, lane: Lane) -> _Ready[C] | None:
        """The first task in a lane."""
        for one in self._ready:
            if one[1].lane == lane:
                self._ready.remove(one)
                return one
        return None

    def _follow(self, table: TableTasks[C], step: Callable[[], Sequence[Task[C, object]]]) -> None:
        """Take a step of a table; the tasks that follow from it go before all others."""
        try:
            following = step()
        except ServerError:
            raise
        except ReplicationError as error:
            following = self._failed(table, error)
        self._events += table.events()
        self._ready.extendleft((table, task) for task in reversed(following))

    def _failed(self, table: TableTasks[C], error: Exception) -> Sequence[Task[C, object]]:
        self._ready = deque((other, task) for other, task in self._ready if other is not table)
        return table.fail(error)

    def _take(self, running: _Running[C], future: Future[object]) -> None:
        table, error = running.table, future.exception()
        self._events.append(running.ended)
        if error is not None:
            self._errors.append(error)
        if error is None:
            if not table.is_over:
                self._follow(table, lambda: table.take(running.task, future.result()))
        elif isinstance(error, ServerError):
            self._server_error = error
        elif isinstance(error, Exception):
            self._fail(table, error)
        else:
            raise error

    def _fail(self, table: TableTasks[C], error: Exception) -> None:
        if isinstance(error, CancelledError):
            # What this run gives up it does not hear of. A table without its task would never be over.
            error = TableError("a task of it was cancelled, and not by this run. Use --resume")
        if not table.is_over:
            self._follow(table, lambda: self._failed(table, error))

    def _tell_remarks(self) -> None:
        for remark in self._workers.remarks():
            self._events.append(self._told(remark))

    @staticmethod
    def _told(remark: Remark) -> Event:
        again, table = remark.again, remark.label.table
        if again is None:
            return Remarked(table, remark.words)
        return TriedAgain(
            table, remark.label.told_as, str(again.error), again.attempt, again.attempts, again.seconds
        )  # fmt: skip

    def _look_for_standstill(self) -> None:
        for future, running in list(self._running.items()):
            label = running.task.label
            self._tell_standstill(running)
            if self._workers.stands_still(label, self._limits.stall_seconds) and not future.done():
                del self._running[future]
                self._workers.give_up(label)
                self._try_anew(running)

    def _tell_standstill(self, running: _Running[C]) -> None:
        seconds, table = self._workers.seconds_still(running.task.label), running.table.key
        due = running.told_at + self._limits.told_again if running.told_at else self._limits.told_after
        if seconds >= due:
            running.told_at = seconds
            self._events.append(StandsStill(table, seconds))
        elif running.told_at and seconds < running.told_at:
            self._events.append(MovesAgain(table, running.told_at))
            running.told_at = 0.0

    def _try_anew(self, running: _Running[C]) -> None:
        words = f"no row for {self._limits.stall_seconds:g} s"
        if running.stalls + 1 < self._limits.attempts:
            self._events.append(Remarked(running.table.key, f"🔁 {words}; retried with another connection"))
            again = replace(running, stalls=running.stalls + 1)
            self._running[self._workers.submit(again.task, again.lane)] = again
            return
        self._events.append(running.ended)
        self._fail(
            running.table,
            TableError(
                f"{words}, {running.stalls + 1} times; it was given up. What blocks a query shows in "
                f"sys.dm_exec_requests of the source and in pg_stat_activity of the target; if the servers only need "
                f"longer, set a larger STALL_TIMEOUT. Then use --resume"
            ),
        )

"""The scheduler: what it hands out next, what it tells, and what ends it; over made-up tables, with no server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from model.errors import CancelledError, Stopped, TargetError, UnreachableError
from model.events import (
    FINISHER,
    Event,
    Remarked,
    RowsUnderWay,
    TableCompleted,
    TableFailed,
    TableStarted,
    TaskBegun,
    TaskEnded,
    TriedAgain,
)
from scheduling.local_workers import LocalWorkers
from scheduling.retry import RetryPolicy, with_retries
from scheduling.scheduler import Limits, Scheduler
from scheduling.tasks import Label, Lane, Task, Worker
from tests.harness import wait_until


class NoConnections:
    """A worker that needs none."""

    def __init__(self) -> None:
        self.is_given_up = threading.Event()

    def give_up(self) -> None:
        self.is_given_up.set()

    def disconnect(self) -> None:
        pass


@dataclass(frozen=True)
class Step:
    """A task that does what its table's test wants; the last one may be done by a finisher."""

    table: Table
    name: str

    @property
    def lane(self) -> Lane:
        return "finishing" if self.name == "last" else "working"

    @property
    def label(self) -> Label:
        return Label(self.table.key, self.name, self.name)

    def connect(self) -> NoConnections:
        return NoConnections()

    def run(self, worker: Worker[NoConnections]) -> object:
        return self.table.do(self.name, worker)


@dataclass(eq=False)
class Table:
    """Two steps beside each other, then a last one; `errors` are what steps raise."""

    key: str
    log: list[str]
    errors: dict[str, Exception] = field(default_factory=dict)
    is_over: bool = False
    left: set[str] = field(default_factory=lambda: {"one", "two"})
    told: list[Event] = field(default_factory=list)

    def begin(self) -> Sequence[Task[NoConnections, object]]:
        self.told.append(TableStarted(self.key, self.key, self.key))
        if "begin" in self.errors:
            raise self.errors["begin"]
        return [Step(self, "one"), Step(self, "two")]

    def take(self, task: Task[NoConnections, object], result: Any) -> Sequence[Task[NoConnections, object]]:
        assert isinstance(task, Step)
        assert result == task.name
        if task.name == "last":
            self.told.append(TableCompleted(self.key, 0))
            self.is_over = True
            return []
        self.left.discard(task.name)
        return [] if self.left else [Step(self, "last")]

    def fail(self, error: Exception) -> Sequence[Task[NoConnections, object]]:
        self.told.append(TableFailed(self.key, str(error)))
        self.is_over = True
        return [Step(self, "clean up")]

    def events(self) -> list[Event]:
        told, self.told = self.told, []
        return told

    def do(self, name: str, worker: Worker[NoConnections]) -> object:
        worker.moved()
        self.log.append(f"{self.key} {name}")
        if name in self.errors:
            raise self.errors[name]
        return name


def work(tables: Sequence[Table], count: int = 1, seconds: float = 60, attempts: int = 2) -> list[Event]:
    """Let so many workers do the tables; returns all events."""
    events: list[Event] = []
    workers = LocalWorkers[NoConnections](count)
    try:
        Scheduler(workers, Limits(seconds, attempts), events.extend).run(tables)
    finally:
        workers.close()
    return events


def of_tables(events: Sequence[Event]) -> list[Event]:
    """The events that say what became of tables, not who did it."""
    return [event for event in events if not isinstance(event, (TaskBegun, TaskEnded))]


def test_one_worker_ends_a_table_before_it_begins_the_next() -> None:
    log: list[str] = []
    events = work([Table("A", log), Table("B", log)])
    assert log == ["A one", "A two", "A last", "B one", "B two", "B last"]
    assert [type(event).__name__ for event in of_tables(events)] == ["TableStarted", "TableCompleted"] * 2


def test_who_takes_up_which_task_is_told_before_and_after_it() -> None:
    events = [event for event in work([Table("A", [])]) if isinstance(event, (TaskBegun, TaskEnded))]
    assert events == [kind("A", 1, task) for task in ("one", "two", "last") for kind in (TaskBegun, TaskEnded)]


def test_no_two_tasks_are_in_the_same_worker_s_hands() -> None:
    busy: dict[int, str] = {}
    for event in work([Table(key, []) for key in "ABCDEF"], count=3):
        if isinstance(event, TaskBegun):
            assert 1 <= event.worker <= 3
            assert busy.setdefault(event.worker, event.table + event.task) == event.table + event.task
        elif isinstance(event, TaskEnded):
            assert busy.pop(event.worker) == event.table + event.task
    assert busy == {}


def test_a_table_that_fails_costs_no_other_and_is_cleaned_up() -> None:
    log: list[str] = []
    events = work([Table("A", log, {"one": TargetError("refused")}), Table("B", log)])
    assert log == ["A one", "A clean up", "B one", "B two", "B last"]
    assert TableFailed("A", "refused") in events
    assert TableCompleted("B", 0) in events


def test_a_table_that_cannot_begin_fails_with_its_start_told() -> None:
    events = work([Table("A", [], {"begin": TargetError("no such table")})])
    assert of_tables(events) == [TableStarted("A", "A", "A"), TableFailed("A", "no such table")]


def test_a_fault_of_ours_fails_its_table_alone() -> None:
    log: list[str] = []
    events = work([Table("A", log, {"two": ZeroDivisionError("oops")}), Table("B", log)])
    assert TableFailed("A", "oops") in events
    assert TableCompleted("B", 0) in events


def test_a_task_that_somebody_else_cancelled_fails_its_table() -> None:
    (failed,) = (event for event in work([Table("a", [], {"one": CancelledError()})]) if isinstance(event, TableFailed))
    assert "was cancelled, and not by this run" in failed.error


def test_a_server_that_is_gone_ends_the_run_and_begins_nothing_more() -> None:
    log: list[str] = []
    with pytest.raises(UnreachableError, match="gone"):
        work([Table("A", log, {"one": UnreachableError("gone")}), Table("B", log)])
    assert log == ["A one"]


def test_what_happened_is_told_before_what_follows_from_it_begins() -> None:
    """A progress file that says "pending" of a table that is being loaded would not survive a kill."""
    log: list[str] = []

    def publish(events: Sequence[Event]) -> None:
        log.extend(f"{event.table} told" for event in events if isinstance(event, TableStarted))

    workers = LocalWorkers[NoConnections](1)
    Scheduler(workers, Limits(60, 2), publish).run([Table("A", log), Table("B", log)])
    workers.close()
    assert log.index("A told") < log.index("A one")
    assert log.index("B told") < log.index("B one")


def test_several_workers_do_several_tasks_at_a_time() -> None:
    meeting = threading.Barrier(4, timeout=30)

    class Meeting(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name in ("one", "two"):
                meeting.wait()
            return super().do(name, worker)

    events = work([Meeting("A", []), Meeting("B", [])], count=4)
    assert {event.table for event in events if isinstance(event, TableCompleted)} == {"A", "B"}


def test_what_is_tried_again_is_told_with_its_part_of_the_work() -> None:
    class Trying(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            def once(attempt: int) -> object:
                if attempt == 1 and name == "two":
                    raise TargetError("not now", is_temporary=True)
                return name

            return with_retries(RetryPolicy(3, 0), once, worker.wait)

    (again,) = [event for event in work([Trying("A", [])]) if isinstance(event, TriedAgain)]
    assert (again.table, again.task, again.error, again.attempt, again.attempts) == ("A", "two", "not now", 2, 3)


class Sleeper(Table):
    """Its second step stands still until its connections are given up."""

    sleeps = 1

    def do(self, name: str, worker: Worker[NoConnections]) -> object:
        if name == "two" and self.sleeps:
            self.sleeps -= 1
            assert worker.connections.is_given_up.wait(30)
            worker.moved()
            raise AssertionError("a worker that was given up goes on")
        if name == "two":
            self.log.append(f"again: {worker.tries_again}")
        return super().do(name, worker)


def test_a_task_that_stands_still_is_given_up_and_tried_anew() -> None:
    log: list[str] = []
    events = work([Sleeper("A", log)], seconds=0.3)
    assert "again: True" in log
    assert [event.words for event in events if isinstance(event, Remarked)] == [
        "🔁 no row for 0.3 s; retried with another connection"
    ]
    assert TableCompleted("A", 0) in events


def test_a_task_that_always_stands_still_fails_its_table() -> None:
    table = Sleeper("A", [])
    table.sleeps = 9
    (failed,) = [event for event in work([table], seconds=0.3) if isinstance(event, TableFailed)]
    assert failed.error.startswith("no row for 0.3 s, 2 times; it was given up.")


def test_what_may_take_long_does_not_stand_still() -> None:
    over = threading.Event()

    class Slow(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two":
                worker.may_take_long()
                over.wait(1.5)
            return super().do(name, worker)

    events = work([Slow("A", [])], seconds=0.2)
    assert not [event for event in events if isinstance(event, Remarked)]
    assert TableCompleted("A", 0) in events


def test_rows_under_way_are_told_and_forgotten_when_they_are_there() -> None:
    seen = threading.Event()

    class Rows(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two":
                worker.moved(500)
                assert seen.wait(30)
            return super().do(name, worker)

    rows: list[int] = []

    def publish(events: Sequence[Event]) -> None:
        rows.extend(event.rows["A"] for event in events if isinstance(event, RowsUnderWay) and "A" in event.rows)
        if rows:
            seen.set()

    workers = LocalWorkers[NoConnections](2)
    Scheduler(workers, Limits(60, 2), publish).run([Rows("A", [])])
    workers.close()
    assert rows[0] == 500
    assert workers.rows_under_way() == {}


def test_a_stop_ends_the_tasks_and_breaks_their_connections() -> None:
    begun = threading.Event()
    ends: list[bool] = []

    class Endless(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            self.log.append(name)
            begun.set()
            ends.append(worker.connections.is_given_up.wait(30))
            worker.moved()
            raise AssertionError("a worker that was stopped goes on")

    def publish(_: Sequence[Event]) -> None:
        if begun.is_set():
            raise Stopped(15)

    workers = LocalWorkers[NoConnections](1)
    with pytest.raises(Stopped):
        Scheduler(workers, Limits(60, 2), publish).run([Endless("A", []), Endless("B", [])])
    workers.close()
    assert ends == [True]


def test_what_hangs_when_a_stop_comes_ends_before_what_moves() -> None:
    given_up = threading.Event()

    class Half(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "one":
                worker.connections.is_given_up.wait(30)
                given_up.set()
                raise CancelledError
            while not given_up.wait(0.05):
                worker.moved(1)
            return super().do(name, worker)

    stops = [Stopped(15)]

    def publish(events: Sequence[Event]) -> None:
        if stops and any(isinstance(event, RowsUnderWay) for event in events):
            raise stops.pop()

    workers, log = LocalWorkers[NoConnections](2), list[str]()
    with pytest.raises(Stopped):
        Scheduler(workers, Limits(60, 2, seconds_to_end=15), publish).run([Half("A", log)])
    workers.close()
    assert log == ["A two"]


def test_tasks_that_only_read_are_not_waited_for_when_a_server_is_gone() -> None:
    """A count on the other server may take hours."""
    over = threading.Event()

    class Slow(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two":
                worker.may_take_long()
                over.wait(60)
            return super().do(name, worker)

    workers = LocalWorkers[NoConnections](2)
    try:
        with pytest.raises(UnreachableError, match="gone"):
            Scheduler(workers, Limits(60, 2, seconds_to_stop=0), lambda _: None).run(
                [Slow("A", [], {"one": UnreachableError("gone")})]
            )
        assert not over.is_set()
    finally:
        over.set()
        workers.close()


def test_a_task_that_was_given_up_is_not_waited_for_at_the_end() -> None:
    wakes_up = threading.Event()

    class Hanging(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two" and not worker.tries_again:
                wakes_up.wait(60)
            if name == "last":
                raise UnreachableError("gone")
            return super().do(name, worker)

    workers = LocalWorkers[NoConnections](2)
    try:
        with pytest.raises(UnreachableError):
            Scheduler(workers, Limits(0.3, 2), lambda _: None).run([Hanging("A", [])])
        assert not wakes_up.is_set()
        workers.stop(60)
        assert not wakes_up.is_set()
    finally:
        wakes_up.set()
        workers.close()


# -- the finisher ------------------------------------------------------------------------------------------


PATIENT = Limits(60, 2)


def finish_beside(tables: Sequence[Table], count: int = 1, limits: Limits = PATIENT) -> list[Event]:
    """Let so many workers and a finisher do the tables; returns all events."""
    events: list[Event] = []
    workers = LocalWorkers[NoConnections](count, finishing=NoConnections())
    try:
        Scheduler(workers, limits, events.extend).run(tables)
    finally:
        workers.close()
    return events


def who_did(events: Sequence[Event], task: str) -> dict[str, int]:
    """The worker who took up this task, by the table."""
    return {event.table: event.worker for event in events if isinstance(event, TaskBegun) and event.task == task}


class Finished(Table):
    """Its last step waits until another table's first one has begun."""

    next_begins: threading.Event

    def do(self, name: str, worker: Worker[NoConnections]) -> object:
        if name == "last":
            assert self.next_begins.wait(30)
        return super().do(name, worker)


class Next(Table):
    """Lets it be known that it begins."""

    begins: threading.Event

    def do(self, name: str, worker: Worker[NoConnections]) -> object:
        self.begins.set()
        return super().do(name, worker)


def one_after_the_other(log: list[str]) -> tuple[Finished, Next]:
    """Two tables; the first is not finished before the second begins."""
    first, second = Finished("A", log), Next("B", log)
    first.next_begins = second.begins = threading.Event()
    return first, second


def test_a_table_is_finished_while_the_only_worker_is_at_the_next_one() -> None:
    log: list[str] = []
    events = finish_beside(one_after_the_other(log))
    assert log.index("B one") < log.index("A last")
    assert {event.table for event in events if isinstance(event, TableCompleted)} == {"A", "B"}
    assert who_did(events, "one") == {"A": 1, "B": 1}
    assert who_did(events, "last")["A"] == FINISHER


def test_the_last_table_is_finished_by_its_worker_who_has_nothing_else_to_do() -> None:
    assert who_did(finish_beside([Table("A", [])]), "last") == {"A": 1}


def test_the_finisher_keeps_to_his_connections_and_workers_to_theirs() -> None:
    """Those of a worker may be the only ones that see the source's snapshot."""
    own, beside, used = NoConnections(), NoConnections(), dict[str, object]()

    class Noting(Finished):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            used[f"{self.key} {name}"] = worker.connections
            return super().do(name, worker)

    log: list[str] = []
    _, second = one_after_the_other(log)
    first = Noting("A", log)
    first.next_begins = second.begins
    workers = LocalWorkers[NoConnections](1, [own], finishing=beside)
    Scheduler(workers, Limits(60, 2), lambda _: None).run([first, second])
    workers.close()
    assert used == {"A one": own, "A two": own, "A last": beside}


def test_workers_help_before_more_tables_wait_to_be_finished_than_there_are_workers() -> None:
    """A stop would cost all that is copied and not finished."""
    held, log, waiting, most = threading.Event(), list[str](), set[str](), list[int]()

    class Held(Table):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two":
                waiting.add(self.key)
            elif name == "last":
                if self.key == "A":
                    assert held.wait(30)
                waiting.discard(self.key)
                most.append(len(waiting))
                if self.key == "H":
                    held.set()
            return super().do(name, worker)

    events = finish_beside([Held(key, log) for key in "ABCDEFGH"])
    assert {event.table for event in events if isinstance(event, TableCompleted)} == set("ABCDEFGH")
    assert who_did(events, "last")["A"] == FINISHER
    # A is being finished; one may wait, and with the second one the worker finishes rather than begin another.
    assert max(most) <= 3


def test_a_finisher_that_stands_still_is_tried_anew() -> None:
    log: list[str] = []
    first, second = one_after_the_other(log)
    stood = threading.Event()

    class Standing(Finished):
        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "last" and not worker.tries_again:
                assert worker.connections.is_given_up.wait(30)
                stood.set()
                worker.moved()
            return super().do(name, worker)

    standing = Standing("A", log)
    standing.next_begins = first.next_begins
    events = finish_beside([standing, second], limits=Limits(0.3, 2))
    assert stood.wait(30)
    assert [event.table for event in events if isinstance(event, Remarked)] == ["A"]
    assert {event.table for event in events if isinstance(event, TableCompleted)} == {"A", "B"}


def test_what_is_left_to_do_for_tables_that_are_over_is_nothing_that_a_stop_at_a_time_cuts_off() -> None:
    class Over(Table):
        def take(self, task: Task[NoConnections, object], result: Any) -> Sequence[Task[NoConnections, object]]:
            following = super().take(task, result)
            if following:
                self.told.append(TableCompleted(self.key, 0))
                self.is_over = True
            return following

        def do(self, name: str, worker: Worker[NoConnections]) -> object:
            if name == "two":
                # Its rows are there only when the time is up.
                wait_until(lambda: datetime.now() > stop_at, "the time is up")
            return super().do(name, worker)

    stop_at = datetime.now() + timedelta(seconds=0.4)
    log: list[str] = []
    events = finish_beside([Over("A", log)], limits=Limits(60, 2, stop_at=stop_at))
    assert TableCompleted("A", 0) in events
    assert log == ["A one", "A two"]

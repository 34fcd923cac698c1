"""What is handed to workers: a picklable value that any `concurrent.futures.Executor` can run.

The truth about a task is in the servers, not in who runs it: it may be run by a thread that is watched, by another
process, or on another machine, and more than once.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from scheduling.retry import Again, RetryPolicy, with_retries


class Label(NamedTuple):
    """Which table's task, by the table's key, and which of them.

    `told_as` is how a person is told of it; nothing where the table's name says enough.
    """

    table: str
    task: str
    told_as: str = ""


#: who takes a task up: a worker; or, beside the workers, the finisher, who does what the others need not wait for, as
#: long as they have something else to do
Lane = Literal["working", "finishing"]


class Connections(Protocol):
    """A worker's connections to both servers; each is opened when it is needed, and again after a failure."""

    def give_up(self) -> None:
        """End them for good, from any thread: nothing that their worker still does reaches a server."""

    def disconnect(self) -> None:
        """Drop them; what was not committed is gone."""


C = TypeVar("C", bound=Connections)
C_co = TypeVar("C_co", bound=Connections, covariant=True)
R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")


class Worker(Protocol[C_co]):
    """What runs a task: its connections, and the way to whoever watches it."""

    @property
    def connections(self) -> C_co:
        """What the task works with."""

    @property
    def tries_again(self) -> bool:
        """Whether the task was given to a worker before, which was given up, and may have committed it all the same."""

    def moved(self, rows: int = 0) -> None:
        """The task has moved on, and so many rows are under way. Raises CancelledError where it is to end."""

    def keep_pace(self, rows: int, size: int) -> None:
        """So many rows of so many bytes were read: wait where the run is faster than it may be.

        Raises CancelledError where the task is to end.
        """

    def may_take_long(self) -> None:
        """What follows takes as long as it takes, and is no standstill."""

    def wait(self, again: Again) -> None:
        """Wait before another attempt, and let it be known. Raises CancelledError where the task is to end."""

    def remark(self, words: str) -> None:
        """Something about the table that a person should know."""


class Task(Protocol[C, R_co]):
    """A frozen dataclass of picklable values. Whatever it raises is picklable as well."""

    @property
    def lane(self) -> Lane:
        """`finishing` where it needs nothing of what the tasks of workers compete for."""

    @property
    def label(self) -> Label:
        """What a worker calls it."""

    def connect(self) -> C:
        """Connections of the kind that it needs; none is open yet."""

    def run(self, worker: Worker[C]) -> R_co:
        """Do it. Raises ReplicationError."""


def tried(worker: Worker[C], policy: RetryPolicy, once: Callable[[int], T]) -> T:
    """Call `once` with an attempt's number until it works; what fails drops the worker's connections.

    Raises what the last attempt raised, and CancelledError.
    """

    def attempt(number: int) -> T:
        try:
            worker.moved()
            return once(number)
        except BaseException as error:
            let_go(error)
            worker.connections.disconnect()
            raise

    return with_retries(policy, attempt, worker.wait)


def let_go(error: BaseException) -> None:
    """Have an error keep nothing of what was at work when it was raised.

    Its frames hold readers, and a connection to the source closes when nothing refers to it. Errors outlive their
    tasks: in remarks, in answers, and in circles that nobody collects for minutes.
    """
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            # Leaves out what still runs (Python, "traceback": clear_frames).
            traceback.clear_frames(one.__traceback__)
            waiting += [other for other in (one.__context__, one.__cause__) if other is not None]


@dataclass(frozen=True)
class Unwatched(Generic[C]):
    """A worker of another process or machine, or of a test: nobody watches, and nothing is there to end it."""

    connections: C
    tries_again: bool = False

    def moved(self, rows: int = 0) -> None:
        """Nobody asks."""

    def keep_pace(self, rows: int, size: int) -> None:
        """Whoever runs several processes sees to their pace."""

    def may_take_long(self) -> None:
        """Nobody asks."""

    def wait(self, again: Again) -> None:
        """Wait."""
        time.sleep(again.seconds)

    def remark(self, words: str) -> None:
        """Nobody listens."""


def run_unwatched(task: Task[Any, R_co], tries_again: bool = False) -> R_co:
    """Run a task with connections of its own: what to submit to an executor of processes. Raises ReplicationError."""
    connections = task.connect()
    try:
        return task.run(Unwatched(connections, tries_again))
    finally:
        connections.disconnect()

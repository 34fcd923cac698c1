"""Who does the work: a crew, of threads of this process or of others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from model.events import Event
from model.rates import MaxRate
from scheduling.local_workers import LocalWorkers
from scheduling.scheduler import Limits, Scheduler, TableTasks, Workers
from scheduling.tasks import C


class HiredWorkers(Workers[C], Protocol):
    """Workers as long as they are needed."""

    def close(self) -> None:
        """Take no more tasks."""

    def disconnect(self) -> None:
        """Close the connections that nobody uses."""


@dataclass(frozen=True)
class Places:
    """How many workers there are as a run begins, and how many there may be as others join."""

    now: int
    most: int


class Crew(Protocol):
    """Where workers come from."""

    @property
    def is_local(self) -> bool:
        """Whether they are threads of this process, which can use connections that it has."""

    def places(self, asked: int | None, usual: int, source_connections: int = 1) -> Places:
        """How many there are for a run where so many are `asked` for; `usual` is the setting of one machine.

        Each will have so many connections to the source.
        """

    def workers(
        self, most: int, connections: Iterable[C], rate: MaxRate | None, finishing: C | None
    ) -> HiredWorkers[C]:
        """So many workers at most, as `do_all` describes them."""


@dataclass(frozen=True)
class LocalCrew:
    """Threads of this process."""

    is_local: bool = True

    def places(self, asked: int | None, usual: int, source_connections: int = 1) -> Places:  # noqa: ARG002
        """As many as anybody wants."""
        return Places(asked or usual, asked or usual)

    def workers(
        self, most: int, connections: Iterable[C], rate: MaxRate | None, finishing: C | None
    ) -> HiredWorkers[C]:
        """Threads, of which the first go on with `connections`."""
        return LocalWorkers(most, connections, rate, finishing)


LOCAL: Crew = LocalCrew()


def do_all(
    tables: Sequence[TableTasks[C]],
    workers: int,
    limits: Limits,
    publish: Callable[[Sequence[Event]], None],
    connections: Iterable[C] = (),
    rate: MaxRate | None = None,
    finishing: C | None = None,
    following: Callable[[], Iterable[TableTasks[C]]] = tuple,
    crew: Crew = LOCAL,
) -> None:
    """Have all tables done by so many workers of a crew at most, the first of them with `connections`.

    `publish` is as of `Scheduler`. `following` gives what is to be done because of what was. All together keep below
    `rate`. With connections for `finishing` there is a finisher beside them.

    Raises ServerError, Stopped and TimeIsUpError.
    """
    hired = crew.workers(workers, connections, rate, finishing)
    try:
        Scheduler(hired, limits, publish).run(tables, following)
    finally:
        hired.close()
    # What comes after opens connections of its own, and there may be no more of them.
    hired.disconnect()

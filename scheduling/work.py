"""Who does the work: the one place where an executor is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from model.events import Event
from model.rates import MaxRate
from scheduling.local_workers import LocalWorkers
from scheduling.scheduler import Limits, Scheduler, TableTasks
from scheduling.tasks import C


def do_all(
    tables: Sequence[TableTasks[C]],
    workers: int,
    limits: Limits,
    publish: Callable[[Sequence[Event]], None],
    connections: Iterable[C] = (),
    rate: MaxRate | None = None,
    finishing: C | None = None,
    following: Callable[[], Iterable[TableTasks[C]]] = tuple,
) -> None:
    """Have all tables done by so many workers, the first of them with `connections`; `publish` as of `Scheduler`.

    `following` gives what is to be done because of what was. All together keep below `rate`. With connections for
    `finishing` there is a finisher beside them. Raises ServerError, Stopped and TimeIsUpError.
    """
    threads = LocalWorkers(workers, connections, rate, finishing)
    try:
        Scheduler(threads, limits, publish).run(tables, following)
    finally:
        threads.close()
    # What comes after opens connections of its own, and there may be no more of them.
    threads.disconnect()

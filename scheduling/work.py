"""Who does the work: the one place where an executor is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from model.events import Event
from scheduling.local_workers import LocalWorkers
from scheduling.scheduler import Limits, Scheduler, TableTasks
from scheduling.tasks import C


def do_all(
    tables: Sequence[TableTasks[C]],
    workers: int,
    limits: Limits,
    publish: Callable[[Sequence[Event]], None],
    connections: Iterable[C] = (),
) -> None:
    """Have all tables done by so many workers, the first of them with `connections`; `publish` as of `Scheduler`.

    Raises ServerError and Stopped.
    """
    threads = LocalWorkers(workers, connections)
    try:
        Scheduler(threads, limits, publish).run(tables)
    finally:
        threads.close()
    # What comes after opens connections of its own, and there may be no more of them.
    threads.disconnect()

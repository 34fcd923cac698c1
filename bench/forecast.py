"""How long a load takes on so many workers, by simulation from costs that were measured on one. Nothing here measures.

Tasks are given as `scheduling.scheduler` gives them: the largest table first, its chunks before the next table, keys
once its rows are there, by the finisher as long as workers have something else to do. A worker that is given a chunk
first waits for the scheduler, which gives one task after the other, then takes the chunk's fixed time, then moves its
bytes. All that move bytes are equally fast, and share what there is of the source, the target, their machines' networks
and cores.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

#: what a load may wait for, in words of a person
Limit = Literal["worker", "cores", "network", "source", "target", "scheduler", "keys", "one table"]
#: chunks that are simulated one by one; of larger loads several follow each other on a worker as one part
MOST_PARTS = 10_000
#: share of a machine's cores that those who copy have at least while keys are built on it
LEFT_TO_COPY = 0.25


@dataclass(frozen=True)
class TableSize:
    """A table's bytes in MB (10**6), and how many chunks it is cut into: one where it has no key to cut it by."""

    mb: float
    chunks: int = 1


@dataclass(frozen=True)
class Costs:
    """What was measured: seconds and MB a second.

    Of a worker alone: `worker_mb_s`; `chunk_s` for a chunk and `table_s` for a table's begin, whatever their size; for
    each MB of a table `plan_s_mb` to plan its chunks and `key_s_mb` to build its keys. `cpu_s_mb` are the CPU seconds
    that a MB takes on a worker's machine. `task_s` is what the scheduler needs to give one task.
    Where the target is on a worker's machine, building a table's keys takes `key_cores` of its cores.
    """

    worker_mb_s: float
    chunk_s: float = 0.0
    table_s: float = 0.0
    plan_s_mb: float = 0.0
    key_s_mb: float = 0.0
    cpu_s_mb: float = 0.0
    task_s: float = 0.0
    key_cores: float = 0.0


@dataclass(frozen=True)
class Site:
    """What there is: MB a second of the source, of the target, and of a machine's network, each way.

    Each machine has so many `cores`, and at most so many `workers`.
    """

    source_mb_s: float = math.inf
    target_mb_s: float = math.inf
    network_mb_s: float = math.inf
    cores: float = math.inf
    workers: int = 1


@dataclass(frozen=True)
class Forecast:
    """The seconds of a load, and how many of them each limit ruled."""

    seconds: float
    ruled: Mapping[Limit, float]

    @property
    def limit(self) -> Limit:
        """What ruled longest."""
        return max(self.ruled, key=lambda one: self.ruled[one])


@dataclass(frozen=True)
class OneWorker:
    """What a load of one table by one worker took: seconds to begin it, to copy its chunks, and to build its keys.

    `cpu_s` are the CPU seconds of the copy, of all whose share is asked for.
    """

    size: TableSize
    begin_s: float
    copy_s: float
    key_s: float
    cpu_s: float


def fitted(small: OneWorker, large: OneWorker) -> Costs:
    """The costs by which both loads take as long as they did; of both the size and the number of chunks differ.

    What comes out below nothing, since measurements are never quite right, is taken as nothing.
    """
    few, many = small.size, large.size
    more_mb = many.mb - few.mb
    found = (small.copy_s * many.mb - large.copy_s * few.mb) / (few.chunks * many.mb - many.chunks * few.mb)
    chunk_s = min(max(0.0, found), 0.9 * large.copy_s / many.chunks)
    plan_s_mb = max(0.0, (large.begin_s - small.begin_s) / more_mb)
    key_s_mb = large.key_s / many.mb
    return Costs(
        worker_mb_s=many.mb / (large.copy_s - many.chunks * chunk_s),
        chunk_s=chunk_s,
        table_s=max(0.0, small.begin_s - plan_s_mb * few.mb),
        plan_s_mb=plan_s_mb,
        key_s_mb=key_s_mb,
        cpu_s_mb=max(0.0, (large.cpu_s - small.cpu_s) / more_mb),
    )


def database_of(mb: float, tables: int, keyless_share: float, chunk_mb: float) -> list[TableSize]:
    """So many MB in tables of which the n-th largest has an n-th of the largest, and one without a key to cut it by."""
    keyless = mb * keyless_share
    largest = (mb - keyless) / sum(1 / number for number in range(1, tables + 1))
    cut = [largest / number for number in range(1, tables + 1)]
    return [
        *(TableSize(one, math.ceil(one / chunk_mb)) for one in cut),
        *([TableSize(keyless)] if keyless else []),
    ]


def forecast(tables: Sequence[TableSize], costs: Costs, site: Site, workers: int) -> Forecast:
    """A load of these tables by so many workers."""
    return _Load(tables, costs, site, workers).done()


@dataclass
class _Table:
    size: TableSize
    left: int = 0


@dataclass(frozen=True)
class _Task:
    """What is done of a table, by the finisher or a worker; `chunks` of `mb` in sum where it is copied."""

    table: _Table
    kind: Literal["begin", "copy", "finish"]
    mb: float = 0.0
    chunks: int = 0
    is_finishers: bool = False


class _Load:
    """A load as it goes on. All that move bytes are equally fast, so one number says how far each of them is."""

    def __init__(self, tables: Sequence[TableSize], costs: Costs, site: Site, workers: int) -> None:
        self._costs, self._site, self._workers = costs, site, workers
        self._machines = math.ceil(workers / site.workers)
        self._waiting = deque(_Table(one) for one in sorted(tables, key=lambda one: -one.mb))
        self._at_once = max(1, math.ceil(sum(table.chunks for table in tables) / MOST_PARTS))
        self._copies: deque[_Task] = deque()
        self._finishes: deque[_Task] = deque()
        self._free, self._has_finisher, self._is_finisher_free = workers, len(tables) > 1, len(tables) > 1
        self._now = self._moved = self._scheduler_free_at = 0.0
        self._number = itertools.count()
        #: who waits for a moment, and who moves bytes until so many are moved
        self._timed: list[tuple[float, int, _Task]] = []
        self._moving: list[tuple[float, int, _Task]] = []
        self._ruled: dict[Limit, float] = dict.fromkeys(get_args(Limit), 0.0)

    def done(self) -> Forecast:
        """What came of it."""
        self._give()
        while self._timed or self._moving:
            rate, limit = self._rate()
            timed = self._timed[0][0] if self._timed else math.inf
            moving = self._now + (self._moving[0][0] - self._moved) / rate if self._moving else math.inf
            until = max(self._now, min(timed, moving))
            self._account(until - self._now, limit)
            self._moved += (until - self._now) * rate
            self._now = until
            if moving <= timed:
                self._end(heapq.heappop(self._moving)[2])
            else:
                task = heapq.heappop(self._timed)[2]
                if task.kind == "copy":
                    heapq.heappush(self._moving, (self._moved + task.mb, next(self._number), task))
                else:
                    self._end(task)
            self._give()
        total = sum(self._ruled.values()) or 1.0
        return Forecast(self._now, {limit: self._now * one / total for limit, one in self._ruled.items()})

    def _rate(self) -> tuple[float, Limit]:
        """MB a second of each that moves bytes, and what keeps it from more."""
        count, site, costs = max(1, len(self._moving)), self._site, self._costs
        builds = costs.key_cores * sum(task.kind == "finish" for _, _, task in self._timed)
        # Whoever builds keys shares with those who copy, and leaves them something.
        cores = max(self._machines * site.cores - builds, LEFT_TO_COPY * site.cores)
        rates: list[tuple[float, Limit]] = [
            (costs.worker_mb_s, "worker"),
            (cores / costs.cpu_s_mb / count if costs.cpu_s_mb else math.inf, "cores"),
            (min(site.network_mb_s, self._machines * site.network_mb_s / count), "network"),
            (site.source_mb_s / count, "source"),
            (site.target_mb_s / count, "target"),
        ]
        return min(rates, key=lambda one: one[0])

    def _account(self, seconds: float, limit: Limit) -> None:
        """Each worker's seconds go to what it waits for; those of one without a task to whom there are none from."""
        self._ruled[limit] += seconds * len(self._moving)
        builds_only = not self._moving and all(task.kind == "finish" for _, _, task in self._timed)
        self._ruled["keys" if builds_only else "one table"] += seconds * self._free

    def _give(self) -> None:
        """Give each who is free a task."""
        while self._free and (task := self._next()) is not None:
            self._free -= 1
            self._start(task)
        if self._is_finisher_free and self._finishes:
            self._is_finisher_free = False
            self._start(replace(self._finishes.popleft(), is_finishers=True))

    def _next(self) -> _Task | None:
        """What a worker does next; as `Scheduler._next_of_worker`."""
        is_late = self._finishes and (not self._has_finisher or len(self._finishes) > self._workers)
        if self._finishes and not self._has_finisher:
            return self._finishes.popleft()
        if self._copies:
            return self._copies.popleft()
        if not is_late and self._waiting:
            return _Task(self._waiting.popleft(), "begin")
        return self._finishes.popleft() if self._finishes else None

    def _start(self, task: _Task) -> None:
        costs, size = self._costs, task.table.size
        begins = max(self._now, self._scheduler_free_at) + costs.task_s * max(1, task.chunks)
        self._scheduler_free_at = begins
        own = {
            "begin": costs.table_s + costs.plan_s_mb * size.mb,
            "copy": costs.chunk_s * task.chunks,
            "finish": costs.key_s_mb * size.mb,
        }[task.kind]
        if not task.is_finishers:
            self._ruled["scheduler"] += begins - self._now
            self._ruled["keys" if task.kind == "finish" else "worker"] += own
        heapq.heappush(self._timed, (begins + own, next(self._number), task))

    def _end(self, task: _Task) -> None:
        table, size = task.table, task.table.size
        if task.is_finishers:
            self._is_finisher_free = True
        else:
            self._free += 1
        if task.kind == "begin":
            parts = [min(self._at_once, size.chunks - first) for first in range(0, size.chunks, self._at_once)]
            table.left = len(parts)
            copies = [_Task(table, "copy", size.mb * chunks / size.chunks, chunks) for chunks in parts]
            self._copies.extendleft(reversed(copies))
        elif task.kind == "copy":
            table.left -= 1
            if not table.left:
                self._finishes.append(_Task(table, "finish"))

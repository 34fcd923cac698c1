"""What planning and scheduling cost: 20,000 chunks of 500 tables by a Dask cluster on this machine.

    python -m bench.cluster_planning                           # tasks that do nothing: scheduling alone
    python -m bench.cluster_planning --rows-a-chunk 50         # a load of so many chunks: planned, copied, checkpointed
    python -m bench.cluster_planning --tables 50 500 1500      # three sizes, one after another

The cluster is a scheduler and workers, each a process, for all sizes. What a process has more after the last than after
the first is what grows with the number of chunks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.chunked_tables import chunked
from bench.idle_tasks import IdleTable, NoConnections
from bench.speed import ROOT
from cluster import crew
from model.cluster import Cluster
from model.settings import Driver, Secrets, Settings, Source, Target
from scheduling.scheduler import Limits, Scheduler
from scheduling.work import HiredWorkers
from tests.dask_cluster import DaskCluster
from tests.harness import Workplace, clean_environment

MB = 2**20
LIMITS = Limits(stall_seconds=300, attempts=3)
#: what a task of a load carries: about so many bytes of settings, columns and names
BURDEN = bytes(2000)
BOUND_S, BOUND_CHUNKS = 60.0, 20_000
NO_SERVERS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


@dataclass(frozen=True)
class Seen:
    """Processes of one kind: the CPU seconds of all together, and the largest one's memory in MB, now and at most."""

    cpu: float
    mb: float
    most: float


@dataclass(frozen=True)
class Cost:
    """What so many chunks cost, by the kind of process."""

    chunks: int
    seconds: float
    seen: dict[str, Seen]

    @property
    def lines(self) -> Iterator[str]:
        """For a person."""
        cpu = sum(one.cpu for one in self.seen.values())
        yield (
            f"{self.chunks:>7,} chunks: {self.seconds:7.2f} s, {1000 * self.seconds / self.chunks:6.2f} ms a chunk; "
            f"{cpu:.1f} CPU s, {1000 * cpu / self.chunks:.2f} ms a chunk"
        )
        for kind, one in self.seen.items():
            yield (
                f"{kind:>14}: {one.cpu:7.1f} CPU s, {1000 * one.cpu / self.chunks:6.2f} ms a chunk; "
                f"{one.mb:.0f} MB, at most {one.most:.0f} MB"
            )


class Watch:
    """Looks at processes ten times a second, from when it is made until it is asked what was seen.

    They must outlive that, or end in between: then what was seen last counts.
    """

    def __init__(self, **pids: Sequence[int]) -> None:
        self._processes = {kind: [psutil.Process(pid) for pid in some] for kind, some in pids.items()}
        self._most = dict.fromkeys(pids, 0.0)
        self._mb: dict[int, float] = {}
        self._cpu: dict[int, float] = {}
        self._look()
        self._before = dict(self._cpu)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def seen(self) -> dict[str, Seen]:
        """All since the beginning, by kind."""
        self._ended.set()
        self._thread.join()
        self._look()
        return {
            kind: Seen(
                sum(self._cpu[one.pid] - self._before[one.pid] for one in some),
                max(self._mb[one.pid] for one in some),
                self._most[kind],
            )
            for kind, some in self._processes.items()
        }

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._look()

    def _look(self) -> None:
        for kind, some in self._processes.items():
            for one in some:
                with suppress(psutil.NoSuchProcess):
                    with one.oneshot():
                        times, mb = one.cpu_times(), one.memory_info().rss / MB
                    # A process that has ended and was not waited for yet has none.
                    if mb:
                        self._cpu[one.pid], self._mb[one.pid] = times.user + times.system, mb
                    self._most[kind] = max(self._most[kind], mb)


def scheduled(workers: HiredWorkers[NoConnections], tables: int, chunks: int) -> None:
    """Have workers answer for so many tables of so many chunks."""
    work = [IdleTable(f"dbo.T{number:04}", chunks, BURDEN) for number in range(tables)]
    try:
        Scheduler(workers, LIMITS, lambda _: None).run(work)
    finally:
        workers.close()
    assert all(table.is_over for table in work)


def idle(cluster: DaskCluster, tables: int, chunks: int) -> Cost:
    """Scheduling alone, on a cluster."""
    with crew.connected(NO_SERVERS, Cluster(cluster.address), print) as made:
        workers: HiredWorkers[NoConnections] = made.workers(made.places(None, 1).most, (), None, None)
        watch, started = _watch(cluster, os.getpid()), time.monotonic()
        scheduled(workers, tables, chunks)
        return Cost(tables * chunks, time.monotonic() - started, watch.seen())


def loaded(cluster: DaskCluster, workplace: Workplace, tables: int, chunks: int) -> Cost:
    """A load of the tables that are there, as a person starts it. Raises RuntimeError where it fails."""
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "sync-data.py"), "--cluster", cluster.address, "--workers", "64"],
            cwd=workplace.folder, env=clean_environment(workplace.environment), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output,
        )  # fmt: skip
        watch = _watch(cluster, process.pid)
        if process.wait():
            output.seek(0)
            raise RuntimeError(output.read()[-4000:])
    return Cost(tables * chunks, time.monotonic() - started, watch.seen())


def _watch(cluster: DaskCluster, client: int) -> Watch:
    return Watch(
        client=[client], scheduler=[cluster.scheduler.pid], workers=[process.pid for process in cluster.workers]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code: 1 where 20,000 chunks take longer than a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="+", default=[50, 500], help="of each size")
    parser.add_argument("--chunks", type=int, default=40, help="of each table")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each worker process")
    parser.add_argument("--rows-a-chunk", type=int, default=0, help="load rows, so many a chunk (default: idle tasks)")
    options = parser.parse_args(arguments)
    costs = []
    with tempfile.TemporaryDirectory() as name:
        beside, folder = Path(name) / "cluster", Path(name) / "here"
        beside.mkdir()
        folder.mkdir()
        with DaskCluster(beside, options.processes, options.threads) as cluster:
            for cost in _costs(cluster, folder, options.tables, options.chunks, options.rows_a_chunk):
                costs.append(cost)
                print("\n".join(cost.lines), flush=True)
    first, last = costs[0], costs[-1]
    grown = last.seen["scheduler"].mb - first.seen["scheduler"].mb
    after = sum(cost.chunks for cost in costs[1:])
    print(f"after {after:,} chunks more the scheduler has {grown:.1f} MB more")
    seconds = last.seconds * BOUND_CHUNKS / last.chunks
    print(f"{seconds:.1f} s for {BOUND_CHUNKS:,} is {'below' if seconds < BOUND_S else 'ABOVE'} {BOUND_S:.0f} s")
    return 0 if seconds < BOUND_S else 1


def _costs(cluster: DaskCluster, folder: Path, sizes: Sequence[int], chunks: int, rows: int) -> Iterator[Cost]:
    for number, tables in enumerate(sizes):
        if not rows:
            yield idle(cluster, tables, chunks)
            continue
        workplace = folder / str(number)
        workplace.mkdir()
        with chunked(workplace, [rows * chunks] * tables, rows) as ready:
            yield loaded(cluster, ready, tables, chunks)


if __name__ == "__main__":
    sys.exit(main())

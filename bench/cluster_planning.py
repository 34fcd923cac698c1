"""What planning and scheduling cost: 20,000 chunks of 500 tables by a Dask cluster on this machine.

    python -m bench.cluster_planning                     # tasks that do nothing: scheduling alone
    python -m bench.cluster_planning --rows-a-chunk 50   # a load of so many chunks: planned, copied, checkpointed

The cluster is a scheduler and workers, each a process. First a tenth of the tables, then all: what a process needs more
for the second is what grows with the number of chunks.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
BOUND_S = 60.0
NO_SERVERS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


@dataclass(frozen=True)
class Cost:
    """Seconds for so many chunks, and the peak memory of both processes until then, in MB."""

    chunks: int
    seconds: float
    scheduler: float
    client: float

    def __str__(self) -> str:
        return (
            f"{self.chunks:>7,} chunks: {self.seconds:7.2f} s, {1000 * self.seconds / self.chunks:6.2f} ms a chunk; "
            f"at most {self.scheduler:.0f} MB in the scheduler, {self.client:.0f} MB in the client"
        )


@dataclass
class Peak:
    """The largest resident memory of a process that was seen, in MB."""

    process: psutil.Process
    mb: float = 0.0

    def look(self) -> None:
        """Look once more."""
        self.mb = max(self.mb, self.process.memory_info().rss / MB)


@contextmanager
def watched(peak: Peak) -> Iterator[None]:
    """Look at it ten times a second."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def scheduled(workers: HiredWorkers[NoConnections], tables: int, chunks: int) -> float:
    """The seconds in which workers answer for so many tables of so many chunks."""
    work = [IdleTable(f"dbo.T{number:04}", chunks, BURDEN) for number in range(tables)]
    started = time.monotonic()
    try:
        Scheduler(workers, LIMITS, lambda _: None).run(work)
    finally:
        workers.close()
    seconds = time.monotonic() - started
    assert all(table.is_over for table in work)
    return seconds


def idle(cluster: DaskCluster, tables: int, chunks: int) -> Cost:
    """Scheduling alone, on a cluster."""
    peak = Peak(psutil.Process(cluster.scheduler.pid))
    with crew.connected(NO_SERVERS, Cluster(cluster.address), print) as made, watched(peak):
        workers: HiredWorkers[NoConnections] = made.workers(made.count(None, 1), (), None, None)
        seconds = scheduled(workers, tables, chunks)
    return Cost(tables * chunks, seconds, peak.mb, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def loaded(cluster: DaskCluster, workplace: Workplace, tables: int, chunks: int) -> Cost:
    """A load of the tables that are there, as a person starts it. Raises RuntimeError where it fails."""
    scheduler = Peak(psutil.Process(cluster.scheduler.pid))
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, watched(scheduler):
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "sync-data.py"), "--cluster", cluster.address, "--workers", "64"],
            cwd=workplace.folder, env=clean_environment(workplace.environment), stdin=subprocess.DEVNULL,
            stdout=output, stderr=output,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read()[-4000:])
    return Cost(tables * chunks, time.monotonic() - started, scheduler.mb, usage.ru_maxrss / 1024)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code: 1 where it takes longer than a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=500)
    parser.add_argument("--chunks", type=int, default=40, help="of each table")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each worker process")
    parser.add_argument("--rows-a-chunk", type=int, default=0, help="load rows, so many a chunk (default: idle tasks)")
    options = parser.parse_args(arguments)
    tables, chunks = options.tables, options.chunks
    few = max(1, tables // 10)
    with tempfile.TemporaryDirectory() as name:
        beside, folder = Path(name) / "cluster", Path(name) / "here"
        beside.mkdir()
        folder.mkdir()
        with DaskCluster(beside, options.processes, options.threads) as cluster:
            if options.rows_a_chunk:
                costs = list(_loads(cluster, folder, (few, tables), chunks, options.rows_a_chunk))
            else:
                costs = [idle(cluster, count, chunks) for count in (few, tables)]
    for cost in costs:
        print(cost, flush=True)
    first, last = costs
    print(
        f"{last.chunks - first.chunks:,} chunks more take {last.scheduler - first.scheduler:.0f} MB more in the "
        f"scheduler, {last.client - first.client:.0f} MB in the client"
    )
    print(f"{last.seconds:.1f} s is {'below' if last.seconds < BOUND_S else 'ABOVE'} {BOUND_S:.0f} s")
    return 0 if last.seconds < BOUND_S else 1


def _loads(cluster: DaskCluster, folder: Path, counts: Sequence[int], chunks: int, rows: int) -> Iterator[Cost]:
    for count in counts:
        workplace = folder / str(count)
        workplace.mkdir()
        # A boundary stands behind each chunk's rows: one row fewer, and there is no empty chunk behind the last.
        with chunked(workplace, [rows * chunks] * count, rows) as ready:
            yield loaded(cluster, ready, count, chunks)


if __name__ == "__main__":
    sys.exit(main())

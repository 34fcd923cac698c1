"""What a cluster costs: the same load by threads of one process, and by as many threads of a cluster's processes.

    python -m bench.cluster_overhead [--rows 10000000] [--shape mixed] [--rounds 3] [--processes 2] [--threads 1]

One table of the stand-in goes to an embedded PostgreSQL. The cluster, a scheduler and worker processes, is on this
machine as well. Both loads run in turn, so that a machine that others use slows down the one as much as the other; the
first of each, in which PostgreSQL makes its WAL files and workers import their code, is not counted. Of each: the
seconds of the whole process, those of the load in it (from its first task to the end of the last), and the CPU seconds
of all who take part. Exit code 1 where the median of the rounds is more than --bound per cent above.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2

from bench.chunked_tables import SHAPES, chunked
from bench.speed import ROOT
from operations.run_result import FILE
from operations.stored_run import run_of
from tests.dask_cluster import DaskCluster
from tests.harness import Workplace, clean_environment

#: seconds for which servers go on with what a load left them to do
REST_S = 1.0


@dataclass(frozen=True)
class Load:
    """Seconds of a whole process and of the load in it; CPU seconds of everyone, by name; MB sent to the target."""

    whole: float
    load: float
    cpu: Mapping[str, float]
    mb: float

    @property
    def around(self) -> float:
        """The seconds before the first task and after the last."""
        return self.whole - self.load

    def __str__(self) -> str:
        used = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.cpu.items())
        return f"{self.whole:7.2f} s, of them the load {self.load:7.2f} s; CPU seconds: {used}"


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and of those that it started, as far as they run or were waited for."""
    process = psutil.Process(pid)
    seconds = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(child.cpu_times()[:4])
    return float(seconds)


def servers(workplace: Workplace) -> dict[str, list[int]]:
    """The processes of both servers: the stand-in, which this one started, and PostgreSQL's first."""
    host, port = workplace.environment["PGHOST"], workplace.environment["PGPORT"]
    lock = Path(host) / f".s.PGSQL.{port}.lock"
    stand_ins = [one.pid for one in psutil.Process().children() if "standin" in one.cmdline()]
    return {"source": stand_ins, "target": [int(lock.read_text().split()[0])]}


def measured(workplace: Workplace, others: Mapping[str, Sequence[int]], arguments: Sequence[str]) -> Load:
    """A load as a person starts it. Raises RuntimeError with what it said where it fails."""
    with closing(psycopg2.connect(address_of(workplace))) as connection, connection.cursor() as cursor:
        # None in the midst of one load that another left to be made.
        connection.autocommit = True
        cursor.execute("CHECKPOINT")
    before = {name: sum(map(cpu_of, pids)) for name, pids in others.items()}
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "sync-data.py"), *arguments], cwd=workplace.folder, stdin=subprocess.DEVNULL,
            env=clean_environment(workplace.environment), stdout=output, stderr=output,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        whole = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(output.read()[-4000:])
    result = run_of((workplace.folder / FILE).read_bytes().splitlines()[-1])
    load = max(span.end for span in result.spans) - min(span.begin for span in result.spans)
    time.sleep(REST_S)
    used = {name: sum(map(cpu_of, pids)) - before[name] for name, pids in others.items()}
    sent = sum(table.bytes or 0 for table in result.tables)
    return Load(whole, load, {"run": usage.ru_utime + usage.ru_stime, **used}, sent / 1e6)


def address_of(workplace: Workplace) -> str:
    """The target, as libpq wants it."""
    named = {"PGHOST": "host", "PGPORT": "port", "PGUSER": "user", "PGDATABASE": "dbname"}
    return " ".join(f"{name}='{workplace.environment[variable]}'" for variable, name in named.items())


def ratios(loads: Sequence[Load], others: Sequence[Load], seconds: Callable[[Load], float]) -> list[float]:
    """Of each round, the one's seconds by the other's."""
    return [seconds(one) / seconds(other) for one, other in zip(loads, others, strict=True)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mixed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1, help="of each process; local workers are as many in sum")
    parser.add_argument("--chunk-rows", type=int, default=1_000_000)
    parser.add_argument("--bound", type=float, default=10.0, help="per cent (default 10)")
    options = parser.parse_args(arguments)
    count = options.processes * options.threads
    with tempfile.TemporaryDirectory() as name:
        folder, beside = Path(name) / "here", Path(name) / "cluster"
        folder.mkdir()
        beside.mkdir()
        with (
            chunked(folder, [options.rows], options.chunk_rows, options.shape) as workplace,
            DaskCluster(beside, options.processes, options.threads) as cluster,
        ):
            parts = {
                "scheduler": [cluster.scheduler.pid], "workers": [one.pid for one in cluster.workers],
                **servers(workplace),
            }  # fmt: skip
            ways = {"local": ["--workers", str(count)], "cluster": ["--cluster", cluster.address]}
            loads: dict[str, list[Load]] = {way: [] for way in ways}
            for number in range(options.rounds + 1):
                for way in list(ways)[:: -1 if number % 2 else 1]:
                    load = measured(workplace, parts, ways[way])
                    if number:
                        loads[way].append(load)
                    print(f"round {number}, {way:<7} {load}", flush=True)
    return _told(loads, options.rows, options.bound)


def _told(loads: Mapping[str, Sequence[Load]], rows: int, bound: float) -> int:
    print(f"\n{'':<9}{'whole s':>9}{'load s':>9}{'around s':>9}{'rows/s':>12}{'CPU s':>8}")
    for way, runs in loads.items():
        whole, load, around = (
            statistics.median(figures)
            for figures in zip(*((run.whole, run.load, run.around) for run in runs), strict=True)
        )
        used = statistics.median(sum(run.cpu.values()) for run in runs)
        print(f"{way:<9}{whole:>9.2f}{load:>9.2f}{around:>9.2f}{rows / whole:>12,.0f}{used:>8.1f}")
    local, cluster = loads["local"], loads["cluster"]
    for words, seconds in (
        ("the load", lambda run: run.load),
        ("CPU seconds of all", lambda run: sum(run.cpu.values())),
        ("the whole process", lambda run: run.whole),
    ):
        found = ratios(cluster, local, seconds)
        above = 100 * (statistics.median(found) - 1)
        print(f"{words}: the cluster's is {above:+.1f} % (ratios {min(found):.2f} to {max(found):.2f})")
    print(f"{above:+.1f} % is {'within' if above <= bound else 'ABOVE'} {bound:.0f} %")
    return 0 if above <= bound else 1


if __name__ == "__main__":
    sys.exit(main())

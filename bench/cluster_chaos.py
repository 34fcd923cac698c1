"""Kill parts of a cluster at random while it copies, resume until it is done, and compare every row.

    python -m bench.cluster_chaos --workers 30 --clients 10 --schedulers 5 --cuts 10 [--seed N]

As `bench.chaos`, with runs whose tasks go to a Dask cluster of separate processes on this machine: a worker, the run
itself or the scheduler is killed, or a worker's connection to the scheduler is cut. What is lost is replaced, as a
cluster's manager does it. Each round must end with exit code 0, if need be by `--resume`; then every table must hold
the source's rows, each as often as there, every key must be back, and no connection be left on either server. Exits 1
if anything was lost, doubled or is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import psutil

from bench.arena import RUN_TIMEOUT_S, SMALLEST_CHUNKS, Arena, arena, wait_for_first_table
from bench.chaos import Damage, check
from tests.dask_cluster import DaskCluster
from tests.harness import Proxy, wait_until

What = Literal["worker", "client", "scheduler", "cut"]
#: runs after which a round that does not end is given up
MOST_RUNS = 6
WORKERS, THREADS = 3, 2
#: seconds after a run in which its connections must be gone
FREED_S = 20

BACKENDS = """
SELECT pid, application_name FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'mssql-to-postgres')
"""


@dataclass
class Field:
    """An arena with a cluster; one worker of it reaches the scheduler through a proxy."""

    made: Arena
    cluster: DaskCluster
    proxy: Proxy
    steps: list[str] = field(default_factory=list)
    output: str = ""

    def mend(self) -> None:
        """Bring back what was killed: the scheduler, and as many workers as there were."""
        if self.cluster.scheduler.poll() is not None:
            for worker in self.cluster.workers:
                worker.kill()
                worker.wait()
            self.cluster.restart_scheduler()
        self.cluster.workers = [worker for worker in self.cluster.workers if worker.poll() is None]
        before, alive = self.cluster.joined, len(self.cluster.workers)
        new = WORKERS - alive
        for number in range(new):
            # The first that is made anew, so that there is always one behind the proxy after a cut.
            self.cluster.add_worker(address=f"tcp://127.0.0.1:{self.proxy.port}" if number == 0 else None)
        # A run takes those in that join later.
        if alive < 2:
            wait_until(lambda: self.cluster.joined >= before + new, "the workers have joined")


def strike(ground: Field, process: subprocess.Popen[str], what: What, chance: random.Random) -> None:
    """Kill or cut one thing."""
    if what == "worker":
        alive = [worker for worker in ground.cluster.workers if worker.poll() is None]
        chance.choice(alive).kill()
    elif what == "client":
        os.killpg(process.pid, signal.SIGKILL)
    elif what == "scheduler":
        ground.cluster.scheduler.kill()
    else:
        ground.proxy.cut()


def disturbed(ground: Field, what: What, arguments: Sequence[str], chance: random.Random) -> int:
    """A run, disturbed at a random moment if it lasts so long; its exit code."""
    made = ground.made
    workplace = made.workplace.with_settings(CHUNK_ROWS=str(SMALLEST_CHUNKS))
    process = workplace.start("data", *arguments, "--cluster", ground.cluster.address)
    with contextlib.suppress(AssertionError):
        wait_for_first_table(workplace, process)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(chance.uniform(0, made.durations[4]))
    hits = process.poll() is None
    if hits:
        strike(ground, process, what, chance)
    out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    ground.output += out + err
    ground.steps.append(f"{' '.join(arguments)}: {what}{'' if hits else ' (too late)'}: {process.returncode}")
    return process.returncode


def play(ground: Field, what: What, chance: random.Random) -> None:
    """One round. Raises RuntimeError if it never ends well."""
    ground.steps, ground.output = [], ""
    made = ground.made
    # Without a truncation the tables begin empty, or their rows would rightly be there twice.
    way = chance.choice(([], ["--no-truncate"]))
    if way or chance.random() < 0.5:
        made.empty()
    made.workplace.data_progress.unlink(missing_ok=True)
    ground.mend()
    code = disturbed(ground, what, way, chance)
    while code != 0:
        if len(ground.steps) >= MOST_RUNS:
            raise RuntimeError(f"a round did not end: {ground.steps}\n{ground.output[-6000:]}")
        ground.mend()
        resume = ["--resume", *chance.choice(([], ["--no-truncate"]))]
        if not made.workplace.data_progress.exists():
            resume = way
        finished = made.workplace.run("data", *resume, "--cluster", ground.cluster.address, timeout=RUN_TIMEOUT_S)
        code = finished.code
        ground.output += finished.text
        ground.steps.append(f"{' '.join(resume)}: {code}")


def left_open(ground: Field) -> list[str]:
    """Connections of ours that are still open some time after a run."""
    deadline = time.monotonic() + FREED_S
    while True:
        found = [f"target: {name} (pid {pid})" for pid, name in ground.made.query(BACKENDS)]
        port = ground.made.source_proxy.port
        found += [
            f"source: {one.raddr}"
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_ESTABLISHED and one.laddr and one.laddr.port == port
        ]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until all is done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=6, help="how often to kill a worker (default: 6)")
    parser.add_argument("--clients", type=int, default=2, help="how often to kill the run itself (default: 2)")
    parser.add_argument("--schedulers", type=int, default=1, help="how often to kill the scheduler (default: 1)")
    parser.add_argument("--cuts", type=int, default=2, help="how often to cut a worker off (default: 2)")
    parser.add_argument("--seed", type=int, help="choose as an earlier run did")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    chance = random.Random(seed)
    how_often: Mapping[What, int] = {
        "worker": options.workers, "client": options.clients, "scheduler": options.schedulers, "cut": options.cuts,
    }  # fmt: skip
    wanted = [what for what, count in how_often.items() for _ in range(count)]
    chance.shuffle(wanted)
    damage, open_connections, done = Damage(), 0, Counter[str]()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, arena(Path(folder)) as made:
        beside = Path(folder) / "cluster"
        beside.mkdir()
        print(f"seed {seed}", flush=True)
        with DaskCluster(beside, workers=0, threads=THREADS) as cluster, Proxy(("127.0.0.1", cluster.port)) as proxy:
            ground = Field(made, cluster, proxy)
            for number, what in enumerate(wanted, 1):
                play(ground, what, chance)
                done[what] += 1
                words = check(made, damage)
                # Waiting for that takes seconds each time.
                if (what != "worker" or number % 5 == 0) and (left := left_open(ground)):
                    open_connections += len(left)
                    words += [f"left open: {one}" for one in left]
                if words:
                    told = "; ".join(words)
                    print(f"round {number}: {told} after {ground.steps}\n{ground.output}", flush=True)
                elif number % 10 == 0:
                    print(f"{number} rounds: {dict(done)}", flush=True)
    counts = ", ".join(f"{done[what]} {what}s" for what in get_args(What))
    print(
        f"{counts}: {damage.lost} rows lost, {damage.doubled} doubled, {damage.missing} objects missing, "
        f"{open_connections} connections left" + (f", {damage.other} other differences" if damage.other else "")
    )
    return 0 if damage.is_none and not open_connections else 1


if __name__ == "__main__":
    sys.exit(main())

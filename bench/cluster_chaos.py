"""Kill and cut parts of a cluster at random while it works, resume until it is done, and compare every row.

    python -m bench.cluster_chaos --workers 30 --clients 10 --schedulers 5 --cuts 10 [--seed N]

As `bench.chaos`, with runs whose tasks go to a Dask cluster of separate processes on this machine. In a night several
things are struck one after another while a load, a refresh or a comparison, or its `--resume`, is under way: a worker,
the run itself or the scheduler is killed, or all connections between the scheduler and a worker are cut. What dies is
replaced at once, as a cluster's manager does it. A strike that comes after a run's end does not count, and is played
in another night.

Each night must end with exit code 0, if need be by `--resume`. Then every table must hold the source's rows, each as
often as there, every key must be back, no connection and nothing staged be left on either server, and every worker that
lost its scheduler must have ended. The seed brings back the choices of a run, not the moments. Exits 1 if anything was
lost, doubled, missing or left.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import psutil

from bench.arena import RUN_TIMEOUT_S, SMALLEST_CHUNKS, Arena, arena
from bench.chaos import Damage, check
from bench.cluster_manager import ManagedCluster

Kind = Literal["load", "merge", "swap", "verify"]
What = Literal["worker", "client", "scheduler", "cut"]
#: from when on a strike waits for its time: at once, or from the first table or the last table's end on
Moment = Literal["at once", "rows", "end"]
#: where a run stood when it was struck
Stage = Literal["before the first table", "in the midst", "with all tables completed", "in a comparison"]
KINDS: tuple[Kind, ...] = ("load", "merge", "load", "swap", "verify")
WORKERS, THREADS = 3, 2
#: strikes in a night, and how many may be left to the last one
STRIKES = (6, 7, 8)
MOST_STRIKES = 10
REACHED: Mapping[Moment, Sequence[Stage]] = {
    "at once": get_args(Stage),
    "rows": ("in the midst", "with all tables completed", "in a comparison"),
    "end": ("with all tables completed",),
}
MOMENTS: tuple[Moment, ...] = ("at once", "rows", "rows")
#: seconds for which a strike waits at most
PAUSE_S = 1.8
#: seconds after the last table's end within which what is left of a run is struck
END_S = 0.25
#: seconds that a load takes at least to read the source, as long as there is something to strike
READING_S = 10.0
#: runs without a strike that a night may need to end well
MOST_CALM_RUNS = 2
#: seconds after a run in which its connections must be gone
FREED_S = 20

BACKENDS = """
SELECT concat_ws(' ', pid, application_name, state, query) FROM pg_stat_activity
WHERE datname = current_database() AND starts_with(application_name, 'mssql-to-postgres')
"""
STAGED = "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace('replication_staging') AND relkind = 'r'"
#: what was changed since the last refresh
STALE = """
DELETE FROM guids WHERE note IS NULL;
UPDATE codes SET note = 'of yesterday' WHERE note = '';
INSERT INTO heap SELECT * FROM heap WHERE number < 500;
"""


@dataclass(frozen=True)
class Strike:
    """Something that is to be struck: when, and which of several, as a number between 0 and 1."""

    what: What
    moment: Moment
    delay: float
    which: float


@dataclass
class Night:
    """A run and what follows from it."""

    number: int
    arguments: Sequence[str]
    #: how it goes on after a run that did not end well
    resume: Sequence[str]
    strikes: list[Strike]
    steps: list[str] = field(default_factory=list)
    hits: list[tuple[What, Stage]] = field(default_factory=list)
    output: str = ""
    calm_runs: int = 0


@dataclass
class Field:
    """An arena with a cluster."""

    made: Arena
    cluster: ManagedCluster


# -- a night ---------------------------------------------------------------------------------------


def begin(made: Arena, number: int, kind: Kind, wanted: Sequence[What], chance: random.Random) -> Night:
    """Choose what is struck, and bring the target to where the first run finds it.

    Without a truncation the tables begin empty, or their rows would rightly be there twice.
    """
    strikes = [
        Strike(what, chance.choice(MOMENTS), chance.uniform(0, PAUSE_S), chance.random())
        for what in wanted[: chance.choice(STRIKES) if len(wanted) > MOST_STRIKES else None]
    ]
    if kind == "verify":
        return Night(number, ["--verify"], ["--verify"], strikes)
    if len(strikes) >= min(STRIKES):
        strikes[-1] = replace(strikes[-1], moment="end", delay=chance.uniform(0, END_S))
    made.workplace.data_progress.unlink(missing_ok=True)
    if kind == "load":
        way = chance.choice(([], ["--no-truncate"]))
        if way or chance.random() < 0.5:
            made.empty()
        return Night(number, way, ["--resume", *chance.choice(([], ["--no-truncate"]))], strikes)
    made.query(STALE)
    switch, first = chance.choice(("table", "together")), chance.choice(([], ["--verify-first"]))
    return Night(number, ["--refresh", kind, "--switch", switch, *first], ["--resume"], strikes)


def stage(made: Arena, arguments: Sequence[str], process_began: float) -> Stage:
    """Where a run stands, by its progress file."""
    if "--verify" in arguments:
        return "in a comparison"
    path = made.workplace.data_progress
    if not path.exists() or path.stat().st_mtime < process_began:
        return "before the first table"
    statuses = {entry["status"] for entry in made.tables.values()}
    if statuses == {"completed"}:
        return "with all tables completed"
    return "in the midst"


def strike(ground: Field, process: subprocess.Popen[str], this: Strike) -> bool:
    """Kill or cut one thing; whether it was there and the run was under way."""
    if process.poll() is not None:
        return False
    if this.what == "worker":
        return ground.cluster.kill_worker(this.which)
    if this.what == "cut":
        return ground.cluster.cut_worker(this.which)
    if this.what == "scheduler":
        return ground.cluster.kill_scheduler()
    os.killpg(process.pid, signal.SIGKILL)
    # One that was just over is not one that was killed.
    return process.wait() == -signal.SIGKILL


def run(ground: Field, night: Night, arguments: Sequence[str], pool: ThreadPoolExecutor) -> int:
    """A run, struck as long as it is under way and the night has strikes left; its exit code."""
    made = ground.made
    workplace = made.workplace.with_settings(CHUNK_ROWS=str(SMALLEST_CHUNKS))
    began, hits = time.time(), len(night.hits)
    process = workplace.start("data", *arguments, "--cluster", ground.cluster.address)
    told: Future[tuple[str, str]] = pool.submit(process.communicate)
    deadline, due = time.monotonic() + RUN_TIMEOUT_S, None
    while process.poll() is None:
        is_slow = any(one.moment != "end" for one in night.strikes)
        made.source_proxy.pass_at_most(made.traffic[0] / READING_S if is_slow else math.inf)
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise RuntimeError(f"a run did not end within {RUN_TIMEOUT_S} s: {night.steps}\n{''.join(told.result())}")
        ground.cluster.look()
        if night.strikes:
            this, where = night.strikes[0], stage(made, arguments, began)
            if due is None and where in REACHED[this.moment]:
                due = time.monotonic() + this.delay
            if due is not None and time.monotonic() >= due and strike(ground, process, this):
                night.hits.append((this.what, where))
                night.strikes.pop(0)
                due = None
        time.sleep(0.02)
    out, err = told.result()
    night.output += f"\n-- {' '.join(arguments)}\n{out}{err}"
    mine = ", ".join(what for what, _ in night.hits[hits:]) or "nothing struck"
    night.steps.append(f"{' '.join(arguments) or 'a plain run'}: {mine}: {process.returncode}")
    if len(night.hits) == hits and process.returncode:
        night.calm_runs += 1
    return process.returncode


def play(ground: Field, night: Night, pool: ThreadPoolExecutor) -> None:
    """Run until a run ends well. Raises RuntimeError if none does."""
    arguments = night.arguments
    ground.cluster.wait_for_worker()
    while run(ground, night, arguments, pool) != 0:
        if night.calm_runs > MOST_CALM_RUNS:
            raise RuntimeError(f"night {night.number} does not end: {night.steps}\n{night.output[-9000:]}")
        ground.cluster.wait_for_worker()
        # Without a file there is no session yet.
        arguments = night.resume if ground.made.workplace.data_progress.exists() else night.arguments


def left_open(made: Arena, cluster: ManagedCluster) -> list[str]:
    """Connections of ours, and staged tables, that are still there some time after a run, in words.

    And workers that have lost their scheduler and live on.
    """
    deadline = time.monotonic() + FREED_S
    while True:
        cluster.look()
        found = [f"target: {words}" for (words,) in made.query(BACKENDS)]
        found += [f"staged: {name}" for (name,) in made.query(STAGED)]
        found += [
            f"source: {one.laddr} of process {one.pid}"
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_ESTABLISHED and one.raddr and one.raddr.port == made.source_proxy.port
        ]
        if not found or time.monotonic() > deadline:
            return found + cluster.hanging()
        time.sleep(0.1)


def _keep(folder: Path, night: Night, cluster: ManagedCluster) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    told = "\n".join(night.steps)
    (folder / f"night-{night.number}.log").write_text(f"{told}\n{night.output}", encoding="utf-8")
    shutil.copytree(
        cluster.folder, folder / "cluster", dirs_exist_ok=True, ignore=shutil.ignore_patterns("dask-scratch*")
    )


# -- all nights --------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Play nights until all is done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=6, help="how often to kill a worker (default: 6)")
    parser.add_argument("--clients", type=int, default=2, help="how often to kill the run itself (default: 2)")
    parser.add_argument("--schedulers", type=int, default=1, help="how often to kill the scheduler (default: 1)")
    parser.add_argument("--cuts", type=int, default=2, help="how often to cut a worker off (default: 2)")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep there what the runs and the cluster write")
    parser.add_argument("--seed", type=int, help="choose as an earlier run did")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    how_often: dict[What, int] = {
        "worker": options.workers, "client": options.clients, "scheduler": options.schedulers, "cut": options.cuts,
    }  # fmt: skip
    wanted = [what for what, count in how_often.items() for _ in range(count)]
    kinds = list(KINDS)
    for choices in (wanted, kinds):
        random.Random(seed).shuffle(choices)
    print(f"seed {seed}", flush=True)
    nights: list[Night] = []
    damage, left = Damage(), 0
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder, arena(Path(folder), measured=(4,)) as made,
        ThreadPoolExecutor(1) as pool,
    ):  # fmt: skip
        beside = Path(folder) / "cluster"
        beside.mkdir()
        with ManagedCluster(beside, WORKERS, THREADS, random.Random(f"{seed} manager")) as cluster:
            while wanted:
                number = len(nights) + 1
                chance = random.Random(f"{seed} {number}")
                night = begin(made, number, kinds[number % len(kinds)], wanted, chance)
                nights.append(night)
                play(Field(made, cluster), night, pool)
                for what, _ in night.hits:
                    wanted.remove(what)
                if options.logs is not None:
                    _keep(options.logs, night, cluster)
                open_now = left_open(made, cluster)
                left += len(open_now)
                words = check(made, damage) + [f"left: {one}" for one in open_now]
                if words:
                    print(f"night {number}: {'; '.join(words)} after {night.steps}\n{night.output}", flush=True)
                print(f"night {number}: {'; '.join(night.steps)}", flush=True)
    return _tell(nights, damage, left)


def _tell(nights: Sequence[Night], damage: Damage, left: int) -> int:
    hits = Counter(hit for night in nights for hit in night.hits)
    counts = ", ".join(f"{sum(n for (one, _), n in hits.items() if one == what)} {what}s" for what in get_args(What))
    where = ", ".join(f"{sum(n for (_, one), n in hits.items() if one == at)} {at}" for at in get_args(Stage))
    calm = sum(night.calm_runs for night in nights)
    print(f"{hits.total()} strikes in {len(nights)} nights: {where}; {calm} runs ended badly that nothing struck")
    print(
        f"{counts}: {damage.lost} rows lost, {damage.doubled} doubled, {damage.missing} objects missing, "
        f"{left} connections left" + (f", {damage.other} other differences" if damage.other else "")
    )
    return 0 if damage.is_none and not left else 1


if __name__ == "__main__":
    sys.exit(main())

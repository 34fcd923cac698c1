"""Kill refreshes at random while others read, resume them, and compare everything.

    python -m bench.refresh_chaos [--kills 60] [--seed N]

A stand-in source turns from night to night; the target, an embedded PostgreSQL with foreign keys, views, row
security and triggers, follows by `sync-data.py --refresh merge` and `swap`, with 1 and 4 workers. Four
readers ask joined tables and views all the time, with a `lock_timeout` of 250 ms. Each run is killed at a random
moment, half of them where they switch, and resumed, killed again now and then, until one ends with exit code 0. No
query may fail, every one must see one night or the next; in the end both sides are equal, nothing is left in staging,
no key is invalid, and a dump of the schema is as before. The seed brings back the choices of a run, not the moments.
Exits 1 if anything was found wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.arena import RUN_TIMEOUT_S, entries, wait_for_first_table
from demo.target import EmbeddedTarget
from tests.harness import Workplace
from tests.nights import Nights, first_night
from tests.readers import TOGETHER, WITHIN_UNITS, Readers

Mode = Literal["merge", "swap"]
NAME = "nights"
MODES: tuple[Mode, ...] = ("merge", "swap")
WORKERS = (1, 4)
#: from one chunk a table to several
CHUNK_ROWS = ("250", "700", "100000")
#: runs after which a round that does not end is given up
MOST_RUNS = 8
#: seconds after the first strong lock within which a switch, and what follows it, is over
SWITCH_S = 0.3

#: whether a run holds a lock that only a switch takes
SWITCHES = """
SELECT count(*) FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.granted AND l.mode IN ('AccessExclusiveLock', 'ShareRowExclusiveLock') AND c.relkind = 'r'
  AND c.relnamespace IN ('public'::regnamespace, 'sales'::regnamespace)
"""
#: whether what a killed run left open is still being rolled back
IS_THERE = """
SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mssql-to-postgres' AND datname = current_database()
"""


@dataclass
class Round:
    """What happened in a round, and what of it must not."""

    number: int
    steps: list[str] = field(default_factory=list)
    output: str = ""
    #: what the target held after each kill
    kills: list[Literal["the old night", "the new one", "some tables new"]] = field(default_factory=list)
    #: how many of the kills were aimed at the switch
    aimed: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class Play:
    """The scene of all rounds: both servers, and the night that both sides hold."""

    nights: Nights
    chance: random.Random
    schema: str
    night: int = 1
    #: seconds that an undisturbed refresh takes from its first table on
    durations: dict[Mode, float] = field(default_factory=dict)

    def wait_for_switch(self, process: subprocess.Popen[str]) -> None:
        """Return once the run holds the locks of a switch, or is over."""
        with closing(self.nights.target.connect(self.nights.database)) as connection, connection.cursor() as cursor:
            while process.poll() is None:
                cursor.execute(SWITCHES)
                if cursor.fetchone() != (0,):
                    return


# -- a round -----------------------------------------------------------------------------------


def play(scene: Play, this: Round, mode: Mode, workers: int) -> None:
    """Kill a refresh to the next night, and resume it until it ends; notes what is wrong in `this`."""
    nights, chance = scene.nights, scene.chance
    switch = "table" if chance.random() < 0.25 else "together"
    old, new = scene.night, scene.night + 1
    nights.turn_to(new)
    arguments = ["--refresh", mode, "--switch", switch]
    parts = TOGETHER if switch == "together" else WITHIN_UNITS
    with Readers(nights.target, nights.database, parts) as readers:
        code: int | None = None
        while code != 0:
            workplace = nights.workplace.with_settings(CHUNK_ROWS=chance.choice(CHUNK_ROWS))
            arguments = [*arguments, "--workers", str(workers)]
            if len(this.steps) >= MOST_RUNS:
                this.wrong.append(f"it did not end within {MOST_RUNS} runs")
                break
            if not this.steps or chance.random() < 0.25:
                code = _killed(scene, this, workplace, arguments, mode)
                held = _held(nights, old, new)
                if held is None:
                    this.wrong.append(f"neither old nor new: {nights.differences(old)} {nights.differences(new)}")
                elif held == "some tables new" and switch == "together":
                    this.wrong.append(f"tables of both nights: {nights.differences(old)}")
                elif code is None:
                    this.kills.append(held)
                    this.steps[-1] += f", which left {held}"
                readers.go_round()
            else:
                finished = workplace.run("data", *arguments, timeout=RUN_TIMEOUT_S)
                code = finished.code
                this.output += f"\n-- {arguments}\n{finished.text}"
                this.steps.append(f"{' '.join(arguments)}: exit code {code}")
            arguments = ["--resume"]
    scene.night = new
    this.wrong += readers.troubles(nights=2)
    this.wrong += check(scene)


def _killed(scene: Play, this: Round, workplace: Workplace, arguments: Sequence[str], mode: Mode) -> int | None:
    """Run the script and kill it; its exit code, None if it was killed."""
    chance = scene.chance
    process = workplace.start("data", *arguments)
    wait_for_first_table(workplace, process)
    at_the_switch = chance.random() < 0.5
    if at_the_switch:
        scene.wait_for_switch(process)
    delay = chance.uniform(0, SWITCH_S if at_the_switch else scene.durations[mode])
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    this.output += f"\n-- {list(arguments)}\n{out}{err}"
    if not was_running:
        this.steps.append(f"{' '.join(arguments)}: exit code {process.returncode}")
        return process.returncode
    this.aimed += at_the_switch
    where = f"{delay * 1000:.0f} ms after {'the switch began' if at_the_switch else 'its first table'}"
    this.steps.append(f"{' '.join(arguments)}: killed {where}")
    _wait_until_rolled_back(scene.nights)
    return None


def _wait_until_rolled_back(nights: Nights) -> None:
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while nights.query(IS_THERE) != [(0,)]:
        if time.monotonic() > deadline:
            raise RuntimeError("PostgreSQL does not end what a killed run left open")
        time.sleep(0.01)


def _held(nights: Nights, old: int, new: int) -> Literal["the old night", "the new one", "some tables new"] | None:
    """Which night the target holds; None if tables hold neither."""
    not_old, not_new = ({one.split(":")[0] for one in nights.differences(night)} for night in (old, new))
    if not_old & not_new:
        return None
    if not not_old:
        return "the old night"
    return "some tables new" if not_new else "the new one"


def check(scene: Play) -> list[str]:
    """What is not as a refresh must leave it."""
    nights = scene.nights
    found = [*nights.differences(scene.night), *nights.damage()]
    if nights.schema() != scene.schema:
        found.append("a dump of the schema is not as before")
    found += [
        f"the progress file says {entry['status']} of {key}"
        for key, entry in entries(nights.workplace).items()
        if entry["status"] != "completed"
    ]
    return found


# -- all rounds --------------------------------------------------------------------------------


def _measure(scene: Play, mode: Mode) -> None:
    """An undisturbed refresh to the next night. Raises RuntimeError if it does not end well."""
    scene.nights.turn_to(scene.night + 1)
    process = scene.nights.workplace.start("data", "--refresh", mode)
    wait_for_first_table(scene.nights.workplace, process)
    started = time.monotonic()
    out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    scene.durations[mode] = time.monotonic() - started
    scene.night += 1
    wrong = check(scene) if process.returncode == 0 else [f"exit code {process.returncode}"]
    if wrong:
        raise RuntimeError(f"an undisturbed {mode} is wrong: {wrong}\n{out}{err}")


@contextlib.contextmanager
def _scene(folder: Path, target: EmbeddedTarget, chance: random.Random) -> Any:
    target.create_database(NAME)
    with first_night(folder, target, NAME) as nights:
        # What is published is not swapped, nor is what becomes visible with it.
        nights.query("DROP PUBLICATION nights")
        yield Play(nights, chance, nights.schema())


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until all kills are done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="how often to kill a refresh (default: 60)")
    parser.add_argument("--seed", type=int, help="choose as an earlier run did")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    rounds: list[Round] = []
    turns = itertools.cycle((mode, workers) for workers in WORKERS for mode in MODES)
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, EmbeddedTarget() as target:
        folders = (Path(name) / str(number) for number in itertools.count())
        durations: dict[Mode, float] = {}
        while sum(len(one.kills) for one in rounds) < options.kills:
            folder = next(folders)
            folder.mkdir()
            with _scene(folder, target, random.Random(f"{seed} {len(rounds)}")) as scene:
                if not durations:
                    for mode in MODES:
                        _measure(scene, mode)
                    durations = scene.durations
                    told = ", ".join(f"{mode} {seconds:.1f} s" for mode, seconds in durations.items())
                    print(f"seed {seed}; undisturbed, from the first table on: {told}", flush=True)
                scene.durations = durations
                # A target in which something went wrong is not one to go on with.
                while sum(len(one.kills) for one in rounds) < options.kills:
                    this = Round(len(rounds) + 1)
                    rounds.append(this)
                    mode, workers = next(turns)
                    play(scene, this, mode, workers)
                    if this.wrong:
                        steps, wrong = "\n  ".join(this.steps), "\n  ".join(this.wrong)
                        print(f"round {this.number} is wrong:\n  {wrong}\nafter\n  {steps}\n{this.output}", flush=True)
                        break
                    if this.number % 10 == 0:
                        print(f"{this.number} rounds, {sum(len(one.kills) for one in rounds)} kills", flush=True)
    return _tell(rounds)


def _tell(rounds: Sequence[Round]) -> int:
    kills = Counter(kill for one in rounds for kill in one.kills)
    wrong = sum(bool(one.wrong) for one in rounds)
    left = ", ".join(f"{count} left {night}" for night, count in sorted(kills.items()))
    print(
        f"{kills.total()} kills, {sum(one.aimed for one in rounds)} of them at the switch: {left}; "
        f"{wrong} of {len(rounds)} rounds wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

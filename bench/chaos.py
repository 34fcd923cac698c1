"""Kill runs and cut connections at random, resume until they end, and compare every row.

    python -m bench.chaos --kills 200 --cuts 100 [--seed N]
    python -m bench.chaos --disturbed 300 [--seed N]

A stand-in source, a process of its own, holds tables with every kind of key and none; the target is an
embedded PostgreSQL with foreign keys, indexes and triggers on them. Each round starts sync-data.py one way
or another, kills it or breaks one of its connections at a random moment, and goes on with `--resume`,
killed again now and then, until a run ends with exit code 0. Then every table must hold the source's rows,
each as often as there. They are compared inside PostgreSQL with a copy that psycopg2 made of the rows as
they were declared, so that no fault of the tool is repeated here. The seed brings back the choices of a
run, not the moments at which processes were hit. Exits 1 if anything was lost, doubled or is missing.

With `--disturbed`, somebody touches the target between a kill and a resume (`bench.disturber`): each such round
must end equal, or told. Exits 1 if one ended otherwise.
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

from bench import disturber
from bench.arena import (
    OBJECTS,
    RUN_TIMEOUT_S,
    SMALLEST_CHUNKS,
    TABLES,
    Arena,
    arena,
    rows_of,
    wait_for_first_table,
    wait_for_last_table,
)
from postgres.names import quote

#: each run is given one of these, so that loads are continued under another setting than they began with
CHUNK_ROWS = (str(SMALLEST_CHUNKS), "6000", "12000")
#: runs after which a round that does not end is given up
MOST_RUNS = 12


@dataclass
class Damage:
    """What was found wrong, over all rounds."""

    lost: int = 0
    doubled: int = 0
    missing: int = 0
    other: int = 0

    @property
    def is_none(self) -> bool:
        """Whether nothing was."""
        return not (self.lost or self.doubled or self.missing or self.other)


# -- a round -----------------------------------------------------------------------------------


@dataclass
class Round:
    """What happened in a round, for a person who wants to know how something was lost."""

    number: int
    steps: list[str] = field(default_factory=list)
    output: str = ""
    kills: int = 0
    cuts: int = 0


def _begin(made: Arena, chance: random.Random) -> list[str]:
    """Choose how a round begins; returns the first run's arguments.

    Without a truncation the tables begin empty, or their rows would rightly be there twice.
    """
    kind = chance.choice(("plain", "over", "resume", "plain --no-truncate", "resume --no-truncate"))
    if kind == "over":
        return []
    if "--no-truncate" in kind or chance.random() < 0.5:
        made.empty()
    made.workplace.data_progress.unlink(missing_ok=True)
    arguments = ["--resume"] if kind.startswith("resume") else []
    return [*arguments, "--no-truncate"] if "--no-truncate" in kind else arguments


def _disturbed(made: Arena, chance: random.Random, this: Round, arguments: list[str], cuts: bool) -> int | None:
    """Run the script and kill it, or cut a connection of it; its exit code, None if it was killed."""
    workers = chance.choice((1, 4))
    chunk_rows = chance.choice(CHUNK_ROWS)
    workplace = made.workplace.with_settings(CHUNK_ROWS=chunk_rows)
    if cuts:
        proxy, traffic = chance.choice(((made.source_proxy, made.traffic[0]), (made.target_proxy, made.traffic[1])))
        after = chance.randrange(traffic)
        proxy.cut_after(after)
        process = workplace.start("data", *arguments, "--workers", str(workers))
        out, err = process.communicate(timeout=RUN_TIMEOUT_S)
        proxy.resume()
        this.cuts += 1
        which = "source" if proxy is made.source_proxy else "target"
        this.steps.append(f"{arguments} x{workers} cut {which} after {after} bytes: {process.returncode}")
        this.output += out + err
        return process.returncode
    process = workplace.start("data", *arguments, "--workers", str(workers))
    if chance.random() < 0.15:
        wait_for_last_table(made.workplace, process)
        delay = chance.uniform(0, 0.25)
    else:
        wait_for_first_table(made.workplace, process)
        # A run's time is rather that of its chunks than that of its rows.
        delay = chance.uniform(0, made.durations[workers] * (0.2 + 0.7 * SMALLEST_CHUNKS / int(chunk_rows)))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    this.output += out + err
    if was_running:
        this.kills += 1
        completed = sum(entry["status"] == "completed" for entry in made.tables.values())
        this.steps.append(f"{arguments} x{workers} killed with {completed} tables completed")
        return None
    this.steps.append(f"{arguments} x{workers}: {process.returncode}")
    return process.returncode


def play(made: Arena, chance: random.Random, number: int, cuts: bool) -> Round:
    """One round: disturb a run, resume it until it ends well. Raises RuntimeError if it never does."""
    this = Round(number)
    arguments = _begin(made, chance)
    code = _disturbed(made, chance, this, arguments, cuts)
    while code != 0:
        if len(this.steps) >= MOST_RUNS:
            raise RuntimeError(f"round {number} did not end: {this.steps}\n{this.output[-4000:]}")
        if made.workplace.data_progress.exists():
            arguments = ["--resume", "--no-truncate"] if chance.random() < 0.6 else ["--resume"]
        # Else there is no session yet; one begun with --no-truncate now would rightly double the rows that are there.
        if chance.random() < 0.4:
            code = _disturbed(made, chance, this, arguments, cuts)
            continue
        finished = made.workplace.run("data", *arguments, timeout=RUN_TIMEOUT_S)
        code = finished.code
        this.output += finished.text
        this.steps.append(f"{arguments}: {code}")
    return this


def check(made: Arena, damage: Damage) -> list[str]:
    """Compare everything; adds to `damage` and returns what is wrong in words."""
    words = []
    for table in TABLES:
        name = quote(table.name.lower())
        lost, doubled = (
            made.query(f"SELECT count(*) FROM (SELECT * FROM {a}.{name} EXCEPT ALL SELECT * FROM {b}.{name}) AS d")[0][
                0
            ]
            for a, b in (("expected", "public"), ("public", "expected"))
        )
        damage.lost += lost
        damage.doubled += doubled
        if lost or doubled:
            words.append(f"{table.name}: {lost} rows lost, {doubled} too many")
    there = [text for (text,) in made.query(OBJECTS)]
    gone, new = Counter(made.objects) - Counter(there), Counter(there) - Counter(made.objects)
    damage.missing += sum(gone.values())
    words += [f"missing: {text}" for text in gone] + [f"not there before: {text}" for text in new]
    damage.other += sum(new.values())
    for schema, name, kind, thing in made.query(
        "SELECT table_schema, table_name, kind, name FROM replication.suspended"
    ):
        words.append(f"still suspended: {kind} {schema}.{name}.{thing}")
        damage.other += 1
    for key, entry in made.tables.items():
        wanted = len(rows_of(key))
        if entry["status"] != "completed" or entry["rows_synced"] != wanted:
            words.append(f"the progress file says of {key}: {dict(entry)}, {wanted} rows were expected")
            damage.other += 1
    if set(made.tables) != {table.name for table in TABLES}:
        words.append(f"the progress file knows {sorted(made.tables)}")
        damage.other += 1
    return words


def play_disturbed(numbers: Sequence[int], seed: int) -> int:
    """Play the rounds of the disturber that have these numbers; returns the exit code."""
    verdicts: Counter[disturber.Verdict] = Counter()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, arena(Path(folder)) as made:
        print(f"seed {seed}", flush=True)
        for number in numbers:
            # Each round by itself: what one chooses does not depend on how the ones before went.
            this = disturber.play(made, random.Random(f"{seed} {number}"), number)
            verdicts[this.verdict] += 1
            if this.verdict == "wrong":
                told = "\n  ".join(this.words)
                steps = "\n  ".join(this.steps)
                print(f"round {number} is wrong:\n  {told}\nafter\n  {steps}\n{this.output}", flush=True)
            elif number % 10 == 0:
                print(f"{number} rounds in {time.monotonic() - started:.0f} s: {_counts(verdicts)}", flush=True)
    print(f"{len(numbers)} disturbed rounds: {_counts(verdicts)}")
    return 1 if verdicts["wrong"] else 0


def _counts(verdicts: Mapping[disturber.Verdict, int]) -> str:
    return f"{verdicts['equal']} equal, {verdicts['told']} told, {verdicts['wrong']} wrong"


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until all kills and cuts are done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often to kill a run (default: 20)")
    parser.add_argument("--cuts", type=int, default=10, help="how often to cut a connection (default: 10)")
    parser.add_argument("--disturbed", type=int, metavar="N", help="play N rounds of the disturber, and nothing else")
    parser.add_argument("--round", type=int, metavar="K", help="of these, play the one with this number alone")
    parser.add_argument("--seed", type=int, help="choose as an earlier run did")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    if options.disturbed is not None:
        numbers = range(1, options.disturbed + 1) if options.round is None else (options.round,)
        return play_disturbed(numbers, seed)
    chance = random.Random(seed)
    damage = Damage()
    kills = cuts = number = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, arena(Path(folder)) as made:
        print(
            f"seed {seed}; an undisturbed run takes {made.durations[1]:.1f} s, by 4 workers {made.durations[4]:.1f} s"
        )
        while kills < options.kills or cuts < options.cuts:
            number += 1
            # In turn as long as both are wanted, so that a run that is stopped early has seen both.
            is_cut = kills >= options.kills or (cuts < options.cuts and cuts * options.kills < kills * options.cuts)
            this = play(made, chance, number, is_cut)
            kills, cuts = kills + this.kills, cuts + this.cuts
            words = check(made, damage)
            if words:
                print(f"round {number}: {'; '.join(words)} after {this.steps}\n{this.output}", flush=True)
            elif number % 10 == 0:
                print(f"{number} rounds, {kills} kills, {cuts} cuts", flush=True)
    print(
        f"{kills} kills, {cuts} cuts: {damage.lost} rows lost, {damage.doubled} doubled, "
        f"{damage.missing} objects missing" + (f", {damage.other} other differences" if damage.other else "")
    )
    return 0 if damage.is_none else 1


if __name__ == "__main__":
    sys.exit(main())

"""Rounds in which somebody disturbs the target between a kill and a resume, or beside a run.

A round begins with a target as it was first made, or with one that is loaded. A run over all tables or some is
killed, or goes on beside a second run from another directory, beside the schema phase, a restart or a crash;
then one or two of `bench.disturbances` happen; then the load is resumed in one way or another, perhaps killed
and disturbed once more, until a run ends that was not. If its exit code is 0, the target must be
equal to one that was never disturbed: the rows as they were declared, and every key, index and trigger
that nobody dropped on purpose. If not, the last run's words must name each table that is not equal.
Anything else is wrong: above all exit code 0 over a target that is not equal.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import psycopg2

from bench.arena import (
    EMPTY,
    LOADED,
    RUN_TIMEOUT_S,
    SMALLEST_CHUNKS,
    TABLES,
    Arena,
    wait_for_first_table,
    wait_for_last_table,
)
from bench.disturbances import BESIDE_A_RUN, BETWEEN_RUNS, NAMES, Account, Scene
from postgres.names import quote
from tests.harness import Workplace

Verdict = Literal["equal", "told", "wrong"]
#: the exit codes for a server that cannot be reached and for a run that another one keeps out
UNREACHABLE, HELD = 3, 4
ALL = frozenset(NAMES)
#: how often a run is tried again whose server is just restarting, or whose tables a dying run still holds
MOST_TRIES = 8


@dataclass(frozen=True)
class Run:
    """A run of the data phase: over which tables, its exit code (None: killed), and what it said."""

    tables: frozenset[str]
    code: int | None
    out: str
    err: str

    @property
    def is_refusal(self) -> bool:
        """Whether it ended before it did anything to any table."""
        return "Processing:" not in self.out

    @property
    def misses_its_file(self) -> bool:
        """Whether it was refused for want of the progress file; then it says where this source has another."""
        return "--resume: there is no progress file" in self.out + self.err

    def names(self, *words: str) -> bool:
        """Whether its complaints name one of these: a table, by either side's name, or a thing on it."""
        patterns = []
        for word in filter(None, words):
            # Some tables are called as everyday words are.
            known = {name.lower(): name for name in NAMES}
            patterns.append(rf'\b{known[word]}\b|public\.{word}\b|"{word}"' if word in known else re.escape(word))
        return re.search("|".join(patterns), "\n".join(self._complaints())) is not None

    def _complaints(self) -> Iterable[str]:
        """Standard error, and what stands behind a ❌, a ⚠️ or a 🛑, with the indented lines below it."""
        yield from self.err.splitlines()
        is_one = False
        for line in self.out.splitlines():
            is_one = any(mark in line for mark in "❌⚠🛑") or (is_one and line.startswith(" "))
            if is_one:
                yield line


@dataclass
class DisturbedRound:
    """What happened in a round, and how it ended."""

    number: int
    verdict: Verdict = "wrong"
    steps: list[str] = field(default_factory=list)
    #: what was not equal at the end
    words: list[str] = field(default_factory=list)
    output: str = ""


# -- the verdict ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """Something that is not as it should be, and the names by which a run may tell of it."""

    text: str
    table: str
    others: tuple[str, ...] = ()


def compare(scene: Scene, tables: frozenset[str]) -> list[Difference]:
    """Hold these tables against the rows as they were declared, and what stands on them against the account.

    Asks PostgreSQL alone; columns that somebody added are not looked at.
    """
    found = [
        difference for table in TABLES if table.name in tables for difference in _row_differences(scene, table.name)
    ]
    names = {name.lower() for name in tables}
    account, there = scene.account, scene.things()
    for thing in sorted(account.required - there, key=str):
        if thing.table in names:
            found.append(Difference(f"missing: {thing}", thing.table, (thing.to, thing.name)))
    for thing in sorted(there - account.required, key=str):
        is_free = {thing.table, thing.to} & account.loose or (thing.table, thing.name) in account.forgiven
        if thing.table in names and not is_free:
            found.append(Difference(f"not there before: {thing}", thing.table, (thing.to, thing.name)))
    for table in TABLES:
        if table.name in tables and table.primary_key is not None:
            wanted = [part.name.lower() for part in table.primary_key.columns]
            if _primary_key(scene, table.name.lower()) != wanted:
                found.append(Difference(f"{table.name} has no primary key", table.name.lower()))
    return found


def _row_differences(scene: Scene, name: str) -> list[Difference]:
    table = quote(name.lower())
    columns = ", ".join(quote(column.name.lower()) for t in TABLES if t.name == name for column in t.columns)
    counts = ", ".join(
        f"(SELECT count(*) FROM (SELECT {columns} FROM {a}.{table} EXCEPT ALL SELECT {columns} FROM {b}.{table}) AS d)"
        for a, b in (("expected", "public"), ("public", "expected"))
    )
    try:
        ((lost, surplus),) = scene.made.query(f"SELECT {counts}")
    except psycopg2.Error as error:
        return [Difference(f"{name} cannot be compared: {str(error).splitlines()[0]}", name.lower())]
    if lost or surplus:
        return [Difference(f"{name}: {lost} rows lost, {surplus} too many", name.lower())]
    return []


def _primary_key(scene: Scene, table: str) -> list[str]:
    return [
        name
        for (name,) in scene.made.query(
            "SELECT a.attname FROM pg_index AS x"
            " CROSS JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k (n, i)"
            " JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.n"
            f" WHERE x.indisprimary AND x.indisvalid AND x.indrelid = to_regclass('public.{quote(table)}') ORDER BY k.i"
        )
    ]


def _judge(scene: Scene, run: Run) -> tuple[Verdict, list[str]]:
    """What a run that ended comes to, and what was not equal."""
    differences = compare(scene, run.tables)
    words = [difference.text for difference in differences]
    if run.code == 0:
        words += [f"still suspended: {kind} {table}.{name}" for table, name, kind in scene.suspended()]
        for key, entry in scene.made.tables.items():
            if key.lower() in {table.lower() for table in run.tables} and entry["status"] != "completed":
                words.append(f"the progress file says {entry['status']} of {key}")
        return ("wrong", ["exit code 0, and", *words]) if words else ("equal", [])
    if run.code in (UNREACHABLE, HELD):
        return "wrong", [f"exit code {run.code} though nobody is there", *words]
    if run.is_refusal and (run.misses_its_file or any(run.names(one.table, *one.others) for one in differences)):
        return "told", words
    silent = [difference.text for difference in differences if not run.names(difference.table, *difference.others)]
    if silent:
        return "wrong", [f"exit code {run.code}, and not a word of", *silent]
    return "told", words


# -- runs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Started:
    """A run under way; `delay` is the moment, in seconds from its first table on, at which to disturb it."""

    process: subprocess.Popen[str]
    tables: frozenset[str]
    words: str
    delay: float

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until it is over."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)


def _begin(scene: Scene, workplace: Workplace, arguments: Sequence[str], tables: frozenset[str]) -> Started:
    workers, chunk_rows = scene.chance.choice((1, 2, 4)), scene.chunk_rows()
    where = "" if workplace is scene.made.workplace else " in another directory"
    words = f"{' '.join(arguments) or 'a plain run'} x{workers} CHUNK_ROWS={chunk_rows}{where}"
    process = workplace.with_settings(CHUNK_ROWS=chunk_rows).start("data", *arguments, "--workers", str(workers))
    seconds = scene.made.durations[1 if workers == 1 else 4]
    delay = scene.chance.uniform(0, seconds * (0.2 + 0.7 * SMALLEST_CHUNKS / int(chunk_rows)))
    return Started(process, tables, words, delay)


def _end(scene: Scene, this: DisturbedRound, run: Started, kill: bool = False) -> Run:
    """Wait for a run's end, or kill it now. Raises AssertionError where it does not end."""
    process = run.process
    was_killed = kill and process.poll() is None
    try:
        if was_killed:
            os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"{run.words} did not end within {RUN_TIMEOUT_S} s:\n{out}\n{err}") from None
    code = None if was_killed else process.returncode
    this.steps.append(f"{run.words}: {'killed' if was_killed else f'exit code {code}'}")
    scene.output += [f"-- {this.steps[-1]}", out, err]
    return Run(run.tables, code, out, err)


def _whole(scene: Scene, this: DisturbedRound, arguments: Sequence[str], tables: frozenset[str] = ALL) -> Run:
    """A run from its start to its end, once its servers are there and nobody else is at its tables."""
    run = Run(tables, None, "", "")
    for _ in range(MOST_TRIES):
        run = _end(scene, this, _begin(scene, scene.made.workplace, arguments, tables))
        if run.code not in (UNREACHABLE, HELD):
            break
        time.sleep(1)
    return run


def _interrupted(
    scene: Scene, this: DisturbedRound, arguments: Sequence[str], tables: frozenset[str], workplace: Workplace
) -> Run:
    """A run that is killed at a random moment, unless it ends before."""
    run = _begin(scene, workplace, arguments, tables)
    if scene.chance.random() < 0.2:
        wait_for_last_table(workplace, run.process)
        run.wait(scene.chance.uniform(0, 0.25))
    else:
        wait_for_first_table(workplace, run.process)
        run.wait(run.delay)
    return _end(scene, this, run, kill=True)


def _accompanied(scene: Scene, this: DisturbedRound, arguments: Sequence[str], tables: frozenset[str]) -> list[Run]:
    """A run beside which something else happens, another run above all; returns those that ended by themselves."""
    run = _begin(scene, scene.made.workplace, arguments, tables)
    wait_for_first_table(scene.made.workplace, run.process)
    run.wait(run.delay / 2)
    if scene.chance.random() < 0.4:
        this.steps.append(f"beside the next: {scene.chance.choice(BESIDE_A_RUN)(scene)}")
        return [_end(scene, this, run)]
    # In the first one's own directory it is turned away.
    workplace = scene.made.workplace if scene.chance.random() < 0.1 else scene.other
    second = _begin(scene, workplace, *_some_tables(scene.chance))
    this.steps.append("beside each other:")
    if scene.chance.random() < 0.3:
        wait_for_first_table(workplace, second.process)
        _end(scene, this, run, kill=True)
        ended = _end(scene, this, second)
        # Of tables that both were at, the one that was killed may have been the later one.
        return [ended] if not run.tables & second.tables else []
    return [_end(scene, this, run), _end(scene, this, second)]


def _some_tables(chance: random.Random) -> tuple[list[str], frozenset[str]]:
    """Flags that choose all tables or a few, and which these are."""
    if chance.random() < 0.3:
        return [], ALL
    chosen = sorted({*chance.sample(NAMES, chance.randint(1, 3)), *(["Ledger"] if chance.random() < 0.5 else [])})
    return ["--tables", ",".join(chosen)], frozenset(chosen)


def _way_back(scene: Scene) -> tuple[list[str], frozenset[str]]:
    """How somebody goes on: the flags, and the tables that are then promised."""
    kind = scene.chance.choice(("--resume", "keep", "keep", "from", "resume from", "some", "resume some", "plain"))
    match kind:
        case "keep":
            return _keeping(scene), ALL
        case "from" | "resume from":
            start = scene.chance.choice(NAMES)
            left = frozenset(name for name in NAMES if name.lower() >= start.lower())
            return [*(["--resume"] if kind == "resume from" else []), "--start-from-table", start], left
        case "some" | "resume some":
            flags, chosen = _some_tables(scene.chance)
            return [*(["--resume"] if kind == "resume some" else []), *flags], chosen
        case "plain":
            return [], ALL
    return ["--resume"], ALL


def _keeping(scene: Scene) -> list[str]:
    """`--resume --no-truncate`, but where there is no session: there it would rightly double what is there."""
    return ["--resume", "--no-truncate"] if scene.made.workplace.data_progress.exists() else ["--resume"]


# -- a round -----------------------------------------------------------------------------------------


def play(made: Arena, chance: random.Random, number: int) -> DisturbedRound:
    """One round, from a state of the target that does not depend on the rounds before."""
    this = DisturbedRound(number)
    loaded = chance.random() < 0.25
    made.put_back(LOADED if loaded else EMPTY)
    other = made.workplace.folder / "other"
    for path in other.glob("*.json") if other.exists() else ():
        path.unlink()
    scene = Scene(made, chance, Account(set()), frozenset())
    scene.first = frozenset(scene.things())
    scene.account.required = set(scene.first)
    this.steps.append(f"a target that is {'loaded' if loaded else 'empty'}")
    try:
        this.verdict, this.words = _play(scene, this)
    except AssertionError as error:
        this.verdict, this.words = "wrong", [str(error)]
    this.output = "\n".join(scene.output)
    return this


def _play(scene: Scene, this: DisturbedRound) -> tuple[Verdict, list[str]]:
    chance = scene.chance
    if chance.random() < 0.25:
        for table in chance.sample(NAMES, 2):
            # One to which a foreign key of a logged table points cannot be.
            with contextlib.suppress(psycopg2.Error):
                scene.made.query(f"ALTER TABLE {quote(table.lower())} SET UNLOGGED")
                this.steps.append(f"{table} is unlogged")
    flags, tables = ([], ALL) if chance.random() < 0.7 else _some_tables(chance)
    flags = ["--resume", *flags] if chance.random() < 0.2 else flags
    if chance.random() < 0.35:
        words = _believed(scene, _accompanied(scene, this, flags, tables))
        if words:
            return "wrong", words
    else:
        _interrupted(scene, this, flags, tables, scene.made.workplace)
    if scene.made.workplace.data_progress.exists():
        scene.saved = scene.made.workplace.data_progress.read_bytes()
    for turn in range(chance.choice((1, 1, 2))):
        words = _disturb(scene, this)
        if not words and (turn or chance.random() < 0.3):
            words = _go_on(scene, this)
        if words:
            return "wrong", words
    verdict, words = _judge(scene, _whole(scene, this, _keeping(scene) if chance.random() < 0.6 else ["--resume"]))
    if verdict == "told" and chance.random() < 0.6:
        later, more = _judge(scene, _whole(scene, this, _after_being_told(scene, this)))
        if later == "wrong":
            return later, more
    return verdict, words


def _disturb(scene: Scene, this: DisturbedRound) -> list[str]:
    """One or two disturbances, perhaps with a run from another directory; returns what that lied about."""
    chance = scene.chance
    for _ in range(chance.choice((1, 1, 2))):
        done = None
        while done is None:
            done = chance.choice(BETWEEN_RUNS)(scene)
        this.steps.append(done)
    if chance.random() >= 0.25:
        return []
    flags, tables = _some_tables(chance)
    if chance.random() < 0.5:
        _interrupted(scene, this, flags, tables, scene.other)
        return []
    return _believed(scene, [_end(scene, this, _begin(scene, scene.other, flags, tables))])


def _go_on(scene: Scene, this: DisturbedRound) -> list[str]:
    """A run that is not the last one, killed or not; returns what it lied about."""
    flags, tables = _way_back(scene)
    if scene.chance.random() < 0.6:
        _interrupted(scene, this, flags, tables, scene.made.workplace)
        return []
    return _believed(scene, [_whole(scene, this, flags, tables)])


def _believed(scene: Scene, runs: Sequence[Run]) -> list[str]:
    """What is not equal of the rows of those tables that runs ended well with, and no other of them complained of."""
    good = [run for run in runs if run.code == 0]
    complaining = [run for run in runs if run.code not in (0, HELD)]
    return [
        f"exit code 0, and {difference.text}"
        for table in sorted(frozenset[str]().union(*(run.tables for run in good)))
        if not any(run.names(table.lower()) for run in complaining)
        for difference in _row_differences(scene, table)
    ]


def _after_being_told(scene: Scene, this: DisturbedRound) -> list[str]:
    """What somebody does who was told: resume once more, or make what is missing and begin anew."""
    if scene.chance.random() < 0.5:
        return ["--resume"]
    finished = scene.made.workplace.run("schema", timeout=RUN_TIMEOUT_S)
    scene.output.append(finished.text)
    this.steps.append(f"replicate-schema.py: {finished.code}")
    return []

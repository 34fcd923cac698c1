"""Killed at any moment and resumed: the same schema, and the same report, as a run that nobody disturbed.

`SCHEMA_KILLS` says how many times a run is killed (4 by default).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from standin.server import StandIn
from tests.handmade import HANDMADE
from tests.harness import Workplace, source_settings, wait_until
from tests.made_schemas import dump
from tests.samples import query, statuses

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
KILLS = int(os.environ.get("SCHEMA_KILLS", "4"))


class _Runs:
    """Workplaces against one source, and what an undisturbed run makes there."""

    def __init__(self, source: StandIn, target: EmbeddedTarget, folder: Path) -> None:
        self._source, self._target, self._folder = source, target, folder
        workplace = self.workplace("undisturbed")
        process = workplace.start("schema")
        wait_until(workplace.schema_progress.exists, "the run has begun")
        started = time.monotonic()
        out, err = process.communicate()
        #: how long the work takes, from the progress file's first appearance on
        self.seconds = time.monotonic() - started
        assert process.returncode == 0, out + err
        self.schema = dump(target, "undisturbed")
        self.report = _objects(workplace)

    def workplace(self, name: str) -> Workplace:
        """A folder and an empty database of that name."""
        self._target.create_database(name)
        folder = self._folder / name
        folder.mkdir()
        settings = {**source_settings(self._source.port, HANDMADE.name), **self._target.environment(name)}
        return Workplace(folder, settings)


def _objects(workplace: Workplace) -> list[object]:
    document = json.loads((workplace.folder / "schema_report.json").read_text(encoding="utf-8"))
    return sorted(document["objects"], key=json.dumps)


@pytest.fixture(scope="module")
def runs(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Runs]:
    """The hand-made database, served for all kills."""
    with StandIn(HANDMADE, {}) as source:
        yield _Runs(source, target, tmp_path_factory.mktemp("kills"))


def _kill(process: subprocess.Popen[str]) -> bool:
    """SIGKILL the run's whole group; False if it had ended before."""
    was_running = process.poll() is None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return was_running


def test_killed_at_random_moments_and_resumed_the_schema_is_the_same(runs: _Runs, target: EmbeddedTarget) -> None:
    chance = random.Random(1)
    kills = rounds = 0
    seen: Counter[str] = Counter()
    while kills < KILLS:
        name = f"killed_{rounds}"
        rounds += 1
        workplace = runs.workplace(name)
        # One or two kills on the way to one schema; those that come too late do not count.
        for arguments in [(), ("--resume",)][: min(chance.randint(1, 2), KILLS - kills)]:
            before = workplace.schema_progress.stat().st_mtime_ns if workplace.schema_progress.exists() else 0
            process = workplace.start("schema", *arguments)
            _wait_for_work(workplace, before, process)
            time.sleep(chance.uniform(0, runs.seconds))
            kills += _kill(process)
            seen.update(statuses(workplace.schema_progress, "schema").values())
        finished = workplace.run("schema", "--resume")
        assert finished.code == 0, finished.text
        assert dump(target, name) == runs.schema
        assert _objects(workplace) == runs.report
        assert set(statuses(workplace.schema_progress, "schema").values()) == {"completed"}
        assert rounds < 4 * KILLS + 4, "the runs end before they are killed"
    print(f"\n{kills} kills in {rounds} runs; the tables were then {dict(seen)}")


def _wait_for_work(workplace: Workplace, before: int, process: subprocess.Popen[str]) -> None:
    """Wait until the run has written its progress file, or has ended."""

    def has_begun() -> bool:
        file = workplace.schema_progress
        return process.poll() is not None or (file.exists() and file.stat().st_mtime_ns != before)

    wait_until(has_begun, "the run has begun")


@pytest.mark.parametrize("table", ["children", "indexed"])
def test_killed_while_a_statement_waits_and_resumed(runs: _Runs, target: EmbeddedTarget, table: str) -> None:
    """A kill at a moment that is known: while PostgreSQL keeps the run waiting for a table."""
    name = f"waiting_{table}"
    workplace = runs.workplace(name)
    blocker = target.connect(name)
    blocker.autocommit = False
    process = None
    try:
        with blocker.cursor() as cursor:
            # The name is taken by somebody who has not decided yet.
            cursor.execute(f"CREATE TABLE {table} (id integer)")
            process = workplace.start("schema")
            wait_until(lambda: query(target, name, WAITING) == [(1,)], "the run waits for the lock")
            assert _kill(process)
    finally:
        if process is not None:
            _kill(process)
        blocker.rollback()
        blocker.close()
    finished = workplace.run("schema", "--resume")
    assert finished.code == 0, finished.text
    assert dump(target, name) == runs.schema
    assert _objects(workplace) == runs.report

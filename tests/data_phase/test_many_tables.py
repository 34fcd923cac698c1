"""Three hundred tables: stopped on the way and resumed, none is done twice and none is left out."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Workplace, wait_until
from tests.samples import MONEY, TEXT, Shop, entries, processed, statuses, table

TABLES = 300
KILL_AT = 45
#: names of one width, so that their order as text is that of their numbers
NAMES = [f"Table{number:03}" for number in range(1, TABLES + 1)]
MANY = Database("many", tuple(table(name, amount=MONEY, label=TEXT) for name in NAMES))
MANY_ROWS = {
    f"dbo.{name}": [(row, f"{number}.{row:02}", f"{name} row {row}") for row in range(number % 4)]
    for number, name in enumerate(NAMES)
}


@pytest.fixture
def many(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Iterator[Shop]:
    """Three hundred small tables, and an empty target."""
    source = serve(MANY, MANY_ROWS)
    yield Shop(source, make_workplace(source, MANY), target, target_database)


def kill_when_completed(many: Shop, script: str, tables: int) -> None:
    """Run a phase and kill it as soon as so many tables are completed."""
    process = many.workplace.start(script)
    # What a run says of so many tables does not fit into a pipe that nobody reads.
    said = ThreadPoolExecutor(1).submit(process.communicate)

    def are_completed() -> bool:
        assert process.poll() is None, said.result()
        file = many.progress(script)
        return file.exists() and list(statuses(file, script).values()).count("completed") >= tables

    try:
        wait_until(are_completed, f"{tables} tables are completed", timeout=60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        said.result()


def test_three_hundred_tables_killed_in_both_phases_and_resumed_are_all_equal_and_none_is_done_twice(
    many: Shop,
) -> None:
    for script in ("schema", "data"):
        kill_when_completed(many, script, KILL_AT)
        before = entries(many.progress(script), script)
        done = [name for name in NAMES if before[name]["status"] == "completed"]
        left = [name for name in NAMES if name not in done]
        assert KILL_AT <= len(done) < TABLES

        resumed = many.workplace.run(script, "--resume")
        assert resumed.code == 0, resumed.text[-3000:]
        assert f"✅ Completed:     {len(done)}\n" in resumed.out
        assert processed(resumed.out) == left
        assert f"[{NAMES.index(left[0]) + 1}/300] Processing: {left[0]}" in resumed.out
        after = entries(many.progress(script), script)
        assert list(after) == NAMES
        assert {part["status"] for part in after.values()} == {"completed"}
        assert {name: after[name] for name in done} == {name: before[name] for name in done}
        assert re.search(rf"^Skipped: +{len(done)}$", resumed.out, re.MULTILINE)

        again = many.workplace.run(script, "--resume")
        assert again.code == 0
        assert processed(again.out) == []
    assert len(many.tables) == TABLES
    many.assert_equal()

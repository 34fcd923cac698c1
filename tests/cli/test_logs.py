"""What a log has: the time, the run, one line a table; nothing that a search for failures finds on a good night."""

from __future__ import annotations

import json
import re
import signal
from dataclasses import replace
from typing import Any

import pytest

from model.version import __version__
from tests.harness import Workplace, wait_until
from tests.samples import Shop, both_scripts, statuses
from tests.scenes import Scene

STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([0-9a-f]{8}) (.*)")


def usual(shop: Shop, *told: str) -> Workplace:
    """The workplace as cron has it: the scripts tell what they usually do."""
    return replace(shop.workplace, told=told)


def raw(workplace: Workplace, script: str, *arguments: str) -> tuple[int, list[str]]:
    """A run's exit code, and the lines that it said, as they came."""
    process = workplace.start(script, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, (out + err).splitlines()


@both_scripts
def test_every_line_has_the_time_and_the_run(shop: Shop, script: str) -> None:
    shop.ready(script)
    code, lines = raw(usual(shop), script)
    assert code == 0
    found = [STAMP.fullmatch(line) for line in lines]
    assert all(found), lines
    kept = json.loads((shop.workplace.folder / "runs.jsonl").read_text(encoding="utf-8"))
    assert {match[1] for match in found if match} == {kept["run"][:8]}


@both_scripts
def test_a_good_night_has_nothing_that_a_search_for_failures_finds(shop: Shop, script: str) -> None:
    shop.ready(script)
    for told in ((), ("-v",), ("-q",), ("--no-emoji",)):
        code, lines = raw(usual(shop, *told), script)
        assert code == 0
        assert [line for line in lines if re.search("fail|error|❌", line, re.IGNORECASE)] == []


def test_each_table_has_one_line(shop: Shop) -> None:
    shop.ready("data")
    _, lines = raw(usual(shop), "data")
    for name in ("dbo.Customers", "dbo.Orders", "dbo.Products", "Sales.Orders"):
        (line,) = [line for line in lines if f" {name}" in line]
        assert re.search(rf"✅ \[\d/4\] {name}: \d+ rows in \d+\.\d s$", line), line
    assert not [line for line in lines if "Reading from" in line or "====" in line]


def test_a_bad_night_names_the_table_when_it_fails_and_at_the_end(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13)")
    code, lines = raw(usual(shop), "data")
    assert code == 1
    found = [line for line in lines if "❌" in line and "Orders" in line and "odd" in line]
    assert len(found) == 2


def test_quiet_says_what_is_wrong_and_how_it_ended(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13)")
    code, lines = raw(usual(shop, "-q"), "data")
    assert code == 1
    text = "\n".join(lines)
    assert "dbo.Orders failed" in text
    assert "Synchronization Summary" in text
    assert "Customers" not in text


def test_a_log_file_is_added_to_and_its_owner_s_alone(shop: Shop) -> None:
    shop.ready("data")
    log = shop.workplace.folder / "night.log"
    for _ in range(2):
        assert shop.workplace.run("data", "--log-file", str(log)).code == 0
    assert log.stat().st_mode & 0o777 == 0o600
    found = [STAMP.fullmatch(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert len({match[1] for match in found if match}) == 2


def test_a_log_file_that_cannot_be_written_ends_the_run_before_it_begins(shop: Shop) -> None:
    shop.ready("data")
    finished = shop.workplace.run("data", "--log-file", str(shop.workplace.folder / "no" / "night.log"))
    assert finished.code == 2
    assert "night.log cannot be written" in finished.err
    assert not shop.workplace.data_progress.exists()


def test_json_has_an_object_a_line_with_the_documented_keys(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13)")
    code, lines = raw(usual(shop, "--log-format", "json"), "data")
    assert code == 1
    found: list[dict[str, Any]] = [json.loads(line) for line in lines]
    assert all(one.keys() >= {"time", "run", "level", "event", "table", "message"} for one in found)
    done = {one["table"]: one for one in found if one["event"] == "table completed"}
    assert done.keys() == {"Customers", "Products", "Sales.Orders"}
    assert done["Customers"]["rows"] == 12
    (bad,) = [one for one in found if one["event"] == "table failed"]
    assert (bad["table"], bad["level"]) == ("Orders", "error")
    assert "odd" in bad["error"]


@pytest.mark.parametrize("told", [("--no-emoji",), ("--no-emoji", "-v")])
def test_without_emoji_there_are_words(shop: Shop, told: tuple[str, ...]) -> None:
    shop.ready("data")
    code, lines = raw(usual(shop, *told), "data")
    assert code == 0
    assert any("[OK] " in line for line in lines)
    assert all(line.isascii() for line in lines), [line for line in lines if not line.isascii()]


@both_scripts
def test_the_version_is_told(shop: Shop, script: str) -> None:
    finished = usual(shop).run(script, "--version")
    assert finished.code == 0
    assert finished.out.split()[-1] == __version__


def test_a_stopped_run_names_the_tables_that_failed_until_then(scene: Scene) -> None:
    scene.query("ALTER TABLE few ADD CONSTRAINT odd CHECK (id <> 13)")
    with scene.stopped_in_the_big_table(WORKERS="2") as process:
        wait_until(lambda: statuses(scene.workplace.data_progress)["Few"] == "failed", "the small table has failed")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "Stopped by SIGTERM" in err
    assert re.search("❌ Few: .*odd", err)

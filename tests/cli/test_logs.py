"""What a log has: the time, the run, one line a table; nothing that a search for failures finds on a good night."""

from __future__ import annotations

import ast
import io
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.display.line_bars import LineBars
from cli.display.log import JsonLog, LogDisplay
from cli.display.plain import without_emoji
from model.version import __version__
from run.display import Bars, Line, Whole, line_of
from tests.harness import ROOT, Workplace, wait_until
from tests.samples import Shop, both_scripts, statuses
from tests.scenes import Scene
from tests.terminals import on_terminal

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
    more: dict[str, tuple[tuple[str, ...], ...]] = {
        "schema": (("--check",), ("--apply-drift",)),
        "data": (
            ("--nightly", "--with-schema", "--then-verify"), ("--on-error", "reject"), ("--retry-rejects",),
            ("--verify",), ("--workers", "1"), ("--restore-keys",), ("--resume",),
        ),
    }  # fmt: skip
    for told in ((), ("-v",), ("-q",), ("--no-emoji",), *more[script]):
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


def test_a_comparison_ends_in_one_line(shop: Shop) -> None:
    shop.ready("data")
    _, lines = raw(usual(shop), "data", "--then-verify")
    assert re.search(r"✅ Verification Summary: Total tables 4, Equal 4, Rows compared 46, Duration ", lines[-1])
    shop.query("DELETE FROM customers WHERE id = 3")
    code, lines = raw(usual(shop), "data", "--verify")
    assert code == 1
    assert "❌ Verification Summary: Total tables 4, Equal 3, Different 1, " in "\n".join(lines)
    assert [line for line in lines if "❌" in line and "dbo.Customers" in line]


@pytest.mark.parametrize("told", [("--no-emoji",), ("--no-emoji", "-v"), ("--no-emoji", "--nightly", "--with-schema")])
def test_without_emoji_there_are_words(shop: Shop, told: tuple[str, ...]) -> None:
    shop.ready("data")
    code, lines = raw(usual(shop, *told), "data")
    assert code == 0
    assert any("[OK] " in line for line in lines)
    assert all(line.isascii() for line in lines), [line for line in lines if not line.isascii()]


def test_there_is_a_word_for_each_emoji_of_the_product() -> None:
    rooms = [path for path in ROOT.glob("*") if path.name not in {"tests", "bench", "demo", "standin"}]
    files = [file for room in rooms for file in ([room] if room.suffix == ".py" else room.rglob("*.py"))]
    texts = {
        node.value for file in files if ".venv" not in file.parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }  # fmt: skip
    assert any("✅" in text for text in texts)
    left = {found for text in texts for found in re.findall("[\U0001f000-\U0001faff]|.\ufe0f", without_emoji(text))}
    assert left == set()


@pytest.mark.parametrize("encoding", ["utf-8", "UTF8", "ascii", "cp1252", "latin-1"])
@given(st.text(), st.text(max_size=20))
def test_json_is_json_on_any_stream(encoding: str, message: str, name: str) -> None:
    kept = io.BytesIO()
    stream = io.TextIOWrapper(kept, encoding=encoding, newline="\n")
    LogDisplay(stream, JsonLog("9f" * 16)).tell(Line(f"said {message} .", table=name))
    stream.flush()
    (line,) = kept.getvalue().decode("utf-8").removesuffix("\n").split("\n")
    assert json.loads(line)["message"] == f"said {message} ."
    assert json.loads(line)["table"] == name


class Lines:
    """A display that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Line] = []

    def say(self, text: str = "") -> None:
        """Keep words."""
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        """Keep a line."""
        self.told.append(line)

    @contextmanager
    def bars(self, whole: Whole) -> Iterator[Bars]:
        """Lines about progress."""
        yield LineBars(self, whole)


def test_a_long_run_says_each_minute_how_far_it_is() -> None:
    now, display = [0.0], Lines()
    bars = LineBars(display, Whole(3, 10_000), lambda: now[0])
    bars.start("Orders", 6_000)
    bars.start("Lines", 0)
    for second in range(0, 121, 10):
        now[0] = float(second)
        bars.rows("Orders", 25 * second)
    overall = [line for line in display.told if line.event == "under way"]
    assert [line.in_log for line in overall] == [
        "… 0 of 3 tables, 1,500 of about 10,000 rows, 25 rows/second, about 6 min left; under way: Orders and Lines",
        "… 0 of 3 tables, 3,000 of about 10,000 rows, 25 rows/second, about 5 min left; under way: Orders and Lines",
    ]
    assert overall[-1].facts["seconds_left"] == 280
    # A log has one line, those who want details one for each table as well.
    assert {line.level for line in display.told if line.event == "table under way"} == {"detail"}
    now[0] = 200.0
    bars.end("Orders")
    bars.end("Lines")
    last = display.told[-2].in_log or ""
    assert last.startswith("… 1 of 3 tables, 3,000 of about 10,000 rows")
    assert last.endswith("; under way: Lines")


def test_a_quiet_run_draws_nothing_on_a_terminal(shop: Shop) -> None:
    shop.ready("data")
    code, shown = on_terminal(shop.workplace, "-q")
    assert code == 0
    assert "Synchronization Summary" in shown
    assert "tables" not in shown.partition("Synchronization Summary")[0]


@both_scripts
def test_the_version_is_told(shop: Shop, script: str) -> None:
    finished = usual(shop).run(script, "--version")
    assert finished.code == 0
    assert finished.out.split()[-1] == __version__


def test_a_run_whose_server_is_gone_names_the_tables_that_failed_until_then(scene: Scene) -> None:
    scene.query("ALTER TABLE few ADD CONSTRAINT odd CHECK (id <> 13)")
    with scene.stopped_in_the_big_table(WORKERS="2", RETRY_ATTEMPTS="2", RETRY_SECONDS="0") as process:
        wait_until(lambda: statuses(scene.workplace.data_progress)["Few"] == "failed", "the small table has failed")
        scene.proxy.close()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    assert re.search("❌ .*dbo.Few failed: .*odd", out)
    assert re.search("❌ Few: .*odd", err)


def test_a_stopped_run_names_the_tables_that_failed_until_then(scene: Scene) -> None:
    scene.query("ALTER TABLE few ADD CONSTRAINT odd CHECK (id <> 13)")
    with scene.stopped_in_the_big_table(WORKERS="2") as process:
        wait_until(lambda: statuses(scene.workplace.data_progress)["Few"] == "failed", "the small table has failed")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert "Stopped by SIGTERM" in err
    assert re.search("❌ Few: .*odd", err)

"""--history as a person at a shell sees it: what the last runs came to, without server, settings or lock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from operations.run_result import FILE
from tests.harness import ROOT, Workplace, clean_environment
from tests.samples import SHOP_COUNTS, Shop, both_scripts

HISTORY = {"schema": "replicate-schema.py", "data": "sync-data.py"}


def lines(text: str) -> list[list[str]]:
    """The cells of each line, the reason in one piece."""
    return [line.split(maxsplit=11) for line in text.splitlines()]


def show(folder: Path, *arguments: str, script: str = "sync-data.py") -> subprocess.CompletedProcess[str]:
    """--history by a Python that has no package installed."""
    return subprocess.run(
        [sys.executable, "-S", str(ROOT / script), "--history", *arguments], cwd=folder, capture_output=True, text=True,
        check=False, encoding="utf-8", env=clean_environment({}), timeout=60,
    )  # fmt: skip


@both_scripts
def test_the_last_runs_are_shown_the_newest_last(own_shop: Shop, script: str) -> None:
    workplace = own_shop.workplace.with_settings(WORKERS="1")
    assert workplace.run("schema").code == 0
    own_shop.source.fail_next("dbo.Orders", 8134, "Divide by zero error encountered.")
    assert workplace.run("data").code == 1
    assert workplace.with_settings(MSSQL_PORT="1").run("data", "--resume").code == 3
    assert workplace.run("data", "--resume").code == 0
    shown = show(workplace.folder, script=HISTORY[script])
    assert (shown.returncode, shown.stderr) == (0, "")
    heading, *runs = lines(shown.stdout)
    assert heading == [
        "started", "script", "session", "verdict", "tables", "failed", "rows", "time", "mode", "workers", "because",
    ]  # fmt: skip
    # Date and time are two of the words.
    assert [(run[2], run[4], run[5], run[6]) for run in runs] == [
        ("replicate-schema", "done", "4", "0"),
        ("sync-data", "failed", "3", "1"),
        ("sync-data", "unreachable", "0", "0"),
        ("sync-data", "done", "1", "0"),
    ]
    assert int(runs[3][7].replace(",", "")) == SHOP_COUNTS["public.orders"]
    assert "1 table failed to sync" in shown.stdout
    assert runs[1][3] == runs[3][3] != "-"
    assert runs[2][3] == "-"
    assert [run[9:11] for run in runs] == [["-", "-"], ["truncate", "1"], ["-", "-"], ["truncate", "1"]]


def test_as_json_the_same_has_stable_names_and_a_number_limits_it(shop: Shop) -> None:
    shop.ready("data")
    for _ in range(3):
        assert shop.workplace.run("data", "--tables", "Orders", "--workers", "3").code == 0
    shown = show(shop.workplace.folder, "2", "--json")
    runs = json.loads(shown.stdout)
    kept = [json.loads(line) for line in (shop.workplace.folder / FILE).read_text(encoding="utf-8").splitlines()]
    assert [run["run"] for run in runs] == [run["run"] for run in kept[-2:]]
    assert runs[0].keys() == {
        "run", "started_at", "ended_at", "script", "session", "verdict", "exit_code", "tables_done", "tables_failed",
        "rows", "seconds", "ended_because", "modes", "workers", "cluster",
    }  # fmt: skip
    rows = SHOP_COUNTS["public.orders"] + SHOP_COUNTS["sales.orders"]
    assert (runs[0]["verdict"], runs[0]["rows"]) == ("done", rows)
    assert (runs[0]["modes"], runs[0]["workers"], runs[0]["cluster"]) == (["truncate"], 3, None)


def test_runs_in_several_modes_say_which_also_when_they_were_resumed(shop: Shop) -> None:
    shop.ready("data")
    workplace = shop.workplace.with_settings(WORKERS="1", REFRESH_TABLES="Sales.*:truncate")
    shop.query("ALTER TABLE products ADD CONSTRAINT few CHECK (id < 3)")
    assert workplace.run("data", "--refresh", "merge").code == 1
    shop.query("ALTER TABLE products DROP CONSTRAINT few")
    assert workplace.run("data", "--resume", "--workers", "2").code == 0
    failed, done = lines(show(workplace.folder).stdout)[1:]
    assert (failed[9:11], done[9:11]) == (["merge,truncate", "1"], ["merge", "2"])


def test_looking_leaves_nothing_behind(shop: Shop) -> None:
    shop.ready("data")
    shop.workplace.run("data")
    before = {path.name: path.read_bytes() for path in shop.workplace.folder.iterdir()}
    assert show(shop.workplace.folder).returncode == 0
    assert {path.name: path.read_bytes() for path in shop.workplace.folder.iterdir()} == before


def test_where_no_run_was_it_says_so(tmp_path: Path) -> None:
    shown = show(tmp_path)
    assert (shown.returncode, shown.stdout) == (0, "")
    assert f"No run has left a line in {FILE}" in shown.stderr
    assert json.loads(show(tmp_path, "--json").stdout) == []
    assert list(tmp_path.iterdir()) == []


def test_broken_lines_are_told_and_passed_over_and_hostile_words_are_escaped(tmp_path: Path) -> None:
    def line(script: str, because: str) -> str:
        run = {
            "script": script, "started_at": "2026-11-26T01:00:00", "ended_at": "2026-11-26T02:02:03", "exit_code": 1,
            "ended_because": because,
        }  # fmt: skip
        return json.dumps(run) + "\n"

    (tmp_path / "elsewhere").mkdir()
    text = line("a.py", "first") + "not a run\n" + line("b\x1b[2J", "red \x1b[31m\nsecond line \u202e")
    (tmp_path / "elsewhere" / FILE).write_text(text, encoding="utf-8")
    shown = show(tmp_path, "--progress-file", "elsewhere/p.json")
    assert shown.returncode == 0
    assert f"elsewhere/{FILE}, line 2: it is not JSON" in shown.stderr
    assert len(shown.stdout.splitlines()) == 3
    assert r"red \x1b[31m\nsecond line \u202e" in shown.stdout
    assert "\x1b" not in shown.stdout
    assert "1:02:03" in shown.stdout


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("data", ("--history", "--resume")),
        ("data", ("--history", "--on-error", "reject")),
        ("data", ("--verify", "--history", "3")),
        ("schema", ("--history", "--dry-run")),
        ("schema", ("--tables", "A", "--history")),
    ],
)
def test_it_is_refused_beside_work(shop: Shop, script: str, arguments: tuple[str, ...]) -> None:
    finished = Workplace(shop.workplace.folder, {}).run(script, *arguments)
    assert finished.code == 2
    other = next(word for word in arguments if word.startswith("--") and word != "--history")
    assert f"--history only shows what was and is, so it cannot be combined with {other}" in finished.err


@both_scripts
def test_json_alone_says_what_it_is_for(tmp_path: Path, script: str) -> None:
    finished = Workplace(tmp_path, {}).run(script, "--json")
    assert finished.code == 2
    assert "--json is for --status and --history" in finished.err


def test_settings_say_how_many_runs_are_kept(shop: Shop) -> None:
    shop.ready("data")
    workplace = shop.workplace.with_settings(HISTORY_RUNS="2", HISTORY_DAYS="0")
    for _ in range(7):
        workplace.run("data", "--tables", "Orders")
    runs = json.loads(show(workplace.folder, "100", "--json").stdout)
    assert 2 <= len(runs) <= 4
    assert workplace.with_settings(HISTORY_RUNS="many").run("data").code == 2

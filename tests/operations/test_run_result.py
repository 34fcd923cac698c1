"""Every run leaves a line about itself in `runs.jsonl`, whatever way it ends."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.run_script import run_script
from model.errors import SourceError
from operations.recorder import Recorder
from operations.run_result import FILE, keep
from run.options import Options
from run.script import Script
from tests.harness import ROOT, Workplace
from tests.loads import script_for
from tests.samples import SHOP_COUNTS, Shop, query, set_status, write_progress
from tests.scenes import Scene


def lines(folder: Path) -> list[dict[str, Any]]:
    """The results that the folder keeps, oldest first."""
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").splitlines()]


def last(workplace: Workplace) -> dict[str, Any]:
    """The last run's result."""
    return lines(workplace.folder)[-1]


def statuses(result: dict[str, Any]) -> dict[str, str]:
    """The status of each table."""
    return {table["table"]: table["status"] for table in result["tables"]}


def test_a_night_leaves_two_lines_that_say_all(shop: Shop) -> None:
    workplace = shop.workplace.with_settings(TABLES="Customers,*Orders,P*", SCHEMA_MAP="sales:sales")
    assert workplace.run("schema").code == 0
    assert workplace.run("data", "--exclude", "Products").code == 0
    schema, data = lines(shop.workplace.folder)
    assert (schema["script"], schema["arguments"], schema["exit_code"]) == ("replicate-schema.py", ["-v"], 0)
    assert set(statuses(schema).values()) == {"completed"}
    assert (data["script"], data["arguments"]) == ("sync-data.py", ["--exclude", "Products", "-v"])
    assert (data["exit_code"], data["ended_because"]) == (0, "all tables are completed")
    document = json.loads(shop.workplace.data_progress.read_text(encoding="utf-8"))
    assert data["session"] == document["session_id"]
    assert data["started_at"] <= data["ended_at"]
    assert {table["table"]: table["rows"] for table in data["tables"]} == {
        "Customers": SHOP_COUNTS["public.customers"],
        "Orders": SHOP_COUNTS["public.orders"],
        "Sales.Orders": SHOP_COUNTS["sales.orders"],
    }
    assert all(table["seconds"] >= 0 and table["error"] is None for table in data["tables"])
    assert data["versions"].keys() == {"source", "target"}
    assert data["settings"]["chunk_rows"] == 1_000_000
    # As people write them.
    assert (data["settings"]["tables"], data["settings"]["schema_map"]) == ("Customers,*Orders,P*", "sales:sales")
    secret = shop.workplace.environment["MSSQL_PASSWORD"]
    assert secret not in (shop.workplace.folder / FILE).read_text(encoding="utf-8")
    assert stat.S_IMODE((shop.workplace.folder / FILE).stat().st_mode) == 0o600


def test_a_failed_table_has_its_error_and_the_others_have_none(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 8134, "Divide by zero error encountered.")
    own_shop.source.fail_next("dbo.Customers", 1205, "was deadlocked")
    workplace = own_shop.workplace.with_settings(RETRY_SECONDS="0", WORKERS="1")
    assert workplace.run("data").code == 1
    result = last(workplace)
    assert (result["exit_code"], result["ended_because"]) == (1, "1 table failed to sync")
    tables = {table["table"]: table for table in result["tables"]}
    assert "8134" in tables["Orders"]["error"]
    assert tables["Orders"]["status"] == "failed"
    assert (tables["Customers"]["status"], tables["Customers"]["retries"]) == ("completed", 1)


def test_what_a_resume_leaves_alone_is_counted(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    set_status(shop.workplace.data_progress, "Orders", "failed")
    assert shop.workplace.run("data", "--resume").code == 0
    assert (statuses(last(shop.workplace)), last(shop.workplace)["left_alone"]) == ({"Orders": "completed"}, 3)
    assert shop.workplace.run("data", "--resume").code == 0
    assert last(shop.workplace)["ended_because"] == "nothing was left to do"


def test_suspended_keys_that_are_back_are_counted(shop: Shop) -> None:
    shop.ready("data")
    query(shop.target, shop.database, "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES customers NOT VALID")
    shop.workplace.run("data")
    assert (last(shop.workplace)["suspended"], last(shop.workplace)["restored"]) == (1, 1)


def test_changed_values_and_rejected_rows_are_there_by_table(shop: Shop) -> None:
    shop.ready("data")
    query(shop.target, shop.database, "ALTER TABLE products ADD CONSTRAINT few CHECK (id < 3)")
    assert shop.workplace.run("data", "--on-error", "reject").code == 1
    rejected = {table["table"]: table["rejected"] for table in last(shop.workplace)["tables"]}
    assert rejected["Products"] > 0
    assert "rows were rejected" in last(shop.workplace)["ended_because"]


@pytest.mark.parametrize("arguments", [("--verify",), ("--then-verify",)])
def test_what_was_compared_says_how_it_ended(shop: Shop, arguments: tuple[str, ...]) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    if arguments == ("--verify",):
        query(shop.target, shop.database, "DELETE FROM orders WHERE id = 1")
    code = shop.workplace.run("data", *arguments).code
    compared = {table["table"]: table["compared"] for table in last(shop.workplace)["tables"]}
    if arguments == ("--verify",):
        assert (code, compared.pop("Orders")) == (1, "different")
        assert last(shop.workplace)["ended_because"] == "1 of 4 tables differ"
    assert code == last(shop.workplace)["exit_code"]
    assert set(compared.values()) == {"equal"}


# -- runs that end before their time -----------------------------------------------------------------


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_says_what_it_was_at(scene: Scene, number: int, code: int) -> None:
    with scene.stopped_in_the_big_table() as process:
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == code
    result = last(scene.workplace)
    assert result["exit_code"] == code
    assert result["ended_because"].startswith("stopped by ")
    assert statuses(result)["Big"] == "in_progress"


def test_a_refused_run_says_why(shop: Shop) -> None:
    assert shop.workplace.run("data", "--tables", "Nothing").code == 2
    assert last(shop.workplace)["ended_because"].startswith("--tables Nothing: no table matches")
    assert shop.workplace.with_settings(WORKERS="many").run("data").code == 2
    assert "WORKERS must be a whole number" in last(shop.workplace)["ended_because"]


def test_arguments_that_cannot_be_read_are_told_where_runs_are_kept_and_nowhere_else(shop: Shop) -> None:
    assert shop.workplace.run("data", "--resum").code == 2
    assert not (shop.workplace.folder / FILE).exists()
    write_progress(shop.workplace.data_progress, "data", Orders="completed")
    assert shop.workplace.run("data", "--resum").code == 2
    assert (last(shop.workplace)["exit_code"], last(shop.workplace)["arguments"]) == (2, ["--resum", "-v"])
    assert "--resum" in last(shop.workplace)["ended_because"]
    assert shop.workplace.run("data", "--help").code == 0
    assert len(lines(shop.workplace.folder)) == 1


def test_a_server_that_cannot_be_reached_is_in_it(shop: Shop) -> None:
    assert shop.workplace.with_settings(MSSQL_PORT="1").run("data").code == 3
    result = last(shop.workplace)
    assert (result["exit_code"], result["tables"]) == (3, [])
    assert "cannot be reached" in result["ended_because"]


def test_a_fault_of_the_tool_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(_: Script) -> Any:
        raise ZeroDivisionError("oops")

    assert run_script(script_for(Options()), tmp_path, fail) == 1
    (result,) = lines(tmp_path)
    assert result["ended_because"] == "Error in this tool: ZeroDivisionError: oops"
    assert "--debug shows where" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_costs_a_warning_and_no_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Script) -> Any:
        raise SourceError("the source is asleep")

    folder = tmp_path / "missing"
    assert run_script(script_for(Options()), folder, refuse) == 1
    told = capsys.readouterr().err
    assert "the source is asleep" in told
    assert f"{folder / FILE} cannot be written" in told


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next(tmp_path: Path) -> None:
    keep(Recorder("x", ()).ended(0, "well"), tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[:50])
    keep(Recorder("x", ()).ended(0, "well"), tmp_path)
    first, cut, last_one = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert cut == first[:50]
    assert json.loads(last_one)["ended_because"] == "well"


def test_the_result_says_who_did_what_when_and_what_people_were_warned_of(shop: Shop) -> None:
    shop.ready("data")
    query(shop.target, shop.database, "ALTER TABLE products ADD CONSTRAINT few CHECK (id < 3)")
    query(shop.target, shop.database, "ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES customers NOT VALID")
    assert shop.workplace.run("data", "--on-error", "reject", "--workers", "2").code == 1
    result = last(shop.workplace)
    assert {span["table"] for span in result["spans"]} == {table["table"] for table in result["tables"]}
    assert all(0 <= span["begin"] <= span["end"] and span["worker"] in (1, 2) for span in result["spans"])
    (reason,) = result["rejects"]["Products"]
    assert (reason["sqlstate"], reason["rows"]) == ("23514", SHOP_COUNTS["public.products"] - 2)
    assert 'check constraint "few"' in reason["words"]
    assert [name.split()[0] for name in result["suspended_objects"]] == ["foreign"]
    assert any("rejects/Products.jsonl" in words for words in result["warnings"])


def test_runs_that_end_at_the_same_time_do_not_mix_their_lines(tmp_path: Path) -> None:
    writer = (
        "from pathlib import Path; from operations.recorder import Recorder; from operations.run_result import keep\n"
        "recorder = Recorder('x', ['y' * 20_000])\n"
        f"[keep(recorder.ended(0, 'well'), Path({str(tmp_path)!r})) for _ in range(50)]"
    )
    processes = [subprocess.Popen([sys.executable, "-c", writer], cwd=ROOT) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(lines(tmp_path)) == 150


def test_a_killed_run_is_told_and_kept_by_the_next(scene: Scene) -> None:
    scene.kill_in_the_big_table("--workers", "1")
    assert not (scene.workplace.folder / FILE).exists()
    resumed = scene.run("--resume")
    assert resumed.code == 0
    assert "The last run was killed: process " in resumed.out
    killed, after = lines(scene.workplace.folder)
    assert (killed["exit_code"], killed["script"]) == (137, "sync-data.py")
    assert killed["arguments"][:2] == ["--workers", "1"]
    assert killed["ended_because"].startswith("killed, or its machine went down")
    assert killed["session"] == after["session"]
    assert killed["started_at"] <= killed["ended_at"] <= after["started_at"]
    assert "stopped" in scene.run("--history").out
    assert "was killed" not in scene.run().out

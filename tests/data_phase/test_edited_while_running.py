"""The progress file edited while a run is active: what was set for tables not yet begun is honoured, all else told."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.harness import wait_until
from tests.samples import Shop, entries, processed, set_status, statuses
from tests.scenes import Scene

SOME = 120


def ended(scene: Scene, process: subprocess.Popen[str]) -> tuple[int, str]:
    """The run's exit code and what it said, once the source speaks again."""
    scene.proxy.resume()
    out, err = process.communicate(timeout=SOME)
    return process.returncode, out + err


def kept_copies(file: Path) -> list[Path]:
    """What was kept of edits that were not taken."""
    return sorted(file.parent.glob(f"{file.stem}.edited-*.json"))


def test_tables_not_yet_begun_are_left_out_and_the_one_at_work_is_not(scene: Scene) -> None:
    file = scene.workplace.data_progress
    with scene.stopped_in_the_big_table() as process:
        for key in ("Big", "Later"):
            set_status(file, key, "skipped")
        code, text = ended(scene, process)
    assert code == 0, text
    assert f"{file.name} was edited while this run uses it:" in text
    assert "Later: skipped by hand, it was pending: this run leaves it alone" in text
    assert "Big: skipped by hand is not taken: this run is working on it. Set it again when the run is over" in text
    assert "dbo.Later was set to skipped: left alone" in text
    assert "Processing: Few" in text
    assert "Processing: Later" not in text
    assert statuses(file) == {"Big": "completed", "Few": "completed", "Later": "skipped"}
    assert scene.query("SELECT count(*) FROM later") == [(0,)]
    (kept,) = kept_copies(file)
    assert statuses(kept)["Big"] == "skipped"
    assert f"kept in {kept.name}" in text.replace(f"{kept.parent}/", "")
    assert "Skipped:" in text
    result = json.loads((file.parent / "runs.jsonl").read_text(encoding="utf-8"))
    assert {one["table"]: one["status"] for one in result["tables"]}["Later"] == "skipped"


def test_failed_by_hand_is_left_to_resume_and_costs_the_exit_code(scene: Scene) -> None:
    file = scene.workplace.data_progress
    with scene.stopped_in_the_big_table() as process:
        set_status(file, "Few", "completed")
        set_status(file, "Later", "failed")
        code, text = ended(scene, process)
    assert code == 1, text
    assert "1 table failed to sync" in text
    assert "Later: set to failed by hand" in text
    assert scene.query("SELECT (SELECT count(*) FROM few), (SELECT count(*) FROM later)") == [(0, 0)]
    resumed = scene.run("--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == ["Later"]


def test_what_is_half_saved_is_kept_told_with_its_line_and_the_run_goes_on(scene: Scene) -> None:
    file = scene.workplace.data_progress
    with scene.stopped_in_the_big_table() as process:
        broken = file.read_text(encoding="utf-8").replace('"status": "pending",', '"status": "skipped"', 1)
        file.write_text(broken, encoding="utf-8")
        code, text = ended(scene, process)
    assert code == 0, text
    assert f"{file.name} was edited while this run uses it, and cannot be understood: line " in text
    assert 'a comma is missing after "skipped". Add it' in text
    assert [kept.read_text(encoding="utf-8") for kept in kept_copies(file)] == [broken]
    scene.assert_equal()


def test_a_file_that_is_removed_meanwhile_is_told_and_written_again(scene: Scene) -> None:
    with scene.stopped_in_the_big_table() as process:
        scene.workplace.data_progress.unlink()
        code, text = ended(scene, process)
    assert code == 0, text
    assert "was removed while this run uses it. It is written again." in text
    scene.assert_equal()


def test_the_schema_script_leaves_out_tables_that_it_has_not_begun(shop: Shop) -> None:
    file = shop.workplace.schema_progress
    blocking = shop.target.connect(shop.database)
    blocking.autocommit = False
    with blocking.cursor() as cursor:
        # The run's own CREATE TABLE of this name waits for what becomes of it.
        cursor.execute("CREATE TABLE public.customers (id integer)")
        process = shop.workplace.start("schema")
        wait_until(
            lambda: file.exists() and entries(file, "schema")["Customers"]["status"] == "in_progress", "it has begun"
        )
        set_status(file, "Products", "skipped", "schema")
        set_status(file, "Customers", "skipped", "schema")
    blocking.rollback()
    blocking.close()
    out, err = process.communicate(timeout=SOME)
    assert process.returncode == 0, out + err
    assert "Products: skipped by hand, it was pending: this run leaves it alone" in out
    assert "Customers: skipped by hand is not taken: this run is working on it" in out
    assert shop.tables == ["public.customers", "public.orders", "sales.orders"]
    assert statuses(file, "schema")["Products"] == "skipped"
    assert len(kept_copies(file)) == 1

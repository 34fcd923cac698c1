"""The progress file: read and edited by people, never half written, never trusted when it is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_edits.statuses import STATUSES, Phase
from hand_edits.whole_files import write_atomically
from model.errors import LockHeldError, ProgressFileError
from model.visible import json_text
from progress import ProgressTracker, Summary
from tests.harness import ROOT
from tests.samples import SHOP_COUNTS, SHOP_KEYS, Shop, both_scripts, entries, processed, set_status, write_progress

# -- its shape -----------------------------------------------------------------------------------


def test_the_data_phase_writes_the_documented_shape_and_nothing_else(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE products")
    assert shop.workplace.run("data").code == 1
    document = json.loads(shop.workplace.data_progress.read_text(encoding="utf-8"))
    assert {"session_start", "last_updated", "tables"} <= set(document)
    assert list(document["tables"]) == SHOP_KEYS
    parts = entries(shop.workplace.data_progress)
    for key, target in zip(SHOP_KEYS, SHOP_COUNTS, strict=True):
        part = parts[key]
        failed = key == "Products"
        assert part["status"] == ("failed" if failed else "completed")
        assert part["rows_synced"] == (0 if failed else SHOP_COUNTS[target])
        assert (part["error"] is None) is not failed
        assert ("failed_at" in part, "completed_at" in part) == (failed, not failed)
        for stamp in ("started_at", "failed_at" if failed else "completed_at"):
            assert datetime.fromisoformat(part[stamp])
    assert document["session_start"] <= parts["Customers"]["started_at"] <= document["last_updated"]


def test_the_schema_phase_keeps_its_statuses_under_schema(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    document = json.loads(shop.workplace.schema_progress.read_text(encoding="utf-8"))
    assert list(document["tables"]) == SHOP_KEYS
    assert all(set(entry) == {"schema"} for entry in document["tables"].values())
    part = document["tables"]["Sales.Orders"]["schema"]
    assert part["status"] == "completed"
    assert part["error"] is None
    assert part["started_at"] <= part["completed_at"]
    assert not shop.workplace.data_progress.exists()


def test_grep_with_five_lines_after_shows_a_tables_status_and_error(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 50000, "The dog ate it.", times=99)
    own_shop.workplace.run("data")
    for key, words in (("Orders", '"status": "failed"'), ("Sales.Orders", '"status": "completed"')):
        found = subprocess.run(
            ["grep", "-A5", f'"{key}"', str(own_shop.workplace.data_progress)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert found.count('"status"') == 1
        assert words in found
        assert '"started_at"' in found
    text = own_shop.workplace.data_progress.read_text(encoding="utf-8")
    assert '\n  "tables": {\n    "Customers": {\n      "data": {\n        "status": ' in text


def test_names_beyond_ascii_stay_readable_in_the_file(tmp_path: Path) -> None:
    tracker = ProgressTracker(tmp_path / "p.json", "data")
    tracker.start_session(["Größe", "商品"])
    text = (tmp_path / "p.json").read_text(encoding="utf-8")
    assert '"Größe"' in text
    assert '"商品"' in text


def test_a_new_file_is_its_owners_alone_whatever_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        ProgressTracker(tmp_path / "p.json", "data").start_session(["A"])
    finally:
        os.umask(before)
    assert (tmp_path / "p.json").stat().st_mode & 0o777 == 0o600


def test_rights_that_somebody_gave_the_file_survive_a_change(tmp_path: Path) -> None:
    tracker = ProgressTracker(tmp_path / "p.json", "data")
    tracker.start_session(["A"])
    tracker.path.chmod(0o660)
    tracker.start("A")
    assert tracker.path.stat().st_mode & 0o777 == 0o660


# -- edited by hand ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["completed", "skipped"])
def test_a_failed_table_edited_by_hand_is_skipped_by_resume(own_shop: Shop, status: str) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 50000, "The dog ate it.", times=99)
    assert own_shop.workplace.run("data").code == 1
    set_status(own_shop.workplace.data_progress, "Orders", status)
    resumed = own_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == []
    assert entries(own_shop.workplace.data_progress)["Orders"]["status"] == status
    assert own_shop.rows("orders") == []


def test_a_table_marked_skipped_is_counted_as_such(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Orders="skipped")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 0, finished.text
    assert "⏭️ Skipped:       1" in finished.out
    assert "📈 Progress:      4/4 (100%)" in finished.out


@both_scripts
@pytest.mark.parametrize("spelled", ["Skip", " SKIPPED "])
def test_a_status_is_read_however_it_is_spelled(shop: Shop, script: str, spelled: str) -> None:
    shop.ready(script)
    write_progress(shop.progress(script), script, Orders=spelled)
    finished = shop.workplace.run(script, "--resume")
    assert finished.code == 0, finished.text
    assert "Orders" not in processed(finished.out)
    assert entries(shop.progress(script), script)["Orders"]["status"] == "skipped"


def test_a_completed_table_edited_to_pending_is_loaded_again(own_shop: Shop) -> None:
    own_shop.ready("data")
    assert own_shop.workplace.run("data").code == 0
    own_shop.source.execute("UPDATE dbo.Products SET label = 'changed' WHERE id = 3")
    set_status(own_shop.workplace.data_progress, "Products", "pending")
    resumed = own_shop.workplace.run("data", "--resume")
    assert processed(resumed.out) == ["Products"]
    own_shop.assert_equal()


def test_an_editors_byte_order_mark_does_no_harm(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed")
    shop.workplace.data_progress.write_bytes(b"\xef\xbb\xbf" + shop.workplace.data_progress.read_bytes())
    resumed = shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == SHOP_KEYS[1:]


def test_keys_that_somebody_added_survive_a_resume(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed", Orders="failed")
    document = json.loads(shop.workplace.data_progress.read_text(encoding="utf-8"))
    document["note"] = "ask Ann"
    document["tables"]["Customers"]["ticket"] = 42
    document["tables"]["Orders"]["ticket"] = 43
    shop.workplace.data_progress.write_text(json.dumps(document), encoding="utf-8")
    assert shop.workplace.run("data", "--resume").code == 0
    after = json.loads(shop.workplace.data_progress.read_text(encoding="utf-8"))
    assert after["note"] == "ask Ann"
    assert (after["tables"]["Customers"]["ticket"], after["tables"]["Orders"]["ticket"]) == (42, 43)


# -- refused -------------------------------------------------------------------------------------

GOOD = """\
{
  "session_start": "2025-12-16T12:00:00",
  "last_updated": "2025-12-16T12:00:00",
  "tables": {
    "Customers": {
      "data": {
        "status": "completed",
        "started_at": "2025-12-16T12:00:00",
        "rows_synced": 12,
        "error": null
      }
    }
  }
}
"""

#: what was done to the file, and what the refusal must name
BROKEN = {
    "a comma too much": (
        GOOD.replace('"error": null', '"error": null,'),
        "line 10, column 22: there is a comma before }",
    ),
    "half written": (GOOD[: GOOD.index('"rows_synced"')], "line 8, column 45: the file ends before it is complete"),
    "a table twice": (
        GOOD.replace("    }\n  }", '    },\n    "Customers": {}\n  }'),
        "stands in line 5 and again here",
    ),
    "single quotes": (GOOD.replace('"completed"', "'skipped'"), 'Write "skipped"'),
    "empty": ("", "it is empty"),
    "only blanks": (" \n\n", "it is empty"),
    "an unknown status": (GOOD.replace('"completed"', '"done"'), '"Customers" has the status "done"'),
    "a status with a slip": (GOOD.replace('"completed"', '"complet"'), 'Did you mean "completed"? Nothing was'),
    "a status that is a list": (GOOD.replace('"completed"', "[]"), '"Customers"'),
    "no status": (GOOD.replace('"status": "completed",', ""), '"Customers"'),
    "a list as the whole": ("[]", "JSON object"),
    "no tables": ("{}", '"tables"'),
    "tables as a list": ('{"tables": ["Customers"]}', '"tables"'),
    "a text as an entry": ('{\n "tables": {\n  "Customers": "completed"}}', "line 3"),
    "the other phase's file": (GOOD.replace('"data"', '"schema"'), 'no "data" part'),
    "a number in words": (GOOD.replace('"rows_synced": 12', '"rows_synced": "12"'), "rows_synced"),
    "a number below nought": (GOOD.replace('"rows_synced": 12', '"rows_synced": -1'), "rows_synced"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_name_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    content, words = BROKEN[name]
    file = tmp_path / "data_sync_progress.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ProgressFileError) as refused:
        ProgressTracker(file, "data").load()
    assert words in str(refused.value)
    assert str(file) in str(refused.value)
    assert "sync-data.py --reset" in str(refused.value)
    assert file.read_text(encoding="utf-8") == content


def test_a_file_of_nothing_but_brackets_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "data_sync_progress.json"
    file.write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(ProgressFileError):
        ProgressTracker(file, "data").load()


@pytest.mark.parametrize(
    ("script", "arguments", "name"),
    [
        ("data", ["--resume"], "a comma too much"),
        ("data", ["--resume"], "an unknown status"),
        ("data", [], "empty"),
        ("data", [], "a table twice"),
        ("schema", [], "single quotes"),
        ("schema", ["--resume"], "half written"),
    ],
)
def test_a_run_refuses_a_broken_file_before_it_touches_anything(
    shop: Shop, script: str, arguments: list[str], name: str
) -> None:
    shop.ready(script)
    content, words = BROKEN[name]
    shop.progress(script).write_text(content, encoding="utf-8")
    finished = shop.workplace.run(script, *arguments)
    assert finished.code == 2
    assert words in finished.err
    assert "--reset" in finished.err
    assert shop.progress(script).name in finished.err
    assert "Traceback" not in finished.text
    assert shop.progress(script).read_text(encoding="utf-8") == content
    assert shop.done(script) == []


def test_the_line_that_is_named_is_that_of_the_broken_entry(tmp_path: Path) -> None:
    file = tmp_path / "data_sync_progress.json"
    document: dict[str, Any] = {
        "tables": {
            "Log": {"data": {"status": "failed", "error": "Orders"}},
            "Orders": {"data": {"status": "finished", "error": None}},
        }
    }
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")
    with pytest.raises(ProgressFileError, match="line 9:"):
        ProgressTracker(file, "data").load()


# -- paths that cannot be written ----------------------------------------------------------------


@both_scripts
def test_a_progress_file_that_cannot_be_written_is_refused_before_anything_is_done(shop: Shop, script: str) -> None:
    shop.ready(script)
    (shop.workplace.folder / "a-file").touch()
    for named in ("/sys/progress.json", "a-file/progress.json"):
        finished = shop.workplace.run(script, "--progress-file", named)
        assert finished.code == 2, finished.text
        assert named in finished.err
        assert "--progress-file" in finished.err
        assert "Traceback" not in finished.text
        assert shop.done(script) == []


def test_a_folder_instead_of_the_file_is_refused(shop: Shop) -> None:
    shop.ready("data")
    shop.workplace.data_progress.mkdir()
    finished = shop.workplace.run("data")
    assert finished.code == 2, finished.text
    assert "data_sync_progress.json" in finished.err
    assert "Traceback" not in finished.text
    assert shop.done("data") == []


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    tracker = ProgressTracker(file, "data")
    tracker.start_session(["A"])
    before = file.read_bytes()
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from progress import ProgressFileError, ProgressTracker\n"
        "tracker = ProgressTracker(Path(sys.argv[1]), 'data')\n"
        "tracker.load()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
        "try:\n"
        "    tracker.start('A')\n"
        "except ProgressFileError as error:\n"
        "    sys.exit(f'refused: {error}')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(file)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert finished.stderr.startswith("refused:")
    assert file.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["p.json"]


def test_the_temporary_file_of_a_killed_run_does_no_harm(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed")
    left = shop.workplace.folder / "data_sync_progress.json.a1b2c3.tmp"
    left.write_text('{"tables": {"Custo', encoding="utf-8")
    (shop.workplace.folder / "data_sync_progress.json.lock").touch()
    (shop.workplace.folder / "data_sync_progress.json.lock.holder").write_text(
        "process 1 on elsewhere", encoding="utf-8"
    )
    resumed = shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == SHOP_KEYS[1:]


# -- ProgressTracker by itself -------------------------------------------------------------------


def tracker_of(folder: Path, phase: Phase = "data") -> ProgressTracker:
    return ProgressTracker(folder / "p.json", phase)


def test_a_table_without_an_entry_is_pending(tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path)
    assert not tracker.load()
    assert tracker.status("Orders") == "pending"
    assert tracker.error("Orders") is None
    assert tracker.rows_synced("Orders") == 0


def test_a_failure_is_forgotten_when_the_table_is_started_again(tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path)
    tracker.start_session(["A"])
    tracker.start("A")
    tracker.fail("A", "it rained", rows_synced=3)
    assert (tracker.status("A"), tracker.error("A"), tracker.rows_synced("A")) == ("failed", "it rained", 3)
    tracker.start("A")
    assert (tracker.status("A"), tracker.error("A"), tracker.rows_synced("A")) == ("in_progress", None, 0)
    assert "failed_at" not in entries(tracker.path)["A"]


def test_the_rows_of_an_unfinished_copy_disappear_from_a_finished_entry(tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path)
    tracker.start_session(["A"])
    tracker.start("A")
    tracker.record("A", rows_copied=50)
    assert entries(tracker.path)["A"]["rows_copied"] == 50
    tracker.complete("A", rows_synced=70)
    part = entries(tracker.path)["A"]
    assert "rows_copied" not in part
    assert (part["status"], part["rows_synced"], part["error"]) == ("completed", 70, None)


def test_a_new_session_forgets_other_tables_unless_told_to_keep_them(tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path)
    tracker.start_session(["A", "B"])
    tracker.complete("A")
    tracker.start_session(["B", "C"], keep_others=True)
    assert list(entries(tracker.path)) == ["A", "B", "C"]
    assert tracker.status("A") == "completed"
    tracker.start_session(["C"])
    assert list(entries(tracker.path)) == ["C"]


def test_a_summary_counts_each_table_once(tmp_path: Path) -> None:
    tracker = tracker_of(tmp_path)
    write_progress(tracker.path, "data", A="completed", B="failed", C="in_progress", D="skipped", E="pending")
    tracker.load()
    summary = tracker.summary(["A", "B", "C", "D", "E", "F", "G"])
    assert summary == Summary(total=7, completed=1, failed=1, in_progress=1, skipped=1)
    assert (summary.remaining, summary.percent) == (3, 28)
    assert Summary(0, 0, 0, 0).percent == 100
    assert Summary(300, 299, 1, 0).percent == 99
    assert tracker.unfinished == 3


def test_a_second_holder_of_the_lock_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with tracker_of(tmp_path).lock():
        program = (
            "import sys\n"
            "from pathlib import Path\n"
            "from progress import LockHeldError, ProgressTracker\n"
            "try:\n"
            "    with ProgressTracker(Path(sys.argv[1]), 'data').lock():\n"
            "        print('got it')\n"
            "except LockHeldError as error:\n"
            "    print(error)\n"
        )
        command = [sys.executable, "-c", program, str(tmp_path / "p.json")]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert f"process {os.getpid()} " in told
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told == "got it\n"


def test_locks_of_the_two_phases_do_not_meet(tmp_path: Path) -> None:
    with (
        ProgressTracker(tmp_path / "data.json", "data").lock(),
        ProgressTracker(tmp_path / "schema.json", "schema").lock(),
        pytest.raises(LockHeldError),
        ProgressTracker(tmp_path / "data.json", "data").lock(),
    ):
        raise AssertionError("two runs held one lock")


@pytest.mark.parametrize("phase", ["schema", "data"])
def test_a_table_that_both_phases_know_keeps_the_other_phases_part(tmp_path: Path, phase: Phase) -> None:
    file = tmp_path / "p.json"
    both = {"schema": {"status": "completed"}, "data": {"status": "completed"}}
    file.write_text(json.dumps({"tables": {"A": both}}), encoding="utf-8")
    tracker = ProgressTracker(file, phase)
    tracker.load()
    tracker.start("A")
    other = "data" if phase == "schema" else "schema"
    assert entries(file, other)["A"] == {"status": "completed"}
    assert entries(file, phase)["A"]["status"] == "in_progress"


def test_replacing_a_file_leaves_no_temporary_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    write_atomically(file, "one")
    write_atomically(file, "two")
    assert file.read_text(encoding="utf-8") == "two"
    assert list(tmp_path.iterdir()) == [file]


# -- properties ----------------------------------------------------------------------------------

table_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
operations = st.lists(
    st.tuples(
        st.sampled_from(["session", "keep", "add", "start", "record", "complete", "fail", "load"]),
        st.integers(0, 3),
        st.integers(0, 2**40),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    ),
    max_size=12,
)


def carry_out(tracker: ProgressTracker, step: str, names: list[str], which: int, rows: int, words: str) -> None:
    """One operation of a random sequence."""
    match step:
        case "session":
            tracker.start_session(names)
        case "keep":
            tracker.start_session(names[which:], keep_others=True)
        case "add":
            tracker.add_tables([words or "x"])
        case "start":
            tracker.start(names[which])
        case "record":
            tracker.record(names[which], rows_copied=rows)
        case "complete":
            tracker.complete(names[which], rows_synced=rows)
        case "fail":
            tracker.fail(names[which], words)
        case "load":
            tracker.load()


@given(names=st.lists(table_names, min_size=4, max_size=4, unique=True), steps=operations)
@settings(max_examples=60, deadline=None)
def test_whatever_is_done_the_file_is_valid_and_says_what_the_tracker_says(
    names: list[str], steps: list[tuple[str, int, int, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracker = tracker_of(Path(folder))
        tracker.start_session(names)
        for step, which, rows, words in steps:
            carry_out(tracker, step, names, which, rows, words)
            text = tracker.path.read_text(encoding="utf-8")
            assert text == json_text(json.loads(text), indent=2) + "\n"
            again = tracker_of(Path(folder))
            assert again.load()
            for known in names:
                assert again.status(known) == tracker.status(known)
                assert again.error(known) == tracker.error(known)
                assert again.rows_synced(known) == tracker.rows_synced(known)
            assert again.summary(names) == tracker.summary(names)
            counted = tracker.summary(names)
            assert counted.total == len(names)
            assert counted.remaining >= 0
            assert 0 <= counted.percent <= 100
        assert [item.name for item in Path(folder).iterdir()] == ["p.json"]


@given(
    tables=st.dictionaries(
        table_names, st.fixed_dictionaries({"data": st.fixed_dictionaries({"status": st.sampled_from(STATUSES)})})
    )
)
@settings(max_examples=40, deadline=None)
def test_every_file_of_known_statuses_is_read_as_it_is(tables: dict[str, dict[str, dict[str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracker = tracker_of(Path(folder))
        text = json.dumps({"tables": tables})
        tracker.path.write_text(text, encoding="utf-8")
        assert tracker.load()
        assert {name: {"data": {"status": tracker.status(name)}} for name in tables} == tables
        assert tracker.path.read_text(encoding="utf-8") == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([*STATUSES, "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["tables", "data", "status", "A", "rows_synced"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(document=json_values | st.fixed_dictionaries({"tables": st.dictionaries(st.just("A"), json_values)}))
@settings(max_examples=150, deadline=None)
def test_any_other_json_is_read_or_refused_in_words_and_never_changed(document: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tracker = tracker_of(Path(folder))
        text = json.dumps(document)
        tracker.path.write_text(text, encoding="utf-8")
        try:
            tracker.load()
        except ProgressFileError as refused:
            assert "--reset" in str(refused)
        else:
            assert tracker.summary(document["tables"]).remaining >= 0
        assert tracker.path.read_text(encoding="utf-8") == text

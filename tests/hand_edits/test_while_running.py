"""Which edits of a progress file are taken while a run writes it, and that none is lost without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_edits.statuses import Status
from hand_edits.while_running import Edited, StatusHistory, Verdict, judge
from progress import ProgressTracker

BEGAN, LATER, LATEST = 4, 7, 9


def document(revision: int = LATEST, session: str = "ours", **statuses: Status) -> dict[str, Any]:
    """A progress file of the data phase."""
    tables = {table: {"data": {"status": status, "error": None}} for table, status in statuses.items()}
    return {"session_id": session, "last_updated": "2026-01-30T02:00:00", "revision": revision, "tables": tables}


#: what the run has written: One is completed since revision `LATER`, Two at work since then, Three waits
MINE = document(One="completed", Two="in_progress", Three="pending")


def history() -> StatusHistory:
    """How the run came to that."""
    known = StatusHistory(BEGAN, {"One": "pending", "Two": "pending", "Three": "pending"})
    known.note(BEGAN, {"One": "in_progress"})
    known.note(LATER, {"One": "completed", "Two": "in_progress"})
    known.note(LATEST, {})
    return known


def judged(theirs: dict[str, Any], **unfinished: str) -> Verdict:
    """What becomes of what a person saved."""
    return judge(Edited(theirs, MINE, "data", {"One", "Two"}, unfinished), history())


@pytest.mark.parametrize("status", ["skipped", "completed", "failed"])
def test_a_status_of_a_table_that_is_not_begun_is_taken(status: Status) -> None:
    verdict = judged(document(One="completed", Two="in_progress", Three=status))
    assert verdict.statuses == {"Three": status}
    assert verdict.refused == []
    assert verdict.told[0].startswith(f"Three: {status} by hand, it was pending: this run leaves it alone")


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (document(One="pending", Two="in_progress", Three="pending"), "this run has completed it. Set it again when"),
        (
            document(One="completed", Two="skipped", Three="pending"),
            "Two: skipped by hand is not taken: this run is wor",
        ),
        (document(One="completed", Two="in_progress", Three="in_progress"), "Three: in_progress by hand is not taken"),
        (document(One="completed", Two="in_progress"), "Three: its entry was removed; it is written again"),
        (document(One="completed", Two="in_progress", Three="pending", Four="skipped"), "Four: this run has no such"),
        (document(session="another", Three="skipped"), "what was saved is of another session; nothing of it is taken"),
        (document(3, Three="skipped"), "as of 2026-01-30T02:00:00, before this run began"),
        ({**MINE, "type_map": {"types": {}}, "session_start": "x"}, ""),
    ],
)
def test_what_is_not_taken_is_told_with_the_reason(theirs: dict[str, Any], words: str) -> None:
    verdict = judged(theirs)
    assert verdict.statuses == {}
    assert [line for line in verdict.refused if words in line] == verdict.refused
    assert len(verdict.refused) == (1 if words else 0)


def test_a_load_that_was_not_finished_is_not_completed_by_hand() -> None:
    verdict = judged(document(One="completed", Two="in_progress", Three="completed"), Three="3 of 8 chunks")
    assert verdict.statuses == {}
    assert verdict.refused == [
        "Three: completed by hand is not taken: its load was not finished (3 of 8 chunks). To leave it as it is, set "
        "it to skipped"
    ]


def test_an_editor_that_was_open_for_long_changes_only_what_was_changed_in_it() -> None:
    opened = document(BEGAN, One="in_progress", Two="pending", Three="skipped")
    verdict = judged(opened)
    assert (verdict.statuses, verdict.refused) == ({"Three": "skipped"}, [])
    verdict = judged(document(BEGAN, One="in_progress", Two="skipped", Three="pending"))
    assert verdict.refused == [
        "Two: skipped by hand is not taken: this run is working on it. Set it again when the run is over"
    ]


def test_notes_are_kept_and_facts_are_not_taken() -> None:
    theirs = document(One="completed", Two="in_progress", Three="pending")
    theirs["note"] = "ask Ann"
    theirs["tables"]["Three"]["data"] |= {"note": "too large", "error": "it rained"}
    verdict = judged(theirs)
    assert verdict.members == {"note": "ask Ann"}
    assert verdict.entries == {"Three": {"data": {"status": "pending", "error": None, "note": "too large"}}}
    assert verdict.refused == ['Three: "error" is not taken, only the status is a person\'s to set']


STATUS = st.sampled_from(["pending", "in_progress", "completed", "failed", "skipped"])


@given(st.dictionaries(st.sampled_from(["One", "Two", "Three"]), STATUS), st.sampled_from([BEGAN, LATER, LATEST]))
def test_every_edit_is_taken_or_told_and_what_is_begun_stays(changed: dict[str, Status], opened: int) -> None:
    before = {table: history().at(table, opened) for table in ("One", "Two", "Three")}
    verdict = judged(document(opened, **{**before, **changed}))
    assert verdict.statuses.keys() <= {"Three"}
    for table, status in changed.items():
        if status != history().at(table, opened) and status != MINE["tables"][table]["data"]["status"]:
            assert [line for line in (*verdict.told, *verdict.refused) if line.startswith(f"{table}: {status}")]
    assert len(verdict.told) + len(verdict.refused) <= len(changed)


# -- the file itself -------------------------------------------------------------------------------


@pytest.fixture
def said() -> list[str]:
    """What is told."""
    return []


@pytest.fixture
def tracker(tmp_path: Path, said: list[str]) -> ProgressTracker:
    """A run over two tables, of which it has begun one."""
    tracker = ProgressTracker(tmp_path / "progress.json", "data", said.append)
    tracker.start_session(["One", "Two"])
    tracker.start("One")
    return tracker


def edit(tracker: ProgressTracker, change: Callable[[dict[str, Any]], None]) -> None:
    """Edit the file as an editor does that writes a new one."""
    found = json.loads(tracker.path.read_text(encoding="utf-8"))
    change(found)
    new = tracker.path.with_suffix(".new")
    new.write_text(json.dumps(found), encoding="utf-8")
    new.replace(tracker.path)


def skip_two(found: dict[str, Any]) -> None:
    """Leave the second table out, in the words of a person."""
    found["tables"]["Two"]["data"]["status"] = "SKIP"


def statuses(path: Path) -> dict[str, str]:
    """What the file says."""
    tables = json.loads(path.read_text(encoding="utf-8"))["tables"]
    return {table: entry["data"]["status"] for table, entry in tables.items()}


def test_an_edit_is_noticed_before_a_write_and_before_a_table_begins(tracker: ProgressTracker, said: list[str]) -> None:
    edit(tracker, skip_two)
    tracker.record("One", rows_synced=5)
    assert statuses(tracker.path) == {"One": "in_progress", "Two": "skipped"}
    assert said[0] == f"✏️ {tracker.path} was edited while this run uses it:"
    assert tracker.left_out("Two") == "skipped"
    edit(tracker, lambda found: found["tables"]["Two"]["data"].update(status="pending"))
    assert tracker.left_out("Two") is None
    edit(tracker, skip_two)
    assert tracker.left_out("Two") == "skipped"
    assert statuses(tracker.path)["Two"] == "skipped"


def test_a_file_that_is_only_touched_or_saved_unchanged_is_no_edit(tracker: ProgressTracker, said: list[str]) -> None:
    tracker.path.touch()
    tracker.record("One", rows_synced=5)
    edit(tracker, lambda _: None)
    tracker.complete("One", rows_synced=9)
    assert said == []
    assert sorted(path.name for path in tracker.path.parent.iterdir()) == ["progress.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"tables": {"Two": {"data": {"status": "skipped",}}}}', "line 1, column 49: there is a comma before }"),
        ('{"tables": {\n"Two": {"data": {"status": "skippd"}}}}', 'line 2: table "Two" has the status "skippd"'),
        ("", "it is empty"),
    ],
)
def test_what_cannot_be_understood_is_kept_beside_and_told(
    tracker: ProgressTracker, said: list[str], content: str, words: str
) -> None:
    tracker.path.write_text(content, encoding="utf-8")
    tracker.complete("One", rows_synced=9)
    assert statuses(tracker.path) == {"One": "completed", "Two": "pending"}
    (line,) = said
    assert line.startswith("⚠️ WARNING: ")
    assert words in line
    (kept,) = tracker.path.parent.glob("progress.edited-*.json")
    assert kept.read_text(encoding="utf-8") == content
    assert line.endswith(f"What was written there is kept in {kept}.")


def test_a_second_copy_in_the_same_second_does_not_replace_the_first(tracker: ProgressTracker) -> None:
    for number in range(3):
        tracker.path.write_text(f"{{{number}", encoding="utf-8")
        tracker.record("One", rows_synced=number)
    kept = tracker.path.parent.glob("progress.edited-*.json")
    assert sorted(path.read_text(encoding="utf-8") for path in kept) == ["{0", "{1", "{2"]


def test_a_file_that_is_removed_is_told_and_written_again(tracker: ProgressTracker, said: list[str]) -> None:
    tracker.path.unlink()
    tracker.record("One", rows_synced=5)
    assert said == [f"⚠️ WARNING: {tracker.path} was removed while this run uses it. It is written again."]
    assert statuses(tracker.path) == {"One": "in_progress", "Two": "pending"}


def test_what_is_edited_between_reading_and_a_new_session_is_not_overwritten(
    tracker: ProgressTracker, said: list[str]
) -> None:
    another = ProgressTracker(tracker.path, "data", said.append)
    assert another.load()
    edit(tracker, skip_two)
    with pytest.raises(Exception, match="was changed while this run was about to begin"):
        another.start_session(["One", "Two"])
    assert statuses(tracker.path)["Two"] == "SKIP"

"""What a run has to do: by its flags, and by what the progress file says of each table."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from cli.display.plain import PlainDisplay
from model.errors import UsageError
from model.settings import Driver, Secrets, Settings, Source, Target
from operations.recorder import Recorder
from progress import ProgressTracker
from run.context import Run
from run.options import Options
from run.plan import Plan, begin_session, plan_run
from run.script import Script
from run.selection import select
from run.type_map import TypeMap
from tests.samples import table, write_progress

TABLES = (table("Customers"), table("Orders"), table("Products"), table("Orders", schema="Sales"))
SETTINGS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


def run_with(file: Path, options: Options, type_map: TypeMap | None = None) -> tuple[Run, io.StringIO]:
    """A run over the tables, and what it says."""
    said = io.StringIO()
    script = Script(options, PlainDisplay(said), PlainDisplay(None), Recorder("a script", ()))
    chosen = select(TABLES, options, SETTINGS)
    tracker = ProgressTracker(file, "data")
    return Run(script, SETTINGS, tracker, chosen.tables, chosen.affected, type_map or TypeMap()), said


def shown(plan: Plan) -> list[tuple[int, str, bool]]:
    """The work: each table's number, its key, and whether it was begun before."""
    return [(work.number, work.table.key, work.is_partial) for work in plan.work]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A session of which something of everything is left."""
    file = tmp_path / "data_sync_progress.json"
    write_progress(file, "data", Customers="completed", Orders="in_progress", Products="skipped", Sales_Orders="failed")
    return file


def test_a_plain_run_does_everything_anew_but_what_a_person_marked_as_skipped(file: Path) -> None:
    run, said = run_with(file, Options())
    plan = plan_run(run)
    assert shown(plan) == [(1, "Customers", False), (2, "Orders", False), (4, "Sales.Orders", False)]
    assert (plan.is_new, plan.is_known) == (True, True)
    begin_session(run, plan)
    assert [run.tracker.status(key) for key in plan.keys] == ["pending", "pending", "skipped", "pending"]
    assert '"skipped": Products. ' in said.getvalue()


def test_a_resume_does_what_is_left_and_knows_what_was_begun(file: Path) -> None:
    plan = plan_run(run_with(file, Options(resume=True))[0])
    assert shown(plan) == [(2, "Orders", True), (4, "Sales.Orders", True)]
    assert [one.key for one in plan.done] == ["Customers", "Products"]
    assert not plan.is_new


def test_a_resume_without_a_file_is_a_new_session_and_says_so(tmp_path: Path) -> None:
    run, said = run_with(tmp_path / "none.json", Options(resume=True))
    plan = plan_run(run)
    assert (plan.is_new, plan.is_known, len(plan.work)) == (True, False, 4)
    begin_session(run, plan)
    assert "this is a new session" in said.getvalue()


def test_a_start_leaves_the_entries_before_it_as_they_are(file: Path) -> None:
    run, said = run_with(file, Options(start_from_table="Products"))
    plan = plan_run(run)
    assert shown(plan) == [(4, "Sales.Orders", False)]
    begin_session(run, plan)
    assert {key: run.tracker.status(key) for key in plan.keys} == {
        "Customers": "completed", "Orders": "in_progress", "Products": "skipped", "Sales.Orders": "pending",
    }  # fmt: skip
    assert '"skipped": Products. ' in said.getvalue()


def test_tables_that_were_taken_for_done_join_the_work_in_their_place(file: Path) -> None:
    plan = plan_run(run_with(file, Options(resume=True))[0]).with_more({"Customers"})
    assert shown(plan) == [(1, "Customers", False), (2, "Orders", True), (4, "Sales.Orders", True)]


def test_a_session_of_another_type_map_is_not_resumed(file: Path) -> None:
    with pytest.raises(UsageError, match="begun with another type map"):
        plan_run(run_with(file, Options(resume=True), TypeMap({"json": "text"}))[0])


def test_nothing_left_to_do_is_said(tmp_path: Path) -> None:
    file = tmp_path / "done.json"
    write_progress(
        file, "data", Customers="completed", Orders="completed", Products="completed", Sales_Orders="completed"
    )
    run, said = run_with(file, Options(resume=True))
    plan = plan_run(run)
    begin_session(run, plan)
    assert plan.work == ()
    assert "Nothing left to do: every table is completed." in said.getvalue()

"""The report of a run: what it says, that it needs nothing but itself, and that names cannot become anything else."""

from __future__ import annotations

import json
import re
import signal
import stat
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.run_script import run_script
from model.visible import on_one_line
from operations.attention import Kind
from operations.charts import lanes
from operations.report import FILE, page
from operations.run_result import FILE as RUNS
from operations.run_result import RunResult
from operations.timeline import Span
from run.options import Options
from run.script import Script
from tests.harness import ROOT
from tests.loads import script_for
from tests.made_runs import HOSTILE, SETTINGS, a_bad_night, a_load, a_night, nights_before
from tests.samples import SHOP_COUNTS, Shop, query
from tests.scenes import Scene

#: what the page is made of; nothing of it loads or runs anything
TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "section", "footer", "h1", "h2", "h3", "p",
    "span", "bdi", "dl", "dt", "dd", "div", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "details",
    "summary", "svg", "rect", "text",
}  # fmt: skip


class Page(HTMLParser):
    """A page taken apart: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._in_style = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self.elements.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self.text += data

    @property
    def run(self) -> dict[str, str]:
        """What the page says of the whole run."""
        return next(attributes for tag, attributes in self.elements if tag == "main")

    def section(self, name: str) -> dict[str, str] | None:
        """A part of the page, by its id."""
        return next((attributes for _, attributes in self.elements if attributes.get("id") == name), None)

    def of_kind(self, kind: str) -> list[str]:
        """The tables of all things of a kind that need a person."""
        return [one.get("data-table", "") for _, one in self.elements if one.get("data-kind") == kind]

    @property
    def tables(self) -> dict[str, str]:
        """The tables of the run, and their statuses."""
        return {one["data-table"]: one["data-status"] for _, one in self.elements if "data-status" in one}


def page_of(result: RunResult, *before: RunResult) -> Page:
    """A run's page, taken apart."""
    return Page(page(result, iter([result, *before])))


def written(folder: Path) -> Page:
    """The page that a run left."""
    return Page((folder / FILE).read_text(encoding="utf-8"))


# -- what it says ---------------------------------------------------------------------------------------


def test_a_good_night_needs_nobody() -> None:
    found = page_of(a_night([a_load(1), a_load(2)]), *nights_before(3))
    assert (found.run["data-verdict"], found.run["data-exit-code"]) == ("done", "0")
    assert (found.run["data-done"], found.run["data-failed"], found.run["data-tables"]) == ("2", "0", "2")
    assert "Nothing needs a person" in found.text
    needs = found.section("needs-a-person")
    assert needs is not None and needs["data-count"] == "0"
    assert found.section("warnings") is None
    assert found.section("rejects") is None


def test_what_needs_a_person_stands_first_with_its_table_and_its_words() -> None:
    tables = [a_load(1), a_load(2, status="failed", error="8134: Divide by zero"), a_load(3, compared="different")]
    result = a_night(
        tables, gone={"Basket": "2026-11-24T01:00:00"}, not_restored=("index public.orders.by_date",),
        skipped=("AuditLog",), warnings=("the disk is nearly full",),
    )  # fmt: skip
    found = page_of(result)
    assert found.run["data-verdict"] == "failed"
    assert found.of_kind("failed") == ["Sales.Table_0002"]
    assert found.of_kind("different") == ["Sales.Table_0003"]
    assert found.of_kind("gone") == ["Basket"]
    for words in ("Divide by zero", "index public.orders.by_date", "AuditLog", "the disk is nearly full", "2026-11-24"):
        assert words in found.text
    assert found.text.index("Divide by zero") < found.text.index("Who did what when")


@pytest.mark.parametrize(
    ("code", "verdict"), [(2, "refused"), (3, "unreachable"), (4, "busy"), (143, "stopped"), (1, "failed")]
)
def test_a_run_that_did_nothing_needs_a_person_all_the_same(code: int, verdict: str) -> None:
    found = page_of(a_night([], exit_code=code, ended_because="that is why", settings={}, session=None))
    assert found.run["data-verdict"] == verdict
    assert "Nothing needs a person" not in found.text
    assert found.of_kind("run") == [""]
    assert found.text.count("that is why") >= 2


def test_a_stopped_run_says_how_much_is_left() -> None:
    tables = [a_load(1), a_load(2, status="in_progress"), a_load(3, status="pending"), a_load(4, status="pending")]
    found = page_of(a_night(tables, exit_code=143, ended_because="stopped by SIGTERM"))
    assert "3 tables are left: 1 under way, 2 not begun" in found.text
    assert found.tables["Sales.Table_0002"] == "under way"


def test_rows_that_jumped_and_loads_that_were_slower_are_told_with_the_rule() -> None:
    before = nights_before(60)
    slow, emptied = a_load(50, seconds=500.0), a_load(20, rows=0)
    found = page_of(a_night([slow, emptied, a_load(21)]), *before)
    assert found.of_kind("slower") == ["Sales.Table_0050"]
    assert found.of_kind("rows-jumped") == ["Sales.Table_0020"]
    assert "it is empty, and had 400,000 rows" in found.text
    assert "A table's rows have jumped if" in found.text
    assert "Nothing needs a person" not in found.text


def test_the_mode_of_each_table_and_who_did_the_work_are_told() -> None:
    on_cluster = {**SETTINGS, "cluster": "tls://scheduler:8786"}
    result = a_night([a_load(1, mode="swap"), a_load(2, mode="merge")], settings=on_cluster, workers=12)
    found = page_of(result, *nights_before(3))
    assert (found.run["data-modes"], found.run["data-workers"]) == ("swap merge", "12")
    assert found.run["data-cluster"] == "tls://scheduler:8786"
    assert {one["data-table"]: one["data-mode"] for _, one in found.elements if "data-mode" in one} == {
        "Sales.Table_0001": "swap", "Sales.Table_0002": "merge",
    }  # fmt: skip
    # Of this run, and of those before.
    assert "swap, merge, 12 workers of the cluster tls://scheduler:8786" in found.text
    assert "truncate, 4 workers" in found.text


def test_a_run_that_never_began_its_work_had_no_workers() -> None:
    on_cluster = {**SETTINGS, "cluster": "tls://scheduler:8786"}
    found = page_of(a_night([], exit_code=3, settings=on_cluster, workers=None))
    assert (found.run["data-modes"], found.run["data-workers"], found.run["data-cluster"]) == ("", "", "")


def test_of_thousands_of_tables_those_with_a_problem_come_first_and_none_is_missing() -> None:
    result = a_bad_night(5_000)
    found = page_of(result)
    assert len(found.tables) == len({on_one_line(table.table) for table in result.tables})
    order = list(found.tables.values())
    assert "failed" not in order[order.index("completed") + 2 :]
    folded = found.section("all-well")
    assert folded is not None and "open" not in folded and "class" not in folded


def test_many_failures_do_not_flood_the_page() -> None:
    tables = [a_load(number, status="failed", error="the same") for number in range(3_000)]
    found = page_of(a_night(tables))
    assert len(found.of_kind("failed")) == 1_100
    assert "and 1,900 more, which runs.jsonl has" in found.text
    assert len(found.tables) == 3_000


def test_the_timeline_has_a_lane_for_each_worker_within_its_bounds() -> None:
    found = page_of(a_night([a_load(number) for number in range(40)]))
    assert [one["data-worker"] for _, one in found.elements if "data-worker" in one] == ["1", "2", "3", "4"]
    for tag, one in found.elements:
        if tag == "rect" and "x" in one:
            x, width = (float(one[name].removesuffix("%")) for name in ("x", "width"))
            assert x >= 0 and x + width <= 100.2


def test_the_one_who_finishes_tables_has_the_last_lane_and_a_name() -> None:
    spans = (Span(0, "Orders", 2.0, 3.0), Span(1, "Orders", 0.0, 2.0), Span(2, "Lines", 0.0, 3.0))
    assert [(lane.worker, lane.name) for lane in lanes(spans, set())] == [
        (1, "worker 1"), (2, "worker 2"), (0, "finishing"),
    ]  # fmt: skip


def test_the_documentation_names_every_part_and_every_kind() -> None:
    told = (ROOT / "docs" / "report.md").read_text(encoding="utf-8")
    found = page_of(a_bad_night(60), *nights_before(60))
    parts = {one["id"] for _, one in found.elements if "id" in one}
    facts = {name for _, one in found.elements for name in one if name.startswith("data-")}
    missing = [name for name in {*parts, *get_args(Kind)} if f"`{name}`" not in told]
    assert parts and missing == []
    assert facts - set(re.findall(r"data-[a-z-]+", told)) == {
        "data-count", "data-suspended", "data-restored", "data-not-restored", "data-worker", "data-setting",
        "data-version",
    }  # fmt: skip


# -- hostile text --------------------------------------------------------------------------------------


def assert_is_plain(found: Page) -> None:
    """Nothing that runs, loads or leads anywhere."""
    assert {tag for tag, _ in found.elements} - {"title"} <= TAGS
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert not attributes.keys() & {"href", "src", "srcset", "action", "formaction", "xlink:href", "data", "srcdoc"}


@pytest.mark.parametrize("count", [0, 1, 300])
def test_hostile_names_and_values_stay_text(count: int) -> None:
    result = a_bad_night(count)
    found = page_of(result, *nights_before(count))
    assert_is_plain(found)
    assert set(found.tables) == {on_one_line(table.table) for table in result.tables}
    for name in HOSTILE[:8]:
        assert on_one_line(name) in found.text
    for sign in "\x00\x07\x1b\u202e\u2066\ud800":
        assert sign not in found.text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.text() | st.sampled_from(HOSTILE), min_size=1, max_size=5, unique=True), st.text())
def test_no_name_becomes_anything_but_a_name(names: list[str], words: str) -> None:
    tables = [a_load(3, status="failed", error=words, table=name) for name in names]
    result = a_night(tables, ended_because=words, gone={words: words}, warnings=(words,), session=words)
    text = page(result, [result])
    text.encode("utf-8")
    found = Page(text)
    assert_is_plain(found)
    assert set(found.tables) == {on_one_line(name) for name in names}
    assert found.run["data-session"] == on_one_line(words)


def test_the_page_needs_nothing_but_itself() -> None:
    text = page(a_night([a_load(1)]), [])
    assert "http:" not in text and "https:" not in text and "url(" not in text and "@import" not in text
    assert "default-src 'none'" in text
    assert "<script" not in text


# -- through the scripts -------------------------------------------------------------------------------


def test_every_night_leaves_its_report(own_shop: Shop) -> None:
    workplace = own_shop.workplace.with_settings(WORKERS="1")
    assert workplace.run("schema").code == 0
    assert written(workplace.folder).run["data-script"] == "replicate-schema.py"
    own_shop.source.fail_next("dbo.Orders", 8134, "Divide by zero error <encountered>.")
    finished = workplace.run("data")
    assert finished.code == 1
    assert "cannot be written" not in finished.text
    found = written(workplace.folder)
    kept = json.loads((workplace.folder / RUNS).read_text(encoding="utf-8").splitlines()[-1])
    assert (found.run["data-run"], found.run["data-verdict"]) == (kept["run"], "failed")
    assert found.of_kind("failed") == ["Orders"]
    assert "Divide by zero error <encountered>." in found.text
    assert found.tables == {"Customers": "completed", "Orders": "failed", "Products": "completed",
                            "Sales.Orders": "completed"}  # fmt: skip
    assert "CHUNK_ROWS" in found.text
    text = (workplace.folder / FILE).read_text(encoding="utf-8")
    assert workplace.environment["MSSQL_PASSWORD"] not in text
    assert stat.S_IMODE((workplace.folder / FILE).stat().st_mode) == 0o600
    assert workplace.run("data", "--resume").code == 0
    again = written(workplace.folder)
    assert (again.run["data-verdict"], again.run["data-left-alone"]) == ("done", "3")
    assert [one["data-verdict"] for _, one in again.elements if "data-run" in one and "data-script" not in one] == [
        "done", "failed", "done",
    ]  # fmt: skip


def test_rejected_rows_stand_in_it_with_their_reasons(shop: Shop) -> None:
    shop.ready("data")
    query(shop.target, shop.database, "ALTER TABLE products ADD CONSTRAINT few CHECK (id < 3)")
    assert shop.workplace.run("data", "--on-error", "reject").code == 1
    found = written(shop.workplace.folder)
    assert found.of_kind("rejected") == ["Products"]
    (reason,) = (one for _, one in found.elements if "data-sqlstate" in one)
    assert (reason["data-table"], reason["data-sqlstate"]) == ("Products", "23514")
    assert reason["data-rows"] == str(SHOP_COUNTS["public.products"] - 2)


def test_a_stopped_a_refused_and_an_unreachable_run_leave_theirs(scene: Scene) -> None:
    folder = scene.workplace.folder
    with scene.stopped_in_the_big_table() as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    found = written(folder)
    assert (found.run["data-verdict"], found.tables["Big"]) == ("stopped", "under way")
    assert scene.run("--resum").code == 2
    assert written(folder).run["data-verdict"] == "refused"
    assert "--resum" in written(folder).text
    assert scene.run(MSSQL_PORT="1").code == 3
    assert written(folder).run["data-verdict"] == "unreachable"


def test_a_report_that_cannot_be_written_costs_a_warning_and_no_exit_code(shop: Shop) -> None:
    shop.ready("data")
    (shop.workplace.folder / FILE).mkdir()
    finished = shop.workplace.run("data")
    assert finished.code == 0
    assert f"WARNING: {FILE} cannot be written" in finished.err
    assert (shop.workplace.folder / RUNS).exists()
    assert not list(shop.workplace.folder.glob("*.tmp"))


def test_a_missing_template_engine_costs_a_warning_and_no_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def do_nothing(script: Script) -> RunResult:
        script.recorder.is_about({"workers": 1}, str)
        return script.recorder.ended(0, "well")

    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert run_script(script_for(Options()), tmp_path, do_nothing) == 0
    told = capsys.readouterr().err
    assert f"{tmp_path / FILE} cannot be written" in told and "jinja2" in told
    assert (tmp_path / RUNS).exists()


def test_the_page_says_of_a_run_what_history_says(tmp_path: Path) -> None:
    result = replace(a_night([a_load(5)]), started_at="2026-11-26T01:00:00", ended_at="2026-11-26T03:02:01")
    assert "2:02:01" in page_of(result).text
    assert not list(tmp_path.iterdir())

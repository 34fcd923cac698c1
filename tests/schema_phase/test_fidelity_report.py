"""The report on what became of everything: one page for a person, details behind it, each object once in the JSON."""

from __future__ import annotations

import json

import pytest

from demo.target import EmbeddedTarget
from schema_phase.fidelity_report import DETAILS_FILE, JSON_FILE, PAGE_FILE
from tests.made_schemas import Made, large_database, run_on
from tests.samples import SHOP_KEYS, Shop, statuses

TABLES = 300


@pytest.fixture(scope="module")
def large(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """300 tables, 300 views and 100 procedures in PostgreSQL."""
    made, finished = run_on(large_database(TABLES), target, tmp_path_factory.mktemp("large"))
    assert finished.code == 0, finished.text
    return made


def test_the_page_of_300_tables_is_one_that_a_person_reads(large: Made) -> None:
    page = (large.workplace.folder / PAGE_FILE).read_text(encoding="utf-8")
    lines = page.splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) < 400
    # What is the same of many stands once, with the first of their names and how many there are.
    assert page.count("a seventh fractional digit is cut") == 1
    (group,) = [number for number, line in enumerate(lines) if "a seventh fractional digit is cut" in line]
    assert lines[group].startswith("- **column, 300**: ")
    assert lines[group + 1].startswith("  - dbo.Table000.Created, dbo.Table001.Created, ")
    assert lines[group + 1].endswith(" and 294 more")
    assert "  - dbo.Table000.IX_Name → table000_ix_name, " in page
    # One text of many defaults is shown; those of views are not.
    assert "`([dbo].[CurrentOwner]())`" in page
    assert "- **view, 300**: code and objects other than tables are not translated" in lines
    assert "CREATE VIEW" not in page
    assert DETAILS_FILE in page


def test_the_details_hold_every_object_with_its_text(large: Made) -> None:
    details = (large.workplace.folder / DETAILS_FILE).read_text(encoding="utf-8")
    for number in range(TABLES):
        assert f"- **view dbo.View{number:03}**: " in details
        assert f"    FROM [dbo].[Table{number:03}]" in details
        assert f"- **check dbo.Table{number:03}.CK_Table{number:03}**: " in details
        assert f"`([Name] like '%{number}%' AND [dbo].[IsFine]([Name])=(1))`" in details


def test_the_json_holds_each_object_once(large: Made) -> None:
    document = json.loads((large.workplace.folder / JSON_FILE).read_text(encoding="utf-8"))
    names = [(entry["kind"], entry["name"]) for entry in document["objects"]]
    assert len(names) == len(set(names)) == sum(document["summary"].values())
    assert sum(kind == "view" for kind, _ in names) == TABLES


def test_a_report_that_cannot_be_written_costs_the_exit_code_and_not_the_summary(shop: Shop) -> None:
    (shop.workplace.folder / JSON_FILE).mkdir()
    finished = shop.workplace.run("schema")
    assert finished.code == 1
    assert "❌ the report cannot be written" in finished.out
    assert "Schema Replication Summary" in finished.out
    assert "objects done" in finished.out
    assert statuses(shop.workplace.schema_progress, "schema") == dict.fromkeys(SHOP_KEYS, "completed")
    (shop.workplace.folder / JSON_FILE).rmdir()
    again = shop.workplace.run("schema", "--resume")
    assert again.code == 0, again.text
    assert (shop.workplace.folder / JSON_FILE).is_file()

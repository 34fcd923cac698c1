"""The report on what became of everything, where it cannot be written: told, and nothing else is lost by it."""

from __future__ import annotations

from schema_phase.fidelity_report import JSON_FILE
from tests.samples import SHOP_KEYS, Shop, statuses


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

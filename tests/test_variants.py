"""sql_variant: floats come with all their digits from every version, and texts that look like anything as they are."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from standin.values import Variant
from tests.harness import Workplace
from tests.samples import MakeWorkplace, query

COLUMNS = (Column("id", SqlType("int", 4), is_nullable=False), Column("value", SqlType("sql_variant", 8016)))
DATABASE = Database("variants", (Table("dbo", "V", COLUMNS, Key("PK_V", (KeyColumn("id"),))),))
FLOAT, REAL, TEXT = SqlType("float", 8), SqlType("real", 4), SqlType("nvarchar", 80)
#: values, and the texts that they become
VALUES = [
    (Variant(FLOAT, 0.1), "1.0000000000000001e-001"),
    (Variant(FLOAT, -123456789.123456789), "-1.2345678912345679e+008"),
    (Variant(FLOAT, 1.7976931348623157e308), "1.7976931348623157e+308"),
    (Variant(FLOAT, 0.0), "0.0000000000000000e+000"),
    (Variant(REAL, 0.5), "5.0000000000000000e-001"),
    (Variant(TEXT, "#4609434218613702656"), "#4609434218613702656"),
    (Variant(TEXT, "=1"), "=1"),
    (Variant(TEXT, ""), ""),
    (Variant(TEXT, "日本 🎉"), "日本 🎉"),
    (Variant(SqlType("int", 4), -1), "-1"),
    (None, None),
]
ROWS = {"dbo.V": [(number, value) for number, (value, _) in enumerate(VALUES)]}
WANTED = [(number, text) for number, (_, text) in enumerate(VALUES)]


@pytest.fixture(params=["11.0.2100.60", "12.0.2000.8", "13.0.1601.5", "16.0.4135.4"])
def old_or_new(request: pytest.FixtureRequest, serve: Callable[..., StandIn]) -> StandIn:
    """A server of each version; those before 2016 read CONVERT's style 3 as 0."""
    source = serve(DATABASE, ROWS)
    source.pose_as(request.param)
    return source


def in_target(target: EmbeddedTarget, database: str) -> list[tuple[object, ...]]:
    """The rows that arrived."""
    return query(target, database, "SELECT id, value FROM v ORDER BY id")


def test_floats_in_a_variant_keep_all_digits_in_every_version(
    old_or_new: StandIn, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace: Workplace = make_workplace(old_or_new, DATABASE)
    assert workplace.run("schema").code == 0
    loaded = workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert in_target(target, target_database) == WANTED
    verified = workplace.run("data", "--verify")
    assert verified.code == 0, verified.text
    # The comparison sees the last digit of a float, and a text that only looks like one.
    query(target, target_database, "UPDATE v SET value = '1.0000000000000000e-001' WHERE id = 0")
    query(target, target_database, "UPDATE v SET value = '1.5000000000000000e+000' WHERE id = 5")
    differing = workplace.run("data", "--verify")
    assert differing.code == 1
    assert "2 rows" in differing.out or "2 keys" in differing.out, differing.out


def test_a_rejected_row_shows_its_variant_as_it_is_stored_and_comes_later(
    serve: Callable[..., StandIn], make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace: Workplace = make_workplace(serve(DATABASE, ROWS), DATABASE)
    assert workplace.run("schema").code == 0
    query(target, target_database, "ALTER TABLE v ADD CONSTRAINT few CHECK (id NOT IN (0, 5))")
    assert workplace.run("data", "--on-error", "reject").code == 1
    shown = query(target, target_database, "SELECT content::text FROM replication.reject ORDER BY id")
    assert [json.loads(text)["value"] for (text,) in shown] == [WANTED[0][1], WANTED[5][1]]
    # Without its key, a recorded row is loaded from what was written down.
    query(target, target_database, "UPDATE replication.reject SET key = NULL; ALTER TABLE v DROP CONSTRAINT few")
    retried = workplace.run("data", "--retry-rejects")
    assert retried.code == 0, retried.text
    assert in_target(target, target_database) == WANTED

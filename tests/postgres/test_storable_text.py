"""Values that PostgreSQL cannot hold as they are: kept by policy, counted, told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Workplace

NOTES = Table(
    "dbo",
    "Notes",
    (
        Column("Id", SqlType("int", 4), is_nullable=False),
        Column("Short", SqlType("nvarchar", 80)),
        Column("Long", SqlType("varchar", -1)),
        Column("At", SqlType("time", 5, 16, 7)),
    ),
    Key("PK_Notes", (KeyColumn("Id"),)),
)
DATABASE = Database("shop", (NOTES,))
ROWS = [
    (1, "a\0b", "\0", "23:59:59.9999999"),
    (2, "\0\0", "plain", "00:00:00.0000001"),
    (3, "", None, "12:00:00"),
    (4, "half \ud83d pair", "", None),
]


def ready_workplace(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]
) -> Workplace:
    """A workplace with the schema made."""
    workplace = make_workplace(serve(DATABASE, {"dbo.Notes": ROWS}), DATABASE)
    assert workplace.run("schema").code == 0
    return workplace


def rows(target: EmbeddedTarget, database: str) -> list[tuple[object, ...]]:
    """What arrived."""
    connection = target.connect(database)
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, short, long, at::text FROM notes ORDER BY id")
        found = cursor.fetchall()
    connection.close()
    return list(found)


@pytest.mark.parametrize(("policy", "nul"), [("", ""), ("strip", ""), ("replace", "\ufffd")])
def test_field_11_and_13_nul_characters_and_half_surrogate_pairs_do_not_stop_a_load_and_are_counted(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
    policy: str,
    nul: str,
) -> None:
    workplace = ready_workplace(serve, make_workplace).with_settings(NUL_POLICY=policy)
    finished = workplace.run("data")
    assert finished.code == 0, finished.text
    assert rows(target, target_database) == [
        (1, f"a{nul}b", nul, "23:59:59.999999"),
        (2, nul * 2, "plain", "00:00:00"),
        (3, "", None, "12:00:00"),
        (4, "half \ufffd pair", "", None),
    ]
    assert "2 values of column short" in finished.out
    entry = json.loads(workplace.data_progress.read_text(encoding="utf-8"))["tables"]["Notes"]["data"]
    assert entry["nul_characters"] == {"short": 2, "long": 1}
    assert workplace.run("data", "--verify").code == 0


def test_the_error_policy_fails_the_table_by_column_and_keeps_nothing(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    workplace = ready_workplace(serve, make_workplace).with_settings(NUL_POLICY="error")
    finished = workplace.run("data")
    assert finished.code == 1
    assert "column short" in finished.out
    assert "NUL_POLICY" in finished.out
    assert rows(target, target_database) == []

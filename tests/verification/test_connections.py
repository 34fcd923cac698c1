"""What compares lets go of both servers when it is given up, whichever it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Database
from model.errors import CancelledError
from mssql import figures, reader
from standin.server import StandIn
from tests.harness import source_settings, wait_until
from tests.samples import query, table
from tests.scenes import BACKENDS
from verification.connections import ComparisonConnections

BIG = Database("big", (table("Big"),))
ASKED = "SELECT id FROM dbo.Big"


@pytest.fixture
def source() -> Iterator[StandIn]:
    """A table whose first query is never answered."""
    with StandIn(BIG, {"dbo.Big": "SELECT i, 'row ' || i FROM range(3000) AS t(i)"}) as running:
        running.hold_back("dbo.Big")
        yield running


def _wait_for_the_target(connections: ComparisonConnections) -> None:
    with connections.target.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(600)")
        cursor.fetchall()


@pytest.mark.parametrize(
    "wait",
    [
        lambda connections: reader.ask(connections.source, ASKED),
        lambda connections: figures.ask(connections.source_figures, ASKED),
        _wait_for_the_target,
    ],
    ids=["rows", "figures", "target"],
)
def test_whoever_waits_comes_back_and_both_servers_are_free(
    source: StandIn,
    target: EmbeddedTarget,
    target_database: str,
    wait: Callable[[ComparisonConnections], None],
) -> None:
    connections = ComparisonConnections(
        load_settings(None, {**source_settings(source.port, BIG.name), **target.environment(target_database)})
    )

    def is_waiting() -> bool:
        sleeping = query(target, target_database, f"{BACKENDS} AND query LIKE '%pg_sleep(600)%' AND state = 'active'")
        return bool(source.held_back or sleeping)

    with ThreadPoolExecutor() as pool:
        future = pool.submit(wait, connections)
        wait_until(is_waiting, "it waits for a server")
        connections.give_up()
        assert future.exception(30) is not None
    for other in ("source", "source_figures", "target"):
        with pytest.raises(CancelledError):
            getattr(connections, other)
    connections.disconnect()
    wait_until(lambda: source.connections == 0, "the source has no connection")
    wait_until(lambda: not query(target, target_database, BACKENDS), "the target has no connection")

"""Errors that were ordered come where they were ordered: before the rows or among them, as a cut or as silence, too."""

from __future__ import annotations

import threading

import pyodbc
import pytest

from standin.server import StandIn
from tests.harness import wait_until
from tests.standin.clients import connect, error_of, value


def test_fail_next(source: StandIn, connection: pyodbc.Connection) -> None:
    source.fail_next("dbo.Long", 1205, "Transaction was deadlocked.", times=2)
    for _ in range(2):
        assert "(1205)" in error_of(connection, "SELECT TOP (1) id FROM dbo.Long")
    assert value(connection, "SELECT COUNT(*) FROM dbo.Long") == 100_000


def test_fail_after_rows(source: StandIn, connection: pyodbc.Connection) -> None:
    source.fail_after_rows("dbo.Long", 25_000, 823, "I/O error.")
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM dbo.Long ORDER BY id")
    seen = 0
    with pytest.raises(pyodbc.Error, match="823"):
        while cursor.fetchone():
            seen += 1
    assert seen == 25_000
    cursor.close()
    assert value(connection, "SELECT 1") == 1


def test_connection_cut_in_the_middle(source: StandIn, driver: str) -> None:
    source.fail_after_rows("dbo.Long", 25_000)
    opened = connect(source, driver)
    cursor = opened.cursor()
    with pytest.raises(pyodbc.Error):
        cursor.execute("SELECT id FROM dbo.Long").fetchall()
    opened.close()


@pytest.mark.parametrize("rows", [None, 25_000])
def test_an_answer_that_is_held_back_ends_when_it_is_cancelled(
    source: StandIn, connection: pyodbc.Connection, rows: int | None
) -> None:
    source.hold_back("dbo.Long", rows)
    cursor = connection.cursor()
    canceller = threading.Timer(0.5, cursor.cancel)
    canceller.start()
    with pytest.raises(pyodbc.Error):
        cursor.execute("SELECT id FROM dbo.Long").fetchall()
    canceller.join()
    cursor.close()
    assert value(connection, "SELECT COUNT(*) FROM dbo.Long") == 100_000


def test_a_client_that_is_gone_is_noticed_while_its_answer_is_held_back(source: StandIn, driver: str) -> None:
    before = source.connections
    opened = connect(source, driver)
    source.hold_back("dbo.Long", 25_000)
    cursor = opened.cursor()
    cursor.execute("SELECT id FROM dbo.Long")
    opened.close()
    wait_until(lambda: source.connections == before, "the client's connection is closed")

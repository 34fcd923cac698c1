"""Logins, encryption, prepared statements, transactions, and queries that are given up."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import duckdb
import pyodbc
import pytest

from model.catalog import Column, Database, Table
from standin.server import LOGIN, PASSWORD, StandIn
from tests.harness import wait_until
from tests.samples import SHOP, SHOP_ROWS
from tests.standin.clients import connect, error_of, rows, value
from tests.standin.samples import Q

COUNTED = Database("counted", (Table("dbo", "T", (Column("id", Q("int")),)),))


def test_wrong_password(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error, match=rf"Login failed for user '{LOGIN}'.*18456"):
        connect(source, driver, PWD="wrong")


def test_other_database(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error) as caught:
        connect(source, driver, Database="elsewhere")
    # Both errors are sent; Microsoft's driver shows the first of them, FreeTDS the last.
    expected = "Login failed" if driver == "FreeTDS" else 'Cannot open database "elsewhere" requested by the login'
    assert expected in str(caught.value)
    assert ("(18456)" if driver == "FreeTDS" else "(4060)") in str(caught.value)


def test_the_password_is_in_no_message(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error) as caught:
        connect(source, driver, UID="somebody")
    assert PASSWORD not in str(caught.value)


def test_a_prepared_statement_runs_again(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    for first, last in ((1, 2), (99_990, 200_000)):
        found = cursor.execute("SELECT id FROM dbo.Long WHERE id BETWEEN ? AND ?", first, last).fetchall()
        assert len(found) == min(last, 99_999) - first + 1
    cursor.close()


def test_an_error_in_a_prepared_statement_leaves_the_connection_usable(connection: pyodbc.Connection) -> None:
    assert "Invalid object name" in error_of(connection, "SELECT * FROM nowhere WHERE a = ?", 1)
    assert value(connection, "SELECT 1") == 1


@pytest.mark.parametrize("encrypt", [True, False])
def test_tls_on_and_off(source: StandIn, driver: str, encrypt: bool) -> None:
    opened = connect(source, driver, encrypt=encrypt)
    try:
        assert value(opened, "SELECT COUNT(*) FROM dbo.Long WHERE text LIKE N'row%'") == 100_000
        assert len(rows(opened, "SELECT * FROM dbo.Long")) == 100_000
    finally:
        opened.close()


def test_many_connections_at_once(source: StandIn, driver: str) -> None:
    found: list[int] = []

    def read() -> None:
        opened = connect(source, driver)
        found.append(len(rows(opened, "SELECT id FROM dbo.Long WHERE id < 20000")))
        opened.close()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [20_000] * 8


def test_a_query_can_be_given_up(source: StandIn, driver: str) -> None:
    opened = connect(source, driver)
    cursor = opened.cursor()
    cursor.execute("SELECT a.id FROM dbo.Long a CROSS JOIN dbo.Long b")
    assert len(cursor.fetchmany(10)) == 10
    started = time.monotonic()
    cursor.cancel()
    cursor.close()
    assert value(opened, "SELECT 1") == 1
    assert time.monotonic() - started < 20
    opened.close()


def test_transactions(source: StandIn, driver: str) -> None:
    opened = pyodbc.connect(source.connection_string(driver), timeout=10, autocommit=False)
    try:
        assert value(opened, "SELECT COUNT(*) FROM dbo.Secret WHERE 1 = 0 OR @@TRANCOUNT > 5") == 0
    except pyodbc.Error as error:
        assert "229" in str(error)
    rows(opened, "SELECT TOP (1) id FROM dbo.Long")
    opened.commit()
    rows(opened, "SELECT TOP (1) id FROM dbo.Long")
    opened.rollback()
    opened.close()


def test_snapshot_isolation_sees_one_moment(driver: str) -> None:
    table = Table("dbo", "T", (Column("a", Q("int")),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [(1,)]}) as running:
        opened = connect(running, driver)
        rows(opened, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT 1")
        assert value(opened, "SELECT COUNT(*) FROM dbo.T") == 1
        running.execute("INSERT INTO dbo.T VALUES (2)")
        assert value(opened, "SELECT COUNT(*) FROM dbo.T") == 1
        assert value(opened, "COMMIT TRAN; SELECT COUNT(*) FROM dbo.T") == 2
        opened.close()


def test_rows_leave_before_the_query_ends(source: StandIn, driver: str) -> None:
    # Ten thousand million rows: only a server that streams can begin to answer.
    opened = connect(source, driver)
    cursor = opened.cursor()
    started = time.monotonic()
    cursor.execute("SELECT a.id, a.text FROM dbo.Long a CROSS JOIN dbo.Long b")
    assert cursor.fetchone() is not None
    assert time.monotonic() - started < 20
    cursor.cancel()
    cursor.close()
    opened.close()


def test_a_server_is_stopped_while_a_session_computes(driver: str) -> None:
    source = StandIn(COUNTED, {"dbo.T": "SELECT i FROM range(40000) AS t(i)"}).start()
    opened = connect(source, driver)

    def counts() -> None:
        with suppress(pyodbc.Error):
            opened.execute("SELECT SUM(a.id % 7) FROM dbo.T a CROSS JOIN dbo.T b").fetchall()

    session = threading.Thread(target=counts)
    session.start()
    asked = "SELECT 1 FROM sys.dm_exec_requests WHERE session_id <> @@SPID"
    other = connect(source, driver)
    wait_until(lambda: bool(rows(other, asked)), "it computes")
    source.stop()
    session.join(30)
    assert not session.is_alive()


def test_a_server_is_stopped_while_its_sessions_are_at_work() -> None:
    for _ in range(3):
        source = StandIn(SHOP, SHOP_ROWS).start()
        over = threading.Event()

        def works(source: StandIn = source, over: threading.Event = over) -> None:
            with suppress(duckdb.Error):
                while not over.is_set():
                    source.cursor().close()

        session = threading.Thread(target=works)
        session.start()
        source.stop()
        over.set()
        session.join(30)
        assert not session.is_alive()

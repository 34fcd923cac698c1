"""What sessions do, for whose locks they wait, and who may see it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pyodbc
import pytest

from model.catalog import Column, Database, Table
from standin.server import LOGIN, StandIn
from tests.harness import wait_until
from tests.standin.clients import connect, rows, value
from tests.standin.samples import Q

LOCKED = Database("locked", (Table("dbo", "T", (Column("id", Q("int")),)),))
ABOUT = """
SELECT r.status, r.command, r.wait_type, b.login_name, b.host_name, b.program_name
FROM sys.dm_exec_requests AS r JOIN sys.dm_exec_sessions AS b ON b.session_id = r.blocking_session_id
"""


@pytest.fixture
def locked() -> Iterator[StandIn]:
    """A stand-in with one table of one row."""
    with StandIn(LOCKED, {"dbo.T": [(1,)]}) as running:
        yield running


def reader(source: StandIn, driver: str, found: list[int]) -> threading.Thread:
    """Somebody who counts the table's rows as soon as that is possible."""

    def read() -> None:
        opened = connect(source, driver, APP="a reader")
        found.append(value(opened, "SELECT COUNT(*) FROM dbo.T"))
        opened.close()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def test_a_reader_waits_for_a_writer_who_is_named(locked: StandIn, driver: str) -> None:
    writer, watcher = connect(locked, driver, APP="a report", WSID="desk7"), connect(locked, driver)
    writer.execute("BEGIN TRANSACTION")
    writer.execute("SELECT TOP (1) id FROM dbo.T WITH (TABLOCKX)").fetchall()
    found: list[int] = []
    reading = reader(locked, driver, found)
    wait_until(lambda: bool(rows(watcher, ABOUT)), "the reader waits")
    assert rows(watcher, ABOUT) == [("suspended", "SELECT", "LCK_M_IS", LOGIN, "desk7", "a report")]
    # Others do not read what is locked, or do not lock.
    assert value(watcher, "SELECT COUNT(*) FROM dbo.T WITH (NOLOCK)") == 1
    assert found == []
    writer.execute("ROLLBACK")
    reading.join(30)
    assert found == [1]
    assert rows(watcher, ABOUT) == []
    writer.close()
    watcher.close()


def test_a_reader_who_goes_waits_no_more(locked: StandIn, driver: str) -> None:
    writer = connect(locked, driver)
    writer.execute("BEGIN TRANSACTION")
    writer.execute("SELECT TOP (1) id FROM dbo.T WITH (TABLOCKX)").fetchall()
    waiting = connect(locked, driver)
    waiting.timeout = 1
    with pytest.raises(pyodbc.Error):
        waiting.execute("SELECT id FROM dbo.T").fetchall()
    waiting.close()
    wait_until(lambda: rows(writer, ABOUT) == [], "nobody waits")
    writer.close()


def test_without_the_right_a_login_sees_its_own_session_alone(locked: StandIn, driver: str) -> None:
    ours, other = connect(locked, driver, APP="ours"), connect(locked, driver, APP="another")
    asked = "SELECT program_name FROM sys.dm_exec_sessions ORDER BY 1"
    allowed = "SELECT HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')"
    assert (rows(ours, asked), value(ours, allowed)) == ([("another",), ("ours",)], 1)
    assert value(ours, "SELECT APP_NAME()") == "ours"
    locked.revoke("VIEW SERVER STATE")
    assert (rows(ours, asked), value(ours, allowed)) == ([("ours",)], 0)
    other.close()
    assert value(ours, "SELECT session_id FROM sys.dm_exec_requests") == value(ours, "SELECT @@SPID")
    ours.close()

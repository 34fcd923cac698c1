"""Whoever waits for the source can be broken off, and never anybody else."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import arrow_odbc
import pytest

from db import connect_source, load_settings
from model.errors import CancelledError
from model.settings import Settings
from mssql import figures, odbc_client, reader
from mssql.token_connection import TokenConnection
from mssql.wires import Wires
from standin.process import process_of
from standin.server import StandIn
from tests.harness import source_settings, wait_until
from tests.standin.clients import installed
from tests.standin.samples import DATABASE, ROWS

LONG = "SELECT id FROM dbo.Long"
#: seconds within which a thread that is broken off is back
BACK_S = 10


@pytest.fixture
def source() -> Iterator[StandIn]:
    """A stand-in with a long table."""
    with StandIn(DATABASE, ROWS) as running:
        yield running


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    """Each of the two drivers."""
    return installed(request.param)


@pytest.fixture(params=["yes", "no"], ids=["encrypted", "open"])
def settings(source: StandIn, driver: str, request: pytest.FixtureRequest) -> Settings:
    """Settings of the stand-in, by each driver, with TLS and without."""
    return settings_of(source.port, driver, request.param)


def settings_of(port: int, driver: str, encrypt: str = "no", database: str = DATABASE.name) -> Settings:
    """Settings of a server on this machine."""
    given = {"MSSQL_DRIVER": driver, "MSSQL_ENCRYPT": encrypt, "PGDATABASE": "d"}
    return load_settings(None, {**source_settings(port, database), **given})


#: how each kind of connection is opened, for as long as a stack lasts, and asked
KINDS: dict[str, tuple[Callable[[Settings, ExitStack], Any], Callable[[Any, str], None]]] = {
    "in batches": (lambda settings, _: reader.connect(settings), reader.ask),
    "by a token": (lambda settings, _: TokenConnection(settings), reader.ask),
    "value by value": (
        lambda settings, life: life.enter_context(odbc_client.connect(settings)), odbc_client.Connection.ask,
    ),
    "figures": (lambda settings, _: connect_source(settings), figures.ask),
}  # fmt: skip


def in_batches(settings: Settings, wires: Wires) -> Any:
    """A connection that reads in batches, as a worker opens it."""
    return wires.opened(lambda: reader.connect(settings), reader.ask)


def waiting(pool: ThreadPoolExecutor, source: StandIn, ask: Callable[[], object]) -> Future[object]:
    """A thread whose query gets no answer."""
    before = len(source.held_back)
    source.hold_back("dbo.Long")
    future = pool.submit(ask)
    wait_until(lambda: len(source.held_back) == before + 1, "the query is held back")
    return future


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [None, 25_000], ids=["before the first row", "among the rows"])
def test_whoever_waits_for_the_source_comes_back_and_is_gone_from_there(
    source: StandIn, settings: Settings, kind: str, rows: int | None
) -> None:
    wires, (connect, ask) = Wires(), KINDS[kind]
    with ExitStack() as life, ThreadPoolExecutor() as pool:
        connection = wires.opened(lambda: connect(settings, life), ask)
        source.hold_back("dbo.Long", rows)
        future = pool.submit(ask, connection, LONG)
        wait_until(lambda: len(source.held_back) == 1, "the query is held back")
        wires.break_off()
        assert future.exception(BACK_S) is not None
        wait_until(lambda: source.connections == 0, "the source has no connection", timeout=BACK_S)
        with pytest.raises(CancelledError):
            in_batches(settings, wires)


def test_of_many_that_connect_at_once_each_is_broken_off_alone(source: StandIn, settings: Settings) -> None:
    count = 8
    begin = threading.Barrier(count)
    workers = [Wires() for _ in range(count)]

    def read(wires: Wires) -> None:
        begin.wait()
        reader.ask(in_batches(settings, wires), LONG)

    source.hold_back("dbo.Long", times=count)
    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(read, wires) for wires in workers]
        wait_until(lambda: len(source.held_back) == count, "all wait for the source")
        for left, (wires, future) in enumerate(zip(workers, futures, strict=True), start=1):
            wires.break_off()
            assert future.exception(BACK_S) is not None
            wait_until(partial(_has, source, count - left), "one is gone", timeout=BACK_S)
            assert [each.done() for each in futures] == [True] * left + [False] * (count - left)


def _has(source: StandIn, connections: int) -> bool:
    return source.connections == connections


def test_a_connection_is_told_from_busy_ones_that_were_opened_meanwhile(source: StandIn, settings: Settings) -> None:
    """One that others read by, one that idles, one that sends more than comes back."""
    wires, end = Wires(), threading.Event()
    others: list[Any] = []

    def read(other: Any) -> None:
        while not end.is_set():
            for _ in other.read_arrow_batches(LONG, batch_size=10_000):
                pass

    def send(talker: socket.socket) -> None:
        with talker:
            while not end.is_set():
                talker.sendall(b"x" * 100_000)

    with ThreadPoolExecutor() as pool, closing(socket.create_server(("127.0.0.1", 0))) as listener:
        busy: list[Future[None]] = []

        def connect() -> Any:
            others.extend(reader.connect(settings) for _ in range(2))
            talker = socket.create_connection(listener.getsockname())
            busy.extend([pool.submit(read, others[0]), pool.submit(_swallow, listener), pool.submit(send, talker)])
            return reader.connect(settings)

        connection = wires.opened(connect, reader.ask)
        end.set()
        for one in busy:
            one.result(60)
        future = waiting(pool, source, lambda: reader.ask(connection, LONG))
        wires.break_off()
        assert future.exception(BACK_S) is not None
        for other in others:
            reader.ask(other, "SELECT 1 AS c0")


def _swallow(listener: socket.socket) -> None:
    accepted, _ = listener.accept()
    with accepted:
        while accepted.recv(1 << 16):
            pass


def test_one_that_hangs_in_its_login_holds_nobody_up(source: StandIn, driver: str) -> None:
    wires = Wires()
    with closing(socket.create_server(("127.0.0.1", 0))) as silent, ThreadPoolExecutor() as pool:
        hanging = pool.submit(in_batches, settings_of(silent.getsockname()[1], driver), wires)
        probe, _ = silent.accept()
        probe.close()
        login, _ = silent.accept()
        other = Wires()
        connection = in_batches(settings_of(source.port, driver), other)
        assert not hanging.done()
        future = waiting(pool, source, lambda: reader.ask(connection, LONG))
        # What it knows of it breaks nobody else's off.
        wires.break_off()
        assert len(source.held_back) == 1
        other.break_off()
        assert future.exception(BACK_S) is not None
        login.close()
        with pytest.raises(Exception):  # noqa: B017 - that the server cannot be reached, or that nobody waits for it
            hanging.result(60)


def test_where_nothing_is_counted_what_is_not_told_apart_is_left_alone(
    driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, where sockets can be listed and no more."""
    monkeypatch.setattr(sys, "platform", "darwin")
    alone, beside = Wires(), Wires()
    others: list[Any] = []
    # A process of its own: of a stand-in in this one each connection would have two sockets here.
    with process_of("shop") as port:
        settings = settings_of(port, driver, database="shop")

        def connect() -> Any:
            others.append(reader.connect(settings))
            return reader.connect(settings)

        ambiguous = beside.opened(connect, reader.ask)
        connection = in_batches(settings, alone)
        beside.break_off()
        alone.break_off()
        for one in (ambiguous, *others):
            reader.ask(one, "SELECT 1 AS c0")
        with pytest.raises(arrow_odbc.Error):
            reader.ask(connection, "SELECT 1 AS c0")
        with pytest.raises(CancelledError):
            in_batches(settings, beside)


def test_what_was_broken_off_while_it_was_opened_is_closed(source: StandIn, driver: str) -> None:
    wires, settings = Wires(), settings_of(source.port, driver)

    def connect() -> Any:
        connection = reader.connect(settings)
        wires.break_off()
        return connection

    with pytest.raises(CancelledError):
        wires.opened(connect, reader.ask)
    wait_until(lambda: source.connections == 0, "the source has no connection", timeout=BACK_S)

"""Addresses that mean another machine to each worker are told before a run begins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from bench.cluster_planning import NO_SERVERS
from cluster.crew import connected
from cluster.own_machine import missing_server
from model.cluster import Cluster
from model.errors import RunRefusedError
from model.settings import Driver, Source, Target
from tests.dask_cluster import DaskCluster


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port at which nobody listens, and which nobody else gets meanwhile."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def source_at(host: str, port: int) -> Source:
    """A source of which only the address is known."""
    return Source("", Driver("", ""), "", address=(host, port))


NOWHERE = Source("", Driver("", ""), "")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_worker_on_whose_machine_no_server_listens_is_told(host: str, free_port: int) -> None:
    assert missing_server(source_at(host, free_port), Target({})) == (
        f"MSSQL_HOST={host} is its own machine, and there no SQL Server listens at port {free_port}. Name the server "
        f"as all machines know it; or let each worker have its own settings: CLUSTER_SETTINGS=workers"
    )
    found = missing_server(NOWHERE, Target({"host": host, "port": str(free_port)}))
    assert found is not None and f"PGHOST={host} is its own machine, and there no PostgreSQL listens" in found


def test_a_socket_that_no_worker_has_is_told() -> None:
    found = missing_server(NOWHERE, Target({"host": "/nowhere/postgresql"}))
    assert found is not None and "PGHOST=/nowhere/postgresql is its own machine" in found and "port 5432" in found


def test_servers_that_have_a_name_are_not_looked_for(free_port: int) -> None:
    named = Target({"host": "db.example.org", "port": str(free_port)})
    assert missing_server(source_at("mssql.example.org", free_port), named) is None
    assert missing_server(NOWHERE, Target({})) is None


def test_a_run_is_refused_before_it_begins_and_says_which_worker(cluster: DaskCluster, free_port: int) -> None:
    settings = replace(NO_SERVERS, source=source_at("localhost", free_port))
    with pytest.raises(RunRefusedError) as refused, connected(settings, Cluster(cluster.address), print):
        pass
    words = str(refused.value)
    assert "2 of 2 workers cannot work for this run" in words
    for worker in cluster.workers:
        assert f"{cluster.address_of(worker)}: MSSQL_HOST=localhost is its own machine" in words

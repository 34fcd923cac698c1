"""Connections are closed when their task ends, however it ends, and not when somebody collects what is left of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bench.cluster_planning import NO_SERVERS
from cluster.crew import connected
from cluster.envelope import STATION
from model.cluster import Cluster
from tests.dask_cluster import DaskCluster
from tests.harness import ROOT
from tests.samples import statuses
from tests.scenes import Scene


def test_a_worker_whose_end_was_cut_short_ends_all_the_same(own_cluster: DaskCluster) -> None:
    """As where SIGTERM comes while the scheduler has the worker close: asyncio cancels what closes it."""
    worker = own_cluster.workers[0]
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        crew.client.run(_close_half, workers=[own_cluster.address_of(worker)])
    worker.send_signal(signal.SIGTERM)
    # By itself it would not: that is an exit code of 0, or of the signal.
    assert worker.wait(timeout=90) == 1


async def _close_half(dask_worker: Any) -> None:
    closing = asyncio.ensure_future(dask_worker.close())
    while STATION in dask_worker.plugins:
        await asyncio.sleep(0)
    closing.cancel()


@pytest.fixture
def uncollected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A cluster whose workers never collect garbage: what stands in a circle of references stays."""
    folder = tmp_path_factory.mktemp("uncollected")
    (folder / "sitecustomize.py").write_text("import gc\ngc.disable()\ngc.collect = lambda generation=2: 0\n")
    environment = {"PYTHONPATH": f"{folder}:{ROOT}"}
    with DaskCluster(folder, common=environment) as running:
        yield running


def test_a_task_that_fails_by_itself_closes_its_connections(scene: Scene, uncollected: DaskCluster) -> None:
    scene.query("ALTER TABLE big ADD CHECK (id < 15000)")
    failing = scene.run("--cluster", uncollected.address, "--workers", "2", RETRY_ATTEMPTS="2")
    assert failing.code == 1 and statuses(scene.workplace.data_progress)["Big"] == "failed", failing.text
    scene.assert_nobody_is_left()


def test_a_task_that_nobody_waits_for_closes_its_connections(scene: Scene, uncollected: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", uncollected.address, "--workers", "2") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    scene.assert_nobody_is_left()

"""Connections are closed when their task ends, however it ends, and not when somebody collects what is left of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.dask_cluster import DaskCluster
from tests.harness import ROOT
from tests.samples import statuses
from tests.scenes import Scene


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

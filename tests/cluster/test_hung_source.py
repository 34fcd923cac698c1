"""A worker that waits for an answer of the source lets go of it as soon as nobody waits for the worker's any more."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.scenes import BACKENDS, Scene

#: seconds within which connections are free; docs/cluster.md promises it
FREE_S = 10


@contextmanager
def waiting_for_the_source(scene: Scene, cluster: DaskCluster, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose two workers both wait for the first row of a query."""
    process = scene.workplace.start("data", "--cluster", cluster.address, "--workers", "2", *arguments)
    try:

        def is_there() -> bool:
            assert process.poll() is None, process.communicate()
            return len(scene.source.held_back) == 2

        wait_until(is_there, "both workers wait for the source")
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def assert_free(scene: Scene) -> None:
    """Nobody is connected to either server, and soon."""
    wait_until(lambda: scene.source.connections == 0, "no connection is left on the source", timeout=FREE_S)
    wait_until(lambda: not scene.query(BACKENDS), "no connection is left on the target", timeout=FREE_S)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_load_that_is_stopped(scene: Scene, cluster: DaskCluster, number: signal.Signals) -> None:
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--workers", "2") as process:
        scene.source.hold_back("dbo.Big", times=2)
        scene.proxy.resume()
        wait_until(lambda: len(scene.source.held_back) == 2, "both workers wait for the source")
        process.send_signal(number)
        assert_free(scene)
        assert process.wait(timeout=30) == (-number if number == signal.SIGKILL else 128 + number)
    resumed = scene.run("--resume", "--no-truncate", "--cluster", cluster.address)
    assert resumed.code == 0, resumed.text
    scene.assert_equal()

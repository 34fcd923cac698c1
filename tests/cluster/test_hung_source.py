"""A worker that waits for an answer of the source lets go of it as soon as nobody waits for the worker's any more."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.scenes import Scene

NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


def assert_free(scene: Scene) -> None:
    """Nobody is connected to either server, though nothing was answered."""
    wait_until(lambda: scene.source.connections == 0, "no connection is left on the source")
    scene.assert_nobody_is_left()


def assert_stopped_by(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """How a run ended."""
    assert process.wait(timeout=60) == (-number if number == signal.SIGKILL else 128 + number)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_load_that_is_stopped(scene: Scene, cluster: DaskCluster, number: signal.Signals) -> None:
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--workers", "2") as process:
        scene.source.hold_back("dbo.Big", times=2)
        scene.proxy.resume()
        wait_until(lambda: len(scene.source.held_back) == 2, "both workers wait for the source")
        process.send_signal(number)
        assert_free(scene)
        assert_stopped_by(process, number)
    resumed = scene.run("--resume", "--no-truncate", "--cluster", cluster.address)
    assert resumed.code == 0, resumed.text
    scene.assert_equal()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_comparison_that_is_stopped(scene: Scene, cluster: DaskCluster, number: signal.Signals) -> None:
    assert scene.run().code == 0
    scene.source.hold_back("dbo.Big")
    with scene.workplace.running("data", "--verify", "--cluster", cluster.address) as process:
        wait_until(lambda: len(scene.source.held_back) == 1, "a worker waits for the source")
        process.send_signal(number)
        assert_free(scene)
        assert_stopped_by(process, number)
    equal = scene.run("--verify", "--cluster", cluster.address)
    assert equal.code == 0, equal.text


def test_a_chunk_that_stands_still_is_copied_by_another_connection(scene: Scene, cluster: DaskCluster) -> None:
    arguments = ("--cluster", cluster.address, "--workers", "2")
    with scene.stopped_in_the_big_table(*arguments, STALL_TIMEOUT="5") as process:
        scene.source.hold_back("dbo.Big", rows=1000)
        scene.proxy.resume()
        wait_until(lambda: len(scene.source.held_back) == 1, "a worker waits for the source")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
    assert "no row for 5 s; retried with another connection" in out
    scene.assert_equal()
    assert_free(scene)

"""A scheduler whose process is stopped: it is there, and does not answer."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from bench.cluster_planning import NO_SERVERS
from cluster.crew import connected
from model.cluster import Cluster
from model.errors import UnreachableError
from tests.dask_cluster import DaskCluster
from tests.scenes import Scene

CLUSTER_RUN = ("--workers", "2")


@contextmanager
def standing_still(process: subprocess.Popen[str]) -> Iterator[None]:
    """A process that is stopped meanwhile."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Where a worker could be, and nobody answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(60)
        yield listener


def listening_at(mute: socket.socket) -> tuple[str, ...]:
    """The flags of a worker that is sought there."""
    return "--listen-address", "tcp://127.0.0.1:0", "--contact-address", f"tcp://127.0.0.1:{mute.getsockname()[1]}"


def test_a_run_is_refused_where_it_does_not_answer_at_the_start(scene: Scene, own_cluster: DaskCluster) -> None:
    with standing_still(own_cluster.scheduler):
        finished = scene.run("--cluster", own_cluster.address)
    assert finished.code == 3, finished.text
    assert f"the Dask scheduler {own_cluster.address} has not answered for" in finished.text
    assert scene.query("SELECT count(*) FROM few") == [(0,)]


def test_a_run_is_refused_where_it_stops_while_workers_are_asked(
    scene: Scene, own_cluster: DaskCluster, mute: socket.socket
) -> None:
    own_cluster.add_worker(listens=listening_at(mute))
    own_cluster.wait_for(3)
    for worker in own_cluster.workers[:2]:
        os.kill(worker.pid, signal.SIGSTOP)
    process = scene.workplace.start("data", "--cluster", own_cluster.address)
    try:
        asked, _ = mute.accept()
        with closing(asked), standing_still(own_cluster.scheduler):
            out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 3, out + err
    assert f"the Dask scheduler {own_cluster.address} has not answered for" in out + err


def test_one_that_goes_on_in_time_does_not_end_the_run(scene: Scene, own_cluster: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, *CLUSTER_RUN) as process:
        with standing_still(own_cluster.scheduler):
            scene.proxy.resume()
            assert process.stdout is not None
            told = []
            for line in process.stdout:
                told.append(line)
                if f"the Dask scheduler {own_cluster.address} has not answered for" in line:
                    break
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, "".join(told) + out + err
    assert f"the Dask scheduler {own_cluster.address} answers again" in out
    assert "another does its work" not in out + err
    scene.assert_equal()


def test_one_that_stands_still_for_too_long_ends_the_run_and_resume_goes_on(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    with (
        scene.stopped_in_the_big_table("--cluster", own_cluster.address, *CLUSTER_RUN) as process,
        standing_still(own_cluster.scheduler),
    ):
        scene.proxy.resume()
        out, err = process.communicate(timeout=150)
        assert process.returncode == 3, out + err
        assert f"❌ the Dask scheduler {own_cluster.address} has not answered for" in err
        assert "then use --resume" in err
        # Workers bring what they have to its end.
        scene.assert_nobody_is_left()
    resumed = scene.run("--resume", "--no-truncate", "--cluster", own_cluster.address)
    assert resumed.code == 0, resumed.text
    scene.assert_equal()


def test_a_run_ends_where_it_stops_while_a_newcomer_is_asked(
    scene: Scene, own_cluster: DaskCluster, mute: socket.socket
) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, *CLUSTER_RUN) as process:
        own_cluster.add_worker(listens=listening_at(mute))
        asked, _ = mute.accept()
        with closing(asked), standing_still(own_cluster.scheduler):
            out, err = process.communicate(timeout=150)
    assert process.returncode == 3, out + err
    assert f"❌ the Dask scheduler {own_cluster.address} has not answered for" in err


def test_who_is_there_is_not_waited_for_without_end(own_cluster: DaskCluster) -> None:
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        assert sum(crew.threads().values()) == 4
        with standing_still(own_cluster.scheduler), pytest.raises(UnreachableError, match="has not answered for"):
            crew.threads()
        assert sum(crew.threads().values()) == 4


def test_ctrl_c_ends_a_run_at_its_start(scene: Scene, own_cluster: DaskCluster) -> None:
    with standing_still(own_cluster.scheduler):
        process = scene.workplace.start("data", "--cluster", own_cluster.address)
        assert process.stdout is not None
        assert any("Progress:" in line for line in process.stdout)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130, out + err


@pytest.mark.parametrize("arguments", [(), ("--verify",)])
def test_ctrl_c_ends_a_run_meanwhile(scene: Scene, own_cluster: DaskCluster, arguments: tuple[str, ...]) -> None:
    if arguments:
        assert scene.run().code == 0
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, *CLUSTER_RUN) as process:
        with standing_still(own_cluster.scheduler):
            os.kill(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=40)
        assert process.returncode == 130, out + err
        scene.proxy.resume()
    scene.assert_nobody_is_left()
    resumed = scene.run("--resume", "--no-truncate", "--cluster", own_cluster.address)
    assert resumed.code == 0, resumed.text
    scene.assert_equal()

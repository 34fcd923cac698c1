"""Which workers get tasks, as workers come and go."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from contextlib import closing

import pytest

from bench.idle_tasks import Idle, NoConnections
from cluster.crew import connected
from cluster.station import application_of
from cluster.workers import ClusterWorkers
from model.cluster import Cluster
from model.settings import Driver, Secrets, Settings, Source, Target
from tests.dask_cluster import DaskCluster
from tests.harness import Proxy, wait_until
from tests.scenes import PART, Scene

NO_SERVERS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


def test_a_worker_that_dies_while_another_is_asked_what_it_runs_gets_no_task(own_cluster: DaskCluster) -> None:
    dies = own_cluster.workers[0]
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        workers: ClusterWorkers[NoConnections]

        def threads() -> Mapping[str, int]:
            there = crew.threads()
            if len(there) == 3 and dies.poll() is None:
                dies.kill()
                wait_until(lambda: workers.count == 2, "the run has heard that the worker is gone")
            return there

        workers = ClusterWorkers(crew.client, crew.cluster, 100, 3, threads, lambda _: None, crew.pulse)
        own_cluster.add_worker()
        own_cluster.wait_for(3)
        wait_until(lambda: not workers.remarks() and workers.count == 4 and dies.poll() is not None, "two are left")
        answers = [workers.submit(Idle("dbo.T", number)) for number in range(8)]
        done, left = wait(answers, timeout=30)
        assert not left and {answer.result() for answer in done} == set(range(8))
        workers.close()


def test_two_workers_of_a_machine_with_a_long_name_are_told_apart_on_the_target() -> None:
    host = "tls://replicator-workers-7f9c6d5b8-abcde.replicator-workers.replication.svc.cluster.local"
    first, second = (application_of("1a2b3c4d", f"{host}:{port}") for port in (9001, 9002))
    assert first != second and len(first) == len(second) == 63
    assert application_of("1a2b3c4d", "tcp://192.0.2.1:9001") == "mssql-to-postgres 1a2b3c4d 192.0.2.1:9001"


@pytest.fixture
def out_of_reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A cluster whose one worker has joined, but cannot be asked anything, as one that is just dying."""
    common = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0, common=common) as cluster:
        with Proxy(("127.0.0.1", 1)) as nowhere:
            listens = ("--listen-address", "tcp://127.0.0.1:0", "--contact-address", f"tcp://127.0.0.1:{nowhere.port}")
            cluster.add_worker(listens=listens)
            cluster.wait_for(1)
        yield cluster


def test_a_worker_that_does_not_answer_at_the_start_is_told_and_left_out(
    scene: Scene, out_of_reach: DaskCluster
) -> None:
    out_of_reach.add_worker()
    out_of_reach.wait_for(2)
    finished = scene.run("--cluster", out_of_reach.address)
    assert finished.code == 0, finished.text
    assert re.search(r"worker tcp://127\.0\.0\.1:\d+ is not used: it does not answer", finished.out), finished.text
    assert "1 worker process, 2 threads" in finished.out
    scene.assert_equal()


def test_a_worker_that_stands_still_at_the_start_is_left_out_and_joins_once_it_answers(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    stopped, other = own_cluster.workers
    os.kill(stopped.pid, signal.SIGSTOP)
    scene.proxy.stall_after(PART)
    process = scene.workplace.start("data", "--cluster", own_cluster.address)
    try:
        wait_until(lambda: scene.proxy.is_stalled, "the other copies", timeout=90)
        os.kill(stopped.pid, signal.SIGCONT)
        # Now there is nobody else.
        other.kill()
        scene.proxy.resume()
        out, err = process.communicate(timeout=90)
    finally:
        os.kill(stopped.pid, signal.SIGCONT)
        process.kill()
    assert process.returncode == 0, out + err
    assert f"worker {own_cluster.address_of(stopped)} is not used: it does not answer" in out
    assert "1 worker process, 2 threads" in out
    scene.assert_equal()


def assert_nobody_answers(scene: Scene, cluster: DaskCluster) -> None:
    """A run ends with the words for that."""
    finished = scene.run("--cluster", cluster.address)
    assert finished.code == 3, finished.text
    assert f"no worker of the cluster {cluster.address} answers: tcp://127.0.0.1:" in finished.text


def test_a_run_whose_only_worker_stands_still_ends(scene: Scene, own_cluster: DaskCluster) -> None:
    for worker in own_cluster.workers:
        os.kill(worker.pid, signal.SIGSTOP)
    assert_nobody_answers(scene, own_cluster)


def test_a_run_for_which_nobody_answers_is_not_taken_for_one_with_the_wrong_workers(
    scene: Scene, out_of_reach: DaskCluster
) -> None:
    assert_nobody_answers(scene, out_of_reach)


def test_a_scheduler_that_dies_while_a_newcomer_is_asked_is_told_as_that(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as mute,
        scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process,
    ):
        contact = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        own_cluster.add_worker(listens=("--listen-address", "tcp://127.0.0.1:0", "--contact-address", contact))
        mute.settimeout(30)
        asked, _ = mute.accept()
        own_cluster.scheduler.kill()
        out, err = process.communicate(timeout=60)
        asked.close()
    assert process.returncode == 3, out + err
    assert f"the cluster's scheduler {own_cluster.address} is gone. Start it again; then use --resume" in out + err

"""Runs on a cluster come to what they come to on one machine."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest
from distributed import Client

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.samples import statuses
from tests.scenes import BACKENDS, BIG_ROWS, Scene


def test_a_load_on_a_cluster_is_whole_and_spread_over_its_workers(scene: Scene, cluster: DaskCluster) -> None:
    finished = scene.run("--cluster", cluster.address)
    assert finished.code == 0, finished.text
    assert f"Cluster: {cluster.address}, 2 worker processes, 4 threads" in finished.out
    assert "4 workers" in finished.out
    kept = json.loads((scene.workplace.folder / "runs.jsonl").read_text(encoding="utf-8"))
    assert kept["settings"]["cluster"] == cluster.address
    scene.assert_equal()
    scene.assert_nobody_is_left()


def test_the_setting_does_the_same_as_the_flag(scene: Scene, cluster: DaskCluster) -> None:
    finished = scene.run(CLUSTER=cluster.address)
    assert "2 worker processes" in finished.out and finished.code == 0, finished.text


@pytest.mark.parametrize("refresh", ["merge", "swap"])
def test_staged_loads_on_a_cluster(scene: Scene, cluster: DaskCluster, refresh: str) -> None:
    scene.query("INSERT INTO few VALUES (-1, 'of yesterday')")
    finished = scene.run("--cluster", cluster.address, "--refresh", refresh, "--verify-first")
    assert finished.code == 0, finished.text
    assert "3 tables are live with the new rows" in finished.out
    scene.assert_equal()


def test_a_comparison_on_a_cluster_finds_what_differs(scene: Scene, cluster: DaskCluster) -> None:
    assert scene.run().code == 0
    equal = scene.run("--verify", "--cluster", cluster.address)
    assert equal.code == 0 and f"{BIG_ROWS:,} rows equal" in equal.out, equal.text
    scene.query("UPDATE big SET label = 'another' WHERE id = 17")
    differing = scene.run("--verify", "--cluster", cluster.address)
    assert differing.code == 1
    assert "columns that differ: label" in differing.out


def test_a_session_of_one_machine_is_continued_by_a_cluster(scene: Scene, cluster: DaskCluster) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    resumed = scene.run("--resume", "--no-truncate", "--cluster", cluster.address)
    assert resumed.code == 0, resumed.text
    assert {chunk: scene.checkpoints()[chunk] for chunk in before} == before
    scene.assert_equal()


def test_no_more_connections_are_used_than_the_servers_may_have(scene: Scene, cluster: DaskCluster) -> None:
    finished = scene.run("--cluster", cluster.address, MAX_SOURCE_CONNECTIONS="3", MAX_TARGET_CONNECTIONS="2")
    assert finished.code == 0, finished.text
    assert "2 workers" in finished.out
    scene.assert_equal()


def test_secrets_stand_in_no_log_of_the_cluster(scene: Scene, cluster: DaskCluster) -> None:
    password = scene.workplace.environment["MSSQL_PASSWORD"]
    scene.query("DROP TABLE few; CREATE TABLE few (id integer PRIMARY KEY, label integer)")
    failing = scene.run("--cluster", cluster.address)
    assert failing.code == 1 and statuses(scene.workplace.data_progress)["Few"] == "failed"
    assert password not in cluster.log() + failing.text
    assert "PWD" not in cluster.log()


def test_values_of_rows_that_are_hidden_stand_in_nothing_that_the_scheduler_keeps(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    scene.query("CREATE UNIQUE INDEX of_three ON few (left(label, 3))")
    failing = scene.run("--cluster", own_cluster.address, ERROR_VALUES="hide")
    assert failing.code == 1 and "(SQLSTATE 23505)" in failing.out, failing.text
    with Client(own_cluster.address, set_as_default=False) as client:
        kept = repr(client.get_events())
    assert "duplicate key value violates unique constraint" in kept
    assert "=(few)" not in kept + own_cluster.log() + failing.text


# -- what cannot be carried out ------------------------------------------------------------------------


def test_a_scheduler_that_is_not_there_is_told(scene: Scene) -> None:
    finished = scene.run("--cluster", "tcp://127.0.0.1:1")
    assert finished.code == 3
    assert "the Dask scheduler tcp://127.0.0.1:1 cannot be reached" in finished.text
    assert scene.query("SELECT count(*) FROM big") == [(0,)]


def test_a_cluster_without_workers_is_told(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> None:
    with DaskCluster(tmp_path_factory.mktemp("empty"), workers=0) as empty:
        finished = scene.run("--cluster", empty.address)
    assert finished.code == 3
    assert "has no worker" in finished.text


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("scheduler:8786", "must be a Dask scheduler's address, as tls://scheduler:8786"),
        ("tls://scheduler.example:8786", "CLUSTER_TLS_CA, CLUSTER_TLS_CERT and CLUSTER_TLS_KEY are missing"),
        ("tcp://scheduler.example:8786", "is not encrypted, so the passwords of both servers could be read"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_before_anything_is_sent(
    scene: Scene, address: str, words: str
) -> None:
    finished = scene.run("--cluster", address)
    assert finished.code == 2
    assert words in finished.text


def test_files_of_this_machine_are_not_sent_to_others(scene: Scene, cluster: DaskCluster) -> None:
    finished = scene.run("--cluster", cluster.address, PGPASSFILE="/home/me/.pgpass")
    assert finished.code == 2
    assert "passfile of the target: a file of this machine, which workers do not have" in finished.text


# -- ends before the end -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_tasks_of_all_workers_and_their_connections(
    scene: Scene, cluster: DaskCluster, number: signal.Signals
) -> None:
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--workers", "2") as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number, out + err
        wait_until(lambda: not scene.query(BACKENDS), "the workers' connections are gone", timeout=10)
    scene.assert_nobody_is_left()
    assert scene.run("--resume", "--no-truncate", "--cluster", cluster.address).code == 0
    scene.assert_equal()


def test_a_client_that_is_killed_leaves_no_worker_copying(scene: Scene, cluster: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--workers", "2") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        wait_until(lambda: not scene.query(BACKENDS), "the workers' connections are gone", timeout=20)
    there = scene.checkpoints()
    scene.assert_nobody_is_left()
    assert scene.checkpoints() == there
    assert scene.run("--resume", "--no-truncate", "--cluster", cluster.address).code == 0
    scene.assert_equal()


def test_what_a_dead_worker_had_is_done_by_another(scene: Scene, own_cluster: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        own_cluster.workers[0].kill()
        own_cluster.workers[0].wait()
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert re.search(r"worker tcp://127\.0\.0\.1:\d+ was lost; another does its work \(attempt 2 of 5\)", out), out
    scene.assert_equal()


def test_a_scheduler_that_dies_ends_the_run_and_resume_goes_on(scene: Scene, own_cluster: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        own_cluster.scheduler.kill()
        own_cluster.scheduler.wait()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    assert f"the cluster's scheduler {own_cluster.address} is gone" in out + err
    assert "Traceback" not in out + err
    scene.assert_nobody_is_left()
    own_cluster.restart_scheduler()
    own_cluster.wait_to_join(own_cluster.add_worker())
    assert scene.run("--resume", "--no-truncate", "--cluster", own_cluster.address).code == 0
    scene.assert_equal()


def test_the_status_tells_a_run_at_work_and_what_its_workers_do(scene: Scene, cluster: DaskCluster) -> None:
    addresses = {cluster.address_of(worker).removeprefix("tcp://") for worker in cluster.workers}
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--refresh", "merge", WORKERS="2") as process:
        finished = scene.workplace.run("data", "--status", "--json")
        assert finished.code == 0, finished.text
        found = json.loads(finished.out)
        assert found["is_running"] and f"process {process.pid} on " in found["holder"]["words"]
        assert "Big" in [one["table"] for one in found["under_way"]]
        assert "public.big" in [one["table"] for one in found["staged"]]
        assert addresses & {one["worker"] for one in found["sessions"]}, found["sessions"]
        shown = scene.workplace.run("data", "--status").out
        assert re.search(r"PostgreSQL pid \d+ of worker 127\.0\.0\.1:\d+: ", shown), shown

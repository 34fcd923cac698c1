"""`--check` with a cluster: READY where a copy by its workers would begin."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from model.version import __version__
from tests.dask_cluster import DaskCluster
from tests.harness import Finished, free_port
from tests.scenes import Scene


def check(scene: Scene, *arguments: str, **settings: str) -> tuple[Finished, list[dict[str, Any]]]:
    """A check of tables that do not exist yet, and what it remarks on the cluster."""
    scene.query("DROP TABLE IF EXISTS big, few, later")
    workplace = scene.workplace.with_settings(**settings)
    finished = workplace.run("schema", "--check", *arguments)
    document = json.loads((workplace.folder / "schema_check.json").read_text(encoding="utf-8"))
    kinds = ("cluster", "worker cannot take tasks", "worker not reached")
    return finished, [one for one in document["remarks"] if one["kind"] in kinds]


def test_it_is_ready_where_all_workers_can_take_tasks(scene: Scene, cluster: DaskCluster) -> None:
    finished, (remark,) = check(scene, CLUSTER=cluster.address)
    assert finished.code == 0, finished.text
    assert "✅ READY" in finished.out
    assert remark["severity"] == "notes" and remark["name"] == cluster.address
    assert remark["text"] == "2 of 2 workers can take tasks, 4 threads"
    assert not list(scene.workplace.folder.glob("*progress*"))


def test_the_flag_names_another_cluster_than_the_setting(scene: Scene, cluster: DaskCluster) -> None:
    settings = {"CLUSTER": "tcp://127.0.0.1:1", "MAX_SOURCE_CONNECTIONS": "3"}
    finished, (remark,) = check(scene, "--cluster", cluster.address, **settings)
    assert finished.code == 0, finished.text
    assert remark["text"] == "2 of 2 workers can take tasks, 4 threads; at most 3 tasks at once, for the servers' sake"


def test_nothing_is_said_where_no_cluster_is_named(scene: Scene) -> None:
    finished, remarks = check(scene)
    assert finished.code == 0, finished.text
    assert remarks == []


@pytest.mark.parametrize("flags", [(), ("--dry-run",), ("--resume",)])
def test_the_flag_is_for_checks(scene: Scene, flags: tuple[str, ...]) -> None:
    finished = scene.workplace.run("schema", "--cluster", "tcp://127.0.0.1:8786", *flags)
    assert finished.code == 2
    assert "--cluster goes with --check and --check-data" in finished.err


def test_workers_that_a_run_is_refused_for_are_in_the_way_each_with_what_it_is(
    scene: Scene, own_cluster: DaskCluster, old: dict[str, str], other_python: dict[str, str]
) -> None:
    for environment in (old, other_python):
        own_cluster.add_worker(environment=environment)
    own_cluster.wait_for(4)
    finished, remarks = check(scene, CLUSTER=own_cluster.address)
    assert finished.code == 1, finished.text
    assert "DECIDE FIRST" in finished.out
    of_old, of_other = (own_cluster.address_of(worker) for worker in own_cluster.workers[2:])
    by_name = {one["name"]: one for one in remarks}
    assert by_name[of_old]["severity"] == by_name[of_other]["severity"] == "blocks"
    assert by_name[of_old]["text"].startswith("version 0.0.1, Python 3.")
    assert f"; here version {__version__}, Python 3." in by_name[of_old]["text"]
    assert by_name[of_other]["text"].startswith("Python 3.99; here ")
    assert "CLUSTER_CODE" in by_name[of_old]["advice"]
    assert by_name[own_cluster.address]["text"] == "2 of 4 workers can take tasks, 4 threads"
    assert scene.run("--cluster", own_cluster.address).code == 2


def test_workers_without_settings_of_their_own_are_in_the_way(scene: Scene, cluster: DaskCluster) -> None:
    finished, remarks = check(scene, CLUSTER=cluster.address, CLUSTER_SETTINGS="workers")
    assert finished.code == 1, finished.text
    told = {one["name"]: one for one in remarks if one["severity"] == "blocks"}
    assert sorted(told) == sorted(cluster.address_of(worker) for worker in cluster.workers)
    assert all("a worker's own settings are incomplete: MSSQL_HOST" in one["text"] for one in told.values())


def test_a_worker_that_does_not_answer_is_a_warning_as_long_as_another_does(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    stopped, other = own_cluster.workers
    os.kill(stopped.pid, signal.SIGSTOP)
    finished, remarks = check(scene, CLUSTER=own_cluster.address)
    assert finished.code == 0, finished.text
    assert [(one["severity"], one["name"]) for one in remarks] == [
        ("warns", own_cluster.address_of(stopped)), ("notes", own_cluster.address),
    ]  # fmt: skip
    os.kill(other.pid, signal.SIGSTOP)
    finished, remarks = check(scene, CLUSTER=own_cluster.address)
    assert finished.code == 1, finished.text
    assert [one["severity"] for one in remarks] == ["blocks", "notes"]
    assert f"no worker of the cluster {own_cluster.address} answers" in remarks[0]["text"]


def test_a_scheduler_that_cannot_be_used_is_in_the_way(scene: Scene) -> None:
    for address, words in (
        (f"tcp://127.0.0.1:{free_port()}", "cannot be reached"),
        ("tcp://10.0.0.1:8786", "is not encrypted, so the passwords of both servers could be read on the way"),
        ("tls://127.0.0.1:8786", "CLUSTER_TLS_CA, CLUSTER_TLS_CERT and CLUSTER_TLS_KEY are missing"),
    ):
        finished, (remark,) = check(scene, CLUSTER=address)
        assert finished.code == 1, finished.text
        assert (remark["severity"], remark["name"]) == ("blocks", address)
        assert words in remark["text"]

"""Flags beside --cluster."""

from __future__ import annotations

import time

import pytest

from tests.dask_cluster import DaskCluster
from tests.scenes import BIG_ROWS, Scene


def test_workers_limits_the_tasks_of_the_whole_cluster(scene: Scene, cluster: DaskCluster) -> None:
    finished = scene.run("--cluster", cluster.address, "--workers", "3")
    assert finished.code == 0, finished.text
    assert "3 workers" in finished.out
    scene.assert_equal()


def test_the_pace_is_that_of_all_workers_together(scene: Scene, cluster: DaskCluster) -> None:
    started = time.monotonic()
    finished = scene.run("--cluster", cluster.address, "--tables", "Big", "--max-rate", "10krows")
    assert finished.code == 0, finished.text
    # How long it takes beyond that says nothing.
    assert time.monotonic() - started > 2.9
    assert "At most 10,000 rows/s" in finished.out
    assert scene.query("SELECT count(*) FROM big") == [(BIG_ROWS,)]


@pytest.mark.parametrize("flag", ["--retry-rejects", "--restore-keys", "--reset"])
def test_what_a_cluster_has_no_part_in_is_refused(scene: Scene, flag: str) -> None:
    finished = scene.run("--cluster", "tcp://127.0.0.1:8786", flag)
    assert finished.code == 2
    assert "--cluster" in finished.text and flag in finished.text
    assert "is for loads and comparisons" in finished.text


def test_what_the_setting_names_does_not_keep_other_jobs_from_being_done(scene: Scene) -> None:
    # A setting is for every run; those that a cluster has no part in go on without it.
    finished = scene.run("--restore-keys", CLUSTER="tcp://127.0.0.1:1")
    assert finished.code == 0, finished.text

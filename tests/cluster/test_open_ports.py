"""Without certificates nothing that holds passwords listens to other machines."""

from __future__ import annotations

import pytest

from tests.dask_cluster import DaskCluster
from tests.scenes import Scene


def test_a_scheduler_that_others_can_join_is_sent_no_passwords(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DaskCluster(tmp_path_factory.mktemp("open"), workers=0, host="0.0.0.0") as running:
        if "tcp://127." in running.log():
            pytest.skip("this machine has no other address")
        running.add_worker()
        running.wait_for(1)
        finished = scene.run("--cluster", running.address)
        assert finished.code == 2, finished.text
        assert f"CLUSTER={running.address}: that scheduler is tcp://" in finished.text
        assert "would be sent the passwords of both servers" in finished.text
        assert scene.query("SELECT count(*) FROM big") == [(0,)]
        # Where none are sent it is as good as another.
        own = "".join(f"{name}='{value}'\n" for name, value in scene.workplace.environment.items())
        running.workers[0].kill()
        running.workers[0].wait()
        running.wait_to_join(running.add_worker(env_file=own, listens=()))
        finished = scene.run("--cluster", running.address, CLUSTER_SETTINGS="workers")
        assert finished.code == 0, finished.text
        scene.assert_equal()


def test_a_worker_that_others_can_reach_is_sent_no_passwords(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DaskCluster(tmp_path_factory.mktemp("open"), workers=0) as running:
        running.add_worker(listens=())
        running.wait_for(1)
        finished = scene.run("--cluster", running.address)
        assert finished.code == 2, finished.text
        assert "other machines reach it at" in finished.text
        assert "Start it with --host 127.0.0.1" in finished.text
        assert scene.query("SELECT count(*) FROM big") == [(0,)]

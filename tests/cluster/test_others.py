"""Somebody else who uses the same scheduler takes tasks away from a run."""

from __future__ import annotations

from distributed import Client, Future

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.scenes import Scene


def test_tasks_that_somebody_else_cancels_are_done_all_the_same(scene: Scene, own_cluster: DaskCluster) -> None:
    log = scene.workplace.folder / "run.log"
    with scene.stopped_in_the_big_table(
        "--cluster", own_cluster.address, "--workers", "2", "--log-file", str(log)
    ) as process:
        with Client(own_cluster.address, set_as_default=False) as client:
            keys = client.run_on_scheduler(
                lambda dask_scheduler: [key for key in dask_scheduler.tasks if "replication-" in key]
            )
            assert keys
            client.cancel([Future(key, client) for key in keys], force=True)
        wait_until(lambda: "another does its work (attempt 2 of 5)" in log.read_text(), "it is told")
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    scene.assert_equal()


def test_a_cluster_that_somebody_restarts_goes_on(scene: Scene, own_cluster: DaskCluster) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        with Client(own_cluster.address, set_as_default=False) as client:
            client.restart(wait_for_workers=False)
        own_cluster.add_worker()
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    scene.assert_equal()

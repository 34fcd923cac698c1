"""Somebody else uses the same scheduler: takes tasks away from a run, or keeps its workers busy."""

from __future__ import annotations

import time
from pathlib import Path

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


def test_workers_that_are_busy_with_tasks_of_others_are_waited_for(
    scene: Scene, own_cluster: DaskCluster, tmp_path: Path
) -> None:
    free, log = tmp_path / "free", scene.workplace.folder / "run.log"

    def keep_busy() -> None:
        while not free.exists():
            time.sleep(0.1)

    with Client(own_cluster.address, set_as_default=False) as client:
        theirs = [client.submit(keep_busy, key=f"theirs-{number}") for number in range(4)]
        process = scene.workplace.with_settings(CLUSTER_LOST_AFTER="5", RETRY_ATTEMPTS="1").start(
            "data", "--cluster", own_cluster.address, "--log-file", str(log)
        )
        try:
            words = "has been busy with tasks of others for 5 s; the first that is free does its work"
            wait_until(lambda: log.exists() and log.read_text().count(words) >= 2, "it is told", timeout=60)
        finally:
            free.touch()
            out, err = process.communicate(timeout=60)
        client.gather(theirs)
    assert process.returncode == 0, out + err
    scene.assert_equal()

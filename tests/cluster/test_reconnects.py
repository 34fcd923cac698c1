"""A run that finds another scheduler at the address of the one that it began with."""

from __future__ import annotations

import os
import signal

from tests.dask_cluster import DaskCluster
from tests.scenes import Scene


def test_another_scheduler_at_the_same_address_ends_the_run_and_resume_goes_on(
    scene: Scene, own_cluster: DaskCluster
) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        # It notices nothing until the new one is there, with workers that know nothing of this run.
        os.kill(process.pid, signal.SIGSTOP)
        own_cluster.scheduler.kill()
        own_cluster.scheduler.wait()
        scene.proxy.resume()
        own_cluster.restart_scheduler()
        for _ in range(2):
            own_cluster.wait_to_join(own_cluster.add_worker())
        os.kill(process.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    assert f"the cluster's scheduler {own_cluster.address} is gone" in out + err
    resumed = scene.run("--resume", "--no-truncate", "--cluster", own_cluster.address)
    assert resumed.code == 0, resumed.text
    scene.assert_equal()

"""--consistent on a cluster: a database snapshot, or a refusal before a row is read."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from standin.server import StandIn
from tests.dask_cluster import DaskCluster
from tests.scenes import BIG_ROWS, DATABASE, ROWS, Scene

WRITTEN = "INSERT INTO dbo.Later VALUES (1000, 'written meanwhile')"


@pytest.fixture
def scene_source(serve: Callable[..., StandIn]) -> StandIn:
    """A source of each test's own: others write to it."""
    return serve(DATABASE, ROWS)


def test_the_workers_read_one_database_snapshot(scene: Scene, cluster: DaskCluster) -> None:
    scene.source.makes_snapshots = True
    with scene.stopped_in_the_big_table("--consistent", "--cluster", cluster.address, "--workers", "2") as process:
        scene.source.execute(WRITTEN)
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "📸 The source is read from database snapshot exact_replication_" in out
    assert scene.query("SELECT count(*) FROM later") == [(300,)]
    assert scene.query("SELECT count(*) FROM big") == [(BIG_ROWS,)]
    assert scene.source.snapshots == {}


def test_sessions_that_only_one_process_could_hold_are_refused_before_a_row_is_read(
    scene: Scene, cluster: DaskCluster
) -> None:
    finished = scene.run("--consistent", "--cluster", cluster.address)
    assert finished.code == 2, finished.text
    assert "no snapshot of the source can be had, and nothing was copied" in finished.text
    assert "Database Snapshot is not supported on the stand-in" in finished.text
    assert "the workers of a cluster are several" in finished.text
    assert "Or run without --cluster." in finished.text
    assert not scene.workplace.data_progress.exists()
    assert scene.query("SELECT count(*) FROM big") == [(0,)]
    # What is said is true: without the cluster it is possible.
    assert scene.run("--consistent").code == 0
    scene.assert_equal()


def test_a_database_snapshot_of_one_machine_is_read_on_by_a_cluster(scene: Scene, cluster: DaskCluster) -> None:
    scene.source.makes_snapshots = True
    with scene.stopped_in_the_big_table("--consistent") as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    scene.source.execute(WRITTEN)
    resumed = scene.run("--resume", "--cluster", cluster.address)
    assert resumed.code == 0, resumed.text
    assert "📸 The source is read from database snapshot exact_replication_" in resumed.out
    assert scene.query("SELECT count(*) FROM later") == [(300,)]

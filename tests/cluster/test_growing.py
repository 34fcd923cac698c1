"""A cluster that grows while a run is under way: who joins works beside the others, as far as the servers allow."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.scenes import BACKENDS, Scene


@pytest.fixture
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """One worker of one thread."""
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=1, threads=1) as running:
        yield running


def joined_by_another(scene: Scene, cluster: DaskCluster, *arguments: str, works: bool, **settings: str) -> str:
    """What a run says that another worker joins, of two threads, while the first one waits for the source."""
    with scene.stopped_in_the_big_table("--cluster", cluster.address, *arguments, **settings) as process:
        worker = cluster.add_worker(threads=2)
        cluster.wait_to_join(worker)
        host = cluster.address_of(worker).rpartition("/")[2]

        def is_at_work() -> bool:
            assert process.poll() is None, process.communicate()
            return any(str(name).endswith(host) for (name,) in scene.query(BACKENDS))

        if works:
            wait_until(is_at_work, "the newcomer has a connection to the target")
        scene.proxy.resume()
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    assert f"👷 worker {cluster.address_of(worker)} has joined, 2 threads" in out
    scene.assert_equal()
    return str(out)


def workers_of_last_run(scene: Scene) -> int:
    """How many worked at the same time at most, as the history has it."""
    return int(json.loads((scene.workplace.folder / "runs.jsonl").read_text().splitlines()[-1])["workers"])


def test_who_joins_works_beside_the_others(scene: Scene, small_cluster: DaskCluster) -> None:
    out = joined_by_another(scene, small_cluster, works=True)
    assert "1 worker process, 1 thread" in out
    assert workers_of_last_run(scene) == 3


@pytest.mark.parametrize(
    "most", [{"MAX_TARGET_CONNECTIONS": "1"}, {"MAX_SOURCE_CONNECTIONS": "1"}, {"MAX_RATE": "1MB"}]
)
def test_who_joins_changes_nothing_where_no_more_may_work(
    scene: Scene, small_cluster: DaskCluster, most: dict[str, str]
) -> None:
    joined_by_another(scene, small_cluster, works=False, **most)
    assert workers_of_last_run(scene) == 1


def test_no_more_work_than_were_asked_for(scene: Scene, small_cluster: DaskCluster) -> None:
    joined_by_another(scene, small_cluster, "--workers", "2", works=True)
    assert workers_of_last_run(scene) == 2

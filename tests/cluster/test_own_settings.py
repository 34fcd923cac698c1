"""CLUSTER_SETTINGS=workers: each worker logs in with what its own machine has, and nothing secret travels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from standin.server import StandIn
from tests.dask_cluster import DaskCluster
from tests.harness import Proxy
from tests.scenes import DATABASE, ROWS, Scene, settings_of

OF_OTHERS = ("MSSQL_", "PG")


@pytest.fixture
def way(scene: Scene) -> Iterator[Proxy]:
    """The workers' own way to the source."""
    with Proxy(("127.0.0.1", scene.source.port)) as proxy:
        yield proxy


def own_settings(scene: Scene, way: Proxy) -> dict[str, str]:
    """What a worker's machine knows of both servers, its own way to the source included."""
    known = settings_of(way.port, scene.target, scene.database)
    return {name: value for name, value in known.items() if name.startswith(OF_OTHERS)}


@pytest.mark.parametrize("where", ["environment", "file"])
def test_workers_log_in_with_settings_of_their_own(
    scene: Scene, way: Proxy, where: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = own_settings(scene, way)
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        if where == "environment":
            running.add_worker(environment=own)
        else:
            running.add_worker(env_file=_as_file(own))
        running.wait_for(1)
        before = scene.proxy.passed
        finished = scene.run("--cluster", running.address, CLUSTER_SETTINGS="workers")
    assert finished.code == 0, finished.text
    scene.assert_equal()
    # The rows came the workers' way; this machine read the catalog alone.
    assert way.passed > 1_000_000
    assert scene.proxy.passed - before < 1_000_000


def test_a_worker_whose_file_was_corrected_need_not_be_restarted(
    scene: Scene, way: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = own_settings(scene, way)
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        worker = running.add_worker(env_file=_as_file({**own, "PGDATABASE": "no_such_database"}))
        running.wait_for(1)
        finished = scene.run("--cluster", running.address, CLUSTER_SETTINGS="workers")
        assert finished.code == 3 and 'database "no_such_database" does not exist' in finished.text
        (running.folder_of(worker) / ".env").write_text(_as_file(own), encoding="utf-8")
        finished = scene.run("--resume", "--cluster", running.address, CLUSTER_SETTINGS="workers")
    assert finished.code == 0, finished.text
    scene.assert_equal()


def _as_file(own: Mapping[str, str]) -> str:
    return "".join(f"{name}='{value}'\n" for name, value in own.items())


def test_a_worker_without_settings_is_told_by_its_address(
    scene: Scene, way: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        running.add_worker(environment=own_settings(scene, way))
        running.add_worker("--name", "bare")
        running.wait_for(2)
        finished = scene.run("--cluster", running.address, CLUSTER_SETTINGS="workers")
        bare = running.address_of(running.workers[1])
    assert finished.code == 2, finished.text
    assert "1 of 2 workers cannot work for this run:" in finished.text
    assert f"{bare}: CLUSTER_SETTINGS=workers, but a worker's own settings are incomplete: MSSQL_HOST" in finished.text
    assert scene.query("SELECT count(*) FROM big") == [(0,)]


def test_one_without_settings_that_joins_later_is_told_and_not_used(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        running.add_worker(environment=own_settings(scene, scene.proxy))
        running.wait_for(1)
        with scene.stopped_in_the_big_table(
            "--cluster", running.address, "--workers", "2", CLUSTER_SETTINGS="workers"
        ) as process:
            running.add_worker()
            running.wait_for(2)
            scene.proxy.resume()
            out, err = process.communicate(timeout=60)
        bare = running.address_of(running.workers[1])
    assert process.returncode == 0, out + err
    assert f"worker {bare} is not used: CLUSTER_SETTINGS=workers, but" in out
    scene.assert_equal()


def test_a_worker_whose_settings_lead_to_another_source_is_refused(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # A server for tests, with a database of the same name and the same tables.
    with StandIn(DATABASE, ROWS) as other, DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        other.properties["servername"] = "TESTS"
        running.add_worker(environment=own_settings(scene, scene.proxy))
        running.add_worker(environment={**own_settings(scene, scene.proxy), "MSSQL_PORT": str(other.port)})
        running.wait_for(2)
        finished = scene.run("--cluster", running.address, CLUSTER_SETTINGS="workers")
        astray = running.address_of(running.workers[1])
    assert finished.code == 2, finished.text
    assert "1 of 2 workers cannot work for this run:" in finished.text
    assert f"{astray}: its own settings lead to the SQL Server TESTS, and the run reads STANDIN" in finished.text
    assert scene.query("SELECT count(*) FROM big") == [(0,)]

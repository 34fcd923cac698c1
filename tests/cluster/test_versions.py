"""Workers with another version of this tool, without it, or with another Python."""

from __future__ import annotations

from model.version import __version__
from tests.dask_cluster import DaskCluster
from tests.harness import free_port
from tests.scenes import Scene


def test_workers_of_other_versions_are_refused_with_their_list(
    scene: Scene, own_cluster: DaskCluster, old: dict[str, str], other_python: dict[str, str]
) -> None:
    for environment in (old, other_python, {"PYTHONPATH": ""}):
        own_cluster.add_worker(environment=environment)
    own_cluster.wait_for(5)
    finished = scene.run("--cluster", own_cluster.address)
    assert finished.code == 2, finished.text
    assert f"3 of 5 workers cannot take tasks of this run (version {__version__}, Python 3." in finished.text
    of_old, of_other, of_bare = (own_cluster.address_of(worker) for worker in own_cluster.workers[2:])
    assert f"  {of_old}: version 0.0.1, Python 3." in finished.text
    assert f"  {of_other}: Python 3.99\n" in finished.text
    assert f"  {of_bare}: without this tool, Python 3." in finished.text
    assert "CLUSTER_CODE" in finished.text
    assert not any(own_cluster.address_of(worker) in finished.text for worker in own_cluster.workers[:2])
    assert scene.query("SELECT count(*) FROM big") == [(0,)]


def test_those_that_join_later_are_told_and_not_used(
    scene: Scene, own_cluster: DaskCluster, old: dict[str, str]
) -> None:
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        own_cluster.add_worker(environment=old)
        own_cluster.add_worker(environment={"PYTHONPATH": ""})
        own_cluster.wait_for(4)
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    of_old, of_bare = (own_cluster.address_of(worker) for worker in own_cluster.workers[2:])
    assert f"worker {of_old} is not used: version 0.0.1, Python 3." in out
    assert f"worker {of_bare} is not used: without this tool, Python 3." in out
    scene.assert_equal()


def test_a_worker_that_comes_back_with_another_version_is_asked_anew(
    scene: Scene, own_cluster: DaskCluster, old: dict[str, str]
) -> None:
    port = ("--worker-port", str(free_port()))
    restarted = own_cluster.add_worker(*port)
    own_cluster.wait_to_join(restarted)
    address = own_cluster.address_of(restarted)
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        restarted.kill()
        restarted.wait()
        again = own_cluster.add_worker(*port, environment=old)
        own_cluster.wait_to_join(again)
        assert own_cluster.address_of(again) == address
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert f"worker {address} is not used: version 0.0.1, Python 3." in out
    scene.assert_equal()


def test_a_worker_that_was_not_used_is_once_it_comes_back_with_this_version(
    scene: Scene, own_cluster: DaskCluster, old: dict[str, str]
) -> None:
    port = ("--worker-port", str(free_port()))
    with scene.stopped_in_the_big_table("--cluster", own_cluster.address, "--workers", "2") as process:
        restarted = own_cluster.add_worker(*port, environment=old)
        assert process.stdout is not None
        told = next(line for line in process.stdout if "is not used: version 0.0.1" in line)
        assert own_cluster.address_of(restarted) in told
        restarted.kill()
        restarted.wait()
        own_cluster.wait_to_join(own_cluster.add_worker(*port))
        # Now there is nobody else.
        for worker in own_cluster.workers[:2]:
            worker.kill()
        scene.proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    scene.assert_equal()

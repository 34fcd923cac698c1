"""TLS between the run, the scheduler and the workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.certificates import Authority
from tests.dask_cluster import DaskCluster
from tests.scenes import Scene


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The one that the cluster trusts."""
    return Authority(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[DaskCluster]:
    """A cluster that speaks TLS and nothing else."""
    with DaskCluster(tmp_path_factory.mktemp("cluster"), tls=authority.flags("cluster")) as running:
        yield running


def test_a_load_and_a_comparison_through_tls(scene: Scene, encrypted: DaskCluster, authority: Authority) -> None:
    assert encrypted.address.startswith("tls://")
    settings = authority.settings("client")
    finished = scene.run("--cluster", encrypted.address, "--then-verify", **settings)
    assert finished.code == 0, finished.text
    assert "2 worker processes" in finished.out
    scene.assert_equal()


def test_a_run_with_a_certificate_of_another_authority_is_refused(
    scene: Scene, encrypted: DaskCluster, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strangers = Authority(tmp_path_factory.mktemp("strangers")).settings("stranger")
    # The stranger believes the scheduler; the scheduler does not believe the stranger.
    settings = {**strangers, "CLUSTER_TLS_CA": str(authority.certificate)}
    finished = scene.run("--cluster", encrypted.address, **settings)
    assert finished.code == 3, finished.text
    assert f"the Dask scheduler {encrypted.address} cannot be reached" in finished.text
    assert "that its certificates are of the authority in CLUSTER_TLS_CA" in finished.text
    assert scene.query("SELECT count(*) FROM big") == [(0,)]


def test_a_scheduler_of_another_authority_gets_nothing_of_a_run(
    scene: Scene, encrypted: DaskCluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    strangers = Authority(tmp_path_factory.mktemp("strangers")).settings("stranger")
    finished = scene.run("--cluster", encrypted.address, **strangers)
    assert finished.code == 3, finished.text
    assert f"the Dask scheduler {encrypted.address} cannot be reached" in finished.text
    assert "TLS certificate does not match" in finished.text


def test_a_scheduler_with_tls_that_is_spoken_to_without_is_told(scene: Scene, encrypted: DaskCluster) -> None:
    address = encrypted.address.replace("tls://", "tcp://")
    finished = scene.run("--cluster", address)
    assert finished.code == 3, finished.text
    assert f"the Dask scheduler {address} cannot be reached" in finished.text
    assert "a scheduler with certificates has a tls:// address" in finished.text


def test_a_scheduler_without_tls_that_is_spoken_to_with_it_is_told(
    scene: Scene, cluster: DaskCluster, authority: Authority
) -> None:
    address = cluster.address.replace("tcp://", "tls://")
    finished = scene.run("--cluster", address, **authority.settings("client"))
    assert finished.code == 3, finished.text
    assert f"the Dask scheduler {address} cannot be reached" in finished.text
    assert "a scheduler without certificates has a tcp:// address" in finished.text


def test_a_key_that_is_no_key_is_told(scene: Scene, encrypted: DaskCluster, authority: Authority) -> None:
    settings = authority.settings("client")
    finished = scene.run("--cluster", encrypted.address, **{**settings, "CLUSTER_TLS_KEY": settings["CLUSTER_TLS_CA"]})
    assert finished.code == 2, finished.text
    assert "CLUSTER_TLS_CA, CLUSTER_TLS_CERT and CLUSTER_TLS_KEY cannot be used together" in finished.text

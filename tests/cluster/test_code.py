"""How the code reaches workers that do not stand on a checkout: a wheel installed there, or one that the run sends."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.dask_cluster import DaskCluster
from tests.harness import ROOT
from tests.scenes import Scene

BARE = {"PYTHONPATH": ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` builds."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps",
         "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)], check=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_make_wheel_builds_the_wheel() -> None:
    told = subprocess.run(["make", "-n", "wheel"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "-m pip wheel" in told and "--wheel-dir dist ." in told


def test_workers_with_the_wheel_installed_find_it_by_themselves(
    scene: Scene, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed = tmp_path_factory.mktemp("site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps", "--no-index",
         "--target", str(installed), str(wheel)], check=True,
    )  # fmt: skip
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0) as running:
        for _ in range(2):
            running.add_worker(environment={"PYTHONPATH": str(installed)})
        running.wait_for(2)
        loaded = scene.run("--cluster", running.address)
        assert loaded.code == 0, loaded.text
        scene.assert_equal()
        compared = scene.run("--verify", "--cluster", running.address)
        assert compared.code == 0, compared.text


def test_a_wheel_is_sent_to_workers_that_have_none_also_to_those_that_join_later(
    scene: Scene, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=0, threads=1) as running:
        running.add_worker(environment=BARE)
        running.wait_for(1)
        refused = scene.run("--cluster", running.address)
        assert refused.code == 2 and "without this tool" in refused.text
        with scene.stopped_in_the_big_table(
            "--cluster", running.address, "--workers", "2", CLUSTER_CODE=str(wheel)
        ) as process:
            running.add_worker(environment=BARE)
            running.wait_for(2)
            # The first one goes, so that the rest is done by the other.
            running.workers[0].kill()
            running.workers[0].wait()
            scene.proxy.resume()
            out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert "is not used" not in out
        scene.assert_equal()
        # It stays for runs that send none.
        compared = scene.run("--verify", "--cluster", running.address)
        assert compared.code == 0, compared.text
        # A process keeps what it has imported.
        another = tmp_path_factory.mktemp("another") / wheel.name
        another.write_bytes(wheel.read_bytes())
        with zipfile.ZipFile(another, "a") as opened:
            opened.writestr("mssql_to_postgres/another.py", "")
        refused = scene.run("--cluster", running.address, CLUSTER_CODE=str(another))
        assert refused.code == 2, refused.text
        assert "it has the modules of another wheel until it is restarted" in refused.text


def test_workers_that_have_the_code_keep_it(scene: Scene, own_cluster: DaskCluster, wheel: Path) -> None:
    finished = scene.run("--cluster", own_cluster.address, CLUSTER_CODE=str(wheel))
    assert finished.code == 0, finished.text
    assert not list(own_cluster.folder.rglob("replication-code-*"))


def test_a_wheel_that_was_built_before_a_change_is_told(
    scene: Scene, cluster: DaskCluster, wheel: Path, tmp_path: Path
) -> None:
    stale = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as fresh, zipfile.ZipFile(stale, "w") as made:
        for name in fresh.namelist():
            made.writestr(name, fresh.read(name) + (b"# as it was" if name.endswith("cluster/station.py") else b""))
    finished = scene.run("--cluster", cluster.address, CLUSTER_CODE=str(stale))
    assert finished.code == 2, finished.text
    assert f"{stale} is not of this program as it is now: mssql_to_postgres/cluster/station.py" in finished.text
    assert "`make wheel` builds it anew" in finished.text


def test_a_file_that_is_no_wheel_of_ours_is_told(scene: Scene, cluster: DaskCluster, tmp_path: Path) -> None:
    file = tmp_path / "another.whl"
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("another/__init__.py", "")
    finished = scene.run("--cluster", cluster.address, CLUSTER_CODE=str(file))
    assert finished.code == 2, finished.text
    assert f"{file} is no wheel of this tool; `make wheel` builds one" in finished.text

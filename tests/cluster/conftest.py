"""A cluster of separate processes, and three tables between a stand-in and the target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from standin.server import StandIn
from tests.dask_cluster import DaskCluster
from tests.harness import ROOT, Proxy, Workplace
from tests.samples import query
from tests.scenes import DDL, Scene, settings_of


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler and two workers of two threads each, which no test stops."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def own_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """The same for a test that stops parts of it."""
    with DaskCluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def scene(scene_source: StandIn, target: EmbeddedTarget, target_database: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene whose runs go to a cluster where they are told so."""
    query(target, target_database, DDL)
    with Proxy(("127.0.0.1", scene_source.port)) as proxy:
        workplace = Workplace(tmp_path, settings_of(proxy.port, target, target_database))
        yield Scene(scene_source, proxy, workplace, target, target_database)


@pytest.fixture
def old(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that has version 0.0.1."""
    package = tmp_path / "old" / "model"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "version.py").write_text('__version__ = "0.0.1"\n')
    return {"PYTHONPATH": f"{package.parent}:{ROOT}"}


@pytest.fixture
def other_python(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that says to run Python 3.99."""
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "from distributed import versions\n"
        "told = versions.get_system_info\n"
        "versions.get_system_info = lambda: {**told(), 'python': '3.99.1.final.0'}\n"
    )
    return {"PYTHONPATH": f"{folder}:{ROOT}"}

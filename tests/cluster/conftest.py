"""A cluster of separate processes, and three tables between a stand-in and the target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from standin.server import StandIn
from tests.dask_cluster import DaskCluster
from tests.harness import Proxy, Workplace
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

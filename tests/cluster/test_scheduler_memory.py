"""A scheduler outlives many runs: it keeps nothing of their tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.cluster_planning import NO_SERVERS, scheduled
from cluster.crew import connected
from model.cluster import Cluster
from tests.dask_cluster import DaskCluster

TABLES, CHUNKS = 4, 25


def _kept() -> Callable[[Any], tuple[int, int]]:
    """Travels as it is, since a scheduler has no code of ours: its tasks, and the words on submits that it keeps."""

    def count(dask_scheduler: Any) -> tuple[int, int]:
        spans = dask_scheduler.extensions["spans"].spans.values()
        # All else that it keeps has a bound of Dask's own.
        words = sum(len((span._metadata or {}).get("collections", ())) for span in spans)
        return len(dask_scheduler.tasks), words

    return count


def test_the_scheduler_keeps_nothing_of_tasks_that_are_over(own_cluster: DaskCluster) -> None:
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        scheduled(crew.workers(crew.places(None, 1).most, (), None, None), TABLES, CHUNKS)
        tasks, words = crew.client.run_on_scheduler(_kept())
    assert tasks < TABLES * CHUNKS
    assert words == 0

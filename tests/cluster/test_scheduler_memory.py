"""A scheduler outlives many runs: it keeps nothing of their tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.cluster_planning import NO_SERVERS, scheduled
from cluster.crew import connected
from model.cluster import Cluster
from tests.dask_cluster import DaskCluster

TABLES, CHUNKS = 10, 60


def _blocks() -> Callable[[Any], int]:
    """Travels as it is, since a scheduler has no code of ours: the blocks of memory that are in use there."""

    def count(dask_scheduler: Any) -> int:  # noqa: ARG001
        import gc  # noqa: PLC0415
        import sys  # noqa: PLC0415

        from dask.utils import key_split  # noqa: PLC0415

        # It keeps 100,000 keys at most.
        key_split.cache_clear()
        gc.collect()
        return sys.getallocatedblocks()

    return count


def test_the_scheduler_keeps_nothing_of_tasks_that_are_over(own_cluster: DaskCluster) -> None:
    blocks = []
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        # What it keeps of the last 1,000 of several things is full after the first rounds.
        for _ in range(6):
            scheduled(crew.workers(crew.places(None, 1).most, (), None, None), TABLES, CHUNKS)
            blocks.append(crew.client.run_on_scheduler(_blocks()))
    # Less than one a task, in the last two rounds.
    assert blocks[-1] - blocks[-3] < 2 * TABLES * CHUNKS, blocks

"""Which workers get tasks, as workers come and go; on a cluster of separate processes, with tasks that do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import wait

from bench.idle_tasks import Idle, NoConnections
from cluster.crew import connected
from cluster.workers import ClusterWorkers
from model.cluster import Cluster
from model.settings import Driver, Secrets, Settings, Source, Target
from tests.dask_cluster import DaskCluster
from tests.harness import wait_until

NO_SERVERS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


def test_a_worker_that_dies_while_another_is_asked_what_it_runs_gets_no_task(own_cluster: DaskCluster) -> None:
    dies = own_cluster.workers[0]
    with connected(NO_SERVERS, Cluster(own_cluster.address), print) as crew:
        workers: ClusterWorkers[NoConnections]

        def threads() -> Mapping[str, int]:
            there = crew.threads()
            if len(there) == 3 and dies.poll() is None:
                dies.kill()
                wait_until(lambda: workers.count == 2, "the run has heard that the worker is gone")
            return there

        workers = ClusterWorkers(crew.client, crew.cluster, 100, 3, threads, lambda _: None)
        own_cluster.add_worker()
        own_cluster.wait_for(3)
        wait_until(lambda: not workers.remarks() and workers.count == 4 and dies.poll() is not None, "two are left")
        answers = [workers.submit(Idle("dbo.T", number)) for number in range(8)]
        done, left = wait(answers, timeout=30)
        assert not left and {answer.result() for answer in done} == set(range(8))
        workers.close()

"""Who does a run's work: threads of this process, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from model.cluster import check
from model.errors import NotInstalledError
from run.context import Run, of_cluster

PACKAGES = "requirements-cluster.txt"


@contextmanager
def hired(this_run: Run, address: str | None = None) -> Iterator[Run]:
    """The run with its crew, as long as it works: the cluster at the address, or the one that the settings name.

    Raises SettingsError, NotInstalledError, UnreachableError, and RunRefusedError where the cluster's workers cannot do
    what they would be asked for.
    """
    settings = this_run.settings
    cluster = replace(settings.cluster, address=address or settings.cluster.address)
    if not cluster.address:
        yield this_run
        return
    check(cluster)
    this_run.recorder.uses(of_cluster(cluster))
    try:
        # Here, since most runs need nothing of it, and most machines have none of it.
        from cluster.crew import connected  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"CLUSTER: the Python package {error.name} is not installed. Install what a cluster takes: "
            f"pip install -r {PACKAGES}"
        ) from None
    with connected(settings, cluster, this_run.display.say) as crew:
        threads = crew.threads()
        this_run.display.say(
            f"🔌 Cluster: {cluster.address}, {len(threads)} worker process{'es' * (len(threads) != 1)}, "
            f"{sum(threads.values())} threads"
        )
        yield replace(this_run, crew=crew)

"""Who does a run's work: threads of this process, or a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from model.cluster import Cluster, check
from model.errors import NotInstalledError
from model.settings import Settings
from run.context import Run, of_cluster

if TYPE_CHECKING:
    from cluster.muster import Muster

PACKAGES = "requirements-cluster.txt"


@contextmanager
def hired(this_run: Run, address: str | None = None) -> Iterator[Run]:
    """The run with its crew, as long as it works: the cluster at the address, or the one that the settings name.

    Raises SettingsError, NotInstalledError, UnreachableError, and RunRefusedError where the cluster's workers cannot do
    what they would be asked for.
    """
    settings = this_run.settings
    cluster = cluster_of(settings, address)
    if cluster is None:
        yield this_run
        return
    check(cluster)
    this_run.recorder.uses(of_cluster(cluster))
    with _packages():
        from cluster.crew import connected  # noqa: PLC0415
    with connected(settings, cluster, this_run.display.say) as crew:
        threads = crew.threads()
        this_run.display.say(
            f"🔌 Cluster: {cluster.address}, {len(threads)} worker process{'es' * (len(threads) != 1)}, "
            f"{sum(threads.values())} threads"
        )
        yield replace(this_run, crew=crew)


def mustered(settings: Settings, cluster: Cluster) -> Muster:
    """What its workers answer to what a run asks them at its start.

    Raises SettingsError, NotInstalledError, UnreachableError, and RunRefusedError where CLUSTER_CODE cannot be sent.
    """
    check(cluster)
    with _packages():
        from cluster.crew import mustered as muster  # noqa: PLC0415
    return muster(settings, cluster)


def cluster_of(settings: Settings, address: str | None) -> Cluster | None:
    """The cluster at the address, or the one that the settings name; None where there is none."""
    cluster = replace(settings.cluster, address=address or settings.cluster.address)
    return cluster if cluster.address else None


@contextmanager
def _packages() -> Iterator[None]:
    """Imports that most runs do not need, of what most machines do not have. Raises NotInstalledError."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            f"CLUSTER: the Python package {error.name} is not installed. Install what a cluster takes: "
            f"pip install -r {PACKAGES}"
        ) from None

"""Whether a cluster would take the tasks of a copy: what a run with it asks at its start, as remarks."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.muster import ADVICE, OURS
from model.errors import ReplicationError
from model.settings import Settings
from run.crews import cluster_of, mustered
from schema_phase.remarks import Remark


def cluster_remarks(settings: Settings, address: str | None) -> Iterator[Remark]:
    """About the cluster at the address, or the one that the settings name; nothing where there is none."""
    cluster = cluster_of(settings, address)
    if cluster is None:
        return
    try:
        muster = mustered(settings, cluster)
    except ReplicationError as error:
        yield Remark("blocks", "cluster", cluster.address, str(error))
        return
    for worker, words in muster.unlike.items():
        yield Remark("blocks", "worker cannot take tasks", worker, f"{words}; here {OURS}", ADVICE)
    for worker, words in muster.lacking.items():
        yield Remark("blocks", "worker cannot take tasks", worker, words)
    refusal = muster.refusal()
    if refusal is not None and not (muster.unlike or muster.lacking):
        yield Remark("blocks", "cluster", cluster.address, str(refusal))
    elif muster.silent:
        for worker in muster.silent:
            yield Remark("warns", "worker not reached", worker, "it does not answer; a run leaves it out until it does")
    usable, threads = muster.usable, sum(muster.usable.values())
    most = cluster.most_workers(source_connections=1)
    yield Remark(
        "notes", "cluster", cluster.address,
        f"{len(usable)} of {len(muster.threads)} workers can take tasks, {threads} threads"
        + (f"; at most {most} tasks at once, for the servers' sake" if most is not None and most < threads else ""),
        count=len(usable),
    )  # fmt: skip

"""What the scheduler and the dashboard see of a task: nothing.

Pickled by value, so that the scheduler's process needs none of this tool's code; so it imports nothing of it.
"""

from __future__ import annotations

from typing import Any

from distributed import get_worker

#: the plugin that each worker process has, under this name
STATION = "replication-station"


class Sealed:
    """Bytes that no log and no dashboard shows."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"<{len(self.content):,} bytes>"


def ready(settings: Sealed, dask_worker: Any) -> str | None:
    """What a worker lacks for a run with these settings; None where nothing."""
    station: Any = dask_worker.plugins[STATION]
    lacks: str | None = station.lacks(settings.content)
    return lacks


def do(order: Sealed) -> Sealed:
    """What Dask calls in a worker process. What a task raises is a part of the answer, so that Dask does not log it."""
    station: Any = get_worker().plugins[STATION]
    return Sealed(station.do(order.content))

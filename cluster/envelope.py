"""What the scheduler and the dashboard see of a task: nothing. And what workers run that may have no code of ours yet.

Pickled by value, so that the scheduler's process needs none of this tool's code: nothing of it is imported at the top.
What travels are functions made in functions: of all others Dask sends the name, whatever the module is registered for.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import importlib.util
import io
import os
import sys
import threading
import uuid
import zipfile
from collections.abc import Awaitable, Callable
from typing import Any

from distributed import WorkerPlugin

#: the plugins that each worker process has, under these names
STATION = "replication-station"
CODE = "replication-code"
#: what the names of all that this tool has Dask do begin with
KEYS = "replication-"
#: the folder of a wheel in which its modules lie
PACKAGE = "mssql_to_postgres"


class Sealed:
    """Bytes that no log and no dashboard shows."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __repr__(self) -> str:
        return f"<{len(self.content):,} bytes>"


def readiness(settings: bytes, credentials: str, server: str | None) -> Callable[[Any], Awaitable[str | None]]:
    """Says what a worker lacks for a run with these settings, and these `credentials`; None where nothing.

    One that brings its own has to read the `server` of that name.
    """
    sealed = Sealed(settings)

    async def ready(dask_worker: Any) -> str | None:
        station = dask_worker.plugins[STATION].station()
        # It may have to wait for a server, and this is the thread in which Dask does everything.
        lacks: str | None = await asyncio.to_thread(station.lacks, sealed.content, credentials, server)
        return lacks

    return ready


def knock_at(client: Any, worker: str) -> Any:
    """A future of Dask's that is over as soon as a worker takes tasks."""

    def answer() -> None:
        return None

    return client.submit(
        answer, key=f"{KEYS}knock-{uuid.uuid4().hex[:8]}0", workers=[worker], allow_other_workers=False,
        pure=False, retries=0,
    )  # fmt: skip


def version() -> str | None:
    """The version of this tool that a process has, None where none.

    A checkout is found by the module search path, and what a wheel installed in the one folder that it has there.
    """
    importlib.invalidate_caches()
    found = _imported_version()
    if found is None and (spec := importlib.util.find_spec(PACKAGE)) is not None:
        sys.path[:0] = [one for one in spec.submodule_search_locations or () if one not in sys.path]
        importlib.invalidate_caches()
        found = _imported_version()
    return found


def _imported_version() -> str | None:
    before = set(sys.modules)
    try:
        found: str = importlib.import_module("model.version").__version__
    except (ImportError, AttributeError):
        # Somebody else's module of that name.
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "model":
                del sys.modules[name]
        return None
    return found


class Place(WorkerPlugin):  # type: ignore[misc]  # distributed is not typed
    """Where a worker process keeps its station, from the first task on: a worker without our code can join as well."""

    name = STATION
    idempotent = True

    def setup(self, worker: Any) -> None:
        """Know the worker."""
        self._worker, self._lock = worker, threading.Lock()
        self._station: Any = None

    def teardown(self, worker: Any) -> None:  # noqa: ARG002
        """End what runs."""
        if self._station is not None:
            self._station.close()

    def station(self) -> Any:
        """The worker's one. Raises ImportError where our code is not there."""
        with self._lock:
            if self._station is None:
                version()
                self._station = importlib.import_module("cluster.station").Station(self._worker)
        return self._station


class Code(WorkerPlugin):  # type: ignore[misc]
    """Unpacks a wheel beside what else a worker process has; one that has our code already keeps it."""

    name = CODE

    def __init__(self, wheel: bytes) -> None:
        self._wheel = wheel

    def setup(self, worker: Any) -> None:
        """Let modules be found in it. Raises RuntimeError where the process has those of another wheel."""
        folder = os.path.join(worker.local_directory, f"{CODE}-{hashlib.sha256(self._wheel).hexdigest()[:16]}")  # noqa: PTH118
        inside = os.path.join(folder, PACKAGE)  # noqa: PTH118
        brought = [one for one in sys.path if f"{CODE}-" in one]
        if brought and inside not in brought:
            raise RuntimeError("it has the modules of another wheel until it is restarted")
        if brought or version() is not None:
            return
        with zipfile.ZipFile(io.BytesIO(self._wheel)) as wheel:
            wheel.extractall(folder)
        sys.path.insert(0, inside)
        importlib.invalidate_caches()

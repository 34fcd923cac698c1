"""The workers of a cluster that get a run's tasks, and which of their threads are free, as workers come and go."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

#: seconds without a report after which a worker is silent
SILENT_S = 3.0


@dataclass(frozen=True)
class Slot:
    """A thread of a worker process."""

    worker: str
    number: int


class Slots:
    """Threads of the worker processes that have joined, are heard, and have what tasks need."""

    def __init__(self, most: int, threads_of: Callable[[], Mapping[str, int]], knock_at: Callable[[str], Any]) -> None:
        """At most `most` are taken at once; nobody is known until `look`.

        `threads_of` says how many threads each usable worker has, by its address; `knock_at` gives a future of Dask's
        that is over as soon as a worker takes tasks.
        """
        self._most, self._threads_of, self._knock_at = most, threads_of, knock_at
        # Leaf of all locks: whoever holds it waits for nobody.
        self._lock = threading.RLock()
        self._threads: dict[str, int] = {}
        #: workers that are gone since it was last asked who is there
        self._gone: set[str] = set()
        #: workers that get no tasks until they are heard again, and what is to be answered by them
        self._silent: dict[str, Any] = {}
        #: when it was heard last of workers that others' tasks keep them from this run's
        self._busy: dict[str, float] = {}
        #: workers that lack what a task needs
        self._unfit: set[str] = set()
        self._has_grown = threading.Event()
        self._lost: queue.SimpleQueue[str] = queue.SimpleQueue()

    @property
    def count(self) -> int:
        """How many may be taken at once: as many as there are threads, and as the servers may have; 1 at least."""
        with self._lock:
            return max(1, min(self._most, sum(self._threads.values())))

    @property
    def is_any_there(self) -> bool:
        """Whether a worker gets tasks, or would if others' did not keep it busy."""
        with self._lock:
            return bool(self._usable()) or any(time.monotonic() - at < SILENT_S for at in self._busy.values())

    def free(self, taken: Collection[Slot]) -> Slot | None:
        """A free slot of the worker that has most of them, so that work spreads."""
        if len(taken) >= self.count:
            return None
        with self._lock:
            usable = self._usable()
        free: dict[str, list[Slot]] = {}
        for worker, threads in usable.items():
            free[worker] = [slot for slot in (Slot(worker, number) for number in range(threads)) if slot not in taken]
        best = max(free.values(), key=lambda slots: (len(slots), slots and slots[0].worker), default=[])
        return best[0] if best else None

    def look(self) -> None:
        """Ask who is there."""
        with self._lock:
            self._gone.clear()
        # Newcomers are asked what they run, which takes its time: others may be gone by then.
        threads = self._threads_of()
        with self._lock:
            self._threads = {worker: count for worker, count in threads.items() if worker not in self._gone}

    def look_again_soon(self) -> None:
        """A worker may be used that might not be before."""
        self._has_grown.set()

    def look_if_grown(self) -> None:
        """Ask who is there if there is reason to."""
        if self._has_grown.is_set():
            self._has_grown.clear()
            self.look()

    def joins(self, worker: str) -> None:
        """A worker has come, perhaps back."""
        with self._lock:
            self._gone.discard(worker)
        self._has_grown.set()

    def leaves(self, worker: str) -> None:
        """A worker is gone."""
        with self._lock:
            self._gone.add(worker)
            self._threads.pop(worker, None)
            self._silent.pop(worker, None)
            self._unfit.discard(worker)
        self._lost.put(worker)

    def lost(self) -> list[str]:
        """The workers that are gone since the last time."""
        found = []
        while not self._lost.empty():
            found.append(self._lost.get())
        return found

    def give_nothing_until_heard(self, worker: str) -> None:
        """Knock at a silent worker: it may have no task of this run, and report nothing."""
        with self._lock:
            if worker in self._silent:
                return
            self._silent[worker] = knock = self._knock_at(worker)
        knock.add_done_callback(lambda done: self._answers(worker, done))

    def is_heard(self, worker: str) -> None:
        """A worker has reported."""
        with self._lock:
            self._silent.pop(worker, None)

    def is_unfit(self, worker: str) -> None:
        """A worker lacks what tasks need: it gets none any more."""
        with self._lock:
            self._unfit.add(worker)

    def is_busy(self, worker: str) -> None:
        """Others' tasks keep a worker from this run's."""
        with self._lock:
            self._busy[worker] = time.monotonic()

    def knocked_as(self, worker: str) -> str | None:
        """What Dask calls the knock at a silent worker."""
        with self._lock:
            knock = self._silent.get(worker)
        return None if knock is None else str(knock.key)

    def _answers(self, worker: str, knock: Any) -> None:
        with self._lock:
            if knock.status == "finished" and self._silent.get(worker) is knock:
                del self._silent[worker]

    def _usable(self) -> dict[str, int]:
        """The threads of each worker that gets tasks now."""
        left_out = self._silent.keys() | self._unfit
        return {worker: threads for worker, threads in self._threads.items() if worker not in left_out}

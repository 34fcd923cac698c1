"""Orders: tasks that a run has sent to slots of a cluster, through Dask."""

from __future__ import annotations

import math
import pickle
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from distributed import Client

from cluster import envelope, parcels, reaching
from cluster.slots import SILENT_S, Slot
from cluster.station import Answer, Order, Report, sealed
from model.cluster import Cluster
from model.rates import MaxRate
from scheduling.local_workers import MOST_HANGING
from scheduling.tasks import Label, Task

#: seconds for which a task's result is waited for
RESULT_S = 30.0


@dataclass(eq=False)
class Sent:
    """An order that has been sent, and what was heard of it."""

    #: what Dask calls it, and Dask's future of it
    key: str
    future: Any
    slot: Slot
    label: Label
    is_fetched: bool = False
    rows: int = 0
    _heard_at: float = field(default_factory=time.monotonic)
    _seconds_still: float = 0.0
    #: when it was heard last that it has come and cannot begin
    _waited_at: float = -math.inf

    @property
    def waits(self) -> bool:
        """Whether it has not begun, since others' tasks have its worker's threads."""
        return time.monotonic() - self._waited_at < SILENT_S

    @property
    def seconds_still(self) -> float:
        """For how long its task has not moved; 0 where it waits for a worker."""
        silent = time.monotonic() - self._heard_at
        return 0.0 if self.waits else self._seconds_still + (silent if silent > SILENT_S else 0.0)

    def is_silent_since(self, seen_at: float, seconds: float) -> bool:
        """Whether nothing was heard for so long, though it could have been since `seen_at`."""
        return time.monotonic() - max(self._heard_at, seen_at) > seconds

    def waits_now(self) -> None:
        """It was heard that it has come, and cannot begin."""
        self._waited_at = time.monotonic()

    def hear(self, report: Report) -> None:
        """Take from its worker's report what is of it."""
        if self.label in report.seconds_still:
            self.rows, self._seconds_still = report.rows.get(self.label, 0), report.seconds_still[self.label]
            self._heard_at = time.monotonic()


class Orders:
    """Sends orders, takes them back, and fetches answers that nobody has heard."""

    def __init__(self, client: Client, cluster: Cluster, rate: MaxRate | None) -> None:
        """For one run, of which each worker may move so much."""
        self.run = uuid.uuid4().hex[:8]
        self._client, self._cluster, self._rate = client, cluster, rate
        self._line = reaching.line(client)
        self._fetching = ThreadPoolExecutor(MOST_HANGING, thread_name_prefix="answers")

    @property
    def are_known(self) -> bool:
        """Whether the scheduler that has got them is still there."""
        return self._client.status == "running" and reaching.line(self._client) is self._line

    def send(self, task: Task[Any, object], slot: Slot, tries_again: bool) -> Sent:
        """Have a worker do a task, which it may have been given before."""
        key = _as_key(task.label)
        order = Order(self.run, parcels.packed(task, self._cluster.credentials), key, self._rate, tries_again)
        future = self._client.submit(
            pickle.load, sealed(order), key=key, workers=[slot.worker], allow_other_workers=False, pure=False, retries=0
        )
        return Sent(key, future, slot, task.label)

    def cancel(self, sent: Sequence[Sent]) -> None:
        """Let workers know that nobody waits for these. It waits for Dask's thread, so it is not called there."""
        if sent and self.are_known:
            self._client.cancel([one.future for one in sent], force=True)

    def fetch(self, sent: Sent, take: Callable[[Sent, Answer | str], None]) -> None:
        """Let `take` have what an order that has ended came to, or in words how it was lost.

        Each in a thread of its own: a worker that stands still must not keep the answers of others back.
        """
        if not sent.is_fetched:
            sent.is_fetched = True
            self._fetching.submit(lambda: take(sent, self._result_of(sent)))

    def close(self) -> None:
        """Fetch nothing any more."""
        self._fetching.shutdown(wait=False, cancel_futures=True)

    def _result_of(self, sent: Sent) -> Answer | str:
        if sent.future.status == "cancelled":
            words = "somebody else had the cluster cancel its task"
            return words if self.are_known else Answer(error=reaching.scheduler_is_gone(self._cluster.address))
        try:
            answer: Answer = pickle.loads(sent.future.result(timeout=RESULT_S))
        except Exception as lost:
            # Its worker died, perhaps with the answer; the next one finds what it committed.
            return f"its worker did not answer ({type(lost).__name__})"
        return answer


def _as_key(label: Label) -> str:
    """What the dashboard calls a task.

    Dask keeps for ever what stands before the first number (Dask, "Scheduler State Machine": task prefixes), so that is
    the same for all. Half a surrogate pair, which a name may hold, would break its connection.
    """
    told = f"{label.table} {label.task}".replace("'", "").encode("utf-8", "backslashreplace").decode("utf-8")
    return f"{envelope.KEYS}{uuid.uuid4().hex[:8]}0 {told}"

"""Workers in the processes of a Dask cluster, seen by the thread that gives them their tasks.

Each task is sent to a slot: a worker process, and one of its threads. So no more connections are open than there are
slots, wherever tasks go. A task whose worker was lost goes to another slot. What the lost one still had open on the
target is ended first, and should it commit all the same, the checkpoint lets only one of both stand.

A task sent to a worker is an order. Its answer comes with the worker's reports; where that was not heard, or is long,
it is fetched. It counts as long as the order does: once that was given up or lost, nobody knows its key any more.
"""

from __future__ import annotations

import pickle
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic

from distributed import Client

from cluster import envelope, reaching
from cluster.orders import Orders, Sent
from cluster.pulse import Pulse
from cluster.slots import Slots
from cluster.station import TOPIC, Answer, Report, application_of
from model.cluster import Cluster
from model.errors import CancelledError, RunRefusedError, TableError, UnreachableError
from model.rates import MaxRate
from scheduling.local_workers import LocalWorkers, Remark
from scheduling.tasks import C, Label, Lane, Task

#: seconds for which a cluster may be without any worker: what was preempted comes back
WITHOUT_WORKERS_S = 60.0
#: what Dask publishes about workers that come and go
COMINGS_AND_GOINGS = "all"


@dataclass(eq=False)
class _Wanted(Generic[C]):
    """A task whose end somebody waits for. Where it has no order, it waits for a slot."""

    task: Task[C, object]
    outer: Future[object]
    #: how often it was sent in vain
    losses: int = 0
    #: whether a worker may have done it already
    was_sent: bool = False
    order: Sent | None = None


class ClusterWorkers(Generic[C]):
    """Runs tasks on a cluster's worker processes; the finisher's on this machine, with this run's own connections.

    Threads of Dask's call it as well as the one that gives the tasks. Whether an order counts is decided where the lock
    is held, once; what waits for Dask's thread, or wakes somebody, is done after.
    """

    def __init__(
        self,
        client: Client,
        cluster: Cluster,
        most: int,
        attempts: int,
        threads_of: Callable[[], Mapping[str, int]],
        end_connections: Callable[[str], None],
        pulse: Pulse,
        rate: MaxRate | None = None,
        finishing: C | None = None,
    ) -> None:
        """At most `most` tasks at once, each lost with its worker `attempts` times at most.

        `threads_of` says how many threads each usable worker has, by its address; `end_connections` ends what a lost
        worker has open on the target, by the application's name; `pulse` is the scheduler's.
        """
        self._client, self._cluster, self._attempts = client, cluster, attempts
        self._end_connections, self._pulse = end_connections, pulse
        self._orders = Orders(client, cluster, None if rate is None else rate.shared_by(most))
        self._slots = Slots(most, threads_of, lambda worker: envelope.knock_at(client, worker))
        self._lock = threading.RLock()
        self._wanted: dict[Label, _Wanted[C]] = {}
        #: how often those that were given up had been sent in vain; they may have been committed all the same
        self._given_up: dict[Label, int] = {}
        #: those of which an answer counts, by the key of the order
        self._ordered: dict[str, _Wanted[C]] = {}
        self._remarks: queue.SimpleQueue[Remark] = queue.SimpleQueue()
        self._finisher: LocalWorkers[C] | None = None if finishing is None else LocalWorkers(0, finishing=finishing)
        self._without_workers_since: float | None = None
        #: until when the scheduler was silent last
        self._blind_until = 0.0
        client.subscribe_topic(TOPIC, self._hear)
        client.subscribe_topic(COMINGS_AND_GOINGS, self._hear_of_worker)
        self._slots.look()

    @property
    def count(self) -> int:
        """How many tasks may run at the same time: as many as there are threads, and as the servers may have."""
        return self._slots.count

    @property
    def has_finisher(self) -> bool:
        """Whether there is one, on this machine."""
        return self._finisher is not None

    def submit(self, task: Task[C, object], lane: Lane = "working") -> Future[object]:
        """Have a task done as soon as a slot is free."""
        if lane == "finishing" and self._finisher is not None:
            return self._finisher.submit(task, lane)
        with self._lock:
            losses = self._given_up.get(task.label, 0)
            wanted = _Wanted(task, Future[object](), losses, was_sent=losses > 0)
            self._wanted[task.label] = wanted
            self._send_if_waiting(wanted)
        return wanted.outer

    def remarks(self) -> list[Remark]:
        """What workers said since the last time."""
        self._look_after_all()
        found = [] if self._finisher is None else self._finisher.remarks()
        while not self._remarks.empty():
            found.append(self._remarks.get())
        return found

    def rows_under_way(self) -> dict[str, int]:
        """The rows of each table that are on their way and not committed."""
        rows: dict[str, int] = {} if self._finisher is None else self._finisher.rows_under_way()
        for order in self._current_orders():
            if order.rows:
                rows[order.label.table] = rows.get(order.label.table, 0) + order.rows
        return rows

    def stands_still(self, label: Label, seconds: float) -> bool:
        """Whether a task has not moved for so long; of a worker that is silent it is taken that it has not."""
        return min(self.seconds_still(label), time.monotonic() - self._blind_until) > seconds

    def seconds_still(self, label: Label) -> float:
        """For how long a task has not moved; 0 where it may take long, and where it waits for a worker."""
        with self._lock:
            wanted = self._wanted.get(label)
            if wanted is not None:
                return 0.0 if wanted.order is None else wanted.order.seconds_still
        return 0.0 if self._finisher is None else self._finisher.seconds_still(label)

    def give_up(self, label: Label) -> None:
        """End a task that stands still, so that it cannot commit any more."""
        with self._lock:
            wanted = self._wanted.get(label)
            # Its answer may have come just now, in a thread of Dask's.
            self._given_up[label] = 1 + (self._given_up.get(label, 0) if wanted is None else wanted.losses)
        if wanted is not None:
            self._recall([wanted])
        elif self._finisher is not None:
            self._finisher.give_up(label)

    def stop(self, seconds: float) -> None:
        """End all tasks, and wait so long for them at most; what they had not committed is rolled back."""
        with self._lock:
            wanted = list(self._wanted.values())
        self._recall(wanted)
        if self._finisher is not None:
            self._finisher.stop(seconds)
        wait([one.outer for one in wanted], timeout=seconds)

    def look_again(self) -> None:
        """A worker may be used that might not be before."""
        self._slots.look_again_soon()

    def close(self) -> None:
        """Take no more tasks."""
        self._client.unsubscribe_topic(TOPIC)
        self._client.unsubscribe_topic(COMINGS_AND_GOINGS)
        self._orders.close()
        if self._finisher is not None:
            self._finisher.close()

    def disconnect(self) -> None:
        """Close the connections that nobody uses; those of workers close by themselves."""
        if self._finisher is not None:
            self._finisher.disconnect()

    # -- giving tasks: all of these are called with the lock held ------------------------------------

    def _send_if_waiting(self, wanted: _Wanted[C]) -> None:
        """Give a task to a slot, unless it has an order already: more than one thread may see that it has none."""
        if wanted.order is not None:
            return
        taken = {one.order.slot for one in self._wanted.values() if one.order is not None}
        if (slot := self._slots.free(taken)) is not None:
            wanted.order = order = self._orders.send(wanted.task, slot, tries_again=wanted.was_sent)
            wanted.was_sent = True
            self._ordered[order.key] = wanted

    def _send_what_waits(self) -> None:
        for wanted in list(self._wanted.values()):
            self._send_if_waiting(wanted)

    def _take_back(self, wanted: _Wanted[C]) -> Sent | None:
        """From now on no answer to the task's order counts; None where it has none."""
        order, wanted.order = wanted.order, None
        if order is not None:
            del self._ordered[order.key]
        return order

    def _forget(self, wanted: _Wanted[C]) -> Sent | None:
        """Nobody waits for a task any more; returns its order."""
        if self._wanted.get(wanted.task.label) is wanted:
            del self._wanted[wanted.task.label]
        return self._take_back(wanted)

    # -- what tasks come to --------------------------------------------------------------------------

    def _take(self, order: Sent, answer: Answer | str) -> None:
        """An order has come to an answer, or was lost in the way that the words say. It may not count any more."""
        if isinstance(answer, str):
            self._lose(order, answer)
        elif isinstance(answer.error, CancelledError):
            # This run does not hear of what itself has given up.
            self._lose(order, f"worker {order.slot.worker} has let go of it")
        elif isinstance(answer.error, RunRefusedError):
            # One that joined later and lacks what was looked for at the start. It is not heard of again.
            self._slots.is_unfit(order.slot.worker)
            self._lose(order, f"worker {order.slot.worker} is not used: {answer.error}")
        else:
            with self._lock:
                wanted = self._ordered.get(order.key)
                if wanted is not None:
                    self._forget(wanted)
            if wanted is not None:
                self._end(wanted, answer)

    def _end(self, wanted: _Wanted[C], answer: Answer) -> None:
        """Tell what a task came to; whatever waits may have its slot."""
        _tell(wanted, answer)
        with self._lock:
            self._send_what_waits()

    def _lose(self, order: Sent, words: str) -> None:
        """Give a lost order's task to another worker, if that has not been done."""
        with self._lock:
            wanted = self._ordered.get(order.key)
            if wanted is None:
                return
            self._take_back(wanted)
            wanted.losses += 1
            is_given_up = wanted.losses >= self._attempts
            if is_given_up:
                self._forget(wanted)
            else:
                told = f"🔁 {words}; another does its work (attempt {wanted.losses + 1} of {self._attempts})"
                self._remarks.put(Remark(wanted.task.label, told))
                self._send_if_waiting(wanted)
        if is_given_up:
            words = f"{words}, {wanted.losses} times. See the workers' own logs; then use --resume"
            self._end(wanted, Answer(error=TableError(words)))

    def _fail_all(self, error: Exception) -> None:
        """The run cannot go on: there is nobody to give tasks to."""
        with self._lock:
            wanted = list(self._wanted.values())
            for one in wanted:
                self._forget(one)
        for one in wanted:
            _tell(one, Answer(error=error))

    def _recall(self, wanted: Sequence[_Wanted[C]]) -> None:
        """Let workers know that nobody waits for these; they break their connections."""
        with self._lock:
            orders = [order for one in wanted if (order := self._forget(one)) is not None]
        self._orders.cancel(orders)
        for one in wanted:
            _tell(one, Answer(error=CancelledError()))

    def _look_for_what_was_not_heard(self) -> None:
        """Orders of which Dask knows that they have ended. It says so after the answer was published."""
        for order in self._current_orders():
            if order.future.status != "pending":
                self._orders.fetch(order, self._take_fetched)

    def _take_fetched(self, order: Sent, answer: Answer | str) -> None:
        self._take(order, answer)
        if isinstance(answer, str):
            # What is lost for this run may go on all the same.
            self._orders.cancel([order])

    def _current_orders(self) -> list[Sent]:
        with self._lock:
            return [one.order for one in self._ordered.values() if one.order is not None]

    # -- looking after workers, in the thread that gives the tasks -----------------------------------

    def _look_after_all(self) -> None:
        """Send what lost workers had to others, and what waits to whoever is free."""
        if self._waits_for_scheduler():
            return
        self._slots.look_if_grown()
        for worker in self._slots.lost():
            self._send_to_others(worker, f"worker {worker} was lost")
        self._look_for_silence()
        self._look_for_what_was_not_heard()
        with self._lock:
            self._send_what_waits()
        self._look_for_any()

    def _waits_for_scheduler(self) -> bool:
        """Whether it is silent, so that nothing can be known of workers. Lets the run end where that takes too long."""
        seconds = self._pulse.look()
        if not seconds or not self._orders.are_known:
            return False
        self._blind_until, self._without_workers_since = time.monotonic(), None
        if seconds >= reaching.SCHEDULER_S:
            self._fail_all(reaching.scheduler_is_silent(self._cluster.address))
        return True

    def _look_for_silence(self) -> None:
        lost_after = self._cluster.lost_after
        late = [one for one in self._current_orders() if one.is_silent_since(self._blind_until, lost_after)]
        waiting = [one for one in late if one.waits]
        silent = {one.slot.worker for one in late if one not in waiting}
        for worker in {one.slot.worker for one in late}:
            self._slots.give_nothing_until_heard(worker)
        for order in waiting:
            self._give_to_who_is_free(order)
        for worker in silent:
            self._send_to_others(worker, f"worker {worker} has been silent for {lost_after} s")

    def _send_to_others(self, worker: str, words: str) -> None:
        if theirs := [one for one in self._current_orders() if one.slot.worker == worker]:
            self._end_connections(application_of(self._orders.run, worker))
        for order in theirs:
            self._lose(order, words)
        self._orders.cancel(theirs)

    def _give_to_who_is_free(self, order: Sent) -> None:
        """A task that could not begin where it is."""
        with self._lock:
            wanted = self._ordered.get(order.key)
            if wanted is None:
                return
            self._take_back(wanted)
            busy = f"worker {order.slot.worker} has been busy with tasks of others for {self._cluster.lost_after} s"
            self._remarks.put(Remark(order.label, f"⏳ {busy}; the first that is free does its work"))
            self._send_if_waiting(wanted)
        self._orders.cancel([order])

    def _look_for_any(self) -> None:
        """Let the run end where the cluster has been without a worker for too long, or is not there any more."""
        if not self._orders.are_known:
            self._fail_all(reaching.scheduler_is_gone(self._cluster.address))
        elif self._slots.is_any_there:
            self._without_workers_since = None
        elif self._without_workers_since is None:
            self._without_workers_since = time.monotonic()
        elif time.monotonic() - self._without_workers_since > WITHOUT_WORKERS_S:
            words = (
                f"the cluster {self._cluster.address} has had no worker that answers for {WITHOUT_WORKERS_S:.0f} s. "
                f"Start some; then use --resume"
            )
            self._fail_all(UnreachableError(words))

    # -- what is published, in a thread of Dask's ----------------------------------------------------

    def _hear_of_worker(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        if told.get("action") == "add-worker":
            self._slots.joins(str(told.get("worker")))
        elif told.get("action") == "remove-worker":
            self._slots.leaves(str(told.get("worker")))

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, told = event
        if "waiting" in told:
            self._hear_what_waits(str(told["worker"]), told["waiting"])
        elif told["run"] != self._orders.run:
            return
        elif "key" in told:
            self._hear_answer(str(told["key"]), told["answer"])
        else:
            self._hear_report(str(told["worker"]), pickle.loads(told["report"]))

    def _hear_answer(self, key: str, packed: bytes | None) -> None:
        """It is packed, unless it is so long that it has to be fetched."""
        with self._lock:
            wanted = self._ordered.get(key)
            order = None if wanted is None else wanted.order
        if order is None:
            return
        if packed is None:
            self._orders.fetch(order, self._take_fetched)
        else:
            self._take(order, pickle.loads(packed))

    def _hear_what_waits(self, worker: str, keys: Sequence[str]) -> None:
        """Whoever's they are, some may be this run's: its orders, or a knock."""
        ours = [one for one in self._current_orders() if one.key in keys]
        for order in ours:
            order.waits_now()
        if ours or self._slots.knocked_as(worker) in keys:
            self._slots.is_busy(worker)

    def _hear_report(self, worker: str, report: Report) -> None:
        self._slots.is_heard(worker)
        for order in self._current_orders():
            if order.slot.worker == worker:
                order.hear(report)
        for remark in report.remarks:
            self._remarks.put(remark)


def _tell(wanted: _Wanted[Any], answer: Answer) -> None:
    """Let whoever waits for a task have its end."""
    # It may have been taken back by the thread that gives the tasks, which then has its own word for it.
    with suppress(InvalidStateError):
        if answer.error is None:
            wanted.outer.set_result(answer.result)
        else:
            wanted.outer.set_exception(answer.error)

"""Workers in the processes of a Dask cluster, seen by the thread that gives them their tasks.

Each task is sent to a slot: a worker process, and one of its threads. So no more connections are open than there are
slots, wherever tasks go. A task whose worker was lost goes to another slot. What the lost one still had open on the
target is ended first, and should it commit all the same, the checkpoint lets only one of both stand.

A task sent to a worker is an order. Its answer comes with the worker's reports; where that was not heard, or is long,
it is fetched. It counts as long as the order does: once that was given up or lost, nobody knows its key any more.
"""

from __future__ import annotations

import math
import pickle
import queue
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic

from distributed import Client

from cluster import envelope, parcels, reaching
from cluster.pulse import Pulse
from cluster.station import TOPIC, Answer, Order, Report, application_of, sealed
from model.cluster import Cluster
from model.errors import CancelledError, RunRefusedError, ServerError, TableError, UnreachableError
from model.rates import MaxRate
from scheduling.local_workers import MOST_HANGING, LocalWorkers, Remark
from scheduling.tasks import C, Label, Lane, Task

#: seconds for which a cluster may be without any worker: what was preempted comes back
WITHOUT_WORKERS_S = 60.0
#: what Dask publishes about workers that come and go
COMINGS_AND_GOINGS = "all"
#: seconds without a report after which a worker is silent
SILENT_S = 3.0
#: seconds for which a task's result is waited for
RESULT_S = 30.0


@dataclass(frozen=True)
class Slot:
    """A thread of a worker process."""

    worker: str
    number: int


@dataclass
class _Sent(Generic[C]):
    """A task that a worker has, or that waits for a slot."""

    task: Task[C, object]
    outer: Future[object]
    slot: Slot | None = None
    #: what Dask calls its order, and Dask's future of that
    key: str = ""
    inner: Any = None
    is_fetched: bool = False
    losses: int = 0
    rows: int = 0
    seconds_still: float = 0.0
    heard_at: float = field(default_factory=time.monotonic)
    #: when it was heard last that its order has come and cannot begin
    waited_at: float = -math.inf

    @property
    def waits(self) -> bool:
        """Whether it has not begun, since others' tasks have its worker's threads."""
        return time.monotonic() - self.waited_at < SILENT_S


class ClusterWorkers(Generic[C]):
    """Runs tasks on a cluster's worker processes; the finisher's on this machine, with this run's own connections."""

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
        self._client, self._cluster, self._most, self._attempts = client, cluster, most, attempts
        self._threads_of, self._end_connections, self._pulse = threads_of, end_connections, pulse
        self._line = reaching.line(client)
        self._rate = None if rate is None else rate.shared_by(most)
        self._run = uuid.uuid4().hex[:8]
        self._lock = threading.RLock()
        self._fetching = ThreadPoolExecutor(MOST_HANGING, thread_name_prefix="answers")
        self._threads: dict[str, int] = {}
        #: workers that are gone since it was last asked who is there
        self._gone: set[str] = set()
        self._sent: dict[Label, _Sent[C]] = {}
        #: those of which an answer counts, by the key of the order
        self._ordered: dict[str, _Sent[C]] = {}
        self._remarks: queue.SimpleQueue[Remark] = queue.SimpleQueue()
        self._finisher: LocalWorkers[C] | None = None if finishing is None else LocalWorkers(0, finishing=finishing)
        self._without_workers_since: float | None = None
        #: until when the scheduler was silent last
        self._blind_until = 0.0
        self._has_grown = threading.Event()
        self._lost: queue.SimpleQueue[str] = queue.SimpleQueue()
        #: workers that get no tasks until they are heard again, and what is to be answered by them
        self._silent: dict[str, Any] = {}
        #: when it was heard last of workers that others' tasks keep them from this run's
        self._busy: dict[str, float] = {}
        #: workers that lack what a task needs
        self._unfit: set[str] = set()
        client.subscribe_topic(TOPIC, self._hear)
        client.subscribe_topic(COMINGS_AND_GOINGS, self._hear_of_worker)
        self._look_who_is_there()

    @property
    def count(self) -> int:
        """How many tasks may run at the same time: as many as there are threads, and as the servers may have."""
        with self._lock:
            return max(1, min(self._most, sum(self._threads.values())))

    @property
    def has_finisher(self) -> bool:
        """Whether there is one, on this machine."""
        return self._finisher is not None

    def submit(self, task: Task[C, object], lane: Lane = "working") -> Future[object]:
        """Have a task done as soon as a slot is free."""
        if lane == "finishing" and self._finisher is not None:
            return self._finisher.submit(task, lane)
        sent = _Sent(task, Future())
        with self._lock:
            before = self._sent.get(task.label)
            # One that was given up before may have committed all the same.
            sent.losses = before.losses + 1 if before is not None else 0
            self._sent[task.label] = sent
            self._send(sent)
        return sent.outer

    def remarks(self) -> list[Remark]:
        """What workers said since the last time."""
        self._look_after_the_lost()
        found = [] if self._finisher is None else self._finisher.remarks()
        while not self._remarks.empty():
            found.append(self._remarks.get())
        return found

    def rows_under_way(self) -> dict[str, int]:
        """The rows of each table that are on their way and not committed."""
        rows: dict[str, int] = {} if self._finisher is None else self._finisher.rows_under_way()
        with self._lock:
            for label, sent in self._sent.items():
                if sent.rows:
                    rows[label.table] = rows.get(label.table, 0) + sent.rows
        return rows

    def stands_still(self, label: Label, seconds: float) -> bool:
        """Whether a task has not moved for so long; of a worker that is silent it is taken that it has not."""
        return min(self.seconds_still(label), time.monotonic() - self._blind_until) > seconds

    def seconds_still(self, label: Label) -> float:
        """For how long a task has not moved; 0 where it may take long, and where it waits for a worker."""
        with self._lock:
            sent = self._sent.get(label)
            if sent is not None:
                if sent.slot is None or sent.waits:
                    return 0.0
                silent = time.monotonic() - sent.heard_at
                return sent.seconds_still + (silent if silent > SILENT_S else 0.0)
        return 0.0 if self._finisher is None else self._finisher.seconds_still(label)

    def give_up(self, label: Label) -> None:
        """End a task that stands still, so that it cannot commit any more."""
        with self._lock:
            sent = self._sent.get(label)
        if sent is not None:
            # It stays among those that were sent, so that the next attempt knows of it.
            self._recall([sent])
        elif self._finisher is not None:
            self._finisher.give_up(label)

    def stop(self, seconds: float) -> None:
        """End all tasks, and wait so long for them at most; what they had not committed is rolled back."""
        with self._lock:
            sent = list(self._sent.values())
        self._recall(sent)
        if self._finisher is not None:
            self._finisher.stop(seconds)
        wait([one.outer for one in sent], timeout=seconds)

    def look_again(self) -> None:
        """A worker may be used that might not be before."""
        self._has_grown.set()

    def close(self) -> None:
        """Take no more tasks."""
        self._client.unsubscribe_topic(TOPIC)
        self._client.unsubscribe_topic(COMINGS_AND_GOINGS)
        self._fetching.shutdown(wait=False, cancel_futures=True)
        if self._finisher is not None:
            self._finisher.close()

    def disconnect(self) -> None:
        """Close the connections that nobody uses; those of workers close by themselves."""
        if self._finisher is not None:
            self._finisher.disconnect()

    # -- slots ---------------------------------------------------------------------------------------

    def _look_who_is_there(self) -> None:
        with self._lock:
            self._gone.clear()
        # Newcomers are asked what they run, which takes its time: others may be gone by then.
        threads = self._threads_of()
        with self._lock:
            self._threads = {worker: count for worker, count in threads.items() if worker not in self._gone}

    def _usable(self) -> dict[str, int]:
        """The threads of each worker that gets tasks now."""
        left_out = self._silent.keys() | self._unfit
        return {worker: threads for worker, threads in self._threads.items() if worker not in left_out}

    def _free_slot(self) -> Slot | None:
        """A free slot of the worker that has most of them, so that work spreads."""
        taken = {sent.slot for sent in self._sent.values() if sent.slot is not None}
        if len(taken) >= self.count:
            return None
        free: dict[str, list[Slot]] = {}
        for worker, threads in self._usable().items():
            free[worker] = [slot for slot in (Slot(worker, number) for number in range(threads)) if slot not in taken]
        best = max(free.values(), key=lambda slots: (len(slots), slots and slots[0].worker), default=[])
        return best[0] if best else None

    def _send(self, sent: _Sent[C]) -> None:
        slot = self._free_slot()
        if slot is None:
            return
        key = _as_key(sent.task.label)
        packed = parcels.packed(sent.task, self._cluster.credentials)
        order = Order(self._run, packed, key, self._rate, sent.losses > 0)
        sent.slot, sent.heard_at, sent.seconds_still, sent.waited_at = slot, time.monotonic(), 0.0, -math.inf
        sent.key, sent.is_fetched = key, False
        self._ordered[key] = sent
        sent.inner = self._client.submit(
            pickle.load, sealed(order), key=key, workers=[slot.worker], allow_other_workers=False, pure=False, retries=0
        )

    def _send_what_waits(self) -> None:
        for sent in self._sent.values():
            if sent.slot is None and not sent.outer.done():
                self._send(sent)

    # -- answers -------------------------------------------------------------------------------------

    def _hear_answer(self, key: str, packed: bytes | None) -> None:
        """Called in a thread of Dask's. It is packed, unless it is so long that it has to be fetched."""
        if packed is None:
            with self._lock:
                self._fetch_later(key)
            return
        if (sent := self._no_longer_ordered(key)) is not None:
            self._take(sent, pickle.loads(packed))

    def _look_for_what_was_not_heard(self) -> None:
        """Orders of which Dask knows that they have ended. It says so after the answer was published."""
        with self._lock:
            for key in [key for key, sent in self._ordered.items() if sent.inner.status != "pending"]:
                self._fetch_later(key)

    def _fetch_later(self, key: str) -> None:
        """Each in a thread of its own: a worker that stands still must not keep the answers of others back."""
        sent = self._ordered.get(key)
        if sent is not None and not sent.is_fetched:
            sent.is_fetched = True
            self._fetching.submit(self._fetch, key, sent.inner)

    def _fetch(self, key: str, inner: Any) -> None:
        answer = self._result_of(inner)
        sent = self._no_longer_ordered(key)
        if sent is None:
            return
        if isinstance(answer, str):
            self._lose(sent, answer)
        else:
            self._take(sent, answer)

    def _result_of(self, inner: Any) -> Answer | str:
        """What an order that has ended came to, or in what way it was lost."""
        if inner.status == "cancelled":
            words = "somebody else had the cluster cancel its task"
            return words if self._is_connected else Answer(error=self._scheduler_is_gone())
        try:
            answer: Answer = pickle.loads(inner.result(timeout=RESULT_S))
        except Exception as lost:
            # Its worker died, perhaps with the answer; the next one finds what it committed.
            return f"its worker did not answer ({type(lost).__name__})"
        return answer

    def _no_longer_ordered(self, key: str) -> _Sent[C] | None:
        """The task of an order, of which no answer counts any more; None where somebody else had that before."""
        with self._lock:
            return self._ordered.pop(key, None)

    def _take(self, sent: _Sent[C], answer: Answer) -> None:
        if isinstance(answer.error, (RunRefusedError, CancelledError)) and sent.slot is not None:
            worker = sent.slot.worker
            # It has ended, and there is nothing to cancel: Dask's own thread, which may be here, could not wait for it.
            sent.inner = None
            if isinstance(answer.error, CancelledError):
                # This run does not hear of what itself has given up.
                self._lose(sent, f"worker {worker} has let go of it")
                return
            # One that joined later and lacks what was looked for at the start. It is not heard of again.
            self._unfit.add(worker)
            self._lose(sent, f"worker {worker} is not used: {answer.error}")
            return
        self._end(sent, answer)

    def _end(self, sent: _Sent[C], answer: Answer) -> None:
        with self._lock:
            if self._sent.get(sent.task.label) is sent:
                del self._sent[sent.task.label]
            self._ordered.pop(sent.key, None)
            sent.slot = sent.inner = None
            self._send_what_waits()
        # It may have been taken back by the thread that gives the tasks, which then has its own word for it.
        with suppress(InvalidStateError):
            if answer.error is None:
                sent.outer.set_result(answer.result)
            else:
                sent.outer.set_exception(answer.error)

    def _fail(self, sent: _Sent[C], error: Exception) -> None:
        self._end(sent, Answer(error=error))

    def _recall(self, sent: Sequence[_Sent[C]]) -> None:
        """Let workers know that nobody waits for these; they break their connections."""
        with self._lock:
            inners = [self._without_order(one) for one in sent]
        self._cancel(inners)
        for one in sent:
            # Its answer may come at this moment, in a thread of Dask's.
            with suppress(InvalidStateError):
                one.outer.set_exception(CancelledError())

    def _without_order(self, sent: _Sent[C]) -> Any:
        """Take a task's order back; returns Dask's future of it."""
        self._ordered.pop(sent.key, None)
        inner, sent.inner, sent.slot = sent.inner, None, None
        return inner

    def _cancel(self, inners: Sequence[Any]) -> None:
        """Not while the lock is held: this waits for Dask's thread, and that for the lock."""
        if (some := [one for one in inners if one is not None]) and self._is_connected:
            self._client.cancel(some, force=True)

    # -- workers that come and go --------------------------------------------------------------------

    def _hear_of_worker(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Called in a thread of Dask's."""
        _, told = event
        action, worker = told.get("action"), str(told.get("worker"))
        if action == "add-worker":
            with self._lock:
                self._gone.discard(worker)
            self._has_grown.set()
        elif action == "remove-worker":
            with self._lock:
                self._gone.add(worker)
                self._threads.pop(worker, None)
                self._silent.pop(worker, None)
                self._unfit.discard(worker)
            self._lost.put(worker)

    def _look_after_the_lost(self) -> None:
        """Send what lost workers had to others; called in the thread that gives the tasks."""
        if self._waits_for_scheduler():
            return
        if self._has_grown.is_set():
            self._has_grown.clear()
            self._look_who_is_there()
        while not self._lost.empty():
            worker = self._lost.get()
            self._send_to_others(worker, f"worker {worker} was lost")
        self._look_for_silence()
        self._look_for_what_was_not_heard()
        with self._lock:
            self._send_what_waits()
        self._look_for_any()

    def _waits_for_scheduler(self) -> bool:
        """Whether it is silent, so that nothing can be known of workers. Lets the run end where that takes too long."""
        seconds = self._pulse.look()
        if not seconds or not self._is_connected:
            return False
        with self._lock:
            self._blind_until, self._without_workers_since = time.monotonic(), None
            sent = list(self._sent.values())
        if seconds >= reaching.SCHEDULER_S:
            for one in sent:
                self._fail(one, reaching.scheduler_is_silent(self._cluster.address))
        return True

    def _look_for_silence(self) -> None:
        now = time.monotonic()
        with self._lock:
            late = [
                (one, one.slot.worker)
                for one in self._sent.values()
                if one.slot is not None and now - max(one.heard_at, self._blind_until) > self._cluster.lost_after
            ]
            waiting = [one for one, _ in late if one.waits]
            silent = {worker for one, worker in late if not one.waits}
            for worker in {worker for _, worker in late} - self._silent.keys():
                self._silent[worker] = self._knock(worker)
        for one in waiting:
            self._take_back(one)
        for worker in silent:
            self._send_to_others(worker, f"worker {worker} has been silent for {self._cluster.lost_after} s")

    def _knock(self, worker: str) -> Any:
        """Have a silent worker used again from when it answers: it may have no task of this run, and report nothing."""
        knock = envelope.knock_at(self._client, worker)
        knock.add_done_callback(lambda done: self._is_back(worker, done))
        return knock

    def _is_back(self, worker: str, knock: Any) -> None:
        with self._lock:
            if knock.status == "finished" and self._silent.get(worker) is knock:
                del self._silent[worker]

    def _send_to_others(self, worker: str, words: str) -> None:
        with self._lock:
            theirs = [one for one in self._sent.values() if one.slot is not None and one.slot.worker == worker]
        if theirs:
            self._end_connections(application_of(self._run, worker))
        for sent in theirs:
            self._lose(sent, words)

    def _take_back(self, sent: _Sent[C]) -> None:
        """Give a task that did not begin to whoever is free first."""
        with self._lock:
            if sent.outer.done() or sent.slot is None:
                return
            worker, inner = sent.slot.worker, self._without_order(sent)
        self._cancel([inner])
        words = f"worker {worker} has been busy with tasks of others for {self._cluster.lost_after} s"
        self._remarks.put(Remark(sent.task.label, f"⏳ {words}; the first that is free does its work"))
        with self._lock:
            self._send(sent)

    def _lose(self, sent: _Sent[C], words: str) -> None:
        with self._lock:
            if sent.outer.done():
                return
            inner = self._without_order(sent)
            sent.losses += 1
            is_over = sent.losses >= self._attempts
        self._cancel([inner])
        if is_over:
            self._fail(sent, TableError(f"{words}, {sent.losses} times. See the workers' own logs; then use --resume"))
            return
        told = f"🔁 {words}; another does its work (attempt {sent.losses + 1} of {self._attempts})"
        self._remarks.put(Remark(sent.task.label, told))
        with self._lock:
            self._send(sent)

    def _look_for_any(self) -> None:
        """Let the run end where the cluster has been without a worker for too long, or is not there any more."""
        with self._lock:
            is_any_busy = any(time.monotonic() - at < SILENT_S for at in self._busy.values())
            if (self._usable() or is_any_busy) and self._is_connected:
                self._without_workers_since = None
                return
            since = self._without_workers_since = self._without_workers_since or time.monotonic()
            sent = list(self._sent.values())
        if not self._is_connected:
            for one in sent:
                self._fail(one, self._scheduler_is_gone())
        elif time.monotonic() - since > WITHOUT_WORKERS_S:
            words = (
                f"the cluster {self._cluster.address} has had no worker that answers for {WITHOUT_WORKERS_S:.0f} s. "
                f"Start some; then use --resume"
            )
            for one in sent:
                self._fail(one, UnreachableError(words))

    @property
    def _is_connected(self) -> bool:
        return self._client.status == "running" and reaching.line(self._client) is self._line

    def _scheduler_is_gone(self) -> ServerError:
        return reaching.scheduler_is_gone(self._cluster.address)

    # -- what workers publish ------------------------------------------------------------------------

    def _hear(self, event: tuple[float, Mapping[str, Any]]) -> None:
        """Called in a thread of Dask's."""
        _, told = event
        if "waiting" in told:
            self._hear_what_waits(str(told["worker"]), told["waiting"])
        elif told["run"] != self._run:
            return
        elif "key" in told:
            self._hear_answer(str(told["key"]), told["answer"])
        else:
            self._hear_report(str(told["worker"]), pickle.loads(told["report"]))

    def _hear_what_waits(self, worker: str, keys: Sequence[str]) -> None:
        """Whoever's they are, some may be this run's: its orders, or a knock."""
        now = time.monotonic()
        with self._lock:
            ours = [self._ordered[key] for key in keys if key in self._ordered]
            for one in ours:
                one.waited_at = now
            knock = self._silent.get(worker)
            if ours or (knock is not None and knock.key in keys):
                self._busy[worker] = now

    def _hear_report(self, worker: str, report: Report) -> None:
        now = time.monotonic()
        with self._lock:
            self._silent.pop(worker, None)
            for label, seconds in report.seconds_still.items():
                sent = self._sent.get(label)
                if sent is not None and sent.slot is not None and sent.slot.worker == worker:
                    sent.rows, sent.seconds_still, sent.heard_at = report.rows.get(label, 0), seconds, now
        for remark in report.remarks:
            self._remarks.put(remark)


def _as_key(label: Label) -> str:
    """What the dashboard calls a task.

    Dask keeps for ever what stands before the first number (Dask, "Scheduler State Machine": task prefixes), so that is
    the same for all. Half a surrogate pair, which a name may hold, would break its connection.
    """
    told = f"{label.table} {label.task}".replace("'", "").encode("utf-8", "backslashreplace").decode("utf-8")
    return f"{envelope.KEYS}{uuid.uuid4().hex[:8]}0 {told}"

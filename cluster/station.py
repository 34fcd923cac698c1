"""What stands in each worker process: threads with connections that last from task to task.

Dask runs a task where the station is; the task waits here while a thread of the station does it. So a thread that hangs
in a driver is left behind, as on one machine, and connections are kept for the next task of the same run. Whoever a
task is no longer wanted by (cancelled, its client gone, this worker removed) has its connections broken at once.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Worker, get_worker

from cluster import envelope, parcels
from cluster.own_machine import missing_server
from db import connect_source
from model.cluster import Credentials, is_this_machine
from model.errors import CancelledError, ReplicationError, UnreachableError
from model.rates import MaxRate
from model.settings import Secrets, Settings
from mssql.server_version import read_name
from scheduling.local_workers import LocalWorkers, Remark
from scheduling.pace import Pace
from scheduling.tasks import Label, Task

#: seconds between two reports of what is under way
REPORT_S = 0.5
#: seconds after which connections that no task uses are closed: a run that died does not say so
IDLE_S = 3.0
#: seconds that a task which is to end gets for it
END_S = 1.0
#: seconds that a worker gets to close; others' tasks in its process may take theirs
CLOSE_S = 10.0
#: seconds that threads get after the end of a worker's process, to close what they have open
LEAVE_S = 5.0
#: what reports and answers of all runs are published as: the scheduler keeps 1,000 events of each topic for ever (Dask,
#: `distributed.admin.low-level-log-length`), so there is one
TOPIC = "replication"
#: bytes up to which an answer is published; others are fetched
MOST_PUBLISHED = 8192


@dataclass(frozen=True)
class Report:
    """What a worker tells of a run's tasks under way: rows, seconds without a row, and remarks since the last time."""

    rows: dict[Label, int]
    seconds_still: dict[Label, float]
    remarks: tuple[Remark, ...]


@dataclass(frozen=True)
class Order:
    """A task, packed, for a run; `key` is what Dask calls it. It `tries_again` where others may have done it.

    `rate` is its own share of what all together may move.
    """

    run: str
    task: bytes
    key: str
    rate: MaxRate | None = None
    tries_again: bool = False


@dataclass(frozen=True)
class Answer:
    """What a task came to."""

    result: object = None
    error: BaseException | None = None


@dataclass(frozen=True)
class _Doing:
    """An order that is carried out by unpickling it."""

    order: Order

    def __reduce__(self) -> tuple[object, ...]:
        return _do, (self.order,)


def sealed(order: Order) -> io.BytesIO:
    """An order, to be given to `pickle.load` in a worker process, which answers as `Station.do`.

    Dask's scheduler opens every task's function and arguments and packs them again. It has none of our code, and to do
    that with a function that travels with its code takes 0.2 ms each time. This needs nothing there but Python itself,
    and neither logs nor the dashboard show what is in it.
    """
    return io.BytesIO(pickle.dumps(_Doing(order)))


def _do(order: Order) -> bytes:
    station: Station = get_worker().plugins[envelope.STATION].station()
    return station.do(order)


def application_of(run: str, worker: str) -> str:
    """What PostgreSQL knows the connections of a run's worker by; at most 63 bytes.

    Of a long address the end, which tells one worker of a machine from the next.
    """
    begins = f"mssql-to-postgres {run} "
    return begins + worker.rpartition("/")[2][len(begins) - 63 :]


class _Crew:
    """The threads of one run in this process."""

    def __init__(self, threads: int, secrets: Secrets) -> None:
        self.workers: LocalWorkers[Any] = LocalWorkers(threads)
        self._secrets = secrets
        self.used_at = time.monotonic()
        self.labels: dict[Label, Future[object]] = {}

    def remarks(self) -> tuple[Remark, ...]:
        """What was said since the last time, as it may be seen by others who use the cluster."""
        found = self.workers.remarks()
        for one in found:
            if one.again is not None:
                self.hide(one.again.error)
        return tuple(replace(one, words=self._secrets.hide(one.words)) for one in found)

    def hide(self, error: BaseException) -> None:
        """Take from an error's words what must not be shown: Dask's scheduler keeps what is published."""
        error.args = tuple(self._secrets.hide(one) if isinstance(one, str) else one for one in error.args)


class Station:
    """The threads and connections of this process, by the run that they work for."""

    def __init__(self, worker: Worker) -> None:
        """Begins to report."""
        self._worker = worker
        self._lock = threading.Lock()
        #: held by whoever takes remarks from their queue, until they are published
        self._telling = threading.Lock()
        self._crews: dict[str, _Crew] = {}
        self._is_closing = threading.Event()
        threading.Thread(target=self._report_for_ever, name="station", daemon=True).start()

    def close(self) -> None:
        """End everything: this worker is closing, or was removed by its scheduler."""
        self._is_closing.set()
        with self._lock:
            crews, self._crews = list(self._crews.values()), {}
        for crew in crews:
            threading.Thread(target=_end, args=(crew,), daemon=True).start()
        threading.Thread(target=_leave_with_the_process, args=(self._worker,), daemon=True).start()

    def lacks(self, settings: bytes, credentials: Credentials, server: str | None) -> str | None:
        """What this machine lacks for a run with these settings, in words; `server` is the one that it has to read."""
        if credentials == "client" and (heard := _heard_without_certificates(self._worker)):
            return (
                f"other machines reach it at {heard} without a certificate, and can have it do anything, so it is sent "
                f"no passwords. Start it with --host 127.0.0.1"
            )
        # A run begins.
        parcels.forget_own()
        try:
            own: Settings = parcels.unpacked(settings, "")
            if credentials == "client":
                return missing_server(own.source, own.target)
            return None if server is None else _reads_another(own, server)
        except ReplicationError as error:
            return str(error)

    def do(self, order: Order) -> bytes:
        """Carry an order out; returns the answer, or what the task raised, pickled.

        It is published as well: fetching it takes longer. Whoever does not hear it finds it as Dask's task's result.
        """
        try:
            answer = Answer(self._carry_out(order))
        except BaseException as error:
            answer = Answer(error=error)
        packed = _packed(answer)
        is_small = len(packed) <= MOST_PUBLISHED
        self._publish({"run": order.run, "key": order.key, "answer": packed if is_small else None})
        return packed

    def _carry_out(self, order: Order) -> object:
        """Have a task done by a thread, and wait for it. Raises what it raises, and CancelledError."""
        task: Task[Any, object] = parcels.unpacked(order.task, application_of(order.run, self._worker.address))
        with self._lock:
            if self._is_closing.is_set():
                raise CancelledError
            crew = self._crews.get(order.run) or _Crew(self._worker.state.nthreads, _secrets_of(task))
            self._crews[order.run] = crew
            if task.label in crew.labels:
                # What this run gave up just now, and may still hang here.
                crew.workers.give_up(task.label)
            pace = None if order.rate is None else Pace(order.rate)
            crew.labels[task.label] = future = crew.workers.submit(task, tries_again=order.tries_again, pace=pace)
        try:
            while not future.done():
                wait([future], timeout=REPORT_S)
                if not future.done() and not self._is_wanted(order.key):
                    with self._lock:
                        # Another order for the same task may have given it up already.
                        if crew.labels.get(task.label) is future:
                            crew.workers.give_up(task.label)
                    wait([future], timeout=END_S)
                    raise CancelledError
            return future.result()
        except Exception as error:
            crew.hide(error)
            raise
        finally:
            with self._lock:
                crew.used_at = time.monotonic()
                if crew.labels.get(task.label) is future:
                    del crew.labels[task.label]
            self._tell_remarks(order.run, crew)

    def _is_wanted(self, key: str) -> bool:
        """Whether whoever gave the task still waits for it (Dask, "Worker State Machine": cancelled, resumed)."""
        state = self._worker.state.tasks.get(key)
        return not self._is_closing.is_set() and state is not None and state.state in ("executing", "long-running")

    # -- reports -------------------------------------------------------------------------------------

    def _report_for_ever(self) -> None:
        while not self._is_closing.wait(REPORT_S):
            with self._lock:
                crews = dict(self._crews)
            self._tell_what_waits()
            for run, crew in crews.items():
                self._report(run, crew)
                if not crew.labels and time.monotonic() - crew.used_at > IDLE_S:
                    self._dismiss(run, crew)

    def _tell_what_waits(self) -> None:
        """Orders of whatever run that have come, and cannot begin: others' tasks have this process's threads."""
        known = [(str(one.key), one.state) for one in list(self._worker.state.tasks.values())]
        if waiting := [key for key, state in known if key.startswith(envelope.KEYS) and state in ("waiting", "ready")]:
            self._publish({"waiting": waiting})

    def _dismiss(self, run: str, crew: _Crew) -> None:
        with self._lock:
            if crew.labels:
                return
            self._crews.pop(run, None)
        crew.workers.close()
        crew.workers.disconnect()

    def _report(self, run: str, crew: _Crew) -> None:
        workers, labels = crew.workers, list(crew.labels)
        still = {label: workers.seconds_still(label) for label in labels}
        with self._telling:
            report = Report(workers.rows_of_tasks(), still, crew.remarks())
            if labels or report.remarks:
                self._tell(run, report)

    def _tell_remarks(self, run: str, crew: _Crew) -> None:
        """Before a task's answer; its rows are in that."""
        with self._telling:
            if remarks := crew.remarks():
                self._tell(run, Report({}, {}, remarks))

    def _tell(self, run: str, report: Report) -> None:
        # Pickled, since Dask keeps what is published, and shows it.
        self._publish({"run": run, "report": pickle.dumps(report)})

    def _publish(self, told: dict[str, object]) -> None:
        self._worker.log_event(TOPIC, {**told, "worker": self._worker.address})


def _secrets_of(task: object) -> Secrets:
    settings = getattr(task, "settings", None)
    return settings.secrets if isinstance(settings, Settings) else Secrets()


def _reads_another(own: Settings, server: str) -> str | None:
    """What to say where settings lead to another source than the run's, which may have a database of the same name."""
    try:
        with closing(connect_source(own)) as connection:
            found = read_name(connection)
    except UnreachableError:
        # Its tasks say so, and what to do.
        return None
    if found.casefold() == server.casefold():
        return None
    return (
        f"its own settings lead to the SQL Server {found}, and the run reads {server}. Name the same one in both; "
        f"behind a listener, the same replica"
    )


def _packed(answer: Answer) -> bytes:
    try:
        packed = pickle.dumps(answer)
        if answer.error is not None:
            # An exception that is made of more than its words cannot be unpacked.
            pickle.loads(packed)
        return packed
    except Exception as error:
        return pickle.dumps(Answer(error=RuntimeError(f"{type(answer.error).__name__}: {answer.error} ({error})")))


def _heard_without_certificates(worker: Worker) -> str | None:
    """Where a worker listens to other machines without TLS, as host and port; None where it does not.

    One that is started without `--host` listens to all, also where its scheduler listens to none.
    """
    for listener in worker.listeners:
        parts = urlsplit(listener.listen_address)
        if parts.scheme == "tcp" and not is_this_machine(parts.hostname or ""):
            return str(parts.netloc)
    return None


def _leave_with_the_process(worker: Worker) -> None:
    """End this process once it is to end, also where a thread hangs in a driver: Python would wait for it.

    Whoever starts workers again could not do so before. The exit code tells them that it did not end by itself.
    """
    closing_until = time.monotonic() + CLOSE_S
    # Nothing can be submitted any more from when Python begins to wait for threads ("concurrent.futures").
    with suppress(RuntimeError), ThreadPoolExecutor(1) as probe:
        while time.monotonic() < closing_until or not _is_left_closing(worker):
            probe.submit(int)
            time.sleep(REPORT_S)
    time.sleep(LEAVE_S)
    os._exit(1)


def _is_left_closing(worker: Worker) -> bool:
    """Whether this process is that of `dask worker`, and stays for ever because nobody closes the worker any more.

    So it is where SIGTERM comes while the scheduler has the worker close: asyncio cancels that, and what is left waits
    for its end (distributed 2026.8, `Worker.close`: `await self.finished()` of one that is closing already).
    """
    return bool(worker.status.name == "closing") and Path(sys.argv[0]).stem in ("dask", "dask-worker", "dask_worker")


def _end(crew: _Crew) -> None:
    crew.workers.stop(END_S)
    crew.workers.close()
    crew.workers.disconnect()

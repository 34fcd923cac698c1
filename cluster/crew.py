"""The cluster that a run's tasks go to: found, checked, and given a station in each worker process."""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import cloudpickle
import psycopg2
from distributed import Client, Security

from cluster import envelope, parcels, reaching
from cluster.client import FleetingClient
from cluster.muster import SILENT, About, Joined, Muster, fits
from cluster.pulse import Pulse
from cluster.workers import ClusterWorkers
from db import connect_source, connect_target, target_words
from model.cluster import Cluster, Tls, is_this_machine
from model.errors import ReplicationError, SettingsError, UnreachableError
from model.rates import MaxRate
from model.settings import Settings
from model.visible import listed
from mssql.server_version import read_name
from postgres.connections import end_connections
from scheduling.tasks import C
from scheduling.work import Places

CONNECT_S = 15
NAME = "mssql-to-postgres"
#: what a person does next, where a run has not begun
AGAIN = "try again"


@dataclass
class ClusterCrew:
    """A connected cluster. Its workers run this version of the tool, and the same Python."""

    client: Client
    cluster: Cluster
    settings: Settings
    say: Callable[[str], None]
    #: `reaching.line` as the run began
    line: object
    pulse: Pulse
    _known: dict[Joined, About | str] = field(default_factory=dict)
    #: of workers that did not answer: what they do as soon as they can; None once they have done it
    _knocks: dict[Joined, Any] = field(default_factory=dict)
    _hired: list[ClusterWorkers[Any]] = field(default_factory=list)
    #: what the source calls itself, once a worker has to be held against it
    _server: str | None = None
    _told: set[tuple[About | str, str]] = field(default_factory=set)

    @property
    def is_local(self) -> bool:
        """Tasks run in other processes."""
        return False

    def places(self, asked: int | None, usual: int, source_connections: int = 1) -> Places:  # noqa: ARG002
        """All threads of the cluster, as far as the servers may have them; no more than were `asked` for."""
        most = min(filter(None, (asked, self.cluster.most_workers(source_connections))), default=sys.maxsize)
        return Places(min(sum(self.threads().values()), most), most)

    def workers(
        self, most: int, connections: Iterable[C], rate: MaxRate | None, finishing: C | None
    ) -> ClusterWorkers[C]:
        """Workers of the cluster. The connections of this machine are not needed, but for the finisher's.

        Raises UnreachableError where the scheduler is gone, also where another one has come in its place.
        """
        for one in connections:
            one.disconnect()
        if reaching.line(self.client) is not self.line:
            raise reaching.scheduler_is_gone(self.cluster.address)
        hired = ClusterWorkers(
            self.client, self.cluster, most, self.settings.retry_attempts, self.threads, self._end_connections,
            self.pulse, rate, finishing,
        )  # fmt: skip
        self._hired.append(hired)
        return hired

    def threads(self) -> Mapping[str, int]:
        """The threads of each worker that may be used, by its address; of others it is said once why they may not."""
        with reaching.through(self.cluster.address):
            there = reaching.who_is_there(self.client)
            self._forget_all_but(there)
            waited_for = {one for one, knock in self._knocks.items() if knock is not None}
            new = {one.address: one for one in there if one not in self._known.keys() | waited_for}
            found = reaching.ask(self.client, list(new)) if new else {}
            found |= self.lacking([address for address in new if fits(found[address])])
        self.know({new[address]: about for address, about in found.items()})
        usable = {one.address: count for one, count in there.items() if fits(self._known.get(one, ""))}
        if self._hired:
            for address in usable.keys() & new.keys():
                self.say(f"👷 worker {address} has joined, {usable[address]} thread{'s' * (usable[address] != 1)}")
        return usable

    def know(self, found: Mapping[Joined, About | str]) -> None:
        """Remember what workers answered; say of each that is not used why. A silent one is asked once more, later."""
        for worker, about in found.items():
            address = worker.address
            if about == SILENT and worker not in self._knocks:
                self._knocks[worker] = knock = envelope.knock_at(self.client, address)
                knock.add_done_callback(lambda _, worker=worker: self._answers(worker))
            else:
                self._known[worker] = about
            if not fits(about) and (about, address) not in self._told:
                self._told.add((about, address))
                self.say(f"⚠️ worker {address} is not used: {about}")

    def _forget_all_but(self, there: Iterable[Joined]) -> None:
        """What one had that is gone says nothing of the next at its address."""
        for gone in (self._known.keys() | self._knocks.keys()) - set(there):
            self._known.pop(gone, None)
            self._knocks.pop(gone, None)

    def _answers(self, worker: Joined) -> None:
        if worker in self._knocks:
            self._knocks[worker] = None
        for workers in self._hired:
            workers.look_again()

    def lacking(self, addresses: Sequence[str]) -> dict[str, str]:
        """What workers lack that have our code: a driver, or settings that they should have of their own."""
        credentials = self.cluster.credentials
        if credentials == "workers" and self._server is None:
            with closing(connect_source(self.settings)) as connection:
                self._server = read_name(connection)
        ready = envelope.readiness(parcels.packed(self.settings, credentials), credentials, self._server)
        answers = reaching.run(self.client, ready, addresses)
        return {address: reaching.in_words(answer) for address, answer in answers.items() if answer is not None}

    def _end_connections(self, application: str) -> None:
        """End what a lost worker has open on the target; where that is not possible, its checkpoints are refused."""
        try:
            connection = connect_target(self.settings)
        except ReplicationError:
            return
        try:
            end_connections(connection, application)
        except psycopg2.Error as error:
            self.say(f"⚠️ connections of {application} on the target could not be ended: {target_words(error)}")
        finally:
            connection.close()


@contextmanager
def connected(settings: Settings, cluster: Cluster, say: Callable[[str], None]) -> Iterator[ClusterCrew]:
    """The cluster, as long as a run needs it.

    Raises UnreachableError, also for a silent scheduler, and RunRefusedError where its workers cannot do what they
    would be asked for.
    """
    with _opened(settings, cluster, say) as crew:
        muster = _muster(crew)
        if (refusal := muster.refusal()) is not None:
            raise refusal
        crew.know(muster.known)
        yield crew


def mustered(settings: Settings, cluster: Cluster) -> Muster:
    """What its workers answer, which a run would be refused for or not.

    Raises UnreachableError, also for a silent scheduler, SettingsError, and RunRefusedError where CLUSTER_CODE cannot
    be sent.
    """
    with _opened(settings, cluster, lambda _: None) as crew:
        return _muster(crew)


@contextmanager
def _opened(settings: Settings, cluster: Cluster, say: Callable[[str], None]) -> Iterator[ClusterCrew]:
    """The cluster, of whose workers nothing is known yet."""
    files = parcels.local_files(settings) if cluster.credentials == "client" else []
    if files:
        raise SettingsError(
            f"CLUSTER: {listed(files)}: a file of this machine, which workers do not have. Let each "
            f"worker have its own settings: CLUSTER_SETTINGS=workers"
        )
    # What its threads have to say of a connection that is lost, the run says itself.
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = _client(cluster)
    pulse = Pulse(client, cluster.address, say)
    try:
        cloudpickle.register_pickle_by_value(envelope)
        yield ClusterCrew(client, cluster, settings, say, reaching.line(client), pulse)
    finally:
        pulse.close()
        with suppress(Exception):
            client.close(timeout=5)


def _muster(crew: ClusterCrew) -> Muster:
    client, cluster = crew.client, crew.cluster
    with reaching.through(cluster.address, AGAIN):
        _refuse_strangers(client, cluster)
        if cluster.code is not None:
            reaching.bring_code(client, cluster.code)
        threads = reaching.who_is_there(client)
        there = {one.address: one for one in threads}
        found = reaching.ask(client, list(there), envelope.Place())
        lacks = crew.lacking([address for address, about in found.items() if fits(about)])
        if SILENT in (found | lacks).values():
            # They may be silent because the scheduler is.
            reaching.who_is_there(client)
    return Muster(
        cluster.address, threads, {there[one]: about for one, about in found.items()},
        {there[one]: words for one, words in lacks.items()},
    )  # fmt: skip


def _client(cluster: Cluster) -> Client:
    """In a thread of its own: Dask waits without end for a scheduler that takes a connection and says nothing."""
    security = None if cluster.tls is None else _security(cluster.tls)
    connecting: Future[Client] = Future()

    def connect() -> None:
        try:
            connecting.set_result(
                FleetingClient(cluster.address, security=security, timeout=CONNECT_S, name=NAME, set_as_default=False)
            )
        except Exception as error:
            connecting.set_exception(error)

    threading.Thread(target=connect, name="connecting", daemon=True).start()
    wait([connecting], timeout=reaching.SCHEDULER_S)
    if not connecting.done():
        raise reaching.scheduler_is_silent(cluster.address, AGAIN)
    try:
        return connecting.result()
    except (TimeoutError, asyncio.TimeoutError):
        raise reaching.scheduler_is_silent(cluster.address, AGAIN, CONNECT_S) from None
    except (OSError, ValueError) as error:
        # A ValueError of tornado's where a scheduler answers a TLS greeting before that is through.
        raise UnreachableError(
            f"the Dask scheduler {cluster.address} cannot be reached: {error}\nCheck CLUSTER (--cluster), that the "
            f"scheduler runs, and {_hint(cluster)}."
        ) from None


def _refuse_strangers(client: Client, cluster: Cluster) -> None:
    """Raise SettingsError where workers that are given passwords may be anybody's: `dask scheduler` listens to all."""
    address = str(reaching.about_scheduler(client)["address"])
    parts = urlsplit(address)
    if parts.scheme == "tcp" and cluster.credentials == "client" and not is_this_machine(parts.hostname or ""):
        raise SettingsError(
            f"CLUSTER={cluster.address}: that scheduler is {address} for other machines. Whoever joins it as a worker "
            f"would be sent the passwords of both servers, and not encrypted. Start it with --host 127.0.0.1; or use "
            f"tls://; or let each worker have its own settings: CLUSTER_SETTINGS=workers"
        )


def _hint(cluster: Cluster) -> str:
    if cluster.tls is None:
        return "that it has no certificates: a scheduler with certificates has a tls:// address"
    return (
        "that its certificates are of the authority in CLUSTER_TLS_CA, and CLUSTER_TLS_CERT of the one that it trusts; "
        "a scheduler without certificates has a tcp:// address"
    )


def _security(tls: Tls) -> Security:
    """Raises SettingsError where the files are not what they should be."""
    try:
        context = ssl.create_default_context(cafile=tls.authority)
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise SettingsError(
            f"CLUSTER_TLS_CA, CLUSTER_TLS_CERT and CLUSTER_TLS_KEY cannot be used together: {error}. All are files in "
            f"PEM form, and the key is that of the certificate, without a password."
        ) from None
    return Security(
        tls_ca_file=str(tls.authority), tls_client_cert=str(tls.certificate), tls_client_key=str(tls.key),
        require_encryption=True,
    )  # fmt: skip

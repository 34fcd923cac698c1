"""Where a cluster is and how it is spoken to, as data; what cannot be carried out is refused here."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from model.errors import SettingsError

#: who gives the workers what they log in to both servers with: this run, or each worker's own environment
Credentials = Literal["client", "workers"]
CREDENTIALS: tuple[Credentials, ...] = ("client", "workers")


@dataclass(frozen=True)
class Tls:
    """Files in PEM form: the authority that both ends trust, and this run's certificate with its key."""

    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler's address (`tls://host:8786`), empty where there is none, and how it is used.

    `most_source` and `most_target` are the connections that all workers together may have to either server; 0 for as
    many as there are threads. `code` is a wheel of this tool that workers get, where they have none of their own.
    """

    address: str = ""
    tls: Tls | None = None
    credentials: Credentials = "client"
    most_source: int = 0
    most_target: int = 0
    #: seconds without a word after which a worker is taken for lost
    lost_after: int = 60
    code: Path | None = None

    def most_workers(self, source_connections: int) -> int | None:
        """How many tasks may run at once for the servers' sake, with so many connections to the source each."""
        source = max(1, self.most_source // source_connections) if self.most_source else 0
        return min(filter(None, (source, self.most_target)), default=None)


def check(cluster: Cluster) -> Cluster:
    """The same. Raises SettingsError where it cannot be carried out, or would show what is secret."""
    parts = urlsplit(cluster.address)
    try:
        has_port = parts.port is not None
    except ValueError:
        has_port = False
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or not has_port:
        raise SettingsError(
            f"CLUSTER must be a Dask scheduler's address, as tls://scheduler:8786, not {cluster.address!r}"
        )
    if parts.scheme == "tls" and cluster.tls is None:
        raise SettingsError(
            "CLUSTER is a tls:// address: CLUSTER_TLS_CA, CLUSTER_TLS_CERT and CLUSTER_TLS_KEY are missing"
        )
    if parts.scheme == "tcp" and cluster.tls is not None:
        raise SettingsError("CLUSTER is a tcp:// address, which takes no certificates; tls:// does")
    if parts.scheme == "tcp" and cluster.credentials == "client" and not is_this_machine(parts.hostname):
        raise SettingsError(
            f"CLUSTER={cluster.address} is not encrypted, so the passwords of both servers could be read on the way. "
            f"Use tls:// with CLUSTER_TLS_CA, _CERT and _KEY; or let each worker have its own: CLUSTER_SETTINGS=workers"
        )
    for path in (cluster.tls.authority, cluster.tls.certificate, cluster.tls.key) if cluster.tls else ():
        if not path.is_file():
            raise SettingsError(f"CLUSTER_TLS_…: there is no file {path}")
    if cluster.code is not None and not cluster.code.is_file():
        raise SettingsError(f"CLUSTER_CODE: there is no file {cluster.code}; `make wheel` builds one")
    return cluster


def is_this_machine(host: str) -> bool:
    """Whether nobody else's machine is meant by a host's name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

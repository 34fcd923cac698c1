"""A server's address that means another machine to each worker: localhost, or a socket in a folder."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

from model.cluster import is_this_machine
from model.settings import Source, Target

#: seconds in which a server of the same machine takes a connection
CONNECT_S = 5.0


def missing_server(source: Source, target: Target) -> str | None:
    """What to say where an address that was sent means this machine, and no server listens here; None where none does.

    One that listens may be the run's, or a proxy of this machine that leads there. Nobody logs in.
    """
    if source.address is not None and is_this_machine(source.address[0]) and not _listens(*source.address):
        return _words("SQL Server", "MSSQL_HOST", source.address[0], source.address[1])
    host, port = target.parameters.get("host", ""), target.parameters.get("port", "") or "5432"
    if port.isdigit() and (host.startswith("/") or is_this_machine(host)) and not _listens(host, int(port)):
        return _words("PostgreSQL", "PGHOST", host, int(port))
    return None


def _listens(host: str, port: int) -> bool:
    """Whether a connection is taken, at a port or at a socket in a folder (PostgreSQL, unix_socket_directories)."""
    with suppress(OSError):
        if not host.startswith("/"):
            socket.create_connection((host, port), timeout=CONNECT_S).close()
        else:
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(CONNECT_S)
                one.connect(str(Path(host) / f".s.PGSQL.{port}"))
        return True
    return False


def _words(server: str, setting: str, host: str, port: int) -> str:
    return (
        f"{setting}={host} is its own machine, and there no {server} listens at port {port}. Name the server as all "
        f"machines know it; or let each worker have its own settings: CLUSTER_SETTINGS=workers"
    )

"""The stand-in: a source that speaks SQL Server's protocol, for the demo and the tests.

It is no SQL Server. It logs clients in over TDS, with TLS, and answers T-SQL queries from tables that
are declared with the dataclasses of `catalog` and held in an in-memory DuckDB. Both ODBC drivers,
Microsoft's and FreeTDS, read it as they would read the real thing. It cannot write: tests change its
rows by `StandIn.execute`, in DuckDB's SQL. Characters U+10D800 to U+10DFFF are not its own: they carry
lone surrogates.

Run it as a process of its own with `python -m standin --database shop --port 14333`.
"""

from __future__ import annotations

import hmac
import logging
import socket
import socketserver
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import TracebackType

import duckdb
from pysqlbridge.certificate import Certificate, self_signed, server_context
from pysqlbridge.tds import TdsProtocolError

from model.catalog import Database, SqlType
from standin.faults import ConnectionDroppedError
from standin.filling import Rows
from standin.logins import SeenLogin
from standin.session import ClientConnection
from standin.source import Source

LOGIN = "replicator"
PASSWORD = "Stand-in-2022!"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """Where a stand-in listens, and the one login, access token and Kerberos principal that it admits.

    For port 0 one is chosen.
    """

    login: str = LOGIN
    password: str = PASSWORD
    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""
    principal: str = ""


_DEFAULT_ACCESS = Access()


class StandIn(Source):
    """A running stand-in; also a context manager. `port` is the one it listens on, once it is started."""

    def __init__(
        self,
        database: Database,
        rows: Mapping[str, Rows],
        *,
        access: Access = _DEFAULT_ACCESS,
        denied: Collection[str] = (),
        described: Mapping[str, SqlType] | None = None,
    ) -> None:
        super().__init__(database, rows, denied=denied, described=described)
        self.login, self.password, self.host, self.port = access.login, access.password, access.host, access.port
        #: the access token that is good at the moment
        self.token = access.token
        self.principal = access.principal
        self.certificate: Certificate = self_signed()
        self._server: _Server | None = None

    def start(self) -> StandIn:
        """Begins to listen; `port` is then the one it listens on."""
        self._server = _Server((self.host, self.port), self)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True, name="stand-in").start()
        return self

    def stop(self) -> None:
        """Closes the port and every connection, and forgets the rows."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.close_clients()
            self._server = None
        self.close()

    def disconnect_all(self) -> None:
        """Cuts every connection, as a failover would; new ones are accepted."""
        if self._server is not None:
            self._server.close_clients()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return 0 if self._server is None else len(self._server.clients)

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def admits(self, asked: SeenLogin, password: str) -> bool:
        """Whether a login may come in; the case of its name does not matter."""
        if asked.principal is not None:
            return self.principal != "" and asked.principal == self.principal
        if asked.token is not None:
            return self.token != "" and hmac.compare_digest(asked.token.encode(), self.token.encode())
        return asked.user.lower() == self.login.lower() and hmac.compare_digest(
            password.encode(), self.password.encode()
        )

    def connection_string(self, driver: str, *, encrypt: bool = False, **more: str) -> str:
        """An ODBC connection string for `driver`, a name or a path; `more` adds or replaces keywords."""
        if "tdsodbc" in driver.lower() or driver.lower() == "freetds":
            words = {"Server": self.host, "Port": str(self.port), "TDS_Version": "7.4", "ClientCharset": "UTF-8"}
            words["Encryption"] = "require" if encrypt else "off"
        else:
            words = {"Server": f"{self.host},{self.port}", "Encrypt": "yes" if encrypt else "no"}
            words["TrustServerCertificate"] = "yes"
        words |= {"Database": self.database.name, "UID": self.login, "PWD": self.password, **more}
        return f"DRIVER={{{driver}}};" + "".join(f"{key}={value};" for key, value in words.items())


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    # Waiting for the threads of clients that keep their connections would wait for ever.
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], standin: StandIn) -> None:
        super().__init__(address, _Handler)
        self.standin = standin
        # One context for all: making one is slow.
        self.context = server_context(standin.certificate)
        self.clients: set[socket.socket] = set()
        self.clients_lock = threading.Lock()

    def close_clients(self) -> None:
        """Shuts every client's socket, which ends its thread."""
        with self.clients_lock:
            clients = list(self.clients)
        for client in clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                log.debug("a client was gone already")


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        client: socket.socket = self.request
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.server.clients_lock:
            self.server.clients.add(client)
        standin = self.server.standin
        connection = ClientConnection(standin, client, standin.certificate, self.server.context, admits=standin.admits)
        try:
            while data := client.recv(65536):
                for response in connection.receive(data):
                    client.sendall(response)
                if connection.is_over:
                    return
        except ConnectionDroppedError:
            log.info("connection dropped on request")
        except (OSError, TdsProtocolError, duckdb.ConnectionException) as error:
            log.info("connection ended: %s", error)
        except Exception:
            log.exception("the stand-in failed")
        finally:
            with self.server.clients_lock:
                self.server.clients.discard(client)
            connection.close()

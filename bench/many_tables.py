"""300 tables with 3,000 columns, 600 indexes and 300 foreign keys: made, and the schema phase timed over them.

    python -m bench.many_tables [--env-file FILE] [--tables 300] [--keep]

Makes a database `many_tables_bench` on the T-SQL server of the settings and one of that name in PostgreSQL,
runs replicate-schema.py from one to the other, checks that all of it arrived, and drops both again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.run_tsql_script import in_master
from db import Settings, connect_source, connect_target, find_env_file, load_settings, odbc_value, parse_odbc
from mssql.quoting import quote as bracket
from postgres.names import quote

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


def _in_database(settings: Settings, database: str) -> Settings:
    """The settings with another source database."""
    parts = parse_odbc(settings.source.connection_string) | {"database": database}
    text = ";".join(f"{name}={odbc_value(value)}" for name, value in parts.items())
    return replace(settings, source=replace(settings.source, connection_string=text))


def _drop(master: Any, target: Any) -> None:
    master.execute(f"IF DB_ID('{NAME}') IS NOT NULL DROP DATABASE {bracket(NAME)}")
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
    source = _in_database(settings, NAME)
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
    return 0 if found == (tables, 10 * tables, 2 * tables, tables) else 1


if __name__ == "__main__":
    sys.exit(main())

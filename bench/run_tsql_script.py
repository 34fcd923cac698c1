"""Run a T-SQL script with GO lines (a sample database, say) in the source database of the settings.

    python -m bench.run_tsql_script instnwnd.sql [--create-database] [--env-file FILE]

A batch that fails is shown and counted, and the next one runs. Exits 1 if any failed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyodbc

from db import connect_source, find_env_file, in_database, load_settings, odbc_words, parse_odbc
from model.settings import Settings
from mssql.quoting import quote


def batches(text: str) -> Iterator[str]:
    """The script's batches, parted at lines that hold only GO, without case."""
    for batch in re.split(r"(?im)^[ \t]*GO[ \t]*;?[ \t]*\r?$", text):
        if batch.strip():
            yield batch


def read_script(path: Path) -> str:
    """A script's text, in the encodings that Microsoft's own scripts have."""
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def in_master(settings: Settings) -> tuple[Settings, str]:
    """The same settings, but in master; and the name of the database they were in."""
    database = parse_odbc(settings.source.connection_string)["database"]
    return replace(settings, source=in_database(settings.source, "master")), database


def create_database(settings: Settings) -> None:
    """Create the source database of the settings if it is not there."""
    master, database = in_master(settings)
    connection = connect_source(master)
    names = [name.lower() for (name,) in connection.execute("SELECT name FROM sys.databases").fetchall()]
    if database.lower() not in names:
        connection.execute(f"CREATE DATABASE {quote(database)}")
    connection.close()


def main() -> int:
    """Run the script; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path)
    parser.add_argument("--create-database", action="store_true", help="create the source database first")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(find_env_file(arguments.env_file))
    if arguments.create_database:
        create_database(settings)
    connection = connect_source(settings)
    ran = failed = 0
    for number, batch in enumerate(batches(read_script(arguments.script)), start=1):
        words = _run(connection, batch)
        ran += 1
        if words is not None:
            failed += 1
            print(f"batch {number} ({batch.strip().splitlines()[0][:80]}): {words}", file=sys.stderr)
    print(f"{ran - failed} batches ran, {failed} failed")
    return 1 if failed else 0


def _run(connection: Any, batch: str) -> str | None:
    """Run one batch; the server's words if it failed."""
    try:
        cursor = connection.execute(batch)
        while cursor.nextset():
            pass
    except pyodbc.Error as error:
        return odbc_words(error)
    return None


if __name__ == "__main__":
    sys.exit(main())

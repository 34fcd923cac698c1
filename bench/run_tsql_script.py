"""Run a script for sqlcmd (a sample database, say) in the source database of the settings.

    python -m bench.run_tsql_script instnwnd.sql [--create-database] [--set NAME=VALUE ...] [--env-file FILE]

A batch that fails is shown and counted, and the next one runs; a USE that fails ends the script, since what follows is
meant for another database. The files that BULK INSERT names are read here, as named or beside the script. Exits 1 if
any batch failed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyodbc

from bench.bulk_insert import STATEMENT, bulk_insert
from bench.sqlcmd import Batch, ScriptError, batches
from db import connect_source, find_env_file, in_database, load_settings, odbc_words
from model.odbc_strings import parse_odbc
from model.settings import Settings
from mssql.quoting import quote


@dataclass(frozen=True)
class Refusal:
    """A part of a script that failed, and the words of who refused it."""

    batch: Batch
    words: str

    def __str__(self) -> str:
        return f"line {self.batch.line} ({self.batch.title}): {self.words}"


@dataclass(frozen=True)
class Outcome:
    """What came of a script: how many parts it has (batches, and each BULK INSERT by itself), which of them failed."""

    parts: int
    refusals: tuple[Refusal, ...]


def in_master(settings: Settings) -> tuple[Settings, str]:
    """The same settings, but in master; and the name of the database they were in."""
    database = parse_odbc(settings.source.connection_string)["database"]
    return replace(settings, source=in_database(settings.source, "master")), database


def create_database(settings: Settings) -> None:
    """Create the source database of the settings if it is not there."""
    master, database = in_master(settings)
    with closing(connect_source(master)) as connection:
        names = [name.lower() for (name,) in connection.execute("SELECT name FROM sys.databases").fetchall()]
        if database.lower() not in names:
            connection.execute(f"CREATE DATABASE {quote(database)}")


def run_script(connection: Any, path: Path, given: Mapping[str, str]) -> Outcome:
    """Run a script's batches with the variables given. Raises ScriptError where it cannot be run as it stands."""
    ran = 0
    refusals = []
    for batch in batches(path, given):
        for part, statement in _parts(batch):
            ran += 1
            try:
                _run(connection, part, statement, path)
            except pyodbc.Error as error:
                refusals.append(Refusal(part, odbc_words(error)))
            except ScriptError as error:
                refusals.append(Refusal(part, str(error)))
            else:
                continue
            if part.text.lstrip().upper().startswith("USE "):
                return Outcome(ran, tuple(refusals))
    return Outcome(ran, tuple(refusals))


def _run(connection: Any, part: Batch, statement: re.Match[str] | None, path: Path) -> None:
    if statement is not None:
        bulk_insert(connection, statement, path)
        return
    cursor = connection.execute(part.text)
    while cursor.nextset():
        pass


def _parts(batch: Batch) -> Iterator[tuple[Batch, re.Match[str] | None]]:
    """A batch, parted at each BULK INSERT, which comes with its match: one that fails does not end its batch."""
    start = 0
    for statement in [*STATEMENT.finditer(batch.text), None]:
        before = batch.part(start, statement.start() if statement else len(batch.text))
        if before.text.strip():
            yield before, None
        if statement:
            yield batch.part(statement.start(), statement.end()), statement
            start = statement.end()


def main() -> int:
    """Run the script; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=Path)
    parser.add_argument("--create-database", action="store_true", help="create the source database first")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a variable of the script")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(find_env_file(arguments.env_file))
    if arguments.create_database:
        create_database(settings)
    with closing(connect_source(settings)) as connection:
        try:
            outcome = run_script(connection, arguments.script, dict(pair.split("=", 1) for pair in arguments.set))
        except ScriptError as error:
            print(error, file=sys.stderr)
            return 1
    for refusal in outcome.refusals:
        print(refusal, file=sys.stderr)
    print(f"{outcome.parts - len(outcome.refusals)} batches ran, {len(outcome.refusals)} failed")
    return 1 if outcome.refusals else 0


if __name__ == "__main__":
    sys.exit(main())

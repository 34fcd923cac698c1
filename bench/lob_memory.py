"""Memory while large values are copied, on a T-SQL server: the peak of sync-data.py's whole process.

    python -m bench.lob_memory [--rows 100] [--mb 50] [--kind binary|text|both] [--workers N] [--env-file FILE]
    python -m bench.lob_memory --table NAME        any table that is there already, a long one for instance

The source and target of the settings are used: a table `bench_lobs_<kind>` is made in both. What is compared
afterwards: the number of rows, and the sum of the values' lengths.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.speed import ROOT, measure
from db import connect_source, connect_target, find_env_file, load_settings
from mssql.quoting import quote as quote_source
from postgres.names import quote

MB = 1 << 20
#: kind → the column's type on the source, and a value of {size} bytes there that differs from row to row
KINDS = {
    "binary": ("varbinary(max)", "CAST(REPLICATE(CAST('{seed}' AS varchar(max)), {times}) AS varbinary(max))"),
    "text": ("varchar(max)", "REPLICATE(CAST('{seed}' AS varchar(max)), {times})"),
}
SEED_LENGTH = 1024


def create_table(connection: Any, kind: str, rows: int, size: int) -> str:
    """Make `bench_lobs_<kind>` with so many values of so many bytes, unless it is there; returns its name."""
    name = f"bench_lobs_{kind}"
    declared, value = KINDS[kind]
    lengths = f"SELECT COUNT(*), MIN(DATALENGTH(body)) FROM {quote_source(name)}"
    if _exists(connection, name) and tuple(connection.execute(lengths).fetchone()) == (rows, size):
        return name
    connection.execute(f"DROP TABLE IF EXISTS {quote_source(name)}")
    connection.execute(f"CREATE TABLE {quote_source(name)} (id int NOT NULL PRIMARY KEY, body {declared})")
    for number in range(1, rows + 1):
        seed = f"row {number} ".ljust(SEED_LENGTH, "x")
        filled = value.format(seed=seed, times=size // SEED_LENGTH)
        connection.execute(f"INSERT INTO {quote_source(name)} SELECT {number}, {filled}")
    return name


def _exists(connection: Any, name: str) -> bool:
    found = connection.execute("SELECT COUNT(*) FROM sys.tables WHERE name = ?", name).fetchone()
    return bool(found[0])


def _arrived(connection: Any, schema: str, name: str) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*), coalesce(sum(octet_length(body)), 0) FROM {quote(schema)}.{quote(name)}")
        found: tuple[int, int] = cursor.fetchone()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--mb", type=int, default=50, help="MB of each value")
    parser.add_argument("--kind", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--table", help="measure this table of the source in place of one made for it")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--env-file", type=Path)
    options = parser.parse_args(arguments)
    env_file = find_env_file(options.env_file)
    given = ["--env-file", str(env_file.resolve())] if env_file else []
    settings = load_settings(env_file)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kinds = list(KINDS) if options.kind == "both" else [options.kind]
    print(f"{'table':<24}{'seconds':>9}{'CPU s':>8}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for kind in [None] if options.table else kinds:
            with closing(connect_source(settings)) as source:
                name = options.table if kind is None else create_table(source, kind, options.rows, options.mb * MB)
            schema = [sys.executable, str(ROOT / "replicate-schema.py"), "--tables", name, "--recreate", *given]
            measure(schema, environment, Path(folder))
            copy = [sys.executable, str(ROOT / "sync-data.py"), "--tables", name, *given]
            run = measure([*copy, "--workers", str(options.workers)], environment, Path(folder))
            print(f"{name:<24}{run.wall:>9.1f}{run.cpu:>8.1f}{run.memory:>9.0f}", flush=True)
            if kind is not None:
                with closing(connect_target(settings)) as target:
                    found = _arrived(target, settings.target_schema, name)
                wanted = (options.rows, options.rows * options.mb * MB)
                if found != wanted:
                    print(f"{name}: {found} arrived, {wanted} were made", file=sys.stderr)
                    return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What planning a table's chunks costs beside copying it, for a composite key whose first column is skewed.

    python -m bench.planning [--rows 10000000] [--env-file FILE]

Uses the source and target of the settings; a table `bench_composite` is made in both and stays. Planning is
timed alone, on a connection of its own; the copy is sync-data.py as a process, its start and its own planning
included.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.shapes import create_shape
from bench.speed import ROOT, measure
from db import connect_source, find_env_file, load_settings
from mssql import reader
from mssql.chunks import chunk_key, plan_chunks
from mssql.introspection import read_tables
from session import find_table


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    env_file = find_env_file(arguments.env_file)
    settings = load_settings(env_file)
    with closing(connect_source(settings)) as source:
        name = create_shape(source, "composite", arguments.rows)
    connection = reader.connect(settings)
    table = find_table(read_tables(connection), name)
    started = time.monotonic()
    chunks = plan_chunks(connection, table, settings.chunk_rows)
    planning = time.monotonic() - started
    key = ", ".join(column.name for column in chunk_key(table))
    print(f"planning: {planning:.2f} s for {len(chunks)} chunks by ({key})", flush=True)
    flags = ["--tables", name, *(["--env-file", str(env_file.resolve())] if env_file else [])]
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        measure([sys.executable, str(ROOT / "replicate-schema.py"), "--recreate", *flags], os.environ, folder)
        copied = measure([sys.executable, str(ROOT / "sync-data.py"), *flags], os.environ, folder)
    print(f"copy: {copied.wall:.2f} s, {copied.cpu:.2f} CPU s, {copied.memory:.0f} MB at most")
    print(f"planning is {100 * planning / copied.wall:.1f} % of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

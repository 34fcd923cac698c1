"""What planning a table's chunks costs beside copying it, for a composite key whose first column is skewed.

    python -m bench.planning [--rows 10000000] [--env-file FILE]

Uses the source and target of the settings; a table `bench_composite` is made in both and stays. Planning is
timed alone, on a connection of its own, and once more without a sample; the copy is sync-data.py as a process, its
start and its own planning included. How even the chunks are is told of those that the copy planned.
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
from db import connect_source, connect_target, find_env_file, load_settings
from mssql import reader
from mssql.chunk_keys import chunk_key
from mssql.chunk_planning import SAMPLING, Sampling, plan_chunks
from mssql.introspection import read_tables
from postgres import checkpoints
from postgres.names import target_name
from run.selection import find_table

#: a sample of no table
NEVER = Sampling(from_rows=2**63)


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
    key = ", ".join(column.name for column in chunk_key(table))
    took = []
    for words, sampling in (("planning", SAMPLING), ("planning without a sample", NEVER)):
        started = time.monotonic()
        chunks = plan_chunks(connection, table, settings.chunk_rows, sampling=sampling)
        took.append(time.monotonic() - started)
        print(f"{words}: {took[-1]:.2f} s for {len(chunks)} chunks by ({key})", flush=True)
    flags = ["--tables", name, *(["--env-file", str(env_file.resolve())] if env_file else [])]
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        measure([sys.executable, str(ROOT / "replicate-schema.py"), "--recreate", *flags], os.environ, folder)
        copied = measure([sys.executable, str(ROOT / "sync-data.py"), *flags], os.environ, folder)
    print(f"copy: {copied.wall:.2f} s, {copied.cpu:.2f} CPU s, {copied.memory:.0f} MB at most")
    with closing(connect_target(settings)) as target:
        load = checkpoints.read_load(target, target_name(table, settings))
    assert load is not None
    *others, last = (load.done[number] for number in sorted(load.done))
    print(f"its chunks: {len(others)} of {min(others):,} to {max(others):,} rows, and {last:,} that were left")
    print("planning is {:.1f} % of it, without a sample {:.1f} %".format(*(100 * s / copied.wall for s in took)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

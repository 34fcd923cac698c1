"""The floor: the rows of tables read in the same way, and thrown away. Nothing that copies can be faster.

python -m bench.floor TABLE... [--env-file FILE]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

# As in sync-data.py.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from db import find_env_file, load_settings
from model.long_rows import LongRow
from mssql import native_numbers, reader
from mssql.introspection import read_tables
from mssql.wanted_rows import SourceConnections, WantedRows
from run.selection import find_table


def main() -> None:
    """Drain the tables and print their rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="+")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(find_env_file(arguments.env_file))
    connection = reader.connect(settings)
    there = read_tables(connection)
    for name in arguments.table:
        table = find_table(there, name)
        raw = native_numbers.ask_for(connection, table.columns, table.row_count)
        wanted = WantedRows(table, table.columns, raw=raw)
        batches = reader.read_batches(SourceConnections(connection, settings), wanted)
        rows = sum(part.batch.num_rows if isinstance(part, LongRow) else part.num_rows for part in batches)
        print(f"{name}: {rows} rows")


if __name__ == "__main__":
    main()

"""The floor: a table's rows read in the same way, and thrown away. Nothing that copies can be faster.

python -m bench.floor TABLE [--env-file FILE]
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
    """Drain the table and print its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(find_env_file(arguments.env_file))
    connection = reader.connect(settings)
    table = find_table(read_tables(connection), arguments.table)
    raw = native_numbers.ask_for(connection, table.columns, table.row_count)
    batches = reader.read_batches(SourceConnections(connection, settings), WantedRows(table, table.columns, raw=raw))
    rows = sum(part.batch.num_rows if isinstance(part, LongRow) else part.num_rows for part in batches)
    print(f"{rows} rows")


if __name__ == "__main__":
    main()

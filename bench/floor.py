"""The floor: a table's rows read by the same lane, and thrown away. Nothing that copies can be faster.

python -m bench.floor TABLE [--env-file FILE]
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from db import connect_source, find_env_file, load_settings
from mssql import reader
from mssql.introspection import read_tables
from session import find_table


def main() -> None:
    """Drain the table and print its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    settings = load_settings(find_env_file(arguments.env_file))
    with closing(connect_source(settings)) as source:
        table = find_table(read_tables(source), arguments.table)
    connection = reader.connect(settings)
    rows = sum(batch.num_rows for batch in reader.read_batches(connection, settings, table, table.columns))
    print(f"{rows} rows")


if __name__ == "__main__":
    main()

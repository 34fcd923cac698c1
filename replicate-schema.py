#!/usr/bin/env python3
"""Recreate a SQL Server database's tables in PostgreSQL."""

import argparse
import sys

import schema_replication
from schema_replication import SchemaOptions
from session import add_shared_arguments, run_script, shared_options

EXAMPLES = """\
examples:
  python replicate-schema.py                            make every table
  python replicate-schema.py --resume                   go on where the last run stopped
  python replicate-schema.py --start-from-table Orders  Orders and all tables after it
  python replicate-schema.py --tables 'Sales.*' --exclude '*Log'
  python replicate-schema.py --recreate                 drop tables that differ, make them anew
  python replicate-schema.py --apply-drift              mend them where nothing is lost
  python replicate-schema.py --dry-run > schema.sql     the DDL, for reading or for psql
  python replicate-schema.py --reset                    move the progress file aside

exit codes: 0 all done, 1 some tables failed, 2 bad arguments or settings, 3 a server
cannot be reached, 4 another run is active, 130/143 stopped (progress is saved)
"""


def main() -> int:
    """Parse the arguments and run the schema phase."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_shared_arguments(parser, "schema")
    parser.add_argument(
        "--recreate", action="store_true", help="drop a table that exists and differs, with its rows, and make it anew"
    )
    parser.add_argument(
        "--apply-drift", action="store_true", help="add missing columns to tables that exist, and widen their types"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the DDL as a script for psql, touch nothing")
    arguments = parser.parse_args()
    options = shared_options(arguments)
    schema_options = SchemaOptions(arguments.recreate, arguments.apply_drift, arguments.dry_run)
    return run_script(lambda: schema_replication.run(options, schema_options), options.debug)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Recreate a SQL Server database's tables in PostgreSQL."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cli.flags import (
    ScriptParser,
    add_shared_arguments,
    asks_for_history,
    asks_for_status,
    progress_folder,
    refuse_together,
    shared_options,
    wishes_of,
)
from cli.history import show_history
from cli.installed import needed_packages
from cli.run_script import end_with, run_script, script_of
from cli.slips import given
from cli.status import show_status
from progress import DEFAULT_FILES
from schema_phase.options import SchemaOptions

if TYPE_CHECKING:
    from operations.run_result import RunResult
    from run.script import Script

EXAMPLES = """\
examples:
  python replicate-schema.py                            create every table
  python replicate-schema.py --resume                   continue where the last run stopped
  python replicate-schema.py --start-from-table Orders  Orders and all tables after it
  python replicate-schema.py --tables 'Sales.*' --exclude '*Log'
  python replicate-schema.py --recreate                 drop tables that differ, create them again
  python replicate-schema.py --apply-drift              fix them where nothing is lost
  python replicate-schema.py --check                    problems that a run would meet; touches nothing
  python replicate-schema.py --check-data               the same, and problems in the values
  python replicate-schema.py --dry-run > schema.sql     the DDL, for reading or for psql
  python replicate-schema.py --reset                    move the progress file aside
  python replicate-schema.py --history                  what the last runs came to

exit codes: 0 all done, 1 some tables failed (--check: something is in the way),
2 bad arguments or settings, 3 a server cannot be reached, 4 another run is active, 130/143 stopped (progress is saved)
"""


WORK_FLAGS = ("--no-truncate", "--start-from-table", "--tables", "--exclude", "--recreate", "--apply-drift")


def main() -> int:
    """Parse the arguments and run the schema phase."""
    parser = ScriptParser(__doc__, EXAMPLES, "schema")
    add_shared_arguments(parser, "schema")
    parser.add_argument(
        "--recreate",
        action="store_true",
        help="drop a table that exists but differs, with its rows, and create it again",
    )
    parser.add_argument(
        "--apply-drift", action="store_true", help="add missing columns to tables that exist, and widen their types"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the DDL as a script for psql, touch nothing")
    parser.add_argument(
        "--check",
        action="store_true",
        help="show the problems that a run would meet, and write them to schema_check.json",
    )
    parser.add_argument(
        "--check-data", action="store_true", help="--check, and count values that PostgreSQL cannot hold"
    )
    parser.add_argument(
        "--cluster", type=given, metavar="ADDRESS",
        help="with --check: ask the workers of this Dask cluster as well, as sync-data.py --cluster would",
    )  # fmt: skip
    arguments = parser.parse()
    if asks_for_history(parser, arguments):
        return show_history(progress_folder(shared_options(arguments), "schema"), arguments.history, arguments.json)
    if asks_for_status(parser, arguments):
        path = arguments.progress_file or Path(DEFAULT_FILES["schema"])
        return show_status(path, "schema", arguments.env_file, arguments.json)
    for flag, others, why in (
        ("--check", ("--reset", "--recreate", "--apply-drift", "--dry-run", "--resume"), "touches nothing"),
        ("--check-data", ("--reset", "--recreate", "--apply-drift", "--dry-run", "--resume"), "touches nothing"),
        ("--dry-run", ("--reset", "--recreate", "--apply-drift", "--resume"), "prints the DDL and touches nothing"),
        ("--recreate", ("--apply-drift",), "drops and creates tables that differ"),
        ("--new-session", ("--resume",), "begins anew"),
        ("--reset", ("--resume", "--new-session", *WORK_FLAGS), "moves the progress file aside and ends"),
    ):
        refuse_together(parser, arguments, flag, others, why)
    if arguments.cluster is not None and not (arguments.check or arguments.check_data):
        parser.error("--cluster goes with --check and --check-data; tables are made by this machine")
    options = shared_options(arguments)
    schema_options = SchemaOptions(
        arguments.recreate,
        arguments.apply_drift,
        arguments.dry_run,
        check=arguments.check or arguments.check_data,
        check_data=arguments.check_data,
        cluster=arguments.cluster,
    )
    script = script_of("replicate-schema.py", options, wishes_of(parser, arguments))
    folder = None if schema_options.dry_run else progress_folder(options, "schema")
    return run_script(script, folder, partial(_run, schema_options))


def _run(schema_options: SchemaOptions, script: Script) -> RunResult:
    # Here, since flags are read, and mistakes in them told, without the packages that the phase needs.
    with needed_packages():
        from schema_phase import phase  # noqa: PLC0415

    return phase.run(script, schema_options)


if __name__ == "__main__":
    end_with(main)

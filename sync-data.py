#!/usr/bin/env python3
"""Copy the rows of a SQL Server database into PostgreSQL."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

# numpy would start threads for linear algebra, which costs a fifth of a second and is not used here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cli.flags import (
    ScriptParser,
    add_cluster_flag,
    add_hiding_flags,
    add_neighbour_flags,
    add_refresh_flags,
    add_shared_arguments,
    asks_for_history,
    asks_for_status,
    is_given,
    progress_folder,
    refuse_together,
    shared_options,
    wishes_of,
    workers,
)
from cli.history import show_history
from cli.installed import needed_packages
from cli.run_script import end_with, run_script, script_of
from cli.status import show_status
from data_phase.options import ALLOWED, DataOptions
from progress import DEFAULT_FILES

if TYPE_CHECKING:
    from operations.run_result import RunResult
    from run.script import Script
    from verification.table_comparison import Mode

EXAMPLES = """\
examples:
  python sync-data.py                            copy every table
  python sync-data.py --resume                   continue where the last run stopped
  python sync-data.py --resume --no-truncate     keep the rows of partial tables
  python sync-data.py --nightly                  from cron: continue what is unfinished, else start anew
  python sync-data.py --start-from-table Orders  Orders and all tables after it
  python sync-data.py --tables 'Sales.*' --exclude '*Log'
  python sync-data.py --workers 4                four tables or chunks at a time
  python sync-data.py --verify                   copy nothing, compare every value on both sides
  python sync-data.py --verify=counts            copy nothing, compare row counts only
  python sync-data.py --resume --then-verify     continue, then compare the completed tables
  python sync-data.py --refresh merge            apply the differences only; readers see old rows or new ones
  python sync-data.py --on-error reject          leave out rows that PostgreSQL rejects, list them in rejects/
  python sync-data.py --retry-rejects            load them again, once the cause is fixed
  python sync-data.py --stop-at 06:00            end after the chunks under way at six; --resume goes on
  python sync-data.py --restore-keys             bring back what a stopped load had suspended
  python sync-data.py --reset                    move the progress file aside
  python sync-data.py --history                  what the last runs came to

exit codes: 0 all done, 1 some tables failed or differ or rows were rejected, 2 bad arguments or settings, 3 a server
cannot be reached, 4 another run is active, 5 --stop-at came first, 130/143 stopped (progress is saved)
"""


REFRESH_FLAGS = ("--refresh", "--switch", "--switch-anyway", "--verify-first")
HIDING_FLAGS = tuple(ALLOWED.values())
WORK_FLAGS = (
    "--no-truncate", "--start-from-table", "--tables", "--exclude", "--then-verify", "--consistent", "--on-error",
    "--with-schema", *REFRESH_FLAGS,
)  # fmt: skip


def main() -> int:
    """Parse the arguments and run the data phase."""
    parser = ScriptParser(__doc__, EXAMPLES, "data")
    add_shared_arguments(parser, "data")
    parser.add_argument(
        "--nightly", action="store_true",
        help="for cron: continue the last session if it is unfinished and younger than SESSION_MAX_AGE hours, else "
        "begin a new one",
    )  # fmt: skip
    parser.add_argument(
        "--with-schema", action="store_true",
        help="first compare the tables' structure on both sides; tables that would fail for it are not copied",
    )  # fmt: skip
    comparing = parser.add_mutually_exclusive_group()
    for flag, words in (
        ("--verify", "copy nothing; compare every value on both sides, or with =counts the row counts"),
        ("--then-verify", "after the load, compare the completed tables"),
    ):
        comparing.add_argument(
            flag, nargs="?", const="values", choices=("values", "counts"), metavar="counts", help=words
        )
    parser.add_argument("--workers", type=workers, metavar="N", help="tables and chunks copied at the same time")
    add_neighbour_flags(parser)
    add_refresh_flags(parser)
    add_hiding_flags(parser)
    add_cluster_flag(parser)
    parser.add_argument(
        "--on-error", choices=("fail", "reject"), default="fail",
        help="a row that PostgreSQL rejects fails its table (default), or is left out and listed in rejects/",
    )  # fmt: skip
    parser.add_argument(
        "--retry-rejects", action="store_true", help="copy nothing else; read rejected rows again and load them"
    )
    parser.add_argument(
        "--consistent", action=argparse.BooleanOptionalAction, default=None,
        help="read all tables from one snapshot of the source (a database snapshot, else SNAPSHOT transactions), or "
        "refuse to run; --no-consistent lets --resume continue without the session's snapshot",
    )  # fmt: skip
    arguments = parser.parse()
    if asks_for_history(parser, arguments):
        return show_history(progress_folder(shared_options(arguments), "data"), arguments.history, arguments.json)
    if asks_for_status(parser, arguments):
        path = arguments.progress_file or Path(DEFAULT_FILES["data"])
        return show_status(path, "data", arguments.env_file, arguments.json)
    refuse_together(
        parser, arguments, "--verify",
        ("--resume", "--reset", "--no-truncate", "--retry-rejects", "--consistent", "--on-error", "--with-schema",
         *REFRESH_FLAGS),
        "copies nothing (--then-verify compares after a load)",
    )  # fmt: skip
    refuse_together(
        parser, arguments, "--retry-rejects",
        ("--resume", "--reset", "--no-truncate", "--then-verify", "--consistent", "--with-schema",
         *REFRESH_FLAGS),
        "loads rejected rows only",
    )  # fmt: skip
    refuse_together(
        parser, arguments, "--nightly",
        ("--resume", "--new-session", "--no-truncate", "--start-from-table", "--retry-rejects", "--verify", "--reset"),
        "finds out by itself what is to be done",
    )  # fmt: skip
    refuse_together(
        parser, arguments, "--restore-keys",
        ("--resume", "--new-session", "--nightly", "--retry-rejects", "--verify", "--reset", "--max-rate", "--stop-at",
         *HIDING_FLAGS, *WORK_FLAGS), "brings back keys, indexes and triggers, and does nothing else",
    )  # fmt: skip
    if arguments.verify_first and arguments.then_verify is None:
        arguments.then_verify = "values"
    refuse_together(
        parser, arguments, "--no-truncate", ("--switch", "--switch-anyway", "--verify-first"),
        "keeps rows in the tables that readers see",
    )  # fmt: skip
    refuse_together(parser, arguments, "--verify", ("--max-rate", "--stop-at"), "copies nothing")
    refuse_together(
        parser, arguments, "--cluster", ("--retry-rejects", "--restore-keys", "--reset"), "is for loads and comparisons"
    )
    refuse_together(parser, arguments, "--new-session", ("--resume",), "begins anew")
    refuse_together(
        parser, arguments, "--reset", ("--resume", "--new-session", *HIDING_FLAGS, *WORK_FLAGS),
        "moves the progress file aside and ends",
    )  # fmt: skip
    allows = frozenset(kind for kind, flag in ALLOWED.items() if is_given(arguments, flag))
    options = replace(shared_options(arguments), nightly=arguments.nightly)
    script, folder = script_of("sync-data.py", options, wishes_of(parser, arguments)), progress_folder(options, "data")
    data_options = DataOptions(
        arguments.workers, arguments.on_error, arguments.retry_rejects, arguments.then_verify, arguments.consistent,
        arguments.max_rate, arguments.stop_at, arguments.refresh, arguments.switch, arguments.switch_anyway,
        arguments.verify_first, allows, arguments.cluster,
    )  # fmt: skip
    if arguments.verify:
        return run_script(script, folder, partial(_verify, arguments.verify, data_options), "Nothing was changed.")
    if arguments.restore_keys:
        return run_script(script, folder, partial(_restore_keys, arguments.workers))
    return run_script(script, folder, partial(_run_with_schema if arguments.with_schema else _run, data_options))


# Flags are read, and mistakes in them told, without the packages that the phase needs; which are missing is told then.


def _run(data_options: DataOptions, script: Script) -> RunResult:
    with needed_packages():
        from data_phase import phase  # noqa: PLC0415

    return phase.run(script, data_options)


def _run_with_schema(data_options: DataOptions, script: Script) -> RunResult:
    with needed_packages():
        from data_phase import phase  # noqa: PLC0415
        from schema_phase import drift_check  # noqa: PLC0415

    return phase.run(script, data_options, drift_check.look)


def _restore_keys(workers: int | None, script: Script) -> RunResult:
    with needed_packages():
        from data_phase import phase  # noqa: PLC0415

    return phase.restore_keys(script, workers)


def _verify(mode: Mode, data_options: DataOptions, script: Script) -> RunResult:
    with needed_packages():
        from data_phase import phase  # noqa: PLC0415

    return phase.verify(script, mode, data_options)


if __name__ == "__main__":
    end_with(main)

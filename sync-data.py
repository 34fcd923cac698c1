#!/usr/bin/env python3
"""Copy the rows of a SQL Server database into PostgreSQL."""

import argparse
import os

# numpy would start threads for linear algebra, which costs a fifth of a second and is not used here.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cli.session import add_shared_arguments, end_with, positive, run_script, shared_options
from data_phase import phase as data_sync
from data_phase.rejecting import OnRefusal

EXAMPLES = """\
examples:
  python sync-data.py                            copy every table
  python sync-data.py --resume                   go on where the last run stopped
  python sync-data.py --resume --no-truncate     keep the rows of partial tables
  python sync-data.py --start-from-table Orders  Orders and all tables after it
  python sync-data.py --tables 'Sales.*' --exclude '*Log'
  python sync-data.py --workers 4                four tables or chunks at a time
  python sync-data.py --verify                   copy nothing, compare every value of both sides
  python sync-data.py --verify=counts            copy nothing, compare the numbers of rows
  python sync-data.py --resume --then-verify     go on, then compare what was copied
  python sync-data.py --on-error reject          leave out rows that PostgreSQL refuses, into rejects/
  python sync-data.py --retry-rejects            load them again, after the cause was mended
  python sync-data.py --reset                    move the progress file aside

exit codes: 0 all done, 1 some tables failed or differ or rows were rejected, 2 bad arguments or settings, 3 a server
cannot be reached, 4 another run is active, 130/143 stopped (progress is saved)
"""


def main() -> int:
    """Parse the arguments and run the data phase."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add_shared_arguments(parser, "data")
    comparing = parser.add_mutually_exclusive_group()
    for flag, words in (
        ("--verify", "copy nothing; compare every value of both sides, or with =counts the numbers of rows"),
        ("--then-verify", "after the load, compare the tables that are completed"),
    ):
        comparing.add_argument(
            flag, nargs="?", const="values", choices=("values", "counts"), metavar="counts", help=words
        )
    parser.add_argument("--workers", type=positive, metavar="N", help="tables and chunks copied at the same time")
    parser.add_argument(
        "--on-error", choices=("fail", "reject"), default="fail",
        help="what a row does that PostgreSQL refuses: fail its table (default), or go to rejects/",
    )  # fmt: skip
    parser.add_argument(
        "--retry-rejects", action="store_true", help="copy nothing else; read rejected rows anew and load them"
    )
    parser.add_argument(
        "--consistent", action=argparse.BooleanOptionalAction, default=None,
        help="read all tables at one moment: by a database snapshot, else by SNAPSHOT sessions, else not at all; "
        "--no-consistent lets --resume go on where that moment is over",
    )  # fmt: skip
    arguments = parser.parse_args()
    if (arguments.verify or arguments.then_verify) and arguments.retry_rejects:
        parser.error("comparing and --retry-rejects are two runs")
    options = shared_options(arguments)
    if arguments.verify:
        return run_script(
            lambda: data_sync.verify(options, arguments.verify, arguments.workers),
            options.debug,
            "Nothing was changed.",
        )
    on_refusal = OnRefusal(arguments.on_error == "reject", arguments.retry_rejects)
    return run_script(
        lambda: data_sync.run(options, arguments.workers, on_refusal, arguments.then_verify, arguments.consistent),
        options.debug,
    )


if __name__ == "__main__":
    end_with(main)

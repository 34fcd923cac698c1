"""What is left to do for a table once its rows are there, without the source: beside the workers, or after a kill."""

from __future__ import annotations

import psycopg2

from data_phase.chunk_copy import ANALYZED_APART
from data_phase.connection_pair import ConnectionPair
from data_phase.loading import Loading
from db import target_words
from model.catalog import Table
from model.errors import UnreachableError
from postgres import loader, statistics
from postgres.names import target_name
from run.context import Run
from run.plan import Plan
from run.target_connections import has_one_more

#: seconds for which a table that others hold is waited for
PATIENCE_S = 5.0


def finisher(loading: Loading, pair: ConnectionPair) -> ConnectionPair | None:
    """Connections for one who finishes tables while the workers copy the next ones.

    None where PostgreSQL has no connection to spare, or no table to finish while another one travels.
    """
    tables = [work.table for work in loading.plan.work]
    if len(tables) < 2 or not any(map(_takes_long_to_finish, tables)):
        return None
    if not has_one_more(loading.workers.now, pair.target):
        return None
    one = ConnectionPair(loading.run.settings)
    try:
        # At once, since others may take what is left now.
        assert one.target
    except UnreachableError:
        return None
    return one


def _takes_long_to_finish(table: Table) -> bool:
    return table.row_count * len(table.columns) >= ANALYZED_APART


def analyze_what_was_left(this_run: Run, plan: Plan, pair: ConnectionPair) -> None:
    """Let the planner know the tables that are completed, where an earlier run was killed before it had done so."""
    tracker = this_run.tracker
    done = [table for table in plan.done if tracker.status(table.key) == "completed"]
    for target in statistics.never_analyzed(pair.target, [target_name(table, this_run.settings) for table in done]):
        try:
            loader.analyze_patiently(pair.target, target, PATIENCE_S)
            this_run.display.say(f"📊 {target} is analyzed, which an earlier run did not get to")
        except psycopg2.Error as error:
            loader.roll_back(pair.target)
            this_run.display.say(f"⚠️ {target} could not be analyzed: {target_words(error)}")

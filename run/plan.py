"""What a run has to do: its tables, those that are done already, and the session that it begins or continues."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from hand_edits.statuses import OVER
from model.catalog import Table
from model.errors import UsageError
from model.visible import listed, on_one_line
from progress import ProgressTracker
from run.context import Run
from run.display import Display, Line, summary_banner, summary_line
from run.nightly import LastSession, decide
from run.options import Options
from run.type_map import difference


@dataclass(frozen=True)
class Work:
    """One table of a run: its number among all of the run's tables, and how it was left before."""

    number: int
    table: Table
    is_partial: bool


@dataclass(frozen=True)
class Plan:
    """What a run will do: all its tables in order, those to work on, and how many it skips as done.

    `affected` are those that the run is about, also where they are done. With `is_new` it begins a session; `is_known`
    says whether there is a progress file.
    """

    tables: tuple[Table, ...]
    work: tuple[Work, ...]
    affected: tuple[Table, ...] = ()
    is_new: bool = True
    is_known: bool = False

    @property
    def keys(self) -> list[str]:
        """The tables' names in the progress file."""
        return [table.key for table in self.tables]

    @property
    def done(self) -> tuple[Table, ...]:
        """The tables that the run would have to do, were they not done already."""
        working = {one.table.key for one in self.work}
        return tuple(table for table in self.affected if table.key not in working)

    def with_more(self, keys: Set[str]) -> Plan:
        """The same, with tables that were taken for done and are not."""
        working = {one.table.key: one for one in self.work}
        work = tuple(
            working.get(table.key) or Work(number, table, is_partial=False)
            for number, table in enumerate(self.tables, start=1)
            if table.key in working or table.key in keys
        )
        return replace(self, work=work)

    def without(self, keys: Set[str]) -> Plan:
        """The same, without tables that a person has taken from the run."""
        return replace(self, work=tuple(one for one in self.work if one.table.key not in keys))


def plan_run(run: Run) -> Plan:
    """Read the progress file and see what is to be done. Changes nothing.

    Raises UsageError and ProgressFileError.
    """
    tracker, options, tables, affected = run.tracker, run.options, run.tables, run.affected
    is_known = tracker.load()
    done: set[str] = set()
    partial: set[str] = set()
    is_new = not (_goes_on_tonight(run, is_known=is_known) if options.nightly else options.resume and is_known)
    for name, key in tracker.respelled.items():
        run.display.say(f"📋 {on_one_line(name)} in {tracker.path} is taken for {on_one_line(key)}")
    for bare, keys in tracker.ambiguous.items():
        run.display.say(
            f"⚠️ {bare} in {tracker.path} may mean any of {', '.join(keys)}: none of them counts as done, so each is "
            f"done again."
        )
    if not is_new:
        _refuse_other_types(run)
    for table in affected:
        status = tracker.status(table.key)
        if status == "skipped" or (status == "completed" and not is_new):
            done.add(table.key)
        elif status in ("in_progress", "failed") and not is_new:
            partial.add(table.key)
    affected_keys = {table.key for table in affected}
    work = tuple(
        Work(number, table, table.key in partial)
        for number, table in enumerate(tables, start=1)
        if table.key in affected_keys and table.key not in done
    )
    return Plan(tables, work, affected, is_new, is_known)


def _goes_on_tonight(run: Run, *, is_known: bool) -> bool:
    """Whether a nightly run goes on with the session in the progress file; said with the reason."""
    tracker, last = run.tracker, None
    if is_known:
        statuses = [tracker.status(table.key) for table in run.affected]
        is_closed_because = None
        if difference(tracker.type_map, run.type_map):
            is_closed_because = "it has another type map"
        elif tracker.consistency and "database" not in tracker.consistency:
            is_closed_because = "the snapshot of the source that it read ended with its run"
        last = LastSession(
            tracker.begun_at,
            len(statuses) - statuses.count("completed") - statuses.count("skipped"),
            statuses.count("failed"),
            tracker.ended_at.replace("T", " "),
            is_closed_because,
        )
    decision = decide(last, datetime.now(), run.settings.session_max_age)
    run.display.say(f"🌙 {decision.words}")
    return decision.continues


def begin_session(run: Run, plan: Plan) -> None:
    """Say what the last session left, and begin or continue a session in the progress file.

    Raises ProgressFileError.
    """
    tracker, options, keys = run.tracker, run.options, [table.key for table in plan.affected]
    if plan.is_new:
        if plan.is_known and not options.nightly:
            _tell_about_last_session(tracker, keys, options, run.display)
        elif options.resume:
            run.display.say(f"There is no progress file {tracker.path}: this is a new session.")
        tracker.start_session(keys, keep_others=options.is_partial, type_map=run.type_map.document)
    else:
        tracker.add_tables(keys)
        summary = tracker.summary(plan.keys)
        run.display.tell(Line(summary_banner(summary), in_log=summary_line(summary), event="progress"))
    _tell_what_is_left_out(run, plan)
    if not plan.tables and (options.tables or options.exclude):
        run.display.say("⚠️ --tables and --exclude leave no table to work on.")
    elif not plan.tables and (run.settings.tables or run.settings.exclude):
        run.display.say("⚠️ TABLES and EXCLUDE in the settings leave no table to work on.")
    elif not plan.tables:
        run.display.say(
            "⚠️ The source shows no table to this login: check MSSQL_DATABASE, and the login's rights (db_datareader)."
        )
    elif not plan.work:
        run.display.say(_nothing_left(run, plan))


def _nothing_left(run: Run, plan: Plan) -> str:
    """That all is done, since when, and how it is done once more."""
    statuses = {run.tracker.status(table.key) for table in plan.affected}
    done = "completed or skipped" if "skipped" in statuses else "completed"
    ended = run.tracker.ended_at.replace("T", " ")
    again = "look at every table again" if run.tracker.phase == "schema" else "copy every table again"
    return (
        f"✅ Nothing left to do: every table is {done}. This session ended at {ended}. To {again}, run without "
        "--resume; for a few of them, name these with --tables instead."
    )


def _tell_what_is_left_out(run: Run, plan: Plan) -> None:
    """Say which tables a person marked as skipped, and which the source no longer has."""
    tracker, gone = run.tracker, run.tracker.gone
    skipped = [table.key for table in plan.affected if tracker.status(table.key) == "skipped"]
    run.recorder.leaves_out(skipped, gone)
    if skipped:
        run.display.say(
            f'⏭️ Left out, since {tracker.path} has {"it" if len(skipped) == 1 else "them"} as "skipped": '
            f'{listed(skipped)}. To have a table done again, set it to "pending" there, or remove its entry.'
        )
    if gone:
        names = [f"{key} (since {since.replace('T', ' ')})" for key, since in gone.items()]
        run.display.say(
            f"⚠️ The source no longer has, or no longer shows to this login: {listed(names)}. What the target has of "
            f"{'it' if len(gone) == 1 else 'them'} stays as it is. Remove the entry from {tracker.path}, or set it to "
            f'"skipped", and this is no longer said.'
        )


def _refuse_other_types(run: Run) -> None:
    """Raise UsageError where the session was begun with other type options: its tables would not fit the rest."""
    unlike = difference(run.tracker.type_map, run.type_map)
    if unlike:
        told = "\n  ".join(unlike)
        raise UsageError(
            f"--resume: the session in {run.tracker.path} was begun with another type map:\n  {told}\n"
            f"Nothing was changed. Resume with the type map of that session, or start over without --resume."
        )


def _tell_about_last_session(tracker: ProgressTracker, keys: Sequence[str], options: Options, display: Display) -> None:
    # What a setting leaves out since then is not left to do.
    left = sum(tracker.status(key) not in OVER for key in keys if tracker.entry(key))
    if left and not options.is_partial:
        display.say(
            f"⚠️ The last session did not finish ({left} tables left); --resume would have continued it. "
            f"This run starts over."
        )

"""What a run does: the flags both scripts share, which tables they mean, and how a run ends.

Exit codes: 0 all done · 1 some tables failed · 2 bad arguments or settings · 3 a server cannot be
reached or refuses the login · 4 another run holds the lock · 130/143 stopped by a signal.
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cli.display.choice import choose_display
from cli.display.plain import Display, PlainDisplay, closing_block, summary_banner
from cli.type_map import TypeMap, difference, read_type_map
from db import Settings, as_utf8, find_env_file, load_settings
from model.catalog import Table
from model.errors import (
    ALL_DONE,
    BAD_ARGUMENTS,
    SOME_FAILED,
    OutputError,
    ProgressFileError,
    ReplicationError,
    ServerError,
    Stopped,
    UnreachableError,
    UsageError,
)
from model.visible import on_one_line, visible
from postgres.names import check_collisions, check_schemas
from progress import DEFAULT_FILES, Phase, ProgressTracker
from type_mapping import check_types

TABLES_BETWEEN_BANNERS = 10


@dataclass(frozen=True)
class Options:
    """The flags that both scripts share."""

    resume: bool = False
    truncate: bool = True
    start_from_table: str | None = None
    reset: bool = False
    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env_file: Path | None = None
    progress_file: Path | None = None
    type_map: Path | None = None
    debug: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether the run leaves some tables alone, whose entries then stay as they are."""
        return bool(self.tables or self.exclude or self.start_from_table)


@dataclass(frozen=True)
class Run:
    """What a run works with, once its settings and the source's catalog are read."""

    options: Options
    settings: Settings
    tracker: ProgressTracker
    display: Display
    tables: tuple[Table, ...]
    type_map: TypeMap = field(default_factory=TypeMap)


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


# -- flags -----------------------------------------------------------------------------------


def add_shared_arguments(parser: argparse.ArgumentParser, phase: Phase) -> None:
    """Declare the flags of DESIGN §3."""
    parser.add_argument("--resume", action="store_true", help="continue the last session, skip completed tables")
    parser.add_argument("--start-from-table", metavar="T", help="leave the tables before T alone")
    parser.add_argument("--reset", action="store_true", help="move the progress file aside and exit")
    parser.add_argument("--no-truncate", action="store_true", help=_NO_TRUNCATE[phase])
    parser.add_argument(
        "--tables", action="append", default=[], metavar="GLOB",
        help="only these tables (Orders, Sales.*, *Log); commas or several times",
    )  # fmt: skip
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="not these tables; commas or several times"
    )
    parser.add_argument(
        "--env-file", type=Path, metavar="FILE", help="settings (default: .env here, else beside the script)"
    )
    parser.add_argument(
        "--progress-file", type=Path, metavar="FILE", help=f"where progress is kept (default: {DEFAULT_FILES[phase]})"
    )
    parser.add_argument(
        "--type-map", type=Path, metavar="FILE", help="how types and columns cross, where not as usual (JSON)"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")


_NO_TRUNCATE: dict[Phase, str] = {
    "data": "keep the rows that are there: with --resume a partial table is continued; rows of other tables are "
    "added to what is there, with a warning",
    "schema": "accepted for symmetry with sync-data.py; this script never empties a table",
}


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def shared_options(arguments: argparse.Namespace) -> Options:
    """The parsed flags as plain data."""
    return Options(
        resume=arguments.resume,
        truncate=not arguments.no_truncate,
        start_from_table=as_utf8(arguments.start_from_table) if arguments.start_from_table else None,
        reset=arguments.reset,
        tables=_globs(arguments.tables),
        exclude=_globs(arguments.exclude),
        env_file=arguments.env_file,
        progress_file=arguments.progress_file,
        type_map=arguments.type_map,
        debug=arguments.debug,
    )


def _globs(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in as_utf8(value).split(",") if part.strip())


# -- beginning -------------------------------------------------------------------------------


def reset(tracker: ProgressTracker, display: Display) -> int:
    """Move the progress file aside, whatever it holds; returns the exit code."""
    moved = tracker.reset()
    display.say(f"Progress file moved to {moved}" if moved else f"There is no progress file {tracker.path}")
    return ALL_DONE


def load_run_settings(options: Options) -> Settings:
    """The settings that the options point at, and those that flags override. Raises SettingsError."""
    settings = load_settings(find_env_file(options.env_file))
    return replace(settings, type_map=options.type_map) if options.type_map is not None else settings


def run_over(tables: Sequence[Table], options: Options, settings: Settings, tracker: ProgressTracker) -> Run:
    """A run over those of the source's tables that the options ask for.

    Refuses what cannot be carried out, before anything is touched: raises UsageError, TypeMapError,
    UnsupportedTypeError and NameCollisionError.
    """
    type_map = read_type_map(settings.type_map).resolved(tables)
    selected = select_tables(type_map.apply(tables), options)
    tracker.know_bare_keys((table.bare_key, table.key) for table in tables)
    check_types(selected)
    check_collisions(selected, settings)
    check_schemas(selected, settings)
    return Run(options, settings, tracker, choose_display(), selected, type_map)


def announce(run: Run) -> None:
    """Say between what the run works, and where it keeps its progress."""
    run.display.say(f"🔌 Source: {run.settings.source.label} through {run.settings.source.driver.label}")
    run.display.say(f"🔌 Target: {run.settings.target.label}")
    if run.type_map.path is not None:
        entries = len(run.type_map.lines)
        run.display.say(f"📋 Type map: {run.type_map.path} ({entries} entr{'y' if entries == 1 else 'ies'})")
    run.display.say(f"📋 Progress: {run.tracker.path}")


# -- which tables ----------------------------------------------------------------------------


def select_tables(tables: Iterable[Table], options: Options) -> tuple[Table, ...]:
    """The tables that `--tables` and `--exclude` leave, in the fixed order.

    A glob without a dot matches bare names in any schema; with one, `schema.table`; both without case. One that is a
    table's name as the progress file has it (`[a.b]`) means that table. Raises UsageError for a glob that matches
    nothing, so that a typing error is not a silent no-op.
    """
    everything = tuple(tables)
    chosen: dict[str, set[str]] = {}
    for option, globs in (("--tables", options.tables), ("--exclude", options.exclude)):
        found = [_matching(everything, glob) for glob in globs]
        for glob, some in zip(globs, found, strict=True):
            if not some:
                raise UsageError(f"{option} {glob}: no table matches{_near(glob, everything)}")
        chosen[option] = {table.key for some in found for table in some}
    return tuple(
        table
        for table in everything
        if (not options.tables or table.key in chosen["--tables"]) and table.key not in chosen["--exclude"]
    )


def _matching(tables: Sequence[Table], glob: str) -> list[Table]:
    pattern = glob.lower()
    ways: tuple[Callable[[Table], bool], ...] = (
        lambda table: "[" in glob and pattern in (table.key.lower(), table.full_name.lower()),
        lambda table: any(
            fnmatch.fnmatchcase(table.schema.lower(), pattern[: dot.start()])
            and fnmatch.fnmatchcase(table.name.lower(), pattern[dot.end() :])
            for dot in re.finditer(r"\.", pattern)
        ),
        lambda table: fnmatch.fnmatchcase(table.name.lower(), pattern),
    )
    return next((found for is_meant in ways if (found := [table for table in tables if is_meant(table)])), [])


def find_table(tables: Sequence[Table], name: str) -> Table:
    """The one table of that name, bare or `schema.table`, with brackets or without, without case.

    Raises UsageError with near matches when there is none, and with the candidates when there are several.
    """
    wanted = name.strip().lower()
    # In T-SQL's brackets a dot is part of a name, and is no dot between names.
    parts = [
        (bracketed or bare).replace("]]", "]")
        for bracketed, bare in re.findall(r"\[((?:[^]]|\]\])*)\]|([^.]+)", wanted)
    ]
    found = [table for table in tables if parts == [table.schema.lower(), table.name.lower()]]
    found = found or [table for table in tables if parts == [table.name.lower()]]
    found = found or [table for table in tables if wanted in (table.bare_key.lower(), table.name.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"--start-from-table {name}: there is no such table{_near(name, tables)}")
    candidates = ", ".join(table.full_name for table in found)
    raise UsageError(f"--start-from-table {name}: several tables have that name: {candidates}. Give schema.table.")


def _near(name: str, tables: Iterable[Table]) -> str:
    spellings = {spelling.lower(): table.full_name for table in tables for spelling in (table.name, table.full_name)}
    near = difflib.get_close_matches(name.lower(), spellings, n=5, cutoff=0.5)
    names = list(dict.fromkeys(spellings[spelling] for spelling in near))
    return f". Near: {', '.join(names)}" if names else ""


def plan_run(run: Run) -> Plan:
    """Read the progress file and see what is to be done. Changes nothing.

    Raises UsageError and ProgressFileError.
    """
    tracker, options, tables = run.tracker, run.options, run.tables
    start = find_table(tables, options.start_from_table) if options.start_from_table else None
    affected = tuple(table for table in tables if start is None or table.sort_key >= start.sort_key)
    is_known = tracker.load()
    done: set[str] = set()
    partial: set[str] = set()
    is_new = not (options.resume and is_known)
    for bare, keys in tracker.ambiguous.items() if options.resume else ():
        run.display.say(
            f"⚠️ {bare} in {tracker.path} may mean any of {', '.join(keys)}: none of them is taken to be done, each is "
            f"done anew."
        )
    if not is_new:
        _refuse_other_types(run)
        for table in affected:
            status = tracker.status(table.key)
            if status in ("completed", "skipped"):
                done.add(table.key)
            elif status in ("in_progress", "failed"):
                partial.add(table.key)
    affected_keys = {table.key for table in affected}
    work = tuple(
        Work(number, table, table.key in partial)
        for number, table in enumerate(tables, start=1)
        if table.key in affected_keys and table.key not in done
    )
    return Plan(tables, work, affected, is_new, is_known)


def begin_session(run: Run, plan: Plan) -> None:
    """Say what the last session left, and begin or continue a session in the progress file.

    Raises ProgressFileError.
    """
    tracker, options, keys = run.tracker, run.options, [table.key for table in plan.affected]
    if plan.is_new:
        if plan.is_known:
            _tell_about_last_session(tracker, options, run.display)
        elif options.resume:
            run.display.say(f"There is no progress file {tracker.path}: this is a new session.")
        tracker.start_session(keys, keep_others=options.is_partial, type_map=run.type_map.document)
    else:
        tracker.add_tables(keys)
        run.display.say(summary_banner(tracker.summary(plan.keys)))
    if not plan.tables and (options.tables or options.exclude):
        run.display.say("⚠️ --tables and --exclude leave no table.")
    elif not plan.tables:
        run.display.say(
            "⚠️ The source shows no table to this login: check MSSQL_DATABASE, and the login's rights (db_datareader)."
        )
    elif not plan.work:
        run.display.say("✅ Nothing left to do: every table is completed.")


def _refuse_other_types(run: Run) -> None:
    """Raise UsageError where the session was begun with other type options: its tables would not fit the rest."""
    unlike = difference(run.tracker.type_map, run.type_map)
    if unlike:
        listed = "\n  ".join(unlike)
        raise UsageError(
            f"--resume: the session in {run.tracker.path} was begun with another type map:\n  {listed}\n"
            f"Nothing was changed. Resume with the type map that it began with, or start over without --resume."
        )


def _tell_about_last_session(tracker: ProgressTracker, options: Options, display: Display) -> None:
    if tracker.unfinished and not options.is_partial:
        display.say(
            f"⚠️ The last session did not finish ({tracker.unfinished} tables left); --resume would have continued it. "
            f"This run starts over."
        )


# -- the loop --------------------------------------------------------------------------------


def work_through(
    run: Run, plan: Plan, do_table: Callable[[Work], None], expected: tuple[type[Exception], ...]
) -> list[str]:
    """Do one table after another; returns the keys of those that failed, while the run went on.

    `do_table` completes the table in the tracker. The errors of `expected` carry words for a person;
    any other is a fault of this tool, recorded all the same. UnreachableError ends the run: the tables
    that are left stay as they are for `--resume`.
    """
    failed: list[str] = []
    for done, work in enumerate(plan.work):
        if done and done % TABLES_BETWEEN_BANNERS == 0:
            run.display.say("\n" + summary_lines(run, plan))
        run.display.say(f"\n[{work.number}/{len(plan.tables)}] Processing: {on_one_line(work.table.key)}")
        try:
            do_table(work)
        except (UnreachableError, ProgressFileError):
            raise
        except Exception as error:
            words = run.settings.secrets.hide(str(error) if isinstance(error, expected) else unexpected(error))
            if run.options.debug:
                run.display.say(run.settings.secrets.hide(traceback.format_exc().rstrip()))
            run.tracker.fail(work.table.key, words)
            failed.append(work.table.key)
            run.display.say(f"❌ {work.table.full_name} failed: {on_one_line(words)}")
    return failed


def unexpected(error: Exception) -> str:
    """An error that carries no words for a person, in words."""
    return (
        f"a fault that this tool did not foresee, and nothing of what was under way was kept: {error} "
        f"({type(error).__name__}). --debug shows where; the other tables are not concerned, and --resume tries again"
    )


def summary_lines(run: Run, plan: Plan) -> str:
    """The banner over the run's tables as they stand now."""
    return summary_banner(run.tracker.summary(plan.keys))


def close_run(run: Run, plan: Plan, failed: Sequence[str], title: str, verb: str, extra: list[tuple[str, str]]) -> int:
    """Say how the run ended, with each failed table and its error; returns the exit code.

    `extra` lines follow the counts; `verb` completes "2 tables failed to …".
    """
    run.display.say("\n" + summary_lines(run, plan))
    counts = [
        ("Total tables", str(len(plan.tables))),
        ("Successful", str(len(plan.work) - len(failed))),
        ("Skipped", str(len(plan.tables) - len(plan.work))),
        ("Failed", str(len(failed))),
    ]
    run.display.say("\n" + closing_block(title, counts + extra))
    if not failed:
        return ALL_DONE
    run.display.say(f"⚠️ {len(failed)} table{'s' if len(failed) != 1 else ''} failed to {verb}")
    for key in failed:
        run.display.say(f"   ❌ {on_one_line(key)}: {on_one_line(run.tracker.error(key) or '')}")
    run.display.say("💡 Use --resume to continue from failure point")
    return SOME_FAILED


def write_out(text: str) -> int:
    """Write what a run is for to standard output; returns the exit code.

    A terminal gets it with control characters escaped; a file and a pipe as it is. Raises UsageError where it cannot
    be written whole, unless its reader has read enough.
    """
    try:
        print(visible(text) if sys.stdout.isatty() else text, end="", flush=True)
    except BrokenPipeError:
        return ALL_DONE
    except (OSError, ValueError, AttributeError) as error:
        # Without standard output there is no `sys.stdout`.
        raise OutputError(f"standard output cannot be written: {getattr(error, 'strerror', None) or error}") from None
    return ALL_DONE


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Stopped, raised in the main thread."""

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal must be able to end a run that hangs while it stops.
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_script(
    run: Callable[[], int], debug: bool, after_stop: str = "Progress is saved; --resume continues from here."
) -> int:
    """Run a phase; every error that ends it becomes words on standard error and its exit code.

    `after_stop` is what a person is told when a signal stopped it.
    """
    try:
        with stop_on_signals():
            return run()
    except Stopped as stop:
        name = "Ctrl-C" if stop.number == signal.SIGINT else signal.Signals(stop.number).name
        _complain(f"🛑 Stopped by {name}. {after_stop}")
        leave(128 + stop.number)
    except ServerError as error:
        _complain(f"❌ {error}")
        _trace(debug)
        # While the error is still held: letting go of it frees what a worker hangs in.
        leave(error.exit_code)
    except ReplicationError as error:
        _complain(f"❌ {error}")
        _trace(debug)
        return error.exit_code
    except Exception as error:
        _complain(f"❌ A fault of this tool: {type(error).__name__}: {error}. --debug shows where; --resume goes on.")
        _trace(debug)
        return SOME_FAILED


def end_with(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main` and end the process with its exit code, also where argparse ends it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else a connection would get the number of a standard stream that was closed, and what is written there.
            os.open(os.devnull, os.O_RDWR)
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else ALL_DONE if ended.code is None else BAD_ARGUMENTS
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process with this exit code at once, without letting go of anything.

    A thread of a driver may wait for the source for ever, and freeing its connection waits with it. The system
    closes what is open.
    """
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have gone.
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)


def _trace(debug: bool) -> None:
    if debug:
        _complain(traceback.format_exc().rstrip())


def _complain(text: str) -> None:
    PlainDisplay(sys.stderr).say(text)

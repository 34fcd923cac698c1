"""The schema phase: SQL Server's structure recreated in PostgreSQL.

Tables first, each with its defaults, checks and comments in one transaction; then keys and indexes; then
foreign keys. Every step looks at what is there already, so a run that was killed anywhere goes on with
`--resume`, and a second run changes nothing. The rows are never needed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2

from catalog import Database, Finding
from db import Settings, UnreachableError, connect_source, connect_target, target_words
from display import choose_display
from mssql import expressions
from mssql.introspection import read_database
from postgres import ddl
from postgres.ddl import Expressions, NamedStep, SchemaPlan, Step, TablePlan
from postgres.drift import differences
from postgres.names import fold, quote
from postgres.shape import TargetTable, read_features, read_tables, target_schemas
from progress import DEFAULT_FILES, ProgressTracker
from report import write_report
from session import (
    ALL_DONE,
    Options,
    Plan,
    Run,
    Work,
    announce,
    close_run,
    load_run_settings,
    plan_run,
    reset,
    run_over,
    work_through,
)
from type_mapping import TargetFeatures

STEPS = ("table", "indexes", "foreign_keys")


class SchemaError(Exception):
    """A table could not be made, or one that exists does not fit; the message says why."""


@dataclass(frozen=True)
class SchemaOptions:
    """The flags that only the schema phase has."""

    recreate: bool = False
    apply_drift: bool = False
    dry_run: bool = False


def run(options: Options, schema_options: SchemaOptions) -> int:
    """Make everything that the options ask for; returns the exit code.

    Raises what `session.run_script` turns into words.
    """
    display = choose_display()
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["schema"]), "schema")
    if schema_options.dry_run:
        this_run, database = _read(options, tracker)
        with closing(connect_target(this_run.settings)) as target:
            plan = _plan(this_run, database, _Target.read(target, this_run))
        print(ddl.script(plan), end="")
        return ALL_DONE
    with tracker.lock():
        if options.reset:
            return reset(tracker, display)
        this_run, database = _read(options, tracker)
        with closing(connect_target(this_run.settings)) as connection:
            target = _Target.read(connection, this_run)
            plan = _plan(this_run, database, target)
            announce(this_run)
            work = plan_run(this_run)
            if not work.work:
                return ALL_DONE
            return _replicate(this_run, database, plan, work, target, schema_options)


def _read(options: Options, tracker: ProgressTracker) -> tuple[Run, Database]:
    settings = load_run_settings(options)
    with closing(connect_source(settings)) as source:
        database = read_database(source)
    return run_over(database.tables, options, settings, tracker), database


@dataclass
class _Target:
    """The target as the phase finds it."""

    connection: Any
    features: TargetFeatures
    tables: dict[Any, TargetTable]

    @staticmethod
    def read(connection: Any, this_run: Run) -> _Target:
        """Raises UnreachableError."""
        try:
            features = read_features(connection)
            return _Target(
                connection, features, read_tables(connection, target_schemas(this_run.tables, this_run.settings))
            )
        except psycopg2.Error as error:
            raise UnreachableError(f"the target's catalog cannot be read: {target_words(error)}") from None


def _plan(this_run: Run, database: Database, target: _Target) -> SchemaPlan:
    settings = this_run.settings

    def column_name(name: str) -> str:
        return quote(fold(name, settings))

    def sequence_name(schema: str, name: str) -> str:
        for sequence in database.sequences:
            if (sequence.schema.lower(), sequence.name.lower()) == (schema.lower(), name.lower()):
                return ddl.sequence_name(sequence, settings)
        raise LookupError(f"{schema}.{name}")

    translated = Expressions(
        default=lambda column: expressions.translate_default(
            column.default.text if column.default else "", column, sequence_name=sequence_name
        ),
        check=lambda text, table: expressions.translate_check(text, table, column_name),
        computed=lambda column, table: expressions.translate_computed(
            column.computed.text if column.computed else "", column, table, column_name
        ),
        filter=lambda text, table: expressions.translate_filter(text, table, column_name),
    )
    return ddl.plan_schema(database, this_run.tables, target.tables, settings, target.features, translated)


# -- carrying it out -------------------------------------------------------------------------


@dataclass
class _Outcomes:
    """Findings as they came true, by kind and name; the report is made of them."""

    findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def note(self, findings: Iterable[Finding]) -> None:
        """Findings that hold now, in place of earlier ones of the same objects."""
        for finding in findings:
            self.findings[(finding.kind, finding.name)] = finding

    def planned(self, plan: SchemaPlan) -> None:
        """What holds if nothing is refused."""
        self.note(plan.findings)
        steps = [step for named in plan.before for step in named.steps]
        for table in plan.tables:
            self.note(table.findings)
            steps += [*table.create, *table.details]
            steps += [step for named in (*table.keys, *table.foreign_keys) for step in named.steps]
        self.note(step.finding for step in steps if step.finding is not None)


def _replicate(
    this_run: Run,
    database: Database,
    plan: SchemaPlan,
    work: Plan,
    target: _Target,
    schema_options: SchemaOptions,
) -> int:
    started = time.monotonic()
    outcomes = _Outcomes()
    outcomes.planned(plan)
    plans = {table.table.key: table for table in plan.tables}
    _recall(this_run.tracker, plans, outcomes)
    builder = _Builder(this_run, target, outcomes, schema_options)
    builder.make_schemas(plan.schemas)
    for named in plan.before:
        builder.make_global(named)
    failed = work_through(this_run, work, lambda one: builder.make_table(plans[one.table.key]), (SchemaError,))
    left = [one for one in work.work if one.table.key not in failed]
    failed += builder.make_all(left, plans, "indexes")
    left = [one for one in left if one.table.key not in failed]
    failed += builder.make_all(left, plans, "foreign_keys")
    for key in failed:
        words = f"the table failed: {this_run.tracker.error(key)}"
        outcomes.note([Finding("table", plans[key].table.full_name, "skipped", words)])
    as_json, as_page = write_report(
        this_run.tracker.path.parent, this_run.settings.source.label, this_run.settings.target.label,
        list(outcomes.findings.values()),
    )  # fmt: skip
    extra = [
        ("Keys and indexes", str(sum(len(table.keys) for table in plan.tables))),
        ("Foreign keys", str(sum(len(table.foreign_keys) for table in plan.tables))),
        ("Duration", f"{time.monotonic() - started:.2f} seconds"),
    ]
    code = close_run(this_run, work, failed, "Schema Replication Summary", "replicate", extra)
    states = [finding.state for finding in outcomes.findings.values()]
    this_run.display.say(
        f"📋 {database.name}: {states.count('done')} objects done, {states.count('changed')} changed, "
        f"{states.count('skipped')} skipped: see {as_page} and {as_json.name}"
    )
    return code


def _recall(tracker: ProgressTracker, plans: dict[str, TablePlan], outcomes: _Outcomes) -> None:
    """What the server refused in an earlier run of this session still stands in the progress file."""
    for key in plans:
        outcomes.note(Finding(**entry) for entry in tracker.entry(key).get("refused", []))


class _Builder:
    """Runs plans against the target, one transaction a unit, and keeps progress and outcomes."""

    def __init__(self, this_run: Run, target: _Target, outcomes: _Outcomes, options: SchemaOptions) -> None:
        self._run = this_run
        self._settings: Settings = this_run.settings
        self._target = target
        self._outcomes = outcomes
        self._options = options
        self._refused: dict[str, list[Finding]] = {}

    def make_schemas(self, schemas: Sequence[str]) -> None:
        """All schemas of the plan that are missing. Raises UnreachableError."""
        with self._target.connection.cursor() as cursor:
            cursor.execute("SELECT nspname FROM pg_namespace")
            there = {name for (name,) in cursor.fetchall()}
        for schema in schemas:
            if schema not in there:
                self._transaction([Step(ddl.create_schema(schema))])

    def make_global(self, named: NamedStep) -> None:
        """Something that tables build on: a sequence, an extension, a collation."""
        with self._target.connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (named.name,))
            (exists,) = cursor.fetchone()
        self._target.connection.rollback()
        if exists:
            return
        try:
            self._transaction(named.steps)
        except SchemaError as error:
            self._run.display.say(f"⚠️ {named.name}: {error}")
            self._outcomes.note(
                replace(step.finding, state="skipped", reason=f"PostgreSQL refused it: {error}")
                for step in named.steps
                if step.finding is not None
            )

    # -- tables ---------------------------------------------------------------------------------

    def make_table(self, plan: TablePlan) -> None:
        """One table with its defaults, checks and comments. Raises SchemaError and UnreachableError."""
        key = plan.table.key
        tracker = self._run.tracker
        steps_done = tracker.entry(key).get("steps", {})
        tracker.start(key)
        there = self._target.tables.get(plan.place)
        replaces = False
        if there is not None:
            replaces = self._reconcile(plan, there)
        if there is None or replaces:
            self._run.display.say(f"🏗️ Creating {plan.table.full_name} → {plan.place}")
            drop = [Step(ddl.drop_table(plan.place))] if replaces else []
            refused = self._transaction([*drop, *plan.create, *plan.details])
            if replaces:
                del self._target.tables[plan.place]
        else:
            refused = self._transaction(_missing(plan.details, there)) if there is not None else []
        self._keep_refused(key, refused)
        tracker.record(key, steps={**steps_done, "table": "completed"})
        self._complete_if_last(plan, "table")
        told = f"{len(plan.table.columns)} columns"
        self._run.display.say(f"✅ {told}" if there is None or replaces else f"✅ {plan.place} exists already and fits")

    def _reconcile(self, plan: TablePlan, there: TargetTable) -> bool:
        """Deal with a table that exists: mend it if that was asked for; True if it is to be replaced."""
        unlike = differences(plan, there, self._settings, self._target.features)
        if not unlike:
            return False
        if self._options.recreate:
            return True
        mended = []
        if self._options.apply_drift:
            mended = [difference for difference in unlike if difference.mend is not None]
            self._transaction([Step(difference.mend) for difference in mended if difference.mend])
            for difference in mended:
                self._run.display.say(f"🏗️ {plan.place}: {difference.text}: mended")
        left = [difference.text for difference in unlike if difference not in mended]
        if not left:
            return False
        hint = "change it, or let --recreate drop it with its rows and make it anew"
        if not self._options.apply_drift and any(difference.mend for difference in unlike):
            hint = "--apply-drift adds missing columns and widens types; " + hint
        raise SchemaError(f"{plan.place} exists and differs: {'; '.join(left)}. It was left as it is; {hint}.")

    # -- keys, indexes, foreign keys ---------------------------------------------------------------

    def make_all(self, works: Sequence[Work], plans: dict[str, TablePlan], step: str) -> list[str]:
        """One later step for all tables; returns the keys of those that failed."""
        chosen = [(one, _named(plans[one.table.key], step)) for one in works]
        total = sum(len(named) for _, named in chosen)
        if not total:
            return []
        words = {"indexes": "keys and indexes", "foreign_keys": "foreign keys"}[step]
        self._run.display.say(f"\n🏗️ {total} {words}")
        existing = read_tables(self._target.connection, target_schemas(self._run.tables, self._settings))
        failed = []
        for one, named in chosen:
            if not named:
                continue
            plan = plans[one.table.key]
            problems, refused = [], []
            there = existing[plan.place].relations if plan.place in existing else frozenset[str]()
            for unit in named:
                if unit.name in there:
                    continue
                if step == "indexes" and unit.steps[0].finding and unit.steps[0].finding.kind == "primary key":
                    table = existing.get(plan.place)
                    if table is not None and table.primary_key:
                        continue
                try:
                    refused += self._transaction(unit.steps)
                except SchemaError as error:
                    problems.append(f"{unit.name}: {error}")
                    refused += [
                        replace(part.finding, state="skipped", reason=f"PostgreSQL refused it: {error}")
                        for part in unit.steps
                        if part.finding is not None
                    ]
            self._keep_refused(one.table.key, refused)
            if problems:
                failed.append(one.table.key)
                self._run.tracker.fail(one.table.key, f"{words}: {'; '.join(problems)}")
                self._run.display.say(f"❌ {one.table.full_name}: {'; '.join(problems)}")
                continue
            steps = self._run.tracker.entry(one.table.key).get("steps", {})
            self._run.tracker.record(one.table.key, steps={**steps, step: "completed"})
            self._complete_if_last(plan, step)
        self._run.display.say(f"✅ {words} done" if not failed else f"⚠️ {words}: {len(failed)} tables failed")
        return failed

    def _complete_if_last(self, plan: TablePlan, step: str) -> None:
        later = STEPS[STEPS.index(step) + 1 :]
        if not any(_named(plan, one) for one in later):
            self._run.tracker.complete(plan.table.key)

    def _keep_refused(self, key: str, refused: Sequence[Finding]) -> None:
        if not refused:
            return
        self._outcomes.note(refused)
        known = self._refused.setdefault(key, [])
        known += refused
        self._run.tracker.record(key, refused=[asdict(finding) for finding in known])
        for finding in refused:
            self._run.display.say(f"⚠️ {finding.kind} {finding.name}: {finding.reason}")

    # -- running ---------------------------------------------------------------------------------

    def _transaction(self, steps: Iterable[Step]) -> list[Finding]:
        """Run steps in one transaction; returns the findings of those that were refused and could be.

        Raises SchemaError when a required one is refused, and UnreachableError when the server is gone.
        """
        connection = self._target.connection
        refused: list[Finding] = []
        try:
            with connection.cursor() as cursor:
                for step in steps:
                    refused += _run_step(cursor, step)
            connection.commit()
        except psycopg2.Error as error:
            if connection.closed:
                words = target_words(error)
                raise UnreachableError(f"PostgreSQL {self._settings.target.label} went away: {words}") from None
            connection.rollback()
            raise SchemaError(target_words(error)) from None
        return refused


def _named(plan: TablePlan, step: str) -> tuple[NamedStep, ...]:
    return plan.keys if step == "indexes" else plan.foreign_keys if step == "foreign_keys" else ()


def _missing(details: Iterable[Step], there: TargetTable) -> list[Step]:
    """Those details of a table that it does not have yet."""
    missing = []
    for step in details:
        if step.makes is not None:
            kind, name = step.makes
            column = there.column(name)
            if (kind == "constraint" and name in there.relations) or (
                kind == "default" and column is not None and column.has_default
            ):
                continue
        missing.append(step)
    return missing


def _run_step(cursor: Any, step: Step) -> list[Finding]:
    """Run one step, behind a savepoint where it may be refused; returns what then holds instead."""
    if not step.is_optional and step.fallback is None:
        cursor.execute(step.sql)
        return []
    cursor.execute("SAVEPOINT step")
    try:
        cursor.execute(step.sql)
        cursor.execute("RELEASE SAVEPOINT step")
        return []
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise
    except psycopg2.Error as error:
        words = target_words(error)
        cursor.execute("ROLLBACK TO SAVEPOINT step")
        if step.fallback is not None:
            cursor.execute(step.fallback)
        if step.lost:
            return [replace(finding, reason=f"{finding.reason}: {words}") for finding in step.lost]
        if step.finding is None:
            return []
        return [replace(step.finding, state="skipped", reason=f"PostgreSQL refused it: {words}", suggestion=step.sql)]

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
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2

from cli.display.choice import choose_display
from cli.session import (
    Options,
    Plan,
    Run,
    Work,
    announce,
    begin_session,
    close_run,
    load_run_settings,
    plan_run,
    reset,
    run_over,
    work_through,
    write_out,
)
from data_phase.restoring import claim, restore
from db import Settings, connect_source, connect_target, target_words
from model.catalog import Database, Finding, Table
from model.errors import ALL_DONE, CatalogError, SchemaError, UnreachableError, UsageError
from mssql import expressions
from mssql.introspection import read_database
from postgres import checkpoints, ddl, locks
from postgres.ddl import Expressions, NamedStep, SchemaPlan, Step, TablePlan
from postgres.drift import Parts, differences, read_parts
from postgres.introspection import (
    TargetTable,
    domain_base,
    foreign_keys_to,
    read_features,
    read_schemas,
    read_tables,
    relation_exists,
    search_path,
    target_schemas,
)
from postgres.names import TargetName, fold, quote, target_name
from postgres.runs import LiveRun
from progress import DEFAULT_FILES, ProgressTracker
from schema_phase import preflight
from schema_phase.fidelity_report import write_report
from type_mapping import TargetFeatures

STEPS = ("table", "indexes", "foreign_keys")


@dataclass(frozen=True)
class SchemaOptions:
    """The flags that only the schema phase has."""

    recreate: bool = False
    apply_drift: bool = False
    dry_run: bool = False
    check: bool = False
    check_data: bool = False


def run(options: Options, schema_options: SchemaOptions) -> int:
    """Make everything that the options ask for; returns the exit code.

    Raises what `session.run_script` turns into words.
    """
    display = choose_display()
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["schema"]), "schema")
    if schema_options.check:
        foresee = partial(_foresee, options, tracker)
        return preflight.run(options, tracker.path.parent, schema_options.check_data, foresee)
    if schema_options.dry_run:
        this_run, database = _read(options, tracker)
        with closing(connect_target(this_run.settings)) as target:
            plan = _plan(this_run, database, _Target.read(target, this_run))
            path = search_path(target)
        remarks = [f"type map {this_run.type_map.path}: {line}" for line in this_run.type_map.lines]
        return write_out(ddl.script(plan, path, remarks))
    with tracker.lock():
        if options.reset:
            return reset(tracker, display)
        this_run, database = _read(options, tracker)
        with closing(connect_target(this_run.settings)) as connection:
            announce(this_run)
            work = plan_run(this_run)
            live = _claimed(this_run, work, connection)
            try:
                target = _Target.read(connection, this_run)
                plan = _plan(this_run, database, target)
                begin_session(this_run, work)
                return _replicate(this_run, database, plan, work, target, schema_options)
            finally:
                if live is not None:
                    live.close()


def _claimed(this_run: Run, work: Plan, connection: Any) -> LiveRun | None:
    """This run's claim on the tables it works on, with all that killed runs suspended restored.

    None where the role may not make the schema `replication`: no load can have been there either. Raises
    TablesClaimedError, RecordError, SuspensionError and UnreachableError.
    """
    if not checkpoints.can_be_made(connection):
        return None
    checkpoints.prepare(connection, this_run.settings.trusted_roles)
    live = claim(this_run, [target_name(one.table, this_run.settings) for one in work.work])
    try:
        restore(this_run, live, this_run.settings.workers)
    except BaseException:
        live.close()
        raise
    return live


def _read(options: Options, tracker: ProgressTracker) -> tuple[Run, Database]:
    settings = load_run_settings(options)
    with closing(connect_source(settings)) as source:
        database = read_database(source)
    this_run = run_over(database.tables, options, settings, tracker)
    return this_run, replace(database, tables=this_run.type_map.apply(database.tables))


@dataclass
class _Target:
    """The target as the phase finds it."""

    connection: Any
    features: TargetFeatures
    tables: dict[TargetName, TargetTable]
    parts: dict[TargetName, Parts] = field(default_factory=dict)

    @staticmethod
    def read(connection: Any, this_run: Run) -> _Target:
        """Raises UnreachableError."""
        schemas = target_schemas(this_run.tables, this_run.settings)
        try:
            return _Target(
                connection,
                read_features(connection),
                read_tables(connection, schemas),
                read_parts(connection, schemas),
            )
        except psycopg2.Error as error:
            raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None


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


def _foresee(
    options: Options,
    tracker: ProgressTracker,
    settings: Settings,
    tables: Sequence[Table],
    database: Database,
    state: preflight.TargetState,
) -> list[Finding]:
    """What holds after a run over these tables, if nothing is refused."""
    this_run = Run(options, settings, tracker, choose_display(), tuple(tables))
    outcomes = _Outcomes()
    outcomes.planned(_plan(this_run, database, _Target(None, state.features, dict(state.tables))))
    return list(outcomes.findings.values())


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
        self.note(finding for named in (*plan.domains, *plan.sequences) for finding in _findings(named.steps))
        for table in plan.tables:
            self.note(table.all_findings)

    def not_made(self, findings: Iterable[Finding], why: str) -> None:
        """Findings that would hold, had the run come to them."""
        self.note(
            replace(finding, state="skipped", reason=f"not made: {why}")
            for finding in findings
            if self.findings[(finding.kind, finding.name)].state != "skipped"
        )


def _findings(steps: Iterable[Step]) -> list[Finding]:
    return [step.finding for step in steps if step.finding is not None]


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
    working = {one.table.key for one in work.work}
    for key, table in plans.items():
        if key not in working:
            _recall(this_run.tracker, table, target, outcomes)
    builder = _Builder(this_run, target, outcomes, schema_options, [plans[one.table.key] for one in work.work])
    failed: list[str] = []
    if work.work:
        builder.make_schemas(plan.schemas)
        builder.make_support(plan.support)
        for named in plan.domains:
            builder.make_domain(named)
        for named in plan.sequences:
            builder.make_sequence(named)
        failed = work_through(this_run, work, lambda one: builder.make_table(plans[one.table.key]), (SchemaError,))
        for key in failed:
            outcomes.not_made(plans[key].all_findings, f"its table failed: {this_run.tracker.error(key)}")
        left = [one for one in work.work if one.table.key not in failed]
        without_keys = builder.make_all(left, plans, "indexes")
        for key in without_keys:
            steps = [step for named in plans[key].foreign_keys for step in named.steps]
            outcomes.not_made(_findings(steps), "its table's keys and indexes failed")
        failed += without_keys
        failed += builder.make_all([one for one in left if one.table.key not in failed], plans, "foreign_keys")
    as_json, as_page = write_report(
        this_run.tracker.path.parent, this_run.settings.source.label, this_run.settings.target.label,
        list(outcomes.findings.values()),
    )  # fmt: skip
    if not work.work:
        return ALL_DONE
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


def _recall(tracker: ProgressTracker, plan: TablePlan, target: _Target, outcomes: _Outcomes) -> None:
    """What holds of a table that this run leaves alone: what the server refused in an earlier run still stands."""
    if plan.place not in target.tables:
        outcomes.not_made(plan.all_findings, "this run leaves the table alone, and it is not in PostgreSQL")
    outcomes.note(Finding(**entry) for entry in tracker.entry(plan.table.key).get("refused", []))


class _Builder:
    """Runs plans against the target, one transaction a unit, and keeps progress and outcomes."""

    def __init__(
        self, this_run: Run, target: _Target, outcomes: _Outcomes, options: SchemaOptions, plans: Sequence[TablePlan]
    ) -> None:
        self._run = this_run
        self._settings: Settings = this_run.settings
        self._target = target
        self._outcomes = outcomes
        self._options = options
        #: the foreign keys that this run makes after the tables, by table
        self._promised = {plan.place: {named.name for named in plan.foreign_keys} for plan in plans}
        self._refused: dict[str, list[Finding]] = {}
        self._missing_schemas: dict[str, str] = {}

    def make_schemas(self, schemas: Sequence[str]) -> None:
        """All schemas of the plan that are missing; one that cannot be made fails its tables, each in its turn.

        Raises UnreachableError.
        """
        there = read_schemas(self._target.connection)
        for schema in schemas:
            if schema not in there:
                try:
                    self._transaction([Step(ddl.create_schema(schema))])
                except SchemaError as error:
                    self._missing_schemas[schema] = str(error)

    def make_support(self, steps: Sequence[Step]) -> None:
        """What COLLATION_POLICY needs. Raises UsageError, before any table is made, where the server lacks it."""
        try:
            self._transaction(steps)
        except SchemaError as error:
            policy = self._settings.collation_policy
            raise UsageError(f"COLLATION_POLICY={policy} cannot be had from this PostgreSQL: {error}") from None

    def make_domain(self, named: NamedStep) -> None:
        """An alias type as a domain; one of the same base type is used as it is.

        Raises UsageError, before any table is made, where there cannot be such a domain.
        """
        base = domain_base(self._target.connection, named.name)
        if base == named.shape:
            return
        words = f"it exists, over {base}"
        if base is None:
            try:
                self._outcomes.note(self._transaction(named.steps))
                return
            except SchemaError as error:
                words = str(error)
        raise UsageError(
            f"the alias type {named.finding.name} cannot be the domain {named.name} over {named.shape}: {words}. "
            f'Nothing was made of it; mend that, or let the type map say "base" for its columns'
        )

    def make_sequence(self, named: NamedStep) -> None:
        """A sequence object, which tables may build on; one that exists stays as it is."""
        if relation_exists(self._target.connection, named.name):
            return
        try:
            self._outcomes.note(self._transaction(named.steps))
        except SchemaError as error:
            self._run.display.say(f"⚠️ {named.name}: {error}")
            self._outcomes.note(
                replace(finding, state="skipped", reason=f"PostgreSQL refused it: {error}")
                for finding in _findings(named.steps)
            )

    # -- tables ---------------------------------------------------------------------------------

    def make_table(self, plan: TablePlan) -> None:
        """One table with its defaults, checks and comments. Raises SchemaError and UnreachableError."""
        key = plan.table.key
        tracker = self._run.tracker
        tracker.start(key)  # forgets what was refused before: it is tried again now
        if plan.place.schema in self._missing_schemas:
            words = self._missing_schemas[plan.place.schema]
            raise SchemaError(f"the schema {plan.place.schema} cannot be made: {words}")
        there = self._target.tables.get(plan.place)
        replaces = False
        if there is not None:
            replaces = self._reconcile(plan, there)
        if there is None or replaces:
            self._run.display.say(f"🏗️ Creating {plan.table.full_name} → {plan.place}")
            drop = self._drop(plan) if replaces else []
            refused = self._transaction([*drop, *plan.create, *plan.details], plan.place if replaces else None)
            if replaces:
                del self._target.tables[plan.place]
        else:
            parts = self._target.parts.get(plan.place, Parts())
            refused = self._transaction(_missing(plan.details, there, parts)) if there is not None else []
            refused += _ordinary(plan, there, self._settings) if there is not None else []
        self._keep_refused(key, refused)
        if not self._complete_if_last(plan, "table"):
            tracker.record(key, steps={"table": "completed"})
        told = f"{len(plan.table.columns)} columns"
        self._run.display.say(f"✅ {told}" if there is None or replaces else f"✅ {plan.place} exists already and fits")

    def _drop(self, plan: TablePlan) -> list[Step]:
        """DROP TABLE, after the foreign keys to it that this run makes again. Never CASCADE."""
        found = foreign_keys_to(self._target.connection, plan.place)
        keys = [(place, name) for place, name in found if name in self._promised.get(place, set())]
        return [*(Step(ddl.drop_constraint(place, name)) for place, name in keys), Step(ddl.drop_table(plan.place))]

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
        schemas = target_schemas(self._run.tables, self._settings)
        existing = read_parts(self._target.connection, schemas)
        failed = []
        for one, named in chosen:
            if not named:
                continue
            plan = plans[one.table.key]
            parts = existing.get(plan.place, Parts())
            problems, refused = [], []
            for unit in named:
                try:
                    refused += self._make_unit(unit, parts)
                except SchemaError as error:
                    problems.append(f"{unit.name}: {error}")
                    refused += [
                        replace(finding, state="skipped", reason=f"PostgreSQL refused it: {error}")
                        for finding in _findings(unit.steps)
                    ]
            self._keep_refused(one.table.key, refused)
            if problems:
                failed.append(one.table.key)
                self._run.tracker.fail(one.table.key, f"{words}: {'; '.join(problems)}")
                self._run.display.say(f"❌ {one.table.full_name}: {'; '.join(problems)}")
                continue
            self._complete_if_last(plan, step)
        self._run.display.say(f"✅ {words} done" if not failed else f"⚠️ {words}: {len(failed)} tables failed")
        return failed

    def _make_unit(self, unit: NamedStep, parts: Parts) -> list[Finding]:
        """A key, index or foreign key, unless it is there; returns what was refused. Raises SchemaError."""
        kind = unit.finding.kind
        there = (parts.indexes if kind == "index" else parts.constraints).get(unit.name)
        if there is None and kind == "primary key":
            # Under whatever name it stands: a table has but one.
            there = next((part for part in parts.constraints.values() if part.shape.startswith("PRIMARY KEY")), None)
        if there is None:
            return self._transaction(unit.steps)
        if there.shape != unit.shape:
            raise SchemaError(
                f"exists and differs: it is {there.shape}, the source asks for {unit.shape}. It was left as it is"
            )
        if there.is_validated:
            return []
        return self._transaction(step for step in unit.steps if step.lost)

    def _complete_if_last(self, plan: TablePlan, step: str) -> bool:
        """Complete the table if no later step has anything to make for it."""
        later = STEPS[STEPS.index(step) + 1 :]
        if any(_named(plan, one) for one in later):
            return False
        self._run.tracker.complete(plan.table.key, steps=dict.fromkeys(STEPS, "completed"))
        return True

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

    def _transaction(self, steps: Iterable[Step], dropped: TargetName | None = None) -> list[Finding]:
        """Run steps in one transaction; returns the findings of those that were refused and could be.

        They wait for others in short attempts. A load of the table that is `dropped` ends with it. Raises SchemaError
        when a required one is refused, and UnreachableError when the server is gone.
        """
        connection, listed = self._target.connection, list(steps)

        def run_all(cursor: Any) -> list[Finding]:
            refused = [finding for step in listed for finding in _run_step(cursor, step)]
            if dropped is not None:
                checkpoints.forget_load(cursor, dropped)
            return refused

        try:
            refused = locks.patiently(connection, [dropped] if dropped else [], run_all, self._settings.lock_wait)
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


def _missing(details: Iterable[Step], there: TargetTable, parts: Parts) -> list[Step]:
    """Those details of a table that it does not have yet."""
    missing = []
    for step in details:
        if step.makes is not None:
            kind, name = step.makes
            column = there.column(name)
            if (kind == "constraint" and name in parts.constraints) or (
                kind == "default" and column is not None and column.has_default
            ):
                continue
        missing.append(step)
    return missing


def _ordinary(plan: TablePlan, there: TargetTable, settings: Settings) -> list[Finding]:
    """What holds of columns that were to be generated, and are not in the table that exists."""
    names = {
        f"{plan.table.full_name}.{column.name}"
        for column in plan.table.columns
        if (found := there.column(fold(column.name, settings))) is not None and not found.is_generated
    }
    lost = [finding for step in plan.create for finding in step.lost if finding.name in names]
    return [replace(finding, reason="an ordinary column that receives the values") for finding in lost]


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
        if error.pgcode in locks.NOT_HAD:
            raise
        words = target_words(error)
        cursor.execute("ROLLBACK TO SAVEPOINT step")
        if step.fallback is not None:
            cursor.execute(step.fallback)
        if step.lost:
            return [replace(finding, reason=f"{finding.reason}: {words}") for finding in step.lost]
        if step.finding is None:
            return []
        return [replace(step.finding, state="skipped", reason=f"PostgreSQL refused it: {words}", suggestion=step.sql)]

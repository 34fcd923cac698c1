"""Plans carried out in the target, one transaction a unit; each step looks at what is there already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import psycopg2

from db import target_words
from model.errors import SchemaError, UnreachableError, UsageError
from model.events import TableCompleted, TableFailed
from model.findings import Finding
from model.settings import Settings
from postgres import checkpoints, ddl, locks
from postgres.ddl import NamedStep, Step, TablePlan
from postgres.drift import Parts, differences, read_parts
from postgres.introspection import (
    TargetTable,
    domain_base,
    foreign_keys_to,
    read_schemas,
    relation_exists,
    target_schemas,
)
from postgres.names import TargetName, fold
from run.context import Run
from run.display import Line
from run.plan import Work
from schema_phase.options import SchemaOptions
from schema_phase.outcomes import Outcomes, findings_of
from schema_phase.planning import Target
from schema_phase.steps import run_step

STEPS = ("table", "indexes", "foreign_keys")


class Builder:
    """Runs plans against the target, one transaction a unit, and keeps progress and outcomes."""

    def __init__(
        self, this_run: Run, target: Target, outcomes: Outcomes, options: SchemaOptions, plans: Sequence[TablePlan]
    ) -> None:
        self._run = this_run
        self._settings: Settings = this_run.settings
        self._target = target
        self._outcomes = outcomes
        self._options = options
        #: the foreign keys that this run makes after the tables, by table
        self._promised = {plan.target: {named.name for named in plan.foreign_keys} for plan in plans}
        self._refused: dict[str, list[Finding]] = {}
        self._missing_schemas: dict[str, str] = {}

    def has(self, plan: TablePlan) -> bool:
        """Whether the table is in the target."""
        return plan.target in self._target.tables

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

    def make_schema_comments(self, steps: Sequence[Step]) -> None:
        """Comments on schemas, which their owner alone may set; what is refused is told. Raises UnreachableError."""
        try:
            self._outcomes.note(self._transaction(steps))
        except SchemaError as error:
            self._outcomes.not_made(findings_of(steps), str(error))

    def make_support(self, steps: Sequence[Step]) -> None:
        """What COLLATION_POLICY needs. Raises UsageError, before any table is made, where the server lacks it."""
        try:
            self._transaction(steps)
        except SchemaError as error:
            policy = self._settings.collation_policy
            raise UsageError(f"COLLATION_POLICY={policy} does not work on this PostgreSQL: {error}") from None

    def make_domain(self, named: NamedStep) -> None:
        """An alias type as a domain; one of the same base type is used as it is.

        Raises UsageError, before any table is made, where there cannot be such a domain.
        """
        if named.name in map(str, self._promised):
            raise UsageError(
                f"the alias type {named.finding.name} cannot be the domain {named.name}, for a table has that name and "
                f'with it a type. No table was created. Set "base" for its columns in the type map'
            )
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
            f'No table was created. Fix that, or set "base" for its columns in the type map'
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
                for finding in findings_of(named.steps)
            )

    # -- tables ---------------------------------------------------------------------------------

    def make_table(self, plan: TablePlan) -> None:
        """One table with its defaults, checks and comments. Raises SchemaError and UnreachableError."""
        key = plan.table.key
        tracker = self._run.tracker
        tracker.start(key)  # forgets what was refused before: it is tried again now
        if plan.target.schema in self._missing_schemas:
            words = self._missing_schemas[plan.target.schema]
            raise SchemaError(f"the schema {plan.target.schema} cannot be made: {words}")
        there = self._target.tables.get(plan.target)
        replaces = False
        if there is not None:
            replaces = self._reconcile(plan, there)
        if there is None or replaces:
            told = f"🏗️ Creating {plan.table.full_name} → {plan.target}"
            self._run.display.tell(Line(told, "detail", event="table started", table=key))
            drop = self._drop(plan) if replaces else []
            refused = self._transaction([*drop, *plan.create, *plan.details], plan.target, drops=replaces)
            if replaces:
                del self._target.tables[plan.target]
        else:
            parts = self._target.parts.get(plan.target, Parts())
            refused = self._transaction(_missing(plan.details, there, parts), plan.target) if there is not None else []
            refused += _ordinary(plan, there, self._settings) if there is not None else []
        self._keep_refused(key, refused)
        if not self._complete_if_last(plan, "table"):
            tracker.record(key, steps={"table": "completed"})
        columns = len(plan.table.columns)
        is_made = there is None or replaces
        self._run.display.tell(
            Line(
                f"✅ {columns} columns" if is_made else f"✅ {plan.target} exists already and fits",
                in_log=f"✅ {plan.target}: {columns} columns" if is_made else None,
                event="table made" if is_made else "table fits", table=key, facts={"columns": columns},
            )
        )  # fmt: skip

    def _drop(self, plan: TablePlan) -> list[Step]:
        """DROP TABLE, after the foreign keys to it that this run makes again. Never CASCADE."""
        found = foreign_keys_to(self._target.connection, plan.target)
        keys = [(target, name) for target, name in found if name in self._promised.get(target, set())]
        return [*(Step(ddl.drop_constraint(target, name)) for target, name in keys), Step(ddl.drop_table(plan.target))]

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
            self._transaction([Step(difference.mend) for difference in mended if difference.mend], plan.target)
            for difference in mended:
                self._run.display.say(f"🏗️ {plan.target}: {difference.text}: mended")
        left = [difference.text for difference in unlike if difference not in mended]
        if not left:
            return False
        hint = "change it, or let --recreate drop it with its rows and create it again"
        if not self._options.apply_drift and any(difference.mend for difference in unlike):
            hint = "--apply-drift adds missing columns and widens types; " + hint
        raise SchemaError(f"{plan.target} exists and differs: {'; '.join(left)}. It was left as it is; {hint}.")

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
            parts = existing.get(plan.target, Parts())
            problems, refused = [], []
            for unit in named:
                try:
                    refused += self._make_unit(plan.target, unit, parts)
                except SchemaError as error:
                    problems.append(f"{unit.name}: {error}")
                    refused += [
                        replace(finding, state="skipped", reason=f"PostgreSQL refused it: {error}")
                        for finding in findings_of(unit.steps)
                    ]
            self._keep_refused(one.table.key, refused)
            if problems:
                failed.append(one.table.key)
                told = f"{words}: {'; '.join(problems)}"
                self._run.tracker.fail(one.table.key, told)
                self._run.recorder([TableFailed(one.table.key, told)])
                self._run.display.say(f"❌ {one.table.full_name}: {'; '.join(problems)}")
                continue
            self._complete_if_last(plan, step)
        self._run.display.say(f"✅ {words} done" if not failed else f"⚠️ {words}: {len(failed)} tables failed")
        return failed

    def _make_unit(self, table: TargetName, unit: NamedStep, parts: Parts) -> list[Finding]:
        """A key, index or foreign key of a table, unless it is there; returns what was refused. Raises SchemaError."""
        kind = unit.finding.kind
        there = (parts.indexes if kind == "index" else parts.constraints).get(unit.name)
        if there is None and kind == "primary key":
            # Under whatever name it stands: a table has but one.
            there = next((part for part in parts.constraints.values() if part.is_primary), None)
        if there is None:
            return self._transaction(unit.steps, table)
        if there.shape != unit.shape:
            raise SchemaError(
                f"exists and differs: it is {there.shape}, the source asks for {unit.shape}. It was left as it is"
            )
        if there.is_validated:
            return []
        return self._transaction((step for step in unit.steps if step.lost), table)

    def _complete_if_last(self, plan: TablePlan, step: str) -> bool:
        """Complete the table if no later step has anything to make for it."""
        later = STEPS[STEPS.index(step) + 1 :]
        if any(_named(plan, one) for one in later):
            return False
        self._run.tracker.complete(plan.table.key, steps=dict.fromkeys(STEPS, "completed"))
        self._run.recorder([TableCompleted(plan.table.key, None)])
        return True

    def _keep_refused(self, key: str, refused: Sequence[Finding]) -> None:
        if not refused:
            return
        self._outcomes.note(refused)
        known = self._refused.setdefault(key, [])
        known += refused
        self._run.tracker.record(key, refused=[finding.document for finding in known])
        for finding in refused:
            self._run.display.say(f"⚠️ {finding.kind} {finding.name}: {finding.reason}")

    # -- running ---------------------------------------------------------------------------------

    def _transaction(
        self, steps: Iterable[Step], table: TargetName | None = None, *, drops: bool = False
    ) -> list[Finding]:
        """Run steps in one transaction; returns the findings of those that were refused and could be.

        They wait for others in short attempts, and say for whom: whoever holds `table`. With `drops` a load of it ends.
        Raises SchemaError when a required one is refused, and UnreachableError when the server is gone.
        """
        connection, listed = self._target.connection, list(steps)

        def run_all(cursor: Any) -> list[Finding]:
            refused = [finding for step in listed for finding in run_step(cursor, step)]
            if drops and table is not None:
                checkpoints.forget_load(cursor, table)
            return refused

        try:
            refused = locks.patiently(
                connection, [table] if table else [], run_all, self._settings.lock_wait, tell=self._run.display.say
            )
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

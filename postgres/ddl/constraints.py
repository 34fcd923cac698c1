"""Checks and foreign keys, which may be NOT VALID and share their names with keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from model.catalog import ForeignKey, Table
from model.findings import Cause, Finding
from postgres.ddl.collations import probe
from postgres.ddl.constraint_names import ConstraintNames
from postgres.ddl.context import Context
from postgres.ddl.plan import NamedStep, Step, state, untranslated
from postgres.ddl.statements import comment
from postgres.names import TargetName, quote, target_name

_ACTIONS = {"NO_ACTION": "NO ACTION", "CASCADE": "CASCADE", "SET_NULL": "SET NULL", "SET_DEFAULT": "SET DEFAULT"}


def checks(
    context: Context, table: Table, target: TargetName, names: ConstraintNames, findings: list[Finding]
) -> Iterator[Step]:
    """The checks of a table; those that do not translate go to `findings`."""
    told: Counter[str] = Counter()
    for check, folded in zip(table.checks, names.checks, strict=True):
        name = f"{table.full_name}.{check.name}"
        told[name] += 1
        if told[name] > 1:
            name = f"{name} ({told[name]})"
        translation = context.expressions.check(check.text, table)
        if translation.sql is None:
            findings.append(untranslated("check", name, translation))
            continue
        constraint = quote(folded)
        is_valid = check.is_trusted and not check.is_disabled
        finding = Finding("check", name, original=check.text, reason=translation.suggestion)
        changes = [] if is_valid else [_not_valid(check.is_disabled)]
        changes += context.renamed(check.name, folded)
        if changes:
            cause = _cause(is_valid, changes)
            reasons = [*changes, translation.suggestion] if translation.suggestion else changes
            finding = replace(finding, state="changed", reason="; ".join(reasons), cause=cause)
        yield Step(
            f"ALTER TABLE {target.quoted} ADD CONSTRAINT {constraint} CHECK ({translation.sql})"
            + ("" if is_valid else " NOT VALID"),
            finding,
            is_optional=True,
            probe=probe(context, table, [translation.sql]),
            makes=("constraint", folded),
        )
        if check.comment:
            yield comment(f"CONSTRAINT {constraint} ON {target.quoted}", check.comment, f"check {name}")


def foreign_keys(
    context: Context, table: Table, target: TargetName, names: ConstraintNames, findings: list[Finding]
) -> Iterator[NamedStep]:
    """The foreign keys of a table; those to tables that are not there go to `findings`."""
    for key, name in zip(table.foreign_keys, names.foreign_keys, strict=True):
        planned = _foreign_key(context, table, target, key, name, findings)
        if planned is not None:
            yield planned


def _foreign_key(
    context: Context, table: Table, target: TargetName, key: ForeignKey, name: str, findings: list[Finding]
) -> NamedStep | None:
    source_name = f"{table.full_name}.{key.name}"
    referenced = context.tables.get((key.referenced_schema, key.referenced_table))
    other = target_name(referenced or Table(key.referenced_schema, key.referenced_table, ()), context.settings)
    spelled = (
        f"FOREIGN KEY ({', '.join(key.columns)}) REFERENCES {key.referenced_schema}.{key.referenced_table}"
        f" ({', '.join(key.referenced_columns)})"
    )
    if other not in context.reachable:
        why = f"it points to {key.referenced_schema}.{key.referenced_table}, which is not in PostgreSQL"
        findings.append(Finding("foreign key", source_name, "skipped", why, spelled))
        return None
    columns = ", ".join(context.quoted(column) for column in key.columns)
    others = ", ".join(context.quoted(column) for column in key.referenced_columns)
    is_valid = key.is_trusted and not key.is_disabled
    remarks = [] if is_valid else [_not_valid(key.is_disabled)]
    remarks += context.renamed(key.name, name)
    finding = Finding("foreign key", source_name, state(remarks), "; ".join(remarks) or None, spelled)
    finding = replace(finding, cause=_cause(is_valid, remarks))
    shape = (
        f"FOREIGN KEY ({columns}) REFERENCES {other.quoted} ({others})"
        f" ON DELETE {_ACTIONS[key.on_delete]} ON UPDATE {_ACTIONS[key.on_update]}"
    )
    steps = [Step(f"ALTER TABLE {target.quoted} ADD CONSTRAINT {quote(name)} {shape} NOT VALID", finding)]
    if is_valid:
        left = replace(finding, state="changed", reason="rows in PostgreSQL violate it; left NOT VALID")
        validate = f"ALTER TABLE {target.quoted} VALIDATE CONSTRAINT {quote(name)}"
        steps.append(Step(validate, is_optional=True, lost=(left,)))
    if key.comment:
        where = f"CONSTRAINT {quote(name)} ON {target.quoted}"
        steps.append(comment(where, key.comment, f"foreign key {source_name}"))
    return NamedStep(name, tuple(steps), shape)


def _cause(is_valid: bool, remarks: Sequence[str]) -> Cause | None:
    return "unsure" if not is_valid and len(remarks) == 1 else None


def _not_valid(is_disabled: bool) -> str:
    return f"{'disabled' if is_disabled else 'not trusted'} on the source, so NOT VALID in PostgreSQL"

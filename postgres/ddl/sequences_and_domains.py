"""Sequence objects, and domains for alias types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.catalog import Column, Table
from model.catalog import Sequence as SourceSequence
from model.findings import Finding
from postgres.ddl.context import Context
from postgres.ddl.plan import NamedStep, Step, state
from postgres.ddl.relation_names import domain_target, sequence_name, sequence_target
from postgres.ddl.statements import comment, literal
from postgres.ddl.types import RANGES, column_type
from postgres.names import TargetName, target_name
from type_mapping import postgres_type


def plan_sequences(context: Context, findings: list[Finding]) -> Iterator[NamedStep]:
    """All sequence objects; of those whose names fall together with another's, the first."""
    used = {target_name(table, context.settings) for table in context.database.tables}
    for sequence in context.database.sequences:
        target = sequence_target(sequence, context.settings)
        if target in used:
            why = f"its name collides with another's: {target}"
            findings.append(Finding("sequence", f"{sequence.schema}.{sequence.name}", "skipped", why))
            continue
        used.add(target)
        yield _sequence(context, sequence)


def _sequence(context: Context, sequence: SourceSequence) -> NamedStep:
    """A sequence object, going on where the source's stands."""
    wanted = postgres_type(Column(sequence.name, sequence.type), context.features)
    kind = wanted if wanted in RANGES else "bigint"
    low, high = RANGES[kind]
    name = sequence_name(sequence, context.settings)
    minimum, maximum = max(sequence.minimum, low), min(sequence.maximum, high)
    remarks = []
    if (minimum, maximum) != (sequence.minimum, sequence.maximum):
        remarks.append(f"its range is cut to {kind}'s")
    remarks += context.renamed(sequence.name, sequence_target(sequence, context.settings).table)
    finding = Finding("sequence", f"{sequence.schema}.{sequence.name}", state(remarks), "; ".join(remarks) or None)
    cache = f" CACHE {sequence.cache_size}" if sequence.cache_size else ""
    cycle = " CYCLE" if sequence.is_cycling else ""
    steps = [
        Step(
            f"CREATE SEQUENCE {name} AS {kind} START WITH {sequence.start} INCREMENT BY {sequence.increment}"
            f" MINVALUE {minimum} MAXVALUE {maximum}{cache}{cycle}",
            finding,
        )
    ]
    if sequence.current is not None:
        steps.append(Step(f"SELECT setval({literal(name)}::regclass, {sequence.current}, true)"))
    if sequence.comment:
        steps.append(comment(f"SEQUENCE {name}", sequence.comment, f"sequence {finding.name}"))
    return NamedStep(name, tuple(steps))


def plan_domains(context: Context, tables: Sequence[Table]) -> dict[TargetName, NamedStep]:
    """A domain for each alias type that columns of these tables are to have as one."""
    found: dict[TargetName, NamedStep] = {}
    for column in (column for table in tables for column in table.columns):
        target = domain_target(column.type, context.settings)
        if target in found or column_type(column, context.settings, context.features) != target.quoted:
            continue
        base = postgres_type(column, context.features)
        finding = Finding("alias type", f"{column.type.alias_schema}.{column.type.alias}")
        step = Step(f"CREATE DOMAIN {target.quoted} AS {base}", finding)
        found[target] = NamedStep(str(target), (step,), base)
    return found

"""A table with all of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from model.catalog import Column, Table
from model.findings import Finding
from postgres.ddl.collations import probe
from postgres.ddl.columns import (
    column_definition,
    column_findings,
    defaults,
    generated_as,
    identity_options,
    own_sequence,
)
from postgres.ddl.constraint_names import ConstraintNames, constraint_names
from postgres.ddl.constraints import checks, foreign_keys
from postgres.ddl.context import Context
from postgres.ddl.keys_and_indexes import keys_and_indexes
from postgres.ddl.plan import Step, TablePlan, state
from postgres.ddl.statements import comment
from postgres.ddl.types import DROP, has_native_identity
from postgres.names import TargetName, fold, target_name


def plan_table(context: Context, table: Table) -> TablePlan:
    """Everything about one table."""
    target = target_name(table, context.settings)
    names = constraint_names(context, table)
    findings = [_table_finding(context, table, target)]
    findings += [finding for column in table.columns for finding in column_findings(context, table, column)]
    findings += [
        Finding("column", f"{table.full_name}.{column.name}", "skipped", _why_internal(column))
        for column in table.internal_columns
    ]
    details = [
        *defaults(context, table, target, findings),
        *checks(context, table, target, names, findings),
        *_comments(context, table, target),
    ]
    definitions = {
        fold(column.name, context.settings): column_definition(
            context, table, column, names, generated_as(context, table, column)
        )
        for column in table.columns
    }
    return TablePlan(
        table=table,
        target=target,
        create=tuple(_create(context, table, target, names)),
        details=tuple(details),
        definitions=definitions,
        keys=tuple(keys_and_indexes(context, table, target, findings)),
        foreign_keys=tuple(foreign_keys(context, table, target, names, findings)),
        findings=tuple(findings),
    )


def _table_finding(context: Context, table: Table, target: TargetName) -> Finding:
    remarks = []
    if table.traits:
        remarks.append(f"{', '.join(table.traits)} on the source; an ordinary table in PostgreSQL")
    remarks += context.renamed(table.name, target.table)
    suggestion = "system versioning can be had from triggers" if "temporal" in table.traits else None
    return Finding("table", table.full_name, state(remarks), "; ".join(remarks) or None, suggestion=suggestion)


def _why_internal(column: Column) -> str:
    if column.type.option == DROP:
        return "dropped by the type map"
    if column.is_column_set:
        return "a column set: its XML is made from the sparse columns, which are all copied"
    if column.is_dropped:
        return "dropped on the source, where a ledger keeps its values as proof"
    return "kept by the server for itself (graph)"


def _create(context: Context, table: Table, target: TargetName, names: ConstraintNames) -> Iterator[Step]:
    generated = {column.name: sql for column in table.columns if (sql := generated_as(context, table, column))}
    for column in table.columns:
        if column.identity is not None and not has_native_identity(column, context.features):
            sequence = own_sequence(context, table, column)
            yield Step(f"CREATE SEQUENCE {sequence} AS bigint {identity_options(context, column)}")
    lost = tuple(
        Finding(
            "computed column",
            f"{table.full_name}.{name}",
            "changed",
            "PostgreSQL refused the expression; an ordinary column that receives the values",
            next(column.computed.text for column in table.columns if column.name == name and column.computed),
        )
        for name in generated
    )
    yield Step(
        _create_table(context, table, target, names, generated),
        fallback=_create_table(context, table, target, names, {}) if generated else None,
        lost=lost,
        probe=probe(context, table, list(generated.values())),
    )
    for column in table.columns:
        if column.identity is not None and not has_native_identity(column, context.features):
            owner = f"{target.quoted}.{context.quoted(column.name)}"
            yield Step(f"ALTER SEQUENCE {own_sequence(context, table, column)} OWNED BY {owner}")


def _create_table(
    context: Context, table: Table, target: TargetName, names: ConstraintNames, generated: Mapping[str, str]
) -> str:
    lines = []
    for column in table.columns:
        lines.append(column_definition(context, table, column, names, generated.get(column.name)))
    return f"CREATE TABLE {target.quoted} (\n    " + ",\n    ".join(lines) + "\n)"


def _comments(context: Context, table: Table, target: TargetName) -> Iterator[Step]:
    if table.comment:
        yield comment(f"TABLE {target.quoted}", table.comment, f"table {table.full_name}")
    for column in table.columns:
        if column.comment:
            where = f"COLUMN {target.quoted}.{context.quoted(column.name)}"
            yield comment(where, column.comment, f"column {table.full_name}.{column.name}")

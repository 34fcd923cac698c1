"""The whole database: what is planned of it, and an account of everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from model.catalog import DROPPED_LEDGER_TABLE, Database, OtherObject, SqlType, Table
from model.findings import Finding
from model.settings import Settings
from postgres.ddl.collations import collation_findings, collation_support
from postgres.ddl.context import Context
from postgres.ddl.plan import Expressions, SchemaPlan, Step
from postgres.ddl.relation_names import RelationNames, domain_target, sequence_target
from postgres.ddl.sequences_and_domains import plan_domains, plan_sequences
from postgres.ddl.statements import comment
from postgres.ddl.tables import plan_table
from postgres.names import TargetName, quote, target_name
from type_mapping import TargetFeatures

#: schemas that every database has, one for each fixed role
_ROLE_SCHEMAS = {
    f"db_{role}"
    for role in (
        "owner", "accessadmin", "securityadmin", "ddladmin", "backupoperator", "datareader", "datawriter",
        "denydatareader", "denydatawriter",
    )
}  # fmt: skip
_CODE = "code and objects other than tables are not translated"
#: kinds beside those of T-SQL's modules that have a text, and why they do not come
_WITH_TEXT = {
    "view": _CODE,
    "database trigger": _CODE,
    "default constraint": "the columns that it is bound to have it as their own default, as far as it translates",
    "rule": "the columns that it is bound to have it as their own check, as far as it translates",
}
NOT_LOOKED_AT = ("users, roles and permissions", "assemblies, keys, Service Broker and plan guides")


def plan_schema(
    database: Database,
    selected: Sequence[Table],
    existing: Iterable[TargetName],
    settings: Settings,
    features: TargetFeatures,
    expressions: Expressions,
) -> SchemaPlan:
    """Plan the selected tables of a database, and account for everything else that it holds.

    `existing` are the target's tables, to which foreign keys may point though they are not selected.
    """
    names = RelationNames.allocate(database.tables, settings, database.sequences)
    reachable = {target_name(table, settings) for table in selected} | set(existing)
    by_name = {(table.schema, table.name): table for table in database.tables}
    context = Context(settings, features, expressions, names, reachable, database, by_name)
    tables = tuple(plan_table(context, table) for table in selected)
    schemas = {plan.target.schema for plan in tables}
    schemas |= {sequence_target(sequence, settings).schema for sequence in database.sequences}
    support = tuple(collation_support(context, selected))
    if support:
        schemas.add(settings.target_schema)
    domains = plan_domains(context, selected)
    schemas |= {target.schema for target in domains}
    findings = list(_database_findings(context, selected, schemas))
    return SchemaPlan(
        schemas=tuple(sorted(schemas)),
        schema_comments=tuple(_schema_comments(context, schemas, findings)),
        support=support,
        domains=tuple(domains.values()),
        sequences=tuple(plan_sequences(context, findings)),
        tables=tables,
        findings=tuple(findings),
    )


def _database_findings(context: Context, selected: Sequence[Table], schemas: set[str]) -> Iterator[Finding]:
    """Findings about everything that no table's plan speaks of."""
    chosen = {(table.schema, table.name) for table in selected}
    for schema in context.database.schemas:
        target = context.settings.schema_map.get(schema.lower(), schema.lower())
        if target in schemas or (schema.lower() == "dbo" and context.settings.target_schema in schemas):
            yield Finding("schema", schema)
        elif not _is_system_schema(schema):
            yield Finding("schema", schema, "skipped", "no table or sequence of this run is in it")
    for table in context.database.tables:
        if (table.schema, table.name) not in chosen:
            yield Finding("table", table.full_name, "skipped", "not among the tables of this run")
    domains = plan_domains(context, selected)
    for alias in context.database.alias_types:
        name = f"{alias.schema}.{alias.name}"
        if domain_target(SqlType("", alias=alias.name, alias_schema=alias.schema), context.settings) in domains:
            continue
        if alias.base.is_clr:
            yield Finding("CLR type", name, "skipped", "CLR types have no counterpart in PostgreSQL")
        else:
            yield Finding("alias type", name, "changed", f"its columns have the base type {alias.base}")
    for other in context.database.others:
        name = f"{other.schema}.{other.name}" if other.schema else other.name
        where = f" on {other.parent}" if other.parent else ""
        why = _why_left_out(other)
        yield Finding(other.kind, name + where, "skipped", why, other.definition)
    for view in context.database.unread:
        yield Finding("catalog view", view.partition(":")[0], "skipped", f"not read:{view.partition(':')[2]}")
    if context.database.hiding.sees_definitions is False:
        why = (
            f"the login has no VIEW DEFINITION: what it has no right to is not seen, "
            f"{context.database.hiding.unseen:,} objects with rows among it (internal tables of the server count)"
        )
        yield Finding("catalog", context.database.name, "skipped", why)
    for policy in context.database.security_policies:
        why = "row-level security is in force on the source: rows that it hides from the login are not copied"
        yield Finding("security policy", policy, "skipped", why)
    yield from collation_findings(context, selected)
    for kind in NOT_LOOKED_AT:
        yield Finding(kind, context.database.name, "skipped", "not looked at", cause="not looked at")


def _schema_comments(context: Context, schemas: set[str], findings: list[Finding]) -> Iterator[Step]:
    """Comments on schemas that the target has; of those that SCHEMA_MAP puts together, each different one."""
    texts: defaultdict[str, list[str]] = defaultdict(list)
    targets = {
        schema: target_name(Table(schema, "", ()), context.settings).schema
        for schema in context.database.schema_comments
    }
    for schema, target in targets.items():
        texts[target].append(context.database.schema_comments[schema])
    for schema, target in targets.items():
        if target in schemas:
            yield comment(f"SCHEMA {quote(target)}", "\n".join(dict.fromkeys(texts[target])), f"schema {schema}")
            continue
        text = context.database.schema_comments[schema]
        why = "no table or sequence of this run is in the schema"
        findings.append(Finding("comment", f"schema {schema}", "skipped", why, text))


def _why_left_out(other: OtherObject) -> str:
    """Why an object that is no table is not in PostgreSQL."""
    if other.kind == "comment":
        return "what it describes is not in PostgreSQL"
    if other.kind.startswith("extended property"):
        return "not one of COMMENT_PROPERTIES, which become comments"
    if other.kind == DROPPED_LEDGER_TABLE:
        return "dropped on the source, where a ledger keeps its rows as proof"
    hidden = "; its text is not shown: it is encrypted, or this login may not read it (VIEW DEFINITION)"
    is_hidden = other.definition is None and (other.kind.startswith("sql ") or other.kind in _WITH_TEXT)
    return _WITH_TEXT.get(other.kind, _CODE) + (hidden if is_hidden else "")


def _is_system_schema(name: str) -> bool:
    return name.lower() in {"guest", "sys", "information_schema", *_ROLE_SCHEMAS}

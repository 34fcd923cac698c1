"""catalog → PostgreSQL's DDL, with a finding for every object of the source. Pure: nothing is touched.

What the schema phase runs, what `--dry-run` prints and what the report says come from the same plan.
Expressions arrive translated (`Expressions`), because T-SQL is none of this package's business.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from db import SESSION_SETTINGS, Settings
from model.catalog import (
    Column,
    Database,
    Finding,
    ForeignKey,
    Index,
    Key,
    KeyColumn,
    SqlType,
    State,
    Table,
    Translation,
)
from model.catalog import Sequence as SourceSequence
from postgres.names import TargetName, cut, fold, quote, target_name
from type_mapping import TargetFeatures, check_expression, mapping_of, postgres_type, type_remarks

#: PostgreSQL type → the range of a sequence that feeds it
_RANGES = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_ACTIONS = {"NO_ACTION": "NO ACTION", "CASCADE": "CASCADE", "SET_NULL": "SET NULL", "SET_DEFAULT": "SET DEFAULT"}
#: the option of columns that the target does not get
_DROP = "drop"
NULLS_NOT_DISTINCT_SINCE = 150000
#: PostgreSQL's INDEX_MAX_KEYS, which counts included columns too
_INDEX_COLUMNS = 32
#: `graph_type_desc` of a hidden column → that of the computed one which shows it
_SHOWN_AS = {
    "GRAPH_ID": "GRAPH_ID_COMPUTED",
    "GRAPH_FROM_ID": "GRAPH_FROM_ID_COMPUTED",
    "GRAPH_FROM_OBJ_ID": "GRAPH_FROM_ID_COMPUTED",
    "GRAPH_TO_ID": "GRAPH_TO_ID_COMPUTED",
    "GRAPH_TO_OBJ_ID": "GRAPH_TO_ID_COMPUTED",
}
#: schemas that every database has, one for each fixed role
_ROLE_SCHEMAS = {
    f"db_{role}"
    for role in (
        "owner", "accessadmin", "securityadmin", "ddladmin", "backupoperator", "datareader", "datawriter",
        "denydatareader", "denydatawriter",
    )
}  # fmt: skip
#: what a script for psql begins with: of a session's settings those that change what DDL means or whether it ends
SCRIPT_SETTINGS = {
    name: f"'{value}'"
    for name, value in SESSION_SETTINGS.items()
    if not name.startswith(("default_transaction_", "session_", "idle_session_", "transaction_"))
} | {"client_min_messages": "warning"}
NOT_LOOKED_AT = ("users, roles and permissions", "assemblies, keys, Service Broker and plan guides")
BTREE_KINDS = {"CLUSTERED", "NONCLUSTERED"}
#: index kinds without a counterpart, and what a person could do instead
FOREIGN_KINDS = {
    "CLUSTERED COLUMNSTORE": "consider a BRIN index on the column that the rows are ordered by",
    "NONCLUSTERED COLUMNSTORE": "consider a BRIN index on the column that the rows are ordered by",
    "XML": "consider an index on an xpath() expression",
    "SPATIAL": "consider PostGIS and a GiST index",
}


@dataclass(frozen=True)
class Expressions:
    """The source's expressions in PostgreSQL's words, by where they stand."""

    default: Callable[[Column], Translation]
    check: Callable[[str, Table], Translation]
    computed: Callable[[Column, Table], Translation]
    filter: Callable[[str, Table], Translation]


@dataclass(frozen=True)
class Step:
    """One statement of a plan, and the finding that it makes true.

    An optional step may be refused by the server without failing its table: `lost` findings then hold,
    or else its own as `skipped`. `fallback` is run in place of a required step that was refused, and
    `lost` findings then hold. `makes` names the constraint or the column's default that the step makes,
    by which a table that exists already is asked whether it has it.
    """

    sql: str
    finding: Finding | None = None
    is_optional: bool = False
    fallback: str | None = None
    lost: tuple[Finding, ...] = ()
    makes: tuple[Literal["constraint", "default"], str] | None = None


@dataclass(frozen=True)
class NamedStep:
    """A key, index or foreign key: its name in PostgreSQL, and the statements that make it, in order.

    `shape` says what it is, in the words in which `postgres.drift` reads what is there.
    """

    name: str
    steps: tuple[Step, ...]
    shape: str = ""

    @property
    def finding(self) -> Finding:
        """The finding that its first statement makes true."""
        finding = self.steps[0].finding
        assert finding is not None
        return finding


@dataclass(frozen=True)
class TablePlan:
    """All that makes a table: the table itself; its keys and indexes; its foreign keys.

    `details` are defaults, checks and comments, which follow `create` in one transaction. `definitions`
    are the columns as ADD COLUMN wants them, by their name in PostgreSQL.
    """

    table: Table
    place: TargetName
    create: tuple[Step, ...]
    details: tuple[Step, ...]
    definitions: Mapping[str, str]
    keys: tuple[NamedStep, ...]
    foreign_keys: tuple[NamedStep, ...]
    findings: tuple[Finding, ...]

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Everything that holds of the table and its parts if nothing is refused."""
        steps = [*self.create, *self.details, *_all_steps((*self.keys, *self.foreign_keys))]
        return (*self.findings, *(step.finding for step in steps if step.finding is not None))


@dataclass(frozen=True)
class SchemaPlan:
    """The whole database: what comes before the tables, the tables, and findings about everything else.

    `support` is what `COLLATION_POLICY` cannot do without; `domains` are alias types, each with its base type
    as `shape`.
    """

    schemas: tuple[str, ...]
    support: tuple[Step, ...]
    domains: tuple[NamedStep, ...]
    sequences: tuple[NamedStep, ...]
    tables: tuple[TablePlan, ...]
    findings: tuple[Finding, ...]


# -- names that share a schema ---------------------------------------------------------------


@dataclass(frozen=True)
class RelationNames:
    """Names of keys and indexes, which share one space with tables in PostgreSQL, unlike on the source."""

    by_object: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def of(self, table: Table, name: str) -> str:
        """The PostgreSQL name of a key or index of this table."""
        return self.by_object[(table.schema, table.name, name)]

    @staticmethod
    def allocate(
        tables: Sequence[Table], settings: Settings, sequences: Sequence[SourceSequence] = ()
    ) -> RelationNames:
        """A name for every key and index: its own where it is alone, else with the table's in front.

        Depends on the names alone, not on the order of tables, so every run gives the same.
        """
        others = [target_name(table, settings) for table in tables]
        others += [_sequence_place(sequence, settings) for sequence in sequences]
        wanted = {
            (table.schema, table.name, name): (target_name(table, settings), fold(name, settings))
            for table in tables
            for name in _relation_names(table)
        }
        taken = Counter((place.schema, folded) for place, folded in wanted.values())
        taken.update((place.schema, place.table) for place in others)
        names: dict[tuple[str, str, str], str] = {}
        used = {(place.schema, place.table) for place in others}
        used |= {pair for pair, count in taken.items() if count == 1}
        for key in sorted(wanted):
            place, folded = wanted[key]
            if taken[(place.schema, folded)] == 1:
                names[key] = folded
                continue
            candidate = cut(f"{place.table}_{folded}")
            number = 1
            while (place.schema, candidate) in used:
                number += 1
                candidate = cut(f"{place.table}_{folded}_{number}")
            used.add((place.schema, candidate))
            names[key] = candidate
        return RelationNames(names)


def _relation_names(table: Table) -> Iterator[str]:
    if table.primary_key is not None:
        yield table.primary_key.name
    yield from (key.name for key in table.unique)
    yield from (index.name for index in table.indexes)


# -- the plan --------------------------------------------------------------------------------


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
    planner = _Planner(settings, features, expressions, names, reachable, database)
    tables = tuple(planner.table(table) for table in selected)
    schemas = {plan.place.schema for plan in tables}
    schemas |= {_sequence_place(sequence, settings).schema for sequence in database.sequences}
    support = tuple(planner.collation_support(selected))
    if support:
        schemas.add(settings.target_schema)
    domains = planner.domains(selected)
    schemas |= {place.schema for place in domains}
    findings = list(planner.database_findings(selected, schemas))
    return SchemaPlan(
        schemas=tuple(sorted(schemas)),
        support=support,
        domains=tuple(domains.values()),
        sequences=tuple(planner.sequences(findings)),
        tables=tables,
        findings=tuple(findings),
    )


def create_schema(schema: str) -> str:
    """`CREATE SCHEMA` for a schema that is not there yet."""
    return f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"


def drop_table(place: TargetName) -> str:
    """`DROP TABLE`, never CASCADE: what depends on the table is a person's decision."""
    return f"DROP TABLE {place.quoted}"


def drop_constraint(place: TargetName, name: str) -> str:
    """`ALTER TABLE … DROP CONSTRAINT`."""
    return f"ALTER TABLE {place.quoted} DROP CONSTRAINT {quote(name)}"


def script(plan: SchemaPlan, search_path: str, remarks: Iterable[str] = ()) -> str:
    """The whole plan as one script that psql accepts; `remarks`, and what is not made, stand in it as comments.

    It begins with the settings that a run's own session has, `search_path` among them.
    """
    lines = ["-- DDL as replicate-schema.py would run it.", *(_one_line(f"-- {remark}") for remark in remarks)]
    lines += ["\\set ON_ERROR_STOP on", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"]
    lines += ["SET LOCAL client_encoding = 'UTF8';", f"SET LOCAL search_path = {search_path};"]
    lines += [f"SET LOCAL {name} = {value};" for name, value in SCRIPT_SETTINGS.items()]
    lines += [f"{create_schema(schema)};" for schema in plan.schemas]
    parts: list[tuple[str, Iterable[Step]]] = [
        ("Before the tables", (*plan.support, *_all_steps((*plan.domains, *plan.sequences))))
    ]
    parts += [(f"Table {table.place}", (*table.create, *table.details)) for table in plan.tables]
    parts += [(f"Keys and indexes of {table.place}", _all_steps(table.keys)) for table in plan.tables if table.keys]
    parts += [
        (f"Foreign keys of {table.place}", _all_steps(table.foreign_keys))
        for table in plan.tables
        if table.foreign_keys
    ]
    for title, steps in parts:
        statements = [f"{step.sql};" for step in steps]
        if statements:
            lines += ["", f"-- {_one_line(title)}", *statements]
    left_out = [
        finding
        for finding in (*plan.findings, *(finding for table in plan.tables for finding in table.findings))
        if finding.state == "skipped"
    ]
    lines += ["", "COMMIT;", ""]
    lines += [_one_line(f"-- not made: {f.kind} {f.name}: {f.reason}") for f in left_out]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _all_steps(named: Iterable[NamedStep]) -> list[Step]:
    return [step for one in named for step in one.steps]


def column_type(column: Column, settings: Settings, features: TargetFeatures) -> str:
    """The PostgreSQL type of a column, by the type mapping and `COLLATION_POLICY`."""
    if settings.collation_policy == "citext" and _ignores_case(column) and _is_varying(column):
        return "citext"
    if _has_domain(column):
        return domain_place(column.type, settings).quoted
    return postgres_type(column, features)


def _has_domain(column: Column) -> bool:
    # An identity must be of a plain type.
    return column.type.is_domain and column.identity is None


def domain_place(kind: SqlType, settings: Settings) -> TargetName:
    """Where the domain of an alias type goes: beside the tables of its schema."""
    return target_name(Table(kind.alias_schema, kind.alias or "", ()), settings)


def _sequence_place(sequence: SourceSequence, settings: Settings) -> TargetName:
    """Where a sequence object goes: beside the tables of its schema, whose names share one space with its own."""
    return target_name(Table(sequence.schema, sequence.name, ()), settings)


def sequence_name(sequence: SourceSequence, settings: Settings) -> str:
    """The quoted name of a sequence object in PostgreSQL."""
    return _sequence_place(sequence, settings).quoted


def has_native_identity(column: Column, features: TargetFeatures) -> bool:
    """Whether PostgreSQL's IDENTITY can stand for the source's; decimal keys need a sequence of their own."""
    return postgres_type(column, features) in _RANGES


def _ignores_case(column: Column) -> bool:
    return bool(column.collation and re.search(r"_CI(_|$)", column.collation, re.IGNORECASE))


def _is_varying(column: Column) -> bool:
    return column.type.name in {"varchar", "nvarchar", "text", "ntext", "sysname"}


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _Planner:
    """Plans tables one by one, with what all of them share."""

    def __init__(
        self,
        settings: Settings,
        features: TargetFeatures,
        expressions: Expressions,
        names: RelationNames,
        reachable: set[TargetName],
        database: Database,
    ) -> None:
        self._settings = settings
        self._features = features
        self._expressions = expressions
        self._names = names
        self._reachable = reachable
        self._database = database
        self._by_name = {(table.schema, table.name): table for table in database.tables}

    # -- a table ------------------------------------------------------------------------------

    def table(self, table: Table) -> TablePlan:
        """Everything about one table."""
        place = target_name(table, self._settings)
        findings = [self._table_finding(table, place)]
        findings += [finding for column in table.columns for finding in self._column_findings(table, column)]
        findings += [
            Finding("column", f"{table.full_name}.{column.name}", "skipped", _why_internal(column))
            for column in table.internal_columns
        ]
        details = [
            *self._defaults(table, place, findings),
            *self._checks(table, place, findings),
            *self._comments(table, place),
        ]
        definitions = {
            fold(column.name, self._settings): self.column_definition(table, column, self._generated(table, column))
            for column in table.columns
        }
        return TablePlan(
            table=table,
            place=place,
            create=tuple(self._create(table, place)),
            details=tuple(details),
            definitions=definitions,
            keys=tuple(self._keys(table, place, findings)),
            foreign_keys=tuple(self._foreign_keys(table, place, findings)),
            findings=tuple(findings),
        )

    def _name(self, name: str) -> str:
        return quote(fold(name, self._settings))

    def _table_finding(self, table: Table, place: TargetName) -> Finding:
        remarks = []
        if table.traits:
            remarks.append(f"{', '.join(table.traits)} on the source; an ordinary table in PostgreSQL")
        remarks += self._renamed(table.name, place.table)
        suggestion = "system versioning can be had from triggers" if "temporal" in table.traits else None
        return Finding("table", table.full_name, _state(remarks), "; ".join(remarks) or None, suggestion=suggestion)

    def _column_findings(self, table: Table, column: Column) -> Iterator[Finding]:
        name = f"{table.full_name}.{column.name}"
        remarks = list(self._column_remarks(column))
        yield Finding("column", name, "changed" if remarks else "done", "; ".join(remarks) or None)
        if column.identity is not None:
            if has_native_identity(column, self._features):
                yield Finding("identity", name)
            else:
                yield Finding("identity", name, "changed", f"{column.type} is fed by a sequence of its own")

    def _column_remarks(self, column: Column) -> Iterator[str]:
        kind = column.type
        yield from self._renamed(column.name, fold(column.name, self._settings))
        if kind.name in {"time", "datetime2", "datetimeoffset"} and kind.scale > 6:
            yield "a seventh fractional digit is cut"
        if column.made_of is not None:
            yield f"made of {column.made_of}: its offset in minutes, by the type map"
        elif kind.name == "datetimeoffset" and kind.option == "offset":
            yield f"the instant is kept; the offset stands in {fold(f'{column.name}_offset', self._settings)}"
        elif kind.name == "datetimeoffset":
            yield "the instant is kept, the offset is not"
        if kind.name == "timestamp":
            yield "a rowversion's value is copied; PostgreSQL does not advance it"
        yield from type_remarks(column, self._features)
        if kind.alias and not kind.is_domain:
            yield f"alias type {kind.alias} became its base type {kind}"
        if column.is_masked:
            yield "masked on the source, not in PostgreSQL"
            if self._database.sees_masked is False:
                yield "the login lacks UNMASK, so a copy of the rows would hold the masks"
        if column.is_encrypted:
            yield "Always Encrypted on the source; without its key only the ciphertext can be read"
        if column.is_hidden:
            yield "hidden from SELECT * on the source"
        if column.is_sparse:
            yield "sparse on the source"
        if column.is_filestream:
            yield "FILESTREAM on the source, stored in the row in PostgreSQL"
        if column.generated_always:
            yield f"{column.generated_always.lower().replace('_', ' ')} on the source; an ordinary column"
        if column_type(column, self._settings, self._features) == "citext":
            yield "citext, by COLLATION_POLICY"

    # -- CREATE TABLE -------------------------------------------------------------------------

    def _create(self, table: Table, place: TargetName) -> Iterator[Step]:
        generated = {column.name: sql for column in table.columns if (sql := self._generated(table, column))}
        for column in table.columns:
            if column.identity is not None and not has_native_identity(column, self._features):
                sequence = self._owned_sequence(place, column)
                yield Step(f"CREATE SEQUENCE {sequence} AS bigint {self._identity_options(column)}")
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
            self._create_table(table, place, generated),
            fallback=self._create_table(table, place, {}) if generated else None,
            lost=lost,
        )
        for column in table.columns:
            if column.identity is not None and not has_native_identity(column, self._features):
                owner = f"{place.quoted}.{self._name(column.name)}"
                yield Step(f"ALTER SEQUENCE {self._owned_sequence(place, column)} OWNED BY {owner}")

    def _create_table(self, table: Table, place: TargetName, generated: Mapping[str, str]) -> str:
        lines = []
        for column in table.columns:
            lines.append(self.column_definition(table, column, generated.get(column.name)))
        return f"CREATE TABLE {place.quoted} (\n    " + ",\n    ".join(lines) + "\n)"

    def column_definition(self, table: Table, column: Column, generated: str | None) -> str:
        """A column as CREATE TABLE and ADD COLUMN write it."""
        name = self._name(column.name)
        parts = [name, column_type(column, self._settings, self._features)]
        collation = self._collation(column)
        if collation:
            parts.append(f"COLLATE {collation}")
        if generated is not None:
            parts.append(f"GENERATED ALWAYS AS ({generated}) STORED")
        if column.identity is not None:
            if has_native_identity(column, self._features):
                parts.append(f"GENERATED BY DEFAULT AS IDENTITY ({self._identity_options(column)})")
            else:
                sequence = self._owned_sequence(target_name(table, self._settings), column)
                parts.append(f"DEFAULT nextval({_literal(sequence)}::regclass)")
        if not column.is_nullable:
            parts.append("NOT NULL")
        check = check_expression(column, name)
        if check is not None:
            parts.append(f"CHECK ({check})")
        if column_type(column, self._settings, self._features) == "citext" and column.type.characters > 0:
            parts.append(f"CHECK (char_length({name}::text) <= {column.type.characters})")
        return " ".join(parts)

    def _generated(self, table: Table, column: Column) -> str | None:
        translation = self._translate_computed(table, column)
        return translation.sql if translation is not None and translation.is_immutable else None

    def _translate_computed(self, table: Table, column: Column) -> Translation | None:
        if column.computed is None:
            return None
        return self._expressions.computed(column, table)

    def _identity_options(self, column: Column) -> str:
        assert column.identity is not None
        low, high = _RANGES.get(postgres_type(column, self._features), _RANGES["bigint"])
        if column.type.name == "tinyint":
            low, high = 0, 255
        identity = column.identity
        return f"START WITH {identity.seed} INCREMENT BY {identity.increment} MINVALUE {low} MAXVALUE {high}"

    def _owned_sequence(self, place: TargetName, column: Column) -> str:
        return f"{quote(place.schema)}.{self._name(f'{place.table}_{column.name}_seq')}"

    # -- expressions ----------------------------------------------------------------------------

    def _defaults(self, table: Table, place: TargetName, findings: list[Finding]) -> Iterator[Step]:
        for column in table.columns:
            name = f"{table.full_name}.{column.name}"
            if column.computed is not None:
                findings.append(self._computed_finding(table, column, name))
            if column.default is None:
                continue
            if column.identity is not None:
                continue
            translation = self._expressions.default(column)
            if translation.sql is None:
                findings.append(_untranslated("default", name, translation))
                continue
            finding = Finding("default", name, reason=translation.suggestion)
            yield Step(
                f"ALTER TABLE {place.quoted} ALTER COLUMN {self._name(column.name)} SET DEFAULT {translation.sql}",
                replace(finding, original=translation.original),
                is_optional=True,
                makes=("default", fold(column.name, self._settings)),
            )

    def _computed_finding(self, table: Table, column: Column, name: str) -> Finding:
        translation = self._translate_computed(table, column)
        assert translation is not None
        if translation.sql is not None and translation.is_immutable:
            return Finding("computed column", name, original=translation.original)
        why = translation.reason or "its value is not the same at all times, so PostgreSQL cannot store it"
        return Finding(
            "computed column",
            name,
            "changed",
            f"an ordinary column that receives the values: {why}",
            translation.original,
            translation.suggestion or translation.sql,
        )

    def _checks(self, table: Table, place: TargetName, findings: list[Finding]) -> Iterator[Step]:
        names = self._constraint_names(table)
        for check in table.checks:
            name = f"{table.full_name}.{check.name}"
            translation = self._expressions.check(check.text, table)
            if translation.sql is None:
                findings.append(_untranslated("check", name, translation))
                continue
            folded = names[check.name]
            constraint = quote(folded)
            is_valid = check.is_trusted and not check.is_disabled
            finding = Finding("check", name, original=check.text, reason=translation.suggestion)
            changes = [] if is_valid else [_not_valid(check.is_disabled)]
            changes += self._renamed(check.name, folded)
            if changes:
                finding = replace(finding, state="changed", reason="; ".join(changes))
            yield Step(
                f"ALTER TABLE {place.quoted} ADD CONSTRAINT {constraint} CHECK ({translation.sql})"
                + ("" if is_valid else " NOT VALID"),
                finding,
                is_optional=True,
                makes=("constraint", folded),
            )
            if check.comment:
                yield self._comment(f"CONSTRAINT {constraint} ON {place.quoted}", check.comment, f"check {name}")

    # -- keys and indexes -----------------------------------------------------------------------

    def _constraint_names(self, table: Table) -> dict[str, str]:
        """Names of checks and foreign keys, which share one space with the table's keys in PostgreSQL."""
        keys = [*((table.primary_key,) if table.primary_key else ()), *table.unique]
        used = {self._names.of(table, key.name) for key in keys}
        names: dict[str, str] = {}
        for name in sorted([*(check.name for check in table.checks), *(key.name for key in table.foreign_keys)]):
            candidate = folded = fold(name, self._settings)
            number = 1
            while candidate in used:
                number += 1
                candidate = cut(f"{folded}_{number}")
            used.add(candidate)
            names[name] = candidate
        return names

    def _keys(self, table: Table, place: TargetName, findings: list[Finding]) -> Iterator[NamedStep]:
        keys = [(table.primary_key, "primary key")] if table.primary_key is not None else []
        keys += [(key, "unique constraint") for key in table.unique]
        for key, kind in keys:
            planned = self._constraint(table, place, key, kind, findings)
            if planned is not None:
                yield planned
        for index in table.indexes:
            planned = self._index(table, place, index, findings)
            if planned is not None:
                yield planned

    def _constraint(
        self, table: Table, place: TargetName, key: Key, kind: str, findings: list[Finding]
    ) -> NamedStep | None:
        source_name = f"{table.full_name}.{key.name}"
        spelled = f"{kind.split(maxsplit=1)[0].upper()} ({', '.join(key.columns_used)})"
        shown = self._shown(table, key.columns)
        why = "disabled on the source, so its rows may break it" if key.is_disabled else None
        if shown is None:
            why = _why_not_shown(table, key.columns)
        if why or shown is None:
            findings.append(Finding(kind, source_name, "skipped", why, spelled, "create it by hand if wanted"))
            return None
        name = self._names.of(table, key.name)
        columns = ", ".join(self._name(part.name) for part in shown)
        remarks = [] if shown == key.columns else ["on the column that shows the server's own"]
        if any(part.is_descending for part in key.columns):
            remarks.append("descending columns are ascending in a PostgreSQL constraint")
        words, nulls = ("PRIMARY KEY", None) if kind == "primary key" else self._unique_words(table, key.columns_used)
        remarks += [nulls] if nulls else []
        remarks += self._renamed(key.name, name)
        finding = Finding(kind, source_name, _state(remarks), "; ".join(remarks) or None)
        steps = [Step(f"ALTER TABLE {place.quoted} ADD CONSTRAINT {quote(name)} {words} ({columns})", finding)]
        if key.comment:
            where = f"CONSTRAINT {quote(name)} ON {place.quoted}"
            steps.append(self._comment(where, key.comment, f"{kind} {finding.name}"))
        return NamedStep(name, tuple(steps), f"{words} ({columns})")

    def _shown(self, table: Table, columns: Sequence[KeyColumn]) -> tuple[KeyColumn, ...] | None:
        """The columns of a key or index as far as the target has them; None where one has no counterpart.

        Indexes of graph tables stand on hidden columns, in whose place the target has the computed one that
        shows them, say $node_id for graph_id (Microsoft, "SQL Graph Architecture").
        """
        kept = {column.name for column in table.columns}
        by_type = {column.graph_type: column.name for column in table.columns if column.graph_type}
        internal = {
            column.name: by_type.get(_SHOWN_AS.get(column.graph_type or "", "")) for column in table.internal_columns
        }
        shown: list[KeyColumn] = []
        for part in columns:
            name = part.name if part.name in kept else internal.get(part.name)
            if name is None:
                return None
            if all(other.name != name for other in shown):
                shown.append(replace(part, name=name))
        return tuple(shown)

    def _unique_words(self, table: Table, columns: Sequence[str]) -> tuple[str, str | None]:
        """UNIQUE as the source means it: one NULL and no more."""
        nullable = any(column.is_nullable for column in table.columns if column.name in columns)
        if not nullable:
            return "UNIQUE", None
        if self._features.version >= NULLS_NOT_DISTINCT_SINCE:
            return "UNIQUE NULLS NOT DISTINCT", None
        return "UNIQUE", "PostgreSQL before 15 allows several NULLs in it"

    def _index(self, table: Table, place: TargetName, index: Index, findings: list[Finding]) -> NamedStep | None:
        source_name = f"{table.full_name}.{index.name}"
        if index.kind in FOREIGN_KINDS or index.kind not in BTREE_KINDS | {"NONCLUSTERED HASH"}:
            why = f"{index.kind.lower()} indexes have no counterpart in PostgreSQL"
            suggestion = FOREIGN_KINDS.get(index.kind)
            findings.append(Finding("index", source_name, "skipped", why, _spelled(index), suggestion))
            return None
        if index.is_disabled:
            why, suggestion = "disabled on the source", "create it by hand if wanted"
            findings.append(Finding("index", source_name, "skipped", why, _spelled(index), suggestion))
            return None
        shown = self._shown(table, index.columns)
        if shown is None:
            why = _why_not_shown(table, index.columns)
            findings.append(Finding("index", source_name, "skipped", why, _spelled(index)))
            return None
        where = ""
        if index.filter is not None:
            translation = self._expressions.filter(index.filter, table)
            if translation.sql is None or not translation.is_immutable:
                why = translation.reason or "its filter is not immutable in PostgreSQL"
                findings.append(
                    Finding("index", source_name, "skipped", f"filter: {why}", _spelled(index), translation.suggestion)
                )
                return None
            where = f" WHERE {translation.sql}"
        name = self._names.of(table, index.name)
        columns = ", ".join(self._name(c.name) + (" DESC" if c.is_descending else "") for c in shown)
        kept = self._included(table, index, len(shown))
        include = f" INCLUDE ({', '.join(map(self._name, kept))})" if kept else ""
        remarks = ["a hash index on the source, a B-tree here"] if index.kind == "NONCLUSTERED HASH" else []
        if shown != index.columns:
            remarks.append("on the column that shows the server's own")
        gone = {column.name for column in table.internal_columns if column.type.option == _DROP}
        if dropped := [name for name in index.included if name in gone]:
            remarks.append(f"without the included {', '.join(dropped)}, which the type map drops")
        if left_out := [name for name in index.included if name not in kept and name not in gone]:
            remarks.append(
                f"without the included {', '.join(left_out)}: a PostgreSQL index holds neither large values "
                f"nor more than {_INDEX_COLUMNS} columns"
            )
        unique = nulls = ""
        if index.is_unique:
            words, remark = self._unique_words(table, [column.name for column in shown])
            unique = "UNIQUE "
            nulls = " NULLS NOT DISTINCT" if "NULLS" in words else ""
            remarks += [remark] if remark else []
        remarks += self._renamed(index.name, name)
        finding = Finding("index", source_name, _state(remarks), "; ".join(remarks) or None)
        sql = f"CREATE {unique}INDEX {quote(name)} ON {place.quoted} ({columns}){include}{nulls}{where}"
        steps = [Step(sql, finding)]
        if index.comment:
            qualified = f"{quote(place.schema)}.{quote(name)}"
            steps.append(self._comment(f"INDEX {qualified}", index.comment, f"index {source_name}"))
        return NamedStep(name, tuple(steps), f"{unique}INDEX ({columns}){include}{nulls}{' WHERE' if where else ''}")

    def _included(self, table: Table, index: Index, key_length: int) -> list[str]:
        """The included columns that an index of PostgreSQL can hold whatever their values are.

        A row of a B-tree has at most a third of a page (2,704 bytes), so one long value would refuse its row.
        """
        fitting = {column.name for column in table.columns if mapping_of(column.type).lob(column.type) is None}
        return [name for name in index.included if name in fitting][: _INDEX_COLUMNS - key_length]

    def _renamed(self, source: str, name: str) -> list[str]:
        folded = source.lower() if self._settings.naming == "lower" else source
        return [] if folded == name else [f"named {name}, since its own name is taken in the schema or too long"]

    # -- foreign keys -----------------------------------------------------------------------------

    def _foreign_keys(self, table: Table, place: TargetName, findings: list[Finding]) -> Iterator[NamedStep]:
        names = self._constraint_names(table)
        for key in table.foreign_keys:
            planned = self._foreign_key(table, place, key, names[key.name], findings)
            if planned is not None:
                yield planned

    def _foreign_key(
        self, table: Table, place: TargetName, key: ForeignKey, name: str, findings: list[Finding]
    ) -> NamedStep | None:
        source_name = f"{table.full_name}.{key.name}"
        referenced = self._by_name.get((key.referenced_schema, key.referenced_table))
        other = target_name(referenced or Table(key.referenced_schema, key.referenced_table, ()), self._settings)
        spelled = (
            f"FOREIGN KEY ({', '.join(key.columns)}) REFERENCES {key.referenced_schema}.{key.referenced_table}"
            f" ({', '.join(key.referenced_columns)})"
        )
        if other not in self._reachable:
            why = f"it points to {key.referenced_schema}.{key.referenced_table}, which is not in PostgreSQL"
            findings.append(Finding("foreign key", source_name, "skipped", why, spelled))
            return None
        columns = ", ".join(self._name(column) for column in key.columns)
        others = ", ".join(self._name(column) for column in key.referenced_columns)
        is_valid = key.is_trusted and not key.is_disabled
        remarks = [] if is_valid else [_not_valid(key.is_disabled)]
        remarks += self._renamed(key.name, name)
        finding = Finding("foreign key", source_name, _state(remarks), "; ".join(remarks) or None, spelled)
        shape = (
            f"FOREIGN KEY ({columns}) REFERENCES {other.quoted} ({others})"
            f" ON DELETE {_ACTIONS[key.on_delete]} ON UPDATE {_ACTIONS[key.on_update]}"
        )
        steps = [Step(f"ALTER TABLE {place.quoted} ADD CONSTRAINT {quote(name)} {shape} NOT VALID", finding)]
        if is_valid:
            left = replace(finding, state="changed", reason="rows in PostgreSQL violate it; left NOT VALID")
            validate = f"ALTER TABLE {place.quoted} VALIDATE CONSTRAINT {quote(name)}"
            steps.append(Step(validate, is_optional=True, lost=(left,)))
        if key.comment:
            where = f"CONSTRAINT {quote(name)} ON {place.quoted}"
            steps.append(self._comment(where, key.comment, f"foreign key {source_name}"))
        return NamedStep(name, tuple(steps), shape)

    # -- comments, sequences, collations ------------------------------------------------------------

    def _comments(self, table: Table, place: TargetName) -> Iterator[Step]:
        if table.comment:
            yield self._comment(f"TABLE {place.quoted}", table.comment, f"table {table.full_name}")
        for column in table.columns:
            if column.comment:
                where = f"COLUMN {place.quoted}.{self._name(column.name)}"
                yield self._comment(where, column.comment, f"column {table.full_name}.{column.name}")

    def _comment(self, where: str, text: str, name: str) -> Step:
        finding = Finding("comment", name, original=text)
        return Step(f"COMMENT ON {where} IS {_literal(text)}", finding, is_optional=True)

    def sequences(self, findings: list[Finding]) -> Iterator[NamedStep]:
        """All sequence objects; of those whose names fall together with another's, the first."""
        used = {target_name(table, self._settings) for table in self._database.tables}
        for sequence in self._database.sequences:
            place = _sequence_place(sequence, self._settings)
            if place in used:
                why = f"its name falls together with another's: {place}"
                findings.append(Finding("sequence", f"{sequence.schema}.{sequence.name}", "skipped", why))
                continue
            used.add(place)
            yield self.sequence(sequence)

    def sequence(self, sequence: SourceSequence) -> NamedStep:
        """A sequence object, going on where the source's stands."""
        kind = {"tinyint": "smallint", "smallint": "smallint", "int": "integer"}.get(sequence.type.name, "bigint")
        low, high = _RANGES[kind]
        name = sequence_name(sequence, self._settings)
        minimum, maximum = max(sequence.minimum, low), min(sequence.maximum, high)
        remarks = []
        if (minimum, maximum) != (sequence.minimum, sequence.maximum):
            remarks.append(f"its range is cut to {kind}'s")
        remarks += self._renamed(sequence.name, _sequence_place(sequence, self._settings).table)
        finding = Finding("sequence", f"{sequence.schema}.{sequence.name}", _state(remarks), "; ".join(remarks) or None)
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
            steps.append(Step(f"SELECT setval({_literal(name)}::regclass, {sequence.current}, true)"))
        if sequence.comment:
            steps.append(self._comment(f"SEQUENCE {name}", sequence.comment, f"sequence {finding.name}"))
        return NamedStep(name, tuple(steps))

    def domains(self, tables: Sequence[Table]) -> dict[TargetName, NamedStep]:
        """A domain for each alias type that columns of these tables are to have as one."""
        found: dict[TargetName, NamedStep] = {}
        for column in (column for table in tables for column in table.columns):
            place = domain_place(column.type, self._settings)
            if place in found or column_type(column, self._settings, self._features) != place.quoted:
                continue
            base = postgres_type(column, self._features)
            finding = Finding("alias type", f"{column.type.alias_schema}.{column.type.alias}")
            step = Step(f"CREATE DOMAIN {place.quoted} AS {base}", finding)
            found[place] = NamedStep(str(place), (step,), base)
        return found

    def collation_support(self, tables: Sequence[Table]) -> Iterator[Step]:
        """What `COLLATION_POLICY` needs to be there before the tables."""
        columns = [column for table in tables for column in table.columns if column.collation]
        if self._settings.collation_policy == "citext" and any(map(_ignores_case, columns)):
            schema = quote(self._settings.target_schema)
            yield Step(f"CREATE EXTENSION IF NOT EXISTS citext SCHEMA {schema}")
            if "citext" not in self._features.extension_types:
                added = f"current_setting('search_path') || {_literal(f', {schema}')}"
                yield Step(f"SELECT set_config('search_path', {added}, false)")
        if self._settings.collation_policy == "icu":
            for collation in sorted({name for column in columns if (name := self._collation(column))}):
                locale = _icu_locale(collation)
                yield Step(
                    f"CREATE COLLATION IF NOT EXISTS {collation}"
                    f" (provider = icu, locale = {_literal(locale)}, deterministic = false)"
                )

    def _collation(self, column: Column) -> str | None:
        if self._settings.collation_policy != "icu" or not column.collation:
            return None
        sensitivity = re.search(r"_(CI|CS)_(AI|AS)", column.collation, re.IGNORECASE)
        if sensitivity is None or sensitivity[0].upper() == "_CS_AS":
            return None
        return f"{quote(self._settings.target_schema)}.{quote('mssql' + sensitivity[0].lower())}"

    # -- the rest of the database ---------------------------------------------------------------------

    def database_findings(self, selected: Sequence[Table], schemas: set[str]) -> Iterator[Finding]:
        """Findings about everything that no table's plan speaks of."""
        chosen = {(table.schema, table.name) for table in selected}
        for schema in self._database.schemas:
            target = self._settings.schema_map.get(schema.lower(), schema.lower())
            if target in schemas or (schema.lower() == "dbo" and self._settings.target_schema in schemas):
                yield Finding("schema", schema)
            elif not _is_system_schema(schema):
                yield Finding("schema", schema, "skipped", "no table or sequence of this run is in it")
        for table in self._database.tables:
            if (table.schema, table.name) not in chosen:
                yield Finding("table", table.full_name, "skipped", "not among the tables of this run")
        domains = self.domains(selected)
        for alias in self._database.alias_types:
            name = f"{alias.schema}.{alias.name}"
            if domain_place(SqlType("", alias=alias.name, alias_schema=alias.schema), self._settings) in domains:
                continue
            if alias.base.is_clr:
                yield Finding("CLR type", name, "skipped", "CLR types have no counterpart in PostgreSQL")
            else:
                yield Finding("alias type", name, "changed", f"its columns have the base type {alias.base}")
        for other in self._database.others:
            name = f"{other.schema}.{other.name}" if other.schema else other.name
            where = f" on {other.parent}" if other.parent else ""
            why = "code and objects beside tables are not translated"
            if other.kind == "comment" or other.kind.startswith("extended property"):
                why = "there is nothing in PostgreSQL that it could stand on"
            yield Finding(other.kind, name + where, "skipped", why, other.definition)
        for view in self._database.unread:
            yield Finding("catalog view", view.partition(":")[0], "skipped", f"not read:{view.partition(':')[2]}")
        for policy in self._database.security_policies:
            why = "row-level security is in force on the source: rows it hides from the login are not copied"
            yield Finding("security policy", policy, "skipped", why)
        yield from self._collation_findings(selected)
        for kind in NOT_LOOKED_AT:
            yield Finding(kind, self._database.name, "skipped", "not looked at")

    def _collation_findings(self, selected: Sequence[Table]) -> Iterator[Finding]:
        counts = Counter(
            column.collation
            for table in selected
            for column in table.columns
            if column.collation and _loose(column) and not self._keeps_looseness(column)
        )
        for collation, count in sorted(counts.items()):
            yield Finding(
                "collation",
                str(collation),
                "changed",
                f"{count} columns compare without regard to case or accents on the source, exactly in PostgreSQL",
                suggestion="COLLATION_POLICY=icu, or citext where only case matters",
            )

    def _keeps_looseness(self, column: Column) -> bool:
        """Whether the policy makes PostgreSQL compare the column as loosely as the source does."""
        if self._collation(column) is not None:
            return True
        is_citext = column_type(column, self._settings, self._features) == "citext"
        return is_citext and not re.search(r"_AI(_|$)", column.collation or "", re.IGNORECASE)


def _loose(column: Column) -> bool:
    return (
        bool(re.search(r"_(CI|AI)(_|$)", column.collation or "", re.IGNORECASE))
        and mapping_of(column.type).family == "text"
    )


def _is_system_schema(name: str) -> bool:
    return name.lower() in {"guest", "sys", "information_schema", *_ROLE_SCHEMAS}


def _not_valid(is_disabled: bool) -> str:
    return f"{'disabled' if is_disabled else 'not trusted'} on the source, so NOT VALID in PostgreSQL"


def _icu_locale(collation: str) -> str:
    """ICU's name for what a collation ignores (Unicode LDML, "Collation Settings": ks is the strength)."""
    if "_ci_ai" in collation:
        return "und-u-ks-level1"
    if "_cs_ai" in collation:
        return "und-u-ks-level1-kc-true"
    return "und-u-ks-level2"


def _state(remarks: Sequence[str]) -> State:
    return "changed" if remarks else "done"


def _untranslated(kind: str, name: str, translation: Translation) -> Finding:
    return Finding(kind, name, "skipped", translation.reason, translation.original, translation.suggestion)


def _why_not_shown(table: Table, columns: Sequence[KeyColumn]) -> str:
    dropped = {column.name for column in table.internal_columns if column.type.option == _DROP}
    if any(part.name in dropped for part in columns):
        return "on a column that the type map drops"
    return "on a column that the server keeps for itself"


def _why_internal(column: Column) -> str:
    if column.type.option == _DROP:
        return "dropped by the type map"
    if column.is_column_set:
        return "a column set: its XML is made of the sparse columns, which are all copied"
    return "kept by the server for itself (graph)"


def _spelled(index: Index) -> str:
    """An index in words close to T-SQL, for the report."""
    columns = ", ".join(column.name + (" DESC" if column.is_descending else "") for column in index.columns)
    included = f" INCLUDE ({', '.join(index.included)})" if index.included else ""
    where = f" WHERE {index.filter}" if index.filter else ""
    return f"{'UNIQUE ' if index.is_unique else ''}{index.kind} INDEX {index.name} ({columns}){included}{where}"

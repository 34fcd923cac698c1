"""Compare both sides of a schema replication, object by object and by name, and name whatever got lost without a word.

    python -m bench.account [--env-file FILE] [--report schema_report.json] [--names]

Everything that the source's catalog shows must either be in PostgreSQL under its name, as what it is (columns,
order, uniqueness, actions), or stand in the report as changed or skipped, with a reason. Its name is its own in
lower case or as `NAMING` says, cut with a hash beyond 63 bytes; another one counts only where the report tells it
("named …, because …"). In these tables PostgreSQL must hold nothing else, beside what is made there only: checks on
the range of a type (`table_column_range`) and the length of a citext (`table_column_length`). `--names` lists every
object by its name on both sides.

Both catalogs are read by queries of this module's own, and types are compared with a list of its own, so that a
fault of the tool is not repeated here. Exits 1 if anything is unaccounted for.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyodbc

from db import connect_source, connect_target, find_env_file, load_settings
from model.catalog import Table, written
from model.settings import Settings
from postgres.names import TargetName, fold, target_name

#: the PostgreSQL type of each T-SQL type, `{0}` the length in characters or the precision, `{1}` the scale
TYPES = {
    "bit": "boolean", "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint",
    "decimal": "numeric({0},{1})", "numeric": "numeric({0},{1})", "money": "numeric(19,4)",
    "smallmoney": "numeric(10,4)", "real": "real", "float": "double precision", "date": "date",
    "time": "time({1}) without time zone", "smalldatetime": "timestamp(0) without time zone",
    "datetime": "timestamp(3) without time zone", "datetime2": "timestamp({1}) without time zone",
    "datetimeoffset": "timestamp({1}) with time zone", "char": "character({0})", "nchar": "character({0})",
    "varchar": "character varying({0})", "nvarchar": "character varying({0})", "sysname": "character varying(128)",
    "text": "text", "ntext": "text", "xml": "xml", "binary": "bytea", "varbinary": "bytea", "image": "bytea",
    "timestamp": "bytea", "uniqueidentifier": "uuid",
}  # fmt: skip
SYSTEM_SCHEMAS = {"guest", "sys", "information_schema"}
#: sys.objects.type of what is told of in other ways: tables, their constraints, and the server's own
ACCOUNTED_ELSEWHERE = {"U", "PK", "UQ", "F", "C", "SO", "SN", "IT", "S"}

# A name as what it is declared as, since not every server sends it so.
NAME = "CAST(name AS nvarchar(128)) AS name"

SOURCE = {
    "schemas": f"SELECT schema_id, {NAME} FROM sys.schemas",
    "tables": f"SELECT object_id, schema_id, {NAME} FROM sys.tables WHERE is_ms_shipped = 0",
    "types": f"SELECT user_type_id, system_type_id, schema_id, {NAME}, is_user_defined, is_table_type FROM sys.types",
    "columns": f"SELECT object_id, column_id, {NAME}, user_type_id, max_length, precision, scale, is_nullable,"
    " is_identity, is_computed, default_object_id, rule_object_id FROM sys.columns",
    "indexes": f"SELECT object_id, index_id, {NAME}, is_unique, is_primary_key, is_unique_constraint, has_filter"
    " FROM sys.indexes WHERE is_hypothetical = 0",
    "index_columns": "SELECT object_id, index_id, column_id, index_column_id, key_ordinal, is_descending_key,"
    " is_included_column FROM sys.index_columns",
    "foreign_keys": f"SELECT object_id, {NAME}, parent_object_id, referenced_object_id, is_disabled, is_not_trusted,"
    " delete_referential_action_desc AS on_delete, update_referential_action_desc AS on_update FROM sys.foreign_keys",
    "foreign_key_columns": "SELECT constraint_object_id, constraint_column_id, parent_column_id, referenced_column_id"
    " FROM sys.foreign_key_columns",
    "checks": f"SELECT object_id, parent_object_id, {NAME}, is_disabled, is_not_trusted FROM sys.check_constraints",
    "defaults": f"SELECT object_id, parent_object_id, parent_column_id, {NAME} FROM sys.default_constraints",
    "objects": f"SELECT object_id, schema_id, parent_object_id, {NAME}, type, type_desc FROM sys.objects"
    " WHERE is_ms_shipped = 0",
    "synonyms": f"SELECT object_id, schema_id, {NAME} FROM sys.synonyms",
    "sequences": f"SELECT object_id, schema_id, {NAME}, CAST(start_value AS varchar(40)) AS starts,"
    " CAST(increment AS varchar(40)) AS increment, CAST(minimum_value AS varchar(40)) AS low,"
    " CAST(maximum_value AS varchar(40)) AS high, is_cycling FROM sys.sequences",
    "properties": f"SELECT class, major_id, minor_id, {NAME}, CAST(value AS nvarchar(max)) AS value"
    " FROM sys.extended_properties",
    "identities": "SELECT t.object_id, CAST(IDENT_SEED(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40))"
    " AS seed, CAST(IDENT_INCR(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS increment"
    " FROM sys.tables AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.is_ms_shipped = 0",
}

COLUMNS = """
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.attgenerated <> '',
       pg_get_expr(d.adbin, d.adrelid), s.seqstart, s.seqincrement, col_description(c.oid, a.attnum)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_depend AS p ON p.refobjid = c.oid AND p.refobjsubid = a.attnum AND p.classid = 'pg_class'::regclass
                        AND p.deptype IN ('a', 'i')
LEFT JOIN pg_sequence AS s ON s.seqrelid = p.objid
WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^(pg_|information_schema$|replication$)'
ORDER BY c.oid, a.attnum, s.seqrelid
"""
TABLES = """
SELECT n.nspname, c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S')
"""
INDEXES = """
SELECT n.nspname, c.relname, i.relname, coalesce(k.contype::text, 'i'), x.indisunique, x.indpred IS NOT NULL,
       x.indnkeyatts,
       ARRAY(SELECT pg_get_indexdef(x.indexrelid, g, false) FROM generate_series(1, x.indnatts) AS g ORDER BY g),
       ARRAY(SELECT pg_index_column_has_property(x.indexrelid, g, 'desc') FROM generate_series(1, x.indnkeyatts) AS g
             ORDER BY g),
       coalesce(obj_description(k.oid, 'pg_constraint'), obj_description(i.oid, 'pg_class'))
FROM pg_index AS x
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u')
"""
CONSTRAINTS = """
SELECT n.nspname, c.relname, k.conname, k.contype, k.convalidated, rn.nspname, r.relname, k.confdeltype, k.confupdtype,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (n, ordinal)
             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY ordinal),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (n, ordinal)
             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY ordinal),
       obj_description(k.oid, 'pg_constraint')
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_class AS r ON r.oid = k.confrelid
LEFT JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE k.contype IN ('c', 'f')
"""
SEQUENCES = """
SELECT n.nspname, c.relname, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle
FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
"""
SCHEMAS = "SELECT nspname, obj_description(oid, 'pg_namespace') FROM pg_namespace"
#: pg_constraint.contype of what the report calls a key, and `i` for an index
KEYS = {"primary key": "p", "unique constraint": "u", "index": "i"}
#: what may follow a name of ours that is taken
NUMBERS = ("", *(f"_{number}" for number in range(2, 10)))
ACTIONS = {"NO_ACTION": "a", "CASCADE": "c", "SET_NULL": "n", "SET_DEFAULT": "d"}


@dataclass(frozen=True)
class Item:
    """One object of the source: what kind, its name in the report, and what is wrong with it in PostgreSQL.

    `table` is the table that it belongs to, with which it may be told of as skipped. What is absent may not
    be told of as changed. `named` is what it is called in PostgreSQL.
    """

    kind: str
    name: str
    wrong: str | None
    table: str = ""
    is_absent: bool = False
    named: str = ""


#: entries of the report by kind and name
Report = Mapping[tuple[str, str], Mapping[str, str]]


@dataclass
class Target:
    """What PostgreSQL's catalog shows; `tables` with their descriptions, the rest by table."""

    connection: Any
    schemas: dict[str, str | None] = field(default_factory=dict)
    tables: dict[TargetName, str | None] = field(default_factory=dict)
    columns: defaultdict[TargetName, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    indexes: defaultdict[TargetName, list[Any]] = field(default_factory=lambda: defaultdict(list))
    constraints: defaultdict[TargetName, list[Any]] = field(default_factory=lambda: defaultdict(list))
    sequences: dict[TargetName, tuple[Any, ...]] = field(default_factory=dict)

    @staticmethod
    def read(connection: Any) -> Target:
        """Read it all. Raises psycopg2.Error."""
        found = Target(connection)
        with connection.cursor() as cursor:

            def rows(sql: str) -> list[Any]:
                cursor.execute(sql)
                return list(cursor.fetchall())

            found.schemas = dict(rows(SCHEMAS))
            found.tables = {TargetName(schema, table): text for schema, table, text in rows(TABLES)}
            found.sequences = {TargetName(schema, name): tuple(rest) for schema, name, *rest in rows(SEQUENCES)}
            for schema, table, column, *rest in rows(COLUMNS):
                found.columns[TargetName(schema, table)].setdefault(column, rest)
            for schema, table, *rest in rows(INDEXES):
                found.indexes[TargetName(schema, table)].append(rest)
            for schema, table, *rest in rows(CONSTRAINTS):
                found.constraints[TargetName(schema, table)].append(rest)
        return found


class Source:
    """What the source's catalog shows, by the names of SOURCE. Views that a server lacks are empty, and said so."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.rows: dict[str, list[Any]] = {name: self._read(sql) for name, sql in SOURCE.items()}
        self.schemas = {row.schema_id: row.name for row in self.rows["schemas"]}
        self.tables = {row.object_id: row for row in self.rows["tables"]}
        self.columns: defaultdict[int, dict[int, Any]] = defaultdict(dict)
        for row in sorted(self.rows["columns"], key=lambda row: row.column_id):
            if row.object_id in self.tables:
                self.columns[row.object_id][row.column_id] = row

    def _read(self, sql: str) -> list[Any]:
        try:
            return list(self._connection.execute(sql).fetchall())
        except pyodbc.Error as error:
            print(f"not read: {sql[:60]}…: {error.args[-1]}", file=sys.stderr)
            return []

    def texts(self, view: str, ids: Iterable[int]) -> dict[int, str]:
        """Definitions by object; those that the server cannot show are left out."""
        found: dict[int, str] = {}
        for object_id in ids:
            try:
                row = self._connection.execute(
                    f"SELECT definition FROM {view} WHERE object_id = {object_id}"
                ).fetchone()
                found[object_id] = row[0] or ""
            except pyodbc.Error:
                continue
        return found

    def full_name(self, object_id: int) -> str:
        """schema.table of a table."""
        table = self.tables[object_id]
        return f"{written(self.schemas[table.schema_id])}.{written(table.name)}"


class Account:
    """The objects of the source, one after another, each held against the target."""

    def __init__(self, source: Source, target: Target, settings: Settings, report: Report) -> None:
        self._source, self._target, self._settings, self._report = source, target, settings, report
        #: (kind, table or schema.name, name) of what PostgreSQL has of the source's
        self._claimed: set[tuple[str, TargetName, str]] = set()
        self._met: Counter[tuple[str, str]] = Counter()

    def _target_name(self, object_id: int) -> TargetName:
        row = self._source.tables[object_id]
        return self._named(row.schema_id, row.name)

    def _named(self, schema_id: int, name: str) -> TargetName:
        return target_name(Table(self._source.schemas[schema_id], name, ()), self._settings)

    def _fold(self, name: str) -> str:
        return fold(name, self._settings)

    def _is_skipped(self, kind: str, name: str) -> bool:
        return self._report.get((kind, name), {}).get("state") == "skipped"

    def _once_more(self, kind: str, name: str) -> str:
        """The object's name in the report, where a server may have several of one name on a table."""
        self._met[kind, name] += 1
        return name if self._met[kind, name] == 1 else f"{name} ({self._met[kind, name]})"

    def _called(self, kind: str, name: str, own: str) -> str:
        """What the object must be called in PostgreSQL: its own name, or another that the report tells."""
        told = re.search(r"named (.+?), because its own name", self._report.get((kind, name), {}).get("reason", ""))
        return told[1] if told else self._fold(own)

    def items(self) -> Iterator[Item]:
        """Everything."""
        yield from self._schemas()
        for object_id in self._source.tables:
            yield from self._table(object_id)
        yield from self._indexes()
        yield from self._foreign_keys()
        yield from self._checks()
        yield from self._defaults()
        yield from self._sequences()
        yield from self._others()
        yield from self._properties()
        yield from self._only_here()

    def _schemas(self) -> Iterator[Item]:
        for name in self._source.schemas.values():
            if name.lower() in SYSTEM_SCHEMAS or re.fullmatch(
                r"(?i)db_(\w*(owner|admin|operator|reader|writer))", name
            ):
                continue
            schema = target_name(Table(name, "x", ()), self._settings).schema
            wrong = None if schema in self._target.schemas else f"there is no schema {schema}"
            yield Item("schema", name, wrong, named=schema)

    # -- tables and columns ------------------------------------------------------------------------

    def _table(self, object_id: int) -> Iterator[Item]:
        name, target = self._source.full_name(object_id), self._target_name(object_id)
        there = self._target.columns[target]
        wanted = [
            self._fold(column.name)
            for column in self._source.columns[object_id].values()
            if not self._is_skipped("column", f"{name}.{column.name}")
        ]
        wrong = None if target in self._target.tables else f"there is no table {target}"
        if wrong is None and list(there) != wanted:
            wrong = f"its columns are {', '.join(there)}, not {', '.join(wanted)}"
        yield Item("table", name, wrong, is_absent=target not in self._target.tables, named=str(target))
        identities = {row.object_id: row for row in self._source.rows["identities"]}
        for column in self._source.columns[object_id].values():
            own = f"{name}.{column.name}"
            found = there.get(self._fold(column.name))
            yield Item("column", own, self._column(column, found), name, found is None, self._fold(column.name))
            if column.is_identity:
                row = identities.get(object_id)
                numbers = (int(row.seed), int(row.increment)) if row else None
                has = found and found[4] is not None and (found[4], found[5])
                yield Item("identity", own, None if has == numbers else f"it is {has}, not {numbers}", name, not has)
            if column.is_computed:
                yield Item(
                    "computed column", own, None if found and found[2] else "it is not generated", name, not found
                )

    def _column(self, column: Any, found: Sequence[Any] | None) -> str | None:
        if found is None:
            return "it is not there"
        names = {row.user_type_id: row for row in self._source.rows["types"]}
        kind = names[column.user_type_id]
        base = (names.get(kind.system_type_id, kind) if kind.is_user_defined else kind).name.lower()
        length = column.max_length // 2 if base in ("nchar", "nvarchar") else column.max_length
        scale = column.scale if base in ("decimal", "numeric") else min(column.scale, 6)
        number = column.precision if base in ("decimal", "numeric") else length
        wanted = TYPES.get(base, "?").format(number, scale)
        if base in ("varchar", "nvarchar") and column.max_length == -1:
            wanted = "text"
        if found[0] != wanted:
            return f"it is {found[0]}, not {wanted}"
        # Generated columns need no NOT NULL of their own, but what may be NULL must be able to be.
        return None if bool(found[1]) == bool(column.is_nullable) else f"NULL is {'' if found[1] else 'not '}allowed"

    # -- keys and indexes ----------------------------------------------------------------------------

    def _indexes(self) -> Iterator[Item]:
        parts: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
        for part in sorted(self._source.rows["index_columns"], key=lambda row: (row.key_ordinal, row.index_column_id)):
            parts[part.object_id, part.index_id].append(part)
        for row in self._source.rows["indexes"]:
            if row.name is None or row.object_id not in self._source.tables:
                continue
            kind = "primary key" if row.is_primary_key else "unique constraint" if row.is_unique_constraint else "index"
            names = self._source.columns[row.object_id]
            of_index = parts[row.object_id, row.index_id]
            keys = [
                (self._fold(names[part.column_id].name), kind == "index" and bool(part.is_descending_key))
                for part in of_index
                # 0 is included, or a partitioning column that is no part of the key; or a column of no table.
                if part.key_ordinal and part.column_id in names
            ]
            included = {
                self._fold(names[part.column_id].name)
                for part in of_index
                if part.is_included_column and part.column_id in names
            }
            wanted = (keys, included, bool(row.is_unique), bool(row.has_filter))
            target, table = self._target_name(row.object_id), self._source.full_name(row.object_id)
            called = self._called(kind, f"{table}.{row.name}", row.name)
            found = next((one for one in self._target.indexes[target] if one[:2] == [called, KEYS[kind]]), None)
            self._claimed.add(("index", target, called))
            wrong = None if found is not None and _index_shape(found) == wanted else f"it is not {wanted}"
            if found is None:
                wrong = f"there is no {kind} {called}"
            yield Item(kind, f"{table}.{row.name}", wrong, table, found is None, called)

    def _foreign_keys(self) -> Iterator[Item]:
        pairs: defaultdict[int, list[Any]] = defaultdict(list)
        for row in sorted(self._source.rows["foreign_key_columns"], key=lambda row: row.constraint_column_id):
            pairs[row.constraint_object_id].append(row)
        for row in self._source.rows["foreign_keys"]:
            here, there = (self._source.columns[one] for one in (row.parent_object_id, row.referenced_object_id))
            target, table = self._target_name(row.parent_object_id), self._source.full_name(row.parent_object_id)
            called = self._called("foreign key", f"{table}.{row.name}", row.name)
            wanted = (
                not (row.is_disabled or row.is_not_trusted),
                self._target_name(row.referenced_object_id),
                ACTIONS[row.on_delete],
                ACTIONS[row.on_update],
                [self._fold(here[pair.parent_column_id].name) for pair in pairs[row.object_id]],
                [self._fold(there[pair.referenced_column_id].name) for pair in pairs[row.object_id]],
            )
            found = [
                (valid, TargetName(schema, other), deletes, updates, columns, others)
                for name, kind, valid, schema, other, deletes, updates, columns, others, _ in self._target.constraints[
                    target
                ]
                if kind == "f" and name == called
            ]
            wrong = None if wanted in found else f"it is {found or 'not there'}, not {wanted}"
            self._claimed.add(("constraint", target, called))
            yield Item("foreign key", f"{table}.{row.name}", wrong, table, not found, called)

    # -- expressions ---------------------------------------------------------------------------------

    def _checks(self) -> Iterator[Item]:
        rows = self._source.rows["checks"]
        texts = self._source.texts("sys.check_constraints", [row.object_id for row in rows])
        for row in sorted(rows, key=lambda row: (row.parent_object_id, row.name)):
            is_valid = not (row.is_disabled or row.is_not_trusted)
            words = _words(texts.get(row.object_id, ""))
            yield self._check(row.parent_object_id, row.name, is_valid, words)
        rules = {row.object_id: row.name for row in self._source.rows["objects"] if row.type.strip() == "R"}
        for object_id, columns in self._source.columns.items():
            for column in columns.values():
                if column.rule_object_id:
                    name = f"{rules.get(column.rule_object_id, f'rule {column.rule_object_id}')}_{column.name}"
                    yield self._check(object_id, name, False, {column.name.lower()})

    def _check(self, table: int, own: str, is_valid: bool, words: set[str]) -> Item:
        known = {column.name.lower(): self._fold(column.name) for column in self._source.columns[table].values()}
        wanted = {folded for name, folded in known.items() if name in words}
        target, full = self._target_name(table), self._source.full_name(table)
        name = self._once_more("check", f"{full}.{own}")
        called = self._called("check", name, own)
        found = [
            (valid, set(columns))
            for constraint, kind, valid, _, _, _, _, columns, *_ in self._target.constraints[target]
            if kind == "c" and constraint == called
        ]
        wrong = None if (is_valid, wanted) in found else f"it is {found or 'not there'}, not {(is_valid, wanted)}"
        self._claimed.add(("constraint", target, called))
        return Item("check", name, wrong, full, not found, called)

    def _defaults(self) -> Iterator[Item]:
        rows = self._source.rows["defaults"]
        texts = self._source.texts("sys.default_constraints", [row.object_id for row in rows])
        for row in rows:
            yield self._default(row.parent_object_id, row.parent_column_id, texts.get(row.object_id, ""))
        known = {(row.parent_object_id, row.parent_column_id) for row in rows}
        for object_id, columns in self._source.columns.items():
            for column_id, column in columns.items():
                if column.default_object_id and not column.is_computed and (object_id, column_id) not in known:
                    yield self._default(object_id, column_id, "")

    def _default(self, object_id: int, column_id: int, text: str) -> Item:
        column, target = self._source.columns[object_id][column_id].name, self._target_name(object_id)
        found = self._target.columns[target].get(self._fold(column))
        wrong = None
        if re.sub(r"[()\s]", "", text).upper() != "NULL":
            wrong = "there is none" if found is None or found[3] is None else self._unlike(text, found[3], found[0])
        self._claimed.add(("default", target, self._fold(column)))
        table = self._source.full_name(object_id)
        return Item("default", f"{table}.{column}", wrong, table, found is None or found[3] is None, self._fold(column))

    def _unlike(self, text: str, expression: str, kind: str) -> str | None:
        """Whether a constant default is another constant now; what is no constant is taken as it is."""
        bare = text.strip()
        while bare.startswith("(") and bare.endswith(")"):
            bare = bare[1:-1].strip()
        constant = re.fullmatch(r"N?'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?)", bare)
        if constant is None:
            return None
        wanted = constant[2] if constant[1] is None else constant[1].replace("''", "'")
        if kind == "bytea" and wanted.startswith("0x"):
            wanted = f"\\{wanted[1:]}"  # Babelfish writes bytes as a text
        expression = expression.replace("%", "%%")
        with self._target.connection.cursor() as cursor:
            cursor.execute(f"SELECT ({expression})::text, ({expression}) = CAST(%s AS {kind})", (wanted,))
            value, is_same = cursor.fetchone()
        return None if is_same else f"it is {value}, not {wanted}"

    # -- the rest ------------------------------------------------------------------------------------

    def _sequences(self) -> Iterator[Item]:
        for row in self._source.rows["sequences"]:
            wanted = (int(row.starts), int(row.increment), int(row.low), int(row.high), bool(row.is_cycling))
            target = self._named(row.schema_id, row.name)
            found = self._target.sequences.get(target)
            wrong = None if found == wanted else f"it is {found}, not {wanted}"
            name = f"{self._source.schemas[row.schema_id]}.{row.name}"
            yield Item("sequence", name, wrong, is_absent=found is None, named=str(target))

    def _others(self) -> Iterator[Item]:
        """Views, code, synonyms and types: they do not come, and each has to be in the report."""
        schemas, names = self._source.schemas, {row.object_id: row.name for row in self._source.rows["objects"]}
        for row in self._source.rows["objects"]:
            code = row.type.strip()
            if code in ACCOUNTED_ELSEWHERE or (code == "D" and row.parent_object_id):
                continue
            where = f" on {names[row.parent_object_id]}" if row.parent_object_id in names else ""
            kind = row.type_desc.lower().replace("_", " ")
            yield Item(kind, f"{schemas[row.schema_id]}.{row.name}{where}", "it is not translated")
        for row in self._source.rows["synonyms"]:
            yield Item("synonym", f"{schemas[row.schema_id]}.{row.name}", "it is not translated")
        for row in self._source.rows["types"]:
            if row.is_user_defined and not row.is_table_type:
                yield Item("alias type", f"{schemas[row.schema_id]}.{row.name}", "it is not translated")

    def _properties(self) -> Iterator[Item]:
        """Comments, by the text that stands on the same thing in PostgreSQL."""
        comments = set(map(str.casefold, self._settings.comment_properties))
        for row in self._source.rows["properties"]:
            if row.name.casefold() not in comments:
                yield Item(f"extended property {row.name}", "", "it is not translated")
                continue
            name, table, text = self._described(row)
            # A comment may be made of several.
            wrong = None if row.value in (text or "") else f"its text is not there: {row.value[:60]}"
            yield Item("comment", name, wrong, table, named=name)

    def _described(self, row: Any) -> tuple[str, str, str | None]:
        """What a property is about, as the report calls it; its table; the comment that it has in PostgreSQL."""
        source, target = self._source, self._target
        kinds = {"PK": "primary key", "UQ": "unique constraint", "F": "foreign key", "C": "check"}
        if row[0] == 1 and row.major_id in source.tables:
            here, table = self._target_name(row.major_id), source.full_name(row.major_id)
            if not row.minor_id:
                return f"table {table}", table, target.tables.get(here)
            column = source.columns[row.major_id][row.minor_id].name
            return f"column {table}.{column}", table, target.columns[here].get(self._fold(column), [None])[-1]
        if row[0] == 3 and row.major_id in source.schemas:
            own = source.schemas[row.major_id]
            return f"schema {own}", "", target.schemas.get(self._named(row.major_id, "").schema)
        if row[0] == 7 and row.major_id in source.tables:
            of_table = (one for one in source.rows["indexes"] if one.object_id == row.major_id)
            index = next((one for one in of_table if one.index_id == row.minor_id), None)
            return self._of_table("index", row.major_id, "" if index is None else index.name)
        for one in source.rows["objects"] if row[0] == 1 else ():
            if one.object_id == row.major_id and one.type.strip() in kinds and one.parent_object_id in source.tables:
                return self._of_table(kinds[one.type.strip()], one.parent_object_id, one.name)
        for one in source.rows["sequences"] if row[0] == 1 else ():
            if one.object_id == row.major_id:
                name = f"{source.schemas[one.schema_id]}.{one.name}"
                return f"sequence {name}", "", target.tables.get(self._named(one.schema_id, one.name))
        return "", "", None

    def _of_table(self, kind: str, table: int, own: str) -> tuple[str, str, str | None]:
        here, full = self._target_name(table), self._source.full_name(table)
        called = self._called(kind, f"{full}.{own}", own)
        parts = self._target.constraints[here] if kind in ("foreign key", "check") else self._target.indexes[here]
        return f"{kind} {full}.{own}", full, next((part[-1] for part in parts if part[0] == called), None)

    # -- what is in PostgreSQL only --------------------------------------------------------------------

    def _only_here(self) -> Iterator[Item]:
        """What the source's tables have in PostgreSQL and not on the source, beside what is made there only."""
        for object_id in self._source.tables:
            target, table = self._target_name(object_id), self._source.full_name(object_id)
            wrong = "it is in PostgreSQL only"
            for name, *_ in self._target.indexes[target]:
                if ("index", target, name) not in self._claimed:
                    yield Item("index", f"{table}: {name}", wrong, named=name)
            for name, _, _, _, _, _, _, columns, *_ in self._target.constraints[target]:
                if ("constraint", target, name) not in self._claimed and not self._is_ours(target, name, columns):
                    yield Item("constraint", f"{table}: {name}", wrong, named=name)
            fed = {self._fold(one.name) for one in self._source.columns[object_id].values() if one.is_identity}
            for name, column in self._target.columns[target].items():
                is_default = column[3] is not None and not column[2] and name not in fed
                if is_default and ("default", target, name) not in self._claimed:
                    yield Item("default", f"{table}: {name}", wrong, named=name)

    def _is_ours(self, target: TargetName, name: str, columns: Sequence[str]) -> bool:
        """Whether a constraint is the check of a type's range or length, which is numbered where its name is taken."""
        own = [f"{target.table}_{column}_{what}" for column in columns for what in ("range", "length")]
        return len(columns) == 1 and name in {self._fold(f"{one}{number}") for one in own for number in NUMBERS}


def _index_shape(index: Sequence[Any]) -> tuple[Any, ...]:
    _, _, is_unique, has_filter, width, names, descending, _ = index
    bare = [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names]
    keys = [(name, bool(down)) for name, down in zip(bare[:width], descending, strict=True)]
    return keys, set(bare[width:]), is_unique, has_filter


def _words(text: str) -> set[str]:
    """The names that an expression may mention: bracketed, quoted or bare, outside of string constants."""
    found = re.findall(
        r"\[((?:[^\]]|\]\])+)\]|\"((?:[^\"]|\"\")+)\"|([^\W\d]\w*)", re.sub(r"'(?:[^']|'')*'", "''", text)
    )
    return {(one.replace("]]", "]") or two.replace('""', '"') or three).lower() for one, two, three in found}


def unaccounted(items: Sequence[Item], report: Report) -> list[Item]:
    """Those that are neither in PostgreSQL nor changed or skipped, with a reason, in the report."""

    told = {key: entry["state"] for key, entry in report.items() if entry["state"] != "done" and entry.get("reason")}
    skipped = {name for (kind, name), state in told.items() if kind == "table" and state == "skipped"}
    kinds = {kind for kind, _ in told}

    def is_told(item: Item) -> bool:
        if not item.name:
            return item.kind in kinds
        state = told.get((item.kind, item.name))
        return item.table in skipped or state == "skipped" or (state == "changed" and not item.is_absent)

    return [item for item in items if item.wrong is not None and not is_told(item)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Count, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env-file", type=Path)
    parser.add_argument("--report", type=Path, default=Path("schema_report.json"))
    parser.add_argument("--names", action="store_true", help="list every object by its name on both sides")
    options = parser.parse_args(arguments)
    settings = load_settings(find_env_file(options.env_file))
    document = json.loads(options.report.read_text(encoding="utf-8"))
    report = {(entry["kind"], entry["name"]): entry for entry in document["objects"]}
    with connect_target(settings) as connection:
        account = Account(Source(connect_source(settings)), Target.read(connection), settings, report)
        items = list(account.items())
    lost = unaccounted(items, report)
    if options.names:
        for item in items:
            print(f"{item.kind} {item.name} = {item.named if item.wrong is None else f'({item.wrong})'}")
    counts, there = Counter(item.kind for item in items), Counter(item.kind for item in items if item.wrong is None)
    missing = Counter(item.kind for item in lost)
    print(f"{'kind':34} {'source':>7} {'PostgreSQL':>11} {'reported':>9} {'lost':>5}")
    for kind, count in sorted(counts.items()):
        told = count - there[kind] - missing[kind]
        print(f"{kind:34} {count:7} {there[kind]:11} {told:9} {missing[kind]:5}")
    print(f"{'all':34} {len(items):7} {there.total():11} {len(items) - there.total() - len(lost):9} {len(lost):5}")
    for item in lost:
        print(f"  {item.kind} {item.name}: {item.wrong}")
    print(f"objects unaccounted for: {len(lost)}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

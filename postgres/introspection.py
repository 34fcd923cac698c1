"""What the target's tables look like now, and how they differ from what the source asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from model.catalog import Table
from model.settings import Settings
from postgres.names import TargetName, fold, listed, target_name
from type_mapping import TargetFeatures


@dataclass(frozen=True)
class TargetColumn:
    """A column of a PostgreSQL table.

    `type` as `format_type` writes it, a domain with its schema and quoted; `base_type` and `modifier` as
    the binary format needs them, a domain's being those of the type under it.
    """

    name: str
    type: str
    base_type: str
    modifier: int
    is_not_null: bool
    is_identity: bool
    is_generated: bool
    has_default: bool = False


@dataclass(frozen=True)
class TargetTable:
    """A PostgreSQL table as it is; `relations` are its constraints and indexes by name."""

    name: TargetName
    columns: tuple[TargetColumn, ...]
    primary_key: tuple[str, ...] = ()
    relations: frozenset[str] = frozenset()
    is_partitioned: bool = False
    is_unlogged: bool = False
    #: the columns of each key or index that refuses a second row of equal values
    unique: frozenset[frozenset[str]] = frozenset()

    @property
    def rows(self) -> str:
        """The table in a FROM."""
        return self.name.own_rows(self.is_partitioned)

    def column(self, name: str) -> TargetColumn | None:
        """The column of that name."""
        return next((column for column in self.columns if column.name == name), None)


TABLES_AND_COLUMNS = """
SELECT n.nspname, c.relname, c.relkind = 'p', c.relpersistence = 'u', a.attname,
       CASE WHEN t.typtype = 'd'
            THEN '"' || replace(tn.nspname, '"', '""') || '"."' || replace(t.typname, '"', '""') || '"'
            ELSE format_type(a.atttypid, a.atttypmod) END,
       coalesce(base.typname, t.typname),
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       a.attnotnull, a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%%',
       a.attgenerated <> '', d.oid IS NOT NULL
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_namespace AS tn ON tn.oid = t.typnamespace
LEFT JOIN pg_type AS base ON t.typtype = 'd' AND base.oid = t.typbasetype
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (%(schemas)s)
ORDER BY n.nspname, c.relname, a.attnum
"""

PRIMARY_KEYS = """
SELECT n.nspname, c.relname, a.attname
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE i.indisprimary AND n.nspname = ANY (%(schemas)s)
ORDER BY n.nspname, c.relname, k.position
"""


UNIQUE = """
SELECT n.nspname, c.relname, array_agg(a.attname::text)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k (attnum)
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND n.nspname = ANY (%(schemas)s)
GROUP BY n.nspname, c.relname, i.indexrelid
"""

RELATIONS = """
SELECT n.nspname, c.relname, k.conname
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s)
UNION
SELECT n.nspname, c.relname, i.relname
FROM pg_index AS x
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s)
"""


def read_tables(connection: Any, schemas: Iterable[str]) -> dict[TargetName, TargetTable]:
    """All tables of these target schemas, in four queries. Raises psycopg2.Error."""
    wanted = {"schemas": sorted(set(schemas))}
    with connection.cursor() as cursor:
        cursor.execute(TABLES_AND_COLUMNS, wanted)
        columns: dict[TargetName, list[TargetColumn]] = {}
        partitioned: set[TargetName] = set()
        unlogged: set[TargetName] = set()
        for schema, table, is_partitioned, is_unlogged, *column in cursor.fetchall():
            known = columns.setdefault(TargetName(schema, table), [])
            if is_partitioned:
                partitioned.add(TargetName(schema, table))
            if is_unlogged:
                unlogged.add(TargetName(schema, table))
            if column[0] is not None:
                known.append(TargetColumn(*column))
        cursor.execute(PRIMARY_KEYS, wanted)
        keys: defaultdict[TargetName, list[str]] = defaultdict(list)
        for schema, table, column_name in cursor.fetchall():
            keys[TargetName(schema, table)].append(column_name)
        cursor.execute(UNIQUE, wanted)
        unique: defaultdict[TargetName, set[frozenset[str]]] = defaultdict(set)
        for schema, table, names in cursor.fetchall():
            unique[TargetName(schema, table)].add(frozenset(names))
        cursor.execute(RELATIONS, wanted)
        relations: defaultdict[TargetName, set[str]] = defaultdict(set)
        for schema, table, relation in cursor.fetchall():
            relations[TargetName(schema, table)].add(relation)
    connection.commit()
    return {
        name: TargetTable(
            name,
            tuple(parts),
            tuple(keys[name]),
            frozenset(relations[name]),
            is_partitioned=name in partitioned,
            is_unlogged=name in unlogged,
            unique=frozenset(unique[name]),
        )
        for name, parts in columns.items()
    }


def missing_key(table: Table, target: TargetTable, settings: Settings) -> tuple[str, ...]:
    """The columns of the first key of the source that the target's table has in no form; none where it has them all.

    Primary keys, and unique constraints without NULLs: what every PostgreSQL can have.
    """
    nullable = {column.name for column in table.columns if column.is_nullable}
    keys = [key.columns_used for key in (table.primary_key,) if key is not None]
    keys += [
        key.columns_used for key in table.unique if not key.is_disabled and not nullable.intersection(key.columns_used)
    ]
    known = {column.name for column in table.columns}
    for names in keys:
        columns = tuple(fold(name, settings) for name in names)
        if known.issuperset(names) and frozenset(columns) not in target.unique:
            return columns
    return ()


STILL_THERE = """
SELECT w.position::integer, c.oid::text || '/' || coalesce(pg_relation_filenode(c.oid), 0),
       c.relkind = 'p' OR pg_relation_size(c.oid) > 0
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind IN ('r', 'p')
"""


@dataclass(frozen=True)
class Standing:
    """A table as it stands now: `relation/filenode`, which changes when it is made anew or emptied; any blocks?"""

    loaded_as: str
    has_blocks: bool


def read_standing(connection: Any, tables: Sequence[TargetName]) -> dict[TargetName, Standing]:
    """How tables stand now, those that are there, in one query for all. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(STILL_THERE, listed(tables))
        found = {tables[position - 1]: Standing(loaded_as, blocks) for position, loaded_as, blocks in cursor.fetchall()}
    connection.rollback()
    return found


def count_rows(connection: Any, table: TargetTable) -> int:
    """The rows of a table, without those of tables that inherit from it. Raises psycopg2.Error."""
    return int(_rows(connection, f"SELECT count(*) FROM {table.rows}")[0][0])


EXTENSION_TYPES = """
SELECT t.typname, format_type(t.oid, NULL)
FROM pg_type AS t
JOIN pg_depend AS d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE (e.extname, t.typname) IN (('postgis', 'geometry'), ('postgis', 'geography'), ('vector', 'vector'),
    ('citext', 'citext'))
"""


def read_features(connection: Any) -> TargetFeatures:
    """What this server can do: its version (`server_version_num`), libxml, types of extensions."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT xmlparse(CONTENT '<a/>')")
            has_xml = True
        except psycopg2.errors.FeatureNotSupported:
            has_xml = False
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute(EXTENSION_TYPES)
        extension_types = dict(cursor.fetchall())
    connection.rollback()
    return TargetFeatures(has_xml=has_xml, version=connection.server_version, extension_types=extension_types)


# "unicode" stands in every server's catalog since 16, with or without ICU.
ICU_COLLATIONS = "SELECT FROM pg_collation WHERE collprovider = 'i' AND collname <> 'unicode' LIMIT 1"


def search_path(connection: Any) -> str:
    """The session's search path, as `db.connect_target` has set it. Raises psycopg2.Error."""
    return next(str(path) for (path,) in _rows(connection, "SELECT current_setting('search_path')"))


def has_citext(connection: Any) -> bool:
    """Whether this server can have the extension citext. Raises psycopg2.Error."""
    return bool(_rows(connection, "SELECT FROM pg_available_extensions WHERE name = 'citext'"))


def has_icu(connection: Any) -> bool:
    """Whether this server's collations can be ICU's. Raises psycopg2.Error."""
    return bool(_rows(connection, ICU_COLLATIONS))


def read_schemas(connection: Any) -> set[str]:
    """The names of all schemas. Raises psycopg2.Error."""
    return {name for (name,) in _rows(connection, "SELECT nspname FROM pg_namespace")}


FOREIGN_KEYS_TO = """
SELECT n.nspname, c.relname, k.conname
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = %s::regclass AND k.conrelid <> k.confrelid
"""


def foreign_keys_to(connection: Any, table: TargetName) -> list[tuple[TargetName, str]]:
    """The foreign keys of other tables that point to this one: table and name. Raises psycopg2.Error."""
    return [(TargetName(schema, of), name) for schema, of, name in _rows(connection, FOREIGN_KEYS_TO, table.quoted)]


DOMAIN_BASE = """
SELECT format_type(t.typbasetype, t.typtypmod)
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND n.nspname || '.' || t.typname = %s
"""


def domain_base(connection: Any, name: str) -> str | None:
    """The type under the domain `schema.name`; None where there is none. Raises psycopg2.Error."""
    return next((str(base) for (base,) in _rows(connection, DOMAIN_BASE, name)), None)


def relation_exists(connection: Any, name: str) -> bool:
    """Whether there is a table, index or sequence of this name, written as SQL has it. Raises psycopg2.Error."""
    return bool(_rows(connection, "SELECT WHERE to_regclass(%s) IS NOT NULL", name))


def _rows(connection: Any, sql: str, *values: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        found: list[tuple[Any, ...]] = cursor.fetchall()
    connection.rollback()
    return found


def target_schemas(tables: Iterable[Table], settings: Settings) -> list[str]:
    """The target schemas that these tables go to, each once, in order."""
    return sorted({target_name(table, settings).schema for table in tables})

"""What the role that runs may do in the target (PostgreSQL, "Access Privilege Inquiry Functions")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from db import target_words
from postgres.names import STAGING_SCHEMA, TargetName, listed

DATABASE = """
SELECT current_user::text, current_database()::text,
       has_database_privilege(current_database(), 'CREATE'),
       has_database_privilege(current_database(), 'TEMPORARY')
"""
SCHEMAS = """
SELECT w.name, n.oid IS NOT NULL,
       n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'USAGE'),
       n.oid IS NOT NULL AND has_schema_privilege(n.oid, 'CREATE')
FROM unnest(%s::text[]) AS w (name) LEFT JOIN pg_namespace AS n ON n.nspname = w.name
"""
TABLES = """
SELECT w.table_schema, w.table_name, pg_get_userbyid(c.relowner)::text, pg_has_role(c.relowner, 'USAGE'),
       has_table_privilege(c.oid, 'INSERT'), has_table_privilege(c.oid, 'TRUNCATE'),
       has_table_privilege(c.oid, 'SELECT'),
       NOT EXISTS (
           SELECT FROM pg_constraint AS k JOIN pg_class AS child ON child.oid = k.conrelid
           WHERE k.contype = 'f' AND c.oid IN (k.conrelid, k.confrelid)
             AND NOT (pg_has_role(child.relowner, 'USAGE') AND has_table_privilege(k.confrelid, 'REFERENCES'))
       ) AND (pg_has_role(c.relowner, 'USAGE') OR NOT EXISTS (
           SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled = 'O'
       )),
       pg_has_role(c.relowner, 'USAGE') OR NOT EXISTS (SELECT FROM pg_index AS x WHERE x.indrelid = c.oid),
       NOT EXISTS (
           SELECT FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid
           WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
             AND d.deptype IN ('a', 'i')
             -- which refuses whatever is no sequence, in whatever order conditions are looked at
             AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'UPDATE') END)
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w (table_schema, table_name)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE c.relkind IN ('r', 'p')
"""
RECORDS = "replication"


@dataclass(frozen=True)
class SchemaRights:
    """What the role may do in a schema; `exists` says whether it is there."""

    exists: bool
    may_use: bool
    may_create: bool


@dataclass(frozen=True)
class TableRights:
    """What the role may do with a table. Its owner alone, or a member of that role, may change it and its keys.

    `may_suspend` is about foreign keys from and to it and its triggers, which every load suspends and restores, and
    `may_suspend_indexes` about its keys and indexes, which the load of a large table does.
    """

    owner: str
    owns: bool
    may_insert: bool
    may_truncate: bool
    may_select: bool
    may_suspend: bool
    may_suspend_indexes: bool
    may_set_sequences: bool

    @property
    def missing_for_a_load(self) -> tuple[str, ...]:
        """The rights that a load needs and the role lacks."""
        found = {"INSERT": self.may_insert, "TRUNCATE": self.may_truncate, "SELECT": self.may_select}
        return tuple(name for name, is_had in found.items() if not is_had)


@dataclass(frozen=True)
class TargetRights:
    """What the role may do. `refused_settings` are those that the server does not take, and its words."""

    role: str
    database: str
    may_create_schemas: bool
    schemas: Mapping[str, SchemaRights] = field(default_factory=dict)
    tables: Mapping[TargetName, TableRights] = field(default_factory=dict)
    refused_settings: Mapping[str, str] = field(default_factory=dict)


def read_table_rights(connection: Any, tables: Iterable[TargetName]) -> dict[TargetName, TableRights]:
    """The role's rights on those of the tables that are there. Raises psycopg2.Error; ends the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES, listed(tables))
        found = {TargetName(schema, name): TableRights(*rights) for schema, name, *rights in cursor.fetchall()}
    connection.rollback()
    return found


def read_rights(connection: Any, tables: Sequence[TargetName], memory: str) -> TargetRights:
    """All that a run needs to be allowed; `memory` is MAINTENANCE_WORK_MEM. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(DATABASE)
        role, database, may_create, _ = cursor.fetchone()
        cursor.execute(SCHEMAS, ([*dict.fromkeys(table.schema for table in tables), RECORDS, STAGING_SCHEMA],))
        schemas = {name: SchemaRights(*rights) for name, *rights in cursor.fetchall()}
    connection.rollback()
    return TargetRights(
        role, database, may_create, schemas, read_table_rights(connection, tables),
        _refused(connection, {"maintenance_work_mem": memory}),
    )  # fmt: skip


def _refused(connection: Any, settings: Mapping[str, str]) -> dict[str, str]:
    refused = {}
    for name, value in settings.items():
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", (name, value))
        except psycopg2.Error as error:
            refused[name] = target_words(error)
        connection.rollback()
    return refused

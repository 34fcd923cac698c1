"""sys.* → catalog: the structure of the whole database in a few set-based queries.

No query is run once a table, and none relies on numbers of types: names come from sys.types.
Sources: Microsoft, "System Catalog Views (Transact-SQL)".
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pyodbc

from catalog import Column, Database, Identity, Key, KeyColumn, SqlType, Table
from db import odbc_words


class IntrospectionError(Exception):
    """The source's catalog cannot be read; the message holds the server's words."""


TABLES = """
SELECT s.name AS schema_name, t.name AS table_name, t.object_id
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE t.is_ms_shipped = 0
"""

ROW_COUNTS = """
SELECT p.object_id, SUM(CAST(p.rows AS bigint)) AS row_count
FROM sys.partitions AS p
WHERE p.index_id IN (0, 1)
GROUP BY p.object_id
"""

COLUMNS = """
SELECT c.object_id, c.name, type.name AS type_name, base.name AS base_name, type.is_user_defined,
       type.is_assembly_type, c.max_length, c.precision, c.scale, c.is_nullable, c.is_identity,
       c.is_computed, c.collation_name
FROM sys.columns AS c
JOIN sys.tables AS t ON t.object_id = c.object_id
LEFT JOIN sys.types AS type ON type.user_type_id = c.user_type_id
LEFT JOIN sys.types AS base ON base.user_type_id = type.system_type_id
WHERE t.is_ms_shipped = 0
ORDER BY c.object_id, c.column_id
"""

# IDENT_SEED and its siblings take the table's quoted name; sys.identity_columns shows sql_variant.
IDENTITIES = """
SELECT t.object_id,
       CAST(IDENT_SEED(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS seed,
       CAST(IDENT_INCR(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS increment,
       CAST(IDENT_CURRENT(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS last_value
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.columns AS c ON c.object_id = t.object_id AND c.is_identity = 1
WHERE t.is_ms_shipped = 0
"""

# Through sys.indexes, because not every server fills sys.key_constraints.unique_index_id alike.
PRIMARY_KEYS = """
SELECT i.object_id, i.name, c.name AS column_name, ic.is_descending_key
FROM sys.indexes AS i
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
WHERE i.is_primary_key = 1 AND ic.key_ordinal > 0
ORDER BY i.object_id, ic.key_ordinal
"""


def read_database(connection: Any) -> Database:
    """The database that a pyodbc connection is in, its tables in the fixed order of every loop.

    Raises IntrospectionError.
    """
    try:
        return _read(connection)
    except pyodbc.Error as error:
        raise IntrospectionError(f"the source's catalog cannot be read: {odbc_words(error)}") from None


def _read(connection: Any) -> Database:
    cursor = connection.cursor()
    name, collation = cursor.execute("SELECT DB_NAME(), CAST(SERVERPROPERTY('Collation') AS nvarchar(128))").fetchone()
    column_rows = cursor.execute(COLUMNS).fetchall()
    identities = _identities(cursor) if any(row.is_identity for row in column_rows) else {}
    columns: defaultdict[int, list[Column]] = defaultdict(list)
    for row in column_rows:
        columns[row.object_id].append(_column(row, identities))
    keys = _primary_keys(cursor)
    counts = {row.object_id: int(row.row_count or 0) for row in cursor.execute(ROW_COUNTS).fetchall()}
    tables = [
        Table(
            schema=row.schema_name,
            name=row.table_name,
            columns=tuple(columns[row.object_id]),
            primary_key=keys.get(row.object_id),
            row_count=counts.get(row.object_id, 0),
        )
        for row in cursor.execute(TABLES).fetchall()
    ]
    return Database(name=name, collation=collation, tables=tuple(sorted(tables, key=lambda table: table.sort_key)))


def _identities(cursor: Any) -> dict[int, Identity]:
    return {
        row.object_id: Identity(
            int(row.seed or 1), int(row.increment or 1), None if row.last_value is None else int(row.last_value)
        )
        for row in cursor.execute(IDENTITIES).fetchall()
    }


def _column(row: Any, identities: dict[int, Identity]) -> Column:
    return Column(
        name=row.name,
        type=_type(row),
        is_nullable=bool(row.is_nullable),
        identity=identities.get(row.object_id, Identity()) if row.is_identity else None,
        collation=row.collation_name,
    )


def _type(row: Any) -> SqlType:
    """A column's type; an alias type as its base type with the alias kept beside it."""
    if row.type_name is None:
        return SqlType("(unknown)")
    is_alias = bool(row.is_user_defined) and not row.is_assembly_type and row.base_name is not None
    return SqlType(
        name=(row.base_name if is_alias else row.type_name).lower(),
        max_length=row.max_length,
        precision=row.precision,
        scale=row.scale,
        alias=row.type_name if is_alias else None,
        is_clr=bool(row.is_user_defined and row.is_assembly_type),
    )


def _primary_keys(cursor: Any) -> dict[int, Key]:
    names: dict[int, str] = {}
    columns: defaultdict[int, list[KeyColumn]] = defaultdict(list)
    for row in cursor.execute(PRIMARY_KEYS).fetchall():
        names[row.object_id] = row.name
        columns[row.object_id].append(KeyColumn(row.column_name, bool(row.is_descending_key)))
    return {object_id: Key(name, tuple(columns[object_id])) for object_id, name in names.items()}

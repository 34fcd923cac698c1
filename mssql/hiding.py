"""What the source keeps from this login without an error: values behind masks, rows behind policies, whole objects.

A query returns masks as if they were values, and leaves out rows that a policy filters (Microsoft, "Dynamic data
masking", "Row-level security"); the catalog leaves out what the login has no right to (Microsoft, "Metadata Visibility
Configuration"). Rights are asked with NULL for the current database, since the name of one may hold a dot (Microsoft,
"HAS_PERMS_BY_NAME").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from db import odbc_words
from model.catalog import Hiding, Table
from model.odbc_strings import parse_odbc
from model.settings import Source
from mssql.catalog_queries import ODBC_ERRORS, Catalog
from mssql.quoting import is_beyond_basic_plane, literal, quote_table
from mssql.rights import had

#: objects up to this number are the server's own
SYSTEM_OBJECTS = 255

RIGHTS = """
SELECT CAST(HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DEFINITION') AS int) AS sees_definitions,
       CAST(HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'UNMASK') AS int) AS sees_masked
"""
# Only a filter hides rows from who reads; what a policy blocks are writes.
POLICIES = """
SELECT CAST(p.name AS nvarchar(128)) AS name, CAST(s.name AS nvarchar(128)) AS schema_name,
       CAST(t.name AS nvarchar(128)) AS table_name
FROM sys.security_policies AS p
JOIN sys.security_predicates AS r ON r.object_id = p.object_id
JOIN sys.tables AS t ON t.object_id = r.target_object_id
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE p.is_enabled = 1 AND r.predicate_type_desc = 'FILTER'
"""
# Anybody sees the numbers of all partitions (Microsoft, "Metadata Visibility Configuration": public): those of objects
# that this login may not see are explained by no row of sys.all_objects. Internal tables, say of Query Store or of XML
# indexes, have partitions too, and are seen by the same rules as others (Microsoft, "sys.internal_tables"): nothing
# tells a hidden one from a hidden table.
UNSEEN = f"""
SELECT CAST(COUNT(DISTINCT p.object_id) AS int) AS objects
FROM sys.partitions AS p LEFT JOIN sys.all_objects AS o ON o.object_id = p.object_id
WHERE o.object_id IS NULL AND p.index_id IN (0, 1) AND p.rows > 0 AND p.object_id > {SYSTEM_OBJECTS}
"""


def read_hiding(catalog: Catalog, tables: Sequence[Table]) -> Hiding:
    """What is hidden of these tables from the login of a connection, and what the server did not say of it."""
    noted = len(catalog.unread)
    rights = catalog.optional("rights", RIGHTS)
    sees_masked = any(one.sees_masked for one in rights)
    sees_definitions = next((bool(one.sees_definitions) for one in rights if one.sees_definitions is not None), None)
    unseen = catalog.optional("hidden objects", UNSEEN) if sees_definitions is False else []
    return Hiding(
        {} if sees_masked else _masked(catalog, tables),
        _policies(catalog, tables),
        sees_definitions,
        sum(int(one.objects) for one in unseen),
        tuple(catalog.unread[noted:]),
    )


def encrypted(tables: Sequence[Table], source: Source) -> dict[str, tuple[str, ...]]:
    """Always Encrypted columns of which only the ciphertext can be read, by the tables' keys.

    A driver decrypts where it is asked to (Microsoft, "Using Always Encrypted with the ODBC Driver"); FreeTDS cannot.
    """
    word = parse_odbc(source.connection_string).get("columnencryption", "disabled").lower()
    if word not in ("", "disabled") and not source.driver.is_freetds:
        return {}
    found = {table.key: tuple(column.name for column in table.columns if column.is_encrypted) for table in tables}
    return {key: names for key, names in found.items() if names}


def _masked(catalog: Catalog, tables: Sequence[Table]) -> dict[str, tuple[str, ...]]:
    """Masked columns that the login may not see unmasked, neither by a right on them, nor on their table or schema.

    Such rights are there since SQL Server 2022 (Microsoft, "Dynamic data masking", granular permissions); an older one
    answers NULL.
    """
    asked = [(table, column) for table in tables for column in table.columns if column.is_masked]
    found: defaultdict[str, list[str]] = defaultdict(list)
    try:
        answers = had(catalog, "UNMASK", asked)
    except ODBC_ERRORS as error:
        catalog.unread.append(f"masked columns: {odbc_words(error)}")
        return {}
    for (table, column), sees in zip(asked, answers, strict=True):
        if not sees:
            found[table.key].append(column.name)
    return {key: tuple(names) for key, names in found.items()}


def _policies(catalog: Catalog, tables: Sequence[Table]) -> dict[str, tuple[str, ...]]:
    if not catalog.has("security_policies"):
        return {}
    keys = {(table.schema, table.name): table.key for table in tables}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in catalog.optional("row-level security policies", POLICIES):
        key = keys.get((row.schema_name, row.table_name))
        if key is not None and row.name not in found[key]:
            found[key].append(row.name)
    return {key: tuple(sorted(names)) for key, names in found.items()}


@dataclass(frozen=True)
class Seen:
    """How many rows of a table the login sees, and how many the catalog counts."""

    table: Table
    rows: int
    known: int


def count_seen(catalog: Catalog, table: Table) -> Seen | None:
    """A table of which the login sees fewer rows than the catalog counts at the same moment; None for any other.

    The catalog's number is an estimate (Microsoft, "sys.partitions"): it tells of rows that may be hidden, and proves
    nothing. Raises pyodbc.Error and arrow_odbc.Error.
    """
    name = quote_table(table.schema, table.name)
    if is_beyond_basic_plane(name):
        return None
    (row,) = catalog.rows(
        f"SELECT COUNT_BIG(*) AS seen, (SELECT COALESCE(SUM(p.rows), 0) FROM sys.partitions AS p"
        f" WHERE p.object_id = OBJECT_ID({literal(name)}) AND p.index_id IN (0, 1)) AS known FROM {name}"
    )
    seen = Seen(table, int(row.seen), int(row.known))
    return seen if seen.rows < seen.known else None

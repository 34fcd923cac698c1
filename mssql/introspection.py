"""sys.* → catalog: the structure of the whole database in a few set-based queries.

No query is run once a table, and none relies on numbers of types: names come from sys.types. Columns of
the catalog views that came with a later version than 2012 are used only where the server has them.
What every run asks for is read from one view at a time, with whatever columns this server's version has, and
joined here: the views are deep, and joining several costs some servers a second before the first row. Names are
converted to what they are declared as, since not every server sends them so; an alias in front (Microsoft, "SELECT
clause") takes Babelfish's parser a fraction of the time of one behind, which a new session's first queries show.
Sources: Microsoft, "System Catalog Views (Transact-SQL)" and the pages of the views named here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, TypeVar

import arrow_odbc
import pyodbc
from arrow_odbc import TextEncoding

from db import odbc_words
from model.catalog import (
    DEFAULT_SCHEMA,
    AliasType,
    Check,
    Column,
    Computed,
    Database,
    Default,
    ForeignKey,
    Identity,
    Index,
    Key,
    KeyColumn,
    OtherObject,
    SqlType,
    Table,
)
from model.catalog import Sequence as SequenceObject
from model.errors import CatalogError
from type_mapping import form_of

T = TypeVar("T")


DATABASE = """
SELECT DB_NAME() AS name,
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS collation_name,
       HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK') AS sees_masked
"""

SCHEMAS = "SELECT full_name = CONVERT(nvarchar(128), name), * FROM sys.schemas"

#: a table's flags that came after 2012, and what a person calls them
TABLE_FLAGS = {
    "is_memory_optimized": "memory-optimised",
    "is_external": "external",
    "is_filetable": "FileTable",
    "is_node": "graph node",
    "is_edge": "graph edge",
    "is_remote_data_archive_enabled": "stretched",
    "is_tracked_by_cdc": "tracked by CDC",
}
TABLE_WORDS = {
    "temporal_type_desc": {"SYSTEM_VERSIONED_TEMPORAL_TABLE": "temporal", "HISTORY_TABLE": "temporal history"},
    "ledger_type_desc": {
        "UPDATABLE_LEDGER_TABLE": "ledger",
        "APPEND_ONLY_LEDGER_TABLE": "append-only ledger",
        "HISTORY_TABLE": "ledger history",
    },
}

TABLES = "SELECT full_name = CONVERT(nvarchar(128), name), * FROM sys.tables"
PARTITIONS = "SELECT * FROM sys.partitions"
#: `index_id` of the partitions that hold a table's rows
HEAP_OR_CLUSTERED = (0, 1)
COLUMNS = "SELECT full_name = CONVERT(nvarchar(128), name), * FROM sys.columns"
TYPES = "SELECT full_name = CONVERT(nvarchar(128), name), * FROM sys.types"
INDEXES = "SELECT full_name = CONVERT(nvarchar(128), name), * FROM sys.indexes"
# A primary key's and unique constraint's columns come through sys.indexes too, because not every server
# fills sys.key_constraints.unique_index_id alike.
INDEX_COLUMNS = "SELECT * FROM sys.index_columns"

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

# What a key points to may be hidden from the login (Microsoft, "Metadata Visibility Configuration"); the key is not.
FOREIGN_KEYS = """
SELECT f.object_id AS constraint_id, f.parent_object_id AS object_id, CAST(f.name AS nvarchar(128)) AS name,
       CAST(rs.name AS nvarchar(128)) AS referenced_schema, CAST(rt.name AS nvarchar(128)) AS referenced_table,
       f.delete_referential_action_desc AS on_delete, f.update_referential_action_desc AS on_update, f.is_disabled,
       f.is_not_trusted
FROM sys.foreign_keys AS f
LEFT JOIN sys.tables AS rt ON rt.object_id = f.referenced_object_id
LEFT JOIN sys.schemas AS rs ON rs.schema_id = rt.schema_id
WHERE f.is_ms_shipped = 0
"""

FOREIGN_KEY_COLUMNS = """
SELECT fc.constraint_object_id AS constraint_id, CAST(pc.name AS nvarchar(128)) AS column_name,
       CAST(rc.name AS nvarchar(128)) AS referenced_name
FROM sys.foreign_key_columns AS fc
JOIN sys.columns AS pc ON pc.object_id = fc.parent_object_id AND pc.column_id = fc.parent_column_id
LEFT JOIN sys.columns AS rc ON rc.object_id = fc.referenced_object_id AND rc.column_id = fc.referenced_column_id
ORDER BY fc.constraint_object_id, fc.constraint_column_id
"""

CHECKS = """
SELECT k.object_id AS constraint_id, k.parent_object_id AS object_id, CAST(k.name AS nvarchar(128)) AS name,
       k.is_disabled, k.is_not_trusted
FROM sys.check_constraints AS k
WHERE k.is_ms_shipped = 0
"""

DEFAULTS = """
SELECT d.object_id AS constraint_id, d.parent_object_id AS object_id, d.parent_column_id AS column_id,
       CAST(d.name AS nvarchar(128)) AS name
FROM sys.default_constraints AS d
WHERE d.is_ms_shipped = 0
"""

SEQUENCES = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(q.name AS nvarchar(128)) AS name, q.object_id,
       CAST(type.name AS nvarchar(128)) AS type_name, q.precision, q.scale,
       CAST(q.start_value AS varchar(40)) AS start_value, CAST(q.increment AS varchar(40)) AS increment,
       CAST(q.minimum_value AS varchar(40)) AS minimum_value, CAST(q.maximum_value AS varchar(40)) AS maximum_value,
       q.is_cycling, q.cache_size, CAST(q.{last_used} AS varchar(40)) AS current_value
FROM sys.sequences AS q
JOIN sys.schemas AS s ON s.schema_id = q.schema_id
LEFT JOIN sys.types AS type ON type.user_type_id = q.system_type_id
"""

ALIAS_TYPES = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(type.name AS nvarchar(128)) AS name,
       CAST(base.name AS nvarchar(128)) AS base_name, type.max_length, type.precision, type.scale, type.is_nullable,
       type.is_assembly_type
FROM sys.types AS type
JOIN sys.schemas AS s ON s.schema_id = type.schema_id
LEFT JOIN sys.types AS base ON base.user_type_id = type.system_type_id
WHERE type.is_user_defined = 1 AND type.is_table_type = 0
"""

# Class 1 is an object or its column, 7 an index (Microsoft, "sys.extended_properties"). A value has up to 7,500 bytes.
PROPERTIES = """
SELECT e.class, e.class_desc, e.major_id, e.minor_id, CAST(e.name AS nvarchar(128)) AS name,
       CAST(e.value AS nvarchar(max)) AS value, CAST(s.name AS nvarchar(128)) AS schema_name,
       CAST(o.name AS nvarchar(128)) AS object_name, CAST(c.name AS nvarchar(128)) AS column_name,
       CAST(i.name AS nvarchar(128)) AS index_name
FROM sys.extended_properties AS e
LEFT JOIN sys.objects AS o ON e.class IN (1, 2, 7) AND o.object_id = e.major_id
LEFT JOIN sys.schemas AS s ON s.schema_id = CASE WHEN e.class = 3 THEN e.major_id ELSE o.schema_id END
LEFT JOIN sys.columns AS c ON e.class = 1 AND c.object_id = e.major_id AND c.column_id = e.minor_id
LEFT JOIN sys.indexes AS i ON e.class = 7 AND i.object_id = e.major_id AND i.index_id = e.minor_id
"""
COMMENT = "MS_Description"
PARAMETER = 2

KEY_CONSTRAINTS = """
SELECT k.object_id, k.parent_object_id, CAST(k.name AS nvarchar(128)) AS name
FROM sys.key_constraints AS k
"""

# Whatever sys.objects holds beyond tables and what belongs to them: views, procedures, functions, triggers,
# queues, bound defaults and rules. Nothing that a later version adds can slip through.
OTHER_OBJECTS = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(o.name AS nvarchar(128)) AS name, o.object_id,
       LOWER(REPLACE(o.type_desc, '_', ' ')) AS kind, CAST(p.name AS nvarchar(128)) AS parent_name
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.objects AS p ON p.object_id = o.parent_object_id
WHERE o.is_ms_shipped = 0 AND o.type NOT IN ('U', 'PK', 'UQ', 'F', 'C', 'SO', 'SN', 'IT', 'S')
  AND NOT (o.type = 'D' AND o.parent_object_id <> 0)
"""

MODULES = "SELECT m.object_id, m.definition FROM sys.sql_modules AS m"

SYNONYMS = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(n.name AS nvarchar(128)) AS name, n.base_object_name
FROM sys.synonyms AS n
JOIN sys.schemas AS s ON s.schema_id = n.schema_id
"""

#: kinds of things outside sys.objects, each with the query that lists them as schema, name, definition, parent
MORE_OBJECTS = {
    "table type": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.table_types AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.is_user_defined = 1
""",
    "XML schema collection": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(x.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.xml_schema_collections AS x JOIN sys.schemas AS s ON s.schema_id = x.schema_id WHERE s.name <> 'sys'
""",
    "full-text index": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(t.name AS nvarchar(128)) AS parent_name
FROM sys.fulltext_indexes AS f
JOIN sys.tables AS t ON t.object_id = f.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id
""",
    "partition function": """
SELECT '' AS schema_name, CAST(f.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.partition_functions AS f
""",
    "database trigger": """
SELECT '' AS schema_name, CAST(t.name AS nvarchar(128)) AS name, m.definition, NULL AS parent_name
FROM sys.triggers AS t LEFT JOIN sys.sql_modules AS m ON m.object_id = t.object_id
WHERE t.parent_class = 0 AND t.is_ms_shipped = 0
""",
    "index of a view": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(i.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(v.name AS nvarchar(128)) AS parent_name
FROM sys.indexes AS i
JOIN sys.views AS v ON v.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = v.schema_id
WHERE i.name IS NOT NULL AND v.is_ms_shipped = 0
""",
    "statistics": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(x.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(t.name AS nvarchar(128)) AS parent_name
FROM sys.stats AS x JOIN sys.tables AS t ON t.object_id = x.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE x.user_created = 1
""",
}

SECURITY_POLICIES = "SELECT CAST(name AS nvarchar(128)) AS name FROM sys.security_policies WHERE is_enabled = 1"

#: room for anything that the data phase asks the catalog for, in characters or bytes
LONGEST_NAME = 4000
#: stands for a name that the login may not see
HIDDEN = "(hidden)"

# What the server keeps for itself in graph tables (Microsoft, "sys.columns", graph_type).
GRAPH_INTERNALS = {"GRAPH_ID", "GRAPH_FROM_ID", "GRAPH_FROM_OBJ_ID", "GRAPH_TO_ID", "GRAPH_TO_OBJ_ID"}


def read_tables(connection: Any) -> tuple[Table, ...]:
    """The tables of the database that an arrow-odbc connection is in, as the data phase needs them.

    Columns, identities, keys, indexes and row counts, in the fixed order of every loop. The connection is the
    one that rows will travel on, so a run logs in once. Raises CatalogError.
    """
    return _guarded(lambda: _Reader(_ArrowCatalog(connection)).tables(with_everything=False))


def read_database(connection: Any) -> Database:
    """The whole structure of the database that a pyodbc connection is in. Raises CatalogError."""
    return _guarded(lambda: _Reader(_PyodbcCatalog(connection.cursor())).database())


def _guarded(read: Callable[[], T]) -> T:
    try:
        return read()
    except _ODBC_ERRORS as error:
        raise CatalogError(f"the source's catalog cannot be read: {odbc_words(error)}") from None


_ODBC_ERRORS = (pyodbc.Error, arrow_odbc.Error)


class _Catalog(Protocol):
    """Something that answers queries about the catalog."""

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query; a column is an attribute."""


class _PyodbcCatalog:
    """Answers of any length."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def rows(self, sql: str) -> list[Any]:
        return list(self._cursor.execute(sql).fetchall())


class _ArrowCatalog:
    """Answers without texts of any length: names, numbers and flags."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str) -> list[Any]:
        batches = self._connection.read_arrow_batches(
            sql, batch_size=1000, max_text_size=LONGEST_NAME, max_binary_size=LONGEST_NAME,
            payload_text_encoding=TextEncoding.UTF16,
        )  # fmt: skip
        return [SimpleNamespace(**row) for batch in batches for row in batch.to_pylist()]


@dataclass(frozen=True)
class _Place:
    """A row's owner within the database: object and, where it has one, the part of it."""

    object_id: int
    part: int = 0


class _Reader:
    """One reading of the catalog through one connection."""

    def __init__(self, catalog: _Catalog) -> None:
        self._catalog = catalog
        self._unread: list[str] = []
        self._properties: list[Any] = []
        self._comments: dict[tuple[int, _Place], str] = {}
        #: the objects whose comments were asked for
        self._told: set[tuple[int, _Place]] = set()

    # -- asking ---------------------------------------------------------------------------------

    def _rows(self, sql: str) -> list[Any]:
        return self._catalog.rows(sql)

    def _optional(self, what: str, sql: str) -> list[Any]:
        """The rows of a view that some servers lack; its absence is noted, not passed over."""
        try:
            return self._rows(sql)
        except pyodbc.Error as error:
            self._unread.append(f"{what}: {odbc_words(error)}")
            return []

    def _texts(self, what: str, view: str, ids: Sequence[int]) -> dict[int, str]:
        """Definitions by object id. A server that chokes on one of them is asked for each by itself."""
        if not ids:
            return {}
        try:
            rows = self._rows(f"SELECT object_id, definition FROM {view}")
            return {row[0]: row[1] for row in rows if row[1] is not None}
        except pyodbc.Error:
            texts: dict[int, str] = {}
            for object_id in ids:
                try:
                    (row,) = self._rows(f"SELECT definition FROM {view} WHERE object_id = {object_id:d}")
                    texts[object_id] = row[0]
                except pyodbc.Error as error:
                    self._unread.append(f"{what} {object_id}: {odbc_words(error)}")
            return texts

    # -- the whole ------------------------------------------------------------------------------

    def database(self) -> Database:
        """Everything."""
        (about,) = self._rows(DATABASE)
        tables = self.tables(with_everything=True)
        return Database(
            name=about.name,
            collation=about.collation_name,
            sees_masked=None if about.sees_masked is None else bool(about.sees_masked),
            tables=tables,
            schemas=tuple(sorted(row.full_name for row in self._rows(SCHEMAS))),
            sequences=self._sequences(),
            alias_types=self._alias_types(),
            others=(*self._others(), *self._untold_properties()),
            security_policies=tuple(
                row.name for row in self._optional("row-level security policies", SECURITY_POLICIES)
            ),
            unread=tuple(self._unread),
        )

    def tables(self, with_everything: bool) -> tuple[Table, ...]:
        """All tables; `with_everything` adds indexes, constraints, defaults and comments."""
        table_rows = [row for row in self._rows(TABLES) if not row.is_ms_shipped]
        schemas = {row.schema_id: row.full_name for row in self._rows(SCHEMAS)}
        column_rows = self._column_rows({row.object_id for row in table_rows})
        types = {row.user_type_id: row for row in self._rows(TYPES)}
        identities = self._identities() if any(row.is_identity for row in column_rows) else {}
        if with_everything:
            self._read_properties()
        defaults = self._defaults() if with_everything else {}
        computed = self._computed(column_rows, with_everything)
        columns: defaultdict[int, list[Column]] = defaultdict(list)
        for row in column_rows:
            place = _Place(row.object_id, row.column_id)
            columns[row.object_id].append(
                _column(
                    row,
                    _type(row, types, schemas),
                    identities,
                    defaults.get(place),
                    computed.get(place),
                    self._comment(1, row.object_id, row.column_id),
                )
            )
        keys, indexes = self._indexes(column_rows, self._key_ids() if with_everything else {})
        foreign_keys = self._foreign_keys() if with_everything else {}
        checks = self._checks() if with_everything else {}
        partitions: defaultdict[int, list[int]] = defaultdict(list)
        for row in self._rows(PARTITIONS):
            if row.index_id in HEAP_OR_CLUSTERED:
                partitions[row.object_id].append(int(row.rows or 0))
        tables: list[Table] = []
        for row in table_rows:
            this = row.object_id
            traits = _traits(row) + (["partitioned"] if len(partitions[this]) > 1 else [])
            found = keys.get(this, ())
            kept = [column for column in columns[this] if not _is_internal(column)]
            tables.append(
                Table(
                    schema=schemas[row.schema_id],
                    name=row.full_name,
                    columns=tuple(kept),
                    internal_columns=tuple(column for column in columns[this] if _is_internal(column)),
                    primary_key=next((key for is_primary, key in found if is_primary), None),
                    unique=tuple(key for is_primary, key in found if not is_primary),
                    indexes=tuple(indexes.get(this, ())),
                    foreign_keys=tuple(foreign_keys.get(this, ())),
                    checks=tuple(checks.get(this, ())),
                    row_count=sum(partitions[this]),
                    comment=self._comment(1, this),
                    traits=tuple(traits),
                )
            )
        return tuple(sorted(tables, key=lambda table: table.sort_key))

    # -- parts ----------------------------------------------------------------------------------

    def _column_rows(self, tables: Set[int]) -> list[Any]:
        rows = [row for row in self._rows(COLUMNS) if row.object_id in tables]
        return sorted(rows, key=lambda row: (row.object_id, row.column_id))

    def _identities(self) -> dict[int, Identity]:
        return {
            row.object_id: Identity(
                int(row.seed or 1), int(row.increment or 1), None if row.last_value is None else int(row.last_value)
            )
            for row in self._rows(IDENTITIES)
        }

    def _read_properties(self) -> None:
        self._properties = self._optional("comments (sys.extended_properties)", PROPERTIES)
        self._comments = {
            (row[0], _Place(row.major_id, row.minor_id)): row.value
            for row in self._properties
            if row.name == COMMENT and row.value
        }

    def _comment(self, kind: int, object_id: int, part: int = 0) -> str | None:
        """The comment of an object, a column or (kind 7) an index, which is thereby told."""
        key = (kind, _Place(object_id, part))
        self._told.add(key)
        return self._comments.get(key)

    def _untold_properties(self) -> Iterator[OtherObject]:
        """Extended properties that are nobody's comment: other names, or owners without a counterpart."""
        for row in self._properties:
            if row.name == COMMENT and (row[0], _Place(row.major_id, row.minor_id)) in self._told:
                continue
            parts = (row.object_name, row.column_name, row.index_name)
            place = f"{str(row.class_desc).lower()} {row.major_id} {row.minor_id}"
            owner = ".".join(part for part in parts if part) if row.object_name and row[0] != PARAMETER else place
            kind = "comment" if row.name == COMMENT else f"extended property {row.name}"
            yield OtherObject(kind, row.schema_name or "", owner, row.value)

    def _defaults(self) -> dict[_Place, Default]:
        rows = self._rows(DEFAULTS)
        texts = self._texts("default", "sys.default_constraints", [row.constraint_id for row in rows])
        return {
            _Place(row.object_id, row.column_id): Default(row.name, texts.get(row.constraint_id, "")) for row in rows
        }

    def _computed(self, column_rows: Sequence[Any], with_texts: bool) -> dict[_Place, Computed]:
        places = [_Place(row.object_id, row.column_id) for row in column_rows if row.is_computed]
        if not places or not with_texts:
            return dict.fromkeys(places, Computed(""))
        try:
            rows = self._rows("SELECT object_id, column_id, definition, is_persisted FROM sys.computed_columns")
        except pyodbc.Error as error:
            self._unread.append(f"texts of computed columns: {odbc_words(error)}")
            return dict.fromkeys(places, Computed(""))
        return {
            _Place(row.object_id, row.column_id): Computed(row.definition or "", bool(row.is_persisted)) for row in rows
        }

    def _key_ids(self) -> dict[tuple[int, str], int]:
        """Constraints by table and name: a key's comment belongs to the constraint, an index's to the index."""
        return {(row.parent_object_id, row.name): row.object_id for row in self._rows(KEY_CONSTRAINTS)}

    def _indexes(
        self, column_rows: Sequence[Any], key_ids: Mapping[tuple[int, str], int]
    ) -> tuple[dict[int, list[tuple[bool, Key]]], dict[int, list[Index]]]:
        names = {_Place(row.object_id, row.column_id): row.full_name for row in column_rows}
        tables = {row.object_id for row in column_rows}
        parts: defaultdict[_Place, list[Any]] = defaultdict(list)
        for row in sorted(self._rows(INDEX_COLUMNS), key=lambda row: (row.key_ordinal, row.index_column_id)):
            if _Place(row.object_id, row.column_id) in names:
                parts[_Place(row.object_id, row.index_id)].append(row)
        keys: defaultdict[int, list[tuple[bool, Key]]] = defaultdict(list)
        indexes: defaultdict[int, list[Index]] = defaultdict(list)
        for row in sorted(self._rows(INDEXES), key=lambda row: (row.object_id, row.index_id)):
            if row.object_id not in tables or row.is_hypothetical or row.full_name is None:
                continue
            place = _Place(row.object_id, row.index_id)
            # Key ordinal 0 is a partitioning column that the server added to a B-tree by itself, and every column of
            # the other kinds (Microsoft, "sys.index_columns").
            is_tree = row.type_desc in ("CLUSTERED", "NONCLUSTERED")
            columns = tuple(
                KeyColumn(names[_Place(part.object_id, part.column_id)], bool(part.is_descending_key))
                for part in parts[place]
                if not part.is_included_column and (part.key_ordinal or not is_tree)
            )
            comment = self._comment(7, row.object_id, row.index_id)
            if row.is_primary_key or row.is_unique_constraint:
                key_id = key_ids.get((row.object_id, row.full_name))
                comment = (self._comment(1, key_id) if key_id is not None else None) or comment
                key = Key(row.full_name, columns, "CLUSTERED" in row.type_desc.split(), comment, bool(row.is_disabled))
                keys[row.object_id].append((bool(row.is_primary_key), key))
                continue
            indexes[row.object_id].append(
                Index(
                    name=row.full_name,
                    columns=columns,
                    included=tuple(
                        names[_Place(part.object_id, part.column_id)]
                        for part in parts[place]
                        if part.is_included_column
                    ),
                    is_unique=bool(row.is_unique),
                    filter=row.filter_definition if row.has_filter else None,
                    kind=row.type_desc,
                    is_disabled=bool(row.is_disabled),
                    comment=comment,
                )
            )
        return keys, indexes

    def _foreign_keys(self) -> dict[int, list[ForeignKey]]:
        pairs: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        for row in self._rows(FOREIGN_KEY_COLUMNS):
            pairs[row.constraint_id].append((row.column_name, row.referenced_name))
        found: defaultdict[int, list[ForeignKey]] = defaultdict(list)
        for row in sorted(self._rows(FOREIGN_KEYS), key=lambda row: row.name):
            found[row.object_id].append(
                ForeignKey(
                    name=row.name,
                    columns=tuple(column for column, _ in pairs[row.constraint_id]),
                    referenced_schema=row.referenced_schema or HIDDEN,
                    referenced_table=row.referenced_table or HIDDEN,
                    referenced_columns=tuple(referenced or HIDDEN for _, referenced in pairs[row.constraint_id]),
                    on_delete=row.on_delete,
                    on_update=row.on_update,
                    is_trusted=not row.is_not_trusted,
                    is_disabled=bool(row.is_disabled),
                    comment=self._comment(1, row.constraint_id),
                )
            )
        return found

    def _checks(self) -> dict[int, list[Check]]:
        rows = sorted(self._rows(CHECKS), key=lambda row: row.name)
        texts = self._texts("check", "sys.check_constraints", [row.constraint_id for row in rows])
        found: defaultdict[int, list[Check]] = defaultdict(list)
        for row in rows:
            found[row.object_id].append(
                Check(
                    name=row.name,
                    text=texts.get(row.constraint_id, ""),
                    is_trusted=not row.is_not_trusted,
                    is_disabled=bool(row.is_disabled),
                    comment=self._comment(1, row.constraint_id),
                )
            )
        return found

    def _sequences(self) -> tuple[SequenceObject, ...]:
        try:
            rows = self._rows(SEQUENCES.format(last_used="last_used_value"))
        except pyodbc.Error:
            # Before 2017 a sequence that was never used shows its start as current_value, like one used once.
            rows = self._optional("sequences", SEQUENCES.format(last_used="current_value"))
        found = [
            SequenceObject(
                schema=row.schema_name,
                name=row.name,
                type=SqlType(row.type_name or "bigint", 0, row.precision or 0, row.scale or 0),
                start=int(row.start_value),
                increment=int(row.increment),
                minimum=int(row.minimum_value),
                maximum=int(row.maximum_value),
                is_cycling=bool(row.is_cycling),
                cache_size=row.cache_size,
                current=None if row.current_value is None else int(row.current_value),
                comment=self._comment(1, row.object_id),
            )
            for row in rows
        ]
        return tuple(sorted(found, key=lambda sequence: (sequence.schema.lower(), sequence.name.lower())))

    def _alias_types(self) -> tuple[AliasType, ...]:
        return tuple(
            AliasType(
                schema=row.schema_name,
                name=row.name,
                base=SqlType(
                    (row.base_name or row.name).lower(),
                    row.max_length,
                    row.precision,
                    row.scale,
                    is_clr=bool(row.is_assembly_type),
                    form=form_of((row.base_name or row.name).lower()),
                ),
                is_nullable=bool(row.is_nullable),
            )
            for row in self._optional("alias types", ALIAS_TYPES)
        )

    def _others(self) -> tuple[OtherObject, ...]:
        rows = self._rows(OTHER_OBJECTS)
        texts = {row.object_id: row.definition for row in self._optional("module texts", MODULES)}
        found = [
            OtherObject(row.kind, row.schema_name, row.name, texts.get(row.object_id), row.parent_name) for row in rows
        ]
        found += [
            OtherObject("synonym", row.schema_name, row.name, row.base_object_name)
            for row in self._optional("synonyms", SYNONYMS)
        ]
        for kind, sql in MORE_OBJECTS.items():
            found += [
                OtherObject(kind, row.schema_name, row.name, row.definition, row.parent_name)
                for row in self._optional(f"{kind}s", sql)
            ]
        return tuple(sorted(found, key=lambda other: (other.kind, other.schema.lower(), other.name.lower())))


def _traits(row: Any) -> list[str]:
    found = [words for name, words in TABLE_FLAGS.items() if getattr(row, name, None)]
    for name, known in TABLE_WORDS.items():
        word = known.get(str(getattr(row, name, None) or "").strip())
        found += [word] if word else []
    return found


def _is_internal(column: Column) -> bool:
    return column.is_column_set or column.graph_type in GRAPH_INTERNALS


def _column(
    row: Any,
    sql_type: SqlType,
    identities: Mapping[int, Identity],
    default: Default | None,
    computed: Computed | None,
    comment: str | None,
) -> Column:
    generated = getattr(row, "generated_always_type_desc", None)
    encryption = getattr(row, "encryption_type", None)
    return Column(
        name=row.full_name,
        type=sql_type,
        is_nullable=bool(row.is_nullable),
        identity=identities.get(row.object_id, Identity()) if row.is_identity else None,
        default=default,
        computed=computed,
        collation=row.collation_name,
        comment=comment,
        is_rowguid=bool(row.is_rowguidcol),
        is_sparse=bool(row.is_sparse),
        is_column_set=bool(row.is_column_set),
        is_filestream=bool(row.is_filestream),
        is_masked=bool(getattr(row, "is_masked", None)),
        is_encrypted=encryption is not None and int(encryption) > 0,
        is_hidden=bool(getattr(row, "is_hidden", None)),
        generated_always=None if generated in (None, "NOT_APPLICABLE") else generated,
        graph_type=getattr(row, "graph_type_desc", None) or None,
    )


def _type(row: Any, types: Mapping[int, Any], schemas: Mapping[int, str]) -> SqlType:
    """A column's type; an alias type as its base type with the alias kept beside it."""
    declared = types.get(row.user_type_id)
    if declared is None:
        return SqlType("(unknown)")
    base = types.get(declared.system_type_id)
    is_alias = bool(declared.is_user_defined) and not declared.is_assembly_type and base is not None
    is_clr = bool(declared.is_user_defined and declared.is_assembly_type)
    named = base if is_alias and base is not None else declared
    return SqlType(
        name=named.full_name if is_clr else named.full_name.lower(),
        max_length=row.max_length,
        precision=(getattr(row, "vector_dimensions", None) or 0) if named.name == "vector" else row.precision,
        scale=row.scale,
        alias=declared.full_name if is_alias else None,
        alias_schema=(schemas.get(declared.schema_id) if is_alias else None) or DEFAULT_SCHEMA,
        is_clr=is_clr,
        form=form_of(named.full_name.lower()),
    )

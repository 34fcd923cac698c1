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
from collections.abc import Callable, Mapping, Sequence, Set
from functools import cached_property
from typing import Any, TypeVar

import pyodbc

from db import odbc_words
from model.catalog import (
    DEFAULT_SCHEMA,
    DROPPED_LEDGER_TABLE,
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
from mssql import other_objects
from mssql.bound_objects import Bound, bound_default, bound_rule, read_bound
from mssql.catalog_queries import ODBC_ERRORS, ArrowConnection, Catalog, PyodbcConnection, text_questions
from mssql.comments import Comments, Part
from mssql.hiding import read_hiding
from type_mapping import form_of

T = TypeVar("T")


DATABASE = """
SELECT DB_NAME() AS name,
       CAST(DATABASEPROPERTYEX(DB_NAME(), 'Collation') AS nvarchar(128)) AS collation_name
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
# The one catalog view of these with a text of any length, so its columns are named; all of them are older than 2012.
INDEXES = """
SELECT full_name = CONVERT(nvarchar(128), name), object_id, index_id, type_desc, is_unique, is_primary_key,
       is_unique_constraint, is_disabled, is_hypothetical, has_filter, filter_definition = {filter}
FROM sys.indexes
"""
WHOLE_FILTER = "filter_definition"
# To the load only matters that there is one; a filter may be longer than what its connection has room for.
BEGINNING_OF_FILTER = "CONVERT(nvarchar(400), filter_definition)"
# A primary key's and unique constraint's columns come through sys.indexes too, because not every server
# fills sys.key_constraints.unique_index_id alike.
INDEX_COLUMNS = "SELECT * FROM sys.index_columns"

# IDENT_SEED and its siblings take the table's quoted name. IDENT_CURRENT answers the seed for an identity that was used
# never or once (Microsoft, "IDENT_CURRENT"); sys.identity_columns tells these apart, by NULL.
IDENTITIES = """
SELECT t.object_id, is_babelfish = CAST(SERVERPROPERTY('Babelfish') AS int),
       CAST(IDENT_SEED(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS seed,
       CAST(IDENT_INCR(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS increment,
       CAST(IDENT_CURRENT(QUOTENAME(s.name) + '.' + QUOTENAME(t.name)) AS varchar(40)) AS current_value
FROM sys.tables AS t
JOIN sys.schemas AS s ON s.schema_id = t.schema_id
JOIN sys.columns AS c ON c.object_id = t.object_id AND c.is_identity = 1
WHERE t.is_ms_shipped = 0
"""
LAST_IDENTITIES = "SELECT object_id, last_value = CAST(last_value AS varchar(40)) FROM sys.identity_columns"

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

KEY_CONSTRAINTS = """
SELECT k.object_id, k.parent_object_id, CAST(k.name AS nvarchar(128)) AS name
FROM sys.key_constraints AS k
"""

#: stands for a name that the login may not see
HIDDEN = "(hidden)"

# What the server keeps for itself in graph tables (Microsoft, "sys.columns", graph_type).
GRAPH_INTERNALS = {"GRAPH_ID", "GRAPH_FROM_ID", "GRAPH_FROM_OBJ_ID", "GRAPH_TO_ID", "GRAPH_TO_OBJ_ID"}


def read_tables(connection: Any) -> tuple[Table, ...]:
    """The tables of the database that an arrow-odbc connection is in, as the data phase needs them.

    Columns, identities, keys, indexes and row counts, in the fixed order of every loop. The connection is the
    one that rows will travel on, so a run logs in once. Raises CatalogError.
    """
    return _guarded(lambda: _Reader(Catalog(ArrowConnection(connection)), (), is_whole=False).tables())


def read_database(connection: Any, comment_properties: Sequence[str]) -> Database:
    """The whole structure of the database that a pyodbc connection is in.

    Extended properties of the given names are comments. Raises CatalogError.
    """
    catalog = Catalog(PyodbcConnection(connection.cursor()))
    return _guarded(lambda: _Reader(catalog, comment_properties, is_whole=True).database())


def read_sequences(connection: Any) -> tuple[SequenceObject, ...]:
    """The sequence objects of the database that an arrow-odbc connection is in. Raises CatalogError."""
    return _guarded(lambda: other_objects.read_sequences(Catalog(ArrowConnection(connection)), Comments()))


def _guarded(read: Callable[[], T]) -> T:
    try:
        return read()
    except ODBC_ERRORS as error:
        raise CatalogError(f"the source's catalog cannot be read: {odbc_words(error)}") from None


class _Reader:
    """One reading of the catalog. `is_whole`: with constraints, defaults and comments, which the load does not need."""

    def __init__(self, catalog: Catalog, comment_properties: Sequence[str], is_whole: bool) -> None:
        self._catalog = catalog
        self._is_whole = is_whole
        self._comments = Comments(catalog if is_whole else None, comment_properties)
        self._table_rows = [row for row in catalog.rows(TABLES) if not row.is_ms_shipped]
        self._schemas = {row.schema_id: row.full_name for row in catalog.rows(SCHEMAS)}

    def database(self) -> Database:
        """Everything."""
        catalog = self._catalog
        (about,) = catalog.rows(DATABASE)
        tables = self.tables()
        sequences = other_objects.read_sequences(catalog, self._comments)
        return Database(
            name=about.name,
            collation=about.collation_name,
            hiding=read_hiding(catalog, tables),
            tables=tables,
            schemas=tuple(sorted(self._schemas.values())),
            schema_comments={
                name: text
                for number, name in sorted(self._schemas.items(), key=lambda schema: schema[1])
                if (text := self._comments.of_schema(number)) is not None
            },
            sequences=sequences,
            alias_types=other_objects.read_alias_types(catalog),
            others=(*other_objects.read_others(catalog), *self._dropped_tables(), *self._comments.left_over()),
            security_policies=other_objects.read_security_policies(catalog),
            unread=tuple(dict.fromkeys(catalog.unread)),
        )

    def tables(self) -> tuple[Table, ...]:
        """All tables, in the fixed order of every loop."""
        table_rows = [row for row in self._table_rows if not _is_dropped(row)]
        column_rows = self._column_rows({row.object_id for row in table_rows})
        columns = self._columns(column_rows)
        keys, indexes = self._indexes(column_rows, self._key_ids() if self._is_whole else {})
        foreign_keys = self._foreign_keys() if self._is_whole else {}
        checks = self._checks(column_rows) if self._is_whole else {}
        partitions: defaultdict[int, list[int]] = defaultdict(list)
        for row in self._catalog.rows(PARTITIONS):
            if row.index_id in HEAP_OR_CLUSTERED:
                partitions[row.object_id].append(int(row.rows or 0))
        tables: list[Table] = []
        for row in table_rows:
            this = row.object_id
            traits = _traits(row) + (["partitioned"] if len(partitions[this]) > 1 else [])
            found = keys.get(this, ())
            tables.append(
                Table(
                    schema=self._schemas[row.schema_id],
                    name=row.full_name,
                    columns=tuple(column for column in columns[this] if not _is_internal(column)),
                    internal_columns=tuple(column for column in columns[this] if _is_internal(column)),
                    primary_key=next((key for is_primary, key in found if is_primary), None),
                    unique=tuple(key for is_primary, key in found if not is_primary),
                    indexes=tuple(indexes.get(this, ())),
                    foreign_keys=tuple(foreign_keys.get(this, ())),
                    checks=tuple(checks.get(this, ())),
                    row_count=sum(partitions[this]),
                    comment=self._comments.of(this),
                    traits=tuple(traits),
                )
            )
        return tuple(sorted(tables, key=lambda table: table.sort_key))

    def _dropped_tables(self) -> list[OtherObject]:
        """Tables that were dropped, whose rows a ledger keeps."""
        return [
            OtherObject(DROPPED_LEDGER_TABLE, self._schemas[row.schema_id], row.full_name)
            for row in self._table_rows
            if _is_dropped(row)
        ]

    # -- parts ----------------------------------------------------------------------------------

    def _column_rows(self, tables: Set[int]) -> list[Any]:
        rows = [row for row in self._catalog.rows(COLUMNS) if row.object_id in tables]
        return sorted(rows, key=lambda row: (row.object_id, row.column_id))

    def _columns(self, rows: Sequence[Any]) -> Mapping[int, Sequence[Column]]:
        """The columns of each table, by the tables' numbers."""
        types = {row.user_type_id: row for row in self._catalog.rows(TYPES)}
        identities = self._identities() if any(row.is_identity for row in rows) else {}
        defaults = self._defaults() if self._is_whole else {}
        computed = self._computed(rows)
        if self._is_whole:
            defaults |= self._bound_defaults(rows, defaults)
        columns: defaultdict[int, list[Column]] = defaultdict(list)
        for row in rows:
            this = Part(row.object_id, row.column_id)
            columns[row.object_id].append(
                _column(
                    row,
                    _type(row, types, self._schemas),
                    identities,
                    defaults.get(this),
                    computed.get(this),
                    self._comments.of(row.object_id, row.column_id),
                )
            )
        return columns

    def _identities(self) -> dict[int, Identity]:
        rows = self._catalog.rows(IDENTITIES)
        last: dict[int, str | None] = {}
        # Babelfish's view gives the tables one another's values.
        if not any(row.is_babelfish for row in rows):
            last = {row.object_id: row.last_value for row in self._catalog.rows(LAST_IDENTITIES)}
        found: dict[int, Identity] = {}
        for row in rows:
            # A position that has left the seed was used, or set by DBCC CHECKIDENT.
            moved = row.current_value if row.current_value != row.seed else None
            value = last.get(row.object_id) or moved
            found[row.object_id] = Identity(
                int(row.seed or 1), int(row.increment or 1), None if value is None else int(value)
            )
        return found

    def _defaults(self) -> dict[Part, Default]:
        rows = self._catalog.rows(DEFAULTS)
        texts = self._catalog.texts("default", "sys.default_constraints", [row.constraint_id for row in rows])
        return {Part(row.object_id, row.column_id): Default(row.name, texts.get(row.constraint_id, "")) for row in rows}

    def _bound_defaults(self, rows: Sequence[Any], known: Mapping[Part, Default]) -> dict[Part, Default]:
        """Defaults that no constraint of the table is: bound to the column, or hidden from the login."""
        numbers = {
            Part(row.object_id, row.column_id): row.default_object_id
            for row in rows
            if getattr(row, "default_object_id", None) and not row.is_computed and not row.is_identity
        }
        return {part: bound_default(self._bound, number) for part, number in numbers.items() if part not in known}

    @cached_property
    def _bound(self) -> dict[int, Bound]:
        return read_bound(self._catalog)

    def _computed(self, column_rows: Sequence[Any]) -> dict[Part, Computed]:
        computed = [Part(row.object_id, row.column_id) for row in column_rows if row.is_computed]
        if not computed or not self._is_whole:
            return dict.fromkeys(computed, Computed(""))
        try:
            rows = self._catalog.rows("SELECT object_id, column_id, definition, is_persisted FROM sys.computed_columns")
        except pyodbc.Error:
            return {part: self._computed_alone(part) for part in computed}
        return dict.fromkeys(computed, Computed("")) | {
            Part(row.object_id, row.column_id): Computed(row.definition or "", bool(row.is_persisted)) for row in rows
        }

    def _computed_alone(self, part: Part) -> Computed:
        """One computed column of Babelfish, where each is persisted."""
        questions = text_questions("sys.computed_columns", part.object_id, part.part)
        text = self._catalog.text(f"computed column {part.part} of {part.object_id}", *questions)
        return Computed(text or "", is_persisted=True)

    def _key_ids(self) -> dict[tuple[int, str], int]:
        """Constraints by table and name: a key's comment belongs to the constraint, an index's to the index."""
        return {(row.parent_object_id, row.name): row.object_id for row in self._catalog.rows(KEY_CONSTRAINTS)}

    def _indexes(
        self, column_rows: Sequence[Any], key_ids: Mapping[tuple[int, str], int]
    ) -> tuple[dict[int, list[tuple[bool, Key]]], dict[int, list[Index]]]:
        names = {Part(row.object_id, row.column_id): row.full_name for row in column_rows}
        tables = {row.object_id for row in column_rows}
        parts: defaultdict[Part, list[Any]] = defaultdict(list)
        for row in sorted(self._catalog.rows(INDEX_COLUMNS), key=lambda row: (row.key_ordinal, row.index_column_id)):
            if Part(row.object_id, row.column_id) in names:
                parts[Part(row.object_id, row.index_id)].append(row)
        keys: defaultdict[int, list[tuple[bool, Key]]] = defaultdict(list)
        indexes: defaultdict[int, list[Index]] = defaultdict(list)
        query = INDEXES.format(filter=WHOLE_FILTER if self._is_whole else BEGINNING_OF_FILTER)
        for row in sorted(self._catalog.rows(query), key=lambda row: (row.object_id, row.index_id)):
            if row.object_id not in tables or row.is_hypothetical or row.full_name is None:
                continue
            this = Part(row.object_id, row.index_id)
            # Key ordinal 0 is a partitioning column that the server added to a B-tree by itself, and every column of
            # the other kinds (Microsoft, "sys.index_columns").
            is_tree = row.type_desc in ("CLUSTERED", "NONCLUSTERED")
            columns = tuple(
                KeyColumn(names[Part(part.object_id, part.column_id)], bool(part.is_descending_key))
                for part in parts[this]
                if not part.is_included_column and (part.key_ordinal or not is_tree)
            )
            comment = self._comments.of_index(row.object_id, row.index_id)
            if row.is_primary_key or row.is_unique_constraint:
                key_id = key_ids.get((row.object_id, row.full_name))
                comment = (self._comments.of(key_id) if key_id is not None else None) or comment
                key = Key(row.full_name, columns, "CLUSTERED" in row.type_desc.split(), comment, bool(row.is_disabled))
                keys[row.object_id].append((bool(row.is_primary_key), key))
                continue
            indexes[row.object_id].append(
                Index(
                    name=row.full_name,
                    columns=columns,
                    included=tuple(
                        names[Part(part.object_id, part.column_id)] for part in parts[this] if part.is_included_column
                    ),
                    is_unique=bool(row.is_unique),
                    # NULL without the right to see it (Microsoft, "sys.indexes").
                    filter=(row.filter_definition or "") if row.has_filter else None,
                    kind=row.type_desc,
                    is_disabled=bool(row.is_disabled),
                    comment=comment,
                )
            )
        return keys, indexes

    def _foreign_keys(self) -> dict[int, list[ForeignKey]]:
        pairs: defaultdict[int, list[tuple[str, str]]] = defaultdict(list)
        for row in self._catalog.rows(FOREIGN_KEY_COLUMNS):
            pairs[row.constraint_id].append((row.column_name, row.referenced_name))
        found: defaultdict[int, list[ForeignKey]] = defaultdict(list)
        for row in sorted(self._catalog.rows(FOREIGN_KEYS), key=lambda row: row.name):
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
                    comment=self._comments.of(row.constraint_id),
                )
            )
        return found

    def _checks(self, column_rows: Sequence[Any]) -> dict[int, list[Check]]:
        rows = sorted(self._catalog.rows(CHECKS), key=lambda row: row.name)
        texts = self._catalog.texts("check", "sys.check_constraints", [row.constraint_id for row in rows])
        found: defaultdict[int, list[Check]] = defaultdict(list)
        for row in rows:
            found[row.object_id].append(
                Check(
                    name=row.name,
                    text=texts.get(row.constraint_id, ""),
                    is_trusted=not row.is_not_trusted,
                    is_disabled=bool(row.is_disabled),
                    comment=self._comments.of(row.constraint_id),
                )
            )
        for row in column_rows:
            if rule := getattr(row, "rule_object_id", None):
                found[row.object_id].append(bound_rule(self._bound, rule, row.full_name))
        return found


def _traits(row: Any) -> list[str]:
    found = [words for name, words in TABLE_FLAGS.items() if getattr(row, name, None)]
    for name, known in TABLE_WORDS.items():
        word = known.get(str(getattr(row, name, None) or "").strip())
        found += [word] if word else []
    return found


def _is_dropped(row: Any) -> bool:
    """Whether a ledger keeps a table for its proof only (Microsoft, "sys.tables", since 2022)."""
    return bool(getattr(row, "is_dropped_ledger_table", None))


def _is_internal(column: Column) -> bool:
    return column.is_column_set or column.is_dropped or column.graph_type in GRAPH_INTERNALS


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
        is_dropped=bool(getattr(row, "is_dropped_ledger_column", None)),
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

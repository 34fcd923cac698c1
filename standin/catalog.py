"""The stand-in's `sys` schema, computed from a declared database.

Every view has the columns, types and values that Microsoft documents for it; what the stand-in cannot
know (dates, sizes on disk) is constant. `system_tables` yields the views as plain tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from model.catalog import Column, Database, Index, Key, SqlType, Table
from standin.collations import DEFAULT_COLLATION_NAME
from standin.relations import Output, Relation
from standin.type_names import named_type
from standin.types import INTEGERS, TEXTS, decimal_size, moment_size

Row = dict[str, object]

_OBJECT = (
    "name:sysname! object_id:int! principal_id:int schema_id:int! parent_object_id:int! type:char(2) "
    "type_desc:nvarchar(60) create_date:datetime! modify_date:datetime! is_ms_shipped:bit! is_published:bit! "
    "is_schema_published:bit!"
)
_SEQUENCE_VALUES = (
    "start_value:sql_variant! increment:sql_variant! minimum_value:sql_variant maximum_value:sql_variant "
    "is_cycling:bit is_cached:bit cache_size:int system_type_id:tinyint! user_type_id:int! precision:tinyint! "
    "scale:tinyint current_value:sql_variant! is_exhausted:bit! last_used_value:sql_variant"
)
_COLUMN = (
    "object_id:int! name:sysname column_id:int! system_type_id:tinyint! user_type_id:int! max_length:smallint! "
    "precision:tinyint! scale:tinyint! collation_name:sysname is_nullable:bit is_ansi_padded:bit! is_rowguidcol:bit! "
    "is_identity:bit! is_computed:bit! is_filestream:bit! is_replicated:bit is_non_sql_subscribed:bit "
    "is_merge_published:bit is_dts_replicated:bit is_xml_document:bit! xml_collection_id:int! default_object_id:int! "
    "rule_object_id:int! is_sparse:bit is_column_set:bit generated_always_type:tinyint "
    "generated_always_type_desc:nvarchar(60) encryption_type:int encryption_type_desc:nvarchar(64) "
    "encryption_algorithm_name:sysname column_encryption_key_id:int column_encryption_key_database_name:sysname "
    "is_hidden:bit is_masked:bit graph_type:int graph_type_desc:nvarchar(60) is_data_deletion_filter_column:bit "
    "ledger_view_column_type:int ledger_view_column_type_desc:nvarchar(60) is_dropped_ledger_column:bit "
    "vector_dimensions:int vector_base_type:tinyint vector_base_type_desc:nvarchar(10)"
)

#: Columns of each view as `name:type`, with `!` where they are not nullable.
VIEWS: Mapping[str, str] = {
    "schemas": "name:sysname! schema_id:int! principal_id:int",
    "database_principals": "name:sysname! principal_id:int! type:char(1)! type_desc:nvarchar(60)",
    "objects": _OBJECT,
    "all_objects": _OBJECT,
    "tables": _OBJECT + " lob_data_space_id:int! filestream_data_space_id:int max_column_id_used:int! "
    "lock_on_bulk_load:bit! uses_ansi_nulls:bit is_replicated:bit has_replication_filter:bit is_merge_published:bit "
    "is_sync_tran_subscribed:bit has_unchecked_assembly_data:bit! text_in_row_limit:int "
    "large_value_types_out_of_row:bit is_tracked_by_cdc:bit lock_escalation:tinyint lock_escalation_desc:nvarchar(60) "
    "is_filetable:bit is_memory_optimized:bit durability:tinyint durability_desc:nvarchar(60) temporal_type:tinyint "
    "temporal_type_desc:nvarchar(60) history_table_id:int is_remote_data_archive_enabled:bit is_external:bit! "
    "history_retention_period:int history_retention_period_unit:int history_retention_period_unit_desc:nvarchar(10) "
    "is_node:bit is_edge:bit data_retention_period:int data_retention_period_unit:int "
    "data_retention_period_unit_desc:nvarchar(10) ledger_type:tinyint ledger_type_desc:nvarchar(60) "
    "ledger_view_id:int is_dropped_ledger_table:bit",
    "columns": _COLUMN,
    "all_columns": _COLUMN,
    "types": "name:sysname! system_type_id:tinyint! user_type_id:int! schema_id:int! principal_id:int "
    "max_length:smallint! precision:tinyint! scale:tinyint! collation_name:sysname is_nullable:bit "
    "is_user_defined:bit! is_assembly_type:bit! default_object_id:int! rule_object_id:int! is_table_type:bit!",
    "assembly_types": "name:sysname! system_type_id:tinyint! user_type_id:int! schema_id:int! principal_id:int "
    "max_length:smallint! is_nullable:bit assembly_id:int! assembly_class:sysname "
    "assembly_qualified_name:nvarchar(4000)",
    "table_types": "name:sysname! system_type_id:tinyint! user_type_id:int! schema_id:int! type_table_object_id:int! "
    "is_user_defined:bit! is_memory_optimized:bit",
    "identity_columns": _COLUMN + " seed_value:sql_variant increment_value:sql_variant last_value:sql_variant "
    "is_not_for_replication:bit",
    "computed_columns": _COLUMN + " definition:nvarchar(max) uses_database_collation:bit! is_persisted:bit!",
    "masked_columns": _COLUMN + " masking_function:nvarchar(4000)",
    "default_constraints": _OBJECT + " parent_column_id:int! definition:nvarchar(max) is_system_named:bit!",
    "check_constraints": _OBJECT + " is_disabled:bit! is_not_for_replication:bit! is_not_trusted:bit! "
    "parent_column_id:int! definition:nvarchar(max) uses_database_collation:bit is_system_named:bit!",
    "key_constraints": _OBJECT + " unique_index_id:int is_system_named:bit! is_enforced:bit!",
    "foreign_keys": _OBJECT + " referenced_object_id:int key_index_id:int is_disabled:bit! "
    "is_not_for_replication:bit! is_not_trusted:bit! delete_referential_action:tinyint "
    "delete_referential_action_desc:nvarchar(60) update_referential_action:tinyint "
    "update_referential_action_desc:nvarchar(60) is_system_named:bit!",
    "foreign_key_columns": "constraint_object_id:int! constraint_column_id:int! parent_object_id:int! "
    "parent_column_id:int! referenced_object_id:int! referenced_column_id:int!",
    "indexes": "object_id:int! name:sysname index_id:int! type:tinyint! type_desc:nvarchar(60) is_unique:bit "
    "data_space_id:int ignore_dup_key:bit is_primary_key:bit is_unique_constraint:bit fill_factor:tinyint! "
    "is_padded:bit is_disabled:bit is_hypothetical:bit is_ignored_in_optimization:bit allow_row_locks:bit "
    "allow_page_locks:bit has_filter:bit filter_definition:nvarchar(max) compression_delay:int "
    "suppress_dup_key_messages:bit auto_created:bit optimize_for_sequential_key:bit",
    "index_columns": "object_id:int! index_id:int! index_column_id:int! column_id:int! key_ordinal:tinyint! "
    "partition_ordinal:tinyint! is_descending_key:bit is_included_column:bit column_store_order_ordinal:tinyint!",
    "partitions": "partition_id:bigint! object_id:int! index_id:int! partition_number:int! hobt_id:bigint! rows:bigint "
    "filestream_filegroup_id:smallint! data_compression:tinyint! data_compression_desc:nvarchar(60)",
    "dm_db_partition_stats": "partition_id:bigint object_id:int! index_id:int! partition_number:int! "
    "in_row_data_page_count:bigint used_page_count:bigint reserved_page_count:bigint row_count:bigint",
    "allocation_units": "allocation_unit_id:bigint! type:tinyint! type_desc:nvarchar(60) container_id:bigint! "
    "data_space_id:int total_pages:bigint! used_pages:bigint! data_pages:bigint!",
    "data_spaces": "name:sysname! data_space_id:int! type:char(2)! type_desc:nvarchar(60) is_default:bit is_system:bit",
    "filegroups": "name:sysname! data_space_id:int! type:char(2)! type_desc:nvarchar(60) is_default:bit is_system:bit "
    "is_read_only:bit",
    "partition_schemes": "name:sysname! data_space_id:int! type:char(2)! type_desc:nvarchar(60) is_default:bit "
    "is_system:bit function_id:int!",
    "partition_functions": "name:sysname! function_id:int! type:char(2)! type_desc:nvarchar(60) fanout:int! "
    "boundary_value_on_right:bit! is_system:bit! create_date:datetime! modify_date:datetime!",
    "sequences": _OBJECT + " " + _SEQUENCE_VALUES,
    "extended_properties": "class:tinyint! class_desc:nvarchar(60) major_id:int! minor_id:int! name:sysname! "
    "value:sql_variant",
    "views": _OBJECT + " is_replicated:bit has_opaque_metadata:bit! is_date_correlation_view:bit!",
    "procedures": _OBJECT + " is_auto_executed:bit!",
    "synonyms": _OBJECT + " base_object_name:nvarchar(1035)",
    "sql_modules": "object_id:int! definition:nvarchar(max) uses_ansi_nulls:bit uses_quoted_identifier:bit "
    "is_schema_bound:bit uses_database_collation:bit is_recompiled:bit null_on_null_input:bit "
    "execute_as_principal_id:int",
    "triggers": "name:sysname! object_id:int! parent_class:tinyint! parent_class_desc:nvarchar(60) parent_id:int! "
    "type:char(2)! type_desc:nvarchar(60) create_date:datetime! modify_date:datetime! is_ms_shipped:bit! "
    "is_disabled:bit! is_not_for_replication:bit! is_instead_of_trigger:bit!",
    "periods": "name:sysname period_type:tinyint period_type_desc:nvarchar(60) object_id:int! start_column_id:int! "
    "end_column_id:int!",
    "security_policies": _OBJECT + " is_enabled:bit! is_not_for_replication:bit! uses_database_collation:bit "
    "is_schema_bound:bit!",
    "security_predicates": "object_id:int! security_predicate_id:int! target_object_id:int! "
    "predicate_definition:nvarchar(max)! predicate_type:int predicate_type_desc:nvarchar(60) operation:int "
    "operation_desc:nvarchar(60)",
    "external_tables": _OBJECT + " data_source_id:int! file_format_id:int location:nvarchar(4000)",
    "change_tracking_tables": "object_id:int! is_track_columns_updated_on:bit min_valid_version:bigint "
    "begin_version:bigint cleanup_version:bigint",
    "fulltext_indexes": "object_id:int! unique_index_id:int! fulltext_catalog_id:int is_enabled:bit!",
    "stats": "object_id:int! name:nvarchar(128) stats_id:int! auto_created:bit user_created:bit",
    "column_encryption_keys": "name:sysname! column_encryption_key_id:int! create_date:datetime! modify_date:datetime!",
    "xml_schema_collections": "xml_collection_id:int! schema_id:int! principal_id:int name:sysname! "
    "create_date:datetime! modify_date:datetime!",
    "databases": "name:sysname! database_id:int! source_database_id:int create_date:datetime! "
    "compatibility_level:tinyint! collation_name:sysname user_access:tinyint user_access_desc:nvarchar(60) "
    "is_read_only:bit is_auto_close_on:bit! state:tinyint state_desc:nvarchar(60) snapshot_isolation_state:tinyint "
    "snapshot_isolation_state_desc:nvarchar(60) is_read_committed_snapshot_on:bit recovery_model:tinyint "
    "recovery_model_desc:nvarchar(60) is_encrypted:bit is_cdc_enabled:bit! containment:tinyint "
    "is_ledger_on:bit! is_memory_optimized_elevate_to_snapshot_on:bit",
    "database_files": "file_id:int! type:tinyint! type_desc:nvarchar(60) name:sysname! physical_name:nvarchar(260)!",
    "dm_exec_sessions": "session_id:smallint! transaction_isolation_level:smallint!",
    # Not a view of SQL Server: every spelling of a table's name that OBJECT_ID understands.
    "standin_names": "spelled:nvarchar(600)! object_id:int!",
}

#: DuckDB macros behind the metadata functions; names in arguments may be bracketed or not.
MACROS = (
    "tds_object_id(x) AS (SELECT max(object_id) FROM sys.standin_names WHERE spelled = lower(x))",
    "tds_object_name(x) AS (SELECT max(name) FROM sys.objects o WHERE o.object_id = x)",
    "tds_object_schema(x) AS (SELECT max(s.name) FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id"
    " WHERE o.object_id = x)",
    "tds_schema_name(x) AS (SELECT max(name) FROM sys.schemas s WHERE s.schema_id = x)",
    "tds_schema_id(x) AS (SELECT max(schema_id) FROM sys.schemas s WHERE s.name = x)",
    "tds_definition(x) AS coalesce((SELECT max(definition) FROM sys.sql_modules m WHERE m.object_id = x),"
    " (SELECT max(definition) FROM sys.default_constraints d WHERE d.object_id = x),"
    " (SELECT max(definition) FROM sys.check_constraints k WHERE k.object_id = x))",
    "tds_type_name(x) AS (SELECT max(name) FROM sys.types t WHERE t.user_type_id = x)",
    "tds_type_id(x) AS (SELECT max(user_type_id) FROM sys.types t WHERE t.name = x)",
    "tds_column_name(x, y) AS (SELECT max(name) FROM sys.columns c WHERE c.object_id = x AND c.column_id = y)",
    "tds_column_length(x, y) AS (SELECT max(max_length) FROM sys.columns c JOIN sys.standin_names n"
    " ON n.object_id = c.object_id WHERE n.spelled = lower(x) AND c.name = y)",
    "tds_column_property(x, y, z) AS (SELECT max(CASE lower(z) WHEN 'isidentity' THEN is_identity"
    " WHEN 'iscomputed' THEN is_computed WHEN 'allowsnull' THEN is_nullable WHEN 'isrowguidcol' THEN is_rowguidcol"
    " WHEN 'ishidden' THEN is_hidden WHEN 'issparse' THEN is_sparse WHEN 'columnid' THEN column_id"
    " WHEN 'precision' THEN precision WHEN 'scale' THEN scale WHEN 'ordinal' THEN column_id"
    " WHEN 'generatedalwaystype' THEN generated_always_type WHEN 'charmaxlen' THEN max_length END)"
    " FROM sys.columns c WHERE c.object_id = x AND c.name = y)",
    "tds_object_property(x, y) AS (SELECT max(CASE lower(y) WHEN 'isusertable' THEN CAST(o.type = 'U ' AS INTEGER)"
    " WHEN 'isview' THEN CAST(o.type = 'V ' AS INTEGER) WHEN 'ismsshipped' THEN is_ms_shipped"
    " WHEN 'tablehasidentity' THEN (SELECT max(is_identity) FROM sys.columns c WHERE c.object_id = x)"
    " WHEN 'tablehasprimarykey' THEN (SELECT max(is_primary_key) FROM sys.indexes i WHERE i.object_id = x)"
    " WHEN 'tabletemporaltype' THEN (SELECT max(temporal_type) FROM sys.tables t WHERE t.object_id = x)"
    " WHEN 'schemaid' THEN schema_id WHEN 'cardinality' THEN (SELECT sum(rows) FROM sys.partitions p"
    " WHERE p.object_id = x AND p.index_id < 2) END) FROM sys.objects o WHERE o.object_id = x)",
    "tds_database_property(x) AS (SELECT max(CASE lower(x) WHEN 'collation' THEN collation_name"
    " WHEN 'updateability' THEN 'READ_WRITE' WHEN 'status' THEN 'ONLINE' WHEN 'recovery' THEN 'FULL' END)"
    " FROM sys.databases WHERE database_id = 5)",
    "tds_identity(x, what) AS (SELECT CAST(max(CASE what WHEN 'seed' THEN seed_value WHEN 'increment'"
    " THEN increment_value ELSE coalesce(last_value, seed_value) END) AS DECIMAL(38,0)) FROM sys.identity_columns c"
    " JOIN sys.standin_names n ON n.object_id = c.object_id WHERE n.spelled = lower(x))",
)

_COLLATED = TEXTS - {"xml", "json", "vector", "sql_variant", "hierarchyid"}
_DATE = "2025-01-01 00:00:00"

# Name: system_type_id, user_type_id, max_length, precision, scale.
_TYPES: Mapping[str, tuple[int, int, int, int, int]] = {
    "image": (34, 34, 16, 0, 0),
    "text": (35, 35, 16, 0, 0),
    "uniqueidentifier": (36, 36, 16, 0, 0),
    "date": (40, 40, 3, 10, 0),
    "time": (41, 41, 5, 16, 7),
    "datetime2": (42, 42, 8, 27, 7),
    "datetimeoffset": (43, 43, 10, 34, 7),
    "tinyint": (48, 48, 1, 3, 0),
    "smallint": (52, 52, 2, 5, 0),
    "int": (56, 56, 4, 10, 0),
    "smalldatetime": (58, 58, 4, 16, 0),
    "real": (59, 59, 4, 24, 0),
    "money": (60, 60, 8, 19, 4),
    "datetime": (61, 61, 8, 23, 3),
    "float": (62, 62, 8, 53, 0),
    "sql_variant": (98, 98, 8016, 0, 0),
    "ntext": (99, 99, 16, 0, 0),
    "bit": (104, 104, 1, 1, 0),
    "decimal": (106, 106, 17, 38, 38),
    "numeric": (108, 108, 17, 38, 38),
    "smallmoney": (122, 122, 4, 10, 4),
    "bigint": (127, 127, 8, 19, 0),
    "varbinary": (165, 165, 8000, 0, 0),
    "varchar": (167, 167, 8000, 0, 0),
    "binary": (173, 173, 8000, 0, 0),
    "char": (175, 175, 8000, 0, 0),
    "timestamp": (189, 189, 8, 0, 0),
    "nvarchar": (231, 231, 8000, 0, 0),
    "nchar": (239, 239, 8000, 0, 0),
    "hierarchyid": (240, 128, 892, 0, 0),
    "geometry": (240, 129, -1, 0, 0),
    "geography": (240, 130, -1, 0, 0),
    "xml": (241, 241, -1, 0, 0),
    "json": (244, 244, -1, 0, 0),
    "vector": (255, 255, -1, 0, 0),
    "sysname": (231, 256, 256, 0, 0),
}
_ACTIONS = ("NO_ACTION", "CASCADE", "SET_NULL", "SET_DEFAULT")
_GENERATED = {
    "NOT_APPLICABLE": 0,
    "AS_ROW_START": 1,
    "AS_ROW_END": 2,
    "AS_TRANSACTION_ID_START": 7,
    "AS_TRANSACTION_ID_END": 8,
    "AS_SEQUENCE_NUMBER_START": 9,
    "AS_SEQUENCE_NUMBER_END": 10,
}
_GRAPH = (
    "GRAPH_ID", "GRAPH_ID_COMPUTED", "GRAPH_FROM_ID", "GRAPH_FROM_OBJ_ID", "GRAPH_FROM_ID_COMPUTED", "GRAPH_TO_ID",
    "GRAPH_TO_OBJ_ID", "GRAPH_TO_ID_COMPUTED",
)  # fmt: skip
_INDEX_KINDS = {
    "HEAP": 0,
    "CLUSTERED": 1,
    "NONCLUSTERED": 2,
    "XML": 3,
    "SPATIAL": 4,
    "CLUSTERED COLUMNSTORE": 5,
    "NONCLUSTERED COLUMNSTORE": 6,
    "NONCLUSTERED HASH": 7,
}
_OTHER_TYPES = {
    "view": ("V ", "VIEW"),
    "procedure": ("P ", "SQL_STORED_PROCEDURE"),
    "function": ("FN", "SQL_SCALAR_FUNCTION"),
    "trigger": ("TR", "SQL_TRIGGER"),
    "synonym": ("SN", "SYNONYM"),
    # As sys.objects describes them, in lower case.
    "sql stored procedure": ("P ", "SQL_STORED_PROCEDURE"),
    "sql scalar function": ("FN", "SQL_SCALAR_FUNCTION"),
    "sql inline table valued function": ("IF", "SQL_INLINE_TABLE_VALUED_FUNCTION"),
    "sql table valued function": ("TF", "SQL_TABLE_VALUED_FUNCTION"),
    "sql trigger": ("TR", "SQL_TRIGGER"),
}
_PARTITION_SCHEME, _PARTITION_FUNCTION = 65601, 65536


@dataclass(frozen=True)
class SystemTable:
    """One view of `sys`, ready to be stored."""

    relation: Relation
    rows: list[tuple[object, ...]]


@dataclass
class _Catalog:
    """The rows of every view while they are being collected."""

    database: Database
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in VIEWS})
    schemas: dict[str, int] = field(default_factory=lambda: {"dbo": 1, "guest": 2, "INFORMATION_SCHEMA": 3, "sys": 4})
    aliases: dict[str, int] = field(default_factory=dict)
    tables: dict[tuple[str, str], int] = field(default_factory=dict)
    last_object: int = 901577999

    def schema(self, name: str) -> int:
        for known, number in self.schemas.items():
            if known.lower() == name.lower():
                return number
        self.schemas[name] = number = len(self.schemas) + 1
        return number

    def add(self, view: str, **values: object) -> None:
        self.rows[view].append(values)

    def object(self, schema: str, name: str, kind: tuple[str, str], parent: int = 0) -> Row:
        """A new row of sys.objects, which views of more special kinds begin with."""
        self.last_object += 16
        row: Row = {
            "name": name, "object_id": self.last_object, "schema_id": self.schema(schema), "parent_object_id": parent,
            "type": kind[0], "type_desc": kind[1], "create_date": _DATE, "modify_date": _DATE,
        }  # fmt: skip
        self.rows["objects"].append(row)
        return row

    def comment(self, text: str | None, major: int, minor: int = 0, *, of_index: bool = False) -> None:
        if text is not None:
            kind = (7, "INDEX") if of_index else (1, "OBJECT_OR_COLUMN")
            self.add(
                "extended_properties",
                **{"class": kind[0]},
                class_desc=kind[1],
                major_id=major,
                minor_id=minor,
                name="MS_Description",
                value=text,
            )


def stored_type(kind: SqlType) -> tuple[int, int, int, int, int]:
    """system_type_id, user_type_id, max_length, precision and scale of a column of the type."""
    base = _TYPES.get(kind.name, (240, 300, -1, 0, 0))
    length, precision, scale = base[2:]
    if kind.name in {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}:
        length = kind.max_length
    elif kind.name in {"decimal", "numeric"}:
        precision, scale = kind.precision, kind.scale
        length = decimal_size(precision)
    elif kind.name == "vector":
        length = 8 + 4 * kind.precision
    elif kind.name in {"time", "datetime2", "datetimeoffset"}:
        scale = kind.scale
        whole = {"time": 8, "datetime2": 19, "datetimeoffset": 26}[kind.name]
        precision = whole + (scale + 1 if scale else 0)
        length = moment_size(kind)
    return base[0], base[1], length, precision, scale


def _types(catalog: _Catalog) -> None:
    database = catalog.database
    collation = database.collation or DEFAULT_COLLATION_NAME
    for name, (system, user, length, precision, scale) in _TYPES.items():
        is_clr = name in {"hierarchyid", "geometry", "geography"}
        row: Row = {
            "name": name, "system_type_id": system, "user_type_id": user, "schema_id": 4, "max_length": length,
            "precision": precision, "scale": scale, "is_nullable": name != "sysname", "is_assembly_type": is_clr,
            "collation_name": collation if name in _COLLATED else None,
        }  # fmt: skip
        catalog.rows["types"].append(row)
        if is_clr:
            catalog.rows["assembly_types"].append({**row, "assembly_id": 1, "assembly_class": f"Microsoft.{name}"})
    for alias in database.alias_types:
        number = 257 + len(catalog.aliases)
        catalog.aliases[alias.name.lower()] = number
        system, _, length, precision, scale = stored_type(alias.base)
        catalog.add(
            "types",
            name=alias.name, system_type_id=system, user_type_id=number, schema_id=catalog.schema(alias.schema),
            max_length=length, precision=precision, scale=scale, is_nullable=alias.is_nullable, is_user_defined=True,
            collation_name=collation if alias.base.name in _COLLATED else None,
        )  # fmt: skip
    unknown = {column.type.name for table in database.tables for column in table.columns if column.type.is_clr}
    for number, name in enumerate(sorted(unknown - set(_TYPES)), 300):
        catalog.add(
            "types", name=name, system_type_id=240, user_type_id=number, schema_id=1, max_length=-1, is_nullable=True,
            is_user_defined=True, is_assembly_type=True,
        )  # fmt: skip
        catalog.aliases[name.lower()] = number


def _column(catalog: _Catalog, table: int, number: int, column: Column) -> Row:
    kind = column.type
    system, user, length, precision, scale = stored_type(kind)
    if kind.alias and kind.alias.lower() in catalog.aliases:
        user = catalog.aliases[kind.alias.lower()]
    elif kind.alias == "sysname":
        user = 256
    elif kind.name.lower() in catalog.aliases:
        user = catalog.aliases[kind.name.lower()]
    generated = column.generated_always or "NOT_APPLICABLE"
    is_text = kind.name in _COLLATED
    collation = (column.collation or catalog.database.collation or DEFAULT_COLLATION_NAME) if is_text else None
    return {
        "object_id": table, "name": column.name, "column_id": number, "system_type_id": system, "user_type_id": user,
        "max_length": length, "precision": precision, "scale": scale, "collation_name": collation,
        "is_nullable": column.is_nullable, "is_ansi_padded": is_text, "is_rowguidcol": column.is_rowguid,
        "is_identity": column.identity is not None, "is_computed": column.computed is not None,
        "is_filestream": column.is_filestream, "is_sparse": column.is_sparse, "is_column_set": column.is_column_set,
        "generated_always_type": _GENERATED.get(generated, 0), "generated_always_type_desc": generated,
        "encryption_type": 1 if column.is_encrypted else None,
        "encryption_type_desc": "DETERMINISTIC" if column.is_encrypted else None,
        "is_hidden": column.is_hidden, "is_masked": column.is_masked,
        "vector_dimensions": kind.precision if kind.name == "vector" else None,
        "graph_type": _GRAPH.index(column.graph_type) + 1 if column.graph_type in _GRAPH else None,
        "graph_type_desc": column.graph_type,
    }  # fmt: skip


def _columns(catalog: _Catalog, table: Table, table_id: int, identities: Mapping[tuple[str, str], int | None]) -> None:
    for number, column in enumerate(table.columns, 1):
        row = _column(catalog, table_id, number, column)
        catalog.rows["columns"].append(row)
        if column.default is not None:
            default = catalog.object(table.schema, column.default.name, ("D ", "DEFAULT_CONSTRAINT"), table_id)
            row["default_object_id"] = default["object_id"]
            catalog.add("default_constraints", **default, parent_column_id=number, definition=column.default.text)
        if column.identity is not None:
            last = column.identity.last_value
            if last is None:
                last = identities.get((table.schema, table.name))
            catalog.add(
                "identity_columns",
                **row,
                seed_value=str(column.identity.seed),
                increment_value=str(column.identity.increment),
                last_value=None if last is None else str(last),
            )
        if column.computed is not None:
            catalog.add(
                "computed_columns", **row, definition=column.computed.text, is_persisted=column.computed.is_persisted
            )
        if column.is_masked:
            catalog.add("masked_columns", **row, masking_function="default()")
        catalog.comment(column.comment, table_id, number)


def _has(table: Table, *traits: str) -> bool:
    return any(trait.lower() in traits for trait in table.traits)


def _table(catalog: _Catalog, table: Table) -> Row:
    row = catalog.object(table.schema, table.name, ("U ", "USER_TABLE"))
    catalog.tables[table.schema.lower(), table.name.lower()] = int(str(row["object_id"]))
    is_memory = _has(table, "memory-optimised", "memory-optimized")
    temporal = 2 if _has(table, "temporal") else 1 if _has(table, "history") else 0
    ledger = 2 if _has(table, "ledger") else 0
    has_lobs = any(column.type.max_length == -1 for column in table.columns)
    extra: Row = {
        "lob_data_space_id": int(has_lobs), "max_column_id_used": len(table.columns), "uses_ansi_nulls": True,
        "lock_escalation_desc": "TABLE", "is_filetable": _has(table, "filetable"), "is_memory_optimized": is_memory,
        "durability_desc": "SCHEMA_AND_DATA", "temporal_type": temporal,
        "temporal_type_desc": ("NON_TEMPORAL_TABLE", "HISTORY_TABLE", "SYSTEM_VERSIONED_TEMPORAL_TABLE")[temporal],
        "is_external": _has(table, "external"), "is_node": _has(table, "graph node"),
        "is_edge": _has(table, "graph edge"), "ledger_type": ledger, "durability": 0, "lock_escalation": 0,
        "ledger_type_desc": "UPDATABLE_LEDGER_TABLE" if ledger else "NON_LEDGER_TABLE",
    }  # fmt: skip
    full = {**row, **extra}
    catalog.rows["tables"].append(full)
    if _has(table, "external"):
        catalog.add("external_tables", **row, location="/")
    catalog.comment(table.comment, int(str(row["object_id"])))
    return full


def _period(catalog: _Catalog, table: Table, row: Row) -> None:
    """What links a temporal table to its history."""
    if not _has(table, "temporal"):
        return
    generated = {column.generated_always: number for number, column in enumerate(table.columns, 1)}
    if "AS_ROW_START" in generated and "AS_ROW_END" in generated:
        catalog.add(
            "periods", name="SYSTEM_TIME", period_type=1, period_type_desc="SYSTEM_TIME_PERIOD",
            object_id=row["object_id"], start_column_id=generated["AS_ROW_START"],
            end_column_id=generated["AS_ROW_END"],
        )  # fmt: skip
    for suffix in ("History", "_History"):
        history = catalog.tables.get((table.schema.lower(), (table.name + suffix).lower()))
        if history is not None:
            row["history_table_id"] = history


def _index_row(
    catalog: _Catalog, table: Table, table_id: int, number: int, name: str | None, kind: str, **extra: object
) -> None:
    space = _PARTITION_SCHEME if _has(table, "partitioned") else 1
    catalog.add(
        "indexes", object_id=table_id, name=name, index_id=number, type=_INDEX_KINDS.get(kind, 2), type_desc=kind,
        data_space_id=space, allow_row_locks=True, allow_page_locks=True,
        **{"is_unique": False, "is_primary_key": False, "is_unique_constraint": False, "has_filter": False,
           "is_disabled": False, "is_hypothetical": False, "ignore_dup_key": False, **extra},
    )  # fmt: skip


def _index_columns(
    catalog: _Catalog, table: Table, table_id: int, number: int, index: Key | Index, included: Sequence[str] = ()
) -> None:
    numbers = {column.name.lower(): place for place, column in enumerate(table.columns, 1)}
    keys = [(part.name, part.is_descending, False) for part in index.columns]
    for place, (name, is_descending, is_included) in enumerate([*keys, *((n, False, True) for n in included)], 1):
        catalog.add(
            "index_columns", object_id=table_id, index_id=number, index_column_id=place,
            column_id=numbers[name.lower()], key_ordinal=0 if is_included else place, is_descending_key=is_descending,
            is_included_column=is_included,
        )  # fmt: skip


def _indexes(catalog: _Catalog, table: Table, table_id: int, rows: int) -> None:
    keys = [(key, "PK") for key in (table.primary_key,) if key] + [(key, "UQ") for key in table.unique]
    is_clustered = any(key.is_clustered for key, _ in keys) or any(
        index.kind in {"CLUSTERED", "CLUSTERED COLUMNSTORE"} for index in table.indexes
    )
    if not is_clustered:
        _index_row(catalog, table, table_id, 0, None, "HEAP")
    used = [1 if is_clustered else 0]
    following = 2
    for key, kind in keys:
        number = 1 if key.is_clustered else following
        following += number != 1
        used.append(number)
        _index_row(
            catalog, table, table_id, number, key.name, "CLUSTERED" if key.is_clustered else "NONCLUSTERED",
            is_unique=True, is_primary_key=kind == "PK", is_unique_constraint=kind == "UQ", is_disabled=key.is_disabled,
        )  # fmt: skip
        _index_columns(catalog, table, table_id, number, key)
        names = {"PK": ("PK", "PRIMARY_KEY_CONSTRAINT"), "UQ": ("UQ", "UNIQUE_CONSTRAINT")}
        row = catalog.object(table.schema, key.name, names[kind], table_id)
        catalog.add("key_constraints", **row, unique_index_id=number, is_enforced=True)
        catalog.comment(key.comment, int(str(row["object_id"])))
    for index in table.indexes:
        number = 1 if index.kind in {"CLUSTERED", "CLUSTERED COLUMNSTORE"} else following
        following += number != 1
        used.append(number)
        _index_row(
            catalog, table, table_id, number, index.name, index.kind, is_unique=index.is_unique,
            has_filter=index.filter is not None, filter_definition=index.filter, is_disabled=index.is_disabled,
        )  # fmt: skip
        _index_columns(catalog, table, table_id, number, index, index.included)
        catalog.comment(index.comment, table_id, number, of_index=True)
    partitions = 2 if _has(table, "partitioned") else 1
    for number in sorted(set(used)):
        for partition in range(1, partitions + 1):
            identity = 72057594000000000 + table_id * 256 + number * 8 + partition
            count = rows // partitions + (rows % partitions if partition == 1 else 0)
            catalog.add(
                "partitions", partition_id=identity, object_id=table_id, index_id=number, partition_number=partition,
                hobt_id=identity, rows=count, data_compression_desc="NONE",
            )  # fmt: skip
            pages = count // 50 + 1
            catalog.add(
                "dm_db_partition_stats", partition_id=identity, object_id=table_id, index_id=number,
                partition_number=partition, in_row_data_page_count=pages, used_page_count=pages + 1,
                reserved_page_count=pages + 8, row_count=count,
            )  # fmt: skip
            catalog.add(
                "allocation_units", allocation_unit_id=identity, type=1, type_desc="IN_ROW_DATA",
                container_id=identity, data_space_id=1, total_pages=pages + 8, used_pages=pages + 1, data_pages=pages,
            )  # fmt: skip


def _constraints(catalog: _Catalog, table: Table, table_id: int, tables: Mapping[tuple[str, str], Table]) -> None:
    numbers = {column.name.lower(): place for place, column in enumerate(table.columns, 1)}
    for check in table.checks:
        row = catalog.object(table.schema, check.name, ("C ", "CHECK_CONSTRAINT"), table_id)
        catalog.add(
            "check_constraints", **row, definition=check.text, is_disabled=check.is_disabled,
            is_not_trusted=not check.is_trusted,
        )  # fmt: skip
        catalog.comment(check.comment, int(str(row["object_id"])))
    for key in table.foreign_keys:
        place = (key.referenced_schema.lower(), key.referenced_table.lower())
        other_id = catalog.tables[place]
        row = catalog.object(table.schema, key.name, ("F ", "FOREIGN_KEY_CONSTRAINT"), table_id)
        catalog.add(
            "foreign_keys", **row, referenced_object_id=other_id, key_index_id=1, is_disabled=key.is_disabled,
            is_not_trusted=not key.is_trusted, delete_referential_action=_ACTIONS.index(key.on_delete),
            delete_referential_action_desc=key.on_delete, update_referential_action=_ACTIONS.index(key.on_update),
            update_referential_action_desc=key.on_update,
        )  # fmt: skip
        others = {column.name.lower(): number for number, column in enumerate(tables[place].columns, 1)}
        pairs = zip(key.columns, key.referenced_columns, strict=True)
        for number, (column, other) in enumerate(pairs, 1):
            catalog.add(
                "foreign_key_columns", constraint_object_id=row["object_id"], constraint_column_id=number,
                parent_object_id=table_id, parent_column_id=numbers[column.lower()], referenced_object_id=other_id,
                referenced_column_id=others[other.lower()],
            )  # fmt: skip
        catalog.comment(key.comment, int(str(row["object_id"])))


def _others(catalog: _Catalog) -> None:
    for sequence in catalog.database.sequences:
        row = catalog.object(sequence.schema, sequence.name, ("SO", "SEQUENCE_OBJECT"))
        system, user, _, precision, scale = stored_type(sequence.type)
        if sequence.type.name in INTEGERS:
            scale = 0
        current = sequence.start if sequence.current is None else sequence.current
        catalog.add(
            "sequences", **row, start_value=str(sequence.start), increment=str(sequence.increment),
            minimum_value=str(sequence.minimum), maximum_value=str(sequence.maximum), is_cycling=sequence.is_cycling,
            is_cached=sequence.cache_size != 0, cache_size=sequence.cache_size or None, system_type_id=system,
            user_type_id=user, precision=precision, scale=scale, current_value=str(current),
            last_used_value=None if sequence.current is None else str(current),
        )  # fmt: skip
        catalog.comment(sequence.comment, int(str(row["object_id"])))
    for other in catalog.database.others:
        kind = _OTHER_TYPES.get(other.kind.lower(), ("X ", "EXTENDED_STORED_PROCEDURE"))
        row = catalog.object(other.schema, other.name, kind)
        if kind[0] == "V ":
            catalog.add("views", **row)
        elif kind[0] == "P ":
            catalog.add("procedures", **row)
        elif kind[0] == "SN":
            catalog.add("synonyms", **row, base_object_name=other.definition)
        elif kind[0] == "TR":
            parent = catalog.tables.get((other.schema.lower(), (other.parent or "").lower()), 0)
            row["parent_object_id"] = parent
            catalog.add("triggers", **row, parent_class=1, parent_class_desc="OBJECT_OR_COLUMN", parent_id=parent)
        if kind[0] != "SN" and other.definition is not None:
            catalog.add(
                "sql_modules", object_id=row["object_id"], definition=other.definition, uses_ansi_nulls=True,
                uses_quoted_identifier=True,
            )  # fmt: skip


def _server(catalog: _Catalog) -> None:
    database = catalog.database
    collation = database.collation or DEFAULT_COLLATION_NAME
    for name, number in (("master", 1), ("tempdb", 2), ("model", 3), ("msdb", 4), (database.name, 5)):
        catalog.add(
            "databases", name=name, database_id=number, create_date=_DATE, compatibility_level=160,
            collation_name=collation, user_access_desc="MULTI_USER", state_desc="ONLINE", snapshot_isolation_state=1,
            snapshot_isolation_state_desc="ON", recovery_model=1, recovery_model_desc="FULL", is_read_only=False,
            state=0, user_access=0, is_read_committed_snapshot_on=False, is_encrypted=False, containment=0,
        )  # fmt: skip
    for number, (kind, name) in enumerate((("ROWS", database.name), ("LOG", f"{database.name}_log")), 1):
        catalog.add(
            "database_files", file_id=number, type=number - 1, type_desc=kind, name=name, physical_name=f"/data/{name}"
        )
    for name, number in (("dbo", 1), ("guest", 2)):
        catalog.add("database_principals", name=name, principal_id=number, type="S", type_desc="SQL_USER")
    space: Row = {
        "name": "PRIMARY", "data_space_id": 1, "type": "FG", "type_desc": "ROWS_FILEGROUP", "is_default": True,
    }  # fmt: skip
    catalog.add("data_spaces", **space)
    catalog.add("filegroups", **space, is_read_only=False)
    if any(_has(table, "partitioned") for table in database.tables):
        scheme: Row = {
            "name": "ps_standin", "data_space_id": _PARTITION_SCHEME, "type": "PS", "type_desc": "PARTITION_SCHEME",
        }  # fmt: skip
        catalog.add("data_spaces", **scheme)
        catalog.add("partition_schemes", **scheme, function_id=_PARTITION_FUNCTION)
        catalog.add(
            "partition_functions", name="pf_standin", function_id=_PARTITION_FUNCTION, type="R ", type_desc="RANGE",
            fanout=2, boundary_value_on_right=True, create_date=_DATE, modify_date=_DATE,
        )  # fmt: skip
    for name, number in catalog.schemas.items():
        catalog.add("schemas", name=name, schema_id=number, principal_id=1)


def _spellings(schema: str, name: str, database: str) -> Iterable[str]:
    def both(part: str) -> tuple[str, str]:
        return part, "[" + part.replace("]", "]]") + "]"

    for table in both(name):
        if schema.lower() in {"dbo", "sys"}:
            yield table
        for owner in both(schema):
            yield f"{owner}.{table}"
            for base in both(database):
                yield f"{base}.{owner}.{table}"


def _names(catalog: _Catalog) -> None:
    schemas = {number: name for name, number in catalog.schemas.items()}
    for row in catalog.rows["objects"]:
        schema = schemas[int(str(row["schema_id"]))]
        for spelled in sorted({s.lower() for s in _spellings(schema, str(row["name"]), catalog.database.name)}):
            catalog.add("standin_names", spelled=spelled, object_id=row["object_id"])


def _default(kind: SqlType) -> object:
    """A value for a column that may not be NULL and of which the stand-in knows nothing."""
    if kind.name in INTEGERS:
        return 0
    return _DATE if kind.name == "datetime" else ""


def system_tables(
    database: Database, counts: Mapping[tuple[str, str], int], identities: Mapping[tuple[str, str], int | None]
) -> list[SystemTable]:
    """The views of `sys` with their rows.

    `counts` are the rows of each (schema, table), `identities` the last identity value in each that
    has one; both as they lie in the stand-in when it starts.
    """
    catalog = _Catalog(database)
    _types(catalog)
    tables = {(table.schema.lower(), table.name.lower()): table for table in database.tables}
    rows = [(table, _table(catalog, table)) for table in sorted(database.tables, key=lambda table: table.sort_key)]
    for table, row in rows:
        table_id = int(str(row["object_id"]))
        _columns(catalog, table, table_id, identities)
        _indexes(catalog, table, table_id, counts.get((table.schema, table.name), table.row_count))
        _constraints(catalog, table, table_id, tables)
        _period(catalog, table, row)
    _others(catalog)
    _server(catalog)
    _names(catalog)
    catalog.rows["all_objects"] = catalog.rows["objects"]
    catalog.rows["all_columns"] = catalog.rows["columns"]

    result = []
    for view, spec in VIEWS.items():
        outputs = tuple(_output(word) for word in spec.split())
        # A column that several views begin with may be given twice; the later meaning is the view's own.
        columns = tuple({output.name: output for output in outputs}.values())
        values = [
            tuple(
                row.get(column.name)
                if column.is_nullable or row.get(column.name) is not None
                else _default(column.kind or SqlType("int"))
                for column in columns
            )
            for row in catalog.rows[view]
        ]
        result.append(SystemTable(Relation("sys", view, columns), values))
    return result


def _output(word: str) -> Output:
    name, _, written = word.partition(":")
    kind = named_type(written.rstrip("!"))
    if written.startswith("sysname"):
        kind = SqlType("nvarchar", 256)
    return Output(name, kind, not written.endswith("!"), None, ("sys",))

"""The views of `sys`, with the columns and types that Microsoft documents for them."""

from __future__ import annotations

from collections.abc import Mapping

from model.catalog import SqlType
from standin.relations import Output
from standin.type_names import named_type

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
    "is_ledger_on:bit! is_memory_optimized_elevate_to_snapshot_on:bit is_in_standby:bit replica_id:uniqueidentifier",
    "database_files": "file_id:int! type:tinyint! type_desc:nvarchar(60) name:sysname! physical_name:nvarchar(260)!",
    "master_files": "database_id:int! file_id:int! type:tinyint! type_desc:nvarchar(60) name:sysname! "
    "physical_name:nvarchar(260)!",
    "database_filestream_options": "database_id:int! directory_name:nvarchar(255) non_transacted_access:tinyint! "
    "non_transacted_access_desc:nvarchar(60)!",
    # Filled for each query that names them, with the sessions of that moment.
    "dm_exec_sessions": "session_id:smallint! login_time:datetime! host_name:nvarchar(128) program_name:nvarchar(128) "
    "login_name:nvarchar(128)! original_login_name:nvarchar(128)! status:nvarchar(30)! is_user_process:bit! "
    "transaction_isolation_level:smallint!",
    "dm_exec_requests": "session_id:smallint! request_id:int! start_time:datetime! status:nvarchar(30)! "
    "command:nvarchar(32)! database_id:smallint! blocking_session_id:smallint wait_type:nvarchar(60)",
    # Not a view of SQL Server: every spelling of a table's name that OBJECT_ID understands.
    "standin_names": "spelled:nvarchar(600)! object_id:int!",
}


def columns_of(view: str) -> tuple[Output, ...]:
    """The columns of a view. One that several lists begin with may be given twice; the later meaning is the view's."""
    outputs = (_output(word) for word in VIEWS[view].split())
    return tuple({output.name: output for output in outputs}.values())


def _output(word: str) -> Output:
    name, _, written = word.partition(":")
    kind = named_type(written.rstrip("!"))
    if written.startswith("sysname"):
        kind = SqlType("nvarchar", 256)
    return Output(name, kind, not written.endswith("!"), None, ("sys",))

"""DuckDB's macros behind T-SQL's metadata functions."""

from __future__ import annotations

#: DuckDB macros behind the metadata functions; names in arguments may be bracketed or not.
METADATA_FUNCTIONS = (
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
    " WHEN 'updateability' THEN CASE WHEN is_read_only = 0 AND replica_id IS NULL THEN 'READ_WRITE'"
    " ELSE 'READ_ONLY' END WHEN 'status' THEN 'ONLINE' WHEN 'recovery' THEN 'FULL' END)"
    " FROM sys.databases WHERE database_id = 5)",
    "tds_identity(x, what) AS (SELECT CAST(max(CASE what WHEN 'seed' THEN seed_value WHEN 'increment'"
    " THEN increment_value ELSE coalesce(last_value, seed_value) END) AS DECIMAL(38,0)) FROM sys.identity_columns c"
    " JOIN sys.standin_names n ON n.object_id = c.object_id WHERE n.spelled = lower(x))",
)

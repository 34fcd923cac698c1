"""The rows about what is around the tables: databases, files, filegroups, schemas."""

from __future__ import annotations

from standin.catalog.rows import CREATED, Catalog, Row
from standin.collations import DEFAULT_COLLATION_NAME

PARTITION_SCHEME, PARTITION_FUNCTION = 65601, 65536


def add_server(catalog: Catalog) -> None:
    """Databases, files, users, filegroups, partition schemes; schemas, which the objects have named by now."""
    database = catalog.database
    collation = database.collation or DEFAULT_COLLATION_NAME
    for name, number in (("master", 1), ("tempdb", 2), ("model", 3), ("msdb", 4), (database.name, 5)):
        catalog.add(
            "databases", name=name, database_id=number, create_date=CREATED, compatibility_level=160,
            collation_name=collation, user_access_desc="MULTI_USER", state_desc="ONLINE", snapshot_isolation_state=1,
            snapshot_isolation_state_desc="ON", recovery_model=1, recovery_model_desc="FULL", is_read_only=False,
            state=0, user_access=0, is_in_standby=False, is_read_committed_snapshot_on=False, is_encrypted=False,
            containment=0,
        )  # fmt: skip
    for number, (kind, name) in enumerate((("ROWS", database.name), ("LOG", f"{database.name}_log")), 1):
        file: Row = {"file_id": number, "type": number - 1, "type_desc": kind, "name": name}
        catalog.add("database_files", **file, physical_name=f"/data/{name}")
        catalog.add("master_files", **file, physical_name=f"/data/{name}", database_id=5)
    for name, number in (("dbo", 1), ("guest", 2)):
        catalog.add("database_principals", name=name, principal_id=number, type="S", type_desc="SQL_USER")
    space: Row = {
        "name": "PRIMARY", "data_space_id": 1, "type": "FG", "type_desc": "ROWS_FILEGROUP", "is_default": True,
    }  # fmt: skip
    catalog.add("data_spaces", **space)
    catalog.add("filegroups", **space, is_read_only=False)
    if any(made.has_trait("partitioned") for made in catalog.tables.values()):
        scheme: Row = {
            "name": "ps_standin", "data_space_id": PARTITION_SCHEME, "type": "PS", "type_desc": "PARTITION_SCHEME",
        }  # fmt: skip
        catalog.add("data_spaces", **scheme)
        catalog.add("partition_schemes", **scheme, function_id=PARTITION_FUNCTION)
        catalog.add(
            "partition_functions", name="pf_standin", function_id=PARTITION_FUNCTION, type="R ", type_desc="RANGE",
            fanout=2, boundary_value_on_right=True, create_date=CREATED, modify_date=CREATED,
        )  # fmt: skip
    for name, number in catalog.schemas.items():
        catalog.add("schemas", name=name, schema_id=number, principal_id=1)

"""The rows about tables and their columns."""

from __future__ import annotations

from collections.abc import Mapping

from model.catalog import Column, Table
from standin.catalog.rows import Catalog, CatalogTable, Row, object_id
from standin.catalog.type_rows import COLLATED, stored_type
from standin.collations import DEFAULT_COLLATION_NAME

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


def add_table(catalog: Catalog, table: Table) -> CatalogTable:
    """A table, of which its columns and whatever else it has may now be told."""
    row = catalog.object(table.schema, table.name, ("U ", "USER_TABLE"))
    made = CatalogTable(table, object_id(row))
    catalog.tables[table.schema.lower(), table.name.lower()] = made
    is_memory = made.has_trait("memory-optimised", "memory-optimized")
    temporal = 2 if made.has_trait("temporal") else 1 if made.has_trait("history") else 0
    ledger = 2 if made.has_trait("ledger") else 0
    has_lobs = any(column.type.max_length == -1 for column in table.columns)
    extra: Row = {
        "lob_data_space_id": int(has_lobs), "max_column_id_used": len(table.columns), "uses_ansi_nulls": True,
        "lock_escalation_desc": "TABLE", "is_filetable": made.has_trait("filetable"), "is_memory_optimized": is_memory,
        "durability_desc": "SCHEMA_AND_DATA", "temporal_type": temporal,
        "temporal_type_desc": ("NON_TEMPORAL_TABLE", "HISTORY_TABLE", "SYSTEM_VERSIONED_TEMPORAL_TABLE")[temporal],
        "is_external": made.has_trait("external"), "is_node": made.has_trait("graph node"),
        "is_edge": made.has_trait("graph edge"), "ledger_type": ledger, "durability": 0, "lock_escalation": 0,
        "ledger_type_desc": "UPDATABLE_LEDGER_TABLE" if ledger else "NON_LEDGER_TABLE",
        "is_dropped_ledger_table": made.has_trait("dropped"),
    }  # fmt: skip
    catalog.add("tables", **row, **extra)
    if made.has_trait("external"):
        catalog.add("external_tables", **row, location="/")
    catalog.comment(table.comment, made.object_id)
    return made


def add_columns(catalog: Catalog, made: CatalogTable, identities: Mapping[tuple[str, str], int | None]) -> None:
    """A table's columns, with their defaults; `identities` are the last identity values by schema and table."""
    table, table_id = made.table, made.object_id
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


def _column(catalog: Catalog, table: int, number: int, column: Column) -> Row:
    kind = column.type
    system, user, length, precision, scale = stored_type(kind)
    if kind.alias and kind.alias.lower() in catalog.aliases:
        user = catalog.aliases[kind.alias.lower()]
    elif kind.alias == "sysname":
        user = 256
    elif kind.name.lower() in catalog.aliases:
        user = catalog.aliases[kind.name.lower()]
    generated = column.generated_always or "NOT_APPLICABLE"
    is_text = kind.name in COLLATED
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
        "is_hidden": column.is_hidden, "is_masked": column.is_masked, "is_dropped_ledger_column": column.is_dropped,
        "vector_dimensions": kind.precision if kind.name == "vector" else None,
        "graph_type": _GRAPH.index(column.graph_type) + 1 if column.graph_type in _GRAPH else None,
        "graph_type_desc": column.graph_type,
    }  # fmt: skip


def add_period(catalog: Catalog, made: CatalogTable) -> None:
    """What links a temporal table to its history, whose table is told already."""
    table = made.table
    if not made.has_trait("temporal"):
        return
    generated = {column.generated_always: number for number, column in enumerate(table.columns, 1)}
    if "AS_ROW_START" in generated and "AS_ROW_END" in generated:
        catalog.add(
            "periods", name="SYSTEM_TIME", period_type=1, period_type_desc="SYSTEM_TIME_PERIOD",
            object_id=made.object_id, start_column_id=generated["AS_ROW_START"],
            end_column_id=generated["AS_ROW_END"],
        )  # fmt: skip
    for suffix in ("History", "_History"):
        history = catalog.table(table.schema, table.name + suffix)
        if history is not None:
            catalog.row("tables", made.object_id)["history_table_id"] = history.object_id

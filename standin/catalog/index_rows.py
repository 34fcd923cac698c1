"""The rows about indexes, their columns and their partitions."""

from __future__ import annotations

from collections.abc import Sequence

from model.catalog import Index, Key
from standin.catalog.rows import Catalog, CatalogTable, object_id
from standin.catalog.server_rows import PARTITION_SCHEME

_CLUSTERED = {"CLUSTERED", "CLUSTERED COLUMNSTORE"}
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


def add_indexes(catalog: Catalog, made: CatalogTable, rows: int) -> None:
    """A table's heap or clustered index, its keys, its other indexes, and the partitions of each."""
    table = made.table
    keys = [(key, "PK") for key in (table.primary_key,) if key] + [(key, "UQ") for key in table.unique]
    is_clustered = any(key.is_clustered for key, _ in keys) or any(index.kind in _CLUSTERED for index in table.indexes)
    if not is_clustered:
        _add_index(catalog, made, 0, None, "HEAP")
    used = {1 if is_clustered else 0}
    following = 2
    for key, kind in keys:
        number = 1 if key.is_clustered else following
        following += number != 1
        used.add(number)
        _add_key(catalog, made, number, key, kind)
    for index in table.indexes:
        number = 1 if index.kind in _CLUSTERED else following
        following += number != 1
        used.add(number)
        _add_index(
            catalog, made, number, index.name, index.kind, is_unique=index.is_unique,
            has_filter=index.filter is not None, filter_definition=index.filter, is_disabled=index.is_disabled,
        )  # fmt: skip
        _add_columns(catalog, made, number, index, index.included)
        catalog.comment(index.comment, made.object_id, number, of_index=True)
    for number in sorted(used):
        _add_partitions(catalog, made, number, rows)


def _add_key(catalog: Catalog, made: CatalogTable, number: int, key: Key, kind: str) -> None:
    """A primary key or a unique one: its index and its constraint."""
    _add_index(
        catalog, made, number, key.name, "CLUSTERED" if key.is_clustered else "NONCLUSTERED",
        is_unique=True, is_primary_key=kind == "PK", is_unique_constraint=kind == "UQ", is_disabled=key.is_disabled,
    )  # fmt: skip
    _add_columns(catalog, made, number, key)
    names = {"PK": ("PK", "PRIMARY_KEY_CONSTRAINT"), "UQ": ("UQ", "UNIQUE_CONSTRAINT")}
    row = catalog.object(made.table.schema, key.name, names[kind], made.object_id)
    catalog.add("key_constraints", **row, unique_index_id=number, is_enforced=True)
    catalog.comment(key.comment, object_id(row))


def _add_partitions(catalog: Catalog, made: CatalogTable, number: int, rows: int) -> None:
    """The partitions of an index, of which an ordinary one has one."""
    table_id = made.object_id
    partitions = 2 if made.has_trait("partitioned") else 1
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


def _add_index(catalog: Catalog, made: CatalogTable, number: int, name: str | None, kind: str, **extra: object) -> None:
    space = PARTITION_SCHEME if made.has_trait("partitioned") else 1
    catalog.add(
        "indexes", object_id=made.object_id, name=name, index_id=number, type=_INDEX_KINDS.get(kind, 2), type_desc=kind,
        data_space_id=space, allow_row_locks=True, allow_page_locks=True,
        **{"is_unique": False, "is_primary_key": False, "is_unique_constraint": False, "has_filter": False,
           "is_disabled": False, "is_hypothetical": False, "ignore_dup_key": False, **extra},
    )  # fmt: skip


def _add_columns(
    catalog: Catalog, made: CatalogTable, number: int, index: Key | Index, included: Sequence[str] = ()
) -> None:
    column_ids = made.column_ids
    keys = [(part.name, part.is_descending, False) for part in index.columns]
    listed = [*keys, *((name, False, True) for name in included)]
    for position, (name, is_descending, is_included) in enumerate(listed, 1):
        catalog.add(
            "index_columns", object_id=made.object_id, index_id=number, index_column_id=position,
            column_id=column_ids[name.lower()], key_ordinal=0 if is_included else position,
            is_descending_key=is_descending, is_included_column=is_included,
        )  # fmt: skip

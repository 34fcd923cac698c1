"""The rows about checks and foreign keys."""

from __future__ import annotations

from model.catalog import ForeignKey
from standin.catalog.rows import Catalog, CatalogTable, object_id

_ACTIONS = ("NO_ACTION", "CASCADE", "SET_NULL", "SET_DEFAULT")


def add_constraints(catalog: Catalog, made: CatalogTable) -> None:
    """A table's checks and foreign keys; the tables that these reference are told already."""
    for check in made.table.checks:
        row = catalog.object(made.table.schema, check.name, ("C ", "CHECK_CONSTRAINT"), made.object_id)
        catalog.add(
            "check_constraints", **row, definition=check.text, is_disabled=check.is_disabled,
            is_not_trusted=not check.is_trusted,
        )  # fmt: skip
        catalog.comment(check.comment, object_id(row))
    for key in made.table.foreign_keys:
        _add_foreign_key(catalog, made, key)


def _add_foreign_key(catalog: Catalog, made: CatalogTable, key: ForeignKey) -> None:
    referenced = catalog.tables[key.referenced_schema.lower(), key.referenced_table.lower()]
    row = catalog.object(made.table.schema, key.name, ("F ", "FOREIGN_KEY_CONSTRAINT"), made.object_id)
    catalog.add(
        "foreign_keys", **row, referenced_object_id=referenced.object_id, key_index_id=1, is_disabled=key.is_disabled,
        is_not_trusted=not key.is_trusted, delete_referential_action=_ACTIONS.index(key.on_delete),
        delete_referential_action_desc=key.on_delete, update_referential_action=_ACTIONS.index(key.on_update),
        update_referential_action_desc=key.on_update,
    )  # fmt: skip
    column_ids, others = made.column_ids, referenced.column_ids
    pairs = zip(key.columns, key.referenced_columns, strict=True)
    for number, (column, other) in enumerate(pairs, 1):
        catalog.add(
            "foreign_key_columns", constraint_object_id=row["object_id"], constraint_column_id=number,
            parent_object_id=made.object_id, parent_column_id=column_ids[column.lower()],
            referenced_object_id=referenced.object_id, referenced_column_id=others[other.lower()],
        )  # fmt: skip
    catalog.comment(key.comment, object_id(row))

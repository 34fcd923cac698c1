"""The rows about sequences, views, procedures, synonyms and triggers, and how each object's name may be spelled."""

from __future__ import annotations

from collections.abc import Iterable

from standin.catalog.rows import Catalog, object_id
from standin.catalog.type_rows import stored_type
from standin.catalog.views import VIEWS
from standin.quoting import bracket
from standin.types import INTEGERS

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


def add_sequences(catalog: Catalog) -> None:
    """Sequences, of whose values the first stands for the current one where that is not declared."""
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
        catalog.comment(sequence.comment, object_id(row))


def add_others(catalog: Catalog) -> None:
    """Views, procedures, functions, synonyms and triggers."""
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
            table = catalog.table(other.schema, other.parent or "")
            parent_id = table.object_id if table is not None else 0
            row["parent_object_id"] = parent_id
            catalog.add("triggers", **row, parent_class=1, parent_class_desc="OBJECT_OR_COLUMN", parent_id=parent_id)
        if kind[0] != "SN" and other.definition is not None:
            catalog.add(
                "sql_modules", object_id=row["object_id"], definition=other.definition, uses_ansi_nulls=True,
                uses_quoted_identifier=True,
            )  # fmt: skip


def _spellings(schema: str, name: str, database: str) -> Iterable[str]:
    def both(part: str) -> tuple[str, str]:
        return part, bracket(part)

    for table in both(name):
        if schema.lower() in {"dbo", "sys"}:
            yield table
        for owner in both(schema):
            yield f"{owner}.{table}"
            for base in both(database):
                yield f"{base}.{owner}.{table}"


def add_names(catalog: Catalog) -> None:
    """Every spelling of every object's name, the views of `sys` among them."""
    schemas = {number: name for name, number in catalog.schemas.items()}
    for row in catalog.rows["objects"]:
        schema = schemas[int(str(row["schema_id"]))]
        for spelled in sorted({s.lower() for s in _spellings(schema, str(row["name"]), catalog.database.name)}):
            catalog.add("standin_names", spelled=spelled, object_id=row["object_id"])
    for number, view in enumerate(VIEWS, 1):
        for spelled in sorted({s.lower() for s in _spellings("sys", view, catalog.database.name)} - {view}):
            catalog.add("standin_names", spelled=spelled, object_id=-number)

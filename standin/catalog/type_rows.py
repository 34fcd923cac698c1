"""The rows about types, and the numbers by which columns name them."""

from __future__ import annotations

from collections.abc import Mapping

from model.catalog import SqlType
from standin.catalog.rows import Catalog, Row
from standin.collations import DEFAULT_COLLATION_NAME
from standin.types import TEXTS, decimal_size, moment_size

COLLATED = TEXTS - {"xml", "json", "vector", "sql_variant", "hierarchyid"}

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


def add_types(catalog: Catalog) -> None:
    """Every type: the server's own, alias types, CLR types that columns have."""
    database = catalog.database
    collation = database.collation or DEFAULT_COLLATION_NAME
    for name, (system, user, length, precision, scale) in _TYPES.items():
        is_clr = name in {"hierarchyid", "geometry", "geography"}
        row: Row = {
            "name": name, "system_type_id": system, "user_type_id": user, "schema_id": 4, "max_length": length,
            "precision": precision, "scale": scale, "is_nullable": name != "sysname", "is_assembly_type": is_clr,
            "collation_name": collation if name in COLLATED else None,
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
            collation_name=collation if alias.base.name in COLLATED else None,
        )  # fmt: skip
    unknown = {column.type.name for table in database.tables for column in table.columns if column.type.is_clr}
    for number, name in enumerate(sorted(unknown - set(_TYPES)), 300):
        catalog.add(
            "types", name=name, system_type_id=240, user_type_id=number, schema_id=1, max_length=-1, is_nullable=True,
            is_user_defined=True, is_assembly_type=True,
        )  # fmt: skip
        catalog.aliases[name.lower()] = number

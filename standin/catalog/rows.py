"""The rows of every view while they are collected."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from model.catalog import Database, Table
from standin.catalog.views import VIEWS

Row: TypeAlias = dict[str, object]

#: when every object was made, as far as is known here
CREATED = "2025-01-01 00:00:00"


def object_id(row: Row) -> int:
    """The number of the object that the row is about."""
    return int(str(row["object_id"]))


@dataclass(frozen=True)
class CatalogTable:
    """A declared table and its number."""

    table: Table
    object_id: int

    @property
    def column_ids(self) -> dict[str, int]:
        """The number of each column, by its name in lower case."""
        return {column.name.lower(): number for number, column in enumerate(self.table.columns, 1)}

    def has_trait(self, *names: str) -> bool:
        """Whether the table is declared with one of these traits."""
        return any(trait.lower() in names for trait in self.table.traits)


@dataclass
class Catalog:
    """The rows of every view so far, and the numbers that were given."""

    database: Database
    rows: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in VIEWS})
    schemas: dict[str, int] = field(default_factory=lambda: {"dbo": 1, "guest": 2, "INFORMATION_SCHEMA": 3, "sys": 4})
    #: alias types and CLR types by their names in lower case
    aliases: dict[str, int] = field(default_factory=dict)
    tables: dict[tuple[str, str], CatalogTable] = field(default_factory=dict)
    last_object: int = 901577999

    def table(self, schema: str, name: str) -> CatalogTable | None:
        """The table of that name, without regard to case, if it is there already."""
        return self.tables.get((schema.lower(), name.lower()))

    def schema(self, name: str) -> int:
        """A schema's number; one that is not known gets the next."""
        for known, number in self.schemas.items():
            if known.lower() == name.lower():
                return number
        self.schemas[name] = number = len(self.schemas) + 1
        return number

    def row(self, view: str, number: int) -> Row:
        """An object's row in a view."""
        return next(row for row in self.rows[view] if row["object_id"] == number)

    def add(self, view: str, **values: object) -> None:
        """Adds a row to a view."""
        self.rows[view].append(values)

    def object(self, schema: str, name: str, kind: tuple[str, str], parent: int = 0) -> Row:
        """A new row of sys.objects, which views of more special kinds begin with."""
        self.last_object += 16
        row: Row = {
            "name": name, "object_id": self.last_object, "schema_id": self.schema(schema), "parent_object_id": parent,
            "type": kind[0], "type_desc": kind[1], "create_date": CREATED, "modify_date": CREATED,
        }  # fmt: skip
        self.rows["objects"].append(row)
        return row

    def comment(self, text: str | None, major: int, minor: int = 0, *, of_index: bool = False) -> None:
        """An extended property that says what an object, or a column or an index of it, is for."""
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

"""Names on the target: folding, the 63-byte limit, schemas, and the one helper that quotes."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from model.catalog import DEFAULT_SCHEMA, Table
from model.errors import NameCollisionError
from model.settings import Settings

MAX_BYTES = 63
_HASH_LENGTH = 8
#: where loads keep their record, and the rows that nobody is to see yet
OWN_SCHEMA, STAGING_SCHEMA = "replication", "replication_staging"


def quote(name: str) -> str:
    """`"name"`, a `"` inside doubled (PostgreSQL, "Identifiers and Key Words")."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, order=True)
class TargetName:
    """A table's schema and name in PostgreSQL.

    Locks are taken in its order, so that two runs do not wait for each other.
    """

    schema: str
    table: str

    @property
    def quoted(self) -> str:
        """For SQL: `"shop"."orders"`."""
        return f"{quote(self.schema)}.{quote(self.table)}"

    def own_rows(self, is_partitioned: bool) -> str:
        """For a FROM or a TRUNCATE: the table without those that inherit from it, which are not ours.

        PostgreSQL, "Table Partitioning": a partitioned table has all of its rows in such tables.
        """
        return self.quoted if is_partitioned else f"ONLY {self.quoted}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}"


def listed(tables: Iterable[TargetName]) -> dict[str, list[str]]:
    """Tables as two arrays of equal length, `schemas` and `tables`, for a query that unnests them."""
    names = list(tables)
    return {"schemas": [name.schema for name in names], "tables": [name.table for name in names]}


def cut(name: str) -> str:
    """The name itself, or, beyond PostgreSQL's 63 bytes, its beginning with a hash of the whole.

    The same name gives the same result in every run, and long names with the same beginning differ.
    """
    encoded = name.encode("utf-8")
    if len(encoded) <= MAX_BYTES:
        return name
    digest = hashlib.sha256(encoded).hexdigest()[:_HASH_LENGTH]
    kept = encoded[: MAX_BYTES - _HASH_LENGTH - 1].decode("utf-8", errors="ignore")
    return f"{kept}_{digest}"


def fold(name: str, settings: Settings) -> str:
    """A source name as the target spells it, by `NAMING`."""
    return cut(name.lower() if settings.naming == "lower" else name)


def target_name(table: Table, settings: Settings) -> TargetName:
    """Where a source table goes, by `SCHEMA_MAP`, `TARGET_SCHEMA` and `NAMING`."""
    mapped = settings.schema_map.get(table.schema.lower())
    if mapped is None:
        is_default = table.schema.lower() == DEFAULT_SCHEMA
        mapped = settings.target_schema if is_default else table.schema.lower()
    return TargetName(cut(mapped), fold(table.name, settings))


def column_collisions(table: Table, settings: Settings) -> list[str]:
    """A line for each name that several columns of a table would have."""
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for column in table.columns:
        columns[fold(column.name, settings)].append(column.name)
    return [
        f"columns {', '.join(twins)} of {table.full_name} all become {folded}"
        for folded, twins in columns.items()
        if len(twins) > 1
    ]


def table_collisions(tables: Iterable[Table], settings: Settings) -> list[str]:
    """A line for each name that several tables would have."""
    targets: defaultdict[TargetName, list[str]] = defaultdict(list)
    for table in tables:
        targets[target_name(table, settings)].append(table.full_name)
    return [f"tables {', '.join(twins)} all become {name}" for name, twins in targets.items() if len(twins) > 1]


def check_collisions(tables: Sequence[Table], settings: Settings) -> None:
    """Raise NameCollisionError where two tables, or two columns of a table, fall together."""
    collisions = [line for table in tables for line in column_collisions(table, settings)]
    collisions += table_collisions(tables, settings)
    if collisions:
        listed = "\n  ".join(collisions)
        raise NameCollisionError(
            f"names collide in PostgreSQL:\n  {listed}\nNothing was changed. Set NAMING=preserve to keep upper "
            f"and lower case apart, SCHEMA_MAP to keep schemas apart, or leave tables out with --exclude."
        )


def check_schemas(tables: Sequence[Table], settings: Settings) -> None:
    """Raise NameCollisionError where a table would stand among this tool's own, in one of its schemas."""
    for schema in (OWN_SCHEMA, STAGING_SCHEMA):
        found = [table.full_name for table in tables if target_name(table, settings).schema == schema]
        if found:
            source = next(table.schema for table in tables if table.full_name == found[0])
            raise NameCollisionError(
                f"{', '.join(found[:5])} would stand in the target's schema {schema}, which is this tool's own. "
                f"Nothing was changed. Give these tables another one: SCHEMA_MAP={source}:{source.lower()}_data"
            )

"""What the schema phase would make: the source's structure, translated, against the target as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from db import target_words
from model.catalog import Database, Table
from model.errors import CatalogError
from mssql import expressions
from postgres import ddl
from postgres.ddl import Expressions, SchemaPlan
from postgres.drift import Parts, read_parts
from postgres.introspection import TargetTable, read_features, read_tables, target_schemas
from postgres.names import TargetName
from run.context import Run
from type_mapping import TargetFeatures


@dataclass
class Target:
    """The target as the phase finds it."""

    connection: Any
    features: TargetFeatures
    tables: dict[TargetName, TargetTable]
    parts: dict[TargetName, Parts] = field(default_factory=dict)

    @staticmethod
    def read(connection: Any, this_run: Run) -> Target:
        """Raises UnreachableError."""
        schemas = target_schemas(this_run.tables, this_run.settings)
        try:
            return Target(
                connection,
                read_features(connection),
                read_tables(connection, schemas),
                read_parts(connection, schemas),
            )
        except psycopg2.Error as error:
            raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None


def plan_schema(this_run: Run, database: Database, tables: Sequence[Table], target: Target) -> SchemaPlan:
    """Plan `tables`, and account for everything else that the database holds."""
    settings = this_run.settings

    def columns(table: Table) -> Callable[[str], str]:
        return ddl.in_expressions(table, settings)

    def sequence_name(schema: str, name: str) -> str:
        for sequence in database.sequences:
            if (sequence.schema.lower(), sequence.name.lower()) == (schema.lower(), name.lower()):
                return ddl.sequence_name(sequence, settings)
        raise LookupError(f"{schema}.{name}")

    policy, version = settings.expressions, target.features.version
    translated = Expressions(
        default=lambda column: expressions.translate_default(
            column.default.text if column.default else "",
            column,
            sequence_name=sequence_name,
            policy=policy,
            target_version=version,
        ),
        check=lambda text, table: expressions.translate_check(
            text, table, columns(table), policy=policy, target_version=version
        ),
        computed=lambda column, table: expressions.translate_computed(
            column.computed.text if column.computed else "",
            column,
            table,
            columns(table),
            policy=policy,
            target_version=version,
        ),
        filter=lambda text, table: expressions.translate_filter(
            text, table, columns(table), policy=policy, target_version=version
        ),
    )
    return ddl.plan_schema(database, tables, target.tables, settings, target.features, translated)

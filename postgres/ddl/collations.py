"""What `COLLATION_POLICY` makes of the collations of columns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from model.catalog import Column, Table
from model.findings import Finding
from model.settings import Settings
from postgres.ddl.context import Context
from postgres.ddl.plan import Step
from postgres.ddl.statements import literal
from postgres.ddl.types import column_type, ignores_case
from postgres.names import fold, quote
from type_mapping import mapping_of


def collation_support(context: Context, tables: Sequence[Table]) -> Iterator[Step]:
    """What `COLLATION_POLICY` needs to be there before the tables."""
    columns = [column for table in tables for column in table.columns if column.collation]
    if context.settings.collation_policy == "citext" and any(map(ignores_case, columns)):
        schema = quote(context.settings.target_schema)
        yield Step(f"CREATE EXTENSION IF NOT EXISTS citext SCHEMA {schema}")
        if "citext" not in context.features.extension_types:
            added = f"current_setting('search_path') || {literal(f', {schema}')}"
            yield Step(f"SELECT set_config('search_path', {added}, false)")
    if context.settings.collation_policy == "icu":
        for collation in sorted({name for column in columns if (name := collation_of(context.settings, column))}):
            locale = _icu_locale(collation)
            yield Step(
                f"CREATE COLLATION IF NOT EXISTS {collation}"
                f" (provider = icu, locale = {literal(locale)}, deterministic = false)"
            )


def collation_of(settings: Settings, column: Column) -> str | None:
    """The quoted collation of a column under COLLATION_POLICY=icu; None where the database's own will do."""
    if settings.collation_policy != "icu" or not column.collation:
        return None
    sensitivity = re.search(r"_(CI|CS)_(AI|AS)", column.collation, re.IGNORECASE)
    if sensitivity is None or sensitivity[0].upper() == "_CS_AS":
        return None
    return f"{quote(settings.target_schema)}.{quote('mssql' + sensitivity[0].lower())}"


def in_expressions(table: Table, settings: Settings) -> Callable[[str], str]:
    """How the table's checks, computed columns and filters write a column, by its name on the source.

    They mean one thing under every policy: translations spell out where case does not count, and compare exactly,
    by the database's own collation. A nondeterministic one would refuse each row, for it supports no regular
    expressions, and before PostgreSQL 18 no search in texts either (PostgreSQL, "Nondeterministic Collations").
    "C" would not do: it knows the case of ASCII letters only.
    """
    loose = {column.name for column in table.columns if collation_of(settings, column)}

    def written(name: str) -> str:
        quoted = quote(fold(name, settings))
        return f'({quoted} COLLATE "default")' if name in loose else quoted

    return written


def probe(context: Context, table: Table, expressions: Sequence[str]) -> str | None:
    """A query that needs what these expressions need of collations: it computes them over a row of empty texts.

    None where no collation of the table's columns could refuse anything.
    """
    if not expressions or not any(collation_of(context.settings, column) for column in table.columns):
        return None
    row = []
    for column in table.columns:
        kind = column_type(column, context.settings, context.features)
        collation = collation_of(context.settings, column)
        value = f"CAST('' AS {kind}) COLLATE {collation}" if collation else f"CAST(NULL AS {kind})"
        row.append(f"{value} AS {context.quoted(column.name)}")
    return f"SELECT {', '.join(f'({one})' for one in expressions)} FROM (SELECT {', '.join(row)}) AS probe"


def _icu_locale(collation: str) -> str:
    """ICU's name for what a collation ignores (Unicode LDML, "Collation Settings": ks is the strength)."""
    if "_ci_ai" in collation:
        return "und-u-ks-level1"
    if "_cs_ai" in collation:
        return "und-u-ks-level1-kc-true"
    return "und-u-ks-level2"


def collation_findings(context: Context, selected: Sequence[Table]) -> Iterator[Finding]:
    """What no policy carries over, by collation."""
    counts = Counter(
        column.collation
        for table in selected
        for column in table.columns
        if column.collation and _loose(column) and not _keeps_looseness(context, column)
    )
    for collation, count in sorted(counts.items()):
        yield Finding(
            "collation",
            str(collation),
            "changed",
            f"{count} columns ignore case or accents on the source, and compare exactly in PostgreSQL",
            suggestion="COLLATION_POLICY=icu, or citext where only case matters",
        )


def _keeps_looseness(context: Context, column: Column) -> bool:
    """Whether the policy makes PostgreSQL compare the column as loosely as the source does."""
    if collation_of(context.settings, column) is not None:
        return True
    is_citext = column_type(column, context.settings, context.features) == "citext"
    return is_citext and not re.search(r"_AI(_|$)", column.collation or "", re.IGNORECASE)


def _loose(column: Column) -> bool:
    return (
        bool(re.search(r"_(CI|AI)(_|$)", column.collation or "", re.IGNORECASE))
        and mapping_of(column.type).family == "text"
    )

"""An expression through each of the four ways in, and what PostgreSQL makes of the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings

from model.findings import Translation
from model.settings import ExpressionPolicy
from mssql.expressions import translate_check, translate_computed, translate_default, translate_filter
from tests.expression_corpus import Entry, Kind, column, table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def quote(name: str) -> str:
    """A column's identifier in PostgreSQL, as a caller would quote it."""
    return '"' + name.replace('"', '""') + '"'


def sequence_name(schema: str, name: str) -> str:
    if name != "corpus_seq":
        raise LookupError(name)
    return f"{quote({'dbo': 'public'}.get(schema, schema))}.{quote(name)}"


def translate(entry: Entry, *, policy: ExpressionPolicy = "usual", quote: Callable[[str], str] = quote) -> Translation:
    """An entry through the way in that its kind has; `quote` is how it writes columns."""
    if entry.kind is Kind.DEFAULT:
        return translate_default(entry.text, column("c", entry.column), sequence_name=sequence_name, policy=policy)
    if entry.kind is Kind.CHECK:
        return translate_check(entry.text, table(entry.columns), quote, policy=policy)
    if entry.kind is Kind.FILTER:
        return translate_filter(entry.text, table(entry.columns), quote, policy=policy)
    return translate_computed(entry.text, column("c", entry.column), table(entry.columns), quote, policy=policy)


def default_sql(text: str, type_: str) -> str | None:
    return translate_default(text, column("c", type_), sequence_name=sequence_name).sql


def check_sql(text: str, **columns: str) -> str | None:
    return translate_check(text, table(columns), quote).sql


def computed_sql(text: str, type_: str, **columns: str) -> str | None:
    return translate_computed(text, column("c", type_), table(columns), quote).sql


def bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


PROPERTY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def evaluate(connection: PgConnection, sql: str, env: Mapping[str, tuple[object, str]]) -> Any:
    """The SQL over one row of named, typed values."""
    columns = ", ".join(f"%s::{type_} AS {quote(name)}" for name, (_, type_) in env.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}".join(("CREATE TEMPORARY TABLE row_ AS ", "")), [value for value, _ in env.values()]
        )
        try:
            cursor.execute(f"SELECT {sql} FROM row_")
            (value,) = cursor.fetchone() or (None,)
        finally:
            cursor.execute("DROP TABLE row_")
    return value

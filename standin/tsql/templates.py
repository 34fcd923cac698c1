"""Functions whose translation is one text over their arguments, or a value that is known before the query runs."""

from __future__ import annotations

from collections.abc import Callable

from model.catalog import SqlType
from standin.tsql.constants import known_value
from standin.tsql.context import Arguments, Context, Facts, Function
from standin.tsql.conversions import as_text
from standin.tsql.values import Typed, text_kind


def by_template(template: str, kind: SqlType | None = None) -> Function:
    """A function by DuckDB's text over its arguments; the type is `kind` or that of the first argument."""

    def translate(context: Context, arguments: Arguments) -> Typed:
        values = [context.value(argument) for argument in arguments]
        sql = template.format(*(value.sql for value in values))
        return Typed(sql, kind or (values[0].kind if values else None), True, values[0].collation if values else None)

    return translate


def by_text_template(template: str, kind: SqlType | None = None) -> Function:
    """Like `by_template`, for a function whose first argument is made a text; the result keeps its type."""

    def translate(context: Context, arguments: Arguments) -> Typed:
        values = [context.value(argument) for argument in arguments]
        sql = template.format(as_text(values[0]), *(value.sql for value in values[1:]))
        return Typed(sql, kind or text_kind(values[0]), values[0].is_nullable, values[0].collation)

    return translate


def known(kind: SqlType, value: Callable[[Facts], object]) -> Function:
    """A function whose arguments do not matter."""
    return lambda context, _arguments: known_value(context.statement, kind, value(context.statement.facts))

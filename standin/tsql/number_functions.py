"""Functions of numbers."""

from __future__ import annotations

from standin.storage import storage
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.templates import by_template, by_text_template
from standin.tsql.values import Typed
from standin.type_names import FLOAT, INT


def _round(context: Context, arguments: Arguments) -> Typed:
    value, digits = (context.value(argument) for argument in arguments[:2])
    function = "round" if len(arguments) < 3 else "trunc"
    kind = value.kind
    sql = f"{function}({value.sql}, {digits.sql})"
    return Typed(f"CAST({sql} AS {storage(kind)})" if kind is not None else sql, kind)


FUNCTIONS: dict[str, Function] = {
    "ABS": by_template("abs({})"),
    "SIGN": by_template("sign({})"),
    "FLOOR": by_template("floor({})"),
    "CEILING": by_template("ceil({})"),
    "ROUND": _round,
    "POWER": by_template("power({}, {})", FLOAT),
    "SQRT": by_template("sqrt({})", FLOAT),
    "ISNUMERIC": by_text_template("CASE WHEN TRY_CAST({} AS DOUBLE) IS NULL THEN 0 ELSE 1 END", INT),
}

"""Functions of numbers.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from functools import partial

from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.conversions import convert
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import FLOAT, FLOATS, INT, INTEGERS, decimal_type, is_exact, postgres_type
from mssql.expressions.values import Value, typed


def _numeric(context: Context, node: Node) -> Value:
    value = typed(context.value(node))
    if not (is_exact(value.known) or value.known.name in FLOATS):
        raise Refused(f"{value.type} becomes a number first")
    return value


def _abs(context: Context, arguments: Arguments) -> Value:
    value = _numeric(context, arguments[0])
    return Value(f"abs({value.sql})", value.type)


def _sign(context: Context, arguments: Arguments) -> Value:
    value = _numeric(context, arguments[0])
    if value.known.name in INTEGERS:
        type_ = value.known if value.known.name == "bigint" else INT
        return Value(f"sign({value.operand}::numeric)::{postgres_type(type_)}", type_)
    return Value(f"sign({value.sql})", value.type)


def _whole(function: str, context: Context, arguments: Arguments) -> Value:
    value = _numeric(context, arguments[0])
    if value.known.name in INTEGERS:
        return value
    type_ = decimal_type(value.known.precision) if value.known.name == "decimal" else value.known
    return Value(f"{function}({value.sql})", FLOAT if type_.name == "real" else type_)


def _round(context: Context, arguments: Arguments) -> Value:
    """Half away from zero; a third argument that is not 0 truncates ("ROUND")."""
    value, places = _numeric(context, arguments[0]), context.value(arguments[1])
    function = "round"
    if len(arguments) == 3:
        mode = context.value(arguments[2]).constant
        if not isinstance(mode, int):
            raise Refused("ROUND has a third argument that is not constant")
        function = "trunc" if mode else "round"
    if value.known.name in FLOATS:
        raise Refused("ROUND of float works on binary digits")
    if not isinstance(places.constant, int) or isinstance(places.constant, bool):
        raise Refused("ROUND has a number of places that is not constant")
    if value.known.name in INTEGERS:
        type_ = value.known if value.known.name == "bigint" else INT
        return Value(f"{function}({value.operand}::numeric, {places.sql})::{postgres_type(type_)}", type_)
    return Value(f"{function}({value.sql}, {places.sql})", value.type)


def _power(context: Context, arguments: Arguments) -> Value:
    """The result has the first argument's type ("POWER"): exact for integers within int."""
    value, exponent = _numeric(context, arguments[0]), context.value(arguments[1])
    if value.known.name not in {"tinyint", "smallint", "int"} or not isinstance(exponent.constant, int):
        raise Refused("POWER is translated for an int and a constant whole exponent")
    if not 0 <= exponent.constant <= 30:
        raise Refused("POWER is translated for exponents from 0 to 30")
    return Value(f"power({value.operand}::double precision, {exponent.sql})::integer", INT)


def _sqrt(context: Context, arguments: Arguments) -> Value:
    return Value(f"sqrt({convert(context.notes, _numeric(context, arguments[0]), FLOAT).sql})", FLOAT)


FUNCTIONS = {
    "ABS": Function(_abs, 1, 1),
    "SIGN": Function(_sign, 1, 1),
    "CEILING": Function(partial(_whole, "ceil"), 1, 1),
    "FLOOR": Function(partial(_whole, "floor"), 1, 1),
    "ROUND": Function(_round, 2, 3),
    "POWER": Function(_power, 2, 2),
    "SQRT": Function(_sqrt, 1, 1),
}

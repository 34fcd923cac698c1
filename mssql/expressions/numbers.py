"""Functions of numbers.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re
from functools import partial

from mssql.expressions.assumptions import Assumption
from mssql.expressions.context import Arguments, Context, Function, Kind
from mssql.expressions.conversions import convert
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import FLOAT, FLOATS, INT, INTEGERS, decimal_type, is_exact, postgres_type, sized_type
from mssql.expressions.values import Notes, Value, Volatility, typed


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
    if not isinstance(places.constant, int) or isinstance(places.constant, bool):
        raise Refused("ROUND has a number of places that is not constant")
    if value.known.name in FLOATS:
        context.notes.doubt("ROUND of float works on binary digits")
        return Value(f"{function}({value.operand}::numeric, {places.sql})::double precision", FLOAT)
    if value.known.name in INTEGERS:
        type_ = value.known if value.known.name == "bigint" else INT
        return Value(f"{function}({value.operand}::numeric, {places.sql})::{postgres_type(type_)}", type_)
    return Value(f"{function}({value.sql}, {places.sql})", value.type)


def _power(context: Context, arguments: Arguments) -> Value:
    """The result has the first argument's type ("POWER"): exact for integers within int."""
    value, exponent = _numeric(context, arguments[0]), typed(context.value(arguments[1]))
    if value.known.name in FLOATS:
        return _of_floats("power", context, arguments)
    if value.known.name in {"tinyint", "smallint", "int"} and exponent.constant is None:
        if exponent.known.name not in INTEGERS:
            raise Refused("POWER of an int has an exponent that is not whole")
        # A negative exponent gives a fraction, which is cut.
        sql = f"trunc(power({value.operand}::double precision, {exponent.operand}::double precision))::integer"
        return Value(sql, INT)
    if value.known.name not in {"tinyint", "smallint", "int"} or not isinstance(exponent.constant, int):
        raise Refused("POWER is translated for an int and a constant whole exponent")
    if not 0 <= exponent.constant <= 30:
        raise Refused("POWER is translated for exponents from 0 to 30")
    return Value(f"power({value.operand}::double precision, {exponent.sql})::integer", INT)


def _sqrt(context: Context, arguments: Arguments) -> Value:
    return Value(f"sqrt({convert(context.notes, _numeric(context, arguments[0]), FLOAT).sql})", FLOAT)


def formatted_number(notes: Notes, value: Value, pattern: str, culture: str | None) -> Value:
    """A number as FORMAT writes it: zeros before a whole one by any culture, points and commas as in English."""
    match = re.fullmatch(r"[dD](?P<digits>[0-9]{1,2})|(?P<zeros>0+)", pattern)
    if match is None or value.known.name not in INTEGERS:
        return _with_point(notes, value, pattern, culture)
    width = int(match["digits"]) if match["digits"] else len(match["zeros"])
    notes.once(value)
    digits = f"abs({value.operand}::numeric)::text"
    padded = f"lpad({digits}, greatest({width}, length({digits})), '0')"
    sql = f"CASE WHEN {value.operand} < 0 THEN '-' ELSE '' END || {padded}"
    return Value(sql, sized_type("nvarchar", 4000), is_atom=False, is_ascii=True)


_STANDARD = re.compile(r"(?P<letter>[nNfF])(?P<digits>[0-9])?")
_CUSTOM = re.compile(r"(?P<group>#,#?#?)?0(?:\.(?P<zeros>0+))?")


def _with_point(notes: Notes, value: Value, pattern: str, culture: str | None) -> Value:
    """N2, F2, #,##0.00 and 0.00 ("FORMAT")."""
    if standard := _STANDARD.fullmatch(pattern):
        is_grouped, places = standard["letter"] in "nN", int(standard["digits"] or 2)
    elif custom := _CUSTOM.fullmatch(pattern):
        is_grouped, places = custom["group"] is not None, len(custom["zeros"] or "")
    else:
        if pattern[:1] in {"c", "C", "p", "P"}:
            raise Refused(f"the pattern {pattern!r} of FORMAT follows a culture")
        raise Refused(f"the pattern {pattern!r} of FORMAT is not translated for a number")
    if (culture or "").lower() != "en-us":
        whose = f"the culture {culture}" if culture else "the language of the session"
        notes.doubt(f"points and commas of FORMAT follow {whose}")
    rounded = f"round({value.operand}::numeric, {places})"
    if not is_grouped:
        return Value(f"{rounded}::text", sized_type("nvarchar", 4000), is_ascii=True)
    notes.uses(Volatility.STABLE)
    picture = "FM" + "999," * 12 + "990" + ("." + "0" * places if places else "")
    return Value(f"to_char({rounded}, '{picture}')", sized_type("nvarchar", 4000), is_ascii=True)


def _str(context: Context, arguments: Arguments) -> Value:
    """A whole number at the right of so many characters, asterisks where it is longer ("STR")."""
    value = _numeric(context, arguments[0])
    length = context.value(arguments[1]).constant if len(arguments) == 2 else 10
    if value.known.name not in INTEGERS or not isinstance(length, int) or not 0 < length <= 8000:
        raise Refused("STR is translated for whole numbers and a constant length")
    context.notes.once(value)
    text = f"{value.operand}::text"
    sql = f"CASE WHEN length({text}) > {length} THEN repeat('*', {length}) ELSE lpad({text}, {length}) END"
    return Value(sql, sized_type("varchar", length), is_ascii=True)


def _logarithm(context: Context, arguments: Arguments) -> Value:
    """Natural, or to a base ("LOG")."""
    context.notes.assume(Assumption.LAST_DIGITS, "a logarithm may differ in the last of 17 digits")
    value, *base = (_float(context, argument) for argument in arguments)
    if base:
        return Value(f"ln({value.sql}) / ln({base[0].sql})", FLOAT, is_atom=False)
    return Value(f"ln({value.sql})", FLOAT)


def _float(context: Context, node: Node) -> Value:
    return convert(context.notes, _numeric(context, node), FLOAT)


def _of_floats(function: str, context: Context, arguments: Arguments) -> Value:
    """A function of floats that PostgreSQL has as well."""
    context.notes.assume(Assumption.LAST_DIGITS, f"{function} may differ in the last of 17 digits")
    return Value(f"{function}({', '.join(_float(context, argument).sql for argument in arguments)})", FLOAT)


def _square(context: Context, arguments: Arguments) -> Value:
    value = _float(context, arguments[0])
    context.notes.once(value)
    return Value(f"{value.operand} * {value.operand}", FLOAT, is_atom=False)


def _rand(context: Context, arguments: Arguments) -> Value:
    """A number from 0 to 1, without a seed ("RAND")."""
    if arguments:
        raise Refused("RAND with a seed gives the numbers of the source's own generator")
    if context.kind is not Kind.DEFAULT:
        raise Refused("RAND gives another number with every call")
    context.notes.uses(Volatility.VOLATILE)
    return Value("random()", FLOAT)


FUNCTIONS = {
    "RAND": Function(_rand, 0, 1),
    "ABS": Function(_abs, 1, 1),
    "SIGN": Function(_sign, 1, 1),
    "CEILING": Function(partial(_whole, "ceil"), 1, 1),
    "FLOOR": Function(partial(_whole, "floor"), 1, 1),
    "ROUND": Function(_round, 2, 3),
    "POWER": Function(_power, 2, 2),
    "SQRT": Function(_sqrt, 1, 1),
    "STR": Function(_str, 1, 2),
    "SQUARE": Function(_square, 1, 1),
    "LOG": Function(_logarithm, 1, 2),
    "LOG10": Function(partial(_of_floats, "log"), 1, 1),
    "PI": Function(partial(_of_floats, "pi"), 0, 0),
    "ATN2": Function(partial(_of_floats, "atan2"), 2, 2),
    **{
        name.upper(): Function(partial(_of_floats, name), 1, 1)
        for name in ("exp", "sin", "cos", "tan", "cot", "asin", "acos", "atan")
    },
}

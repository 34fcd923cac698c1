"""Signs, arithmetic, bits and +, between values of every kind.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from decimal import Context as DecimalContext
from decimal import Decimal, Inexact

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.context import Context
from mssql.expressions.conversions import convert
from mssql.expressions.dates import add, difference, total
from mssql.expressions.text import concatenate
from mssql.expressions.tree import Refused, Unary
from mssql.expressions.types import (
    FLOATS,
    INT,
    INTEGERS,
    MONEY,
    STRINGS,
    TIMES,
    decimal_type,
    digits_of,
    higher_type,
    is_exact,
)
from mssql.expressions.values import Notes, Value, constant_value, typed


def signed(context: Context, node: Unary) -> Value:
    """A sign or `~` before a value."""
    operand = typed(context.value(node.operand))
    type_ = operand.known
    if node.operator == "~":
        if type_.name == "bit":
            return Value(f"NOT {operand.operand}", type_, is_atom=False)
        if type_.name not in INTEGERS or type_.name == "tinyint":
            raise Refused(f"~ of {type_} is not translated")
        return Value(f"~{operand.operand}", type_, is_atom=False)
    if not (is_exact(type_) or type_.name in FLOATS):
        raise Refused(f"a sign before {type_} is not translated")
    if node.operator == "+":
        return operand
    if type_.name == "tinyint":
        type_ = SqlType("smallint")
    if isinstance(operand.constant, int | Decimal | float):
        negative = operand.constant
        return constant_value(negative.copy_negate() if isinstance(negative, Decimal) else -negative, type_)
    return Value(f"-{operand.operand}", type_, is_atom=False)


def operate(notes: Notes, operator: str, left: Value, right: Value) -> Value:
    """Arithmetic, bits or concatenation, by the type of higher precedence. Raises `Refused`."""
    left, right = typed(left), typed(right)
    target = higher_type(left.known, right.known)
    if target.name in STRINGS:
        if operator not in {"+", "||"}:
            raise Refused(f"{operator} between texts is not translated")
        return concatenate(notes, [left, right])
    if operator == "||":
        raise Refused(f"|| between {left.type} and {right.type} is not translated")
    if target.name in TIMES:
        return _shift(notes, operator, left, right, target)
    if operator in {"&", "|", "^"}:
        symbol = "#" if operator == "^" else operator
        whole = [convert(notes, value, INT) if value.known.name == "bit" else value for value in (left, right)]
        if not all(value.known.name in INTEGERS for value in whole):
            raise Refused(f"{operator} is translated between integers only")
        sql = f"{whole[0].operand} {symbol} {whole[1].operand}"
        return Value(f"({sql}) = 1" if target.name == "bit" else sql, target, is_atom=False)
    if target.name == "bit":
        raise Refused(f"{operator} between bits is not translated")
    left, right = _number(notes, left, target), _number(notes, right, target)
    plain = f"{left.operand} {operator} {right.operand}"
    if target.name in INTEGERS:
        return Value(plain, target, is_atom=False)
    if target.name in FLOATS:
        if operator == "%":
            raise Refused("% of float is not translated")
        return Value(plain, target, is_atom=False)
    if target.name in MONEY and operator == "/":
        return _quotient(notes, left, right, 4, SqlType(target.name, scale=4))
    if target.name in MONEY:
        if operator in {"*", "%"} and not (operator == "*" and {left.known.name, right.known.name} & set(INTEGERS)):
            notes.doubt(f"{operator} on {target} rounds by rules that are not documented")
        return Value(plain, target, is_atom=False)
    return _operate_decimals(notes, operator, left, right, plain)


def _number(notes: Notes, value: Value, target: SqlType) -> Value:
    """An operand of arithmetic, so that PostgreSQL computes in a type that holds the target's values."""
    if is_exact(value.known) and is_exact(target):
        return value
    if value.known.name == "bit" and is_exact(target):
        return convert(notes, value, INT)
    if value.constant is not None and isinstance(value.constant, str) and target.name not in INTEGERS:
        raise Refused(f"{value.constant!r} becomes a {target} first")
    return convert(notes, value, target)


def _operate_decimals(notes: Notes, operator: str, left: Value, right: Value, plain: str) -> Value:
    """Decimal arithmetic ("Precision, scale, and length"): exact in both engines while 38 digits suffice.

    Beyond them the scale is reduced to 38 less the digits before the point, of a product or quotient not below 6.
    """
    precision1, scale1 = _constant_digits(left)
    precision2, scale2 = _constant_digits(right)
    scale = max(scale1, scale2)
    integral = max(precision1 - scale1, precision2 - scale2)
    precision = integral + scale + 1
    if operator == "*":
        precision, scale = precision1 + precision2 + 1, scale1 + scale2
    elif operator == "%":
        precision = min(precision1 - scale1, precision2 - scale2) + scale
    elif operator == "/":
        scale = max(6, scale1 + precision2 + 1)
        precision = precision1 - scale1 + scale2 + scale
    kept = scale
    if precision > 38 and operator in {"+", "-"}:
        kept = min(scale, 38 - integral)
    elif precision > 38:
        kept = max(min(scale, 6), min(scale, 38 - (precision - scale)))
    type_ = decimal_type(max(min(precision, 38), kept, 1), kept)
    if operator == "/":
        return _quotient(notes, left, right, scale1, type_)
    if kept == scale:
        return Value(plain, type_, is_atom=False)
    notes.assume(Assumption.LONG_DECIMALS, f"{operator} gives more than 38 digits, which T-SQL rounds away")
    return Value(f"round({plain}, {kept})", type_)


def _quotient(notes: Notes, left: Value, right: Value, scale: int, type_: SqlType) -> Value:
    """A decimal quotient; by a divisor whose reciprocal ends, exact in both engines."""
    reciprocal = _reciprocal(right.constant)
    if reciprocal is not None and scale + _places(reciprocal) <= type_.scale:
        factor = "1::numeric" if reciprocal == 1 else format(reciprocal, "f")
        return Value(f"{left.operand} * {factor}", type_, is_atom=False)
    notes.assume(Assumption.QUOTIENTS, "whether the last digit of a decimal division is rounded is not documented")
    if type_.scale == 0:
        return Value(f"div({left.operand}, {right.operand})", type_)
    shift, back = format(Decimal(1).scaleb(type_.scale), "f"), format(Decimal(1).scaleb(-type_.scale), "f")
    # PostgreSQL's own quotient has as many digits as it thinks fit.
    return Value(f"div({left.operand} * {shift}::numeric, {right.operand}) * {back}", type_, is_atom=False)


def _reciprocal(divisor: object) -> Decimal | None:
    """1 / divisor, where that is a decimal number of no more than 38 digits."""
    if not isinstance(divisor, int | Decimal) or isinstance(divisor, bool) or divisor <= 0:
        return None
    try:
        return DecimalContext(prec=38, traps=[Inexact]).divide(Decimal(1), Decimal(divisor)).normalize()
    except Inexact:
        return None


def _places(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _constant_digits(value: Value) -> tuple[int, int]:
    """Digits of an operand; a whole constant has as many as it is written with."""
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return max(1, len(str(abs(value.constant)))), 0
    return digits_of(value.known)


def _shift(notes: Notes, operator: str, left: Value, right: Value, target: SqlType) -> Value:
    """datetime + n adds days ("+ (Addition)"); other types refuse it on the source, too."""
    if target.name not in {"datetime", "smalldatetime"} or operator not in {"+", "-"}:
        raise Refused(f"{operator} on {target} is not translated")
    moments = {"datetime", "smalldatetime"}
    if left.known.name in moments and right.known.name in moments:
        return total(left, right) if operator == "+" else difference(left, right)
    if left.known.name in INTEGERS:
        left, right = right, left
        if operator == "-":
            raise Refused("a number minus a date is not translated")
    if left.known.name not in TIMES or right.known.name not in INTEGERS:
        raise Refused(f"{operator} on {target} is translated with a whole number of days only")
    if operator == "-":
        right = _negative(right)
    return add(notes, left, "days", right, 1)


def _negative(value: Value) -> Value:
    if isinstance(value.constant, int):
        return constant_value(-value.constant, INT)
    return Value(f"-{value.operand}", value.type, is_atom=False)

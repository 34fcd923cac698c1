"""Signs, arithmetic, bits and +, between values of every kind.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from decimal import Decimal

from model.catalog import SqlType
from mssql.expressions.context import Context
from mssql.expressions.conversions import convert
from mssql.expressions.dates import add
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
        if operator != "+":
            raise Refused(f"{operator} between texts is not translated")
        return concatenate(notes, [left, right])
    if target.name in TIMES:
        return _shift(operator, left, right, target)
    if operator in {"&", "|", "^"}:
        if left.known.name not in INTEGERS or right.known.name not in INTEGERS:
            raise Refused(f"{operator} is translated between integers only")
        symbol = "#" if operator == "^" else operator
        return Value(f"{left.operand} {symbol} {right.operand}", target, is_atom=False)
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
    if target.name in MONEY:
        if operator in {"*", "/", "%"} and not (
            operator == "*" and {left.known.name, right.known.name} & set(INTEGERS)
        ):
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
    """Decimal arithmetic ("Precision, scale, and length"): exact in both engines while 38 digits suffice."""
    precision1, scale1 = _constant_digits(left)
    precision2, scale2 = _constant_digits(right)
    scale = max(scale1, scale2)
    precision = max(precision1 - scale1, precision2 - scale2) + scale + 1
    if operator == "*":
        precision, scale = precision1 + precision2 + 1, scale1 + scale2
    elif operator == "%":
        precision = min(precision1 - scale1, precision2 - scale2) + scale
    elif operator == "/":
        scale = max(6, scale1 + precision2 + 1)
        precision = precision1 - scale1 + scale2 + scale
        zeros = _power_of_ten(right)
        if zeros is not None and precision <= 38:
            factor = "1::numeric" if zeros == 0 else format(Decimal(1).scaleb(-zeros), "f")
            return Value(f"{left.operand} * {factor}", decimal_type(precision, scale), is_atom=False)
        notes.doubt("how many digits a decimal division keeps, and how it rounds, differs")
        if precision <= 38:
            plain = f"trunc({left.operand}::numeric / {right.operand}, {scale})"
            return Value(plain, decimal_type(precision, scale))
    if precision > 38:
        if operator != "/":
            notes.doubt(f"{operator} gives more than 38 digits, which T-SQL rounds away")
        precision, scale = 38, min(scale, 38)
    return Value(plain, decimal_type(max(precision, scale, 1), scale), is_atom=False)


def _constant_digits(value: Value) -> tuple[int, int]:
    """Digits of an operand; a whole constant has as many as it is written with."""
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return max(1, len(str(abs(value.constant)))), 0
    return digits_of(value.known)


def _power_of_ten(value: Value) -> int | None:
    """k when the value is the constant 10 to the k, k from 0."""
    if not isinstance(value.constant, int | Decimal) or isinstance(value.constant, bool) or value.constant < 1:
        return None
    text = format(Decimal(value.constant), "f")
    whole, _, fraction = text.partition(".")
    return len(whole) - 1 if whole.strip("0") == "1" and whole[0] == "1" and not fraction.strip("0") else None


def _shift(operator: str, left: Value, right: Value, target: SqlType) -> Value:
    """datetime + n adds days ("+ (Addition)"); other types refuse it on the source, too."""
    if target.name not in {"datetime", "smalldatetime"} or operator not in {"+", "-"}:
        raise Refused(f"{operator} on {target} is not translated")
    if left.known.name in INTEGERS:
        left, right = right, left
        if operator == "-":
            raise Refused("a number minus a date is not translated")
    if left.known.name not in TIMES or right.known.name not in INTEGERS:
        raise Refused(f"{operator} on {target} is translated with a whole number of days only")
    if operator == "-":
        right = _negative(right)
    return add(left, "days", right, 1)


def _negative(value: Value) -> Value:
    if isinstance(value.constant, int):
        return constant_value(-value.constant, INT)
    return Value(f"-{value.operand}", value.type, is_atom=False)

"""Comparisons that give T-SQL's answer in PostgreSQL.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import Collation, deciding_collation, folded, settle_case, weigh, with_letters_i
from mssql.expressions.context import Context
from mssql.expressions.conversions import convert
from mssql.expressions.text import unpadded
from mssql.expressions.tree import Between, In, Refused
from mssql.expressions.types import (
    BINARIES,
    BIT,
    DATED,
    INT,
    SCALED_TIMES,
    STRINGS,
    UNICODE,
    digits_of,
    higher_type,
    is_exact,
)
from mssql.expressions.values import Condition, Notes, Value, constant_value, quoted


def compare(notes: Notes, operator: str, left: Value, right: Value) -> Condition:
    """A comparison of two values."""
    if operator == ">" and isinstance(right.constant, str) and not right.constant.strip(" "):
        # Nothing stands before the empty text, whatever the order of the rest.
        operator = "<>"
    first, second = _comparable(notes, operator, left, right)
    return Condition(f"{first} {operator} {second}")


def in_list(context: Context, node: In) -> Condition:
    """IN, or NOT IN; spelled out where items make the operand look different."""
    operand = context.value(node.operand)
    pairs = [_comparable(context.notes, "=", operand, context.value(item)) for item in node.items]
    negation = "NOT " if node.negated else ""
    if len({left for left, _ in pairs}) == 1:
        return Condition(f"{pairs[0][0]} {negation}IN ({', '.join(right for _, right in pairs)})")
    context.notes.once(operand)
    sql = " OR ".join(f"{left} = {right}" for left, right in pairs)
    return Condition(f"NOT ({sql})" if node.negated else sql)


def between(context: Context, node: Between) -> Condition:
    """BETWEEN, or NOT BETWEEN; spelled out where the bounds make the operand look different."""
    operand = context.value(node.operand)
    low, low_bound = _comparable(context.notes, ">=", operand, context.value(node.low))
    high, high_bound = _comparable(context.notes, "<=", operand, context.value(node.high))
    negation = "NOT " if node.negated else ""
    if low == high:
        return Condition(f"{low} {negation}BETWEEN {low_bound} AND {high_bound}")
    context.notes.once(operand)
    return Condition(f"{negation}({low} >= {low_bound} AND {high} <= {high_bound})", is_atom=not node.negated)


def _comparable(notes: Notes, operator: str, left: Value, right: Value) -> tuple[str, str]:
    """Both sides so that PostgreSQL's operator gives T-SQL's answer."""
    if right.type is None:
        raise Refused("a comparison with NULL is never true")
    target = higher_type(left.known, right.known)
    if operator in {"=", "<>"}:
        left, right = _as_bit(left, right), _as_bit(right, left)
        target = higher_type(left.known, right.known)
    if target.name in STRINGS:
        return _comparable_texts(notes, operator, left, right)
    if target.name in BINARIES:
        return _comparable_binaries(notes, left, right)
    if target.name == "uniqueidentifier" and operator not in {"=", "<>"}:
        notes.doubt("uniqueidentifier sorts in another byte order than PostgreSQL's uuid")
    left, right = _alike(notes, left, target, right.known), _alike(notes, right, target, left.known)
    if target.name == "bit" and operator not in {"=", "<>"}:
        return convert(notes, left, INT).operand, convert(notes, right, INT).operand
    return left.operand, right.operand


def _as_bit(value: Value, other: Value) -> Value:
    """The constants 0 and 1 as a bit where they are compared with one."""
    if other.known.name == "bit" and type(value.constant) is int and value.constant in {0, 1}:
        return constant_value(bool(value.constant), BIT)
    return value


def _alike(notes: Notes, value: Value, target: SqlType, other: SqlType) -> Value:
    """One side of a comparison, under a type that compares in PostgreSQL as the target does in T-SQL."""
    source = value.known
    if source.name == target.name or (is_exact(source) and is_exact(target)):
        if is_exact(source) and is_exact(other):
            _weigh_common_decimal(notes, source, other)
        return value
    if source.name == "bit" and is_exact(target):
        return convert(notes, value, INT)
    if value.constant is not None:
        if is_exact(target) and isinstance(value.constant, str):
            exact = convert(notes, value, target)
            if value.constant.strip(" ") and Decimal(value.constant) != exact.constant:
                notes.doubt(f"{value.constant!r} is rounded to {target} before it is compared")
            return exact
        if target.name in SCALED_TIMES and isinstance(value.constant, str):
            exact = convert(notes, value, replace(target, scale=7))
            if isinstance(exact.constant, dt.datetime | dt.time) and exact.constant.microsecond % 10 ** (
                6 - min(target.scale, 6)
            ):
                notes.doubt(
                    f"whether {value.constant!r} is rounded to {target} before it is compared is not documented"
                )
            return exact
        return convert(notes, value, target)
    if {source.name, target.name} == {"datetime", "datetime2"} and not value.is_now:
        notes.assume(
            Assumption.DATETIME_FRACTIONS,
            "datetime and datetime2 compare with fractions that depend on the compatibility level",
        )
    if source.name in DATED and target.name in DATED:
        return value
    return convert(notes, value, target)


def _weigh_common_decimal(notes: Notes, one: SqlType, other: SqlType) -> None:
    (precision1, scale1), (precision2, scale2) = digits_of(one), digits_of(other)
    if max(precision1 - scale1, precision2 - scale2) + max(scale1, scale2) > 38:
        notes.doubt(f"{one} and {other} have no common type of 38 digits, so T-SQL rounds")


def _comparable_texts(notes: Notes, operator: str, left: Value, right: Value) -> tuple[str, str]:
    """Equality of texts: trailing blanks never count, case by the collation ("= (Equals)", "Collation")."""
    if isinstance(left.constant, str) and isinstance(right.constant, str):
        raise Refused("two constant texts are compared")
    if left.collation is None and right.collation is None and (left.is_ascii and right.is_ascii):
        return _comparable_numbers_as_texts(notes, left, right)
    collation = deciding_collation(left, right)
    if operator not in {"=", "<>"}:
        notes.doubt(f"texts are put in order by {collation.name}, PostgreSQL has another order")
    constant = next((value for value in (left, right) if isinstance(value.constant, str)), None)
    if constant is not None:
        text = str(constant.constant).rstrip(" ")
        is_unicode = left.known.name in UNICODE or right.known.name in UNICODE
        folds = weigh(notes, text, collation, SqlType("nvarchar" if is_unicode else "varchar"))
        sides = []
        for value in (left, right):
            if value is constant:
                sides.append(quoted(collation.lower(text) if folds else text))
            else:
                settle_case(value)
                bare = unpadded(value)
                sides.append(folded(notes, bare, text, collation) if folds else bare)
        return sides[0], sides[1]
    return _alike_texts(notes, left, right, collation)


def _alike_texts(notes: Notes, left: Value, right: Value, collation: Collation) -> tuple[str, str]:
    """Two texts of which neither is constant, so that the collation's equality is that of PostgreSQL."""
    sides = unpadded(left), unpadded(right)
    if collation.is_binary:
        return sides
    if collation.ignores_accents:
        notes.assume(Assumption.ACCENTS, f"{collation.name} ignores accents, PostgreSQL does not")
    reason = f"{collation.name} takes some different texts for equal"
    notes.assume(Assumption.EQUAL_CHARACTERS, reason, is_lenient=True)
    if not collation.ignores_case:
        return sides
    notes.assume(Assumption.LETTER_CASE, f"{collation.name} ignores case", is_lenient=True)
    first, second = (with_letters_i(side, "lower") if collation.has_another_i else side for side in sides)
    return f"lower({first})", f"lower({second})"


def _comparable_binaries(notes: Notes, left: Value, right: Value) -> tuple[str, str]:
    """Zeros at the end do not count ("binary and varbinary"); a binary(n) has a known number of them."""
    sides = []
    for value, other in ((left, right), (right, left)):
        size = other.known.max_length
        if isinstance(value.constant, bytes) and other.known.name == "binary" and len(value.constant) <= size:
            sides.append(constant_value(value.constant.ljust(size, b"\0"), other.known).operand)
            continue
        sides.append(value.operand)
        if value.constant is None and (value.known.name != "binary" or other.known != value.known):
            notes.assume(Assumption.BINARY_ZEROS, "zeros at the end of a binary value do not count in T-SQL")
    return sides[0], sides[1]


def _comparable_numbers_as_texts(notes: Notes, left: Value, right: Value) -> tuple[str, str]:
    """Texts of dates and numbers, which have no column's collation: it does not matter where there are no letters."""
    sides = []
    for value in (left, right):
        text = value.constant
        if isinstance(text, str) and any(character.isalpha() for character in text):
            notes.doubt("texts are compared under the database's collation, which may ignore case")
        sides.append(quoted(text.rstrip(" ")) if isinstance(text, str) else unpadded(value))
    return sides[0], sides[1]

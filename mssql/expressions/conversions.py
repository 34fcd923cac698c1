"""Values under another type: CAST, CONVERT, and what T-SQL converts by itself.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.constants import convert_constant
from mssql.expressions.context import Context
from mssql.expressions.date_conversions import between_times, day_of_text
from mssql.expressions.date_texts import styled
from mssql.expressions.text import doubt_units, full_text, text_value, unpadded
from mssql.expressions.tree import Call, Convert, Refused
from mssql.expressions.types import (
    BINARIES,
    FLOATS,
    INTEGERS,
    MONEY,
    PRECEDENCE,
    STRINGS,
    TIMES,
    UNICODE,
    holds,
    is_exact,
    postgres_type,
    same_numeric,
)
from mssql.expressions.values import Notes, Value, constant_value, typed


def cast(context: Context, node: Convert) -> Value:
    """CAST or CONVERT as it is written. Raises `Refused` for a style that is not constant."""
    style: int | None = None
    if node.style is not None:
        given = context.value(node.style).constant
        if not isinstance(given, int) or isinstance(given, bool):
            raise Refused("the style of CONVERT is not a constant number")
        style = given
    if (day := _day_by_floor(context, node)) is not None:
        return day
    operand = context.value(node.operand)
    return convert(context.notes, operand, node.type, style=_style(style, operand, node.type))


def _day_by_floor(context: Context, node: Convert) -> Value | None:
    """The day of a datetime by way of its whole number as a float, an idiom from before the type date."""
    match node.operand:
        case Call(name=name, arguments=(Convert(type=SqlType(name="float")) as inner,)) if name.upper() == "FLOOR":
            moment = typed(context.value(inner.operand))
        case _:
            return None
    if node.type.name not in {"datetime", "smalldatetime"} or moment.known.name not in {"datetime", "smalldatetime"}:
        return None
    return replace(moment, sql=f"date_trunc('day', {moment.operand})", type=node.type, is_atom=True, constant=None)


def _style(style: int | None, operand: Value, target: SqlType) -> int | None:
    """The style, None where it says nothing: 0 is the default of all but some dates, which servers up to 2008 R2 wrote
    for every CAST ("CAST and CONVERT")."""
    source = operand.type
    if style == 0 and (
        target.name not in STRINGS or source is None or source.name not in TIMES - {"datetime", "smalldatetime"}
    ):
        return None
    return style


def convert(
    notes: Notes, value: Value, target: SqlType, *, style: int | None = None, is_assignment: bool = False
) -> Value:
    """A value under another type ("CAST and CONVERT"). `is_assignment`: too long a text is an error, not cut."""
    if value.type is None:
        return replace(value, type=target)
    source = value.known
    if value.constant is not None and not (source.name in TIMES and target.name in STRINGS):
        constant = convert_constant(notes, value.constant, source, target, style, is_assignment)
        return replace(
            constant_value(constant, target),
            collation=value.collation,
            has_explicit_collation=value.has_explicit_collation,
        )
    refusal = Refused(f"converting {source} to {target} is not certain to give the same value")
    if target.name in STRINGS:
        return _to_string(notes, value, target, style, is_assignment, refusal)
    if source.name in TIMES and target.name in TIMES:
        return between_times(notes, value, target, refusal)
    if source.name in STRINGS and target.name in TIMES:
        return day_of_text(notes, value, target, style, refusal)
    if source.name in STRINGS and is_exact(target):
        return _from_text_to_number(notes, value, target)
    if source.name in INTEGERS and target.name in {"datetime", "smalldatetime"}:
        sql = f"'1900-01-01'::timestamp + make_interval(days => {value.sql})"
        return Value(sql, target, is_atom=False, is_whole=True)
    if source.name in {"datetime", "smalldatetime"} and (target.name in FLOATS or target.name in INTEGERS):
        return _from_datetime_to_number(notes, value, target)
    if (source.name, source.max_length, target.name) in {("binary", 4, "int"), ("binary", 8, "bigint")}:
        bits = source.max_length * 8
        return Value(f"('x' || encode({value.sql}, 'hex'))::bit({bits})::{postgres_type(target)}", target)
    if style is not None:
        notes.doubt(f"what style {style} of CONVERT makes of {source} is not documented")
    if source.name in STRINGS or source.name in TIMES or source.name in BINARIES or target.name in TIMES:
        if source.name in BINARIES and target.name in {"varbinary", "image"} and holds(target, source):
            return replace(value, type=target)
        raise refusal
    if source.name == "uniqueidentifier" or target.name == "uniqueidentifier":
        if source.name == target.name:
            return value
        if target.name in PRECEDENCE and target.name not in BINARIES:
            raise Refused(f"the source refuses to convert {source} to {target}")
        raise refusal
    if target.name in BINARIES or target.name not in PRECEDENCE:
        raise refusal
    return _to_numeric(notes, value, target)


def _to_numeric(notes: Notes, value: Value, target: SqlType) -> Value:
    """Between numbers and bits ("CAST and CONVERT", truncating and rounding results)."""
    source = value.known
    if target.name == "bit":
        return value if source.name == "bit" else Value(f"{value.operand} <> 0", target, is_atom=False)
    inner = value.operand
    if source.name == "bit":
        inner = f"{inner}::integer"
    elif target.name in INTEGERS and source.name in MONEY:
        inner = f"round({inner})"
    elif target.name in INTEGERS and (source.name == "decimal" or source.name in FLOATS):
        inner = f"trunc({inner})"
    elif target.name in FLOATS and (source.name == "decimal" or source.name in MONEY):
        notes.assume(Assumption.LAST_DIGITS, f"{source} becomes {target} with a rounding that is not documented")
    elif source.name in FLOATS and is_exact(target):
        notes.doubt(f"{source} becomes {target} through 15 digits in PostgreSQL")
    if same_numeric(source, target):
        return replace(value, type=target)
    cast = postgres_type(target)
    return Value(inner if inner.endswith(f"::{cast}") else f"{inner}::{cast}", target)


def _to_string(
    notes: Notes, value: Value, target: SqlType, style: int | None, is_assignment: bool, refusal: Refused
) -> Value:
    source = value.known
    size = target.characters if target.name not in {"text", "ntext"} else -1
    is_fixed = target.name in {"char", "nchar"} and not is_assignment
    if source.name in STRINGS:
        if style is not None:
            raise Refused(f"CONVERT with style {style} is not translated here")
        if source.name in UNICODE and target.name not in UNICODE and not value.is_ascii:
            notes.doubt("nvarchar to varchar goes through a code page, which may replace characters")
        is_padded = not value.is_trimmed or source.name in {"char", "nchar"}
        if target.name == source.name and is_padded and (is_assignment or (not is_fixed and holds(target, source))):
            return replace(value, type=target)
        sql = full_text(notes, value)
        if is_assignment:
            return text_value(sql, target, [value])
        if size != -1 and not holds(target, source) and not is_fixed:
            doubt_units(notes, value)
            sql = f"left({sql}, {size})"
        result = text_value(sql, target, [value], is_atom=True)
    elif source.name in TIMES:
        return _from_time_to_text(notes, value, target, style)
    elif source.name in BINARIES:
        return _from_binary_to_text(value, target, style, refusal)
    elif source.name in MONEY:
        return _from_money_to_text(notes, value, target, style)
    else:
        if style is not None:
            notes.doubt(f"what style {style} of CONVERT makes of {source} is not documented")
        if source.name == "bit":
            sql = f"{value.operand}::integer::text"
        elif source.name in INTEGERS:
            sql = f"{value.operand}::text"
            needed = INTEGERS[source.name] + (source.name != "tinyint")
            if source.name != "bigint" and target.name in {"char", "varchar"} and -1 < size < needed:
                # "CAST and CONVERT", truncating and rounding results; what is too long else is an error.
                notes.once(value)
                sql = f"CASE WHEN length({sql}) > {size} THEN '*' ELSE {sql} END"
        elif source.name == "decimal":
            sql = f"{value.operand}::{postgres_type(source)}::text"
        elif source.name == "uniqueidentifier":
            sql = f"upper({value.operand}::text)"
        else:
            raise refusal
        result = Value(sql, target, is_ascii=True, is_digits=source.name in INTEGERS)
    if is_fixed:
        doubt_units(notes, result)
        return replace(result, sql=f"rpad({result.sql}, {size})")
    return result


def _from_time_to_text(notes: Notes, value: Value, target: SqlType, style: int | None) -> Value:
    if value.known.name == "datetimeoffset":
        raise Refused("the offset of a datetimeoffset is lost in timestamptz, which keeps the instant")
    return styled(notes, value, target, style)


def _from_binary_to_text(value: Value, target: SqlType, style: int | None, refusal: Refused) -> Value:
    """Two capitals of hexadecimal digits a byte, after 0x in style 1 ("CAST and CONVERT", binary styles)."""
    if style not in {1, 2}:
        raise refusal
    digits = f"upper(encode({value.sql}, 'hex'))"
    sql = f"'0x' || {digits}" if style == 1 else digits
    size = target.characters if target.name not in {"text", "ntext"} else -1
    source = value.known
    if size != -1 and (source.max_length == -1 or 2 * source.max_length + 2 * (style == 1) > size):
        return Value(f"left({sql}, {size})", target, is_ascii=True)
    return Value(sql, target, is_atom=style == 2, is_ascii=True)


def _from_money_to_text(notes: Notes, value: Value, target: SqlType, style: int | None) -> Value:
    """Two digits after the point, four in style 2 and 126 ("CAST and CONVERT", money styles)."""
    size = target.characters if target.name not in {"text", "ntext"} else -1
    if style == 1:
        notes.doubt("PostgreSQL writes a thousand's comma by a function that is not immutable")
        return Value(f"to_char({value.sql}, 'FM999,999,999,999,990.00')", target, is_ascii=True)
    if style not in {None, 2, 126}:
        raise Refused(f"CONVERT with style {style} is not translated here")
    if style is None:
        notes.assume(Assumption.MONEY_TEXTS, "how money is rounded to two digits in a text is not documented")
    sql = f"round({value.sql}, 2)::text" if style is None else f"{value.operand}::numeric(19,4)::text"
    if target.name in {"char", "nchar"}:
        sql = f"rpad({sql}, {size})"
    return Value(sql, target, is_ascii=True)


def _from_datetime_to_number(notes: Notes, value: Value, target: SqlType) -> Value:
    """Days since 1900-01-01, as a suggestion: a datetime's fraction is a third that PostgreSQL does not have."""
    notes.doubt(f"how {value.type} becomes {target} is not documented to the last digit")
    days = f"extract(epoch from {value.operand} - '1900-01-01'::timestamp) / 86400"
    return Value(f"({days if target.name in FLOATS else f'round(({days})::numeric)'})::{postgres_type(target)}", target)


def _from_text_to_number(notes: Notes, value: Value, target: SqlType) -> Value:
    """A text as an exact number; where it is none, the source raises an error."""
    cast = postgres_type(target)
    if value.is_digits:
        return Value(f"{value.operand}::{cast}", target)
    notes.once(value)
    why = f"which texts are a {target} differs, and PostgreSQL refuses rows with others"
    notes.doubt(why, is_lenient=target.name not in MONEY)
    notes.assume(Assumption.TEXT_NUMBERS, why)
    if target.name == "decimal":
        return Value(f"{value.operand}::{cast}", target)
    # An empty text is 0.
    return Value(f"CASE WHEN {unpadded(value)} = '' THEN 0 ELSE {value.operand}::{cast} END", target)

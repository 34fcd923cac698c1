"""Values under another type: CAST, CONVERT, and what T-SQL converts by itself.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace

from model.catalog import SqlType
from mssql.expressions.constants import convert_constant
from mssql.expressions.context import Context
from mssql.expressions.text import doubt_units, full_text, text_value
from mssql.expressions.tree import Convert, Refused
from mssql.expressions.types import (
    BINARIES,
    DATED,
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
from mssql.expressions.values import Notes, Value, constant_value, quoted


def cast(context: Context, node: Convert) -> Value:
    """CAST or CONVERT as it is written. Raises `Refused` for a style that is not constant."""
    style: int | None = None
    if node.style is not None:
        given = context.value(node.style).constant
        if not isinstance(given, int) or isinstance(given, bool):
            raise Refused("the style of CONVERT is not a constant number")
        style = given
    return convert(context.notes, context.value(node.operand), node.type, style=style)


def convert(
    notes: Notes, value: Value, target: SqlType, *, style: int | None = None, is_assignment: bool = False
) -> Value:
    """A value under another type ("CAST and CONVERT"). `is_assignment`: too long a text is an error, not cut."""
    if value.type is None:
        return replace(value, type=target)
    source = value.known
    if value.constant is not None:
        if style is not None and not (isinstance(value.constant, str) and target.name in TIMES):
            raise Refused(f"CONVERT with style {style} is not translated here")
        constant = convert_constant(value.constant, source, target, style, is_assignment)
        return replace(
            constant_value(constant, target),
            collation=value.collation,
            has_explicit_collation=value.has_explicit_collation,
        )
    refusal = Refused(f"converting {source} to {target} is not certain to give the same value")
    if target.name in STRINGS:
        return _to_string(notes, value, target, style, is_assignment, refusal)
    if style is not None and not (source.name in TIMES and target.name in TIMES):
        raise Refused(f"CONVERT with style {style} is not translated here")
    if source.name in TIMES and target.name in TIMES:
        return _to_time(notes, value, target, refusal)
    if source.name in STRINGS or source.name in TIMES or source.name in BINARIES or target.name in TIMES:
        if source.name in BINARIES and target.name in {"varbinary", "image"} and holds(target, source):
            return replace(value, type=target)
        raise refusal
    if source.name == "uniqueidentifier" or target.name == "uniqueidentifier":
        if source.name == target.name:
            return value
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
        notes.doubt(f"{source} becomes {target} with a rounding that is not documented")
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
        if target.name == source.name and (is_assignment or (not is_fixed and holds(target, source))):
            return replace(value, type=target)
        sql = full_text(notes, value)
        if is_assignment:
            return text_value(sql, target, [value])
        if size != -1 and not holds(target, source) and not is_fixed:
            doubt_units(notes, value)
            sql = f"left({sql}, {size})"
        result = text_value(sql, target, [value], is_atom=True)
    elif source.name in DATED:
        return _to_styled(value, target, style, refusal)
    else:
        if style is not None:
            raise Refused(f"CONVERT with style {style} is not translated here")
        if source.name == "bit":
            sql, needed = f"{value.operand}::integer::text", 1
        elif source.name in INTEGERS:
            sql, needed = f"{value.operand}::text", INTEGERS[source.name] + (source.name != "tinyint")
        elif source.name == "decimal":
            precision, scale = source.precision, source.scale
            needed = precision + 1 + (scale > 0) + (scale == precision)
            sql = f"{value.operand}::{postgres_type(source)}::text"
        elif source.name == "uniqueidentifier":
            sql, needed = f"upper({value.operand}::text)", 36
        else:
            raise refusal
        if size != -1 and needed > size:
            # "CAST and CONVERT", truncating and rounding results: * for an int in a (var)char, an error else.
            if source.name not in {"tinyint", "smallint", "int"} or target.name not in {"char", "varchar"}:
                raise Refused(f"{source} may not fit into {target}")
            notes.once(value)
            sql = f"CASE WHEN length({sql}) > {size} THEN '*' ELSE {sql} END"
        result = Value(sql, target, is_ascii=True)
    if is_fixed:
        doubt_units(notes, result)
        return replace(result, sql=f"rpad({result.sql}, {size})")
    return result


_STYLES = {
    23: ("Y", "-", "M", "-", "D"), 101: ("M", "/", "D", "/", "Y"), 102: ("Y", ".", "M", ".", "D"),
    103: ("D", "/", "M", "/", "Y"), 104: ("D", ".", "M", ".", "Y"), 105: ("D", "-", "M", "-", "Y"),
    108: ("h", ":", "m", ":", "s"), 110: ("M", "-", "D", "-", "Y"), 111: ("Y", "/", "M", "/", "D"),
    112: ("Y", "M", "D"),
    120: ("Y", "-", "M", "-", "D", " ", "h", ":", "m", ":", "s"),
    121: ("Y", "-", "M", "-", "D", " ", "h", ":", "m", ":", "s", ".", "f"),
    126: ("Y", "-", "M", "-", "D", "T", "h", ":", "m", ":", "s", ".", "f"),
}  # fmt: skip
"""Date and time styles of CONVERT ("CAST and CONVERT", table of styles) that hold numbers only."""

_STYLE_PARTS = {
    "Y": ("lpad(extract(year from {0})::text, 4, '0')", "YYYY"),
    "M": ("lpad(extract(month from {0})::text, 2, '0')", "MM"),
    "D": ("lpad(extract(day from {0})::text, 2, '0')", "DD"),
    "h": ("lpad(extract(hour from {0})::text, 2, '0')", "HH24"),
    "m": ("lpad(extract(minute from {0})::text, 2, '0')", "MI"),
    "s": ("lpad(trunc(extract(second from {0}))::text, 2, '0')", "SS"),
    "f": ("lpad((extract(milliseconds from {0})::integer % 1000)::text, 3, '0')", "MS"),
}
_STYLE_LENGTHS = {"Y": 4, "M": 2, "D": 2, "h": 2, "m": 2, "s": 2, "f": 3}


def _to_styled(value: Value, target: SqlType, style: int | None, refusal: Refused) -> Value:
    """A date as text, built of numbers: PostgreSQL's to_char is not immutable."""
    source = value.known.name
    size = target.characters if target.name not in {"text", "ntext"} else -1
    if style is None and source == "date":
        style = 23
    if style not in _STYLES:
        if value.is_now and source != "date":
            raise Refused(
                "the text of a date depends on the session's language",
                f"to_char({value.sql}, 'Mon DD YYYY HH12:MIAM')",
            )
        raise refusal
    parts = _STYLES[style]
    if source == "date":
        if style == 108:
            raise refusal
        parts = parts[:5] if style != 112 else parts
    elif ("f" in parts or "T" in parts) and source != "datetime":
        # The fraction has as many digits as the type; datetime has three, but style 126 leaves out zeros.
        raise refusal
    elif style == 126:
        raise refusal
    is_plain_date = source == "date" and style in {120, 121, 126}
    length = sum(_STYLE_LENGTHS.get(part, 1) for part in parts)
    if is_plain_date:
        parts = _STYLES[23]
        length = 10
    if value.is_now:
        pattern = "".join(_STYLE_PARTS[part][1] if part in _STYLE_PARTS else part for part in parts)
        sql = f"to_char({value.sql}, {quoted(pattern)})"
    else:
        pieces = [
            _STYLE_PARTS[part][0].format(value.operand) if part in _STYLE_PARTS else quoted(part) for part in parts
        ]
        sql = " || ".join(pieces)
    if size != -1 and size < length:
        sql = f"left({sql}, {size})"
    if target.name in {"char", "nchar"} and size > length:
        sql = f"rpad({sql}, {size})"
    return Value(sql, target, is_atom=value.is_now or sql.startswith(("left(", "rpad(")), is_ascii=True)


def _to_time(notes: Notes, value: Value, target: SqlType, refusal: Refused) -> Value:
    """Between dates and times."""
    source = value.known
    sql = value.operand
    if source.name == "datetimeoffset":
        if target.name == "datetimeoffset" and (value.is_now or target.scale >= source.scale):
            return replace(value, type=target)
        if not value.is_now:
            raise Refused("the local time of a datetimeoffset is lost in timestamptz, which keeps the instant")
        return _to_time(
            notes, replace(value, sql=f"{sql}::timestamp", type=SqlType("datetime2", scale=7)), target, refusal
        )
    if source.name == "time":
        if target.name == "time" and target.scale >= source.scale:
            return replace(value, type=target)
        raise refusal
    if target.name == "datetimeoffset":
        # Without an offset a time is taken as UTC ("datetimeoffset").
        stamp = sql if source.name != "date" else f"{sql}::timestamp"
        return Value(f"({stamp} AT TIME ZONE 'UTC')", target, is_now=value.is_now)
    if target.name == "date":
        return value if source.name == "date" else replace(value, sql=f"{sql}::date", type=target, is_atom=True)
    if target.name == "time":
        if source.name == "date" or (target.scale < 3 and not value.is_now):
            raise refusal
        return replace(value, sql=f"{sql}::time", type=target, is_atom=True)
    if source.name == "date":
        return replace(value, sql=f"{sql}::timestamp", type=target, is_atom=True)
    if target.name == source.name and target.scale >= source.scale:
        return replace(value, type=target)
    if target.name == "smalldatetime":
        if source.name != "datetime" and not value.is_now:
            raise refusal
        return replace(value, sql=f"date_trunc('minute', {sql} + interval '30 seconds')", type=target, is_atom=True)
    if source.name == "smalldatetime" or value.is_now:
        return replace(value, type=target)
    notes.doubt(f"{source} becomes {target} with fractions that depend on the compatibility level")
    return replace(value, type=target)

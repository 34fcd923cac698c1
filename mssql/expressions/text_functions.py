"""Functions of texts.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import Collation, deciding_collation, folded, settle_case, weigh
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.conversions import convert
from mssql.expressions.text import (
    concatenate,
    doubt_units,
    full_text,
    in_utf16_units,
    is_in_units,
    length_type,
    text_value,
    unpadded,
    utf16_length,
)
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import INT, INTEGERS, STRINGS, UNICODE, sized_type, varying
from mssql.expressions.values import Value, constant_value, quoted, typed


def _string(context: Context, node: Node) -> Value:
    """A text argument; T-SQL turns other types into varchar here."""
    value = typed(context.value(node))
    if value.known.name in {"text", "ntext"}:
        raise Refused(f"{value.type} is an argument")
    if value.known.name in STRINGS:
        return value
    if value.known.name not in INTEGERS and value.known.name != "uniqueidentifier":
        raise Refused(f"{value.type} becomes a text first")
    return convert(context.notes, value, sized_type("varchar", 36))


def _concat(context: Context, arguments: Arguments) -> Value:
    """NULL counts as an empty text ("CONCAT"). PostgreSQL's concat() is not immutable."""
    values = []
    for argument in arguments:
        value = context.value(argument)
        if value.type is None:
            continue
        if value.known.name not in STRINGS:
            value = convert(context.notes, value, sized_type("varchar", 50))
        elif value.constant is None:
            value = replace(value, sql=full_text(context.notes, value), is_trimmed=False)
        if value.constant is None:
            value = replace(value, sql=f"coalesce({value.sql}, '')", is_atom=True)
        values.append(value)
    if not values:
        raise Refused("every argument of CONCAT is NULL")
    return concatenate(context.notes, values) if len(values) > 1 else values[0]


def _len(context: Context, arguments: Arguments) -> Value:
    """Trailing blanks do not count; n-types count UTF-16 units ("LEN")."""
    value = _string(context, arguments[0])
    if isinstance(value.constant, str):
        return constant_value(utf16_length(value.constant.rstrip(" ")), INT)
    sql = unpadded(value)
    return Value(f"length({in_utf16_units(sql) if is_in_units(value) else sql})", length_type(value))


def _datalength(context: Context, arguments: Arguments) -> Value:
    """Bytes, trailing blanks included ("DATALENGTH")."""
    value = typed(context.value(arguments[0]))
    name = value.known.name
    if name in {"varbinary", "image"} and value.constant is None:
        return Value(f"octet_length({value.sql})", length_type(value))
    if name not in {"varchar", "nvarchar"} or value.constant is not None:
        raise Refused(f"DATALENGTH of {value.type} is not translated")
    if name == "nvarchar":
        return Value(f"length({in_utf16_units(value.sql)}) * 2", length_type(value), is_atom=False)
    if value.collation is None or not Collation(value.collation).has_one_byte_characters:
        raise Refused("DATALENGTH counts bytes of a code page")
    return Value(f"length({value.sql})", length_type(value))


def _part(function: str, context: Context, arguments: Arguments) -> Value:
    value, count = _string(context, arguments[0]), context.value(arguments[1])
    doubt_units(context.notes, value)
    if not isinstance(count.constant, int) or isinstance(count.constant, bool) or count.constant < 0:
        if count.known.name not in INTEGERS:
            raise Refused(f"{function.upper()} has a length that is not a whole number")
        context.notes.doubt(
            f"{function.upper()} with a negative length is an error in T-SQL and something else in PostgreSQL"
        )
    type_ = varying(value.known)
    if isinstance(count.constant, int) and type_.max_length != -1:
        type_ = sized_type(type_.name, max(1, min(type_.characters, count.constant)))
        if value.is_trimmed and function == "left":
            return replace(text_value(f"left({unpadded(value)}, {count.sql})", type_, [value]), is_trimmed=True)
    result = text_value(f"{function}({full_text(context.notes, value)}, {count.sql})", type_, [value])
    return replace(result, is_digits=value.is_digits and isinstance(count.constant, int) and count.constant > 0)


def _substring(context: Context, arguments: Arguments) -> Value:
    """Positions before the first character count in both engines ("SUBSTRING")."""
    value = _string(context, arguments[0])
    start, count = (typed(context.value(argument)) for argument in arguments[1:])
    for number in (start, count):
        if number.known.name not in INTEGERS or number.known.name == "bigint":
            raise Refused("SUBSTRING has a position that is not an int")
    doubt_units(context.notes, value)
    sql = f"substring({full_text(context.notes, value)}, {start.sql}, {count.sql})"
    return text_value(sql, varying(value.known), [value])


def _charindex(context: Context, arguments: Arguments) -> Value:
    sought, value = _string(context, arguments[0]), _string(context, arguments[1])
    if not isinstance(sought.constant, str) or not sought.constant or value.constant is not None:
        raise Refused("CHARINDEX is translated for a constant text that is looked for")
    collation = deciding_collation(sought, value)
    folds = weigh(
        context.notes, sought.constant, collation, sought.known if sought.known.name in UNICODE else value.known
    )
    settle_case(value)
    sql = full_text(context.notes, value)
    if is_in_units(value):
        sql = in_utf16_units(sql)
    if folds:
        sql = folded(context.notes, sql, sought.constant)
    text = sought.constant.lower() if folds else sought.constant
    return Value(f"strpos({sql}, {quoted(text)})", length_type(value))


def _replace(context: Context, arguments: Arguments) -> Value:
    """The search follows the collation ("REPLACE"), so only texts without letters are looked for."""
    value, sought, new = (_string(context, argument) for argument in arguments)
    if not isinstance(sought.constant, str) or not sought.constant or not isinstance(new.constant, str):
        raise Refused("REPLACE is translated for constant texts only")
    if not value.is_ascii:
        collation = deciding_collation(value, sought, new)
        if weigh(
            context.notes, sought.constant, collation, sought.known if sought.known.name in UNICODE else value.known
        ):
            context.notes.doubt(f"REPLACE ignores case under {collation.name}")
    elif any(character.isalpha() for character in sought.constant):
        raise Refused("REPLACE may ignore case")
    type_ = varying(value.known)
    if type_.max_length != -1:
        growth = -(-len(new.constant) // len(sought.constant))
        type_ = sized_type(type_.name, type_.characters * max(1, growth))
        if type_.max_length > 8000:
            context.notes.assume(Assumption.LONG_TEXTS, "T-SQL cuts a text of more than 8000 bytes")
    sql = f"replace({full_text(context.notes, value)}, {sought.sql}, {new.sql})"
    return text_value(sql, type_, [value, sought, new])


def _cased(function: str, context: Context, arguments: Arguments) -> Value:
    value = _string(context, arguments[0])
    if isinstance(value.constant, str) and value.is_ascii:
        changed = value.constant.upper() if function == "upper" else value.constant.lower()
        return constant_value(changed, value.known)
    text = unpadded(value) if value.is_trimmed else value.operand
    if value.is_ascii:
        result = text_value(f"{function}({text})", varying(value.known), [value])
        return replace(result, is_trimmed=value.is_trimmed)
    if value.collation is None or Collation(value.collation).has_another_i:
        raise Refused(f"{function.upper()} under this collation has another rule for i and I")
    doubt = context.notes.doubt(
        f"{function.upper()} of letters beyond ASCII depends on the PostgreSQL database's locale"
    )
    result = text_value(f'{function}({text} COLLATE "C")', varying(value.known), [value])
    return replace(result, case_doubt=doubt, is_trimmed=value.is_trimmed)


def _trimmed(function: str, context: Context, arguments: Arguments) -> Value:
    """Blanks only, as in PostgreSQL ("LTRIM", "RTRIM", "TRIM")."""
    value = _string(context, arguments[0])
    if isinstance(value.constant, str):
        raise Refused("a constant is trimmed")
    sql = f"{value.operand}::text" if value.is_trimmed and function != "ltrim" else full_text(context.notes, value)
    return text_value(f"{function}({sql}, ' ')", varying(value.known), [value])


def _char(context: Context, arguments: Arguments) -> Value:
    code = context.value(arguments[0]).constant
    if not isinstance(code, int) or isinstance(code, bool) or not 0 < code < 128:
        raise Refused("CHAR is translated for a constant from 1 to 127")
    return constant_value(chr(code), sized_type("varchar", 1))


FUNCTIONS = {
    "CONCAT": Function(_concat, 2, 99),
    "LEN": Function(_len, 1, 1),
    "DATALENGTH": Function(_datalength, 1, 1),
    "LEFT": Function(partial(_part, "left"), 2, 2),
    "RIGHT": Function(partial(_part, "right"), 2, 2),
    "SUBSTRING": Function(_substring, 3, 3),
    "CHARINDEX": Function(_charindex, 2, 2),
    "REPLACE": Function(_replace, 3, 3),
    "UPPER": Function(partial(_cased, "upper"), 1, 1),
    "LOWER": Function(partial(_cased, "lower"), 1, 1),
    "LTRIM": Function(partial(_trimmed, "ltrim"), 1, 1),
    "RTRIM": Function(partial(_trimmed, "rtrim"), 1, 1),
    "TRIM": Function(partial(_trimmed, "btrim"), 1, 1),
    "CHAR": Function(_char, 1, 1),
}

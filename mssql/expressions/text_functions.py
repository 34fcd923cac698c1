"""Functions of texts.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mssql.expressions.arguments import constant_count, string_argument, whole_number
from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import Collation, deciding_collation, folded, settle_case, weigh, with_letters_i
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.text import (
    doubt_units,
    full_text,
    in_utf16_units,
    is_in_units,
    length_type,
    text_value,
    unpadded,
    utf16_length,
)
from mssql.expressions.tree import Refused
from mssql.expressions.types import INT, STRINGS, UNICODE, sized_type, varying
from mssql.expressions.values import Value, constant_value, quoted, typed


def _len(context: Context, arguments: Arguments) -> Value:
    """Trailing blanks do not count; n-types count UTF-16 units ("LEN")."""
    value = string_argument(context, arguments[0])
    if isinstance(value.constant, str):
        return constant_value(utf16_length(value.constant.rstrip(" ")), INT)
    sql = unpadded(value)
    return Value(f"length({in_utf16_units(sql) if is_in_units(value) else sql})", length_type(value))


def _datalength(context: Context, arguments: Arguments) -> Value:
    """Bytes, trailing blanks included ("DATALENGTH")."""
    value = typed(context.value(arguments[0]))
    name = value.known.name
    type_ = length_type(value)
    if isinstance(value.constant, str):
        return constant_value(utf16_length(value.constant) * (2 if name in UNICODE else 1), type_)
    if name in _BYTES:
        return Value(f"CASE WHEN {value.operand} IS NOT NULL THEN {_BYTES[name]} END", INT)
    if name in {"varbinary", "image"}:
        return Value(f"octet_length({value.sql})", type_)
    if name not in STRINGS:
        raise Refused(f"DATALENGTH of {value.type} is not translated")
    if name in UNICODE:
        return Value(f"length({in_utf16_units(full_text(context.notes, value))}) * 2", type_, is_atom=False)
    if value.collation is None or not Collation(value.collation).has_one_byte_characters:
        raise Refused("DATALENGTH counts bytes of a code page")
    return Value(f"length({full_text(context.notes, value)})", type_)


#: the bytes of a value of each type that has a fixed number of them
_BYTES = {
    "bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "money": 8, "smallmoney": 4, "real": 4, "float": 8,
    "date": 3, "smalldatetime": 4, "datetime": 8, "uniqueidentifier": 16,
}  # fmt: skip


def _part(function: str, context: Context, arguments: Arguments) -> Value:
    """A negative length is an error in T-SQL, so that there is no value to preserve ("LEFT", "RIGHT")."""
    value, count = string_argument(context, arguments[0]), whole_number(context, arguments[1], function.upper())
    doubt_units(context.notes, value)
    size = constant_count(count)
    type_ = varying(value.known)
    if size is not None and type_.max_length != -1:
        type_ = sized_type(type_.name, max(1, min(type_.characters, size)))
        if value.is_trimmed and function == "left":
            return replace(text_value(f"left({unpadded(value)}, {count.sql})", type_, [value]), is_trimmed=True)
    result = text_value(f"{function}({full_text(context.notes, value)}, {count.sql})", type_, [value])
    return replace(result, is_digits=value.is_digits and bool(size))


def _substring(context: Context, arguments: Arguments) -> Value:
    """Positions before the first character count in both engines ("SUBSTRING")."""
    value = string_argument(context, arguments[0])
    start, count = (whole_number(context, argument, "SUBSTRING") for argument in arguments[1:])
    doubt_units(context.notes, value)
    sql = f"substring({full_text(context.notes, value)}, {start.sql}, {count.sql})"
    return text_value(sql, varying(value.known), [value])


def _charindex(context: Context, arguments: Arguments) -> Value:
    """A third argument says where the search begins ("CHARINDEX")."""
    sought, value = string_argument(context, arguments[0]), string_argument(context, arguments[1])
    if sought.constant is None and len(arguments) == 2:
        return _position_of_text(context, sought, value)
    if not isinstance(sought.constant, str) or not sought.constant or value.constant is not None:
        raise Refused("CHARINDEX is translated for a constant text that is looked for, or from the beginning")
    collation = deciding_collation(sought, value)
    folds = weigh(
        context.notes, sought.constant, collation, sought.known if sought.known.name in UNICODE else value.known
    )
    settle_case(value)
    sql = full_text(context.notes, value)
    if is_in_units(value):
        sql = in_utf16_units(sql)
    if folds:
        sql = folded(context.notes, sql, sought.constant, collation)
    text = quoted(collation.lower(sought.constant) if folds else sought.constant)
    type_ = length_type(value)
    if len(arguments) == 2:
        return Value(f"strpos({sql}, {text})", type_)
    start = whole_number(context, arguments[2], "CHARINDEX")
    context.notes.once(start)
    count = constant_count(start)
    if count is not None and count <= 1:
        return Value(f"strpos({sql}, {text})", type_)
    first = start.operand if count is not None else f"greatest({start.sql}, 1)"
    found = f"strpos(substring({sql}, {first}), {text})"
    return Value(f"CASE WHEN {found} = 0 THEN 0 ELSE {found} + {first} - 1 END", type_)


def _position_of_text(context: Context, sought: Value, value: Value) -> Value:
    """Where one text stands in another, by their collation; an empty text stands nowhere."""
    collation = deciding_collation(sought, value)
    doubt_units(context.notes, value)
    texts = [full_text(context.notes, part) for part in (value, sought)]
    context.notes.once(sought)
    if not collation.is_binary:
        if collation.ignores_accents:
            context.notes.assume(Assumption.ACCENTS, f"{collation.name} ignores accents, PostgreSQL does not")
        context.notes.assume(Assumption.EQUAL_CHARACTERS, f"{collation.name} takes some different texts for equal")
    if collation.ignores_case and not collation.is_binary:
        context.notes.assume(Assumption.LETTER_CASE, f"{collation.name} ignores case")
        texts = [f"lower({with_letters_i(text, 'lower') if collation.has_another_i else text})" for text in texts]
    sql = f"CASE WHEN {sought.operand} = '' THEN 0 ELSE strpos({', '.join(texts)}) END"
    return Value(sql, length_type(value))


def _code(function: str, context: Context, arguments: Arguments) -> Value:
    """The code of the first character, NULL for an empty text ("ASCII", "UNICODE")."""
    value = string_argument(context, arguments[0])
    if value.constant is not None:
        raise Refused(f"{function} of a constant is not translated")
    doubt_units(context.notes, value)
    if function == "ASCII" and not value.is_ascii:
        context.notes.assume(Assumption.CODES, "ASCII gives the code that a character has in the column's code page")
    return Value(f"nullif(ascii({full_text(context.notes, value)}), 0)", INT)


def _cased(function: str, context: Context, arguments: Arguments) -> Value:
    value = string_argument(context, arguments[0])
    if isinstance(value.constant, str) and value.is_ascii:
        changed = value.constant.upper() if function == "upper" else value.constant.lower()
        return constant_value(changed, value.known)
    text = unpadded(value) if value.is_trimmed else value.operand
    if value.is_ascii:
        result = text_value(f"{function}({text})", varying(value.known), [value])
        return replace(result, is_trimmed=value.is_trimmed)
    if value.collation is None:
        raise Refused(f"{function.upper()} under a collation that is not known")
    if Collation(value.collation).has_another_i:
        text = with_letters_i(text, function)
    doubt = context.notes.assume(
        Assumption.LETTER_CASE,
        f"{function.upper()} of letters beyond ASCII depends on the PostgreSQL database's locale",
    )
    result = text_value(f"{function}({text})", varying(value.known), [value])
    return replace(result, case_doubt=doubt, is_trimmed=value.is_trimmed)


def _trimmed(function: str, context: Context, arguments: Arguments) -> Value:
    """Blanks only, as in PostgreSQL ("LTRIM", "RTRIM", "TRIM")."""
    value = string_argument(context, arguments[0])
    if isinstance(value.constant, str):
        text = value.constant if function == "rtrim" else value.constant.lstrip(" ")
        return constant_value(text if function == "ltrim" else text.rstrip(" "), varying(value.known))
    sql = f"{value.operand}::text" if value.is_trimmed and function != "ltrim" else full_text(context.notes, value)
    return text_value(f"{function}({sql}, ' ')", varying(value.known), [value])


def _char(context: Context, arguments: Arguments) -> Value:
    code = context.value(arguments[0]).constant
    if not isinstance(code, int) or isinstance(code, bool) or not 0 < code < 128:
        raise Refused("CHAR is translated for a constant from 1 to 127")
    return constant_value(chr(code), sized_type("varchar", 1))


def _nchar(context: Context, arguments: Arguments) -> Value:
    code = context.value(arguments[0]).constant
    if not isinstance(code, int) or isinstance(code, bool) or not 0 < code < 0xD800:
        raise Refused("NCHAR is translated for a constant from 1 to 55295")
    return constant_value(chr(code), sized_type("nvarchar", 1))


#: what ISNUMERIC takes for a number, a sign or a currency symbol alone among it
_NUMERIC = r"^\s*[-+]?\s*[$]?[-+]?[0-9,]*[.]?[0-9]*([eEdD][-+]?[0-9]+)?\s*$"


def _isnumeric(context: Context, arguments: Arguments) -> Value:
    """Also true of a sign, a point, a comma and a currency symbol alone, and of exponents ("ISNUMERIC")."""
    value = string_argument(context, arguments[0])
    if value.constant is not None:
        raise Refused("ISNUMERIC of a constant is not translated")
    context.notes.assume(Assumption.NUMERIC_TEXTS, "which texts ISNUMERIC takes for numbers is not documented in full")
    context.notes.once(value)
    text = full_text(context.notes, value)
    is_number = f'{text} COLLATE "C" ~ {quoted(_NUMERIC)} AND {text} COLLATE "C" ~ \'[^ ]\''
    return Value(f"CASE WHEN {is_number} THEN 1 ELSE 0 END", INT)


FUNCTIONS = {
    "LEN": Function(_len, 1, 1),
    "DATALENGTH": Function(_datalength, 1, 1),
    "LEFT": Function(partial(_part, "left"), 2, 2),
    "RIGHT": Function(partial(_part, "right"), 2, 2),
    "SUBSTRING": Function(_substring, 3, 3),
    "CHARINDEX": Function(_charindex, 2, 3),
    "UPPER": Function(partial(_cased, "upper"), 1, 1),
    "LOWER": Function(partial(_cased, "lower"), 1, 1),
    "LTRIM": Function(partial(_trimmed, "ltrim"), 1, 1),
    "RTRIM": Function(partial(_trimmed, "rtrim"), 1, 1),
    "TRIM": Function(partial(_trimmed, "btrim"), 1, 1),
    "CHAR": Function(_char, 1, 1),
    "NCHAR": Function(_nchar, 1, 1),
    "ASCII": Function(partial(_code, "ASCII"), 1, 1),
    "UNICODE": Function(partial(_code, "UNICODE"), 1, 1),
    "ISNUMERIC": Function(_isnumeric, 1, 1),
}

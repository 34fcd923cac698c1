"""Functions that make texts of others: put together, repeated, replaced, turned round.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace

from mssql.expressions.arguments import constant_count, string_argument, whole_number
from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import deciding_collation, weigh
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.like import regex_of
from mssql.expressions.text import concatenate, doubt_units, full_text, text_value
from mssql.expressions.tree import Refused
from mssql.expressions.types import UNICODE, sized_type, varying
from mssql.expressions.values import Value, constant_value, quoted


def _present(context: Context, arguments: Arguments) -> list[Value]:
    """Arguments as texts, without those that are NULL for certain."""
    values = []
    for argument in arguments:
        if context.value(argument).type is None:
            continue
        value = string_argument(context, argument)
        if value.constant is None:
            value = replace(value, sql=full_text(context.notes, value), is_trimmed=False)
        values.append(value)
    return values


def _concat(context: Context, arguments: Arguments) -> Value:
    """NULL counts as an empty text ("CONCAT"). PostgreSQL's concat() is not immutable."""
    values = [
        value if value.constant is not None else replace(value, sql=f"coalesce({value.sql}, '')", is_atom=True)
        for value in _present(context, arguments)
    ]
    if not values:
        raise Refused("every argument of CONCAT is NULL")
    return concatenate(context.notes, values) if len(values) > 1 else values[0]


def _concat_ws(context: Context, arguments: Arguments) -> Value:
    """Arguments that are NULL are left out with their separators ("CONCAT_WS")."""
    separator = context.value(arguments[0])
    between = separator.constant if separator.type is not None else ""
    if not isinstance(between, str):
        raise Refused("CONCAT_WS is translated with a constant separator")
    values = _present(context, arguments[1:])
    if not values:
        raise Refused("every argument of CONCAT_WS is NULL")
    separators = between * (len(values) - 1)
    sized = concatenate(
        context.notes, [*values, constant_value(separators, sized_type("varchar", max(1, len(separators))))]
    )
    pieces = [f"coalesce({quoted(between)} || {value.operand}, '')" for value in values]
    sql = f"substring({' || '.join(pieces)}, {len(between) + 1})"
    return text_value(sql, varying(sized.known), values)


def _replicate(context: Context, arguments: Arguments) -> Value:
    """A negative number gives NULL ("REPLICATE")."""
    value, count = string_argument(context, arguments[0]), whole_number(context, arguments[1], "REPLICATE")
    times = constant_count(count)
    type_ = varying(value.known)
    if type_.max_length != -1:
        longest = 4000 if type_.name == "nvarchar" else 8000
        type_ = sized_type(type_.name, max(1, longest if times is None else min(longest, type_.characters * times)))
    sql = f"repeat({full_text(context.notes, value)}, {count.sql})"
    if times is not None:
        return text_value(sql, type_, [value])
    context.notes.once(count)
    return text_value(f"CASE WHEN {count.operand} >= 0 THEN {sql} END", type_, [value])


def _space(context: Context, arguments: Arguments) -> Value:
    """A negative number gives NULL ("SPACE")."""
    count = whole_number(context, arguments[0], "SPACE")
    times = constant_count(count)
    if times is not None and times <= 8000:
        return constant_value(" " * times, sized_type("varchar", max(1, times)))
    context.notes.once(count)
    sql = f"CASE WHEN {count.operand} >= 0 THEN repeat(' ', {count.sql}) END"
    return Value(sql, sized_type("varchar", 8000), is_ascii=True)


def _reverse(context: Context, arguments: Arguments) -> Value:
    value = string_argument(context, arguments[0])
    doubt_units(context.notes, value)
    return text_value(f"reverse({full_text(context.notes, value)})", varying(value.known), [value])


def _stuff(context: Context, arguments: Arguments) -> Value:
    """NULL where the start is no position in the text; NULL in place of a text inserts nothing ("STUFF")."""
    value = string_argument(context, arguments[0])
    start, count = (whole_number(context, argument, "STUFF") for argument in arguments[1:3])
    new = context.value(arguments[3])
    new = constant_value("", sized_type("varchar", 1)) if new.type is None else string_argument(context, arguments[3])
    doubt_units(context.notes, value)
    text = full_text(context.notes, value)
    conditions = [f"length({text}) >= {start.operand}"]
    for number, least in ((start, 1), (count, 0)):
        if number.constant is None:
            context.notes.once(number)
            conditions.append(f"{number.operand} >= {least}")
        elif not isinstance(number.constant, int) or number.constant < least:
            raise Refused("STUFF has a constant position or length for which it is always NULL")
    inserted = new.sql if new.constant is not None else f"coalesce({full_text(context.notes, new)}, '')"
    sql = f"overlay({text} placing {inserted} from {start.sql} for {count.sql})"
    size = concatenate(context.notes, [value, new]).known
    return text_value(f"CASE WHEN {' AND '.join(conditions)} THEN {sql} END", varying(size), [value, new])


def _replace(context: Context, arguments: Arguments) -> Value:
    """The search follows the collation ("REPLACE"): where it ignores case, both cases of a letter are looked for."""
    value, sought, new = (string_argument(context, argument) for argument in arguments)
    if not isinstance(sought.constant, str) or not sought.constant or not isinstance(new.constant, str):
        raise Refused("REPLACE is translated for constant texts only")
    text = full_text(context.notes, value)
    sql = f"replace({text}, {sought.sql}, {new.sql})"
    if not value.is_ascii:
        collation = deciding_collation(value, sought, new)
        type_ = sought.known if sought.known.name in UNICODE else value.known
        if weigh(context.notes, sought.constant, collation, type_):
            by = new.constant.replace("\\", "\\\\")
            regex = quoted(regex_of(sought.constant, collation))
            sql = f"regexp_replace({text} COLLATE \"C\", {regex}, {quoted(by)}, 'g')"
    elif any(character.isalpha() for character in sought.constant):
        raise Refused("REPLACE may ignore case")
    type_ = varying(value.known)
    if type_.max_length != -1:
        growth = -(-len(new.constant) // len(sought.constant))
        type_ = sized_type(type_.name, type_.characters * max(1, growth))
        if type_.max_length > 8000:
            context.notes.assume(Assumption.LONG_TEXTS, "T-SQL cuts a text of more than 8000 bytes")
            type_ = sized_type(type_.name, -1)
    return text_value(sql, type_, [value, sought, new])


def _translate(context: Context, arguments: Arguments) -> Value:
    """Each character by the one that stands at its place ("TRANSLATE")."""
    value, sought, new = (string_argument(context, argument) for argument in arguments)
    if not isinstance(sought.constant, str) or not isinstance(new.constant, str):
        raise Refused("TRANSLATE is translated for constant texts only")
    collation = deciding_collation(value, sought, new)
    old, by = sought.constant, new.constant
    if weigh(context.notes, old, collation, value.known):
        pairs = [(case, to) for one, to in zip(old, by, strict=False) for case in sorted(collation.cases(one))]
        old, by = ("".join(letters) for letters in zip(*pairs, strict=True))
    sql = f"translate({full_text(context.notes, value)}, {quoted(old)}, {quoted(by)})"
    return text_value(sql, varying(value.known), [value])


def _quotename(context: Context, arguments: Arguments) -> Value:
    """A name in brackets, a closing one within it twice; NULL for more than 128 characters ("QUOTENAME")."""
    if len(arguments) == 2 and context.value(arguments[1]).constant not in {"[", "]"}:
        raise Refused("QUOTENAME is translated with brackets only")
    value = string_argument(context, arguments[0])
    doubt_units(context.notes, value)
    text = full_text(context.notes, value)
    sql = f"CASE WHEN length({text}) <= 128 THEN '[' || replace({text}, ']', ']]') || ']' END"
    return text_value(sql, sized_type("nvarchar", 258), [value])


FUNCTIONS = {
    "QUOTENAME": Function(_quotename, 1, 2),
    "CONCAT": Function(_concat, 2, 99),
    "CONCAT_WS": Function(_concat_ws, 3, 99),
    "REPLICATE": Function(_replicate, 2, 2),
    "SPACE": Function(_space, 1, 1),
    "REVERSE": Function(_reverse, 1, 1),
    "STUFF": Function(_stuff, 4, 4),
    "REPLACE": Function(_replace, 3, 3),
    "TRANSLATE": Function(_translate, 3, 3),
}

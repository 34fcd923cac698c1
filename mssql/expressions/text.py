"""Texts with all of T-SQL's characters: padding, UTF-16 units, one after another."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import replace

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import Collation
from mssql.expressions.tree import Refused
from mssql.expressions.types import INT, STRINGS, UNICODE, sized_type
from mssql.expressions.values import DateText, Notes, Value, constant_value


def full_text(notes: Notes, value: Value) -> str:
    """The SQL of a text with all of T-SQL's characters: what is made of a char(n) gets its padding back."""
    if not value.is_trimmed:
        return value.operand
    if value.known.name in UNICODE:
        notes.assume(Assumption.UTF16_UNITS, "the padding of nchar counts UTF-16 units")
    elif value.collation is None or not Collation(value.collation).has_one_byte_characters:
        notes.doubt("the padding of char counts bytes")
    return f"rpad({unpadded(value)}, {value.known.characters})"


def text_value(sql: str, type_: SqlType, sources: Sequence[Value], *, is_atom: bool = True) -> Value:
    """A text made of others, with the collation that they bring."""
    texts = [value for value in sources if value.type is not None and value.known.name in STRINGS]
    explicit = {value.collation for value in texts if value.has_explicit_collation}
    names = explicit or {value.collation for value in texts if value.collation is not None}
    if len(names) > 1:
        raise Refused(f"the collations {' and '.join(sorted(str(name) for name in names))} are in conflict")
    return Value(
        sql, type_, is_atom=is_atom, collation=next(iter(names), None), has_explicit_collation=bool(explicit),
        is_ascii=all(value.is_ascii for value in sources), is_now=False,
        case_doubt=next((value.case_doubt for value in texts if value.case_doubt is not None), None),
    )  # fmt: skip


def concatenate(notes: Notes, values: Sequence[Value]) -> Value:
    """Texts one after another; NULL makes the whole NULL in both engines."""
    types = [value.type for value in values if value.type is not None]
    is_unicode = any(type_.name in UNICODE for type_ in types)
    for type_ in types:
        if type_.name not in STRINGS or type_.name in {"text", "ntext"}:
            raise Refused(f"{type_} is put together with a text")
    sizes = [type_.characters for type_ in types]
    size = -1 if -1 in sizes else sum(sizes)
    most = 4000 if is_unicode else 8000
    if size > most:
        notes.assume(Assumption.LONG_TEXTS, "T-SQL cuts a text of more than 8000 bytes")
        size = most
    constants = [value.constant for value in values]
    type_ = sized_type("nvarchar" if is_unicode else "varchar", size)
    if all(isinstance(constant, str) for constant in constants):
        return constant_value("".join(str(constant) for constant in constants), type_)
    result = text_value(" || ".join(full_text(notes, value) for value in values), type_, values, is_atom=False)
    is_digits = all(value.is_digits or re.fullmatch("[0-9]+", str(value.constant)) for value in values)
    return replace(result, is_digits=is_digits, date_text=_with_time(values))


_TIME = re.compile(r" (?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.(?:[0-9]{2}[037]|[0-9]{1,2}))?)?)")


def _with_time(values: Sequence[Value]) -> DateText | None:
    """The day of a date's text, at the time of a constant that follows it."""
    if len(values) != 2 or values[0].date_text is None or not isinstance(values[1].constant, str):
        return None
    match = _TIME.fullmatch(values[1].constant)
    if match is None:
        return None
    fraction = match["time"].partition(".")[2]
    text = match["time"] + "0" * (3 - len(fraction) if fraction else 0)
    try:
        return replace(values[0].date_text, time=dt.time.fromisoformat(text))
    except ValueError:
        return None


def unpadded(value: Value) -> str:
    """A text without trailing blanks; PostgreSQL drops those of char(n) in the cast."""
    if not value.is_trimmed:
        return f"rtrim({value.sql}, ' ')"
    return f"{value.operand}::text" if value.known.name in {"char", "nchar"} else value.operand


def utf16_length(text: str) -> int:
    """How many UTF-16 units a text has, which is what T-SQL counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_in_units(value: Value) -> bool:
    """Positions in this text count UTF-16 units, where PostgreSQL counts characters."""
    if value.known.name not in UNICODE or value.is_ascii:
        return False
    return value.collation is None or not Collation(value.collation).counts_characters


def length_type(value: Value) -> SqlType:
    """The type of a length or position in a text ("LEN", "CHARINDEX")."""
    return SqlType("bigint") if value.known.max_length == -1 else INT


def doubt_units(notes: Notes, value: Value) -> None:
    """Notes that positions in this text may be counted in other units."""
    if is_in_units(value):
        notes.assume(
            Assumption.UTF16_UNITS, "positions in an n-type text count UTF-16 units in T-SQL, characters in PostgreSQL"
        )


def in_utf16_units(sql: str) -> str:
    """A text whose length is its length in UTF-16 units: characters beyond U+FFFF stand twice."""
    return rf"""regexp_replace({sql} COLLATE "C", '([\U00010000-\U0010FFFF])', '\1\1', 'g')"""

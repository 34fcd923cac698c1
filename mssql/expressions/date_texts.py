"""Dates and times as texts: the styles of CONVERT and the patterns of FORMAT.

A text is put together from numbers, because PostgreSQL's to_char is not immutable. Rules cited by the title of the page
in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.tree import Refused
from mssql.expressions.types import SCALED_TIMES, sized_type
from mssql.expressions.values import DateText, Notes, Value, quoted


@dataclass(frozen=True)
class _Part:
    """A part of a date in a text: the letter for it, its SQL, its pattern in to_char if it has one, its characters."""

    letter: str
    sql: str
    pattern: str | None
    length: int


_MONTHS = "('{{Jan,Feb,Mar,Apr,May,Jun,Jul,Aug,Sep,Oct,Nov,Dec}}'::text[])[extract(month from {0})::integer]"
_TWELVE = "((extract(hour from {0})::integer + 11) % 12 + 1)::text"
_PARTS = {
    part.letter: part
    for part in (
        _Part("Y", "lpad(extract(year from {0})::text, 4, '0')", "YYYY", 4),
        _Part("y", "lpad((extract(year from {0})::integer % 100)::text, 2, '0')", "YY", 2),
        _Part("M", "lpad(extract(month from {0})::text, 2, '0')", "MM", 2),
        _Part("b", _MONTHS, "Mon", 3),
        _Part("D", "lpad(extract(day from {0})::text, 2, '0')", "DD", 2),
        _Part("d", "lpad(extract(day from {0})::text, 2)", None, 2),
        _Part("h", "lpad(extract(hour from {0})::text, 2, '0')", "HH24", 2),
        _Part("H", f"lpad({_TWELVE}, 2)", None, 2),
        _Part("m", "lpad(extract(minute from {0})::text, 2, '0')", "MI", 2),
        _Part("s", "lpad(trunc(extract(second from {0}))::text, 2, '0')", "SS", 2),
        _Part("A", "CASE WHEN extract(hour from {0}) < 12 THEN 'AM' ELSE 'PM' END", "AM", 2),
    )
}

_DATE_STYLES = {
    0: "b d Y", 1: "M/D/y", 2: "y.M.D", 3: "D/M/y", 4: "D.M.y", 5: "D-M-y", 6: "D b y", 7: "b D, y", 9: "b d Y",
    10: "M-D-y", 11: "y/M/D", 12: "yMD", 13: "D b Y", 20: "Y-M-D", 21: "Y-M-D", 23: "Y-M-D", 101: "M/D/Y",
    102: "Y.M.D", 103: "D/M/Y", 104: "D.M.Y", 105: "D-M-Y", 106: "D b Y", 107: "b D, Y", 110: "M-D-Y", 111: "Y/M/D",
    112: "YMD", 126: "Y-M-D",
}  # fmt: skip
_STYLES = {
    **_DATE_STYLES,
    0: "b d Y H:mA", 8: "h:m:s", 9: "b d Y H:m:s:fA", 13: "D b Y h:m:s:f", 14: "h:m:s:f", 20: "Y-M-D h:m:s",
    21: "Y-M-D h:m:s.f", 126: "Y-M-DTh:m:s.f",
}  # fmt: skip
"""What a style writes of a date, and of a date with a time ("CAST and CONVERT", date and time styles)."""
_TIME_STYLES = {8, 14, 20, 21, 126}
SAME_STYLES = {100: 0, 24: 8, 108: 8, 109: 9, 113: 13, 114: 14, 120: 20, 25: 21, 121: 21, 127: 126}


def styled(notes: Notes, value: Value, target: SqlType, style: int | None) -> Value:
    """A date or time as CONVERT writes it; without a style by the type's default. Raises `Refused`."""
    if style is None:
        style = 0 if value.known.name in {"datetime", "smalldatetime"} else 21
    style = SAME_STYLES.get(style, style)
    if style in {130, 131}:
        raise Refused(f"style {style} of CONVERT writes dates of the Hijri calendar")
    size = target.characters if target.name not in {"text", "ntext"} else -1
    pieces = _fitting(_pieces(_letters(style, value.known.name), value, style), size)
    letters = {piece.letter for piece in pieces}
    if "b" in letters:
        notes.doubt("the names of months in the text of a date depend on the session's language")
    if "F" in letters:
        notes.doubt("the seventh fractional digit stands in the text on the source, and PostgreSQL has six")
    length = sum(piece.length for piece in pieces)
    is_whole = size == -1 or length <= size
    sql = _joined(value, pieces)
    if not is_whole:
        sql = f"left({sql}, {size})"
    elif target.name in {"char", "nchar"} and size > length:
        sql = f"rpad({sql}, {size})"
    is_day = is_whole and letters >= {"M", "D"} and not letters & set("hsm")
    return Value(
        sql, target, is_atom=" || " not in sql or sql.startswith(("left(", "rpad(")), is_ascii=True,
        is_digits=style in {12, 112}, date_text=DateText(replace(value, constant=None), style) if is_day else None,
    )  # fmt: skip


def _letters(style: int, name: str) -> str:
    """What a style writes of a type: of a date no time, of a time no date."""
    if name == "time":
        if style not in _TIME_STYLES:
            raise Refused(f"style {style} of CONVERT is not translated for a time")
        letters = _STYLES[style]
        return letters[letters.index("h") :]
    found = (_DATE_STYLES if name == "date" else _STYLES).get(style)
    if found is None:
        raise Refused(
            "a date has no time to write" if style in _STYLES else f"style {style} of CONVERT is not one of the page"
        )
    return found


def _pieces(letters: str, value: Value, style: int) -> list[_Part]:
    """The parts of a text in their order."""
    pieces: list[_Part] = []
    for letter in letters:
        if letter == "f":
            pieces += _fraction(value.known, style, pieces.pop())
        else:
            pieces.append(_PARTS.get(letter) or _literal(letter))
    return pieces


def _literal(text: str) -> _Part:
    pattern = f'"{text}"' if any(character.isalpha() for character in text) else text
    return _Part(text, quoted(text).replace("{", "{{").replace("}", "}}"), pattern, len(text))


def _fraction(type_: SqlType, style: int, separator: _Part) -> list[_Part]:
    """The fraction with what stands before it, in as many digits as the type has ("CAST and CONVERT")."""
    digits = type_.scale if type_.name in SCALED_TIMES else 3
    if digits == 0:
        return []
    if type_.name == "smalldatetime":
        # "The styles that include seconds or milliseconds show zeros in these positions."
        return [] if style == 126 else [separator, _literal("000")]
    part = _fraction_part(digits)
    if style != 126 or type_.name != "datetime":
        return [separator, part]
    # "For a milliseconds (mmm) value of 0, the millisecond decimal fraction value will not display."
    sql = f"CASE WHEN {_MICROSECONDS} = 0 THEN '' ELSE '.' || {part.sql} END"
    return [_Part("f", sql, None, digits + 1)]


_MICROSECONDS = "extract(microseconds from {0})::integer % 1000000"


def _fraction_part(digits: int) -> _Part:
    """So many digits of a fraction; the letter is F where there are more than PostgreSQL has."""
    kept = min(digits, 6)
    whole = _MICROSECONDS if kept == 6 else f"{_MICROSECONDS} / {10 ** (6 - kept)}"
    sql = f"lpad(({whole})::text, {kept}, '0')" + " || '0'" * (digits - kept)
    return _Part("f" if kept == digits else "F", sql, {3: "MS", 6: "US"}.get(digits), digits)


def _fitting(pieces: Iterable[_Part], size: int) -> list[_Part]:
    """The pieces that stand in a text of so many characters."""
    kept: list[_Part] = []
    length = 0
    for piece in pieces:
        if size != -1 and length >= size:
            break
        kept.append(piece)
        length += piece.length
    return kept


def _joined(value: Value, pieces: Sequence[_Part]) -> str:
    patterns = [piece.pattern for piece in pieces]
    if value.is_now and None not in patterns:
        return f"to_char({value.sql}, {quoted(''.join(filter(None, patterns)))})"
    return " || ".join(piece.sql.format(value.operand) for piece in _merged(pieces))


def _merged(pieces: Sequence[_Part]) -> list[_Part]:
    """Literals that stand side by side as one."""
    merged: list[_Part] = []
    for piece in pieces:
        before = merged[-1] if merged else None
        if before is not None and before.sql.endswith("'") and piece.sql.startswith("'") and before.sql[0] == "'":
            merged[-1] = _literal(before.letter + piece.letter)
        else:
            merged.append(piece)
    return merged


_GREGORIAN = {
    "de-at",
    "de-ch",
    "de-de",
    "en-au",
    "en-ca",
    "en-gb",
    "es-es",
    "fr-fr",
    "it-it",
    "nl-nl",
    "pl-pl",
    "sv-se",
}
_FORMAT_TOKENS = re.compile(r"'(?P<quoted>[^'\"\\{}]*)'|(?P<run>([A-Za-z])\3*)|(?P<other>[^\\%\"])")
_FORMAT_PARTS = {
    "yyyy": _PARTS["Y"], "yy": _PARTS["y"], "MM": _PARTS["M"], "dd": _PARTS["D"], "HH": _PARTS["h"],
    "hh": _Part("h", f"lpad({_TWELVE}, 2, '0')", "HH12", 2), "mm": _PARTS["m"], "ss": _PARTS["s"], "tt": _PARTS["A"],
    "MMM": _PARTS["b"], "M": _Part("M", "extract(month from {0})::text", "FMMM", 2),
    "d": _Part("D", "extract(day from {0})::text", "FMDD", 2), "H": _Part("h", "extract(hour from {0})::text", None, 2),
    "h": _Part("h", _TWELVE, None, 2),
}  # fmt: skip


def formatted(notes: Notes, value: Value, pattern: str, culture: str | None) -> Value:
    """A date as FORMAT writes it by a pattern of .NET ("FORMAT"). Raises `Refused`."""
    if len(pattern) == 1:
        raise Refused(f"the standard format {pattern!r} follows a culture")
    pieces: list[_Part] = []
    position = 0
    while position < len(pattern):
        match = _FORMAT_TOKENS.match(pattern, position)
        if match is None:
            raise Refused(f"the pattern {pattern!r} of FORMAT is not translated")
        position = match.end()
        pieces.append(_format_part(pattern, match))
    _weigh_culture(notes, pieces, culture)
    if any(piece.letter == "F" for piece in pieces):
        raise Refused(f"the pattern {pattern!r} of FORMAT has more digits than PostgreSQL")
    sql = _joined(value, pieces)
    is_digits = all(piece.letter in set("YyMDhms") and piece.pattern for piece in pieces)
    type_ = sized_type("nvarchar", 4000)
    return Value(sql, type_, is_atom=" || " not in sql, is_ascii=True, is_digits=is_digits)


def _format_part(pattern: str, match: re.Match[str]) -> _Part:
    run = match["run"]
    if run is None:
        return _literal(match["quoted"] if match["quoted"] is not None else match["other"])
    if set(run) == {"f"}:
        return _fraction_part(len(run))
    if run in _FORMAT_PARTS:
        return _FORMAT_PARTS[run]
    if run == "T":
        return _literal(run)
    raise Refused(f"{run!r} in the pattern {pattern!r} of FORMAT is not translated")


def _weigh_culture(notes: Notes, pieces: Sequence[_Part], culture: str | None) -> None:
    """What a culture decides: names, separators, AM and PM, the calendar."""
    name = (culture or "").lower()
    if name == "en-us":
        return
    if any(piece.letter in {"b", "A", "/", ":"} for piece in pieces):
        whose = f"the culture {culture!r}" if culture else "the language of the session"
        notes.doubt(f"what FORMAT writes for /, :, AM and names follows {whose}")
    elif name not in _GREGORIAN:
        notes.assume(Assumption.CALENDAR, "FORMAT writes dates by the calendar of the session's language")

"""T-SQL expressions of the catalog (defaults, checks, computed columns, filters) in PostgreSQL's SQL.

A text is read into a tree (`expression_parser`), typed by the columns it names and written again. THE RULE:
what does not translate with certainty is not emitted. It comes back with a reason in plain words and, where
one exists, a suggestion that a person can judge. Operators and functions are a whitelist; whatever is not on
it is refused by name.

What the result means:

- **The time.** GETDATE() is constant within a statement and is the server's local time without a zone.
  `statement_timestamp()::timestamp` is that, in the PostgreSQL session's TimeZone.
- **Text.** T-SQL compares under a collation and ignores trailing blanks; PostgreSQL compares bytes. A constant
  of ASCII characters is compared without trailing blanks and, under a case-insensitive collation, without
  ASCII case, whatever the locale of the database. A Windows collation knows more equal characters (full-width
  forms, zero-width ones): a check or a filter is then still emitted, for a row it refuses is refused aloud;
  a computed column, whose value would be wrong in silence, is not.
- **Ranges in LIKE.** `[A-Z]` follows the collation's order, which has accented letters between A and Z. A check is
  emitted so that it accepts every row the source accepts, and some more: characters beyond ASCII pass.
- **NULL.** A check is violated only by FALSE in both engines; three-valued logic is the same.
- **Errors.** Where T-SQL raises an error (overflow, an impossible conversion) there is no value to preserve;
  PostgreSQL may give one.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from enum import Enum, IntEnum

from model.catalog import DEFAULT_SCHEMA, Column, SqlType, Table, Translation
from mssql.expression_parser import (
    COMPARISONS,
    SCALED_TIMES,
    SYNONYMS,
    Between,
    Binary,
    Call,
    Case,
    Collate,
    Convert,
    In,
    IsNull,
    Like,
    Literal,
    Logical,
    Name,
    NextValue,
    Node,
    Not,
    Null,
    Refused,
    Token,
    Unary,
    decimal_type,
    parse,
    sized_type,
)

Quote = Callable[[str], str]
SequenceName = Callable[[str, str], str]


# --- types -------------------------------------------------------------------------------------------------

_INTEGERS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_INTEGER_BOUNDS = {
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_MONEY = {"money": 19, "smallmoney": 10}
_MONEY_BOUNDS = {
    "money": Decimal("922337203685477.5807"),
    "smallmoney": Decimal("214748.3647"),
}
_FLOATS = {"float", "real"}
_STRINGS = {"char", "varchar", "nchar", "nvarchar", "text", "ntext"}
_UNICODE = {"nchar", "nvarchar", "ntext"}
_TIMESTAMPS = {"smalldatetime", "datetime", "datetime2"}
_DATED = _TIMESTAMPS | {"date"}
_TIMES = _DATED | {"time", "datetimeoffset"}
_BINARIES = {"binary", "varbinary", "image"}

_PRECEDENCE = (
    "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real", "decimal", "money",
    "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image", "uniqueidentifier",
    "nvarchar", "nchar", "varchar", "char", "varbinary", "binary",
)  # fmt: skip
"""Highest first ("Data type precedence"). A type that is missing here takes part in IS NULL only."""

_POSTGRES_TYPES = {
    "bit": "boolean", "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint",
    "real": "real", "float": "double precision", "date": "date", "time": "time", "uniqueidentifier": "uuid",
    "smalldatetime": "timestamp", "datetime": "timestamp", "datetime2": "timestamp", "datetimeoffset": "timestamptz",
}  # fmt: skip

_INT = SqlType("int", 4, 10)
_BIT = SqlType("bit", 1, 1)
_FLOAT = SqlType("float", 8, 53)
_DATETIME = SqlType("datetime", 8, 23, 3)


def _normalised(type_: SqlType) -> SqlType:
    """A column's type under the one name that this module uses for it."""
    if type_.is_clr:
        return type_
    if type_.name == "sysname":
        return sized_type("nvarchar", 128)
    if type_.name == "float" and 0 < type_.precision <= 24:
        return SqlType("real")
    return replace(type_, name=SYNONYMS.get(type_.name, type_.name))


def _postgres_type(type_: SqlType) -> str:
    if type_.name == "decimal":
        return f"numeric({type_.precision},{type_.scale})"
    if type_.name in _MONEY:
        return f"numeric({_MONEY[type_.name]},4)"
    return _POSTGRES_TYPES[type_.name]


def _digits(type_: SqlType) -> tuple[int, int]:
    """Precision and scale of an exact number, as decimal arithmetic sees it."""
    if type_.name == "decimal":
        return type_.precision, type_.scale
    if type_.name in _MONEY:
        return _MONEY[type_.name], 4
    return _INTEGERS.get(type_.name, 1), 0


def _is_exact(type_: SqlType) -> bool:
    return type_.name == "decimal" or type_.name in _MONEY or type_.name in _INTEGERS


@dataclass(frozen=True)
class _Collation:
    """What a collation's name says ("Windows collation name", "Collation and Unicode support")."""

    name: str

    @property
    def _parts(self) -> list[str]:
        return self.name.upper().split("_")

    @property
    def is_binary(self) -> bool:
        return bool({"BIN", "BIN2"} & set(self._parts))

    @property
    def ignores_case(self) -> bool:
        return "CI" in self._parts

    @property
    def is_understood(self) -> bool:
        """The name says of case and accents what it does with them."""
        return self.is_binary or bool({"CI", "CS"} & set(self._parts) and {"AI", "AS"} & set(self._parts))

    @property
    def ignores_accents(self) -> bool:
        return "AI" in self._parts

    @property
    def counts_characters(self) -> bool:
        """Positions count characters, not UTF-16 units (_SC, _UTF8 and the version 140 collations)."""
        return bool({"SC", "UTF8"} & set(self._parts)) or ("140" in self._parts and not self.is_binary)

    @property
    def has_one_byte_characters(self) -> bool:
        """varchar holds one byte a character. Unknown families count as having more."""
        return "UTF8" not in self._parts and self._parts[0] not in {"JAPANESE", "CHINESE", "KOREAN", "XJIS"}

    @property
    def has_another_i(self) -> bool:
        """I is not the capital of i."""
        return self._parts[0] in {"TURKISH", "AZERI"} or "1254" in self.name

    def is_exact_for(self, type_: SqlType) -> bool:
        """No two characters are equal but ASCII letters of different case: bytes, or an SQL_ sort order on varchar."""
        return self.is_binary or (self._parts[0] == "SQL" and type_.name not in _UNICODE)


# --- values ------------------------------------------------------------------------------------------------

_Constant = bool | int | Decimal | float | str | bytes | dt.date | dt.time | uuid.UUID


class _Volatility(IntEnum):
    IMMUTABLE = 0
    STABLE = 1
    VOLATILE = 2


@dataclass(eq=False)
class _Doubt:
    """Why an expression is not certain. A lenient one counts where a wrong outcome would be silent only."""

    reason: str
    is_lenient: bool = False


@dataclass(frozen=True)
class _Value:
    """A translated scalar. `type` is T-SQL's, `None` for a bare NULL.

    `is_atom`: needs no parentheses as an operand. `is_now`: made of the present time and no column. `is_ascii`: text
    that cannot hold anything else. `is_trimmed`: the SQL of a char(n) whose padding PostgreSQL drops.
    """

    sql: str
    type: SqlType | None
    constant: _Constant | None = None
    is_atom: bool = True
    collation: str | None = None
    has_explicit_collation: bool = False
    is_ascii: bool = False
    is_now: bool = False
    is_trimmed: bool = False
    case_doubt: _Doubt | None = None

    @property
    def known(self) -> SqlType:
        """The type of anything but a bare NULL, which is refused here."""
        if self.type is None:
            raise Refused("a bare NULL is an operand")
        return self.type

    @property
    def operand(self) -> str:
        """The SQL in parentheses where precedence asks for them."""
        return self.sql if self.is_atom else f"({self.sql})"


def _quoted(text: str) -> str:
    """A PostgreSQL string literal (standard_conforming_strings is on, so a backslash is itself)."""
    if "\0" in text:
        raise Refused("a text holds U+0000, which PostgreSQL cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("a text holds an unpaired surrogate, which has no UTF-8") from None
    return "'" + text.replace("'", "''") + "'"


def _constant_sql(value: _Constant, type_: SqlType, *, is_bare: bool = False) -> str:
    """A constant in SQL. `is_bare` leaves out the cast where the column's type does the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if is_bare and (value == 0 or 1e-5 < abs(value) < 1e15):
            return format(Decimal(repr(value)), "f").removesuffix(".0")
        return f"'{value!r}'::{_postgres_type(type_)}"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if is_bare or "." in text else f"{text}::numeric"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, uuid.UUID):
        return f"'{value}'::uuid"
    text = value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
    return f"'{text}'::{_postgres_type(type_)}"


def _constant(value: _Constant, type_: SqlType) -> _Value:
    sql = _constant_sql(value, type_)
    is_ascii = isinstance(value, str) and value.isascii()
    return _Value(sql, type_, value, is_atom=not sql.startswith("-"), is_ascii=is_ascii)


_NULL = _Value("NULL", None)


def _literal(node: Literal) -> _Value:
    """A literal with the type T-SQL gives it ("Constants")."""
    text = node.text
    if node.kind in {Token.STRING, Token.NATIONAL}:
        name = "nvarchar" if node.kind is Token.NATIONAL else "varchar"
        return _constant(text, sized_type(name, max(1, _utf16_length(text))))
    if node.kind is Token.BINARY:
        digits = text if len(text) % 2 == 0 else "0" + text
        return _constant(bytes.fromhex(digits), sized_type("varbinary", max(1, len(digits) // 2)))
    if node.kind is Token.MONEY:
        return _constant(_to_money(Decimal(text), "money"), SqlType("money"))
    if "e" in text.lower():
        number = float(text)
        if math.isinf(number):
            raise Refused(f"the number {text} is beyond float's range")
        return _constant(number, _FLOAT)
    if "." not in text:
        if int(text) <= _INTEGER_BOUNDS["int"][1]:
            return _constant(int(text), _INT)
        return _constant(Decimal(int(text)), decimal_type(len(text.lstrip("0"))))
    number_ = Decimal(text)
    whole, _, fraction = text.partition(".")
    precision = len(whole.lstrip("0")) + len(fraction)
    return _constant(number_, decimal_type(max(1, precision), len(fraction)))


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


# --- constants from one type to another --------------------------------------------------------------------

_WIDE = Context(prec=80)
_INTEGER_TEXT = re.compile(r" *[+-]?[0-9]{1,40} *")
_NUMBER_TEXT = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+) *")
_FLOAT_TEXT = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? *")
_UUID_TEXT = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")


def _convert_constant(
    value: _Constant, source: SqlType, target: SqlType, style: int | None, is_assignment: bool
) -> _Constant:
    """A constant under another T-SQL type ("CAST and CONVERT": implicit conversions, truncating and rounding).

    Raises `Refused` where the source would refuse it or its value depends on a setting.
    """
    name = target.name
    refusal = Refused(f"{_shown(value)} is no {target} on the source, or not one that is certain")
    if name == "bit":
        return _to_bit(value, refusal)
    if name in _INTEGERS:
        return _to_integer(value, source, name, refusal)
    if name == "decimal":
        return _to_decimal(_to_number(value, refusal), target)
    if name in _MONEY:
        return _to_money(_to_number(value, refusal), name)
    if name in _FLOATS:
        return _to_float(value, name, refusal)
    if name in _STRINGS:
        return _to_text(value, source, target, is_assignment)
    if name in _BINARIES:
        return _to_binary(value, source, target, refusal)
    if name == "uniqueidentifier":
        if isinstance(value, uuid.UUID):
            return value
        match = _UUID_TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise refusal
        return uuid.UUID(match[1])
    if name in _TIMES:
        return _to_time(value, target, style, refusal)
    raise refusal


def _shown(value: _Constant) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _to_bit(value: _Constant, refusal: Refused) -> bool:
    if isinstance(value, str):
        word = value.strip(" ").lower()
        if word in {"true", "false"}:
            return word == "true"
        if not _INTEGER_TEXT.fullmatch(value):
            raise refusal
        return int(value) != 0
    if isinstance(value, bool | int | Decimal | float):
        return bool(value != 0)
    raise refusal


def _to_integer(value: _Constant, source: SqlType, name: str, refusal: Refused) -> int:
    if isinstance(value, str):
        if value.strip(" ") and not _INTEGER_TEXT.fullmatch(value):
            raise refusal
        number = int(value) if value.strip(" ") else 0
    elif isinstance(value, bytes):
        size = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[name]
        number = int.from_bytes(value[-size:].rjust(size, b"\0"), "big", signed=name != "tinyint")
    elif isinstance(value, Decimal):
        rounding = ROUND_HALF_UP if source.name in _MONEY else ROUND_DOWN
        number = int(value.to_integral_value(rounding))
    elif isinstance(value, bool | int | float):
        number = int(value)
    else:
        raise refusal
    low, high = _INTEGER_BOUNDS[name]
    if not low <= number <= high:
        raise refusal
    return number


def _to_number(value: _Constant, refusal: Refused) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool | int):
        return Decimal(int(value))
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, str) and _NUMBER_TEXT.fullmatch(value):
        return Decimal(value.strip(" "))
    raise refusal


def _to_decimal(number: Decimal, target: SqlType) -> Decimal:
    try:
        rounded = number.quantize(Decimal(1).scaleb(-target.scale), ROUND_HALF_UP, _WIDE)
    except InvalidOperation:
        raise Refused(f"{number} does not fit into {target}") from None
    if rounded.copy_abs() >= Decimal(10) ** (target.precision - target.scale):
        raise Refused(f"{number} does not fit into {target}")
    return rounded


def _to_money(number: Decimal, name: str) -> Decimal:
    try:
        rounded = number.quantize(Decimal("0.0001"), ROUND_HALF_UP, _WIDE)
    except InvalidOperation:
        raise Refused(f"{number} does not fit into {name}") from None
    if rounded.copy_abs() > _MONEY_BOUNDS[name]:
        raise Refused(f"{number} does not fit into {name}")
    return rounded


def _to_float(value: _Constant, name: str, refusal: Refused) -> float:
    if isinstance(value, str):
        if not _FLOAT_TEXT.fullmatch(value):
            raise refusal
        number = float(value)
    elif isinstance(value, bool | int | Decimal | float):
        number = float(value)
    else:
        raise refusal
    if math.isinf(number) or (name == "real" and abs(number) > 3.4e38):
        raise refusal
    return number


def _to_text(value: _Constant, source: SqlType, target: SqlType, is_assignment: bool) -> str:
    size = target.characters if target.name not in {"text", "ntext"} else -1
    if isinstance(value, str):
        if target.name not in _UNICODE and source.name in _UNICODE and not value.isascii():
            raise Refused(f"{value!r} goes through a code page, which may replace characters")
        if size == -1 or _utf16_length(value) <= size:
            return value.ljust(size) if target.name in {"char", "nchar"} and not is_assignment else value
        if is_assignment:
            if _utf16_length(value.rstrip(" ")) <= size:
                return value[: len(value) - (_utf16_length(value) - size)]
            raise Refused(f"{value!r} is longer than {target}: the source refuses every row that takes it")
        if not value.isascii():
            raise Refused(f"{value!r} is cut in units that PostgreSQL counts in another way")
        return value[:size]
    if isinstance(value, bool | int):
        text = str(int(value))
    elif isinstance(value, Decimal) and source.name == "decimal":
        text = format(value, "f")
    elif isinstance(value, Decimal) and value == value.quantize(Decimal("0.01")):
        text = format(value.quantize(Decimal("0.01")), "f")
    elif isinstance(value, uuid.UUID):
        text = str(value).upper()
    elif type(value) is dt.date:
        text = value.isoformat()
    else:
        raise Refused(f"the text that T-SQL makes of {_shown(value)} is not certain")
    if size != -1 and len(text) > size:
        raise Refused(f"{text} is longer than {target}")
    return text.ljust(size) if target.name in {"char", "nchar"} and not is_assignment else text


def _to_binary(value: _Constant, source: SqlType, target: SqlType, refusal: Refused) -> bytes:
    size = target.max_length if target.name != "image" else -1
    if isinstance(value, bytes):
        if size != -1 and len(value) > size:
            raise refusal
        return value.ljust(size, b"\0") if target.name == "binary" else value
    if isinstance(value, int) and not isinstance(value, bool) and source.name == "int" and size != -1:
        data = value.to_bytes(4, "big", signed=True)
        return data.rjust(size, b"\0") if target.name == "binary" and size >= 4 else data[-size:]
    raise refusal


_BASE_DATE = dt.date(1900, 1, 1)
_DATE_TIME_TEXT = re.compile(
    r"(?P<date>[0-9]{8}|[0-9]{1,4}(?P<separator>[-/.])[0-9]{1,2}(?P=separator)[0-9]{1,4})?"
    r"(?:(?P<gap>[T ])?(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,7})?)?))?"
    r"(?P<zone> ?[+-][0-9]{2}:[0-9]{2}|Z)?"
)
_STYLE_ORDERS = {
    23: ("ymd", "-"), 101: ("mdy", "/"), 102: ("ymd", "."), 103: ("dmy", "/"), 104: ("dmy", "."), 105: ("dmy", "-"),
    110: ("mdy", "-"), 111: ("ymd", "/"), 120: ("ymd", "-"), 121: ("ymd", "-"),
}  # fmt: skip


def _to_time(value: _Constant, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
    """A constant as a date or time of the target type."""
    if isinstance(value, bool):
        raise refusal
    if isinstance(value, int):
        if target.name not in {"datetime", "smalldatetime"}:
            raise refusal
        try:
            day = _BASE_DATE + dt.timedelta(days=value)
        except OverflowError:
            raise refusal from None
        return _fitted(day, dt.time(), "", target, refusal)
    if isinstance(value, str):
        return _parsed_time(value, target, style, refusal)
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            if target.name == "datetimeoffset":
                return value
            raise refusal
        fraction = f"{value.microsecond:06}".rstrip("0")
        if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
            raise refusal
        return _fitted(value.date(), value.time(), fraction, target, refusal)
    if isinstance(value, dt.date):
        return _fitted(value, dt.time(), "", target, refusal)
    if isinstance(value, dt.time) and target.name == "time":
        return value
    raise refusal


def _parsed_time(text: str, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
    """A date literal whose meaning depends on no session setting ("SET DATEFORMAT", the pages of the types)."""
    text = text.strip(" ")
    match = _DATE_TIME_TEXT.fullmatch(text)
    if match is None or (match["gap"] is None) == bool(match["date"] and match["time"]):
        raise refusal
    if match["gap"] == "T" and (not match["date"] or len(match["date"]) != 10 or match["time"].count(":") != 2):
        raise refusal
    if match["zone"] and (target.name != "datetimeoffset" or not match["time"]):
        raise refusal
    if not match["date"] and match["time"] and target.name in {"date", "datetimeoffset"}:
        raise refusal
    try:
        day = _parsed_date(match["date"], match["gap"] == "T", target, style) if match["date"] else _BASE_DATE
        clock, _, fraction = (match["time"] or "00:00").partition(".")
        hour, minute, second = (int(part) for part in (clock + ":0").split(":")[:3])
        moment = dt.time(hour, minute, second)
    except ValueError:
        raise refusal from None
    if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
        raise refusal
    result = _fitted(day, moment, fraction.rstrip("0"), target, refusal)
    zone = (match["zone"] or "").strip(" ")
    if zone not in {"", "Z"} and isinstance(result, dt.datetime):
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 14 or minutes > 59:
            raise refusal
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        return result.replace(tzinfo=dt.timezone(offset))
    return result


def _parsed_date(text: str, is_iso: bool, target: SqlType, style: int | None) -> dt.date:
    """Year, month and day of a date text. Raises `Refused` when two readings are possible, `ValueError` when none."""
    if len(text) == 8 and text.isdigit():
        if style not in {None, 112}:
            raise ValueError
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    parts = re.split(r"[-/.]", text)
    separator = text[len(parts[0])]
    lengths = [len(part) for part in parts]
    first, second, third = (int(part) for part in parts)
    if style is not None and not (is_iso and style == 126):
        order, expected = _STYLE_ORDERS.get(style, ("", ""))
        if separator != expected or lengths[order.index("y")] != 4:
            raise ValueError
        values = dict(zip(order, (first, second, third), strict=True))
        return dt.date(values["y"], values["m"], values["d"])
    if lengths == [4, 2, 2] and separator == "-" and (is_iso or target.name not in {"datetime", "smalldatetime"}):
        return dt.date(first, second, third)
    if is_iso or sorted(lengths)[-1] != 4 or lengths[1] == 4 or lengths.count(4) != 1:
        raise ValueError
    year = first if lengths[0] == 4 else third
    one, other = (second, third) if lengths[0] == 4 else (first, second)
    if one <= 12 and other <= 12 and one != other:
        raise Refused(
            f"{text!r} as {target} depends on the session's date format: month and day can be taken for each other"
        )
    return dt.date(year, min(one, other), max(one, other))


def _fitted(day: dt.date, moment: dt.time, fraction: str, target: SqlType, refusal: Refused) -> dt.date | dt.time:
    """Day, time and the fraction's digits in the target type, with its rounding."""
    name = target.name
    if name == "date":
        return day
    base = dt.datetime.combine(day, moment.replace(microsecond=0))
    try:
        if name == "smalldatetime":
            if fraction:
                raise refusal
            base = base + dt.timedelta(minutes=1 if base.second >= 30 else 0, seconds=-base.second)
            if not dt.datetime(1900, 1, 1) <= base <= dt.datetime(2079, 6, 6, 23, 59):
                raise refusal
            return base
        if name == "datetime":
            ticks = (int(fraction.ljust(3, "0")) * 3 + 5) // 10
            base += dt.timedelta(milliseconds=(ticks * 20 + 3) // 6)
            if base.year < 1753:
                raise refusal
            return base
    except OverflowError:
        raise refusal from None
    if len(fraction) > min(target.scale, 6):
        raise refusal
    base = base.replace(microsecond=int(fraction.ljust(6, "0")))
    if name == "time":
        return base.time()
    return base.replace(tzinfo=dt.timezone.utc) if name == "datetimeoffset" else base


# --- writing -----------------------------------------------------------------------------------------------


class _Kind(Enum):
    DEFAULT = "default"
    CHECK = "check"
    COMPUTED = "computed column"
    FILTER = "filter"


@dataclass(frozen=True)
class _Condition:
    sql: str
    is_atom: bool = False

    @property
    def operand(self) -> str:
        return self.sql if self.is_atom else f"({self.sql})"


_DATE_PARTS = {
    "year": "year", "yy": "year", "yyyy": "year", "quarter": "quarter", "qq": "quarter", "q": "quarter",
    "month": "month", "mm": "month", "m": "month",
    "dayofyear": "doy", "dy": "doy", "y": "doy", "day": "day", "dd": "day", "d": "day",
    "week": "week", "wk": "week", "ww": "week", "hour": "hour", "hh": "hour", "minute": "minute", "mi": "minute",
    "n": "minute", "second": "second", "ss": "second", "s": "second", "millisecond": "millisecond", "ms": "millisecond",
    "iso_week": "iso_week", "isowk": "iso_week", "isoww": "iso_week",
}  # fmt: skip

_LOCAL_TIME = "the present time is local to the PostgreSQL session's TimeZone: set it to the source server's zone"
_ROLE = "the name is that of the PostgreSQL role, not of the SQL Server login or user"
_MOVING = "it depends on the present time: add it NOT VALID, after the load, or rows that were valid once are refused"

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

_BEYOND_ASCII = r"\u0080-\U0010FFFF"


@dataclass
class _Writer:
    """Writes one parsed expression; gathers what it relies on while it does."""

    kind: _Kind
    columns: Sequence[Column] = ()
    quote: Quote | None = None
    sequence_name: SequenceName | None = None
    volatility: _Volatility = _Volatility.IMMUTABLE
    doubts: list[_Doubt] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    # -- bookkeeping --

    def _doubt(self, reason: str, *, is_lenient: bool = False) -> _Doubt:
        doubt = _Doubt(reason, is_lenient)
        self.doubts.append(doubt)
        return doubt

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _uses(self, volatility: _Volatility) -> None:
        self.volatility = max(self.volatility, volatility)

    # -- conditions --

    def condition(self, node: Node, accepting: bool | None) -> _Condition:
        """A predicate. `accepting` is True where it may be true of more rows than on the source, False where of fewer,
        `None` where of neither."""
        if isinstance(node, Logical):
            parts = [self.condition(part, accepting) for part in node.parts]
            return _Condition(f" {node.operator} ".join(part.operand for part in parts))
        if isinstance(node, Not):
            inner = self.condition(node.operand, None if accepting is None else not accepting)
            return _Condition(f"NOT {inner.operand}")
        if isinstance(node, IsNull):
            return _Condition(f"{self._nullable(node.operand)} IS {'NOT ' if node.negated else ''}NULL")
        if isinstance(node, Binary) and node.operator in COMPARISONS.values():
            return self._compare(node.operator, self.value(node.left), self.value(node.right))
        if isinstance(node, In):
            return self._in(node)
        if isinstance(node, Between):
            return self._between(node)
        if isinstance(node, Like):
            return self._like(node, accepting)
        raise Refused("a value stands where T-SQL wants a condition")

    def _nullable(self, node: Node) -> str:
        """What stands before IS NULL: any column at all, or a value."""
        if isinstance(node, Name):
            return self._column_name(node)[1]
        return self.value(node).operand

    def _compare(self, operator: str, left: _Value, right: _Value) -> _Condition:
        first, second = self._comparable(operator, left, right)
        return _Condition(f"{first} {operator} {second}")

    def _comparable(self, operator: str, left: _Value, right: _Value) -> tuple[str, str]:
        """Both sides so that PostgreSQL's operator gives T-SQL's answer."""
        if right.type is None:
            raise Refused("a comparison with NULL is never true")
        target = _higher(left.known, right.known)
        if operator in {"=", "<>"}:
            left, right = _as_bit(left, right), _as_bit(right, left)
            target = _higher(left.known, right.known)
        if target.name in _STRINGS:
            return self._comparable_texts(operator, left, right)
        if target.name in _BINARIES:
            raise Refused("comparing binary values pads them with zeros in T-SQL, not in PostgreSQL")
        if target.name == "uniqueidentifier" and operator not in {"=", "<>"}:
            self._doubt("uniqueidentifier sorts in another byte order than PostgreSQL's uuid")
        left, right = self._alike(left, target, right.known), self._alike(right, target, left.known)
        if target.name == "bit" and operator not in {"=", "<>"}:
            return self._convert(left, _INT).operand, self._convert(right, _INT).operand
        return left.operand, right.operand

    def _alike(self, value: _Value, target: SqlType, other: SqlType) -> _Value:
        """One side of a comparison, under a type that compares in PostgreSQL as the target does in T-SQL."""
        source = value.known
        if source.name == target.name or (_is_exact(source) and _is_exact(target)):
            if _is_exact(source) and _is_exact(other):
                self._common_decimal(source, other)
            return value
        if source.name == "bit" and _is_exact(target):
            return self._convert(value, _INT)
        if value.constant is not None:
            if _is_exact(target) and isinstance(value.constant, str):
                exact = self._convert(value, target)
                if value.constant.strip(" ") and Decimal(value.constant) != exact.constant:
                    self._doubt(f"{value.constant!r} is rounded to {target} before it is compared")
                return exact
            return self._convert(value, target)
        if {source.name, target.name} == {"datetime", "datetime2"} and not value.is_now:
            self._doubt("datetime and datetime2 compare with fractions that depend on the compatibility level")
        if source.name in _DATED and target.name in _DATED:
            return value
        return self._convert(value, target)

    def _common_decimal(self, one: SqlType, other: SqlType) -> None:
        (precision1, scale1), (precision2, scale2) = _digits(one), _digits(other)
        if max(precision1 - scale1, precision2 - scale2) + max(scale1, scale2) > 38:
            self._doubt(f"{one} and {other} have no common type of 38 digits, so T-SQL rounds")

    def _collation(self, *values: _Value) -> _Collation:
        """The collation that decides ("Collation precedence"). Raises `Refused` if none is known."""
        names = {value.collation for value in values if value.has_explicit_collation} or {
            value.collation for value in values if value.collation is not None
        }
        if len(names) > 1:
            raise Refused(f"the collations {' and '.join(sorted(str(name) for name in names))} are in conflict")
        name = next(iter(names), None)
        if name is None:
            raise Refused("texts are compared and their collation is not known")
        collation = _Collation(name)
        if not collation.is_understood:
            raise Refused(f"texts are compared under the collation {name}, whose rules are not known")
        return collation

    def _weigh(self, text: str, collation: _Collation, type_: SqlType) -> bool:
        """Registers what is doubtful about matching a constant text; True if ASCII case must be ignored."""
        if collation.is_binary:
            return False
        has_letters = any(character.isalpha() for character in text)
        if not text.isascii():
            self._doubt(f"{text!r} holds characters that {collation.name} compares by rules of its own")
        elif collation.ignores_accents and has_letters:
            self._doubt(f"{collation.name} ignores accents, PostgreSQL does not")
        elif collation.ignores_case and collation.has_another_i and re.search("[iI]", text):
            self._doubt(f"{collation.name} has another rule for i and I")
        elif not collation.is_exact_for(type_):
            self._doubt(
                f"under {collation.name} more characters are equal (full-width forms, zero-width characters) than in "
                "PostgreSQL",
                is_lenient=True,
            )
        return collation.ignores_case and has_letters

    def _comparable_texts(self, operator: str, left: _Value, right: _Value) -> tuple[str, str]:
        """Equality of texts: trailing blanks never count, case by the collation ("= (Equals)", "Collation")."""
        if isinstance(left.constant, str) and isinstance(right.constant, str):
            raise Refused("two constant texts are compared")
        collation = self._collation(left, right)
        if operator not in {"=", "<>"}:
            self._doubt(f"texts are put in order by {collation.name}, PostgreSQL has another order")
        constant = next((value for value in (left, right) if isinstance(value.constant, str)), None)
        if constant is not None:
            text = str(constant.constant).rstrip(" ")
            is_unicode = left.known.name in _UNICODE or right.known.name in _UNICODE
            folds = self._weigh(text, collation, SqlType("nvarchar" if is_unicode else "varchar"))
            sides = []
            for value in (left, right):
                if value is constant:
                    sides.append(_quoted(text.lower() if folds else text))
                else:
                    self._settle_case(value)
                    bare = _unpadded(value)
                    sides.append(f'lower({bare} COLLATE "C")' if folds else bare)
            return sides[0], sides[1]
        if not collation.is_binary:
            if collation.ignores_case or collation.ignores_accents:
                self._doubt(f"{collation.name} decides which texts are equal, and PostgreSQL compares exactly")
                return f"lower({_unpadded(left)})", f"lower({_unpadded(right)})"
            self._doubt(f"{collation.name} takes some different texts for equal", is_lenient=True)
        return _unpadded(left), _unpadded(right)

    def _settle_case(self, value: _Value) -> None:
        """UPPER and LOWER matter for ASCII letters only where a constant of ASCII characters is looked for."""
        if value.case_doubt is not None:
            value.case_doubt.is_lenient = True

    def _in(self, node: In) -> _Condition:
        operand = self.value(node.operand)
        pairs = [self._comparable("=", operand, self.value(item)) for item in node.items]
        negation = "NOT " if node.negated else ""
        if len({left for left, _ in pairs}) == 1:
            return _Condition(f"{pairs[0][0]} {negation}IN ({', '.join(right for _, right in pairs)})")
        self._once(operand)
        sql = " OR ".join(f"{left} = {right}" for left, right in pairs)
        return _Condition(f"NOT ({sql})" if node.negated else sql)

    def _between(self, node: Between) -> _Condition:
        operand = self.value(node.operand)
        low, low_bound = self._comparable(">=", operand, self.value(node.low))
        high, high_bound = self._comparable("<=", operand, self.value(node.high))
        negation = "NOT " if node.negated else ""
        if low == high:
            return _Condition(f"{low} {negation}BETWEEN {low_bound} AND {high_bound}")
        self._once(operand)
        return _Condition(f"{negation}({low} >= {low_bound} AND {high} <= {high_bound})", is_atom=not node.negated)

    def _once(self, value: _Value) -> None:
        """Guards a value that the translation would evaluate twice."""
        if self.volatility is _Volatility.VOLATILE and value.constant is None:
            raise Refused("a value that changes with every call would be computed twice")

    def _like(self, node: Like, accepting: bool | None) -> _Condition:
        """LIKE as an anchored regular expression ("LIKE (Transact-SQL)")."""
        operand, pattern = self.value(node.operand), self.value(node.pattern)
        if not isinstance(pattern.constant, str) or operand.known.name not in _STRINGS:
            raise Refused("LIKE is translated between a text and a constant pattern only")
        escape: str | None = None
        if node.escape is not None:
            given = self.value(node.escape).constant
            if not isinstance(given, str) or len(given) != 1:
                raise Refused("the ESCAPE character is not one constant character")
            escape = given
        if operand.constant is not None:
            raise Refused("LIKE is translated between a text and a constant pattern only")
        collation = self._collation(operand, pattern)
        elements = _like_elements(pattern.constant, escape)
        is_unicode = operand.known.name in _UNICODE or (pattern.type is not None and pattern.known.name in _UNICODE)
        literal = "".join(element.text for element in elements)
        self._weigh(literal, collation, SqlType("nvarchar" if is_unicode else "varchar"))
        self._settle_case(operand)
        if node.negated and accepting is not None:
            accepting = not accepting
        # Between non-Unicode texts, trailing blanks of the value are not significant.
        head, tail = "^", "$" if is_unicode else " *$"
        if elements and elements[-1].kind == "%":
            elements, tail = elements[:-1], ""
        if elements and elements[0].kind == "%":
            elements, head = elements[1:], ""
        regex = "".join(self._regex(element, collation, accepting) for element in elements)
        subject = self._text(operand)
        counts_units = is_unicode and not operand.is_ascii and not collation.counts_characters
        if counts_units and any(element.counts for element in elements):
            subject = _in_utf16_units(subject)
        return _Condition(f"{subject} {'!~' if node.negated else '~'} {_quoted(head + regex + tail)}")

    def _regex(self, element: _LikeElement, collation: _Collation, accepting: bool | None) -> str:
        """One element of a pattern. Ranges have a certain part, ASCII, and an uncertain one (see the module)."""
        if element.kind == "%":
            return ".*"
        if element.kind == "_":
            return "."
        both_cases = collation.ignores_case and not collation.is_binary
        if element.kind == "text":
            return (
                _regex_set([element.text], both_cases, "") if element.text.isalpha() else _regex_escaped(element.text)
            )
        beyond = ""
        if element.ranges and not collation.is_binary:
            if accepting is None:
                self._doubt(f"a range like {element.ranges[0]} follows the order of {collation.name}")
            elif accepting != element.is_negated:
                beyond = _BEYOND_ASCII
                both_cases = True
                self._remark("characters beyond ASCII pass a range of LIKE, for the collation may have them in it")
        members = [*element.members, *element.ranges]
        return _regex_set(members, both_cases, beyond, is_negated=element.is_negated)

    # -- values --

    def value(self, node: Node) -> _Value:
        """A scalar."""
        if isinstance(node, Literal):
            return _literal(node)
        if isinstance(node, Null):
            return _NULL
        if isinstance(node, Name):
            return self._column(node)
        if isinstance(node, Unary):
            return self._signed(node)
        if isinstance(node, Binary) and node.operator not in COMPARISONS.values():
            return self._operate(node.operator, self.value(node.left), self.value(node.right))
        if isinstance(node, Convert):
            return self._cast(node)
        if isinstance(node, Case):
            return self._case(node)
        if isinstance(node, Collate):
            inner = self.value(node.operand)
            return replace(inner, collation=node.collation, has_explicit_collation=True)
        if isinstance(node, NextValue):
            return self._next_value(node)
        if isinstance(node, Call):
            return self._call(node)
        raise Refused("a condition stands where T-SQL wants a value")

    def _column_name(self, node: Name) -> tuple[Column, str]:
        name = ".".join(node.parts)
        if self.kind is _Kind.DEFAULT or self.quote is None:
            raise Refused(f"a default cannot name a column ({name})")
        if len(node.parts) != 1:
            raise Refused(f"{name} is not a column of the table")
        found = [column for column in self.columns if column.name == name] or [
            column for column in self.columns if column.name.casefold() == name.casefold()
        ]
        if len(found) != 1:
            raise Refused(f"{name} is not a column of the table" if not found else f"{name} names several columns")
        if found[0].computed is not None and self.kind is _Kind.COMPUTED:
            raise Refused(f"{name} is a computed column, which no generated column may use")
        return found[0], self.quote(found[0].name)

    def _column(self, node: Name) -> _Value:
        column, sql = self._column_name(node)
        type_ = _normalised(column.type)
        if type_.is_clr or type_.name not in _PRECEDENCE:
            raise Refused(f"{column.name} is of type {column.type}, which has no like in PostgreSQL's expressions")
        return _Value(
            sql, type_, collation=column.collation if type_.name in _STRINGS else None,
            is_trimmed=type_.name in {"char", "nchar"},
        )  # fmt: skip

    def _signed(self, node: Unary) -> _Value:
        operand = self._typed(self.value(node.operand))
        type_ = operand.known
        if node.operator == "~":
            if type_.name == "bit":
                return _Value(f"NOT {operand.operand}", type_, is_atom=False)
            if type_.name not in _INTEGERS or type_.name == "tinyint":
                raise Refused(f"~ of {type_} is not translated")
            return _Value(f"~{operand.operand}", type_, is_atom=False)
        if not (_is_exact(type_) or type_.name in _FLOATS):
            raise Refused(f"a sign before {type_} is not translated")
        if node.operator == "+":
            return operand
        if type_.name == "tinyint":
            type_ = SqlType("smallint")
        if isinstance(operand.constant, int | Decimal | float):
            negative = operand.constant
            return _constant(negative.copy_negate() if isinstance(negative, Decimal) else -negative, type_)
        return _Value(f"-{operand.operand}", type_, is_atom=False)

    @staticmethod
    def _typed(value: _Value) -> _Value:
        if value.type is None:
            raise Refused("a bare NULL is an operand")
        return value

    def _operate(self, operator: str, left: _Value, right: _Value) -> _Value:
        left, right = self._typed(left), self._typed(right)
        target = _higher(left.known, right.known)
        if target.name in _STRINGS:
            if operator != "+":
                raise Refused(f"{operator} between texts is not translated")
            return self._concatenate([left, right])
        if target.name in _TIMES:
            return self._shift(operator, left, right, target)
        if operator in {"&", "|", "^"}:
            if left.known.name not in _INTEGERS or right.known.name not in _INTEGERS:
                raise Refused(f"{operator} is translated between integers only")
            symbol = "#" if operator == "^" else operator
            return _Value(f"{left.operand} {symbol} {right.operand}", target, is_atom=False)
        if target.name == "bit":
            raise Refused(f"{operator} between bits is not translated")
        left, right = self._number(left, target), self._number(right, target)
        plain = f"{left.operand} {operator} {right.operand}"
        if target.name in _INTEGERS:
            return _Value(plain, target, is_atom=False)
        if target.name in _FLOATS:
            if operator == "%":
                raise Refused("% of float is not translated")
            return _Value(plain, target, is_atom=False)
        if target.name in _MONEY:
            if operator in {"*", "/", "%"} and not (
                operator == "*" and {left.known.name, right.known.name} & set(_INTEGERS)
            ):
                self._doubt(f"{operator} on {target} rounds by rules that are not documented")
            return _Value(plain, target, is_atom=False)
        return self._operate_decimals(operator, left, right, plain)

    def _number(self, value: _Value, target: SqlType) -> _Value:
        """An operand of arithmetic, so that PostgreSQL computes in a type that holds the target's values."""
        if _is_exact(value.known) and _is_exact(target):
            return value
        if value.known.name == "bit" and _is_exact(target):
            return self._convert(value, _INT)
        if value.constant is not None and isinstance(value.constant, str) and target.name not in _INTEGERS:
            raise Refused(f"{value.constant!r} becomes a {target} first")
        return self._convert(value, target)

    def _operate_decimals(self, operator: str, left: _Value, right: _Value, plain: str) -> _Value:
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
                return _Value(f"{left.operand} * {factor}", decimal_type(precision, scale), is_atom=False)
            self._doubt("how many digits a decimal division keeps, and how it rounds, differs")
            if precision <= 38:
                plain = f"trunc({left.operand}::numeric / {right.operand}, {scale})"
                return _Value(plain, decimal_type(precision, scale))
        if precision > 38:
            if operator != "/":
                self._doubt(f"{operator} gives more than 38 digits, which T-SQL rounds away")
            precision, scale = 38, min(scale, 38)
        return _Value(plain, decimal_type(max(precision, scale, 1), scale), is_atom=False)

    def _shift(self, operator: str, left: _Value, right: _Value, target: SqlType) -> _Value:
        """datetime + n adds days ("+ (Addition)"); other types refuse it on the source, too."""
        if target.name not in {"datetime", "smalldatetime"} or operator not in {"+", "-"}:
            raise Refused(f"{operator} on {target} is not translated")
        if left.known.name in _INTEGERS:
            left, right = right, left
            if operator == "-":
                raise Refused("a number minus a date is not translated")
        if left.known.name not in _TIMES or right.known.name not in _INTEGERS:
            raise Refused(f"{operator} on {target} is translated with a whole number of days only")
        if operator == "-":
            right = self._signed_value(right)
        return self._add(left, "days", right, 1)

    def _signed_value(self, value: _Value) -> _Value:
        if isinstance(value.constant, int):
            return _constant(-value.constant, _INT)
        return _Value(f"-{value.operand}", value.type, is_atom=False)

    def _concatenate(self, values: Sequence[_Value]) -> _Value:
        """Texts one after another; NULL makes the whole NULL in both engines."""
        types = [value.type for value in values if value.type is not None]
        is_unicode = any(type_.name in _UNICODE for type_ in types)
        for type_ in types:
            if type_.name not in _STRINGS or type_.name in {"text", "ntext"}:
                raise Refused(f"{type_} is put together with a text")
        sizes = [type_.characters for type_ in types]
        size = -1 if -1 in sizes else sum(sizes)
        if size > (4000 if is_unicode else 8000):
            self._doubt("T-SQL cuts a text of more than 8000 bytes")
            size = -1
        constants = [value.constant for value in values]
        type_ = sized_type("nvarchar" if is_unicode else "varchar", size)
        if all(isinstance(constant, str) for constant in constants):
            return _constant("".join(str(constant) for constant in constants), type_)
        return self._text_value(" || ".join(self._text(value) for value in values), type_, values, is_atom=False)

    def _text_value(self, sql: str, type_: SqlType, sources: Sequence[_Value], *, is_atom: bool = True) -> _Value:
        """A text made of others, with the collation that they bring."""
        texts = [value for value in sources if value.type is not None and value.known.name in _STRINGS]
        explicit = {value.collation for value in texts if value.has_explicit_collation}
        names = explicit or {value.collation for value in texts if value.collation is not None}
        if len(names) > 1:
            raise Refused(f"the collations {' and '.join(sorted(str(name) for name in names))} are in conflict")
        return _Value(
            sql, type_, is_atom=is_atom, collation=next(iter(names), None), has_explicit_collation=bool(explicit),
            is_ascii=all(value.is_ascii for value in sources), is_now=False,
            case_doubt=next((value.case_doubt for value in texts if value.case_doubt is not None), None),
        )  # fmt: skip

    def _text(self, value: _Value) -> str:
        """The SQL of a text with all of T-SQL's characters: a char(n) column gets its padding back."""
        if not value.is_trimmed:
            return value.operand
        if value.known.name == "nchar":
            self._doubt("the padding of nchar counts UTF-16 units")
        elif value.collation is None or not _Collation(value.collation).has_one_byte_characters:
            self._doubt("the padding of char counts bytes")
        return f"rpad({value.operand}::text, {value.known.characters})"

    def _is_in_units(self, value: _Value) -> bool:
        """Positions in this text count UTF-16 units, where PostgreSQL counts characters."""
        if value.known.name not in _UNICODE or value.is_ascii:
            return False
        return value.collation is None or not _Collation(value.collation).counts_characters

    # -- conversions --

    def _cast(self, node: Convert) -> _Value:
        style: int | None = None
        if node.style is not None:
            given = self.value(node.style).constant
            if not isinstance(given, int) or isinstance(given, bool):
                raise Refused("the style of CONVERT is not a constant number")
            style = given
        return self._convert(self.value(node.operand), node.type, style=style)

    def _convert(
        self, value: _Value, target: SqlType, *, style: int | None = None, is_assignment: bool = False
    ) -> _Value:
        """A value under another type ("CAST and CONVERT"). `is_assignment`: too long a text is an error, not cut."""
        if value.type is None:
            return replace(value, type=target)
        source = value.known
        if value.constant is not None:
            if style is not None and not (isinstance(value.constant, str) and target.name in _TIMES):
                raise Refused(f"CONVERT with style {style} is not translated here")
            constant = _convert_constant(value.constant, source, target, style, is_assignment)
            return replace(
                _constant(constant, target),
                collation=value.collation,
                has_explicit_collation=value.has_explicit_collation,
            )
        refusal = Refused(f"converting {source} to {target} is not certain to give the same value")
        if target.name in _STRINGS:
            return self._to_string(value, target, style, is_assignment, refusal)
        if style is not None and not (source.name in _TIMES and target.name in _TIMES):
            raise Refused(f"CONVERT with style {style} is not translated here")
        if source.name in _TIMES and target.name in _TIMES:
            return self._to_time(value, target, refusal)
        if source.name in _STRINGS or source.name in _TIMES or source.name in _BINARIES or target.name in _TIMES:
            if source.name in _BINARIES and target.name in {"varbinary", "image"} and _holds(target, source):
                return replace(value, type=target)
            raise refusal
        if source.name == "uniqueidentifier" or target.name == "uniqueidentifier":
            if source.name == target.name:
                return value
            raise refusal
        if target.name in _BINARIES or target.name not in _PRECEDENCE:
            raise refusal
        return self._to_numeric(value, target)

    def _to_numeric(self, value: _Value, target: SqlType) -> _Value:
        """Between numbers and bits ("CAST and CONVERT", truncating and rounding results)."""
        source = value.known
        if target.name == "bit":
            return value if source.name == "bit" else _Value(f"{value.operand} <> 0", target, is_atom=False)
        inner = value.operand
        if source.name == "bit":
            inner = f"{inner}::integer"
        elif target.name in _INTEGERS and source.name in _MONEY:
            inner = f"round({inner})"
        elif target.name in _INTEGERS and (source.name == "decimal" or source.name in _FLOATS):
            inner = f"trunc({inner})"
        elif target.name in _FLOATS and (source.name == "decimal" or source.name in _MONEY):
            self._doubt(f"{source} becomes {target} with a rounding that is not documented")
        elif source.name in _FLOATS and _is_exact(target):
            self._doubt(f"{source} becomes {target} through 15 digits in PostgreSQL")
        if _same_numeric(source, target):
            return replace(value, type=target)
        cast = _postgres_type(target)
        return _Value(inner if inner.endswith(f"::{cast}") else f"{inner}::{cast}", target)

    def _to_string(
        self, value: _Value, target: SqlType, style: int | None, is_assignment: bool, refusal: Refused
    ) -> _Value:
        source = value.known
        size = target.characters if target.name not in {"text", "ntext"} else -1
        is_fixed = target.name in {"char", "nchar"} and not is_assignment
        if source.name in _STRINGS:
            if style is not None:
                raise Refused(f"CONVERT with style {style} is not translated here")
            if source.name in _UNICODE and target.name not in _UNICODE and not value.is_ascii:
                self._doubt("nvarchar to varchar goes through a code page, which may replace characters")
            if target.name == source.name and (is_assignment or (not is_fixed and _holds(target, source))):
                return replace(value, type=target)
            sql = self._text(value)
            if is_assignment:
                return self._text_value(sql, target, [value])
            if size != -1 and not _holds(target, source) and not is_fixed:
                self._doubt_units(value)
                sql = f"left({sql}, {size})"
            result = self._text_value(sql, target, [value], is_atom=True)
        elif source.name in _DATED:
            return self._to_styled(value, target, style, refusal)
        else:
            if style is not None:
                raise Refused(f"CONVERT with style {style} is not translated here")
            if source.name == "bit":
                sql, needed = f"{value.operand}::integer::text", 1
            elif source.name in _INTEGERS:
                sql, needed = f"{value.operand}::text", _INTEGERS[source.name] + (source.name != "tinyint")
            elif source.name == "decimal":
                precision, scale = source.precision, source.scale
                needed = precision + 1 + (scale > 0) + (scale == precision)
                sql = f"{value.operand}::{_postgres_type(source)}::text"
            elif source.name == "uniqueidentifier":
                sql, needed = f"upper({value.operand}::text)", 36
            else:
                raise refusal
            if size != -1 and needed > size:
                # "CAST and CONVERT", truncating and rounding results: * for an int in a (var)char, an error else.
                if source.name not in {"tinyint", "smallint", "int"} or target.name not in {"char", "varchar"}:
                    raise Refused(f"{source} may not fit into {target}")
                self._once(value)
                sql = f"CASE WHEN length({sql}) > {size} THEN '*' ELSE {sql} END"
            result = _Value(sql, target, is_ascii=True)
        if is_fixed:
            self._doubt_units(result)
            return replace(result, sql=f"rpad({result.sql}, {size})")
        return result

    def _doubt_units(self, value: _Value) -> None:
        if self._is_in_units(value):
            self._doubt("positions in an n-type text count UTF-16 units in T-SQL, characters in PostgreSQL")

    def _to_styled(self, value: _Value, target: SqlType, style: int | None, refusal: Refused) -> _Value:
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
            sql = f"to_char({value.sql}, {_quoted(pattern)})"
        else:
            pieces = [
                _STYLE_PARTS[part][0].format(value.operand) if part in _STYLE_PARTS else _quoted(part) for part in parts
            ]
            sql = " || ".join(pieces)
        if size != -1 and size < length:
            sql = f"left({sql}, {size})"
        if target.name in {"char", "nchar"} and size > length:
            sql = f"rpad({sql}, {size})"
        return _Value(sql, target, is_atom=value.is_now or sql.startswith(("left(", "rpad(")), is_ascii=True)

    def _to_time(self, value: _Value, target: SqlType, refusal: Refused) -> _Value:
        """Between dates and times."""
        source = value.known
        sql = value.operand
        if source.name == "datetimeoffset":
            if target.name == "datetimeoffset" and (value.is_now or target.scale >= source.scale):
                return replace(value, type=target)
            if not value.is_now:
                raise Refused("the local time of a datetimeoffset is lost in timestamptz, which keeps the instant")
            return self._to_time(
                replace(value, sql=f"{sql}::timestamp", type=SqlType("datetime2", scale=7)), target, refusal
            )
        if source.name == "time":
            if target.name == "time" and target.scale >= source.scale:
                return replace(value, type=target)
            raise refusal
        if target.name == "datetimeoffset":
            # Without an offset a time is taken as UTC ("datetimeoffset").
            stamp = sql if source.name != "date" else f"{sql}::timestamp"
            return _Value(f"({stamp} AT TIME ZONE 'UTC')", target, is_now=value.is_now)
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
        self._doubt(f"{source} becomes {target} with fractions that depend on the compatibility level")
        return replace(value, type=target)

    # -- CASE and its relatives --

    def _case(self, node: Case) -> _Value:
        results = [self.value(result) for _, result in node.branches]
        default = self.value(node.default) if node.default is not None else _NULL
        conditions = []
        operand = self.value(node.operand) if node.operand is not None else None
        for condition, _ in node.branches:
            if operand is None:
                conditions.append(self.condition(condition, None).sql)
            else:
                self._once(operand)
                conditions.append(self._compare("=", operand, self.value(condition)).sql)
        return self._choice(conditions, [*results, default])

    def _choice(self, conditions: Sequence[str], results: Sequence[_Value]) -> _Value:
        type_, converted = self._unified(results)
        branches = " ".join(
            f"WHEN {condition} THEN {result.sql}" for condition, result in zip(conditions, converted, strict=False)
        )
        last = converted[-1]
        tail = "" if last.sql == "NULL" else f" ELSE {last.sql}"
        return self._merged(f"CASE {branches}{tail} END", type_, converted)

    def _merged(self, sql: str, type_: SqlType, sources: Sequence[_Value]) -> _Value:
        if type_.name in _STRINGS:
            return self._text_value(sql, type_, [value for value in sources if value.sql != "NULL"])
        return _Value(sql, type_, is_now=all(value.is_now for value in sources))

    def _unified(self, values: Sequence[_Value]) -> tuple[SqlType, list[_Value]]:
        """All results under the one type of highest precedence ("CASE", "COALESCE")."""
        types = [value.type for value in values if value.type is not None]
        if not types:
            raise Refused("every result is NULL")
        target = types[0]
        for type_ in types[1:]:
            target = _common(target, type_)
        if target.name in {"char", "nchar"}:
            target = replace(target, name="varchar" if target.name == "char" else "nvarchar")
        return target, [self._as_result(value, target) for value in values]

    def _as_result(self, value: _Value, target: SqlType) -> _Value:
        if value.type is None:
            return replace(value, type=target)
        if value.known.name in _STRINGS and target.name in _STRINGS:
            return replace(value, sql=self._text(value), type=target, is_trimmed=False) if value.is_trimmed else value
        if value.known.name == target.name and target.name != "decimal":
            return value
        if value.known.name in _STRINGS and isinstance(value.constant, str) and target.name == "decimal":
            raise Refused(f"{value.constant!r} becomes a {target} first")
        return self._convert(value, target)

    def _next_value(self, node: NextValue) -> _Value:
        name = ".".join(node.parts)
        if self.sequence_name is None or len(node.parts) > 2:
            raise Refused(f"the sequence {name} cannot be used here")
        schema = node.parts[0] if len(node.parts) == 2 else DEFAULT_SCHEMA
        try:
            target = self.sequence_name(schema, node.parts[-1])
        except LookupError:
            raise Refused(f"the sequence {name} is not known") from None
        self._uses(_Volatility.VOLATILE)
        return _Value(f"nextval({_quoted(target)}::regclass)", SqlType("bigint"))

    # -- functions --

    def _call(self, node: Call) -> _Value:
        name = node.name.upper()
        full = ".".join([*node.schema, node.name])
        if node.schema:
            raise Refused(f"the function {full} is user-defined")
        method = _FUNCTIONS.get(name)
        if method is None:
            raise Refused(f"the function {name} is not translated", _HINTS.get(name))
        try:
            writer, least, most = method
            if not least <= len(node.arguments) <= most:
                raise Refused(f"the function {name} has {len(node.arguments)} arguments, which is not expected")
            return writer(self, node.arguments)
        except Refused as refusal:
            if name in refusal.reason:
                raise
            raise Refused(f"{refusal.reason} (in {name})", refusal.suggestion) from None

    def _present(self, sql: str, type_: SqlType) -> _Value:
        self._uses(_Volatility.STABLE)
        if self.kind is _Kind.CHECK:
            self._remark(_MOVING)
        return _Value(sql, type_, is_now=True)

    def getdate(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        self._remark(_LOCAL_TIME)
        return self._present("statement_timestamp()::timestamp", _DATETIME)

    def sysdatetime(self, arguments: Arguments) -> _Value:
        return replace(self.getdate(arguments), type=SqlType("datetime2", scale=7))

    def getutcdate(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        return self._present("(statement_timestamp() AT TIME ZONE 'UTC')", _DATETIME)

    def sysutcdatetime(self, arguments: Arguments) -> _Value:
        return replace(self.getutcdate(arguments), type=SqlType("datetime2", scale=7))

    def sysdatetimeoffset(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        return self._present("statement_timestamp()", SqlType("datetimeoffset", scale=7))

    def newid(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        if self.kind is not _Kind.DEFAULT:
            raise Refused("a new identifier can be a default only")
        self._uses(_Volatility.VOLATILE)
        return _Value("gen_random_uuid()", SqlType("uniqueidentifier"))

    def newsequentialid(self, arguments: Arguments) -> _Value:
        self._remark("new identifiers are random, not in sequence; PostgreSQL 18 has uuidv7() for ordered ones")
        return self.newid(arguments)

    def _role(self, sql: str) -> _Value:
        self._uses(_Volatility.STABLE)
        self._remark(_ROLE)
        # The name is PostgreSQL's, so no code page of the source cuts it: what is_ascii stands for here.
        return _Value(f"{sql}::text", sized_type("nvarchar", 128), is_ascii=True)

    def current_user(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        return self._role("current_user")

    def login(self, arguments: Arguments) -> _Value:  # noqa: ARG002
        return self._role("session_user")

    def isnull(self, arguments: Arguments) -> _Value:
        """The result has the first argument's type, and the second is cut to it ("ISNULL")."""
        first, second = (self.value(argument) for argument in arguments)
        if first.type is None:
            return self._typed(second)
        if first.constant is not None:
            return first
        if first.is_trimmed:
            first = replace(first, sql=self._text(first), is_trimmed=False)
        second = self._convert(second, first.known)
        return self._merged(f"coalesce({first.sql}, {second.sql})", first.known, [first, second])

    def coalesce(self, arguments: Arguments) -> _Value:
        type_, values = self._unified([self.value(argument) for argument in arguments])
        return self._merged(f"coalesce({', '.join(value.sql for value in values)})", type_, values)

    def nullif(self, arguments: Arguments) -> _Value:
        first, second = (self._typed(self.value(argument)) for argument in arguments)
        if first.constant is not None:
            raise Refused("NULLIF of a constant is not translated")
        self._once(first)
        result = replace(first, sql=self._text(first), is_trimmed=False)
        return self._merged(
            f"CASE WHEN {self._compare('=', first, second).sql} THEN NULL ELSE {result.sql} END", first.known, [result]
        )

    def iif(self, arguments: Arguments) -> _Value:
        condition = self.condition(arguments[0], None)
        return self._choice([condition.sql], [self.value(argument) for argument in arguments[1:]])

    def concat(self, arguments: Arguments) -> _Value:
        """NULL counts as an empty text ("CONCAT"). PostgreSQL's concat() is not immutable."""
        values = []
        for argument in arguments:
            value = self.value(argument)
            if value.type is None:
                continue
            if value.known.name not in _STRINGS:
                value = self._convert(value, sized_type("varchar", 50))
            elif value.constant is None:
                value = replace(value, sql=self._text(value), is_trimmed=False)
            if value.constant is None:
                value = replace(value, sql=f"coalesce({value.sql}, '')", is_atom=True)
            values.append(value)
        if not values:
            raise Refused("every argument of CONCAT is NULL")
        return self._concatenate(values) if len(values) > 1 else values[0]

    def _string(self, node: Node) -> _Value:
        """A text argument; T-SQL turns other types into varchar here."""
        value = self._typed(self.value(node))
        if value.known.name in {"text", "ntext"}:
            raise Refused(f"{value.type} is an argument")
        if value.known.name in _STRINGS:
            return value
        if value.known.name not in _INTEGERS and value.known.name != "uniqueidentifier":
            raise Refused(f"{value.type} becomes a text first")
        return self._convert(value, sized_type("varchar", 36))

    def length(self, arguments: Arguments) -> _Value:
        """Trailing blanks do not count; n-types count UTF-16 units ("LEN")."""
        value = self._string(arguments[0])
        if isinstance(value.constant, str):
            return _constant(_utf16_length(value.constant.rstrip(" ")), _INT)
        sql = _unpadded(value)
        return _Value(f"length({_in_utf16_units(sql) if self._is_in_units(value) else sql})", self._length_type(value))

    @staticmethod
    def _length_type(value: _Value) -> SqlType:
        return SqlType("bigint") if value.known.max_length == -1 else _INT

    def datalength(self, arguments: Arguments) -> _Value:
        """Bytes, trailing blanks included ("DATALENGTH")."""
        value = self._typed(self.value(arguments[0]))
        name = value.known.name
        if name in {"varbinary", "image"} and value.constant is None:
            return _Value(f"octet_length({value.sql})", self._length_type(value))
        if name not in {"varchar", "nvarchar"} or value.constant is not None:
            raise Refused(f"DATALENGTH of {value.type} is not translated")
        if name == "nvarchar":
            return _Value(f"length({_in_utf16_units(value.sql)}) * 2", self._length_type(value), is_atom=False)
        if value.collation is None or not _Collation(value.collation).has_one_byte_characters:
            raise Refused("DATALENGTH counts bytes of a code page")
        return _Value(f"length({value.sql})", self._length_type(value))

    def _part(self, function: str, arguments: Arguments) -> _Value:
        value, count = self._string(arguments[0]), self.value(arguments[1])
        self._doubt_units(value)
        if not isinstance(count.constant, int) or isinstance(count.constant, bool) or count.constant < 0:
            if count.known.name not in _INTEGERS:
                raise Refused(f"{function.upper()} has a length that is not a whole number")
            self._doubt(
                f"{function.upper()} with a negative length is an error in T-SQL and something else in PostgreSQL"
            )
        type_ = _varying(value.known)
        if isinstance(count.constant, int) and type_.max_length != -1:
            type_ = sized_type(type_.name, max(1, min(type_.characters, count.constant)))
        return self._text_value(f"{function}({self._text(value)}, {count.sql})", type_, [value])

    def left(self, arguments: Arguments) -> _Value:
        return self._part("left", arguments)

    def right(self, arguments: Arguments) -> _Value:
        return self._part("right", arguments)

    def substring(self, arguments: Arguments) -> _Value:
        """Positions before the first character count in both engines ("SUBSTRING")."""
        value = self._string(arguments[0])
        start, count = (self._typed(self.value(argument)) for argument in arguments[1:])
        for number in (start, count):
            if number.known.name not in _INTEGERS or number.known.name == "bigint":
                raise Refused("SUBSTRING has a position that is not an int")
        self._doubt_units(value)
        sql = f"substring({self._text(value)}, {start.sql}, {count.sql})"
        return self._text_value(sql, _varying(value.known), [value])

    def charindex(self, arguments: Arguments) -> _Value:
        sought, value = self._string(arguments[0]), self._string(arguments[1])
        if not isinstance(sought.constant, str) or not sought.constant or value.constant is not None:
            raise Refused("CHARINDEX is translated for a constant text that is looked for")
        collation = self._collation(sought, value)
        folds = self._weigh(sought.constant, collation, sought.known if sought.known.name in _UNICODE else value.known)
        self._settle_case(value)
        sql = self._text(value)
        if self._is_in_units(value):
            sql = _in_utf16_units(sql)
        if folds:
            sql = f'lower({sql} COLLATE "C")'
        text = sought.constant.lower() if folds else sought.constant
        return _Value(f"strpos({sql}, {_quoted(text)})", self._length_type(value))

    def replace_(self, arguments: Arguments) -> _Value:
        """The search follows the collation ("REPLACE"), so only texts without letters are looked for."""
        value, sought, new = (self._string(argument) for argument in arguments)
        if not isinstance(sought.constant, str) or not sought.constant or not isinstance(new.constant, str):
            raise Refused("REPLACE is translated for constant texts only")
        if not value.is_ascii:
            collation = self._collation(value, sought, new)
            if self._weigh(sought.constant, collation, sought.known if sought.known.name in _UNICODE else value.known):
                self._doubt(f"REPLACE ignores case under {collation.name}")
        elif any(character.isalpha() for character in sought.constant):
            raise Refused("REPLACE may ignore case")
        type_ = _varying(value.known)
        if type_.max_length != -1:
            growth = -(-len(new.constant) // len(sought.constant))
            type_ = sized_type(type_.name, type_.characters * max(1, growth))
            if type_.max_length > 8000:
                self._doubt("T-SQL cuts a text of more than 8000 bytes")
        sql = f"replace({self._text(value)}, {sought.sql}, {new.sql})"
        return self._text_value(sql, type_, [value, sought, new])

    def _cased(self, function: str, arguments: Arguments) -> _Value:
        value = self._string(arguments[0])
        if isinstance(value.constant, str) and value.is_ascii:
            changed = value.constant.upper() if function == "upper" else value.constant.lower()
            return _constant(changed, value.known)
        text = self._text(value)
        if value.is_ascii:
            return self._text_value(f"{function}({text})", _varying(value.known), [value])
        if value.collation is None or _Collation(value.collation).has_another_i:
            raise Refused(f"{function.upper()} under this collation has another rule for i and I")
        doubt = self._doubt(f"{function.upper()} of letters beyond ASCII depends on the PostgreSQL database's locale")
        result = self._text_value(f'{function}({text} COLLATE "C")', _varying(value.known), [value])
        return replace(result, case_doubt=doubt)

    def upper(self, arguments: Arguments) -> _Value:
        return self._cased("upper", arguments)

    def lower(self, arguments: Arguments) -> _Value:
        return self._cased("lower", arguments)

    def _trimmed(self, function: str, arguments: Arguments) -> _Value:
        """Blanks only, as in PostgreSQL ("LTRIM", "RTRIM", "TRIM")."""
        value = self._string(arguments[0])
        if isinstance(value.constant, str):
            raise Refused("a constant is trimmed")
        sql = f"{value.operand}::text" if value.is_trimmed and function != "ltrim" else self._text(value)
        return self._text_value(f"{function}({sql}, ' ')", _varying(value.known), [value])

    def ltrim(self, arguments: Arguments) -> _Value:
        return self._trimmed("ltrim", arguments)

    def rtrim(self, arguments: Arguments) -> _Value:
        return self._trimmed("rtrim", arguments)

    def trim(self, arguments: Arguments) -> _Value:
        return self._trimmed("btrim", arguments)

    def character(self, arguments: Arguments) -> _Value:
        code = self.value(arguments[0]).constant
        if not isinstance(code, int) or isinstance(code, bool) or not 0 < code < 128:
            raise Refused("CHAR is translated for a constant from 1 to 127")
        return _constant(chr(code), sized_type("varchar", 1))

    def _numeric(self, node: Node) -> _Value:
        value = self._typed(self.value(node))
        if not (_is_exact(value.known) or value.known.name in _FLOATS):
            raise Refused(f"{value.type} becomes a number first")
        return value

    def absolute(self, arguments: Arguments) -> _Value:
        value = self._numeric(arguments[0])
        return _Value(f"abs({value.sql})", value.type)

    def sign(self, arguments: Arguments) -> _Value:
        value = self._numeric(arguments[0])
        if value.known.name in _INTEGERS:
            type_ = value.known if value.known.name == "bigint" else _INT
            return _Value(f"sign({value.operand}::numeric)::{_postgres_type(type_)}", type_)
        return _Value(f"sign({value.sql})", value.type)

    def _whole(self, function: str, arguments: Arguments) -> _Value:
        value = self._numeric(arguments[0])
        if value.known.name in _INTEGERS:
            return value
        type_ = decimal_type(value.known.precision) if value.known.name == "decimal" else value.known
        return _Value(f"{function}({value.sql})", _FLOAT if type_.name == "real" else type_)

    def ceiling(self, arguments: Arguments) -> _Value:
        return self._whole("ceil", arguments)

    def floor(self, arguments: Arguments) -> _Value:
        return self._whole("floor", arguments)

    def round_(self, arguments: Arguments) -> _Value:
        """Half away from zero; a third argument that is not 0 truncates ("ROUND")."""
        value, places = self._numeric(arguments[0]), self.value(arguments[1])
        function = "round"
        if len(arguments) == 3:
            mode = self.value(arguments[2]).constant
            if not isinstance(mode, int):
                raise Refused("ROUND has a third argument that is not constant")
            function = "trunc" if mode else "round"
        if value.known.name in _FLOATS:
            raise Refused("ROUND of float works on binary digits")
        if not isinstance(places.constant, int) or isinstance(places.constant, bool):
            raise Refused("ROUND has a number of places that is not constant")
        if value.known.name in _INTEGERS:
            type_ = value.known if value.known.name == "bigint" else _INT
            return _Value(f"{function}({value.operand}::numeric, {places.sql})::{_postgres_type(type_)}", type_)
        return _Value(f"{function}({value.sql}, {places.sql})", value.type)

    def power(self, arguments: Arguments) -> _Value:
        """The result has the first argument's type ("POWER"): exact for integers within int."""
        value, exponent = self._numeric(arguments[0]), self.value(arguments[1])
        if value.known.name not in {"tinyint", "smallint", "int"} or not isinstance(exponent.constant, int):
            raise Refused("POWER is translated for an int and a constant whole exponent")
        if not 0 <= exponent.constant <= 30:
            raise Refused("POWER is translated for exponents from 0 to 30")
        return _Value(f"power({value.operand}::double precision, {exponent.sql})::integer", _INT)

    def sqrt(self, arguments: Arguments) -> _Value:
        return _Value(f"sqrt({self._convert(self._numeric(arguments[0]), _FLOAT).sql})", _FLOAT)

    # -- functions of dates --

    def _part_name(self, node: Node) -> str:
        name = node.parts[0].lower() if isinstance(node, Name) and len(node.parts) == 1 else ""
        if name in {"weekday", "dw", "w"}:
            raise Refused("the day of the week depends on DATEFIRST")
        if name not in _DATE_PARTS:
            raise Refused(f"the date part {name or 'given'} is not translated")
        return _DATE_PARTS[name]

    def _date(self, node: Node, literal: SqlType) -> _Value:
        """A date argument; constant texts and numbers become dates ("DATEADD", "DATEDIFF")."""
        value = self._typed(self.value(node))
        if isinstance(value.constant, str):
            return self._convert(value, literal)
        if isinstance(value.constant, int) and value.known.name == "int":
            return self._convert(value, _DATETIME)
        if value.known.name not in _DATED:
            if value.known.name == "datetimeoffset" and value.is_now:
                return self._convert(value, SqlType("datetime2", scale=7))
            raise Refused(
                "the local time of a datetimeoffset is lost in timestamptz, which keeps the instant"
                if value.known.name == "datetimeoffset"
                else f"{value.type} stands for a date"
            )
        return value

    @staticmethod
    def _stamp(value: _Value) -> str:
        """The date as a timestamp: PostgreSQL turns a bare date into timestamptz, by the session's zone."""
        return value.operand if value.known.name != "date" else f"{value.operand}::timestamp"

    def _extract(self, part: str, value: _Value) -> str:
        return f"extract({part} from {value.sql})"

    def datepart(self, arguments: Arguments) -> _Value:
        part = self._part_name(arguments[0])
        if part == "week":
            raise Refused("the week of the year depends on DATEFIRST")
        value = self._date(arguments[1], _DATETIME)
        if part == "millisecond":
            if value.known.name != "datetime2":
                raise Refused(f"the milliseconds of {value.type} are thirds")
            sql = f"(trunc(extract(milliseconds from {value.sql}))::integer % 1000)"
            return _Value(sql, _INT)
        if part == "second":
            return _Value(f"trunc({self._extract('second', value)})::integer", _INT)
        if value.known.name == "date" and part in {"hour", "minute"}:
            raise Refused(f"a date has no {part}")
        return _Value(f"{self._extract('week' if part == 'iso_week' else part, value)}::integer", _INT)

    def year(self, arguments: Arguments) -> _Value:
        return _Value(f"{self._extract('year', self._date(arguments[0], _DATETIME))}::integer", _INT)

    def month(self, arguments: Arguments) -> _Value:
        return _Value(f"{self._extract('month', self._date(arguments[0], _DATETIME))}::integer", _INT)

    def day(self, arguments: Arguments) -> _Value:
        return _Value(f"{self._extract('day', self._date(arguments[0], _DATETIME))}::integer", _INT)

    def dateadd(self, arguments: Arguments) -> _Value:
        """A month that is too short gives its last day in both engines ("DATEADD")."""
        part = self._part_name(arguments[0])
        number = self._typed(self.value(arguments[1]))
        if number.known.name not in _INTEGERS or number.known.name == "bigint":
            raise Refused("DATEADD has a number that is not an int")
        value = self.value(arguments[2])
        if value.type is not None and value.known.name == "datetimeoffset" and value.is_now:
            if part not in {"hour", "minute", "second"}:
                raise Refused("days of a datetimeoffset would follow the PostgreSQL session's zone")
            unit, factor = f"{part}s", 1
        else:
            value = self._date(arguments[2], _DATETIME)
            unit, factor = {
                "year": ("months", 12), "quarter": ("months", 3), "month": ("months", 1), "week": ("days", 7),
                "day": ("days", 1), "doy": ("days", 1), "hour": ("hours", 1), "minute": ("minutes", 1),
                "second": ("seconds", 1),
            }.get(part, ("", 0))  # fmt: skip
        if not unit:
            raise Refused(f"DATEADD of {part}s is not translated")
        return self._add(value, unit, number, factor)

    def _add(self, value: _Value, unit: str, number: _Value, factor: int) -> _Value:
        name = value.known.name
        if name == "date" and unit not in {"months", "days"}:
            raise Refused(f"{unit} are added to a date")
        if name == "smalldatetime" and unit == "seconds":
            raise Refused("smalldatetime rounds seconds")
        if isinstance(number.constant, int):
            count = number.constant * factor
            if name == "date" and unit == "days":
                sign = "-" if count < 0 else "+"
                return replace(value, sql=f"{value.operand} {sign} {abs(count)}", is_atom=False, constant=None)
            sql = f"{value.operand} + interval '{count} {unit}'"
        else:
            count_sql = number.sql if factor == 1 else f"{number.operand} * {factor}"
            if name == "date" and unit == "days":
                sql = f"{value.operand} + {number.operand if factor == 1 else f'({count_sql})'}"
                return replace(value, sql=sql, is_atom=False, constant=None, is_now=False)
            value = replace(value, is_now=False)
            argument = {"hours": "hours", "minutes": "mins", "seconds": "secs"}.get(unit, unit)
            sql = f"{value.operand} + make_interval({argument} => {count_sql})"
        if name == "date":
            return replace(value, sql=f"({sql})::date", constant=None)
        return replace(value, sql=sql, is_atom=False, constant=None)

    def datediff(self, arguments: Arguments) -> _Value:
        """The number of boundaries crossed; weeks begin on Sunday whatever DATEFIRST says ("DATEDIFF")."""
        part = self._part_name(arguments[0])
        literal = SqlType("datetime2", scale=7)
        start, end = (self._date(argument, literal) for argument in arguments[1:])
        if part in {"day", "doy"}:
            return _Value(f"{self._day(end)} - {self._day(start)}", _INT, is_atom=False)
        if part == "week":
            weeks = [f"({self._day(value)} - '0001-01-01'::date + 1) / 7" for value in (end, start)]
            return _Value(f"{weeks[0]} - {weeks[1]}", _INT, is_atom=False)
        if part in {"year", "quarter", "month"}:
            years = f"extract(year from {end.sql}) - extract(year from {start.sql})"
            if part == "year":
                return _Value(f"({years})::integer", _INT)
            factor = 12 if part == "month" else 4
            rest = f"extract({part} from {end.sql}) - extract({part} from {start.sql})"
            return _Value(f"(({years}) * {factor} + {rest})::integer", _INT)
        seconds = {"hour": 3600, "minute": 60, "second": 1}.get(part)
        if seconds is None:
            raise Refused(f"DATEDIFF of {part}s is not translated")
        first, last = (f"date_trunc('{part}', {self._stamp(value)})" for value in (start, end))
        return _Value(f"(extract(epoch from {last} - {first}) / {seconds})::integer", _INT)

    @staticmethod
    def _day(value: _Value) -> str:
        return value.operand if value.known.name == "date" else f"{value.operand}::date"

    def eomonth(self, arguments: Arguments) -> _Value:
        value = self._date(arguments[0], _DATETIME)
        months = "1 month"
        if len(arguments) == 2:
            count = self.value(arguments[1]).constant
            if not isinstance(count, int) or isinstance(count, bool):
                raise Refused("EOMONTH has a number of months that is not constant")
            months = f"{count + 1} months"
        sql = f"(date_trunc('month', {self._stamp(value)}) + interval '{months}' - interval '1 day')::date"
        return _Value(sql, SqlType("date"), is_now=value.is_now)

    def datefromparts(self, arguments: Arguments) -> _Value:
        parts = [self._typed(self.value(argument)) for argument in arguments]
        if any(part.known.name not in _INTEGERS or part.known.name == "bigint" for part in parts):
            raise Refused("DATEFROMPARTS has a part that is not an int")
        return _Value(f"make_date({', '.join(part.sql for part in parts)})", SqlType("date"))


Arguments = tuple[Node, ...]

_FUNCTIONS: dict[str, tuple[Callable[[_Writer, Arguments], _Value], int, int]] = {
    "GETDATE": (_Writer.getdate, 0, 0),
    "CURRENT_TIMESTAMP": (_Writer.getdate, 0, 0),
    "SYSDATETIME": (_Writer.sysdatetime, 0, 0),
    "GETUTCDATE": (_Writer.getutcdate, 0, 0),
    "SYSUTCDATETIME": (_Writer.sysutcdatetime, 0, 0),
    "SYSDATETIMEOFFSET": (_Writer.sysdatetimeoffset, 0, 0),
    "NEWID": (_Writer.newid, 0, 0),
    "NEWSEQUENTIALID": (_Writer.newsequentialid, 0, 0),
    "USER_NAME": (_Writer.current_user, 0, 0),
    "CURRENT_USER": (_Writer.current_user, 0, 0),
    "USER": (_Writer.current_user, 0, 0),
    "SESSION_USER": (_Writer.current_user, 0, 0),
    "SUSER_SNAME": (_Writer.login, 0, 0),
    "SUSER_NAME": (_Writer.login, 0, 0),
    "SYSTEM_USER": (_Writer.login, 0, 0),
    "ORIGINAL_LOGIN": (_Writer.login, 0, 0),
    "ISNULL": (_Writer.isnull, 2, 2),
    "COALESCE": (_Writer.coalesce, 2, 99),
    "NULLIF": (_Writer.nullif, 2, 2),
    "IIF": (_Writer.iif, 3, 3),
    "CONCAT": (_Writer.concat, 2, 99),
    "LEN": (_Writer.length, 1, 1),
    "DATALENGTH": (_Writer.datalength, 1, 1),
    "LEFT": (_Writer.left, 2, 2),
    "RIGHT": (_Writer.right, 2, 2),
    "SUBSTRING": (_Writer.substring, 3, 3),
    "CHARINDEX": (_Writer.charindex, 2, 2),
    "REPLACE": (_Writer.replace_, 3, 3),
    "UPPER": (_Writer.upper, 1, 1),
    "LOWER": (_Writer.lower, 1, 1),
    "LTRIM": (_Writer.ltrim, 1, 1),
    "RTRIM": (_Writer.rtrim, 1, 1),
    "TRIM": (_Writer.trim, 1, 1),
    "CHAR": (_Writer.character, 1, 1),
    "ABS": (_Writer.absolute, 1, 1),
    "SIGN": (_Writer.sign, 1, 1),
    "CEILING": (_Writer.ceiling, 1, 1),
    "FLOOR": (_Writer.floor, 1, 1),
    "ROUND": (_Writer.round_, 2, 3),
    "POWER": (_Writer.power, 2, 2),
    "SQRT": (_Writer.sqrt, 1, 1),
    "YEAR": (_Writer.year, 1, 1),
    "MONTH": (_Writer.month, 1, 1),
    "DAY": (_Writer.day, 1, 1),
    "DATEPART": (_Writer.datepart, 2, 2),
    "DATEADD": (_Writer.dateadd, 3, 3),
    "DATEDIFF": (_Writer.datediff, 3, 3),
    "EOMONTH": (_Writer.eomonth, 1, 2),
    "DATEFROMPARTS": (_Writer.datefromparts, 3, 3),
}

_HINTS = {
    "DB_NAME": "current_database()",
    "HOST_NAME": "inet_client_addr()::text",
    "APP_NAME": "current_setting('application_name')",
    "PROGRAM_NAME": "current_setting('application_name')",
}


def _as_bit(value: _Value, other: _Value) -> _Value:
    """The constants 0 and 1 as a bit where they are compared with one."""
    if other.known.name == "bit" and type(value.constant) is int and value.constant in {0, 1}:
        return _constant(bool(value.constant), _BIT)
    return value


def _higher(one: SqlType, other: SqlType) -> SqlType:
    """The type of higher precedence ("Data type precedence")."""
    for type_ in (one, other):
        if type_.name not in _PRECEDENCE:
            raise Refused(f"{type_} has no place in an expression")
    return one if _PRECEDENCE.index(one.name) <= _PRECEDENCE.index(other.name) else other


def _common(one: SqlType, other: SqlType) -> SqlType:
    """The type of a result that may be either."""
    target = _higher(one, other)
    if target.name in _STRINGS:
        sizes = [type_.characters if type_.name not in {"text", "ntext"} else -1 for type_ in (one, other)]
        return sized_type(target.name, -1 if -1 in sizes else max(sizes))
    if target.name == "decimal":
        if not (_is_exact(one) and _is_exact(other)):
            return target
        (precision1, scale1), (precision2, scale2) = _digits(one), _digits(other)
        scale = max(scale1, scale2)
        return decimal_type(max(precision1 - scale1, precision2 - scale2) + scale, scale)
    if target.name in SCALED_TIMES:
        return replace(target, scale=max(type_.scale for type_ in (one, other) if type_.name in SCALED_TIMES))
    return target


def _constant_digits(value: _Value) -> tuple[int, int]:
    """Digits of an operand; a whole constant has as many as it is written with."""
    if isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return max(1, len(str(abs(value.constant)))), 0
    return _digits(value.known)


def _power_of_ten(value: _Value) -> int | None:
    """k when the value is the constant 10 to the k, k from 0."""
    if not isinstance(value.constant, int | Decimal) or isinstance(value.constant, bool) or value.constant < 1:
        return None
    text = format(Decimal(value.constant), "f")
    whole, _, fraction = text.partition(".")
    return len(whole) - 1 if whole.strip("0") == "1" and whole[0] == "1" and not fraction.strip("0") else None


def _holds(target: SqlType, source: SqlType) -> bool:
    """Every value of the source's length fits into the target's."""
    if target.max_length == -1 or target.name in {"text", "ntext", "image"}:
        return True
    return source.name not in {"text", "ntext", "image"} and -1 < source.characters <= target.characters


def _same_numeric(source: SqlType, target: SqlType) -> bool:
    return _digits(source) == _digits(target) and source.name == target.name


def _varying(type_: SqlType) -> SqlType:
    return sized_type("nvarchar" if type_.name in _UNICODE else "varchar", type_.characters)


def _unpadded(value: _Value) -> str:
    """A text without trailing blanks; PostgreSQL drops those of char(n) in the cast."""
    return f"{value.operand}::text" if value.is_trimmed else f"rtrim({value.sql}, ' ')"


def _in_utf16_units(sql: str) -> str:
    """A text whose length is its length in UTF-16 units: characters beyond U+FFFF stand twice."""
    return rf"regexp_replace({sql}, '([\U00010000-\U0010FFFF])', '\1\1', 'g')"


@dataclass(frozen=True)
class _LikeElement:
    """A piece of a LIKE pattern: `%`, `_`, one character of text, or a set."""

    kind: str
    text: str = ""
    members: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    is_negated: bool = False

    @property
    def counts(self) -> bool:
        """It stands for exactly one UTF-16 unit that may be half a character."""
        return self.kind == "_" or self.is_negated


def _like_elements(pattern: str, escape: str | None) -> list[_LikeElement]:
    """A pattern in pieces ("LIKE (Transact-SQL)"). Raises `Refused` where the page leaves a meaning open."""
    elements: list[_LikeElement] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == escape:
            if position == len(pattern) or pattern[position] not in {"%", "_", "[", "]", escape, "^", "-"}:
                raise Refused("the ESCAPE character stands before an ordinary one")
            elements.append(_LikeElement("text", pattern[position]))
            position += 1
        elif character in "%_":
            elements.append(_LikeElement(character))
        elif character == "[":
            end = pattern.find("]", position)
            body = pattern[position:end]
            if end == -1 or not body.removeprefix("^") or (escape is not None and escape in body):
                raise Refused("the pattern of LIKE has a set that is not clear")
            elements.append(_like_set(body))
            position = end + 1
        else:
            elements.append(_LikeElement("text", character))
    return elements


def _like_set(body: str) -> _LikeElement:
    is_negated = body.startswith("^")
    body = body.removeprefix("^")
    members, ranges = [], []
    position = 0
    while position < len(body):
        if position + 2 < len(body) and body[position + 1] == "-":
            low, high = body[position], body[position + 2]
            kinds = [
                name for name, test in (("digit", str.isdigit), ("lower", str.islower), ("upper", str.isupper))
                if test(low) and test(high)
            ]  # fmt: skip
            if not kinds or not (low + high).isascii() or low > high:
                raise Refused(f"the range {low}-{high} of LIKE follows the collation's order")
            ranges.append(f"{low}-{high}")
            position += 3
        elif body[position] == "-" and position > 0:
            raise Refused("the pattern of LIKE has a set that is not clear")
        else:
            members.append(body[position])
            position += 1
    text = "".join(members) + "".join(ranges).replace("-", "")
    return _LikeElement("set", text, tuple(members), tuple(ranges), is_negated)


def _regex_escaped(character: str) -> str:
    return "\\" + character if character in r"\.^$*+?()[]{}|-" else character


def _regex_set(members: Sequence[str], both_cases: bool, beyond: str, *, is_negated: bool = False) -> str:
    """A bracket expression of characters and ranges; both cases of ASCII letters are spelled out."""
    spelled: list[str] = []
    for member in members:
        variants = [member]
        if both_cases and member.isascii():
            variants = list(dict.fromkeys([member.upper(), member.lower()]))
        for variant in variants:
            low, dash, high = variant.partition("-") if len(variant) == 3 else (variant, "", "")
            spelled.append(_regex_escaped(low) + dash + (_regex_escaped(high) if high else ""))
    inside = "".join(spelled) + beyond
    if len(spelled) == 1 and not is_negated and not beyond and len(members[0]) == 1:
        return inside
    return f"[{'^' if is_negated else ''}{inside}]"


# --- the four ways in --------------------------------------------------------------------------------------


def _outcome(original: str, writer: _Writer, write: Callable[[Node], str]) -> Translation:
    """Parses, writes and weighs the doubts."""
    try:
        sql = write(parse(original))
    except Refused as refusal:
        return Translation(original, None, refusal.reason, refusal.suggestion, False)
    except RecursionError:
        return Translation(original, None, "it is nested too deeply", None, False)
    is_strict = writer.kind in {_Kind.COMPUTED, _Kind.DEFAULT}
    doubts = [doubt for doubt in writer.doubts if is_strict or not doubt.is_lenient]
    is_immutable = writer.volatility is _Volatility.IMMUTABLE
    if doubts:
        reasons = "; ".join(dict.fromkeys(doubt.reason for doubt in doubts))
        return Translation(original, None, reasons, sql, is_immutable)
    if not is_immutable and writer.kind in {_Kind.COMPUTED, _Kind.FILTER}:
        reason = f"its value changes with the time or the session, which no {writer.kind.value} may in PostgreSQL"
        return Translation(original, None, reason, sql, False)
    return Translation(original, sql, None, "; ".join(writer.remarks) or None, is_immutable)


def translate_default(text: str, column: Column, *, sequence_name: SequenceName) -> Translation:
    """A default's text for `ALTER COLUMN … SET DEFAULT <sql>`, converted to the column's type as an INSERT would.

    `sequence_name` maps a sequence's schema and name to its quoted, qualified name in PostgreSQL, and raises
    `LookupError` for one it does not know. Never raises: what does not translate is refused in the result.
    """
    writer = _Writer(_Kind.DEFAULT, sequence_name=sequence_name)

    def write(node: Node) -> str:
        target = _normalised(column.type)
        value = writer.value(node)
        if value.type is None:
            return "NULL"
        if target.is_clr or target.name not in _PRECEDENCE:
            raise Refused(f"the column is of type {column.type}, whose defaults are not translated")
        value = writer._convert(value, target, is_assignment=True)
        if value.constant is not None:
            return _constant_sql(value.constant, target, is_bare=True)
        return value.operand

    return _outcome(text, writer, write)


def translate_check(text: str, table: Table, quote: Quote) -> Translation:
    """A check constraint's text for `CHECK (<sql>)`: no row that the source accepts is refused.

    `quote` maps a column's source name to the quoted identifier in PostgreSQL. Never raises.
    """
    writer = _Writer(_Kind.CHECK, table.columns, quote)
    return _outcome(text, writer, lambda node: writer.condition(node, True).sql)


def translate_filter(text: str, table: Table, quote: Quote) -> Translation:
    """A filtered index's predicate for `WHERE <sql>`. Never raises; see `translate_check` for `quote`."""
    writer = _Writer(_Kind.FILTER, table.columns, quote)
    return _outcome(text, writer, lambda node: writer.condition(node, None).sql)


def translate_computed(text: str, column: Column, table: Table, quote: Quote) -> Translation:
    """A computed column's text for `GENERATED ALWAYS AS (<sql>) STORED`.

    The type that T-SQL's rules give to the expression must be the one the catalog shows for the column: a
    difference means that a rule was misread, and the expression is refused. Never raises.
    """
    writer = _Writer(_Kind.COMPUTED, table.columns, quote)

    def write(node: Node) -> str:
        value = writer.value(node)
        target = _normalised(column.type)
        if value.type is None:
            raise Refused("it is always NULL")
        same = value.known.name == target.name or (value.known.name in _STRINGS and target.name in _STRINGS)
        if not same or (target.name == "decimal" and value.known.scale != target.scale):
            raise Refused(
                f"its type is {column.type} in the catalog, and {value.type} by the rules that this tool knows"
            )
        if target.name in _STRINGS:
            return writer._convert(value, target, is_assignment=True).sql
        return value.sql

    return _outcome(text, writer, write)

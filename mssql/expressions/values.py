"""Translated values and conditions, constants in SQL, and what a translation relies on."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.tree import Refused
from mssql.expressions.types import postgres_type

Constant = bool | int | Decimal | float | str | bytes | dt.date | dt.time | uuid.UUID


class Volatility(IntEnum):
    """PostgreSQL's classes of functions, by what an expression made of them may be used for."""

    IMMUTABLE = 0
    STABLE = 1
    VOLATILE = 2


@dataclass(eq=False)
class Doubt:
    """Why an expression is not certain. A lenient one counts where a wrong outcome would be silent only.

    With an `assumption` it concerns only values that hardly any database holds.
    """

    reason: str
    is_lenient: bool = False
    assumption: Assumption | None = None


@dataclass(frozen=True)
class DateText:
    """How a text was made of a date: the whole day of `date` in a style of CONVERT, then a time."""

    date: Value
    style: int
    time: dt.time = dt.time()


@dataclass(frozen=True)
class Value:
    """A translated scalar. `type` is T-SQL's, `None` for a bare NULL.

    `is_atom`: needs no parentheses as an operand. `is_now`: made of the present time and no column. `is_ascii`: text
    that cannot hold anything else; `is_digits`: that of a whole number. `is_trimmed`: the SQL lacks the blanks that
    fill the text to its characters, as a char(n) does. `date_text`: the date that a text is made of. `offset`: the
    hours and minutes from UTC that a datetimeoffset is known to have, or its zone. `is_whole`: a moment without a
    fraction.
    """

    sql: str
    type: SqlType | None
    constant: Constant | None = None
    is_atom: bool = True
    collation: str | None = None
    has_explicit_collation: bool = False
    is_ascii: bool = False
    is_now: bool = False
    is_trimmed: bool = False
    case_doubt: Doubt | None = None
    is_digits: bool = False
    date_text: DateText | None = None
    offset: str | None = None
    is_whole: bool = False

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


@dataclass(frozen=True)
class Condition:
    """A translated predicate. `is_atom`: needs no parentheses as an operand."""

    sql: str
    is_atom: bool = False

    @property
    def operand(self) -> str:
        """The SQL in parentheses where precedence asks for them."""
        return self.sql if self.is_atom else f"({self.sql})"


@dataclass
class Notes:
    """What a translation relies on, gathered while it is written."""

    volatility: Volatility = Volatility.IMMUTABLE
    doubts: list[Doubt] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def doubt(self, reason: str, *, is_lenient: bool = False) -> Doubt:
        """Notes why the outcome is not certain."""
        doubt = Doubt(reason, is_lenient)
        self.doubts.append(doubt)
        return doubt

    def assume(self, assumption: Assumption, reason: str, *, is_lenient: bool = False) -> Doubt:
        """Notes what is taken for granted; `reason` says why it is refused where nothing is."""
        doubt = Doubt(reason, is_lenient, assumption)
        self.doubts.append(doubt)
        return doubt

    def remark(self, text: str) -> None:
        """Notes once what a person should know of a certain outcome."""
        if text not in self.remarks:
            self.remarks.append(text)

    def uses(self, volatility: Volatility) -> None:
        """Notes a part that is so volatile."""
        self.volatility = max(self.volatility, volatility)

    def once(self, value: Value) -> None:
        """Guards a value that the translation would evaluate twice."""
        if self.volatility is Volatility.VOLATILE and value.constant is None:
            raise Refused("a value that changes with every call would be computed twice")


def typed(value: Value) -> Value:
    """Anything but a bare NULL, which is refused here."""
    if value.type is None:
        raise Refused("a bare NULL is an operand")
    return value


def quoted(text: str) -> str:
    """A PostgreSQL string literal (standard_conforming_strings is on, so a backslash is itself)."""
    if "\0" in text:
        raise Refused("a text holds U+0000, which PostgreSQL cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused("a text holds an unpaired surrogate, which has no UTF-8") from None
    return "'" + text.replace("'", "''") + "'"


def constant_sql(value: Constant, type_: SqlType, *, is_bare: bool = False) -> str:
    """A constant in SQL. `is_bare` leaves out the cast where the column's type does the same."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if is_bare and (value == 0 or 1e-5 < abs(value) < 1e15):
            return format(Decimal(repr(value)), "f").removesuffix(".0")
        return f"'{value!r}'::{postgres_type(type_)}"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if is_bare or "." in text else f"{text}::numeric"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, uuid.UUID):
        return f"'{value}'::uuid"
    text = value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
    return f"'{text}'::{postgres_type(type_)}"


def constant_value(value: Constant, type_: SqlType) -> Value:
    """A constant as a translated value."""
    sql = constant_sql(value, type_)
    is_ascii = isinstance(value, str) and value.isascii()
    is_whole = isinstance(value, dt.datetime) and value.microsecond == 0
    return Value(sql, type_, value, is_atom=not sql.startswith("-"), is_ascii=is_ascii, is_whole=is_whole)


NULL = Value("NULL", None)

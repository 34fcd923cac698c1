"""Literals with the type T-SQL gives them, and constants under another type.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation

from model.catalog import SqlType
from mssql.expressions.date_constants import to_time
from mssql.expressions.text import utf16_length
from mssql.expressions.tree import Literal, Refused, Token
from mssql.expressions.types import (
    BINARIES,
    FLOAT,
    FLOATS,
    INT,
    INTEGERS,
    MONEY,
    STRINGS,
    TIMES,
    UNICODE,
    decimal_type,
    sized_type,
)
from mssql.expressions.values import Constant, Notes, Value, constant_value

INTEGER_BOUNDS = {
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
_MONEY_BOUNDS = {
    "money": Decimal("922337203685477.5807"),
    "smallmoney": Decimal("214748.3647"),
}
_WIDE = Context(prec=80)
_INTEGER_TEXT = re.compile(r" *[+-]?[0-9]{1,40} *")
_NUMBER_TEXT = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+) *")
_FLOAT_TEXT = re.compile(r" *[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)? *")
_UUID_TEXT = re.compile(r"\{?([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})\}?")


def literal_value(node: Literal) -> Value:
    """A literal with the type T-SQL gives it ("Constants")."""
    text = node.text
    if node.kind in {Token.STRING, Token.NATIONAL}:
        name = "nvarchar" if node.kind is Token.NATIONAL else "varchar"
        return constant_value(text, sized_type(name, max(1, utf16_length(text))))
    if node.kind is Token.BINARY:
        digits = text if len(text) % 2 == 0 else "0" + text
        return constant_value(bytes.fromhex(digits), sized_type("varbinary", max(1, len(digits) // 2)))
    if node.kind is Token.MONEY:
        return constant_value(_to_money(Decimal(text), "money"), SqlType("money"))
    if "e" in text.lower():
        number = float(text)
        if math.isinf(number):
            raise Refused(f"the number {text} is beyond float's range")
        return constant_value(number, FLOAT)
    if "." not in text:
        if int(text) <= INTEGER_BOUNDS["int"][1]:
            return constant_value(int(text), INT)
        return constant_value(Decimal(int(text)), decimal_type(len(text.lstrip("0"))))
    number_ = Decimal(text)
    whole, _, fraction = text.partition(".")
    precision = len(whole.lstrip("0")) + len(fraction)
    return constant_value(number_, decimal_type(max(1, precision), len(fraction)))


def convert_constant(
    notes: Notes, value: Constant, source: SqlType, target: SqlType, style: int | None, is_assignment: bool
) -> Constant:
    """A constant under another T-SQL type ("CAST and CONVERT": implicit conversions, truncating and rounding).

    Raises `Refused` where the source would refuse it or its value depends on a setting.
    """
    name = target.name
    refusal = Refused(f"{_shown(value)} is no {target} on the source, or not one that is certain")
    if name in BINARIES and isinstance(value, str) and not is_assignment:
        return _text_to_binary(value, source, target, style, refusal)
    if style is not None and not (isinstance(value, str) and name in TIMES):
        raise Refused(f"CONVERT with style {style} is not translated here")
    if name == "bit":
        return _to_bit(value, refusal)
    if name in INTEGERS:
        return _to_integer(value, source, name, refusal)
    if name == "decimal":
        return _to_decimal(_to_number(value, refusal), target)
    if name in MONEY:
        return _to_money(_to_number(value, refusal), name)
    if name in FLOATS:
        return _to_float(value, name, refusal)
    if name in STRINGS:
        return _to_text(value, source, target, is_assignment)
    if name in BINARIES:
        return _to_binary(value, source, target, refusal)
    if name == "uniqueidentifier":
        if isinstance(value, uuid.UUID):
            return value
        if isinstance(value, bytes) and len(value) == 16:
            # The first three groups are turned round ("uniqueidentifier").
            return uuid.UUID(bytes_le=value)
        match = _UUID_TEXT.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise refusal
        return uuid.UUID(match[1])
    if name in TIMES:
        return to_time(notes, value, target, style, refusal)
    raise refusal


def _shown(value: Constant) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _to_bit(value: Constant, refusal: Refused) -> bool:
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


def _to_integer(value: Constant, source: SqlType, name: str, refusal: Refused) -> int:
    if isinstance(value, str):
        if value.strip(" ") and not _INTEGER_TEXT.fullmatch(value):
            raise refusal
        number = int(value) if value.strip(" ") else 0
    elif isinstance(value, bytes):
        size = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[name]
        number = int.from_bytes(value[-size:].rjust(size, b"\0"), "big", signed=name != "tinyint")
    elif isinstance(value, Decimal):
        rounding = ROUND_HALF_UP if source.name in MONEY else ROUND_DOWN
        number = int(value.to_integral_value(rounding))
    elif isinstance(value, bool | int | float):
        number = int(value)
    else:
        raise refusal
    low, high = INTEGER_BOUNDS[name]
    if not low <= number <= high:
        raise refusal
    return number


def _to_number(value: Constant, refusal: Refused) -> Decimal:
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


def _to_float(value: Constant, name: str, refusal: Refused) -> float:
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


def _to_text(value: Constant, source: SqlType, target: SqlType, is_assignment: bool) -> str:
    size = target.characters if target.name not in {"text", "ntext"} else -1
    if isinstance(value, str):
        if target.name not in UNICODE and source.name in UNICODE and not value.isascii():
            raise Refused(f"{value!r} goes through a code page, which may replace characters")
        if size == -1 or utf16_length(value) <= size:
            return value.ljust(size) if target.name in {"char", "nchar"} and not is_assignment else value
        if is_assignment:
            if utf16_length(value.rstrip(" ")) <= size:
                return value[: len(value) - (utf16_length(value) - size)]
            raise Refused(f"{value!r} is longer than {target}: the source refuses every row that takes it")
        if not value.isascii():
            raise Refused(f"{value!r} is cut in units that PostgreSQL counts in another way")
        return value[:size]
    if isinstance(value, bool | int):
        text = str(int(value))
    elif isinstance(value, Decimal) and source.name == "decimal":
        text = format(value, "f")
    elif isinstance(value, float) and (value == 0 or 1e-4 <= abs(value) < 1e6) and float(f"{value:.6g}") == value:
        # At most six digits ("CAST and CONVERT", float styles), which hold these.
        text = f"{value:.6g}"
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


def _to_binary(value: Constant, source: SqlType, target: SqlType, refusal: Refused) -> bytes:
    size = target.max_length if target.name != "image" else -1
    if isinstance(value, bytes):
        if size != -1 and len(value) > size:
            raise refusal
        return value.ljust(size, b"\0") if target.name == "binary" else value
    if isinstance(value, int) and not isinstance(value, bool) and source.name == "int" and size != -1:
        data = value.to_bytes(4, "big", signed=True)
        return data.rjust(size, b"\0") if target.name == "binary" and size >= 4 else data[-size:]
    raise refusal


def _text_to_binary(value: str, source: SqlType, target: SqlType, style: int | None, refusal: Refused) -> bytes:
    """Hexadecimal digits in styles 1 and 2, else the characters' own bytes ("CAST and CONVERT", binary styles)."""
    if style in {1, 2}:
        digits = value[2:] if style == 1 and value[:2] == "0x" else value
        if (style == 1 and value[:2] != "0x") or not re.fullmatch("(?:[0-9A-Fa-f]{2})*", digits):
            raise refusal
        data = bytes.fromhex(digits)
    elif style is not None:
        raise refusal
    elif source.name in UNICODE:
        data = value.encode("utf-16-le", "surrogatepass")
    elif value.isascii():
        data = value.encode()
    else:
        raise Refused(f"{value!r} as {target} has the bytes of a code page")
    size = target.max_length if target.name != "image" else -1
    data = data if size == -1 else data[:size]
    return data.ljust(size, b"\0") if target.name == "binary" else data

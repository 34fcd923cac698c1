"""Decimals brought to another scale, and added up, without a digit lost: what does not fit raises.

Arrow's own casts let a number that outgrows 128 bits wrap around when its scale grows, and call it done: '7.50' as
decimal128(38, 38) is 0.694352661…. Where that could happen, the way goes through 256 bits, which hold every number of
38 digits at every scale.
"""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import InexactError

#: of a decimal in 128 bits
MAX_DIGITS = 38
_WIDEST_DIGITS = 76
#: the upper 64 bits of the largest number of 38 digits
LARGEST_HIGH = 10**MAX_DIGITS >> 64


def rescaled(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Integers or decimals as decimals of `kind`, each exactly. Raises InexactError."""
    whole, scale = (MAX_DIGITS, 0) if pa.types.is_integer(values.type) else (values.type.precision, values.type.scale)
    has_room = whole - scale + kind.scale <= MAX_DIGITS
    try:
        return (values if has_room else values.cast(_wide(kind.scale))).cast(kind)
    except pa.ArrowInvalid as error:
        raise InexactError(str(error)) from None


def decimals_of(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Numbers written as text (`-12.50`) as decimals of `kind`, each exactly. Raises InexactError."""
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    try:
        if longest <= MAX_DIGITS - kind.scale:
            return texts.cast(kind)
        if longest > MAX_DIGITS and not _are_short(texts):
            raise InexactError(f"a number has more than {MAX_DIGITS} digits before the point")
        return texts.cast(_wide(kind.scale)).cast(kind)
    except pa.ArrowInvalid as error:
        raise InexactError(str(error)) from None


def _are_short(texts: pa.Array) -> bool:
    fits = pc.match_substring_regex(texts, rf"\A-?[0-9]{{0,{MAX_DIGITS}}}(?:\.[0-9]*)?\z")
    return bool(pc.all(fits, min_count=0).as_py())


def _wide(scale: int) -> pa.DataType:
    return pa.decimal256(_WIDEST_DIGITS, scale)


#: has room for sums of any number of rows
EXACT = Context(prec=200)
_MICROSECONDS_A_DAY = 86_400_000_000


def has_total(kind: pa.DataType) -> bool:
    """Whether `total` adds up values of this Arrow type."""
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_decimal128(kind)
        or pa.types.is_date32(kind)
        or kind == pa.timestamp("us")
    )


def total(values: pa.Array) -> Decimal:
    """The exact sum of numbers or booleans, and of dates, with or without a time, that of their days since 1970."""
    if values.type == pa.timestamp("us"):
        microseconds = values.drop_null().view(pa.int64()).to_numpy(zero_copy_only=False)
        return Decimal(int(np.floor_divide(microseconds, _MICROSECONDS_A_DAY).sum()))
    scale = values.type.scale if pa.types.is_decimal(values.type) else 0
    return Decimal(exact_sum(values)).scaleb(-scale, EXACT)


def exact_sum(values: pa.Array) -> int:
    """The sum of booleans, integers, dates (in days since 1970) or decimals (in units of their last digit)."""
    kind = values.type
    if not len(values) or values.null_count == len(values):
        return 0
    if pa.types.is_boolean(kind):
        return int(values.true_count)
    if pa.types.is_decimal128(kind):
        words = np.frombuffer(values.buffers()[1], "<u4", 4 * len(values), 16 * values.offset).reshape(-1, 4)
        signed = np.frombuffer(values.buffers()[1], "<i4", 4 * len(values), 16 * values.offset).reshape(-1, 4)
        if values.null_count:
            # The bytes behind a NULL are nobody's number.
            there = values.is_valid().to_numpy(zero_copy_only=False)
            words, signed = words[there], signed[there]
        low = sum(int(words[:, position].sum(dtype=np.uint64)) << 32 * position for position in range(3))
        return low + (int(signed[:, 3].sum(dtype=np.int64)) << 96)
    numbers = values.drop_null()
    if pa.types.is_date32(kind):
        numbers = numbers.view(pa.int32())
    whole = numbers.to_numpy(zero_copy_only=False).astype(np.int64)
    return int((whole & 0xFFFFFFFF).sum()) + (int((whole >> 32).sum()) << 32)

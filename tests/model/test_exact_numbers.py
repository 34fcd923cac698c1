"""Numbers that are rescaled and added up: exact, or refused."""

from __future__ import annotations

import random
from decimal import Context, Decimal

import pyarrow as pa
import pytest

from model.errors import InexactError
from model.exact_numbers import MAX_DIGITS, decimals_of, exact_sum, rescaled, total

WIDE = Context(prec=200)


def numbers(count: int = 2000) -> list[tuple[Decimal, int, int]]:
    """Random numbers, each with its scale and another one."""
    draw = random.Random(7)
    found = []
    for _ in range(count):
        scale, other = draw.randint(0, MAX_DIGITS), draw.randint(0, MAX_DIGITS)
        whole = draw.randint(-(10 ** draw.randint(1, MAX_DIGITS)) + 1, 10 ** draw.randint(1, MAX_DIGITS) - 1)
        found.append((Decimal(whole).scaleb(-scale, WIDE), scale, other))
    return found


def test_what_is_rescaled_is_the_same_number_or_refused() -> None:
    for number, scale, other in numbers():
        kind = pa.decimal128(MAX_DIGITS, other)
        unscaled = number.scaleb(other, WIDE)
        fits = unscaled == unscaled.to_integral_value() and abs(unscaled) < 10**MAX_DIGITS
        values = pa.array([number, None], pa.decimal128(MAX_DIGITS, scale))
        texts = pa.array([format(number, "f"), None], pa.string())
        for convert, given in ((rescaled, values), (decimals_of, texts)):
            if fits:
                assert convert(given, kind).to_pylist() == [number, None]
            else:
                with pytest.raises(InexactError):
                    convert(given, kind)


@pytest.mark.parametrize("text", ["9" * 39, "1" + "0" * 77, "-" + "1" * 60 + ".5", "NaN"])
def test_texts_of_more_digits_than_there_is_room_for_are_refused(text: str) -> None:
    for scale in (0, 20, 38):
        with pytest.raises(InexactError):
            decimals_of(pa.array([text]), pa.decimal128(MAX_DIGITS, scale))


def test_sums_are_exact_whatever_their_size() -> None:
    draw = random.Random(7)
    for kind, low, high in (
        (pa.int64(), -(2**63), 2**63 - 1), (pa.int32(), -(2**31), 2**31 - 1), (pa.uint8(), 0, 255),
    ):  # fmt: skip
        values = [draw.choice([None, low, high, draw.randint(low, high)]) for _ in range(1000)]
        assert exact_sum(pa.array(values, kind)[3:]) == sum(value or 0 for value in values[3:])
    most = Decimal(10**MAX_DIGITS - 1).scaleb(-7, WIDE)
    decimals = [draw.choice([None, most, most, most.copy_negate(), Decimal("-0.0000001")]) for _ in range(1000)]
    found = total(pa.array(decimals, pa.decimal128(MAX_DIGITS, 7))[5:])
    expected = Decimal(0)
    for value in decimals[5:]:
        expected = WIDE.add(expected, value or Decimal(0))
    assert found == expected

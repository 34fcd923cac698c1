"""A rate is kept over all workers together, and what was not used is not made up for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.rates import MaxRate, parse_rate
from scheduling.pace import Pace


@pytest.mark.parametrize(
    ("text", "amount", "is_bytes"),
    [
        ("50000rows", 50_000, False), ("50krows", 50_000, False), ("1_000", 1_000, False), ("20MB", 20e6, True),
        ("0.5 mb/s", 5e5, True), ("100 rows", 100, False), ("3kB", 3000, True),
    ],
)  # fmt: skip
def test_rates_as_people_write_them(text: str, amount: float, is_bytes: bool) -> None:
    assert parse_rate(text) == MaxRate(amount, is_bytes)


@pytest.mark.parametrize("text", ["", "fast", "-5rows", "0MB", "20 apples", "MB"])
def test_what_is_no_rate_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="must be like 50000rows or 20MB"):
        parse_rate(text)


@given(st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 3)), max_size=60))
def test_no_stretch_of_time_sees_more_than_the_rate(moves: list[tuple[int, float]]) -> None:
    now = [0.0]
    pace = Pace(MaxRate(1000, is_bytes=False), lambda: now[0])
    sent = 0
    for rows, idle in moves:
        now[0] += idle
        began = now[0]
        sent_before = sent
        sent += rows
        wait = pace.seconds_for(rows, 0)
        assert wait >= 0
        now[0] += wait
        assert now[0] - began >= (sent - sent_before) / 1000 - 1e-6

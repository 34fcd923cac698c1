"""Expressions made by chance, each with the value that T-SQL gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Env = dict[str, Any]
Generated = tuple[str, Callable[[Env], Any]]


def _integer_literal(value: int) -> Generated:
    return f"({value})", lambda _env: value


def column_value(name: str) -> Generated:
    return f"[{name}]", lambda env: env[name]


INTEGER_LEAVES = st.one_of(st.integers(-1000, 1000).map(_integer_literal), st.sampled_from("ab").map(column_value))
SMALL = st.one_of(st.none(), st.integers(-50, 50))

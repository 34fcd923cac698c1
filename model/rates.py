"""How fast a run may be at most."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FACTORS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}
_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<factor>[kmg]?)\s*(?P<unit>rows?|b|bytes?)?(?:/s)?", re.IGNORECASE)


@dataclass(frozen=True)
class MaxRate:
    """So many rows, or bytes of them in memory, a second at most, over all workers that share it."""

    amount: float
    is_bytes: bool

    def shared_by(self, count: int) -> MaxRate:
        """What each of so many may move."""
        return MaxRate(self.amount / count, self.is_bytes)

    def __str__(self) -> str:
        return f"{self.amount / 1_000_000:g} MB/s" if self.is_bytes else f"{self.amount:,.0f} rows/s"


def parse_rate(text: str) -> MaxRate:
    """`50000rows`, `50krows`, `20MB`, `500kB`; a number alone is of rows. Raises ValueError with words."""
    found = _RATE.fullmatch(text.strip().replace("_", "").replace(" ", ""))
    amount = float(found["number"]) * _FACTORS[found["factor"].lower()] if found else 0
    if not found or amount <= 0:
        raise ValueError(f"must be like 50000rows or 20MB (a second), not {text!r}")
    return MaxRate(amount, (found["unit"] or "rows").lower().startswith("b"))

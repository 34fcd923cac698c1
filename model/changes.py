"""Values that PostgreSQL cannot hold as they are: what became of them, counted by column.

Each kind follows a policy of its own (docs/values.md), and every count says how many values were changed.
Counts add up over batches, chunks and tables; they are committed in the transaction of the rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Literal, get_args

#: as the progress file and the target's checkpoints name them
Kind = Literal["nul_characters", "unpaired_surrogates", "seventh_digits"]
#: kind → column → values changed
Counts = Mapping[str, Mapping[str, int]]

KINDS: tuple[Kind, ...] = get_args(Kind)

NulPolicy = Literal["strip", "replace", "error"]

_NUL_WORDS: Mapping[NulPolicy, str] = {"strip": "stripped from", "replace": "replaced in", "error": "found in"}
_TITLES: Mapping[str, str] = {
    "nul_characters": "Values with NUL replaced or stripped",
    "unpaired_surrogates": "Values with half pairs replaced",
    "seventh_digits": "Values with a seventh digit cut",
}


class Changes:
    """Counts while rows travel; one of them for each attempt at a chunk."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, kind: str, column: str, values: int) -> None:
        """So many more values of the column were changed in this way."""
        if values:
            self._counts[kind][column] += values

    @property
    def counts(self) -> Counts:
        """What was counted so far; kinds and columns without a case are left out."""
        return {kind: dict(columns) for kind, columns in self._counts.items()}


def describe(kind: str, column: str, values: int, nul_policy: NulPolicy) -> str:
    """One line for a person about a column of the table that the line stands under."""
    words = {
        "nul_characters": f"NUL characters were {_NUL_WORDS[nul_policy]} {values:,} values of column {column}",
        "unpaired_surrogates": f"half a surrogate pair became U+FFFD in {values:,} values of column {column}",
        "seventh_digits": f"a seventh fractional digit was cut from {values:,} values of column {column}",
    }
    return words.get(kind, f"{kind}: {values:,} values of column {column}")


def totals(counts: Counts) -> list[tuple[str, str]]:
    """Lines for the closing summary: one for each kind that occurred."""
    return [(_TITLES.get(kind, kind), f"{sum(columns.values()):,}") for kind, columns in counts.items() if columns]

"""A run's tables held against the runs before: rows that jumped, loads that became slower."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

from operations.history import BrokenLine
from operations.run_result import RunResult, TableResult
from operations.verdict import Outcome, cluster, outcome

#: runs that are shown; those of the same script between the same databases that this one is compared with; lines that
#: are read for them
SHOWN, RUNS, LOOKED_AT = 19, 20, 60
#: loads of a table that are looked at, and how many of them are needed before anything is said of its speed
LOADS, LOADS_NEEDED = 10, 3
#: rows have jumped from this share of them on, and from so many rows on
JUMP, JUMP_ROWS = 0.2, 100
#: a load is slower from this part of the usual rate on, where that costs so many seconds
SLOW, SLOW_SECONDS = 0.5, 10.0

RULE = (
    f"A table's rows have jumped if there are {JUMP:.0%} more or fewer of them than after the last run that completed "
    f"it, and {JUMP_ROWS} or more of difference; or if there are none and there were some. A table is slower if it "
    f"comes at less than {SLOW:.0%} of its usual rate and that costs {SLOW_SECONDS:.0f} seconds or more. The usual "
    f"rate is the median of its last {LOADS_NEEDED} to {LOADS} loads in the same mode, with the same MAX_RATE, and on "
    f"a cluster as this one was, or on one machine. Looked at are the last {RUNS} runs of the same script between the "
    f"same databases."
)


@dataclass(frozen=True)
class Trend:
    """A table against its earlier loads.

    `rows_were` are those after the last run that completed it; `usual_rate` are rows a second, where there were loads
    enough. `seconds_usual` is how long this load takes at that rate.
    """

    rows_were: int | None = None
    usual_rate: float | None = None
    has_jumped: bool = False
    is_emptied: bool = False
    is_slower: bool = False
    seconds_usual: float | None = None


#: what loads must have in common for their rates to say anything of each other
_Way = tuple[str | None, bool, object]


@dataclass
class _Loads:
    rows: int | None = None
    rates: defaultdict[_Way, list[float]] = field(default_factory=lambda: defaultdict(list))


class RunsBefore:
    """What runs before this one came to, and the loads of its tables in them.

    Of each run only that is kept: together they may hold many tables.
    """

    def __init__(self, result: RunResult, runs: Iterable[RunResult | BrokenLine]) -> None:
        """`runs` are those that are known, the newest first; this one may be among them."""
        self._result = result
        self._loads: defaultdict[str, _Loads] = defaultdict(_Loads)
        #: the last runs of both scripts, the newest last
        self.outcomes: list[Outcome] = []
        compared = 0
        for one in islice(runs, LOOKED_AT):
            if isinstance(one, BrokenLine) or one.run == result.run:
                continue
            if len(self.outcomes) < SHOWN:
                self.outcomes.insert(0, outcome(one))
            if self._is_like(one):
                self._note(one)
                compared += 1
            if compared == RUNS:
                break

    @property
    def trends(self) -> Mapping[str, Trend]:
        """The tables that this run completed, by their names, against their earlier loads."""
        return {
            table.table: _trend(table, self._loads[table.table], _way(self._result, table))
            for table in self._result.tables
            if table.status == "completed" and table.rows is not None and table.table in self._loads
        }

    def _is_like(self, one: RunResult) -> bool:
        """Whether a run is of the same script, between the same databases."""
        sides = ("source", "target")
        return one.script == self._result.script and all(
            one.settings.get(side) == self._result.settings.get(side) for side in sides
        )

    def _note(self, run: RunResult) -> None:
        for table in run.tables:
            if table.status == "completed" and table.rows is not None:
                known = self._loads[table.table]
                known.rows = table.rows if known.rows is None else known.rows
                one, rates = rate(table), known.rates[_way(run, table)]
                if one and len(rates) < LOADS:
                    rates.append(one)


def rate(table: TableResult) -> float | None:
    """Rows a second that this run brought into a table; None where nobody knows."""
    if table.rows is None or not table.seconds:
        return None
    return max(0, table.rows - table.rows_before) / table.seconds


def _way(run: RunResult, table: TableResult) -> _Way:
    """Rows that are staged are there sooner than rows whose keys are built with them, to name one."""
    return table.mode, cluster(run) is not None, run.settings.get("max_rate")


def _trend(table: TableResult, loads: _Loads, way: _Way) -> Trend:
    rows, were = table.rows or 0, loads.rows or 0
    is_emptied = rows == 0 and were > 0
    has_jumped = abs(rows - were) >= max(JUMP_ROWS, JUMP * were)
    rates = loads.rates[way]
    usual = median(rates) if len(rates) >= LOADS_NEEDED else None
    own, brought = rate(table), max(0, rows - table.rows_before)
    expected = brought / usual if usual else None
    is_slower = (
        usual is not None
        and own is not None
        and expected is not None
        and brought > 0
        and own < SLOW * usual
        and (table.seconds or 0) - expected >= SLOW_SECONDS
    )
    return Trend(were, usual, has_jumped or is_emptied, is_emptied, is_slower, expected)


def in_words(table: TableResult, trend: Trend) -> Sequence[str]:
    """What a person should look at."""
    told = []
    if trend.is_emptied:
        told.append(f"it is empty, and had {trend.rows_were:,} rows")
    elif trend.has_jumped:
        told.append(f"{table.rows or 0:,} rows, and there were {trend.rows_were:,}")
    if trend.is_slower:
        told.append(f"{rate(table) or 0:,.0f} rows a second, and {trend.usual_rate or 0:,.0f} are usual")
    return told

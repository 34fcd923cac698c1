"""The tasks of a table's comparison: picklable values that any executor can run, and the retries around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from model.catalog import Table
from model.ranges import Chunk
from model.settings import Settings
from postgres.introspection import TargetTable
from scheduling.retry import RetryPolicy
from scheduling.tasks import Label, Lane, Worker, tried
from verification.checksums import Sums
from verification.connections import ComparisonConnections
from verification.pairing import Pair, pair_up
from verification.reading import Range, Reading, count_part, look_at_part, plan_source, sum_part
from verification.row_differences import Found

T = TypeVar("T")


@dataclass(frozen=True)
class ComparisonTask:
    """What every task of a comparison knows; `seed` is what the verification's hashes hang on."""

    lane: ClassVar[Lane] = "working"

    settings: Settings
    table: Table
    target: TargetTable
    seed: bytes

    @property
    def pair(self) -> Pair:
        """Both sides of the table. Raises UnfitTargetError."""
        return pair_up(self.table, self.target, self.settings, self.seed)

    def connect(self) -> ComparisonConnections:
        """Connections that are not open yet."""
        return ComparisonConnections(self.settings)

    def _tried(self, worker: Worker[ComparisonConnections], once: Callable[[Reading], T]) -> T:
        reading = Reading(self.settings, self.pair, worker)

        policy = RetryPolicy(self.settings.retry_attempts, self.settings.retry_seconds)
        return tried(worker, policy, lambda _: once(reading))


@dataclass(frozen=True)
class PlanSource(ComparisonTask):
    """Finds the parts in which the source's rows are read."""

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.table.key, "plan")

    def run(self, worker: Worker[ComparisonConnections]) -> tuple[Chunk, ...]:
        """Raises TableError, UnreachableError, CancelledError."""
        return self._tried(worker, plan_source)


@dataclass(frozen=True)
class CountPart(ComparisonTask):
    """Counts the rows of a whole side."""

    part: Range

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.table.key, f"count {self.part}")

    def run(self, worker: Worker[ComparisonConnections]) -> Sums:
        """Raises TableError, UnreachableError, CancelledError."""
        return self._tried(worker, lambda reading: count_part(reading, self.part))


@dataclass(frozen=True)
class SumPart(ComparisonTask):
    """Sums up the values of a part."""

    part: Range

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.table.key, f"sum {self.part}")

    def run(self, worker: Worker[ComparisonConnections]) -> Sums:
        """Raises TableError, UnreachableError, CancelledError."""
        return self._tried(worker, lambda reading: sum_part(reading, self.part))


@dataclass(frozen=True)
class LookAtPart(ComparisonTask):
    """Finds rows of a part by the hashes of their keys, up to `most` different ones."""

    part: Range
    is_wanted: npt.NDArray[np.bool_]
    most: int

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.table.key, f"look at {self.part}")

    def run(self, worker: Worker[ComparisonConnections]) -> Found | None:
        """Raises TableError, UnreachableError, CancelledError."""
        return self._tried(worker, lambda reading: look_at_part(reading, self.part, self.is_wanted, self.most))

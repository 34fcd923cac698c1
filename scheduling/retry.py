"""The one rule by which anything is tried again: how often, and after how long a wait."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from model.errors import ReplicationError

T = TypeVar("T")

LONGEST_WAIT_S = 30.0
#: where a server lacks something, the wait is so many times as long, up to a limit of its own
PATIENCE = 10
LONGEST_PATIENT_WAIT_S = 120.0


@dataclass(frozen=True)
class RetryPolicy:
    """`attempts` in all, the first included; `seconds` before the second, twice as many before each further one."""

    attempts: int
    seconds: float

    def wait_before(self, attempt: int, error: ReplicationError) -> float:
        """Seconds before an attempt from the second on, after an error.

        With jitter, so that workers that were cut off together do not come back together.
        """
        seconds = self.seconds * 2.0 ** (attempt - 2)
        times, longest = (PATIENCE, LONGEST_PATIENT_WAIT_S) if error.is_shortage else (1, LONGEST_WAIT_S)
        return min(longest, times * seconds) * random.uniform(0.5, 1.5)


@dataclass(frozen=True)
class Again:
    """Another attempt that is about to be made: its number, how many there are, the wait before it, and why."""

    attempt: int
    attempts: int
    seconds: float
    error: ReplicationError

    def __str__(self) -> str:
        return f"attempt {self.attempt} of {self.attempts} in {self.seconds:.1f} s"


def with_retries(policy: RetryPolicy, once: Callable[[int], T], wait: Callable[[Again], None]) -> T:
    """Call `once` with 1, 2, … until it works, fails for good, or the attempts are used up.

    What fails for good is any error that is not temporary (`model.errors`). `wait` is called before another attempt,
    waits `Again.seconds`, and may raise to give up. Raises what the last attempt raised.
    """
    for attempt in range(1, policy.attempts + 1):
        try:
            return once(attempt)
        except ReplicationError as error:
            if not error.is_temporary or attempt == policy.attempts:
                raise
            again = Again(attempt + 1, policy.attempts, policy.wait_before(attempt + 1, error), error)
        wait(again)
    raise AssertionError("the last attempt returns or raises")

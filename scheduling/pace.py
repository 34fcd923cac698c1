"""Keeps all workers of a process together below a rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from model.rates import MaxRate


class Pace:
    """Hands out the time: whoever has moved something waits until all that was moved fits the rate.

    Used by several threads. Workers wait one after the other for what each moved, so they share it fairly.
    """

    def __init__(self, rate: MaxRate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        #: the moment at which all that was moved so far fits the rate
        self._even_at = clock()

    def seconds_for(self, rows: int, size: int) -> float:
        """How long to wait after so many rows of so many bytes."""
        amount = size if self._rate.is_bytes else rows
        with self._lock:
            now = self._clock()
            # What was not used before is not made up for.
            self._even_at = max(self._even_at, now) + amount / self._rate.amount
            return self._even_at - now

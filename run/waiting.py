"""Waiting for another run to end, for as long as --wait says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from model.errors import OthersAtWorkError
from progress import ProgressTracker
from run.script import Script

T = TypeVar("T")
SECONDS_BETWEEN_TRIES = 1.0
SECONDS_BETWEEN_WORDS = 300.0


@contextmanager
def locked(script: Script, tracker: ProgressTracker) -> Iterator[None]:
    """Hold the progress file's lock, waiting for it where the flags say so. Raises LockHeldError, ProgressFileError."""
    with ExitStack() as stack:
        waited(script, lambda: stack.enter_context(tracker.lock()))
        yield


def waited(script: Script, attempt: Callable[[], T]) -> T:
    """Try until no other run is in the way, at most for the minutes of --wait; what is waited for is told.

    Raises OthersAtWorkError where it is in vain, and what `attempt` raises.
    """
    minutes, started = script.options.wait_minutes, time.monotonic()
    told_at: float | None = None
    while True:
        try:
            return attempt()
        except OthersAtWorkError as error:
            now = time.monotonic()
            if now - started >= 60 * minutes:
                raise
            if told_at is None or now - told_at >= SECONDS_BETWEEN_WORDS:
                told_at = now
                left = minutes - (now - started) / 60
                script.display.say(f"⏳ Waiting, {left:.0f} min at most: {error.holder or error}")
        time.sleep(SECONDS_BETWEEN_TRIES)

"""Waiting for another run to end, for as long as --wait says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import TypeVar

from model.errors import OthersAtWorkError, ProgressFileError
from model.visible import on_one_line
from operations.killed_run import killed_run
from operations.run_result import keep
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
        if tracker.left_behind is not None:
            _note_killed(script, tracker, tracker.left_behind)
        yield


def _note_killed(script: Script, tracker: ProgressTracker, holder: str) -> None:
    """Say that the last run was killed, and keep a line of it among the runs that were."""
    script.display.say(f"⚠️ The last run was killed: {on_one_line(holder)}")
    # What cannot be written is told of this run, at its end.
    with suppress(OSError, ProgressFileError):
        last_sign = datetime.fromtimestamp(tracker.path.stat().st_mtime)
        tracker.load()
        killed = killed_run(holder, tracker.facts, last_sign)
        if killed is not None:
            keep(killed, tracker.path.parent)


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
                left = 60 * minutes - (now - started)
                at_most = f"{left / 60:.0f} min" if left >= 60 else f"{left:.0f} s"
                script.display.say(f"⏳ Waiting, {at_most} at most: {error.holder or error}")
        time.sleep(SECONDS_BETWEEN_TRIES)

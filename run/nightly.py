"""--nightly: whether a run goes on with the last session or begins a new one, so that cron need not know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class LastSession:
    """What is left of the last session.

    `begun` is None where the file does not say when that was. `left` tables of the run are not done yet, `failed` of
    them for an error. `is_closed_because` says why it cannot be continued, where it cannot.
    """

    begun: datetime | None
    left: int
    failed: int = 0
    ended: str = ""
    is_closed_because: str | None = None


@dataclass(frozen=True)
class Decision:
    """Whether a run goes on with the last session, and why, for a person."""

    continues: bool
    words: str


def decide(last: LastSession | None, now: datetime, max_age_hours: int) -> Decision:
    """What a nightly run does about the last session; None where there is none. Times are local."""
    if last is None:
        return Decision(False, "there is no session to continue; the first one begins")
    if not last.left:
        ended = f" at {last.ended}" if last.ended else ""
        return Decision(False, f"the last session is done, it ended{ended}; a new one begins")
    left = f"{last.left} table{'s' * (last.left != 1)} left" + (
        f", {last.failed} of them failed" if last.failed else ""
    )
    if last.begun is None:
        return Decision(False, f"when the last session began cannot be read ({left}); a new one begins")
    begun = f"the session of {last.begun:%Y-%m-%d %H:%M}"
    if last.is_closed_because is not None:
        return Decision(False, f"{begun} ({left}) cannot be continued: {last.is_closed_because}. A new one begins")
    age = now - last.begun
    if age < timedelta(hours=max_age_hours):
        return Decision(True, f"{begun} is continued: {left}")
    return Decision(
        False,
        f"{begun} was not finished ({left}), but is {age // timedelta(hours=1)} hours old "
        f"(SESSION_MAX_AGE={max_age_hours}); a new one begins. If one night is too short for all tables, set a larger "
        "SESSION_MAX_AGE",
    )

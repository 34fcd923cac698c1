"""How a run ends, in words."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ALL_DONE, SOME_FAILED, ReplicationError
from run.context import Run
from run.display import banner_line, closing_line, tell_failures
from run.plan import Plan


@dataclass(frozen=True)
class Ending:
    """How a run, or a part of it, ended: its exit code and the reasons in words."""

    exit_code: int = ALL_DONE
    reasons: tuple[str, ...] = ()

    def __add__(self, other: Ending) -> Ending:
        return Ending(max(self.exit_code, other.exit_code), (*self.reasons, *other.reasons))

    @property
    def because(self) -> str:
        """All reasons in one line."""
        return "; ".join(self.reasons)


def failed(*reasons: str) -> Ending:
    """Something was not done, or differs."""
    return Ending(SOME_FAILED, reasons)


def in_words(error: Exception) -> str:
    """An error for a person."""
    return str(error) if isinstance(error, ReplicationError) else unexpected(error)


def traced(error: BaseException) -> str:
    """Where in the code an error comes from."""
    return "".join(traceback.format_exception(error)).rstrip()


def unexpected(error: Exception) -> str:
    """An error that carries no words for a person, in words."""
    return (
        f"error in this tool: {error} ({type(error).__name__}). Nothing that was under way was kept; other tables are "
        f"not affected. --resume tries again; --debug shows where it happened"
    )


@dataclass(frozen=True)
class Closing:
    """The words in which a phase's summary is said: its title, and what its tables failed to do.

    `left` tables are neither done nor failed.
    """

    title: str
    verb: str
    left: int = 0


def close_run(run: Run, plan: Plan, failed_keys: Sequence[str], words: Closing, extra: list[tuple[str, str]]) -> Ending:
    """Say how the run ended, with each failed table and its error. `extra` lines follow the counts."""
    run.display.tell(banner_line(run.tracker.summary(plan.keys)))
    counts = [
        ("Total tables", str(len(plan.tables))),
        ("Successful", str(len(plan.work) - len(failed_keys) - words.left)),
        ("Skipped", str(len(plan.tables) - len(plan.work))),
        *([("Failed", str(len(failed_keys)))] if failed_keys else []),
    ]
    rows = counts + extra
    run.display.tell(closing_line(words.title, rows, is_good=not failed_keys))
    if not failed_keys:
        return Ending(ALL_DONE, ("nothing was left to do" if not plan.work else "all tables are completed",))
    told = f"{len(failed_keys)} table{'s' if len(failed_keys) != 1 else ''} failed to {words.verb}"
    run.display.say(f"⚠️ {told}")
    tell_failures(run.display, {key: run.tracker.error(key) or "set to failed by hand" for key in failed_keys})
    run.display.say("💡 Use --resume to continue from failure point")
    return failed(told)

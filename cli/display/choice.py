"""Which display a run has: bars where a person looks at a terminal, a log everywhere else."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from cli.display.both import BothDisplays
from cli.display.log import JsonLog, LogDisplay, LogFormat, TextLog
from cli.display.plain import USUAL, PlainDisplay, SteadyStream, Taste
from model.errors import OutputError
from run.display import Display


@dataclass(frozen=True)
class Wishes:
    """How a person wants to be told: the flags -q, -v, --no-emoji, --log-file and --log-format."""

    taste: Taste = USUAL
    log_file: Path | None = None
    log_format: Literal["text", "json"] = "text"


@dataclass(frozen=True)
class Displays:
    """Where a run says what it does, and what went wrong: each a standard stream, with the log file."""

    out: Display
    err: Display


def choose_displays(wishes: Wishes, run: str) -> Displays:
    """The displays of a run. Raises OutputError where the log file cannot be written."""
    kind: LogFormat = JsonLog(run) if wishes.log_format == "json" else TextLog(run, wishes.taste)
    out, err = (_of(stream, kind, wishes) for stream in (sys.stdout, sys.stderr))
    if wishes.log_file is None:
        return Displays(out, err)
    try:
        # A new one is its owner's alone, since errors may hold values of rows.
        descriptor = os.open(wishes.log_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise OutputError(f"--log-file {wishes.log_file} cannot be written: {error.strerror or error}") from None
    log = LogDisplay(file, kind, wishes.taste)
    return Displays(BothDisplays(out, log), BothDisplays(err, log))


def _of(stream: TextIO | None, kind: LogFormat, wishes: Wishes) -> Display:
    if not SteadyStream(stream).isatty():
        return LogDisplay(stream, kind, wishes.taste)
    # A console of Windows has no TERM; what it can draw, rich finds out.
    if os.environ.get("TERM", "" if sys.platform == "win32" else "dumb") == "dumb":
        return PlainDisplay(stream, wishes.taste)
    # Here, since cron and pipes need not wait for what draws bars.
    from cli.display.terminal import TerminalDisplay  # noqa: PLC0415

    return TerminalDisplay(stream, wishes.taste)

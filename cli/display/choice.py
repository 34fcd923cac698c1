"""Which display a run has: bars where a person looks at a terminal, else plain lines."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from cli.display.plain import PlainDisplay, SteadyStream
from run.display import Display


def choose_display(stream: TextIO | None = None) -> Display:
    """Bars where a person watches a terminal that can draw them; plain lines everywhere else."""
    stream = stream or sys.stdout
    if SteadyStream(stream).isatty() and os.environ.get("TERM", "dumb") != "dumb":
        # Here, since cron and pipes need not wait for what draws bars.
        from cli.display.terminal import TerminalDisplay  # noqa: PLC0415

        return TerminalDisplay(stream)
    return PlainDisplay(stream)

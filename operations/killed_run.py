"""A run that was killed left no word; the next one keeps what can be known of it."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime

from operations.run_result import RunResult

#: what a shell calls the end by SIGKILL
EXIT_CODE = 137
WORDS = "killed, or its machine went down: it left no word"


def killed_run(holder: str, facts: Mapping[str, str], last_sign: datetime) -> RunResult | None:
    """The result of a run that died, by what it said of itself when it began; None where that is not understood.

    `facts` are those of the progress file. It ended some time after `last_sign`, when it wrote that file last.
    """
    found = re.search(r", since (\S+) \((.*)\)$", holder)
    if found is None:
        return None
    try:
        words = shlex.split(found[2], posix=sys.platform != "win32")
        started, (script, *arguments) = datetime.fromisoformat(found[1]), words
    except ValueError:
        return None
    ended = max(started, last_sign).isoformat(timespec="seconds")
    began_then = facts.get("session_start", "") <= ended
    return RunResult(
        script, tuple(arguments), facts.get("session_id") if began_then else None, found[1], ended, EXIT_CODE, WORDS
    )

"""What a script hands to its phase. Needs nothing that is installed, so that flags are read without it."""

from __future__ import annotations

from dataclasses import dataclass

from operations.recorder import Recorder
from run.display import Display
from run.options import Options


@dataclass(frozen=True)
class Script:
    """What a script hands to its phase: the flags, where it says what it does, and what notes it.

    `beside` is standard error, so that what a run prints can be sent to a file while somebody watches.
    """

    options: Options
    display: Display
    beside: Display
    recorder: Recorder

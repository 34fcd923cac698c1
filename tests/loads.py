"""A load's tasks by hand, as an executor of its own runs them, and a phase in this process."""

from __future__ import annotations

import sys

from cli.display.plain import PlainDisplay
from data_phase.job import Begun, Job
from data_phase.load_tasks import BeginLoad, CopyChunk, FinishLoad
from model.ranges import Chunk
from model.settings import Settings
from operations.recorder import Recorder
from postgres.checkpoints import Totals
from run.options import Options
from run.script import Script
from scheduling.tasks import run_unwatched


def begin(settings: Settings, job: Job) -> Begun:
    """Begin a table's load."""
    return run_unwatched(BeginLoad(settings, job))


def copy(settings: Settings, job: Job, chunk: Chunk) -> Totals:
    """Copy one chunk."""
    return run_unwatched(CopyChunk(settings, job, chunk))


def finish(settings: Settings, job: Job) -> Totals:
    """End a table's load."""
    return run_unwatched(FinishLoad(settings, job))


def script_for(options: Options) -> Script:
    """What a script hands to its phase."""
    return Script(options, PlainDisplay(sys.stdout), PlainDisplay(sys.stderr), Recorder("a script", ()))

"""Which mode a table is loaded in."""

from __future__ import annotations

from data_phase.modes.interface import LoadMode
from data_phase.modes.keep_and_continue import AddToRows, ContinueBesideRows, KeepAndContinue
from data_phase.modes.staged import Merge, Swap
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from model.refresh import Refresh
from postgres.names import TargetName
from run.options import Options
from run.plan import Work


def staging_mode(live: TargetName, refresh: Refresh) -> LoadMode:
    """The mode of a table whose rows are staged for `live`."""
    return Swap(live) if refresh == "swap" else Merge(live)


def mode_of(work: Work, options: Options, session_keeps_rows: bool) -> LoadMode:
    """The mode of a table that is filled in place: by the flags of this run, and by how its session began."""
    if not options.no_truncate:
        return TruncateAndCopy()
    if session_keeps_rows:
        return ContinueBesideRows() if work.is_partial else AddToRows()
    return KeepAndContinue() if work.is_partial else TruncateAndCopy()

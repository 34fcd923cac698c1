"""What a table's status in a progress file may be, and how people spell it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Literal

Phase = Literal["schema", "data"]
Status = Literal["pending", "in_progress", "completed", "failed", "skipped", "gone"]

#: those that a person may set
STATUSES: tuple[Status, ...] = ("pending", "in_progress", "completed", "failed", "skipped")
#: of a table that the source no longer has
GONE: Status = "gone"
#: nothing is left to do about a table of such a status
OVER: tuple[Status, ...] = ("completed", "skipped", "gone")
#: other forms of the same words, which can mean nothing else
_FORMS: Mapping[str, Status] = {
    **{status: status for status in (*STATUSES, GONE)},
    "skip": "skipped", "complete": "completed", "fail": "failed", "inprogress": "in_progress",
}  # fmt: skip
#: words that people try; what they mean is not certain enough to act on it
_TRIED: Mapping[str, Status] = {
    "done": "completed", "finished": "completed", "ok": "completed", "success": "completed", "succeeded": "completed",
    "loaded": "completed", "synced": "completed", "ignore": "skipped", "ignored": "skipped", "exclude": "skipped",
    "excluded": "skipped", "omit": "skipped", "never": "skipped", "todo": "pending", "open": "pending",
    "new": "pending", "redo": "pending", "retry": "pending", "reload": "pending", "again": "pending",
    "reset": "pending", "running": "in_progress", "started": "in_progress", "error": "failed", "broken": "failed",
}  # fmt: skip


def read_status(written: object) -> Status | None:
    """The status that is meant, whatever its case and with blanks around it; None where none is for certain."""
    return _FORMS.get(_plain(written)) if isinstance(written, str) else None


def near_status(written: object) -> Status | None:
    """The status that somebody may have meant by a word that is none."""
    if not isinstance(written, str):
        return None
    word = _plain(written)
    near = difflib.get_close_matches(word, [*_FORMS, *_TRIED], n=1, cutoff=0.7)
    return (_FORMS.get(near[0]) or _TRIED[near[0]]) if near else None


def _plain(written: str) -> str:
    return re.sub(r"[\s_-]+", "_", written.strip()).lower()

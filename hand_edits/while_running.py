"""What a person changed in a progress file while a run writes it: what of it is taken, what is not and why.

A status is taken for a table that the run has not begun. The person's editor may have had the file open for long: what
the run itself has written since then is told apart from an edit by `revision`, which numbers what the run wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from hand_edits.statuses import Phase, Status

#: what only runs write
_RUNS_ONLY = ("in_progress", "gone")
#: the number of a document's version; each write has the next one
REVISION = "revision"
#: members of the document that every write or many change
_ALWAYS_NEW = ("last_updated", REVISION, "suspended")


class StatusHistory:
    """Which status each table had in which revision of the file."""

    def __init__(self, since: int, statuses: Mapping[str, Status]) -> None:
        self.since = since
        self.latest = since
        self._now = dict(statuses)
        #: of tables whose status changed: since when they had which, the first one from the beginning
        self._changes: dict[str, list[tuple[int, Status]]] = {}

    def note(self, revision: int, statuses: Mapping[str, Status]) -> None:
        """These tables were written with these statuses."""
        self.latest = revision
        for table, status in statuses.items():
            before = self._now.get(table, "pending")
            if status != before:
                self._changes.setdefault(table, [(-1, before)]).append((revision, status))
            self._now[table] = status

    def at(self, table: str, revision: int) -> Status:
        """The status of a table in a revision."""
        changes = self._changes.get(table) or [(-1, self._now.get(table, "pending"))]
        return [status for since, status in changes if since <= revision][-1]

    def is_unchanged(self, table: str, revision: int) -> bool:
        """Whether the run has written no other status of a table after this revision."""
        return all(since <= revision for since, _ in self._changes.get(table, ()))


@dataclass
class Verdict:
    """What becomes of an edit, and what is told of it, in words.

    `statuses` of tables are taken; `entries` and other `members` of the document are as they are from now on, notes
    that a person has added among them.
    """

    statuses: dict[str, Status] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Edited:
    """A document that somebody has written over the run's own.

    `begun` are the tables that the run has begun. `unfinished` says of tables why they cannot be completed by hand.
    """

    theirs: Mapping[str, Any]
    mine: Mapping[str, Any]
    phase: Phase
    begun: Set[str]
    unfinished: Mapping[str, str]

    def status(self, document: Mapping[str, Any], table: str) -> Status:
        """A table's status in one of the documents."""
        status: Status = document["tables"][table][self.phase]["status"]
        return status


def judge(edited: Edited, history: StatusHistory) -> Verdict:
    """What of an edit is taken. Everything else stays as the run has it, and is told."""
    theirs, mine, verdict = edited.theirs, edited.mine, Verdict()
    if theirs.get("session_id") != mine.get("session_id"):
        verdict.refused.append("what was saved is of another session; nothing of it is taken")
        return verdict
    opened = min(revision_of(theirs, history.latest), history.latest)
    if opened < history.since:
        known = theirs.get("last_updated", "?")
        verdict.refused.append(f"what was saved is as of {known}, before this run began; nothing of it is taken")
        return verdict
    for table in theirs["tables"].keys() | mine["tables"].keys():
        _judge_table(edited, history, table, opened, verdict)
    if opened == history.latest:
        verdict.refused += _changed_members(theirs, mine)
    verdict.members = {name: value for name, value in theirs.items() if name not in {*mine, *_ALWAYS_NEW}}
    verdict.told.sort()
    verdict.refused.sort()
    return verdict


def revision_of(document: Mapping[str, Any], unknown: int = 0) -> int:
    """The revision of a document; `unknown` where it does not say so."""
    found = document.get(REVISION)
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else unknown


def _judge_table(edited: Edited, history: StatusHistory, table: str, opened: int, verdict: Verdict) -> None:
    theirs, mine = edited.theirs, edited.mine
    if table not in mine["tables"]:
        verdict.refused.append(f"{table}: this run has no such table; the entry is not taken")
        return
    if table not in theirs["tables"]:
        verdict.refused.append(f"{table}: its entry was removed; it is written again. To leave a table out: skipped")
        return
    status, now = edited.status(theirs, table), edited.status(mine, table)
    if status == now or status == history.at(table, opened):
        if table not in edited.begun and history.is_unchanged(table, opened):
            _judge_facts(edited, table, verdict)
        return
    why = _why_not(edited, table, status, now)
    if why is not None:
        verdict.refused.append(f"{table}: {status} by hand is not taken: {why}")
        return
    verdict.statuses[table] = status
    verdict.entries[table] = {**mine["tables"][table], **theirs["tables"][table]}
    verdict.told.append(f"{table}: {status} by hand, it was {now}: {_consequence(status)}")


def _judge_facts(edited: Edited, table: str, verdict: Verdict) -> None:
    """What else was changed in the entry of a table that is as the editor found it: notes are kept, facts are not."""
    entry = edited.mine["tables"][table]
    theirs, mine = edited.theirs["tables"][table][edited.phase], entry[edited.phase]
    changed = [name for name in _differing(theirs, mine) if name in mine and name != "status"]
    if changed:
        verdict.refused.append(f"{table}: {_listed(changed)} not taken, only the status is a person's to set")
    if theirs.keys() - mine.keys():
        verdict.entries[table] = {**entry, edited.phase: {**theirs, **mine}}


def _why_not(edited: Edited, table: str, status: Status, now: Status) -> str | None:
    if status in _RUNS_ONLY:
        return "only a run says that"
    if table in edited.begun:
        doing = {"in_progress": "is working on it", "completed": "has completed it", "failed": "has tried it"}
        later = "" if now == "completed" and status == "skipped" else ". Set it again when the run is over"
        return f"this run {doing.get(now, 'has begun it')}{later}"
    if status == "completed" and table in edited.unfinished:
        return f"its load was not finished ({edited.unfinished[table]}). To leave it as it is, set it to skipped"
    return None


def _consequence(status: Status) -> str:
    if status == "pending":
        return "this run does it if its turn is still to come, else --resume"
    return "this run leaves it alone" + ("; --resume does it" if status == "failed" else "")


def _differing(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    return sorted(name for name in theirs.keys() | mine.keys() if theirs.get(name) != mine.get(name))


def _changed_members(theirs: Mapping[str, Any], mine: Mapping[str, Any]) -> list[str]:
    """What was changed beside the tables."""
    changed = [name for name in _differing(theirs, mine) if name in mine and name not in ("tables", *_ALWAYS_NEW)]
    return [f"{_listed(changed)} not taken, only tables' statuses are a person's to set"] if changed else []


def _listed(names: Iterable[str]) -> str:
    listed = [f'"{name}"' for name in names]
    return f"{', '.join(listed)} {'is' if len(listed) == 1 else 'are'}"

"""A progress file that a run writes, watched for what people do to it meanwhile: none of it is lost in silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from hand_edits.reading import HandEditError
from hand_edits.statuses import Phase, Status
from hand_edits.while_running import Edited, StatusHistory, Verdict, judge, revision_of
from hand_edits.whole_files import Signature, keep_beside, read_settled, signature_of
from model.visible import on_one_line

#: lines of an edit that are told
MOST_TOLD = 20


class Watch:
    """What a run knows of its file: as it wrote it last, and which edits it took.

    `read` makes a document of a file's content and raises HandEditError; `say` tells a person.
    """

    def __init__(
        self, path: Path, phase: Phase, read: Callable[[bytes], dict[str, Any]], say: Callable[[str], None]
    ) -> None:
        self._path = path
        self._phase = phase
        self._read = read
        self._say = say
        self._is_watching = False
        self._signature: Signature | None = None
        self._history = StatusHistory(0, {})
        self._begun: set[str] = set()
        self._by_hand: dict[str, Status] = {}
        #: why tables cannot be completed by hand, by their keys
        self.unfinished: Mapping[str, str] = {}

    def begin(self, document: Mapping[str, Any], signature: Signature | None) -> None:
        """From now on the file is as this document says; what happened before is forgotten."""
        self._is_watching, self._signature = True, signature
        statuses = {table: entry[self._phase]["status"] for table, entry in document["tables"].items()}
        self._history = StatusHistory(revision_of(document), statuses)
        self._begun.clear()
        self._by_hand.clear()

    def wrote(self, signature: Signature, revision: int, statuses: Mapping[str, Status]) -> None:
        """The run has written the file, with these statuses of tables that changed."""
        self._is_watching, self._signature = True, signature
        self._history.note(revision, statuses)

    def starts(self, table: str) -> None:
        """The run begins a table."""
        self._begun.add(table)
        self._by_hand.pop(table, None)

    def left_out(self, table: str) -> Status | None:
        """The status with which a person took a table from this run before it was begun."""
        status = self._by_hand.get(table)
        return None if status == "pending" else status

    def is_touched(self) -> bool:
        """Whether the file is not the one that the run knows."""
        return self._is_watching and signature_of(self._path) != self._signature

    def look(self, document: Mapping[str, Any]) -> Verdict:
        """See what somebody did to the file, and what is taken of it. All of it is told.

        `document` is as the run has it. The file is not as it is to be after that: it has to be written.
        """
        try:
            content, self._signature = read_settled(self._path, self._is_readable)
        except FileNotFoundError:
            self._signature = None
            self._say(f"⚠️ WARNING: {self._path} was removed while this run uses it. It is written again.")
            return Verdict()
        except OSError as error:
            self._signature = signature_of(self._path)
            self._say(
                f"⚠️ WARNING: {self._path} was changed while this run uses it, and cannot be read: "
                f"{error.strerror or error}. It is written again."
            )
            return Verdict()
        try:
            theirs = self._read(content)
        except HandEditError as error:
            self._say(
                f"⚠️ WARNING: {self._path} was edited while this run uses it, and cannot be understood: {error}. "
                f"Nothing of it was taken. {self._kept(content)}"
            )
            return Verdict()
        verdict = judge(Edited(theirs, document, self._phase, self._begun, self.unfinished), self._history)
        self._tell(verdict, content)
        self._by_hand |= verdict.statuses
        return verdict

    def _is_readable(self, content: bytes) -> bool:
        try:
            self._read(content)
        except HandEditError:
            return False
        return True

    def _tell(self, verdict: Verdict, content: bytes) -> None:
        if not verdict.told and not verdict.refused:
            return
        self._say(f"✏️ {self._path} was edited while this run uses it:")
        for sign, lines in (("  ", verdict.told), ("⚠️", verdict.refused)):
            for line in lines[:MOST_TOLD]:
                self._say(f"   {sign} {on_one_line(line)}")
            if len(lines) > MOST_TOLD:
                self._say(f"   {sign} and {len(lines) - MOST_TOLD} more")
        if verdict.refused:
            self._say(f"   {self._kept(content)}")

    def _kept(self, content: bytes) -> str:
        """Keep what somebody wrote; says where."""
        try:
            kept = keep_beside(self._path, content, "edited", datetime.now().strftime("%Y%m%d-%H%M%S"))
        except OSError as error:
            return f"What was written there is lost: no copy can be made ({error.strerror or error})."
        return f"What was written there is kept in {kept}."

"""The progress file: what each table's status is, in JSON that people read and edit by hand.

One file a phase. Each change is written whole to a temporary file, synced and renamed, so that a
reader, or a run that starts after a kill, sees either the state before it or the state after it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from hand_edits.entries import KnownTables, meaning
from hand_edits.names import origin
from hand_edits.reading import HandEditError, decoded, parsed
from hand_edits.shape import checked, line_of_entry
from hand_edits.statuses import GONE, OVER, Phase, Status
from hand_edits.watch import Watch
from hand_edits.while_running import REVISION, revision_of
from hand_edits.whole_files import PRIVATE, TouchedError, real_path, signature_of, write_lines_atomically
from model.catalog import Table
from model.errors import LockHeldError, ProgressFileError
from model.visible import json_text

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)  # fmt: skip
#: stands in a file whose tables are named as `catalog.Table.key` names them, brackets and all
KEYS = "bracketed"
DEFAULT_FILES: Mapping[Phase, str] = {
    "schema": "schema_replication_progress.json",
    "data": "data_sync_progress.json",
}


@dataclass(frozen=True)
class Summary:
    """Counts over the tables of a run. `skipped` tables were marked so by hand and count as done."""

    total: int
    completed: int
    failed: int
    in_progress: int
    skipped: int = 0

    @property
    def remaining(self) -> int:
        """Tables that nobody has started."""
        return self.total - self.completed - self.failed - self.in_progress - self.skipped

    @property
    def percent(self) -> int:
        """Completed and skipped tables of the total, in whole percent, rounded down."""
        return 100 * (self.completed + self.skipped) // self.total if self.total else 100


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")


class ProgressTracker:
    """The statuses of one phase's tables, mirrored in a JSON file after every change.

    `path` is the file; `phase` is the key under which a table's entry keeps its status. Nothing is
    read or written before `load` or `start_session`. All times are local, ISO 8601, to the second. What people do to
    the file meanwhile is told by `say`.
    """

    def __init__(self, path: Path, phase: Phase, say: Callable[[str], None] = print) -> None:
        self.path = path
        self.phase = phase
        self._watch = Watch(path, phase, self._read, say)
        self._document: dict[str, Any] = {}
        #: tables' entries as they stand in the file: of thousands, a change is to one
        self._texts: dict[str, str] = {}
        self._changed: set[str] = set()
        self._gathers = False
        self._has_changed = False
        self._known: KnownTables | None = None
        #: names as somebody wrote them → the keys of the tables that they were taken for
        self.respelled: Mapping[str, str] = {}
        #: what a run that held the file said of itself and left there, because it was killed
        self.left_behind: str | None = None
        #: names of an older file that may mean several tables → those tables' keys
        self.ambiguous: Mapping[str, Sequence[str]] = {}

    # -- the lock ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the file for one run; released by the system when the process dies.

        Raises LockHeldError at once, naming the holder, when another process has it, and
        ProgressFileError when the folder cannot be written to.
        """
        # Here, since --help and --status need nothing that is installed.
        from filelock import FileLock, Timeout  # noqa: PLC0415

        self._refuse_other_kinds()
        lock = FileLock(self._beside(".lock"), mode=PRIVATE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            holder = f"another run is using {self.path}: {self._holder()}"
            raise LockHeldError(
                f"{holder}. Wait for it to end (--wait MINUTES does), or stop it; nothing was changed.", holder=holder
            ) from None
        except OSError as error:
            raise ProgressFileError(_cannot_write(self.path, error)) from None
        try:
            # A run that ends by itself takes its words away.
            self.left_behind = self._holder() if self._holder_path.is_file() else None
            self._write_holder()
            yield
        finally:
            with contextlib.suppress(OSError):
                self._holder_path.unlink()
            lock.release()

    def _beside(self, ending: str) -> Path:
        """A file that belongs to the progress file: beside the real one, which several links may name."""
        real = real_path(self.path)
        return real.with_name(real.name + ending)

    @property
    def _holder_path(self) -> Path:
        return self._beside(".lock.holder")

    def _refuse_other_kinds(self) -> None:
        """Raise ProgressFileError where the path is no file: a pipe would be waited for, a device be replaced."""
        try:
            mode = real_path(self.path).stat().st_mode
        except FileNotFoundError:
            return
        except OSError as error:
            raise ProgressFileError(_cannot_write(self.path, error)) from None
        if not stat.S_ISREG(mode):
            kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
            raise ProgressFileError(
                f"{self.path} cannot be a progress file: it is {kind}, not a file. Nothing was done. Name another "
                f"path with --progress-file."
            )

    def _write_holder(self) -> None:
        command = " ".join(Path(word).name if position == 0 else word for position, word in enumerate(sys.argv))
        text = f"process {os.getpid()} on {socket.gethostname()} in {Path.cwd()}, since {_now()} ({command})"
        try:
            # A new file, whatever somebody has put there.
            self._holder_path.unlink(missing_ok=True)
            with os.fdopen(os.open(self._holder_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
                file.write(text.encode("utf-8", errors="backslashreplace"))
        except OSError as error:
            raise ProgressFileError(_cannot_write(self.path, error)) from None

    def _holder(self) -> str:
        try:
            if self._holder_path.is_file():
                text = self._holder_path.read_text(encoding="utf-8", errors="backslashreplace")
                return " ".join(text.split()) or "a process that has just started"
        except OSError:
            pass
        return "a process that has just started"

    # -- reading ----------------------------------------------------------------------------

    def load(self) -> bool:
        """Read the file; False where there is none.

        Raises ProgressFileError for text that is not valid JSON, or a shape or status that is not
        this tool's. The file is never changed by this.
        """
        self._refuse_other_kinds()
        signature = signature_of(self.path)
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            self._watch.begin({"tables": {}}, None)
            return False
        except OSError as error:
            raise ProgressFileError(_cannot_read(self.path, error)) from None
        try:
            self._document = self._read(content)
        except HandEditError as error:
            raise ProgressFileError(self._refused(str(error))) from None
        self._texts.clear()
        self._watch.begin(self._document, signature)
        return True

    def _read(self, content: bytes) -> dict[str, Any]:
        """The document that a file's content is, its entries by their tables' keys. Raises HandEditError."""
        text = decoded(content)
        document = checked(parsed(text), self.phase, text)
        return document if self._known is None else self._understood(document, text, self._known)

    def know_tables(self, tables: Iterable[Table]) -> None:
        """Tell which tables the source has, before `load`: it then takes each entry for the one that it means."""
        self._known = KnownTables(tables)

    def _understood(self, document: dict[str, Any], text: str, known: KnownTables) -> dict[str, Any]:
        """The document with its entries by their tables' keys. Raises HandEditError."""
        is_bare = document.get("keys") != KEYS
        found = meaning(document["tables"], self.phase, known, is_bare, _now(), partial(line_of_entry, text))
        self.respelled, self.ambiguous = found.respelled, found.ambiguous
        return {**document, "tables": dict(found.tables), "keys": KEYS}

    def _refused(self, what: str) -> str:
        script = "replicate-schema.py" if self.phase == "schema" else "sync-data.py"
        named = "" if self.path == Path(DEFAULT_FILES[self.phase]) else f" --progress-file {self.path}"
        end = "" if what.endswith("?") else "."
        return (
            f"{self.path} cannot be used as it is: {what}{end} Nothing was changed. Mend that in an editor and run "
            f"again. Only if it cannot be mended: python {script} --reset{named} moves the file aside, and the next "
            f"run does every table anew."
        )

    # -- sessions ---------------------------------------------------------------------------

    @property
    def facts(self) -> Mapping[str, str]:
        """What the file says of its session, as texts by the names that they have there."""
        return {name: value for name, value in self._document.items() if isinstance(value, str)}

    @property
    def entries(self) -> Sequence[str]:
        """The names that have an entry in the file."""
        return list(self._tables)

    @property
    def unfinished(self) -> int:
        """How many tables of the loaded session are left to do: not completed, skipped or gone."""
        return sum(self.status(table) not in OVER for table in self._tables)

    @property
    def gone(self) -> Mapping[str, str]:
        """The tables that the source no longer has, and since when they were missed, until somebody decides."""
        return {table: self.entry(table).get("gone_since", "") for table in self._tables if self.status(table) == GONE}

    @property
    def skipped(self) -> Sequence[str]:
        """The tables that a person marked as skipped."""
        return [table for table in self._tables if self.status(table) == "skipped"]

    def start_session(
        self,
        tables: Iterable[str],
        keep_others: bool = False,
        type_map: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Begin a new session in which every one of `tables` is pending that is not skipped.

        What a person marked as skipped stays so, and what is gone stays told. With `keep_others` (a start in mid-list),
        the entries of all other tables stay as they are, of the session that they belong to. `type_map` is a
        `TypeMap.document`.
        """
        if self._watch.is_touched():
            raise ProgressFileError(
                f"{self.path} was changed while this run was about to begin. Nothing was done. Run again: what was "
                f"changed is then read."
            )
        begun = {table: self._begun(table) for table in tables}
        others = {name: entry for name, entry in self._tables.items() if name not in begun}
        left = {name: entry for name, entry in others.items() if self.status(name) in ("skipped", GONE)}
        kept = dict(self._tables) if keep_others else {}
        earlier: dict[str, Any] = {}
        for name in kept if self.phase == "data" else ():
            if name not in begun and self.status(name) not in OVER:
                session = self.session_of(name)
                facts: dict[str, Any] = {"tables": [], "consistency": dict(self.consistency_of(session))}
                if self.refresh_of(session):
                    facts["refresh"] = dict(self.refresh_of(session))
                earlier.setdefault(session, facts)["tables"].append(name)
        suspended = self._document.get("suspended")
        self._document = {
            "session_start": _now(),
            "last_updated": _now(),
            "session_id": uuid.uuid4().hex,
            "keys": KEYS,
            REVISION: revision_of(self._document),
            **({"type_map": {name: dict(part) for name, part in type_map.items()}} if type_map else {}),
            **({"earlier_sessions": earlier} if earlier else {}),
            **({"suspended": suspended} if suspended else {}),
            "tables": {**kept, **begun, **left},
        }
        self._texts.clear()
        self._watch.begin(self._document, signature_of(self.path))
        self._write()

    def add_tables(self, tables: Iterable[str]) -> None:
        """Give tables that the session does not know yet a pending entry (a resumed run's new tables)."""
        new = {name: self._begun(name) for name in tables if name not in self._tables}
        self._document["tables"] = {**self._tables, **new}
        self._write()

    def _begun(self, table: str) -> dict[str, Any]:
        """The entry with which a table begins a session."""
        if self.status(table) == "skipped":
            entry = self._tables[table]
            return {**entry, self.phase: {**entry[self.phase], "source": origin(table)}}
        return {self.phase: {"status": "pending", "error": None, "source": origin(table)}}

    def reset(self) -> Path | None:
        """Rename the file with a timestamp, whatever it holds; None where there is none."""
        if not self.path.exists():
            return None
        self._refuse_other_kinds()
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        real = real_path(self.path)
        moved = real.with_name(f"{real.stem}.{stamp}{real.suffix}")
        number = 1
        while moved.exists():
            number += 1
            moved = real.with_name(f"{real.stem}.{stamp}-{number}{real.suffix}")
        try:
            real.rename(moved)
        except OSError as error:
            raise ProgressFileError(_cannot_write(self.path, error)) from None
        return moved

    @property
    def begun_at(self) -> datetime | None:
        """When the session began; None where a person has made something else of it."""
        with contextlib.suppress(KeyError, TypeError, ValueError):
            # An offset, if somebody has added one, is not among what is compared with it.
            return datetime.fromisoformat(self._document["session_start"]).replace(tzinfo=None)
        return None

    @property
    def ended_at(self) -> str:
        """When the session's last table was completed, as it stands in the file; else when that was last written."""
        stamps = [self.entry(table).get("completed_at") for table in self._tables]
        known = [stamp for stamp in stamps if isinstance(stamp, str)]
        return max(known, default=str(self._document.get("last_updated", "?")))

    @property
    def session_id(self) -> str:
        """What the target's checkpoints know this session by; kept by `--resume`."""
        if not isinstance(self._document.get("session_id"), str):
            self._document["session_id"] = uuid.uuid4().hex
            self._write()
        identifier: str = self._document["session_id"]
        return identifier

    def session_of(self, table: str) -> str:
        """The session that a table's entry belongs to: the file's, or an earlier one that has tables left."""
        found = (session for session, part in self._earlier.items() if table in part["tables"])
        return next(found, None) or self.session_id

    @property
    def _earlier(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self._document.get("earlier_sessions", {})
        return found

    @property
    def type_map(self) -> Mapping[str, Mapping[str, str]]:
        """The type options that the session was begun with; empty where there were none."""
        found: Mapping[str, Mapping[str, str]] = self._document.get("type_map", {})
        return found

    @property
    def consistency(self) -> Mapping[str, str]:
        """The snapshot of the source that the session reads (`SourceSnapshot.document`); empty without one."""
        found: Mapping[str, str] = self._document.get("consistency", {})
        return found

    def consistency_of(self, session: str) -> Mapping[str, str]:
        """The snapshot that a session of this file reads; empty where it reads none."""
        if session == self._document.get("session_id"):
            return self.consistency
        found: Mapping[str, str] = self._earlier.get(session, {}).get("consistency", {})
        return found

    @property
    def snapshots(self) -> set[str]:
        """The database snapshots that sessions of this file read, or read once."""
        known = [self.consistency, *(part["consistency"] for part in self._earlier.values())]
        return {snapshot["database"] for snapshot in known if "database" in snapshot}

    def is_read_still(self, database: str) -> bool:
        """Whether tables are left that are to be read from this database snapshot."""
        return any(
            self.status(table) not in OVER and self.consistency_of(self.session_of(table)).get("database") == database
            for table in self._tables
        )

    def forget_consistency(self) -> None:
        """What is left is read as of whenever it is read."""
        self._document.pop("consistency", None)
        for part in self._document.get("earlier_sessions", {}).values():
            part["consistency"] = {}
        self._write()

    @property
    def suspended(self) -> Sequence[Mapping[str, str | None]]:
        """What loads suspended in the target and did not restore yet, as far as this file knows."""
        found: Sequence[Mapping[str, str | None]] = self._document.get("suspended", [])
        return found

    def record_suspended(self, things: Sequence[Mapping[str, str | None]]) -> None:
        """Write down what is suspended in the target now."""
        if things:
            self._document["suspended"] = [dict(one) for one in things]
        else:
            self._document.pop("suspended", None)
        self._write()

    def record_consistency(self, document: Mapping[str, str] | None) -> None:
        """Write down which snapshot the session reads from now on, None for none."""
        if document is None:
            self._document.pop("consistency", None)
        else:
            self._document["consistency"] = dict(document)
        self._write()

    @property
    def refresh(self) -> Mapping[str, str]:
        """What flags asked for of the session: `refresh` and `switch`, each where it was given."""
        found: Mapping[str, str] = self._document.get("refresh", {})
        return found

    def refresh_of(self, session: str) -> Mapping[str, str]:
        """The same of any session of this file."""
        if session == self._document.get("session_id"):
            return self.refresh
        found: Mapping[str, str] = self._earlier.get(session, {}).get("refresh", {})
        return found

    def record_refresh(self, flags: Mapping[str, str]) -> None:
        """Write down how the session was asked to refresh its tables, so that a resumed run goes on so."""
        if flags:
            self._document["refresh"] = dict(flags)
        else:
            self._document.pop("refresh", None)
        self._write()

    @property
    def stages(self) -> bool:
        """Whether a load of this file's session has staged rows beside the tables that readers see."""
        return bool(self._document.get("stages"))

    def record_stages(self) -> None:
        """Write down that rows are staged from now on."""
        if not self.stages:
            self._document["stages"] = True
            self._write()

    @property
    def unfinished_sessions(self) -> set[str]:
        """The sessions of this file of which tables are left to do."""
        return {self.session_of(table) for table in self._tables if self.status(table) not in OVER}

    # -- a table's status -------------------------------------------------------------------

    @property
    def _tables(self) -> dict[str, Any]:
        tables: dict[str, Any] = self._document.get("tables", {})
        return tables

    def status(self, table: str) -> Status:
        """The table's status; pending where it has no entry."""
        status: Status = self._tables.get(table, {}).get(self.phase, {}).get("status", "pending")
        return status

    def error(self, table: str) -> str | None:
        """What made the table fail, in the server's words."""
        error: str | None = self._tables.get(table, {}).get(self.phase, {}).get("error")
        return error

    def entry(self, table: str) -> Mapping[str, Any]:
        """Everything that stands in the file about the table in this phase; empty where there is nothing."""
        entry: Mapping[str, Any] = self._tables.get(table, {}).get(self.phase, {})
        return entry

    def rows_synced(self, table: str) -> int:
        """The rows of the table that are committed in the target."""
        rows: int = self._tables.get(table, {}).get(self.phase, {}).get("rows_synced", 0)
        return rows

    def know_unfinished(self, why: Mapping[str, str]) -> None:
        """Tell which tables nobody can complete by hand from now on, and why."""
        self._watch.unfinished = why

    def left_out(self, table: str) -> Status | None:
        """What a person has set a table to since this run began, so that it is not to be begun.

        The file is looked at for it. Raises ProgressFileError.
        """
        if self._watch.is_touched():
            self._write()
        return self._watch.left_out(table)

    def start(self, table: str) -> None:
        """The table is being worked on from now."""
        self._watch.starts(table)
        entry: dict[str, Any] = {"status": "in_progress", "started_at": _now()}
        if self.phase == "data":
            entry["rows_synced"] = 0
        self._set(table, {**entry, "error": None})

    def record(self, table: str, **facts: object) -> None:
        """Add facts to a table's entry (`rows_synced`, `rows_copied`, …) without touching its status."""
        self._set(table, {**self._tables[table][self.phase], **facts})

    def complete(self, table: str, **facts: object) -> None:
        """The table is whole in the target."""
        self._finish(table, "completed", "completed_at", {"error": None, **facts})

    def fail(self, table: str, error: str, **facts: object) -> None:
        """The table failed; `error` is what a person reads, the server's words in it."""
        self._finish(table, "failed", "failed_at", {**facts, "error": error})

    def _finish(self, table: str, status: Status, stamp: str, facts: Mapping[str, object]) -> None:
        before = self._tables.get(table, {}).get(self.phase, {})
        kept = {name: value for name, value in before.items() if name not in ("status", "rows_copied", "error")}
        self._set(table, {"status": status, **kept, stamp: _now(), **facts})

    def summary(self, tables: Iterable[str]) -> Summary:
        """Counts over `tables`."""
        statuses = [self.status(table) for table in tables]
        return Summary(
            total=len(statuses),
            completed=statuses.count("completed"),
            failed=statuses.count("failed"),
            in_progress=statuses.count("in_progress"),
            skipped=statuses.count("skipped"),
        )

    # -- writing ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def in_one_write(self) -> Iterator[None]:
        """Write the changes that are made inside once, at its end, also where it ends with an error.

        Raises ProgressFileError where they cannot be written.
        """
        self._gathers = True
        try:
            yield
        finally:
            self._gathers = False
            if self._has_changed:
                self._write()

    def _set(self, table: str, entry: Mapping[str, object]) -> None:
        others = {name: part for name, part in self._tables.get(table, {}).items() if name != self.phase}
        facts = {name: value for name, value in entry.items() if name != "source"}
        self._tables[table] = {**others, self.phase: {**facts, "source": origin(table)}}
        self._texts.pop(table, None)
        self._changed.add(table)
        self._write()

    def _write(self) -> None:
        self._has_changed = True
        if self._gathers:
            return
        while self._has_changed:
            if self._watch.is_touched():
                self._take_edits()
            revision = revision_of(self._document) + 1
            self._document |= {"last_updated": _now(), REVISION: revision}
            try:
                signature = write_lines_atomically(self.path, (self._text(), "\n"), self._watch.is_touched)
            except TouchedError:
                continue
            except OSError as error:
                raise ProgressFileError(_cannot_write(self.path, error)) from None
            self._has_changed = False
            self._watch.wrote(signature, revision, {table: self.status(table) for table in self._changed})
            self._changed.clear()

    def _take_edits(self) -> None:
        verdict = self._watch.look(self._document)
        self._document |= verdict.members
        self._tables.update(verdict.entries)
        for table in verdict.entries:
            self._texts.pop(table, None)
            self._changed.add(table)

    def _text(self) -> str:
        """The document as `json.dumps` with an indent of two has it."""
        for table, entry in self._tables.items():
            if table not in self._texts:
                self._texts[table] = _member(table, entry, 2)
        members = []
        for name, part in self._document.items():
            if name == "tables" and part:
                members.append('  "tables": {\n' + ",\n".join(self._texts[table] for table in part) + "\n  }")
            else:
                members.append(_member(name, part, 1))
        return "{\n" + ",\n".join(members) + "\n}"


def _member(name: str, value: object, depth: int) -> str:
    """A member of a JSON object, so deep in the document."""
    indent = "  " * depth
    # No line ends within a JSON text's strings.
    text = json_text(value, indent=2).replace("\n", f"\n{indent}")
    return f"{indent}{json_text(name)}: {text}"


def _cannot_read(path: Path, error: OSError) -> str:
    return (
        f"the progress file {path} cannot be read: {error.strerror or error}. Nothing was changed. Fix its rights, or "
        f"name another path with --progress-file."
    )


def _cannot_write(path: Path, error: OSError) -> str:
    return (
        f"the progress file {path} cannot be written: {error.strerror or error}. Without it a run could not be "
        f"resumed, so nothing more was done. Free the disk or fix the rights, or name another path with "
        f"--progress-file."
    )

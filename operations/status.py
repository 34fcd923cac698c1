"""What runs or ran last, as a value: for a person, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from model.visible import on_one_line

#: what each server calls the number by which its connection can be ended
NUMBERS = {"PostgreSQL": "pid", "SQL Server": "session"}
#: names that a line tells before it only counts them
NAMES_A_LINE = 6


@dataclass(frozen=True)
class Holder:
    """The run that holds the progress file, in its words; `is_alive` is None where that cannot be seen from here."""

    words: str
    is_alive: bool | None


@dataclass(frozen=True)
class UnderWay:
    """A table that is being worked on: its rows so far, of `expected` where an earlier run knew it, and since when."""

    table: str
    rows: int
    expected: int | None
    since: str


@dataclass(frozen=True)
class Staged:
    """Rows that stand beside the table that readers see, all of them or a part so far, and of which session."""

    table: str
    rows: int
    is_complete: bool
    session: str | None


@dataclass(frozen=True)
class Session:
    """A session of one of the servers that belongs to this tool: what it does, and whom it waits for, in words."""

    side: str
    number: int
    does: str
    waits_for: str | None = None
    #: the worker of a cluster that it belongs to, by its address
    worker: str | None = None


@dataclass(frozen=True)
class LastRun:
    """The last run that left a line in `runs.jsonl`."""

    run: str
    started_at: str
    ended_at: str
    verdict: str
    exit_code: int
    because: str
    #: in which modes rows came
    modes: Sequence[str] = ()
    workers: int | None = None
    #: whose workers they were, where they were a cluster's
    cluster: str | None = None
    #: the same in words, empty where nobody worked
    how: str = ""


@dataclass(frozen=True)
class Status:
    """What one of the scripts does, or did last, as the files and the servers tell it.

    `tables` counts by status, and `gone`. `rate` is in rows a second, `seconds_left` by the rows of earlier runs; both
    are None where nothing runs or is known. `rejected` counts recorded rows by table. `not_known` says what could not
    be asked, and why. `is_readable` is False where the progress file is there and cannot be used as it is.
    """

    script: str
    progress_file: str
    session: str | None = None
    session_begun: str | None = None
    last_updated: str | None = None
    holder: Holder | None = None
    tables: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    rate: float | None = None
    seconds_left: int | None = None
    under_way: Sequence[UnderWay] = ()
    staged: Sequence[Staged] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    sessions: Sequence[Session] = ()
    suspended: Sequence[str] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)
    last_run: LastRun | None = None
    last_verification: LastRun | None = None
    not_known: Sequence[str] = ()
    is_readable: bool = True

    @property
    def is_running(self) -> bool:
        """Whether a run is at work, as far as can be seen."""
        return self.holder is not None and self.holder.is_alive is not False

    @property
    def next_step(self) -> str:
        """What a person does now."""
        left = sum(self.tables.get(status, 0) for status in ("failed", "in_progress", "pending"))
        if self.is_running:
            return "Wait for it, or stop it with SIGTERM: --resume goes on."
        if not self.is_readable:
            return f"Mend {self.progress_file}, as told above, then python {self.script} --resume"
        if not self.tables and self.last_run is None:
            return f"Nothing has run here: python {self.script} begins."
        if not self.tables:
            return f"There is no {self.progress_file} here: python {self.script} begins a session."
        if left:
            staged = sum(one.is_complete for one in self.staged if one.session == self.session)
            of_them = f", {staged} of them staged and not live" if staged else ""
            why = "look at the errors, then " if self.failed else ""
            return f"{left} tables are left{of_them}: {why}python {self.script} --resume"
        if self.suspended:
            return "All tables are done, but not all keys are back: python sync-data.py --restore-keys"
        if self.rejected:
            return "Rows were rejected: once the cause is fixed, python sync-data.py --retry-rejects"
        if self._differs:
            return (
                f"All tables are done, but the last verification failed: {self._differs}. python {self.script} "
                f"--verify shows what differs, --tables NAME copies a table again"
            )
        return f"All tables are done. python {self.script} begins a new session."

    @property
    def _differs(self) -> str:
        """Why the last verification failed, unless rows were loaded since."""
        found = self.last_verification
        if found is None or found.verdict != "failed" or found.ended_at < (self.last_updated or ""):
            return ""
        return found.because.rstrip(".")

    @property
    def document(self) -> dict[str, Any]:
        """The same by stable names, for machines."""
        return {**asdict(self), "is_running": self.is_running, "next_step": self.next_step}

    @property
    def text(self) -> str:
        """The same for a person."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"{self.script}: {self.progress_file}"
        if self.holder is not None:
            state = {True: "runs", False: "was killed", None: "runs, or was killed on another host"}
            yield f"  {state[self.holder.is_alive]}: {on_one_line(self.holder.words)}"
        else:
            yield "  no run is at work"
        if self.session_begun:
            signs = f" {self.session[:8]}" if self.session else ""
            yield f"  session{signs} begun {self.session_begun}, last written {self.last_updated}"
        counts = [f"{count:,} {status.replace('_', ' ')}" for status, count in self.tables.items() if count]
        if counts:
            yield f"  tables: {', '.join(counts)}"
        if self.rows:
            rate = f", {self.rate:,.0f} rows/s" if self.rate else ""
            left = f", about {_time(self.seconds_left)} left" if self.seconds_left is not None else ""
            yield f"  rows: {self.rows:,}{rate}{left}"
        for one in self.under_way:
            share = f" of about {one.expected:,}" if one.expected else ""
            yield f"  under way: {on_one_line(one.table)}, {one.rows:,}{share} rows, since {one.since}"
        for words, is_complete in (("staged and not live", True), ("being staged", False)):
            names = [self._staged(one) for one in self.staged if one.is_complete is is_complete]
            if names:
                yield f"  {words}: {_some(names)}"
        for session in self.sessions:
            waits = f"; waits for {on_one_line(session.waits_for)}" if session.waits_for else ""
            where = f" of worker {on_one_line(session.worker)}" if session.worker else ""
            number = f"{NUMBERS[session.side]} {session.number}"
            yield f"  {session.side} {number}{where}: {on_one_line(session.does)}{waits}"
        for table, error in list(self.failed.items())[:NAMES_A_LINE]:
            yield f"  failed: {on_one_line(table)}: {on_one_line(error)}"
        if len(self.failed) > NAMES_A_LINE:
            yield f"  and {len(self.failed) - NAMES_A_LINE} more failed"
        if self.suspended:
            yield f"  suspended and not back: {_some(self.suspended)}"
        if self.rejected:
            listed = [f"{table}: {count:,} rows" for table, count in self.rejected.items()]
            yield f"  rejected: {_some(listed)}"
        for name, run in (("last run", self.last_run), ("last verification", self.last_verification)):
            if run is not None:
                how = f" ({run.how})" if run.how else ""
                yield f"  {name}: {run.started_at}, {run.verdict}: {on_one_line(run.because)}{how}"
        for words in self.not_known:
            yield f"  not known: {on_one_line(words)}"
        yield f"  next: {self.next_step}"

    def _staged(self, one: Staged) -> str:
        other = f" of session {(one.session or '?')[:8]}" if one.session != self.session else ""
        return f"{one.table} ({one.rows:,} rows{other})"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(map(on_one_line, names[:NAMES_A_LINE]))
    more = len(names) - NAMES_A_LINE
    return f"{shown} and {more} more" if more > 0 else shown


def _time(seconds: int | None) -> str:
    minutes = (seconds or 0) // 60
    return f"{seconds} s" if minutes < 2 else f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"

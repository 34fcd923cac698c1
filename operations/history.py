"""The runs that were: read from `runs.jsonl` and what was set aside of it, and kept from growing for ever.

Setting aside is a rename, so a crash loses nothing, and a run that adds its line at the same time adds it to the file
under its old name or its new one, both of which are read. Nothing is ever rewritten. Only whole files are removed, once
the files after them hold enough.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from hand_edits.whole_files import PRIVATE
from operations.run_result import FILE, RunResult
from operations.stored_run import run_of

#: names of what was set aside: the time of it, and a few signs so that two runs never take the same name
_TIME = "%Y%m%d-%H%M%S-%f"
_SET_ASIDE = re.compile(r"runs-\d{8}-\d{6}-\d{6}-[0-9a-f]{4}\.jsonl")


#: how often files are looked for that are renamed at this moment
LOOKS = 20


@dataclass(frozen=True)
class BrokenLine:
    """A line that is not about a run: where it stands, and why it is none."""

    file: str
    line: int
    why: str


@dataclass(frozen=True)
class Limits:
    """How much is kept: so many runs, and so many days, at least, and twice as much at most. 0 for no limit."""

    runs: int
    days: int


def newest_first(folder: Path) -> Iterator[RunResult | BrokenLine]:
    """All runs that a folder knows, one at a time, since there may be many of many tables. Raises OSError."""
    with contextlib.ExitStack() as stack:
        for opened in _opened(folder, stack):
            if os.fstat(opened.fileno()).st_size:
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                    yield from _runs_in(text, Path(opened.name).name)


def last_runs(folder: Path, most: int) -> tuple[list[RunResult], list[BrokenLine]]:
    """The last runs, the newest last, and the lines among them that could not be read. Raises OSError."""
    runs: list[RunResult] = []
    broken: list[BrokenLine] = []
    for one in newest_first(folder):
        if isinstance(one, BrokenLine):
            broken.insert(0, one)
        else:
            runs.insert(0, one)
            if len(runs) == most:
                break
    return runs, broken


def rotate(folder: Path, limits: Limits, now: datetime) -> None:
    """Set `runs.jsonl` aside where it is full or old, and remove what was set aside and is not needed. Raises OSError.

    Beside other runs that do the same, or add their lines, nothing is lost: while one does it, others leave it alone.
    """
    # Here, since --history needs nothing that is installed.
    from filelock import FileLock, Timeout  # noqa: PLC0415

    is_alone = [file.name for file in _files(folder)] in ([], [FILE])
    if not is_alone or _is_due(folder, limits, now):
        with contextlib.suppress(Timeout), FileLock(folder / f"{FILE}.lock", timeout=0, mode=PRIVATE):
            _set_aside(folder, limits, now)
            _remove(folder, limits, now)


def _set_aside(folder: Path, limits: Limits, now: datetime) -> None:
    if _is_due(folder, limits, now):
        with contextlib.suppress(FileNotFoundError):
            name = f"runs-{_later_than_all(folder, now)}-{secrets.token_hex(2)}.jsonl"
            (folder / FILE).rename(folder / name)


def _is_due(folder: Path, limits: Limits, now: datetime) -> bool:
    """Whether the file is to be set aside."""
    with contextlib.suppress(FileNotFoundError):
        return _is_full(folder / FILE, limits) or _is_before(_first(folder / FILE), limits, now)
    return False


def _later_than_all(folder: Path, now: datetime) -> str:
    """The time, or the one after the last in a name: clocks are set back, and a run may have waited for its turn."""
    times = [datetime.strptime(file.name[5:27], _TIME) for file in _files(folder) if file.name != FILE]
    return f"{max([now, *(time + timedelta(microseconds=1) for time in times)]):{_TIME}}"


def _remove(folder: Path, limits: Limits, now: datetime) -> None:
    newer = 0
    for file in _files(folder):
        # A run that adds its line makes the first one anew.
        with contextlib.suppress(FileNotFoundError):
            is_enough = limits.runs and newer >= limits.runs
            if file.name != FILE and (is_enough or _is_before(_last(file), limits, now)):
                file.unlink()
            else:
                newer += _lines(file)


def _files(folder: Path) -> list[Path]:
    """The files that hold runs, the newest first."""
    aside = (path for path in folder.glob("runs-*.jsonl") if _SET_ASIDE.fullmatch(path.name))
    files = [folder / FILE, *sorted(aside, key=lambda path: path.name, reverse=True)]
    return [path for path in files if path.is_file()]


def _opened(folder: Path, stack: contextlib.ExitStack) -> list[BinaryIO]:
    """The same opened, all before the first is read: what is set aside meanwhile is still the same file."""
    for _ in range(LOOKS):
        with contextlib.suppress(FileNotFoundError):
            return [stack.enter_context(file.open("rb")) for file in _files(folder)]
    raise OSError("its files are set aside faster than they can be opened")


def _runs_in(text: mmap.mmap, file: str) -> Iterator[RunResult | BrokenLine]:
    end = len(text)
    while end > 0:
        start = text.rfind(b"\n", 0, end - 1) + 1
        line = text[start:end].strip()
        if line:
            try:
                yield run_of(line)
            except ValueError as error:
                yield BrokenLine(file, text[:start].count(b"\n") + 1, str(error))
        end = start


def _lines(file: Path) -> int:
    with file.open("rb") as opened:
        return sum(1 for line in opened if line.strip())


def _is_full(file: Path, limits: Limits) -> bool:
    return bool(limits.runs) and _lines(file) >= limits.runs


def _is_before(ended: datetime | None, limits: Limits, now: datetime) -> bool:
    """Whether a run ended longer ago than runs are kept; not where nobody knows when that was."""
    return bool(limits.days) and ended is not None and now - ended > timedelta(days=limits.days)


def _first(file: Path) -> datetime | None:
    """When the first run of a file that can be read ended."""
    with file.open("rb") as opened:
        for line in opened:
            with contextlib.suppress(ValueError):
                return datetime.fromisoformat(run_of(line).ended_at)
    return None


def _last(file: Path) -> datetime | None:
    """When the last one did; where none can be read, when the file was written last."""
    with file.open("rb") as opened:
        if file.stat().st_size:
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as text:
                for one in _runs_in(text, file.name):
                    if isinstance(one, RunResult):
                        return datetime.fromisoformat(one.ended_at)
    return datetime.fromtimestamp(file.stat().st_mtime)

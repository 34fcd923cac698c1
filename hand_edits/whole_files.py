"""Files that people read and edit while runs write them: replaced whole, and never over what somebody just saved."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

#: rights of a new file, which may hold what only its owner should read
PRIVATE = 0o600
#: how often, and with which pause in seconds, a file is read again that somebody seems to be writing at this moment
READINGS, PAUSE = 6, 0.1
#: how often a file is put in its place where others read the one that is there
REPLACINGS = 30


class TouchedError(Exception):
    """Somebody has changed the file since it was looked at; it was left as it is."""


@dataclass(frozen=True)
class Signature:
    """Which file this is, and when it was written last."""

    file: int
    size: int
    written_ns: int

    @staticmethod
    def of(found: os.stat_result) -> Signature:
        """Of a file's facts."""
        return Signature(found.st_ino, found.st_size, found.st_mtime_ns)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that no reader and no kill ever sees half of it. Raises OSError."""
    write_lines_atomically(path, (text,))


def write_lines_atomically(
    path: Path, lines: Iterable[str], is_touched: Callable[[], bool] = lambda: False
) -> Signature:
    """The same for a content that comes line by line. Returns what the new file is known by.

    A new file is its owner's alone, since it may hold rows; rights that somebody gave a file stay. Through a symbolic
    link the file that it names is written. `is_touched` is asked in the last moment. Raises TouchedError where it says
    so, OSError, and what `lines` raises.
    """
    path = real_path(path)
    handle, name = tempfile.mkstemp(prefix=path.name + ".", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
            signature = Signature.of(os.fstat(file.fileno()))
        temporary.chmod(_mode_of(path))
        if is_touched():
            raise TouchedError
        put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(path.parent)
    return signature


def put_in_place(temporary: Path, path: Path) -> None:
    """Let a file take the place of another one. Raises OSError.

    On Windows nobody can replace a file that somebody reads, who is waited for.
    """
    for left in reversed(range(REPLACINGS)):
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if sys.platform != "win32" or not left:
                raise
        time.sleep(PAUSE)


def signature_of(path: Path) -> Signature | None:
    """What a file is known by now; None where there is none, or it cannot be seen."""
    try:
        return Signature.of(path.stat())
    except OSError:
        return None


def read_settled(path: Path, is_whole: Callable[[bytes], bool]) -> tuple[bytes, Signature]:
    """A file's content once it is whole, or does not change any more: an editor may be in the midst of writing it.

    Raises OSError.
    """
    before: bytes | None = None
    for _ in range(READINGS):
        signature, content = Signature.of(path.stat()), path.read_bytes()
        if is_whole(content) or content == before:
            break
        before = content
        time.sleep(PAUSE)
    return content, signature


def keep_beside(path: Path, content: bytes, word: str, stamp: str) -> Path:
    """Write a content beside a file, in a new one with a word and a time in its name. Raises OSError."""
    real, number = real_path(path), 1
    while True:
        again = f"-{number}" if number > 1 else ""
        kept = real.with_name(f"{real.stem}.{word}-{stamp}{again}{real.suffix}")
        try:
            with os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE), "wb") as file:
                file.write(content)
        except FileExistsError:
            number += 1
        else:
            return kept


def _mode_of(path: Path) -> int:
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        return PRIVATE


def real_path(path: Path) -> Path:
    """The file that a path means, through symbolic links. Raises OSError for links that lead in a circle."""
    try:
        return path.resolve() if path.is_symlink() else path
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _sync_folder(folder: Path) -> None:
    # The rename itself is durable only once the folder is synced; Windows has no such call.
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The sockets that connections to the source speak through, so that whoever waits in a driver can be broken off.

Nothing else ends every wait: arrow-odbc cannot cancel a query, and ODBC's SQLCancel asks the server, which may be what
does not answer. Of a socket that is shut down the driver knows at once, and the server ends what it does for it, as
for a client that died.

No driver says which socket is its connection's. It is one that this process did not have before. Where others came to
be meanwhile, texts are sent through the connection and back: what moved fewer bytes than these is not it. So the one
that is left is never another connection's.

Linux alone counts bytes, so elsewhere a connection that was opened beside others may stay unknown; Windows shows no
sockets at all. An unknown one ends when its driver comes back, or with the process; a login under way by its timeout.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import stat
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import arrow_odbc
import pyodbc

from model.errors import CancelledError, OdbcError

T = TypeVar("T")

#: where a system lists the descriptors of a process
DESCRIPTORS = {"linux": Path("/proc/self/fd"), "darwin": Path("/dev/fd")}.get(sys.platform)
#: characters of a text that is sent and comes back; T-SQL has them as two bytes each, and up to 4,000 in one constant
TEXT_LENGTHS = (2000, 4000)
#: texts after which it is left open which of several sockets is the one
MOST_TEXTS = 10
#: where `struct tcp_info` has `tcpi_bytes_acked` and `tcpi_bytes_received`, since Linux 4.1 (linux/tcp.h)
COUNTS_AT, COUNTS = 120, struct.Struct("=QQ")


@dataclass(frozen=True)
class Wire:
    """A connected TCP socket of this process; no other open one has its inode and its two ends."""

    descriptor: int = field(compare=False)
    inode: int
    ends: tuple[object, object]

    @classmethod
    def of(cls, descriptor: int) -> Wire:
        """What a descriptor stands for now. Raises OSError where that is no connected TCP socket."""
        status = os.fstat(descriptor)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        with _borrowed(descriptor) as one:
            if one.family not in (socket.AF_INET, socket.AF_INET6) or one.type != socket.SOCK_STREAM:
                raise OSError(errno.EPROTOTYPE, os.strerror(errno.EPROTOTYPE))
            return cls(descriptor, status.st_ino, (one.getsockname(), one.getpeername()))

    def break_off(self) -> None:
        """End the connection, whoever waits for it; nothing where it is closed."""
        # Of its own descriptor it is sure what it stands for: the driver's may be closed and another's any time.
        with suppress(OSError), socket.socket(fileno=os.dup(self.descriptor)) as own:
            if Wire.of(own.fileno()) == self:
                own.shutdown(socket.SHUT_RDWR)

    def moved(self) -> tuple[int, int] | None:
        """How many bytes the other end has taken, and how many came from it; None where that is not known."""
        with suppress(OSError, struct.error), _borrowed(self.descriptor) as one:
            counts = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, COUNTS_AT + COUNTS.size)
            taken, came = COUNTS.unpack_from(counts, COUNTS_AT)
            return taken, came
        return None


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A driver's socket, which stays the driver's to close. Raises OSError where it is none."""
    one = socket.socket(fileno=descriptor)
    try:
        yield one
    finally:
        one.detach()


class Wires:
    """Those of a worker's connections to the source, broken off together, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[Wire] = frozenset()
        self._is_broken_off = False

    def opened(self, connect: Callable[[], T], ask: Callable[[T, str], object]) -> T:
        """A new connection, whose wire is one of these. `ask` has it answer a query.

        Raises what `connect` raises, and CancelledError where they are broken off.
        """
        if self._is_broken_off:
            raise CancelledError
        before = _open_now()
        connection = connect()
        found = None if before is None else _told_apart(before, lambda query: ask(connection, query))
        with self._lock:
            # What is closed by now needs no breaking off.
            self._known = (self._known & (_open_now() or self._known)) | (frozenset() if found is None else {found})
        if self._is_broken_off:
            self.break_off()
            raise CancelledError
        return connection

    def break_off(self) -> None:
        """End all of them for good: none is opened any more."""
        with self._lock:
            self._is_broken_off = True
            known = self._known
        for wire in known:
            wire.break_off()


def _open_now() -> frozenset[Wire] | None:
    """All connected TCP sockets of this process; None where they cannot be listed."""
    if DESCRIPTORS is None:
        return None
    found = set()
    try:
        for listed in DESCRIPTORS.iterdir():
            # What is no such socket, or closed by now.
            with suppress(OSError):
                found.add(Wire.of(int(listed.name)))
    except OSError:
        return None
    return frozenset(found)


def _told_apart(before: frozenset[Wire], ask: Callable[[str], object]) -> Wire | None:
    """The wire of an idle connection that was opened after `before`; None where it is not found out.

    Nothing is left out here that may be it.
    """
    found = (_open_now() or frozenset()) - before
    with suppress(arrow_odbc.Error, pyodbc.Error, OdbcError):
        for _ in range(MOST_TEXTS if sys.platform == "linux" else 0):
            if len(found) < 2:
                break
            earlier = {wire: wire.moved() for wire in found}
            # Of other lengths than those of threads that do the same.
            length = random.randint(*TEXT_LENGTHS)
            ask(f"SELECT N'{'x' * length}' AS c0")
            still_open = _open_now() or found
            found = frozenset(
                wire for wire in found & still_open if _may_have_moved(2 * length, earlier[wire], wire.moved())
            )
    return next(iter(found)) if len(found) == 1 else None


def _may_have_moved(size: int, earlier: tuple[int, int] | None, later: tuple[int, int] | None) -> bool:
    """Whether so many bytes may have gone either way."""
    return earlier is None or later is None or all(new - old >= size for old, new in zip(earlier, later, strict=True))

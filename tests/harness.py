"""What the tests run the tool with: scripts as processes, a proxy that cuts connections."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import pyodbc

from standin.server import LOGIN, PASSWORD

# A pooled connection stays open, and keeps its database from being dropped.
pyodbc.pooling = False

ROOT = Path(__file__).resolve().parent.parent
#: every setting that `.env.example` knows, which the caller's shell may hold and a test must not
SETTINGS = frozenset(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8")))
#: what names the servers of the tests themselves
FOR_TESTS = ("MSSQL_TEST_", "PG_TEST_", "ICU_TEST_", "POSTGIS_TEST_")
DEFAULT_TIMEOUT_S = 120
#: how a run begins to tell that what the source sends can be read and changed on the way
OPEN_WIRE = "Not encrypted: the connections to the source (MSSQL_ENCRYPT)"


@dataclass(frozen=True)
class Finished:
    """A script that ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything that a person saw."""
        return self.out + self.err


@dataclass(frozen=True)
class Workplace:
    """A folder to run the scripts in, with the settings in force there."""

    folder: Path
    environment: Mapping[str, str]
    #: how the scripts tell what they do: every step, so that tests see all of it
    told: Sequence[str] = ("-v",)
    #: what goes before the command, so that it runs on another host
    on_host: Sequence[str] = ()

    def with_settings(self, **settings: str) -> Workplace:
        """The same folder with other settings; an empty value unsets one."""
        merged = {**self.environment, **settings}
        return replace(self, environment={name: value for name, value in merged.items() if value != ""})

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `schema` or `data` in a process group of its own, without waiting."""
        name = {"schema": "replicate-schema.py", "data": "sync-data.py"}[script]
        return subprocess.Popen(
            [*self.on_host, sys.executable, str(ROOT / name), *arguments, *self.told],
            cwd=self.folder, env=clean_environment(self.environment), text=True, encoding="utf-8",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    @contextlib.contextmanager
    def running(self, script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """One that runs, and is gone at the end whatever happens."""
        process = self.start(script, *arguments)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def run(self, script: str, *arguments: str, timeout: float = DEFAULT_TIMEOUT_S) -> Finished:
        """Run `schema` or `data` to its end."""
        process = self.start(script, *arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{script} {arguments} did not end within {timeout} s:\n{out}\n{err}") from None
        return Finished(process.returncode, bare(out), bare(err))

    @property
    def data_progress(self) -> Path:
        """The data phase's progress file."""
        return self.folder / "data_sync_progress.json"

    @property
    def schema_progress(self) -> Path:
        """The schema phase's progress file."""
        return self.folder / "schema_replication_progress.json"


def source_settings(port: int, database: str) -> dict[str, str]:
    """The settings that reach a stand-in."""
    return {
        "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(port), "MSSQL_DATABASE": database, "MSSQL_USER": LOGIN,
        "MSSQL_PASSWORD": PASSWORD, "MSSQL_TRUST_SERVER_CERTIFICATE": "yes",
    }  # fmt: skip


def bare(log: str) -> str:
    """The words of a log, without the time and the run that each line begins with."""
    return re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{8} ?", "", log, flags=re.MULTILINE)


def is_setting(name: str) -> bool:
    """Whether a variable is a setting of the tool, libpq's and MSSQL_… that it may come to know included."""
    return name in SETTINGS or (name.startswith(("MSSQL_", "PG")) and not name.startswith(FOR_TESTS))


def clean_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without its own settings of the tool, with `settings` instead."""
    kept = {name: value for name, value in os.environ.items() if not is_setting(name)}
    return {**kept, "PYTHONUTF8": "1", **settings}


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    """Wait for a condition; fails with `what` when it does not come true in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain: {what}")
        time.sleep(0.02)


def drop_database(admin: pyodbc.Connection, name: str) -> None:
    """Drop a database of a T-SQL server, which notices a moment late that its clients have gone."""

    def is_dropped() -> bool:
        try:
            admin.execute(f"DROP DATABASE {name}")
        except pyodbc.Error:
            return False
        return True

    wait_until(is_dropped, f"database {name} can be dropped")


def utf16(text: str) -> bytes:
    """As the text travels, without the upper half of its last character."""
    return text.encode("utf-16-le")[:-1]


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


class Proxy:
    """A TCP proxy in front of a server (host and port, or a Unix socket's path) that can stall and cut.

    Counts what flows from the server to the client. `stall_after(n)` lets n more bytes through and then
    holds the rest back; `cut_after(n)` breaks every connection there; `cut()` breaks them now. New
    connections are served as usual after a cut. `pass_at_most(n)` lets n bytes a second through, over all.
    """

    def __init__(self, server: tuple[str, int] | Path, host: str = "127.0.0.1") -> None:
        self._server = server
        self._listener = socket.create_server((host, 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        self._flowing = threading.Event()
        self._flowing.set()
        self._allowance: int | None = None
        self._cuts_at_end = False
        self._closed = False
        self._flipped = b""
        self._flips = 0
        self._seconds_a_byte = 0.0
        self._free_at = 0.0
        #: bytes from the server to clients so far
        self.passed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def stall_after(self, size: int) -> None:
        """Hold everything back after `size` more bytes from the server."""
        with self._lock:
            self._allowance, self._cuts_at_end = size, False

    def cut_after(self, size: int) -> None:
        """Break all connections after `size` more bytes from the server."""
        with self._lock:
            self._allowance, self._cuts_at_end = size, True

    def pass_at_most(self, bytes_a_second: float) -> None:
        """Let so much through from the server, all connections together."""
        self._seconds_a_byte = 1 / bytes_a_second

    def resume(self) -> None:
        """Let everything through again, however slowly."""
        with self._lock:
            self._allowance = None
        self._flowing.set()

    def flip_a_bit(self, of: bytes, times: int = 1) -> None:
        """Change the last of these bytes by a bit where they come from the server, up to so many times."""
        with self._lock:
            self._flipped, self._flips = of, times

    def _corrupted(self, piece: bytes) -> bytes:
        with self._lock:
            position = piece.find(self._flipped) if self._flips else -1
            if position < 0:
                return piece
            self._flips -= 1
            last = position + len(self._flipped) - 1
            return piece[:last] + bytes([piece[last] ^ 1]) + piece[last + 1 :]

    @property
    def is_stalled(self) -> bool:
        """Whether something is being held back now."""
        return not self._flowing.is_set()

    def cut(self) -> None:
        """Break all connections now, as a network does: with a reset."""
        with self._lock:
            pairs = list(self._pairs)
            self._pairs.clear()
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self) -> None:
        """Stop listening and break all connections."""
        self._closed = True
        # Closing alone does not wake the thread that waits in accept: it would serve one more connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()
                continue
            with self._lock:
                self._pairs.add((client, server))
            threading.Thread(target=self._serve, args=(client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._server, Path):
            unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            unix.connect(str(self._server))
            return unix
        return socket.create_connection(self._server)

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        answers = threading.Thread(target=self._pump, args=(server, client, True), daemon=True)
        answers.start()
        self._pump(client, server, False)
        answers.join()
        with self._lock:
            self._pairs.discard((client, server))
        client.close()
        server.close()

    def _pump(self, giver: socket.socket, taker: socket.socket, from_server: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := giver.recv(1 << 14):
                if from_server and not self._admit(len(piece)):
                    return
                taker.sendall(self._corrupted(piece) if from_server else piece)
        with contextlib.suppress(OSError):
            taker.shutdown(socket.SHUT_WR)

    def _admit(self, size: int) -> bool:
        """Account for a piece from the server; waits while stalled; False when it was cut instead."""
        with self._lock:
            self.passed += size
            if self._allowance is not None:
                self._allowance -= size
                if self._allowance < 0 and self._cuts_at_end:
                    self._allowance = None
                    cut_now = True
                else:
                    cut_now = False
                    if self._allowance < 0:
                        self._flowing.clear()
            else:
                cut_now = False
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + size * self._seconds_a_byte
            pause = self._free_at - now
        if cut_now:
            self.cut()
            return False
        time.sleep(pause)
        self._flowing.wait()
        return True

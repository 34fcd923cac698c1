"""Who is logged in, what each session does, and for whose lock it waits.

Sources: Microsoft, "sys.dm_exec_sessions", "sys.dm_exec_requests": a login without VIEW SERVER STATE sees its own
session alone, and a session without a request has no row in the second.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

#: what the views tell of an exclusive lock on a table that keeps a reader out
LOCK_WAIT = "LCK_M_IS"
SESSIONS, REQUESTS = "dm_exec_sessions", "dm_exec_requests"


@dataclass
class Client:
    """A session: who it is, its isolation level, and its request, as long as there is one."""

    spid: int
    login: str
    host: str
    program: str
    isolation: int = 2
    logged_in: datetime = field(default_factory=datetime.now)
    #: since when there is a request
    since: datetime | None = None
    #: the session whose lock it waits for
    blocker: int = 0

    @property
    def session(self) -> dict[str, object]:
        """Its row among the sessions."""
        return {
            "session_id": self.spid, "login_time": self.logged_in, "host_name": self.host,
            "program_name": self.program, "login_name": self.login, "original_login_name": self.login,
            "status": "running" if self.since else "sleeping", "is_user_process": True,
            "transaction_isolation_level": self.isolation,
        }  # fmt: skip

    @property
    def request(self) -> dict[str, object]:
        """Its row among the requests."""
        return {
            "session_id": self.spid, "request_id": 0, "start_time": self.since, "database_id": 5,
            "status": "suspended" if self.blocker else "running", "command": "SELECT",
            "blocking_session_id": self.blocker, "wait_type": LOCK_WAIT if self.blocker else None,
        }  # fmt: skip


class Activity:
    """All sessions of a server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[int, Client] = {}

    def enter(self, client: Client) -> None:
        """A login was admitted."""
        with self._lock:
            self._clients[client.spid] = client

    def leave(self, spid: int) -> None:
        """A session is over."""
        with self._lock:
            self._clients.pop(spid, None)

    @contextmanager
    def requesting(self, spid: int) -> Iterator[Client]:
        """As long as a session's request is under way."""
        client = self._clients[spid]
        client.since = datetime.now()
        try:
            yield client
        finally:
            client.since, client.blocker = None, 0

    def set_isolation(self, spid: int, level: int) -> None:
        """A session reads at this level from now on."""
        self._clients[spid].isolation = level

    def rows(self, view: str, seen_by: int | None) -> list[dict[str, object]]:
        """The rows of a view, of all sessions or of the one that may see nothing else."""
        with self._lock:
            seen = [client for client in self._clients.values() if seen_by in (None, client.spid)]
        if view == SESSIONS:
            return [client.session for client in seen]
        return [client.request for client in seen if client.since is not None]

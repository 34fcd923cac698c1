"""Who is in the way of this tool's sessions in SQL Server, as they wait now (Microsoft, "sys.dm_exec_requests")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.visible import on_one_line

APPLICATION = "mssql-to-postgres"

#: needs VIEW SERVER STATE, without which a login sees its own session alone
BLOCKED = """
SELECT r.session_id, r.blocking_session_id, r.wait_type, b.login_name, b.program_name
FROM sys.dm_exec_requests AS r
JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
LEFT JOIN sys.dm_exec_sessions AS b ON b.session_id = r.blocking_session_id
WHERE s.program_name = ? AND r.blocking_session_id > 0
ORDER BY r.session_id
"""


@dataclass(frozen=True)
class Blocked:
    """A session of ours that waits, and the one that it waits for."""

    session: int
    blocker: int
    wait: str
    login: str
    program: str

    def __str__(self) -> str:
        who = ", ".join(filter(None, (f"login {self.login}" if self.login else "", self.program)))
        return f"session {self.blocker} ({on_one_line(who)}) blocks session {self.session} ({on_one_line(self.wait)})"


def blocked(connection: Any) -> list[Blocked]:
    """What waits for others now. Raises pyodbc.Error, also where the login may not look."""
    cursor = connection.cursor()
    try:
        rows = cursor.execute(BLOCKED, APPLICATION).fetchall()
    finally:
        cursor.close()
    return [Blocked(row[0], row[1], row[2] or "", row[3] or "", row[4] or "") for row in rows]


AT_WORK = """
SELECT r.session_id, r.status, r.command, r.wait_type, r.blocking_session_id, b.login_name, b.program_name
FROM sys.dm_exec_requests AS r
JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
LEFT JOIN sys.dm_exec_sessions AS b ON b.session_id = r.blocking_session_id
WHERE s.program_name = ? AND r.session_id <> @@SPID
ORDER BY r.session_id
"""


@dataclass(frozen=True)
class AtWork:
    """A session of ours: what it does, and whom it waits for, in words; None where it waits for nobody."""

    session: int
    does: str
    waits_for: str | None


def at_work(connection: Any) -> list[AtWork]:
    """Sessions of this tool that do something now. Raises pyodbc.Error, also where the login may not look."""
    cursor = connection.cursor()
    try:
        rows = cursor.execute(AT_WORK, APPLICATION).fetchall()
    finally:
        cursor.close()
    found = []
    for session, status, command, wait, blocker, login, program in rows:
        waits = f", {wait}" if wait else ""
        blocked_by = f"session {blocker} (login {login}, {program})" if blocker else None
        found.append(AtWork(session, f"{status}: {command}{waits}", blocked_by))
    return found

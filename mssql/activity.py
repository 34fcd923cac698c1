"""Who is in the way of this tool's sessions in SQL Server, as they wait now.

Sources: Microsoft, "sys.dm_exec_requests", "sys.dm_exec_sessions", "HAS_PERMS_BY_NAME", "APP_NAME".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.visible import on_one_line

#: Without these a login sees its own session alone; the second is enough from 2022 on, and unknown before.
SEES_OTHERS = """
SELECT CASE WHEN HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') = 1
              OR HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE') = 1 THEN 1 ELSE 0 END AS sees_others
"""
NOT_SHOWN = "whom a read waits for is not shown to this login (it takes VIEW SERVER STATE)"

# All connections of a run call themselves the same, also where a connection string gives them another name.
AT_WORK = """
SELECT r.session_id, r.status, r.command, r.wait_type, r.blocking_session_id, b.login_name, b.host_name, b.program_name
FROM sys.dm_exec_requests AS r
JOIN sys.dm_exec_sessions AS s ON s.session_id = r.session_id
LEFT JOIN sys.dm_exec_sessions AS b ON b.session_id = r.blocking_session_id
WHERE s.program_name = APP_NAME() AND r.session_id <> @@SPID
ORDER BY r.session_id
"""

#: numbers of blocking sessions that are none
_NO_SESSIONS: Mapping[int, str] = {
    -2: "a distributed transaction that nobody ends (orphaned; KILL takes its unit of work)",
    -3: "a transaction that is still to be recovered (deferred)",
}


@dataclass(frozen=True)
class AtWork:
    """A session of ours: what it does, its wait, and whom it waits for, in words; None where it waits for nobody."""

    session: int
    does: str
    wait: str
    waits_for: str | None

    @property
    def blocked(self) -> str:
        """The same of one that waits for somebody."""
        return f"{self.waits_for} blocks session {self.session}{f' ({self.wait})' if self.wait else ''}"


def at_work(connection: Any) -> list[AtWork] | None:
    """Sessions of this tool that do something now; None where they are not shown to the login. Raises pyodbc.Error."""
    cursor = connection.cursor()
    try:
        rows = cursor.execute(AT_WORK).fetchall()
        if not rows and not cursor.execute(SEES_OTHERS).fetchone()[0]:
            return None
    finally:
        cursor.close()
    found = []
    for session, status, command, wait, blocker, *names in rows:
        shown = on_one_line(wait or "")
        does = f"{on_one_line(status)}: {on_one_line(command)}{f', {shown}' if shown else ''}"
        found.append(AtWork(session, does, shown, blocker_in_words(blocker or 0, *names)))
    return found


def blocker_in_words(blocker: int, login: str | None, host: str | None, program: str | None) -> str | None:
    """Whom a session waits for; None for nobody, and for a latch, whose owner is not known and soon gone."""
    if blocker <= 0:
        return _NO_SESSIONS.get(blocker)
    named = (f"login {login}" if login else "", f"host {host}" if host else "", program or "")
    who = on_one_line(", ".join(filter(None, named)))
    return f"session {blocker} ({who})" if who else f"session {blocker}"

"""How many connections PostgreSQL still has for us."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import psycopg2

# Every role sees all backends, and of others' not what they do. Parallel workers are counted too, to be on the safe
# side. Limits of roles and databases do not hold for superusers (PostgreSQL, "CREATE ROLE", CONNECTION LIMIT).
SPARE = """
WITH backends AS (SELECT datid, usesysid FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL)
SELECT least(
    current_setting('max_connections')::int - CASE WHEN r.rolsuper THEN 0 ELSE
        current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) END
        - (SELECT count(*) FROM backends),
    CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper THEN
        r.rolconnlimit - (SELECT count(*) FROM backends WHERE usesysid = r.oid) END,
    CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper THEN
        d.datconnlimit - (SELECT count(*) FROM backends WHERE datid = d.oid) END)
FROM pg_roles AS r, pg_database AS d
WHERE r.rolname = session_user AND d.datname = current_database()
"""


# A role may end what itself began (PostgreSQL, "Server Signaling Functions").
OWN = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""


def spare_connections(connection: Any) -> int | None:
    """How many more this role may open to this database now; None where the server does not say."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(SPARE)
            found = cursor.fetchone()
    except psycopg2.Error:
        found = None
    connection.rollback()
    return max(0, int(found[0])) if found and found[0] is not None else None


def end_connections(connection: Any, application: str) -> int:
    """End all connections of this role's own that have this application's name; returns how many there were.

    Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(OWN, (application,))
        count = int(cursor.rowcount)
    connection.rollback()
    return count


def break_off(connection: Any) -> None:
    """End a connection and what the server does for it, from any thread, whatever its own thread hangs in."""
    if connection is None or connection.closed:
        return
    # Asking the server to stop takes a connection of its own, which may hang as well.
    threading.Thread(target=_cancel, args=(connection,), daemon=True).start()
    with (
        suppress(psycopg2.Error, OSError),
        socket.fromfd(connection.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)


def _cancel(connection: Any) -> None:
    with suppress(psycopg2.Error):
        connection.cancel()

"""Whether what travels to PostgreSQL is encrypted."""

from __future__ import annotations

from typing import Any

import psycopg2

#: a session sees its own row (PostgreSQL, "The Cumulative Statistics System")
BY_KERBEROS = "SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"
LOOPBACK = ("127.", "localhost", "::1")


def is_open(connection: Any) -> bool:
    """Whether a psycopg2 connection crosses a network unencrypted. Ends its transaction."""
    host = connection.info.host or ""
    if connection.info.ssl_in_use or host == "" or host.startswith(("/", "@", *LOOPBACK)):
        return False
    try:
        with connection.cursor() as cursor:
            cursor.execute(BY_KERBEROS)
            found = cursor.fetchall()
        return not (found and found[0][0])
    except psycopg2.Error:
        # A pooler that keeps no such figures.
        return True
    finally:
        connection.rollback()

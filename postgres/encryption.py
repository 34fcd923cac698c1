"""Whether what travels to PostgreSQL is encrypted."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import psycopg2

#: a session sees its own row (PostgreSQL, "The Cumulative Statistics System")
BY_KERBEROS = "SELECT encrypted FROM pg_stat_gssapi WHERE pid = pg_backend_pid()"


def is_open(connection: Any) -> bool:
    """Whether a psycopg2 connection crosses a network unencrypted. Ends its transaction."""
    if connection.info.ssl_in_use or stays_on_the_machine(connection.info.host or ""):
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


def stays_on_the_machine(host: str) -> bool:
    """Whether a host as libpq knows it is a Unix socket or a loopback address."""
    if host == "" or host.startswith(("/", "@")) or host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

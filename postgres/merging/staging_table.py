"""The table that a merge's rows are loaded into first."""

from __future__ import annotations

from typing import Any

from postgres.names import TargetName

#: since when a column has a compression method of its own
_COMPRESSION_SINCE = 140000


def create_staging(cursor: Any, live: TargetName, staging: TargetName) -> None:
    """Make an empty staging table for a live one, in the caller's transaction. Raises psycopg2.Error.

    It has the live table's columns, and refuses what the live table's NOT NULL and CHECK constraints refuse. Generated
    columns are generated, so that constraints about them hold too. It has no defaults, no identity, no index, and is
    UNLOGGED: a crash empties it. Autovacuum leaves it alone; whoever has loaded it runs ANALYZE.
    """
    compression = " INCLUDING COMPRESSION" if cursor.connection.server_version >= _COMPRESSION_SINCE else ""
    cursor.execute(
        f"CREATE UNLOGGED TABLE {staging.quoted} ("
        f"LIKE {live.quoted} INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE{compression}"
        f") WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false)"
    )

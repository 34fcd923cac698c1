"""How much room tables take in the target, and how much its disk has left where that can be known.

Source: PostgreSQL, "Database Object Size Functions" and "File Locations".
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2

from model.table_size import TableSize
from postgres.names import TargetName, listed

SIZES = """
SELECT w.position::integer, pg_table_size(c.oid), pg_total_relation_size(c.oid)
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
"""
# Of another machine, or of a container, a folder of the same name would be another one.
FOLDER = """
SELECT CASE WHEN inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr()
            THEN current_setting('data_directory') END
"""


def read_sizes(connection: Any, tables: Sequence[TargetName]) -> dict[TargetName, TableSize]:
    """The sizes of those of the tables that are there. Raises psycopg2.Error; ends the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(SIZES, listed(tables))
        found = {tables[position - 1]: TableSize(*sizes) for position, *sizes in cursor.fetchall()}
    connection.rollback()
    return found


def free_bytes(connection: Any) -> int | None:
    """What the disk of the server's data has left for it; None where this machine, or this role, cannot know."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(FOLDER)
            (folder,) = cursor.fetchone()
        connection.rollback()
        if folder is None or not Path(folder).is_dir():
            return None
        return shutil.disk_usage(folder).free
    except (psycopg2.Error, OSError):
        if not connection.closed:
            connection.rollback()
        return None

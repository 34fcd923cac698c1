"""What PostgreSQL's planner knows of tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from postgres.names import TargetName

# TRUNCATE forgets what the planner knew, VACUUM, ANALYZE and CREATE INDEX write it down (PostgreSQL, "pg_class":
# reltuples is -1 where it is not known, up to version 13 it is 0). A table without rows has no blocks. ANALYZE leaves
# tables of others alone.
NEVER_ANALYZED = """
SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT to_regclass(name)::oid FROM unnest(%s::text[]) AS wanted (name))
  AND c.relkind = 'r' AND pg_has_role(c.relowner, 'USAGE')
  AND c.relpages = 0 AND c.reltuples <= 0 AND pg_relation_size(c.oid) > 0
ORDER BY 1, 2
"""


def never_analyzed(connection: Any, tables: Sequence[TargetName]) -> list[TargetName]:
    """Those of the role's own tables that hold rows of which the planner knows nothing. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(NEVER_ANALYZED, ([table.quoted for table in tables],))
        found = [TargetName(*row) for row in cursor.fetchall()]
    connection.rollback()
    return found

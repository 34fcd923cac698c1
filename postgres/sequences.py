"""Sequence objects of the target, which go on where the source's stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postgres.ddl.statements import literal
from postgres.names import TargetName, listed

# What feeds an identity goes on with its table; a sequence that begins again at its end has no furthest position.
STANDING = """
SELECT n.nspname, c.relname, s.seqincrement > 0, s.seqmin, s.seqmax,
       has_sequence_privilege(c.oid, 'SELECT') AND has_sequence_privilege(c.oid, 'UPDATE')
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS w (schema, name)
JOIN pg_namespace AS n ON n.nspname = w.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind = 'S'
JOIN pg_sequence AS s ON s.seqrelid = c.oid AND NOT s.seqcycle
WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'i')
ORDER BY n.nspname, c.relname
"""


def go_on(connection: Any, positions: Mapping[TargetName, int]) -> list[TargetName]:
    """Let each sequence go on after the position of the source's, unless it is further itself.

    Those that are not in the target are left out. Returns those that the role may not set. Raises psycopg2.Error.
    """
    refused = []
    with connection.cursor() as cursor:
        cursor.execute(STANDING, listed(positions))
        for schema, name, is_ascending, low, high, may_set in cursor.fetchall():
            sequence = TargetName(schema, name)
            position = positions[sequence]
            if not may_set:
                refused.append(sequence)
            elif low <= position <= high:
                behind = "<" if is_ascending else ">"
                cursor.execute(
                    f"SELECT setval({literal(sequence.quoted)}::regclass, %(position)s, true) FROM {sequence.quoted}"
                    f" WHERE last_value {behind} %(position)s OR (last_value = %(position)s AND NOT is_called)",
                    {"position": position},
                )
    connection.commit()
    return refused

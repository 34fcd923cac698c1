"""Why a table cannot be merged, found in the catalog before anything is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from postgres.merging.description import foreign_keys
from postgres.names import TargetName, listed

_WANTED = """
wanted AS (
    SELECT w.position, c.*
    FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
    JOIN pg_namespace AS n ON n.nspname = w.table_schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name)
"""

KINDS = {
    "f": "it is a foreign table, whose rows lie on another server", "v": "it is a view",
    "m": "it is a materialized view", "S": "it is a sequence",
}  # fmt: skip
TABLES = f"""
WITH {_WANTED}
SELECT w.position::integer, w.relkind, w.relispartition,
       array_remove(ARRAY[
           CASE WHEN NOT has_table_privilege(w.oid, 'SELECT') THEN 'SELECT' END,
           CASE WHEN NOT has_table_privilege(w.oid, 'INSERT') THEN 'INSERT' END,
           CASE WHEN NOT has_table_privilege(w.oid, 'UPDATE') THEN 'UPDATE' END,
           CASE WHEN NOT has_table_privilege(w.oid, 'DELETE') THEN 'DELETE' END], NULL),
       has_database_privilege(current_database(), 'TEMPORARY'), current_database(),
       pg_has_role(w.relowner, 'USAGE'), pg_get_userbyid(w.relowner)::text, row_security_active(w.oid),
       (SELECT array_agg(r.rulename::text ORDER BY r.rulename) FROM pg_rewrite AS r
        WHERE r.ev_class = w.oid AND r.ev_type <> '1' AND r.ev_enabled <> 'D'),
       (SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger AS t
        WHERE t.tgrelid = w.oid AND NOT t.tgisinternal AND t.tgenabled = 'O'),
       (SELECT array_agg(DISTINCT t.tgname::text) FROM pg_partition_tree(w.oid) AS l
        JOIN pg_trigger AS t ON t.tgrelid = l.relid
        WHERE w.relkind = 'p' AND NOT t.tgisinternal AND t.tgenabled = 'O')
FROM wanted AS w
"""

# Tables, or partitions of them, whose changes a publication sends and whose rows a subscriber could not find.
UNFINDABLE = f"""
WITH {_WANTED}, parts AS (
    SELECT position, oid FROM wanted WHERE relkind = 'r'
    UNION ALL
    SELECT w.position, l.relid FROM wanted AS w CROSS JOIN LATERAL pg_partition_tree(w.oid) AS l
    WHERE w.relkind = 'p' AND l.isleaf
)
SELECT p.position::integer, array_agg(DISTINCT b.pubname::text)
FROM parts AS p
JOIN pg_class AS c ON c.oid = p.oid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_publication AS b ON b.pubupdate OR b.pubdelete
WHERE c.relpersistence = 'p'
  AND NOT EXISTS (
    SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
    AND (c.relreplident = 'd' AND i.indisprimary OR c.relreplident = 'i' AND i.indisreplident))
  AND c.relreplident <> 'f'
  AND (b.puballtables OR EXISTS (
    SELECT FROM pg_publication_tables AS t WHERE t.pubname = b.pubname
    AND (to_regclass(format('%%I.%%I', t.schemaname, t.tablename))::oid = c.oid
         OR EXISTS (SELECT FROM pg_partition_ancestors(c.oid) AS a
                    WHERE a.relid = to_regclass(format('%%I.%%I', t.schemaname, t.tablename)))))
  )
GROUP BY p.position
"""

# Of tables outside that reference some of ours: whether all of their rows can be seen.
SEEN = """
SELECT w.position::integer FROM unnest(%(schemas)s::text[], %(tables)s::text[])
    WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid)
"""


def obstacles_of(connection: Any, tables: Sequence[TargetName]) -> dict[TargetName, tuple[str, ...]]:
    """Why these tables cannot be merged together, each reason in words; only those that cannot, in four queries.

    Raises psycopg2.Error; ends the transaction.
    """
    found: defaultdict[TargetName, list[str]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(TABLES, listed(tables))
        there = set()
        for position, *facts in cursor.fetchall():
            there.add(tables[position - 1])
            found[tables[position - 1]] += _of_table(*facts)
        for table in tables:
            if table not in there:
                found[table].append("it does not exist")
        cursor.execute(UNFINDABLE, listed(tables))
        for position, names in cursor.fetchall():
            found[tables[position - 1]].append(
                f"publication {', '.join(names)} sends its updates and deletes, which PostgreSQL refuses while the "
                f"table has no usable replica identity. Give it a primary key, or ALTER TABLE ... REPLICA IDENTITY FULL"
            )
        keys = foreign_keys(cursor, tables)
        outside = [key for key in keys if key.parent in there and key.child not in there]
        cursor.execute(SEEN, listed(key.child for key in outside))
        seen = {position - 1 for (position,) in cursor.fetchall()}
    connection.rollback()
    for position, key in enumerate(outside):
        if position not in seen:
            found[key.parent].append(
                f"{key} references it, and this role does not see all rows of {key.child}, which a merge must not "
                f"leave without their parents. GRANT SELECT on it, or BYPASSRLS to the role"
            )
    return {table: tuple(found[table]) for table in tables if found[table]}


def _of_table(
    kind: str, is_partition: bool, missing: Sequence[str], has_temporary: bool, database: str, owns: bool, owner: str,
    is_secured: bool, rules: Sequence[str] | None, triggers: Sequence[str] | None, parts: Sequence[str] | None,
) -> list[str]:  # fmt: skip
    if kind not in ("r", "p"):
        return [KINDS.get(kind, "it is not a table")]
    reasons = []
    if is_partition:
        reasons.append("it is a partition: merge the table that it is a part of")
    if missing:
        reasons.append(f"this role lacks the right to {', '.join(missing)}")
    if not has_temporary:
        reasons.append(f"this role lacks the right to make temporary tables: GRANT TEMPORARY ON DATABASE {database}")
    if is_secured:
        reasons.append("row security hides rows of it from this role. Give the role BYPASSRLS")
    if rules:
        reasons.append(f"its rule {', '.join(rules)} would change what a merge writes")
    if triggers and not owns:
        reasons.append(
            f"its trigger {', '.join(triggers)} would fire for rows that are not new, and only the table's owner "
            f"{owner} may disable it"
        )
    if parts:
        reasons.append(f"it is partitioned and has the trigger {', '.join(parts)}, which would fire for each partition")
    return reasons

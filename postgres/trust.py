"""Whether the schema `replication` is ours: what stands in it names objects that this tool drops and makes.

It must belong to the role that runs, to a superuser, or to a role that the settings name, with all that is in it; and
nobody else may make or change anything there. Source: PostgreSQL, "Privileges".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: rights that let somebody change what is read, or have something of theirs run beside it
_WRITING = ("CREATE", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
#: problems that are told
MOST_TOLD = 5

PROBLEMS = """
WITH trusted AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user OR rolsuper OR rolname = ANY (%(trusted)s)
), things AS (
    SELECT 'the schema' AS thing, nspowner AS owner, coalesce(nspacl, acldefault('n', nspowner)) AS acl
    FROM pg_namespace WHERE nspname = 'replication'
    UNION ALL
    SELECT 'replication.' || c.relname, c.relowner,
           coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'replication' AND c.relkind NOT IN ('i', 'I', 't')
    UNION ALL
    SELECT 'column ' || a.attname || ' of replication.' || c.relname, c.relowner, a.attacl
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'replication' AND a.attacl IS NOT NULL
    UNION ALL
    SELECT 'function replication.' || p.proname, p.proowner, NULL
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = 'replication'
)
SELECT thing || ' belongs to ' || pg_get_userbyid(owner) FROM things WHERE owner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT CASE grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(grantee)::text END
       || ' has ' || string_agg(privilege_type, ', ' ORDER BY privilege_type) || ' on ' || thing
FROM things CROSS JOIN LATERAL aclexplode(acl)
WHERE grantee NOT IN (SELECT oid FROM trusted) AND privilege_type = ANY (%(writing)s)
GROUP BY thing, grantee
"""


def problems(cursor: Any, trusted: Sequence[str]) -> list[str]:
    """What is wrong with the schema `replication`, in words; nothing where it is missing. Raises psycopg2.Error."""
    cursor.execute(PROBLEMS, {"trusted": list(trusted), "writing": list(_WRITING)})
    found = [words for (words,) in cursor.fetchall()]
    more = [f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
    return [*found[:MOST_TOLD], *more]

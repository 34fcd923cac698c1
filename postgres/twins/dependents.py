"""What depends on tables: what an exchange carries over to the new ones, and what it cannot, in words.

Everything that PostgreSQL records as dependent is looked at. What this tool does not know how to carry over is an
obstacle. Source: PostgreSQL, "pg_depend".

A SQL function whose body is stored as a parsed statement (BEGIN ATOMIC) is an obstacle, too: nobody can lock it, and a
call that waits for the table while it is exchanged fails, since it knows the table by number. Views and policies are
found by way of a relation that can be locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from postgres.names import TargetName, listed, quote
from postgres.suspension_record import QUALIFIED, Suspended, is_marked, without_mark
from postgres.twins.parts import policy_condition

_WANTED = """
    SELECT w.position, c.oid, c.relnamespace, c.relowner, c.relkind, c.reltype, c.reltoastrelid, c.relpersistence,
           c.reloftype, c.relispartition
    FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
    JOIN pg_namespace AS n ON n.nspname = w.table_schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
"""
# The tables with all that goes with them when they go.
_OWN = f"""
WITH live AS MATERIALIZED ({_WANTED}), own AS MATERIALIZED (
    SELECT position, 'pg_class'::regclass::oid AS class, oid AS object FROM live
    UNION ALL SELECT position, 'pg_class'::regclass, reltoastrelid FROM live WHERE reltoastrelid <> 0
    UNION ALL SELECT position, 'pg_type'::regclass, reltype FROM live
    UNION ALL SELECT position, 'pg_type'::regclass, t.typarray FROM live JOIN pg_type AS t ON t.oid = reltype
    UNION ALL SELECT position, 'pg_class'::regclass, x.indexrelid
        FROM live JOIN pg_index AS x ON x.indrelid IN (live.oid, reltoastrelid)
    UNION ALL SELECT position, 'pg_constraint'::regclass, k.oid
        FROM live JOIN pg_constraint AS k ON k.conrelid = live.oid
    UNION ALL SELECT position, 'pg_attrdef'::regclass, a.oid FROM live JOIN pg_attrdef AS a ON a.adrelid = live.oid
    UNION ALL SELECT position, 'pg_trigger'::regclass, t.oid FROM live JOIN pg_trigger AS t ON t.tgrelid = live.oid
    UNION ALL SELECT position, 'pg_policy'::regclass, p.oid FROM live JOIN pg_policy AS p ON p.polrelid = live.oid
    UNION ALL SELECT position, 'pg_statistic_ext'::regclass, s.oid
        FROM live JOIN pg_statistic_ext AS s ON s.stxrelid = live.oid
    UNION ALL SELECT position, 'pg_class'::regclass, d.objid
        FROM live JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = live.oid
        JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'i'
), dependent AS MATERIALIZED (
    SELECT DISTINCT own.position, d.classid, d.objid,
           CASE WHEN d.classid = 'pg_class'::regclass THEN d.objsubid ELSE 0 END AS objsubid,
           own.class = 'pg_type'::regclass AS is_type, d.deptype
    FROM own JOIN pg_depend AS d ON d.refclassid = own.class AND d.refobjid = own.object
    WHERE NOT EXISTS (
        SELECT FROM own AS other
        WHERE (other.position, other.class, other.object) = (own.position, d.classid, d.objid))
)
"""
_IS_VIEW = """
    d.classid = 'pg_rewrite'::regclass AND NOT d.is_type
    AND v.relkind = 'v' AND r.rulename = '_RETURN' AND v.relpersistence <> 't'"""
_IS_KEY = "d.classid = 'pg_constraint'::regclass AND k.contype = 'f' AND kc.relkind = 'r' AND k.conparentid = 0"
_IS_POLICY = "d.classid = 'pg_policy'::regclass AND NOT d.is_type"
_JOINED = """
FROM dependent AS d
LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_class AS v ON v.oid = r.ev_class LEFT JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
LEFT JOIN pg_constraint AS k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN pg_class AS kc ON kc.oid = k.conrelid LEFT JOIN pg_namespace AS kn ON kn.oid = kc.relnamespace
LEFT JOIN pg_policy AS p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
LEFT JOIN pg_class AS pc ON pc.oid = p.polrelid LEFT JOIN pg_namespace AS pn ON pn.oid = pc.relnamespace
"""

# Views that name the tables themselves; foreign keys that other tables have to them; policies that look into them.
VIEWS = f"""
{_OWN}
SELECT DISTINCT v.oid, vn.nspname, v.relname, pg_get_viewdef(v.oid), v.reloptions, pg_get_userbyid(v.relowner)
{_JOINED} WHERE {_IS_VIEW} ORDER BY 2, 3
"""
KEYS = f"""
{_OWN}
SELECT DISTINCT kn.nspname, kc.relname, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'),
       k.convalidated, pg_get_userbyid(kc.relowner)
{_JOINED} WHERE {_IS_KEY} ORDER BY 1, 2, 3
"""
POLICIES = f"""
{_OWN}
SELECT DISTINCT pn.nspname, pc.relname, p.polname, pg_get_expr(p.polqual, p.polrelid),
       pg_get_expr(p.polwithcheck, p.polrelid), pg_get_userbyid(pc.relowner)
{_JOINED} WHERE {_IS_POLICY} ORDER BY 1, 2, 3
"""

# Beside what is dependent and unknown, what is not recorded as a dependency.
OBSTACLES = f"""
{_OWN}
, words AS (
SELECT d.position, CASE
    WHEN v.relkind = 'm' THEN format('the materialised view %%s.%%s is computed from it', vn.nspname, v.relname)
    WHEN v.relkind = 'v' AND r.rulename = '_RETURN' AND v.relpersistence = 't'
        THEN format('the temporary view %%s of another connection reads it', v.relname)
    WHEN d.classid = 'pg_rewrite'::regclass AND r.rulename <> '_RETURN' AND v.oid = live.oid
        THEN format('the rule %%s stands on it', r.rulename)
    WHEN d.classid = 'pg_rewrite'::regclass AND r.rulename <> '_RETURN'
        THEN format('the rule %%s of %%s.%%s mentions it', r.rulename, vn.nspname, v.relname)
    WHEN d.classid = 'pg_publication_rel'::regclass THEN format('it is published: %%s',
        pg_describe_object(d.classid, d.objid, d.objsubid))
    WHEN d.classid = 'pg_constraint'::regclass AND k.contype = 'f'
        THEN format('the partitioned table %%s.%%s has a foreign key to it', kn.nspname, kc.relname)
    WHEN d.classid = 'pg_class'::regclass AND d.deptype IN ('n', 'a') AND EXISTS (
        SELECT FROM pg_inherits AS h WHERE h.inhrelid = d.objid AND h.inhparent = live.oid)
        THEN format('%%s inherits from it', d.objid::regclass)
    WHEN d.is_type THEN format('%%s uses its row type', pg_describe_object(d.classid, d.objid, d.objsubid))
    ELSE format('%%s depends on it', pg_describe_object(d.classid, d.objid, d.objsubid)) END AS words
{_JOINED} JOIN live USING (position)
WHERE ({_IS_VIEW} OR {_IS_KEY} OR {_IS_POLICY}
    OR d.classid = 'pg_class'::regclass AND d.deptype = 'a' AND EXISTS (
        SELECT FROM pg_class AS s WHERE s.oid = d.objid AND s.relkind = 'S')
    OR d.classid = 'pg_trigger'::regclass AND EXISTS (
        SELECT FROM pg_trigger AS t WHERE t.oid = d.objid AND t.tgisinternal)
    ) IS NOT TRUE
UNION ALL
SELECT position, CASE relkind WHEN 'p' THEN 'it is partitioned' WHEN 'f' THEN 'it is a foreign table'
    ELSE 'it is no plain table' END FROM live WHERE relkind <> 'r'
UNION ALL SELECT position, 'it is a partition' FROM live WHERE relispartition
UNION ALL SELECT position, 'it is made of a type' FROM live WHERE reloftype <> 0
UNION ALL SELECT position, 'it is temporary' FROM live WHERE relpersistence = 't'
UNION ALL
SELECT position, format('it inherits from %%s', h.inhparent::regclass) FROM live
JOIN pg_inherits AS h ON h.inhrelid = live.oid WHERE NOT relispartition
UNION ALL
SELECT DISTINCT own.position, format('%%s has a security label', pg_describe_object(own.class, own.object, l.objsubid))
FROM own JOIN pg_seclabel AS l ON l.classoid = own.class AND l.objoid = own.object
UNION ALL
SELECT DISTINCT own.position, format('%%s belongs to %%s', pg_describe_object(own.class, own.object, 0),
       pg_describe_object(d.refclassid, d.refobjid, 0))
FROM own JOIN pg_depend AS d ON d.classid = own.class AND d.objid = own.object AND d.deptype IN ('e', 'x')
UNION ALL
SELECT position, format('the publication %%s publishes all tables', pubname) FROM live CROSS JOIN pg_publication
WHERE puballtables
UNION ALL
SELECT position, format('a subscription, %%s, writes to it', coalesce(s.subname, '?')) FROM live
JOIN pg_subscription_rel AS sr ON sr.srrelid = live.oid
LEFT JOIN (SELECT oid, subname FROM pg_subscription) AS s ON s.oid = sr.srsubid
UNION ALL
SELECT position, format('its index %%s is not valid: drop it or REINDEX it', x.indexrelid::regclass) FROM live
JOIN pg_index AS x ON x.indrelid = live.oid WHERE NOT x.indisvalid
UNION ALL
SELECT position, format('its constraint %%s uses the whole row', k.conname) FROM live
JOIN pg_constraint AS k ON k.conrelid = live.oid AND k.conbin::text LIKE '%%:varattno 0 %%'
UNION ALL
SELECT position, format('its index %%s uses the whole row', x.indexrelid::regclass) FROM live
JOIN pg_index AS x ON x.indrelid = live.oid AND concat(x.indexprs::text, x.indpred::text) LIKE '%%:varattno 0 %%'
UNION ALL
SELECT position, format('its trigger %%s belongs to a table beside it', t.tgname) FROM live
JOIN pg_trigger AS t ON t.tgrelid = live.oid AND NOT t.tgisinternal AND t.tgconstrrelid <> 0
-- What this role may not do.
UNION ALL
SELECT position, format('it belongs to %%s', pg_get_userbyid(relowner)) FROM live
WHERE NOT (pg_has_role(relowner, 'USAGE') AND pg_has_role(relowner, %(as)s))
UNION ALL
SELECT position, format('this role may not create tables in %%s', relnamespace::regnamespace) FROM live
WHERE NOT has_schema_privilege(relnamespace, 'CREATE')
UNION ALL
SELECT position, format('its owner %%s may not create tables in %%s', pg_get_userbyid(relowner),
       relnamespace::regnamespace) FROM live
WHERE NOT has_schema_privilege(relowner, relnamespace, 'CREATE') AND pg_get_userbyid(relowner) <> current_user
  AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
UNION ALL
SELECT DISTINCT d.position, format('%%s %%s.%%s, which depends on it, belongs to %%s',
       CASE WHEN v.oid IS NULL THEN 'the table' ELSE 'the view' END, coalesce(vn.nspname, kn.nspname, pn.nspname),
       coalesce(v.relname, kc.relname, pc.relname),
       pg_get_userbyid(coalesce(v.relowner, kc.relowner, pc.relowner)))
{_JOINED} WHERE (({_IS_VIEW}) OR ({_IS_KEY}) OR ({_IS_POLICY}))
  AND NOT pg_has_role(coalesce(v.relowner, kc.relowner, pc.relowner), 'USAGE')
UNION ALL
SELECT DISTINCT d.position, format('this role may not create views in %%s, where %%s reads it', vn.nspname, v.relname)
{_JOINED} WHERE ({_IS_VIEW}) AND NOT has_schema_privilege(vn.oid, 'CREATE')
UNION ALL
SELECT position, format('this role may not lock %%s, to which its foreign key %%s points',
       k.confrelid::regclass, k.conname) FROM live
JOIN pg_constraint AS k ON k.conrelid = live.oid AND k.contype = 'f'
WHERE NOT has_table_privilege(k.confrelid, 'UPDATE, DELETE, TRUNCATE')
  AND NOT pg_has_role((SELECT relowner FROM pg_class AS o WHERE o.oid = k.confrelid), 'USAGE')
UNION ALL
SELECT position, format('this role may not refer to %%s, to which its foreign key %%s points',
       k.confrelid::regclass, k.conname) FROM live
JOIN pg_constraint AS k ON k.conrelid = live.oid AND k.contype = 'f'
WHERE NOT has_table_privilege(k.confrelid, 'REFERENCES') AND NOT has_any_column_privilege(k.confrelid, 'REFERENCES')
UNION ALL
SELECT DISTINCT position, format('%%s passed rights on it on, and this role is no member of that one',
       pg_get_userbyid(x.grantor))
FROM live JOIN pg_class AS c ON c.oid = live.oid
CROSS JOIN LATERAL (
    SELECT grantor FROM aclexplode(c.relacl)
    UNION SELECT e.grantor FROM pg_attribute AS a CROSS JOIN LATERAL aclexplode(a.attacl) AS e WHERE a.attrelid = c.oid
) AS x WHERE NOT pg_has_role(x.grantor, %(as)s)
%(published)s
)
SELECT DISTINCT position::integer, words FROM words ORDER BY 1, 2
"""

# Since PostgreSQL 15.
PUBLISHED_SCHEMAS = """
UNION ALL
SELECT position, format('the publication %s publishes its schema', p.pubname) FROM live
JOIN pg_publication_namespace AS s ON s.pnnspid = live.relnamespace JOIN pg_publication AS p ON p.oid = s.pnpubid
"""


@dataclass(frozen=True)
class View:
    """A view that reads a table."""

    name: TargetName
    query: str
    options: tuple[str, ...]
    owner: str

    @property
    def statement(self) -> str:
        """What defines it again."""
        options = [f"{name} = '{value}'" for name, _, value in (option.partition("=") for option in self.options)]
        given = f" WITH ({', '.join(options)})" if options else ""
        return f"CREATE OR REPLACE VIEW {self.name.quoted}{given} AS {self.query.rstrip().removesuffix(';')}"


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of another table, as it is recorded until it is valid again."""

    suspended: Suspended
    owner: str


@dataclass(frozen=True)
class Policy:
    """A policy of some table, maybe the very one, that looks into a table."""

    table: TargetName
    statement: str
    owner: str


@dataclass(frozen=True)
class Dependents:
    """What an exchange carries over to the new tables."""

    views: tuple[View, ...]
    foreign_keys: tuple[ForeignKey, ...]
    policies: tuple[Policy, ...]


def obstacles(connection: Any, table: TargetName) -> tuple[str, ...]:
    """Why a table cannot be exchanged, each in words; nothing where it can. Raises psycopg2.Error."""
    return obstacles_of(connection, [table])[table]


def obstacles_of(connection: Any, tables: Iterable[TargetName]) -> dict[TargetName, tuple[str, ...]]:
    """The same for many tables in one query. A table that is not there has no obstacles. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        found = obstacles_now(cursor, list(tables))
    connection.rollback()
    return found


def obstacles_now(cursor: Any, tables: Collection[TargetName]) -> dict[TargetName, tuple[str, ...]]:
    """The same in the caller's transaction."""
    names = list(tables)
    cursor.execute(QUALIFIED)
    version = cursor.connection.server_version
    published = PUBLISHED_SCHEMAS.replace("%", "%%") if version >= 150000 else ""
    # Since PostgreSQL 16 not every member may act as the role.
    values = {**listed(names), "as": "SET" if version >= 160000 else "MEMBER"}
    cursor.execute(OBSTACLES.replace("%(published)s", published), values)
    words: defaultdict[TargetName, list[str]] = defaultdict(list)
    for position, one in cursor.fetchall():
        words[names[position - 1]].append(one)
    return {name: tuple(words[name]) for name in names}


def dependents(cursor: Any, tables: Collection[TargetName]) -> Dependents:
    """What depends on tables and can be carried over, in the caller's transaction. Raises psycopg2.Error.

    A foreign key from one of the tables to another is none of it.
    """
    values = listed(tables)
    cursor.execute(QUALIFIED)
    cursor.execute(VIEWS, values)
    views = tuple(
        View(TargetName(schema, name), query, tuple(options or ()), owner)
        for _, schema, name, query, options, owner in cursor.fetchall()
    )
    cursor.execute(KEYS, values)
    keys = []
    for schema, table, name, definition, comment, is_validated, owner in cursor.fetchall():
        if TargetName(schema, table) not in tables:
            suspended = Suspended(
                TargetName(schema, table), "foreign key", name, definition.removesuffix(" NOT VALID"),
                without_mark(comment), is_validated or is_marked(comment), False,
            )  # fmt: skip
            keys.append(ForeignKey(suspended, owner))
    cursor.execute(POLICIES, values)
    policies = []
    for schema, table, name, using, check, owner in cursor.fetchall():
        of = TargetName(schema, table)
        statement = f"ALTER POLICY {quote(name)} ON {of.quoted}"
        policies.append(Policy(of, statement + policy_condition(using, check), owner))
    return Dependents(views, tuple(keys), tuple(policies))

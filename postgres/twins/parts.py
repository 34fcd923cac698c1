"""What a table consists of, part by part, each as the statements that make it on another table.

Two tables are alike when their parts are. A part that is missing on a twin is made from the live table's statements.
Every text comes from PostgreSQL's own functions under a search path without schemas, so that it names every schema.
Source: PostgreSQL, "System Catalogs" and "System Catalog Information Functions".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from model.errors import LoadLostError
from postgres.names import TargetName, listed, quote
from postgres.suspension_record import QUALIFIED

#: stand in a part's statements for the table, its schema, and the part's own name; no name can hold a NUL
TABLE, SCHEMA, NAME = "\0table\0", "\0schema\0", "\0name\0"

Kind = Literal["check", "not null", "key", "index", "foreign key", "trigger", "policy", "statistics"]

_QUALIFIED_NAME = r'(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")\.(?:[a-z_][a-z0-9_$]*|"(?:[^"]|"")+")'
_UNQUOTED = r'((?:[^"]|"(?:[^"]|"")*")*?)'
_ON_TABLE = re.compile(rf"{_UNQUOTED} ON {_QUALIFIED_NAME} ", re.DOTALL)
_REFERENCES = re.compile(rf"{_UNQUOTED} REFERENCES {_QUALIFIED_NAME}\(", re.DOTALL)


@dataclass(frozen=True)
class Right:
    """A right that somebody gave somebody else; `grantee` is None for everybody."""

    grantor: str
    grantee: str | None
    privilege: str
    is_grantable: bool


@dataclass(frozen=True)
class IdentitySequence:
    """An identity's sequence. `options` as SQL has them."""

    oid: int
    name: str
    options: str
    is_ascending: bool
    is_cycle: bool
    rights: tuple[Right, ...]
    comment: str | None


@dataclass(frozen=True)
class Column:
    """A column. `definition` is what CREATE TABLE says of it but for an identity; `settings` what follows it."""

    name: str
    definition: str
    settings: tuple[str, ...]
    identity: str
    sequence: IdentitySequence | None
    rights: tuple[Right, ...]
    comment: str | None

    @property
    def shape(self) -> object:
        """What must be alike for rows to fit."""
        options = None if self.sequence is None else self.sequence.options
        return self.name, self.definition, self.settings, self.identity, options


@dataclass(frozen=True)
class Part:
    """Something on a table; `statements` make it with all that belongs to it.

    `name` is its own for as long as the table stands where it does; `oid` tells the indexes and statistics of one
    table from those of another. Of foreign keys `points_to` is the other table, named by `OTHER` in the statements.
    """

    kind: Kind
    name: str
    statements: tuple[str, ...]
    oid: int = 0
    #: where extended statistics stand
    schema: str = ""
    #: where a key or an index is built
    tablespace: str = ""
    is_valid: bool = True
    points_to: TargetName | None = None
    comment: str | None = None
    #: of a foreign key, as `replication.suspended` has it
    definition: str = ""
    #: who owns extended statistics
    owner: str = ""
    #: a policy that looks into tables, which is said when all tables stand where they belong
    condition: str = ""

    @property
    def key(self) -> tuple[Kind, str, str]:
        """By what it is known on its table. Statistics of one name may stand in several schemas."""
        return self.kind, self.schema, self.name

    def twin_key(self, twin: TargetName) -> tuple[Kind, str, str]:
        """By what the same part of the twin is known until the exchange."""
        return self.kind, twin.schema if self.schema else "", self.twin_name

    @property
    def twin_name(self) -> str:
        """What the same part of the twin is called until the exchange, where names are the whole schema's."""
        return twin_name(self.oid) if self.kind in ("key", "index", "statistics") else self.name

    def made(self, table: TargetName, name: str) -> list[str]:
        """Its statements for a table."""
        return [rendered(statement, table, name) for statement in self.statements]


#: stands in a foreign key's statements for the table that it points to
OTHER = "\0other\0"


@dataclass(frozen=True)
class Table:
    """A table with all its parts."""

    name: TargetName
    oid: int
    #: what CREATE TABLE says before and after the columns
    persistence: str
    tail: str
    #: on which tablespace; empty for the database's own
    tablespace: str
    owner: str
    rights: tuple[Right, ...]
    comment: str | None
    #: row security, its force, clustering and replica identity, as statements
    settings: tuple[str, ...]
    #: (sequence, column) of every sequence that a serial column owns
    serials: tuple[tuple[TargetName, str], ...]
    columns: tuple[Column, ...] = ()
    parts: Mapping[tuple[Kind, str, str], Part] = field(default_factory=dict)

    def of(self, *kinds: Kind) -> list[Part]:
        """Its parts of these kinds."""
        return [part for part in self.parts.values() if part.kind in kinds]


def twin_name(oid: int) -> str:
    """What the twin of a relation is called until the exchange: no other relation's twin is called so."""
    return f"twin of {oid}"


def rendered(statement: str, table: TargetName, name: str = "") -> str:
    """A part's statement for a table."""
    return (
        statement.replace(TABLE, table.quoted).replace(SCHEMA, quote(table.schema)).replace(NAME, quote(name))
    )  # fmt: skip


def literal(text: str | None) -> str:
    """A string, or NULL, in SQL, whatever `standard_conforming_strings` says."""
    if text is None:
        return "NULL"
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"


# -- the catalog ---------------------------------------------------------------------------------


def _rights(acl: str) -> str:
    return f"""(
    SELECT coalesce(jsonb_agg(jsonb_build_array(pg_get_userbyid(x.grantor),
               CASE WHEN x.grantee <> 0 THEN pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable)
           ORDER BY x.ordinality), '[]')
    FROM aclexplode({acl}) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, ordinality))"""


_WANTED = """
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind = 'r'
"""

TABLES = f"""
SELECT w.position::integer, c.oid, c.relpersistence, quote_ident(am.amname), coalesce(ts.spcname, ''), c.reloptions,
       toast.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, pg_get_userbyid(c.relowner),
       {_rights("coalesce(c.relacl, acldefault('r', c.relowner))")}, obj_description(c.oid, 'pg_class'), (
    SELECT jsonb_agg(jsonb_build_array(sn.nspname, s.relname, a.attname) ORDER BY s.oid)
    FROM pg_depend AS d
    JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_namespace AS sn ON sn.oid = s.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
      AND d.refobjsubid > 0 AND d.deptype = 'a')
{_WANTED}
LEFT JOIN pg_am AS am ON am.oid = c.relam
LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid
"""

# What is not in every version is asked for by name: attcompression since 14, attstattarget NULL since 17.
COLUMNS = f"""
SELECT w.position::integer, a.attname, format_type(a.atttypid, a.atttypmod),
       CASE WHEN a.attcollation <> t.typcollation THEN (
           SELECT format('%%I.%%I', kn.nspname, k.collname)
           FROM pg_collation AS k JOIN pg_namespace AS kn ON kn.oid = k.collnamespace WHERE k.oid = a.attcollation) END,
       pg_get_expr(d.adbin, d.adrelid),
       a.attnotnull AND current_setting('server_version_num')::integer < 180000, a.attidentity, a.attgenerated,
       CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, to_jsonb(a) ->> 'attcompression', a.attoptions,
       nullif((to_jsonb(a) ->> 'attstattarget')::integer, -1), {_rights("a.attacl")},
       col_description(c.oid, a.attnum), s.oid, s.relname, format('START WITH %%s INCREMENT BY %%s MINVALUE %%s '
           'MAXVALUE %%s CACHE %%s %%s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache,
           CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END), q.seqincrement > 0, q.seqcycle,
       {_rights("coalesce(s.relacl, acldefault('s', s.relowner))")}, obj_description(s.oid, 'pg_class')
{_WANTED}
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_depend AS o ON a.attidentity <> '' AND o.deptype = 'i' AND o.classid = 'pg_class'::regclass
     AND o.refclassid = 'pg_class'::regclass AND o.refobjid = c.oid AND o.refobjsubid = a.attnum
LEFT JOIN pg_class AS s ON s.oid = o.objid AND s.relkind = 'S'
LEFT JOIN pg_sequence AS q ON q.seqrelid = s.oid
ORDER BY w.position, a.attnum
"""

# Since PostgreSQL 18 a NOT NULL is a constraint with a name.
CONSTRAINTS = f"""
SELECT w.position::integer, k.contype, k.conname, pg_get_constraintdef(k.oid), k.convalidated,
       obj_description(k.oid, 'pg_constraint'), rn.nspname, rc.relname
{_WANTED}
JOIN pg_constraint AS k ON k.conrelid = c.oid AND k.contype IN ('c', 'n', 'f') AND k.conparentid = 0
LEFT JOIN pg_class AS rc ON rc.oid = k.confrelid LEFT JOIN pg_namespace AS rn ON rn.oid = rc.relnamespace
ORDER BY w.position, k.conname
"""

INDEXES = f"""
SELECT w.position::integer, i.oid, i.relname, x.indisunique,
       substr(pg_get_indexdef(i.oid), length(format('CREATE %%sINDEX %%I ON %%I.%%I ',
           CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname, n.nspname, c.relname)) + 1),
       coalesce(ts.spcname, ''), i.reloptions, x.indisclustered, x.indisreplident, obj_description(i.oid, 'pg_class'), (
    SELECT jsonb_agg(jsonb_build_array(a.attnum, to_jsonb(a) -> 'attstattarget') ORDER BY a.attnum)
    FROM pg_attribute AS a WHERE a.attrelid = i.oid AND (to_jsonb(a) ->> 'attstattarget')::integer >= 0),
       k.contype, pg_get_constraintdef(k.oid), concat(CASE WHEN k.condeferrable THEN ' DEFERRABLE' END,
           CASE WHEN k.condeferred THEN ' INITIALLY DEFERRED' END), obj_description(k.oid, 'pg_constraint')
{_WANTED}
JOIN pg_index AS x ON x.indrelid = c.oid AND x.indisvalid
JOIN pg_class AS i ON i.oid = x.indexrelid
LEFT JOIN pg_tablespace AS ts ON ts.oid = i.reltablespace
LEFT JOIN pg_constraint AS k ON k.conindid = i.oid AND k.conrelid = c.oid AND k.contype IN ('p', 'u', 'x')
ORDER BY w.position, NOT x.indisprimary, i.relname
"""

TRIGGERS = f"""
SELECT w.position::integer, t.tgname, pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'),
       CASE WHEN t.tgconstraint <> 0 THEN obj_description(t.tgconstraint, 'pg_constraint') END
{_WANTED}
JOIN pg_trigger AS t ON t.tgrelid = c.oid AND NOT t.tgisinternal
ORDER BY w.position, t.tgname
"""

POLICIES = f"""
SELECT w.position::integer, p.polname, p.polpermissive, p.polcmd, (
    SELECT string_agg(CASE r.role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.role)) END, ', '
                      ORDER BY r.ordinality)
    FROM unnest(p.polroles) WITH ORDINALITY AS r (role, ordinality)),
       pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid),
       concat(p.polqual::text, p.polwithcheck::text) ~ '{{SUBLINK|:varattno 0 ', obj_description(p.oid, 'pg_policy')
{_WANTED}
JOIN pg_policy AS p ON p.polrelid = c.oid
ORDER BY w.position, p.polname
"""

STATISTICS = f"""
SELECT w.position::integer, s.oid, sn.nspname, s.stxname, pg_get_statisticsobjdef(s.oid),
       format('CREATE STATISTICS %%I.%%I', sn.nspname, s.stxname), format(' FROM %%I.%%I', n.nspname, c.relname),
       nullif((to_jsonb(s) ->> 'stxstattarget')::integer, -1), pg_get_userbyid(s.stxowner),
       obj_description(s.oid, 'pg_statistic_ext')
{_WANTED}
JOIN pg_statistic_ext AS s ON s.stxrelid = c.oid JOIN pg_namespace AS sn ON sn.oid = s.stxnamespace
ORDER BY w.position, sn.nspname, s.stxname
"""

_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
_PERSISTENCE = {"p": "", "u": "UNLOGGED ", "t": "TEMPORARY "}
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
_ENABLED = {"O": "", "D": "DISABLE TRIGGER", "R": "ENABLE REPLICA TRIGGER", "A": "ENABLE ALWAYS TRIGGER"}
_REPLICA_IDENTITY = {"d": "DEFAULT", "n": "NOTHING", "f": "FULL"}


def read(cursor: Any, tables: Collection[TargetName]) -> dict[TargetName, Table]:
    """Tables with all their parts, in seven queries; those that are no plain tables, or gone, are left out.

    In the caller's transaction, whose search path is `pg_catalog` from then on. Raises psycopg2.Error.
    """
    names = list(tables)
    return _Reading(cursor, names).tables()


def read_all(cursor: Any, tables: Collection[TargetName]) -> dict[TargetName, Table]:
    """The same, but raises LoadLostError where one is gone."""
    found = read(cursor, tables)
    for name in tables:
        if name not in found:
            raise LoadLostError(f"{name} is not there any more")
    return found


class _Reading:
    """One reading of several tables."""

    def __init__(self, cursor: Any, names: Sequence[TargetName]) -> None:
        self._cursor = cursor
        self._names = names
        self._values = listed(names)

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql, self._values)
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def tables(self) -> dict[TargetName, Table]:
        self._cursor.execute(QUALIFIED)
        heads = self._rows(TABLES)
        columns = self._columns()
        parts: defaultdict[int, dict[tuple[Kind, str, str], Part]] = defaultdict(dict)
        for position, part in (
            *self._constraints(), *self._indexes(), *self._triggers(), *self._policies(), *self._statistics(),
        ):  # fmt: skip
            parts[position][part.key] = part
        found = {}
        for head in heads:
            position, oid, persistence, method, tablespace, options, toast, secured, forced, identity, owner = head[:11]
            rights, comment, serials = head[11:]
            storage = _options(options, "") + _options(toast, "toast.")
            name = self._names[position - 1]
            settings = [
                f"ALTER TABLE {TABLE} {'ENABLE' if secured else 'DISABLE'} ROW LEVEL SECURITY",
                f"ALTER TABLE {TABLE} {'FORCE' if forced else 'NO FORCE'} ROW LEVEL SECURITY",
            ]
            if identity in _REPLICA_IDENTITY:
                settings.append(f"ALTER TABLE {TABLE} REPLICA IDENTITY {_REPLICA_IDENTITY[identity]}")
            found[name] = Table(
                name, oid, _PERSISTENCE[persistence],
                f" USING {method}" + (f" WITH ({', '.join(storage)})" if storage else ""), tablespace, owner,
                _read_rights(rights), comment, tuple(settings),
                tuple((TargetName(schema, sequence), column) for schema, sequence, column in serials or ()),
                tuple(columns[position]), parts[position],
            )  # fmt: skip
        return found

    def _columns(self) -> defaultdict[int, list[Column]]:
        columns: defaultdict[int, list[Column]] = defaultdict(list)
        for position, name, *about in self._rows(COLUMNS):
            kind, collation, default, is_not_null, identity, generated, storage, compression, options, target = about[
                :10
            ]
            rights, comment, *sequence = about[10:]
            definition = f"{quote(name)} {kind}" + (f" COLLATE {collation}" if collation else "")
            if generated:
                definition += f" GENERATED ALWAYS AS ({default}) {'STORED' if generated == 's' else 'VIRTUAL'}"
            elif default is not None:
                definition += f" DEFAULT {default}"
            alter = f"ALTER TABLE {TABLE} ALTER COLUMN {quote(name)}"
            settings = []
            if is_not_null:
                settings.append(f"{alter} SET NOT NULL")
            if storage:
                settings.append(f"{alter} SET STORAGE {_STORAGE[storage]}")
            if compression:
                settings.append(f"{alter} SET COMPRESSION {_COMPRESSION[compression]}")
            if options:
                settings.append(f"{alter} SET ({', '.join(_options(options, ''))})")
            if target is not None:
                settings.append(f"{alter} SET STATISTICS {target}")
            own = None
            if sequence[0] is not None:
                oid, named, described, ascends, cycles, sequence_rights, said = sequence
                own = IdentitySequence(oid, named, described, ascends, cycles, _read_rights(sequence_rights), said)
            columns[position].append(
                Column(name, definition, tuple(settings), identity, own, _read_rights(rights), comment)
            )
        return columns

    def _constraints(self) -> list[tuple[int, Part]]:
        found = []
        for position, kind, name, definition, is_valid, comment, other_schema, other in self._rows(CONSTRAINTS):
            where = f"CONSTRAINT {quote(name)} ON {TABLE}"
            about = _comment(where, comment)
            points_to, known = None, definition.removesuffix(" NOT VALID")
            if kind == "f":
                points_to = TargetName(other_schema, other)
                match = _REFERENCES.match(definition)
                assert match is not None
                definition = f"{match[1]} REFERENCES {OTHER}{definition[match.end() - 1 :]}".removesuffix(" NOT VALID")  # noqa: PLW2901
            part = Part(
                {"c": "check", "n": "not null", "f": "foreign key"}[kind],  # type: ignore[arg-type]
                name, (f"ALTER TABLE {TABLE} ADD CONSTRAINT {quote(name)} {definition}", *about), is_valid=is_valid,
                points_to=points_to, comment=comment, definition=known,
            )  # fmt: skip
            found.append((position, part))
        return found

    def _indexes(self) -> list[tuple[int, Part]]:
        found = []
        for row in self._rows(INDEXES):
            position, oid, name, is_unique, rest, tablespace, options, is_clustered, is_identity, comment = row[:10]
            targets, constraint, definition, deferral, constraint_comment = row[10:]
            if constraint is None:
                statements = [f"CREATE {'UNIQUE ' if is_unique else ''}INDEX {NAME} ON {TABLE} {rest}"]
            else:
                if options and constraint != "x":
                    # Of an exclusion constraint its definition says them.
                    definition = (
                        f"{definition.removesuffix(deferral)} WITH ({', '.join(_options(options, ''))}){deferral}"
                    )
                statements = [f"ALTER TABLE {TABLE} ADD CONSTRAINT {NAME} {definition}"]
                statements += _comment(f"CONSTRAINT {NAME} ON {TABLE}", constraint_comment)
            statements += _comment(f"INDEX {SCHEMA}.{NAME}", comment)
            statements += [
                f"ALTER INDEX {SCHEMA}.{NAME} ALTER COLUMN {number} SET STATISTICS {target}"
                for number, target in targets or ()
            ]
            if is_clustered:
                statements.append(f"ALTER TABLE {TABLE} CLUSTER ON {NAME}")
            if is_identity:
                statements.append(f"ALTER TABLE {TABLE} REPLICA IDENTITY USING INDEX {NAME}")
            kind: Kind = "index" if constraint is None else "key"
            found.append((position, Part(kind, name, tuple(statements), oid, tablespace=tablespace)))
        return found

    def _triggers(self) -> list[tuple[int, Part]]:
        found = []
        for position, name, definition, enabled, comment, constraint_comment in self._rows(TRIGGERS):
            match = _ON_TABLE.match(definition)
            assert match is not None
            statements = [f"{match[1]} ON {TABLE} {definition[match.end() :]}"]
            if _ENABLED[enabled]:
                statements.append(f"ALTER TABLE {TABLE} {_ENABLED[enabled]} {quote(name)}")
            statements += _comment(f"TRIGGER {quote(name)} ON {TABLE}", comment)
            statements += _comment(f"CONSTRAINT {quote(name)} ON {TABLE}", constraint_comment)
            found.append((position, Part("trigger", name, tuple(statements))))
        return found

    def _policies(self) -> list[tuple[int, Part]]:
        found = []
        for position, name, is_permissive, command, roles, using, check, looks, comment in self._rows(POLICIES):
            condition = policy_condition(using, check)
            # Until the exchange the tables that it looks into are others. It lets nothing pass until then.
            hidden = policy_condition(using and "false", check and "false")
            first = hidden if looks else condition
            make = (
                f"CREATE POLICY {quote(name)} ON {TABLE} AS {'PERMISSIVE' if is_permissive else 'RESTRICTIVE'}"
                f" FOR {_COMMANDS[command]} TO {roles}{first}"
            )
            part = Part(
                "policy", name, (make, *_comment(f"POLICY {quote(name)} ON {TABLE}", comment)),
                condition=f"ALTER POLICY {quote(name)} ON {TABLE}{condition}" if looks else "",
            )  # fmt: skip
            found.append((position, part))
        return found

    def _statistics(self) -> list[tuple[int, Part]]:
        found = []
        for position, oid, schema, name, definition, before, after, target, owner, comment in self._rows(STATISTICS):
            middle = definition.removeprefix(before).removesuffix(after)
            statements = [f"CREATE STATISTICS {SCHEMA}.{NAME}{middle} FROM {TABLE}"]
            if target is not None:
                statements.append(f"ALTER STATISTICS {SCHEMA}.{NAME} SET STATISTICS {target}")
            statements += _comment(f"STATISTICS {SCHEMA}.{NAME}", comment)
            statements.append(f"ALTER STATISTICS {SCHEMA}.{NAME} OWNER TO {quote(owner)}")
            found.append((position, Part("statistics", name, tuple(statements), oid, schema=schema, owner=owner)))
        return found


def policy_condition(using: str | None, check: str | None) -> str:
    """What a policy asks for, as its statements end."""
    return ("" if using is None else f" USING ({using})") + ("" if check is None else f" WITH CHECK ({check})")


def _comment(where: str, comment: str | None) -> list[str]:
    return [] if comment is None else [f"COMMENT ON {where} IS {literal(comment)}"]


def _options(options: Sequence[str] | None, prefix: str) -> list[str]:
    pairs = (option.partition("=") for option in options or ())
    return [f"{prefix}{quote(name)} = {literal(value)}" for name, _, value in pairs]


def _read_rights(rights: Sequence[Sequence[Any]]) -> tuple[Right, ...]:
    return tuple(Right(*right) for right in rights)

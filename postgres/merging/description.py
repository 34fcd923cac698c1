"""What is merged: tables and their staging tables, as the target's catalog has them. Plain, picklable data.

Nothing here is touched; the tables' rows are not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from model.errors import UnfitTargetError
from postgres.names import TargetName, listed, quote

#: of a foreign key, what happens to the rows that reference a row that goes or changes, as `pg_constraint` has it
Action = Literal["a", "r", "c", "n", "d"]

_WANTED = """
wanted AS (
    SELECT w.position, c.oid, c.relkind
    FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
    JOIN pg_namespace AS n ON n.nspname = w.table_schema
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name AND c.relkind IN ('r', 'p'))
"""

# The type under a domain, and under the domain under it.
COLUMNS = f"""
WITH {_WANTED}
SELECT w.position::integer, w.relkind = 'p', a.attname, format_type(a.atttypid, a.atttypmod),
       base.type_schema, base.type_name, base.modifier, base.has_bytes, coalesce(l.collisdeterministic, true),
       a.attlen = -1, a.attidentity = 'a', a.attgenerated <> ''
FROM wanted AS w
JOIN pg_attribute AS a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
CROSS JOIN LATERAL (
    WITH RECURSIVE under AS (
        SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, a.atttypmod AS modifier
        FROM pg_type AS t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype, t.typtypmod, u.typtypmod
        FROM under AS u JOIN pg_type AS t ON t.oid = u.typbasetype WHERE u.typtype = 'd'
    )
    SELECT n.nspname AS type_schema, t.typname AS type_name, u.modifier, t.typsend <> 0 AS has_bytes
    FROM under AS u JOIN pg_type AS t ON t.oid = u.oid JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE u.typtype <> 'd') AS base
ORDER BY w.position, a.attnum
"""

# Of each index that refuses a second row: its columns, or none where an expression or a condition is in it; whether
# rows can be found by it; and by which operators its columns are equal.
UNIQUE = f"""
WITH {_WANTED}
SELECT w.position::integer, i.indisprimary,
       i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.finds_rows,
       CASE WHEN i.indpred IS NULL AND i.indexprs IS NULL THEN k.columns ELSE ARRAY[]::text[] END,
       k.operator_schemas, k.operators
FROM wanted AS w
JOIN pg_index AS i ON i.indrelid = w.oid AND (i.indisunique OR i.indisexclusion)
CROSS JOIN LATERAL (
    SELECT bool_and(coalesce(a.attnotnull, false) AND x.index_collation = a.attcollation AND o.oid IS NOT NULL)
               AS finds_rows,
           array_agg(a.attname::text ORDER BY x.position) AS columns,
           array_agg(coalesce(n.nspname::text, '') ORDER BY x.position) AS operator_schemas,
           array_agg(coalesce(o.oprname::text, '') ORDER BY x.position) AS operators
    FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1], i.indclass::oid[], i.indcollation::oid[])
         WITH ORDINALITY AS x (attnum, operator_class, index_collation, position)
    LEFT JOIN pg_attribute AS a ON a.attrelid = w.oid AND a.attnum = x.attnum
    JOIN pg_opclass AS oc ON oc.oid = x.operator_class
    LEFT JOIN pg_amop AS ao ON ao.amopfamily = oc.opcfamily AND ao.amoplefttype = oc.opcintype
         AND ao.amoprighttype = oc.opcintype AND ao.amopstrategy = 3
         AND ao.amopmethod = (SELECT oid FROM pg_am WHERE amname = 'btree')
    LEFT JOIN pg_operator AS o ON o.oid = ao.amopopr
    LEFT JOIN pg_namespace AS n ON n.oid = o.oprnamespace) AS k
ORDER BY w.position, NOT i.indisprimary, cardinality(k.columns), i.indexrelid
"""

TRIGGERS = f"""
WITH {_WANTED}
SELECT w.position::integer, t.tgname FROM wanted AS w
JOIN pg_trigger AS t ON t.tgrelid = w.oid
WHERE NOT t.tgisinternal AND t.tgenabled = 'O' ORDER BY w.position, t.tgname
"""

FOREIGN_KEYS = f"""
WITH {_WANTED}
SELECT k.conname, cn.nspname, c.relname, c.relkind = 'p', pn.nspname, p.relname, p.relkind = 'p',
       e.child_columns, e.parent_columns, e.operator_schemas, e.operators, k.confdeltype, k.confupdtype,
       EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
               AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey)
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
JOIN pg_class AS p ON p.oid = k.confrelid
JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
CROSS JOIN LATERAL (
    SELECT array_agg(ca.attname::text ORDER BY x.position) AS child_columns,
           array_agg(pa.attname::text ORDER BY x.position) AS parent_columns,
           array_agg(n.nspname::text ORDER BY x.position) AS operator_schemas,
           array_agg(o.oprname::text ORDER BY x.position) AS operators
    FROM unnest(k.conkey, k.confkey, k.conpfeqop) WITH ORDINALITY AS x (child, parent, operator, position)
    JOIN pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child
    JOIN pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = x.parent
    JOIN pg_operator AS o ON o.oid = x.operator
    JOIN pg_namespace AS n ON n.oid = o.oprnamespace) AS e
WHERE k.contype = 'f' AND k.conparentid = 0
  -- which versions before 18 do not have
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
  AND (k.conrelid IN (SELECT oid FROM wanted) OR k.confrelid IN (SELECT oid FROM wanted))
ORDER BY 2, 3, 1
"""


@dataclass(frozen=True)
class Operator:
    """An operator by its name and schema, so that no other one of the search path stands in for it."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"OPERATOR({quote(self.schema)}.{self.name})"


@dataclass(frozen=True)
class MergedColumn:
    """A column. `base_type` is the type under its domains, as `schema.name`; `modifier` that type's."""

    name: str
    type: str
    base_type: str
    modifier: int
    #: the type has a binary form, as `record_send` needs it
    has_bytes: bool
    #: its collation tells every two texts apart
    is_deterministic: bool
    #: of no fixed length, so that a value may be stored out of line
    is_variable: bool
    is_always_identity: bool
    is_generated: bool


@dataclass(frozen=True)
class MergeKey:
    """Columns that are never NULL, by which one row of a table is found, and how each is compared."""

    columns: tuple[str, ...]
    operators: tuple[Operator, ...]


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: which rows of `child` reference which of `parent`."""

    name: str
    child: TargetName
    is_child_partitioned: bool
    parent: TargetName
    is_parent_partitioned: bool
    child_columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    #: parent's column on the left
    operators: tuple[Operator, ...]
    on_delete: Action
    on_update: Action
    #: the rows that reference one are found by an index
    is_indexed: bool

    def references(self, child: str, parent: str) -> str:
        """The condition that the row with the alias `child` references the one with the alias `parent`."""
        columns = zip(self.parent_columns, self.operators, self.child_columns, strict=True)
        return " AND ".join(f"{parent}.{quote(one)} {by} {child}.{quote(other)}" for one, by, other in columns)

    def __str__(self) -> str:
        return f"foreign key {self.name} of {self.child}"


@dataclass(frozen=True)
class Merge:
    """A live table and the staging table that holds its rows as they should be."""

    live: TargetName
    staging: TargetName
    columns: tuple[MergedColumn, ...]
    #: None where rows can only be told apart by all of their values
    key: MergeKey | None
    #: columns beside the key whose values may refuse a row; all of them where an index is of expressions
    unique: frozenset[str]
    #: columns that are never updated, a row that differs there goes and comes again: identities that are always
    #: generated, and what a foreign key references that would change other rows along
    fixed: frozenset[str]
    triggers: tuple[str, ...]
    is_partitioned: bool

    @property
    def rows(self) -> str:
        """The live table's own rows, in a FROM."""
        return self.live.own_rows(self.is_partitioned)

    @property
    def staged_rows(self) -> str:
        """The staging table's rows, in a FROM."""
        return self.staging.own_rows(is_partitioned=False)

    @property
    def stored(self) -> tuple[MergedColumn, ...]:
        """The columns that are written; PostgreSQL fills the generated ones."""
        return tuple(column for column in self.columns if not column.is_generated)


@dataclass(frozen=True)
class Merges:
    """All tables of a merge, and every foreign key from or to one of them."""

    tables: tuple[Merge, ...]
    keys: tuple[ForeignKey, ...]

    @property
    def names(self) -> frozenset[TargetName]:
        """The live tables."""
        return frozenset(merge.live for merge in self.tables)


@dataclass(frozen=True)
class UniqueIndex:
    """What refuses a second row: its columns, none where it has an expression or a condition."""

    is_primary: bool
    finds_rows: bool
    columns: tuple[str, ...]
    operators: tuple[Operator, ...]


def read_merges(connection: Any, pairs: Mapping[TargetName, TargetName]) -> Merges:
    """As `describe`, in a transaction of its own, which ends. Raises psycopg2.Error, UnfitTargetError."""
    with connection.cursor() as cursor:
        found = describe(cursor, pairs)
    connection.rollback()
    return found


def describe(cursor: Any, pairs: Mapping[TargetName, TargetName]) -> Merges:
    """What it takes to merge staging tables (the values) into live tables (the keys), in five queries.

    In the caller's transaction: once the live tables are locked, nobody changes what is found. Raises psycopg2.Error,
    and UnfitTargetError where a table is missing, or changed since it was staged.
    """
    lives = list(pairs)
    columns = read_columns(cursor, lives)
    staged = read_columns(cursor, list(pairs.values()))
    unique = unique_indexes(cursor, lives)
    triggers: defaultdict[TargetName, list[str]] = defaultdict(list)
    cursor.execute(TRIGGERS, listed(lives))
    for position, name in cursor.fetchall():
        triggers[lives[position - 1]].append(name)
    keys = foreign_keys(cursor, lives)
    merges = []
    for live, staging in pairs.items():
        _check_same(live, columns.get(live), staged.get(staging))
        is_partitioned, own = columns[live]
        key = merge_key(unique[live])
        merges.append(Merge(
            live, staging, own, key, _refusing(own, unique[live], key), _fixed(live, own, keys), tuple(triggers[live]),
            is_partitioned,
        ))  # fmt: skip
    return Merges(tuple(merges), keys)


def unique_indexes(cursor: Any, tables: Sequence[TargetName]) -> defaultdict[TargetName, list[UniqueIndex]]:
    """The indexes of tables that refuse a second row, the best one to find rows by first. Raises psycopg2.Error."""
    cursor.execute(UNIQUE, listed(tables))
    found: defaultdict[TargetName, list[UniqueIndex]] = defaultdict(list)
    for position, is_primary, finds_rows, columns, schemas, names in cursor.fetchall():
        operators = tuple(map(Operator, schemas, names))
        found[tables[position - 1]].append(UniqueIndex(is_primary, bool(finds_rows), tuple(columns), operators))
    return found


def merge_key(indexes: Iterable[UniqueIndex]) -> MergeKey | None:
    """The primary key, or else the narrowest key without NULLs."""
    found = next((index for index in indexes if index.finds_rows), None)
    return MergeKey(found.columns, found.operators) if found is not None else None


def foreign_keys(cursor: Any, tables: Sequence[TargetName]) -> tuple[ForeignKey, ...]:
    """The foreign keys from or to these tables. Raises psycopg2.Error."""
    cursor.execute(FOREIGN_KEYS, listed(tables))
    return tuple(
        ForeignKey(
            name, TargetName(child_schema, child), is_child_partitioned, TargetName(parent_schema, parent),
            is_parent_partitioned, tuple(child_columns), tuple(parent_columns), tuple(map(Operator, schemas, names)),
            on_delete, on_update, is_indexed,
        )
        for name, child_schema, child, is_child_partitioned, parent_schema, parent, is_parent_partitioned,
            child_columns, parent_columns, schemas, names, on_delete, on_update, is_indexed in cursor.fetchall()
    )  # fmt: skip


#: whether a table is partitioned, and its columns
Columns = tuple[bool, tuple[MergedColumn, ...]]


def read_columns(cursor: Any, tables: Sequence[TargetName]) -> dict[TargetName, Columns]:
    """The columns of those of the tables that are there. Raises psycopg2.Error."""
    cursor.execute(COLUMNS, listed(tables))
    partitioned: dict[TargetName, bool] = {}
    found: defaultdict[TargetName, list[MergedColumn]] = defaultdict(list)
    for position, is_partitioned, name, kind, schema, base, *rest in cursor.fetchall():
        table = tables[position - 1]
        partitioned[table] = is_partitioned
        found[table].append(MergedColumn(name, kind, f"{schema}.{base}", *rest))
    return {table: (is_partitioned, tuple(found[table])) for table, is_partitioned in partitioned.items()}


def _check_same(live: TargetName, there: Columns | None, staged: Columns | None) -> None:
    """Raise UnfitTargetError unless a staging table has the columns of its live table."""
    if there is None or staged is None:
        gone = "it is not there any more" if there is None else "its staged rows are not there any more"
        raise UnfitTargetError(f"{live} cannot be merged: {gone}. Nothing was changed. Load it anew")
    wanted, found = ({(column.name, column.type) for column in columns} for _, columns in (there, staged))
    if wanted != found:
        names = ", ".join(sorted({f"{name} {kind}" for name, kind in wanted ^ found}))
        raise UnfitTargetError(
            f"{live} cannot be merged: its columns were changed after its rows were staged ({names}). Nothing was "
            f"changed. Load it anew"
        )


def _refusing(columns: Iterable[MergedColumn], indexes: Sequence[UniqueIndex], key: MergeKey | None) -> frozenset[str]:
    """The columns beside the key by which a unique index may refuse a row."""
    others = [index for index in indexes if key is None or index.columns != key.columns]
    if any(not index.columns for index in others):
        return frozenset(column.name for column in columns)
    return frozenset(name for index in others for name in index.columns)


def _fixed(live: TargetName, columns: Iterable[MergedColumn], keys: Iterable[ForeignKey]) -> frozenset[str]:
    """The columns of which an update is refused, or changes rows of other tables."""
    referenced = {name for key in keys if key.parent == live and key.on_update != "a" for name in key.parent_columns}
    return frozenset(referenced | {column.name for column in columns if column.is_always_identity})

"""Which rows of a live table are not as its staging table has them, kept in a temporary table of the transaction.

A pair is a live row and the staged row that it should be, each by its place (`ctid`): nobody moves a row, since the
caller has locked the live tables against writers and nobody but the load writes to staging tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from postgres.merging.comparison import any_differs, bytes_of, is_exact_by_equality
from postgres.merging.description import Merge, MergeKey
from postgres.names import quote

# The comparison gives few rows, which the planner cannot know: let it have its workers, and memory for a join.
FOR_COMPARING = """
SELECT set_config('parallel_tuple_cost', '0', true),
       set_config('work_mem', greatest(s.setting::bigint, 65536)::text, true),
       set_config('random_page_cost', r.reset_val, true)
FROM pg_settings AS s, pg_settings AS r WHERE (s.name, r.name) = ('work_mem', 'random_page_cost')
"""
# Places are looked up in their order, so that no page is read twice.
FOR_CHANGING = "SELECT set_config('random_page_cost', current_setting('seq_page_cost'), true)"
COUNTS = """
SELECT count(*) FILTER (WHERE live IS NULL),
       count(*) FILTER (WHERE live IS NOT NULL AND staged IS NOT NULL AND NOT replaced),
       count(*) FILTER (WHERE staged IS NULL),
       count(*) FILTER (WHERE live IS NOT NULL AND staged IS NOT NULL AND replaced),
       count(*) FILTER (WHERE live IS NOT NULL AND staged IS NOT NULL AND moved AND NOT replaced)
FROM {table}
"""


@dataclass(frozen=True)
class Counts:
    """Rows that are new, that change, that go, and that go and come again; `moved` ones may have to."""

    new: int
    changed: int
    gone: int
    replaced: int
    moved: int

    @property
    def deleted(self) -> int:
        """How many live rows are deleted."""
        return self.gone + self.replaced

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone or self.replaced)


@dataclass(frozen=True)
class Difference:
    """A table's differing pairs, in temporary tables that `number` tells apart from those of other tables."""

    merge: Merge
    number: int
    counts: Counts

    @property
    def table(self) -> str:
        """The pairs that differ: live, part, staged, replaced, moved."""
        return f"pg_temp.merge_difference_{self.number}"

    @property
    def pairs(self) -> str:
        """All pairs of the table, made only where it is needed: live, part, staged, postponed."""
        return f"pg_temp.merge_pair_{self.number}"


def find(cursor: Any, merge: Merge, number: int) -> Difference:
    """Compare a live table with its staging table, and keep the pairs that differ. Raises psycopg2.Error.

    Where none differs nothing is kept, not the locks of the comparison either.
    """
    none = Difference(merge, number, Counts(0, 0, 0, 0, 0))
    query = _paired(merge, "l.ctid IS NULL OR s.ctid IS NULL OR ", "l.place IS NULL OR s.place IS NULL")
    cursor.execute("SAVEPOINT comparing")
    cursor.execute(f"CREATE TEMPORARY TABLE {none.table} ON COMMIT DROP AS {query}\nORDER BY live, staged")
    has_pairs = cursor.rowcount > 0
    if not has_pairs:
        cursor.execute("ROLLBACK TO SAVEPOINT comparing")
    cursor.execute("RELEASE SAVEPOINT comparing")
    return counted(cursor, none) if has_pairs else none


def counted(cursor: Any, found: Difference) -> Difference:
    """The same with the counts that its pairs have now."""
    cursor.execute(COUNTS.format(table=found.table))
    counts = Counts(*cursor.fetchone())
    if counts:
        cursor.execute(f"ANALYZE {found.table}")
    return Difference(found.merge, found.number, counts)


def pair_all(cursor: Any, found: Difference) -> None:
    """Keep all pairs of a table, none of them postponed."""
    cursor.execute(
        f"CREATE TEMPORARY TABLE {found.pairs} ON COMMIT DROP AS "
        f"SELECT live, part, staged, false AS postponed FROM ({_paired(found.merge, None, None)}) AS x"
    )
    cursor.execute(f"ANALYZE {found.pairs}")


def _paired(merge: Merge, keyed: str | None, keyless: str | None) -> str:
    """A query for pairs; all of them, or those of a condition that begins with `keyed`."""
    if merge.key is None:
        where = "" if keyless is None else f"WHERE {keyless}"
        return f"""
SELECT l.place AS live, l.part, s.place AS staged, false AS replaced, false AS moved
FROM ({_numbered(merge, merge.rows)}) AS l
FULL JOIN ({_numbered(merge, merge.staged_rows)}) AS s ON l.digest = s.digest AND l.number = s.number
{where}"""
    where = "" if keyed is None else f"WHERE {keyed}{any_differs(_compared(merge, merge.key), 'l', 's')}"
    fixed = [column for column in merge.columns if column.name in merge.fixed]
    unique = [column for column in merge.columns if column.name in merge.unique]
    return f"""
SELECT l.ctid AS live, l.tableoid AS part, s.ctid AS staged,
       {any_differs(fixed, "l", "s")} AS replaced, {any_differs(unique, "l", "s")} AS moved
FROM {merge.rows} AS l
FULL JOIN {merge.staged_rows} AS s ON {_same_key(merge.key)}
{where}"""


def _same_key(key: MergeKey) -> str:
    columns = zip(key.columns, key.operators, strict=True)
    return " AND ".join(f"l.{quote(name)} {operator} s.{quote(name)}" for name, operator in columns)


def _compared(merge: Merge, key: MergeKey) -> list[Any]:
    """The columns in which a pair of the same key may still differ."""
    return [
        column for column in merge.stored
        if column.name not in key.columns or not is_exact_by_equality(column)
    ]  # fmt: skip


def _numbered(merge: Merge, rows: str) -> str:
    """The rows of a table without a key, those of the same values numbered."""
    return f"""
SELECT place, part, digest, row_number() OVER (PARTITION BY digest ORDER BY part, place) AS number
FROM (SELECT r.ctid AS place, r.tableoid AS part, sha256({bytes_of(merge.stored, "r")}) AS digest
      FROM {rows} AS r) AS x"""

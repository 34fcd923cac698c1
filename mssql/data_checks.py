"""What the source's values hold that PostgreSQL cannot, counted by SQL Server itself.

One aggregate query a table, one more for each foreign key and each unique key that needs it; no row
crosses the wire, and no query reads uncommitted rows. A query that fails is a result like any other.

Sources: Microsoft, "CHARINDEX (Transact-SQL)": U+0000 is undefined in Windows collations, so it is looked
for under a binary one, and text and ntext must be cast; "DATEPART", "DATEADD": nanoseconds come in steps of
100; "Collation and Unicode support": BIN2 compares code points.

Not looked for: unpaired surrogates, which T-SQL finds only by four patterns a column; encoding declarations
and DTDs in xml columns, which SQL Server does not keep (Microsoft, "XML Data Type and Columns").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyodbc

from db import odbc_diagnosis
from model.catalog import Column, ForeignKey, KeyColumn, Table
from model.errors import SourceError
from mssql.quoting import quote, quote_table
from scheduling.retry import RetryPolicy, with_retries
from type_mapping import has_seventh_digit, select_expression, traits_of

#: how PostgreSQL will compare a text column: as it is, without case, or as the source does
Comparison = Literal["exact", "lower", "source"]
Problem = Literal["NUL characters", "seventh digit", "hidden rows", "duplicates", "orphans", "unequal", "unread"]

BINARY = "Latin1_General_100_BIN2"
#: SQL Server's errors: SELECT denied on the object, on a column
SELECT_DENIED = frozenset({229, 230})
#: a longer single-byte text would be cut where it meets a Unicode one
UNICODE_UNITS = 4000
ONCE_MORE = RetryPolicy(attempts=2, seconds=0)


@dataclass(frozen=True)
class Count:
    """So many rows of the source have a problem.

    `name` says where (`dbo.Orders.Note`, `dbo.Orders.FK_Orders_Customer`). `unread` is a query that
    failed: `words` are the server's, and `is_refused` says that the login may not read the table.
    """

    problem: Problem
    name: str
    rows: int = 0
    words: str | None = None
    is_refused: bool = False


@dataclass(frozen=True)
class Request:
    """What to look at. `compares` says how PostgreSQL will compare a text column.

    `hides_rows` is set where row-level security is in force: the rows that the login sees are then counted
    and held against the catalog's number, which it does not touch.
    """

    tables: Sequence[Table]
    compares: Callable[[Column], Comparison]
    hides_rows: bool = False


def count_problems(connect: Callable[[], Any], request: Request, note: Callable[[str], None]) -> Iterator[Count]:
    """Every problem that is there, table after table; `note` is told of each table before it is read.

    `connect` makes a pyodbc connection, also anew when one was lost. Raises what `connect` raises.
    """
    asker = _Asker(connect)
    try:
        for table in request.tables:
            note(table.full_name)
            yield from _columns(asker, request, table)
            for name, columns, condition in _unique_keys(table):
                if _needs_grouping(columns, request):
                    sql = duplicates_query(table, columns, condition, request)
                    yield from asker.rows("duplicates", f"{table.full_name}.{name}", sql)
            for key in table.foreign_keys:
                yield from _foreign_key(asker, request, table, key)
    finally:
        asker.close()


class _Asker:
    """Asks for one row of numbers at a time, and comes back after a lost connection."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None

    def close(self) -> None:
        """Let go of the connection, whatever became of it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except pyodbc.Error:
                return

    def ask(self, name: str, sql: str) -> tuple[list[int], Count | None]:
        """The numbers, or what stood in the way. A temporary error is tried once more."""
        try:
            return with_retries(ONCE_MORE, lambda _: self._numbers(sql), lambda _: None), None
        except SourceError as error:
            is_refused = bool(error.numbers & SELECT_DENIED)
            return [], Count("unread", name, words=str(error), is_refused=is_refused)

    def _numbers(self, sql: str) -> list[int]:
        if self._connection is None:
            self._connection = self._connect()
        try:
            row = self._connection.cursor().execute(sql).fetchone()
            return [int(value or 0) for value in row]
        except pyodbc.Error as error:
            found = odbc_diagnosis(error)
            if found.is_temporary:
                self.close()
            raise SourceError(found.words, found.is_temporary, found.numbers) from None

    def rows(self, problem: Problem, name: str, sql: str) -> Iterator[Count]:
        """The one number of a query, where it is not 0."""
        numbers, failure = self.ask(name, sql)
        if failure is not None:
            yield failure
        elif numbers[0]:
            yield Count(problem, name, numbers[0])


# -- a table's columns -----------------------------------------------------------------------


def _columns(asker: _Asker, request: Request, table: Table) -> Iterator[Count]:
    texts = [column for column in table.columns if is_text(column) and not column.is_encrypted]
    timestamps = [column for column in table.columns if has_seventh_digit(column.type) and not column.is_encrypted]
    sql = columns_query(table, texts, timestamps)
    numbers, failure = asker.ask(table.full_name, sql)
    if failure is not None:
        yield failure
        return
    seen, *found = numbers
    if request.hides_rows and seen < table.row_count:
        yield Count("hidden rows", table.full_name, table.row_count - seen)
    for position, column in enumerate([*texts, *timestamps]):
        if found[position]:
            problem: Problem = "NUL characters" if position < len(texts) else "seventh digit"
            yield Count(problem, f"{table.full_name}.{column.name}", found[position])


def columns_query(table: Table, texts: Sequence[Column], timestamps: Sequence[Column]) -> str:
    """All rows; those with U+0000, by text column; those with a seventh digit, by the column of times."""
    conditions = [
        f"CHARINDEX(NCHAR(0) COLLATE {BINARY}, {_searchable(column)} COLLATE {BINARY}) > 0" for column in texts
    ]
    conditions += [f"{_seventh_digit(quote(column.name))} <> 0" for column in timestamps]
    counts = "".join(f", COUNT_BIG(CASE WHEN {condition} THEN 1 END)" for condition in conditions)
    return f"SELECT COUNT_BIG(*){counts} FROM {quote_table(table.schema, table.name)}"


def is_text(column: Column) -> bool:
    """Whether the column holds characters, in any of their types."""
    return traits_of(column.type).is_text


def _searchable(column: Column) -> str:
    """What CHARINDEX looks for a NUL in. A letter that the collation's code page has not becomes `?`, and no NUL."""
    kind, name = column.type, quote(column.name)
    is_long = kind.max_length == -1 or kind.max_length > UNICODE_UNITS
    traits = traits_of(kind)
    if traits.is_pointer or (is_long and not traits.is_wide):
        return f"CAST({name} AS nvarchar(max))"
    return name


def _seventh_digit(expression: str) -> str:
    return f"DATEPART(NANOSECOND, {expression}) % 1000"


# -- unique keys -----------------------------------------------------------------------------


def _unique_keys(table: Table) -> Iterator[tuple[str, tuple[Column, ...], str | None]]:
    """Name, columns and filter of everything that must be unique in PostgreSQL too."""
    by_name = {column.name: column for column in table.columns}
    keys = ([table.primary_key] if table.primary_key else []) + list(table.unique)
    found: list[tuple[str, tuple[KeyColumn, ...], str | None]] = [
        (key.name, key.columns, None) for key in keys if not key.is_disabled
    ]
    found += [
        (index.name, index.columns, index.filter)
        for index in table.indexes
        if index.is_unique and not index.is_disabled and index.filter != ""
    ]
    for name, parts, condition in found:
        columns = tuple(by_name[part.name] for part in parts if part.name in by_name)
        if len(columns) == len(parts) and not any(column.is_encrypted for column in columns):
            yield name, columns, condition


def _needs_grouping(columns: Sequence[Column], request: Request) -> bool:
    return any(
        has_seventh_digit(column.type) or (is_text(column) and request.compares(column) == "lower")
        for column in columns
    )


def duplicates_query(table: Table, columns: Sequence[Column], condition: str | None, request: Request) -> str:
    """The rows beyond the first of each group that PostgreSQL will take for one.

    `condition` is a filtered index's own, as the catalog has it.
    """
    groups = ", ".join(_as_compared(column, request) for column in columns)
    where = f" WHERE {condition}" if condition else ""
    return (
        f"SELECT SUM(d.n - 1) FROM (SELECT COUNT_BIG(*) AS n FROM {quote_table(table.schema, table.name)}{where}"
        f" GROUP BY {groups} HAVING COUNT_BIG(*) > 1) AS d"
    )


def _as_compared(column: Column, request: Request) -> str:
    """A key column's value as PostgreSQL will compare it."""
    name = quote(column.name)
    if has_seventh_digit(column.type):
        # A cast to six digits would round; the value is cut on the way. Of a datetimeoffset the instant counts,
        # so it is taken as the load reads it.
        value = select_expression(column, name)
        return f"DATEADD(NANOSECOND, -({_seventh_digit(value)}), {value})"
    if not is_text(column) or request.compares(column) == "source":
        return name
    exact = _exactly(name)
    return f"LOWER({exact})" if request.compares(column) == "lower" else exact


def _exactly(expression: str) -> str:
    """A key's text as one that compares by code point.

    Through nvarchar, since COLLATE takes a varchar to the collation's own code page, and `?` for what that has not
    (Microsoft, "COLLATE (Transact-SQL)", "Collation and Unicode support"). Keys are short enough for it.
    """
    return f"CAST({expression} AS nvarchar({UNICODE_UNITS})) COLLATE {BINARY}"


# -- foreign keys ----------------------------------------------------------------------------


def _foreign_key(asker: _Asker, request: Request, table: Table, key: ForeignKey) -> Iterator[Count]:
    """Rows without a referenced one: by the source's own rules, and by PostgreSQL's."""
    by_name = {column.name: column for column in table.columns}
    columns = [by_name[name] for name in key.columns if name in by_name]
    if len(columns) < len(key.columns) or any(column.is_encrypted for column in columns):
        return
    name = f"{table.full_name}.{key.name}"
    doubtful = key.is_disabled or not key.is_trusted
    if doubtful:
        yield from asker.rows("orphans", name, orphans_query(table, key, [""] * len(columns)))
    rules = [_stricter_rule(column, request) for column in columns]
    if any(rules) and not doubtful:
        yield from asker.rows("unequal", name, orphans_query(table, key, rules))


def orphans_query(table: Table, key: ForeignKey, rules: Sequence[str]) -> str:
    """Rows with a reference that nothing answers; a rule is one more condition on a pair of columns."""
    pairs = [
        (f"c.{quote(column)}", f"p.{quote(referenced)}")
        for column, referenced in zip(key.columns, key.referenced_columns, strict=True)
    ]
    given = " AND ".join(f"{column} IS NOT NULL" for column, _ in pairs)
    matches = " AND ".join(
        f"{referenced} = {column}{rule.format(c=column, p=referenced)}"
        for (column, referenced), rule in zip(pairs, rules, strict=True)
    )
    return (
        f"SELECT COUNT_BIG(*) FROM {quote_table(table.schema, table.name)} AS c WHERE {given} AND NOT EXISTS"
        f" (SELECT 1 FROM {quote_table(key.referenced_schema, key.referenced_table)} AS p WHERE {matches})"
    )


def _stricter_rule(column: Column, request: Request) -> str:
    """What PostgreSQL asks of an equal pair beyond the source's equality: case, accents, trailing blanks."""
    if not is_text(column) or request.compares(column) == "source":
        return ""
    rule = f" AND {_exactly('{p}')} = {_exactly('{c}')}" if request.compares(column) == "exact" else ""
    # T-SQL ignores trailing blanks in every collation; PostgreSQL does so in character(n) only.
    return rule + ("" if traits_of(column.type).is_fixed_size else " AND DATALENGTH({p}) = DATALENGTH({c})")

"""The declared database laid out in DuckDB, with its rows and its `sys` schema."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import TypeAlias

import duckdb
import pyarrow as pa

from model.catalog import Database, SqlType, Table
from standin.catalog import METADATA_FUNCTIONS, system_tables
from standin.collations import DEFAULT_COLLATION_NAME, is_case_sensitive
from standin.macros import MACROS
from standin.quoting import quote
from standin.relations import Output, Relation
from standin.storage import storage
from standin.tsql.moments import from_ticks, ticks_of
from standin.types import TEXTS, is_text_moment
from standin.values import arrow_type, stored_value

#: The rows of a table: a tuple of all its columns for each, or a DuckDB SELECT that yields them.
Rows: TypeAlias = Iterable[Sequence[object]] | str

_LOAD_ROWS = 20_000


def fill(
    duck: duckdb.DuckDBPyConnection,
    database: Database,
    rows: Mapping[str, Rows],
    *,
    denied: Collection[str],
    described: Mapping[str, SqlType],
) -> list[Relation]:
    """Makes every table with its rows, and the views of `sys` from what then lies there.

    `denied` are the tables, in lower case, that HAS_PERMS_BY_NAME does not allow SELECT on; `described` the columns, in
    lower case, of another type than the catalog says. Returns all that a query may name.
    """
    given = _by_table(database, rows)
    duck.execute('CREATE SCHEMA IF NOT EXISTS "sys"')
    for schema in sorted({table.schema for table in database.tables} | {"dbo"}):
        duck.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
    duck.execute("CREATE SEQUENCE sys.standin_rowversion START 2001")
    for macro in MACROS:
        duck.execute(f"CREATE MACRO {macro}")
    relations = []
    counts: dict[tuple[str, str], int] = {}
    identities: dict[tuple[str, str], int | None] = {}
    for table in database.tables:
        relation = _relation(table, database.collation, described)
        relations.append(relation)
        _create(duck, relation)
        for one in given.get((table.schema, table.name), ()):
            load(duck, relation, one)
        counts[table.schema, table.name] = int(str(_one(duck, f"SELECT count(*) FROM {table_name(relation)}")))
        for column in table.columns:
            if column.identity is not None:
                edge = "max" if column.identity.increment > 0 else "min"
                last = _one(duck, f"SELECT {edge}({quote(column.name)}) FROM {table_name(relation)}")
                identities[table.schema, table.name] = None if last is None else int(str(last))
    for system in system_tables(database, counts, identities):
        relations.append(system.relation)
        _create(duck, system.relation)
        load(duck, system.relation, system.rows)
    _create_metadata_functions(duck, denied)
    return relations


def _by_table(database: Database, rows: Mapping[str, Rows]) -> dict[tuple[str, str], list[Rows]]:
    """The rows by schema and name of their table, which `rows` may write with brackets or without."""
    known = {f"{table.schema}.{table.name}".lower(): table for table in database.tables}
    known |= {table.full_name.lower(): table for table in database.tables}
    unknown = {name.lower() for name in rows} - set(known)
    if unknown:
        raise ValueError(f"rows for tables that are not declared: {', '.join(sorted(unknown))}")
    by_name = {name.lower(): values for name, values in rows.items()}
    given: dict[tuple[str, str], list[Rows]] = {}
    for table in database.tables:
        for name in dict.fromkeys((table.full_name, f"{table.schema}.{table.name}")):
            if known[name.lower()] is table and name.lower() in by_name:
                given.setdefault((table.schema, table.name), []).append(by_name[name.lower()])
    return given


def _create_metadata_functions(duck: duckdb.DuckDBPyConnection, denied: Collection[str]) -> None:
    for macro in METADATA_FUNCTIONS:
        duck.execute(f"CREATE MACRO sys.{macro}")
    names = ", ".join(f"'{name}'" for name in sorted(denied)) or "''"
    duck.execute("CREATE TABLE sys.standin_rights (permission VARCHAR, securable VARCHAR, part VARCHAR)")
    duck.execute(
        "INSERT INTO sys.standin_rights VALUES ('view definition', '', ''), ('unmask', '', ''),"
        " ('view server state', '', '')"
    )
    duck.execute(
        "CREATE MACRO sys.tds_bare(x) AS lower(replace(replace(coalesce(x, ''), '[', ''), ']', ''))"
    )  # fmt: skip
    # One that is had on the database is had on all of it.
    duck.execute(
        "CREATE MACRO sys.tds_has_perms(x, permission, part) AS CASE"
        " WHEN x IS NULL OR lower(permission) = 'unmask' THEN (SELECT CAST(count(*) > 0 AS INTEGER)"
        " FROM sys.standin_rights r WHERE r.permission = lower(permission) AND (r.securable = ''"
        " OR r.securable = sys.tds_bare(x) AND r.part IN ('', lower(coalesce(part, '')))))"
        f" WHEN sys.tds_bare(x) IN ({names}) THEN 0 ELSE 1 END"
    )


def load(duck: duckdb.DuckDBPyConnection, relation: Relation, rows: Rows) -> None:
    """Adds rows to a table."""
    kinds = [column.kind or SqlType("int") for column in relation.columns]
    names = [f"c{number}" for number in range(1, len(kinds) + 1)]
    listed = ", ".join(stored(name, kind) for name, kind in zip(names, kinds, strict=True))
    if isinstance(rows, str):
        duck.execute(f"INSERT INTO {table_name(relation)} SELECT {listed} FROM ({rows}) AS given({', '.join(names)})")
        return
    remaining = iter(rows)
    while chunk := list(islice(remaining, _LOAD_ROWS)):
        arrays = []
        for number, kind in enumerate(kinds):
            values = [stored_value(kind, row[number]) for row in chunk]
            arrays.append(pa.array(values, arrow_type(kind)))
        duck.register("standin_rows", pa.table(arrays, names=names))
        duck.execute(f"INSERT INTO {table_name(relation)} SELECT {listed} FROM standin_rows")
        duck.unregister("standin_rows")


def stored(given: str, kind: SqlType) -> str:
    """A given value, by DuckDB's name of it, in the form its column is stored in."""
    text = f"CAST({given} AS VARCHAR)"
    if kind.name == "datetimeoffset":
        return f"tds_norm_dto({text})"
    if is_text_moment(kind):
        return f"tds_norm_{'time' if kind.name == 'time' else 'dt2'}({text})"
    if kind.name in {"datetime", "smalldatetime", "datetime2"}:
        exact = f"CAST({given} AS TIMESTAMP)"
        return from_ticks(ticks_of(exact, SqlType("datetime2", scale=6)), kind) if kind.scale < 6 else exact
    if kind.name == "timestamp":
        fresh = "unhex(lpad(to_hex(nextval('sys.standin_rowversion')), 16, '0'))"
        return f"coalesce({given}, {fresh})"
    if kind.name in {"char", "nchar"}:
        return f"{text} || repeat(' ', greatest({kind.characters} - tds_units({text}), 0))"
    if kind.name == "binary":
        return f"unhex(rpad(hex(CAST({given} AS BLOB)), {2 * kind.max_length}, '0'))"
    return f"CAST({given} AS {storage(kind)})"


def table_name(relation: Relation) -> str:
    """A table in DuckDB's SQL."""
    return f"{quote(relation.schema)}.{quote(relation.name)}"


def _relation(table: Table, collation: str | None, described: Mapping[str, SqlType]) -> Relation:
    columns = tuple(
        Output(
            column.name,
            described.get(f"{table.full_name}.{column.name}".lower(), column.type),
            column.is_nullable,
            (column.collation or collation or DEFAULT_COLLATION_NAME) if column.type.name in TEXTS else None,
            (table.schema, table.name),
        )
        for column in table.columns
    )
    return Relation(table.schema, table.name, columns)


def _create(duck: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    columns = []
    for column in relation.columns:
        kind = column.kind or SqlType("int")
        collate = " COLLATE NOCASE" if kind.name in TEXTS and not is_case_sensitive(column.collation) else ""
        columns.append(f"{quote(column.name)} {storage(kind)}{collate}")
    duck.execute(f"CREATE TABLE {table_name(relation)} ({', '.join(columns)})")


def _one(duck: duckdb.DuckDBPyConnection, sql: str) -> object:
    found = duck.execute(sql).fetchall()
    return found[0][0] if found else None

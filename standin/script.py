"""A declared database as T-SQL, so that a real T-SQL server can hold the tables the stand-in serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

import duckdb

from model.catalog import Column, Database, ForeignKey, Index, Key, KeyColumn, SqlType, Table
from standin.quoting import bracket

_INSERT_ROWS = 500


class Cursor(Protocol):
    """What is used of a pyodbc cursor."""

    def execute(self, sql: str, /, *parameters: Any) -> Any:
        """Runs one statement."""

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        """Runs one statement for each of a list of rows."""


class Connection(Protocol):
    """What is used of a pyodbc connection."""

    def cursor(self) -> Cursor:
        """A new cursor."""

    def commit(self) -> None:
        """Makes what was done permanent."""


def _text(value: str) -> str:
    return "N'" + value.replace("'", "''") + "'"


def _full(table: Table) -> str:
    return f"{bracket(table.schema)}.{bracket(table.name)}"


def _type(kind: SqlType) -> str:
    if kind.alias == "sysname":
        return "sysname"
    if kind.alias:
        return f"{bracket(kind.alias_schema)}.{bracket(kind.alias)}"
    return "rowversion" if kind.name == "timestamp" else str(kind)


def _keys(columns: Sequence[KeyColumn]) -> str:
    return ", ".join(bracket(column.name) + (" DESC" if column.is_descending else "") for column in columns)


def _column(column: Column) -> str:
    name = bracket(column.name)
    if column.computed is not None:
        return f"{name} AS {column.computed.text}" + (" PERSISTED" if column.computed.is_persisted else "")
    words = [name, _type(column.type)]
    if column.collation:
        words.append(f"COLLATE {column.collation}")
    if column.is_sparse:
        words.append("SPARSE")
    if column.identity is not None:
        words.append(f"IDENTITY({column.identity.seed},{column.identity.increment})")
    if column.default is not None:
        words.append(f"CONSTRAINT {bracket(column.default.name)} DEFAULT {column.default.text}")
    if column.is_rowguid:
        words.append("ROWGUIDCOL")
    words.append("NULL" if column.is_nullable else "NOT NULL")
    return " ".join(words)


def _key(key: Key, word: str) -> str:
    clustering = "CLUSTERED" if key.is_clustered else "NONCLUSTERED"
    return f"CONSTRAINT {bracket(key.name)} {word} {clustering} ({_keys(key.columns)})"


def _table(table: Table) -> str:
    parts = [_column(column) for column in table.columns]
    if table.primary_key is not None:
        parts.append(_key(table.primary_key, "PRIMARY KEY"))
    parts += [_key(key, "UNIQUE") for key in table.unique]
    return f"CREATE TABLE {_full(table)} (\n    " + ",\n    ".join(parts) + "\n)"


def _index(table: Table, index: Index) -> list[str]:
    unique = "UNIQUE " if index.is_unique else ""
    sql = f"CREATE {unique}{index.kind} INDEX {bracket(index.name)} ON {_full(table)} ({_keys(index.columns)})"
    if index.included:
        sql += f" INCLUDE ({', '.join(bracket(name) for name in index.included)})"
    if index.filter:
        sql += f" WHERE {index.filter}"
    disable = f"ALTER INDEX {bracket(index.name)} ON {_full(table)} DISABLE"
    return [sql, disable] if index.is_disabled else [sql]


def _constraint(table: Table, name: str, body: str, *, is_trusted: bool, is_disabled: bool) -> list[str]:
    checking = "" if is_trusted else " WITH NOCHECK"
    statements = [f"ALTER TABLE {_full(table)}{checking} ADD CONSTRAINT {bracket(name)} {body}"]
    if is_disabled:
        statements.append(f"ALTER TABLE {_full(table)} NOCHECK CONSTRAINT {bracket(name)}")
    return statements


def _foreign_key(table: Table, key: ForeignKey) -> list[str]:
    columns = ", ".join(bracket(name) for name in key.columns)
    others = ", ".join(bracket(name) for name in key.referenced_columns)
    target = f"{bracket(key.referenced_schema)}.{bracket(key.referenced_table)}"
    body = f"FOREIGN KEY ({columns}) REFERENCES {target} ({others})"
    for event, action in (("DELETE", key.on_delete), ("UPDATE", key.on_update)):
        if action != "NO_ACTION":
            body += f" ON {event} {action.replace('_', ' ')}"
    return _constraint(table, key.name, body, is_trusted=key.is_trusted, is_disabled=key.is_disabled)


def _comment(text: str, levels: Sequence[tuple[str, str]]) -> str:
    written = ", ".join(
        f"@level{number}type=N'{kind}', @level{number}name={_text(name)}" for number, (kind, name) in enumerate(levels)
    )
    return f"EXEC sys.sp_addextendedproperty @name=N'MS_Description', @value={_text(text)}, {written}"


def _comments(table: Table) -> Iterator[str]:
    levels = [("SCHEMA", table.schema), ("TABLE", table.name)]
    if table.comment:
        yield _comment(table.comment, levels)
    for column in table.columns:
        if column.comment:
            yield _comment(column.comment, [*levels, ("COLUMN", column.name)])
    for index in table.indexes:
        if index.comment:
            yield _comment(index.comment, [*levels, ("INDEX", index.name)])
    for constraint in (table.primary_key, *table.unique, *table.checks, *table.foreign_keys):
        if constraint is not None and constraint.comment:
            yield _comment(constraint.comment, [*levels, ("CONSTRAINT", constraint.name)])


def create_script(database: Database, *, with_comments: bool = True, with_others: bool = True) -> list[str]:
    """The statements that create the database's objects in an empty database, one a batch.

    `Table.traits` are not written: their tables become ordinary ones. Without `with_comments` the
    extended properties are left out, without `with_others` views, procedures and the like: some
    T-SQL servers know neither.
    """
    script = []
    schemas = {table.schema for table in database.tables} | {sequence.schema for sequence in database.sequences}
    schemas |= {alias.schema for alias in database.alias_types} | {other.schema for other in database.others}
    for schema in sorted(schemas - {"dbo"}):
        script.append(f"CREATE SCHEMA {bracket(schema)}")
    for alias in database.alias_types:
        null = "NULL" if alias.is_nullable else "NOT NULL"
        script.append(f"CREATE TYPE {bracket(alias.schema)}.{bracket(alias.name)} FROM {alias.base} {null}")
    for sequence in database.sequences:
        cache = "" if sequence.cache_size is None else f" CACHE {sequence.cache_size}"
        script.append(
            f"CREATE SEQUENCE {bracket(sequence.schema)}.{bracket(sequence.name)} AS {sequence.type}"
            f" START WITH {sequence.start} INCREMENT BY {sequence.increment} MINVALUE {sequence.minimum}"
            f" MAXVALUE {sequence.maximum} {'CYCLE' if sequence.is_cycling else 'NO CYCLE'}"
            + ("  NO CACHE" if sequence.cache_size == 0 else cache)
        )
    script += [_table(table) for table in database.tables]
    for table in database.tables:
        for index in sorted(table.indexes, key=lambda index: index.kind != "CLUSTERED"):
            script += _index(table, index)
        for check in table.checks:
            body = f"CHECK {check.text}"
            script += _constraint(table, check.name, body, is_trusted=check.is_trusted, is_disabled=check.is_disabled)
    for table in database.tables:
        for key in table.foreign_keys:
            script += _foreign_key(table, key)
    if with_comments:
        for table in database.tables:
            script += _comments(table)
    if with_others:
        for other in database.others:
            if other.kind == "synonym":
                script.append(f"CREATE SYNONYM {bracket(other.schema)}.{bracket(other.name)} FOR {other.definition}")
            elif other.definition:
                script.append(other.definition)
    return script


def in_load_order(tables: Iterable[Table]) -> list[Table]:
    """The tables, each after those its foreign keys reference; cycles keep the order given."""
    waiting = list(tables)
    done: set[tuple[str, str]] = set()
    ordered: list[Table] = []
    while waiting:
        ready = [
            table
            for table in waiting
            if all(
                (key.referenced_schema, key.referenced_table) in done | {(table.schema, table.name)}
                for key in table.foreign_keys
            )
        ] or waiting[:1]
        for table in ready:
            waiting.remove(table)
            done.add((table.schema, table.name))
            ordered.append(table)
    return ordered


def insert_statement(table: Table) -> tuple[str, list[int]]:
    """An INSERT with parameters, and the positions in `table.columns` of the values it takes."""
    positions = [
        position
        for position, column in enumerate(table.columns)
        if column.computed is None and column.type.name != "timestamp" and column.generated_always is None
    ]
    names = ", ".join(bracket(table.columns[position].name) for position in positions)
    values = ", ".join(f"CAST(? AS {_bound(table.columns[position].type)})" for position in positions)
    return f"INSERT INTO {_full(table)} ({names}) VALUES ({values})", positions


def _bound(kind: SqlType) -> str:
    """The type a parameter is cast to; a bare NULL or text would meet conversions that are not allowed."""
    return {"text": "varchar(max)", "ntext": "nvarchar(max)", "image": "varbinary(max)"}.get(kind.name, str(kind))


def _value(kind: SqlType, value: object) -> object:
    if value is None or isinstance(value, (bytes, bool, int, float)):
        return bool(value) if kind.name == "bit" and value is not None else value
    if kind.name in {"decimal", "numeric", "money", "smallmoney"}:
        return value
    # Texts reach every other type with all their digits, whatever the driver's own types can hold.
    return str(value)


def load_rows(connection: Connection, database: Database, rows: Mapping[str, str | Iterable[Sequence[object]]]) -> None:
    """Inserts the rows through pyodbc and commits table by table.

    `rows` are what the stand-in takes. Values of rowversion and computed columns are the server's own.
    """
    cursor = connection.cursor()
    by_name = {name.lower(): given for name, given in rows.items()}
    for table in in_load_order(database.tables):
        given = by_name.get(table.full_name.lower(), by_name.get(f"{table.schema}.{table.name}".lower(), ()))
        statement, positions = insert_statement(table)
        has_identity = any(column.identity is not None for column in table.columns)
        if has_identity:
            cursor.execute(f"SET IDENTITY_INSERT {_full(table)} ON")
        source = iter(_selected(given) if isinstance(given, str) else given)
        while chunk := list(islice(source, _INSERT_ROWS)):
            cursor.executemany(
                statement,
                [tuple(_value(table.columns[position].type, row[position]) for position in positions) for row in chunk],
            )
        if has_identity:
            cursor.execute(f"SET IDENTITY_INSERT {_full(table)} OFF")
        connection.commit()


def _selected(select: str) -> Iterator[Sequence[object]]:
    with duckdb.connect(":memory:") as duck:
        cursor = duck.execute(select)
        while chunk := cursor.fetchmany(_INSERT_ROWS):
            yield from chunk

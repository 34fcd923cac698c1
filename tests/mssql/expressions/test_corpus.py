"""What is emitted gives the documented value in PostgreSQL, and what is not certain is refused.

The corpus carries the documented values. They are compared with embedded PostgreSQL always, and with a T-SQL server
where one is named.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from db import connect_source, load_settings
from model.catalog import Database
from model.findings import Translation
from model.settings import Driver, Secrets, Settings, Source, Target
from mssql.expressions import translate_check, translate_computed, translate_default
from mssql.introspection import read_database
from postgres.ddl import Expressions, in_expressions, plan_schema
from postgres.ddl.collations import collation_of
from tests.expression_corpora import ENTRIES
from tests.expression_corpus import Entry, Kind, Moving, column, sql_type, table
from tests.microsofts_parser import GRAMMARS, NOT_THERE, program, refused
from tests.mssql.expressions.translations import bracketed, quote, sequence_name, translate
from tests.tsql_servers import own_database
from type_mapping import TargetFeatures

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

TRANSLATED = tuple(entry for entry in ENTRIES if entry.refused is None)
REFUSED = tuple(entry for entry in ENTRIES if entry.refused is not None)

_POSTGRES = {
    "bit": "boolean", "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint",
    "money": "numeric(19,4)",
    "smallmoney": "numeric(10,4)", "float": "double precision", "real": "real", "date": "date",
    "smalldatetime": "timestamp(0)", "datetime": "timestamp(3)", "uniqueidentifier": "uuid", "binary": "bytea",
    "varbinary": "bytea", "text": "text", "ntext": "text", "xml": "xml",
}  # fmt: skip


#: under it, case- and accent-insensitive columns have nondeterministic collations
ICU = Settings(Source("", Driver("", ""), ""), Target({}), Secrets(), naming="preserve", collation_policy="icu")
NOTHING = Expressions(*(lambda *_: Translation("", None, "not asked for", None, is_immutable=False),) * 4)


def postgres_type(text: str) -> str:
    """The type that a column of this T-SQL type has in PostgreSQL."""
    type_ = sql_type(text)
    if type_.name in _POSTGRES:
        return _POSTGRES[type_.name]
    if type_.name in {"decimal", "numeric"}:
        return f"numeric({type_.precision},{type_.scale})"
    if type_.name in {"time", "datetime2", "datetimeoffset"}:
        name = {"time": "time", "datetime2": "timestamp", "datetimeoffset": "timestamptz"}[type_.name]
        return f"{name}({min(type_.scale, 6)})"
    if type_.max_length == -1:
        return "text"
    return f"{'char' if type_.name in {'char', 'nchar'} else 'varchar'}({type_.characters})"


def parameter(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


def on_postgres(
    connection: PgConnection, entry: Entry, sql: str, collations: Mapping[str, str] = MappingProxyType({})
) -> list[object]:
    """The entry's values where its SQL is meant to stand: in a default, a check, a generated column, an index.

    `collations` are those of columns that have another one than the database.
    """
    columns = ", ".join(
        f"{quote(name)} {postgres_type(type_)}{f' COLLATE {collations[name]}' if name in collations else ''}"
        for name, type_ in entry.columns.items()
    )
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(f"CREATE TEMPORARY TABLE t (k_ integer{', ' if columns else ''}{columns})")
        if entry.kind is Kind.DEFAULT:
            cursor.execute(f"ALTER TABLE t ADD COLUMN c {postgres_type(entry.column)}")
            cursor.execute(f"ALTER TABLE t ALTER COLUMN c SET DEFAULT {sql}")
        elif entry.kind is Kind.COMPUTED:
            cursor.execute(
                f"ALTER TABLE t ADD COLUMN c {postgres_type(entry.column)} GENERATED ALWAYS AS ({sql}) STORED"
            )
        elif entry.kind is Kind.FILTER:
            cursor.execute(f"CREATE INDEX ON t (k_) WHERE {sql}")
        else:
            cursor.execute(f"ALTER TABLE t ADD CHECK ({sql}) NOT VALID")
            cursor.execute("ALTER TABLE t DROP CONSTRAINT t_check" if not entry.columns else "SELECT 1")
        if entry.kind is Kind.CHECK:
            cursor.execute("DROP TABLE t")
            cursor.execute(f"CREATE TEMPORARY TABLE t (k_ integer, {columns})")
        for number, row in enumerate(entry.values):
            names = "".join(f", {quote(name)}" for name in entry.columns)
            marks = "".join(", %s" for _ in row)
            cursor.execute(
                f"INSERT INTO t (k_{names}) VALUES (%s{marks})", (number, *(parameter(value) for value in row))
            )
        wanted = "c" if entry.kind in {Kind.DEFAULT, Kind.COMPUTED} else f"({sql})"
        cursor.execute(f"SELECT {wanted} FROM t ORDER BY k_")
        return [row[0] for row in cursor.fetchall()]


# --- a T-SQL server ----------------------------------------------------------------------------------------


class TsqlServer:
    """A T-SQL server; an expression that breaks the connection breaks one test, not the rest."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection = connect()

    def cursor(self) -> Any:
        """A cursor on a connection that answers."""
        try:
            self._connection.execute("SELECT 1").fetchall()
        except Exception:  # whatever the driver calls a dead connection
            self._connection = self._connect()
        return self._connection.cursor()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def tsql_database(tsql_server: dict[str, str]) -> Iterator[TsqlServer]:
    """A database with the sequence that the corpus names, on the T-SQL server that the environment names."""
    with own_database(tsql_server, "corpus") as there:
        settings = load_settings(None, {**there, "PGDATABASE": "none"})
        server = TsqlServer(lambda: connect_source(settings))
        server.cursor().execute("CREATE SEQUENCE dbo.corpus_seq START WITH 1")
        yield server
        server.close()


def tsql_type(text: str) -> str:
    """A column's type with the collation the corpus gives it."""
    declared = column("c", text)
    return f"{text.split(' ', maxsplit=1)[0]} {f'COLLATE {declared.collation}' if declared.collation else ''}"


def tsql_literal(value: object) -> str:
    """A sample value as T-SQL text: bound parameters lose digits in some drivers."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | Decimal):
        return str(value)
    if isinstance(value, float):
        return f"{value!r}e0"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dt.datetime):
        return f"'{value.isoformat(timespec='milliseconds')}'"
    text = str(value).replace("'", "''")
    return f"N'{text}'"


def on_tsql(cursor: Any, entry: Entry) -> list[object]:
    """The entry's values as the source computes them, a check's as True, False and None."""
    name = "dbo.expression_corpus"
    text = entry.written or entry.text
    parts = ["k_ int"]
    parts += [f"{bracketed(column_name)} {tsql_type(type_)} NULL" for column_name, type_ in entry.columns.items()]
    if entry.kind is Kind.DEFAULT:
        parts.append(f"c {tsql_type(entry.column)} NULL DEFAULT {text}")
    cursor.execute(f"IF OBJECT_ID('{name}') IS NOT NULL DROP TABLE {name}")
    cursor.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
    for number, row in enumerate(entry.values):
        names = "".join(f", {bracketed(column_name)}" for column_name in entry.columns)
        values = "".join(f", {tsql_literal(value)}" for value in row)
        cursor.execute(f"INSERT INTO {name} (k_{names}) VALUES ({number}{values})")
    if entry.kind in {Kind.CHECK, Kind.FILTER}:
        wanted = f"CASE WHEN {text} THEN 1 WHEN NOT {text} THEN 0 END"
    elif entry.kind is Kind.DEFAULT:
        wanted = (
            "CONVERT(datetime2(7), SWITCHOFFSET(c, '+00:00'))" if entry.column.startswith("datetimeoffset") else "c"
        )
    else:
        wanted = text
    cursor.execute(f"SELECT {wanted} FROM {name} ORDER BY k_")
    found = [row[0] for row in cursor.fetchall()]
    if entry.kind in {Kind.CHECK, Kind.FILTER}:
        return [None if value is None else bool(value) for value in found]
    return found


def stored_by_babelfish(cursor: Any, entry: Entry) -> str:
    """What the catalog has of the entry's expression after it was written in T-SQL."""
    name = "dbo.expression_corpus"
    parts = ["k_ int", *(f"{bracketed(column)} {tsql_type(type_)} NULL" for column, type_ in entry.columns.items())]
    if entry.kind is Kind.DEFAULT:
        view, table_id = "default_constraints", "parent_object_id"
        parts.append(f"c {tsql_type(entry.column)} NULL DEFAULT {entry.written}")
    elif entry.kind is Kind.CHECK:
        view, table_id = "check_constraints", "parent_object_id"
        parts.append(f"CHECK ({entry.written})")
    else:
        view, table_id = "computed_columns", "object_id"
        parts.append(f"c AS ({entry.written})")
    cursor.execute(f"IF OBJECT_ID('{name}') IS NOT NULL DROP TABLE {name}")
    cursor.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
    cursor.execute(f"SELECT CAST(definition AS nvarchar(4000)) FROM sys.{view} WHERE {table_id} = OBJECT_ID('{name}')")
    return str(cursor.fetchone()[0])


# --- comparing ---------------------------------------------------------------------------------------------


def plain(value: object, type_: str) -> object:
    """A driver's value in the form the corpus uses."""
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, dt.datetime) and value.tzinfo is None and type_.startswith("datetimeoffset"):
        return value.replace(tzinfo=dt.timezone.utc)
    if isinstance(value, dt.datetime) and type_ == "date":
        return value.date()
    if isinstance(value, str) and type_ == "uniqueidentifier":
        return uuid.UUID(value)
    return value


_PATTERNS = {
    Moving.UUID_TEXT: r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}",
    Moving.UUID_SMALL: r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    Moving.HEX: r"[0-9A-F]{32}",
    Moving.HEX8: r"[0-9A-F]{8}",
    Moving.NAME: r".+",
}


def agrees(value: object, expected: object, local_now: dt.datetime) -> bool:
    """A value is the expected one; of a moving one, that it is of the right kind and near the present."""
    if not isinstance(expected, Moving):
        if isinstance(value, float) and isinstance(expected, float):
            return math.isclose(value, expected, rel_tol=1e-6)
        return type(value) is type(expected) and value == expected if expected is not None else value is None
    near = dt.timedelta(minutes=10)
    if expected is Moving.UUID:
        return isinstance(value, uuid.UUID)
    if expected is Moving.NUMBER:
        return isinstance(value, int | float)
    if expected is Moving.TODAY:
        return isinstance(value, dt.date) and abs(value - local_now.date()) <= dt.timedelta(days=1)
    if expected is Moving.DAY_TEXT:
        return value in {(local_now + dt.timedelta(days=days)).strftime("%Y-%m-%d") for days in (-1, 0, 1)}
    if expected is Moving.INSTANT:
        return isinstance(value, dt.datetime) and abs(value - dt.datetime.now(dt.timezone.utc)) < near
    if expected is Moving.UTC_NOW:
        return (
            isinstance(value, dt.datetime) and abs(value - dt.datetime.now(dt.timezone.utc).replace(tzinfo=None)) < near
        )
    if expected is Moving.LOCAL_NOW:
        return isinstance(value, dt.datetime) and abs(value - local_now) < near
    if expected is Moving.TOMORROW:
        return isinstance(value, dt.datetime) and abs(value - local_now - dt.timedelta(days=1)) < near
    return isinstance(value, str) and re.fullmatch(_PATTERNS[expected], value) is not None


def assert_values(entry: Entry, found: Sequence[object], local_now: dt.datetime) -> None:
    values = [plain(value, entry.column) for value in found]
    assert len(values) == len(entry.values)
    for (row, expected), value in zip(entry.values.items(), values, strict=True):
        assert agrees(value, expected, local_now), f"{row!r}: {value!r}, documented {expected!r}"


# --- the corpus --------------------------------------------------------------------------------------------


def test_corpus_is_large_and_without_twins() -> None:
    assert len(ENTRIES) >= 100
    names = [entry.name + str(dict(entry.columns)) for entry in ENTRIES]
    assert len(set(names)) == len(names)


_OF_BABELFISH = re.compile(r"::|nextval\(")


def test_what_is_translated_is_t_sql_by_microsofts_parser() -> None:
    if program() is None:
        pytest.skip(NOT_THERE)
    texts = [
        (entry.kind, entry.written or entry.text)
        for entry in TRANSLATED
        if entry.written or not _OF_BABELFISH.search(entry.text)
    ]
    wanted = [f"CASE WHEN {text} THEN 1 END" if kind in {Kind.CHECK, Kind.FILTER} else text for kind, text in texts]
    assert refused([f"SELECT {text} FROM dbo.t" for text in wanted], GRAMMARS[-1]) == []


@pytest.mark.parametrize("entry", REFUSED, ids=lambda entry: entry.name)
def test_refused_with_its_reason(entry: Entry) -> None:
    result = translate(entry)
    assert result.sql is None
    assert result.original == entry.text
    assert entry.refused is not None
    assert entry.refused in (result.reason or "")


@pytest.mark.parametrize("entry", [one for one in REFUSED if translate(one).suggestion], ids=lambda entry: entry.name)
def test_what_is_suggested_runs(expression_postgres: PgConnection, entry: Entry) -> None:
    columns = ", ".join(f"NULL::{postgres_type(type_)} AS {quote(name)}" for name, type_ in entry.columns.items())
    with expression_postgres.cursor() as cursor:
        cursor.execute(f"SELECT {translate(entry).suggestion} FROM (SELECT {columns}) t")


@pytest.mark.parametrize("entry", TRANSLATED, ids=lambda entry: entry.name)
def test_translated_gives_the_documented_value_in_postgres(expression_postgres: PgConnection, entry: Entry) -> None:
    result = translate(entry)
    assert result.sql is not None, result.reason
    assert result.reason is None
    assert (entry.remark or "") in (result.suggestion or "")
    if entry.kind in {Kind.COMPUTED, Kind.FILTER}:
        assert result.is_immutable
    with expression_postgres.cursor() as cursor:
        cursor.execute("SELECT localtimestamp")
        (local_now,) = cursor.fetchone() or (None,)
    assert_values(entry, on_postgres(expression_postgres, entry, result.sql), local_now)


def _collations(entry: Entry) -> dict[str, str]:
    columns = table(entry.columns).columns
    return {one.name: name for one in columns if (name := collation_of(ICU, one)) is not None}


@pytest.fixture(scope="module")
def icu() -> Iterator[PgConnection]:
    """A PostgreSQL with ICU, and the collations of COLLATION_POLICY=icu in it."""
    url = os.environ.get("ICU_TEST_URL")
    if not url:
        pytest.skip("no PostgreSQL with ICU: set ICU_TEST_URL to the address of an empty database to run this")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        tables = [replace(table(entry.columns), name=f"t{number}") for number, entry in enumerate(TRANSLATED)]
        for step in plan_schema(Database("", tuple(tables)), tables, (), ICU, TargetFeatures(), NOTHING).support:
            cursor.execute(step.sql)
    yield connection
    connection.close()


@pytest.mark.parametrize("entry", [one for one in TRANSLATED if _collations(one)], ids=lambda entry: entry.name)
def test_translated_means_the_same_under_collation_policy_icu(icu: PgConnection, entry: Entry) -> None:
    result = translate(entry, quote=in_expressions(table(entry.columns), ICU))
    assert result.sql is not None
    with icu.cursor() as cursor:
        cursor.execute("SELECT localtimestamp")
        (local_now,) = cursor.fetchone() or (None,)
    if " IS JSON " in result.sql and icu.server_version < 160000:
        pytest.skip("IS JSON came with PostgreSQL 16")
    assert_values(entry, on_postgres(icu, entry, result.sql, _collations(entry)), local_now)


@pytest.mark.parametrize("entry", TRANSLATED, ids=lambda entry: entry.name)
def test_strict_translates_alike_or_refuses_and_suggests(entry: Entry) -> None:
    usual, strict = translate(entry), translate(entry, policy="strict")
    assert usual.sql == (strict.sql or strict.suggestion)
    assert strict.sql is not None or strict.reason


@pytest.mark.parametrize("entry", TRANSLATED, ids=lambda entry: entry.name)
def test_documented_value_is_the_server_s(tsql_database: TsqlServer, entry: Entry) -> None:
    cursor = tsql_database.cursor()
    cursor.execute("SELECT @@VERSION, GETDATE()")
    version, local_now = cursor.fetchone()
    if entry.stand_in_differs and "Babelfish" in version:
        pytest.skip(f"Babelfish differs: {entry.stand_in_differs}")
    assert_values(entry, on_tsql(cursor, entry), local_now)


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry.written], ids=lambda entry: entry.name)
def test_babelfish_stores_it_so(tsql_database: TsqlServer, entry: Entry) -> None:
    cursor = tsql_database.cursor()
    cursor.execute("SELECT @@VERSION")
    if "Babelfish" not in cursor.fetchone()[0]:
        pytest.skip("SQL Server keeps T-SQL")
    assert stored_by_babelfish(cursor, entry) == entry.text


_BELOW_BABELFISH = """
CREATE TABLE dbo.below (
    k int CONSTRAINT below_k DEFAULT (isnull(NULL,5)), a int, b int,
    s varchar(10) DEFAULT (coalesce(NULL,'x')),
    n nvarchar(10), nc nchar(1), f bit DEFAULT (case when 1=1 then 1 else 0 end),
    d datetime DEFAULT (isnull(NULL,getdate())),
    p decimal(10,2), m money, [a b] int,
    CHECK (isnull(a,0)>=0), CHECK (case when f=1 then a else b end>0), CHECK (isnull([a b],-1)<>0),
    CHECK (isnull(n,N'')<>N'' AND s IN ('a','b')), CHECK (isnull(p,0)>=0.5 AND nc IN (N'M',N'F')),
    CHECK (nullif(s,'') IS NOT NULL), CHECK (isnull(m,0)>=$0.00), CHECK (iif(a NOT IN (1,2),1,0)=1),
    CHECK (case when s LIKE '[A-Z]%' then 1 else 0 end=1), CHECK (coalesce(s,n,'')<>''),
    CHECK (case when d<dateadd(year,-18,getdate()) then 1 else 0 end=1),
    c AS (case when a>0 then 'y' else 'n' end), e AS (isnull(a,0)+isnull(b,0)), g AS (nullif(a,0)), h AS (a*b)
)"""


def test_texts_that_the_server_cannot_write_out_are_read_and_translated(tsql_database: TsqlServer) -> None:
    cursor = tsql_database.cursor()
    cursor.execute("IF OBJECT_ID('dbo.below') IS NOT NULL DROP TABLE dbo.below")
    cursor.execute(_BELOW_BABELFISH)
    (table,) = [table for table in read_database(cursor.connection, ()).tables if table.name == "below"]
    defaults = [translate_default(column.default.text, column, sequence_name=sequence_name)
                for column in table.columns if column.default is not None]  # fmt: skip
    computed = [translate_computed(column.computed.text, column, table, quote)
                for column in table.columns if column.computed is not None]  # fmt: skip
    checks = [translate_check(check.text, table, quote) for check in table.checks]
    assert (len(defaults), len(computed), len(checks)) == (4, 4, 11)
    assert [(one.original, one.reason) for one in [*defaults, *computed, *checks] if one.sql is None] == []

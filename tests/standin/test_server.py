"""The stand-in source, read by the real drivers: it must look like the server it stands in for."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import arrow_odbc
import pyarrow as pa
import pyodbc
import pytest
from arrow_odbc import TextEncoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.shop import ORDER_LINE_COUNT, shop
from model.catalog import (
    AliasType,
    Check,
    Column,
    Computed,
    Database,
    Default,
    ForeignKey,
    Identity,
    Index,
    Key,
    KeyColumn,
    SqlType,
    Table,
)
from standin.collations import Collation
from standin.script import create_script, in_load_order, insert_statement, load_rows
from standin.server import LOGIN, PASSWORD, Access, StandIn
from standin.tsql import split_batch
from standin.tsql.patterns import like_regex
from standin.tsql.sources import PAGE_ROWS
from tests.harness import ROOT, drop_database
from tests.type_values import VALUES


def microsoft_driver() -> str | None:
    """The path of Microsoft's driver, or its registered name."""
    try:
        from mssql_python_odbc import get_libs_dir  # noqa: PLC0415 - Windows has no such package
    except ImportError:
        return next((name for name in pyodbc.drivers() if name.startswith("ODBC Driver 1")), None)
    machine = {"AMD64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = sorted(Path(get_libs_dir()).glob(f"**/debian_ubuntu/{machine}/lib/libmsodbcsql*"))
    return str(found[-1]) if found else None


def freetds_driver() -> str | None:
    """The registered name of FreeTDS."""
    return next((name for name in pyodbc.drivers() if name == "FreeTDS"), None)


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    """Each of the two drivers."""
    found = microsoft_driver() if request.param == "microsoft" else freetds_driver()
    if found is None:
        pytest.skip(f"the {request.param} ODBC driver is not installed")
    return found


Q = SqlType
INT = SqlType("int")
OFFSET_TYPE = -155  # SQL_SS_TIMESTAMPOFFSET

#: values with a seventh digit or an offset: name, type, text of one, text of another
PRECISE = (
    ("c_time7", Q("time", scale=7), "23:59:59.9999999", "00:00:00.0000001"),
    ("c_datetime2_7", Q("datetime2", scale=7), "9999-12-31 23:59:59.9999999", "0001-01-01 00:00:00.0000000"),
    ("c_offset7", Q("datetimeoffset", scale=7), "2024-02-29 12:00:00.1234567 -08:30",
     "1900-01-01 00:00:00.0000000 +14:00"),
    ("c_offset0", Q("datetimeoffset", scale=0), "2024-02-29 12:00:00 +05:30", "2024-02-29 12:00:00 +00:00"),
)  # fmt: skip

TYPES = Table(
    "dbo",
    "Every Type",
    (Column("id", Q("int"), is_nullable=False), *(Column(name, kind) for name, kind, *_ in (*VALUES, *PRECISE))),
    Key("PK_Types", (KeyColumn("id"),), is_clustered=True),
)
KEYED = Table(
    "Sales",
    "a]b",
    (
        Column("id", Q("decimal", precision=10), is_nullable=False, identity=Identity(10, -2)),
        Column("select", Q("nvarchar", 100), default=Default("DF_x", "(N'new')"), comment="Reserved."),
        Column("double", Q("int"), computed=Computed("([id]*(2))")),
        Column("exact", Q("varchar", 20), collation="Latin1_General_BIN2"),
        Column("loose", Q("varchar", 20)),
        Column("phone", Q("varchar", 24, alias="Phone")),
    ),
    Key("PK_Keyed", (KeyColumn("id", is_descending=True),)),
    unique=(Key("UQ_Keyed", (KeyColumn("select"), KeyColumn("exact"))),),
    indexes=(Index("IX_Keyed", (KeyColumn("loose"),), included=("exact",), filter="([loose] IS NOT NULL)"),),
    foreign_keys=(ForeignKey("FK_Keyed", ("double",), "dbo", "Every Type", ("id",), on_delete="CASCADE"),),
    checks=(Check("CK_Keyed", "([id]>(-100))", is_trusted=False),),
    comment="An awkward name.",
)
LONG = Table("dbo", "Long", (Column("id", Q("int"), is_nullable=False), Column("text", Q("nvarchar", 100))))
SECRET = Table("dbo", "Secret", (Column("id", Q("int")),))
DATABASE = Database(
    "shop",
    (TYPES, KEYED, LONG, SECRET),
    collation="SQL_Latin1_General_CP1_CI_AS",
    alias_types=(AliasType("dbo", "Phone", Q("varchar", 24)),),
)
ROWS: Mapping[str, Any] = {
    "dbo.Every Type": [
        (1, *(first for _, _, first, _ in (*VALUES, *PRECISE))),
        (2, *(second for _, _, _, second in (*VALUES, *PRECISE))),
        (3, *(None for _ in (*VALUES, *PRECISE))),
    ],
    "Sales.a]b": [
        (10, "one", 20, "Aa", "Aa", "1"),
        (8, "two", 16, "aa", "aa", None),
        (6, None, 12, "AA", "AA", "3"),
        (4, "é", 8, None, None, "4"),
    ],
    "dbo.Long": "SELECT CAST(i AS INTEGER), 'row ' || i FROM range(100000) AS numbers(i)",
    "dbo.Secret": [(1,)],
}


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """A stand-in with one table for the types, one for the catalog, one long one, one that is denied."""
    with StandIn(DATABASE, ROWS, denied=("dbo.Secret",)) as running:
        yield running


@pytest.fixture
def connection(source: StandIn, driver: str) -> Iterator[pyodbc.Connection]:
    """A connection through each driver."""
    opened = connect(source, driver)
    yield opened
    opened.close()


def connect(source: StandIn, driver: str, **more: Any) -> pyodbc.Connection:
    """A pyodbc connection that shows datetimeoffset as the driver's bytes."""
    opened = pyodbc.connect(source.connection_string(driver, **more), timeout=10, autocommit=True)
    opened.add_output_converter(OFFSET_TYPE, lambda raw: raw)
    return opened


def rows(opened: pyodbc.Connection, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Every row of a query, as tuples."""
    cursor = opened.cursor()
    try:
        cursor.execute(sql, *parameters)
        while cursor.description is None:
            assert cursor.nextset()
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


def value(opened: pyodbc.Connection, sql: str, *parameters: object) -> Any:
    """The only value of a query."""
    ((found,),) = rows(opened, sql, *parameters)
    return found


def arrow(source: StandIn, driver: str, sql: str, parameters: list[str] | None = None) -> pa.Table:
    """A query's answer through arrow-odbc."""
    reader = arrow_odbc.read_arrow_batches_from_odbc(
        query=sql,
        connection_string=source.connection_string(driver),
        parameters=parameters,
        max_text_size=1_000_000,
        max_binary_size=11_000_000,
        batch_size=10,
        payload_text_encoding=TextEncoding.UTF16,
    )
    assert reader is not None
    return pa.Table.from_batches(list(reader), schema=reader.schema)


def error_of(opened: pyodbc.Connection, sql: str, *parameters: object) -> str:
    """The message of the error that a query ends in."""
    with pytest.raises(pyodbc.Error) as caught:
        rows(opened, sql, *parameters)
    return str(caught.value.args[1])


# --- types ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "kind", "first", "second"), VALUES, ids=[name for name, *_ in VALUES])
def test_type_through_pyodbc(
    connection: pyodbc.Connection, name: str, kind: SqlType, first: object, second: object
) -> None:
    found = [row[0] for row in rows(connection, f"SELECT {name} FROM dbo.[Every Type] ORDER BY id")]
    if kind.name == "uniqueidentifier":
        found[:2] = [uuid.UUID(text) for text in found[:2]]
    assert found[:2] == [first, second]
    if kind.name == "timestamp":
        assert len(found[2]) == 8
    else:
        assert found[2] is None


@pytest.mark.parametrize(("name", "kind", "first", "second"), VALUES, ids=[name for name, *_ in VALUES])
def test_type_through_arrow(
    source: StandIn, driver: str, name: str, kind: SqlType, first: object, second: object
) -> None:
    found = arrow(source, driver, f"SELECT {name} FROM dbo.[Every Type] ORDER BY id")[name].to_pylist()
    if kind.name == "uniqueidentifier":
        found[:2] = [uuid.UUID(text) for text in found[:2]]
    assert found[:2] == [first, second]


@pytest.mark.parametrize(("name", "kind", "first", "second"), PRECISE, ids=[name for name, *_ in PRECISE])
def test_seventh_digit_and_offset_arrive(
    source: StandIn, driver: str, name: str, kind: SqlType, first: str, second: str
) -> None:
    sql = f"SELECT CONVERT(varchar(40), {name}, 121) AS t FROM dbo.[Every Type] ORDER BY id"
    assert arrow(source, driver, sql)["t"].to_pylist() == [first, second, None]
    if kind.name == "datetimeoffset":
        # The driver writes the column itself as text, with the digits of its scale.
        assert arrow(source, driver, f"SELECT {name} AS t FROM dbo.[Every Type] ORDER BY id")["t"].to_pylist() == [
            first,
            second,
            None,
        ]


def test_seventh_digit_is_sent_by_the_column_itself(driver: str) -> None:
    # In nanoseconds Arrow cannot hold the year 9999, so a value of today's is read.
    table = Table("dbo", "T", (Column("t", Q("datetime2", scale=7)),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [("2024-02-29 23:59:59.9999999",)]}) as running:
        found = arrow(running, driver, "SELECT t FROM dbo.T")["t"]
    assert found.type == pa.timestamp("ns")
    assert found.cast(pa.int64()).to_pylist() == [1709251199999999900]


def test_declared_types_reach_arrow(source: StandIn, driver: str) -> None:
    schema = arrow(source, driver, "SELECT * FROM dbo.[Every Type] WHERE id > 3").schema
    assert schema.field("c_tinyint").type == pa.uint8()
    assert schema.field("c_decimal38").type == pa.decimal128(38, 37)
    assert schema.field("c_money").type == pa.decimal128(19, 4)
    assert schema.field("c_datetime").type == pa.timestamp("ms")
    assert schema.field("c_rowversion").type == pa.binary(8)
    assert not schema.field("id").nullable
    assert schema.field("c_int").nullable


CODE_PAGES = (
    ("Greek_CI_AS", "Ζαχαροπλαστείο"),
    ("Cyrillic_General_CI_AS", "Привет"),
    ("Polish_CI_AS", "Łódź"),
    ("Japanese_CI_AS", "日本語テスト"),
    ("Chinese_PRC_CI_AS", "北京书店"),
    ("Chinese_Taiwan_Stroke_CI_AS", "臺北書店"),
    ("Korean_Wansung_CI_AS", "안녕하세요"),
    ("Turkish_CI_AS", "İstanbul ğ"),
    ("Hebrew_CI_AS", "שלום"),
    ("Lithuanian_CI_AS", "Žąsis"),
)
#: FreeTDS does not look at a collation's sort id, nor at its UTF-8 flag
CODE_PAGES_OF_ONE_DRIVER = (
    ("SQL_Latin1_General_CP850_CI_AS", "café ░"),
    ("SQL_Latin1_General_CP437_CI_AS", "café α"),
    ("Latin1_General_100_CI_AS_SC_UTF8", "中 é 😀"),
)


def _check_code_page(driver: str, collation: str, text: str) -> None:
    table = Table("dbo", "T", (Column("t", Q("varchar", 100), collation=collation),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [(text,)]}) as running:
        opened = connect(running, driver)
        try:
            assert value(opened, "SELECT t FROM dbo.T") == text
        finally:
            opened.close()


@pytest.mark.parametrize(("collation", "text"), CODE_PAGES)
def test_code_page_of_a_varchar_column(driver: str, collation: str, text: str) -> None:
    _check_code_page(driver, collation, text)


@pytest.mark.parametrize("driver", ["microsoft"], indirect=True)
@pytest.mark.parametrize(("collation", "text"), CODE_PAGES_OF_ONE_DRIVER)
def test_code_page_by_sort_id_or_flag(driver: str, collation: str, text: str) -> None:
    _check_code_page(driver, collation, text)


def test_code_page_is_known_by_name() -> None:
    assert Collation.named("Thai_CI_AS").encoding == "cp874"
    assert Collation.named(None).encoding == "cp1252"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# The stand-in keeps U+10D800 to U+10DFFF for itself: there it carries lone surrogates.
@given(
    text=st.text(st.characters(max_codepoint=0x10D7FF, exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
)
def test_any_text_survives_a_round_trip(connection: pyodbc.Connection, text: str) -> None:
    assert value(connection, "SELECT CAST(? AS nvarchar(max))", text) == text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.decimals(min_value=-(10**20), max_value=10**20, places=10))
def test_any_decimal_survives_a_round_trip(connection: pyodbc.Connection, number: Decimal) -> None:
    assert value(connection, "SELECT CAST(? AS decimal(38, 10))", number) == number


def test_lone_surrogates_are_sent_as_they_are() -> None:
    found = microsoft_driver()
    if found is None:
        pytest.skip("the microsoft ODBC driver is not installed")
    table = Table("dbo", "T", (Column("t", Q("nvarchar", 20)),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [("a\ud800b",)]}) as running:
        opened = connect(running, found)
        try:
            assert value(opened, "SELECT CAST(t AS varbinary(20)) FROM dbo.T") == b"a\0\0\xd8b\0"
            opened.add_output_converter(pyodbc.SQL_WVARCHAR, lambda raw: raw)
            assert value(opened, "SELECT t FROM dbo.T") == b"a\0\0\xd8b\0"
        finally:
            opened.close()


# --- queries ----------------------------------------------------------------------------------------

EXPRESSIONS = (
    ("7 / 2", 3),
    ("-7 / 2", -3),
    ("7 % 3", 1),
    ("1.50 * 2", Decimal("3.00")),
    ("'a' + N'é'", "aé"),
    ("ISNULL(NULL, 5)", 5),
    ("COALESCE(NULL, NULL, N'x')", "x"),
    ("IIF(1 = 2, 'a', 'b')", "b"),
    ("CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "two"),
    ("LEN(N'a😀 ')", 3),
    ("DATALENGTH(N'a😀 ')", 8),
    ("DATALENGTH('abc')", 3),
    ("DATALENGTH(CAST(1 AS decimal(20, 0)))", 13),
    ("LEFT('abc', 2) + RIGHT('abc', 1)", "abc"),
    ("SUBSTRING('abcdef', 2, 3)", "bcd"),
    ("SUBSTRING('abcdef', 0, 3)", "ab"),
    ("REPLACE('aXbX', 'X', '-')", "a-b-"),
    ("CHARINDEX('C', 'abc')", 3),
    ("PATINDEX('%[0-9]%', 'ab5')", 3),
    ("UPPER('é') + LOWER(N'Ω')", "Éω"),
    ("CONCAT(1, NULL, 'x')", "1x"),
    ("QUOTENAME('a]b')", "[a]]b]"),
    ("CONVERT(varchar(10), 0x0aff, 1)", "0x0AFF"),
    ("CONVERT(varchar(10), 0x0aff, 2)", "0AFF"),
    ("CONVERT(varbinary(4), '0x0aff', 1)", b"\x0a\xff"),
    ("CAST(N'é' AS varbinary(10))", b"\xe9\0"),
    ("CAST('€' AS varbinary(10))", b"\x80"),
    ("CAST(258 AS binary(4))", b"\0\0\x01\x02"),
    ("CAST(0x0102 AS int)", 258),
    (
        "CAST(CAST('00112233-4455-6677-8899-aabbccddeeff' AS uniqueidentifier) AS binary(16))",
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff").bytes_le,
    ),
    ("CONVERT(varchar(30), CAST('2024-02-29 01:02:03.4567890' AS datetime2), 126)", "2024-02-29T01:02:03.4567890"),
    ("CONVERT(varchar(30), CAST('2024-02-29' AS datetime), 121)", "2024-02-29 00:00:00.000"),
    ("CONVERT(varchar(10), CAST('20240229' AS date), 112)", "20240229"),
    ("CONVERT(varchar(30), CAST('2024-02-29' AS datetime))", "Feb 29 2024 12:00AM"),
    ("CONVERT(varchar(40), CAST('2024-02-29 12:00:00 +05:30' AS datetimeoffset(0)), 127)", "2024-02-29T06:30:00Z"),
    ("CONVERT(varchar(30), CAST(12.3456 AS money))", "12.35"),
    ("CONVERT(varchar(30), CAST(12.3456 AS money), 2)", "12.3456"),
    ("CAST('2024-02-29 23:59:59.9999999' AS datetime2(6))", datetime.datetime(2024, 3, 1)),
    ("DATEPART(NANOSECOND, CAST('10:00:00.1234567' AS time)) % 1000", 700),
    ("DATEPART(year, '2024-02-29')", 2024),
    ("DATEPART(tz, CAST('2024-02-29 12:00:00 +05:30' AS datetimeoffset))", 330),
    ("DATEDIFF(day, '2024-02-28', '2024-03-01')", 2),
    ("DATEADD(month, 1, CAST('2024-01-31' AS date))", datetime.date(2024, 2, 29)),
    (
        "CAST(SWITCHOFFSET(CAST('2024-02-29 12:00:00 +05:30' AS datetimeoffset), '+00:00') AS datetime2(0))",
        datetime.datetime(2024, 2, 29, 6, 30),
    ),
    ("HASHBYTES('SHA2_256', N'é😀')", hashlib.sha256("é😀".encode("utf-16-le")).digest()),
    ("HASHBYTES('MD5', 'abc')", hashlib.md5(b"abc").digest()),
    ("(SELECT COUNT_BIG(*) FROM dbo.[Every Type])", 3),
    ("(SELECT SUM(c_int) FROM dbo.[Every Type])", -1),
    ("(SELECT AVG(id) FROM dbo.[Every Type])", 2),
    ("(SELECT MAX(CAST(c_money AS decimal(38, 4))) FROM dbo.[Every Type])", Decimal("922337203685477.5807")),
    ("(SELECT STRING_AGG(CAST(id AS nvarchar(max)), N',') WITHIN GROUP (ORDER BY id DESC) FROM dbo.[Every Type])",
     "3,2,1"),
    ("(SELECT TOP (1) id FROM dbo.[Every Type] ORDER BY id DESC)", 3),
    ("SERVERPROPERTY('EngineEdition')", 3),
    ("DB_NAME()", "shop"),
    ("SCHEMA_NAME()", "dbo"),
    ("OBJECT_NAME(OBJECT_ID(N'[Sales].[a]]b]'))", "a]b"),
    ("CAST(IDENT_CURRENT('[Sales].[a]]b]') AS int)", 4),
    ("CAST(IDENT_INCR('Sales.a]b') AS int)", -2),
    ("HAS_PERMS_BY_NAME('dbo.Long', 'OBJECT', 'SELECT')", 1),
    ("SUSER_SNAME()", LOGIN),
    ("TRY_CAST('x' AS int)", None),
    ("CAST('2024-02-29' AS nvarchar(4))", "2024"),
)  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(connection: pyodbc.Connection, expression: str, expected: object) -> None:
    assert value(connection, f"SELECT {expression} AS x") == expected


QUERIES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT [id] FROM [shop].[Sales].[a]]b] WITH (READPAST) ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY",
     [(Decimal(6),), (Decimal(8),)]),
    ("SELECT COUNT(*) FROM Sales.[a]]b] WHERE loose = 'aA '", [(3,)]),
    ("SELECT COUNT(*) FROM Sales.[a]]b] WHERE exact = 'aa'", [(1,)]),
    ("SELECT COUNT(*) FROM Sales.[a]]b] WHERE loose LIKE 'A_' AND loose COLLATE Latin1_General_BIN2 = 'Aa'", [(1,)]),
    ("SELECT a.id, b.id FROM dbo.[Every Type] a LEFT JOIN dbo.[Every Type] AS b ON b.id = a.id + 1 ORDER BY a.id",
     [(1, 2), (2, 3), (3, None)]),
    ("SELECT t.id, q.n FROM dbo.[Every Type] t CROSS APPLY (SELECT t.id * 2 AS n) q WHERE q.n > 2 ORDER BY 1 DESC",
     [(3, 6), (2, 4)]),
    ("WITH a AS (SELECT id FROM dbo.[Every Type]) SELECT id FROM a UNION ALL SELECT 9 ORDER BY id DESC",
     [(9,), (3,), (2,), (1,)]),
    ("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT SUM(i) FROM n", [(6,)]),
    ("SELECT id, ROW_NUMBER() OVER (ORDER BY id DESC) AS r, NTILE(2) OVER (ORDER BY id)"
     " FROM dbo.[Every Type] ORDER BY r",
     [(3, 1, 2), (2, 2, 1), (1, 3, 1)]),
    ("SELECT MIN(x.id), MAX(x.id), COUNT_BIG(*) FROM (SELECT id, NTILE(2) OVER (ORDER BY id) AS n FROM dbo.Long) AS x"
     " GROUP BY x.n ORDER BY x.n", [(0, 49999, 50000), (50000, 99999, 50000)]),
    ("SELECT id FROM dbo.[Every Type] WHERE id NOT IN (SELECT id FROM dbo.[Every Type] WHERE id > 1)", [(1,)]),
    ("SELECT id FROM dbo.[Every Type] t WHERE EXISTS (SELECT 1 FROM sys.tables AS s WHERE s.type = 'U' AND t.id = 2)",
     [(2,)]),
    ("SELECT v.a FROM (VALUES (1, N'x'), (2, NULL)) AS v(a, b) WHERE v.b IS NULL -- a remark", [(2,)]),
    ("SET NOCOUNT ON; DECLARE @x int = 5, @y decimal(10, 2) = 1.5; SELECT @x + 1, @y", [(6, Decimal("1.50"))]),
    ("SET NOCOUNT ON SELECT 1 AS a", [(1,)]),
    ("USE [shop] SELECT DB_NAME()", [("shop",)]),
    # Ordered by the last group first, as the server compares them.
    ("SELECT CAST(g AS char(36)) FROM (VALUES (CAST('10000000-0000-0000-0000-000000000000' AS uniqueidentifier)),"
     " (CAST('00000000-0000-0000-0000-000000000001' AS uniqueidentifier))) AS v(g) ORDER BY g",
     [("10000000-0000-0000-0000-000000000000",), ("00000000-0000-0000-0000-000000000001",)]),
)  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), QUERIES, ids=[sql[:60] for sql, _ in QUERIES])
def test_query(connection: pyodbc.Connection, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(connection, sql) == expected


def test_a_sample_is_of_whole_pages_and_another_each_time(connection: pyodbc.Connection) -> None:
    sql = "SELECT id FROM dbo.Long AS t TABLESAMPLE SYSTEM (10.5 PERCENT) ORDER BY id"
    first, second = ([id for (id,) in rows(connection, sql)] for _ in range(2))
    assert first != second
    pages = Counter(id // PAGE_ROWS for id in first)
    # Of 5,000 pages: twelve times as far from 525 as a sample usually is.
    assert 260 < len(pages) < 790
    assert set(pages.values()) == {PAGE_ROWS}
    with pytest.raises(pyodbc.Error, match="REPEATABLE"):
        rows(connection, sql.replace(" ORDER", " REPEATABLE (7) ORDER"))


def test_filters_on_every_family_of_types(connection: pyodbc.Connection) -> None:
    sql = (
        "SELECT id FROM dbo.[Every Type] WHERE c_datetime2_7 >= '2024-01-01' AND c_datetime > '20240101'"
        " AND c_guid = '00112233-4455-6677-8899-AABBCCDDEEFF' AND c_offset7 < '2024-03-01' AND c_time7 > '10:00'"
        " AND c_date <= '9999-12-31T00:00:00' AND c_decimal38 > 0 AND c_bit = 1 AND c_rowversion >= 0x00"
    )
    assert rows(connection, sql) == [(1,)]


def test_statements_are_told_apart() -> None:
    batch = "SET NOCOUNT ON SELECT 1; SELECT (SELECT 2) UNION SELECT 3 SELECT ';' AS [set] USE x"
    assert split_batch(batch) == [
        "SET NOCOUNT ON", "SELECT 1", "SELECT (SELECT 2) UNION SELECT 3", "SELECT ';' AS [set]", "USE x",
    ]  # fmt: skip


def test_like_patterns() -> None:
    assert like_regex("a%_[x-z].") == r"a.*.[x-z]\."
    assert like_regex("5!%", "!") == r"5\%" or like_regex("5!%", "!") == "5%"


# --- prepared statements ----------------------------------------------------------------------------

PARAMETERS = (
    5,
    2**40,
    Decimal("-12.345"),
    Decimal("-99999999999999999999.5"),
    "héé😀",
    "x" * 5000,
    b"\x01\x02",
    b"y" * 9000,
    datetime.datetime(2024, 1, 2, 3, 4, 5, 123456),
    datetime.date(2024, 1, 2),
    datetime.time(1, 2, 3),
    True,
    1.5,
    None,
)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=[repr(p)[:30] for p in PARAMETERS])
def test_parameter(connection: pyodbc.Connection, parameter: object) -> None:
    assert rows(connection, "SELECT ? AS v, id FROM dbo.Long WHERE id = ?", parameter, 7) == [(parameter, 7)]


def test_uuid_parameter(connection: pyodbc.Connection) -> None:
    given_value = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert rows(connection, "SELECT id FROM dbo.[Every Type] WHERE c_guid = ?", given_value) == [(1,)]


def test_a_prepared_statement_runs_again(connection: pyodbc.Connection) -> None:
    cursor = connection.cursor()
    for first, last in ((1, 2), (99_990, 200_000)):
        found = cursor.execute("SELECT id FROM dbo.Long WHERE id BETWEEN ? AND ?", first, last).fetchall()
        assert len(found) == min(last, 99_999) - first + 1
    cursor.close()


def test_arrow_binds_text(source: StandIn, driver: str) -> None:
    sql = "SELECT id FROM dbo.[Every Type] WHERE id >= ? AND c_nvarchar = ?"
    assert arrow(source, driver, sql, ["1", "Ω中😀👩‍🍳 trailing  "])["id"].to_pylist() == [1]


def test_an_error_in_a_prepared_statement_leaves_the_connection_usable(connection: pyodbc.Connection) -> None:
    assert "Invalid object name" in error_of(connection, "SELECT * FROM nowhere WHERE a = ?", 1)
    assert value(connection, "SELECT 1") == 1


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "number", "words"),
    [
        ("SELECT * FROM nope", 208, "Invalid object name 'nope'."),
        ("SELECT * FROM other.dbo.Long", 208, "Invalid object name 'other.dbo.Long'."),
        ("SELECT nope FROM dbo.Long", 207, "Invalid column name 'nope'."),
        ("SELECT x.id FROM dbo.Long AS a", 4104, 'The multi-part identifier "x.id" could not be bound.'),
        ("SELECT FROM", 102, "Incorrect syntax near"),
        ("SELECT id, COUNT(*) FROM dbo.Long", 8120, "GROUP BY"),
        ("SELECT CAST('x' AS int)", 245, "Conversion failed"),
        ("SELECT CAST(300 AS tinyint)", 8115, "overflow"),
        ("SELECT nothing_known(1)", 195, "is not a recognized built-in function name"),
        ("SELECT * FROM dbo.Secret", 229, "The SELECT permission was denied on the object 'Secret', database 'shop'"),
        ("EXEC no_such_procedure", 2812, "Could not find stored procedure 'no_such_procedure'."),
        ("USE elsewhere", 911, "Database 'elsewhere' does not exist"),
    ],
)
def test_error(connection: pyodbc.Connection, sql: str, number: int, words: str) -> None:
    message = error_of(connection, sql)
    assert words in message
    assert f"({number})" in message
    assert value(connection, "SELECT 1") == 1


def test_wrong_password(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error, match=rf"Login failed for user '{LOGIN}'.*18456"):
        connect(source, driver, PWD="wrong")


def test_other_database(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error) as caught:
        connect(source, driver, Database="elsewhere")
    # Both errors are sent; Microsoft's driver shows the first of them, FreeTDS the last.
    expected = "Login failed" if driver == "FreeTDS" else 'Cannot open database "elsewhere" requested by the login'
    assert expected in str(caught.value)
    assert ("(18456)" if driver == "FreeTDS" else "(4060)") in str(caught.value)


def test_fail_next(source: StandIn, connection: pyodbc.Connection) -> None:
    source.fail_next("dbo.Long", 1205, "Transaction was deadlocked.", times=2)
    for _ in range(2):
        assert "(1205)" in error_of(connection, "SELECT TOP (1) id FROM dbo.Long")
    assert value(connection, "SELECT COUNT(*) FROM dbo.Long") == 100_000


def test_fail_after_rows(source: StandIn, connection: pyodbc.Connection) -> None:
    source.fail_after_rows("dbo.Long", 25_000, 823, "I/O error.")
    cursor = connection.cursor()
    cursor.execute("SELECT id FROM dbo.Long ORDER BY id")
    seen = 0
    with pytest.raises(pyodbc.Error, match="823"):
        while cursor.fetchone():
            seen += 1
    assert seen == 25_000
    cursor.close()
    assert value(connection, "SELECT 1") == 1


def test_connection_cut_in_the_middle(source: StandIn, driver: str) -> None:
    source.fail_after_rows("dbo.Long", 25_000)
    opened = connect(source, driver)
    cursor = opened.cursor()
    with pytest.raises(pyodbc.Error):
        cursor.execute("SELECT id FROM dbo.Long").fetchall()
    opened.close()


# --- the protocol -----------------------------------------------------------------------------------


@pytest.mark.parametrize("encrypt", [True, False])
def test_tls_on_and_off(source: StandIn, driver: str, encrypt: bool) -> None:
    opened = connect(source, driver, encrypt=encrypt)
    try:
        assert value(opened, "SELECT COUNT(*) FROM dbo.Long WHERE text LIKE N'row%'") == 100_000
        assert len(rows(opened, "SELECT * FROM dbo.Long")) == 100_000
    finally:
        opened.close()


def test_many_connections_at_once(source: StandIn, driver: str) -> None:
    found: list[int] = []

    def read() -> None:
        opened = connect(source, driver)
        found.append(len(rows(opened, "SELECT id FROM dbo.Long WHERE id < 20000")))
        opened.close()

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [20_000] * 8


def test_a_query_can_be_given_up(source: StandIn, driver: str) -> None:
    opened = connect(source, driver)
    cursor = opened.cursor()
    cursor.execute("SELECT a.id FROM dbo.Long a CROSS JOIN dbo.Long b")
    assert len(cursor.fetchmany(10)) == 10
    started = time.monotonic()
    cursor.cancel()
    cursor.close()
    assert value(opened, "SELECT 1") == 1
    assert time.monotonic() - started < 20
    opened.close()


def test_transactions(source: StandIn, driver: str) -> None:
    opened = pyodbc.connect(source.connection_string(driver), timeout=10, autocommit=False)
    try:
        assert value(opened, "SELECT COUNT(*) FROM dbo.Secret WHERE 1 = 0 OR @@TRANCOUNT > 5") == 0
    except pyodbc.Error as error:
        assert "229" in str(error)
    rows(opened, "SELECT TOP (1) id FROM dbo.Long")
    opened.commit()
    rows(opened, "SELECT TOP (1) id FROM dbo.Long")
    opened.rollback()
    opened.close()


def test_snapshot_isolation_sees_one_moment(driver: str) -> None:
    table = Table("dbo", "T", (Column("a", Q("int")),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [(1,)]}) as running:
        opened = connect(running, driver)
        rows(opened, "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT 1")
        assert value(opened, "SELECT COUNT(*) FROM dbo.T") == 1
        running.execute("INSERT INTO dbo.T VALUES (2)")
        assert value(opened, "SELECT COUNT(*) FROM dbo.T") == 1
        assert value(opened, "COMMIT TRAN; SELECT COUNT(*) FROM dbo.T") == 2
        opened.close()


def test_rows_leave_before_the_query_ends(source: StandIn, driver: str) -> None:
    # Ten thousand million rows: only a server that streams can begin to answer.
    opened = connect(source, driver)
    cursor = opened.cursor()
    started = time.monotonic()
    cursor.execute("SELECT a.id, a.text FROM dbo.Long a CROSS JOIN dbo.Long b")
    assert cursor.fetchone() is not None
    assert time.monotonic() - started < 20
    cursor.cancel()
    cursor.close()
    opened.close()


# --- the catalog ------------------------------------------------------------------------------------


def test_columns_in_the_catalog(connection: pyodbc.Connection) -> None:
    sql = (
        "SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_identity, c.is_computed, c.collation_name"
        " FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id"
        " WHERE c.object_id = OBJECT_ID(N'[Sales].[a]]b]') ORDER BY c.column_id"
    )
    default = DATABASE.collation
    assert rows(connection, sql) == [
        ("id", "decimal", 9, 10, 0, True, False, None),
        ("select", "nvarchar", 100, 0, 0, False, False, default),
        ("double", "int", 4, 10, 0, False, True, None),
        ("exact", "varchar", 20, 0, 0, False, False, "Latin1_General_BIN2"),
        ("loose", "varchar", 20, 0, 0, False, False, default),
        ("phone", "Phone", 24, 0, 0, False, False, default),
    ]


def test_lengths_of_types_in_the_catalog(connection: pyodbc.Connection) -> None:
    sql = (
        "SELECT c.name, c.system_type_id, c.max_length, c.precision, c.scale FROM sys.columns c"
        " WHERE c.object_id = OBJECT_ID('dbo.Every Type') AND c.name IN"
        " ('c_money', 'c_time7', 'c_offset0', 'c_decimal38', 'c_text', 'c_xml', 'c_nvarchar_max', 'c_rowversion')"
    )
    assert sorted(rows(connection, sql)) == [
        ("c_decimal38", 106, 17, 38, 37),
        ("c_money", 60, 8, 19, 4),
        ("c_nvarchar_max", 231, -1, 0, 0),
        ("c_offset0", 43, 8, 26, 0),
        ("c_rowversion", 189, 8, 0, 0),
        ("c_text", 35, 16, 0, 0),
        ("c_time7", 41, 5, 16, 7),
        ("c_xml", 241, -1, 0, 0),
    ]


CATALOG_QUERIES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT i.name, i.index_id, i.type_desc, i.is_unique, i.is_primary_key, i.has_filter, i.filter_definition"
     " FROM sys.indexes i WHERE i.object_id = OBJECT_ID('Sales.a]b') ORDER BY i.index_id",
     [(None, 0, "HEAP", False, False, False, None), ("PK_Keyed", 2, "NONCLUSTERED", True, True, False, None),
      ("UQ_Keyed", 3, "NONCLUSTERED", True, False, False, None),
      ("IX_Keyed", 4, "NONCLUSTERED", False, False, True, "([loose] IS NOT NULL)")]),
    ("SELECT COL_NAME(object_id, column_id), key_ordinal, is_descending_key, is_included_column FROM sys.index_columns"
     " WHERE object_id = OBJECT_ID('Sales.a]b') AND index_id IN (2, 4) ORDER BY index_id, index_column_id",
     [("id", 1, True, False), ("loose", 1, False, False), ("exact", 0, False, True)]),
    ("SELECT f.name, OBJECT_NAME(f.referenced_object_id), f.delete_referential_action_desc, COUNT(*) FROM"
     " sys.foreign_keys f JOIN sys.foreign_key_columns c ON c.constraint_object_id = f.object_id"
     " GROUP BY f.name, f.referenced_object_id, f.delete_referential_action_desc",
     [("FK_Keyed", "Every Type", "CASCADE", 1)]),
    ("SELECT name, definition, is_not_trusted FROM sys.check_constraints", [("CK_Keyed", "([id]>(-100))", True)]),
    ("SELECT d.name, d.definition, c.name FROM sys.default_constraints d JOIN sys.columns c"
     " ON c.default_object_id = d.object_id", [("DF_x", "(N'new')", "select")]),
    ("SELECT name, definition, is_persisted FROM sys.computed_columns", [("double", "([id]*(2))", False)]),
    ("SELECT CAST(seed_value AS int), CAST(increment_value AS int), CAST(last_value AS bigint)"
     " FROM sys.identity_columns",
     [(10, -2, 4)]),
    ("SELECT CAST(value AS nvarchar(100)), minor_id FROM sys.extended_properties WHERE class = 1 ORDER BY minor_id",
     [("An awkward name.", 0), ("Reserved.", 2)]),
    ("SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('dbo.Long') AND index_id IN (0, 1)",
     [(100_000,)]),
    ("SELECT name FROM sys.types WHERE is_user_defined = 1", [("Phone",)]),
    ("SELECT s.name, t.name, t.temporal_type_desc FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id"
     " WHERE t.is_memory_optimized = 0 AND t.is_ms_shipped = 0 ORDER BY 1, 2",
     [("dbo", "Every Type", "NON_TEMPORAL_TABLE"), ("dbo", "Long", "NON_TEMPORAL_TABLE"),
      ("dbo", "Secret", "NON_TEMPORAL_TABLE"), ("Sales", "a]b", "NON_TEMPORAL_TABLE")]),
    ("SELECT snapshot_isolation_state_desc FROM sys.databases WHERE name = DB_NAME()", [("ON",)]),
)  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), CATALOG_QUERIES, ids=[sql[:50] for sql, _ in CATALOG_QUERIES])
def test_catalog(connection: pyodbc.Connection, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(connection, sql) == expected


def test_traits_are_flags_in_the_catalog(driver: str) -> None:
    def plain(name: str, *traits: str) -> Table:
        return Table("dbo", name, (Column("a", Q("int")),), traits=traits)

    database = Database(
        "shop",
        (
            plain("T", "temporal"),
            plain("THistory", "history"),
            plain("M", "memory-optimised"),
            plain("N", "graph node"),
            plain("E", "graph edge"),
            plain("L", "ledger"),
            plain("X", "external"),
            plain("F", "filetable"),
            plain("P", "partitioned"),
        ),
    )
    with StandIn(database, {}) as running:
        opened = connect(running, driver)
        found = rows(
            opened,
            "SELECT name FROM sys.tables WHERE temporal_type = 2 AND history_table_id = OBJECT_ID('dbo.THistory')"
            " UNION ALL SELECT name FROM sys.tables WHERE is_memory_optimized = 1 OR is_node = 1 OR is_edge = 1"
            " OR ledger_type = 2 OR is_external = 1 OR is_filetable = 1 ORDER BY 1",
        )
        assert [name for (name,) in found] == ["E", "F", "L", "M", "N", "T", "X"]
        assert value(opened, "SELECT COUNT(*) FROM sys.partitions WHERE object_id = OBJECT_ID('P')") == 2
        opened.close()


# --- the shop, the process, T-SQL -------------------------------------------------------------------


def test_the_shop_holds_together() -> None:
    database, given_rows = shop()
    types = {column.type.name for table in database.tables for column in table.columns}
    assert types >= {kind.name for _, kind, *_ in VALUES} - {"numeric"} | {"datetimeoffset"}
    running = StandIn(database, given_rows)
    try:
        assert running.execute('SELECT count(*) FROM dbo."OrderLines"') == [(ORDER_LINE_COUNT,)]
        for table in database.tables:
            for key in table.foreign_keys:
                pairs = " AND ".join(
                    f'o."{other}" = t."{own}"' for own, other in zip(key.columns, key.referenced_columns, strict=True)
                )
                some = " AND ".join(f't."{own}" IS NOT NULL' for own in key.columns)
                orphans = running.execute(
                    f'SELECT count(*) FROM "{table.schema}"."{table.name}" t WHERE {some} AND NOT EXISTS'
                    f' (SELECT 1 FROM "{key.referenced_schema}"."{key.referenced_table}" o WHERE {pairs})'
                )
                assert orphans == [(0,)], key.name
            for unique in (*((table.primary_key,) if table.primary_key else ()), *table.unique):
                names = ", ".join(f'"{column.name}"' for column in unique.columns)
                twins = running.execute(
                    f'SELECT count(*) FROM (SELECT {names} FROM "{table.schema}"."{table.name}"'
                    f" GROUP BY {names} HAVING count(*) > 1)"
                )
                assert twins == [(0,)], unique.name
    finally:
        running.stop()


def test_as_a_process_with_faults(tmp_path: Path, driver: str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(
        json.dumps(
            [
                {"table": "dbo.Settings", "number": 1205, "message": "Deadlocked."},
                {"table": "dbo.Orders", "number": 823, "message": "I/O error.", "after_rows": 100},
            ]
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "standin", "--database", "shop", "--faults", str(faults)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready on port ")
        # Only the words of a connection string are wanted of it.
        words = StandIn(Database("shop", ()), {}, access=Access(port=int(line.split()[-1])))
        opened = connect(words, driver)
        assert "(1205)" in error_of(opened, "SELECT * FROM dbo.Settings")
        assert "(823)" in error_of(opened, "SELECT * FROM dbo.Orders")
        assert value(opened, "SELECT COUNT(*) FROM dbo.Settings") == 5
        assert value(opened, "SELECT DATALENGTH(Picture) FROM dbo.ProductPictures WHERE ProductID = 1") == 3 * 1024**2
        opened.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_tsql_of_the_declared_tables() -> None:
    script = create_script(DATABASE)
    assert "CREATE SCHEMA [Sales]" in script
    (created,) = [text for text in script if text.startswith("CREATE TABLE [Sales].[a]]b]")]
    assert "[id] decimal(10,0) IDENTITY(10,-2) NOT NULL" in created
    assert "[select] nvarchar(50) CONSTRAINT [DF_x] DEFAULT (N'new') NULL" in created
    assert "[double] AS ([id]*(2))" in created
    assert "CONSTRAINT [PK_Keyed] PRIMARY KEY NONCLUSTERED ([id] DESC)" in created
    assert (
        "CREATE NONCLUSTERED INDEX [IX_Keyed] ON [Sales].[a]]b] ([loose]) INCLUDE ([exact])"
        " WHERE ([loose] IS NOT NULL)" in script
    )
    assert "ALTER TABLE [Sales].[a]]b] WITH NOCHECK ADD CONSTRAINT [CK_Keyed] CHECK ([id]>(-100))" in script
    statement, places = insert_statement(KEYED)
    assert "[double]" not in statement
    assert places == [0, 1, 3, 4, 5]
    assert [table.name for table in in_load_order((KEYED, TYPES))] == ["Every Type", "a]b"]


def test_the_declared_tables_on_a_real_server(tsql_server: Mapping[str, str]) -> None:
    found = microsoft_driver()
    if found is None:
        pytest.skip("the microsoft ODBC driver is not installed")
    base = (
        f"DRIVER={{{found}}};Server={tsql_server['MSSQL_HOST']},{tsql_server['MSSQL_PORT']};"
        f"UID={tsql_server['MSSQL_USER']};PWD={tsql_server['MSSQL_PASSWORD']};"
        f"Encrypt={tsql_server['MSSQL_ENCRYPT']};TrustServerCertificate=yes;"
    )
    # What every server that speaks T-SQL can be expected to hold, and compares equal by its driver's values.
    chosen = [
        (column, kind, first, second)
        for column, kind, first, second in VALUES
        if kind.name not in {"timestamp", "uniqueidentifier"} and kind.scale < 20
    ]
    columns = (Column("id", INT, is_nullable=False), *(Column(column, kind) for column, kind, *_ in chosen))
    table = Table("dbo", "Every Type", columns, Key("PK_Types", (KeyColumn("id"),), is_clustered=True))
    name = f"standin_{uuid.uuid4().hex[:8]}"
    database = Database(name, (table, LONG), DATABASE.collation)
    given_rows = {
        "dbo.Every Type": [
            (1, *(first for _, _, first, _ in chosen)),
            (2, *(second for *_, second in chosen)),
            (3, *(None for _ in chosen)),
        ],
        "dbo.Long": "SELECT CAST(i AS INTEGER), 'row ' || i FROM range(1000) AS numbers(i)",
    }
    admin = pyodbc.connect(base + "Database=master;", autocommit=True, timeout=30)
    admin.execute(f"CREATE DATABASE [{name}]")
    try:
        opened = pyodbc.connect(base + f"Database={name};", timeout=30, autocommit=True)
        for statement in create_script(database, with_comments=False, with_others=False):
            opened.execute(statement)
        opened.autocommit = False
        load_rows(opened, database, given_rows)
        with StandIn(database, given_rows) as running:
            mine = connect(running, found)
            for column, *_ in chosen:
                sql = f"SELECT [{column}] FROM dbo.[Every Type] ORDER BY id"
                assert rows(opened, sql) == rows(mine, sql), column
            sql = "SELECT COUNT(*), SUM(id), MAX(text) FROM dbo.Long"
            assert rows(opened, sql) == rows(mine, sql)
            mine.close()
        opened.close()
    finally:
        drop_database(admin, name)
        admin.close()


def test_the_password_is_in_no_message(source: StandIn, driver: str) -> None:
    with pytest.raises(pyodbc.Error) as caught:
        connect(source, driver, UID="somebody")
    assert PASSWORD not in str(caught.value)

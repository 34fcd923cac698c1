"""Expressions and queries give what SQL Server gives."""

from __future__ import annotations

import datetime
import hashlib
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import pyodbc
import pytest

from standin.server import LOGIN
from standin.tsql import split_batch
from standin.tsql.patterns import like_regex
from standin.tsql.sources import PAGE_ROWS
from tests.standin.clients import rows, value

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

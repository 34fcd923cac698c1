"""Tables to measure with, made by T-SQL on the source itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mssql.quoting import quote

_TEN_COLUMNS = (
    "id int NOT NULL, big bigint, amount decimal(18,4), price money, ratio float,"
    " created datetime2(6), code varchar(20), name nvarchar(60), flag bit, uid uniqueidentifier"
)
_TEN_VALUES = (
    "n, CAST(n AS bigint) * 7919, CAST(n % 1000000 AS decimal(18,4)) / 7, CAST(n % 100000 AS money) / 13,"
    " CAST(n AS float) * 1.1, DATEADD(second, n, CAST('2020-01-01' AS datetime2(6))),"
    " CONCAT('code ', n), CONCAT(N'Name number ', n, N' é'), n % 2, NEWID()"
)

#: shape → (columns of CREATE TABLE, SELECT list over a number `n`)
SHAPES: Mapping[str, tuple[str, str]] = {
    "mixed": (f"{_TEN_COLUMNS}, PRIMARY KEY (id)", _TEN_VALUES),
    # What sling makes on the target has no key, so nothing is built there after the rows.
    "keyless": (_TEN_COLUMNS, _TEN_VALUES),
    "narrow": (
        "id int NOT NULL PRIMARY KEY, quantity int, day date",
        "n, n % 1000, DATEADD(day, n % 9000, CAST('2000-01-01' AS date))",
    ),
    "wide": (
        "id int NOT NULL PRIMARY KEY, "
        + ", ".join(
            f"i{i} int, d{i} decimal(12,2), t{i} datetime2(3), v{i} varchar(20), n{i} nvarchar(20)" for i in range(10)
        ),
        "n, "
        + ", ".join(
            f"n % {1000 + i}, CAST(n % {90000 + i} AS decimal(12,2)) / 4,"
            f" DATEADD(minute, n % {500000 + i}, CAST('2001-01-01' AS datetime2(3))),"
            f" CONCAT('v', n % {777 + i}), CONCAT(N'ñ', n % {3333 + i})"
            for i in range(10)
        ),
    ),
    # A skewed first key column: half of all rows are of one region.
    "composite": (
        "region tinyint NOT NULL, code varchar(12) NOT NULL, number int NOT NULL, amount decimal(18,4),"
        " created datetime2(3), name nvarchar(40), quantity int, PRIMARY KEY (region, code, number)",
        "CASE WHEN n % 2 = 0 THEN 1 ELSE n % 11 END, CONCAT('C', n % 5000), n, CAST(n % 1000000 AS decimal(18,4)) / 7,"
        " DATEADD(minute, n % 3000000, CAST('2015-01-01' AS datetime2(3))), CONCAT(N'Name ', n % 100000), n % 1000",
    ),
    "lob": (
        "id int NOT NULL PRIMARY KEY, body nvarchar(max), picture varbinary(max)",
        "n, REPLICATE(CAST(CONCAT(N'Über ', n, N' ') AS nvarchar(max)), 200 + n % 1800),"
        " CAST(REPLICATE(CAST(CONCAT('picture ', n) AS varchar(max)), 500 + n % 4000) AS varbinary(max))",
    ),
}

ROWS_A_STATEMENT = 100_000


def create_shape(connection: Any, shape: str, rows: int, table: str | None = None) -> str:
    """Make `bench_<shape>` with so many rows unless it is there with just as many; returns its name.

    `connection` is a pyodbc connection in autocommit mode.
    """
    name = table or f"bench_{shape}"
    columns, values = SHAPES[shape]
    if _rows(connection, name) == rows:
        return name
    connection.execute(f"DROP TABLE IF EXISTS {quote(name)}")
    connection.execute(f"CREATE TABLE {quote(name)} ({columns})")
    for first, last in _ranges(rows):
        connection.execute(
            "WITH digits AS (SELECT v FROM (VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9)) AS d (v)),"
            " numbers AS (SELECT a.v + 10 * b.v + 100 * c.v + 1000 * d.v + 10000 * e.v AS m"
            " FROM digits a, digits b, digits c, digits d, digits e),"
            f" wanted AS (SELECT m + {first} AS n FROM numbers WHERE m + {first} <= {last})"
            f" INSERT INTO {quote(name)} SELECT {values} FROM wanted"
        )
    return name


def _ranges(rows: int) -> Iterator[tuple[int, int]]:
    for first in range(1, rows + 1, ROWS_A_STATEMENT):
        yield first, min(first + ROWS_A_STATEMENT - 1, rows)


def _rows(connection: Any, name: str) -> int:
    if connection.execute("SELECT OBJECT_ID(?)", name).fetchone()[0] is None:
        return -1
    count: Callable[[], Any] = connection.execute(f"SELECT COUNT_BIG(*) FROM {quote(name)}").fetchone
    return int(count()[0])

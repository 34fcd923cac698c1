"""T-SQL expressions as catalogs store them, with the values Microsoft's documentation gives.

Each entry is data: what kind of expression, its text, the columns it may name, sample rows with the value
each must give, or why it must be refused. The rules are those of the Transact-SQL reference; where a stand-in for SQL
Server gives another value, `stand_in_differs` says so and the documented value stands.
"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from model.catalog import Column, SqlType, Table
from mssql.expressions.assumptions import Assumption

CI = "SQL_Latin1_General_CP1_CI_AS"
"""The collation of a text column whose type names none: SQL Server's own default."""

Row = tuple[object, ...]


class Kind(Enum):
    DEFAULT = "default"
    CHECK = "check"
    COMPUTED = "computed"
    FILTER = "filter"


class Moving(Enum):
    """Expected values that no two calls share."""

    LOCAL_NOW = "the present local time"
    UTC_NOW = "the present time in UTC"
    INSTANT = "the present instant"
    TODAY = "the present local day"
    UUID = "a new identifier"
    UUID_TEXT = "a new identifier in capitals"
    UUID_SMALL = "a new identifier in small letters"
    HEX = "32 hexadecimal capitals"
    HEX8 = "8 hexadecimal capitals"
    NAME = "a name"
    NUMBER = "a number"
    DAY_TEXT = "the present local day, yyyy-mm-dd"
    TOMORROW = "the present local time, a day on"


@dataclass(frozen=True)
class Entry:
    """One expression. `column` is the type of the default's or computed column's own column.

    `values` maps sample rows to results; a default has the one row `()`. `refused` is a part of the reason, `None`
    for a translated entry; `remark` a part of what is said beside its translation. `written` is the T-SQL of which
    Babelfish makes `text`.
    """

    kind: Kind
    text: str
    column: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[Row, object] = field(default_factory=dict)
    refused: str | None = None
    stand_in_differs: str | None = None
    remark: str | None = None
    written: str | None = None

    @property
    def name(self) -> str:
        return f"{self.kind.value} {self.text} {self.column}".strip()


_TYPE = re.compile(r"(?P<name>\w+)(?:\((?P<sizes>[\w,]+)\))?(?: (?P<collation>\w+))?")
_LENGTHS = {"char": 1, "varchar": 1, "nchar": 2, "nvarchar": 2, "binary": 1, "varbinary": 1}


def sql_type(text: str) -> SqlType:
    """`nvarchar(50)`, `decimal(10,2)` or `int` as `sys.columns` shows it."""
    match = _TYPE.fullmatch(text)
    assert match is not None, text
    name, sizes = match["name"], (match["sizes"] or "").split(",")
    if name in _LENGTHS:
        return SqlType(name, -1 if sizes[0] == "max" else int(sizes[0]) * _LENGTHS[name])
    if name in {"decimal", "numeric"}:
        return SqlType(name, 9, int(sizes[0]), int(sizes[1]))
    if name in {"time", "datetime2", "datetimeoffset"}:
        return SqlType(name, 8, scale=int(sizes[0] or 7))
    if name == "float":
        return SqlType(name, 8, 53)
    return SqlType(name)


def column(name: str, text: str) -> Column:
    """A column of a type; text columns get a collation."""
    match = _TYPE.fullmatch(text)
    assert match is not None, text
    is_text = match["name"] in {"char", "varchar", "nchar", "nvarchar", "text", "ntext"}
    return Column(name, sql_type(text), collation=match["collation"] or (CI if is_text else None))


def table(columns: Mapping[str, str]) -> Table:
    return Table("dbo", "t", tuple(column(name, text) for name, text in columns.items()))


def default(
    text: str, column: str, value: object, *, stand_in_differs: str | None = None, remark: str | None = None
) -> Entry:
    return Entry(Kind.DEFAULT, text, column, values={(): value}, stand_in_differs=stand_in_differs, remark=remark)


def check(
    text: str,
    columns: Mapping[str, str],
    values: Mapping[Row, object],
    *,
    stand_in_differs: str | None = None,
    remark: str | None = None,
) -> Entry:
    return Entry(Kind.CHECK, text, "", columns, values, stand_in_differs=stand_in_differs, remark=remark)


def computed(
    text: str,
    column: str,
    columns: Mapping[str, str],
    values: Mapping[Row, object],
    *,
    stand_in_differs: str | None = None,
    remark: str | None = None,
) -> Entry:
    return Entry(Kind.COMPUTED, text, column, columns, values, stand_in_differs=stand_in_differs, remark=remark)


def filtered(
    text: str,
    columns: Mapping[str, str],
    values: Mapping[Row, object],
    *,
    stand_in_differs: str | None = None,
    remark: str | None = None,
) -> Entry:
    return Entry(Kind.FILTER, text, "", columns, values, stand_in_differs=stand_in_differs, remark=remark)


def refused(
    kind: Kind, text: str, because: str, columns: Mapping[str, str] | None = None, column: str = "int"
) -> Entry:
    return Entry(kind, text, column, columns or {}, refused=because)


def _timestamp(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]


_D = Decimal
_BASE = _timestamp(1900, 1, 1)
_DAY = _timestamp(2026, 2, 28, 13, 45, 59, 997000)

_CONSTANTS = (
    default("((0))", "int", 0),
    default("((-1))", "int", -1),
    default("((-1))", "smallint", -1),
    default("((1))", "bit", True),
    default("((0))", "bit", False),
    default("('true')", "bit", True),
    default("('FALSE')", "bit", False),
    default("(CONVERT([bit],(0)))", "bit", False),
    default("(CONVERT([bit],(1)))", "int", 1),
    default("('x')", "varchar(10)", "x"),
    default("(N'new')", "nvarchar(20)", "new"),
    default("('it''s')", "varchar(20)", "it's"),
    default(r"('a\b')", "varchar(20)", r"a\b"),
    default("('')", "varchar(20)", ""),
    default("(N'Grüße 😀')", "nvarchar(20)", "Grüße 😀"),
    default("('ab')", "char(4)", "ab  "),
    default("('abc  ')", "varchar(3)", "abc"),
    default("(NULL)", "int", None),
    default("(NULL)", "varchar(10)", None),
    default("((0))", "varchar(10)", "0"),
    default("((-15))", "varchar(10)", "-15"),
    default("((1.50))", "varchar(10)", "1.50"),
    default("('0')", "int", 0),
    default("('')", "int", 0),
    default("('12.50')", "decimal(10,2)", _D("12.50")),
    default("((1.5))", "money", _D("1.5000")),
    default("($0.00)", "money", _D("0.0000")),
    default("((2.5))", "int", 2),
    default("((-2.5))", "int", -2),
    default("($2.5)", "int", 3, stand_in_differs="rounds money half to even"),
    default("((1.005))", "decimal(10,2)", _D("1.01")),
    default("((1e0))", "float", 1.0),
    default("((0.1))", "float", 0.1),
    default("((0))", "real", 0.0),
    default("((3000000000.))", "bigint", 3000000000),
    default("((2147483648))", "bigint", 2147483648),
    default("((99999999999999999999999999999999999999))", "decimal(38,0)", _D("9" * 38)),
    default("(0x00)", "varbinary(10)", b"\0"),
    default("(0xABC)", "varbinary(10)", b"\x0a\xbc"),
    default("(0x01)", "binary(4)", b"\x01\0\0\0"),
    default("(0x)", "varbinary(10)", b""),
    default("(0x01)", "int", 1),
    default("((1))", "varbinary(4)", b"\0\0\0\1"),
    default(
        "('6F9619FF-8B86-D011-B42D-00C04FC964FF')",
        "uniqueidentifier",
        uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    ),
    default("('1900-01-01')", "datetime", _BASE),
    default("('')", "datetime", _BASE),
    default("('')", "date", dt.date(1900, 1, 1), stand_in_differs="refuses an empty date"),
    default("((0))", "datetime", _BASE),
    default("((-1))", "datetime", _timestamp(1899, 12, 31)),
    default("('20200131')", "datetime", _timestamp(2020, 1, 31)),
    default("('20200102 10:20:30.123')", "datetime", _timestamp(2020, 1, 2, 10, 20, 30, 123000)),
    default(
        "('20200102 10:20:30.999')",
        "datetime",
        _timestamp(2020, 1, 2, 10, 20, 31),
    ),
    default(
        "('20200102 10:20:30.124')",
        "datetime",
        _timestamp(2020, 1, 2, 10, 20, 30, 123000),
    ),
    default("('2020-01-02T03:04:05')", "datetime", _timestamp(2020, 1, 2, 3, 4, 5)),
    default("('2020-01-02')", "date", dt.date(2020, 1, 2)),
    default("('2020-01-02 03:04:05.123')", "datetime2(3)", _timestamp(2020, 1, 2, 3, 4, 5, 123000)),
    default("('12/31/9999')", "datetime", _timestamp(9999, 12, 31)),
    default("('9999-12-31')", "datetime2(7)", _timestamp(9999, 12, 31)),
    default("('20200101 10:20:30')", "smalldatetime", _timestamp(2020, 1, 1, 10, 21)),
    default("('10:20')", "time(0)", dt.time(10, 20)),
    default("(CONVERT([datetime],'01/02/2020',(103)))", "datetime", _timestamp(2020, 2, 1)),
    default("(CONVERT([datetime],'01/02/2020',(101)))", "datetime", _timestamp(2020, 1, 2)),
    default("(CONVERT([date],'20200102',(112)))", "date", dt.date(2020, 1, 2)),
    default(
        "('2020-01-02 03:04:05 +02:00')",
        "datetimeoffset(0)",
        dt.datetime(2020, 1, 2, 1, 4, 5, tzinfo=dt.timezone.utc),
    ),
    default("((60)*(24))", "int", 1440),
    default("((7)/(2))", "int", 3),
    default("((-7)/(2))", "int", -3),
    default("((-7)%(3))", "int", -1),
    default("(N'a'+N'b')", "nvarchar(10)", "ab"),
    default("(CONVERT([varchar](2),'abc'))", "varchar(10)", "ab"),
    default("(CONVERT([char](3),'a'))", "varchar(10)", "a  "),
    default("(CONVERT([decimal](10,2),(1.239)))", "decimal(10,4)", _D("1.2400")),
    default("(CAST((5) AS [decimal](5,1)))", "varchar(10)", "5.0"),
    default("(upper('abc'))", "varchar(10)", "ABC"),
    default("(char((13)))", "char(1)", "\r"),
    default("(isnull(NULL,(5)))", "int", 5),
)

_MOVING = (
    default("(getdate())", "datetime", Moving.LOCAL_NOW),
    default("(getdate())", "datetime2(7)", Moving.LOCAL_NOW),
    default("(getdate())", "date", Moving.TODAY),
    default("(CURRENT_TIMESTAMP)", "datetime", Moving.LOCAL_NOW),
    default("(sysdatetime())", "datetime2(7)", Moving.LOCAL_NOW),
    default("(getutcdate())", "datetime", Moving.UTC_NOW),
    default("(sysutcdatetime())", "datetime2(7)", Moving.UTC_NOW),
    default("(sysdatetimeoffset())", "datetimeoffset(7)", Moving.INSTANT),
    default("(CONVERT([date],getdate()))", "date", Moving.TODAY),
    default("(CONVERT([datetime],CONVERT([date],getdate())))", "date", Moving.TODAY),
    default("(dateadd(day,(1),getdate()))", "datetime", Moving.TOMORROW),
    default("(getdate()+(1))", "datetime", Moving.TOMORROW),
    default("(dateadd(day,datediff(day,(0),getdate()),(0)))", "date", Moving.TODAY),
    default("(CONVERT([varchar](10),getdate(),(120)))", "varchar(10)", Moving.DAY_TEXT),
    default("(CONVERT([varchar](10),getdate(),(23)))", "varchar(10)", Moving.DAY_TEXT),
    default("(datepart(year,getdate()))", "int", Moving.NUMBER),
    default("(newid())", "uniqueidentifier", Moving.UUID),
    default("(newid())", "varchar(36)", Moving.UUID_TEXT),
    default("(newsequentialid())", "uniqueidentifier", Moving.UUID),
    default(
        "(replace(newid(),'-',''))", "varchar(50)", Moving.HEX, stand_in_differs="refuses REPLACE of a uniqueidentifier"
    ),
    default("(left(newid(),(8)))", "varchar(8)", Moving.HEX8),
    default("(CONVERT([varchar](36),newid()))", "varchar(36)", Moving.UUID_TEXT),
    default("(user_name())", "nvarchar(128)", Moving.NAME),
    default("(suser_sname())", "nvarchar(128)", Moving.NAME),
    default("(NEXT VALUE FOR [dbo].[corpus_seq])", "bigint", Moving.NUMBER),
)

_INT = {"a": "int"}
_TWO = {"a": "int", "b": "int"}
_TEXT = {"s": "varchar(20)"}
_NTEXT = {"s": "nvarchar(20)"}
_BINARY = {"s": "varchar(20) Latin1_General_BIN2"}

_CHECKS = (
    check("([a]>(0))", _INT, {(1,): True, (0,): False, (None,): None}),
    check("([a]>=(0) AND [a]<=(100))", _INT, {(0,): True, (101,): False, (None,): None}),
    check("([a]<>(0) OR [b] IS NULL)", _TWO, {(0, None): True, (0, 1): False, (None, None): True, (None, 1): None}),
    check("(NOT ([a]=(1) AND [b]=(2)))", _TWO, {(1, 2): False, (1, 3): True, (None, 3): True, (None, 2): None}),
    check("([a] IN ((1), (2)))", _INT, {(1,): True, (3,): False, (None,): None}),
    check("([a] BETWEEN (1) AND (3))", _INT, {(1,): True, (4,): False}),
    check("([a] NOT BETWEEN (1) AND (3))", _INT, {(1,): False, (4,): True}),
    check("([a]!<(5))", _INT, {(5,): True, (4,): False}),
    check("([a]>=([b]-(5)))", _TWO, {(5, 10): True, (4, 10): False}),
    check("([f]=(1))", {"f": "bit"}, {(True,): True, (False,): False, (None,): None}),
    check("([f]='true')", {"f": "bit"}, {(True,): True, (False,): False}),
    check("([f]<(2))", {"f": "bit"}, {(True,): True, (False,): True}, stand_in_differs="compares as bits"),
    check("([a]%(2)=(0))", _INT, {(4,): True, (-3,): False}),
    check("([a]/(2)=(1))", _INT, {(3,): True, (2,): True, (4,): False, (-3,): False}),
    check("([a]='5')", _INT, {(5,): True, (6,): False}),
    check("([a]>(0.5))", _INT, {(1,): True, (0,): False}),
    check("([p]*[a]<=(100.5))", {"p": "decimal(10,2)", "a": "int"}, {(_D("33.50"), 3): True, (_D("33.51"), 3): False}),
    check("([m]>=(0))", {"m": "money"}, {(_D("0.0001"),): True, (_D("-0.0001"),): False}),
    check("([x]>=(0) AND [x]<(1.5))", {"x": "float"}, {(1.25,): True, (1.5,): False}),
    check("([x]=(0.1))", {"x": "real"}, {(0.1,): True}),
    check("([s]='Open')", _TEXT, {("open",): True, ("OPEN  ",): True, ("Opened",): False, (None,): None}),
    check("([s] IN ('Open','Closed'))", _TEXT, {("closed",): True, ("x",): False}),
    check("([s]<>'')", _TEXT, {("",): False, ("  ",): False, ("x",): True}),
    check("([s]='Open')", _BINARY, {("Open",): True, ("open",): False, ("Open ",): True}),
    check("([s]=N'Open')", _NTEXT, {("oPEN ",): True, ("x",): False}),
    check("([s]='AB')", {"s": "char(4)"}, {("ab",): True, ("abc",): False}),
    check("(upper([s])='ABC')", _TEXT, {("abc",): True, ("abd",): False}),
    check("(len([s])=(3))", _TEXT, {("abc  ",): True, (" bc",): True, ("ab ",): False, (None,): None}),
    check(
        "(len([s])=(2))",
        _NTEXT,
        {("😀",): True, ("é ",): False, ("éé",): True},
        stand_in_differs="LEN counts characters",
    ),
    check(
        "(datalength([s])=(6))",
        _NTEXT,
        {("abc",): True, ("ab ",): True, ("ab",): False},
        stand_in_differs="UTF-8 bytes",
    ),
    check("([s] LIKE 'A%')", _TEXT, {("abc",): True, ("bac",): False, ("",): False}),
    check("([s] LIKE '%@%.%')", _TEXT, {("a@b.c",): True, ("a@b",): False}),
    check("([s] LIKE '[A-Z][0-9][0-9]')", _TEXT, {("a12",): True, ("Z99",): True, ("112",): False, ("a1",): False}),
    check("(NOT [s] LIKE '%[^0-9]%')", _TEXT, {("123",): True, ("12a",): False, ("",): True}),
    check("([s] LIKE '[0-9]_' OR [s] LIKE '10[%]')", _TEXT, {("1x",): True, ("10%",): True, ("10x",): False}),
    check("([s] LIKE '50!%%' ESCAPE '!')", _TEXT, {("50% off",): True, ("500",): False}),
    check("([s] LIKE 'a_c')", _BINARY, {("abc",): True, ("aBc",): True, ("Abc",): False}),
    check("([s] LIKE 'ab')", _TEXT, {("ab",): True, ("AB",): True, ("abc",): False}),
    check("([s] LIKE N'x_')", _NTEXT, {("xy",): True, ("x",): False, ("xyz",): False}),
    check("([s] LIKE '[^0-9]%')", _TEXT, {("a1",): True, ("1a",): False}),
    check("([s] LIKE '[A-Z][A-Z]')", {"s": "char(2)"}, {("ab",): True, ("a1",): False, ("a",): False}),
    check("(charindex('@',[s])>(1))", _TEXT, {("a@b",): True, ("@b",): False, ("ab",): False}),
    check("(charindex('B',[s])=(2))", _TEXT, {("abc",): True, ("ABC",): True, ("xyz",): False}),
    check("(isnull([a],(0))>=(0))", _INT, {(None,): True, (-1,): False}),
    check("(coalesce([a],[b]) IS NOT NULL)", _TWO, {(None, None): False, (None, 1): True}),
    check("([d]>='20200101')", {"d": "date"}, {(dt.date(2020, 1, 1),): True, (dt.date(2019, 12, 31),): False}),
    check(
        "([d]>='2020-01-01')",
        {"d": "datetime2(3)"},
        {(_timestamp(2020, 1, 1),): True, (_timestamp(2019, 12, 31),): False},
    ),
    check(
        "([d]<=[e])",
        {"d": "datetime", "e": "datetime"},
        {(_BASE, _DAY): True, (_DAY, _BASE): False, (None, _DAY): None},
    ),
    check(
        "([d]<=[e])",
        {"d": "date", "e": "datetime"},
        {(dt.date(2026, 2, 28), _DAY): True, (dt.date(2026, 3, 1), _DAY): False},
    ),
    check("(datediff(day,[d],[e])<=(30))", {"d": "datetime", "e": "datetime"}, {(_DAY, _timestamp(2026, 3, 30)): True}),
    check("(year([d])>(2000))", {"d": "datetime"}, {(_DAY,): True, (_BASE,): False}),
    check("(datepart(month,[d])=(2))", {"d": "date"}, {(dt.date(2026, 2, 1),): True, (dt.date(2026, 3, 1),): False}),
    check("([d]<getdate())", {"d": "datetime"}, {(_BASE,): True, (_timestamp(9999, 1, 1),): False}),
    check(
        "([g]<>'00000000-0000-0000-0000-000000000000')",
        {"g": "uniqueidentifier"},
        {(uuid.UUID(int=0),): False, (uuid.UUID(int=1),): True},
    ),
    check("(case when [a]>(5) then [b] else (1) end=(1))", _TWO, {(6, 1): True, (6, 2): False, (1, 9): True}),
    check("([a]&(1)=(1))", _INT, {(3,): True, (2,): False}),
    check("([a b]]c]>(0))", {"a b]c": "int"}, {(1,): True}, stand_in_differs="]] in brackets is a syntax error there"),
    check("([A]>(0))", _INT, {(1,): True}),
    filtered("([a] IS NOT NULL)", _INT, {(1,): True, (None,): False}),
    filtered("([a]=(1) AND [b]>(0))", _TWO, {(1, 1): True, (1, 0): False}),
    filtered("([a] IN ((1), (2)))", _INT, {(2,): True, (3,): False}),
    filtered("([s]='A')", _TEXT, {("a ",): True, ("b",): False}),
    filtered("([f]=(0))", {"f": "bit"}, {(False,): True, (True,): False}),
    filtered("([d]>='20200101')", {"d": "datetime"}, {(_DAY,): True, (_BASE,): False}),
)

_SUFFIX = {"s": "varchar(20)", "n": "int"}

_COMPUTED = (
    computed("([a]*[b])", "int", _TWO, {(3, 4): 12, (None, 1): None}),
    computed("([a]/(2))", "int", _INT, {(7,): 3, (-7,): -3}),
    computed("([a]%(3))", "int", _INT, {(7,): 1, (-7,): -1}),
    computed("(-[a])", "int", _INT, {(7,): -7}),
    computed("([p]*[a])", "decimal(21,2)", {"p": "decimal(10,2)", "a": "int"}, {(_D("1.25"), 3): _D("3.75")}),
    computed("([p]*(0.2))", "decimal(12,3)", {"p": "decimal(10,2)"}, {(_D("1.25"),): _D("0.250")}),
    computed("([p]*(10)/(100))", "decimal(19,6)", {"p": "decimal(10,2)"}, {(_D("1.25"),): _D("0.125000")}),
    computed("([p]%(3))", "decimal(3,2)", {"p": "decimal(10,2)"}, {(_D("-7.50"),): _D("-1.50")}),
    computed("([m]*[a])", "money", {"m": "money", "a": "int"}, {(_D("1.2345"), 2): _D("2.4690")}),
    computed("([x]*(2))", "float", {"x": "float"}, {(1.25,): 2.5}),
    computed(
        "(round([p],(1)))",
        "decimal(10,2)",
        {"p": "decimal(10,2)"},
        {(_D("1.25"),): _D("1.30"), (_D("-1.25"),): _D("-1.30")},
    ),
    computed("(round([p],(1),(1)))", "decimal(10,2)", {"p": "decimal(10,2)"}, {(_D("1.29"),): _D("1.20")}),
    computed(
        "(round([a],(-1)))",
        "int",
        _INT,
        {(15,): 20, (14,): 10, (-15,): -20},
        stand_in_differs="ROUND of int gives a decimal",
    ),
    computed("(ceiling([p]))", "decimal(10,0)", {"p": "decimal(10,2)"}, {(_D("1.01"),): _D(2), (_D("-1.99"),): _D(-1)}),
    computed("(floor([p]))", "decimal(10,0)", {"p": "decimal(10,2)"}, {(_D("-1.01"),): _D(-2)}),
    computed("(abs([a]))", "int", _INT, {(-5,): 5}),
    computed("(power([a],(2)))", "int", _INT, {(-5,): 25}),
    computed("(sign([a]))", "int", _INT, {(-5,): -1, (0,): 0}),
    computed("(sqrt([a]))", "float", _INT, {(9,): 3.0}),
    computed("(CONVERT([int],[p]))", "int", {"p": "decimal(10,2)"}, {(_D("2.99"),): 2, (_D("-2.99"),): -2}),
    computed(
        "(CONVERT([int],[m]))",
        "int",
        {"m": "money"},
        {(_D("2.5"),): 3, (_D("-2.5"),): -3},
        stand_in_differs="rounds half to even",
    ),
    computed("(CONVERT([int],[x]))", "int", {"x": "float"}, {(2.99,): 2, (-2.99,): -2}),
    computed(
        "(CONVERT([decimal](5,1),[p]))",
        "decimal(5,1)",
        {"p": "decimal(10,2)"},
        {(_D("1.25"),): _D("1.3")},
        stand_in_differs="rounds half to even",
    ),
    computed("(CONVERT([bit],[a]))", "bit", _INT, {(2,): True, (0,): False, (None,): None}),
    computed(
        "(CONVERT([bit],case when [s]='Open' then (1) else (0) end))", "bit", _TEXT, {("OPEN",): True, (None,): False}
    ),
    computed("(case [a] when (1) then 'one' when (2) then 'two' end)", "varchar(3)", _INT, {(1,): "one", (3,): None}),
    computed(
        "(case when [s]=N'A' then (1) else (0) end)",
        "int",
        _NTEXT,
        {("a ",): 1, ("b",): 0},
        remark=Assumption.EQUAL_CHARACTERS.value,
    ),
    computed("(iif([a]>(0),'yes','no'))", "varchar(3)", _INT, {(1,): "yes", (None,): "no"}),
    computed(
        "(isnull([s],'unknown'))",
        "varchar(3)",
        {"s": "varchar(3)"},
        {(None,): "unk", ("ab",): "ab"},
        stand_in_differs="sends a value longer than the type it announces",
    ),
    computed("(coalesce([s],'unknown'))", "varchar(7)", {"s": "varchar(3)"}, {(None,): "unknown"}),
    computed("(isnull([a],(2.9)))", "int", _INT, {(None,): 2}),
    computed("(nullif([a],(0)))", "int", _INT, {(0,): None, (1,): 1}),
    computed("(nullif([s],''))", "varchar(20)", _TEXT, {("",): None, ("  ",): None, ("x",): "x"}),
    computed(
        "(([s]+' ')+[t])",
        "varchar(41)",
        {"s": "varchar(20)", "t": "varchar(20)"},
        {("a", "b"): "a b", ("a", None): None},
    ),
    computed("([s]+'!')", "varchar(5)", {"s": "char(4)"}, {("ab",): "ab  !"}),
    computed("(concat([s],'-',[n]))", "varchar(33)", _SUFFIX, {("a", 1): "a-1", (None, None): "-"}),
    computed(
        "(right('00000'+CONVERT([varchar](10),[a]),(5)))", "varchar(5)", _INT, {(42,): "00042", (123456,): "23456"}
    ),
    computed(
        "(CONVERT([varchar](2),[a]))",
        "varchar(2)",
        _INT,
        {(42,): "42", (123,): "*"},
        stand_in_differs="cuts the number",
    ),
    computed("(left([s],(2)))", "varchar(2)", _TEXT, {("abc",): "ab", ("a",): "a"}),
    computed("(substring([s],(2),(2)))", "varchar(2)", _TEXT, {("abcd",): "bc", ("a",): ""}),
    computed("(substring([s],(0),(3)))", "varchar(3)", _TEXT, {("abcd",): "ab"}),
    computed("(ltrim(rtrim([s])))", "varchar(20)", _TEXT, {("  a b ",): "a b"}),
    computed("(replace([s],'-',''))", "varchar(20)", _TEXT, {("1-2-3",): "123"}),
    computed("(len([s]))", "int", _TEXT, {("ab  ",): 2, ("",): 0}),
    computed("(CONVERT([date],[d]))", "date", {"d": "datetime"}, {(_DAY,): dt.date(2026, 2, 28)}),
    computed("(year([d]))", "int", {"d": "datetime"}, {(_DAY,): 2026}),
    computed("(datepart(quarter,[d]))", "int", {"d": "date"}, {(dt.date(2026, 5, 1),): 2}),
    computed("(datepart(second,[d]))", "int", {"d": "datetime"}, {(_DAY,): 59}),
    computed("(datepart(iso_week,[d]))", "int", {"d": "date"}, {(dt.date(2027, 1, 1),): 53}),
    computed("(datepart(dayofyear,[d]))", "int", {"d": "date"}, {(dt.date(2024, 12, 31),): 366}),
    computed("(dateadd(month,(1),[d]))", "date", {"d": "date"}, {(dt.date(2024, 1, 31),): dt.date(2024, 2, 29)}),
    computed(
        "(dateadd(day,[a],[d]))",
        "date",
        {"d": "date", "a": "int"},
        {(dt.date(2024, 1, 31), -31): dt.date(2023, 12, 31)},
    ),
    computed(
        "(dateadd(year,(1),[d]))",
        "datetime",
        {"d": "datetime"},
        {(_timestamp(2024, 2, 29, 1),): _timestamp(2025, 2, 28, 1)},
    ),
    computed(
        "(dateadd(hour,[a],[d]))", "datetime", {"d": "datetime", "a": "int"}, {(_BASE, 25): _timestamp(1900, 1, 2, 1)}
    ),
    computed(
        "(datediff(day,[d],[e]))",
        "int",
        {"d": "datetime", "e": "datetime"},
        {(_timestamp(2025, 12, 31, 23, 59, 59), _timestamp(2026, 1, 1)): 1},
    ),
    computed(
        "(datediff(year,[d],[e]))",
        "int",
        {"d": "datetime", "e": "datetime"},
        {(_timestamp(2025, 12, 31, 23, 59, 59), _timestamp(2026, 1, 1)): 1},
    ),
    computed(
        "(datediff(month,[d],[e]))",
        "int",
        {"d": "date", "e": "date"},
        {(dt.date(2025, 11, 30), dt.date(2026, 1, 1)): 2, (dt.date(2026, 1, 1), dt.date(2025, 11, 30)): -2},
    ),
    computed(
        "(datediff(hour,[d],[e]))",
        "int",
        {"d": "datetime", "e": "datetime"},
        {
            (_timestamp(2026, 1, 1, 0, 59), _timestamp(2026, 1, 1, 1, 0)): 1,
            (_timestamp(2026, 1, 1, 1), _timestamp(2026, 1, 1)): -1,
        },
    ),
    computed(
        "(datediff(minute,[d],[e]))",
        "int",
        {"d": "datetime", "e": "datetime"},
        {(_timestamp(2026, 1, 1, 0, 0, 59), _timestamp(2026, 1, 2)): 1440},
    ),
    computed(
        "(datediff(week,[d],[e]))",
        "int",
        {"d": "date", "e": "date"},
        {(dt.date(2026, 11, 21), dt.date(2026, 11, 22)): 1, (dt.date(2026, 11, 22), dt.date(2026, 11, 28)): 0},
        stand_in_differs="counts weeks of seven days",
    ),
    computed(
        "(dateadd(day,datediff(day,(0),[d]),(0)))", "datetime", {"d": "datetime"}, {(_DAY,): _timestamp(2026, 2, 28)}
    ),
    computed("(eomonth([d]))", "date", {"d": "date"}, {(dt.date(2024, 2, 1),): dt.date(2024, 2, 29)}),
    computed("(datefromparts([a],(2),(29)))", "date", _INT, {(2024,): dt.date(2024, 2, 29)}),
    computed("(CONVERT([varchar](10),[d],(112)))", "varchar(10)", {"d": "datetime"}, {(_DAY,): "20260228"}),
    computed("(CONVERT([varchar](10),[d],(120)))", "varchar(10)", {"d": "datetime"}, {(_DAY,): "2026-02-28"}),
    computed("(CONVERT([char](7),[d],(120)))", "char(7)", {"d": "datetime"}, {(_DAY,): "2026-02"}),
    computed(
        "(CONVERT([varchar](30),[d],(121)))", "varchar(30)", {"d": "datetime"}, {(_DAY,): "2026-02-28 13:45:59.997"}
    ),
    computed("(CONVERT([varchar](10),[d],(103)))", "varchar(10)", {"d": "date"}, {(dt.date(987, 2, 1),): "01/02/0987"}),
    computed(
        "(CONVERT([varchar](40),[g]))",
        "varchar(40)",
        {"g": "uniqueidentifier"},
        {(uuid.UUID(int=171),): "00000000-0000-0000-0000-0000000000AB"},
    ),
    computed("(~[a])", "int", _INT, {(5,): -6}),
    computed("([a]|(4))", "int", _INT, {(1,): 5}),
    computed("([a]^(5))", "int", _INT, {(1,): 4}),
    computed("([p]+(1))", "decimal(11,2)", {"p": "decimal(10,2)"}, {(_D("1.25"),): _D("2.25")}),
)

_D_, _C_, _G_, _F_ = Kind.DEFAULT, Kind.CHECK, Kind.COMPUTED, Kind.FILTER

_REFUSED = (
    refused(_D_, "('Y')", "is no bit", column="bit"),
    refused(_D_, "('01/02/2020')", "date format", column="date"),
    refused(_D_, "('1752-12-31')", "is no datetime", column="datetime"),
    refused(_D_, "('20200230')", "is no date", column="date"),
    refused(_D_, "('too long')", "longer than varchar(3)", column="varchar(3)"),
    refused(_D_, "(getdate())", "language", column="varchar(30)"),
    refused(_D_, "((300))", "is no tinyint", column="tinyint"),
    refused(_D_, "((12345.6))", "does not fit", column="decimal(5,2)"),
    refused(_D_, "('')", "is no decimal", column="decimal(5,2)"),
    refused(_D_, "('abc')", "is no varbinary", column="varbinary(10)"),
    refused(_D_, "([dbo].[fnDefault]())", "dbo.fnDefault is user-defined"),
    refused(_D_, "(host_name())", "HOST_NAME", column="nvarchar(128)"),
    refused(_D_, "(NEXT VALUE FOR [other].[dbo].[seq])", "other.dbo.seq"),
    refused(_D_, "(NULL) -- none", "comment"),
    refused(_D_, "((1);DROP TABLE x)", "not T-SQL"),
    refused(_D_, "(checksum(newid()))", "CHECKSUM"),
    refused(_D_, "(CONVERT([int],newid()))", "the source refuses"),
    refused(_D_, "((1", "ends in the middle"),
    refused(_D_, "", "is not shown"),
    refused(_C_, "([b]>(0))", "b is not a column", _INT),
    refused(_C_, "([s]>'a')", "put in order", _TEXT),
    refused(_C_, "(datepart(weekday,[d])<>(1))", "DATEFIRST", {"d": "date"}),
    refused(_C_, "(datename(month,[d])='May')", "DATENAME", {"d": "date"}),
    refused(_C_, "(year([o])>(2000))", "datetimeoffset", {"o": "datetimeoffset(7)"}),
    refused(_C_, "([dbo].[fnIsValid]([a])=(1))", "dbo.fnIsValid", _INT),
    refused(_C_, "([a] IN (SELECT [a] FROM [dbo].[x]))", "subquery", _INT),
    refused(_C_, "(EXISTS(SELECT 1))", "subquery", _INT),
    refused(_C_, "([a]=NULL)", "NULL is never true", _INT),
    refused(_C_, "([s] LIKE [t])", "constant pattern", {"s": "varchar(9)", "t": "varchar(9)"}),
    refused(_C_, "([s] LIKE '[!-~]')", "collation's order", _TEXT),
    refused(_C_, "([s] LIKE '[a')", "not clear", _TEXT),
    refused(_C_, "([g]>'00000000-0000-0000-0000-000000000000')", "byte order", {"g": "uniqueidentifier"}),
    refused(_C_, "([a])", "a value stands", _INT),
    refused(_C_, "([x].value('(/a)[1]','int')=(1))", "user-defined", {"x": "xml"}),
    refused(_C_, "([x]=(1))", "type sql_variant", {"x": "sql_variant"}),
    refused(_C_, "([a] AT TIME ZONE 'UTC' IS NULL)", "is given a time zone", _INT),
    refused(_C_, "([a]&[b]+(1)=(1) AND [c]=(1))", "c is not a column", _TWO),
    refused(_G_, "(getdate())", "changes with the time", _INT, "datetime"),
    refused(_G_, "(datediff(year,[d],getdate()))", "changes with the time", {"d": "date"}, "int"),
    refused(_G_, "([m]*[m])", "rounds", {"m": "money"}, "money"),
    refused(_G_, "([a]*[b])", "in the catalog", _TWO, "bigint"),
    refused(_G_, "(CONVERT([varchar](30),[d]))", "language", {"d": "datetime"}, "varchar(30)"),
    refused(_G_, "(CONVERT([varchar](30),[x]))", "not certain", {"x": "float"}, "varchar(30)"),
    refused(_G_, "(CONVERT([datetime],[s]))", "which texts", _TEXT, "datetime"),
    refused(_G_, "(CONVERT([date],[o]))", "datetimeoffset", {"o": "datetimeoffset(7)"}, "date"),
    refused(_G_, "(CONVERT([datetime2](7),[d]))", "compatibility level", {"d": "datetime"}, "datetime2(7)"),
    refused(_G_, "(round([x],(2)))", "binary digits", {"x": "float"}, "float"),
    refused(_G_, "(datename(weekday,[d]))", "DATENAME", {"d": "date"}, "nvarchar(30)"),
    refused(_G_, "(hashbytes('SHA1',[s]))", "HASHBYTES", _TEXT, "varbinary(20)"),
    refused(_F_, "([d]>getdate())", "changes with the time", {"d": "datetime"}),
)

ENTRIES: tuple[Entry, ...] = (*_CONSTANTS, *_MOVING, *_CHECKS, *_COMPUTED, *_REFUSED)

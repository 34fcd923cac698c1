"""Numbers, bytes, padded texts and the casts of old servers as catalogs store them, with the documented values."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Kind, Moving, check, computed, default, filtered, refused

_D = Decimal
_DAY = dt.datetime(2026, 2, 28, 13, 45, 59, 997000)
_UNITS = Assumption.UTF16_UNITS.value
_ROUNDS = "keeps other digits of a quotient"
_LINE = {"UnitPrice": "money", "UnitPriceDiscount": "money", "OrderQty": "smallint"}
_LONG = Assumption.LONG_DECIMALS.value
_CUT = Assumption.QUOTIENTS.value
_LAST = Assumption.LAST_DIGITS.value

_PADDED = (
    check(
        "(upper([Gender])='F' OR upper([Gender])='M')",
        {"Gender": "nchar(1)"},
        {("f",): True, ("M",): True, ("x",): False, (None,): None},
    ),
    check("([Code]<>'AB')", {"Code": "char(4)"}, {("ab",): False, ("abc",): True, ("",): True, (None,): None}),
    check("([Code]<>'AB  ')", {"Code": "nchar(4)"}, {("AB",): False, ("ABC",): True}),
    check("([Code]='      ')", {"Code": "char(4)"}, {("",): True, (" ",): True, ("a",): False}),
    check(
        "([Code] IN ('AB','CD ','EF  '))",
        {"Code": "char(4)"},
        {("ab",): True, ("CD",): True, ("ef",): True, ("EFG",): False},
    ),
    check("(NOT [Code] IN ('X','Y'))", {"Code": "nchar(3)"}, {("x",): False, ("z",): True, (None,): None}),
    check("(lower([Kind])='a' OR [Kind] IS NULL)", {"Kind": "char(1)"}, {("A",): True, ("b",): False, (None,): True}),
    check(
        "(left([Code],(2))='AB')", {"Code": "nchar(5)"}, {("ABCDE",): True, ("AB",): True, ("A",): False}, remark=_UNITS
    ),
    check("(left([Code],(3))='AB')", {"Code": "char(5)"}, {("AB",): True, ("ABC",): False}),
    check("(isnull([Code],'')<>'')", {"Code": "char(4)"}, {(None,): False, ("  ",): False, ("x",): True}),
    check("(isnull([Code],'N')='N')", {"Code": "char(2)"}, {(None,): True, ("n",): True, ("x",): False}),
    check("(ltrim(rtrim([Code]))<>'')", {"Code": "nchar(4)"}, {("",): False, (" x",): True}),
    check("(rtrim([Code])='A B')", {"Code": "char(6)"}, {("A B",): True, ("AB",): False}),
    check(
        "([Style]='U' OR [Style]='M' OR [Style]='W' OR [Style] IS NULL)",
        {"Style": "nchar(2)"},
        {("u",): True, ("W ",): True, ("X",): False, (None,): True},
    ),
    filtered("([Flag]='Y')", {"Flag": "char(1)"}, {("y",): True, ("N",): False, (None,): None}),
    filtered("([State]<>'XX' AND [State] IS NOT NULL)", {"State": "nchar(2)"}, {("NY",): True, ("xx",): False}),
    computed(
        "(case [Gender] when 'M' then (1) when 'F' then (2) else (0) end)",
        "int",
        {"Gender": "nchar(1)"},
        {("m",): 1, ("F",): 2, (None,): 0},
    ),
    computed(
        "(CONVERT([bit],case when [Status]='A' then (1) else (0) end,(0)))",
        "bit",
        {"Status": "char(2)"},
        {("a",): True, ("b",): False, (None,): False},
    ),
    computed(
        "(isnull([Code],'-'))",
        "char(3)",
        {"Code": "char(3)"},
        {(None,): "-  ", ("ab",): "ab "},
        stand_in_differs="sends a value shorter than the type it announces",
    ),
    computed("(left([Code],(2)))", "varchar(2)", {"Code": "char(5)"}, {("A",): "A ", ("ABC",): "AB"}),
    computed("(left([Name],(2)))", "nvarchar(2)", {"Name": "nvarchar(20)"}, {("Abc",): "Ab"}, remark=_UNITS),
    default("('AB')", "nchar(4)", "AB  "),
    default("(N'x ')", "char(3)", "x  "),
)

_STYLES_OF_2005 = (
    computed("(CONVERT([int],[Price],(0)))", "int", {"Price": "decimal(9,2)"}, {(_D("2.99"),): 2, (_D("-2.99"),): -2}),
    computed("(CONVERT([varchar](11),[Number],(0)))", "varchar(11)", {"Number": "int"}, {(-42,): "-42"}),
    computed("(CONVERT([decimal](12,2),[Quantity],(0)))", "decimal(12,2)", {"Quantity": "int"}, {(3,): _D("3.00")}),
    computed("(CONVERT([money],[Amount],(0)))", "money", {"Amount": "decimal(9,2)"}, {(_D("1.25"),): _D("1.2500")}),
    computed("(CONVERT([float],[Number],(0)))", "float", {"Number": "int"}, {(3,): 3.0}),
    computed("(CONVERT([smallint],[Number],(0)))", "smallint", {"Number": "int"}, {(7,): 7}),
    computed("(CONVERT([date],[Moment],(0)))", "date", {"Moment": "datetime"}, {(_DAY,): dt.date(2026, 2, 28)}),
    computed("(CONVERT([nvarchar](20),[Name],(0)))", "nvarchar(20)", {"Name": "nvarchar(20)"}, {("Ann",): "Ann"}),
    computed(
        "('SO'+CONVERT([nvarchar](23),[SalesOrderID],(0)))",
        "nvarchar(25)",
        {"SalesOrderID": "int"},
        {(43659,): "SO43659"},
    ),
    computed(
        "(isnull(N'SO'+CONVERT([nvarchar](23),[SalesOrderID],(0)),N'*** ERROR ***'))",
        "nvarchar(25)",
        {"SalesOrderID": "int"},
        {(43659,): "SO43659"},
    ),
    computed(
        "(isnull('AW'+right('0000000'+CONVERT([varchar](8),[CustomerID],(0)),(8)),''))",
        "varchar(10)",
        {"CustomerID": "int"},
        {(701,): "AW00000701", (12345678,): "AW12345678"},
    ),
    default("(CONVERT([bit],(0),(0)))", "bit", False),
    default("(CONVERT([tinyint],(1),(0)))", "tinyint", 1),
    default("(CONVERT([decimal](10,4),(0),(0)))", "decimal(10,4)", _D("0.0000")),
    default("(CONVERT([varchar](10),(5),(0)))", "varchar(10)", "5"),
    default("(CONVERT([date],getdate(),(0)))", "date", Moving.TODAY),
    default(
        "(CONVERT([smalldatetime],CONVERT([varchar](10),getdate(),(101)),(0)))",
        "date",
        Moving.TODAY,
        stand_in_differs="wants the format of style 0 in the text",
    ),
    check("(CONVERT([int],[Ratio],(0))=(1))", {"Ratio": "decimal(5,2)"}, {(_D("1.99"),): True, (_D("2.00"),): False}),
)

_NUMBERS = (
    computed(
        "(isnull(([UnitPrice]*((1.0)-[UnitPriceDiscount]))*[OrderQty],(0.0)))",
        "decimal(38,6)",
        _LINE,
        {
            (_D("2024.9940"), _D("0.0000"), 1): _D("2024.994000"),
            (_D("1.0001"), _D("0.3333"), 3): _D("2.000301"),
            (None, _D("0.0000"), 1): _D("0.000000"),
        },
        remark=_LONG,
        stand_in_differs="keeps all digits",
    ),
    computed(
        "(isnull(([SubTotal]+[TaxAmt])+[Freight],(0)))",
        "money",
        {"SubTotal": "money", "TaxAmt": "money", "Freight": "money"},
        {(_D("1.0000"), _D("0.0800"), _D("0.0250")): _D("1.1050"), (None, _D("1.0000"), _D("1.0000")): _D("0.0000")},
    ),
    computed(
        "([Price]*[Rate])",
        "decimal(38,6)",
        {"Price": "decimal(28,10)", "Rate": "decimal(28,10)"},
        {(_D("1.0000010000"), _D("1.5000000000")): _D("1.500002")},
        remark=_LONG,
        stand_in_differs="keeps all digits",
    ),
    computed(
        "([a]*[b])",
        "decimal(38,17)",
        {"a": "decimal(30,20)", "b": "decimal(30,20)"},
        {(_D("0.0000009000"), _D("1.0000000000")): _D("0.00000090000000000")},
        remark=_LONG,
        stand_in_differs="keeps all digits",
    ),
    computed(
        "([a]+[b])",
        "decimal(38,9)",
        {"a": "decimal(38,9)", "b": "decimal(38,10)"},
        {(_D("1.000000000"), _D("0.0000000004")): _D("1.000000000")},
        remark=_LONG,
        stand_in_differs="keeps all digits",
    ),
    computed(
        "([p]/(12))",
        "decimal(14,6)",
        {"p": "decimal(10,2)"},
        {(_D("20.00"),): _D("1.666666"), (_D("-20.00"),): _D("-1.666666")},
        remark=_CUT,
        stand_in_differs=_ROUNDS,
    ),
    computed(
        "([p]/[q])",
        "decimal(23,13)",
        {"p": "decimal(10,2)", "q": "decimal(10,2)"},
        {(_D("2.00"), _D("3.00")): _D("0.6666666666666")},
        remark=_CUT,
        stand_in_differs=_ROUNDS,
    ),
    computed(
        "([p]/nullif([n],(0)))",
        "decimal(21,13)",
        {"p": "decimal(10,2)", "n": "int"},
        {(_D("2.00"), 3): _D("0.6666666666666"), (_D("2.00"), 0): None},
        remark=_CUT,
        stand_in_differs=_ROUNDS,
    ),
    computed("([p]/(2))", "decimal(14,6)", {"p": "decimal(10,2)"}, {(_D("1.25"),): _D("0.625000")}),
    computed("([p]/(1.25))", "decimal(16,6)", {"p": "decimal(10,2)"}, {(_D("1.00"),): _D("0.800000")}),
    computed("([n]/(100.0))", "decimal(16,6)", {"n": "int"}, {(125,): _D("1.250000")}),
    computed(
        "(([n]*(100.0))/[m])",
        "decimal(28,12)",
        {"n": "int", "m": "int"},
        {(1, 3): _D("33.333333333333")},
        remark=_CUT,
        stand_in_differs=_ROUNDS,
    ),
    computed(
        "([Quantity]*[UnitPrice])",
        "decimal(24,2)",
        {"Quantity": "int", "UnitPrice": "decimal(13,2)"},
        {(3, _D("1.25")): _D("3.75")},
    ),
    computed(
        "([UnitPrice]*[Quantity]*((1)-[Discount]))",
        "decimal(32,4)",
        {"Quantity": "int", "UnitPrice": "decimal(13,2)", "Discount": "decimal(5,2)"},
        {(3, _D("1.25"), _D("0.10")): _D("3.3750")},
    ),
    computed("(CONVERT([float],[a])/[b])", "float", {"a": "int", "b": "int"}, {(1, 4): 0.25}),
    computed(
        "(CONVERT([float],[p])*[x])",
        "float",
        {"p": "decimal(10,2)", "x": "float"},
        {(_D("1.25"), 2.0): 2.5},
        remark=_LAST,
    ),
    computed("(CONVERT([decimal](18,4),[a])/(1000))", "decimal(23,9)", {"a": "int"}, {(1,): _D("0.001000000")}),
    computed("(log10([x]))", "float", {"x": "float"}, {(1000.0,): 3.0}, remark=_LAST),
    computed("(log([x]))", "float", {"x": "float"}, {(1.0,): 0.0}, remark=_LAST),
    computed("(log([x],(2)))", "float", {"x": "float"}, {(8.0,): 3.0}, remark=_LAST),
    computed("(exp([x]))", "float", {"x": "float"}, {(0.0,): 1.0}, remark=_LAST),
    computed("(square([x]))", "float", {"x": "float"}, {(1.5,): 2.25}),
    computed("([w]/square([h]))", "float", {"w": "float", "h": "float"}, {(81.0, 1.8): 25.0}),
    computed("(power([x],(2)))", "float", {"x": "float"}, {(1.5,): 2.25}, remark=_LAST),
    computed("((pi()*[r])*[r])", "float", {"r": "float"}, {(1.0,): 3.141592653589793}, remark=_LAST),
    computed(
        "(CONVERT([varchar](20),[m]))",
        "varchar(20)",
        {"m": "smallmoney"},
        {(_D("1234.5600"),): "1234.56"},
        remark=Assumption.MONEY_TEXTS.value,
        stand_in_differs="writes four digits",
    ),
    computed("(CONVERT([varchar](20),[m],(2)))", "varchar(20)", {"m": "smallmoney"}, {(_D("1234.5600"),): "1234.5600"}),
    check(
        "([Rate]>=(6.50) AND [Rate]<=(200.00))", {"Rate": "money"}, {(_D("6.5000"),): True, (_D("200.0001"),): False}
    ),
    check(
        "([UnitPriceDiscount]>=(0.00))",
        {"UnitPriceDiscount": "money"},
        {(_D("0.0000"),): True, (_D("-0.0001"),): False},
    ),
    check(
        "([Amount]*[Rate]<=(1000000))",
        {"Amount": "decimal(38,10)", "Rate": "decimal(38,10)"},
        {(_D("1000.0"), _D("1000.0")): True, (_D("1000.0"), _D("1000.1")): False},
        remark=_LONG,
    ),
    check("(round([p],(2))=[p])", {"p": "decimal(10,4)"}, {(_D("1.2500"),): True, (_D("1.2501"),): False}),
    check("([s]=(1))", {"s": "varchar(10)"}, {("1",): True, (" 1 ",): True, ("",): False, ("2",): False}),
    check("([Code]>(0))", {"Code": "char(5)"}, {("12",): True, ("0",): False}),
)

_BINARIES = (
    default(
        "(CONVERT([varbinary](8),'0x0123AB',(1)))",
        "varbinary(8)",
        b"\x01\x23\xab",
        stand_in_differs="ignores the style",
    ),
    default(
        "(CONVERT([varbinary](max),'0123ab',(2)))",
        "varbinary(max)",
        b"\x01\x23\xab",
        stand_in_differs="ignores the style",
    ),
    default("(CONVERT([binary](4),'0x01',(1)))", "binary(4)", b"\x01\0\0\0", stand_in_differs="ignores the style"),
    default("(CONVERT([varbinary](10),'abc'))", "varbinary(10)", b"abc"),
    default("(CONVERT([varbinary](10),N'ab'))", "varbinary(10)", b"a\0b\0", stand_in_differs="takes UTF-8 bytes"),
    default("(CONVERT([binary](8),(1),(0)))", "binary(8)", b"\0\0\0\0\0\0\0\1"),
    computed(
        "(CONVERT([varchar](10),[Hash],(1)))",
        "varchar(10)",
        {"Hash": "binary(4)"},
        {(b"\x01\xab\0\xff",): "0x01AB00FF"},
        stand_in_differs="writes bytes",
    ),
    computed(
        "(CONVERT([char](8),[Hash],(2)))",
        "char(8)",
        {"Hash": "varbinary(4)"},
        {(b"\x01\xab\0\xff",): "01AB00FF"},
        stand_in_differs="writes bytes",
    ),
    computed(
        "(CONVERT([varchar](max),[Blob],(1)))",
        "varchar(max)",
        {"Blob": "varbinary(max)"},
        {(b"\xab",): "0xAB"},
        stand_in_differs="writes bytes",
    ),
)

_MORE = (
    check(
        "([a]^[b]=(1))",
        {"a": "bit", "b": "bit"},
        {(True, False): True, (True, True): False, (None, True): None},
        stand_in_differs="has no ^ for bits",
    ),
    check("([a]&[b]=(1))", {"a": "int", "b": "bit"}, {(3, True): True, (2, True): False}),
    computed(
        "(format([p],'0.00','en-US'))",
        "nvarchar(4000)",
        {"p": "decimal(9,3)"},
        {(_D("1234.565"),): "1234.57"},
        stand_in_differs="lacks the locales that FORMAT asks for",
    ),
    check(
        "(format([m],'N2','en-US')='1,234.50')",
        {"m": "money"},
        {(_D("1234.5000"),): True, (_D("1.0000"),): False},
        stand_in_differs="lacks the locales that FORMAT asks for",
    ),
    computed(
        "([a]*[b])",
        "decimal(38,6)",
        {"a": "decimal(30,10)", "b": "decimal(30,10)"},
        {(_D("0.0000009000"), _D("1.0000000000")): _D("0.000001")},
        remark=_LONG,
        stand_in_differs="keeps all digits",
    ),
    computed("(power((10),[n]))", "int", {"n": "int"}, {(3,): 1000, (-1,): 0}),
    computed(
        "([m]/(3))",
        "money",
        {"m": "money"},
        {(_D("2.0000"),): _D("0.6666"), (_D("-2.0000"),): _D("-0.6666")},
        remark=_CUT,
    ),
    computed(
        "([m]/[n])",
        "money",
        {"m": "money", "n": "money"},
        {(_D("100.0000"), _D("339.0000")): _D("0.2949")},
        remark=_CUT,
    ),
    computed(
        "(choose([n],'low','mid','high'))",
        "varchar(4)",
        {"n": "tinyint"},
        {(1,): "low", (3,): "high", (4,): None},
        stand_in_differs="sends a value longer than the type it announces",
    ),
    computed("(str([n],(5)))", "varchar(5)", {"n": "int"}, {(42,): "   42", (123456,): "*****"}),
    computed("(CONVERT([decimal](8,0),CONVERT([varchar](8),[n])))", "decimal(8,0)", {"n": "smallint"}, {(42,): _D(42)}),
    computed("(CONVERT([bigint],[v]))", "bigint", {"v": "binary(8)"}, {(b"\0\0\0\0\0\0\1\2",): 258}),
    default(
        "(CONVERT([uniqueidentifier],0xFF19966F868B11D0B42D00C04FC964FF))",
        "uniqueidentifier",
        uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    ),
    check(
        "([g]<>CONVERT([uniqueidentifier],CONVERT([binary](16),(0))))",
        {"g": "uniqueidentifier"},
        {(uuid.UUID(int=0),): False, (uuid.UUID(int=1),): True},
    ),
    check("([v]=0x01)", {"v": "binary(2)"}, {(b"\1\0",): True, (b"\1\1",): False}),
    check("([v]<>0x)", {"v": "varbinary(8)"}, {(b"\1",): True, (b"",): False}, remark=Assumption.BINARY_ZEROS.value),
)

_D_, _C_, _G_, _F_ = Kind.DEFAULT, Kind.CHECK, Kind.COMPUTED, Kind.FILTER

_REPORTED = (
    refused(_D_, "(CONVERT([varbinary](4),'0x012',(1)))", "is no varbinary", column="varbinary(4)"),
    refused(_G_, "(CONVERT([int],[s]))", "which texts", {"s": "varchar(10)"}, "int"),
    refused(_G_, "(CONVERT([decimal](10,2),[x]))", "15 digits", {"x": "float"}, "decimal(10,2)"),
    refused(_G_, "(CONVERT([varchar](20),[x],(2)))", "not certain", {"x": "float"}, "varchar(20)"),
    refused(_G_, "(CONVERT([varchar](20),[m],(1)))", "comma", {"m": "money"}, "varchar(20)"),
    refused(_G_, "(format([x],'N2'))", "not translated", {"x": "float"}, "nvarchar(4000)"),
    refused(_G_, "(format([n],'N0'))", "language", {"n": "int"}, "nvarchar(4000)"),
    refused(_C_, "(format([m],'#,##0.00','de-de')='1,00')", "de-de", {"m": "money"}),
    refused(_G_, "(format([p],'C'))", "culture", {"p": "decimal(9,2)"}, "nvarchar(4000)"),
    refused(_G_, "(rand([n]))", "RAND", {"n": "int"}, "float"),
)

ENTRIES: tuple[Entry, ...] = (*_PADDED, *_STYLES_OF_2005, *_NUMBERS, *_BINARIES, *_MORE, *_REPORTED)

"""Checks, computed columns and defaults of line-of-business schemas as catalogs store them, with their values.

See `expression_corpus` for what an entry is: people, orders, stock, documents, bookings, accounts.
"""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Kind, Moving, check, computed, default, filtered, refused

_D = Decimal
_DAY = dt.datetime(2026, 2, 28, 13, 45)
_LATER = dt.datetime(2026, 3, 1)

#: people and their papers
_PEOPLE = (
    check(
        "([Gender]=N'M' OR [Gender]=N'F' OR [Gender]=N'X')",
        {"Gender": "nchar(1)"},
        {("m",): True, ("q",): False, (None,): None},
    ),
    check("(upper([Sex])='F' OR upper([Sex])='M')", {"Sex": "nchar(1)"}, {("f",): True, ("x",): False}),
    check("(upper([MaritalStatus]) IN ('S','M','D','W'))", {"MaritalStatus": "char(1)"}, {("d",): True, ("x",): False}),
    check(
        "([BirthDate]>='19000101' AND [BirthDate]<=dateadd(year,(-18),getdate()))",
        {"BirthDate": "date"},
        {(dt.date(1980, 5, 5),): True, (dt.date(1880, 1, 1),): False, (dt.date(9990, 1, 1),): False},
    ),
    check("([Email] like '%_@__%.__%')", {"Email": "nvarchar(100)"}, {("joe@acme.org",): True, ("joe@a",): False}),
    check(
        "(NOT [Login] like '%[^a-z0-9._-]%')",
        {"Login": "varchar(30)"},
        {("j.doe-1",): True, ("j doe",): False, ("",): True},
        stand_in_differs="has no hyphen at the end of a set",
    ),
    check(
        "(len([Password])>=(8) AND patindex('%[0-9]%',[Password])>(0))",
        {"Password": "nvarchar(64)"},
        {("abcdefg1",): True, ("abcdefgh",): False, ("a1",): False},
    ),
    check(
        "([Zip] like '[0-9][0-9][0-9][0-9][0-9]' OR [Zip] like '[0-9][0-9][0-9][0-9][0-9]-[0-9][0-9][0-9][0-9]')",
        {"Zip": "varchar(10)"},
        {("12345",): True, ("12345-6789",): True, ("1234",): False},
    ),
    check(
        "([Postcode] like '[A-Z][0-9][A-Z] [0-9][A-Z][0-9]')",
        {"Postcode": "char(7)"},
        {("K1A 0B1",): True, ("K1A0B1",): False},
    ),
    check(
        "([Iban] like '[A-Z][A-Z][0-9][0-9]%' AND len([Iban])>=(15))",
        {"Iban": "varchar(34)"},
        {("DE89370400440532013000",): True, ("DE1",): False},
    ),
    check(
        "([Phone] like '+[1-9]%' AND NOT [Phone] like '%[^+0-9 ]%')",
        {"Phone": "varchar(20)"},
        {("+49 30 123",): True, ("030",): False, ("+49-30",): False},
    ),
    check("([State] like '[A-Z][A-Z]')", {"State": "char(2)"}, {("NY",): True, ("n1",): False}),
    check(
        "([Grade]>='A' AND [Grade]<='F')",
        {"Grade": "char(1)"},
        {("b",): True, ("F",): True, ("g",): False, ("1",): False, (None,): None},
    ),
    check("([Level]>='0' AND [Level]<='9')", {"Level": "char(1)"}, {("7",): True, ("x",): False}),
    check(
        "([Row] between 'A' and 'K' OR [Row] IS NULL)",
        {"Row": "nchar(1)"},
        {("c",): True, ("z",): False, (None,): True},
    ),
    check("(NOT [Row] between 'A' and 'K')", {"Row": "varchar(1)"}, {("c",): False, ("z",): True}),
    check("([Age] like '[1-9]%')", {"Age": "int"}, {(42,): True, (-1,): False}),
    computed(
        "(([FirstName]+N' ')+[LastName])",
        "nvarchar(101)",
        {"FirstName": "nvarchar(50)", "LastName": "nvarchar(50)"},
        {("Ann", "Lee"): "Ann Lee", ("Ann", None): None},
    ),
    computed(
        "(ltrim(isnull([Title]+N' ',N'')+[LastName]))",
        "nvarchar(59)",
        {"Title": "nvarchar(8)", "LastName": "nvarchar(50)"},
        {(None, "Lee"): "Lee", ("Dr.", "Lee"): "Dr. Lee"},
    ),
    computed(
        "(left([FirstName],(1))+left([LastName],(1)))",
        "nvarchar(2)",
        {"FirstName": "nvarchar(50)", "LastName": "nvarchar(50)"},
        {("Ann", "Lee"): "AL"},
    ),
    computed(
        "(upper([Email]))",
        "nvarchar(256)",
        {"Email": "nvarchar(256)"},
        {("a@b.c",): "A@B.C"},
        remark=Assumption.LETTER_CASE.value,
    ),
    computed(
        "(substring([Email],charindex(N'@',[Email])+(1),(256)))",
        "nvarchar(256)",
        {"Email": "nvarchar(256)"},
        {("a@b.c",): "b.c"},
    ),
    computed(
        "(case when [Nick] IS NULL OR [Nick]='' then [Name] else [Nick] end)",
        "varchar(30)",
        {"Nick": "varchar(20)", "Name": "varchar(30)"},
        {("", "Bob"): "Bob", ("B", "Bob"): "B"},
    ),
    computed("('***-**-'+right([Ssn],(4)))", "varchar(11)", {"Ssn": "char(11)"}, {("123-45-6789",): "***-**-6789"}),
)

#: orders, prices, stock
_ORDERS = (
    check("([Status]>=(0) AND [Status]<=(8))", {"Status": "tinyint"}, {(8,): True, (9,): False}),
    check(
        "([DueDate]>=[OrderDate])",
        {"DueDate": "datetime", "OrderDate": "datetime"},
        {(_LATER, _DAY): True, (_DAY, _LATER): False},
    ),
    check(
        "([ShipDate]>=[OrderDate] OR [ShipDate] IS NULL)",
        {"ShipDate": "datetime", "OrderDate": "datetime"},
        {(None, _DAY): True},
    ),
    check("([Freight]>=(0.00))", {"Freight": "money"}, {(_D("0.00"),): True, (_D("-0.01"),): False}),
    check("([Discount]>=(0) AND [Discount]<=(1))", {"Discount": "real"}, {(0.15,): True, (1.5,): False}),
    check("([Wage]>=(6.50) AND [Wage]<=(200.00))", {"Wage": "money"}, {(_D("6.50"),): True, (_D("6.49"),): False}),
    check(
        "([Quantity]>(0) AND [Quantity]%[PackSize]=(0))",
        {"Quantity": "int", "PackSize": "int"},
        {(12, 6): True, (13, 6): False},
    ),
    check(
        "([Paid]=(0) OR [PaidOn] IS NOT NULL)",
        {"Paid": "bit", "PaidOn": "date"},
        {(True, None): False, (False, None): True},
    ),
    check(
        "(case when [BuyerId] IS NULL then (0) else (1) end+case when [SellerId] IS NULL then (0) else (1) end=(1))",
        {"BuyerId": "int", "SellerId": "int"},
        {(1, None): True, (1, 2): False, (None, None): False},
    ),
    check(
        "(isnull([Debit],(0))*isnull([Credit],(0))=(0))",
        {"Debit": "decimal(19,4)", "Credit": "decimal(19,4)"},
        {(_D("1.0000"), None): True, (_D("1.0000"), _D("2.0000")): False},
    ),
    check(
        "([Sku] like '[A-Z][A-Z]-[0-9][0-9][0-9][0-9]%')",
        {"Sku": "varchar(25)"},
        {("BK-1234-R",): True, ("BK1234",): False},
    ),
    check(
        "(NOT [Sku] like '%[^0-9A-Z-]%')",
        {"Sku": "varchar(25)"},
        {("BK-1",): True, ("BK 1",): False},
        stand_in_differs="has no hyphen at the end of a set",
    ),
    check("([Class] IN ('H','M','L'))", {"Class": "nchar(2)"}, {("H",): True, ("X",): False}),
    check(
        "([Size]<>N'' OR [SizeUnit] IS NULL)",
        {"Size": "nvarchar(5)", "SizeUnit": "nchar(3)"},
        {("", "CM"): False, ("1", "CM"): True},
    ),
    check(
        "([StartsAt]<[EndsAt] AND datediff(hour,[StartsAt],[EndsAt])<=(24))",
        {"StartsAt": "datetime", "EndsAt": "datetime"},
        {(_DAY, _LATER): True, (_LATER, _DAY): False},
    ),
    check(
        "([Barcode] IS NULL OR len([Barcode])=(8) OR len([Barcode])=(13))",
        {"Barcode": "varchar(13)"},
        {("12345678",): True, ("123",): False, (None,): True},
    ),
    check(
        "([Currency]=upper([Currency]) collate Latin1_General_BIN2 AND len([Currency])=(3))",
        {"Currency": "char(3)"},
        {("EUR",): True, ("eur",): False},
        remark=Assumption.LETTER_CASE.value,
    ),
    computed(
        "([Quantity]*[UnitPrice])",
        "money",
        {"Quantity": "smallint", "UnitPrice": "money"},
        {(3, _D("1.2500")): _D("3.7500")},
    ),
    computed(
        "(isnull(([SubTotal]+[Tax])+[Freight],(0)))",
        "money",
        {"SubTotal": "money", "Tax": "money", "Freight": "money"},
        {(_D("1.0000"), _D("0.1900"), _D("2.0000")): _D("3.1900"), (None, None, None): _D("0.0000")},
    ),
    computed(
        "('SO'+right('000000'+CONVERT([varchar](10),[Id]),(6)))", "varchar(8)", {"Id": "int"}, {(42,): "SO000042"}
    ),
    computed(
        "(isnull(N'PO'+CONVERT([nvarchar](23),[Id],0),N'*** Error ***'))",
        "nvarchar(25)",
        {"Id": "int"},
        {(42,): "PO42"},
    ),
    computed(
        "([Prefix]+'-'+replicate('0',(5)-len([Number]))+[Number])",
        "varchar(8000)",
        {"Prefix": "varchar(3)", "Number": "varchar(5)"},
        {("AB", "42"): "AB-00042"},
    ),
    computed(
        "(case [Status] when (1) then N'new' when (2) then N'paid' when (3) then N'sent' else N'unknown' end)",
        "nvarchar(7)",
        {"Status": "tinyint"},
        {(2,): "paid", (9,): "unknown"},
    ),
    computed(
        "(CONVERT([bit],case when [Stock]<=[ReorderLevel] then (1) else (0) end))",
        "bit",
        {"Stock": "int", "ReorderLevel": "int"},
        {(1, 2): True, (3, 2): False},
    ),
    computed(
        "(datediff(day,[OrderDate],[ShipDate]))",
        "int",
        {"OrderDate": "datetime", "ShipDate": "datetime"},
        {(_DAY, _LATER): 1},
    ),
    computed(
        "([Cost]*[Factor])",
        "decimal(16,4)",
        {"Cost": "decimal(10,2)", "Factor": "decimal(5,2)"},
        {(_D("10.00"), _D("1.19")): _D("11.9000")},
    ),
    computed("(choose([Quarter],'Q1','Q2','Q3','Q4'))", "varchar(2)", {"Quarter": "int"}, {(2,): "Q2", (5,): None}),
    computed(
        "(iif([Balance]<(0),'D','C'))",
        "varchar(1)",
        {"Balance": "money"},
        {(_D("-1.0000"),): "D", (_D("1.0000"),): "C"},
    ),
    computed(
        "(rtrim([Code])+'/'+[Sub])", "varchar(13)", {"Code": "char(10)", "Sub": "char(2)"}, {("AB", "1"): "AB/1 "}
    ),
    filtered("([Status]<>'Closed')", {"Status": "varchar(10)"}, {("open",): True, ("CLOSED",): False}),
    filtered("([Email] IS NOT NULL AND [Email]<>'')", {"Email": "nvarchar(100)"}, {("",): False, ("a",): True}),
    filtered("([IsDeleted]=(0))", {"IsDeleted": "bit"}, {(False,): True, (True,): False}),
    filtered("([DeletedAt] IS NULL)", {"DeletedAt": "datetime2(7)"}, {(None,): True, (_DAY,): False}),
    filtered("([Sku] like 'A%')", {"Sku": "varchar(9)"}, {("a1",): True, ("b1",): False}),
)

#: documents, logs, settings
_DOCUMENTS = (
    check("(datalength([Content])<=(10485760))", {"Content": "varbinary(max)"}, {(b"abc",): True, (None,): None}),
    check("(datalength([Note])<=(8000))", {"Note": "nvarchar(max)"}, {("abc",): True}),
    check(
        "(len([Title])>(0) AND [Title]=ltrim(rtrim([Title])))",
        {"Title": "nvarchar(200)"},
        {("a b",): True, ("",): False},
    ),
    check(
        "(charindex('<',[Title])=(0) AND charindex('>',[Title])=(0))",
        {"Title": "nvarchar(200)"},
        {("a",): True, ("<b>",): False},
    ),
    check("(NOT [Path] like '%[?*\"|]%')", {"Path": "nvarchar(260)"}, {("a/b.txt",): True, ("a?",): False}),
    check(
        "([Path] like '_:\\\\%' OR [Path] like '\\\\\\\\%')",
        {"Path": "varchar(260)"},
        {("C:\\\\x",): True, ("\\\\\\\\srv\\\\x",): True, ("x",): False},
    ),
    check("([FileName] like '%.[a-z][a-z][a-z]')", {"FileName": "varchar(100)"}, {("a.PDF",): True, ("a.p",): False}),
    check(
        "([Url] like 'http://%' OR [Url] like 'https://%')",
        {"Url": "varchar(200)"},
        {("https://x",): True, ("ftp://x",): False},
    ),
    check("([Mask] like '%[%]%')", {"Mask": "varchar(20)"}, {("5%",): True, ("5",): False}),
    check(
        "([Slug]=lower([Slug]) collate Latin1_General_BIN2)",
        {"Slug": "varchar(50)"},
        {("a-b",): True, ("A-b",): False},
        remark=Assumption.LETTER_CASE.value,
    ),
    check("(isjson([Payload])=(1))", {"Payload": "nvarchar(max)"}, {('{"a":1}',): True, ("a",): False}),
    check(
        "(json_value([Payload],'$.version')='2')",
        {"Payload": "nvarchar(max)"},
        {('{"version":2}',): True, ('{"version":"1"}',): False},
    ),
    check(
        "([Key]<>'00000000-0000-0000-0000-000000000000')",
        {"Key": "uniqueidentifier"},
        {(uuid.UUID(int=1),): True, (uuid.UUID(int=0),): False},
    ),
    check(
        "([Level] IN (N'Trace',N'Info',N'Warning',N'Error'))",
        {"Level": "nvarchar(10)"},
        {("INFO",): True, ("fatal",): False},
    ),
    check(
        "([Colour] like '#[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]')",
        {"Colour": "char(7)"},
        {("#00FFaa",): True, ("#00FFg0",): False},
    ),
    check(
        "([Ip] like '[0-9]%.[0-9]%.[0-9]%.[0-9]%' AND NOT [Ip] like '%[^0-9.]%')",
        {"Ip": "varchar(15)"},
        {("10.0.0.1",): True, ("10.0.0",): False},
    ),
    check(
        "(len([Ip])-len(replace([Ip],'.',''))=(3))", {"Ip": "varchar(15)"}, {("10.0.0.1",): True, ("10.0.0",): False}
    ),
    check("([Flags]&(3)<>(3))", {"Flags": "int"}, {(1,): True, (7,): False}),
    check("([Text]>'')", {"Text": "nvarchar(50)"}, {("a",): True, (" ",): False}),
    check(
        "(nullif(ltrim(rtrim([Text])),'') IS NOT NULL)",
        {"Text": "nvarchar(50)"},
        {("a",): True, ("  ",): False, (None,): False},
    ),
    check(
        "([Old]<>[New] OR [Old] IS NULL)",
        {"Old": "nvarchar(50)", "New": "nvarchar(50)"},
        {("a", "A"): False, ("a", "b"): True, (None, "b"): True},
    ),
    computed(
        "(json_value([Payload],'$.customer.name'))",
        "nvarchar(4000)",
        {"Payload": "nvarchar(max)"},
        {('{"customer":{"name":"Lee"}}',): "Lee"},
    ),
    computed(
        "(json_query([Payload],'$.tags'))",
        "nvarchar(max)",
        {"Payload": "nvarchar(max)"},
        {('{"tags":["a","b"]}',): '["a","b"]'},
        stand_in_differs="writes JSON anew",
    ),
    computed(
        "(right([FileName],charindex('.',reverse([FileName]))))",
        "varchar(100)",
        {"FileName": "varchar(100)"},
        {("a.b.pdf",): ".pdf"},
    ),
    computed("(replace(lower([Title]),' ','-'))", "nvarchar(4000)", {"Title": "nvarchar(200)"}, {("A B c",): "a-b-c"}),
    computed("(datalength([Content])/(1024))", "bigint", {"Content": "varbinary(max)"}, {(b"a" * 2048,): 2}),
    computed(
        "(case when [Title] like '[0-9]%' then '#' else left([Title],(1)) end)",
        "nvarchar(1)",
        {"Title": "nvarchar(200)"},
        {("1a",): "#", ("Ab",): "A"},
    ),
    computed("(quotename([Name]))", "nvarchar(258)", {"Name": "nvarchar(128)"}, {("a]b",): "[a]]b]"}),
    computed(
        "(charindex([Part],[Whole]))",
        "int",
        {"Part": "varchar(5)", "Whole": "varchar(20)"},
        {("B", "abc"): 2, ("", "abc"): 0, ("x", "abc"): 0},
    ),
    computed(
        "(stuff([Card],(1),(12),'************'))",
        "varchar(28)",
        {"Card": "char(16)"},
        {("1234567890123456",): "************3456"},
    ),
    computed(
        "(concat_ws('/',[Folder],[FileName]))",
        "nvarchar(360)",
        {"Folder": "nvarchar(260)", "FileName": "nvarchar(99)"},
        {(None, "a"): "a", ("x", "a"): "x/a"},
    ),
    default("(N'{}')", "nvarchar(max)", "{}"),
    default("(N'[]')", "nvarchar(max)", "[]"),
    default("(N'en-US')", "nvarchar(10)", "en-US"),
    default("('N/A')", "varchar(10)", "N/A"),
    default("(N'O''Neil')", "nvarchar(20)", "O'Neil"),
    default("('100%')", "varchar(10)", "100%"),
    default("(N'—')", "nvarchar(5)", "—"),
    default("(user_name())", "varchar(50)", Moving.NAME),
    default("(CONVERT([varchar](50),suser_sname()))", "varchar(50)", Moving.NAME),
    default("(left(suser_sname(),(30)))", "varchar(30)", Moving.NAME),
    default("(right(suser_sname(),len(suser_sname())-charindex('\\\\',suser_sname())))", "varchar(30)", Moving.NAME),
    default("(substring(CONVERT([varchar](255),newid()),(1),(8)))", "varchar(8)", Moving.HEX8),
    default("(CONVERT([char](36),newid()))", "char(36)", Moving.UUID_TEXT),
    default("(upper(CONVERT([varchar](36),newid())))", "varchar(36)", Moving.UUID_TEXT),
    refused(Kind.CHECK, "([dbo].[IsValidIban]([Iban])=(1))", "user-defined", {"Iban": "varchar(34)"}),
    refused(Kind.CHECK, "([Name]>='A' AND [Name]<'N')", "put in order", {"Name": "nvarchar(50)"}),
    check(
        "(try_convert([int],[Code]) IS NOT NULL)",
        {"Code": "varchar(20)"},
        {("12",): True, (" -7 ",): True, ("12.5",): False, ("x",): False, ("",): True, ("99999999999",): False},
        remark=Assumption.TRIED_NUMBERS.value,
        stand_in_differs="takes an empty text for no number",
    ),
    check(
        "(try_cast([Code] as [decimal](5,2))>(0))",
        {"Code": "varchar(9)"},
        {("1.239",): True, ("-1",): False, ("x",): None, ("1000",): None},
    ),
    computed(
        "(try_convert([decimal](5,2),[Code]))",
        "decimal(5,2)",
        {"Code": "varchar(9)"},
        {("1.24",): _D("1.24"), ("x",): None},
    ),
    check(
        "(isnumeric([Code])=(1))",
        {"Code": "varchar(9)"},
        {
            ("12",): True,
            ("-1.5",): True,
            ("1e4",): True,
            ("$1,000",): True,
            ("a",): False,
            ("",): False,
            (None,): False,
        },
        stand_in_differs="takes $ and commas for no number",
        remark=Assumption.NUMERIC_TEXTS.value,
    ),
    refused(Kind.COMPUTED, "(try_convert([date],[Code]))", "no counterpart", {"Code": "varchar(9)"}, "date"),
    refused(Kind.DEFAULT, "(object_name(@@procid))", "source's catalog", column="nvarchar(128)"),
    refused(Kind.DEFAULT, "(@@trancount)", "PostgreSQL does not have", column="int"),
    refused(Kind.DEFAULT, "(connectionproperty('client_net_address'))", "source's connections", column="varchar(48)"),
)

#: the everyday defaults, as (text, type, value)
_DEFAULTS: tuple[tuple[str, str, object], ...] = (
    ("((0))", "smallint", 0),
    ("((0))", "tinyint", 0),
    ("((0))", "bigint", 0),
    ("((1))", "smallint", 1),
    ("((1))", "tinyint", 1),
    ("((1))", "int", 1),
    ("((100))", "int", 100),
    ("((-1))", "bigint", -1),
    ("((0))", "decimal(18,2)", _D("0.00")),
    ("((0.0))", "decimal(18,4)", _D("0.0000")),
    ("((0.00))", "money", _D("0.0000")),
    ("((0))", "money", _D("0.0000")),
    ("((0))", "smallmoney", _D("0.0000")),
    ("((1.00))", "decimal(5,2)", _D("1.00")),
    ("((0))", "float", 0.0),
    ("((0.5))", "float", 0.5),
    ("((1))", "real", 1.0),
    ("((0.19))", "decimal(4,3)", _D("0.190")),
    ("('N')", "char(1)", "N"),
    ("('Y')", "char(1)", "Y"),
    ("(N'N')", "nchar(1)", "N"),
    ("('new')", "varchar(20)", "new"),
    ("('NEW')", "nvarchar(20)", "NEW"),
    ("(N'')", "nvarchar(50)", ""),
    ("('')", "char(3)", "   "),
    ("(' ')", "varchar(5)", " "),
    ("('EUR')", "char(3)", "EUR"),
    ("('en')", "char(2)", "en"),
    ("('0')", "char(1)", "0"),
    ("('0')", "varchar(2)", "0"),
    ("('1')", "bit", True),
    ("(CONVERT([bit],(0),0))", "bit", False),
    ("('00:00:00')", "time(0)", dt.time(0, 0)),
    ("('19000101')", "datetime", dt.datetime(1900, 1, 1)),
    ("('19000101')", "date", dt.date(1900, 1, 1)),
    ("('99991231')", "datetime2(0)", dt.datetime(9999, 12, 31)),
    ("('2000-01-01T00:00:00')", "datetime", dt.datetime(2000, 1, 1)),
    ("(0x0)", "varbinary(8)", b"\0"),
    ("('Unknown')", "varchar(50)", "Unknown"),
    ("(N'?')", "nvarchar(1)", "?"),
    ("('-')", "varchar(1)", "-"),
    ("((2)*(7))", "int", 14),
    ("((24)*(60)*(60))", "int", 86400),
    ("('a;b')", "varchar(5)", "a;b"),
    ("(CONVERT([nvarchar](10),N'x'))", "nvarchar(10)", "x"),
    ("(CONVERT([int],(5)))", "int", 5),
    ("(CONVERT([decimal](9,2),(0)))", "decimal(9,2)", _D("0.00")),
    ("(CONVERT([money],(0)))", "money", _D("0.0000")),
    ("((1e0))", "varchar(30)", "1"),
    ("((1.5e2))", "nvarchar(30)", "150"),
    ("((2.5e-1))", "varchar(30)", "0.25"),
)

#: everyday checks of one number, as (text, value that passes, value that does not)
_NUMBERS = (
    ("([n]>(0))", 1, 0),
    ("([n]>=(1))", 1, 0),
    ("([n]<(100))", 99, 100),
    ("([n]<=(12) AND [n]>=(1))", 12, 13),
    ("([n]<>(0))", -1, 0),
    ("([n]=(1) OR [n]=(2) OR [n]=(3))", 3, 4),
    ("([n]>=(1900) AND [n]<=(2999))", 2026, 3000),
    ("((0)<=[n])", 0, -1),
    ("([n] between (0) and (23))", 23, 24),
    ("(NOT [n]<(0))", 0, -1),
    ("([n]%(10)=(0))", 20, 21),
    ("([n]*(2)<=(10))", 5, 6),
    ("([n]+(1)>(0))", 0, -1),
    ("(abs([n])<=(90))", -90, 91),
    ("([n] IN ((10),(20),(30)))", 20, 25),
    ("([n]=(0) OR [n]>=(1000))", 1000, 999),
    ("(sign([n])>=(0))", 0, -2),
    ("([n]!>(5))", 5, 6),
    ("([n]!=(7))", 6, 7),
    ("(([n]&(1))=(1))", 3, 2),
    ("([n]>(-1))", 0, -1),
    ("([n]<=(2147483647) AND [n]>(9))", 10, 9),
)

_EVERYDAY = (
    *(default(text, type_, value) for text, type_, value in _DEFAULTS),
    *(check(text, {"n": "int"}, {(good,): True, (bad,): False, (None,): None}) for text, good, bad in _NUMBERS),
)

ENTRIES: tuple[Entry, ...] = (*_PEOPLE, *_ORDERS, *_DOCUMENTS, *_EVERYDAY)

"""T-SQL expressions over texts, patterns, JSON and sessions as catalogs store them, with their documented values.

See `expression_corpus` for what an entry is. Behind these are the checks, defaults and computed columns of
line-of-business schemas, and the forms in which Babelfish stores them.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Kind, Moving, check, computed, default, filtered, refused

_D = Decimal
_TEXT = {"s": "varchar(20)"}
_NTEXT = {"s": "nvarchar(20)"}
_BINARY = {"s": "varchar(20) Latin1_General_BIN2"}
_WINDOWS = {"s": "nvarchar(20) Latin1_General_CI_AS"}
_CASED = {"s": "nvarchar(20) Latin1_General_CS_AS"}
_DANISH = {"s": "nvarchar(20) Danish_Norwegian_CI_AS"}
_TURKISH = {"s": "nvarchar(20) Turkish_CI_AS"}
_ACCENTLESS = {"s": "nvarchar(20) Latin1_General_CI_AI"}

#: Babelfish reads a range by the codes of characters
_NO_ACCENTS = "has only ASCII letters in a range"
_NOT_T_SQL = "it is what Babelfish writes, not what it reads"
_NO_COLLATION = "has no such collation"
_NO_HYPHEN = "has no hyphen at the end of a set"
_RANGES = Assumption.RANGES.value
_UNITS = Assumption.UTF16_UNITS.value
_CASE = Assumption.LETTER_CASE.value

#: LIKE and its sets: codes, postal codes, numbers of insurances, addresses
_PATTERNS = (
    check("([s] LIKE '[0-9][0-9][0-9][0-9][0-9]')", _TEXT, {("12345",): True, ("1234É",): False, ("1234",): False}),
    check(
        "([s] LIKE '[0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9]')",
        {"s": "char(11)"},
        {("123-45-6789",): True, ("123-45-678",): False, ("12E-45-6789",): False},
    ),
    check(
        "(NOT [s] like '%[^0-9]%')",
        _NTEXT,
        {("12345",): True, ("12É45",): False, ("12-45",): False, ("",): True, (None,): None},
    ),
    check(
        "(NOT [s] like '%[^A-Za-z]%')",
        _WINDOWS,
        {("Émile",): True, ("Zoé",): True, ("a1",): False, ("a b",): False},
        stand_in_differs=_NO_ACCENTS,
    ),
    check(
        "(NOT [s] like '%[^a-z0-9-]%')",
        _TEXT,
        {("ab-9",): True, ("AB-9",): True, ("a_b",): False},
        stand_in_differs=_NO_HYPHEN,
    ),
    check("(NOT [s] like '%[^-a-z0-9]%')", _TEXT, {("ab-9",): True, ("a_b",): False}),
    check("([s] like '[-acdf]%')", _TEXT, {("-x",): True, ("dx",): True, ("bx",): False}),
    check("([s] like '[a-cdf]')", _TEXT, {("b",): True, ("f",): True, ("e",): False}),
    check("([s] like '[a-]')", _TEXT, {("a",): True, ("-",): True, ("b",): False}, stand_in_differs=_NO_HYPHEN),
    check("([s] like '[[]%' AND [s] like '%]')", _TEXT, {("[x]",): True, ("(x)",): False, ("[",): False}),
    check("([s] like 'abc[_]d%')", _TEXT, {("abc_de",): True, ("abcxde",): False}),
    check("([s] like '%[ ]%')", _TEXT, {("a b",): True, ("ab",): False}),
    check(
        "([s] like '[A-Z]%')",
        _WINDOWS,
        {("Émile",): True, ("émile",): True, ("1a",): False, ("Ж",): False},
        stand_in_differs=_NO_ACCENTS,
    ),
    check(
        "([s] like '[A-F]%')",
        _WINDOWS,
        {("Émile",): True, ("Öl",): False, ("Fa",): True, ("g",): False},
        stand_in_differs=_NO_ACCENTS,
    ),
    check("([s] like '[M-Z]%')", _TEXT, {("Öl",): True, ("Émile",): False, ("m",): True}, stand_in_differs=_NO_ACCENTS),
    check(
        "([s] like '[A-Z]%')",
        _DANISH,
        {("Abc",): True, ("1",): False},
        remark="may have them in it",
        stand_in_differs=_NO_COLLATION,
    ),
    check("([s] like '[A-Z]%')", _CASED, {("Bc",): True, ("bc",): True, ("1",): False}, stand_in_differs=_NO_ACCENTS),
    check("([s] like '[A-Z]%')", _BINARY, {("Bc",): True, ("bc",): False, ("É",): False}),
    check("(NOT [s] like '%[^!-~]%')", _BINARY, {("a-b(c)",): True, ("a b",): False, ("é",): False}),
    check(
        "(NOT [s] like '%[^ -~]%')",
        {"s": "nvarchar(20) Latin1_General_BIN"},
        {("a b",): True, ("é",): False},
        stand_in_differs="has é between blank and ~",
    ),
    check("([s] like '[0-9A-F][0-9A-F]')", _TEXT, {("0f",): True, ("FF",): True, ("0g",): False}),
    check("([s] like '[0-Z]%')", _TEXT, {("9",): True, ("q",): True, ("-",): False}),
    check("([s] like 'A!_%' escape '!')", _TEXT, {("a_b",): True, ("axb",): False}),
    check("([s] like 'a!b%' escape '!')", _TEXT, {("abc",): True, ("a!b",): False}),
    check(
        "([s] like '[a!-c]%' escape '!')",
        _TEXT,
        {("a",): True, ("-",): True, ("b",): False, ("c",): True},
        stand_in_differs="knows no ESCAPE within a set",
    ),
    check("([s] like '%@%.[a-z][a-z]%')", _TEXT, {("a@b.de",): True, ("a@b.1e",): False, ("ab.de",): False}),
    check("([s] like '_%@_%._%')", _TEXT, {("a@b.c",): True, ("@b.c",): False, ("a@.c",): False}),
    check("([s] like '+[0-9]%' OR [s] like '00[0-9]%')", _TEXT, {("+49",): True, ("0049",): True, ("49",): False}),
    check("([s] like N'%é%')", _WINDOWS, {("CAFÉ",): True, ("cafe",): False}),
    check("([s]=N'Öl')", _WINDOWS, {("Öl",): True, ("öl ",): True, ("Ol",): False}),
    check("([s]='a')", _ACCENTLESS, {("A",): True, ("b",): False}, remark=Assumption.ACCENTS.value),
    check("(patindex('%[^0-9]%',[s])=(0))", _TEXT, {("123",): True, ("12a",): False, (None,): None}),
    check("(patindex('%[0-9]%',[s])>(0))", _TEXT, {("abc1",): True, ("abc",): False}),
    check("(patindex('[A-Z][A-Z][0-9]%',[s])=(1))", _TEXT, {("AB1",): True, ("xAB1",): False}),
    check("(patindex('%[a-z]%',[s])<>(0))", _WINDOWS, {("1é",): True, ("12",): False}, stand_in_differs=_NO_ACCENTS),
    computed("(patindex('%[0-9]%',[s]))", "int", _TEXT, {("ab12",): 3, ("ab",): 0, ("1",): 1, (None,): None}),
    computed("(patindex('%b_d%',[s]))", "int", _TEXT, {("abcd bxd",): 2, ("bd",): 0}),
    computed("(patindex('%a%b%',[s]))", "int", _TEXT, {("xaab",): 2, ("ba",): 0}),
    computed("(patindex('%-%',[s]))", "int", _NTEXT, {("ab-c",): 3, ("😀-",): 3}, stand_in_differs="counts characters"),
    computed("(patindex('ab%',[s]))", "int", _TEXT, {("abc",): 1, ("xab",): 0, (None,): None}),
    computed(
        "(case when [s] like '[0-9]%' then 'number' else 'name' end)",
        "varchar(6)",
        _TEXT,
        {("1a",): "number", ("É",): "name"},
        remark=_RANGES,
    ),
    computed(
        "(case when [s] like '[A-Z]%' then (1) else (0) end)",
        "int",
        _WINDOWS,
        {("Émile",): 1, ("Žofka",): 0, ("1",): 0},
        stand_in_differs=_NO_ACCENTS,
    ),
    filtered("([s] LIKE '[A-Z]%')", _TEXT, {("b",): True, ("1",): False}),
    refused(Kind.CHECK, "([s] like '[a-z-9]%')", "not clear", _TEXT),
    refused(Kind.CHECK, "([s] like '[z-a]%')", "holds nothing", _TEXT),
    refused(Kind.CHECK, "([s] like '[a-å]%')", "collation's order", _NTEXT),
    refused(Kind.CHECK, "([s] like 'a!' escape '!')", "ends with its ESCAPE", _TEXT),
    check("([s]=N'straße')", _WINDOWS, {("Straße",): True, ("x",): False}, remark=_CASE),
    check("([s]='id')", _TURKISH, {("id",): True, ("İD",): True, ("ID",): False}, stand_in_differs=_NO_COLLATION),
    check("([s] like 'i%')", _TURKISH, {("İa",): True, ("ia",): True, ("Ia",): False}, stand_in_differs=_NO_COLLATION),
    computed("(upper([s]))", "nvarchar(20)", _TURKISH, {("aib",): "AİB"}, remark=_CASE, stand_in_differs=_NO_COLLATION),
    computed("(lower([s]))", "nvarchar(20)", _TURKISH, {("AIB",): "aıb"}, remark=_CASE, stand_in_differs=_NO_COLLATION),
    refused(Kind.CHECK, "([s]=N'アイ')", "rules of its own", _WINDOWS),
    computed(
        "(patindex('%ab',[s]))",
        "int",
        _TEXT,
        {("xab",): 2, ("abx",): 0, (None,): None},
        remark="at the end of a varchar",
    ),
    refused(Kind.FILTER, "([s] LIKE '[A-Z]%')", "follows the order", _DANISH),
)


def _stored(written: str, entry: Entry) -> Entry:
    """An entry whose text is what Babelfish stores of another."""
    return replace(entry, written=written)


_INT = {"a": "int"}
_LIST = {"s": "varchar(20) Latin1_General_CI_AS"}
_MINUS = "CAST('-1' AS int)"

#: what Babelfish 4 stores: the text of `sys.default_constraints`, `check_constraints` and `computed_columns`
_BABELFISH = (
    _stored("0", default("0", "int", 0)),
    _stored("-1", default("CAST('-1' AS int)", "int", -1)),
    _stored("-0.5", default("CAST('-0.5' AS numeric)", "decimal(10,2)", _D("-0.50"))),
    _stored("-1.5", default("CAST('-1.5' AS numeric)", "money", _D("-1.5000"))),
    _stored("'true'", default("'1'", "bit", True)),
    _stored("N'new'", default("CAST(('new') AS nvarchar(3))", "nvarchar(10)", "new")),
    _stored("N'new'", default("CAST(('new') AS nvarchar(3))", "nvarchar(max)", "new")),
    _stored("NULL", default("CAST(NULL AS varchar)", "nvarchar(10)", None)),
    _stored("'it''s'", default("'it''s'", "varchar(20)", "it's")),
    _stored("CONVERT(bit,0)", default("CAST((0) AS bit)", "bit", False)),
    _stored("CAST(0 AS varchar(10))", default("CAST((0) AS varchar(10))", "varchar(10)", "0")),
    _stored("60*24", default("(60 * 24)", "int", 1440)),
    _stored("2147483648", default("'2147483648'", "bigint", 2147483648)),
    _stored("0x00", default("'0x00'", "varbinary(10)", b"\0")),
    _stored("0x01", default("'0x01'", "binary(4)", b"\1\0\0\0")),
    _stored("'a'+'b'", default("('a' + 'b')", "varchar(20)", "ab")),
    _stored("char(13)", default("chr(13)", "char(1)", "\r")),
    _stored("upper('abc')", default("upper('abc')", "varchar(20)", "ABC")),
    _stored("'10:20'", default("'10:20:00'", "time(0)", dt.time(10, 20))),
    _stored("'2020-01-02'", default("'2020-01-02'", "date", dt.date(2020, 1, 2))),
    _stored("getdate()", default("getdate()", "datetime", Moving.LOCAL_NOW)),
    _stored("CURRENT_TIMESTAMP", default("getdate()", "datetime2(6)", Moving.LOCAL_NOW)),
    _stored("sysutcdatetime()", default("sysutcdatetime()", "datetime2(6)", Moving.UTC_NOW)),
    _stored("getdate()+1", default("(getdate() + 1)", "datetime", Moving.TOMORROW)),
    _stored("dateadd(day,1,getdate())", default("dateadd('day', 1, getdate())", "datetime", Moving.TOMORROW)),
    _stored(
        "dateadd(day,datediff(day,0,getdate()),0)",
        default("dateadd('day', datediff('day', 0, getdate()), 0)", "date", Moving.TODAY),
    ),
    _stored(
        "CONVERT(date,getdate())", default("babelfish_conv_helper_to_date(getdate(), false)", "date", Moving.TODAY)
    ),
    _stored(
        "CONVERT(varchar(10),getdate(),120)",
        default(
            "CAST((babelfish_conv_helper_to_varchar('character varying(10)', getdate(), false, 120)) AS varchar(10))",
            "varchar(20)",
            Moving.DAY_TEXT,
        ),
    ),
    _stored("datepart(year,getdate())", default("datepart('year', getdate())", "int", Moving.NUMBER)),
    _stored("newid()", default("newid()", "uniqueidentifier", Moving.UUID)),
    _stored("left(newid(),8)", default('"left"(newid(), 8)', "varchar(20)", Moving.HEX8)),
    _stored("SYSTEM_USER", default('"system_user"()', "nvarchar(128)", Moving.NAME)),
    _stored("session_user", default('"session_user"()', "nvarchar(128)", Moving.NAME)),
    _stored("CURRENT_USER", default("user_name_sysname()", "nvarchar(128)", Moving.NAME)),
    _stored("@@spid", default("spid()", "int", Moving.NUMBER)),
    _stored("a>-1", check(f"((a > {_MINUS}))", _INT, {(0,): True, (-1,): False, (None,): None})),
    _stored("a IN (-1,0,1)", check(f"((a IN ({_MINUS}, 0, 1)))", _INT, {(-1,): True, (2,): False})),
    _stored("a BETWEEN 1 AND 3", check("(((a >= 1) AND (a <= 3)))", _INT, {(1,): True, (4,): False})),
    _stored("a NOT BETWEEN 1 AND 2", check("(((a < 1) OR (a > 2)))", _INT, {(1,): False, (3,): True})),
    _stored("NOT (a=1)", check("((NOT (a = 1)))", _INT, {(1,): False, (3,): True})),
    _stored("[a b]>0", check('(("a b" > 0))', {"a b": "int"}, {(1,): True, (0,): False})),
    _stored("f='true'", check("((f = '1'))", {"f": "bit"}, {(True,): True, (False,): False})),
    _stored("s IN ('Open','Closed')", check("((s IN ('Open', 'Closed')))", _LIST, {("open",): True, ("x",): False})),
    _stored(
        "n IN (N'M',N'F')",
        check("((n IN (CAST(('M') AS nvarchar(1)), CAST(('F') AS nvarchar(1)))))", {"n": "nchar(1)"}, {("m",): True}),
    ),
    _stored(
        "upper(n)='F' OR upper(n)='M'",
        check("(((upper(n) = 'F') OR (upper(n) = 'M')))", {"n": "nchar(1)"}, {("m",): True, ("x",): False}),
    ),
    _stored("s LIKE '[A-Z][0-9]'", check("((s ~~* '[A-Z][0-9]'))", _LIST, {("a1",): True, ("11",): False})),
    _stored("s NOT LIKE '%[^0-9]%'", check("((s !~~* '%[^0-9]%'))", _LIST, {("12",): True, ("1a",): False})),
    _stored("s LIKE '%x'", check("((s ~~* '%x'))", _LIST, {("aX",): True, ("xa",): False})),
    _stored(
        "n LIKE N'%@%.%'",
        check("((n ~~* CAST(('%@%.%') AS nvarchar(5))))", {"n": "nvarchar(20)"}, {("a@b.c",): True, ("ab",): False}),
    ),
    _stored(
        "s LIKE 'A%'",
        check(
            "(((s ~~* 'A%') AND ((s >= 'A') AND (s < ('A' || '\uffff' COLLATE latin1_general_ci_as)))))",
            _LIST,
            {("ab",): True, ("b",): False},
        ),
    ),
    _stored(
        "s NOT LIKE 'ab%'",
        check(
            "(((s !~~* 'ab%') OR (NOT ((s >= 'ab') AND (s < ('ab' || '\uffff' COLLATE latin1_general_ci_as))))))",
            _LIST,
            {("abc",): False, ("b",): True},
        ),
    ),
    _stored(
        "s LIKE '50!%%' ESCAPE '!'",
        check("((s ~~* like_escape('50!%%', '!')))", _LIST, {("50% off",): True, ("500",): False}),
    ),
    _stored("s LIKE 'abc'+'%'", check("((s ~~* ('abc' + '%')))", _LIST, {("abcd",): True, ("ab",): False})),
    _stored(
        "s NOT LIKE 'A%'",
        check("((s !~~ 'A%'))", {"s": "varchar(20) Latin1_General_CS_AS"}, {("ab",): True, ("Ab",): False}),
    ),
    _stored("s LIKE 'A[0-9]%'", check("((s LIKE 'A[0-9]%'))", _BINARY, {("A1",): True, ("a1",): False})),
    _stored(
        "s COLLATE Latin1_General_BIN2='A'",
        check("(((s COLLATE latin1_general_bin2) = 'A'))", _LIST, {("A",): True, ("a",): False}),
    ),
    _stored("len(s)>1", check("((len(s) > 1))", _LIST, {("ab",): True, ("a ",): False})),
    _stored("datalength(s)>0", check("((sys.datalength(s) > 0))", _LIST, {("ab",): True, ("",): False})),
    _stored("left(s,1)='A'", check("((\"left\"(s, 1) = 'A'))", _LIST, {("ab",): True, ("ba",): False})),
    _stored("substring(s,1,1)='A'", check("((\"substring\"(s, 1, 1) = 'A'))", _LIST, {("ab",): True, ("ba",): False})),
    _stored("trim(s)<>''", check("((\"trim\"(s) <> ''))", _LIST, {(" a",): True, ("  ",): False})),
    _stored("patindex('%[0-9]%',s)=0", check("((patindex('%[0-9]%', s) = 0))", _LIST, {("ab",): True, ("a1",): False})),
    _stored(
        "charindex(N'@',n)>0",
        check("((charindex(CAST(('@') AS nvarchar(1)), n) > 0))", {"n": "nvarchar(20)"}, {("a@",): True}),
    ),
    _stored(
        "d<dateadd(year,-18,getdate())",
        check(
            "((d < dateadd('year', CAST('-18' AS int), getdate())))",
            {"d": "date"},
            {(dt.date(1990, 1, 1),): True, (dt.date(9990, 1, 1),): False},
        ),
    ),
    _stored(
        "datepart(month,d)=2", check("((datepart('month', d) = 2))", {"d": "date"}, {(dt.date(2026, 2, 1),): True})
    ),
    _stored(
        "datediff(day,d,e)<=30",
        check(
            "((datediff('day', d, e) <= 30))",
            {"d": "date", "e": "date"},
            {(dt.date(2026, 2, 1), dt.date(2026, 2, 2)): True, (dt.date(2026, 2, 1), dt.date(2026, 4, 2)): False},
        ),
    ),
    _stored(
        "CAST(d AS date)=e",
        check(
            "((CAST((d) AS date) = e))",
            {"d": "datetime", "e": "date"},
            {(dt.datetime(2026, 2, 1, 5), dt.date(2026, 2, 1)): True},
        ),
    ),
    _stored("a*b", computed("(a * b)", "int", {"a": "int", "b": "int"}, {(3, 4): 12})),
    _stored("-a", computed("(- a)", "int", _INT, {(3,): -3})),
    _stored("left(s,2)", computed('"left"(s, 2)', "varchar(2)", _LIST, {("abc",): "ab"})),
    _stored("upper(s)", computed("sys.upper(s)", "varchar(20)", _LIST, {("abc",): "ABC"}, remark=_CASE)),
    _stored("reverse(s)", computed("sys.reverse(s)", "varchar(20)", _LIST, {("abc",): "cba"})),
    _stored("year(d)", computed("year(d)", "int", {"d": "datetime"}, {(dt.datetime(2026, 2, 1),): 2026})),
    _stored("datepart(year,d)", computed("datepart('year', d)", "int", {"d": "date"}, {(dt.date(2026, 2, 1),): 2026})),
    # As PostgreSQL's own functions and INFORMATION_SCHEMA write them.
    default("'new'::\"varchar\"", "varchar(10)", "new", stand_in_differs=_NOT_T_SQL),
    default("('new'::\"varchar\")::nvarchar(3)", "nvarchar(10)", "new", stand_in_differs=_NOT_T_SQL),
    default("COALESCE(NULL::integer, 5)", "int", 5, stand_in_differs=_NOT_T_SQL),
    default("'-1'::integer", "int", -1, stand_in_differs=_NOT_T_SQL),
    default("'0x01'::varbinary", "varbinary(10)", b"\1", stand_in_differs=_NOT_T_SQL),
    default("'1'::numeric", "float", 1.0, stand_in_differs=_NOT_T_SQL),
    default("nextval('corpus_seq'::regclass)", "bigint", Moving.NUMBER, stand_in_differs=_NOT_T_SQL),
    default("nextval('master_dbo.corpus_seq'::regclass)", "bigint", Moving.NUMBER, stand_in_differs=_NOT_T_SQL),
    check("(COALESCE(a, 0) >= 0)", _INT, {(None,): True, (-1,): False}, stand_in_differs=_NOT_T_SQL),
    check(
        "(\nCASE\n    WHEN (a > 0) THEN 1\n    ELSE 0\nEND = 1)",
        _INT,
        {(1,): True, (0,): False},
        stand_in_differs=_NOT_T_SQL,
    ),
    computed(
        "\nCASE\n    WHEN (a > 0) THEN 'y'::text COLLATE \"default\"\n    ELSE 'n'::text COLLATE \"default\"\nEND",
        "varchar(1)",
        _INT,
        {(1,): "y", (0,): "n"},
        stand_in_differs=_NOT_T_SQL,
    ),
    check("((p)::numeric >= 0.5)", {"p": "decimal(10,2)"}, {(_D("0.50"),): True}, stand_in_differs=_NOT_T_SQL),
    check(
        "((COALESCE(m, (0)::money))::fixeddecimal >= 0.00)",
        {"m": "money"},
        {(None,): True},
        stand_in_differs=_NOT_T_SQL,
    ),
    check(
        "((s = ANY (ARRAY['a'::\"varchar\", 'b'::\"varchar\"])) AND (a <> ALL (ARRAY[1, 2])))",
        {"s": "varchar(9)", "a": "int"},
        {("A", 3): True, ("a", 2): False, ("c", 3): False},
        stand_in_differs=_NOT_T_SQL,
    ),
    check(
        "((s)::text ~~ '[0-9]%'::text COLLATE \"default\")",
        _TEXT,
        {("1a",): True, ("a",): False},
        stand_in_differs=_NOT_T_SQL,
    ),
    computed("NULLIF(a, 0)", "int", _INT, {(0,): None, (1,): 1}, stand_in_differs=_NOT_T_SQL),
    refused(Kind.DEFAULT, "nextval('tx_seq')", "the sequence tx_seq is not known", column="int"),
    refused(Kind.DEFAULT, "host_name()", "HOST_NAME", column="nvarchar(128)"),
    refused(Kind.DEFAULT, "servername()", "@@SERVERNAME", column="nvarchar(128)"),
    refused(Kind.COMPUTED, "checksum(VARIADIC s)", "is not understood", _LIST, "int"),
)

_TWO_TEXTS = {"s": "varchar(20)", "t": "varchar(20)"}
_JSON_TEXT = {"j": "nvarchar(max)"}
_DOCUMENT = '{"a":"x","b":{"c":1.50,"d":[10,{"e":"z"}]},"n":null,"t":true,"k l":"m"}'
_JSON = Assumption.JSON.value
_ZERO = "gives 0 for an empty text"

_FUNCTIONS = (
    computed("(replicate('0',(3)))", "varchar(3)", {"a": "int"}, {(1,): "000"}),
    computed(
        "(replicate('0',(6)-len([s]))+[s])",
        "varchar(8000)",
        _TEXT,
        {("123",): "000123", ("123456",): "123456", ("1234567",): None, (None,): None},
        remark=Assumption.LONG_TEXTS.value,
    ),
    computed("(replicate([s],(2)))", "varchar(40)", _TEXT, {("ab",): "abab", (None,): None}),
    computed("(reverse([s]))", "varchar(20)", _TEXT, {("abc ",): " cba", (None,): None}),
    computed("(reverse([n]))", "nvarchar(20)", {"n": "nvarchar(20)"}, {("añb",): "bña"}, remark=_UNITS),
    computed("(space((2))+[s])", "varchar(22)", _TEXT, {("a",): "  a"}),
    computed("([s]+space([a]))", "varchar(8000)", {"s": "varchar(20)", "a": "int"}, {("a", 2): "a  ", ("a", -1): None}),
    computed("(stuff([s],(1),(1),'X'))", "varchar(21)", _TEXT, {("abc",): "Xbc", ("",): None, (None,): None}),
    computed("(stuff([s],(4),(0),'-'))", "varchar(21)", _TEXT, {("abcdef",): "abc-def", ("abc",): None}),
    computed("(stuff([s],(2),(3),NULL))", "varchar(20)", _TEXT, {("abcdef",): "aef"}),
    computed(
        "(stuff(stuff([s],(7),(0),'-'),(4),(0),'-'))",
        "varchar(22)",
        _TEXT,
        {("123456789",): "123-456-789", ("1",): None},
    ),
    computed("(charindex('-',[s],(4)))", "int", _TEXT, {("ab-cd-e",): 6, ("ab-c",): 0, (None,): None}),
    computed("(charindex('b',[s],(0)))", "int", _TEXT, {("aB",): 2}),
    computed("(charindex('-',[s],charindex('-',[s])+(1)))", "int", _TEXT, {("a-b-c",): 4, ("a-b",): 0, ("ab",): 0}),
    computed("(substring([s],charindex('@',[s])+(1),len([s])))", "varchar(20)", _TEXT, {("a@b.c",): "b.c"}),
    computed("(left([s],charindex('@',[s])-(1)))", "varchar(20)", _TEXT, {("abc@d",): "abc"}),
    computed("(right([s],len([s])-(2)))", "varchar(20)", _TEXT, {("abcd",): "cd"}),
    computed("(right([s],charindex('.',reverse([s]))-(1)))", "varchar(20)", _TEXT, {("a.b.txt",): "txt"}),
    computed("(left([n],(1)))", "nvarchar(1)", {"n": "nvarchar(20)"}, {("éa",): "é"}, remark=_UNITS),
    computed(
        "(upper(left([n],(1)))+lower(substring([n],(2),(50))))",
        "nvarchar(51)",
        {"n": "nvarchar(50)"},
        {("aNNA",): "Anna"},
        remark=_CASE,
    ),
    computed("(upper([s]))", "varchar(20)", _TEXT, {("aB1",): "AB1"}, remark=_CASE),
    computed("(lower([n]))", "nvarchar(50)", {"n": "nvarchar(50)"}, {("ABC",): "abc"}, remark=_CASE),
    computed("(str([a],(5)))", "varchar(5)", {"a": "int"}, {(42,): "   42", (-1,): "   -1", (123456,): "*****"}),
    computed(
        "(replace(str([a],(5)),' ','0'))",
        "varchar(5)",
        {"a": "int"},
        {(42,): "00042", (None,): None},
        stand_in_differs="refuses REPLACE of a text of STR",
    ),
    computed("(ltrim(str([a])))", "varchar(10)", {"a": "int"}, {(42,): "42"}),
    computed("('SO'+right('000000'+ltrim(str([a])),(6)))", "varchar(8)", {"a": "int"}, {(42,): "SO000042"}),
    computed("('INV-'+CONVERT([varchar](10),[a]))", "varchar(14)", {"a": "int"}, {(42,): "INV-42"}),
    computed(
        "(isnull('AW'+right('00000000'+CONVERT([varchar](8),[a]),(8)),''))",
        "varchar(10)",
        {"a": "int"},
        {(7,): "AW00000007"},
    ),
    computed("(concat([s],' ',[t]))", "varchar(41)", _TWO_TEXTS, {("a", "b"): "a b", (None, "b"): " b"}),
    computed(
        "(concat([a],[f],[s]))", "varchar(40)", {"a": "int", "f": "bit", "s": "varchar(20)"}, {(1, True, "x"): "11x"}
    ),
    computed(
        "(concat_ws(', ',[s],[t]))", "varchar(42)", _TWO_TEXTS, {("a", "b"): "a, b", (None, "b"): "b", (None, None): ""}
    ),
    computed("(concat_ws('-',[s],'x',[a]))", "varchar(40)", {"s": "varchar(20)", "a": "int"}, {("a", 1): "a-x-1"}),
    computed(
        "(replace([s],'str','St'))",
        "varchar(20)",
        _TEXT,
        {("HauptSTRasse",): "HauptStasse"},
        stand_in_differs="replaces one case",
    ),
    computed("(replace(replace([s],'(',''),')',''))", "varchar(20)", _TEXT, {("(0)1",): "01"}),
    computed("(replace([s],'.','\\'))", "varchar(20)", _TEXT, {("a.b",): "a\\b"}),
    computed("(translate([s],'()-','   '))", "varchar(20)", _TEXT, {("(0)1-2",): " 0 1 2"}),
    computed("(choose([a],'low','mid','high'))", "varchar(4)", {"a": "int"}, {(1,): "low", (3,): "high", (4,): None}),
    computed("(iif([s]='Y',(1),(0)))", "int", _TEXT, {("y",): 1, (None,): 0}),
    computed(
        "(ascii([s]))", "int", _TEXT, {("Abc",): 65, ("",): None}, remark=Assumption.CODES.value, stand_in_differs=_ZERO
    ),
    computed(
        "(unicode([n]))", "int", {"n": "nvarchar(9)"}, {("é",): 233, ("",): None}, remark=_UNITS, stand_in_differs=_ZERO
    ),
    computed("(len([s])-len(replace([s],',','')))", "int", _TEXT, {("a,b,c",): 2}),
    computed("(datalength([n]))", "int", {"n": "nvarchar(20)"}, {("ab ",): 6}, stand_in_differs="UTF-8 bytes"),
    computed("(datalength([s]))", "int", {"s": "char(5)"}, {("ab",): 5, (None,): None}),
    computed("(datalength([a]))", "int", {"a": "int"}, {(7,): 4, (None,): None}),
    computed(
        "(isnull([s],'n/a'))",
        "varchar(2)",
        {"s": "varchar(2)"},
        {(None,): "n/", ("x",): "x"},
        stand_in_differs="sends a longer value",
    ),
    computed(
        "(isnull([s],[t]))",
        "varchar(3)",
        {"s": "varchar(3)", "t": "varchar(9)"},
        {(None, "abcd"): "abc"},
        stand_in_differs="does not cut",
    ),
    computed("(isnull([s]+', ','')+isnull([t],''))", "varchar(42)", _TWO_TEXTS, {("a", None): "a, ", (None, "b"): "b"}),
    computed("(coalesce([s],[t],'none'))", "varchar(20)", _TWO_TEXTS, {(None, None): "none", (None, "b"): "b"}),
    computed("(rtrim(ltrim([s]))+' '+rtrim([t]))", "varchar(41)", _TWO_TEXTS, {(" a ", "b "): "a b"}),
    computed("(trim([s]))", "varchar(20)", _TEXT, {("  a b ",): "a b"}),
    computed(
        "(case when [s]=[t] then (1) else (0) end)", "int", _TWO_TEXTS, {("A ", "a"): 1, ("a", "b"): 0}, remark=_CASE
    ),
    computed(
        "(nchar((8364))+[n])", "nvarchar(21)", {"n": "nvarchar(20)"}, {("5",): "€5"}, stand_in_differs="makes a varchar"
    ),
    computed("(char((9))+[s])", "varchar(21)", _TEXT, {("a",): "\ta"}),
    check("(len(ltrim(rtrim([s])))>(0))", _TEXT, {("a",): True, ("  ",): False}),
    check("([s]>'')", _TEXT, {("a",): True, ("",): False, ("  ",): False, (None,): None}),
    check("(ltrim([s])>' ')", _TEXT, {("a",): True, ("  ",): False}),
    check("([s]=[t])", _TWO_TEXTS, {("A", "a "): True, ("a", "b"): False, (None, "a"): None}),
    check("([s]<>[t] OR [t] IS NULL)", _TWO_TEXTS, {("A", "a"): False, ("a", None): True}),
    check(
        "([s]=[t])",
        {"s": "varchar(9) Latin1_General_CS_AS", "t": "varchar(9) Latin1_General_CS_AS"},
        {("A", "a"): False, ("a", "a "): True},
    ),
    check("([s]=upper([s]) collate Latin1_General_BIN2)", _TEXT, {("AB",): True, ("Ab",): False}, remark=_CASE),
    check("(upper([s])=[s] collate Latin1_General_CS_AS)", _TEXT, {("AB",): True, ("Ab",): False}, remark=_CASE),
    check("(ascii([s])>=(65) AND ascii([s])<=(90))", {"s": "char(1)"}, {("A",): True, ("a",): False}),
    check("(unicode([n])<(128))", {"n": "nvarchar(9)"}, {("a",): True, ("é",): False}),
    check("(datalength([v])<=(4))", {"v": "varbinary(max)"}, {(b"abcd",): True, (b"abcde",): False}),
    check("(len([n])>=(5) AND len([n])<=(10))", {"n": "nvarchar(50)"}, {("abcde",): True, ("abcd ",): False}),
    check("(left([s],(1)) like '[A-Z]')", _TEXT, {("a1",): True, ("1a",): False}),
    check("(right([s],(1)) IN ('X','Y'))", _TEXT, {("ax",): True, ("az",): False}),
    check("(substring([s],(3),(1))='-')", _TEXT, {("ab-c",): True, ("abc",): False}),
    check("(left([n],(2))=N'DE')", {"n": "nvarchar(34)"}, {("de12",): True, ("fr",): False}),
    check("(charindex(' ',[s])=(0))", _TEXT, {("ab",): True, ("a b",): False}),
    check("(charindex('@',[n],(2))>(0))", {"n": "nvarchar(50)"}, {("a@",): True, ("@a",): False}),
    check("(isnull([s],'')<>'' OR isnull([t],'')<>'')", _TWO_TEXTS, {(None, None): False, ("a", None): True}),
    check("(coalesce([s],[t]) IS NOT NULL)", _TWO_TEXTS, {(None, None): False, ("a", None): True}),
    check("(NOT [s] like '% ' AND NOT [s] like ' %')", _TEXT, {("a",): True, (" a",): False}),
    check("(isjson([j])=(1))", _JSON_TEXT, {("{}",): True, ("[1]",): True, ("{",): False, ("",): False, (None,): None}),
    check("(isjson([j])>(0) OR [j] IS NULL)", _JSON_TEXT, {("{}",): True, ("x",): False, (None,): True}),
    check("(isjson([j])<>(0))", _JSON_TEXT, {("{}",): True, ("x",): False}),
    check("(json_value([j],'$.a')='X')", _JSON_TEXT, {(_DOCUMENT,): True, ("{}",): None}),
    computed(
        "(json_value([j],'$.a'))",
        "nvarchar(4000)",
        _JSON_TEXT,
        {(_DOCUMENT,): "x", ("{}",): None, (None,): None},
        remark=_JSON,
    ),
    computed("(json_value([j],'$.b.c'))", "nvarchar(4000)", _JSON_TEXT, {(_DOCUMENT,): "1.50"}),
    computed("(json_value([j],'$.b'))", "nvarchar(4000)", _JSON_TEXT, {(_DOCUMENT,): None}),
    computed("(json_value([j],'lax $.b.d[1].e'))", "nvarchar(4000)", _JSON_TEXT, {(_DOCUMENT,): "z"}),
    computed(
        "(json_value([j],'$.n'))",
        "nvarchar(4000)",
        _JSON_TEXT,
        {(_DOCUMENT,): None},
        stand_in_differs="gives a text: null",
    ),
    computed("(json_value([j],'$.t'))", "nvarchar(4000)", _JSON_TEXT, {(_DOCUMENT,): "true"}),
    computed("(json_value([j],'$.\"k l\"'))", "nvarchar(4000)", _JSON_TEXT, {(_DOCUMENT,): "m"}),
    computed(
        "(json_query([j],'$.b.d'))",
        "nvarchar(max)",
        _JSON_TEXT,
        {(_DOCUMENT,): '[10,{"e":"z"}]', ("{}",): None},
        stand_in_differs="writes JSON anew",
    ),
    computed("(json_query([j],'$.a'))", "nvarchar(max)", _JSON_TEXT, {(_DOCUMENT,): None}),
    computed("(json_query([j]))", "nvarchar(max)", _JSON_TEXT, {("[1, 2]",): "[1, 2]"}),
    computed("(CONVERT([nvarchar](50),json_value([j],'$.a')))", "nvarchar(50)", _JSON_TEXT, {(_DOCUMENT,): "x"}),
    default("(replicate('0',(5)))", "varchar(10)", "00000"),
    default("(space((1)))", "varchar(10)", " "),
    default("(space((0)))", "nvarchar(10)", ""),
    default("(nchar((160)))", "nvarchar(10)", "\u00a0"),
    default("(rtrim(N'abc  '))", "nvarchar(10)", "abc"),
    default("(len('abc'))", "int", 3),
    default("(concat('a',(1),'b'))", "varchar(10)", "a1b"),
    default(
        "(app_name())",
        "nvarchar(128)",
        Moving.NAME,
        stand_in_differs="has an empty name",
        remark="PostgreSQL connection",
    ),
    default("(db_name())", "nvarchar(128)", Moving.NAME, remark="PostgreSQL database"),
    default("(@@spid)", "int", Moving.NUMBER, remark="PostgreSQL process"),
    default("(original_login())", "nvarchar(128)", Moving.NAME),
    default("(suser_sname())", "varchar(50)", Moving.NAME),
    default("(upper(suser_sname()))", "nvarchar(128)", Moving.NAME),
    default("(right(newid(),(8)))", "varchar(8)", Moving.HEX8),
    default("(lower(CONVERT([varchar](36),newid())))", "varchar(36)", Moving.UUID_SMALL),
    refused(Kind.DEFAULT, "(@@spid)", "does not fit into smallint", column="smallint"),
    refused(Kind.DEFAULT, "(@@servername)", "own name", column="nvarchar(128)"),
    refused(Kind.DEFAULT, "(session_context(N'TenantId'))", "set by the application", column="int"),
    refused(Kind.DEFAULT, "(object_id('x'))", "own number", column="int"),
    refused(Kind.DEFAULT, "(binary_checksum(newid()))", "hash of the source's own"),
    refused(Kind.CHECK, "(isdate([s])=(1))", "language and date format", _TEXT),
    check(
        "([s]=[t])",
        {"s": "varchar(9) Latin1_General_CI_AI", "t": "varchar(9) Latin1_General_CI_AI"},
        {("A", "a"): True, ("a", "b"): False},
        remark=Assumption.ACCENTS.value,
    ),
    refused(Kind.CHECK, "([s]=[t])", "in conflict", {"s": "varchar(9) Latin1_General_CI_AS", "t": "varchar(9)"}),
    refused(Kind.CHECK, "([s]>=[t])", "put in order", _TWO_TEXTS),
    refused(
        Kind.COMPUTED,
        "(json_value([j],[s]))",
        "constant paths only",
        {"j": "nvarchar(max)", "s": "varchar(9)"},
        "nvarchar(4000)",
    ),
    refused(Kind.COMPUTED, "(json_value([j],'$.a.*'))", "not one that this tool reads", _JSON_TEXT, "nvarchar(4000)"),
    refused(Kind.COMPUTED, "(soundex([s]))", "fuzzystrmatch", _TEXT, "varchar(4)"),
    refused(Kind.COMPUTED, "(checksum([s]))", "hash of the source's own", _TEXT, "int"),
    refused(Kind.COMPUTED, "(hashbytes('SHA2_256',[s]))", "bytes of a text", _TEXT, "varbinary(32)"),
)

ENTRIES: tuple[Entry, ...] = (*_PATTERNS, *_BABELFISH, *_FUNCTIONS)

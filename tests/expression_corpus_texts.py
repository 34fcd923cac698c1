"""T-SQL expressions over texts, patterns, JSON and sessions as catalogs store them, with their documented values.

See `expression_corpus` for what an entry is. Behind these are the checks, defaults and computed columns of
line-of-business schemas, and the forms in which Babelfish stores them.
"""

from __future__ import annotations

from decimal import Decimal

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Kind, check, computed, filtered, refused

_D = Decimal
_TEXT = {"s": "varchar(20)"}
_NTEXT = {"s": "nvarchar(20)"}
_BINARY = {"s": "varchar(20) Latin1_General_BIN2"}
_WINDOWS = {"s": "nvarchar(20) Latin1_General_CI_AS"}
_CASED = {"s": "nvarchar(20) Latin1_General_CS_AS"}
_DANISH = {"s": "nvarchar(20) Danish_Norwegian_CI_AS"}
_ACCENTLESS = {"s": "nvarchar(20) Latin1_General_CI_AI"}

#: Babelfish reads a range by the codes of characters
_NO_ACCENTS = "has only ASCII letters in a range"
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
        stand_in_differs="has no such collation",
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
    refused(Kind.CHECK, "([s]='straße')", "rules of its own", _WINDOWS),
    refused(Kind.COMPUTED, "(patindex('%ab',[s]))", "not documented", _TEXT, "int"),
    refused(Kind.FILTER, "([s] LIKE '[A-Z]%')", "follows the order", _DANISH),
)

ENTRIES: tuple[Entry, ...] = (*_PATTERNS,)

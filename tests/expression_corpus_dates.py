"""Dates, numbers, conversions and comparisons of padded texts as catalogs store them, with the documented values."""

from __future__ import annotations

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, check, computed, default, filtered

_UNITS = Assumption.UTF16_UNITS.value

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

ENTRIES: tuple[Entry, ...] = (*_PADDED,)

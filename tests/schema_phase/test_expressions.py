"""What is assumed of a database's expressions reaches PostgreSQL and the report; EXPRESSIONS=strict leaves it out."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg2
import pytest

from demo.shop import INT
from demo.target import EmbeddedTarget
from model.catalog import Check, Column, Computed, Database, Default, SqlType, Table
from standin.server import StandIn
from tests.handmade import primary, required
from tests.made_schemas import make

_MONEY = SqlType("money", 8, 19, 4)
LINES = Table(
    "dbo",
    "Lines",
    (
        required("ID"),
        Column("Gender", SqlType("nchar", 2), collation="SQL_Latin1_General_CP1_CI_AS"),
        Column("UnitPrice", _MONEY),
        Column("Discount", _MONEY),
        Column("Quantity", INT),
        Column(
            "LineTotal",
            SqlType("decimal", 17, 38, 6),
            computed=Computed("(isnull(([UnitPrice]*((1.0)-[Discount]))*[Quantity],(0.0)))"),
        ),
        Column("Sold", SqlType("datetime", 8, 23, 3), default=Default("DF_Sold", "('2012-02-01')")),
    ),
    primary("PK_Lines", "ID"),
    checks=(
        Check("CK_Gender", "(upper([Gender])='F' OR upper([Gender])='M')"),
        Check("CK_Sold", "([Sold]>='2012-02-01')"),
    ),
)


@pytest.fixture
def source() -> Iterator[StandIn]:
    with StandIn(Database("expressions", (LINES,)), {}) as server:
        yield server


def test_what_is_assumed_is_made_and_told(source: StandIn, target: EmbeddedTarget, tmp_path: Path) -> None:
    made, finished = make(source, Database("expressions", ()), target, tmp_path, "expressions")
    assert finished.code == 0, finished.text
    total = made.one(
        "INSERT INTO lines (id, gender, unitprice, discount, quantity) VALUES (1, 'f', 1.0001, 0.3333, 3) "
        "RETURNING linetotal"
    )
    assert total == Decimal("2.000301")
    assert str(made.one("SELECT sold FROM lines")) == "2012-02-01 00:00:00"
    with pytest.raises(psycopg2.errors.CheckViolation, match="ck_gender"):
        made.query("INSERT INTO lines (id, gender) VALUES (2, 'x')")
    entry = made.entry("computed column", "dbo.Lines.LineTotal")
    assert (entry["state"], "more than 38 digits" in entry["reason"]) == ("done", True)
    assert "year, month, day" in made.entry("default", "dbo.Lines.Sold")["reason"]
    assert "year, month, day" in made.entry("check", "dbo.Lines.CK_Sold")["reason"]
    assert "reason" not in made.entry("check", "dbo.Lines.CK_Gender")


def test_strict_leaves_it_out_and_suggests_it(source: StandIn, target: EmbeddedTarget, tmp_path: Path) -> None:
    made, finished = make(
        source, Database("expressions", ()), target, tmp_path, "expressions_strict", EXPRESSIONS="strict"
    )
    assert finished.code == 0, finished.text
    assert made.entry("computed column", "dbo.Lines.LineTotal")["state"] == "changed"
    for kind, name in (("default", "dbo.Lines.Sold"), ("check", "dbo.Lines.CK_Sold")):
        entry = made.entry(kind, name)
        assert entry["state"] == "skipped"
        assert "date format" in entry["reason"]
        assert "2012-02-01" in entry["suggestion"]
    made.query("INSERT INTO lines (id, gender, linetotal) VALUES (1, 'f', 5)")
    with pytest.raises(psycopg2.errors.CheckViolation, match="ck_gender"):
        made.query("INSERT INTO lines (id, gender) VALUES (2, 'x')")

"""Sequence objects that feed columns, as WideWorldImporters has them: the defaults name them, and they go on."""

from __future__ import annotations

from pathlib import Path

from demo.shop import BIGINT, INT, nvarchar
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Default, Table
from model.catalog import Sequence as SequenceObject
from standin.server import StandIn
from tests.handmade import primary, required
from tests.made_schemas import make, run_on

CUSTOMERS = Table(
    "Sales",
    "Customers",
    (
        required(
            "CustomerID",
            INT,
            default=Default("DF_Sales_Customers_CustomerID", "(NEXT VALUE FOR [Sequences].[CustomerID])"),
        ),
        required("Name", nvarchar(100)),
    ),
    primary("PK_Sales_Customers", "CustomerID"),
)
LINES = Table(
    "Sales",
    "Lines",
    (
        required("LineID", INT, default=Default("DF_Lines", "(NEXT VALUE FOR [Sequences].[TransactionID])")),
        Column("Number", BIGINT, default=Default("DF_Number", "(NEXT VALUE FOR [sequences].[transactionid])")),
    ),
)
WIDE_WORLD = Database(
    "wide",
    (CUSTOMERS, LINES),
    sequences=(
        SequenceObject("Sequences", "CustomerID", INT, 1, 1, -(2**31), 2**31 - 1, cache_size=50, current=1061),
        SequenceObject("Sequences", "TransactionID", INT, 1, 1, -(2**31), 2**31 - 1),
    ),
)


def test_named_defaults_are_fed_by_sequences_that_go_on(target: EmbeddedTarget, tmp_path: Path) -> None:
    made, finished = run_on(WIDE_WORLD, target, tmp_path)
    assert finished.code == 0, finished.text
    for kind, name in (
        ("schema", "Sequences"), ("sequence", "Sequences.CustomerID"), ("default", "Sales.Customers.CustomerID"),
        ("default", "Sales.Lines.LineID"), ("default", "Sales.Lines.Number"),
    ):  # fmt: skip
        assert made.entry(kind, name)["state"] == "done", (kind, name)
    assert made.one("INSERT INTO sales.customers (name) VALUES ('Ann') RETURNING customerid") == 1062
    assert made.query("INSERT INTO sales.lines DEFAULT VALUES RETURNING lineid, number") == [(1, 2)]


def test_the_sequences_of_a_mapped_schema_are_found(target: EmbeddedTarget, tmp_path: Path) -> None:
    with StandIn(WIDE_WORLD, {}) as source:
        made, finished = make(
            source, WIDE_WORLD, target, tmp_path, "mapped", NAMING="preserve",
            SCHEMA_MAP="Sales:shop,Sequences:Numbers", TARGET_SCHEMA="own",
        )  # fmt: skip
    assert finished.code == 0, finished.text
    assert made.one("""INSERT INTO shop."Customers" ("Name") VALUES ('Ann') RETURNING "CustomerID" """) == 1062
    assert made.one("""SELECT last_value >= 1062 FROM "Numbers"."CustomerID" """)


def test_a_load_lets_sequences_go_on_where_the_source_stands_now(target: EmbeddedTarget, tmp_path: Path) -> None:
    rows = {"Sales.Customers": [(number, f"Customer {number}") for number in range(1, 1101)]}
    with StandIn(WIDE_WORLD, rows) as source:
        made, finished = make(source, WIDE_WORLD, target, tmp_path, "moved")
        assert finished.code == 0, finished.text
        # The source went on between the two runs.
        source.execute(
            "UPDATE sys.sequences SET current_value = '1100', last_used_value = '1100' WHERE name = 'CustomerID'"
        )
        made.query("SELECT setval('sequences.transactionid', 70)")
        loaded = made.workplace.run("data")
        assert loaded.code == 0, loaded.text
    assert made.one("INSERT INTO sales.customers (name) VALUES ('Ann') RETURNING customerid") == 1101
    assert made.one("SELECT nextval('sequences.transactionid')") == 71  # never back

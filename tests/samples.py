"""Small source databases for the tests, and what the target holds of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from postgres import runs
from postgres.names import TargetName
from standin.server import StandIn
from tests.harness import Workplace

#: starts a stand-in, as the fixture `serve` does
Serve = Callable[..., StandIn]
#: the fixture `make_workplace`
MakeWorkplace = Callable[[StandIn, Database], Workplace]
both_scripts = pytest.mark.parametrize("script", ["schema", "data"])

INT = SqlType("int", 4, 10)
TEXT = SqlType("nvarchar", 100)
MONEY = SqlType("decimal", 9, 12, 2)


def table(name: str, schema: str = "dbo", **columns: SqlType) -> Table:
    """A table whose `id` is its primary key, with one more nullable column for each of `columns`."""
    others = columns or {"label": TEXT}
    return Table(
        schema,
        name,
        (Column("id", INT, is_nullable=False), *(Column(column, kind) for column, kind in others.items())),
        primary_key=Key(f"PK_{schema}_{name}", (KeyColumn("id"),), is_clustered=True),
    )


def labelled(count: int, word: str = "row") -> list[tuple[object, ...]]:
    """Rows of a table with the columns `id` and `label`, some of them with NULL and non-ASCII characters."""
    return [(number, None if number % 7 == 0 else f"{word} {number} ü€") for number in range(1, count + 1)]


#: in the order of every loop: Customers, Orders, Products, Sales.Orders
SHOP = Database("shop", (table("Customers"), table("Orders", total=MONEY), table("Products"), table("Orders", "Sales")))
SHOP_ROWS: Mapping[str, list[tuple[object, ...]]] = {
    "dbo.Customers": labelled(12, "customer"),
    "dbo.Orders": [(number, f"{number}.50") for number in range(1, 21)],
    "dbo.Products": labelled(5, "product"),
    "Sales.Orders": labelled(9, "sale"),
}
SHOP_KEYS = ["Customers", "Orders", "Products", "Sales.Orders"]
SHOP_COUNTS = {"public.customers": 12, "public.orders": 20, "public.products": 5, "sales.orders": 9}


def query(target: EmbeddedTarget, database: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows of a query on the target; an empty list for a statement without any."""
    connection = target.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
            return found
    finally:
        connection.close()


def claimed(connection: Any, *targets: TargetName) -> int:
    """The number of a run that has claimed these tables, for tests of parts that only a run works with."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM replication.run")
        cursor.execute(runs.BEGIN, ("a host", 1, "a folder", "a command"))
        (number,) = cursor.fetchone()
        cursor.execute(runs.CLAIM, {**runs.parameters(targets, number), "is_loading": True})
    connection.commit()
    return int(number)


def target_rows(target: EmbeddedTarget, database: str, name: str) -> list[tuple[Any, ...]]:
    """All rows of a target table (`schema.table` as SQL writes it), in the order of their values."""
    return query(target, database, f"SELECT * FROM {name} ORDER BY 1, 2")


def target_tables(target: EmbeddedTarget, database: str) -> list[str]:
    """`schema.table` of all user tables on the target but this tool's own."""
    found = query(
        target, database,
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT IN"
        " ('pg_catalog', 'information_schema', 'replication') ORDER BY 1",
    )  # fmt: skip
    return [name for (name,) in found]


def counts(target: EmbeddedTarget, database: str, *names: str) -> dict[str, int]:
    """The number of rows of target tables."""
    return {name: query(target, database, f"SELECT count(*) FROM {name}")[0][0] for name in names}


def entries(progress: Path, phase: str = "data") -> dict[str, dict[str, Any]]:
    """The phase's part of each table's entry in a progress file, in the file's order."""
    document = json.loads(progress.read_text(encoding="utf-8"))
    return {key: entry[phase] for key, entry in document["tables"].items()}


def statuses(progress: Path, phase: str = "data") -> dict[str, str]:
    """Each table's status in a progress file."""
    return {key: entry["status"] for key, entry in entries(progress, phase).items()}


def set_status(progress: Path, key: str, status: str, phase: str = "data") -> None:
    """Edit one table's status by hand."""
    document = json.loads(progress.read_text(encoding="utf-8"))
    document["tables"][key][phase]["status"] = status
    progress.write_text(json.dumps(document, indent=2), encoding="utf-8")


def processed(text: str) -> list[str]:
    """The keys of the tables that a run's output says it processed, by their numbers."""
    found = re.findall(r"^\[(\d+)/\d+\] Processing: (.*)$", text, re.MULTILINE)
    return [key for _, key in sorted(found, key=lambda one: int(one[0]))]


SHOP_DDL = """
CREATE SCHEMA sales;
CREATE TABLE customers (id integer CONSTRAINT pk_dbo_customers PRIMARY KEY, label varchar(50));
CREATE TABLE orders (id integer CONSTRAINT pk_dbo_orders PRIMARY KEY, total numeric(12,2));
CREATE TABLE products (id integer CONSTRAINT pk_dbo_products PRIMARY KEY, label varchar(50));
CREATE TABLE sales.orders (id integer CONSTRAINT pk_sales_orders PRIMARY KEY, label varchar(50));
"""
EARLIER = "2025-12-16T12:00:00"


def write_progress(file: Path, phase: str, **statuses: str) -> None:
    """A progress file of an earlier session; `Sales_Orders` stands for the key `Sales.Orders`."""
    tables: dict[str, Any] = {}
    for word, status in statuses.items():
        part: dict[str, object] = {"status": status}
        if status != "pending":
            part["started_at"] = EARLIER
        if status in ("completed", "failed"):
            part[f"{status}_at"] = EARLIER
        if phase == "data" and status != "pending":
            part["rows_synced"] = 0
        tables[word.replace("_", ".")] = {phase: {**part, "error": "it rained" if status == "failed" else None}}
    document = {"session_start": EARLIER, "last_updated": EARLIER, "tables": tables}
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")


@dataclass
class Shop:
    """The shop on a running stand-in, a folder to copy it from, and the target database it goes to."""

    source: StandIn
    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql, *values)

    def rows(self, name: str) -> list[tuple[Any, ...]]:
        """All rows of a target table."""
        return target_rows(self.target, self.database, name)

    @property
    def tables(self) -> list[str]:
        """The tables that the target has."""
        return target_tables(self.target, self.database)

    def ready(self, script: str) -> Shop:
        """Make what a phase needs on the target: the tables, for the data phase."""
        if script == "data":
            self.query(SHOP_DDL)
        return self

    def done(self, script: str) -> list[str]:
        """The target tables that a phase has worked on, where all began empty: those made, or those with rows."""
        if script == "schema":
            return self.tables
        return [name for name in self.tables if self.query(f"SELECT count(*) FROM {name}") != [(0,)]]

    def progress(self, script: str) -> Path:
        """The phase's progress file."""
        return self.workplace.data_progress if script == "data" else self.workplace.schema_progress

    def assert_equal(self) -> None:
        """Every table's rows on the target are those of the source."""
        for name in self.source.relations:
            target = ("public" if name[0] == "dbo" else name[0], name[1])
            if name[0] != "sys":
                wanted = self.source.execute(f'SELECT * FROM "{name[0]}"."{name[1]}" ORDER BY 1, 2')
                assert self.rows(".".join(target)) == wanted, target

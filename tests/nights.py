"""A database that is another one each night: rows appear, disappear, change and move to other parents.

Most rows carry the night's number, the foreign keys of each night hold, and everything that others may have made on the
target is there: views upon views, a materialised view, row security, a publication, triggers that must not fire.
"""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, ForeignKey, Identity, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Finished, Workplace, source_settings
from tests.samples import INT, MONEY, TEXT, query

Row = tuple[object, ...]
CUSTOMERS, PRODUCTS, ORDERS, SHOPS, NOTES = 300, 120, 1500, 40, 400
CHUNK_ROWS = 700
#: the role that the readers log in as to whom row security applies
READER = "reader_of_nights"
MOMENT, FLAG = SqlType("datetime2", scale=6), SqlType("bit")


# -- the source ----------------------------------------------------------------------------------


def _table(name: str, key: str, *columns: Column, schema: str = "dbo", **more: object) -> Table:
    parts = tuple(KeyColumn(part) for part in key.split())
    primary = Key(f"PK_{name}", parts, is_clustered=True) if parts else None
    return Table(schema, name, columns, primary_key=primary, **more)  # type: ignore[arg-type]


def _must(name: str, kind: SqlType = INT, identity: Identity | None = None) -> Column:
    return Column(name, kind, is_nullable=False, identity=identity)


def _points(column: str, to: str, schema: str = "dbo") -> ForeignKey:
    return ForeignKey(f"FK_{column}", (column,), schema, to, ("id",))


TABLES = (
    _table("Countries", "id", _must("id"), _must("night"), Column("name", TEXT)),
    _table(
        "Customers", "id",
        _must("id"), _must("night"), _must("country"), Column("referred_by", INT), _must("is_public", FLAG),
        Column("name", TEXT), foreign_keys=(_points("country", "Countries"), _points("referred_by", "Customers")),
    ),
    _table(
        "Lines", "order_id number",
        _must("order_id"), _must("number"), _must("night"), _must("product"), Column("amount", MONEY),
        foreign_keys=(_points("order_id", "Orders"), _points("product", "Products")),
    ),
    _table("Notes", "", _must("night"), Column("words", TEXT)),
    _table(
        "Orders", "id",
        _must("id", identity=Identity()), _must("night"), _must("customer"), Column("placed", MOMENT),
        foreign_keys=(_points("customer", "Customers"),),
    ),
    _table("Products", "id", _must("id"), _must("night"), Column("price", MONEY), Column("name", TEXT)),
    _table(
        "Shifts", "id", _must("id"), _must("night"), _must("shop"),
        schema="Sales", foreign_keys=(_points("shop", "Shops", "Sales"),),
    ),
    _table("Shops", "id", _must("id"), _must("night"), Column("name", TEXT), schema="Sales"),
)  # fmt: skip
DATABASE = Database("nights", TABLES)
#: the tables that foreign keys tie to each other, as `rows_of` names them
UNITS: tuple[frozenset[str], ...] = (
    frozenset({"dbo.Countries", "dbo.Customers", "dbo.Orders", "dbo.Lines", "dbo.Products"}),
    frozenset({"dbo.Notes"}),
    frozenset({"Sales.Shops", "Sales.Shifts"}),
)
ALL = frozenset[str]().union(*UNITS)


def rows_of(night: int) -> Mapping[str, Sequence[Row]]:
    """The rows of all tables in a night, by the source's names."""
    customers = _there(CUSTOMERS, night)
    products = _there(PRODUCTS, night)
    orders = _there(ORDERS, night)
    shops = _there(SHOPS, night)
    start = datetime.datetime(2026, 1, 1)
    return {
        # One that no night changes.
        "dbo.Countries": [(number, 0, f"country {number} ü€") for number in range(1, 13)],
        "dbo.Customers": [
            (
                number, night, 1 + (number * 5 + night) % 12,
                customers[(number * 7 + night) % len(customers)] if number % 3 else None,
                number % 4 != 0, None if number % 9 == night % 9 else f"customer {number}",
            )
            for number in customers
        ],
        "dbo.Orders": [
            (number, night, customers[(number * 11 + night) % len(customers)],
             start + datetime.timedelta(minutes=number * 7))
            for number in orders
        ],
        "dbo.Lines": [
            (number, line, night, products[(number + line * 13 + night) % len(products)],
             Decimal(number * 10 + line + night) / 4)
            for number in orders
            for line in range(1, 2 + number % 4)
        ],
        # Without a key, some rows twice and more, half of them the same each night.
        "dbo.Notes": [
            (0, f"note {number % 150}") if number % 2 else (night, f"note {number % (90 + night % 7)}")
            for number in range(NOTES + night % 5)
        ],
        "dbo.Products": [(one, night, Decimal(one * 100 + night) / 4, f"product {one}") for one in products],
        "Sales.Shops": [(number, night, f"shop {number}") for number in shops],
        "Sales.Shifts": [
            (number * 10 + turn, night, shops[(number + turn + night) % len(shops)])
            for number in shops
            for turn in range(4)
        ],
    }  # fmt: skip


def _there(count: int, night: int) -> list[int]:
    """The numbers that are there in a night: the others come another night, or were there before."""
    return [number for number in range(1, count + 1) if (number + 3 * night) % 7]


# -- the target ----------------------------------------------------------------------------------

DDL = f"""
CREATE SCHEMA sales;
CREATE TABLE countries (id integer PRIMARY KEY, night integer NOT NULL, name varchar(50));
CREATE TABLE products (
    id integer PRIMARY KEY, night integer NOT NULL, price numeric(12,2) CHECK (price > 0), name varchar(50)
);
CREATE TABLE customers (
    id integer PRIMARY KEY, night integer NOT NULL, country integer NOT NULL REFERENCES countries,
    referred_by integer REFERENCES customers, is_public boolean NOT NULL, name varchar(50)
) WITH (fillfactor = 80);
CREATE TABLE orders (
    id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, night integer NOT NULL,
    customer integer NOT NULL REFERENCES customers, placed timestamp(6)
);
CREATE TABLE lines (
    order_id integer REFERENCES orders ON DELETE CASCADE, number integer, night integer NOT NULL,
    product integer NOT NULL REFERENCES products, amount numeric(12,2), PRIMARY KEY (order_id, number)
);
CREATE TABLE notes (night integer NOT NULL, words varchar(50));
CREATE TABLE sales.shops (id integer PRIMARY KEY, night integer NOT NULL, name varchar(50) UNIQUE);
CREATE TABLE sales.shifts (
    id integer PRIMARY KEY, night integer NOT NULL, shop integer NOT NULL REFERENCES sales.shops
);

CREATE TABLE favourites (customer integer NOT NULL REFERENCES customers, words text);

CREATE INDEX ON customers (country) INCLUDE (name);
CREATE INDEX customers_by_name ON customers (lower(name)) WHERE is_public;
CREATE INDEX ON orders (customer);
CREATE INDEX ON notes (words);
ALTER TABLE customers ALTER name SET STATISTICS 50;
CREATE STATISTICS customers_together ON country, is_public FROM customers;
ALTER TABLE sales.shops REPLICA IDENTITY FULL;
COMMENT ON TABLE orders IS 'what they want';
COMMENT ON COLUMN orders.placed IS 'when they said so';
COMMENT ON INDEX customers_by_name IS 'those that all may see';

CREATE VIEW order_totals AS
SELECT o.id, o.customer, o.night, min(l.night) AS first, max(l.night) AS last, sum(l.amount * p.price) AS total
FROM orders AS o JOIN lines AS l ON l.order_id = o.id JOIN products AS p ON p.id = l.product GROUP BY o.id;
CREATE VIEW customer_totals AS
SELECT c.id, c.country, c.night, min(t.first) AS first, max(t.last) AS last, sum(t.total) AS total, count(*) AS orders
FROM customers AS c JOIN order_totals AS t ON t.customer = c.id GROUP BY c.id;
CREATE VIEW country_totals AS
SELECT n.name, min(t.first) AS first, max(t.last) AS last, sum(t.total) AS total, sum(t.orders) AS orders
FROM countries AS n JOIN customer_totals AS t ON t.country = n.id GROUP BY n.name;
CREATE MATERIALIZED VIEW busiest AS SELECT id, country, orders FROM customer_totals ORDER BY orders DESC, id LIMIT 20;
CREATE UNIQUE INDEX ON busiest (id);

CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'a trigger fired in a refresh'; END $$;
CREATE TRIGGER refuses BEFORE INSERT OR UPDATE OR DELETE ON customers FOR EACH ROW EXECUTE FUNCTION refuse();
CREATE TRIGGER refuses AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON notes FOR EACH STATEMENT
    EXECUTE FUNCTION refuse();

ALTER TABLE customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY publicly ON customers FOR SELECT TO {READER} USING (is_public);
CREATE VIEW public_customers WITH (security_invoker = true) AS SELECT * FROM customers;
GRANT USAGE ON SCHEMA sales TO {READER};
GRANT SELECT ON ALL TABLES IN SCHEMA public, sales TO {READER};
GRANT UPDATE (name) ON products TO {READER} WITH GRANT OPTION;
CREATE PUBLICATION nights FOR TABLE sales.shops;
"""
ROLE = f"""
DO $$ BEGIN
    IF to_regrole('{READER}') IS NULL THEN CREATE ROLE {READER} LOGIN; END IF;
END $$
"""

ORPHANS = """
SELECT (SELECT count(*) FROM lines WHERE order_id NOT IN (SELECT id FROM orders)),
       (SELECT count(*) FROM lines WHERE product NOT IN (SELECT id FROM products)),
       (SELECT count(*) FROM orders WHERE customer NOT IN (SELECT id FROM customers)),
       (SELECT count(*) FROM customers WHERE referred_by NOT IN (SELECT id FROM customers)),
       (SELECT count(*) FROM sales.shifts WHERE shop NOT IN (SELECT id FROM sales.shops))
"""
INVALID = """
SELECT conrelid::regclass || '.' || conname FROM pg_constraint WHERE NOT convalidated
UNION ALL
SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)
"""
STAGED = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace('replication_staging') AND relkind IN ('r', 'p', 'S', 'v')
"""


def target_name(name: str) -> str:
    """The target's name of a table that `rows_of` names as the source does."""
    return name.lower().removeprefix("dbo.")


@dataclass
class Nights:
    """A source that turns from night to night, a target that holds one, and a folder to refresh it from."""

    source: StandIn
    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    def turn_to(self, night: int) -> None:
        """Let the source hold another night's rows."""
        for name, rows in rows_of(night).items():
            self.source.replace_rows(name, rows)

    def refresh(self, *arguments: str, **settings: str) -> Finished:
        """Run the data phase to its end."""
        return self.workplace.with_settings(**settings).run("data", *arguments)

    def schema(self) -> str:
        """A dump of the target's schema without what the tool made for itself."""
        return dump_of_schema(self.target, self.database)

    def differences(self, night: int, tables: frozenset[str] = ALL) -> list[str]:
        """Those of the tables that do not hold that night's rows, each as often as the source, and by how much."""
        found = []
        for name, wanted in rows_of(night).items():
            if name not in tables:
                continue
            there = self.query(f"SELECT * FROM {target_name(name)}")
            lost, surplus = _surplus(wanted, there), _surplus(there, wanted)
            if lost or surplus:
                found.append(f"{name}: {lost} rows lost, {surplus} too many")
        return found

    def damage(self) -> list[str]:
        """What must never be left: orphans, invalid keys and indexes, staged tables, suspended things."""
        found = [f"invalid: {name}" for (name,) in self.query(INVALID)]
        found += [f"left in staging: {name}" for (name,) in self.query(STAGED)]
        if any(self.query(ORPHANS)[0]):
            found.append(f"orphans: {self.query(ORPHANS)[0]}")
        if self.query("SELECT to_regclass('replication.suspended')") != [(None,)]:
            found += [f"suspended: {row}" for row in self.query("SELECT * FROM replication.suspended")]
        return found


def _surplus(rows: Sequence[Row], others: Sequence[Row]) -> int:
    """How many of the rows the others lack."""
    left: dict[Row, int] = {}
    for row in others:
        left[row] = left.get(row, 0) + 1
    surplus = 0
    for row in rows:
        count = left.get(row, 0)
        left[row] = count - 1
        surplus += count <= 0
    return surplus


def make_target(target: EmbeddedTarget, database: str, night: int) -> None:
    """Fill an empty database with the tables, and what stands on them, as of a night."""
    query(target, database, ROLE)
    query(target, database, DDL)
    with closing(target.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for name, rows in rows_of(night).items():
            values = ", ".join(["%s"] * len(rows[0]))
            made = b",".join(cursor.mogrify(f"({values})", row) for row in rows)
            cursor.execute(f"INSERT INTO {target_name(name)} VALUES ".encode() + made)
        cursor.execute("SELECT setval(pg_get_serial_sequence('orders', 'id'), 100000)")
        cursor.execute("RESET session_replication_role")
        cursor.execute("REFRESH MATERIALIZED VIEW busiest; ANALYZE")


def dump_of_schema(target: EmbeddedTarget, database: str) -> str:
    """`pg_dump --schema-only` without what the tool made for itself, and without oids and keys made by chance."""
    variables = target.environment(database)
    finished = subprocess.run(
        [
            str(target.psql.with_name("pg_dump")), "--schema-only", "--restrict-key=none",
            "--exclude-schema=replication*", "--host", variables["PGHOST"], "--port", variables["PGPORT"],
            "--username", variables["PGUSER"], database,
        ],
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return finished.stdout


def settings_of(port: int, target: EmbeddedTarget, database: str) -> dict[str, str]:
    """The settings of a refresh whose source listens on `port`: several chunks to each of the larger tables."""
    return {
        **source_settings(port, DATABASE.name), **target.environment(database), "CHUNK_ROWS": str(CHUNK_ROWS),
        "BATCH_SIZE": "500", "WORKERS": "2", "RETRY_ATTEMPTS": "3", "RETRY_SECONDS": "0",
    }  # fmt: skip


@contextmanager
def first_night(folder: Path, target: EmbeddedTarget, database: str) -> Iterator[Nights]:
    """Night 1 on both sides: a stand-in of its own, and an empty database that is filled."""
    make_target(target, database, 1)
    with StandIn(DATABASE, rows_of(1)) as source:
        yield Nights(source, Workplace(folder, settings_of(source.port, target, database)), target, database)

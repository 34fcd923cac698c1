"""`--verify` finds whatever differs, says where, and finds nothing where nothing does."""

from __future__ import annotations

import dataclasses
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from db import connect_source, load_settings, wheel_driver
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from model.settings import Settings
from mssql import introspection, reader
from postgres import reader as target_reader
from standin.script import create_script, load_rows
from standin.server import StandIn
from tests.handmade import HANDMADE, HANDMADE_ROWS
from tests.harness import Proxy, Workplace, source_settings, wait_until
from tests.row_digests import digests
from tests.samples import SHOP_COUNTS, SHOP_ROWS, Shop, query, write_progress
from tests.tsql_servers import own_database
from verification import phase as verification
from verification import table_comparison
from verification.comparison import Comparison
from verification.table_comparison import Mode

#: column → its type, the SQL that changes it on the target where id is 7, and what of it must be told
TYPES: Mapping[str, tuple[SqlType, str, str]] = {
    "Flag": (SqlType("bit", 1), "NOT flag", "False on the source, True on the target"),
    "Tiny": (SqlType("tinyint", 1), "tiny + 1", "7 on the source, 8 on the target"),
    "Small": (SqlType("smallint", 2), "small + 1", "-7 on the source, -6 on the target"),
    "Whole": (SqlType("int", 4), "-whole", "70 on the source, -70 on the target"),
    "Big": (SqlType("bigint", 8), "big + 1", "9223372036854775800"),
    "Exact": (SqlType("decimal", 17, 38, 20), "exact + 0.00000000000000000001", "0.12345678901234567891 on the target"),
    "Price": (SqlType("money", 8), "price + 0.0001", "-922337203685477.5807 on the target"),
    "Coin": (SqlType("smallmoney", 4), "coin - 0.0001", "214748.3646 on the target"),
    "Single": (SqlType("real", 4), "single * 1.0000001", "column Single"),
    "Ratio": (SqlType("float", 8), "ratio * 1.0000000000000002", "column Ratio"),
    "Day": (SqlType("date", 3), "day + 1", "0001-01-01 on the source, 0001-01-02 on the target"),
    "Clock": (SqlType("time", 5, 16, 7), "clock - interval '1 microsecond'", "23:59:59.999998 on the target"),
    "Minute": (SqlType("smalldatetime", 4), "minute + interval '1 minute'", "2079-06-06 23:58:00 on the source"),
    "Old": (SqlType("datetime", 8), "old - interval '3 milliseconds'", "9999-12-31 23:59:59.997000 on the source"),
    "Moment": (SqlType("datetime2", 8, 27, 7), "moment - interval '1 microsecond'", "9999-12-31 23:59:59.999999"),
    "Zoned": (SqlType("datetimeoffset", 10, 34, 7), "zoned + interval '1 hour'", "2024-02-29 06:30:00"),
    "Fixed": (SqlType("char", 5), "'ac'", "'ab' on the source, 'ac' on the target"),
    "FixedWide": (SqlType("nchar", 20), "'é'", "'é🎉' on the source, 'é' on the target"),
    "Short": (SqlType("varchar", 40), "short || ' '", "'seven' on the source, 'seven ' on the target"),
    "Wide": (SqlType("nvarchar", 80), "replace(wide, 'ü', U&'u\\0308')", "column Wide"),
    "Long": (SqlType("nvarchar", -1), "overlay(long placing '?' from 5000)", "as far as it is shown"),
    "Old text": (SqlType("text", -1), "\"old text\" || '.'", "'old' on the source, 'old.' on the target"),
    "Markup": (SqlType("xml", -1), "'<a> </a>'", "'<a/>' on the source, '<a> </a>' on the target"),
    "Bytes": (SqlType("varbinary", 20), "set_byte(bytes, 2, 1)", "0x00ff00 on the source, 0x00ff01 on the target"),
    "FixedBytes": (SqlType("binary", 4), "'\\x01020304'", "0x01020300 on the source"),
    "Image": (SqlType("image", -1), "set_byte(image, 99999, 1)", "as far as it is shown"),
    "Version": (SqlType("timestamp", 8), "'\\x0000000000000008'", "0x0000000000000007 on the source"),
    "Guid": (
        SqlType("uniqueidentifier", 16),
        "'6f9619ff-8b86-d011-b42d-00cf4fc964fe'",
        "6f9619ff-8b86-d011-b42d-00cf4fc964ff on the source",
    ),
}
NAMES = list(TYPES)
EVERY = Table(
    "dbo",
    "Every",
    (Column("id", SqlType("int", 4), is_nullable=False), *(Column(name, kind) for name, (kind, _, _) in TYPES.items())),
    Key("PK_Every", (KeyColumn("id"),)),
)
LETTERS = "".join(chr(97 + i % 26) for i in range(10_000))
SEVENTH: Sequence[object] = (
    0, 7, -7, 70, 2**63 - 8, "0.12345678901234567890", "-922337203685477.5808", "214748.3647", 0.1, 1 / 3, "0001-01-01",
    "23:59:59.9999999", "2079-06-06 23:58:00", "9999-12-31 23:59:59.997", "9999-12-31 23:59:59.9999999",
    "2024-02-29 12:00:00.0000000 +05:30", "ab   ", "é🎉" + " " * 7, "seven", "für ü", LETTERS + "🎉", "old", "<a/>",
    b"\0\xff\0", b"\1\2\3\0", bytes(100_000), b"\0" * 7 + b"\7", "6F9619FF-8B86-D011-B42D-00CF4FC964FF",
)  # fmt: skip
# Two columns of one type, one of them a copy of rows in another order, and a table that nothing tells apart.
TWINS = Table(
    "dbo",
    "Twins",
    (
        Column("region", SqlType("nvarchar", 20), is_nullable=False),
        Column("number", SqlType("int", 4), is_nullable=False),
        Column("one", SqlType("varchar", 20)),
        Column("other", SqlType("varchar", 20)),
    ),
    Key("PK_Twins", (KeyColumn("region"), KeyColumn("number"))),
)
HEAP = Table("dbo", "Heap", (Column("label", SqlType("nvarchar", 60)), Column("number", SqlType("int", 4))))
DATABASE = Database("verified", (EVERY, TWINS, HEAP))
ROWS: Mapping[str, list[tuple[object, ...]]] = {
    "dbo.Every": [
        (number, *(SEVENTH if number == 7 else ("" if n == "Short" else None for n in NAMES))) for number in range(20)
    ],
    "dbo.Twins": [(f"r{n % 3}", n, f"value {n}", f"value {(n + 1) % 300}") for n in range(300)],
    "dbo.Heap": [(None if n % 50 == 7 else f"label {n // 2}", n // 2 % 40) for n in range(200)],
}
KEPT = ("every", "twins", "heap")


@dataclasses.dataclass
class Scene:
    """Three tables on a stand-in and their right copy; `settings` reach both."""

    settings: Settings
    target: EmbeddedTarget
    database: str
    environment: dict[str, str]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    def compare(self, table: Table, mode: Mode = "values", workers: int = 2, **settings: Any) -> Comparison:
        """Compare one table."""
        changed = dataclasses.replace(self.settings, **settings)
        return compare(table, changed, mode, workers)


def compare(table: Table, settings: Settings, mode: Mode = "values", workers: int = 2) -> Comparison:
    """Compare one table."""
    (found,) = verification.compare([table], settings, mode, workers)
    return found


@pytest.fixture(scope="module")
def right_copy(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The tables, copied by the scripts once for all tests."""
    target.create_database("verified")
    with StandIn(DATABASE, ROWS) as source:
        environment = {**source_settings(source.port, DATABASE.name), **target.environment("verified")}
        workplace = Workplace(tmp_path_factory.mktemp("verified"), {**environment, "RETRY_SECONDS": "0"})
        for script in ("schema", "data"):
            finished = workplace.run(script)
            assert finished.code == 0, finished.text
        scene = Scene(load_settings(None, workplace.environment), target, "verified", dict(workplace.environment))
        for name in KEPT:
            scene.query(f"CREATE SCHEMA IF NOT EXISTS kept; CREATE TABLE kept.{name} AS TABLE {name}")
        yield scene


@pytest.fixture
def scene(right_copy: Scene) -> Iterator[Scene]:
    """The right copy, and right again after the test."""
    yield right_copy
    for name in KEPT:
        right_copy.query(f"TRUNCATE {name}; INSERT INTO {name} SELECT * FROM kept.{name}")


# -- nothing is found on a right copy ------------------------------------------------------------------


@pytest.mark.parametrize("table", DATABASE.tables, ids=lambda table: table.name)
@pytest.mark.parametrize("workers", [1, 4])
def test_a_right_copy_is_equal(scene: Scene, table: Table, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target_reader, "BLOCKS_A_RANGE", 1)
    found = scene.compare(table, workers=workers, chunk_rows=50, batch_size=7)
    assert found.is_equal, found.describe()
    assert found.describe() == f"✅ dbo.{table.name}: {len(ROWS[f'dbo.{table.name}'])} rows equal"
    assert len(set(digests(table, scene.settings))) == 1


@pytest.mark.parametrize("driver", ["FreeTDS", "Microsoft"])
def test_a_right_copy_is_equal_through_both_drivers(scene: Scene, driver: str) -> None:
    path = wheel_driver()
    if driver == "Microsoft" and path is None:
        pytest.skip("no driver of Microsoft's in a package here")
    settings = load_settings(
        None, {**scene.environment, "MSSQL_DRIVER": str(path) if driver == "Microsoft" else driver}
    )
    for table in DATABASE.tables:
        found = compare(table, settings)
        assert found.is_equal, found.describe()


# -- whatever differs is found, and named ---------------------------------------------------------------


@pytest.mark.parametrize("column", NAMES)
def test_one_changed_value_of_every_type(scene: Scene, column: str) -> None:
    _, change, told = TYPES[column]
    name = f'"{column.lower()}"'
    scene.query(f"UPDATE every SET {name} = {change} WHERE id = 7")
    found = scene.compare(EVERY)
    text = found.describe()
    assert not found.is_equal
    assert found.columns == (column,)
    assert f"columns that differ: {column}\n" in text
    assert f"column {column} differs in 1 row:\n     id 7: " in text
    assert told in text


def test_null_instead_of_a_value_of_every_type(scene: Scene) -> None:
    changes = ", ".join(f'"{name.lower()}" = NULL' for name in NAMES)
    scene.query(f"UPDATE every SET {changes} WHERE id = 7")
    found = scene.compare(EVERY)
    assert found.columns == tuple(NAMES)
    for name in NAMES:
        assert f"column {name} differs in 1 row:\n     id 7: " in found.describe()
    assert found.describe().count("NULL on the target") == len(NAMES)
    assert len(set(digests(EVERY, scene.settings))) == 2


def test_empty_text_instead_of_null_and_null_instead_of_empty_text(scene: Scene) -> None:
    scene.query("UPDATE every SET long = '' WHERE id = 3")
    scene.query("UPDATE every SET short = NULL WHERE id = 4")
    found = scene.compare(EVERY)
    assert found.columns == ("Short", "Long")
    assert "id 3: NULL on the source, '' on the target" in found.describe()
    assert "id 4: '' on the source, NULL on the target" in found.describe()


def test_a_changed_trailing_blank(scene: Scene) -> None:
    scene.query("UPDATE twins SET one = one || ' ' WHERE number = 41")
    found = scene.compare(TWINS)
    assert "region 'r2', number 41: 'value 41' on the source, 'value 41 ' on the target" in found.describe()


def test_a_lost_row(scene: Scene) -> None:
    scene.query("DELETE FROM twins WHERE number IN (41, 44)")
    text = scene.compare(TWINS, workers=3, chunk_rows=60).describe()
    assert text.startswith("❌ dbo.Twins: 300 rows on the source, 298 on the target")
    assert (
        "2 keys only on the source (lost), from region 'r2', number 41 to region 'r2', number 44:\n"
        "     region 'r2', number 41\n     region 'r2', number 44"
    ) in text


def test_a_row_too_many(scene: Scene) -> None:
    scene.query("INSERT INTO twins VALUES ('r9', 999, 'x', 'y')")
    assert "1 key only on the target:\n     region 'r9', number 999" in scene.compare(TWINS).describe()


def test_a_doubled_row(scene: Scene) -> None:
    scene.query("ALTER TABLE twins DROP CONSTRAINT pk_twins")
    scene.query("INSERT INTO twins SELECT * FROM twins WHERE number = 41")
    text = scene.compare(TWINS).describe()
    assert "300 rows on the source, 301 on the target" in text
    assert "1 key more often on the target (doubled):\n     region 'r2', number 41" in text


def test_a_row_that_replaced_another(scene: Scene) -> None:
    scene.query("DELETE FROM twins WHERE number = 41")
    scene.query("INSERT INTO twins VALUES ('r9', 999, 'x', 'y')")
    text = scene.compare(TWINS).describe()
    assert "1 key only on the source (lost):\n     region 'r2', number 41" in text
    assert "1 key only on the target:\n     region 'r9', number 999" in text
    assert scene.compare(TWINS, "counts").is_equal


def test_swapped_columns_of_one_type(scene: Scene) -> None:
    scene.query("UPDATE twins SET one = other, other = one WHERE number = 41")
    found = scene.compare(TWINS)
    assert found.columns == ("one", "other")
    assert "region 'r2', number 41: 'value 41' on the source, 'value 42' on the target" in found.describe()


def test_columns_swapped_as_a_whole_though_each_holds_the_same_values(scene: Scene) -> None:
    scene.query("UPDATE twins SET one = other, other = one")
    found = scene.compare(TWINS)
    assert not found.is_equal
    assert found.columns == ()
    assert "column one differs in 300 rows, from region 'r0', number 0 to region 'r2', number 299:" in found.describe()
    assert "… and 290 more" in found.describe()


def test_values_that_stand_in_each_others_rows(scene: Scene) -> None:
    scene.query(
        "UPDATE twins SET one = CASE number WHEN 41 THEN 'value 44' ELSE 'value 41' END WHERE number IN (41, 44)"
    )
    text = scene.compare(TWINS).describe()
    assert "column one differs in 2 rows, from region 'r2', number 41 to region 'r2', number 44:" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DELETE FROM heap WHERE label = 'label 41'", "2 rows only on the source, or more often there"),
        (
            "INSERT INTO heap SELECT * FROM heap WHERE label = 'label 41'",
            "2 rows more often on the target (doubled):\n     label 'label 41', number 1 (2 times)",
        ),
        (
            "DELETE FROM heap WHERE ctid = (SELECT min(ctid) FROM heap WHERE label = 'label 41')",
            "1 row only on the source, or more often there:\n     label 'label 41', number 1",
        ),
        (
            "UPDATE heap SET number = 99 WHERE label = 'label 41'",
            "2 rows only on the target:\n     label 'label 41', number 99 (2 times)",
        ),
        (
            "UPDATE heap SET label = '' WHERE label IS NULL AND number = 3",
            "1 row only on the target:\n     label '', number 3",
        ),
    ],
)
def test_a_table_without_a_key(scene: Scene, change: str, told: str) -> None:
    scene.query(change)
    found = scene.compare(HEAP, workers=3)
    assert not found.is_equal
    assert told in found.describe()


def test_more_differences_than_memory_are_told_in_part(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_comparison, "BYTES_LOOKED_AT", 5000)
    scene.query("UPDATE twins SET one = 'other'")
    found = scene.compare(TWINS)
    assert found.is_partly_known
    assert "column one differs in" in found.describe()
    assert "the lists are not complete" in found.describe()


@pytest.mark.parametrize("value", ["'NaN'", "123456789012345678901234567890123456789", "0.123456789012345678901"])
def test_a_number_that_the_source_cannot_hold(scene: Scene, value: str) -> None:
    scene.query("ALTER TABLE every ALTER exact TYPE numeric")
    scene.query(f"UPDATE every SET exact = {value} WHERE id = 7")
    try:
        assert scene.compare(EVERY).columns == ("Exact",)
    finally:
        scene.query("UPDATE every SET exact = NULL; ALTER TABLE every ALTER exact TYPE numeric(38,20)")


def test_types_of_the_target_that_differ_legally(scene: Scene) -> None:
    types = {
        "tiny": "bigint", "whole": "numeric", "big": "numeric(30,5)", "exact": "numeric", "single": "float8",
        "fixed": "text", "short": "text", "wide": "citext", "markup": "text", "long": "varchar",
    }  # fmt: skip
    before = dict(
        scene.query(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = 'every'::regclass AND attnum > 0"
        )
    )
    scene.query("CREATE EXTENSION IF NOT EXISTS citext")
    # PostgreSQL drops the padding when it casts character(n) to text; a load into a text column keeps it.
    changes = ", ".join(f"ALTER {name} TYPE {kind}" for name, kind in types.items())
    scene.query(f"ALTER TABLE every {changes}; UPDATE every SET fixed = rpad(fixed, 5)")
    try:
        found = scene.compare(EVERY)
        assert found.is_equal, found.describe()
        scene.query("UPDATE every SET wide = upper(wide) WHERE id = 7")
        assert scene.compare(EVERY).columns == ("Wide",)
    finally:
        back = ", ".join(f"ALTER {name} TYPE {before[name]} USING {name}::{before[name]}" for name in types)
        scene.query(f"TRUNCATE every; ALTER TABLE every {back}")


LARGE_TYPES = {"raw": SqlType("varbinary", -1), "body": SqlType("nvarchar", -1), "doc": SqlType("xml", -1)}
LARGE_BYTES = 1_100_000


def large_rows(columns: int) -> list[tuple[object, ...]]:
    """Rows with values beyond a megabyte, also with what changes on the way, and small ones."""
    text = "é🎉 and \0 so on ".ljust(20) * (LARGE_BYTES // 24)
    declared = '<?xml version="1.0" encoding="UTF-16"?>'
    rows = [
        (1, bytes(range(256)) * (LARGE_BYTES // 256), "short\0", f"{declared}<a>{'x' * LARGE_BYTES}</a>"),
        (2, None, text, "<a/>"),
        (3, b"", None, None),
    ]
    return [row[: 1 + columns] for row in rows]


@pytest.mark.parametrize("columns", [1, 3], ids=["read in blocks", "read in pieces"])
def test_large_values_are_compared_by_digests(
    columns: int,
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    chosen = [Column(name, kind) for name, kind in list(LARGE_TYPES.items())[:columns]]
    key = Column("id", SqlType("int", 4), is_nullable=False)
    table = Table("dbo", "Large", (key, *chosen), Key("PK_Large", (KeyColumn("id"),)))
    database = Database("large", (table,))
    workplace = make_workplace(serve(database, {"dbo.Large": large_rows(columns)}), database)
    assert workplace.run("schema").code == 0
    loaded = workplace.run("data", "--then-verify")
    assert loaded.code == 0, loaded.text
    changes = [
        f"raw = set_byte(raw, {LARGE_BYTES // 2}, 77)", "body = overlay(body placing '?' from 500000)",
        "doc = replace(doc, '</a>', ' </a>')",
    ]  # fmt: skip
    for change in changes[:columns]:
        query(target, target_database, f"UPDATE large SET {change} WHERE id = {2 if change[0] == 'b' else 1}")
    changed = compare(table, load_settings(None, workplace.environment))
    assert changed.columns == tuple(LARGE_TYPES)[:columns]
    for told in ("id 1: 0x7368613235363a", "id 2: 'sha256:", "id 1: 'sha256:")[:columns]:
        assert told in changed.describe()


# -- what cannot be compared, and what the source itself counts --------------------------------------------


def test_a_missing_table_and_a_missing_column_and_an_unlike_type(scene: Scene) -> None:
    gone = dataclasses.replace(EVERY, name="Gone")
    assert scene.compare(gone).describe() == "❌ dbo.Gone: public.gone does not exist on the target"
    wider = dataclasses.replace(TWINS, columns=(*TWINS.columns, Column("Extra", SqlType("int", 4))))
    assert "column Extra is missing in the target table public.twins" in scene.compare(wider).describe()
    unlike = dataclasses.replace(TWINS, columns=(Column("one", SqlType("int", 4)),), primary_key=None)
    assert "column one: int cannot be compared with a target column of type varchar" in scene.compare(unlike).describe()


def test_a_table_that_the_source_refuses_to_read(scene: Scene) -> None:
    unknown = dataclasses.replace(TWINS, columns=(*TWINS.columns, Column("Extra", SqlType("int", 4))))
    scene.query("ALTER TABLE twins ADD extra integer")
    try:
        text = scene.compare(unknown).describe()
    finally:
        scene.query("ALTER TABLE twins DROP extra")
    assert text.startswith("❌ dbo.Twins: the source cannot be read: ")
    assert "Extra" in text


def _without_the_last_row(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.slice(0, batch.num_rows - 1)


def _with_a_null(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.set_column(2, batch.schema.field(2), pa.array([None, *batch.column(2).to_pylist()[1:]], pa.string()))


def _cut_by_one(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.set_column(2, batch.schema.field(2), pa.array([v[:-1] for v in batch.column(2).to_pylist()]))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (_without_the_last_row, "299 rows were read where the source itself counts 300"),
        (_with_a_null, "column one: 299 values were read where the source itself counts 300"),
        (_cut_by_one, "column one: 2,290 UTF-16 units were read where the source itself counts 2,590"),
    ],
)
def test_a_driver_that_reads_wrongly_does_not_hide(
    scene: Scene,
    fault: Callable[[pa.RecordBatch], pa.RecordBatch],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = reader.read_batches

    def wrong(*arguments: Any) -> Iterator[pa.RecordBatch]:
        return map(fault, right(*arguments))

    monkeypatch.setattr(reader, "read_batches", wrong)
    assert told in scene.compare(TWINS, retry_attempts=2).describe()


FORGED: Mapping[str, object] = {
    "Flag": True, "Tiny": 8, "Small": -6, "Whole": 71, "Big": 2**63 - 7, "Exact": Decimal("0.12345678901234567891"),
    "Price": Decimal("-922337203685477.5807"), "Coin": Decimal("214748.3646"), "Day": date(1, 1, 2),
    "Minute": datetime(2079, 6, 5, 23, 58), "Old": datetime(9999, 12, 30), "Moment": datetime(1999, 12, 31),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_a_driver_that_reads_a_number_wrongly_hides_neither_behind_the_load_nor_itself(
    scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = reader.read_batches
    position = NAMES.index(name) + 1

    def forged(batch: pa.RecordBatch) -> pa.RecordBatch:
        kind = batch.schema.field(position).type
        values = [None if value is None else FORGED[name] for value in batch.column(position).to_pylist()]
        return batch.set_column(position, batch.schema.field(position), pa.array(values, kind))

    def wrong(*arguments: Any) -> Iterator[pa.RecordBatch]:
        return map(forged, right(*arguments))

    monkeypatch.setattr(reader, "read_batches", wrong)
    told = scene.compare(EVERY, retry_attempts=1).describe()
    assert f"column {name}: " in told
    assert "add up to" in told
    assert "where the source itself counts" in told


# -- as a script -----------------------------------------------------------------------------------------


def loaded(shop: Shop) -> Workplace:
    """A workplace with a right copy of the shop."""
    shop.ready("data")
    for name, rows in SHOP_ROWS.items():
        target = f"sales.{name[6:]}" if name.startswith("Sales.") else name[4:]
        for row in rows:
            shop.query(f"INSERT INTO {target} VALUES (%s, %s)", *row)
    return shop.workplace


def test_verify_changes_nothing_needs_no_lock_and_exits_1_on_a_difference(shop: Shop) -> None:
    workplace = loaded(shop)
    write_progress(workplace.data_progress, "data", Customers="failed", Orders="in_progress")
    before = workplace.data_progress.read_bytes()
    lock = workplace.data_progress.with_name(workplace.data_progress.name + ".lock")
    right = workplace.run("data", "--verify")
    assert right.code == 0, right.text
    assert "Equal:         4" in right.out
    assert "Rows compared: 46" in right.out
    shop.query("UPDATE sales.orders SET label = 'forged' WHERE id = 5")
    shop.query("DELETE FROM customers WHERE id = 3; DROP TABLE products")
    wrong = workplace.run("data", "--verify", "--workers", "1")
    assert wrong.code == 1
    lines = [line for line in wrong.out.splitlines() if line.startswith(("✅", "❌"))]
    assert lines == [
        "❌ dbo.Customers: 12 rows on the source, 11 on the target",
        "✅ dbo.Orders: 20 rows equal",
        "❌ dbo.Products: public.products does not exist on the target",
        "❌ Sales.Orders: 9 rows on both sides, but not the same values",
    ]
    assert "id 5: 'sale 5 ü€' on the source, 'forged' on the target" in wrong.out
    assert workplace.data_progress.read_bytes() == before
    assert not lock.exists()


def test_counts_only(shop: Shop) -> None:
    workplace = loaded(shop)
    shop.query("UPDATE sales.orders SET label = 'forged' WHERE id = 5")
    right = workplace.run("data", "--verify=counts")
    assert right.code == 0, right.text
    assert "Rows counted:" in right.out
    shop.query("DELETE FROM customers WHERE id = 3")
    wrong = workplace.run("data", "--verify", "counts", "--tables", "Customers,Products")
    assert wrong.code == 1
    assert "❌ dbo.Customers: 12 rows on the source, 11 on the target" in wrong.out
    assert re.search(r"Total tables: +2\n", wrong.out)


def test_then_verify_compares_what_was_completed(shop: Shop) -> None:
    workplace = shop.ready("data").workplace
    shop.query("CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS"
               " $$ BEGIN IF new.id = 5 THEN new.label = 'spoilt'; END IF; RETURN new; END $$")  # fmt: skip
    shop.query("CREATE TRIGGER spoil BEFORE INSERT ON sales.orders FOR EACH ROW EXECUTE FUNCTION spoil()")
    shop.query("ALTER TABLE sales.orders ENABLE ALWAYS TRIGGER spoil; DROP TABLE products")
    finished = workplace.run("data", "--then-verify")
    assert finished.code == 1
    assert "Comparing both sides of 3 completed tables" in finished.out
    assert "✅ dbo.Orders: 20 rows equal" in finished.out
    assert "Products: the target" not in finished.out.partition("Comparing both sides")[2]


def test_start_from_table_and_flags_that_cannot_stand_beside_it(shop: Shop) -> None:
    workplace = loaded(shop)
    some = workplace.run("data", "--verify", "--start-from-table", "Products")
    assert some.code == 0
    assert "Total tables:  2" in some.out
    for flag in ("--resume", "--reset", "--no-truncate", "--consistent", "--retry-rejects"):
        refused = workplace.run("data", "--verify", flag)
        assert refused.code == 2
        why = "--verify copies nothing (--then-verify compares after a load)"
        assert f"{why}, so it cannot be combined with {flag}" in refused.err


def test_a_connection_that_breaks_is_tried_again(shop: Shop) -> None:
    workplace = loaded(shop)
    socket = Path(workplace.environment["PGHOST"]) / f".s.PGSQL.{workplace.environment['PGPORT']}"
    with Proxy(("127.0.0.1", shop.source.port)) as source, Proxy(socket) as target:
        through = workplace.with_settings(
            MSSQL_PORT=str(source.port), PGHOST="127.0.0.1", PGPORT=str(target.port), RETRY_SECONDS="0", WORKERS="1"
        )
        target.cut_after(60_000)
        finished = through.run("data", "--verify")
        assert finished.code in (0, 3), finished.text
        source.cut_after(40_000)
        finished = through.run("data", "--verify")
        assert finished.code in (0, 3), finished.text
    assert counts_of(shop) == SHOP_COUNTS


def counts_of(shop: Shop) -> dict[str, int]:
    """The rows of the shop's tables on the target."""
    return {name: len(shop.rows(name)) for name in SHOP_COUNTS}


def test_a_signal_ends_it_while_a_side_is_silent(shop: Shop) -> None:
    workplace = loaded(shop)
    with Proxy(("127.0.0.1", shop.source.port)) as source:
        through = workplace.with_settings(MSSQL_PORT=str(source.port), WORKERS="1")
        assert through.run("data", "--verify").code == 0
        # Near the end, where all the rows are: workers wait for the source, not the thread that takes signals.
        source.stall_after(source.passed - 3000)
        process = through.start("data", "--verify")
        wait_until(lambda: source.is_stalled, "the source is silent")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        source.resume()
    assert process.returncode == 130, out + err
    assert "Nothing was changed." in err


# -- other databases ------------------------------------------------------------------------------------


def test_nothing_is_found_on_a_right_copy_of_the_handmade_database(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]
) -> None:
    # The shop's copy is verified by README's examples.
    workplace = make_workplace(serve(HANDMADE, HANDMADE_ROWS), HANDMADE)
    assert workplace.run("schema").code == 0
    finished = workplace.run("data", "--then-verify", "--allow-encrypted")
    assert finished.code == 0, finished.text
    assert "Equal:" in finished.out
    assert "Different:" not in finished.out
    assert "❌" not in finished.out.partition("Comparing both sides")[2]
    settings = load_settings(None, workplace.environment)
    for table in introspection.read_tables(reader.connect(settings))[::8]:
        assert len(set(digests(table, settings))) == 1, table.full_name


def on_six_digits(row: tuple[object, ...]) -> tuple[object, ...]:
    """A row whose dates and times any T-SQL server holds; not all have a seventh digit."""
    return tuple(value.replace(".9999999", ".999999") if isinstance(value, str) else value for value in row)


def test_on_a_tsql_server_every_type_is_equal_and_a_change_is_found(
    tsql_server: Mapping[str, str], odbc_driver: str, target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    with own_database(tsql_server, "verification") as there:
        given = {**there, **target.environment(target_database)}
        workplace = Workplace(tmp_path, given).with_settings(MSSQL_DRIVER=odbc_driver)
        with closing(connect_source(load_settings(None, given))) as connection:
            for statement in create_script(DATABASE, with_comments=False, with_others=False):
                connection.execute(statement)
            connection.autocommit = False
            load_rows(connection, DATABASE, {key: [on_six_digits(row) for row in rows] for key, rows in ROWS.items()})
        assert workplace.run("schema").code == 0
        loaded = workplace.run("data", "--then-verify")
        assert loaded.code == 0, loaded.text
        assert "Equal:         3" in loaded.out
        query(target, target_database, "UPDATE every SET price = price + 0.0001, guid = gen_random_uuid() WHERE id = 7")
        query(target, target_database, "DELETE FROM twins WHERE number = 41")
        changed = workplace.run("data", "--verify", "--workers", "2")
        assert changed.code == 1
        assert "columns that differ: price, guid\n" in changed.out.lower()
        assert "1 key only on the source (lost):\n     region 'r2', number 41" in changed.out

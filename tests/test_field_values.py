"""Values that broke other tools (each test is named after its number in the field's list), by both drivers."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from standin.values import Variant
from tests.harness import Workplace, source_settings
from tests.samples import query

Q = SqlType

#: column → its type and its values; None is added to each
COLUMNS: Mapping[str, tuple[SqlType, Sequence[object]]] = {
    "money": (Q("money"), [Decimal(text) for text in (
        "922337203685477.5807", "-922337203685477.5808", "0.0001", "79228162514264.3375", "1234567890123.4567",
    )]),
    "smallmoney": (Q("smallmoney"), [Decimal(t) for t in ("214748.3647", "-214748.3648", "100", "99.9999", "0.0001")]),
    "long_decimal": (Q("decimal", precision=38, scale=10), [Decimal(text) for text in (
        "9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999",
        "1234567890123456789012345678.0123456789",
    )]),
    "small_decimal": (Q("decimal", precision=9, scale=9), [Decimal("0.999999999"), Decimal("-0.999999999")]),
    "offset": (Q("datetimeoffset", scale=7), [
        "2024-02-29 23:59:59.1234560 +14:00", "2024-02-29 00:00:00.0000010 -14:00",
        "9999-12-31 23:59:59.9999990 +00:00", "0001-01-01 00:00:00.0000000 +00:00",
        "2024-03-31 02:30:00.0000000 +01:00",
    ]),
    "smalldatetime": (Q("smalldatetime"), ["1900-01-01 00:00:00", "2079-06-06 23:59:00", "2024-02-29 12:34:00"]),
    "datetime": (Q("datetime"), [
        "1753-01-01 00:00:00.000", "9999-12-31 23:59:59.997", "2024-02-29 12:00:00.763", "2024-02-29 12:00:00.767",
        "2024-02-29 12:00:00.770",
    ]),
    "time0": (Q("time", scale=0), ["00:00:00", "23:59:59"]),
    "time7": (Q("time", scale=7), ["00:00:00.0000010", "23:59:59.9999999"]),
    "date": (Q("date"), ["0001-01-01", "9999-12-31", "1582-10-10", "1900-02-28"]),
    "datetime2": (Q("datetime2", scale=7), ["0001-01-01 00:00:00.0000000", "9999-12-31 23:59:59.9999999"]),
    "variant": (Q("sql_variant", 8016), [
        Variant(Q("money"), Decimal("922337203685477.5807")), Variant(Q("float"), 0.1), Variant(Q("bit"), True),
        Variant(Q("datetime"), "2024-02-29 12:00:00.767"), Variant(Q("nvarchar", 40), "日本 🎉"),
        Variant(Q("int"), -1),
        Variant(Q("datetimeoffset", scale=7), "2024-02-29 12:00:00.1234567 +05:30"),
        Variant(Q("varbinary", 8), b"\x00\xff"),
        Variant(Q("decimal", precision=38, scale=38), Decimal("0." + "1" * 38)),
    ]),
    "node": (Q("hierarchyid", 892), ["/", "/1/", "/1/2.5/", "/-1/"]),
    "guid": (Q("uniqueidentifier"), [
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff"),
    ]),
    "document": (Q("xml", -1), ["<a b='1'>é🎉</a>", "", "text", "<?xml version='1.0' encoding='utf-16'?><a/>"]),
    "bit": (Q("bit"), [True, False]),
}  # fmt: skip

TABLES = tuple(
    Table(
        "dbo",
        f"T {name}",
        (Column("id", Q("int"), is_nullable=False), Column("value", kind), Column("version", Q("timestamp", 8), False)),
        Key(f"PK {name}", (KeyColumn("id"),)),
    )
    for name, (kind, _) in COLUMNS.items()
)
DATABASE = Database("values", TABLES)
VERSION = b"\0\0\0\0\0\0\x07\xd1"


class Copied:
    """The tables after both scripts."""

    def __init__(self, target: EmbeddedTarget, database: str) -> None:
        self._target, self._database = target, database

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return query(self._target, self._database, sql)

    def values(self, name: str, shown: str = "value") -> list[Any]:
        """What arrived of a column but the last value, which is NULL."""
        *found, (last,) = self.ask(f'SELECT {shown} FROM "t {name}" ORDER BY id')
        assert last is None
        return [value for (value,) in found]

    def type_of(self, name: str, column: str = "value") -> str:
        """The PostgreSQL type of a column."""
        sql = f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '\"t {name}\"'::regclass"
        ((found,),) = self.ask(f"{sql} AND attname = '{column}'")
        return str(found)


@pytest.fixture(scope="module", params=["", "FreeTDS"], ids=["microsoft", "freetds"])
def copied(
    request: pytest.FixtureRequest, target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Copied]:
    """All of it copied by each driver, and compared by --verify."""
    if request.param and request.param not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    rows = {
        f"dbo.T {name}": [(number, value, VERSION) for number, value in enumerate([*values, None])]
        for name, (_, values) in COLUMNS.items()
    }
    folder: Path = tmp_path_factory.mktemp("values")
    target.create_database("field_values")
    with StandIn(DATABASE, rows) as source:
        settings = {**source_settings(source.port, "values"), **target.environment("field_values")}
        workplace = Workplace(folder, settings).with_settings(MSSQL_DRIVER=request.param)
        for arguments in (("schema",), ("data",), ("data", "--verify")):
            finished = workplace.run(*arguments)
            assert finished.code == 0, finished.text
    yield Copied(target, "field_values")


def given(name: str) -> list[Any]:
    """What the source held."""
    return list(COLUMNS[name][1])


def test_03_money_keeps_its_four_digits_and_meets_no_float(copied: Copied) -> None:
    assert copied.type_of("money") == "numeric(19,4)"
    assert copied.values("money") == given("money")


def test_04_smallmoney_does_not_overflow(copied: Copied) -> None:
    assert copied.type_of("smallmoney") == "numeric(10,4)"
    assert copied.values("smallmoney") == given("smallmoney")


def test_05_decimals_of_more_than_28_digits_are_exact(copied: Copied) -> None:
    assert copied.type_of("long_decimal") == "numeric(38,10)"
    assert copied.values("long_decimal") == given("long_decimal")
    assert copied.values("small_decimal") == given("small_decimal")


def test_06_a_datetimeoffset_keeps_its_instant(copied: Copied) -> None:
    assert copied.type_of("offset") == "timestamp(6) with time zone"
    shown = "to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    assert copied.values("offset", shown) == [
        "2024-02-29 09:59:59.123456", "2024-02-29 14:00:00.000001", "9999-12-31 23:59:59.999999",
        "0001-01-01 00:00:00.000000", "2024-03-31 01:30:00.000000",
    ]  # fmt: skip


def test_07_no_column_is_left_out_silently(copied: Copied) -> None:
    found = copied.ask(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class AS c JOIN pg_attribute AS a"
        " ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.relname LIKE 't %%' AND c.relkind = 'r' GROUP BY 1"
    )
    assert dict(found) == {f"t {name}": ["id", "value", "version"] for name in COLUMNS}
    for name in COLUMNS:
        assert copied.ask(f'SELECT count(value) FROM "t {name}"') == [(len(given(name)),)]


def test_08_smalldatetime_datetime_and_time_are_what_they_were(copied: Copied) -> None:
    timestamp = datetime.datetime.fromisoformat
    assert copied.values("smalldatetime") == [timestamp(text) for text in given("smalldatetime")]
    assert copied.values("datetime") == [timestamp(text) for text in given("datetime")]
    assert copied.values("time0", "value::text") == given("time0")
    # A seventh digit is cut: rounded, it would be 24:00:00.
    assert copied.values("time7", "value::text") == ["00:00:00.000001", "23:59:59.999999"]


def test_09_the_first_and_the_last_day_do_not_overflow(copied: Copied) -> None:
    assert copied.values("date", "value::text") == given("date")
    assert copied.values("datetime2", "value::text") == ["0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"]
    assert copied.values("datetime", "value::text")[1] == "9999-12-31 23:59:59.997"


def test_10_a_datetime_of_767_milliseconds_is_found_again(copied: Copied) -> None:
    found = "SELECT id FROM \"t datetime\" WHERE value {} '2024-02-29 12:00:00.767' AND value < '2025-01-01'"
    assert copied.ask(found.format("=")) == [(3,)]
    assert copied.ask(found.format(">")) == [(4,)]


def test_14_a_rowversion_is_eight_bytes_and_no_date(copied: Copied) -> None:
    assert copied.type_of("bit", "version") == "bytea"
    assert copied.ask("SELECT DISTINCT encode(version, 'hex') FROM \"t bit\"") == [(VERSION.hex(),)]


def test_28_variants_and_hierarchyids_are_in_the_load(copied: Copied) -> None:
    assert copied.values("variant") == [
        "922337203685477.5807", "1.0000000000000001e-001", "1", "2024-02-29 12:00:00.767", "日本 🎉", "-1",
        "2024-02-29 12:00:00.1234567 +05:30", "0x00FF", "0." + "1" * 38,
    ]  # fmt: skip
    assert copied.values("node") == given("node")


def test_33_the_bytes_of_a_uuid_are_not_swapped(copied: Copied) -> None:
    assert copied.type_of("guid") == "uuid"
    assert copied.values("guid", "value::text") == [str(value) for value in given("guid")]


def test_34_xml_variant_and_bit_travel_with_the_other_columns(copied: Copied) -> None:
    assert copied.type_of("document") in ("xml", "text")  # text where the server has no libxml
    declared = "<?xml version='1.0'?>"
    assert [text.removeprefix(declared) for text in copied.values("document", "value::text")] == [
        "<a b='1'>é🎉</a>", "", "text", "<a/>",
    ]  # fmt: skip
    assert copied.values("bit") == [True, False]
    assert copied.values("variant")[2] == "1"

"""Values of every type arrive through the real drivers as they are, and so do a request's parameters."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal

import pyarrow as pa
import pyodbc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.catalog import Column, Database, SqlType, Table
from standin.server import StandIn
from tests.standin.clients import arrow, connect, microsoft_driver, rows, value
from tests.standin.samples import PRECISE, Q
from tests.type_values import VALUES


@pytest.mark.parametrize(("name", "kind", "first", "second"), VALUES, ids=[name for name, *_ in VALUES])
def test_type_through_pyodbc(
    connection: pyodbc.Connection, name: str, kind: SqlType, first: object, second: object
) -> None:
    found = [row[0] for row in rows(connection, f"SELECT {name} FROM dbo.[Every Type] ORDER BY id")]
    if kind.name == "uniqueidentifier":
        found[:2] = [uuid.UUID(text) for text in found[:2]]
    assert found[:2] == [first, second]
    if kind.name == "timestamp":
        assert len(found[2]) == 8
    else:
        assert found[2] is None


@pytest.mark.parametrize(("name", "kind", "first", "second"), VALUES, ids=[name for name, *_ in VALUES])
def test_type_through_arrow(
    source: StandIn, driver: str, name: str, kind: SqlType, first: object, second: object
) -> None:
    found = arrow(source, driver, f"SELECT {name} FROM dbo.[Every Type] ORDER BY id")[name].to_pylist()
    if kind.name == "uniqueidentifier":
        found[:2] = [uuid.UUID(text) for text in found[:2]]
    assert found[:2] == [first, second]


@pytest.mark.parametrize(("name", "kind", "first", "second"), PRECISE, ids=[name for name, *_ in PRECISE])
def test_seventh_digit_and_offset_arrive(
    source: StandIn, driver: str, name: str, kind: SqlType, first: str, second: str
) -> None:
    sql = f"SELECT CONVERT(varchar(40), {name}, 121) AS t FROM dbo.[Every Type] ORDER BY id"
    assert arrow(source, driver, sql)["t"].to_pylist() == [first, second, None]
    if kind.name == "datetimeoffset":
        # The driver writes the column itself as text, with the digits of its scale.
        assert arrow(source, driver, f"SELECT {name} AS t FROM dbo.[Every Type] ORDER BY id")["t"].to_pylist() == [
            first,
            second,
            None,
        ]


def test_seventh_digit_is_sent_by_the_column_itself(driver: str) -> None:
    # In nanoseconds Arrow cannot hold the year 9999, so a value of today's is read.
    table = Table("dbo", "T", (Column("t", Q("datetime2", scale=7)),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [("2024-02-29 23:59:59.9999999",)]}) as running:
        found = arrow(running, driver, "SELECT t FROM dbo.T")["t"]
    assert found.type == pa.timestamp("ns")
    assert found.cast(pa.int64()).to_pylist() == [1709251199999999900]


def test_declared_types_reach_arrow(source: StandIn, driver: str) -> None:
    schema = arrow(source, driver, "SELECT * FROM dbo.[Every Type] WHERE id > 3").schema
    assert schema.field("c_tinyint").type == pa.uint8()
    assert schema.field("c_decimal38").type == pa.decimal128(38, 37)
    assert schema.field("c_money").type == pa.decimal128(19, 4)
    assert schema.field("c_datetime").type == pa.timestamp("ms")
    assert schema.field("c_rowversion").type == pa.binary(8)
    assert not schema.field("id").nullable
    assert schema.field("c_int").nullable


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# The stand-in keeps U+10D800 to U+10DFFF for itself: there it carries lone surrogates.
@given(
    text=st.text(st.characters(max_codepoint=0x10D7FF, exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
)
def test_any_text_survives_a_round_trip(connection: pyodbc.Connection, text: str) -> None:
    assert value(connection, "SELECT CAST(? AS nvarchar(max))", text) == text


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.decimals(min_value=-(10**20), max_value=10**20, places=10))
def test_any_decimal_survives_a_round_trip(connection: pyodbc.Connection, number: Decimal) -> None:
    assert value(connection, "SELECT CAST(? AS decimal(38, 10))", number) == number


def test_lone_surrogates_are_sent_as_they_are() -> None:
    found = microsoft_driver()
    if found is None:
        pytest.skip("the microsoft ODBC driver is not installed")
    table = Table("dbo", "T", (Column("t", Q("nvarchar", 20)),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [("a\ud800b",)]}) as running:
        opened = connect(running, found)
        try:
            assert value(opened, "SELECT CAST(t AS varbinary(20)) FROM dbo.T") == b"a\0\0\xd8b\0"
            opened.add_output_converter(pyodbc.SQL_WVARCHAR, lambda raw: raw)
            assert value(opened, "SELECT t FROM dbo.T") == b"a\0\0\xd8b\0"
        finally:
            opened.close()


PARAMETERS = (
    5,
    2**40,
    Decimal("-12.345"),
    Decimal("-99999999999999999999.5"),
    "héé😀",
    "x" * 5000,
    b"\x01\x02",
    b"y" * 9000,
    datetime.datetime(2024, 1, 2, 3, 4, 5, 123456),
    datetime.date(2024, 1, 2),
    datetime.time(1, 2, 3),
    True,
    1.5,
    None,
)


@pytest.mark.parametrize("parameter", PARAMETERS, ids=[repr(p)[:30] for p in PARAMETERS])
def test_parameter(connection: pyodbc.Connection, parameter: object) -> None:
    assert rows(connection, "SELECT ? AS v, id FROM dbo.Long WHERE id = ?", parameter, 7) == [(parameter, 7)]


def test_uuid_parameter(connection: pyodbc.Connection) -> None:
    given_value = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert rows(connection, "SELECT id FROM dbo.[Every Type] WHERE c_guid = ?", given_value) == [(1,)]


def test_arrow_binds_text(source: StandIn, driver: str) -> None:
    sql = "SELECT id FROM dbo.[Every Type] WHERE id >= ? AND c_nvarchar = ?"
    assert arrow(source, driver, sql, ["1", "Ω中😀👩‍🍳 trailing  "])["id"].to_pylist() == [1]

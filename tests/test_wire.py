"""Bits that are flipped on the way, a source that goes away, names that a driver manager garbles."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Proxy, Workplace
from tests.samples import INT, SHOP_COUNTS, Shop, query, statuses, table, target_rows

OPEN_WIRE = "Not encrypted: the connections to the source (MSSQL_ENCRYPT)"


def utf16(text: str) -> bytes:
    """As the text travels, without the upper half of its last character."""
    return text.encode("utf-16-le")[:-1]


def test_a_bit_flipped_in_an_unencrypted_stream_is_found_by_verify(shop: Shop) -> None:
    place = shop.ready("data").place
    with Proxy(("127.0.0.1", shop.source.port)) as source:
        through = place.with_settings(MSSQL_PORT=str(source.port), MSSQL_ENCRYPT="no")
        source.flip_a_bit(utf16("sale 5"))
        loaded = through.run("data")
        assert loaded.code == 0, loaded.text
        assert f"{OPEN_WIRE}. " in loaded.out
        assert "use --then-verify" in loaded.out
        assert shop.query("SELECT label FROM sales.orders WHERE id = 5") == [("sale 4 ü€",)]
        found = through.run("data", "--verify")
        assert found.code == 1
        assert "id 5: 'sale 5 ü€' on the source, 'sale 4 ü€' on the target" in found.out
        source.flip_a_bit(utf16("sale 5"))
        compared = through.run("data", "--then-verify")
        assert compared.code == 1
        assert "❌ Sales.Orders: 9 rows on both sides, but not the same values" in compared.out


def test_the_same_bit_flipped_in_every_reading_of_a_number_is_found_by_the_sources_own_sum(
    serve: Callable[..., StandIn],
    workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    number = 0x1122_3344_5566_7788
    database = Database("flipped", (table("Numbers", number=SqlType("bigint", 8)),))
    source = serve(database, {"dbo.Numbers": [(1, number), (2, 5)]})
    place = workplace(source, database)
    assert place.run("schema").code == 0
    with Proxy(("127.0.0.1", source.port)) as proxy:
        through = place.with_settings(MSSQL_PORT=str(proxy.port), MSSQL_ENCRYPT="no", RETRY_ATTEMPTS="1")
        proxy.flip_a_bit(struct.pack("<q", number), times=1000)
        finished = through.run("data", "--then-verify")
    assert query(target, target_database, "SELECT number FROM numbers WHERE id = 1") != [(number,)]
    assert finished.code == 1
    assert "column number: values that add up to " in finished.out
    assert f"where the source itself counts {number + 5:,}: the driver reads them wrongly, a bit" in finished.out


def test_encrypted_connections_and_local_ones_need_no_word(shop: Shop) -> None:
    finished = shop.ready("data").place.run("data")
    assert finished.code == 0, finished.text
    assert "Not encrypted" not in finished.text


def test_a_source_that_goes_away_after_the_last_table_spoils_nothing(own_shop: Shop) -> None:
    own_shop.source.makes_snapshots = True
    place = own_shop.ready("data").place
    with Proxy(("127.0.0.1", own_shop.source.port)) as source:
        through = place.with_settings(MSSQL_PORT=str(source.port), WORKERS="1")
        for _ in range(3):
            source.accepted, source.most = 0, None
            undisturbed = through.run("data", "--consistent")
            assert undisturbed.code == 0, undisturbed.text
            assert "was dropped" in undisturbed.out
            place.data_progress.unlink()
            # The last two connections, to see that the port is open and to use it, are those that drop the snapshot.
            source.accepted, source.most = 0, source.accepted - 2
            finished = through.run("data", "--consistent")
            # A driver on a busy machine may need one connection more, which then is refused too early.
            if finished.code == 0:
                break
            place.data_progress.unlink(missing_ok=True)
    assert finished.code == 0, finished.text
    assert "could not be dropped" in finished.out
    assert set(statuses(place.data_progress).values()) == {"completed"}
    assert {name: len(own_shop.rows(name)) for name in SHOP_COUNTS} == SHOP_COUNTS


FAR = Table(
    "dbo",
    "Ünïcode 🎉",
    (Column("🔑", INT, is_nullable=False), Column("naïve 🦄", SqlType("nvarchar", 40))),
    Key("PK_far", (KeyColumn("🔑"),), is_clustered=True),
)


@pytest.mark.parametrize("flags", [(), ("--consistent",)], ids=["plain", "consistent"])
def test_names_beyond_the_basic_plane_go_all_the_way(
    flags: tuple[str, ...],
    odbc_driver: str,
    serve: Callable[..., StandIn],
    workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    # An empty table and one of many chunks, the two kinds that are planned by a query.
    database = Database("far", (FAR, Table("dbo", "🌙", FAR.columns, FAR.primary_key), table("Near")))
    rows: Mapping[str, list[tuple[object, ...]]] = {
        "dbo.Ünïcode 🎉": [(number, f"row {number} 🎉") for number in range(1, 12)], "dbo.Near": [(1, "near")],
    }  # fmt: skip
    place = workplace(serve(database, rows), database).with_settings(MSSQL_DRIVER=odbc_driver, CHUNK_ROWS="3")
    for script, arguments in (
        ("schema", ("--check",)), ("schema", ()), ("data", ("--then-verify", *flags)), ("data", ("--verify",)),
    ):  # fmt: skip
        finished = place.run(script, *arguments)
        assert finished.code == 0, (script, arguments, finished.text)
        assert "?" not in finished.out.partition("Processing")[2]
    assert len(target_rows(target, target_database, '"ünïcode 🎉"')) == 11
    assert target_rows(target, target_database, '"🌙"') == []


@pytest.mark.parametrize(
    ("text", "is_encrypted"),
    [
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d", True),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d", False),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d;Encrypt=yes", True),
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d;Encrypt=optional", False),
        ("Driver=FreeTDS;Server=s;Database=d", False),
        ("Driver=FreeTDS;Server=s;Database=d;Encryption=require", True),
    ],
)
def test_a_whole_connection_string_is_read_as_its_driver_reads_it(text: str, is_encrypted: bool) -> None:
    settings = load_settings(None, {"MSSQL_CONNECTION_STRING": text, "PGDATABASE": "d"})
    assert settings.source.is_encrypted is is_encrypted

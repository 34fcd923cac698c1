"""Bits that are flipped on the way: a comparison finds them, in every reading as well."""

from __future__ import annotations

import struct
from collections.abc import Callable

from demo.target import EmbeddedTarget
from model.catalog import Database, SqlType
from standin.server import StandIn
from tests.harness import OPEN_WIRE, Proxy, Workplace, utf16
from tests.samples import Shop, query, table


def test_a_bit_flipped_in_an_unencrypted_stream_is_found_by_verify(shop: Shop) -> None:
    workplace = shop.ready("data").workplace
    with Proxy(("127.0.0.1", shop.source.port)) as source:
        through = workplace.with_settings(MSSQL_PORT=str(source.port), MSSQL_ENCRYPT="no")
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
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    number = 0x1122_3344_5566_7788
    database = Database("flipped", (table("Numbers", number=SqlType("bigint", 8)),))
    source = serve(database, {"dbo.Numbers": [(1, number), (2, 5)]})
    workplace = make_workplace(source, database)
    assert workplace.run("schema").code == 0
    with Proxy(("127.0.0.1", source.port)) as proxy:
        through = workplace.with_settings(MSSQL_PORT=str(proxy.port), MSSQL_ENCRYPT="no", RETRY_ATTEMPTS="1")
        proxy.flip_a_bit(struct.pack("<q", number), times=1000)
        finished = through.run("data", "--then-verify")
    assert query(target, target_database, "SELECT number FROM numbers WHERE id = 1") != [(number,)]
    assert finished.code == 1
    assert "column number: values that add up to " in finished.out
    assert f"where the source itself counts {number + 5:,}: the driver reads them wrongly, a bit" in finished.out

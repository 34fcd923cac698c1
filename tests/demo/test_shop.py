"""The sample database keeps its own keys."""

from __future__ import annotations

from demo.shop import ORDER_LINE_COUNT, shop
from standin.server import StandIn
from tests.type_values import VALUES


def test_the_shop_holds_together() -> None:
    database, given_rows = shop()
    types = {column.type.name for table in database.tables for column in table.columns}
    assert types >= {kind.name for _, kind, *_ in VALUES} - {"numeric"} | {"datetimeoffset"}
    running = StandIn(database, given_rows)
    try:
        assert running.execute('SELECT count(*) FROM dbo."OrderLines"') == [(ORDER_LINE_COUNT,)]
        for table in database.tables:
            for key in table.foreign_keys:
                pairs = " AND ".join(
                    f'o."{other}" = t."{own}"' for own, other in zip(key.columns, key.referenced_columns, strict=True)
                )
                some = " AND ".join(f't."{own}" IS NOT NULL' for own in key.columns)
                orphans = running.execute(
                    f'SELECT count(*) FROM "{table.schema}"."{table.name}" t WHERE {some} AND NOT EXISTS'
                    f' (SELECT 1 FROM "{key.referenced_schema}"."{key.referenced_table}" o WHERE {pairs})'
                )
                assert orphans == [(0,)], key.name
            for unique in (*((table.primary_key,) if table.primary_key else ()), *table.unique):
                names = ", ".join(f'"{column.name}"' for column in unique.columns)
                twins = running.execute(
                    f'SELECT count(*) FROM (SELECT {names} FROM "{table.schema}"."{table.name}"'
                    f" GROUP BY {names} HAVING count(*) > 1)"
                )
                assert twins == [(0,)], unique.name
    finally:
        running.stop()

"""A driver that describes columns otherwise than the catalog: read as it says where that is exact, else told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, SqlType, Table
from model.exact_numbers import EXACT
from model.ranges import WHOLE_TABLE
from mssql.figures import count_values
from standin.filling import Rows
from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import INT, query, table, target_rows
from tests.tsql_servers import own_database
from type_mapping import read_type


def decimal(precision: int, scale: int) -> SqlType:
    return SqlType("decimal", 17, precision, scale)


@pytest.fixture
def scene(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    odbc_driver: str,
) -> Callable[[Table, Rows, Mapping[str, SqlType]], Workplace]:
    """A source whose catalog is not true of some columns (by name), and its tables on the target."""

    def make(one: Table, rows: Rows, described: Mapping[str, SqlType]) -> Workplace:
        database = Database("described", (one,))
        sent = {f"{one.full_name}.{name}": kind for name, kind in described.items()}
        source = serve(database, {one.full_name: rows}, described=sent)
        workplace = make_workplace(source, database).with_settings(MSSQL_DRIVER=odbc_driver, RETRY_ATTEMPTS="1")
        assert workplace.run("schema").code == 0
        return workplace

    return make


Scene = Callable[[Table, Rows, Mapping[str, SqlType]], Workplace]


def test_a_computed_number_of_another_scale_is_never_wrapped(
    scene: Scene, target: EmbeddedTarget, target_database: str
) -> None:
    # As Babelfish has them: (38,38) in the catalog, (38,8) on the wire; 7.5 arrived as 0.694352661….
    workplace = scene(table("Computed", total=decimal(38, 38)), [(1, "7.5"), (2, "0.25"), (3, None)],
                  {"total": decimal(38, 8)})  # fmt: skip
    failed = workplace.run("data")
    assert failed.code == 1, failed.text
    assert "column total: a value that the source sent as decimal128(38, 8) does not fit" in failed.text
    assert "then use --resume" in failed.text
    assert target_rows(target, target_database, "computed") == []
    query(target, target_database, "ALTER TABLE computed ALTER total TYPE numeric")
    loaded = workplace.run("data", "--resume", "--then-verify")
    assert loaded.code == 0, loaded.text
    exact = [(1, Decimal("7.5")), (2, Decimal("0.25")), (3, None)]
    assert target_rows(target, target_database, "computed") == exact
    query(target, target_database, "UPDATE computed SET total = 0.69435266158123073073250785136463577088 WHERE id = 1")
    wrapped = workplace.run("data", "--verify")
    assert wrapped.code == 1
    assert "columns that differ: total" in wrapped.out


def test_small_numbers_of_another_scale_fit_what_the_catalog_promised(
    scene: Scene, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = scene(table("Computed", total=decimal(38, 38)), [(1, "-0.12345678")], {"total": decimal(38, 8)})
    finished = workplace.run("data", "--then-verify")
    assert finished.code == 0, finished.text
    assert target_rows(target, target_database, "computed") == [(1, Decimal("-0.12345678"))]


@pytest.mark.parametrize("count", [3, 100_000], ids=["as text", "in the driver's own form"])
def test_a_finer_scale_than_promised(count: int, scene: Scene, target: EmbeddedTarget, target_database: str) -> None:
    rows = f"SELECT range + 1, range * 1.25 FROM range({count})"
    workplace = scene(table("Prices", price=decimal(12, 2)), rows, {"price": decimal(14, 4)})
    finished = workplace.run("data", "--then-verify")
    assert finished.code == 0, finished.text
    (found,) = query(target, target_database, "SELECT count(*), sum(price) FROM prices")
    assert found == (count, Decimal("1.25") * (count * (count - 1) // 2))


def test_a_digit_that_the_target_has_no_room_for_fails_the_table(
    scene: Scene, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = scene(table("Prices", price=decimal(12, 2)), [(1, "1.2345")], {"price": decimal(14, 4)})
    failed = workplace.run("data")
    assert failed.code == 1
    assert (
        "column price: a value that the source sent as decimal128(14, 4) does not fit decimal128(12, 2)" in failed.text
    )
    assert target_rows(target, target_database, "prices") == []
    assert workplace.run("data", "--verify").code == 1


def test_whole_numbers_of_another_size(scene: Scene, target: EmbeddedTarget, target_database: str) -> None:
    one = table("Counts", small=SqlType("int", 4), exact=decimal(20, 0), half=SqlType("real", 4))
    described = {"small": SqlType("bigint", 8), "exact": SqlType("bigint", 8), "half": SqlType("float", 8)}
    workplace = scene(one, [(1, 2_000_000_000, 9_000_000_000_000_000_000, 0.5), (2, None, None, None)], described)
    finished = workplace.run("data", "--then-verify")
    assert finished.code == 0, finished.text
    assert target_rows(target, target_database, "counts") == [
        (1, 2_000_000_000, Decimal(9_000_000_000_000_000_000), 0.5), (2, None, None, None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("promised", "described", "value", "told"),
    [
        (SqlType("int", 4), SqlType("bigint", 8), 3_000_000_000, "the catalog says int, the driver bigint"),
        (SqlType("real", 4), SqlType("float", 8), 0.1, "the catalog says real, the driver float"),
        (SqlType("int", 4), SqlType("varchar", 20), "7", "the catalog says int, the driver describes it as text"),
        (SqlType("varchar", 20), SqlType("int", 4), 7, "the catalog says varchar(20), the driver describes it as int"),
        (SqlType("date", 3), SqlType("datetime2", 8, 27, 3), "2024-02-29 12:00:00.125", "describes it as datetime2"),
        (SqlType("datetime2", 7, 23, 3), SqlType("datetime2", 8, 26, 6), "2024-02-29 12:00:00.123456", "a value has"),
        (SqlType("varchar", 5), SqlType("varchar", 50), "abcdefghijkl", "the driver sent a longer value"),
        (SqlType("varbinary", 2), SqlType("varbinary", 50), b"abcdefghijkl", "the driver sent a longer value"),
    ],
    ids=lambda value: str(value) if isinstance(value, SqlType) else "",
)  # fmt: skip
def test_what_cannot_be_brought_to_what_was_promised_fails_the_table(
    promised: SqlType, described: SqlType, value: object, told: str,
    scene: Scene, target: EmbeddedTarget, target_database: str,
) -> None:  # fmt: skip
    workplace = scene(table("Other", value=promised), [(1, value)], {"value": described})
    for mode in ((), ("--verify",)):
        failed = workplace.run("data", *mode)
        assert failed.code == 1, failed.text
        assert "column value" in failed.text
        assert told in failed.text
        assert "--exclude" in failed.text
    assert target_rows(target, target_database, "other") == []


def test_dates_and_times_of_finer_units_that_fit(scene: Scene, target: EmbeddedTarget, target_database: str) -> None:
    one = table("Moments", moment=SqlType("datetime2", 7, 23, 3), clock=SqlType("time", 5, 16, 0))
    described = {"moment": SqlType("datetime2", 8, 27, 7), "clock": SqlType("time", 5, 16, 7)}
    workplace = scene(one, [(1, "2024-02-29 12:00:00.1250000", "23:59:59.0000000"), (2, None, None)], described)
    finished = workplace.run("data", "--then-verify")
    assert finished.code == 0, finished.text
    found = query(target, target_database, "SELECT moment::text, clock::text FROM moments ORDER BY id")
    assert found == [("2024-02-29 12:00:00.125", "23:59:59"), (None, None)]


def test_a_table_read_value_by_value_is_held_against_its_catalog_too(
    scene: Scene, target: EmbeddedTarget, target_database: str
) -> None:
    # A name beyond the basic plane is read so.
    one = Table("dbo", "Wide", (
        Column("id", INT, is_nullable=False), Column("💶", decimal(38, 38)), Column("small", SqlType("int", 4)),
    ))  # fmt: skip
    workplace = scene(one, [(1, "7.5", 5), (2, "-0.5", None)], {"💶": decimal(38, 8), "small": SqlType("bigint", 8)})
    failed = workplace.run("data")
    assert failed.code == 1, failed.text
    assert "column 💶: a value that the source sent as decimal128(38, 8) does not fit" in failed.text
    query(target, target_database, 'ALTER TABLE wide ALTER "💶" TYPE numeric')
    loaded = workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert target_rows(target, target_database, "wide") == [(1, Decimal("7.5"), 5), (2, Decimal("-0.5"), None)]


def test_on_a_tsql_server_computed_numbers_arrive_as_they_are(
    tsql_server: Mapping[str, str], odbc_driver: str, target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    with own_database(tsql_server, "descriptions") as there:
        given = {**there, **target.environment(target_database)}
        workplace = Workplace(tmp_path, given).with_settings(MSSQL_DRIVER=odbc_driver)
        with closing(connect_source(load_settings(None, given))) as source:
            source.execute(
                "CREATE TABLE dbo.lines (id int NOT NULL PRIMARY KEY, price decimal(10,2), thrice AS price * 3)"
            )
            source.execute("INSERT INTO dbo.lines (id, price) VALUES (1, 2.5), (2, -1.25), (3, NULL)")
        # Made by hand, since the tool would make a generated column, which nothing is loaded into.
        query(target, target_database, "CREATE TABLE lines (id int PRIMARY KEY, price numeric(10,2), thrice numeric)")
        finished = workplace.run("data", "--then-verify")
        assert finished.code == 0, finished.text
        assert target_rows(target, target_database, "lines") == [
            (1, Decimal("2.5"), Decimal("7.5")), (2, Decimal("-1.25"), Decimal("-3.75")), (3, None, None),
        ]  # fmt: skip
        # Made as the catalog says, which may leave no room for the numbers: then it fails, and says which column.
        query(target, target_database, "DROP TABLE lines")
        assert workplace.run("schema").code == 0
        as_declared = workplace.run("data", "--then-verify")
        rows = query(target, target_database, "SELECT id, thrice FROM lines ORDER BY id")
        if as_declared.code == 0:
            assert rows == [(1, Decimal("7.5")), (2, Decimal("-3.75")), (3, None)]
        else:
            assert (as_declared.code, rows) == (1, [])
            assert "column thrice: a value that the source sent as " in as_declared.out
            assert workplace.run("data", "--verify").code == 1


@pytest.mark.parametrize("sign", ["", "-"])
def test_on_a_tsql_server_sums_do_not_outgrow_their_types(
    sign: str, tsql_server: Mapping[str, str], odbc_driver: str
) -> None:
    settings = load_settings(None, {**tsql_server, "MSSQL_DATABASE": "master", "PGDATABASE": "none",
                                    "MSSQL_DRIVER": odbc_driver})  # fmt: skip
    kinds = {
        SqlType("bigint", 8): "9223372036854775807",
        SqlType("money", 8, 19, 4): "922337203685477.5807",
        **{decimal(p, s): f"{'9' * (p - s) or '0'}.{'9' * s}".rstrip(".") for p, s in ((28, 9), (29, 0), (38, 0),
           (38, 20), (29, 29), (38, 38))},
    }  # fmt: skip
    columns = [Column(f"c{position}", kind) for position, kind in enumerate(kinds)]
    read = [read_type(column) for column in columns]
    one = Table("dbo", "sums_of_the_tests", tuple(columns))
    with closing(connect_source(settings)) as source:
        source.execute("IF OBJECT_ID('dbo.sums_of_the_tests') IS NOT NULL DROP TABLE dbo.sums_of_the_tests")
        source.execute(f"CREATE TABLE {one.full_name} ({', '.join(f'{c.name} {c.type}' for c in columns)})")
        try:
            values = ", ".join(f"CAST('{sign}{value}' AS {kind})" for kind, value in kinds.items())
            source.execute(f"INSERT INTO {one.full_name} VALUES {', '.join([f'({values})'] * 50)}")
            counted = count_values(source, one, columns, WHOLE_TABLE, read)
        finally:
            source.execute(f"DROP TABLE {one.full_name}")
    assert list(counted.totals) == [EXACT.multiply(Decimal(f"{sign}{value}"), 50) for value in kinds.values()]

"""Bits that are flipped on the way, a source that goes away, names that a driver manager garbles."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pyodbc
import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import LOGIN, PASSWORD, StandIn
from tests.harness import Proxy, Workplace, drop_database, wait_until
from tests.samples import INT, Shop, query, statuses, table, target_rows

OPEN_WIRE = "Not encrypted: the connections to the source (MSSQL_ENCRYPT)"


def utf16(text: str) -> bytes:
    """As the text travels, without the upper half of its last character."""
    return text.encode("utf-16-le")[:-1]


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


def test_encrypted_connections_and_local_ones_need_no_word(shop: Shop) -> None:
    finished = shop.ready("data").workplace.run("data")
    assert finished.code == 0, finished.text
    assert "Not encrypted" not in finished.text


def test_an_open_wire_to_the_target_is_told(shop: Shop) -> None:
    own = shop.workplace.environment
    with Proxy(Path(own["PGHOST"]) / f".s.PGSQL.{own['PGPORT']}") as target:
        # An address of this machine that says nothing of it.
        workplace = shop.ready("data").workplace.with_settings(PGHOST="0.0.0.0", PGPORT=str(target.port))
        loaded = workplace.run("data")
        assert loaded.code == 0, loaded.text
        assert "Not encrypted: the connections to the target (PGSSLMODE). " in loaded.out
        assert "use --then-verify" in loaded.out
        compared = workplace.run("data", "--verify")
    assert compared.code == 0, compared.text
    assert "goes unnoticed by the load.\n" in compared.out


@pytest.mark.parametrize("encryption", ["", "Encryption=request;", "Encryption=require;"])
def test_what_freetds_is_asked_for_is_what_travels(encryption: str, shop: Shop) -> None:
    if "FreeTDS" not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    with Proxy(("127.0.0.1", shop.source.port)) as source:
        source.flip_a_bit(utf16("sale 5"))
        text = f"Driver=FreeTDS;Server=127.0.0.1;Port={source.port};TDS_Version=7.4;ClientCharset=UTF-8;{encryption}"
        workplace = shop.ready("data").workplace.with_settings(
            MSSQL_HOST="", MSSQL_CONNECTION_STRING=f"{text}Database=shop;UID={LOGIN};PWD={PASSWORD}"
        )
        finished = workplace.run("data")
    assert finished.code == 0, finished.text
    is_open = "require" not in encryption
    assert (OPEN_WIRE in finished.out) == is_open
    label = "sale 4 ü€" if is_open else "sale 5 ü€"
    assert shop.query("SELECT label FROM sales.orders WHERE id = 5") == [(label,)]


@pytest.mark.parametrize(
    ("text", "is_encrypted"),
    [
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d", True),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d", False),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d;Encrypt=yes", True),
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d;Encrypt=optional", False),
        ("Driver=/opt/lib/libmsodbcsql.17.dylib;Server=s;Database=d", False),
        ("Driver=/opt/lib/libmsodbcsql-18.6.so.2.1;Server=s;Database=d;Encrypt=false", False),
        ("Driver=FreeTDS;Server=s;Database=d", False),
        ("Driver=FreeTDS;Server=s;Database=d;Encryption=require", True),
    ],
)
def test_a_whole_connection_string_is_read_as_its_driver_reads_it(text: str, is_encrypted: bool) -> None:
    settings = load_settings(None, {"MSSQL_CONNECTION_STRING": text, "PGDATABASE": "d"})
    assert settings.source.is_encrypted is is_encrypted


#: what is restored waits for a lock that the test holds
WAITING = """
CREATE TABLE children (id integer PRIMARY KEY REFERENCES parents (id), label varchar(50));
CREATE FUNCTION wait_for_the_test() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.parents) THEN PERFORM pg_advisory_xact_lock(1); END IF;
END $$;
CREATE EVENT TRIGGER waits ON ddl_command_start EXECUTE FUNCTION wait_for_the_test();
"""
IS_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"


@pytest.mark.parametrize("rows", [10, 100_000], ids=["at a foreign key", "at the last table's own key"])
@pytest.mark.parametrize("level", ["none", "sessions", "snapshot", "snapshot, compared"])
def test_a_source_that_goes_away_after_the_last_table_spoils_nothing(
    level: str,
    rows: int,
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    database = Database("leaving", (table("Children"), table("Parents")))
    filled = {name: f"SELECT i, 'row ' || i FROM range({count}) AS t(i)" for name, count in
              (("dbo.Children", 10), ("dbo.Parents", rows))}  # fmt: skip
    source = serve(database, filled)
    source.makes_snapshots = has_snapshot = level.startswith("snapshot")
    flags = {"none": [], "snapshot, compared": ["--consistent", "--then-verify"]}.get(level, ["--consistent"])
    query(target, target_database, f"CREATE TABLE parents (id integer PRIMARY KEY, label varchar(50));{WAITING}")
    holder = target.connect(target_database)
    with Proxy(("127.0.0.1", source.port)) as proxy, closing(holder), holder.cursor() as lock:
        lock.execute("SELECT pg_advisory_lock(1)")
        workplace = make_workplace(source, database).with_settings(
            MSSQL_PORT=str(proxy.port), CHUNK_ROWS="40000", WORKERS="2", RETRY_ATTEMPTS="2", RETRY_SECONDS="0"
        )
        process = workplace.start("data", *flags)
        wait_until(
            lambda: query(target, target_database, IS_WAITING) == [(1,)] or process.poll() is not None, "it restores"
        )
        proxy.close()
        lock.execute("SELECT pg_advisory_unlock(1)")
        out, err = process.communicate(timeout=60)
    # A comparison that was asked for and cannot be made is another thing.
    assert process.returncode == (3 if "--then-verify" in flags else 0), out + err
    assert ("could not be dropped" in out) == has_snapshot
    assert set(statuses(workplace.data_progress).values()) == {"completed"}
    assert query(target, target_database, "SELECT count(*) FROM parents") == [(rows,)]
    kinds = "SELECT string_agg(DISTINCT contype::text, '' ORDER BY contype::text) FROM pg_constraint"
    assert query(target, target_database, f"{kinds} WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
                 ) == [("fp",)]  # fmt: skip


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
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    # An empty table and one of many chunks, the two kinds that are planned by a query.
    database = Database("far", (FAR, Table("dbo", "🌙", FAR.columns, FAR.primary_key), table("Near")))
    rows: Mapping[str, list[tuple[object, ...]]] = {
        "dbo.Ünïcode 🎉": [(number, f"row {number} 🎉") for number in range(1, 12)], "dbo.Near": [(1, "near")],
    }  # fmt: skip
    workplace = make_workplace(serve(database, rows), database).with_settings(MSSQL_DRIVER=odbc_driver, CHUNK_ROWS="3")
    for script, arguments in (
        ("schema", ("--check", "--check-data")), ("schema", ()), ("data", ("--then-verify", *flags)),
        ("data", ("--verify",)),
    ):  # fmt: skip
        finished = workplace.run(script, *arguments)
        assert finished.code == 0, (script, arguments, finished.text)
        assert "?" not in finished.out.partition("Processing")[2]
    assert len(target_rows(target, target_database, '"ünïcode 🎉"')) == 11
    assert target_rows(target, target_database, '"🌙"') == []


def test_on_a_tsql_server_names_beyond_the_basic_plane_arrive(
    tsql_server: Mapping[str, str], odbc_driver: str, target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    name = "far_names_of_the_tests"
    given = {**tsql_server, "MSSQL_DATABASE": name, **target.environment(target_database)}
    workplace = Workplace(tmp_path, given).with_settings(MSSQL_DRIVER=odbc_driver, CHUNK_ROWS="2")
    with closing(connect_source(load_settings(None, {**given, "MSSQL_DATABASE": "master"}))) as admin:
        admin.execute(f"IF DB_ID('{name}') IS NOT NULL DROP DATABASE {name}")
        admin.execute(f"CREATE DATABASE {name}")
        try:
            with closing(connect_source(load_settings(None, given))) as source:
                for far, column in (("tab 🎉", "label"), ("near", "🦄 price")):
                    source.execute(f"CREATE TABLE dbo.[{far}] (id int NOT NULL PRIMARY KEY, [{column}] nvarchar(20))")
                    source.execute(
                        f"INSERT INTO dbo.[{far}] VALUES (1, N'a🎉'), (2, NULL), (3, N''), (4, N'd'), (5, N'e')"
                    )
                source.execute("CREATE TABLE dbo.plain (id int NOT NULL PRIMARY KEY)")
                source.execute("INSERT INTO dbo.plain VALUES (1), (2), (3)")
            for script, arguments in (("schema", ("--check",)), ("schema", ()), ("data", ("--then-verify",))):
                finished = workplace.run(script, *arguments)
                assert finished.code == 0, (script, arguments, finished.text)
            rows = [(1, "a🎉"), (2, None), (3, ""), (4, "d"), (5, "e")]
            assert target_rows(target, target_database, '"tab 🎉"') == rows
            assert target_rows(target, target_database, "near") == rows
            # One session where the server has no table locks: those tables fail alone then, in words.
            at_once = workplace.run("data", "--consistent")
            assert statuses(workplace.data_progress)["plain"] == "completed"
            failed = [key for key, status in statuses(workplace.data_progress).items() if status != "completed"]
            assert (at_once.code, failed) in ((0, []), (1, ["near", "tab 🎉"])), at_once.text
            assert at_once.text.count("names beyond the basic plane take a second connection") == 2 * len(failed)
        finally:
            drop_database(admin, name)

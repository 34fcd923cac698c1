"""--on-error reject: rows that PostgreSQL refuses are found, listed, left out, and loaded when the cause is mended."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_phase.job import Job
from data_phase.modes.keep_and_continue import AddToRows
from data_phase.reject_files import file_name
from data_phase.reject_retry import RetryRejects
from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from model.errors import TargetError
from model.long_rows import LongRow, spool
from postgres import copy_stream, loader
from postgres.introspection import read_tables
from postgres.load_plan import LoadColumn, LoadPlan, plan_load
from postgres.names import TargetName
from postgres.recorded_rows import read_rows, write_row
from scheduling.tasks import run_unwatched
from standin.server import StandIn
from tests.harness import Finished, Proxy, Workplace, source_settings, wait_until
from tests.samples import INT, claimed, entries, query, statuses
from type_mapping import read_type

ITEMS = Table(
    "dbo",
    "Items",
    (
        Column("Id", INT, is_nullable=False),
        Column("Code", SqlType("varchar", 20)),
        Column("Amount", SqlType("decimal", 9, 12, 2)),
        Column("Note", SqlType("nvarchar", -1)),
    ),
    Key("PK_Items", (KeyColumn("Id"),)),
)
LOG = Table(
    "dbo",
    "Log",
    (
        Column("At", SqlType("datetime2", 8, 26, 6)),
        Column("Raw", SqlType("varbinary", 40)),
        Column("Doc", SqlType("xml", -1)),
    ),
)
ROWS = 100
BAD = (1, 10, 11, 50, 51, 77, 100)


def items(bad: Sequence[int] = BAD) -> list[tuple[object, ...]]:
    """Rows of Items; those that are `bad` have a negative amount."""
    return [(i, f"code {i}", f"{-i if i in bad else i}.25", f"note {i} ü€") for i in range(1, ROWS + 1)]


LOG_ROWS = [
    ("2024-01-01 00:00:00.123456", b"\x00\xff", "<a>fine</a>"),
    ("9999-12-31 23:59:59.999999", b"", "<a>not closed"),
    (None, None, None),
    ("0001-01-01 00:00:00", b"\x01", "text & more"),
]


@dataclass
class Scene:
    """Tables on a stand-in, made on the target."""

    source: StandIn
    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    def run(self, *arguments: str, **settings: str) -> Finished:
        """Run the data phase."""
        return self.workplace.with_settings(**settings).run("data", *arguments)

    def rejects(self, key: str) -> list[dict[str, Any]]:
        """What the table's file lists; nothing where there is no file."""
        file = self.workplace.folder / "rejects" / f"{key}.jsonl"
        if not file.exists():
            return []
        return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

    @property
    def ids(self) -> list[int]:
        """The keys of the items that arrived."""
        return [key for (key,) in self.query("SELECT id FROM items ORDER BY id")]


@pytest.fixture
def make(
    serve: Callable[..., StandIn], tmp_path: Path, target: EmbeddedTarget, target_database: str
) -> Callable[..., Scene]:
    """Makes a scene of these tables and rows."""

    def scene(tables: Sequence[Table], rows: Mapping[str, Any], **settings: str) -> Scene:
        source = serve(Database("shop", tuple(tables)), rows)
        environment = {**source_settings(source.port, "shop"), **target.environment(target_database)}
        workplace = Workplace(tmp_path, environment).with_settings(RETRY_SECONDS="0", **settings)
        query(target, target_database, "; ".join(DDL[table.name] for table in tables))
        return Scene(source, workplace, target, target_database)

    return scene


DDL = {
    "Items": "CREATE TABLE items (id integer CONSTRAINT pk_items PRIMARY KEY, code varchar(20), amount numeric(12,2),"
    " note text)",
    "Log": "CREATE TABLE log (at timestamp(6), raw bytea, doc text)",
    "Keyed": "CREATE TABLE keyed (code varchar(20), at timestamp(3), fine timestamp(6), zoned timestamptz(6), uid uuid,"
    " sum numeric(19,4), day date, amount integer, PRIMARY KEY (code, at, fine, zoned, uid, sum, day))",
}
POSITIVE = "ALTER TABLE items ADD CONSTRAINT positive CHECK (amount > 0)"


def test_bad_rows_at_batch_edges_are_left_out_listed_and_loaded_once_mended(
    make: Callable[..., Scene], odbc_driver: str
) -> None:
    chunk_rows, workers = ("1000", "1") if odbc_driver else ("30", "4")
    scene = make(
        [ITEMS], {"dbo.Items": items()}, MSSQL_DRIVER=odbc_driver, BATCH_SIZE="10", CHUNK_ROWS=chunk_rows,
        WORKERS=workers,
    )  # fmt: skip
    scene.query(POSITIVE)
    finished = scene.run("--on-error", "reject")
    assert finished.code == 1, finished.text
    assert scene.ids == [i for i in range(1, ROWS + 1) if i not in BAD]
    listed = sorted(scene.rejects("Items"), key=lambda line: line["key"]["Id"])
    assert [line["key"] for line in listed] == [{"Id": i} for i in BAD]
    assert listed[1]["row"] == {"Id": 10, "Code": "code 10", "Amount": "-10.25", "Note": "note 10 ü€"}
    assert {(line["table"], line["sqlstate"]) for line in listed} == {("dbo.Items", "23514")}
    assert 'violates check constraint "positive"' in listed[0]["reason"]
    assert "7 rows were rejected" in finished.out
    assert "Rows rejected:" in finished.out
    assert "rejects/Items.jsonl" in finished.out
    entry = entries(scene.workplace.data_progress)["Items"]
    assert (entry["status"], entry["rows_synced"], entry["rows_rejected"]) == ("completed", 93, 7)
    assert scene.run("--verify").code == 1
    # One row is mended, then all.
    scene.source.execute('UPDATE dbo."Items" SET "Amount" = 1 WHERE "Id" = 50')
    scene.source.execute('DELETE FROM dbo."Items" WHERE "Id" = 51')
    partly = scene.run("--retry-rejects")
    assert partly.code == 1
    assert "1 rejected rows were loaded, 5 were rejected again, 1 are no longer on the source" in partly.out
    scene.query("ALTER TABLE items DROP CONSTRAINT positive")
    mended = scene.run("--retry-rejects")
    assert mended.code == 0, mended.text
    assert not (scene.workplace.folder / "rejects" / "Items.jsonl").exists()
    assert entries(scene.workplace.data_progress)["Items"]["rows_synced"] == 99
    assert scene.run("--verify").code == 0
    assert "no row is rejected" in scene.run("--retry-rejects").out


def test_the_default_fails_the_table_and_keeps_nothing(make: Callable[..., Scene]) -> None:
    scene = make([ITEMS], {"dbo.Items": items()})
    scene.query(POSITIVE)
    assert scene.run().code == 1
    assert scene.ids == []
    assert scene.rejects("Items") == []
    assert statuses(scene.workplace.data_progress) == {"Items": "failed"}


def test_a_table_without_a_key_is_retried_from_what_was_written_down(
    make: Callable[..., Scene], odbc_driver: str
) -> None:
    scene = make([LOG], {"dbo.Log": LOG_ROWS}, MSSQL_DRIVER=odbc_driver)
    scene.query("ALTER TABLE log ADD CONSTRAINT closed CHECK (right(doc::text, 1) = '>')")
    finished = scene.run("--on-error", "reject")
    assert finished.code == 1, finished.text
    assert scene.query("SELECT count(*) FROM log") == [(2,)]
    listed = scene.rejects("Log")
    assert [(line["key"], line["sqlstate"]) for line in listed] == [(None, "23514")] * 2
    assert listed[0]["row"] == {"At": "9999-12-31 23:59:59.999999", "Raw": "0x", "Doc": "<a>not closed"}
    scene.query("ALTER TABLE log DROP CONSTRAINT closed")
    assert scene.run("--retry-rejects").code == 0
    found = scene.query("SELECT at::text, raw, doc FROM log ORDER BY at")
    assert [(at, None if raw is None else bytes(raw), doc) for at, raw, doc in found] == [
        (at, raw, doc) for at, raw, doc in (LOG_ROWS[3], LOG_ROWS[0], LOG_ROWS[1], LOG_ROWS[2])
    ]


def test_rows_whose_commit_was_not_heard_of_are_not_loaded_again(
    make: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a key nothing else would keep them from being there twice."""
    scene = make([LOG], {"dbo.Log": LOG_ROWS})
    scene.query("ALTER TABLE log ADD CONSTRAINT closed CHECK (right(doc::text, 1) = '>')")
    assert scene.run("--on-error", "reject").code == 1
    scene.query("ALTER TABLE log DROP CONSTRAINT closed")
    settings = load_settings(None, scene.workplace.environment)
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        there = read_tables(connection, ["public"])[TargetName("public", "log")]
        run = claimed(connection, there.name)
    job = Job(LOG, plan_load(LOG, there, settings), AddToRows(), session="", run=run, reject_limit=0)
    load = loader.load

    def commit_and_break(*arguments: Any, **more: Any) -> Any:
        monkeypatch.setattr(loader, "load", load)
        load(*arguments, **more)
        raise TargetError("the connection broke", is_temporary=True)

    monkeypatch.setattr(loader, "load", commit_and_break)
    run_unwatched(RetryRejects(settings, job))
    assert scene.query("SELECT count(*), count(DISTINCT at) FROM log") == [(4, 3)]
    assert scene.query("SELECT count(*) FROM replication.reject") == [(0,)]


def test_rows_are_found_again_by_keys_of_other_types(make: Callable[..., Scene]) -> None:
    kinds = {
        "Code": SqlType("varchar", 20), "At": SqlType("datetime", 8), "Fine": SqlType("datetime2", 8, 26, 6),
        "Zoned": SqlType("datetimeoffset", 10, 33, 6), "Uid": SqlType("uniqueidentifier", 16),
        "Sum": SqlType("money", 8), "Day": SqlType("date", 3),
    }  # fmt: skip
    columns = [Column(name, kind, is_nullable=False) for name, kind in kinds.items()]
    keyed = Table(
        "dbo", "Keyed", (*columns, Column("Amount", INT)), Key("PK_Keyed", tuple(KeyColumn(name) for name in kinds))
    )
    uid = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
    key = ("it's", "2024-02-29 12:00:00.767", "9999-12-31 23:59:59.999999", "2024-01-01 00:00:00.000001 +05:30", uid)
    rows = [(*key, "-1.2345", "0001-01-01", amount) for amount in (-1,)]
    rows.append((*key[:4], uuid.UUID(int=5), "-1.2345", "0001-01-01", 1))
    scene = make([keyed], {"dbo.Keyed": rows})
    scene.query("ALTER TABLE keyed ADD CONSTRAINT positive CHECK (amount > 0)")
    assert scene.run("--on-error", "reject").code == 1
    (listed,) = scene.rejects("Keyed")
    assert set(listed["key"]) == set(kinds)
    scene.source.execute('UPDATE dbo."Keyed" SET "Amount" = 7 WHERE "Amount" = -1')
    assert scene.run("--retry-rejects").code == 0
    assert scene.query("SELECT amount FROM keyed ORDER BY 1") == [(1,), (7,)]


def test_equal_keys_in_a_batch_across_batches_and_across_chunks(make: Callable[..., Scene]) -> None:
    """The source holds them apart by case; a unique index of our own on the target does not."""
    rows = [(i, f"code {i}", "1.00", None) for i in range(1, 61)]
    for number, code in ((1, "CODE 1"), (24, "code 5"), (59, "Code 5"), (60, "code 60")):
        rows[number - 1 + (number == 1)] = (rows[number - 1 + (number == 1)][0], code, "1.00", None)
    scene = make([ITEMS], {"dbo.Items": rows}, BATCH_SIZE="10", CHUNK_ROWS="20", WORKERS="1")
    scene.query("CREATE UNIQUE INDEX unique_code ON items (lower(code))")
    assert scene.run("--on-error", "reject").code == 1
    assert [(line["key"]["Id"], line["sqlstate"]) for line in scene.rejects("Items")] == [
        (2, "23505"), (24, "23505"), (59, "23505"),
    ]  # fmt: skip
    assert "already exists" in scene.rejects("Items")[0]["reason"]
    assert len(scene.ids) == 57


def test_values_that_never_reach_the_server_and_nul_characters_are_rejected_by_row(make: Callable[..., Scene]) -> None:
    rows = [(1, "a", "1.00", "x"), (70_000, "b", "1.00", "y"), (2, "c", "1.00", "nul \0 here")]
    scene = make([ITEMS], {"dbo.Items": rows}, NUL_POLICY="error")
    scene.query("ALTER TABLE items ALTER COLUMN id TYPE smallint")
    assert scene.run("--on-error", "reject").code == 1
    assert scene.ids == [1]
    listed = {line["key"]["Id"]: line for line in scene.rejects("Items")}
    assert listed[70_000]["column"] == "id"
    assert (listed[2]["sqlstate"], listed[2]["row"]["Note"]) == ("22021", "nul \0 here")
    assert scene.run("--retry-rejects", NUL_POLICY="strip").code == 1
    assert scene.query("SELECT note FROM items WHERE id = 2") == [("nul  here",)]


def test_too_many_rejects_fail_the_table(make: Callable[..., Scene]) -> None:
    scene = make([ITEMS], {"dbo.Items": items(range(1, 101))}, REJECT_LIMIT="20")
    scene.query(POSITIVE)
    finished = scene.run("--on-error", "reject")
    assert finished.code == 1
    assert "more than 20 rows were rejected (REJECT_LIMIT)" in finished.out
    assert statuses(scene.workplace.data_progress) == {"Items": "failed"}
    assert scene.query("SELECT count(*) FROM replication.reject") == [(0,)]


def test_an_error_that_no_row_is_to_blame_for_fails_the_table(make: Callable[..., Scene]) -> None:
    scene = make([ITEMS], {"dbo.Items": items(())})
    scene.query(
        "CREATE FUNCTION refuse(integer) RETURNS boolean LANGUAGE plpgsql AS"
        " $$ BEGIN IF $1 = 50 THEN RAISE EXCEPTION 'out of order'; END IF; RETURN true; END $$;"
        "ALTER TABLE items ADD CHECK (refuse(id))"
    )
    finished = scene.run("--on-error", "reject")
    assert finished.code == 1
    assert "out of order" in finished.out
    assert scene.ids == []


def test_a_load_from_scratch_forgets_the_rejects_of_the_one_before(make: Callable[..., Scene]) -> None:
    scene = make([ITEMS], {"dbo.Items": items()})
    scene.query(POSITIVE)
    assert scene.run("--on-error", "reject").code == 1
    assert len(scene.rejects("Items")) == 7
    scene.source.execute('UPDATE dbo."Items" SET "Amount" = 1')
    finished = scene.run()
    assert finished.code == 0, finished.text
    assert scene.rejects("Items") == []
    assert len(scene.ids) == ROWS


@pytest.fixture
def stalling(make: Callable[..., Scene]) -> Iterator[tuple[Scene, Proxy]]:
    """A scene with many rows, every hundredth refused, behind a proxy that can fall silent."""
    rows = (
        "SELECT i, 'code ' || i, CASE WHEN i % 100 = 0 THEN -1 ELSE 1 END, 'a text that takes some room ' || i"
        " FROM range(1, 20001) AS t(i)"
    )
    scene = make([ITEMS], {"dbo.Items": rows}, CHUNK_ROWS="2000", BATCH_SIZE="500", WORKERS="2")
    scene.query(POSITIVE)
    with Proxy(("127.0.0.1", scene.source.port)) as proxy:
        scene.workplace = scene.workplace.with_settings(MSSQL_PORT=str(proxy.port))
        yield scene, proxy


@pytest.mark.parametrize("part", [300_000, 1_200_000])
def test_a_killed_load_that_rejects_is_continued_exactly(stalling: tuple[Scene, Proxy], part: int) -> None:
    scene, proxy = stalling
    proxy.stall_after(part)
    process = scene.workplace.start("data", "--on-error", "reject")
    try:
        wait_until(lambda: proxy.is_stalled or process.poll() is not None, "the source is silent")
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGKILL)
    finally:
        process.communicate()
        proxy.resume()
    finished = scene.run("--resume", "--no-truncate", "--on-error", "reject")
    assert finished.code == 1, finished.text
    bad = list(range(100, 20_001, 100))
    assert scene.ids == [i for i in range(1, 20_001) if i % 100]
    assert sorted(line["key"]["Id"] for line in scene.rejects("Items")) == bad
    assert entries(scene.workplace.data_progress)["Items"]["rows_rejected"] == len(bad)
    assert scene.query("SELECT sum(rows) FROM replication.checkpoint") == [(20_000 - len(bad),)]
    scene.query("ALTER TABLE items DROP CONSTRAINT positive")
    assert scene.run("--retry-rejects").code == 0
    assert scene.ids == list(range(1, 20_001))
    assert scene.query("SELECT sum(rows) FROM replication.checkpoint") == [(20_000,)]


def test_a_row_with_a_value_too_large_for_a_batch_is_rejected_and_read_again(
    make: Callable[..., Scene], odbc_driver: str
) -> None:
    long = "ü€" * 1_500_000
    rows = [(i, f"code {i}", f"{-i if i == 2 else i}", long if i != 3 else "short") for i in range(1, 5)]
    scene = make([ITEMS], {"dbo.Items": rows}, MSSQL_DRIVER=odbc_driver)
    scene.query(POSITIVE)
    assert scene.run("--on-error", "reject").code == 1
    assert scene.query("SELECT id, note = repeat('ü€', 1500000) FROM items ORDER BY id") == [
        (1, True), (3, False), (4, True),
    ]  # fmt: skip
    (listed,) = scene.rejects("Items")
    assert listed["row"]["Note"] == {"bytes": 7_500_000, "sha256": hashlib.sha256(long.encode()).hexdigest()}
    scene.query("ALTER TABLE items DROP CONSTRAINT positive")
    assert scene.run("--retry-rejects").code == 0
    assert scene.query("SELECT note = repeat('ü€', 1500000) FROM items WHERE id = 2") == [(True,)]


def test_a_row_that_no_postgresql_can_hold_is_refused_by_column_size_and_key(
    target: EmbeddedTarget, target_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy_stream, "LARGEST_ROW", 3 << 20)
    query(target, target_database, "CREATE TABLE items (id integer, note text)")
    columns = (LoadColumn("id", "integer", pa.int32()), LoadColumn("note", "text", pa.string()))
    sources = (ITEMS.columns[0], ITEMS.columns[3])
    plan = LoadPlan(TargetName("public", "items"), sources, columns, key=(0,))
    empty = pa.array([None], pa.string())

    def row(key: int, size: int) -> LongRow:
        batch = pa.RecordBatch.from_arrays([pa.array([key], pa.int32()), empty], ["Id", "Note"])
        return LongRow(batch, {1: spool([b"x" * size])})

    connection = target.connect(target_database)
    words = r"column note: a value of 4,194,304 bytes in a row of [\d,]+ \(id 7\); PostgreSQL holds rows up to 3,145"
    with pytest.raises(TargetError, match=words):
        work = loader.LoadTransaction(plan, finish=lambda *_: None)
        loader.load(connection, work, [row(6, 2 << 20), row(7, 4 << 20)], loader.CopyAll())
    assert query(target, target_database, "SELECT count(*) FROM items") == [(0,)]
    connection.close()


def test_names_of_files_stand_on_any_system() -> None:
    assert file_name("Sales.Orders") == "Sales.Orders"
    assert file_name("../a/b:c%d") == "%2E.%2Fa%2Fb%3Ac%25d"
    assert file_name("Größe") == "Gr%C3%B6%C3%9Fe"
    assert file_name("é" * 128) != file_name("é" * 127 + "è")
    assert len(file_name("é" * 128)) <= 200


KINDS = (
    SqlType("bit"), SqlType("tinyint"), SqlType("bigint"), SqlType("decimal", 17, 38, 10), SqlType("money"),
    SqlType("real"), SqlType("float"), SqlType("date"), SqlType("time", scale=6), SqlType("datetime2", scale=6),
    SqlType("nvarchar", -1), SqlType("varbinary", -1), SqlType("uniqueidentifier"),
)  # fmt: skip
COLUMNS = [Column(str(kind), kind) for kind in KINDS]
ROW = st.tuples(
    *(
        st.none() | part
        for part in (
            st.booleans(), st.integers(0, 255), st.integers(-(2**63), 2**63 - 1),
            st.decimals(-(10**27), 10**27, places=10), st.decimals(-(10**14), 10**14, places=4),
            st.floats(width=32, allow_nan=False, allow_infinity=False),
            st.floats(allow_nan=False, allow_infinity=False),
            st.dates(), st.times(), st.datetimes(), st.text(), st.binary(), st.binary(min_size=16, max_size=16),
        )
    )
)  # fmt: skip


@given(ROW)
def test_every_row_is_read_back_from_json_as_it_was(row: tuple[object, ...]) -> None:
    arrays = [pa.array([value], read_type(column)) for value, column in zip(row, COLUMNS, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])
    line = json.dumps(write_row(batch, 0, COLUMNS), ensure_ascii=False)
    assert read_rows([json.loads(line)], COLUMNS).equals(batch)

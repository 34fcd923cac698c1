"""Texts, binaries, dates and times that broke other tools (each test is named after its number in the field's list).

What changes on the way is counted exactly: on screen, in the progress file, in the closing summary.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from mssql import reader
from mssql.wanted_rows import SourceConnections, WantedRows
from postgres import checkpoints, own_schema
from postgres.names import TargetName
from standin.server import StandIn
from tests.harness import ROOT, Finished, Workplace, clean_environment, source_settings
from tests.samples import entries, query
from tests.type_values import VALUES
from type_mapping import MAPPINGS

#: collation → a text of the code page that it stands for
CODE_PAGES: Mapping[str, str] = {
    "SQL_Latin1_General_CP437_CI_AS": "437: é£½╬Σ",
    "SQL_Latin1_General_CP850_CI_AS": "850: éð±╚",
    "Polish_CI_AS": "1250: łąż€",
    "Cyrillic_General_CI_AS": "1251: Жяё№",
    "Latin1_General_CI_AS": "1252: é€ßÿ™",
    "Greek_CI_AS": "1253: Ωλά",
    "Turkish_CI_AS": "1254: ğİıŞ",
    "Hebrew_CI_AS": "1255: אבגש",
    "Arabic_CI_AS": "1256: عربيپ",
    "Lithuanian_CI_AS": "1257: ąčęžų",
    "Vietnamese_CI_AS": "1258: ơư₫",
    "Thai_CI_AS": "874: ภาษาไทย",
    "Japanese_CI_AS": "932: 日本語ｶﾅ",
    "Chinese_PRC_CI_AS": "936: 简体中文",
    "Korean_Wansung_CI_AS": "949: 한국어",
    "Chinese_Taiwan_Stroke_CI_AS": "950: 繁體中文",
    "Latin1_General_100_CI_AS_SC_UTF8": "UTF-8: é€Ж日😀",
}


def table(name: str, *columns: Column) -> Table:
    """A table with an integer key and these columns."""
    return Table(
        "dbo",
        name,
        (Column("Id", SqlType("int", 4), is_nullable=False), *columns),
        Key(f"PK_{name}", (KeyColumn("Id"),)),
    )


class Copied:
    """Tables that went through both scripts, with the given driver and settings."""

    def __init__(
        self, source: StandIn, folder: Path, target: EmbeddedTarget, database: str, settings: Mapping[str, str]
    ) -> None:
        environment = {**source_settings(source.port, source.database.name), **target.environment(database)}
        self.workplace = Workplace(folder, environment).with_settings(**settings)
        self._target, self._database = target, database
        made = self.workplace.run("schema")
        assert made.code == 0, made.text
        self.finished: Finished = self.workplace.run("data")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self._target, self._database, sql)

    def entry(self, key: str) -> dict[str, Any]:
        """What stands in the progress file about a table."""
        return entries(self.workplace.data_progress)[key]


@pytest.fixture
def copy(
    serve: Callable[..., StandIn], tmp_path: Path, target: EmbeddedTarget, target_database: str
) -> Callable[..., Copied]:
    """Copies tables with these rows from a stand-in of their own."""

    def run(tables: Sequence[Table], rows: Mapping[str, Sequence[tuple[object, ...]]], **settings: str) -> Copied:
        return Copied(serve(Database("texts", tuple(tables)), rows), tmp_path, target, target_database, settings)

    return run


def test_field_12_each_code_page_arrives_right(copy: Callable[..., Copied], odbc_driver: str) -> None:
    varying = [Column(f"v{i}", SqlType("varchar", 60), collation=name) for i, name in enumerate(CODE_PAGES)]
    long = [Column(f"m{i}", SqlType("varchar", -1), collation=name) for i, name in enumerate(CODE_PAGES)]
    row = (1, *CODE_PAGES.values(), *CODE_PAGES.values())
    copied = copy([table("Pages", *varying, *long)], {"dbo.Pages": [row]}, MSSQL_DRIVER=odbc_driver)
    assert copied.finished.code == 0, copied.finished.text
    assert copied.query("SELECT * FROM pages") == [row]


PAIRS = [
    (1, "a\ud83db", "\udc00\ud83d", None),
    (2, "its own \ufffd", "\ufffd and \ud800", "\ufffd"),
    (3, "\U0001f600", "\ud83d\ude00 a whole pair", "plain"),
    (4, None, "\udfff", None),
]
SEVENTH = [
    (1, "23:59:59.9999999", "1969-12-31 23:59:59.9999999", "9999-12-31 23:59:59.9999999", "2024-05-01 00:00:00.0000001 +05:30"),  # noqa: E501
    (2, "00:00:00.0000010", "2024-01-01 00:00:00.1234560", "0001-01-01 00:00:00.0000009", None),
    (3, None, None, None, "1960-01-01 00:00:00.1234560 -08:00"),
    (4, "12:00:00.0000001", "2262-04-11 23:47:16.8547758", "2024-01-01 00:00:00", "9999-12-31 10:00:00.9999999 +00:00"),
]  # fmt: skip


def test_field_13_half_pairs_become_fffd_and_are_told_from_those_of_the_source(
    copy: Callable[..., Copied], odbc_driver: str
) -> None:
    chunk_rows = "250000" if odbc_driver else "2"
    pairs = table(
        "Pairs", Column("Short", SqlType("nvarchar", 60)), Column("Long", SqlType("nvarchar", -1)),
        Column("Old", SqlType("ntext", 16)),
    )  # fmt: skip
    copied = copy([pairs], {"dbo.Pairs": PAIRS}, MSSQL_DRIVER=odbc_driver, CHUNK_ROWS=chunk_rows)
    assert copied.finished.code == 0, copied.finished.text
    assert copied.query("SELECT * FROM pairs ORDER BY id") == [
        (1, "a\ufffdb", "\ufffd\ufffd", None),
        (2, "its own \ufffd", "\ufffd and \ufffd", "\ufffd"),
        (3, "\U0001f600", "\U0001f600 a whole pair", "plain"),
        (4, None, "\ufffd", None),
    ]
    assert copied.entry("Pairs")["unpaired_surrogates"] == {"short": 1, "long": 3}
    assert "half a surrogate pair became U+FFFD in 3 values of column long" in copied.finished.out
    assert re.search(r"Values with half pairs replaced: +4\n", copied.finished.out)


def test_seventh_digits_are_cut_never_rounded_and_counted_by_column(
    copy: Callable[..., Copied], odbc_driver: str
) -> None:
    chunk_rows = "1" if odbc_driver else "250000"
    times = table(
        "Moments", Column("At", SqlType("time", 5, 16, 7)), Column("Near", SqlType("datetime2", 8, 27, 7)),
        Column("Far", SqlType("datetime2", 8, 27, 7)), Column("Zoned", SqlType("datetimeoffset", 10, 34, 7)),
    )  # fmt: skip
    copied = copy([times], {"dbo.Moments": SEVENTH}, MSSQL_DRIVER=odbc_driver, CHUNK_ROWS=chunk_rows)
    assert copied.finished.code == 0, copied.finished.text
    found = copied.query("SELECT at::text, near::text, far::text, zoned AT TIME ZONE 'UTC' FROM moments ORDER BY id")
    assert [tuple(None if value is None else str(value) for value in row) for row in found] == [
        ("23:59:59.999999", "1969-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999", "2024-04-30 18:30:00"),
        ("00:00:00.000001", "2024-01-01 00:00:00.123456", "0001-01-01 00:00:00", None),
        (None, None, None, "1960-01-01 08:00:00.123456"),
        ("12:00:00", "2262-04-11 23:47:16.854775", "2024-01-01 00:00:00", "9999-12-31 10:00:00.999999"),
    ]
    assert copied.entry("Moments")["seventh_digits"] == {"at": 2, "near": 2, "far": 2, "zoned": 2}
    assert "a seventh fractional digit was cut from 2 values of column near" in copied.finished.out
    assert re.search(r"Values with a seventh digit cut: +8\n", copied.finished.out)


def test_values_that_lose_nothing_are_not_spoken_of(copy: Callable[..., Copied]) -> None:
    plain = table("Plain", Column("Text", SqlType("nvarchar", 60)), Column("At", SqlType("datetime2", 8, 27, 7)))
    copied = copy([plain], {"dbo.Plain": [(1, "ok ，ﾟ", "2024-01-01 00:00:00.1234560")]})
    assert copied.finished.code == 0
    assert set(copied.entry("Plain")) == {
        "status", "started_at", "rows_synced", "completed_at", "loaded_as", "error", "source",
    }  # fmt: skip
    assert "Values" not in copied.finished.out


def test_counts_that_an_older_version_left_in_the_target_are_kept(target: EmbeddedTarget, target_database: str) -> None:
    connection = target.connect(target_database)
    own_schema.prepare(connection)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE replication.checkpoint ADD nuls jsonb NOT NULL DEFAULT '{}', DROP changes")
        cursor.execute("INSERT INTO replication.load VALUES ('public', 'notes', 'session', 'fingerprint', '[]')")
        cursor.execute(
            "INSERT INTO replication.checkpoint VALUES ('public', 'notes', 0, 5, NULL, NULL, DEFAULT, '{\"a b\": 2}'),"
            " ('public', 'notes', 1, 5, NULL, NULL, DEFAULT, '{}')"
        )
    connection.commit()
    for _ in range(2):
        own_schema.prepare(connection)
        with connection.cursor() as cursor:
            totals = checkpoints.read_totals(cursor, TargetName("public", "notes"))
        assert (totals.rows, totals.changes) == (10, {"nul_characters": {"a b": 2}})
    connection.close()


MB = 1 << 20
LONG = table(
    "Files", Column("Big", SqlType("varbinary", -1)), Column("Name", SqlType("nvarchar", 60)),
    Column("Body", SqlType("nvarchar", -1)), Column("Price", SqlType("money")), Column("Old", SqlType("image", 16)),
    Column("At", SqlType("datetime2", 8, 27, 7)), Column("Plain", SqlType("varchar", -1), collation="Greek_CI_AS"),
    Column("Uid", SqlType("uniqueidentifier", 16)), Column("Ratio", SqlType("float")), Column("Is", SqlType("bit")),
    Column("Day", SqlType("date")), Column("Time", SqlType("time", 5, 16, 7)), Column("Last", SqlType("xml", -1)),
)  # fmt: skip
LONG_UID = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")


def long_rows() -> list[tuple[object, ...]]:
    """Rows with values of 10 MB, of a few bytes, empty and NULL; the last one loses something in four columns."""
    digest = hashlib.sha256(b"seed").digest()
    big, body = digest * (10 * MB // 32), "é€日😀 \n\t\\" * (MB // 2)
    rest = (Decimal("12.3456"), b"old", "2024-01-01 00:00:00.1234567", "Ωλά", LONG_UID, 0.1, True, date(2024, 2, 29))
    return [
        (1, big, "small", body, *rest, "23:59:59.9999999", f"<a>{'ü' * MB}</a>"),
        (2, b"", "", "", *(None for _ in range(10))),
        (3, *(None for _ in range(13))),
        (
            4,
            b"\0\1",
            "half \ud83d",
            f"{'x' * 2 * MB}\ud83d{'y' * MB}\0",
            *rest[:3],
            "Ω" * 2 * MB,
            *rest[4:],
            None,
            None,
        ),
    ]


def md5(value: object) -> object:
    """A text's or binary's digest as PostgreSQL writes it."""
    if value is None:
        return None
    return hashlib.md5(value.encode() if isinstance(value, str) else bytes(value)).hexdigest()  # type: ignore[call-overload]


def arrived(copied: Copied) -> list[tuple[object, ...]]:
    """The rows of Files, long columns as digests."""
    return copied.query(
        'SELECT id, md5(big), name, md5(body), price, md5(old), at::text, md5(plain), uid::text, ratio, "is", day,'
        ' "time"::text, md5(last::text) FROM files ORDER BY id'
    )


def expected(row: tuple[Any, ...]) -> tuple[object, ...]:
    """What is to arrive of a row."""
    key, big, name, body, price, old, at, plain, uid, ratio, flag, day, time, last = row
    name, body = (text and text.replace("\ud83d", "\ufffd").replace("\0", "") for text in (name, body))
    return (
        key, md5(big), name, md5(body), price, md5(old), at and at[:26], md5(plain), uid and str(uid), ratio, flag,
        day, time and time[:15], md5(last),
    )  # fmt: skip


def test_field_1_and_2_values_of_10_mb_arrive_whole(copy: Callable[..., Copied], odbc_driver: str) -> None:
    rows = long_rows()
    copied = copy([LONG], {"dbo.Files": rows}, MSSQL_DRIVER=odbc_driver)
    assert copied.finished.code == 0, copied.finished.text
    assert arrived(copied) == [expected(row) for row in rows]
    entry = copied.entry("Files")
    assert entry["nul_characters"] == {"body": 1}
    assert entry["unpaired_surrogates"] == {"name": 1, "body": 1}
    assert entry["seventh_digits"] == {"at": 2, "time": 1}


def test_reading_by_the_piece_gives_what_reading_in_blocks_gives(
    serve: Callable[..., StandIn], odbc_driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow way, which large values take, against the fast one: every type, extremes and NULL."""
    every = table("Every", *(Column(name, kind) for name, kind, _, _ in VALUES))

    def short(value: object) -> object:
        return value[:5000] if isinstance(value, str | bytes) else value

    rows = [
        (1, *(short(value) for _, _, value, _ in VALUES)),
        (2, *(short(value) for _, _, _, value in VALUES)),
        (3, *(None for _ in VALUES)),
    ]
    source = serve(Database("texts", (every,)), {"dbo.Every": rows})
    environment = {**source_settings(source.port, "texts"), "MSSQL_DRIVER": odbc_driver, "PGDATABASE": "none"}
    settings = load_settings(None, environment)
    columns = tuple(column for column in every.columns if column.type.name in MAPPINGS)

    def read() -> list[object]:
        lost: Counter[tuple[str, int]] = Counter()

        def note(kind: str, position: int, values: int) -> None:
            lost[kind, position] += values

        batches = list(
            reader.read_batches(SourceConnections(reader.connect(settings), settings), WantedRows(every, columns), note)
        )
        return [*batches, {key: count for key, count in lost.items() if count}]

    in_blocks = read()
    monkeypatch.setattr(reader, "LARGEST_BOUND_ROW", 0)
    assert read() == in_blocks
    assert isinstance(in_blocks[0], pa.RecordBatch)
    assert in_blocks[0].num_rows == len(rows)


#: runs a command and prints its peak in MB; of a process of its own, since a child's peak begins with its parent's
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems count memory in other units")
def test_field_23_memory_does_not_grow_with_the_values(copy: Callable[..., Copied]) -> None:
    blobs = table("Blobs", Column("Picture", SqlType("varbinary", -1)), Column("Body", SqlType("varchar", -1)))
    rows = "SELECT i, CAST(repeat('picture ', {0}) AS BLOB), repeat('body ', {0}) FROM range(2) AS t(i)"
    peaks = []
    for times in (10, 2_000_000):
        copied = copy([blobs], {"dbo.Blobs": rows.format(times)})
        assert copied.finished.code == 0, copied.finished.text
        again = subprocess.run(
            [sys.executable, "-c", PEAK, sys.executable, str(ROOT / "sync-data.py")],
            cwd=copied.workplace.folder, env=clean_environment(copied.workplace.environment),
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        assert copied.query("SELECT min(length(picture)), min(length(body)) FROM blobs") == [(8 * times, 5 * times)]
        copied.query("DROP TABLE blobs; DROP SCHEMA replication CASCADE")
        peaks.append(int(again.stdout))
    assert peaks[1] < peaks[0] + 40, f"MB with small and with large values: {peaks}"

"""Rejected rows whose keys T-SQL could read otherwise: found by them, or kept recorded, and never lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from mssql import reader
from mssql.chunk_planning import plan_chunks
from mssql.keys_read_back import misread_keys
from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import INT, MakeWorkplace, query
from tests.tsql_servers import own_database

NAMED = Table(
    "dbo",
    "Named",
    (Column("Name", SqlType("nvarchar", 80), is_nullable=False), Column("Amount", INT)),
    Key("PK_Named", (KeyColumn("Name"),), is_clustered=True),
)
#: keys of rows that are refused at first, as long as they are negative
REFUSED = ["C:\\\nnext line", "C:\\\r\nnext line", "\\\n\\\n", "it's\\\n'"]
ROWS: list[tuple[object, ...]] = [
    *((name, -number) for number, name in enumerate(REFUSED, 1)), *((f"plain {i}", i) for i in range(5)),
]  # fmt: skip
DDL = "CREATE TABLE named (name varchar(40) PRIMARY KEY, amount integer CONSTRAINT positive CHECK (amount >= 0))"


def test_rows_with_a_backslash_before_a_line_break_in_their_key_are_found_again(
    serve: Callable[..., StandIn],
    make_workplace: MakeWorkplace,
    target: EmbeddedTarget,
    target_database: str,
    odbc_driver: str,
) -> None:
    database = Database("names", (NAMED,))
    source = serve(database, {"dbo.Named": ROWS})
    workplace = make_workplace(source, database).with_settings(MSSQL_DRIVER=odbc_driver, RETRY_SECONDS="0")
    query(target, target_database, DDL)
    assert workplace.run("data", "--on-error", "reject").code == 1
    source.execute('UPDATE dbo."Named" SET "Amount" = -"Amount" WHERE "Amount" < 0')
    finished = workplace.run("data", "--retry-rejects")
    assert finished.code == 0, finished.text
    assert f"{len(REFUSED)} rejected rows were loaded, 0 were rejected again" in finished.out
    assert "no longer on the source" not in finished.out
    there = dict(query(target, target_database, "SELECT name, amount FROM named"))
    assert there == {str(name): abs(int(str(amount))) for name, amount in ROWS}


def test_on_a_tsql_server_they_are_found_again_too(
    tsql_server: Mapping[str, str], target: EmbeddedTarget, target_database: str, tmp_path: object
) -> None:
    with own_database(tsql_server, "reject_keys") as there:
        given = {**there, **target.environment(target_database)}
        with closing(connect_source(load_settings(None, given))) as source:
            source.execute("CREATE TABLE Named (Name nvarchar(40) NOT NULL PRIMARY KEY, Amount int)").close()
            for name, amount in ROWS:
                source.execute("INSERT INTO Named VALUES (?, ?)", name, amount).close()
            query(target, target_database, DDL)
            workplace = Workplace(tmp_path, given).with_settings(RETRY_SECONDS="0")  # type: ignore[arg-type]
            assert workplace.run("data", "--on-error", "reject").code == 1
            source.execute("UPDATE Named SET Amount = -Amount WHERE Amount < 0").close()
            finished = workplace.run("data", "--retry-rejects")
        assert finished.code == 0, finished.text
        assert f"{len(REFUSED)} rejected rows were loaded" in finished.out
        assert query(target, target_database, "SELECT count(*) FROM named") == [(len(ROWS),)]


def test_a_row_whose_key_the_source_reads_otherwise_stays_recorded_and_is_told(
    serve: Callable[..., StandIn], make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    """The key's column was of another code page when the rows were rejected."""
    name = Column("Name", SqlType("varchar", 40), is_nullable=False, collation="Cyrillic_General_CI_AS")
    table = Table("dbo", "Named", (name, NAMED.columns[1]), NAMED.primary_key)
    database = Database("names", (table,))
    source = serve(database, {"dbo.Named": [("привет", -1), ("мир", -2), ("день", -3), ("ночь", 4)]})
    workplace = make_workplace(source, database).with_settings(RETRY_SECONDS="0")
    query(target, target_database, DDL)
    assert workplace.run("data", "--on-error", "reject").code == 1
    as_it_was = """UPDATE replication.reject SET key = '{"Name": "naïveté"}' WHERE key::text LIKE '%привет%'"""
    query(target, target_database, as_it_was + " RETURNING 1")
    source.execute("""UPDATE dbo."Named" SET "Amount" = -"Amount" WHERE "Name" = 'мир'""")
    source.execute("""DELETE FROM dbo."Named" WHERE "Name" = 'день'""")
    finished = workplace.run("data", "--retry-rejects")
    assert finished.code == 1, finished.text
    assert (
        "1 rejected rows were loaded, 0 were rejected again, 1 are no longer on the source, 1 were not looked for"
        in (finished.out)
    )
    assert query(target, target_database, "SELECT key->>'Name' FROM replication.reject") == [("naïveté",)]
    assert "1 rejected rows, listed in" in finished.out


@pytest.mark.parametrize("kind", ["nvarchar", "varchar"])
def test_chunks_end_at_keys_with_a_backslash_before_a_line_break(
    serve: Callable[..., StandIn], kind: str, make_workplace: MakeWorkplace
) -> None:
    length = 80 if kind == "nvarchar" else 40
    table = Table(
        "dbo", "Named", (Column("Name", SqlType(kind, length), is_nullable=False),), NAMED.primary_key, row_count=40
    )
    database = Database("names", (table,))
    source = serve(database, {"dbo.Named": [(f"\\\n{number:04}",) for number in range(40)]})
    given = load_settings(None, make_workplace(source, database).environment)
    connection = reader.connect(given)
    chunks = plan_chunks(connection, table, 10)
    assert len(chunks) == 4
    assert "(N'\\' + N'\n0009')" in chunks[0].upper[0]  # type: ignore[index]


@pytest.mark.parametrize(
    ("collation", "keys", "misread"),
    [
        ("Latin1_General_CI_AS", ["plain", "a\\\nb", "blank  ", "naïve", "мир", "日本"], [4, 5]),
        ("Cyrillic_General_CI_AS", ["plain", "a\\\nb", "blank  ", "naïve", "мир", "日本"], [3, 5]),
    ],
)
def test_keys_that_a_code_page_has_not_are_known(
    serve: Callable[..., StandIn], make_workplace: MakeWorkplace, collation: str, keys: list[str], misread: list[int]
) -> None:
    name = Column("Name", SqlType("varchar", 40), is_nullable=False, collation=collation)
    other = Column("Number", INT, is_nullable=False)
    table = Table("dbo", "Named", (name, other), Key("PK", (KeyColumn("Number"), KeyColumn("Name"))))
    database = Database("names", (table,))
    given = load_settings(None, make_workplace(serve(database, {}), database).environment)
    found = misread_keys(reader.connect(given), table, [{"Number": 1, "Name": key} for key in keys])
    assert found == misread

"""Names that a driver manager garbles: their tables arrive, over a connection that asks ODBC itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import INT, statuses, table, target_rows
from tests.tsql_servers import own_database

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
    with own_database(tsql_server, "far_names") as there:
        given = {**there, **target.environment(target_database)}
        workplace = Workplace(tmp_path, given).with_settings(MSSQL_DRIVER=odbc_driver, CHUNK_ROWS="2")
        with closing(connect_source(load_settings(None, given))) as source:
            for far, column in (("tab 🎉", "label"), ("near", "🦄 price")):
                source.execute(f"CREATE TABLE dbo.[{far}] (id int NOT NULL PRIMARY KEY, [{column}] nvarchar(20))")
                source.execute(f"INSERT INTO dbo.[{far}] VALUES (1, N'a🎉'), (2, NULL), (3, N''), (4, N'd'), (5, N'e')")
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

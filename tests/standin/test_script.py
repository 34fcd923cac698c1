"""The declared tables as T-SQL, and on a server that speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import pytest

from db import connect_source, load_settings
from model.catalog import Column, Database, Key, KeyColumn, Table
from standin.script import create_script, in_load_order, insert_statement, load_rows
from standin.server import StandIn
from tests.standin.clients import connect, microsoft_driver, rows
from tests.standin.samples import DATABASE, INT, KEYED, LONG, TYPES
from tests.tsql_servers import own_database
from tests.type_values import VALUES


def test_tsql_of_the_declared_tables() -> None:
    script = create_script(DATABASE)
    assert "CREATE SCHEMA [Sales]" in script
    (created,) = [text for text in script if text.startswith("CREATE TABLE [Sales].[a]]b]")]
    assert "[id] decimal(10,0) IDENTITY(10,-2) NOT NULL" in created
    assert "[select] nvarchar(50) CONSTRAINT [DF_x] DEFAULT (N'new') NULL" in created
    assert "[double] AS ([id]*(2))" in created
    assert "CONSTRAINT [PK_Keyed] PRIMARY KEY NONCLUSTERED ([id] DESC)" in created
    assert (
        "CREATE NONCLUSTERED INDEX [IX_Keyed] ON [Sales].[a]]b] ([loose]) INCLUDE ([exact])"
        " WHERE ([loose] IS NOT NULL)" in script
    )
    assert "ALTER TABLE [Sales].[a]]b] WITH NOCHECK ADD CONSTRAINT [CK_Keyed] CHECK ([id]>(-100))" in script
    statement, places = insert_statement(KEYED)
    assert "[double]" not in statement
    assert places == [0, 1, 3, 4, 5]
    assert [table.name for table in in_load_order((KEYED, TYPES))] == ["Every Type", "a]b"]


def test_the_declared_tables_on_a_real_server(tsql_server: Mapping[str, str]) -> None:
    found = microsoft_driver()
    if found is None:
        pytest.skip("the microsoft ODBC driver is not installed")
    # What every server that speaks T-SQL can be expected to hold, and compares equal by its driver's values.
    chosen = [
        (column, kind, first, second)
        for column, kind, first, second in VALUES
        if kind.name not in {"timestamp", "uniqueidentifier"} and kind.scale < 20
    ]
    columns = (Column("id", INT, is_nullable=False), *(Column(column, kind) for column, kind, *_ in chosen))
    table = Table("dbo", "Every Type", columns, Key("PK_Types", (KeyColumn("id"),), is_clustered=True))
    database = Database("standin", (table, LONG), DATABASE.collation)
    given_rows = {
        "dbo.Every Type": [
            (1, *(first for _, _, first, _ in chosen)),
            (2, *(second for *_, second in chosen)),
            (3, *(None for _ in chosen)),
        ],
        "dbo.Long": "SELECT CAST(i AS INTEGER), 'row ' || i FROM range(1000) AS numbers(i)",
    }
    with own_database({**tsql_server, "MSSQL_DRIVER": found}, "standin") as there:
        settings = load_settings(None, {**there, "PGDATABASE": "none"})
        with (
            closing(connect_source(settings)) as opened,
            StandIn(database, given_rows) as running,
            closing(connect(running, found)) as mine,
        ):
            for statement in create_script(database, with_comments=False, with_others=False):
                opened.execute(statement)
            opened.autocommit = False
            load_rows(opened, database, given_rows)
            ((version,),) = rows(opened, "SELECT @@VERSION")
            for column, *_ in chosen:
                if column == "c_sysname" and "Babelfish" in version:
                    continue  # which keeps such names in the code page of its default collation
                sql = f"SELECT [{column}] FROM dbo.[Every Type] ORDER BY id"
                assert rows(opened, sql) == rows(mine, sql), column
            sql = "SELECT COUNT(*), SUM(id), MAX(text) FROM dbo.Long"
            assert rows(opened, sql) == rows(mine, sql)

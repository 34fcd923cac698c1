"""The views of `sys` tell of the declared tables what SQL Server's would."""

from __future__ import annotations

from typing import Any

import pyodbc
import pytest

from model.catalog import Column, Database, Table
from standin.server import StandIn
from tests.standin.clients import connect, rows, value
from tests.standin.samples import DATABASE, Q


def test_columns_in_the_catalog(connection: pyodbc.Connection) -> None:
    sql = (
        "SELECT c.name, t.name, c.max_length, c.precision, c.scale, c.is_identity, c.is_computed, c.collation_name"
        " FROM sys.columns c JOIN sys.types t ON t.user_type_id = c.user_type_id"
        " WHERE c.object_id = OBJECT_ID(N'[Sales].[a]]b]') ORDER BY c.column_id"
    )
    default = DATABASE.collation
    assert rows(connection, sql) == [
        ("id", "decimal", 9, 10, 0, True, False, None),
        ("select", "nvarchar", 100, 0, 0, False, False, default),
        ("double", "int", 4, 10, 0, False, True, None),
        ("exact", "varchar", 20, 0, 0, False, False, "Latin1_General_BIN2"),
        ("loose", "varchar", 20, 0, 0, False, False, default),
        ("phone", "Phone", 24, 0, 0, False, False, default),
    ]


def test_lengths_of_types_in_the_catalog(connection: pyodbc.Connection) -> None:
    sql = (
        "SELECT c.name, c.system_type_id, c.max_length, c.precision, c.scale FROM sys.columns c"
        " WHERE c.object_id = OBJECT_ID('dbo.Every Type') AND c.name IN"
        " ('c_money', 'c_time7', 'c_offset0', 'c_decimal38', 'c_text', 'c_xml', 'c_nvarchar_max', 'c_rowversion')"
    )
    assert sorted(rows(connection, sql)) == [
        ("c_decimal38", 106, 17, 38, 37),
        ("c_money", 60, 8, 19, 4),
        ("c_nvarchar_max", 231, -1, 0, 0),
        ("c_offset0", 43, 8, 26, 0),
        ("c_rowversion", 189, 8, 0, 0),
        ("c_text", 35, 16, 0, 0),
        ("c_time7", 41, 5, 16, 7),
        ("c_xml", 241, -1, 0, 0),
    ]


CATALOG_QUERIES: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT i.name, i.index_id, i.type_desc, i.is_unique, i.is_primary_key, i.has_filter, i.filter_definition"
     " FROM sys.indexes i WHERE i.object_id = OBJECT_ID('Sales.a]b') ORDER BY i.index_id",
     [(None, 0, "HEAP", False, False, False, None), ("PK_Keyed", 2, "NONCLUSTERED", True, True, False, None),
      ("UQ_Keyed", 3, "NONCLUSTERED", True, False, False, None),
      ("IX_Keyed", 4, "NONCLUSTERED", False, False, True, "([loose] IS NOT NULL)")]),
    ("SELECT COL_NAME(object_id, column_id), key_ordinal, is_descending_key, is_included_column FROM sys.index_columns"
     " WHERE object_id = OBJECT_ID('Sales.a]b') AND index_id IN (2, 4) ORDER BY index_id, index_column_id",
     [("id", 1, True, False), ("loose", 1, False, False), ("exact", 0, False, True)]),
    ("SELECT f.name, OBJECT_NAME(f.referenced_object_id), f.delete_referential_action_desc, COUNT(*) FROM"
     " sys.foreign_keys f JOIN sys.foreign_key_columns c ON c.constraint_object_id = f.object_id"
     " GROUP BY f.name, f.referenced_object_id, f.delete_referential_action_desc",
     [("FK_Keyed", "Every Type", "CASCADE", 1)]),
    ("SELECT name, definition, is_not_trusted FROM sys.check_constraints", [("CK_Keyed", "([id]>(-100))", True)]),
    ("SELECT d.name, d.definition, c.name FROM sys.default_constraints d JOIN sys.columns c"
     " ON c.default_object_id = d.object_id", [("DF_x", "(N'new')", "select")]),
    ("SELECT name, definition, is_persisted FROM sys.computed_columns", [("double", "([id]*(2))", False)]),
    ("SELECT CAST(seed_value AS int), CAST(increment_value AS int), CAST(last_value AS bigint)"
     " FROM sys.identity_columns",
     [(10, -2, 4)]),
    ("SELECT CAST(value AS nvarchar(100)), minor_id FROM sys.extended_properties WHERE class = 1 ORDER BY minor_id",
     [("An awkward name.", 0), ("Reserved.", 2)]),
    ("SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('dbo.Long') AND index_id IN (0, 1)",
     [(100_000,)]),
    ("SELECT name FROM sys.types WHERE is_user_defined = 1", [("Phone",)]),
    ("SELECT s.name, t.name, t.temporal_type_desc FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id"
     " WHERE t.is_memory_optimized = 0 AND t.is_ms_shipped = 0 ORDER BY 1, 2",
     [("dbo", "Every Type", "NON_TEMPORAL_TABLE"), ("dbo", "Long", "NON_TEMPORAL_TABLE"),
      ("dbo", "Secret", "NON_TEMPORAL_TABLE"), ("Sales", "a]b", "NON_TEMPORAL_TABLE")]),
    ("SELECT snapshot_isolation_state_desc FROM sys.databases WHERE name = DB_NAME()", [("ON",)]),
)  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), CATALOG_QUERIES, ids=[sql[:50] for sql, _ in CATALOG_QUERIES])
def test_catalog(connection: pyodbc.Connection, sql: str, expected: list[tuple[Any, ...]]) -> None:
    assert rows(connection, sql) == expected


def test_traits_are_flags_in_the_catalog(driver: str) -> None:
    def plain(name: str, *traits: str) -> Table:
        return Table("dbo", name, (Column("a", Q("int")),), traits=traits)

    database = Database(
        "shop",
        (
            plain("T", "temporal"),
            plain("THistory", "history"),
            plain("M", "memory-optimised"),
            plain("N", "graph node"),
            plain("E", "graph edge"),
            plain("L", "ledger"),
            plain("X", "external"),
            plain("F", "filetable"),
            plain("P", "partitioned"),
        ),
    )
    with StandIn(database, {}) as running:
        opened = connect(running, driver)
        found = rows(
            opened,
            "SELECT name FROM sys.tables WHERE temporal_type = 2 AND history_table_id = OBJECT_ID('dbo.THistory')"
            " UNION ALL SELECT name FROM sys.tables WHERE is_memory_optimized = 1 OR is_node = 1 OR is_edge = 1"
            " OR ledger_type = 2 OR is_external = 1 OR is_filetable = 1 ORDER BY 1",
        )
        assert [name for (name,) in found] == ["E", "F", "L", "M", "N", "T", "X"]
        assert value(opened, "SELECT COUNT(*) FROM sys.partitions WHERE object_id = OBJECT_ID('P')") == 2
        opened.close()

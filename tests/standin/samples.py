"""What the tests' stand-in holds: a table of every type, one with awkward names, a long one, one that is denied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.catalog import (
    AliasType,
    Check,
    Column,
    Computed,
    Database,
    Default,
    ForeignKey,
    Identity,
    Index,
    Key,
    KeyColumn,
    SqlType,
    Table,
)
from tests.type_values import VALUES

Q = SqlType
INT = SqlType("int")

#: values with a seventh digit or an offset: name, type, text of one, text of another
PRECISE = (
    ("c_time7", Q("time", scale=7), "23:59:59.9999999", "00:00:00.0000001"),
    ("c_datetime2_7", Q("datetime2", scale=7), "9999-12-31 23:59:59.9999999", "0001-01-01 00:00:00.0000000"),
    ("c_offset7", Q("datetimeoffset", scale=7), "2024-02-29 12:00:00.1234567 -08:30",
     "1900-01-01 00:00:00.0000000 +14:00"),
    ("c_offset0", Q("datetimeoffset", scale=0), "2024-02-29 12:00:00 +05:30", "2024-02-29 12:00:00 +00:00"),
)  # fmt: skip

TYPES = Table(
    "dbo",
    "Every Type",
    (Column("id", Q("int"), is_nullable=False), *(Column(name, kind) for name, kind, *_ in (*VALUES, *PRECISE))),
    Key("PK_Types", (KeyColumn("id"),), is_clustered=True),
)
KEYED = Table(
    "Sales",
    "a]b",
    (
        Column("id", Q("decimal", precision=10), is_nullable=False, identity=Identity(10, -2)),
        Column("select", Q("nvarchar", 100), default=Default("DF_x", "(N'new')"), comment="Reserved."),
        Column("double", Q("int"), computed=Computed("([id]*(2))")),
        Column("exact", Q("varchar", 20), collation="Latin1_General_BIN2"),
        Column("loose", Q("varchar", 20)),
        Column("phone", Q("varchar", 24, alias="Phone")),
    ),
    Key("PK_Keyed", (KeyColumn("id", is_descending=True),)),
    unique=(Key("UQ_Keyed", (KeyColumn("select"), KeyColumn("exact"))),),
    indexes=(Index("IX_Keyed", (KeyColumn("loose"),), included=("exact",), filter="([loose] IS NOT NULL)"),),
    foreign_keys=(ForeignKey("FK_Keyed", ("double",), "dbo", "Every Type", ("id",), on_delete="CASCADE"),),
    checks=(Check("CK_Keyed", "([id]>(-100))", is_trusted=False),),
    comment="An awkward name.",
)
LONG = Table("dbo", "Long", (Column("id", Q("int"), is_nullable=False), Column("text", Q("nvarchar", 100))))
SECRET = Table("dbo", "Secret", (Column("id", Q("int")),))
DATABASE = Database(
    "shop",
    (TYPES, KEYED, LONG, SECRET),
    collation="SQL_Latin1_General_CP1_CI_AS",
    alias_types=(AliasType("dbo", "Phone", Q("varchar", 24)),),
)
ROWS: Mapping[str, Any] = {
    "dbo.Every Type": [
        (1, *(first for _, _, first, _ in (*VALUES, *PRECISE))),
        (2, *(second for _, _, _, second in (*VALUES, *PRECISE))),
        (3, *(None for _ in (*VALUES, *PRECISE))),
    ],
    "Sales.a]b": [
        (10, "one", 20, "Aa", "Aa", "1"),
        (8, "two", 16, "aa", "aa", None),
        (6, None, 12, "AA", "AA", "3"),
        (4, "é", 8, None, None, "4"),
    ],
    "dbo.Long": "SELECT CAST(i AS INTEGER), 'row ' || i FROM range(100000) AS numbers(i)",
    "dbo.Secret": [(1,)],
}

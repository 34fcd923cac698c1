"""A hand-made database with a table for each trap that a schema can hold.

Declared once, as catalog dataclasses: the stand-in serves them, and `tsql()` writes them for a server that
speaks T-SQL. The tables that need care (temporal, graph, …) are written in T-SQL of their own, because what
makes them special is not in the columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyodbc

from demo.shop import BIGINT, BIT, DATE, DATETIME, GUID, INT, ROWVERSION, SMALLINT, TINYINT, decimal, nvarchar, varchar
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
    OtherObject,
    SqlType,
    Table,
)
from model.catalog import Sequence as SequenceObject
from standin.script import Connection, create_script

DATETIME2 = SqlType("datetime2", scale=7)
UNBOUNDED = nvarchar(-1)
LONG_NAME = "A name of 128 characters " + "x" * 103
#: the same first 63 bytes
LONG_TWINS = ("L" * 70 + "_one", "L" * 70 + "_two")
AWKWARD_NAMES = (
    "Order Details", "select", 'a"b', "a]b", "100%s", "%(name)s", "1st", "Ελλάδα", "日本", "a.b", "it's", "back\\slash",
    LONG_NAME, *LONG_TWINS,
)  # fmt: skip


def required(name: str, kind: SqlType = INT, **more: object) -> Column:
    """A column that refuses NULL."""
    return Column(name, kind, is_nullable=False, **more)  # type: ignore[arg-type]


def primary(name: str, *columns: str, **more: object) -> Key:
    """A clustered primary key."""
    return Key(name, tuple(KeyColumn(column) for column in columns), **{"is_clustered": True, **more})  # type: ignore[arg-type]


def _keyed(name: str, *columns: Column, schema: str = "dbo", **more: object) -> Table:
    """A table with the key `ID`."""
    return Table(schema, name, (required("ID"), *columns), primary(f"PK_{name}"[:128], "ID"), **more)  # type: ignore[arg-type]


def index(name: str, *columns: str, **more: object) -> Index:
    """An index; a column followed by ` DESC` is descending."""
    keys = tuple(KeyColumn(column.removesuffix(" DESC"), column.endswith(" DESC")) for column in columns)
    return Index(name, keys, **more)  # type: ignore[arg-type]


# -- identities -----------------------------------------------------------------------------------

IDENTITIES: Mapping[str, tuple[SqlType, Identity]] = {
    "IdTiny": (TINYINT, Identity(1, 1)),
    "IdSmall": (SMALLINT, Identity(-5, -1)),
    "IdInt": (INT, Identity(100, 10)),
    "IdBig": (BIGINT, Identity(2**40, 7)),
    "IdDecimal": (decimal(18), Identity(1000, 1)),
    "IdNumeric": (SqlType("numeric", precision=9), Identity(-1, -2)),
    "IdEmpty": (INT, Identity(500, 5)),
    "IdEmptied": (INT, Identity(1, 1, last_value=57)),
}


def _identity(name: str, kind: SqlType, identity: Identity) -> Table:
    # Not on the key: the counter need not be one.
    return _keyed(name, required("Number", kind, identity=identity))


IDENTITY_ROWS: Mapping[str, Sequence[tuple[int, int]]] = {
    "IdTiny": [(1, 1), (2, 2)],
    "IdSmall": [(1, -5), (2, -6)],
    "IdInt": [(1, 100), (2, 110)],
    "IdBig": [(1, 2**40), (2, 2**40 + 7)],
    "IdDecimal": [(1, 1000), (2, 1001)],
    "IdNumeric": [(1, -1), (2, -3)],
}
#: what the next row without a number must get
IDENTITY_NEXT = {
    "IdTiny": 3, "IdSmall": -7, "IdInt": 120, "IdBig": 2**40 + 14, "IdDecimal": 1002, "IdNumeric": -5, "IdEmpty": 500,
    "IdEmptied": 58,
}  # fmt: skip

# -- defaults ---------------------------------------------------------------------------------------

#: every default of the field: column type, text, and the value it must give (None: any but NULL)
DEFAULTS: Mapping[str, tuple[SqlType, str, object]] = {
    "Zero": (INT, "((0))", 0),
    "Text": (varchar(10), "('x')", "x"),
    "National": (nvarchar(10), "(N'new')", "new"),
    "Quoted": (nvarchar(20), "('it''s 100%')", "it's 100%"),
    "Now": (DATETIME, "(getdate())", None),
    "UtcNow": (DATETIME, "(getutcdate())", None),
    "SysNow": (DATETIME2, "(sysdatetime())", None),
    "SysUtcNow": (DATETIME2, "(sysutcdatetime())", None),
    "OffsetNow": (SqlType("datetimeoffset", scale=7), "(sysdatetimeoffset())", None),
    "NewId": (GUID, "(newid())", None),
    "Sequential": (GUID, "(newsequentialid())", None),
    "UserName": (nvarchar(128), "(user_name())", None),
    "Login": (nvarchar(128), "(suser_sname())", None),
    "Today": (DATE, "(CONVERT([date],getdate()))", None),
    "Tomorrow": (DATETIME, "(dateadd(day,(1),getdate()))", None),
    "Epoch": (DATETIME, "('1900-01-01')", "1900-01-01 00:00:00"),
    "Nothing": (INT, "(NULL)", "NULL"),
    "NoBytes": (SqlType("varbinary", 8), "(0x00)", "\\x00"),
    "Minus": (INT, "((-1))", -1),
    "False": (BIT, "(CONVERT([bit],(0)))", False),
    "True": (BIT, "((1))", True),
    "Voucher": (BIGINT, "(NEXT VALUE FOR [dbo].[Vouchers])", 8),
    "Hex": (varchar(32), "(replace(newid(),'-',''))", None),
    "Odd": (INT, "([dbo].[NextOdd]())", None),
}
#: those that may be in the report instead of in PostgreSQL
DEFAULTS_REPORTED = {"Odd"}

# -- indexes ------------------------------------------------------------------------------------------

_INDEXED = Table(
    "dbo",
    "Indexed",
    (
        required("ID"),
        Column("Code", varchar(20)),
        Column("Region", nvarchar(30)),
        Column("State", INT),
        Column("Price", decimal(10, 2)),
        Column("Day", DATE),
        Column("Notes", UNBOUNDED),
        Column("ParentID", INT),
    ),
    primary("PK_Indexed", "ID", comment="The key's comment."),
    unique=(
        Key("UQ_Indexed_Code", (KeyColumn("Code"),), comment="One code each, and one NULL."),
        Key("UQ_Indexed_Disabled", (KeyColumn("Region"), KeyColumn("Day")), is_disabled=True),
    ),
    indexes=(
        index("IX_Include", "Region", "Price DESC", included=("State", "Day")),
        index("IX_UniqueInclude", "State", included=("Region",), is_unique=True),
        index("IX_Filtered", "Day", filter="([State]=(1) AND [Region] IS NOT NULL)", is_unique=True),
        index("IX_FilteredOddly", "Day", filter="([Day]>CONVERT([date],[dbo].[Cutoff]()))"),
        index("IX_LargeInclude", "State", "Day", included=("Notes", "Price")),
        index("IX_Same", "Region", comment="For the search box."),
        index("IX_Disabled", "Price", is_disabled=True),
        index("FK_Indexed_Parent", "ParentID"),
    ),
    foreign_keys=(ForeignKey("FK_Indexed_Parent", ("ParentID",), "dbo", "Indexed", ("ID",), comment="To itself."),),
    checks=(Check("CK_Indexed_Price", "([Price]>=(0))", comment="Nothing is given away."),),
)

# -- foreign keys --------------------------------------------------------------------------------------

_ACTIONS = (
    ("NO_ACTION", "NO_ACTION"), ("CASCADE", "CASCADE"), ("SET_NULL", "SET_NULL"), ("SET_DEFAULT", "SET_DEFAULT"),
    ("CASCADE", "NO_ACTION"),
)  # fmt: skip


def _foreign_key_tables() -> tuple[Table, ...]:
    parents = Table(
        "dbo",
        "Parents",
        (required("A"), required("B"), required("Code", varchar(10)), required("Serial", BIGINT)),
        primary("PK_Parents", "A", "B"),
        unique=(Key("UQ_Parents_Serial", (KeyColumn("Serial"),)),),
        indexes=(index("UX_Parents_Code", "Code", is_unique=True),),
    )
    children = _keyed(
        "Children",
        Column("PA", INT),
        Column("PB", INT),
        Column("ParentCode", varchar(10)),
        Column("ParentSerial", BIGINT),
        Column("Boss", INT),
        Column("Region", INT),
        foreign_keys=(
            ForeignKey("FK_Two", ("PB", "PA"), "dbo", "Parents", ("B", "A")),
            ForeignKey("FK_Self", ("Boss",), "dbo", "Children", ("ID",)),
            ForeignKey("FK_Cross", ("Region",), "Sales", "Regions", ("ID",)),
            ForeignKey("FK_UniqueIndex", ("ParentCode",), "dbo", "Parents", ("Code",)),
            ForeignKey("FK_UniqueKey", ("ParentSerial",), "dbo", "Parents", ("Serial",)),
            ForeignKey("FK_Untrusted", ("Region",), "Sales", "Regions", ("ID",), is_trusted=False),
            ForeignKey("FK_Disabled", ("Boss",), "dbo", "Children", ("ID",), is_trusted=False, is_disabled=True),
        ),
    )
    acting = tuple(
        _keyed(
            f"Acts{number}",
            Column("Region", INT, default=Default(f"DF_Acts{number}", "((1))")),
            foreign_keys=(
                ForeignKey(f"FK_Acts{number}", ("Region",), "Sales", "Regions", ("ID",), on_delete=d, on_update=u),
            ),
        )
        for number, (d, u) in enumerate(_ACTIONS)
    )
    cycle = tuple(
        _keyed(
            f"Cycle{a}",
            Column("Other", INT),
            foreign_keys=(ForeignKey(f"FK_{a}{b}", ("Other",), "dbo", f"Cycle{b}", ("ID",)),),
        )
        for a, b in (("A", "B"), ("B", "A"))
    )
    return (parents, children, *acting, *cycle)


# -- names ----------------------------------------------------------------------------------------------


def _named_tables() -> tuple[Table, ...]:
    tables = [
        Table(
            "dbo",
            name,
            (required(name), Column("Parent", INT)),
            Key(f"PK {name}"[:128], (KeyColumn(name),), is_clustered=True),
            indexes=(Index(f"IX {name}"[:128], (KeyColumn("Parent"), KeyColumn(name))),),
            foreign_keys=(ForeignKey(f"FK {name}"[:128], ("Parent",), "dbo", name, (name,)),),
            checks=(Check(f"CK {name}"[:128], f"([{name.replace(']', ']]')}]>(0))"),),
        )
        for name in AWKWARD_NAMES
    ]
    return tuple(tables)


# -- tables that need care --------------------------------------------------------------------------------

_GRAPH_ID = Column("graph_id_8E1D", BIGINT, is_nullable=False, graph_type="GRAPH_ID", is_hidden=True)
_NODE_ID = Column("$node_id_12AB", nvarchar(1000), is_nullable=False, graph_type="GRAPH_ID_COMPUTED")

#: as Microsoft documents their rows in sys.tables and sys.columns
CARE: Mapping[str, Table] = {
    "temporal": _keyed(
        "Prices",
        Column("Price", decimal(10, 2)),
        required("ValidFrom", DATETIME2, is_hidden=True, generated_always="AS_ROW_START"),
        required("ValidTo", DATETIME2, is_hidden=True, generated_always="AS_ROW_END"),
        traits=("temporal",),
    ),
    "temporal history": Table(
        "dbo",
        "PricesHistory",
        (
            required("ID"),
            Column("Price", decimal(10, 2)),
            required("ValidFrom", DATETIME2),
            required("ValidTo", DATETIME2),
        ),
        indexes=(index("ix_PricesHistory", "ValidTo", "ValidFrom", kind="CLUSTERED"),),
        traits=("history",),
    ),
    "partitioned": _keyed("Partitioned", Column("Day", DATE), traits=("partitioned",)),
    "memory-optimised": Table(
        "dbo",
        "InMemory",
        (required("ID"), Column("Session", varchar(40))),
        Key("PK_InMemory", (KeyColumn("ID"),)),
        indexes=(index("IX_InMemory_Hash", "Session", kind="NONCLUSTERED HASH"),),
        traits=("memory-optimised",),
    ),
    "columnstore": Table(
        "dbo",
        "Facts",
        (required("ID"), Column("Amount", decimal(18, 4))),
        indexes=(Index("CCI_Facts", (), included=("ID", "Amount"), kind="CLUSTERED COLUMNSTORE"),),
    ),
    "graph node": Table(
        "dbo",
        "Person",
        (_GRAPH_ID, _NODE_ID, required("ID"), Column("Name", nvarchar(50))),
        primary("PK_Person", "ID"),
        indexes=(index("GRAPH_UNIQUE_INDEX_77", "graph_id_8E1D", is_unique=True),),
        traits=("graph node",),
    ),
    "graph edge": Table(
        "dbo",
        "Likes",
        (
            replace(_GRAPH_ID, name="graph_id_22"),
            Column("$edge_id_33", nvarchar(1000), is_nullable=False, graph_type="GRAPH_ID_COMPUTED"),
            required("from_obj_id_44", is_hidden=True, graph_type="GRAPH_FROM_OBJ_ID"),
            required("from_id_55", BIGINT, is_hidden=True, graph_type="GRAPH_FROM_ID"),
            Column("$from_id_66", nvarchar(1000), graph_type="GRAPH_FROM_ID_COMPUTED"),
            required("to_obj_id_77", is_hidden=True, graph_type="GRAPH_TO_OBJ_ID"),
            required("to_id_88", BIGINT, is_hidden=True, graph_type="GRAPH_TO_ID"),
            Column("$to_id_99", nvarchar(1000), graph_type="GRAPH_TO_ID_COMPUTED"),
            Column("Since", DATE),
        ),
        indexes=(
            index("GRAPH_UNIQUE_INDEX_88", "graph_id_22", is_unique=True),
            index("IX_Likes", "from_obj_id_44", "from_id_55", "to_obj_id_77", "to_id_88"),
        ),
        traits=("graph edge",),
    ),
    "ledger": _keyed(
        "Balances",
        Column("Amount", SqlType("money")),
        required("ledger_start_transaction_id", BIGINT, is_hidden=True, generated_always="AS_TRANSACTION_ID_START"),
        Column("ledger_end_transaction_id", BIGINT, is_hidden=True, generated_always="AS_TRANSACTION_ID_END"),
        required("ledger_start_sequence_number", BIGINT, is_hidden=True, generated_always="AS_SEQUENCE_NUMBER_START"),
        Column("ledger_end_sequence_number", BIGINT, is_hidden=True, generated_always="AS_SEQUENCE_NUMBER_END"),
        traits=("ledger",),
    ),
    "external": Table("dbo", "Elsewhere", (Column("Line", varchar(200)),), traits=("external",)),
    "FileTable": Table(
        "dbo",
        "Documents",
        (
            required("stream_id", GUID, is_rowguid=True),
            Column("file_stream", SqlType("varbinary", -1), is_filestream=True),
        ),
        unique=(Key("UQ_Documents", (KeyColumn("stream_id"),)),),
        traits=("FileTable",),
    ),
    "sparse": _keyed(
        "Attributes",
        Column("Colour", varchar(20), is_sparse=True),
        Column("Size", INT, is_sparse=True),
        Column("AllOfThem", SqlType("xml", -1), is_column_set=True),
    ),
    "encrypted": _keyed(
        "Patients", Column("SSN", SqlType("char", 11), collation="Latin1_General_BIN2", is_encrypted=True)
    ),
    "masked": _keyed("Staff", Column("Email", varchar(100), is_masked=True)),
}

#: the same for a real server, each batch as documented; what a server refuses is left out there
CARE_TSQL = (
    """CREATE TABLE dbo.Prices (ID int NOT NULL PRIMARY KEY, Price decimal(10,2),
       ValidFrom datetime2 GENERATED ALWAYS AS ROW START HIDDEN NOT NULL,
       ValidTo datetime2 GENERATED ALWAYS AS ROW END HIDDEN NOT NULL, PERIOD FOR SYSTEM_TIME (ValidFrom, ValidTo))
       WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.PricesHistory))""",
    "CREATE PARTITION FUNCTION pf_days (date) AS RANGE RIGHT FOR VALUES ('2024-01-01', '2025-01-01')",
    "CREATE PARTITION SCHEME ps_days AS PARTITION pf_days ALL TO ([PRIMARY])",
    "CREATE TABLE dbo.Partitioned (ID int NOT NULL, Day date NOT NULL, PRIMARY KEY (ID, Day)) ON ps_days (Day)",
    "CREATE TABLE dbo.Facts (ID int NOT NULL, Amount decimal(18,4), INDEX CCI_Facts CLUSTERED COLUMNSTORE)",
    "CREATE TABLE dbo.Person (ID int NOT NULL PRIMARY KEY, Name nvarchar(50)) AS NODE",
    "CREATE TABLE dbo.Likes (Since date) AS EDGE",
    "CREATE TABLE dbo.Balances (ID int NOT NULL PRIMARY KEY, Amount money) WITH (SYSTEM_VERSIONING = ON, LEDGER = ON)",
    """CREATE TABLE dbo.Attributes (ID int NOT NULL PRIMARY KEY, Colour varchar(20) SPARSE, Size int SPARSE,
       AllOfThem xml COLUMN_SET FOR ALL_SPARSE_COLUMNS)""",
    "CREATE TABLE dbo.Staff (ID int NOT NULL PRIMARY KEY, Email varchar(100) MASKED WITH (FUNCTION = 'email()'))",
)

# -- the database ------------------------------------------------------------------------------------------

ORDINARY: tuple[Table, ...] = (
    *(_identity(name, kind, identity) for name, (kind, identity) in IDENTITIES.items()),
    _keyed(
        "Defaulted", *(Column(n, kind, default=Default(f"DF_{n}", text)) for n, (kind, text, _) in DEFAULTS.items())
    ),
    _keyed(
        "Computed",
        required("Quantity"),
        required("Price", decimal(10, 2)),
        Column("Total", decimal(21, 2), computed=Computed("([Quantity]*[Price])", is_persisted=True)),
        Column("Label", nvarchar(41), computed=Computed("(concat([Quantity],N' pieces'))")),
        Column("Age", INT, computed=Computed("(datediff(day,'2020-01-01',getdate()))")),
        indexes=(index("IX_Computed_Total", "Total"),),
    ),
    _INDEXED,
    # The same index name on another table.
    _keyed("IndexedToo", Column("Region", nvarchar(30)), indexes=(index("IX_Same", "Region DESC"),)),
    *_foreign_key_tables(),
    _keyed(
        "Regions",
        Column("Name", nvarchar(30), comment="With 'quotes', \\ and\na second line."),
        schema="Sales",
        comment="Where we sell: 100%.",
    ),
    *_named_tables(),
    _keyed(
        "Checked",
        Column("State", varchar(10)),
        Column("Percent", TINYINT),
        checks=(
            Check("CK_State", "([State]='closed' OR [State]='open')"),
            Check("CK_Percent", "([Percent]<=(100))", is_trusted=False),
            Check("CK_Off", "([Percent]>(0))", is_trusted=False, is_disabled=True),
            Check("CK_Odd", "([dbo].[IsOdd]([Percent])=(1))"),
        ),
    ),
    _keyed(
        "Collated",
        Column("Loose", nvarchar(20), collation="Latin1_General_CI_AS"),
        Column("LooseAccent", nvarchar(20), collation="Latin1_General_CI_AI"),
        Column("Strict", nvarchar(20), collation="Latin1_General_CS_AS"),
        Column("Bytes", varchar(20), collation="Latin1_General_BIN2"),
        Column("Padded", SqlType("char", 4), collation="Latin1_General_CI_AS"),
        unique=(Key("UQ_Collated", (KeyColumn("Loose"),)),),
    ),
    _keyed(
        "Aliased",
        Column("Phone", SqlType("varchar", 24, alias="PhoneNumber")),
        Column("Owner", SqlType("nvarchar", 256, alias="sysname")),
    ),
    _keyed("Versioned", required("Version", ROWVERSION)),
    Table("dbo", "Heap", (Column("Anything", SqlType("xml", -1)), Column("At", DATETIME2))),
)

OTHERS = (
    OtherObject(
        "sql scalar function", "dbo", "NextOdd", "CREATE FUNCTION [dbo].[NextOdd]() RETURNS int AS BEGIN RETURN 1 END"
    ),
    OtherObject(
        "sql scalar function",
        "dbo",
        "IsOdd",
        "CREATE FUNCTION [dbo].[IsOdd](@n int) RETURNS int AS BEGIN RETURN @n % 2 END",
    ),
    OtherObject("view", "dbo", "Days", "CREATE VIEW [dbo].[Days] AS SELECT [Day] FROM [dbo].[Indexed]"),
    OtherObject("sql stored procedure", "dbo", "Recount", "CREATE PROCEDURE [dbo].[Recount] AS SELECT 1 AS [One]"),
    OtherObject(
        "sql trigger",
        "dbo",
        "OnIndexed",
        "CREATE TRIGGER [dbo].[OnIndexed] ON [dbo].[Indexed] AFTER INSERT AS SELECT 1 AS [One]",
        "Indexed",
    ),
    OtherObject("synonym", "dbo", "Gebiete", "[Sales].[Regions]"),
)

SEQUENCES = (
    SequenceObject("dbo", "Vouchers", BIGINT, 1, 1, 1, 2**63 - 1, cache_size=20, current=7, comment="Never twice."),
    SequenceObject("Sales", "Countdown", SMALLINT, 100, -10, -100, 100, is_cycling=True, cache_size=0, current=60),
    SequenceObject("dbo", "Unused", INT, 5, 5, 5, 2**31 - 1),
)

HANDMADE = Database(
    "handmade",
    (*ORDINARY, *CARE.values()),
    collation="SQL_Latin1_General_CP1_CI_AS",
    sequences=SEQUENCES,
    alias_types=(AliasType("dbo", "PhoneNumber", SqlType("varchar", 24)),),
    others=OTHERS,
)
HANDMADE_ROWS = {f"dbo.{name}": rows for name, rows in IDENTITY_ROWS.items()}


#: columns without which a server that refuses their table may take it
DISPENSABLE = {("Defaulted", "Hex"), ("Computed", "Age"), ("Computed", "Label")}


def tsql() -> list[str]:
    """The database as T-SQL, one batch each: functions and sequences before the tables that use them."""
    # A function cannot stand in the filter of a real index.
    script = create_script(replace(HANDMADE, tables=tuple(_without_index(t, "IX_FilteredOddly") for t in ORDINARY)))
    early = ("CREATE SCHEMA", "CREATE TYPE", "CREATE SEQUENCE", "CREATE FUNCTION")
    first = [batch for batch in script if batch.startswith(early)]
    return [*first, *(batch for batch in script if batch not in first), *CARE_TSQL]


def create_on(connection: Connection) -> list[str]:
    """Create it on a real server, through a pyodbc connection in autocommit mode; returns what the server refused."""
    cursor = connection.cursor()
    refused = []
    for batch in tsql():
        try:
            cursor.execute(batch)
        except pyodbc.Error:
            refused.append(batch)
            for table in ORDINARY:
                smaller = _without_columns(table)
                if smaller != table and batch.startswith(f"CREATE TABLE [{table.schema}].[{table.name}]"):
                    cursor.execute(create_script(Database("", (smaller,)))[0])
    return refused


def _without_index(table: Table, name: str) -> Table:
    return replace(table, indexes=tuple(one for one in table.indexes if one.name != name))


def _without_columns(table: Table) -> Table:
    kept = tuple(column for column in table.columns if (table.name, column.name) not in DISPENSABLE)
    return replace(table, columns=kept)

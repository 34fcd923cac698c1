"""`shop`: a sample database with every scalar type, awkward names, large values and one long table."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping, Sequence
from decimal import Decimal

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

ORDER_COUNT = 5_000
ORDER_LINE_COUNT = 200_000
PICTURE_BYTES = 3 * 1024 * 1024

INT, BIGINT, SMALLINT, TINYINT = (SqlType(name) for name in ("int", "bigint", "smallint", "tinyint"))
BIT, DATE, DATETIME, MONEY = (SqlType(name) for name in ("bit", "date", "datetime", "money"))
GUID, ROWVERSION = SqlType("uniqueidentifier"), SqlType("timestamp", 8)


def varchar(length: int) -> SqlType:
    """varchar(n); -1 is (max)."""
    return SqlType("varchar", length)


def nvarchar(length: int) -> SqlType:
    """nvarchar(n) by characters; -1 is (max)."""
    return SqlType("nvarchar", -1 if length == -1 else 2 * length)


def decimal(precision: int, scale: int = 0) -> SqlType:
    """decimal(p, s)."""
    return SqlType("decimal", precision=precision, scale=scale)


def _primary(table: str, *columns: str, is_clustered: bool = True) -> Key:
    return Key(f"PK_{table}", tuple(KeyColumn(column) for column in columns), is_clustered)


def _required(name: str, kind: SqlType, **more: object) -> Column:
    return Column(name, kind, is_nullable=False, **more)  # type: ignore[arg-type]


def _tables() -> tuple[Table, ...]:
    return (
        Table(
            "dbo",
            "Categories",
            (
                _required("CategoryID", TINYINT, identity=Identity()),
                _required("Name", nvarchar(40)),
                Column("ParentID", TINYINT),
                Column("Description", SqlType("ntext", -1)),
                Column("Icon", SqlType("image", -1)),
            ),
            _primary("Categories", "CategoryID"),
            unique=(Key("UQ_Categories_Name", (KeyColumn("Name"),)),),
            foreign_keys=(
                ForeignKey("FK_Categories_Parent", ("ParentID",), "dbo", "Categories", ("CategoryID",)),
            ),
            comment="A tree of categories; the root has no parent.",
        ),
        Table(
            "dbo",
            "Suppliers",
            (
                _required("SupplierID", INT, identity=Identity(seed=1000, increment=10)),
                _required("Company Name", nvarchar(80)),
                Column("Country", SqlType("char", 2)),
                Column("Phone", SqlType("varchar", 24, alias="PhoneNumber")),
                Column("Rating", SqlType("real")),
                Column("Notes", SqlType("text", -1)),
                Column("Contract", SqlType("xml", -1)),
            ),
            _primary("Suppliers", "SupplierID"),
        ),
        Table(
            "dbo",
            "Products",
            (
                _required("ProductID", INT, identity=Identity()),
                _required("SKU", SqlType("char", 8, 0, 0), collation="Latin1_General_BIN2"),
                _required("Name", nvarchar(120)),
                _required("CategoryID", TINYINT),
                Column("SupplierID", INT),
                _required("Price", MONEY, default=Default("DF_Products_Price", "((0))")),
                Column("Weight", SqlType("float"), comment="Kilograms."),
                Column("Dimensions", nvarchar(60)),
                _required("IsDiscontinued", BIT, default=Default("DF_Products_IsDiscontinued", "((0))")),
                _required("RowGuid", GUID, default=Default("DF_Products_RowGuid", "(newid())"), is_rowguid=True),
                _required("Version", ROWVERSION),
                _required(
                    "AddedAt", SqlType("datetime2", scale=7), default=Default("DF_Products_AddedAt", "(sysdatetime())")
                ),
            ),
            _primary("Products", "ProductID"),
            unique=(Key("UQ_Products_SKU", (KeyColumn("SKU"),)),),
            indexes=(
                Index("IX_Products_Category", (KeyColumn("CategoryID"), KeyColumn("Price", is_descending=True)),
                      included=("Name", "IsDiscontinued")),
                Index("IX_Products_Sold", (KeyColumn("Name"),), filter="([IsDiscontinued]=(0))"),
            ),
            foreign_keys=(
                ForeignKey("FK_Products_Category", ("CategoryID",), "dbo", "Categories", ("CategoryID",)),
                ForeignKey("FK_Products_Supplier", ("SupplierID",), "dbo", "Suppliers", ("SupplierID",),
                           on_delete="SET_NULL"),
            ),
            checks=(Check("CK_Products_Price", "([Price]>=(0))"),),
            comment="What we sell. Prices include no tax.",
        ),
        Table(
            "dbo",
            "ProductPictures",
            (
                _required("ProductID", INT),
                _required("Number", SMALLINT),
                Column("Picture", SqlType("varbinary", -1)),
                Column("Checksum", SqlType("binary", 32)),
                Column("Thumbnail", SqlType("varbinary", 4000)),
                Column("Caption", nvarchar(-1)),
            ),
            _primary("ProductPictures", "ProductID", "Number"),
            foreign_keys=(
                ForeignKey("FK_Pictures_Product", ("ProductID",), "dbo", "Products", ("ProductID",),
                           on_delete="CASCADE"),
            ),
        ),
        Table(
            "dbo",
            "Customers",
            (
                _required("CustomerID", INT, identity=Identity()),
                _required("Name", nvarchar(100)),
                Column("Email", varchar(120)),
                Column("City", SqlType("nchar", 40)),
                Column("BirthDate", DATE),
                Column("CallAfter", SqlType("time", scale=0)),
                _required("CreatedAt", DATETIME, default=Default("DF_Customers_CreatedAt", "(getdate())")),
                Column("LastSeen", SqlType("datetimeoffset", scale=7)),
                Column("Credit", SqlType("smallmoney")),
                Column("RegionID", INT),
                Column("Remarks", nvarchar(-1), comment="Free text, in any language."),
            ),
            _primary("Customers", "CustomerID"),
            indexes=(Index("IX_Customers_Name", (KeyColumn("Name"),), comment="For the search box."),),
            foreign_keys=(
                ForeignKey("FK_Customers_Region", ("RegionID",), "Sales", "Regions", ("RegionID",)),
            ),
        ),
        Table(
            "dbo",
            "Employees",
            (
                _required("EmployeeID", SMALLINT),
                # An identity need not be a key, nor grow.
                _required("BadgeNumber", INT, identity=Identity(seed=-1, increment=-1)),
                _required("FullName", nvarchar(80)),
                Column("ManagerID", SMALLINT),
                Column("HiredAt", SqlType("smalldatetime")),
                Column("ShiftStart", SqlType("time", scale=7)),
                Column("Salary", decimal(12, 2)),
                Column("Login", SqlType("nvarchar", 256, alias="sysname")),
            ),
            _primary("Employees", "EmployeeID"),
            foreign_keys=(
                ForeignKey("FK_Employees_Manager", ("ManagerID",), "dbo", "Employees", ("EmployeeID",)),
            ),
        ),
        Table(
            "dbo",
            "Orders",
            (
                _required("OrderID", BIGINT, identity=Identity(seed=1)),
                _required("CustomerID", INT),
                Column("EmployeeID", SMALLINT),
                _required("OrderedAt", SqlType("datetime2", scale=3)),
                Column("ShippedAt", SqlType("datetimeoffset", scale=0)),
                _required("Status", varchar(12), default=Default("DF_Orders_Status", "('new')")),
                Column("Note", nvarchar(200)),
            ),
            _primary("Orders", "OrderID"),
            indexes=(
                Index("IX_Orders_Customer", (KeyColumn("CustomerID"), KeyColumn("OrderedAt", is_descending=True))),
                Index("IX_Orders_Open", (KeyColumn("OrderedAt"),), included=("CustomerID",),
                      filter="([ShippedAt] IS NULL)"),
            ),
            foreign_keys=(
                ForeignKey("FK_Orders_Customer", ("CustomerID",), "dbo", "Customers", ("CustomerID",)),
                ForeignKey("FK_Orders_Employee", ("EmployeeID",), "dbo", "Employees", ("EmployeeID",),
                           on_delete="SET_NULL"),
            ),
            checks=(
                Check("CK_Orders_Status", "([Status]='returned' OR [Status]='shipped' OR [Status]='new')"),
            ),
        ),
        Table(
            "dbo",
            "OrderLines",
            (
                _required("OrderID", BIGINT),
                _required("LineNumber", SMALLINT),
                _required("ProductID", INT),
                _required("Quantity", INT),
                _required("UnitPrice", decimal(19, 4)),
                _required("Discount", decimal(5, 4), default=Default("DF_OrderLines_Discount", "((0))")),
                Column("Total", decimal(38, 6),
                       computed=Computed("(CONVERT([decimal](38,6),[Quantity]*[UnitPrice]))", is_persisted=True)),
                Column("PackedAt", SqlType("datetime2", scale=6)),
                Column("Comment", nvarchar(100)),
                _required("LineGuid", GUID),
            ),
            _primary("OrderLines", "OrderID", "LineNumber"),
            indexes=(Index("IX_OrderLines_Product", (KeyColumn("ProductID"),), included=("Quantity",)),),
            foreign_keys=(
                ForeignKey("FK_OrderLines_Order", ("OrderID",), "dbo", "Orders", ("OrderID",), on_delete="CASCADE"),
                ForeignKey("FK_OrderLines_Product", ("ProductID",), "dbo", "Products", ("ProductID",)),
            ),
            checks=(Check("CK_OrderLines_Quantity", "([Quantity]>(0))"),),
        ),
        Table(
            "dbo",
            "Invoices",
            (
                _required("InvoiceNumber", decimal(18), identity=Identity(seed=202500001)),
                _required("OrderID", BIGINT),
                _required("Amount", MONEY),
                _required("Rate", decimal(38, 20)),
                Column("Paid", BIT),
                Column("Document", varchar(-1)),
            ),
            _primary("Invoices", "InvoiceNumber", is_clustered=False),
            indexes=(Index("CX_Invoices_Order", (KeyColumn("OrderID"),), is_unique=True, kind="CLUSTERED"),),
            foreign_keys=(ForeignKey("FK_Invoices_Order", ("OrderID",), "dbo", "Orders", ("OrderID",)),),
        ),
        # No key at all: a heap, as logs often are.
        Table(
            "dbo",
            "AuditLog",
            (
                Column("At", DATETIME),
                Column("User", nvarchar(128)),
                Column("What", SqlType("varchar", 400)),
                Column("Payload", SqlType("varbinary", 200)),
            ),
            comment="Written by triggers; has no key.",
        ),
        Table(
            "dbo",
            "Settings",
            (
                _required("Key", varchar(50)),
                Column("Value", nvarchar(400)),
                Column("order", INT),
                Column("100% sure?", BIT),
            ),
            _primary("Settings", "Key"),
        ),
        Table(
            "Sales",
            "Regions",
            (
                _required("RegionID", INT),
                _required("Name", nvarchar(60)),
                Column("Currency", SqlType("char", 3)),
                Column("Σύνολο", decimal(20, 2), comment="Turnover of the year."),
            ),
            _primary("Regions", "RegionID"),
        ),
        Table(
            "Sales",
            "Promotions",
            (
                _required("PromotionID", GUID, default=Default("DF_Promotions_ID", "(newsequentialid())")),
                _required("RegionID", INT),
                _required("ProductID", INT),
                _required("Percent", decimal(4, 1)),
                _required("StartsOn", DATE),
                Column("EndsOn", DATE),
                Column("Slogan", nvarchar(200)),
            ),
            _primary("Promotions", "PromotionID", is_clustered=False),
            foreign_keys=(
                ForeignKey("FK_Promotions_Region", ("RegionID",), "Sales", "Regions", ("RegionID",)),
                ForeignKey("FK_Promotions_Product", ("ProductID",), "dbo", "Products", ("ProductID",)),
            ),
            checks=(
                Check("CK_Promotions_Percent", "([Percent]>(0) AND [Percent]<=(100))"),
                Check("CK_Promotions_Dates", "([EndsOn] IS NULL OR [EndsOn]>=[StartsOn])", is_trusted=False),
            ),
        ),
        Table(
            "Sales",
            "Price History",
            (
                _required("ProductID", INT),
                _required("Valid From", SqlType("datetime2", scale=7)),
                _required("Price", MONEY),
            ),
            _primary("Price History", "ProductID", "Valid From"),
            foreign_keys=(
                ForeignKey("FK_PriceHistory_Product", ("ProductID",), "dbo", "Products", ("ProductID",)),
            ),
        ),
        Table("Sales", "Empty", (_required("ID", INT, identity=Identity(seed=500)), Column("Text", nvarchar(10))),
              _primary("Empty", "ID")),
    )  # fmt: skip


_GREEK, _CHINESE, _EMOJI = "Ζαχαροπλαστείο Η Καλή", "北京书店", "Café 🍰 & Co 👩‍🍳"

Given = Sequence[object]


def _categories() -> list[Given]:
    names = ("Everything", "Books", "Food", "Tools", "Σοκολάτες", "文具", "Gifts 🎁")
    parents = (None, 1, 1, 1, 3, 2, 1)
    rows: list[Given] = []
    for number, (name, parent) in enumerate(zip(names, parents, strict=True), 1):
        description = None if number == 4 else f"{name}: " + "a long description. " * (number * 20)
        rows.append((number, name, parent, description, b"\x89PNG\r\n" + bytes(range(256)) * number))
    return rows


def _suppliers() -> list[Given]:
    names = ("Łódź Paper", _GREEK, _CHINESE, _EMOJI, "O'Brien & Sons", "Ünïcödé Ltd", "Plain Goods")
    return [
        (
            1000 + 10 * number,
            name,
            ("PL", "GR", "CN", "FR", "IE", None, "US")[number],
            None if number == 3 else f"+{30 + number} 555 {number:04}",
            None if number == 5 else number * 0.75,
            None if number == 2 else f"Supplier since {1990 + number}. Pays in € or £. " * 40,
            None if number == 6 else f"<contract no='{number}'><party>{name.replace('&', '&amp;')}</party></contract>",
        )
        for number, name in enumerate(names)
    ]


def _products() -> list[Given]:
    words = ("Pencil", "Σοκολάτα", "筆記本", "Hammer", "Cake 🍰", "Atlas", "Tea")
    rows: list[Given] = []
    for number in range(1, 101):
        added = f"2024-{number % 12 + 1:02}-{number % 28 + 1:02} {number % 24:02}:15:30.{number * 12345 % 10**7:07}"
        rows.append(
            (
                number,
                f"{'aB'[number % 2]}{number:07}",
                f"{words[number % 7]} No. {number}",
                number % 7 + 1,
                None if number % 9 == 0 else 1000 + number % 7 * 10,
                Decimal(number * 1234567 % 10_000_000) / 10_000,
                None if number % 5 == 0 else number / 7,
                f"{number}×{number + 1}×{number + 2} mm",
                number % 10 == 0,
                uuid.uuid5(uuid.NAMESPACE_OID, f"product {number}"),
                None,
                added,
            )
        )
    return rows


def _pictures() -> list[Given]:
    def noise(size: int, seed: int) -> bytes:
        block = bytes((index * index + seed * 7) % 256 for index in range(4096))
        return (block * (size // 4096 + 1))[:size]

    rows: list[Given] = []
    for number in range(1, 13):
        size = PICTURE_BYTES if number == 1 else number * 40_000
        caption = "Bild 图片 🖼 " * (60_000 if number == 2 else number * 10)
        rows.append((number, 1, noise(size, number), noise(32, number), noise(number * 300, number), caption))
    rows.append((3, 2, b"", b"\0" * 32, b"", ""))
    rows.append((4, 2, None, None, None, None))
    return rows


def _customers() -> list[Given]:
    names = ("Anna Müller", "Γιώργος Παπαδόπουλος", "王小明", "Zoë 🌻", "Seán Ó Briain", "李 雷", "D'Artagnan")
    cities = ("Köln", "Αθήνα", "北京", "Łódź", "Dublin", "São Paulo", None)
    rows: list[Given] = []
    for number in range(1, 501):
        created = datetime.datetime(2015, 1, 1) + datetime.timedelta(hours=37 * number, milliseconds=10 * number)
        hours = number % 25 - 12
        offset = f"{'-' if hours < 0 else '+'}{abs(hours):02}:{'30' if number % 4 == 0 else '00'}"
        rows.append(
            (
                number,
                f"{names[number % 7]} {number}",
                None if number % 11 == 0 else f"customer{number}@example.com",
                cities[number % 7],
                None if number % 13 == 0 else datetime.date(1930 + number % 80, number % 12 + 1, number % 28 + 1),
                None if number % 3 == 0 else datetime.time(number % 24, number % 60, 0),
                created,
                None if number % 6 == 0 else f"2025-06-{number % 28 + 1:02} 10:20:30.{number * 7919:07} {offset}",
                None if number % 7 == 0 else Decimal(number * 31337 % 4_000_000) / 10_000 - 200,
                number % 4 + 1,
                None if number % 2 else f"Likes {names[number % 7]}’s shop. " * (number % 30 + 1),
            )
        )
    return rows


def _employees() -> list[Given]:
    rows: list[Given] = []
    for number in range(1, 26):
        shift = "23:59:59.9999999" if number == 1 else f"{number % 24:02}:30:00.{number:07}"
        hired = datetime.datetime(2010, 1, 1, 9, 30) + datetime.timedelta(days=97 * number)
        manager = None if number == 1 else (number + 1) // 3 or 1
        salary = Decimal(30_000 + number * 1_234) + Decimal("0.99")
        login = f"DOMAIN\\user{number}" if number % 4 else None
        rows.append((number, -number, f"Employee {number} é", manager, hired, shift, salary, login))
    return rows


_ORDERS = f"""
    SELECT CAST(i AS BIGINT), CAST(i * 7919 % 500 + 1 AS INTEGER),
           CASE WHEN i % 10 = 0 THEN NULL ELSE CAST(i % 25 + 1 AS SMALLINT) END,
           TIMESTAMP '2022-01-01' + to_milliseconds(CAST(i AS BIGINT) * 17291123),
           CASE WHEN i % 8 = 0 THEN NULL
                ELSE strftime(TIMESTAMP '2022-01-03' + to_seconds(i * 17291), '%Y-%m-%d %H:%M:%S') || ' +02:00' END,
           CASE WHEN i % 8 = 0 THEN 'new' WHEN i % 50 = 1 THEN 'returned' ELSE 'shipped' END,
           CASE WHEN i % 3 = 0 THEN 'Please ring twice ☎ ' || i END
    FROM range(1, {ORDER_COUNT + 1}) AS numbers(i)
"""

_ORDER_LINES = f"""
    SELECT CAST(i // 40 + 1 AS BIGINT), CAST(i % 40 + 1 AS SMALLINT), CAST(i * 31 % 100 + 1 AS INTEGER),
           CAST(i % 9 + 1 AS INTEGER), CAST(i * 7 % 100000 AS DECIMAL(19, 4)) / 100, CAST(i % 5 AS DECIMAL(5, 4)) / 100,
           CAST(CAST(i % 9 + 1 AS DECIMAL(10, 0)) * CAST(CAST(i * 7 % 100000 AS DECIMAL(19, 4)) / 100 AS DECIMAL(19, 4))
                AS DECIMAL(38, 6)),
           CASE WHEN i % 4 = 0 THEN NULL ELSE TIMESTAMP '2022-01-02' + to_microseconds(i * 1000003) END,
           CASE WHEN i % 6 = 0 THEN 'Vorsicht, zerbrechlich 🍷 ' || i WHEN i % 6 = 1 THEN 'gift' END,
           CAST(md5(CAST(i AS VARCHAR)) AS UUID)
    FROM range(0, {ORDER_LINE_COUNT}) AS numbers(i)
"""


def _invoices() -> list[Given]:
    rows: list[Given] = []
    for number in range(1, 301):
        rate = Decimal(number).scaleb(-20) + Decimal(10**17 + number)
        document = "Invoice €\n" * 30_000 if number == 7 else None if number % 5 == 0 else f"Invoice {number} £"
        amount = Decimal(number * 999_983 % 100_000_000) / 10_000
        if number == 1:
            amount = Decimal("922337203685477.5807")
        elif number == 2:
            amount = Decimal("-922337203685477.5808")
        rows.append((202500000 + number, number, amount, rate, number % 3 == 0 if number % 4 else None, document))
    return rows


def _promotions() -> list[Given]:
    rows: list[Given] = []
    for number in range(1, 61):
        starts = datetime.date(2025, number % 12 + 1, 1)
        ends = None if number % 4 == 0 else starts + datetime.timedelta(days=number)
        identity = uuid.uuid5(uuid.NAMESPACE_OID, f"promotion {number}")
        slogan = None if number % 5 == 0 else f"Αγοράστε {number}, 买一送一 🎉"
        rows.append((identity, number % 4 + 1, number, Decimal(number % 50 + 1) + Decimal("0.5"), starts, ends, slogan))
    return rows


def _audit() -> list[Given]:
    start = datetime.datetime(2025, 3, 1, 12)
    # The second and third are the same row twice, which a heap allows.
    times = [start + datetime.timedelta(milliseconds=int(17 * (number - (number == 2)))) for number in range(1000)]
    return [
        (
            changed_at,
            "système" if number % 2 else None,
            f"changed row {number - (number == 2)} for 5 €",
            None if number % 9 == 5 else bytes([number % 256, 0, 255]),
        )
        for number, changed_at in enumerate(times)
    ]


def shop() -> tuple[Database, Mapping[str, str | list[Given]]]:
    """The declared database and its rows."""
    database = Database(
        name="shop",
        tables=_tables(),
        collation="SQL_Latin1_General_CP1_CI_AS",
        sequences=(SequenceObject("Sales", "VoucherNumbers", BIGINT, 1, 1, 1, 2**63 - 1, cache_size=50, current=1500),),
        alias_types=(AliasType("dbo", "PhoneNumber", SqlType("varchar", 24)),),
        others=(
            OtherObject(
                "view",
                "dbo",
                "OpenOrders",
                "CREATE VIEW [dbo].[OpenOrders] AS SELECT [OrderID] FROM [dbo].[Orders] WHERE [ShippedAt] IS NULL",
            ),
            OtherObject(
                "procedure",
                "dbo",
                "CloseDay",
                "CREATE PROCEDURE [dbo].[CloseDay] AS SELECT COUNT(*) FROM [dbo].[Orders]",
            ),
            OtherObject("synonym", "dbo", "Kunden", "[dbo].[Customers]"),
        ),
    )
    regions: list[Given] = [
        (1, "Ευρώπη", "EUR", Decimal("123456789012345678.90")),
        (2, "Asia 亚洲", "CNY", Decimal("-0.01")),
        (3, "Americas", "USD", None),
        (4, "Éire 🍀", "EUR", Decimal(0)),
    ]
    settings: list[Given] = [
        ("currency", "€", 1, True),
        ("greeting", "Γειά σου, 世界 👋", 2, False),
        ("empty", "", 3, None),
        ("unset", None, None, None),
        ("path", "C:\\temp\\%s", 4, True),
    ]
    prices: list[Given] = [
        (product, f"20{year}-01-01 00:00:00.000000{product % 10}", Decimal(product * year))
        for product in range(1, 101)
        for year in (22, 23, 24)
    ]
    return database, {
        "dbo.Categories": _categories(),
        "dbo.Suppliers": _suppliers(),
        "dbo.Products": _products(),
        "dbo.ProductPictures": _pictures(),
        "dbo.Customers": _customers(),
        "dbo.Employees": _employees(),
        "dbo.Orders": _ORDERS,
        "dbo.OrderLines": _ORDER_LINES,
        "dbo.Invoices": _invoices(),
        "dbo.AuditLog": _audit(),
        "dbo.Settings": settings,
        "Sales.Regions": regions,
        "Sales.Promotions": _promotions(),
        "Sales.Price History": prices,
    }

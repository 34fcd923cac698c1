"""Every type, both ways that there are into it: any value, the extremes and NULL arrive as what they were.

From the stand-in, and, where one is named, from a server that speaks T-SQL; through both ODBC drivers, by the
functions that a load is made of. What a value is to become stands beside the type.
"""

from __future__ import annotations

import datetime
import json
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from decimal import Context, Decimal
from functools import partial
from typing import Any
from xml.sax.saxutils import escape

import pyarrow as pa
import pyodbc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from data_phase.connection_pair import ConnectionPair
from data_phase.job import Job
from data_phase.load_tasks import CopyChunk
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from db import connect_source, connect_target, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from model.errors import UnknownNumberError
from model.ranges import WHOLE_TABLE
from model.settings import Settings
from mssql import native_numbers, reader
from mssql.introspection import read_tables
from postgres import own_schema
from postgres.introspection import read_features, target_schemas
from postgres.introspection import read_tables as read_target_tables
from postgres.load_plan import plan_load
from postgres.names import target_name
from run.type_map import TypeMap
from scheduling.tasks import Unwatched
from standin.script import create_script
from standin.server import Access, StandIn
from standin.values import Variant
from tests.harness import source_settings
from tests.samples import TEXT, MakeWorkplace, Serve, both_scripts, claimed, table, target_tables
from tests.tsql_servers import own_database
from tests.type_values import extended, line, point
from type_mapping import mapping_of, postgres_type

Q = SqlType
Values = st.SearchStrategy[Any]


def same(value: Any) -> Any:
    """A value that arrives as it is."""
    return value


@dataclass(frozen=True)
class Case:
    """A type, the values it may hold, and what each becomes.

    `shown` is how the target is asked for a value. `on_server` are the values for a real server, where they are
    others than the stand-in's; None where it has no such type. `literal` is a value in T-SQL.
    """

    kind: SqlType
    values: Values
    extremes: Sequence[Any] = ()
    becomes: Callable[[Any], Any] = same
    shown: str = "value"
    option: str | None = None
    on_server: Values | None = field(default_factory=st.nothing)
    server_extremes: Sequence[Any] | None = None
    literal: Callable[[Any], str] = lambda value: str(value)  # noqa: PLW0108

    @property
    def server_values(self) -> Values | None:
        """What a real server is given."""
        return self.values if self.on_server is not None and self.on_server.is_empty else self.on_server


def quoted(value: Any) -> str:
    """A T-SQL text."""
    return "N'" + str(value).replace("'", "''") + "'"


def hexadecimal(value: bytes) -> str:
    """A T-SQL binary."""
    return "0x" + value.hex()


def whole(name: str, bits: int, low: int | None = None) -> Case:
    """An integer type."""
    least = -(2 ** (bits - 1)) if low is None else low
    most = least + 2**bits - 1
    return Case(Q(name), st.integers(least, most), (least, most, 0))


def exact(kind: SqlType, precision: int, scale: int, least: int | None = None) -> Case:
    """A decimal type; `least` is its lowest value without the point, where it is not that of the precision."""
    most = 10**precision - 1 if least is None else -least - 1
    low = -most if least is None else least
    values = st.integers(low, most)
    return Case(
        kind,
        values.map(lambda number: scaled(number, scale)),
        [scaled(number, scale) for number in (low, most, 0, 1, -1)],
    )


def scaled(number: int, scale: int) -> Decimal:
    """A whole number with the point moved to the left."""
    return Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale))


def timestamps(scale: int, first: int = 1, last: int = 9999) -> Values:
    """Texts of dates and times with so many fractional digits."""
    days = st.dates(datetime.date(first, 1, 1), datetime.date(last, 12, 31)).map(datetime.date.isoformat)
    return st.tuples(days, clocks(scale)).map(" ".join)


def clocks(scale: int) -> Values:
    """Texts of times of day with so many fractional digits."""

    def text(ticks: int) -> str:
        seconds, rest = divmod(ticks, 10**scale)
        whole_part = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{whole_part}.{rest:0{scale}}" if scale else whole_part

    return st.integers(0, 86_400 * 10**scale - 1).map(text)


def cut(text: str) -> datetime.datetime:
    """A date and time as PostgreSQL keeps it: a seventh digit cut."""
    return datetime.datetime.fromisoformat(text[:26])


def cut_time(text: str) -> datetime.time:
    """A time's text as PostgreSQL keeps it."""
    return datetime.time.fromisoformat(text[:15])


def ticked(text: str) -> str:
    """A time in milliseconds as datetime keeps it, in steps of three and a third."""
    head, _, digits = text.partition(".")
    return f"{head}.{digits[:2]}{'037'[int(digits[2]) // 4]}"


def instant(text: str) -> datetime.datetime:
    """The instant of a datetimeoffset's text, to the microsecond, as UTC."""
    local, offset = text.rsplit(" ", 1)
    moved = datetime.timedelta(hours=int(offset[1:3]), minutes=int(offset[4:])) * (1 if offset[0] == "+" else -1)
    return (cut(local) - moved).replace(tzinfo=datetime.timezone.utc)


def offset_minutes(text: str) -> int:
    """The minutes of a datetimeoffset's offset."""
    return int(text[-6] + "1") * (int(text[-5:-3]) * 60 + int(text[-2:]))


def instant_and_offset(text: str) -> str:
    """Both, as the target is asked for them."""
    return f"{instant(text).replace(tzinfo=None).isoformat(' ', 'microseconds')} {offset_minutes(text)}"


#: offsets as T-SQL writes them
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda m: f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}")


def zoned(scale: int) -> Case:
    """A datetimeoffset type. Its first and last days are left out: their instants may have no year."""
    texts = st.tuples(timestamps(scale, 2, 9998), OFFSETS).map(" ".join)
    tail = "." + "9" * scale if scale else ""
    edges = [f"9999-12-31 23:59:59{tail} +00:00", "0001-01-01 00:00:00 +00:00", f"2024-02-29 23:59:59{tail} -14:00"]
    on_server = st.tuples(timestamps(min(scale, 6), 2, 9998), OFFSETS).map(" ".join)
    server_edges = [f"9999-12-31 23:59:59{tail[:7]} +00:00", "0001-01-01 00:00:00 +00:00"]
    kind = Q("datetimeoffset", scale=scale)
    return Case(
        kind, texts, edges, instant, on_server=on_server, server_extremes=server_edges, literal=quoted,
        shown="value AT TIME ZONE 'UTC'",
    )  # fmt: skip


def utc(case: Case) -> Case:
    """A zoned case whose values are compared without the zone, which psycopg2 cannot show in the year 9999."""
    return replace(case, becomes=lambda text: instant(text).replace(tzinfo=None))


# What T-SQL's text may hold and PostgreSQL's as well: anything but NUL and halves of surrogate pairs.
UNICODE = st.characters(blacklist_categories=["Cs"], blacklist_characters="\0", max_codepoint=0x10CFFF)
LATIN = st.sampled_from([bytes([code]).decode("cp1252", "ignore") or "?" for code in range(1, 256)])
#: what XML 1.0 allows
XML = st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff", max_codepoint=0x10CFFF)


def texts(kind: SqlType, letters: Values, longest: int, padded: int = 0) -> Case:
    """A text type of so many UTF-16 units at most."""

    def fits(text: str) -> str:
        while len(text.encode("utf-16-le")) > 2 * longest:
            text = text[:-1]
        return text

    def filled(text: str) -> str:
        return text + " " * (padded - len(text.encode("utf-16-le")) // 2)

    values = st.text(letters, max_size=longest).map(fits)
    # Both sides fill char(n) with blanks, by units here and by characters there; the blanks mean nothing.
    becomes = (lambda text: filled(text).rstrip(" ")) if padded else same
    shown = "rtrim(value)" if padded else "value"
    return Case(kind, values, ("", " ", "  a  "), becomes, shown, literal=quoted)


def floats(name: str, width: int, most: float, least: float) -> Case:
    """A floating type; `least` is its smallest positive normal number."""
    values = st.floats(-most, most, width=width, allow_nan=False, allow_subnormal=False).map(lambda x: x or 0.0)  # type: ignore[arg-type]
    # psycopg2 shows a real by its shortest text, which is another number in eight bytes.
    return Case(
        Q(name),
        values,
        (most, -most, least, -least, 0.0),
        shown="value::float8",
        literal=lambda value: f"CAST({value!r} AS float)",
    )


DEGREES = st.floats(-90, 90, allow_nan=False)
SHAPES = st.one_of(
    st.builds(point, DEGREES, DEGREES, st.sampled_from([4326, 4269, 0, 2_000_000])),
    st.builds(line, st.lists(DEGREES, min_size=8, max_size=40), st.sampled_from([4326, 25832])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(UNICODE, max_size=20)
    | st.decimals(-(10**12), 10**12, places=6, allow_nan=False).map(float),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(UNICODE, max_size=8), inner, max_size=4),
    max_leaves=12,
).map(lambda value: json.dumps(value, ensure_ascii=False))  # fmt: skip
# Eight significant digits, as SQL Server writes the elements of a vector.
ELEMENTS = st.floats(-(2.0**100), 2.0**100, width=32, allow_nan=False).map(lambda x: f"{x:.7e}")
VECTORS = st.lists(ELEMENTS, min_size=3, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
NODES = st.lists(st.lists(st.integers(-(2**40), 2**40).map(str), min_size=1, max_size=3).map(".".join), max_size=6).map(
    lambda parts: "".join(f"/{part}" for part in parts) + "/"
)


def singles(text: str) -> list[float]:
    """A vector's text as numbers of four bytes."""
    return [struct.unpack("<f", struct.pack("<f", float(part)))[0] for part in text.strip("[]").split(",")]


def variants(*pairs: tuple[SqlType, Values]) -> Values:
    """Values of several base types."""
    return st.one_of(*(values.map(partial(Variant, kind)) for kind, values in pairs))


def variant_text(variant: Variant) -> str:
    """What a sql_variant becomes, in the words of its base type."""
    kind, value = variant.kind, variant.value
    if kind.name in {"float", "real"}:
        mantissa, exponent = f"{value:.16e}".split("e")
        return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03}"
    if kind.name == "uniqueidentifier":
        return str(value).upper()
    if kind.name == "varbinary":
        return "0x" + bytes(value).hex().upper()  # type: ignore[call-overload,no-any-return]
    if kind.name == "bit":
        return str(int(bool(value)))
    return str(value)


def variant_literal(variant: Variant) -> str:
    """A sql_variant in T-SQL."""
    return f"CAST(CAST({quoted(variant.value)} AS {variant.kind}) AS sql_variant)"


MONEY = exact(Q("money"), 19, 4, -(2**63))
TEXT30 = Q("nvarchar", 60)
DECIMAL38 = Q("decimal", precision=38, scale=19)
EVERYWHERE = (
    (Q("int"), st.integers(-(2**31), 2**31 - 1)),
    (Q("bigint"), st.integers(-(2**63), 2**63 - 1)),
    (
        DECIMAL38,
        st.integers(1 - 10**38, 10**38 - 1).map(lambda number: scaled(number, 19)).filter(lambda d: abs(d) > 1),
    ),
    (MONEY.kind, MONEY.values),
    (Q("date"), st.dates().map(datetime.date.isoformat)),
    (Q("datetime"), timestamps(3, 1753).map(ticked)),
    (TEXT30, st.text(UNICODE, min_size=1, max_size=15)),
    (Q("uniqueidentifier"), st.uuids()),
)
FLOATS = (
    (Q("float"), st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)),
    (Q("real"), st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)),
)
VARIANTS = variants(
    *EVERYWHERE,
    (Q("bit"), st.booleans()),
    *FLOATS,
    (Q("time", scale=7), clocks(7)),
    (Q("smalldatetime"), timestamps(0, 1900, 2078).map(lambda text: text[:-2] + "00")),
    (Q("datetime2", scale=7), timestamps(7)),
    (Q("datetimeoffset", scale=7), st.tuples(timestamps(7, 2, 9998), OFFSETS).map(" ".join)),
    (Q("varbinary", 40), st.binary(min_size=1, max_size=40)),
)

CASES: Mapping[str, Case] = {
    "bit": Case(Q("bit"), st.booleans(), (True, False), literal=lambda value: str(int(value))),
    "tinyint": whole("tinyint", 8, 0),
    "smallint": whole("smallint", 16),
    "int": whole("int", 32),
    "bigint": whole("bigint", 64),
    "decimal9": exact(Q("decimal", precision=9, scale=9), 9, 9),
    "decimal19": exact(Q("decimal", precision=19), 19, 0),
    "numeric29": exact(Q("numeric", precision=29, scale=10), 29, 10),
    "decimal38": exact(Q("decimal", precision=38), 38, 0),
    "decimal38_20": exact(Q("decimal", precision=38, scale=20), 38, 20),
    "decimal38_38": replace(exact(Q("decimal", precision=38, scale=38), 38, 38), on_server=None),
    "money": MONEY,
    "smallmoney": exact(Q("smallmoney"), 10, 4, -(2**31)),
    "real": floats("real", 32, 3.4028234663852886e38, 1.1754943508222875e-38),
    "float": floats("float", 64, 1.7976931348623157e308, 2.2250738585072014e-308),
    "date": Case(
        Q("date"), st.dates().map(datetime.date.isoformat), ("0001-01-01", "9999-12-31"),
        datetime.date.fromisoformat, literal=quoted,
    ),
    "time0": Case(Q("time", scale=0), clocks(0), ("00:00:00", "23:59:59"), cut_time, literal=quoted),
    "time3": Case(Q("time", scale=3), clocks(3), ("00:00:00.001", "23:59:59.999"), cut_time, literal=quoted),
    "time7": Case(
        Q("time", scale=7), clocks(7), ("00:00:00.0000001", "23:59:59.9999999"), cut_time,
        on_server=clocks(6), server_extremes=("23:59:59.999999",), literal=quoted,
    ),
    "smalldatetime": Case(
        Q("smalldatetime"), timestamps(0, 1900, 2078).map(lambda text: text[:-2] + "00"),
        ("1900-01-01 00:00:00", "2079-06-06 23:59:00"), cut, literal=quoted,
    ),
    "datetime": Case(
        Q("datetime"), timestamps(3, 1753).map(ticked),
        ("1753-01-01 00:00:00.000", "9999-12-31 23:59:59.997", "2024-02-29 12:00:00.767"), cut, literal=quoted,
    ),
    "datetime2_0": Case(
        Q("datetime2", scale=0), timestamps(0), ("0001-01-01 00:00:00", "9999-12-31 23:59:59"), cut, literal=quoted,
    ),
    "datetime2_7": Case(
        Q("datetime2", scale=7), timestamps(7), ("0001-01-01 00:00:00.0000001", "9999-12-31 23:59:59.9999999"), cut,
        on_server=timestamps(6), server_extremes=("9999-12-31 23:59:59.999999",), literal=quoted,
    ),
    "datetimeoffset0": utc(zoned(0)),
    "datetimeoffset7": utc(zoned(7)),
    "datetimeoffset with its offset": replace(
        zoned(7), option="offset", becomes=instant_and_offset,
        shown="to_char(value AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US ') || value_offset",
    ),
    "char": texts(Q("char", 20), LATIN, 20, 20),
    "varchar": texts(Q("varchar", 50), LATIN, 50),
    "varchar(max)": texts(Q("varchar", -1), LATIN, 9000),
    "text": texts(Q("text", -1), LATIN, 9000),
    "nchar": texts(Q("nchar", 40), UNICODE, 20, 20),
    "nvarchar": texts(Q("nvarchar", 100), UNICODE, 50),
    "nvarchar(max)": texts(Q("nvarchar", -1), UNICODE, 9000),
    "ntext": texts(Q("ntext", -1), UNICODE, 9000),
    "sysname": texts(Q("nvarchar", 256, alias="sysname"), UNICODE, 128),
    "xml": Case(
        Q("xml", -1), st.text(XML, max_size=50).map(lambda text: f"<a b='1'>{escape(text)}</a>"),
        ("", "<a/><b/>", "text only"), literal=quoted, shown="value::text",
    ),
    "binary": Case(
        Q("binary", 8), st.binary(min_size=8, max_size=8), (b"\0" * 8, b"\xff" * 8), bytes.hex,
        "encode(value, 'hex')", literal=hexadecimal,
    ),
    "varbinary": Case(
        Q("varbinary", 60), st.binary(max_size=60), (b"", b"\0"), bytes.hex, "encode(value, 'hex')",
        literal=hexadecimal,
    ),
    "varbinary(max)": Case(
        Q("varbinary", -1), st.binary(max_size=20_000), (b"", b"\0"), bytes.hex, "encode(value, 'hex')",
        literal=hexadecimal,
    ),
    "image": Case(
        Q("image", -1), st.binary(max_size=20_000), (b"", b"\0"), bytes.hex, "encode(value, 'hex')",
        literal=hexadecimal,
    ),
    "rowversion": Case(
        Q("timestamp", 8), st.binary(min_size=8, max_size=8), (b"\0" * 8, b"\xff" * 8), bytes.hex,
        "encode(value, 'hex')", on_server=None,
    ),
    "rowversion as bigint": Case(
        Q("timestamp", 8), st.binary(min_size=8, max_size=8).map(lambda raw: bytes([raw[0] & 127]) + raw[1:]),
        (b"\0" * 8, b"\x7f" + b"\xff" * 7), lambda raw: int.from_bytes(raw, "big"), option="bigint", on_server=None,
    ),
    "uniqueidentifier": Case(
        Q("uniqueidentifier"), st.uuids(),
        (uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")), str,
        "value::text", literal=quoted,
    ),
    "sql_variant": Case(
        Q("sql_variant", 8016), VARIANTS, (), variant_text,
        on_server=variants(*EVERYWHERE, *FLOATS), literal=variant_literal,
    ),
    "hierarchyid": Case(Q("hierarchyid", 892), NODES, ("/", "/1/", "/1.1/2/"), on_server=None),
    "geography": Case(
        Q("geography", -1), SHAPES, (point(-180.0, 90.0), point(0.0, -0.0)), extended, "encode(value, 'hex')",
        on_server=None,
    ),
    "geometry": Case(Q("geometry", -1), SHAPES, (point(1e300, -1e-300, 0),), extended, "encode(value, 'hex')",
                     on_server=None),
    "geometry without its srid": Case(
        Q("geometry", -1), SHAPES, (), lambda shape: shape.wkb.hex(), "encode(value, 'hex')", "wkb", None,
    ),
    "geography as text": Case(
        Q("geography", -1), SHAPES, (), lambda shape: f"SRID={shape.srid};{shape.wkt}", option="wkt", on_server=None,
    ),
    "json": Case(
        Q("json", -1), JSON.filter(lambda text: "\\u" not in text), ('{"a":1}', "[]", '"x"', "null"), json.loads,
        on_server=None,
    ),
    "json as it is written": Case(
        Q("json", -1), JSON, ('{"b":1,  "a":2, "b":1.50}',), shown="value::text", option="json", on_server=None,
    ),
    "json as text": Case(Q("json", -1), JSON, ('{"b":1,  "a":2}',), option="text", on_server=None),
    "vector": Case(Q("vector", 20, 3), VECTORS, ("[1.0000000e+000,-2.5000000e-001,3.4028235e+038]",), singles,
                   "value::real[]::float8[]", on_server=None),
    "vector as array": Case(Q("vector", 20, 3), VECTORS, (), singles, "value::float8[]", "array", on_server=None),
}  # fmt: skip


def table_of(name: str) -> Table:
    """A table with a key and one column of the case's type."""
    case = CASES[name]
    columns = (Column("id", Q("int"), is_nullable=False), Column("value", case.kind))
    return Table("dbo", f"of {name}", columns, Key(f"PK {name}", (KeyColumn("id"),)))


#: what the cases ask for beside the usual way
OPTIONS = TypeMap(columns={f"dbo.of {name}.value": case.option for name, case in CASES.items() if case.option})
DATABASE = Database("types", tuple(table_of(name) for name in CASES))


class Road:
    """From a source that holds the tables to a database with the same ones, by the functions of a load."""

    def __init__(self, target: EmbeddedTarget, database: str, source: Mapping[str, str]) -> None:
        self.settings: Settings = load_settings(None, {**source, **target.environment(database)})
        tables = OPTIONS.resolved(DATABASE.tables).apply(read_tables(reader.connect(self.settings)))
        self.tables = {table.name: table for table in tables}
        self.pair = ConnectionPair(self.settings)
        self.target = connect_target(self.settings)
        own_schema.prepare(self.target)

    def carry(self, name: str, rows: int = 0) -> list[tuple[Any, ...]]:
        """Load the case's table as one of so many rows; what the target then holds, in the order of the key."""
        table = replace(self.tables[f"of {name}"], row_count=rows)
        target = target_name(table, self.settings)
        there = read_target_tables(self.target, target_schemas([table], self.settings))[target]
        run = claimed(self.target, target)
        job = Job(table, plan_load(table, there, self.settings), TruncateAndCopy(), "session", run, "a load")
        CopyChunk(self.settings, job, WHOLE_TABLE).run(Unwatched(self.pair))
        with self.target.cursor() as cursor:
            cursor.execute(f"SELECT {CASES[name].shown} FROM {target.quoted} ORDER BY id")
            found: list[tuple[Any, ...]] = cursor.fetchall()
        self.target.rollback()
        return found

    def close(self) -> None:
        """Let go of every connection."""
        self.target.close()
        self.pair.disconnect()


def make_tables(target: EmbeddedTarget, database: str) -> None:
    """The tables in a new database, with pgvector in it where the server has it (one that is named may not)."""
    target.create_database(database)
    connection = target.connect(database)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
        if cursor.fetchone():
            cursor.execute("CREATE EXTENSION vector")
        connection.autocommit = False
        features = read_features(connection)
        settings = load_settings(None, {**source_settings(1, "none"), **target.environment(database)})
        for table in OPTIONS.resolved(DATABASE.tables).apply(DATABASE.tables):
            columns = ", ".join(f"{column.name} {postgres_type(column, features)}" for column in table.columns)
            cursor.execute(f"CREATE TABLE {target_name(table, settings).quoted} ({columns})")
        connection.commit()
    connection.close()


#: opens the stand-in as a password does
TOKEN = "a token of the tests"


@pytest.fixture(scope="module", params=["", "FreeTDS", "token"], ids=["microsoft", "freetds", "token"])
def driver(request: pytest.FixtureRequest) -> dict[str, str]:
    """The setting that chooses each of the two drivers, and the login that is read without arrow-odbc."""
    if request.param == "token":
        return {"MSSQL_AUTHENTICATION": "entra-token", "MSSQL_ACCESS_TOKEN": TOKEN}
    if request.param and request.param not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    return {"MSSQL_DRIVER": request.param} if request.param else {}


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """A stand-in with the tables, empty."""
    with StandIn(DATABASE, {}, access=Access(token=TOKEN)) as server:
        yield server


@pytest.fixture(scope="module")
def road(target: EmbeddedTarget, source: StandIn, driver: dict[str, str]) -> Iterator[Road]:
    """From the stand-in."""
    make_tables(target, "types")
    opened = Road(target, "types", {**source_settings(source.port, "types"), **driver})
    yield opened
    opened.close()


def checked(case: Case, given_values: Sequence[Any], found: Sequence[tuple[Any, ...]]) -> None:
    """Fail by the first value that is not what it was to become."""
    assert len(found) == len(given_values)
    for value, (arrived,) in zip(given_values, found, strict=True):
        wanted = None if value is None else case.becomes(value)
        assert arrived == wanted, f"{case.kind}: {value!r}"
        if isinstance(wanted, float):
            assert struct.pack("<d", arrived) == struct.pack("<d", wanted), f"{case.kind}: {value!r}"


QUIET = settings(
    max_examples=2, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


def ways(names: Iterable[str]) -> list[tuple[str, int]]:
    """Each case, and once more those that are read another way where a table has so many rows."""
    listed = list(names)
    numbers = [name for name in listed if mapping_of(CASES[name].kind).family == "decimal"]
    return [(name, 0) for name in listed] + [(name, native_numbers.LARGE_TABLE_ROWS) for name in numbers]


@pytest.mark.parametrize(("name", "rows_told"), ways(CASES))
def test_every_value_arrives_as_it_was(road: Road, source: StandIn, name: str, rows_told: int) -> None:
    case = CASES[name]

    @QUIET
    @given(st.lists(case.values, min_size=8, max_size=24))
    def arrive(values: list[Any]) -> None:
        rows = [None, *case.extremes, *values]
        if case.kind.name == "timestamp":
            rows = rows[1:]  # never NULL
        source.replace_rows(f"dbo.of {name}", enumerate(rows))
        checked(case, rows, road.carry(name, rows_told))

    arrive()


def test_both_drivers_hand_numbers_over_as_they_hold_them(road: Road) -> None:
    assert native_numbers.are_offered(reader.connect(road.settings))


# -- from a server that speaks T-SQL -----------------------------------------------------------------

ON_SERVER = [name for name, case in CASES.items() if case.server_values is not None]


@pytest.fixture(scope="module")
def server_database(tsql_server: dict[str, str]) -> Iterator[dict[str, str]]:
    """A database with the tables on a real server, and the settings that reach it."""
    with own_database(tsql_server, "types") as there:
        database = Database(there["MSSQL_DATABASE"], tuple(table_of(case) for case in ON_SERVER))
        with closing(connect_source(load_settings(None, {**there, "PGDATABASE": "none"}))) as connection:
            for statement in create_script(database, with_comments=False, with_others=False):
                connection.execute(statement)
        yield there


@pytest.fixture(scope="module")
def server_road(
    target: EmbeddedTarget, server_database: dict[str, str], driver: dict[str, str]
) -> Iterator[tuple[Road, Any]]:
    """From a real server, and a connection by which its rows are written."""
    if "MSSQL_ACCESS_TOKEN" in driver:
        pytest.skip("no directory gives tokens for the T-SQL server: the stand-in takes one")
    make_tables(target, "types_server")
    opened = Road(target, "types_server", {**server_database, **driver})
    writer = connect_source(load_settings(None, {**server_database, "PGDATABASE": "none"}))
    yield opened, writer
    writer.close()
    opened.close()


def write(connection: Any, name: str, rows: Sequence[Any]) -> None:
    """The rows, as T-SQL literals, replace those of the case's table."""
    case = CASES[name]
    cursor = connection.cursor()
    cursor.execute(f"TRUNCATE TABLE dbo.[of {name}]")
    for start in range(0, len(rows), 10):
        values = ", ".join(
            f"({start + position}, {'NULL' if value is None else f'CAST({case.literal(value)} AS {case.kind})'})"
            for position, value in enumerate(rows[start : start + 10])
        )
        cursor.execute(f"INSERT INTO dbo.[of {name}] (id, value) VALUES {values}")


@pytest.mark.parametrize(("name", "rows_told"), ways(ON_SERVER))
def test_every_value_arrives_from_a_tsql_server(server_road: tuple[Road, Any], name: str, rows_told: int) -> None:
    road, writer = server_road
    case = CASES[name]
    assert case.server_values is not None
    extremes = case.extremes if case.server_extremes is None else case.server_extremes

    @QUIET
    @given(st.lists(case.server_values, min_size=8, max_size=24))
    def arrive(values: list[Any]) -> None:
        rows = [None, *extremes, *values]
        write(writer, name, rows)
        checked(case, rows, road.carry(name, rows_told))

    arrive()


def test_a_tsql_servers_numbers_are_handed_over_as_the_drivers_hold_them(server_road: tuple[Road, Any]) -> None:
    assert native_numbers.are_offered(reader.connect(server_road[0].settings))


# -- decimals as a driver holds them ------------------------------------------------------------------


def structs(numbers: Sequence[Decimal | None], scale: int) -> pa.Array:
    """The numbers in the form of SQL_NUMERIC_STRUCT."""
    forms = [
        None
        if number is None
        else struct.pack("<BBB", 38, scale, int(number >= 0))
        + abs(int(number.scaleb(scale, CONTEXT))).to_bytes(16, "little")
        for number in numbers
    ]
    return pa.array(forms, pa.binary(19))


#: more digits than the usual 28
CONTEXT = Context(prec=40)
NUMBERS = st.none() | st.integers(1 - 10**28, 10**28 - 1).map(lambda number: scaled(number, 10))


@given(st.lists(NUMBERS, max_size=9), st.integers(0, 3))
def test_a_part_of_a_columns_numbers_is_read_as_the_whole_is(numbers: list[Decimal | None], start: int) -> None:
    column = Column("value", Q("decimal", precision=38, scale=10))
    assert native_numbers.decoded(structs(numbers, 10)[start:], column).to_pylist() == numbers[start:]


def test_a_number_of_another_scale_is_refused() -> None:
    column = Column("value", Q("decimal", precision=38, scale=9))
    with pytest.raises(UnknownNumberError, match="value"):
        native_numbers.decoded(structs([Decimal(1)], 10), column)


@both_scripts
def test_types_that_cannot_be_copied_are_refused_by_name_before_anything_is_made(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str, script: str
) -> None:
    database = Database(
        "shop",
        (
            table("Aaa"),
            table("Places", spot=SqlType("Point3D", -1, is_clr=True), label=TEXT),
            table("Tree", node=SqlType("Node", 892, is_clr=True)),
        ),
    )
    workplace = make_workplace(serve(database, {}), database)
    finished = workplace.run(script)
    assert finished.code == 2, finished.text
    assert "dbo.Places.spot (Point3D)" in finished.err
    assert "dbo.Tree.node (Node)" in finished.err
    assert "CLR type" in finished.err
    assert "--exclude" in finished.err
    assert target_tables(target, target_database) == []
    if script == "schema":
        without = workplace.run(script, "--exclude", "Tree", "--exclude", "Places")
        assert without.code == 0, without.text
        assert target_tables(target, target_database) == ["public.aaa"]

"""One table: T-SQL type → PostgreSQL type, how it is selected, how its values are encoded, its traits.

Each entry of MAPPINGS says five things about a type, and every part of the tool asks here:

- the PostgreSQL type a column of it gets (`ddl`);
- the T-SQL expression that reads it without loss (`select`, `{c}` is the quoted column);
- the Arrow type in which the ODBC lane must deliver it (`arrow`);
- the family, which decides the PostgreSQL types that can receive the values (WIRE) and the
  conversion on the way (`uuid` turns byte order, `xml` drops an encoding declaration);
- its traits on the source (`model.type_traits`): text, wide, fixed size, seventh digit, a key's literals.

OPTIONS names the other ways that a type map may ask for; VARIANTS are their entries.

Sources: Microsoft, "Data types (Transact-SQL)", "CAST and CONVERT (Transact-SQL)" for styles,
"AsBinaryZM (geometry Data Type)"; PostgreSQL, "Data Types" and the binary format of each type's receive
function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from model.catalog import Column, Form, SqlType, Table
from model.errors import UnfitTargetError, UnsupportedTypeError
from model.type_traits import USUAL, Traits

Family = Literal[
    "boolean", "integer", "decimal", "float", "date", "time",
    "timestamp", "timestamptz", "text", "xml", "binary", "uuid", "json", "spatial", "vector", "variant",
]  # fmt: skip
Lob = Literal["text", "binary"]
#: of a decimal, on both sides of Arrow
MAX_DIGITS = 38


@dataclass(frozen=True)
class TargetFeatures:
    """What the target server can do, as found when the run starts."""

    has_xml: bool = True
    version: int = 160000
    #: types of installed extensions (geometry, geography, vector, citext), each as SQL must spell it there
    extension_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TypeMapping:
    """How one T-SQL type crosses, and what it is. The members that are functions depend on the declared type."""

    family: Family
    ddl: Callable[[SqlType], str]
    arrow: Callable[[SqlType], pa.DataType]
    select: str | Callable[[SqlType], str] = "{c}"
    #: set for types whose values have no declared bound; says which buffer they need
    lob: Callable[[SqlType], Lob | None] = lambda _: None
    #: the extension's type that is used in place of `ddl` where the target has it
    extension_type: str | None = None
    #: what a person should know of every column of the type
    remark: str | None = None
    #: the same, where the extension's type is missing
    remark_without: str | None = None
    #: what the type is on the source; asked of the entry in MAPPINGS alone, since no option changes it
    traits: Traits = USUAL


def _fixed(text: str) -> Callable[[SqlType], str]:
    return lambda _: text


def _arrow(data_type: pa.DataType) -> Callable[[SqlType], pa.DataType]:
    return lambda _: data_type


def _fraction(kind: str, zone: str) -> Callable[[SqlType], str]:
    # PostgreSQL keeps six fractional digits; a seventh is cut on the way, never rounded up to 24:00:00.
    return lambda t: f"{kind}({min(t.scale, 6)}) {zone}"


def _characters(kind: str) -> Callable[[SqlType], str]:
    return lambda t: "text" if t.max_length == -1 else f"{kind}({t.characters})"


def _text_lob(t: SqlType) -> Lob | None:
    return "text" if t.max_length == -1 else None


def _binary_lob(t: SqlType) -> Lob | None:
    return "binary" if t.max_length == -1 else None


def _any_text(_: SqlType) -> Lob:
    return "text"


def _any_binary(_: SqlType) -> Lob:
    return "binary"


def _numeric(t: SqlType) -> str:
    return f"numeric({t.precision},{t.scale})"


# A value without a digit before the point is still written with one, -0.99 for decimal(2,2), for which drivers and
# arrow-odbc leave no room: it is read with one digit more, or, where there are none left, as text.
def _decimal(t: SqlType) -> str:
    if t.precision > t.scale:
        return "{c}"
    return f"CAST({{c}} AS decimal({t.precision + 1},{t.scale}))" if t.precision < MAX_DIGITS else _DECIMAL_TEXT


def _arrow_decimal(t: SqlType) -> pa.DataType:
    return pa.decimal128(min(max(t.precision, t.scale + 1), MAX_DIGITS), t.scale)


_DECIMAL_TEXT = "CAST({c} AS varchar(41))"
_MICROSECONDS = pa.timestamp("us")
_INTEGER = Traits(key="integer")
_EXACT = Traits(key="decimal")
_FINE_TIMESTAMP = Traits(key="timestamp", may_have_seventh_digit=True)
_TEXT = Traits(key="text", is_text=True)
_WIDE_TEXT = replace(_TEXT, is_wide=True)
_LARGE_TEXT = Traits(is_text=True, is_pointer=True)
_FIXED_BINARY = Traits(is_fixed_size=True)
#: what a sql_variant's value begins with where its text follows, and where a float's eight bytes do, as a bigint
VARIANT_TEXT, VARIANT_FLOAT = "=", "#"
#: base types of a sql_variant whose text CAST alone would shorten, each with the text that keeps every digit.
#: By style: 23 and 121 are ISO 8601 with the type's own digits, 1 is hexadecimal with 0x. Money has four digits as a
#: decimal, and two as text.
_VARIANT_TEXTS = {
    "money": "CAST(CAST({c} AS decimal(19,4)) AS nvarchar(max))",
    "smallmoney": "CAST(CAST({c} AS decimal(19,4)) AS nvarchar(max))",
    "date": "CONVERT(nvarchar(max), CAST({c} AS date), 23)",
    "time": "CONVERT(nvarchar(max), CAST({c} AS time(7)), 121)",
    "datetime": "CONVERT(nvarchar(max), CAST({c} AS datetime), 121)",
    "smalldatetime": "CONVERT(nvarchar(max), CAST({c} AS smalldatetime), 120)",
    "datetime2": "CONVERT(nvarchar(max), CAST({c} AS datetime2(7)), 121)",
    "datetimeoffset": "CONVERT(nvarchar(max), CAST({c} AS datetimeoffset(7)), 121)",
    "binary": "CONVERT(nvarchar(max), CAST({c} AS varbinary(8000)), 1)",
    "varbinary": "CONVERT(nvarchar(max), CAST({c} AS varbinary(8000)), 1)",
}
# Style 3, with all digits of a float, came with 2016; older servers take it for style 0, which has six, without a word
# (Microsoft, "CAST and CONVERT", "float and real styles").
_VARIANT_FLOATS = dict.fromkeys(
    ("float", "real"), "CAST(CAST(CAST(CAST({c} AS float) AS binary(8)) AS bigint) AS nvarchar(max))"
)
_VARIANT = (
    "CASE CAST(SQL_VARIANT_PROPERTY({c}, 'BaseType') AS nvarchar(128))"
    + "".join(f" WHEN N'{base}' THEN N'{VARIANT_FLOAT}' + {text}" for base, text in _VARIANT_FLOATS.items())
    + "".join(f" WHEN N'{base}' THEN N'{VARIANT_TEXT}' + {text}" for base, text in _VARIANT_TEXTS.items())
    + f" ELSE N'{VARIANT_TEXT}' + CAST({{c}} AS nvarchar(max)) END"
)


def _text(kind: str, traits: Traits, lob: Callable[[SqlType], Lob | None] = lambda _: None) -> TypeMapping:
    return TypeMapping("text", _characters(kind), _arrow(pa.string()), lob=lob, traits=traits)


def _money(digits: int, size: int) -> TypeMapping:
    traits = Traits(key="amount", money_bytes=size)
    return TypeMapping("decimal", _fixed(f"numeric({digits},4)"), _arrow(pa.decimal128(digits, 4)), traits=traits)


def _timestamp_of(digits: int) -> TypeMapping:
    kind = _fixed(f"timestamp({digits}) without time zone")
    return TypeMapping("timestamp", kind, _arrow(_MICROSECONDS), traits=Traits(key="timestamp", own_digits=digits))


def _spatial(name: str) -> TypeMapping:
    # The four bytes of the SRID, then well-known binary, which has no place for it; EWKB is made of both on the way.
    return TypeMapping(
        "spatial",
        _fixed("bytea"),
        _arrow(pa.binary()),
        select="CAST(CAST({c}.STSrid AS binary(4)) AS varbinary(max)) + {c}.AsBinaryZM()",
        lob=_any_binary,
        extension_type=name,
        remark_without="bytea that holds EWKB, the SRID in it, because PostGIS is not installed in the target",
    )


MAPPINGS: Mapping[str, TypeMapping] = {
    "bit": TypeMapping("boolean", _fixed("boolean"), _arrow(pa.bool_())),
    "tinyint": TypeMapping("integer", _fixed("smallint"), _arrow(pa.uint8()), traits=replace(_INTEGER, range=(0, 255))),
    "smallint": TypeMapping("integer", _fixed("smallint"), _arrow(pa.int16()), traits=_INTEGER),
    "int": TypeMapping("integer", _fixed("integer"), _arrow(pa.int32()), traits=_INTEGER),
    "bigint": TypeMapping("integer", _fixed("bigint"), _arrow(pa.int64()), traits=_INTEGER),
    "decimal": TypeMapping("decimal", _numeric, _arrow_decimal, select=_decimal, traits=_EXACT),
    "numeric": TypeMapping("decimal", _numeric, _arrow_decimal, select=_decimal, traits=_EXACT),
    "money": _money(19, 8),
    "smallmoney": _money(10, 4),
    "real": TypeMapping("float", _fixed("real"), _arrow(pa.float32())),
    "float": TypeMapping("float", _fixed("double precision"), _arrow(pa.float64())),
    "date": TypeMapping("date", _fixed("date"), _arrow(pa.date32()), traits=Traits(key="date")),
    # A time(7) is delivered in nanoseconds all the same; the loader cuts it to microseconds.
    "time": TypeMapping(
        "time", _fraction("time", "without time zone"), _arrow(pa.time64("us")), traits=_FINE_TIMESTAMP
    ),
    "smalldatetime": _timestamp_of(0),
    "datetime": _timestamp_of(3),
    "datetime2": TypeMapping(
        "timestamp", _fraction("timestamp", "without time zone"), _arrow(_MICROSECONDS), traits=_FINE_TIMESTAMP
    ),
    # The instant, as UTC: ODBC has no portable type for an offset, and timestamptz keeps none.
    "datetimeoffset": TypeMapping(
        "timestamptz",
        _fraction("timestamp", "with time zone"),
        _arrow(_MICROSECONDS),
        select="CAST(SWITCHOFFSET({c}, '+00:00') AS datetime2(7))",
        traits=replace(_FINE_TIMESTAMP, has_offset=True),
    ),
    "char": _text("character", replace(_TEXT, is_fixed_size=True)),
    "nchar": _text("character", replace(_WIDE_TEXT, is_fixed_size=True)),
    "varchar": _text("character varying", _TEXT, _text_lob),
    "nvarchar": _text("character varying", _WIDE_TEXT, _text_lob),
    # nvarchar(128) by another name, which not every server sends as such.
    "sysname": TypeMapping(
        "text",
        _fixed("character varying(128)"),
        _arrow(pa.string()),
        select="CAST({c} AS nvarchar(128))",
        traits=replace(_WIDE_TEXT, own_characters=128),
    ),
    "text": TypeMapping("text", _fixed("text"), _arrow(pa.string()), lob=_any_text, traits=_LARGE_TEXT),
    "ntext": TypeMapping(
        "text", _fixed("text"), _arrow(pa.string()), lob=_any_text, traits=replace(_LARGE_TEXT, is_wide=True)
    ),
    "xml": TypeMapping("xml", _fixed("xml"), _arrow(pa.string()), select="CAST({c} AS nvarchar(max))", lob=_any_text),
    "binary": TypeMapping("binary", _fixed("bytea"), _arrow(pa.binary()), traits=_FIXED_BINARY),
    "varbinary": TypeMapping("binary", _fixed("bytea"), _arrow(pa.binary()), lob=_binary_lob),
    "image": TypeMapping(
        "binary", _fixed("bytea"), _arrow(pa.binary()), lob=_any_binary, traits=Traits(is_pointer=True)
    ),
    # rowversion: sys.types calls it timestamp. Eight bytes, and never a date.
    "timestamp": TypeMapping(
        "binary",
        _fixed("bytea"),
        _arrow(pa.binary()),
        traits=replace(_FIXED_BINARY, remark="a rowversion's value is copied; PostgreSQL does not advance it"),
    ),
    # Its bytes as they are: a driver gives them without a cast, which costs some servers more than all else of a row.
    "uniqueidentifier": TypeMapping("uuid", _fixed("uuid"), _arrow(pa.binary(16)), traits=Traits(key="uuid")),
    "sql_variant": TypeMapping(
        "variant",
        _fixed("text"),
        _arrow(pa.string()),
        select=_VARIANT,
        lob=_any_text,
        remark="each value as text, by its base type, which is not kept",
        traits=Traits(is_wide=True),
    ),
    "hierarchyid": TypeMapping(
        "text",
        _fixed("text"),
        _arrow(pa.string()),
        select="CAST({c}.ToString() AS nvarchar(4000))",
        lob=_any_text,
        remark="text like /1/2/; its order is not the tree's",
    ),
    "geography": _spatial("geography"),
    "geometry": _spatial("geometry"),
    "json": TypeMapping(
        "json",
        _fixed("jsonb"),
        _arrow(pa.string()),
        select="CAST({c} AS nvarchar(max))",
        lob=_any_text,
        remark="jsonb keeps neither the order of keys nor doubled ones",
    ),
    "vector": TypeMapping(
        "vector",
        _fixed("real[]"),
        _arrow(pa.string()),
        select="CAST({c} AS nvarchar(max))",
        lob=_any_text,
        extension_type="vector",
        remark="its numbers have the digits with which the server writes them",
        remark_without="an array without fixed length, because pgvector is not installed in the target",
    ),
}

#: a type's name in the catalog → the name that people know it by
COMMON_NAMES: Mapping[str, str] = {"timestamp": "rowversion"}
#: the minutes of a datetimeoffset's offset, in a column of their own that only the target has
OFFSET_MINUTES = "offset minutes"
#: what a type map may ask for, by type; the first of each is what happens without one
OPTIONS: Mapping[str, tuple[str, ...]] = {
    "rowversion": ("bytea", "bigint", "drop"),
    "datetimeoffset": ("timestamptz", "offset"),
    "geography": ("postgis", "ewkb", "wkb", "wkt"),
    "geometry": ("postgis", "ewkb", "wkb", "wkt"),
    "json": ("jsonb", "json", "text"),
    "vector": ("pgvector", "array"),
    "xml": ("xml", "text"),
    "alias": ("base", "domain"),
}
_WITHOUT_SRID = TypeMapping(
    "binary",
    _fixed("bytea"),
    _arrow(pa.binary()),
    select="{c}.AsBinaryZM()",
    lob=_any_binary,
    remark="bytea that holds well-known binary, without the SRID, by the type map",
)
_WELL_KNOWN_TEXT = TypeMapping(
    "text",
    _fixed("text"),
    _arrow(pa.string()),
    select="N'SRID=' + CAST({c}.STSrid AS nvarchar(10)) + N';' + {c}.AsTextZM()",
    lob=_any_text,
    remark="text like SRID=4326;POINT (1 2), with the digits that the server writes, by the type map",
)
#: type and option → the entry in place of the type's own; an option that is not here changes nothing in it
VARIANTS: Mapping[tuple[str, str], TypeMapping] = {
    ("timestamp", "bigint"): TypeMapping(
        "integer", _fixed("bigint"), _arrow(pa.int64()), select="CAST({c} AS bigint)", remark="bigint, by the type map"
    ),
    ("datetimeoffset", OFFSET_MINUTES): TypeMapping(
        "integer", _fixed("smallint"), _arrow(pa.int16()), select="CAST(DATEPART(TZOFFSET, {c}) AS smallint)"
    ),
    **{
        (name, option): mapping
        for name in ("geography", "geometry")
        for option, mapping in {
            "ewkb": replace(
                MAPPINGS[name],
                extension_type=None,
                remark_without=None,
                remark="bytea that holds EWKB, by the type map",
            ),
            "wkb": _WITHOUT_SRID,
            "wkt": _WELL_KNOWN_TEXT,
        }.items()
    },
    ("json", "json"): replace(MAPPINGS["json"], ddl=_fixed("json"), remark="json, by the type map"),
    ("json", "text"): replace(MAPPINGS["json"], ddl=_fixed("text"), remark="text, by the type map"),
    ("vector", "array"): replace(MAPPINGS["vector"], extension_type=None, remark_without=None),
    ("xml", "text"): replace(MAPPINGS["xml"], ddl=_fixed("text"), remark="text, by the type map"),
}

#: family → PostgreSQL base type (`pg_type.typname`) that may receive it → Arrow type its receive function
#: reads. Binary COPY carries bytes without type names, so a pair that is not here is refused, not tried.
WIRE: Mapping[Family, Mapping[str, pa.DataType | None]] = {
    "boolean": {"bool": pa.bool_()},
    "integer": {"int2": pa.int16(), "int4": pa.int32(), "int8": pa.int64(), "numeric": pa.decimal128(19, 0)},
    "decimal": {"numeric": None},
    "float": {"float4": pa.float32(), "float8": pa.float64()},
    "date": {"date": pa.date32()},
    "time": {"time": pa.time64("us")},
    "timestamp": {"timestamp": _MICROSECONDS},
    "timestamptz": {"timestamptz": _MICROSECONDS},
    "text": {"text": pa.string(), "varchar": pa.string(), "bpchar": pa.string(), "citext": pa.string()},
    "xml": {"xml": pa.string(), "text": pa.string(), "varchar": pa.string()},
    "binary": {"bytea": pa.binary()},
    "uuid": {"uuid": pa.binary(16)},
    "json": {"jsonb": pa.string(), "json": pa.string(), "text": pa.string(), "varchar": pa.string()},
    "spatial": {"geometry": pa.binary(), "geography": pa.binary(), "bytea": pa.binary()},
    "vector": {"_float4": pa.list_(pa.float32()), "vector": pa.binary()},
    "variant": {"text": pa.string(), "varchar": pa.string(), "bpchar": pa.string(), "citext": pa.string()},
}


def mapping_of(sql_type: SqlType) -> TypeMapping:
    """The entry for a declared type. Raises UnsupportedTypeError with the type's name."""
    if sql_type.is_clr or sql_type.name not in MAPPINGS:
        raise UnsupportedTypeError(str(sql_type))
    return VARIANTS.get((sql_type.name, sql_type.option or ""), MAPPINGS[sql_type.name])


def traits_of(sql_type: SqlType) -> Traits:
    """What the type is on the source, whatever a type map asks for; no traits for one that cannot be copied."""
    known = None if sql_type.is_clr else MAPPINGS.get(sql_type.name)
    return known.traits if known is not None else USUAL


def form_of(name: str) -> Form | None:
    """How a type's size is written; None for T-SQL's own names, of which the model knows it, and for unknown ones."""
    return traits_of(SqlType(name)).form


def has_seventh_digit(sql_type: SqlType) -> bool:
    """Whether the type, as it is declared, has a digit that PostgreSQL has no room for."""
    return traits_of(sql_type).may_have_seventh_digit and sql_type.scale > 6


def check_types(tables: Iterable[Table]) -> None:
    """Refuse, before anything is touched, every column whose type cannot be copied.

    Raises UnsupportedTypeError naming all of them, with what to do.
    """
    unknown = [
        f"{table.full_name}.{column.name} ({column.type})"
        for table in tables
        for column in table.columns
        if column.type.is_clr or column.type.name not in MAPPINGS
    ]
    if unknown:
        listed = "\n  ".join(unknown)
        raise UnsupportedTypeError(
            f"{len(unknown)} column(s) have a type that cannot be copied, a CLR type or one that is not known:\n"
            f"  {listed}\n"
            f"Nothing was changed. Leave these tables out with --exclude."
        )


def postgres_type(column: Column, features: TargetFeatures) -> str:
    """The PostgreSQL type of a column, exactly as `format_type` writes it.

    An xml column becomes text on a server that was built without libxml; types of extensions are used where
    they are installed.
    """
    mapping = mapping_of(column.type)
    if mapping.family == "xml" and not features.has_xml:
        return "text"
    spelled = features.extension_types.get(mapping.extension_type or "")
    if spelled is not None:
        dimensions = f"({column.type.precision})" if mapping.family == "vector" and column.type.precision else ""
        return spelled + dimensions
    return mapping.ddl(column.type)


def type_remarks(column: Column, features: TargetFeatures) -> Iterator[str]:
    """What a person should know of how the column's type crosses."""
    mapping, traits = mapping_of(column.type), traits_of(column.type)
    if traits.remark is not None:
        yield traits.remark
    if mapping.remark is not None:
        yield mapping.remark
    if mapping.remark_without is not None and mapping.extension_type not in features.extension_types:
        yield mapping.remark_without
    if mapping.family == "xml" and not features.has_xml and column.type.option != "text":
        yield "text, because the target was built without libxml"


def select_expression(column: Column, quoted: str) -> str:
    """The T-SQL expression that reads the column; `quoted` is its quoted name, perhaps qualified."""
    select = mapping_of(column.type).select
    return (select if isinstance(select, str) else select(column.type)).replace("{c}", quoted)


def check_expression(column: Column, quoted: str) -> str | None:
    """The CHECK that keeps the source type's range, where PostgreSQL's type is wider."""
    bounds = traits_of(column.type).range
    return f"{quoted} BETWEEN {bounds[0]} AND {bounds[1]}" if bounds else None


def read_type(column: Column) -> pa.DataType:
    """The Arrow type in which the reader must deliver the column."""
    return mapping_of(column.type).arrow(column.type)


def travels_as_text(column: Column) -> bool:
    """Whether the driver hands the column's values over as text, though they are decimals."""
    return select_expression(column, "{c}") == _DECIMAL_TEXT


def wire_type(column: Column, target_type: str, modifier: int = -1) -> pa.DataType:
    """The Arrow type that a target column reads in a binary COPY.

    `target_type` is the target column's base type (`pg_type.typname`), `modifier` its
    `pg_attribute.atttypmod` (-1 for none). Raises UnfitTargetError where the source's values must
    not be loaded into it: another kind of type, or one that would round or cut them without an error.
    """
    mapping = mapping_of(column.type)
    accepted = WIRE[mapping.family]
    if target_type not in accepted or (mapping.family == "float" and _is_narrower(accepted[target_type], column)):
        raise UnfitTargetError(
            f"column {column.name}: {column.type} cannot be loaded into a target column of type "
            f"{_spelled(target_type)} (possible: {', '.join(map(_spelled, accepted))})"
        )
    kept, needed = _kept_and_needed(column.type, mapping.family, target_type, modifier)
    if kept < needed:
        raise UnfitTargetError(
            f"column {column.name}: the target's {target_type} keeps {kept} where {column.type} needs {needed}, "
            f"so values could be cut or rounded; widen the target column"
        )
    return accepted[target_type] or read_type(column)


def _is_narrower(wire: pa.DataType, column: Column) -> bool:
    return bool(wire.bit_width < read_type(column).bit_width)


def _spelled(type_name: str) -> str:
    """A `pg_type.typname` as a person writes it: `_float4` is float4[]."""
    return f"{type_name[1:]}[]" if type_name.startswith("_") else type_name


def _kept_and_needed(sql_type: SqlType, family: Family, target_type: str, modifier: int) -> tuple[int, int]:
    """What PostgreSQL would cut in silence: fractional digits, and characters (trailing blanks)."""
    if modifier < 0:
        return 0, 0
    if target_type == "numeric":
        scale = (modifier - 4) & 0x7FF
        return scale, exact_scale(sql_type)
    if family in ("time", "timestamp", "timestamptz"):
        own = traits_of(sql_type).own_digits
        return modifier, min(sql_type.scale, 6) if own is None else own
    if target_type in ("varchar", "bpchar"):
        return modifier - 4, declared_characters(sql_type) or 1 << 30
    return 0, 0


def declared_characters(sql_type: SqlType) -> int:
    """The longest text that the type travels as, in UTF-16 units or bytes; 0 where it sets no bound or is no text."""
    mapping = mapping_of(sql_type)
    if mapping.select is _decimal and _decimal(sql_type) == _DECIMAL_TEXT:
        return len("-0.") + MAX_DIGITS
    if mapping.family != "text" or mapping.lob(sql_type) is not None:
        return 0
    return traits_of(sql_type).own_characters or max(sql_type.characters, 0)


def exact_scale(sql_type: SqlType) -> int:
    """Digits after the point of an exact number."""
    data_type = mapping_of(sql_type).arrow(sql_type)
    return int(data_type.scale) if pa.types.is_decimal(data_type) else 0

"""A value of one type as a value of another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from model.catalog import SqlType
from standin.collations import in_code_page
from standin.errors import SqlError
from standin.quoting import text_literal
from standin.storage import storage
from standin.ticks import DAYS_TO_1900, TICKS_PER_DAY
from standin.tsql.moment_texts import moment_text
from standin.tsql.moments import from_ticks, ticks_of
from standin.tsql.precedence import common, family
from standin.tsql.values import Query, Typed
from standin.type_names import NVARCHAR_MAX
from standin.types import BINARIES, DECIMALS, INTEGERS, NARROW, TEXTS, WIDE

_BIGINT_BYTES = 8


def _number_text(value: Typed, kind: SqlType, style: int | None) -> str:
    if kind.name in {"money", "smallmoney"} and style != 2:
        return f"CAST(CAST({value.sql} AS DECIMAL(19,2)) AS VARCHAR)"
    if kind.name in {"float", "real"}:
        digits = 8 if kind.name == "real" else 16
        formats = {None: "%.6g", 0: "%.6g", 1: "%.7e", 2: "%.15e", 3: f"%.{digits}e"}
        if style in {1, 2, 3}:
            return f"tds_exponent(printf('{formats[style]}', CAST({value.sql} AS DOUBLE)))"
        return f"printf('{formats.get(style, '%.6g')}', CAST({value.sql} AS DOUBLE))"
    return f"CAST({value.sql} AS VARCHAR)"


def _to_text(value: Typed, kind: SqlType, target: SqlType, style: int | None) -> str:
    group = family(kind)
    if group == "text":
        is_narrowed = kind.name in WIDE and target.name in NARROW and not (value.literal or "é").isascii()
        text = in_code_page(value.sql, value.collation) if is_narrowed else value.sql
    elif group == "number":
        text = _number_text(value, kind, style)
    elif kind.name == "uniqueidentifier":
        text = f"upper(CAST({value.sql} AS VARCHAR))"
    elif group == "binary":
        decoder = "tds_from_utf16" if target.name in WIDE else "tds_from_latin1"
        text = {1: f"('0x' || hex({value.sql}))", 2: f"hex({value.sql})"}.get(style or 0, f"{decoder}({value.sql})")
    else:
        text = moment_text(value, kind, style)
    length = target.characters
    if length > 0 and not (group == "text" and 0 < kind.characters <= length):
        text = f"left({text}, {length})"
    if target.name in {"char", "nchar"}:
        text = f"rpad({text}, {length}, ' ')"
    return text


def _to_binary(value: Typed, kind: SqlType, target: SqlType, style: int | None) -> str:
    group = family(kind)
    if group == "text":
        encoder = "tds_utf16" if kind.name in WIDE else "tds_latin1"
        raw = {
            1: f"unhex(substr({value.sql}, 3))",
            2: f"unhex({value.sql})",
        }.get(style or 0, f"{encoder}({value.sql})")
    elif kind.name == "uniqueidentifier":
        raw = f"tds_guid_bytes({value.sql})"
    elif kind.name in INTEGERS:
        width = INTEGERS[kind.name]
        digits = f"lpad(to_hex(CAST({value.sql} AS BIGINT)), 16, '0')"
        raw = f"unhex(right({digits}, {2 * width}))"
        if target.name == "binary" and target.max_length > 0:
            return f"unhex(right(repeat('0', {2 * target.max_length}) || right({digits}, 16), {2 * target.max_length}))"
    elif group == "binary":
        raw = value.sql
    elif kind.name in {"float", "real"}:
        raw = f"CAST(CAST({value.sql} AS BIT) AS BLOB)"
    else:
        raise SqlError(529, f"Explicit conversion from data type {kind.name} to {target.name} is not allowed.")
    if target.max_length > 0 and not (group == "binary" and 0 < kind.max_length <= target.max_length):
        raw = f"unhex(left(hex({raw}), {2 * target.max_length}))"
    if target.name == "binary":
        raw = f"unhex(rpad(hex({raw}), {2 * target.max_length}, '0'))"
    return raw


def _iso(text: str) -> str:
    """A date written without separators, or a moment with T and Z, as DuckDB reads it."""
    return re.sub(r"^\s*(\d{4})(\d\d)(\d\d)\b", r"\1-\2-\3", text).replace("T", " ").strip()


def _text_to_moment(value: Typed, target: SqlType) -> str:
    sql = value.sql if value.literal is None else text_literal(_iso(value.literal))
    if target.name == "date":
        return f"CAST(left({sql}, 10) AS DATE)"
    if target.name == "time":
        return from_ticks(f"tds_time_ticks(tds_norm_time({sql}))", target)
    if target.name == "datetimeoffset":
        return f"tds_norm_dto({sql})"
    if target.name == "datetime2" and target.scale == 7:
        return f"tds_norm_dt2({sql})"
    if target.name == "datetime2":
        return from_ticks(f"tds_dt2_ticks(tds_norm_dt2({sql}))", target)
    return from_ticks(f"tds_ts_ticks(CAST({sql} AS TIMESTAMP))", target)


def convert(value: Typed, target: SqlType, style: int | None = None) -> str:
    """DuckDB's text for CONVERT(target, value, style)."""
    kind = value.kind
    if kind is None or value.sql == "NULL":
        return f"CAST({value.sql} AS {storage(target)})"
    if kind.name == "sql_variant" and target.name != "sql_variant":
        # A macro's argument is written out wherever its name stands, so what others build upon is computed apart.
        text = Typed("v", NVARCHAR_MAX, value.is_nullable)
        sql = convert(text, target, 1 if target.name in BINARIES else None)
        return f"list_transform([tds_variant_text({value.sql})], lambda v: {sql})[1]"
    if target.name in TEXTS and value.sql.startswith("list_transform("):
        return f"list_transform([{value.sql}], lambda w: {_to_text(replace(value, sql='w'), kind, target, style)})[1]"
    if target.name in TEXTS:
        return _to_text(value, kind, target, style)
    if target.name in BINARIES:
        return _to_binary(value, kind, target, style)
    if family(target) == "number":
        return _to_number(value, kind, target)
    if target.name == "uniqueidentifier":
        return f"tds_bytes_guid({value.sql})" if family(kind) == "binary" else f"CAST({value.sql} AS UUID)"
    return _to_moment(value, kind, target)


def _to_number(value: Typed, kind: SqlType, target: SqlType) -> str:
    source = family(kind)
    if kind.name == "binary" and kind.max_length == _BIGINT_BYTES:
        return f"CAST(CAST(CAST({value.sql} AS BIT) AS BIGINT) AS {storage(target)})"
    if source == "binary":
        number = f"CAST('0x' || hex({value.sql}) AS BIGINT)"
        return f"CAST({number} AS {storage(target)})"
    if target.name == "bit":
        number = f"CAST({value.sql} AS DOUBLE)" if source == "text" else value.sql
        return f"CAST(({number}) <> 0 AS UTINYINT)"
    if kind.name in DECIMALS | {"float", "real"} and target.name in INTEGERS:
        return f"CAST(trunc({value.sql}) AS {storage(target)})"
    if source == "text" and target.name in INTEGERS:
        return f"CAST(trim({value.sql}) AS {storage(target)})"
    if source == "text":
        return f"CAST(replace(trim({value.sql}), ',', '') AS {storage(target)})"
    if source != "number":
        return f"CAST(tds_dt2_ticks(tds_norm_dt2(CAST({value.sql} AS VARCHAR))) AS {storage(target)})"
    return f"CAST({value.sql} AS {storage(target)})"


def _to_moment(value: Typed, kind: SqlType, target: SqlType) -> str:
    if family(kind) == "text":
        return _text_to_moment(value, target)
    if family(kind) == "number":
        return f"(TIMESTAMP '1900-01-01' + to_microseconds(CAST({value.sql} * 86400000000 AS BIGINT)))"
    if target.name == "datetimeoffset":
        if kind.name == "datetimeoffset":
            if kind.scale <= target.scale:
                return value.sql
            unit = 10 ** (7 - target.scale)
            rounded = f"(tds_dto_ticks({value.sql}) + {unit // 2}) // {unit} * {unit}"
            return f"tds_ticks_dto({rounded}, tds_offset({value.sql}))"
        return f"({from_ticks(ticks_of(value.sql, kind), SqlType('datetime2', scale=7))} || ' +00:00')"
    if target.name == "date":
        return f"CAST(tds_ticks_ts({ticks_of(value.sql, kind)}) AS DATE)" if kind.name != "date" else value.sql
    if kind.name == target.name and kind.scale == target.scale:
        return value.sql
    ticks = ticks_of(value.sql, kind)
    if kind.name == "time" and target.name != "time":
        ticks = f"({ticks} + {DAYS_TO_1900 * TICKS_PER_DAY})"
    return from_ticks(ticks, target)


def meet(value: Typed, kind: SqlType | None) -> str:
    """The value, converted if its family is another one than that of `kind`."""
    if kind is None or value.kind is None or value.sql == "NULL":
        return value.sql
    if family(value.kind) == family(kind):
        return value.sql
    return convert(value, kind)


def as_text(value: Typed) -> str:
    """The value as a text, which many functions make of their arguments."""
    if value.kind is None or family(value.kind) == "text":
        return value.sql
    return convert(value, SqlType("varchar", 8000))


def common_kind(values: Iterable[Typed]) -> SqlType | None:
    """The type in which values meet; a bare NULL has no say."""
    kind: SqlType | None = None
    for value in values:
        if value.sql != "NULL":
            kind = common(kind, value.kind)
    return kind


def as_kinds(query: Query, kinds: Sequence[SqlType | None]) -> str:
    """The query with its columns converted where their stored form differs from that of `kinds`."""
    casts = []
    for number, (output, kind) in enumerate(zip(query.outputs, kinds, strict=True), 1):
        casts.append(f"{meet(Typed(f'c{number}', output.kind), kind)} AS c{number}")
    if all(cast == f"c{number} AS c{number}" for number, cast in enumerate(casts, 1)):
        return query.sql
    return f"SELECT {', '.join(casts)} FROM ({query.sql}) AS met"

"""The driver's own description of a result's columns, held against what the catalog promised of them.

Both come from the server, and they can differ: a catalog may not know the scale in which a computed number travels.
Rows are read as the driver describes them, since it is the driver that interprets their bytes; and what was read so is
brought to what the catalog promised where that loses nothing. Every other difference fails the table before a row.

Source: the types that arrow-odbc offers for what SQLDescribeCol says (`map_schema`), and for reading value by value
the same made of it in `odbc`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.catalog import Column, SqlType
from model.errors import DescriptionError, InexactError, OtherwiseDescribedError
from model.exact_numbers import rescaled
from mssql.quoting import quote
from type_mapping import mapping_of, read_type, select_expression, traits_of, travels_as_text


def hold_against(promised: Sequence[Column], offered: Sequence[pa.DataType]) -> None:
    """Compare the types that the driver offers for the columns' expressions with what was promised.

    Raises OtherwiseDescribedError where the columns can be read as the driver describes them, and
    DescriptionError where one cannot.
    """
    columns = [_as_described(column, kind) for column, kind in zip(promised, offered, strict=False)]
    if columns != list(promised):
        raise OtherwiseDescribedError("the driver describes columns otherwise than the catalog", columns)


def bare(columns: Sequence[Column]) -> list[int]:
    """The positions of the decimals that are read by an expression, in whose description the column's own is lost."""
    return [
        position
        for position, column in enumerate(columns)
        if mapping_of(column.type).family == "decimal" and select_expression(column, "{c}") != "{c}"
    ]


def bare_query(columns: Sequence[Column], positions: Sequence[int], source: str) -> str:
    """A query that answers no row, for the description of the columns at these positions."""
    listed = ", ".join(f"c{position} = {quote(columns[position].source_name)}" for position in positions)
    return f"SELECT {listed} FROM {source} WHERE 1 = 0"


def hold_bare_against(promised: Sequence[Column], positions: Sequence[int], offered: Sequence[pa.DataType]) -> None:
    """The same as `hold_against`, for the columns at these positions as they are without an expression."""
    columns = list(promised)
    for position, kind in zip(positions, offered, strict=True):
        if kind != pa.decimal128(columns[position].type.precision, columns[position].type.scale):
            columns[position] = _with_type(columns[position], kind)
    if columns != list(promised):
        raise OtherwiseDescribedError("the driver describes columns otherwise than the catalog", columns)


def _as_described(column: Column, offered: pa.DataType) -> Column:
    promised = read_type(column)
    if travels_as_text(column):
        if not pa.types.is_string(offered):
            raise _refusal(column, offered)
        return column
    if pa.types.is_temporal(promised):
        return _timestamp_as_described(column, offered)
    if promised == offered or _is_alike(promised, offered):
        return column
    return _with_type(column, offered)


def _is_alike(promised: pa.DataType, offered: pa.DataType) -> bool:
    is_bytes = pa.types.is_binary(offered) or pa.types.is_fixed_size_binary(offered)
    if promised == pa.binary(16):
        # A driver describes a uniqueidentifier as the text that it is written as.
        return is_bytes or bool(pa.types.is_string(offered))
    return bool(pa.types.is_binary(promised)) and is_bytes


# -- numbers -----------------------------------------------------------------------------------------

_WHOLE = {
    pa.uint8(): SqlType("tinyint", 1),
    pa.int16(): SqlType("smallint", 2),
    pa.int32(): SqlType("int", 4),
    pa.int64(): SqlType("bigint", 8),
}
_FLOATING = {pa.float32(): SqlType("real", 4), pa.float64(): SqlType("float", 8)}


def _is_exact(kind: pa.DataType) -> bool:
    return kind in _WHOLE or bool(pa.types.is_decimal128(kind))


def _with_type(column: Column, offered: pa.DataType) -> Column:
    """The column with the type that the driver describes, where its values can become those promised."""
    promised = read_type(column)
    is_plain = mapping_of(column.type).select == "{c}" or mapping_of(column.type).family == "decimal"
    if is_plain and _is_exact(promised) and _is_exact(offered):
        kind = _WHOLE.get(offered) or SqlType("decimal", 17, offered.precision, offered.scale)
    elif is_plain and promised in _FLOATING and offered in _FLOATING:
        kind = _FLOATING[offered]
    else:
        raise _refusal(column, offered)
    return replace(column, type=kind)


# -- dates and times -----------------------------------------------------------------------------------

#: the unit in which a driver's description counts → its digits
_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 7}


def _timestamp_as_described(column: Column, offered: pa.DataType) -> Column:
    promised = read_type(column)
    is_alike = any(
        check(promised) and check(offered) for check in (pa.types.is_date32, pa.types.is_time, pa.types.is_timestamp)
    )
    if not is_alike or (traits_of(column.type).own_digits is not None and _is_finer(column, offered)):
        raise _refusal(column, offered)
    if pa.types.is_date32(promised) or not _is_finer(column, offered):
        return column
    return replace(column, type=replace(column.type, scale=_DIGITS[offered.unit]))


def _is_finer(column: Column, offered: pa.DataType) -> bool:
    """Whether the driver's times may have digits that the column's declared type has not."""
    traits = traits_of(column.type)
    declared = column.type.scale if traits.own_digits is None else traits.own_digits
    # A timestamp with an offset is read as datetime2(7), whatever it holds.
    read = 7 if traits.has_offset else declared
    unit = next(digits for digits in _DIGITS.values() if digits >= read)
    return not pa.types.is_date32(offered) and _DIGITS[offered.unit] > unit


# -- values ------------------------------------------------------------------------------------------


def as_promised(values: pa.Array, promised: Column, described: Column) -> pa.Array:
    """Values that were read as the driver describes them, in the type that the catalog promised of their column.

    A decimal keeps the driver's scale: whether the target has room for it, the target knows. Raises
    DescriptionError for a value that does not fit.
    """
    if promised.type == described.type:
        return values
    kind = read_type(promised)
    try:
        if pa.types.is_decimal(kind):
            return values if pa.types.is_decimal(values.type) else rescaled(values, pa.decimal128(19, 0))
        if pa.types.is_floating(kind):
            return _floats(values, kind)
        if pa.types.is_integer(kind):
            return values.cast(kind)
        step = 10 ** (6 - promised.type.scale) if promised.type.scale < 6 else 1
        counts = values.cast(kind).view(pa.int64())
        on_step = pc.equal(pc.multiply(pc.divide(counts, step), step), counts)
        if not pc.all(on_step, min_count=0).as_py():
            raise InexactError(f"a value has more than {promised.type.scale} fractional digits")
        return values
    except (InexactError, pa.ArrowInvalid) as error:
        raise DescriptionError(
            f"column {promised.name}: the catalog says {promised.type}, the driver {described.type}, and a value does "
            f"not fit the first: {error}. {NEXT_STEP}"
        ) from None


def _floats(values: pa.Array, kind: pa.DataType) -> pa.Array:
    found = values.cast(kind)
    before, after = (array.fill_null(0).to_numpy(zero_copy_only=False) for array in (values, found))
    if not np.array_equal(before, after, equal_nan=True):
        raise InexactError("a number has more digits than a real")
    return found


NEXT_STEP = "Try another driver (MSSQL_DRIVER), or leave the table out with --exclude"


def _refusal(column: Column, offered: pa.DataType) -> DescriptionError:
    return DescriptionError(
        f"column {column.name}: the catalog says {column.type}, the driver describes it as "
        f"{_spelled(offered)}, so its values cannot be read safely; no row was read. {NEXT_STEP}"
    )


def _spelled(kind: pa.DataType) -> str:
    """A type that a driver offers, for a person."""
    if kind in _WHOLE or kind in _FLOATING:
        return str((_WHOLE | _FLOATING)[kind])
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    names = {"date32": "date", "time32": "time", "time64": "time", "timestamp": "datetime2", "string": "text"}
    name = str(kind).partition("[")[0]
    return names.get(name, "binary" if "binary" in name else name)

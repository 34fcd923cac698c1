"""Whole columns into the bytes that PostgreSQL's receive functions read, where Arrow has no type for them.

Sources: PostgreSQL, `jsonb_recv`; PostGIS manual, "ST_AsEWKB" and its notes on extended well-known binary; pgvector,
`vector_recv`.
"""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import WireError
from type_mapping import VARIANT_FLOAT, VARIANT_TEXT

#: bytes of an SRID in front of well-known binary, as the reader delivers it
_SRID_BYTES = 4
#: in the highest byte of a geometry's type: an SRID follows (EWKB)
_HAS_SRID = 0x20
_LITTLE_ENDIAN = 1
_JSONB_VERSION = "\x01"


def to_jsonb(values: pa.Array) -> pa.Array:
    """JSON text as jsonb's binary form: the text behind a version number of one byte."""
    return pc.binary_join_element_wise(_JSONB_VERSION, values, "")


def to_ewkb(values: pa.Array) -> pa.Array:
    """Big-endian SRID and well-known binary → EWKB, which holds the SRID behind the type.

    The nine bytes in front change their order, the rest stays. Raises WireError for binary that is not little-endian,
    which SQL Server never sends.
    """
    validity, offsets, data = values.buffers()
    raw = np.frombuffer(data if data is not None else b"", dtype=np.uint8)
    starts = np.frombuffer(offsets, dtype=np.int32)[values.offset : values.offset + len(values)]
    starts = starts[np.asarray(values.is_valid())] if values.null_count else starts
    if np.any(raw[starts + _SRID_BYTES] != _LITTLE_ENDIAN):
        raise WireError("well-known binary that is not little-endian")
    turned = raw.copy()
    for i in range(4):
        turned[starts + i] = raw[starts + _SRID_BYTES + i]
        turned[starts + 5 + i] = raw[starts + _SRID_BYTES - 1 - i]
    turned[starts + 4] = raw[starts + 8] | _HAS_SRID
    buffers = [validity, offsets, pa.py_buffer(turned)]
    return pa.Array.from_buffers(values.type, len(values), buffers, values.null_count, values.offset)


def to_real_array(values: pa.Array) -> pa.Array:
    """Vectors as the source writes them, `[1.0e+000,2.5e-001]`, as lists of float32, each rounded to the nearest."""
    bare = pc.utf8_trim(pc.replace_substring(values, " ", ""), characters="[]")
    return pc.split_pattern(bare, ",").cast(pa.list_(pa.float32()))


def to_vector(values: pa.Array) -> pa.Array:
    """The same as pgvector's binary form: the number of elements, two bytes of nothing, float4 after float4."""
    lists = to_real_array(values)
    dimensions = pc.max(pc.list_value_length(lists)).as_py()
    if dimensions is None:
        return pa.nulls(len(values), pa.binary())
    there = np.asarray(lists.is_valid())
    elements = np.asarray(lists.flatten(), dtype=">f4")
    rows = np.zeros((np.count_nonzero(there), 2 + 2 * dimensions), dtype=">u2")
    if elements.size != len(rows) * dimensions:
        raise WireError("vectors of different lengths in one column")
    rows[:, 0] = dimensions
    rows[:, 2:] = elements.view(">u2").reshape(len(rows), 2 * dimensions)
    offsets = np.concatenate(([0], np.cumsum(there, dtype=np.int32))).astype(np.int32) * np.int32(4 + 4 * dimensions)
    validity = pa.array(there).cast(pa.bool_()).buffers()[1]
    buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(rows.tobytes())]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def to_variant_text(values: pa.Array) -> pa.Array:
    """Values of a sql_variant as `type_mapping` has them selected, as the texts that are stored."""
    texts = pc.utf8_slice_codeunits(values, 1)
    is_float = pc.fill_null(pc.starts_with(values, VARIANT_FLOAT), False)
    if not pc.any(is_float).as_py():
        return texts
    floats = [_float_text(int(number)) for number in texts.filter(is_float).to_pylist()]
    return pc.replace_with_mask(texts, is_float, pa.array(floats, pa.string()))


def _float_text(number: int) -> str:
    """A float whose eight bytes are those of a bigint, with 17 digits, as SQL Server's style 3 writes it."""
    (value,) = struct.unpack(">d", struct.pack(">q", number))
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03}" if exponent else mantissa


def from_variant_text(text: str) -> str:
    """A stored text as the value that it is made of."""
    return f"{VARIANT_TEXT}{text}"

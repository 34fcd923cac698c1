"""The one form in which a column's values are compared, whichever side they come from.

What differs legally between the sides is brought to one form here, and nothing else is: a decimal's scale,
a seventh fractional digit (cut), the byte order of a uuid, the blanks that PostgreSQL pads character(n)
with, NUL characters by NUL_POLICY, an encoding declaration in xml, what jsonb does not keep. How the load
does the same is not used, so that its faults show. A value that is longer than LONGEST_WHOLE in that form is
compared by its SHA-256, so that memory stays bounded.
"""

from __future__ import annotations

import decimal
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.catalog import Column
from model.changes import NulPolicy
from model.errors import InexactError, UnfitTargetError
from model.exact_numbers import decimals_of, rescaled
from model.long_rows import LongValue
from postgres.reader import DIGEST_MARK
from type_mapping import WIRE, Family, exact_scale, mapping_of, read_type

#: bytes of the longest value, text as UTF-8, that is compared as it is where the column has no bound
LONGEST_WHOLE = 1 << 20

_WIDEST = 38
# The encoding in an XML declaration, and what stands before it.
_XML_ENCODING = r"\A(<\?xml\s[^>]*?)\s+encoding\s*=\s*(?:\"[^\"]*\"|'[^']*')"
# Where the parts of SQL Server's sixteen bytes stand: three numbers with their low byte first, then eight bytes.
_GUID = np.dtype([("first", "<u4"), ("second", "<u2"), ("third", "<u2"), ("rest", "V8")])
_UUID = np.dtype([("first", ">u4"), ("second", ">u2"), ("third", ">u2"), ("rest", "V8")])


@dataclass(frozen=True)
class Form:
    """How one column's values of both sides become Arrow arrays of one type, equal where the values are.

    `cleans` does for a long value of the source, piece by piece, what `of_source` does for others; where it is
    set, both sides' values beyond LONGEST_WHOLE are to be digests.
    """

    type: pa.DataType
    of_source: Callable[[pa.Array], pa.Array]
    of_target: Callable[[pa.Array], pa.Array]
    cleans: Callable[[Iterator[bytes]], Iterator[bytes]] | None = None

    def of_long(self, value: LongValue, column: Column) -> pa.Array:
        """A long value of the source as an array of one."""
        if self.cleans is None:
            return self.of_source(pa.array([b"".join(value.pieces())], pa.binary()).cast(read_type(column)))
        settled = _whole_or_digest(self.cleans(value.pieces()), self.type == pa.string())
        return pa.array([settled], pa.binary()).cast(self.type)


def form_of(column: Column, base_type: str, nul_policy: NulPolicy) -> Form:
    """The form for a source column and the base type of its target column.

    Raises UnfitTargetError where values of such types cannot be compared.
    """
    family = mapping_of(column.type).family
    if base_type not in WIRE[family]:
        raise UnfitTargetError(
            f"column {column.name}: {column.type} cannot be compared with a target column of type {base_type}"
        )
    if family in ("integer", "decimal") and base_type == "numeric":
        return _decimal_form(exact_scale(column.type) if family == "decimal" else 0)
    if family == "float":
        kind = pa.float32() if base_type == "float4" and read_type(column) == pa.float32() else pa.float64()
        return Form(kind, lambda values: values.cast(kind), lambda values: values.cast(kind))
    if family == "json" and base_type == "jsonb":
        return Form(pa.string(), _canonical_json, _canonical_json)
    is_unbounded = mapping_of(column.type).lob(column.type) is not None and base_type != "bpchar"
    if family in ("text", "xml", "json"):
        return _text_form(family, base_type, nul_policy, is_unbounded)
    if family == "variant":
        # Never longer than 8,016 bytes, so never a digest.
        as_text = _text_form(family, base_type, nul_policy, is_unbounded=False)
        return replace(as_text, of_source=lambda values: as_text.of_source(_variant_texts(values)))
    if family == "binary" and is_unbounded:
        return Form(pa.binary(), _with_digests, _storage, iter)
    if family == "spatial":
        return Form(pa.binary(), _ewkb if base_type == "bytea" else _storage, _storage)
    if family == "vector":
        return Form(pa.binary(), _vectors_of_text, _vectors_of_lists)
    if family == "uuid":
        return Form(pa.binary(16), _uuid_of_guid, _storage)
    if family == "time":
        return Form(pa.time64("us"), _microseconds, _storage)
    kind = _TYPES[family]
    return Form(kind, lambda values: values.cast(kind), lambda values: _storage(values).cast(kind))


_TYPES: Mapping[Family, pa.DataType] = {
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us"),
    "binary": pa.binary(),
}


def _storage(values: pa.Array) -> pa.Array:
    """The values without the extension type that a driver wraps them in."""
    return values.storage if isinstance(values.type, pa.BaseExtensionType) else values


# -- numbers -----------------------------------------------------------------------------------------


def _decimal_form(scale: int) -> Form:
    kind = pa.decimal128(_WIDEST, scale)

    def of_source(values: pa.Array) -> pa.Array:
        try:
            return rescaled(values, kind)
        except InexactError:
            # As a driver described them, which is not how the catalog declares them.
            return _decimals(
                pa.array([None if value is None else format(value, "f") for value in values.to_pylist()], pa.string()),
                kind,
            )

    return Form(kind, of_source, lambda values: _decimals(_storage(values), kind))


def _decimals(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Numbers as text by their exact value."""
    try:
        return decimals_of(texts, kind)
    except InexactError:
        words = b"".join(_sixteen_bytes(text, kind.scale) for text in texts.to_pylist())
        validity = texts.is_valid().buffers()[1] if texts.null_count else None
        return pa.Array.from_buffers(kind, len(texts), [validity, pa.py_buffer(words)])


def _sixteen_bytes(text: str | None, scale: int) -> bytes:
    """A number as decimal128 stores it; for one that does not fit (NaN, more digits), bytes like no other's."""
    number = decimal.Decimal(text or "0")
    if number.is_finite():
        unscaled = number.scaleb(scale, _EXACT)
        if unscaled == unscaled.to_integral_value() and -(10**_WIDEST) < unscaled < 10**_WIDEST:
            return int(unscaled).to_bytes(16, "little", signed=True)
        text = format(number.normalize(_EXACT), "f")
    # Beyond 38 digits, which no value of the source has in the scale that the catalog declares.
    return hashlib.blake2b(str(text).encode(), digest_size=15).digest() + b"\x7f"


_EXACT = decimal.Context(prec=10_000)


# -- dates and times ----------------------------------------------------------------------------------


def _microseconds(values: pa.Array) -> pa.Array:
    """Times of the source with six digits: a seventh, in nanoseconds, is cut."""
    if values.type != pa.time64("ns"):
        return values.cast(pa.time64("us"))
    counts = pc.divide(values.view(pa.int64()), pa.scalar(1000, pa.int64()))
    return counts.view(pa.time64("us"))


# -- text --------------------------------------------------------------------------------------------


def _text_form(family: Family, base_type: str, nul_policy: NulPolicy, is_unbounded: bool) -> Form:
    nul = {"strip": "", "replace": "\ufffd", "error": "\0"}[nul_policy]

    def of_source(values: pa.Array) -> pa.Array:
        if family == "xml":
            values = pc.replace_substring_regex(values, _XML_ENCODING, r"\1")
        if nul != "\0" and _has_nul(values):
            values = pc.replace_substring(values, "\0", nul)
        if base_type == "bpchar":
            # The blanks that character(n) is padded with are no part of its value.
            return pc.utf8_rtrim(values, " ")
        return _with_digests(values) if is_unbounded else values

    def cleans(pieces: Iterator[bytes]) -> Iterator[bytes]:
        for number, piece in enumerate(pieces):
            if number == 0 and family == "xml":
                piece = re.sub(_XML_ENCODING.encode(), rb"\1", piece)  # noqa: PLW2901
            yield piece.replace(b"\0", nul.encode())

    return Form(pa.string(), of_source, lambda values: values, cleans if is_unbounded else None)


def _has_nul(values: pa.Array) -> bool:
    data = values.buffers()[2]
    return data is not None and not np.frombuffer(data, np.uint8).all()


def _variant_texts(values: pa.Array) -> pa.Array:
    """The texts of a sql_variant's values: behind `=` as they are, behind `#` the bits of a float as a whole number."""
    numbers = pc.if_else(pc.starts_with(values, "#"), pc.utf8_slice_codeunits(values, 1), None)
    bits = numbers.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    floats = [np.format_float_scientific(number, 16, unique=False, exp_digits=3) for number in bits.view(np.float64)]
    return pc.if_else(numbers.is_valid(), pa.array(floats, pa.string()), pc.utf8_slice_codeunits(values, 1))


# -- values of any length ----------------------------------------------------------------------------


def _with_digests(values: pa.Array) -> pa.Array:
    """The values, those beyond LONGEST_WHOLE as digests."""
    is_long = pc.fill_null(pc.greater(pc.binary_length(values), LONGEST_WHOLE), False)
    if not pc.any(is_long).as_py():
        return values
    is_text = values.type == pa.string()
    long_values = values.filter(is_long).cast(pa.binary())
    digests = [_whole_or_digest(iter([value.as_buffer()]), is_text) for value in long_values]
    return pc.replace_with_mask(values, is_long, pa.array(digests, pa.binary()).cast(values.type))


def _whole_or_digest(pieces: Iterable[bytes], is_text: bool) -> bytes:
    """A value, or what stands for it: a mark and its SHA-256, hexadecimal for text."""
    hasher = hashlib.sha256()
    kept: list[bytes] = []
    size = 0
    for piece in pieces:
        hasher.update(piece)
        size += len(piece)
        kept = [*kept, piece] if size <= LONGEST_WHOLE else []
    if size <= LONGEST_WHOLE:
        return b"".join(kept)
    return DIGEST_MARK + (hasher.hexdigest().encode() if is_text else hasher.digest())


# -- uuid --------------------------------------------------------------------------------------------


def _uuid_of_guid(values: pa.Array) -> pa.Array:
    """SQL Server's bytes of a uniqueidentifier in the order in which it is written."""
    validity, data = values.buffers()
    if not len(values) or data is None:
        return values
    if values.offset or validity is not None:
        validity = values.is_valid().buffers()[1] if values.null_count else None
    stored = np.frombuffer(data, _GUID, len(values), values.offset * _GUID.itemsize)
    written = pa.py_buffer(stored.astype(_UUID))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(values), [validity, written])


# -- json --------------------------------------------------------------------------------------------


def _canonical_json(texts: pa.Array) -> pa.Array:
    """JSON as jsonb understands it: no blanks, no order of keys, the last of doubled keys, numbers by value.

    Value by value: Arrow has no parser for it. A text that is not JSON stays as it is.
    """
    return pa.array([None if text is None else _one_json(text) for text in texts.to_pylist()], pa.string())


def _one_json(text: str) -> str:
    try:
        found = json.loads(text, parse_float=_number, parse_int=_number)
    except ValueError:
        return text
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def _number(text: str) -> dict[str, str]:
    number = decimal.Decimal(text).normalize(_EXACT)
    # Zero has no sign in PostgreSQL's numeric.
    return {"": str(number) if number else "0"}


# -- geometry ----------------------------------------------------------------------------------------


def _ewkb(values: pa.Array) -> pa.Array:
    """An SRID (big-endian) before well-known binary as EWKB, which has it behind the type (PostGIS, "ST_AsEWKB")."""
    return pa.array([None if value is None else _one_ewkb(value) for value in values.to_pylist()], pa.binary())


def _one_ewkb(value: bytes) -> bytes:
    order, kind = value[4:5], int.from_bytes(value[5:9], "little")
    return order + (kind | 0x2000_0000).to_bytes(4, "little") + value[3::-1] + value[9:]


# -- vectors -----------------------------------------------------------------------------------------


def _vectors_of_text(texts: pa.Array) -> pa.Array:
    """Vectors as the source writes them, `[1.0e+000,2.5e-001]`, as the bytes of their float4 numbers."""
    numbers = [None if text is None else np.array(json.loads(text), "<f4").tobytes() for text in texts.to_pylist()]
    return pa.array(numbers, pa.binary())


def _vectors_of_lists(lists: pa.Array) -> pa.Array:
    """Arrays of float4 as the bytes of their numbers."""
    numbers = [None if value is None else np.array(value, "<f4").tobytes() for value in _storage(lists).to_pylist()]
    return pa.array(numbers, pa.binary())

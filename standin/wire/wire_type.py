"""How a column of one T-SQL type is declared and sent."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import pyarrow as pa
from pysqlbridge.tds import ColumnType

from model.catalog import SqlType
from standin.errors import EncodingError
from standin.wire.arrow_buffers import is_value

# TYPE_INFO of the nullable form (token and length) and the token of the fixed one.
_FIXED_TOKENS: Mapping[bytes, int] = {
    b"\x68\x01": 0x32,
    b"\x26\x01": 0x30,
    b"\x26\x02": 0x34,
    b"\x26\x04": 0x38,
    b"\x26\x08": 0x7F,
    b"\x6d\x04": 0x3B,
    b"\x6d\x08": 0x3E,
    b"\x6e\x04": 0x7A,
    b"\x6e\x08": 0x3C,
    b"\x6f\x04": 0x3A,
    b"\x6f\x08": 0x3D,
}

_ZEROS: Mapping[int, object] = {
    pa.date32().id: datetime.date(1970, 1, 1),
    pa.decimal128(1, 0).id: Decimal(0),
    **{kind.id: 0 for kind in (pa.uint8(), pa.int16(), pa.int32(), pa.int64())},
    pa.float32().id: 0.0,
    pa.float64().id: 0.0,
}


@dataclass(frozen=True)
class WireType(ColumnType):  # type: ignore[misc]
    """How a column of one T-SQL type is declared and sent.

    `info` is TYPE_INFO, `projection` a DuckDB expression over `{}`, `pack` turns an Arrow array of
    the projected values into wire values (those of NULLs are ignored), `null` is a NULL's bytes.
    """

    kind: SqlType
    info: bytes
    projection: str
    pack: Callable[[pa.Array], list[bytes]]
    null: bytes = b"\x00"
    user_type: int = 0
    #: text, ntext and image name their table in COLMETADATA.
    has_table_name: bool = False
    is_required: bool = False

    def type_info(self) -> bytes:
        """The TYPE_INFO bytes of COLMETADATA."""
        return self.info

    def encode(self, value: object) -> bytes:
        """One value, given in the form of the projection; used for output parameters."""
        return self.encode_array(pa.array([value]))[0]

    def encode_array(self, array: pa.Array) -> list[bytes]:
        """The wire bytes of every value of the array."""
        if self.is_required and array.null_count:
            raise EncodingError("The stand-in holds NULL in a column that is declared NOT NULL.")
        if pa.types.is_null(array.type):
            return [self.null] * len(array)
        if not array.null_count:
            return self.pack(array)
        null = self.null
        # The slots of NULLs may hold numbers that do not fit the type.
        zero = _ZEROS.get(array.type.id)
        packed = self.pack(array if zero is None else array.fill_null(zero))
        return [value if there else null for value, there in zip(packed, is_value(array), strict=True)]

    def required(self) -> WireType:
        """The form for a column that is NOT NULL: numbers and datetimes then come without their length.

        Microsoft's driver tells such columns by this form alone.
        """
        token = _FIXED_TOKENS.get(self.info[:2])
        if token is None:
            return self
        pack = self.pack
        return replace(
            self, info=bytes([token]), pack=lambda array: [value[1:] for value in pack(array)], is_required=True
        )

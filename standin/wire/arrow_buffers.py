"""Arrow's buffers as Python's numbers and bytes, a whole column at a time."""

from __future__ import annotations

import struct
from itertools import pairwise

import pyarrow as pa


def numbers_of(array: pa.Array, code: str, step: int = 1) -> list[int]:
    """The buffer of a fixed-width array as Python numbers; slots of NULLs hold anything.

    `code` is `struct`'s letter of one item, `step` the number of items a value spans.
    """
    buffer = array.buffers()[1]
    if buffer is None:
        return [0] * len(array)
    items = memoryview(buffer).cast("B")
    items = items[: len(items) // struct.calcsize(code) * struct.calcsize(code)].cast(code)  # type: ignore[call-overload]
    numbers: list[int] = items[array.offset * step : (array.offset + len(array)) * step].tolist()
    return numbers


def is_value(array: pa.Array) -> list[int]:
    """1 for each value, 0 for each NULL."""
    return numbers_of(array.is_valid().cast(pa.uint8()), "B")


def pieces_of(array: pa.Array) -> tuple[bytes, list[int]]:
    """The bytes of a text or binary array and the borders of its values within them."""
    if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        code = "q"
    elif pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        code = "i"
    else:
        return pieces_of(array.cast(pa.large_binary()))
    _, offsets, data = array.buffers()
    if not len(array):
        return b"", [0]
    view = memoryview(offsets).cast("B")
    size = struct.calcsize(code)
    borders = view[array.offset * size : (array.offset + len(array) + 1) * size].cast(code).tolist()  # type: ignore[call-overload]
    first = borders[0]
    body = bytes(memoryview(data)[first : borders[-1]]) if data is not None else b""
    return body, [border - first for border in borders]


def blobs_of(array: pa.Array) -> list[bytes]:
    """Each value of a text or binary array."""
    body, borders = pieces_of(array)
    return [body[start:end] for start, end in pairwise(borders)]

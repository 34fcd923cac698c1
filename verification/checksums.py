"""Arrow columns → checksums that do not depend on the order of rows, for whole columns at once (numpy).

Each value becomes two 64-bit hashes, and the hashes of a column are added up modulo 2^64. A row's hash is
a sum over its columns, each with a factor of its own, so that values in the wrong row or column show as
well. Everything hangs on a seed that a verification draws anew: two different tables look alike by accident
with a probability below 2^-100, and not again in the next verification.

A value of up to LONGEST_WORDS bytes is hashed as 64-bit words, without a Python object; a longer one by
BLAKE2b, in one call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

#: parts of a table, by the hash of a row's key, whose sums are kept apart to find differing rows again
BUCKETS = 1 << 16
#: rows hashed at a time, few enough for the processor's cache
ROWS_A_SLICE = 1 << 14
LONGEST_WORDS = 256
#: bytes of text that are looked at in one go
BYTES_A_LOOK = 1 << 20

_BUCKET_SHIFT = np.uint64(64 - 16)
_U64 = np.dtype("<u8")
_OF_ANY_LENGTH = (pa.string(), pa.binary(), pa.large_string(), pa.large_binary())
#: which bytes of a value's last word belong to it, by their number
_KEPT_BYTES = np.array([(1 << 8 * size) - 1 for size in range(9)], dtype=np.uint64)


class Salt:
    """The numbers that a verification's hashes hang on, all drawn from one seed.

    `factors` are odd, one pair for each of `columns`.
    """

    def __init__(self, seed: bytes, columns: int) -> None:
        words = _drawn(seed, b"fixed", 8)
        self.value = (words[0], words[1])
        self.high = (words[2] | np.uint64(1), words[3] | np.uint64(1))
        self.null = (words[4], words[5])
        self.lengths = (words[6] | np.uint64(1), words[7] | np.uint64(1))
        self.positions = _drawn(seed, b"positions", LONGEST_WORDS // 8)
        self.position_factors = _drawn(seed, b"position factors", LONGEST_WORDS // 8) | np.uint64(1)
        self.factors = (_drawn(seed, b"columns", 2 * columns) | np.uint64(1)).reshape(columns, 2)
        self.long_key = hashlib.blake2b(seed, person=b"long").digest()


@dataclass
class Sums:
    """What was read of a side of a table.

    `columns` has two checksums for each column; `row_check` is one of whole rows; `bucket_rows` and
    `bucket_checks` are the rows, and another checksum of them, of each part of the table.
    """

    nulls: npt.NDArray[np.int64]
    columns: Hashes
    row_check: Hashes
    bucket_rows: npt.NDArray[np.int64]
    bucket_checks: Hashes
    rows: int = 0

    @classmethod
    def empty(cls, columns: int) -> Sums:
        """Of no rows."""
        return cls(
            np.zeros(columns, np.int64),
            np.zeros((columns, 2), np.uint64),
            np.zeros(1, np.uint64),
            np.zeros(BUCKETS, np.int64),
            np.zeros(BUCKETS, np.uint64),
        )

    def add(self, other: Sums) -> None:
        """Take in the sums of other rows of the same side."""
        self.rows += other.rows
        for mine, others in zip(self._arrays, other._arrays, strict=True):
            np.add(mine, others, out=mine)

    @property
    def _arrays(self) -> tuple[npt.NDArray[np.int64] | Hashes, ...]:
        return (self.nulls, self.columns, self.row_check, self.bucket_rows, self.bucket_checks)

    def differing_columns(self, other: Sums) -> list[int]:
        """The positions of the columns whose values, taken together, differ."""
        unlike = (self.columns != other.columns).any(axis=1) | (self.nulls != other.nulls)
        return [int(position) for position in np.flatnonzero(unlike)]

    def differing_buckets(self, other: Sums) -> npt.NDArray[np.intp]:
        """The parts of the table whose rows differ."""
        return np.flatnonzero((self.bucket_checks != other.bucket_checks) | (self.bucket_rows != other.bucket_rows))

    def is_like(self, other: Sums) -> bool:
        """Whether both sides hold the same rows, each as often."""
        return (
            self.rows == other.rows
            and not self.differing_columns(other)
            and bool((self.row_check == other.row_check).all())
            and not len(self.differing_buckets(other))
        )


@dataclass(frozen=True)
class RowHashes:
    """The hashes of some rows: of each row's key, of the whole row, and of each of its values (rows × columns)."""

    keys: Hashes
    rows: Hashes
    second: Hashes
    values: Hashes
    columns: Hashes
    nulls: npt.NDArray[np.int64]

    @property
    def buckets(self) -> npt.NDArray[np.intp]:
        """The part of the table that each row belongs to."""
        buckets: npt.NDArray[np.intp] = (self.keys >> _BUCKET_SHIFT).astype(np.intp)
        return buckets


@dataclass(frozen=True)
class RowHasher:
    """Hashes rows. `keys` are the positions of the columns that tell one row from another; none, where nothing does."""

    salt: Salt
    keys: tuple[int, ...] = field(default=())

    def hash_rows(self, columns: Sequence[pa.Array]) -> RowHashes:
        """The hashes of a slice of rows, given by columns."""
        rows = len(columns[0])
        first, second, keys = (np.zeros(rows, np.uint64) for _ in range(3))
        values = np.empty((len(columns), rows), np.uint64)
        sums = np.empty((len(columns), 2), np.uint64)
        nulls = np.empty(len(columns), np.int64)
        for position, column in enumerate(columns):
            one, other = hash_values(column, self.salt)
            values[position] = one
            sums[position] = one.sum(dtype=np.uint64), other.sum(dtype=np.uint64)
            nulls[position] = column.null_count
            first += one * self.salt.factors[position, 0]
            other *= self.salt.factors[position, 1]
            second += other
            if position in self.keys:
                keys += one * self.salt.factors[position, 0]
        whole = _mix(first)
        return RowHashes(_mix(keys) if self.keys else whole, whole, _mix(second), values, sums, nulls)

    def add_up(self, columns: Sequence[pa.Array], sums: Sums) -> None:
        """Take a batch of rows, given by columns, into `sums`."""
        for part in slices(columns):
            hashes = self.hash_rows(part)
            buckets = hashes.buckets
            sums.rows += len(part[0])
            sums.nulls += hashes.nulls
            sums.columns += hashes.columns
            sums.row_check += hashes.second.sum(dtype=np.uint64)
            np.add.at(sums.bucket_checks, buckets, hashes.rows)
            np.add.at(sums.bucket_rows, buckets, 1)


def slices(columns: Sequence[pa.Array]) -> Iterator[list[pa.Array]]:
    """The same rows in parts small enough to be hashed at once."""
    for start in range(0, len(columns[0]), ROWS_A_SLICE):
        yield [column.slice(start, ROWS_A_SLICE) for column in columns]


def hash_values(values: pa.Array, salt: Salt) -> tuple[Hashes, Hashes]:
    """Two hashes of each value; NULL has its own, unlike that of any value's by more than accident.

    Takes booleans, integers, floats (bit by bit), date32, time64, timestamp, decimal128, fixed-size binary of
    16 bytes, strings and binary. Raises TypeError for another type.
    """
    if values.type in _OF_ANY_LENGTH:
        one, other = _hash_bytes(values, salt)
    else:
        one, other = _hash_words(_words(values), salt)
    if values.null_count:
        missing = values.is_null().to_numpy(zero_copy_only=False)
        one[missing], other[missing] = salt.null
    return one, other


def text_units(values: pa.Array) -> int:
    """The UTF-16 units of all texts of a column together; NULLs have none."""
    data = _bytes_of(values)[0]
    return sum(utf16_units(data[start : start + BYTES_A_LOOK]) for start in range(0, len(data), BYTES_A_LOOK))


def utf16_units(utf8: npt.NDArray[np.uint8]) -> int:
    """The UTF-16 units of text in UTF-8, or of any piece of it: pieces add up."""
    # A byte that begins a character is one unit, one that begins a character beyond the basic plane is two.
    return int(np.count_nonzero((utf8 & 0xC0) != 0x80) + np.count_nonzero(utf8 >= 0xF0))


def byte_size(values: pa.Array) -> int:
    """The bytes of all values of a string or binary column together; NULLs have none."""
    return len(_bytes_of(values)[0])


# -- values as 64-bit words --------------------------------------------------------------------------


def _words(values: pa.Array) -> tuple[Hashes, ...]:
    """Values of a fixed width as one or two 64-bit words each."""
    kind = values.type
    if pa.types.is_boolean(kind):
        values, kind = values.cast(pa.uint8()), pa.uint8()
    count = len(values)
    data = values.buffers()[1]
    if pa.types.is_decimal128(kind) or kind == pa.binary(16):
        pairs = np.frombuffer(data, _U64, 2 * count, 16 * values.offset) if count else np.zeros(0, _U64)
        return pairs[0::2], pairs[1::2]
    if kind not in _STORED:
        raise TypeError(f"no hash for {kind}")
    stored, wide = _STORED[kind]
    size = np.dtype(stored).itemsize
    words = np.frombuffer(data, stored, count, size * values.offset) if count else np.zeros(0, stored)
    return (words.astype(wide).view(np.uint64),)


# How values lie in memory, and the 64 bits that are hashed: those of an integer, or a float's own.
_STORED = {
    pa.uint8(): ("u1", "<i8"),
    pa.int8(): ("i1", "<i8"),
    pa.int16(): ("<i2", "<i8"),
    pa.int32(): ("<i4", "<i8"),
    pa.int64(): ("<i8", "<i8"),
    pa.date32(): ("<i4", "<i8"),
    pa.time64("us"): ("<i8", "<i8"),
    pa.timestamp("us"): ("<i8", "<i8"),
    pa.float32(): ("<u4", "<u8"),
    pa.float64(): ("<u8", "<u8"),
}


def _hash_words(words: tuple[Hashes, ...], salt: Salt) -> tuple[Hashes, Hashes]:
    one, other = words[0] + salt.value[0], words[0] ^ salt.value[1]
    _mix(one)
    _mix(other)
    for word in words[1:]:
        one += word * salt.high[0]
        other += word * salt.high[1]
        _mix(one)
        _mix(other)
    return one, other


# -- values of any length ----------------------------------------------------------------------------


def _bytes_of(values: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All bytes of a column's values, one after the other, and where each begins, with the end of the last."""
    kind = np.dtype("<i8" if values.type in (pa.large_string(), pa.large_binary()) else "<i4")
    _, where, data = values.buffers()
    if where is None or not len(values):
        return np.zeros(0, np.uint8), np.zeros(len(values) + 1, np.int64)
    offsets = np.frombuffer(where, kind, len(values) + 1, values.offset * kind.itemsize).astype(np.int64)
    first, last = int(offsets[0]), int(offsets[-1])
    held = np.frombuffer(data, np.uint8, last - first, first) if last > first else np.zeros(0, np.uint8)
    return held, offsets - first


def _hash_bytes(values: pa.Array, salt: Salt) -> tuple[Hashes, Hashes]:
    data, offsets = _bytes_of(values)
    sizes = np.diff(offsets)
    is_long = sizes > LONGEST_WORDS
    if not is_long.any():
        return _hash_short(data, offsets[:-1], sizes, salt)
    one, other = np.empty(len(values), np.uint64), np.empty(len(values), np.uint64)
    short = np.flatnonzero(~is_long)
    one[short], other[short] = _hash_bytes(values.take(pa.array(short)), salt)
    for position in np.flatnonzero(is_long).tolist():
        value = data[offsets[position] : offsets[position + 1]].data
        digest = hashlib.blake2b(value, digest_size=16, key=salt.long_key).digest()
        one[position], other[position] = np.frombuffer(digest, _U64)
    return one, other


def _hash_short(
    data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], salt: Salt
) -> tuple[Hashes, Hashes]:
    # One more than its size, so that an empty value has a hash that is not 0.
    one, other = (sizes + 1).astype(np.uint64), (sizes + 1).astype(np.uint64)
    one *= salt.lengths[0]
    other *= salt.lengths[1]
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = data
    # The eight bytes from every position on, as one word.
    words_at = np.ndarray((len(data) + 1,), _U64, padded.data, strides=(1,))
    for position in range((int(sizes.max(initial=0)) + 7) >> 3):
        left = sizes - 8 * position
        some = np.flatnonzero(left > 0)
        rows = slice(None) if len(some) == len(sizes) else some
        words = words_at[starts[rows] + 8 * position]
        words &= _KEPT_BYTES[np.minimum(left[rows], 8)]
        words += salt.positions[position]
        _mix(words)
        one[rows] += words
        words *= salt.position_factors[position]
        other[rows] += words
    return _mix(one), _mix(other)


def _mix(words: Hashes) -> Hashes:
    """Spread each bit over all 64, in place: a bijection, so that different words stay different.

    The finalizer of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
    """
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


def _drawn(seed: bytes, purpose: bytes, count: int) -> Hashes:
    drawn = hashlib.shake_256(purpose + b":" + seed).digest(8 * count)
    return np.frombuffer(drawn, _U64).astype(np.uint64)

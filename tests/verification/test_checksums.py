"""Checksums and forms: equal exactly where the values are, whatever the order, the batches and the types."""

from __future__ import annotations

import datetime
import struct
import uuid
from collections import Counter
from collections.abc import Sequence
from decimal import Context, Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.catalog import Column, SqlType
from verification.checksums import RowHasher, Salt, Sums, byte_size, hash_values, text_units
from verification.comparable_values import form_of

_WIDE = Context(prec=50)
SEED = b"the same in all tests"
texts = st.text(st.characters(codec="utf-8"), max_size=30)
#: around the bytes of a word and the longest value that is hashed in words
sizes = st.sampled_from([0, 1, 7, 8, 9, 15, 16, 17, 255, 256, 257, 300])
binaries = st.one_of(st.binary(max_size=20), sizes.map(bytes), sizes.map(lambda size: b"x" * size))
VALUES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "boolean": (pa.bool_(), st.booleans()),
    "integer": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "decimal": (pa.decimal128(38, 5), st.integers(1 - 10**38, 10**38 - 1).map(lambda n: Decimal(n).scaleb(-5, _WIDE))),
    "date": (pa.date32(), st.dates()),
    "timestamp": (pa.timestamp("us"), st.datetimes()),
    "text": (pa.string(), texts),
    "binary": (pa.binary(), binaries),
    "uuid": (pa.binary(16), st.binary(min_size=16, max_size=16)),
}

rows_of = {
    name: st.lists(st.tuples(st.integers(0, 9), st.none() | values), max_size=12)
    for name, (_, values) in VALUES.items()
}


def sums(kind: pa.DataType, rows: Sequence[tuple[int, Any]], cuts: Sequence[int] = (), keyed: bool = True) -> Sums:
    """The sums of rows of a number and a value, read in batches that begin at `cuts`."""
    total = Sums.empty(2)
    hasher = RowHasher(Salt(SEED, 2), (0,) if keyed else ())
    numbers = pa.array([number for number, _ in rows], pa.int64())
    values = pa.array([value for _, value in rows], kind)
    edges = [0, *sorted(cut % (len(rows) + 1) for cut in cuts), len(rows)]
    for start, end in pairwise(edges):
        part = Sums.empty(2)
        hasher.add_up([numbers.slice(start, end - start), values.slice(start, end - start)], part)
        total.add(part)
    return total


@pytest.mark.parametrize("name", list(VALUES))
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_sums_are_alike_exactly_where_the_rows_are_the_same(name: str, data: st.DataObject) -> None:
    kind = VALUES[name][0]
    rows = data.draw(rows_of[name])
    others = data.draw(rows_of[name] | st.permutations(rows) | st.just(rows[1:]) | st.just(rows + rows[:1]))
    cuts = data.draw(st.lists(st.integers(0, 50), max_size=3))
    keyed = data.draw(st.booleans())
    same = Counter(rows) == Counter(others)
    one, other = sums(kind, rows, keyed=keyed), sums(kind, others, cuts, keyed)
    assert one.is_like(other) == same
    values, others_values = Counter(value for _, value in rows), Counter(value for _, value in others)
    assert (1 in one.differing_columns(other)) == (values != others_values)
    assert bool(len(one.differing_buckets(other))) == (not same)


@settings(deadline=None)
@given(value=binaries, position=st.integers(0, 400), bit=st.integers(0, 7))
def test_every_bit_of_a_value_counts_and_so_does_its_length(value: bytes, position: int, bit: int) -> None:
    changed = bytearray(value)
    if value:
        changed[position % len(value)] ^= 1 << bit
    others = [bytes(changed)] if value else []
    for other in (*others, value + b"\0", b"\0" + value, value + value[:1] + b"\0" * 8, None):
        (one, second), (unlike_one, unlike_second) = (
            hash_values(pa.array([value, other], pa.binary()).slice(position, 1), Salt(SEED, 1)) for position in (0, 1)
        )
        assert one[0] != unlike_one[0], other
        assert second[0] != unlike_second[0], other


@given(values=st.lists(st.none() | texts, max_size=8))
def test_text_is_measured_in_utf16_units_and_utf8_bytes(values: list[str | None]) -> None:
    array = pa.array(["before", *values], pa.string()).slice(1)
    assert text_units(array) == sum(len(value.encode("utf-16-le")) // 2 for value in values if value is not None)
    assert byte_size(array) == sum(len(value.encode()) for value in values if value is not None)


def test_a_column_of_one_value_a_million_times_is_told_from_one_too_many() -> None:
    many = [(1, "x")] * 40_000
    assert sums(pa.string(), many, keyed=False).is_like(sums(pa.string(), many, (7, 30_000), keyed=False))
    assert not sums(pa.string(), many, keyed=False).is_like(sums(pa.string(), many[1:], keyed=False))


# -- forms ---------------------------------------------------------------------------------------------


def meets(kind: SqlType, base_type: str, source: pa.Array, target: pa.Array, nul: str = "strip") -> bool:
    """Whether a value of the source equals one of the target in the form in which they are compared."""
    form = form_of(Column("c", kind), base_type, nul)  # type: ignore[arg-type]
    one, other = form.of_source(source), form.of_target(target)
    assert one.type == other.type == form.type
    hashes = [[part.tolist() for part in hash_values(values, Salt(SEED, 1))] for values in (one, other)]
    return hashes[0] == hashes[1]


@settings(deadline=None)
@given(number=st.integers(1 - 10**38, 10**38 - 1), scale=st.integers(0, 38), zeros=st.integers(0, 3), off=st.booleans())
def test_decimals_meet_by_value(number: int, scale: int, zeros: int, off: bool) -> None:
    source = pa.array([Decimal(number).scaleb(-scale, _WIDE)], pa.decimal128(38, scale))
    written = format(Decimal(number + off).scaleb(-scale, _WIDE), "f")
    target = pa.array([written + ("0" * zeros if "." in written else "." + "0" * zeros if zeros else "")])
    assert meets(SqlType("decimal", precision=38, scale=scale), "numeric", source, target) == (not off)


@given(number=st.integers(-(2**63), 2**63 - 1), off=st.booleans())
def test_integers_meet_in_whatever_holds_them(number: int, off: bool) -> None:
    source, there = pa.array([number], pa.int64()), number + off
    assert meets(SqlType("bigint"), "numeric", source, pa.array([f"{there}.00"])) == (not off)
    if there < 2**63:
        assert meets(SqlType("bigint"), "int8", source, pa.array([there], pa.int64())) == (not off)


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_real_meets_as_binary32_and_widened(number: float) -> None:
    source = pa.array([number], pa.float32())
    above = struct.unpack("<f", struct.pack("<i", struct.unpack("<i", struct.pack("<f", number))[0] ^ 1))[0]
    for base_type, kind in (("float4", pa.float32()), ("float8", pa.float64())):
        assert meets(SqlType("real"), base_type, source, pa.array([number], kind))
        assert not meets(SqlType("real"), base_type, source, pa.array([above], kind))


@given(nanoseconds=st.integers(0, 24 * 3600 * 10**7 - 1).map(lambda ticks: ticks * 100))
def test_a_seventh_digit_of_a_time_is_cut(nanoseconds: int) -> None:
    source = pa.array([None, nanoseconds], pa.time64("ns")).slice(1)
    target = pa.array([nanoseconds // 1000], pa.int64()).view(pa.time64("us"))
    assert meets(SqlType("time", scale=7), "time", source, target)


@given(value=st.uuids(), other=st.uuids())
def test_a_uniqueidentifier_is_what_is_written(value: uuid.UUID, other: uuid.UUID) -> None:
    source = pa.array([None, value.bytes_le], pa.binary(16)).slice(1)
    assert meets(SqlType("uniqueidentifier"), "uuid", source, pa.array([value.bytes], pa.binary(16)))
    assert meets(SqlType("uniqueidentifier"), "uuid", source, pa.array([other.bytes], pa.binary(16))) == (
        value == other
    )


@given(text=texts, blanks=st.integers(0, 3))
def test_blanks_count_everywhere_but_in_padded_columns(text: str, blanks: int) -> None:
    text = text.replace("\0", "")
    source = pa.array([text + " " * blanks])
    assert meets(SqlType("varchar", 50), "varchar", source, pa.array([text])) == (not blanks)
    # PostgreSQL itself takes the padding away when it casts character(n) to text.
    assert meets(SqlType("char", 50), "bpchar", source, pa.array([text.rstrip(" ")]))


@pytest.mark.parametrize(("policy", "there"), [("strip", "ab"), ("replace", "a\ufffdb")])
def test_nul_characters_follow_the_policy(policy: str, there: str) -> None:
    source = pa.array(["a\0b", "none"])
    assert meets(SqlType("nvarchar", 20), "varchar", source, pa.array([there, "none"]), policy)
    assert not meets(SqlType("nvarchar", 20), "varchar", source, pa.array(["a b", "none"]), policy)


def test_an_encoding_declaration_is_no_part_of_xml() -> None:
    source = pa.array(['<?xml version="1.0" encoding="UTF-16"?><a encoding="x"/>'])
    assert meets(SqlType("xml", -1), "xml", source, pa.array(['<?xml version="1.0"?><a encoding="x"/>']))
    assert not meets(SqlType("xml", -1), "xml", source, pa.array(['<?xml version="1.0"?><a/>']))


def test_json_meets_as_jsonb_keeps_it() -> None:
    source = pa.array(['{"b": [1.50, "é"], "a": 1, "a": 2e2, "n": null}'])
    for there, same in (
        ('{"a": 200, "b": [1.50, "é"], "n": null}', True),
        ('{"a": 200, "b": [1.5, "\\u00e9"], "n": null}', True),
        ('{"a": 1, "b": [1.50, "é"], "n": null}', False),
        ('{"a": 200, "b": [1.50, "é"]}', False),
        ('{"a": "200", "b": [1.50, "é"], "n": null}', False),
    ):
        assert meets(SqlType("json", -1), "jsonb", source, pa.array([there])) == same, there
    assert not meets(SqlType("json", -1), "text", source, pa.array(['{"b":[1.50,"é"],"a":2e2,"n":null}']))


def test_geometry_meets_as_ewkb_and_through_postgis() -> None:
    point = struct.pack("<BIdd", 1, 1, 1.5, -2.0)
    source = pa.array([None, struct.pack(">I", 4326) + point], pa.binary())
    ewkb = struct.pack("<BIIdd", 1, 0x20000001, 4326, 1.5, -2.0)
    assert meets(SqlType("geometry", -1), "bytea", source, pa.array([None, ewkb], pa.binary()))
    assert meets(SqlType("geometry", -1), "geometry", source, source)
    other = struct.pack("<BIIdd", 1, 0x20000001, 4327, 1.5, -2.0)
    assert not meets(SqlType("geometry", -1), "bytea", source, pa.array([None, other], pa.binary()))


def test_vectors_meet_as_their_numbers() -> None:
    source = pa.array(["[1.0000000e+000,2.5000000e-001]", None])
    kind = pa.list_(pa.float32())
    assert meets(SqlType("vector", -1), "_float4", source, pa.array([[1.0, 0.25], None], kind))
    assert not meets(SqlType("vector", -1), "_float4", source, pa.array([[1.0, 0.26], None], kind))
    assert not meets(SqlType("vector", -1), "vector", source, pa.array([[1.0], None], kind))


def test_dates_and_times_beyond_python_are_hashed_like_others() -> None:
    infinity = pa.array([2**63 - 1], pa.int64()).view(pa.timestamp("us"))
    last = pa.array([datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)], pa.timestamp("us"))
    assert not meets(SqlType("datetime2", scale=7), "timestamp", last, infinity)

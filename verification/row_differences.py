"""Rows of both sides that do not match → what a person reads: which keys, which columns, which values.

Rows are told apart by the hash of their key and compared by the hash of the whole row, so a table without a
key says as much as it can: how many rows are missing, extra or doubled, and what they look like. Values are
kept shortened, for the screen only.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from verification.checksums import Hashes, RowHasher, slices

#: keys or rows that are listed of each kind of difference
LISTED = 10
#: characters, or bytes, of a value that are shown
SHOWN = 40


@dataclass(frozen=True)
class Found:
    """Some rows of one side: their hashes (of the key, of the whole row, and rows × columns of the values), how
    often each is there, and the beginnings of their values. `is_cut` says that there were more than fit.
    """

    keys: Hashes
    rows: Hashes
    values: Hashes
    counts: npt.NDArray[np.int64]
    shown: pa.Table
    is_cut: bool = False

    def __len__(self) -> int:
        return len(self.keys)


def collect(
    hasher: RowHasher, columns: Sequence[pa.Array], is_wanted: npt.NDArray[np.bool_], most: int
) -> Found | None:
    """Those rows of a batch that belong to wanted parts of the table, up to `most` different ones; None for none."""
    parts: list[Found] = []
    for part in slices(columns):
        hashes = hasher.hash_rows(part)
        chosen = np.flatnonzero(is_wanted[hashes.buckets])
        if not len(chosen):
            continue
        _, first, counts = np.unique(hashes.rows[chosen], return_index=True, return_counts=True)
        chosen = chosen[first]
        shown = [_shortened(column).take(pa.array(chosen)) for column in part]
        parts.append(
            Found(
                hashes.keys[chosen], hashes.rows[chosen], hashes.values[:, chosen].T.copy(), counts,
                pa.table(shown, names=[f"c{column}" for column in range(len(shown))]),
            )
        )  # fmt: skip
    return together(parts, most)


def together(parts: Sequence[Found], most: int) -> Found | None:
    """The rows of all parts, equal ones counted as one, cut at `most` different ones; None for none."""
    if not parts:
        return None
    rows = np.concatenate([part.rows for part in parts])
    _, first, positions = np.unique(rows, return_index=True, return_inverse=True)
    counts = np.zeros(len(first), np.int64)
    np.add.at(counts, positions, np.concatenate([part.counts for part in parts]))
    is_cut = len(first) > most or any(part.is_cut for part in parts)
    first, counts = first[:most], counts[:most]
    return Found(
        np.concatenate([part.keys for part in parts])[first],
        rows[first],
        np.concatenate([part.values for part in parts])[first],
        counts,
        pa.concat_tables([part.shown for part in parts]).take(pa.array(first)).combine_chunks(),
        is_cut,
    )


def bytes_a_row(columns: int) -> int:
    """About what a row takes in Found."""
    return 64 + columns * (8 + SHOWN)


def _shortened(values: pa.Array) -> pa.Array:
    # One more than is shown, so that it can be told that something was left out.
    if pa.types.is_string(values.type):
        return pc.utf8_slice_codeunits(values, 0, SHOWN + 1)
    if pa.types.is_binary(values.type):
        return pc.binary_slice(values, 0, SHOWN + 1)
    return values


# -- what differs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One kind of difference: so many keys or rows, the first of them, and between which they lie."""

    words: str
    count: int
    first: tuple[str, ...]
    lowest: str | None = None
    highest: str | None = None

    def lines(self) -> list[str]:
        """For a person."""
        between = f", from {self.lowest} to {self.highest}" if self.lowest and self.count > 1 else ""
        left = self.count - len(self.first)
        more = [f"     … and {left:,} more"] if left > 0 and self.first else []
        return [f"   {self.words}{between}" + ":" * bool(self.first), *(f"     {line}" for line in self.first), *more]

    def without_values(self) -> Difference:
        """The same without keys and values."""
        return Difference(self.words, self.count, ())


def find_differences(
    names: Sequence[str], keys: Sequence[int], source: Found | None, target: Found | None
) -> list[Difference]:
    """What differs between the rows of both sides. `names` are the columns', `keys` the positions of the key's."""
    here, there = _Side(names, keys, source), _Side(names, keys, target)
    for row in set(here.counts) & set(there.counts):
        common = min(here.counts[row], there.counts[row])
        here.left[row] -= common
        there.left[row] -= common
    return _by_key(here, there) if keys else _by_row(here, there)


class _Side:
    """The rows of a side by their hashes; `left` is how often each is there beyond what the other side has too."""

    def __init__(self, names: Sequence[str], keys: Sequence[int], found: Found | None) -> None:
        self.names = names
        self.keys = keys
        self.found = found
        self.counts: dict[int, int] = {}
        self.position: dict[int, int] = {}
        self.by_key: defaultdict[int, list[int]] = defaultdict(list)
        if found is not None:
            rows = found.rows.tolist()
            self.counts = dict(zip(rows, found.counts.tolist(), strict=True))
            self.position = {row: position for position, row in enumerate(rows)}
            for row, key in zip(rows, found.keys.tolist(), strict=True):
                self.by_key[key].append(row)
        self.left = dict(self.counts)

    def rank(self) -> dict[int, int]:
        """The rank of each row in the order of the key's values."""
        if self.found is None:
            return {}
        order = [(f"c{column}", "ascending") for column in self.keys or range(len(self.names))]
        sorted_positions = pc.sort_indices(self.found.shown, sort_keys=order).to_pylist()
        rows = self.found.rows.tolist()
        return {rows[position]: rank for rank, position in enumerate(sorted_positions)}

    def key(self, row: int) -> str:
        """A row's key for a person."""
        return ", ".join(f"{self.names[column]} {self.value(row, column)}" for column in self.keys)

    def whole(self, row: int) -> str:
        """A whole row for a person."""
        return ", ".join(f"{name} {self.value(row, column)}" for column, name in enumerate(self.names))

    def value(self, row: int, column: int) -> str:
        """One value for a person."""
        assert self.found is not None
        return _written(self.found.shown.column(column)[self.position[row]])


def _by_key(here: _Side, there: _Side) -> list[Difference]:
    lost: list[int] = []
    extra: list[int] = []
    doubled: list[int] = []
    doubled_here: list[int] = []
    changed: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for key in dict.fromkeys([*here.by_key, *there.by_key]):
        ours, theirs = here.by_key.get(key, []), there.by_key.get(key, [])
        left = [row for row in ours if here.left[row] > 0]
        right = [row for row in theirs if there.left[row] > 0]
        if not theirs:
            lost += left
        elif not ours:
            extra += right
        for row, other in zip(left, right, strict=False) if ours and theirs else ():
            assert here.found is not None and there.found is not None
            unlike = here.found.values[here.position[row]] != there.found.values[there.position[other]]
            for column in np.flatnonzero(unlike).tolist():
                changed[column].append((row, other))
        if ours and sum(there.counts[row] for row in theirs) > sum(here.counts[row] for row in ours):
            doubled.append(theirs[-1])
        elif theirs and sum(here.counts[row] for row in ours) > sum(there.counts[row] for row in theirs):
            doubled_here.append(ours[-1])
    found = [
        _difference(here, lost, "only on the source (lost)", "key", here.key),
        _difference(there, extra, "only on the target", "key", there.key),
        _difference(there, doubled, "more often on the target (doubled)", "key", there.key),
        _difference(here, doubled_here, "more often on the source", "key", here.key),
    ]
    rank = here.rank() if changed else {}
    for column, pairs in sorted(changed.items()):
        pairs.sort(key=lambda pair: rank[pair[0]])
        first = tuple(
            f"{here.key(row)}: {_unlike(here.value(row, column), there.value(other, column))}"
            for row, other in pairs[:LISTED]
        )
        words = f"column {here.names[column]} differs in {_rows(len(pairs), 'row')}"
        ends = here.key(pairs[0][0]), here.key(pairs[-1][0])
        found.append(Difference(words, len(pairs), first, *ends))
    return [one for one in found if one is not None]


def _by_row(here: _Side, there: _Side) -> list[Difference]:
    lost = [row for row, left in here.left.items() if left > 0]
    more = [row for row, left in there.left.items() if left > 0]
    found = [
        _difference(here, lost, "only on the source, or more often there", "row", here.whole),
        _difference(there, [row for row in more if row not in here.counts], "only on the target", "row", there.whole),
        _difference(
            there, [row for row in more if row in here.counts], "more often on the target (doubled)", "row", there.whole
        ),
    ]
    return [one for one in found if one is not None]


def _difference(
    side: _Side, rows: list[int], words: str, unit: str, written: Callable[[int], str]
) -> Difference | None:
    if not rows:
        return None
    rank = side.rank()
    rows = sorted(rows, key=lambda row: rank[row])
    count = len(rows) if unit == "key" else sum(side.left[row] for row in rows)
    first = tuple(
        written(row) + (f" ({side.left[row]:,} times)" if side.left[row] > 1 else "") for row in rows[:LISTED]
    )
    ends = (written(rows[0]), written(rows[-1])) if unit == "key" else (None, None)
    return Difference(f"{_rows(count, unit)} {words}", count if unit == "key" else len(rows), first, *ends)


def _rows(count: int, unit: str) -> str:
    return f"{count:,} {unit}{'s' if count != 1 else ''}"


def _unlike(ours: str, theirs: str) -> str:
    if ours == theirs:
        return f"{ours} on both sides as far as it is shown"
    return f"{ours} on the source, {theirs} on the target"


def _written(value: pa.Scalar) -> str:
    kind = value.type
    if not value.is_valid:
        return "NULL"
    try:
        plain = value.as_py()
    except (ValueError, OverflowError):
        # Moments that Python has no date for: infinity, 24:00:00, years beyond 9999.
        return str(value.cast(pa.int64(), safe=False).as_py())
    if pa.types.is_string(kind):
        return repr(plain[:SHOWN]) + ("…" if len(plain) > SHOWN else "")
    if pa.types.is_binary(kind):
        return f"0x{plain[:SHOWN].hex()}" + ("…" if len(plain) > SHOWN else "")
    if pa.types.is_fixed_size_binary(kind):
        return str(uuid.UUID(bytes=plain))
    if pa.types.is_decimal(kind):
        return format(plain, "f")
    return str(plain)

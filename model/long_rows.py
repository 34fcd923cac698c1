"""Rows with values too large for a batch: how they travel between the reader and the loader.

A long value waits in a temporary file, which has no name and is gone with the process, so that a row may be
sent twice, and memory holds pieces only, whatever a value's size.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

import pyarrow as pa

#: bytes of a piece
PIECE_BYTES = 1 << 20
#: bytes of a long value that wait in memory; those beyond it go to the disk
SPOOL_BYTES = 4 << 20


@dataclass(frozen=True)
class LongValue:
    """A value as its bytes, text as UTF-8; `size` of them."""

    file: IO[bytes]
    size: int

    def pieces(self) -> Iterator[bytes]:
        """The bytes from the beginning, a piece at a time."""
        self.file.seek(0)
        while piece := self.file.read(PIECE_BYTES):
            yield piece


@dataclass(frozen=True)
class LongRow:
    """One row: `batch` holds it without its long values, `values` has those by their columns' positions."""

    batch: pa.RecordBatch
    values: Mapping[int, LongValue]

    @property
    def num_rows(self) -> int:
        """Like a batch's."""
        return 1


#: what a reader yields
Part = pa.RecordBatch | LongRow


def spool(pieces: Iterable[bytes]) -> LongValue:
    """A long value made of these bytes. Raises OSError where the disk has no room for it."""
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - lives as long as its value
    size = 0
    for piece in pieces:
        size += file.write(piece)
    return LongValue(file, size)

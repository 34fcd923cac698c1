"""What can be wrong with the source's answer to a query for rows, as errors that say it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from db import odbc_diagnosis
from model.catalog import Column
from model.errors import DescriptionError, SourceError, UnknownNumberError
from mssql.descriptions import NEXT_STEP

#: rows that @@ROWCOUNT, an int, is sure to count
MOST_COUNTED = 2_000_000_000
OUTGROWN = "a value grew on the source after it was measured"


def source_error(error: BaseException) -> SourceError:
    """A driver's error as one of the source."""
    found = odbc_diagnosis(error)
    if has_outgrown(error):
        return SourceError(OUTGROWN, is_temporary=True)
    if "Timestamp is not representable in arrow" in found.words:
        return SourceError("a date and time on the source left the range that was measured", is_temporary=True)
    return SourceError(found.words, found.is_temporary, found.numbers)


def has_outgrown(error: BaseException) -> bool:
    """Whether a driver's error says that a value is longer than the room that was bound for it."""
    return "too large to be written into the allocated buffer" in odbc_diagnosis(error).words


@contextmanager
def naming(column: Column) -> Iterator[None]:
    """Whatever is wrong with a column's values is told with its name."""
    try:
        yield
    except (UnknownNumberError, DescriptionError) as error:
        raise SourceError(str(error)) from None
    except (pa.ArrowException, ValueError, ArithmeticError) as error:
        raise not_as_declared(column, error) from None


def not_as_declared(column: Column, error: Exception) -> SourceError:
    """What to say of a value that its column's declared type does not have."""
    return SourceError(
        f"column {column.name}: a value of it is no {column.type} as the catalog declares it: {error}. {NEXT_STEP}"
    )


def count_query(arrived: int) -> str:
    """What asks how many rows the server sent in answer to the connection's query before, of which so many arrived."""
    return f"SELECT sent = {'@@ROWCOUNT' if arrived <= MOST_COUNTED else 'ROWCOUNT_BIG()'}"


def refuse_short(arrived: int, sent: Sequence[int]) -> None:
    """Raise SourceError unless the rows that arrived are all that the server sent.

    Drivers that fetch rows in blocks can end a result too early without a word: FreeTDS at an error of the
    server in mid-result, Microsoft's where the connection breaks between two rows.
    """
    if not sent:
        raise SourceError("the rows that were sent cannot be counted: no answer", is_temporary=True)
    if sent[0] != arrived:
        raise SourceError(f"the source's answer broke off: {arrived:,} rows arrived, {sent[0]:,} sent", True)

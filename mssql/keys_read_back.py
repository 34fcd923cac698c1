"""Whether the source reads recorded keys as what they are, so that a row which is not found by one is really gone.

A key that it reads otherwise finds no row, or another one: its column is of another code page since, say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import arrow_odbc
from arrow_odbc import TextEncoding

from model.catalog import Table
from mssql.answers import source_error
from mssql.chunk_keys import chunk_key, pick
from type_mapping import traits_of


def misread_keys(connection: Any, table: Table, keys: Sequence[Mapping[str, object]]) -> list[int]:
    """The positions of those keys whose texts the source reads as other texts than were written down.

    Trailing blanks do not count, as they do not in T-SQL's comparisons. Of the other types nothing gets lost: their
    literals are plain ASCII. `connection` is an arrow-odbc one. Raises SourceError, and KeyError where the table's key
    is another now.
    """
    positions = [number for number, column in enumerate(chunk_key(table)) if traits_of(column.type).key == "text"]
    if not positions or not keys:
        return []
    picked = pick(table, keys)
    query = read_back([[key[position] for position in positions] for key in picked.keys])
    names = [picked.columns[position] for position in positions]
    try:
        batches = connection.read_arrow_batches(query, batch_size=100, payload_text_encoding=TextEncoding.UTF16)
        rows = [row for batch in batches for row in batch.to_pylist()]
    except arrow_odbc.Error as error:
        raise source_error(error) from None
    return [
        row["n"]
        for row in rows
        if any(
            row[f"k{place}"].rstrip(" ") != str(keys[row["n"]][name]).rstrip(" ") for place, name in enumerate(names)
        )
    ]


def read_back(keys: Sequence[Sequence[str]]) -> str:
    """A query for the texts that literals stand for: a row of k0, k1, … for each key, by its number n."""
    return " UNION ALL ".join(
        f"SELECT {number} AS n, "
        + ", ".join(f"CAST({text} AS nvarchar(4000)) AS k{place}" for place, text in enumerate(texts))
        for number, texts in enumerate(keys)
    )

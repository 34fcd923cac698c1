"""A connection by an access token, which answers as arrow-odbc's do, value by value.

arrow-odbc opens its connections by a connection string alone, and a token is in none: it is an attribute that is set
before (Microsoft, "Using Microsoft Entra ID with the ODBC Driver"). So what is read by one goes through ODBC itself,
every value by a call of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import arrow_odbc
import pyarrow as pa

from model.errors import OdbcError
from model.settings import Settings
from mssql import odbc_client


class RefusedError(arrow_odbc.Error):  # type: ignore[misc]
    """The driver or the server refused, for those who expect arrow-odbc's own error."""

    def __init__(self, words: str) -> None:
        # arrow-odbc's takes a handle of its library.
        Exception.__init__(self, words)


class TokenConnection:
    """Answers queries as an arrow-odbc connection does. It closes when nothing refers to it."""

    def __init__(self, settings: Settings) -> None:
        """Raises UnreachableError."""
        self._life = odbc_client.connect(settings)
        #: the connection itself, for rows
        self.by_value = self._life.__enter__()

    def execute(self, statement: str) -> None:
        """Run a statement that answers nothing. Raises RefusedError."""
        try:
            self.by_value.execute(statement)
        except OdbcError as error:
            raise RefusedError(str(error)) from None

    def read_arrow_batches(
        self,
        query: str,
        batch_size: int,
        map_schema: Callable[[pa.Schema], pa.Schema] | None = None,
        **_of_buffers: Any,
    ) -> Iterator[pa.RecordBatch]:
        """A query's rows in batches, in the types that `map_schema` makes of the offered ones; nothing is bound, so the
        sizes of buffers do not count.

        Raises RefusedError.
        """
        schema = pa.schema([])

        def note(offered: pa.Schema) -> None:
            nonlocal schema
            schema = offered if map_schema is None else map_schema(offered)

        rows: list[list[Any]] = []
        try:
            for row in self.by_value.rows(query, note):
                rows.append([_value(row, kind) for kind in schema.types])
                if len(rows) >= batch_size:
                    yield _batch(rows, schema)
                    rows = []
        except OdbcError as error:
            raise RefusedError(str(error)) from None
        if rows:
            yield _batch(rows, schema)


def _value(row: odbc_client.Row, kind: pa.DataType) -> Any:
    if pa.types.is_string(kind):
        wide = row.pieces(odbc_client.WIDE)
        return None if wide is None else b"".join(odbc_client.Utf8(wide)).decode("utf-8")
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raw = row.pieces(odbc_client.BINARY)
        return None if raw is None else b"".join(raw)
    return row.value(kind)


def _batch(rows: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), schema.types, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)

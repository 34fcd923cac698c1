"""A connection by an access token, which answers as arrow-odbc's do.

arrow-odbc opens its connections by a connection string alone, and a token is in none: it is an attribute that is set
before (Microsoft, "Using Microsoft Entra ID with the ODBC Driver"). So what is read by one goes through ODBC itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import arrow_odbc
import pyarrow as pa

from model.errors import OdbcError
from model.settings import Settings
from mssql import odbc_client
from mssql.bound_columns import Bound, bind
from mssql.odbc_client import Described, schema_of


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
        max_text_size: int | None = None,
        max_binary_size: int | None = None,
        **_of_arrow_odbc: Any,
    ) -> Iterator[pa.RecordBatch]:
        """A query's rows in batches, in the types that `map_schema` makes of the offered ones.

        A text has at most `max_text_size` UTF-16 units, a binary so many bytes, or what is declared where that is less.
        Raises RefusedError.
        """
        schema = pa.schema([])
        columns: list[Bound] = []

        def bound(described: list[Described]) -> list[Bound]:
            nonlocal schema
            offered = schema_of(described)
            schema = offered if map_schema is None else map_schema(offered)
            for kind, one in zip(schema.types, described, strict=True):
                columns.append(bind(kind, one, batch_size, max_text_size, max_binary_size))
            return columns

        try:
            for count in self.by_value.blocks(query, batch_size, bound):
                yield pa.RecordBatch.from_arrays([column.array(count) for column in columns], schema=schema)
        except OdbcError as error:
            raise RefusedError(str(error)) from None

"""What is read of a table, and what it is read through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from model.catalog import Column, Table
from model.changes import Kind
from model.errors import SourceError
from model.ranges import WHOLE_TABLE, Chunk, Picked
from model.settings import Settings
from mssql import odbc_client
from mssql.native_numbers import RawNumbers
from mssql.quoting import quote, quote_table
from mssql.token_connection import TokenConnection
from mssql.where import where_clause
from mssql.wires import Wires
from type_mapping import has_seventh_digit, read_type, select_expression

#: told how a value was changed, of which column (by its position), in how many values
OnChange = Callable[[Kind, int, int], None]


@dataclass(frozen=True)
class SourceConnections:
    """Connections to the source: `connection` is an arrow-odbc one, or one by an access token.

    `by_value` serves where another kind is needed; one is opened where it is not given, whose wire is one of `wires`.
    """

    connection: Any
    settings: Settings
    by_value: odbc_client.Connection | None = None
    wires: Wires = field(default_factory=Wires)

    def second_connection(self) -> AbstractContextManager[odbc_client.Connection]:
        """What reads value by value.

        Raises SourceError where there is none and none may be opened; opening one raises UnreachableError,
        CancelledError.
        """
        if self.by_value is not None:
            return nullcontext(self.by_value)
        if isinstance(self.connection, TokenConnection):
            return nullcontext(self.connection.by_value)
        if self.settings.source.closed_because is not None:
            # This table's failure alone: the connection that reads in batches stands, and serves the others.
            raise SourceError(
                f"rows with values too large to bind, with broken text, or with names beyond the basic plane take a "
                f"second connection; {self.settings.source.closed_because}"
            )
        return self._another()

    @contextmanager
    def _another(self) -> Iterator[odbc_client.Connection]:
        with ExitStack() as life:
            yield self.wires.opened(
                lambda: life.enter_context(odbc_client.connect(self.settings)), odbc_client.Connection.ask
            )


@dataclass(frozen=True)
class WantedRows:
    """The rows of a chunk of a table, with these columns in this order, as the catalog has them.

    `raw` are the numbers that a connection is asked for in the driver's own form.
    """

    table: Table
    columns: tuple[Column, ...]
    chunk: Chunk | Picked = WHOLE_TABLE
    raw: RawNumbers = field(default_factory=dict)

    @property
    def quoted_table(self) -> str:
        """The table as SQL spells it."""
        return quote_table(self.table.schema, self.table.name)

    @property
    def rows(self) -> str:
        """What stands behind FROM."""
        return f"{self.quoted_table}{where_clause(self.chunk)}"


@dataclass(frozen=True)
class Form:
    """The columns as the driver describes them, or, while `is_promised`, as the catalog does; their raw numbers."""

    columns: tuple[Column, ...]
    raw: RawNumbers
    is_promised: bool = False


@dataclass(frozen=True)
class Reading:
    """One reading of wanted rows. `on_change` is told of values that lost something on their way."""

    source: SourceConnections
    wanted: WantedRows
    on_change: OnChange | None = None

    def tell(self, kind: Kind, position: int, values: int) -> None:
        """Tell of values that were changed, if anybody wants to know."""
        if self.on_change is not None:
            self.on_change(kind, position, values)


def expression_of(column: Column) -> str:
    """What selects a column without loss."""
    return select_expression(column, quote(column.source_name))


def select_list(columns: Sequence[Column]) -> str:
    """The SELECT list that reads the columns without loss, in their order.

    Results are named c0, c1, …: drivers hand a column's name over in encodings of their own. The alias stands in
    front, as in the catalog's queries.
    """
    return ", ".join(f"c{position} = {expression_of(column)}" for position, column in enumerate(columns))


def is_cut(column: Column) -> bool:
    """Whether a seventh digit may be lost: not of a column that holds only a datetimeoffset's offset."""
    return has_seventh_digit(column.type) and pa.types.is_temporal(read_type(column))

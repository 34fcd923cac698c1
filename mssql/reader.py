"""A table's rows → Arrow record batches, in native code (arrow-odbc), with bounded memory.

Nothing depends on the locale that a shell or cron gives: values cross as UTF-16, and for the text of
queries, which the drivers take in the locale's encoding, one of UTF-8 is chosen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import arrow_odbc
import pyarrow as pa

from db import choose_utf8_locale, login_timeout, probe_port, source_unreachable
from model.errors import DescriptionError, OtherwiseDescribedError, SourceError
from model.long_rows import Part
from model.settings import Settings
from mssql import descriptions, native_numbers
from mssql.answers import source_error
from mssql.block_reader import measure, read_in_blocks, row_bytes
from mssql.descriptions import NEXT_STEP
from mssql.quoting import is_beyond_basic_plane
from mssql.token_connection import TokenConnection
from mssql.value_reader import read_value_by_value
from mssql.wanted_rows import Form, OnChange, Reading, SourceConnections, WantedRows, select_list

#: a row whose buffers would take more bytes than this is read value by value
LARGEST_BOUND_ROW = 4 * 1024 * 1024


def connect(settings: Settings) -> Any:
    """An arrow-odbc connection, or what answers like one where an access token logs in. Raises UnreachableError."""
    if settings.source.token is not None:
        return TokenConnection(settings)
    choose_utf8_locale()
    probe_port(settings.source)
    try:
        return arrow_odbc.connect(settings.source.connection_string, login_timeout_sec=login_timeout(settings.source))
    except arrow_odbc.Error as error:
        raise source_unreachable(settings, error) from None


def ask(connection: Any, query: str) -> None:
    """Have such a connection answer a query, whatever the answer is. Raises arrow_odbc.Error."""
    for _ in connection.read_arrow_batches(query, batch_size=1):
        pass


def read_batches(source: SourceConnections, wanted: WantedRows, on_change: OnChange | None = None) -> Iterator[Part]:
    """The wanted rows as record batches of at most BATCH_SIZE rows, columns in the given order.

    A batch is smaller where its rows are wide, and where a row may be too large to be bound at all, rows are
    read value by value, those with long values one by one: so memory stays bounded. `on_change` is told of values
    that lost something on their way; counting them may take another query. Raises SourceError, and UnreachableError
    where a second connection cannot be had.
    """
    reading = Reading(source, wanted, on_change)
    form = Form(wanted.columns, wanted.raw, is_promised=True)
    # What expressions hide is described first, the columns as they are selected second.
    for _ in range(3):
        described = yield from _as_described(reading, form)
        if described is None:
            return
        form = described
    raise SourceError(f"the driver describes the table's columns otherwise each time. {NEXT_STEP}")


def _as_described(reading: Reading, form: Form) -> Generator[Part, None, Form | None]:
    """The rows; or none, and the form in which the driver describes them, where that is another one."""
    try:
        yield from _parts(reading, form)
    except OtherwiseDescribedError as found:
        # Not read here, since what is being handled keeps the query open.
        return Form(found.columns, native_numbers.forms_of(found.columns) if form.raw else form.raw)
    except DescriptionError as error:
        raise SourceError(str(error)) from None
    return None


def _parts(reading: Reading, form: Form) -> Iterator[Part]:
    connection, rows = reading.source.connection, reading.wanted.rows
    if is_beyond_basic_plane(f"{rows}{select_list(form.columns)}"):
        yield from read_value_by_value(reading, form)
        return
    if form.is_promised:
        _describe_bare(connection, reading.wanted)
    bounds = measure(connection, form.columns, rows)
    if row_bytes(form.columns, bounds) > LARGEST_BOUND_ROW:
        yield from read_value_by_value(reading, form)
    else:
        yield from read_in_blocks(reading, form, bounds)


def _describe_bare(connection: Any, wanted: WantedRows) -> None:
    """Hold against the catalog those columns whose own description an expression hides."""
    hidden = descriptions.bare(wanted.columns)
    if not hidden:
        return
    offered: list[pa.DataType] = []

    def note(schema: pa.Schema) -> pa.Schema:
        offered.extend(schema.types)
        return schema

    query = descriptions.bare_query(wanted.columns, hidden, wanted.quoted_table)
    try:
        for _ in connection.read_arrow_batches(query, batch_size=1, map_schema=note):
            pass
    except arrow_odbc.Error as error:
        raise source_error(error) from None
    descriptions.hold_bare_against(wanted.columns, hidden, offered)

"""A PostgreSQL table's rows → Arrow record batches, in native code (ADBC's driver), with bounded memory.

The driver sends `COPY (SELECT …) TO STDOUT (FORMAT binary)` and decodes the stream into columns. It is not
the library that loads rows, so a fault of that one does not hide here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import adbc_driver_manager
import psycopg2.extensions
import pyarrow as pa
from adbc_driver_postgresql import StatementOptions
from adbc_driver_postgresql import dbapi as postgresql

from db import SET_SESSION, target_advice
from model.errors import TargetError, UnreachableError, is_temporary_sqlstate
from model.settings import Settings
from postgres.introspection import TargetColumn, TargetTable
from postgres.names import TargetName, quote

#: about so many bytes of rows become one batch; a larger row is a batch of its own
BATCH_BYTES = 4 * 1024 * 1024
#: what stands before the SHA-256 of a value that is too long to be sent whole
DIGEST_MARK = b"sha256:"
#: 8-kB blocks of a table that are read in one go
BLOCKS_A_RANGE = 8192
BLOCK_BYTES = 8192

#: base type (`pg_type.typname`) → the expression that reads a column of it, `{c}` its quoted name, `{s}` the
#: schema of an extension's type where it needs to be named. Casting character(n) to text drops the blanks that
#: it is padded with (PostgreSQL, "Character Types"). A geometry is its SRID and well-known binary (PostGIS,
#: "ST_AsBinary"), as the source gives it.
EXPRESSIONS: Mapping[str, str] = {
    **dict.fromkeys(("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "time"), "{c}"),
    **dict.fromkeys(("timestamp", "timestamptz", "text", "varchar", "bytea", "uuid"), "{c}"),
    **dict.fromkeys(("bpchar", "citext", "xml", "json", "jsonb"), "{c}::text"),
    "geometry": "int4send({s}ST_SRID({c})) || {s}ST_AsBinary({c}, 'NDR')",
    "geography": "int4send({s}ST_SRID({c}::{s}geometry)) || {s}ST_AsBinary({c}, 'NDR')",
    "_float4": "{c}",
    "vector": "{c}::real[]",
}


@dataclass(frozen=True)
class BlockRange:
    """The rows in a table's blocks from `first` on, up to `end` (None: to the last one, whatever it is)."""

    first: int = 0
    end: int | None = None


def connect(settings: Settings) -> Any:
    """An ADBC connection with the same settings as every other (`db.connect_target`). Raises UnreachableError."""
    parameters = {**settings.target.parameters, "client_encoding": "UTF8"}
    # The driver reads the catalog before anybody can set anything: names without a schema, functions by their text,
    # in a transaction that stands still in between.
    before = "-c search_path=pg_catalog -c quote_all_identifiers=off -c idle_in_transaction_session_timeout=0"
    options = f"{parameters.get('options', '')} {before}".strip()
    guarded = {**parameters, "options": options}
    connection: Any = None
    try:
        try:
            connection = postgresql.connect(psycopg2.extensions.make_dsn(**guarded))
        except adbc_driver_manager.Error as error:
            # A pooler may pass no options on.
            if "startup parameter" not in str(error):
                raise
            connection = postgresql.connect(psycopg2.extensions.make_dsn(**parameters))
        with connection.cursor() as cursor:
            cursor.execute(SET_SESSION)
            # The driver runs it while it is read.
            cursor.fetchall()
        connection.commit()
        return connection
    except adbc_driver_manager.Error as error:
        if connection is not None:
            disconnect(connection)
        words = settings.secrets.hide(_words(error))
        raise UnreachableError(
            f"PostgreSQL {settings.target.label} cannot be used: {words}\n{target_advice(words)}"
        ) from None


def disconnect(connection: Any) -> None:
    """Close a connection, whatever state it is in."""
    with suppress(adbc_driver_manager.Error, RuntimeError):
        connection.close()


def cancel(connection: Any) -> None:
    """Have the server end the query of a connection that another thread waits for, but does not close meanwhile."""
    with suppress(adbc_driver_manager.Error):
        connection.adbc_cancel()


def block_ranges(connection: Any, tables: Iterable[TargetName]) -> dict[TargetName, tuple[BlockRange, ...]]:
    """Ranges of about equal size that together hold all rows of each table. Raises psycopg2.Error.

    Of a partitioned table each range is one of every partition, by the size of all. `connection` is a psycopg2 one.
    """
    found: dict[TargetName, tuple[BlockRange, ...]] = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(
                "SELECT coalesce(max(pg_relation_size(relid)), 0) FROM ("
                " SELECT relid FROM pg_partition_tree(%(table)s::regclass) WHERE isleaf"
                " UNION SELECT %(table)s::regclass) AS parts",
                {"table": table.quoted},
            )
            (size,) = cursor.fetchone()
            starts = list(range(0, max(1, -(-size // BLOCK_BYTES)), BLOCKS_A_RANGE))
            found[table] = tuple(BlockRange(first, end) for first, end in zip(starts, [*starts[1:], None], strict=True))
    connection.rollback()
    return found


def count_rows(connection: Any, table: TargetTable) -> int:
    """The rows of a table, as PostgreSQL counts them; `connection` is an ADBC one. Raises TargetError."""
    return sum(int(batch.column(0)[0].as_py()) for batch in _query(connection, f"SELECT count(*) FROM {table.rows}"))


@dataclass(frozen=True)
class Wanted:
    """A column to read. Of its values beyond `longest_whole` bytes (None: there is no bound) only a digest comes."""

    column: TargetColumn
    longest_whole: int | None = None

    @property
    def expression(self) -> str:
        """What is selected. PostgreSQL, "Binary String Functions": sha256."""
        kind = self.column.base_type
        value = EXPRESSIONS[kind].replace("{c}", quote(self.column.name)).replace("{s}", _schema_of(self.column))
        if self.longest_whole is None:
            return value
        if kind == "bytea":
            digest = f"'{DIGEST_MARK.decode()}'::bytea || sha256({value})"
        else:
            digest = f"'{DIGEST_MARK.decode()}' || encode(sha256(convert_to({value}, 'UTF8')), 'hex')"
        return f"CASE WHEN octet_length({value}) > {self.longest_whole} THEN {digest} ELSE {value} END"


def read_batches(
    connection: Any, table: TargetTable, columns: Sequence[Wanted], blocks: BlockRange
) -> Iterator[pa.RecordBatch]:
    """The rows of a range of a table as record batches, columns in the given order.

    `connection` is an ADBC one. Raises TargetError.
    """
    expressions = ", ".join(f"{column.expression} AS c{position}" for position, column in enumerate(columns))
    conditions = [f"ctid >= '({blocks.first},0)'::tid"] if blocks.first else []
    if blocks.end is not None:
        conditions.append(f"ctid < '({blocks.end},0)'::tid")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    yield from _query(connection, f"SELECT {expressions} FROM {table.rows}{where}")


def _schema_of(column: TargetColumn) -> str:
    """The schema before a type's name, with its dot, where `format_type` had to write it."""
    schema, dot, _ = column.type.partition("(")[0].rpartition(".")
    return schema + dot


def _query(connection: Any, sql: str) -> Iterator[pa.RecordBatch]:
    try:
        options = {StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)}
        with connection.cursor(adbc_stmt_kwargs=options) as cursor:
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()
        connection.rollback()
    except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
        raise _target_error(error) from None


def _target_error(error: BaseException) -> TargetError:
    words, state = _words(error), getattr(error, "sqlstate", None)
    # Errors in mid-stream carry no SQLSTATE; the server's own say so, a lost connection does not.
    is_temporary = is_temporary_sqlstate(state) if state else "ERROR:" not in words
    return TargetError(words, is_temporary)


def _words(error: BaseException) -> str:
    """The server's words, without the query and the driver's own tags."""
    text = re.sub(r"\s*(LINE \d+:.*)?\n\s*Query was:.*?(?=\. SQLSTATE:|$)", "", str(error), flags=re.DOTALL)
    text = re.sub(r"^[A-Z_]+: |\[libpq\] |Failed to (prepare|execute) query: (could not begin COPY: )?", "", text)
    return " ".join(re.sub(r"Execution error \[\w+\]: |ERROR: +(?=.*SQLSTATE)", "", text).split())

"""Queries: translated, admitted, and their rows sent while DuckDB still produces them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, repeat

import pyarrow as pa

from model.catalog import SqlType
from standin.activity import REQUESTS, SESSIONS, Client
from standin.errors import SqlError
from standin.faults import Interruption
from standin.parameters import Parameter
from standin.quoting import quote
from standin.relations import Relation
from standin.session.answer import ROW
from standin.session.session import Session
from standin.session.transactions import before_query
from standin.storage import from_duckdb
from standin.tsql import Facts, Translation, translate
from standin.tsql.values import numbered
from standin.wire import WireType, column_metadata, wire_type

VERSION_TEXT = (
    "Microsoft SQL Server 2022 - 16.0.4135.4 (X64), answered by the stand-in: a TDS server for demos and tests"
)
_BATCH_ROWS = 8192
#: the compatibility level from which on OFFSET and FETCH are understood
_OFFSET_LEVEL = 110
_OFFSET = re.compile(r"\bOFFSET\s+\d+\s+ROWS\b", re.I)
_NO_LOCK = re.compile(r"\bWITH\s*\([^)]*\b(NOLOCK|READUNCOMMITTED)\b", re.I)
_TABLE_LOCK = re.compile(r"\bTABLOCK(X?)\b[^)]*\)", re.I)


def run_query(session: Session, text: str, variables: Mapping[str, Parameter]) -> int:
    """Answers a query. Returns the number of its rows."""
    with session.source.activity.requesting(session.spid) as client:
        return _run(session, text, variables, client)


def _run(session: Session, text: str, variables: Mapping[str, Parameter], client: Client) -> int:
    if session.source.compatibility_level < _OFFSET_LEVEL and _OFFSET.search(text):
        raise SqlError(102, "Incorrect syntax near 'OFFSET'.", 15)
    query = translation_of(session, text, variables)
    interruption = session.source.admit(query.tables)
    wires = wire_types(session, query)
    _lock_tables(session, text, query)
    _wait_for_writers(session, text, query, client)
    before_query(session, query.tables)
    with _activity_shown(session, query.tables):
        return _answer(session, query, wires, interruption)


def _answer(session: Session, query: Translation, wires: Sequence[WireType], interruption: Interruption | None) -> int:
    listed = ", ".join(wire.projection.format(f"c{number}") for number, wire in enumerate(wires, 1))
    relation = session.duck.sql(
        f"SELECT {listed} FROM ({query.sql}) AS sent({numbered(len(wires))})", params=list(query.binds)
    )
    session.answer.write(
        column_metadata(
            [
                (output.name, wire, output.is_nullable, output.table)
                for output, wire in zip(query.outputs, wires, strict=True)
            ]
        )
    )
    if session.state.is_format_only:
        return 0
    reader = relation.to_arrow_reader(_BATCH_ROWS)
    try:
        return _send_rows(session, reader, wires, interruption)
    finally:
        # DuckDB refuses the next query of a connection while a result of it is open.
        reader.close()


def computed(
    session: Session, name: str, kind: SqlType, expression: str, variables: Mapping[str, Parameter]
) -> Parameter:
    """A variable with the value of an expression."""
    query = translation_of(session, f"SELECT CAST({expression} AS {kind})", variables)
    found = session.duck.execute(query.sql, list(query.binds)).fetchall()
    return Parameter(name, kind, found[0][0] if found else None)


def translation_of(session: Session, text: str, variables: Mapping[str, Parameter]) -> Translation:
    """A query in DuckDB's SQL."""
    facts = Facts(
        database=session.database,
        login=session.login,
        program=session.program,
        spid=session.spid,
        version_text=VERSION_TEXT,
        properties=session.source.properties,
        transactions=session.state.transactions,
        row_count=session.state.row_count,
    )
    return translate(session.source.parsed(text), session.source.relations, facts, variables)


def wire_types(session: Session, query: Translation) -> list[WireType]:
    """How each column of a query is sent; where T-SQL's type is not known, DuckDB is asked for its own."""
    kinds = [output.kind for output in query.outputs]
    if None in kinds:
        found = session.duck.sql(query.sql, params=list(query.binds)).types
        kinds = [from_duckdb(str(duck)) if kind is None else kind for kind, duck in zip(kinds, found, strict=True)]
    wires = []
    for kind, output in zip(kinds, query.outputs, strict=True):
        assert kind is not None
        wire = wire_type(kind, output.collation)
        wires.append(wire.required() if output.table and not output.is_nullable else wire)
    return wires


def _lock_tables(session: Session, text: str, query: Translation) -> None:
    hint = _TABLE_LOCK.search(text)
    if not hint:
        return
    lasts = bool(session.state.transactions) and ("HOLDLOCK" in hint[0].upper() or bool(hint[1]))
    for table in query.tables:
        session.source.locks.take(table, session.spid, is_exclusive=bool(hint[1]), lasts=lasts)


def _wait_for_writers(session: Session, text: str, query: Translation, client: Client) -> None:
    """Reading waits for whoever has locked a table for writing, where it locks at all."""
    is_of_a_moment = session.state.isolation in ("READ UNCOMMITTED", "SNAPSHOT") or _NO_LOCK.search(text)
    if is_of_a_moment or session.database.lower() in session.source.snapshots:
        return

    def waits_for(blocker: int) -> None:
        client.blocker = blocker
        session.stop_if_cancelled()

    for table in query.tables:
        session.source.locks.wait(table, session.spid, waits_for)


@contextmanager
def _activity_shown(session: Session, tables: Iterable[Relation]) -> Iterator[None]:
    """Fill views of what sessions do, for one query of this session alone: nothing of it is committed."""
    views = {table.name for table in tables if table.schema == "sys"} & {SESSIONS, REQUESTS}
    if not views:
        yield
        return
    seen_by = None if session.source.shows_all_sessions else session.spid
    if not session.state.has_snapshot:
        session.duck.execute("BEGIN TRANSACTION")
    try:
        for view in views:
            for row in session.source.activity.rows(view, seen_by):
                listed = ", ".join(f"? AS {quote(name)}" for name in row)
                session.duck.execute(f"INSERT INTO sys.{view} BY NAME SELECT {listed}", list(row.values()))
        yield
    finally:
        if session.state.has_snapshot:
            for view in views:
                session.duck.execute(f"DELETE FROM sys.{view}")
        else:
            session.duck.execute("ROLLBACK")


def _send_rows(
    session: Session, batches: Iterable[pa.RecordBatch], wires: Sequence[WireType], interruption: Interruption | None
) -> int:
    sent = 0
    for whole in batches:
        batch = whole if interruption is None else whole.slice(0, interruption.after_rows - sent)
        if batch.num_rows:
            columns = [wire.encode_array(column) for wire, column in zip(wires, batch.columns, strict=True)]
            session.answer.write(b"".join(chain.from_iterable(zip(repeat(ROW), *columns))))
            sent += batch.num_rows
        session.stop_if_cancelled()
        if interruption is not None and sent >= interruption.after_rows:
            break
    if interruption is not None:
        if not isinstance(interruption.exception, SqlError):
            session.answer.flush()
        raise interruption.exception
    return sent

"""Transactions: how they begin and end, and what they see."""

from __future__ import annotations

from collections.abc import Sequence

from pysqlbridge.tds import (
    EnvChangeType,
    TransactionRequestType,
    env_change,
    parse_transaction_request,
    skip_all_headers,
)

from standin.errors import SqlError
from standin.relations import Relation
from standin.session.session import Session, State

#: `sys.dm_exec_sessions.transaction_isolation_level` of it
READ_COMMITTED = 2


def begin(session: Session) -> None:
    """BEGIN TRANSACTION; one within another only counts."""
    state = session.state
    state.transactions += 1
    if state.transactions == 1:
        state.descriptor = session.new_descriptor()
        session.answer.write(env_change(EnvChangeType.BEGIN_TRAN, state.descriptor, b""))


def commit(session: Session) -> None:
    """COMMIT of the innermost transaction; without one nothing happens."""
    session.answer.write(_end(session, EnvChangeType.COMMIT_TRAN, left=session.state.transactions - 1))


def roll_back(session: Session) -> None:
    """ROLLBACK of all transactions; without one nothing happens."""
    session.answer.write(_end(session, EnvChangeType.ROLLBACK_TRAN, left=0))


def reset(session: Session) -> None:
    """The session is as new, and the client is not told."""
    _end(session, EnvChangeType.ROLLBACK_TRAN, left=0)
    session.state = State()
    session.source.activity.set_isolation(session.spid, READ_COMMITTED)


def _end(session: Session, change: EnvChangeType, *, left: int) -> bytes:
    state = session.state
    if not state.transactions:
        return b""
    state.transactions = left
    if left:
        return b""
    session.source.locks.release(session.spid)
    if state.has_snapshot:
        session.duck.execute("ROLLBACK")
        state.has_snapshot = False
    token: bytes = env_change(change, b"", state.descriptor or b"\0" * 8)
    state.descriptor = None
    return token


def before_query(session: Session, tables: Sequence[Relation]) -> None:
    """What a first query of tables does to the transaction: begins an implicit one, takes the snapshot."""
    state = session.state
    if not tables:
        return
    if state.is_implicit and not state.transactions:
        begin(session)
    if state.transactions and state.isolation == "SNAPSHOT" and not state.has_snapshot:
        session.duck.execute("BEGIN TRANSACTION")
        state.has_snapshot = True


def answer_request(session: Session, payload: bytes) -> None:
    """A message of the transaction manager, by which drivers begin and end transactions."""
    request = parse_transaction_request(payload, session.tds_version)
    if request.kind is TransactionRequestType.BEGIN_XACT:
        at = skip_all_headers(payload, session.tds_version) + 2
        if payload[at : at + 1] == b"\x05":
            session.state.isolation = "SNAPSHOT"
        begin(session)
    elif request.kind is TransactionRequestType.COMMIT_XACT:
        commit(session)
    elif request.kind is TransactionRequestType.ROLLBACK_XACT:
        roll_back(session)
    elif request.kind is not TransactionRequestType.SAVE_XACT:
        raise SqlError(50000, "The stand-in does not support distributed transactions.")
    session.answer.done()

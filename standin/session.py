"""One client's connection to the stand-in: TDS messages in, token streams out.

pysqlbridge does the framing, the TLS tunnel and the login packet. What is added here: rows are sent
while DuckDB still produces them, prepared statements, transactions, and attention (cancel).
"""

from __future__ import annotations

import hmac
import re
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from pysqlbridge.tds import (
    Connection,
    ConnectionState,
    DoneStatus,
    Encryption,
    EnvChangeType,
    PacketStatus,
    PacketType,
    Prelogin,
    TdsProtocolError,
    TlsTunnel,
    TransactionRequestType,
    Version,
    build_packet,
    done,
    env_change,
    info,
    login_response,
    parse_sql_batch,
    parse_transaction_request,
    reassemble,
    server_response,
    skip_all_headers,
)
from pysqlbridge.tds import error as error_token
from pysqlbridge.tds.login import Login7, deobfuscate_password
from pysqlbridge.tds.packet import next_session_id
from pysqlbridge.tds.token import negotiate

from model.catalog import SqlType
from standin.errors import EncodingError, SqlError
from standin.parameters import Parameter
from standin.quoting import quote
from standin.relations import Relation
from standin.storage import from_duckdb
from standin.tsql import Facts, Translation, split_batch, translate
from standin.type_names import INT, named_type
from standin.wire import WireType, column_metadata, read_request, wire_type

if TYPE_CHECKING:
    from standin.server import StandIn

VERSION = Version(16, 0, 4135)
VERSION_TEXT = (
    "Microsoft SQL Server 2022 - 16.0.4135.4 (X64), answered by the stand-in: a TDS server for demos and tests"
)
_BATCH_ROWS = 8192
_FLUSH_BYTES = 1 << 17
_SELECT_COMMAND = 0xC1
_IN_PROCEDURE, _PROCEDURE = b"\xff", b"\xfe"

#: A fault's number that closes the connection instead of sending an error.
DROP = -1


class ConnectionDroppedError(Exception):
    """A fault asked for the connection to be closed without a word."""


class _CancelledError(Exception):
    """The client sent an attention."""


@dataclass
class _Prepared:
    sql: str
    names: tuple[str, ...]


@dataclass
class _State:
    """What a session's statements change."""

    isolation: str = "READ COMMITTED"
    transactions: int = 0
    is_implicit: bool = False
    has_snapshot: bool = False
    is_format_only: bool = False
    row_count: int = 0
    handles: dict[int, _Prepared] = field(default_factory=dict)
    last_handle: int = 0


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(r"^\s*" + pattern, re.I | re.S)


_SET_ISOLATION = _word(r"SET\s+TRANSACTION\s+ISOLATION\s+LEVEL\s+([\w ]+?)\s*$")
_ISOLATION_LEVELS = {
    "READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5,
}  # fmt: skip
_TABLE_LOCK = re.compile(r"\bTABLOCK(X?)\b[^)]*\)", re.I)
_MAKE_SNAPSHOT = _word(r"CREATE\s+DATABASE\s+\[([^\]]+)\]\s+ON\b.*\bAS\s+SNAPSHOT\s+OF\b")
_DROP_DATABASE = _word(r"DROP\s+DATABASE\s+\[([^\]]+)\]\s*$")
_SET_IMPLICIT = _word(r"SET\s+IMPLICIT_TRANSACTIONS\s+(ON|OFF)")
_SET_FORMAT = _word(r"SET\s+FMTONLY\s+(ON|OFF)")
_SET_VARIABLE = _word(r"SET\s+(@\w+)\s*=\s*(.*)$")
_SET = _word(r"SET\b")
_USE = _word(r"USE\s+\[?([^\]]+?)\]?\s*$")
_BEGIN = _word(r"BEGIN\s+(DISTRIBUTED\s+)?TRAN(SACTION)?\b")
_COMMIT = _word(r"COMMIT\b")
_ROLLBACK = _word(r"ROLLBACK\b")
_SAVE = _word(r"SAVE\s+TRAN")
_IF_OPEN = _word(r"IF\s+@@TRANCOUNT\s*>\s*0\s+(.*)$")
_DECLARE = _word(r"DECLARE\s+(.*)$")
_DECLARED = re.compile(r"\s*(@\w+)\s+(?:AS\s+)?([\w\[\].]+\s*(?:\([^)]*\))?)\s*(?:=\s*(.*))?$", re.I | re.S)
_EXECUTE = _word(r"EXEC(?:UTE)?\s+(?:\[?sys\]?\.)?\[?([\w.]+)\]?\s*(.*)$")
_PROCEDURE_CALL = _word(r"(sp_\w+)\s*(.*)$")
_ARGUMENT = re.compile(r"\s*(?:(@\w+)\s*=\s*)?(N?'(?:[^']|'')*'|-?\d+|NULL|@\w+)\s*$", re.I | re.S)
_ARGUMENT_TYPE = SqlType("nvarchar", -1)
_PRINT = _word(r"PRINT\s+N?'(.*)'\s*$")
_QUERY = _word(r"(?:SELECT|WITH)\b|^\s*\(")


class Session(Connection):  # type: ignore[misc]
    """A connection that answers from the stand-in's DuckDB."""

    def __init__(self, standin: StandIn, client: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(standin.certificate, version=VERSION, server_name="STANDIN", database=standin.database.name)
        self._standin = standin
        self._client = client
        self._context = context
        self._packet_size = 4096
        self._duck = standin.cursor()
        self._database = standin.database.name
        self._session_state = _State()
        self._out = bytearray()
        self._packet_number = 1

    def close(self) -> None:
        """Gives up the session's DuckDB connection and locks."""
        self._standin.release_locks(self._spid)
        self._duck.close()

    @property
    def is_over(self) -> bool:
        """Whether the connection is to be closed, a refused login being answered already."""
        return bool(self._state is ConnectionState.FAILED)

    # --- login

    def _step_prelogin(self, responses: list[bytes]) -> bool:
        message = reassemble(self._buffer)
        if message is None:
            return False
        del self._buffer[: message.consumed]
        if message.type is not PacketType.PRELOGIN:
            raise TdsProtocolError(f"expected PRELOGIN to open the connection, got {message.type.name}")
        asked = Prelogin.parse(message.payload)
        self._client_prelogin = asked
        # A client without TLS goes on to its login in the clear.
        has_tls = asked.encryption is not Encryption.NOT_SUPPORTED
        agreed = self._negotiate_encryption(asked.encryption) if has_tls else Encryption.NOT_SUPPORTED
        self._session_encrypted = agreed is Encryption.ON
        answer = server_response(version=VERSION, encryption=agreed, asked=asked)
        responses.append(build_packet(PacketType.TABULAR_RESULT, answer.build()))
        self._tunnel = TlsTunnel(self._context) if has_tls else None
        self._state = ConnectionState.TLS_HANDSHAKE if has_tls else ConnectionState.EXPECT_LOGIN
        return True

    def _step_login(self, responses: list[bytes]) -> bool:
        if self._tunnel is not None:
            return bool(super()._step_login(responses))
        message = reassemble(self._buffer)
        if message is None:
            return False
        del self._buffer[: message.consumed]
        self._login = Login7.parse(message.payload)
        self._tds_version = negotiate(self._login.tds_version)
        return self._answer_sql_login(responses)

    def _answer_sql_login(self, responses: list[bytes]) -> bool:
        assert self._login is not None
        user, wanted = self._login.user_name, self._login.database
        offered = deobfuscate_password(self._login.password)
        is_admitted = user.lower() == self._standin.login.lower() and hmac.compare_digest(
            offered.encode(), self._standin.password.encode()
        )
        refused = error_token(
            18456, f"Login failed for user '{user}'.", severity=14, server="STANDIN", tds_version=self._tds_version
        )
        if not is_admitted:
            self._refuse(responses, refused)
        elif wanted and not self._standin.has_database(wanted):
            text = f'Cannot open database "{wanted}" requested by the login. The login failed.'
            opened = error_token(4060, text, severity=11, server="STANDIN", tds_version=self._tds_version)
            self._refuse(responses, opened + refused)
        else:
            self._finish_login(responses)
        return True

    def _refuse(self, responses: list[bytes], errors: bytes) -> None:
        self._send(responses, errors + done(status=DoneStatus.ERROR, tds_version=self._tds_version))
        self._state = ConnectionState.FAILED

    def _finish_login(self, responses: list[bytes]) -> None:
        assert self._login is not None
        self._spid = next_session_id()
        if snapshot := self._standin.snapshots.get(self._login.database.lower()):
            self._database = snapshot
            self._duck.execute(f"USE {quote(snapshot)}")
        size = min(max(self._login.packet_size, 512), 16384)
        answer = login_response(
            version=(VERSION.major, VERSION.minor, VERSION.build),
            server_name="STANDIN",
            database=self._database,
            packet_size=size,
            tds_version=self._tds_version,
        )
        self._send(responses, answer)
        self._packet_size = size
        self._state = ConnectionState.READY

    # --- writing

    def _write(self, payload: bytes) -> None:
        """Queues tokens; full packets leave as soon as there are enough of them."""
        self._out += payload
        if len(self._out) > _FLUSH_BYTES:
            self._flush(is_last=False)

    def _flush(self, *, is_last: bool) -> None:
        body = self._packet_size - 8
        out = self._out
        # The packet that ends the message must not be empty, so one byte at least stays behind.
        ready = len(out) if is_last else (len(out) - 1) // body * body
        framed = bytearray()
        header = struct.Struct(">BBHHBB").pack
        view = memoryview(out)
        for start in range(0, max(ready, 1), body):
            piece = view[start : min(start + body, ready)]
            ends = is_last and start + body >= ready
            framed += header(4, int(ends), len(piece) + 8, self._spid, self._packet_number % 256, 0)
            framed += piece
            self._packet_number += 1
            piece.release()
        view.release()
        del out[:ready]
        self._client.sendall(
            self._tunnel.wrap(bytes(framed)) if self._session_encrypted and self._tunnel is not None else framed
        )
        if is_last:
            self._packet_number = 1

    def _check_attention(self) -> None:
        """Looks whether the client wants the answer to end."""
        if not select.select([self._client], [], [], 0)[0]:
            return
        data = self._client.recv(65536)
        if not data:
            raise ConnectionResetError("the client is gone")
        self._buffer += data
        message = self._take_message()
        if message is not None and message.type is PacketType.ATTENTION:
            raise _CancelledError

    # --- requests

    def _step_query(self, responses: list[bytes]) -> bool:  # noqa: ARG002 - answers are written as they are made
        message = self._take_message()
        if message is None:
            return False
        if message.status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            self._end_transaction("ROLLBACK")
            self._session_state = _State()
        try:
            self._answer(message.type, message.payload)
        except _CancelledError:
            self._write(self._done(DoneStatus.FINAL | DoneStatus.ATTENTION))
        self._flush(is_last=True)
        return True

    def _answer(self, kind: PacketType, payload: bytes) -> None:
        is_call = kind is PacketType.RPC
        try:
            if kind is PacketType.SQL_BATCH:
                self._batch(parse_sql_batch(payload, self._tds_version), {})
            elif kind is PacketType.RPC:
                for name, parameters in read_request(payload, skip_all_headers(payload, self._tds_version)):
                    self._call(name, parameters)
            elif kind is PacketType.TRANSACTION_MANAGER:
                self._transaction_request(payload)
            elif kind is PacketType.ATTENTION:
                raise _CancelledError
            else:
                raise TdsProtocolError(f"expected a SQL batch or an RPC, got {kind.name}")
        except (SqlError, EncodingError, duckdb.Error, pa.ArrowException, UnicodeError) as error:
            failure = _sql_error(error)
            self._write(
                error_token(
                    failure.number,
                    str(failure)[:2000],
                    server="STANDIN",
                    severity=failure.severity,
                    state=failure.state,
                    tds_version=self._tds_version,
                )
            )
            self._write(self._done(DoneStatus.ERROR, token=_PROCEDURE if is_call else b""))

    def _done(self, status: DoneStatus, rows: int | None = None, token: bytes = b"", command: int = 0) -> bytes:
        if rows is not None:
            status |= DoneStatus.COUNT
        body: bytes = done(status=status, current_command=command, row_count=rows or 0, tds_version=self._tds_version)
        return token + body[1:] if token else body

    # --- procedures

    def _call(self, name: str, parameters: Sequence[Parameter], last: DoneStatus = DoneStatus.FINAL) -> None:
        bare = name.lower().rpartition(".")[2].strip("[]")
        if bare == "sp_executesql":
            self._execute_sql(parameters)
            self._return(last=last)
        elif bare in {"sp_prepexec", "sp_prepare"}:
            self._prepare(parameters, executes=bare == "sp_prepexec")
        elif bare == "sp_execute":
            handle = self._handle(parameters[0])
            self._batch(handle.sql, _named(handle.names, parameters[1:]), is_call=True)
            self._return(last=last)
        elif bare == "sp_unprepare":
            self._session_state.handles.pop(int(str(parameters[0].value)), None)
            self._return(last=last)
        elif bare == "sp_reset_connection":
            self._end_transaction("ROLLBACK")
            self._session_state = _State()
            self._return(last=last)
        elif bare.startswith("sp_datatype_info"):
            self._data_types(int(str(parameters[0].value)) if parameters else 0)
            self._return(last=last)
        elif bare == "sp_describe_first_result_set":
            self._describe(str(parameters[0].value))
            self._return(last=last)
        else:
            raise SqlError(2812, f"Could not find stored procedure '{name}'.")

    def _execute_sql(self, parameters: Sequence[Parameter]) -> None:
        statement = str(parameters[0].value)
        names = _declared_names(parameters[1]) if len(parameters) > 1 else ()
        self._batch(statement, _named(names, parameters[2:]), is_call=True)

    def _handle(self, parameter: Parameter) -> _Prepared:
        found = self._session_state.handles.get(int(str(parameter.value or 0)))
        if found is None:
            raise SqlError(8179, f"Could not find prepared statement with handle {parameter.value}.")
        return found

    def _prepare(self, parameters: Sequence[Parameter], *, executes: bool) -> None:
        prepared = _Prepared(str(parameters[2].value), _declared_names(parameters[1]))
        state = self._session_state
        state.last_handle += 1
        state.handles[state.last_handle] = prepared
        if executes:
            self._batch(prepared.sql, _named(prepared.names, parameters[3:]), is_call=True)
        handle = b"\xac\x00\x00\x00\x01" + struct.pack("<IH", 0, 0) + wire_type(INT).type_info()
        handle += b"\x04" + struct.pack("<i", state.last_handle)
        self._return(handle)

    def _return(self, values: bytes = b"", last: DoneStatus = DoneStatus.FINAL) -> None:
        self._write(b"\x79\x00\x00\x00\x00" + values + self._done(last, token=_PROCEDURE))

    def _describe(self, statement: str) -> None:
        """The few columns of sp_describe_first_result_set that drivers read."""
        query = self._translate(statement, {})
        wires = self._wires(query)
        rows = [
            (0, number, output.name, int(output.is_nullable), wire.kind.name, str(wire.kind))
            for number, (output, wire) in enumerate(zip(query.outputs, wires, strict=True), 1)
        ]
        text = SqlType("nvarchar", 512)
        columns = {
            "is_hidden": INT,
            "column_ordinal": INT,
            "name": text,
            "is_nullable": INT,
            "base_type_name": text,
            "system_type_name": text,
        }
        self._write_rows(columns, rows)

    def _data_types(self, wanted: int) -> None:
        """sp_datatype_info: drivers ask it for the greatest length of a parameter. 0 wants every type."""
        text, small = SqlType("nvarchar", 256), SqlType("smallint")
        columns = {"TYPE_NAME": text, "DATA_TYPE": small, "PRECISION": INT, "LITERAL_PREFIX": text,
                   "LITERAL_SUFFIX": text, "CREATE_PARAMS": text, "NULLABLE": small, "CASE_SENSITIVE": small,
                   "SEARCHABLE": small, "UNSIGNED_ATTRIBUTE": small, "MONEY": small, "AUTO_INCREMENT": small,
                   "LOCAL_TYPE_NAME": text, "MINIMUM_SCALE": small, "MAXIMUM_SCALE": small, "SQL_DATA_TYPE": small,
                   "SQL_DATETIME_SUB": small, "NUM_PREC_RADIX": INT, "INTERVAL_PRECISION": small,
                   "USERTYPE": small}  # fmt: skip
        rows = [
            (name, code, size, quote, "'" if quote else None, None, 1, 0, 3, None, 0, None, name, None, None, code,
             None, None, None, 0)
            for name, code, size, quote in _DATA_TYPES
            if wanted in {0, code}
        ]  # fmt: skip
        self._write_rows(columns, rows)

    def _write_rows(self, columns: Mapping[str, SqlType], rows: Sequence[Sequence[object]]) -> None:
        """A small result set made here, of integers and texts."""
        wires = [wire_type(kind) for kind in columns.values()]
        arrow = {"int": pa.int32(), "smallint": pa.int16()}
        self._write(column_metadata([(name, wire, True, ()) for name, wire in zip(columns, wires, strict=True)]))
        for row in rows:
            for number, (wire, value) in enumerate(zip(wires, row, strict=True)):
                array = pa.array([value], arrow.get(wire.kind.name, pa.string()))
                self._write((b"" if number else b"\xd1") + wire.encode_array(array)[0])
        self._write(self._done(DoneStatus.MORE, len(rows), _IN_PROCEDURE))

    # --- transactions

    def _transaction_request(self, payload: bytes) -> None:
        request = parse_transaction_request(payload, self._tds_version)
        if request.kind is TransactionRequestType.BEGIN_XACT:
            at = skip_all_headers(payload, self._tds_version) + 2
            if payload[at : at + 1] == b"\x05":
                self._session_state.isolation = "SNAPSHOT"
            self._write(self._begin())
        elif request.kind is TransactionRequestType.COMMIT_XACT:
            self._write(self._end_transaction("COMMIT"))
        elif request.kind is TransactionRequestType.ROLLBACK_XACT:
            self._write(self._end_transaction("ROLLBACK"))
        elif request.kind is not TransactionRequestType.SAVE_XACT:
            raise SqlError(50000, "The stand-in does not support distributed transactions.")
        self._write(self._done(DoneStatus.FINAL))

    def _begin(self) -> bytes:
        state = self._session_state
        state.transactions += 1
        if state.transactions > 1:
            return b""
        self._xact_descriptor = self._new_descriptor()
        token: bytes = env_change(EnvChangeType.BEGIN_TRAN, self._xact_descriptor, b"")
        return token

    def _end_transaction(self, word: str) -> bytes:
        state = self._session_state
        if not state.transactions:
            return b""
        state.transactions = 0 if word == "ROLLBACK" else state.transactions - 1
        if state.transactions:
            return b""
        self._standin.release_locks(self._spid)
        if state.has_snapshot:
            self._duck.execute("ROLLBACK")
            state.has_snapshot = False
        kind = EnvChangeType.COMMIT_TRAN if word == "COMMIT" else EnvChangeType.ROLLBACK_TRAN
        token: bytes = env_change(kind, b"", self._xact_descriptor or b"\0" * 8)
        self._xact_descriptor = None
        return token

    def _before_query(self, tables: Sequence[Relation]) -> None:
        """What a first query of tables does to the transaction: begins an implicit one, takes the snapshot."""
        state = self._session_state
        if not tables:
            return
        if state.is_implicit and not state.transactions:
            self._write(self._begin())
        if state.transactions and state.isolation == "SNAPSHOT" and not state.has_snapshot:
            self._duck.execute("BEGIN TRANSACTION")
            state.has_snapshot = True

    # --- statements

    def _batch(self, text: str, parameters: Mapping[str, Parameter], *, is_call: bool = False) -> None:
        variables = dict(parameters)
        statements = split_batch(text)
        for number, statement in enumerate(statements, 1):
            is_last = number == len(statements) and not is_call
            rows, command = self._statement(statement, variables)
            status = DoneStatus.FINAL if is_last else DoneStatus.MORE
            self._write(self._done(status, rows, _IN_PROCEDURE if is_call else b"", command))
        if not statements and not is_call:
            self._write(self._done(DoneStatus.FINAL))

    def _statement(self, text: str, variables: dict[str, Parameter]) -> tuple[int | None, int]:
        """Runs one statement. Returns the number of rows it counts, if any, and its command's code."""
        if _QUERY.match(text):
            rows = self._query(text, variables)
            self._session_state.row_count = rows
            return rows, _SELECT_COMMAND
        for pattern, run in _STATEMENTS:
            if found := pattern.match(text):
                run(self, found, variables)
                return None, 0
        word = text.split(None, 1)[0] if text.split() else ""
        raise SqlError(50000, f"The stand-in only reads; it does not run {word.upper()}.")

    def _set_isolation(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._session_state.isolation = " ".join(found[1].upper().split())
        self._standin.set_isolation(self._spid, _ISOLATION_LEVELS.get(self._session_state.isolation, 2))

    def _make_snapshot(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._standin.make_snapshot(found[1])

    def _drop_database(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._standin.drop_snapshot(found[1])

    def _set_implicit(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._session_state.is_implicit = found[1].upper() == "ON"

    def _set_format(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._session_state.is_format_only = found[1].upper() == "ON"

    def _set_variable(self, found: re.Match[str], variables: dict[str, Parameter]) -> None:
        name = found[1].lower()
        if name not in variables:
            raise SqlError(137, f'Must declare the scalar variable "{found[1]}".', 15)
        variables[name] = self._computed(found[1], variables[name].kind, found[2], variables)

    def _declare(self, found: re.Match[str], variables: dict[str, Parameter]) -> None:
        for part in _split_commas(found[1]):
            declared = _DECLARED.match(part)
            if not declared:
                raise SqlError(102, f"Incorrect syntax near '{part.strip()[:20]}'.", 15)
            name, kind = declared[1], named_type(declared[2])
            value = declared[3]
            variables[name.lower()] = (
                self._computed(name, kind, value, variables) if value else Parameter(name, kind, None)
            )

    def _computed(self, name: str, kind: SqlType, expression: str, variables: Mapping[str, Parameter]) -> Parameter:
        query = self._translate(f"SELECT CAST({expression} AS {kind})", variables)
        found = self._duck.execute(query.sql, list(query.binds)).fetchall()
        return Parameter(name, kind, found[0][0] if found else None)

    def _use(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        name = found[1]
        if name.lower() not in {self._standin.database.name.lower(), "master", "tempdb"}:
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        self._write(env_change(EnvChangeType.DATABASE, name, self._standin.database.name))
        self._write(
            info(5701, f"Changed database context to '{name}'.", state=2, server="STANDIN",
                 tds_version=self._tds_version)
        )  # fmt: skip

    def _begin_statement(self, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        self._write(self._begin())

    def _commit(self, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        if not self._session_state.transactions:
            raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self._write(self._end_transaction("COMMIT"))

    def _rollback(self, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        if not self._session_state.transactions:
            raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
        self._write(self._end_transaction("ROLLBACK"))

    def _if_open(self, found: re.Match[str], variables: dict[str, Parameter]) -> None:
        if self._session_state.transactions:
            self._statement(found[1], variables)

    def _print(self, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        text = found[1].replace("''", "'")
        self._write(info(0, text, server="STANDIN", tds_version=self._tds_version))

    def _execute(self, found: re.Match[str], variables: dict[str, Parameter]) -> None:
        name, parameters = found[1], []
        for part in _split_commas(found[2]) if found[2].strip() else ():
            argument = _ARGUMENT.match(part)
            if not argument:
                raise SqlError(50000, f"The stand-in's EXEC takes literals, not {part.strip()[:40]}")
            parameters.append(self._computed(argument[1] or "", _ARGUMENT_TYPE, argument[2], variables))
        self._call(name, parameters, DoneStatus.MORE)

    def _nothing(self, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
        """Options that change nothing here."""

    # --- queries

    def _translate(self, text: str, variables: Mapping[str, Parameter]) -> Translation:
        state = self._session_state
        facts = Facts(
            database=self._database,
            login=self._login.user_name if self._login else "",
            spid=self._spid,
            version_text=VERSION_TEXT,
            properties=self._standin.properties,
            transactions=state.transactions,
            row_count=state.row_count,
        )
        return translate(self._standin.parsed(text), self._standin.relations, facts, variables)

    def _wires(self, query: Translation) -> list[WireType]:
        kinds = [output.kind for output in query.outputs]
        if None in kinds:
            found = self._duck.sql(query.sql, params=list(query.binds)).types
            kinds = [from_duckdb(str(duck)) if kind is None else kind for kind, duck in zip(kinds, found, strict=True)]
        wires = []
        for kind, output in zip(kinds, query.outputs, strict=True):
            assert kind is not None
            wire = wire_type(kind, output.collation)
            wires.append(wire.required() if output.table and not output.is_nullable else wire)
        return wires

    def _query(self, text: str, variables: Mapping[str, Parameter]) -> int:
        query = self._translate(text, variables)
        limit = self._standin.admit(query.tables)
        wires = self._wires(query)
        names = ", ".join(f"c{number}" for number in range(1, len(wires) + 1))
        listed = ", ".join(wire.projection.format(f"c{number}") for number, wire in enumerate(wires, 1))
        if hint := _TABLE_LOCK.search(text):
            lasts = bool(self._session_state.transactions) and ("HOLDLOCK" in hint[0].upper() or bool(hint[1]))
            for table in query.tables:
                self._standin.lock_table(table, self._spid, is_exclusive=bool(hint[1]), lasts=lasts)
        self._before_query(query.tables)
        relation = self._duck.sql(f"SELECT {listed} FROM ({query.sql}) AS sent({names})", params=list(query.binds))
        self._write(
            column_metadata(
                [
                    (output.name, wire, output.is_nullable, output.table)
                    for output, wire in zip(query.outputs, wires, strict=True)
                ]
            )
        )
        if self._session_state.is_format_only:
            return 0
        reader = relation.to_arrow_reader(_BATCH_ROWS)
        try:
            return self._send_rows(reader, wires, limit)
        finally:
            # DuckDB refuses the next query of a connection while a result of it is open.
            reader.close()

    def _send_rows(
        self, batches: Iterable[pa.RecordBatch], wires: Sequence[WireType], limit: tuple[int, SqlError] | None
    ) -> int:
        sent = 0
        for whole in batches:
            batch = whole if limit is None else whole.slice(0, limit[0] - sent)
            if batch.num_rows:
                columns = [wire.encode_array(column) for wire, column in zip(wires, batch.columns, strict=True)]
                self._write(b"".join(chain.from_iterable(zip(repeat(b"\xd1"), *columns))))
                sent += batch.num_rows
            self._check_attention()
            if limit is not None and sent >= limit[0]:
                break
        if limit is not None:
            if limit[1].number == DROP:
                self._flush(is_last=False)
                raise ConnectionDroppedError
            raise limit[1]
        return sent


_STATEMENTS: tuple[tuple[re.Pattern[str], Callable[[Session, re.Match[str], dict[str, Parameter]], None]], ...] = (
    (_SET_ISOLATION, Session._set_isolation),
    (_MAKE_SNAPSHOT, Session._make_snapshot),
    (_DROP_DATABASE, Session._drop_database),
    (_SET_IMPLICIT, Session._set_implicit),
    (_SET_FORMAT, Session._set_format),
    (_SET_VARIABLE, Session._set_variable),
    (_SET, Session._nothing),
    (_USE, Session._use),
    (_BEGIN, Session._begin_statement),
    (_COMMIT, Session._commit),
    (_ROLLBACK, Session._rollback),
    (_SAVE, Session._nothing),
    (_IF_OPEN, Session._if_open),
    (_DECLARE, Session._declare),
    (_EXECUTE, Session._execute),
    (_PROCEDURE_CALL, Session._execute),
    (_PRINT, Session._print),
)


# Name, ODBC's code, greatest length or precision, and what stands before a literal.
_DATA_TYPES = (
    ("datetimeoffset", -155, 34, "'"),
    ("time", -154, 16, "'"),
    ("xml", -152, 0, "N'"),
    ("uniqueidentifier", -11, 36, "'"),
    ("ntext", -10, 1073741823, "N'"),
    ("nvarchar", -9, 4000, "N'"),
    ("nchar", -8, 4000, "N'"),
    ("bit", -7, 1, None),
    ("tinyint", -6, 3, None),
    ("bigint", -5, 19, None),
    ("image", -4, 2147483647, "0x"),
    ("varbinary", -3, 8000, "0x"),
    ("binary", -2, 8000, "0x"),
    ("text", -1, 2147483647, "'"),
    ("char", 1, 8000, "'"),
    ("numeric", 2, 38, None),
    ("decimal", 3, 38, None),
    ("int", 4, 10, None),
    ("smallint", 5, 5, None),
    ("float", 6, 53, None),
    ("real", 7, 24, None),
    ("varchar", 12, 8000, "'"),
    ("date", 91, 10, "'"),
    ("datetime2", 93, 27, "'"),
    ("datetime", 93, 23, "'"),
)


def _declared_names(parameter: Parameter) -> tuple[str, ...]:
    """The names in `@P1 int,@P2 nvarchar(10)`."""
    return tuple(re.findall(r"@[\w$#]+", str(parameter.value or "")))


def _named(names: Sequence[str], values: Sequence[Parameter]) -> dict[str, Parameter]:
    """Values under the names they were declared with: by their own name or by their place."""
    if len(values) < len(names):
        missing = names[len(values)]
        raise SqlError(8178, f"The parameterized query expects the parameter '{missing}', which was not supplied.")
    return {
        (value.name or name).lower(): value for name, value in zip([*names, *[""] * len(values)], values, strict=False)
    }


def _split_commas(text: str) -> list[str]:
    parts, depth, quoted = [""], 0, False
    for char in text:
        quoted ^= char == "'"
        depth += (char == "(") - (char == ")") if not quoted else 0
        if char == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _sql_error(error: Exception) -> SqlError:
    """SQL Server's error for one of DuckDB's or of the encoding."""
    if isinstance(error, SqlError):
        return error
    text = str(error)
    if isinstance(error, EncodingError):
        return SqlError(8152 if "truncated" in text else 50000, text)
    lowered = text.lower()
    if "conversion error" in lowered:
        if "timestamp" in lowered or "date" in lowered:
            return SqlError(241, "Conversion failed when converting date and/or time from character string.")
        if "uuid" in lowered:
            return SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
        if "out of range" in lowered or "overflow" in lowered:
            return SqlError(8115, "Arithmetic overflow error converting expression to data type.")
        return SqlError(245, f"Conversion failed when converting a value: {text.splitlines()[0]}")
    if "out of range" in lowered or "overflow" in lowered:
        return SqlError(8115, "Arithmetic overflow error converting expression to data type.")
    if "group by" in lowered:
        return SqlError(
            8120,
            "A column is invalid in the select list because it is not contained in either an aggregate function or the"
            " GROUP BY clause.",
        )
    return SqlError(50000, f"The stand-in could not run this: {text}")

"""A client's connection from its first byte on: TLS, the login, and a session's messages."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable

import duckdb
import pyarrow as pa
from pysqlbridge.certificate import Certificate
from pysqlbridge.tds import (
    Connection,
    ConnectionState,
    DoneStatus,
    Encryption,
    PacketStatus,
    PacketType,
    Prelogin,
    TdsProtocolError,
    TlsTunnel,
    Version,
    build_packet,
    done,
    login_response,
    parse_sql_batch,
    reassemble,
    server_response,
    skip_all_headers,
)
from pysqlbridge.tds import error as error_token
from pysqlbridge.tds.login import Login7, deobfuscate_password
from pysqlbridge.tds.packet import next_session_id
from pysqlbridge.tds.token import negotiate

from standin.activity import Client
from standin.errors import EncodingError, SqlError, as_sql_error
from standin.faults import HeldBackError
from standin.logins import (
    ACKNOWLEDGED,
    FEDAUTH_MESSAGE,
    SeenLogin,
    demand_token,
    directory_info,
    seen_login,
    with_token,
)
from standin.quoting import quote
from standin.session.answer import PROCEDURE, SERVER_NAME, Answer
from standin.session.procedures import call
from standin.session.session import Session
from standin.session.statements import run_batch, run_in_procedure
from standin.session.transactions import answer_request, reset
from standin.source import Source
from standin.wire import read_request

VERSION = Version(16, 0, 4135)


class _CancelledError(Exception):
    """The client sent an attention."""


class ClientConnection(Connection):  # type: ignore[misc]
    """A connection that answers from a source; `admits` decides on a login by what it asks for and its password.

    pysqlbridge calls the `_step_…` methods as messages arrive.
    """

    def __init__(
        self,
        source: Source,
        client: socket.socket,
        certificate: Certificate,
        context: ssl.SSLContext,
        *,
        admits: Callable[[SeenLogin, str], bool],
    ) -> None:
        super().__init__(certificate, version=VERSION, server_name=SERVER_NAME, database=source.database.name)
        self._source = source
        self._client = client
        self._context = context
        self._admits = admits
        self._duck = source.cursor()
        self._session: Session | None = None
        self._seen: SeenLogin | None = None

    def close(self) -> None:
        """Gives up the session's DuckDB connection and locks."""
        self._source.locks.release(self._spid)
        self._source.activity.leave(self._spid)
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
        answer = demand_token(asked, server_response(version=VERSION, encryption=agreed, asked=asked))
        responses.append(build_packet(PacketType.TABULAR_RESULT, answer.build()))
        self._tunnel = TlsTunnel(self._context) if has_tls else None
        self._state = ConnectionState.TLS_HANDSHAKE if has_tls else ConnectionState.EXPECT_LOGIN
        return True

    def _step_login(self, responses: list[bytes]) -> bool:
        received = self._buffer if self._tunnel is None else self._unwrapped()
        message = reassemble(received)
        if message is None:
            return False
        del received[: message.consumed]
        if message.type is not PacketType.LOGIN7:
            raise TdsProtocolError(f"expected LOGIN7, got {message.type.name}")
        self._login = Login7.parse(message.payload)
        self._tds_version = negotiate(self._login.tds_version)
        self._seen = seen_login(self._login, message.payload)
        if self._seen.asks_directory:
            self._send(responses, directory_info())
            self._state = ConnectionState.EXPECT_SSPI
        else:
            self._answer_login(responses, self._seen)
        return True

    def _step_sspi(self, responses: list[bytes]) -> bool:
        """The token that the driver got from its directory. Like a step of SSPI, it follows the login."""
        received = self._unwrapped() if self._session_encrypted else self._buffer
        if not received:
            return False
        if received[0] == FEDAUTH_MESSAGE:
            # pysqlbridge does not know the type.
            received[0] = PacketType.SSPI
        message = reassemble(received)
        if message is None:
            return False
        del received[: message.consumed]
        assert self._seen is not None
        self._answer_login(responses, with_token(self._seen, message.payload))
        return True

    def _unwrapped(self) -> bytearray:
        """What has come through the tunnel and was not read yet."""
        assert self._tunnel is not None
        if self._buffer:
            self._plaintext += self._tunnel.unwrap(bytes(self._buffer))
            self._buffer.clear()
        plain: bytearray = self._plaintext
        return plain

    def _answer_login(self, responses: list[bytes], seen: SeenLogin) -> None:
        assert self._login is not None
        wanted = self._login.database
        self._source.logins.append(seen)
        number, words = _refusal(seen)
        refused = error_token(number, words, severity=14, server=SERVER_NAME, tds_version=self._tds_version)
        if not self._admits(seen, deobfuscate_password(self._login.password)):
            self._refuse(responses, refused)
        elif wanted and not self._source.has_database(wanted):
            text = f'Cannot open database "{wanted}" requested by the login. The login failed.'
            opened = error_token(4060, text, severity=11, server=SERVER_NAME, tds_version=self._tds_version)
            self._refuse(responses, opened + refused)
        else:
            self._finish_login(responses, b"" if seen.token is None else ACKNOWLEDGED)

    def _refuse(self, responses: list[bytes], errors: bytes) -> None:
        self._send(responses, errors + done(status=DoneStatus.ERROR, tds_version=self._tds_version))
        self._state = ConnectionState.FAILED

    def _finish_login(self, responses: list[bytes], acknowledged: bytes = b"") -> None:
        assert self._login is not None
        self._spid = next_session_id()
        database = self._source.database.name
        if snapshot := self._source.snapshots.get(self._login.database.lower()):
            database = snapshot
            self._duck.execute(f"USE {quote(snapshot)}")
        size = min(max(self._login.packet_size, 512), 16384)
        answer = login_response(
            version=(VERSION.major, VERSION.minor, VERSION.build),
            server_name=SERVER_NAME,
            database=database,
            packet_size=size,
            tds_version=self._tds_version,
        )
        end = done(tds_version=self._tds_version)
        self._send(responses, answer.removesuffix(end) + acknowledged + end)
        self._session = Session(
            source=self._source,
            duck=self._duck,
            database=database,
            login=self._login.user_name,
            program=self._login.app_name,
            spid=self._spid,
            tds_version=self._tds_version,
            answer=Answer(self._send_packets, packet_size=size, spid=self._spid, tds_version=self._tds_version),
            stop_if_cancelled=self._stop_if_cancelled,
            new_descriptor=self._new_descriptor,
        )
        self._source.activity.enter(
            Client(self._spid, self._login.user_name, self._login.host_name, self._login.app_name)
        )
        self._state = ConnectionState.READY

    # --- the session's messages

    def _step_query(self, responses: list[bytes]) -> bool:  # noqa: ARG002 - answers are written as they are made
        message = self._take_message()
        if message is None:
            return False
        session = self._session
        assert session is not None
        if message.status & (PacketStatus.RESET_CONNECTION | PacketStatus.RESET_CONNECTION_SKIP_TRAN):
            reset(session)
        try:
            try:
                _answer(session, message.type, message.payload)
            except HeldBackError:
                self._hold_back()
        except _CancelledError:
            session.answer.done(DoneStatus.FINAL | DoneStatus.ATTENTION)
        session.answer.flush(is_last=True)
        return True

    def _send_packets(self, packets: bytearray) -> None:
        tunnel = self._tunnel if self._session_encrypted else None
        self._client.sendall(packets if tunnel is None else tunnel.wrap(bytes(packets)))

    def _hold_back(self) -> None:
        """Says nothing until the client wants no answer any more."""
        self._source.held_back.add(self._spid)
        try:
            while True:
                self._stop_if_cancelled(seconds=1)
        finally:
            self._source.held_back.discard(self._spid)

    def _stop_if_cancelled(self, seconds: float = 0) -> None:
        """Looks, for so long, whether the client wants the answer to end."""
        if not select.select([self._client], [], [], seconds)[0]:
            return
        data = self._client.recv(65536)
        if not data:
            raise ConnectionResetError("the client is gone")
        self._buffer += data
        message = self._take_message()
        if message is not None and message.type is PacketType.ATTENTION:
            raise _CancelledError


def _refusal(seen: SeenLogin) -> tuple[int, str]:
    """The number and words of the error that refuses a login (Microsoft, "Database Engine events and errors")."""
    if seen.principal == "":
        reason = "The login is from an untrusted domain and cannot be used with Integrated authentication."
        return 18452, f"Login failed. {reason}"
    if seen.principal is not None:
        account, _, realm = seen.principal.partition("@")
        return 18456, f"Login failed for user '{realm}\\{account}'."
    if seen.token is not None:
        return 18456, "Login failed for user '<token-identified principal>'. Token is expired."
    return 18456, f"Login failed for user '{seen.user}'."


def _answer(session: Session, kind: PacketType, payload: bytes) -> None:
    is_call = kind is PacketType.RPC
    try:
        if kind is PacketType.SQL_BATCH:
            run_batch(session, parse_sql_batch(payload, session.tds_version))
        elif is_call:
            for name, parameters in read_request(payload, skip_all_headers(payload, session.tds_version)):
                call(session, name, parameters, run_in_procedure)
        elif kind is PacketType.TRANSACTION_MANAGER:
            answer_request(session, payload)
        elif kind is PacketType.ATTENTION:
            raise _CancelledError
        else:
            raise TdsProtocolError(f"expected a SQL batch or an RPC, got {kind.name}")
    except (SqlError, EncodingError, duckdb.Error, pa.ArrowException, UnicodeError) as error:
        session.answer.error(as_sql_error(error))
        session.answer.done(DoneStatus.ERROR, token=PROCEDURE if is_call else b"")

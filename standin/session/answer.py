"""The answer to a message: tokens, which leave in packets while they are made."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
from pysqlbridge.tds import DoneStatus, done
from pysqlbridge.tds import error as error_token
from pysqlbridge.tds import info as info_token

from model.catalog import SqlType
from standin.errors import SqlError
from standin.wire import column_metadata, wire_type

SERVER_NAME = "STANDIN"
#: What a DONE token is called at the end of a statement in a procedure, and at the procedure's own end.
IN_PROCEDURE, PROCEDURE = b"\xff", b"\xfe"
#: The token before each row.
ROW = b"\xd1"
_FLUSH_BYTES = 1 << 17


class Answer:
    """Queues tokens; `send` gets full packets as soon as there are enough of them."""

    def __init__(self, send: Callable[[bytearray], None], *, packet_size: int, spid: int, tds_version: int) -> None:
        self._send = send
        self._packet_size = packet_size
        self._spid = spid
        self._tds_version = tds_version
        self._out = bytearray()
        self._packet_number = 1

    def write(self, tokens: bytes) -> None:
        """Adds tokens."""
        self._out += tokens
        if len(self._out) > _FLUSH_BYTES:
            self.flush()

    def done(
        self, status: DoneStatus = DoneStatus.FINAL, *, rows: int | None = None, token: bytes = b"", command: int = 0
    ) -> None:
        """The end of a statement or, by the `token`, of what a procedure does."""
        if rows is not None:
            status |= DoneStatus.COUNT
        body: bytes = done(status=status, current_command=command, row_count=rows or 0, tds_version=self._tds_version)
        self.write(token + body[1:] if token else body)

    def error(self, error: SqlError) -> None:
        """An error's words; a DONE follows it."""
        self.write(
            error_token(
                error.number,
                str(error)[:2000],
                server=SERVER_NAME,
                severity=error.severity,
                state=error.state,
                tds_version=self._tds_version,
            )
        )

    def info(self, number: int, text: str, state: int = 1) -> None:
        """A message that is no error."""
        self.write(info_token(number, text, state=state, server=SERVER_NAME, tds_version=self._tds_version))

    def small_result(self, columns: Mapping[str, SqlType], rows: Sequence[Sequence[object]]) -> None:
        """A result that a procedure makes of integers and texts."""
        wires = [wire_type(kind) for kind in columns.values()]
        arrow = {"int": pa.int32(), "smallint": pa.int16()}
        self.write(column_metadata([(name, wire, True, ()) for name, wire in zip(columns, wires, strict=True)]))
        for row in rows:
            for number, (wire, value) in enumerate(zip(wires, row, strict=True)):
                array = pa.array([value], arrow.get(wire.kind.name, pa.string()))
                self.write((b"" if number else ROW) + wire.encode_array(array)[0])
        self.done(DoneStatus.MORE, rows=len(rows), token=IN_PROCEDURE)

    def flush(self, *, is_last: bool = False) -> None:
        """Sends the packets that are full, and with the last one the rest."""
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
        self._send(framed)
        if is_last:
            self._packet_number = 1

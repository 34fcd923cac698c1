"""A client's request to run procedures."""

from __future__ import annotations

from standin.parameters import Parameter
from standin.wire.parameter_values import read_value
from standin.wire.reader import Reader

_PROCEDURES = {
    2: "sp_cursoropen",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}


def read_request(payload: bytes, start: int) -> list[tuple[str, list[Parameter]]]:
    """The procedure calls of an RPC request; `start` is where its ALL_HEADERS block ends.

    Raises EncodingError where a parameter's type is not known: its length is then unknown too.
    """
    reader = Reader(payload, start)
    calls = []
    while not reader.is_done:
        length = reader.number(2)
        if length == 0xFFFF:
            number = reader.number(2)
            name = _PROCEDURES.get(number, f"sp_{number}")
        else:
            name = reader.take(length * 2).decode("utf-16-le")
        reader.take(2)
        parameters: list[Parameter] = []
        while not reader.is_done and payload[reader.at] not in {0x80, 0xFF}:
            parameter = reader.take(reader.number(1) * 2).decode("utf-16-le")
            status = reader.number(1)
            kind, value = read_value(reader)
            parameters.append(Parameter(parameter, kind, value, bool(status & 1)))
        if not reader.is_done:
            reader.take(1)  # the flag between two calls of one batch
        calls.append((name, parameters))
    return calls

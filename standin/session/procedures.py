"""The system procedures that drivers call, most of them for prepared statements."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from pysqlbridge.tds import DoneStatus

from standin.errors import SqlError
from standin.parameters import Parameter
from standin.session.answer import PROCEDURE
from standin.session.driver_questions import answer_data_types, answer_description
from standin.session.session import Prepared, Session
from standin.session.transactions import reset
from standin.type_names import INT
from standin.wire import wire_type

#: Runs a batch within a procedure, with its parameters by their names in lower case.
RunBatch: TypeAlias = Callable[[Session, str, Mapping[str, Parameter]], None]


def call(
    session: Session,
    name: str,
    parameters: Sequence[Parameter],
    run_batch: RunBatch,
    last: DoneStatus = DoneStatus.FINAL,
) -> None:
    """Answers the call of a procedure; `last` says whether anything follows. Raises SqlError for one not known."""
    bare = name.lower().rpartition(".")[2].strip("[]")
    result = b""
    if bare == "sp_executesql":
        _execute_sql(session, parameters, run_batch)
    elif bare == "sp_prepexec":
        prepared, result = _prepare(session, parameters)
        run_batch(session, prepared.sql, _named(prepared.names, parameters[3:]))
    elif bare == "sp_prepare":
        _, result = _prepare(session, parameters)
    elif bare == "sp_execute":
        prepared = _prepared(session, parameters[0])
        run_batch(session, prepared.sql, _named(prepared.names, parameters[1:]))
    elif bare == "sp_unprepare":
        session.state.handles.pop(int(str(parameters[0].value)), None)
    elif bare == "sp_reset_connection":
        reset(session)
    elif bare.startswith("sp_datatype_info"):
        answer_data_types(session, int(str(parameters[0].value)) if parameters else 0)
    elif bare == "sp_describe_first_result_set":
        answer_description(session, str(parameters[0].value))
    else:
        raise SqlError(2812, f"Could not find stored procedure '{name}'.")
    session.answer.write(b"\x79\x00\x00\x00\x00" + result)
    session.answer.done(last, token=PROCEDURE)


def _execute_sql(session: Session, parameters: Sequence[Parameter], run_batch: RunBatch) -> None:
    statement = str(parameters[0].value)
    names = _declared_names(parameters[1]) if len(parameters) > 1 else ()
    run_batch(session, statement, _named(names, parameters[2:]))


def _prepare(session: Session, parameters: Sequence[Parameter]) -> tuple[Prepared, bytes]:
    """Keeps a statement. Returns it, and the output parameter that tells its handle."""
    prepared = Prepared(str(parameters[2].value), _declared_names(parameters[1]))
    state = session.state
    state.last_handle += 1
    state.handles[state.last_handle] = prepared
    handle = b"\xac\x00\x00\x00\x01" + struct.pack("<IH", 0, 0) + wire_type(INT).type_info()
    return prepared, handle + b"\x04" + struct.pack("<i", state.last_handle)


def _prepared(session: Session, handle: Parameter) -> Prepared:
    found = session.state.handles.get(int(str(handle.value or 0)))
    if found is None:
        raise SqlError(8179, f"Could not find prepared statement with handle {handle.value}.")
    return found


def _declared_names(parameter: Parameter) -> tuple[str, ...]:
    """The names in `@P1 int,@P2 nvarchar(10)`."""
    return tuple(re.findall(r"@[\w$#]+", str(parameter.value or "")))


def _named(names: Sequence[str], values: Sequence[Parameter]) -> dict[str, Parameter]:
    """Values under the names they were declared with: by their own name or by their position."""
    if len(values) < len(names):
        missing = names[len(values)]
        raise SqlError(8178, f"The parameterized query expects the parameter '{missing}', which was not supplied.")
    return {
        (value.name or name).lower(): value for name, value in zip([*names, *[""] * len(values)], values, strict=False)
    }

"""A batch's statements: queries go to `queries`, the rest is told by its first words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pysqlbridge.tds import DoneStatus, EnvChangeType, env_change

from model.catalog import SqlType
from standin.errors import SqlError
from standin.parameters import Parameter
from standin.session.answer import IN_PROCEDURE
from standin.session.procedures import call
from standin.session.queries import computed, run_query
from standin.session.session import Session
from standin.session.transactions import READ_COMMITTED, begin, commit, roll_back
from standin.tsql import split_batch
from standin.type_names import named_type

_SELECT_COMMAND = 0xC1


def _word(pattern: str) -> re.Pattern[str]:
    return re.compile(r"^\s*" + pattern, re.I | re.S)


_SET_ISOLATION = _word(r"SET\s+TRANSACTION\s+ISOLATION\s+LEVEL\s+([\w ]+?)\s*$")
_ISOLATION_LEVELS = {
    "READ UNCOMMITTED": 1, "READ COMMITTED": 2, "REPEATABLE READ": 3, "SERIALIZABLE": 4, "SNAPSHOT": 5,
}  # fmt: skip
_MAKE_SNAPSHOT = _word(r"CREATE\s+DATABASE\s+\[([^\]]+)\]\s+ON\b.*\bAS\s+SNAPSHOT\s+OF\b")
_FILE_NAME = re.compile(r"FILENAME\s*=\s*N'([^']*)'", re.I)
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


def run_batch(session: Session, text: str) -> None:
    """Answers a batch of statements."""
    session.source.batches[text] = None
    variables: dict[str, Parameter] = {}
    statements = split_batch(text)
    for number, statement in enumerate(statements, 1):
        rows, command = _run(session, statement, variables)
        status = DoneStatus.FINAL if number == len(statements) else DoneStatus.MORE
        session.answer.done(status, rows=rows, command=command)
    if not statements:
        session.answer.done()


def run_in_procedure(session: Session, text: str, parameters: Mapping[str, Parameter]) -> None:
    """Answers a batch that a procedure runs, and whose end is the procedure's."""
    session.source.batches[text] = None
    variables = dict(parameters)
    for statement in split_batch(text):
        rows, command = _run(session, statement, variables)
        session.answer.done(DoneStatus.MORE, rows=rows, token=IN_PROCEDURE, command=command)


def _run(session: Session, text: str, variables: dict[str, Parameter]) -> tuple[int | None, int]:
    """Runs one statement. Returns the number of rows it counts, if any, and its command's code."""
    if _QUERY.match(text):
        rows = run_query(session, text, variables)
        session.state.row_count = rows
        return rows, _SELECT_COMMAND
    for pattern, run in _STATEMENTS:
        if found := pattern.match(text):
            run(session, found, variables)
            return None, 0
    word = text.split(None, 1)[0] if text.split() else ""
    raise SqlError(50000, f"The stand-in only reads; it does not run {word.upper()}.")


def _set_isolation(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.state.isolation = " ".join(found[1].upper().split())
    level = _ISOLATION_LEVELS.get(session.state.isolation, READ_COMMITTED)
    session.source.activity.set_isolation(session.spid, level)


def _make_snapshot(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.source.make_snapshot(found[1], _FILE_NAME.findall(found[0]))


def _drop_database(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.source.drop_snapshot(found[1])


def _set_implicit(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.state.is_implicit = found[1].upper() == "ON"


def _set_format(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.state.is_format_only = found[1].upper() == "ON"


def _set_variable(session: Session, found: re.Match[str], variables: dict[str, Parameter]) -> None:
    name = found[1].lower()
    if name not in variables:
        raise SqlError(137, f'Must declare the scalar variable "{found[1]}".', 15)
    variables[name] = computed(session, found[1], variables[name].kind, found[2], variables)


def _declare(session: Session, found: re.Match[str], variables: dict[str, Parameter]) -> None:
    for part in _split_commas(found[1]):
        declared = _DECLARED.match(part)
        if not declared:
            raise SqlError(102, f"Incorrect syntax near '{part.strip()[:20]}'.", 15)
        name, kind = declared[1], named_type(declared[2])
        value = declared[3]
        variables[name.lower()] = (
            computed(session, name, kind, value, variables) if value else Parameter(name, kind, None)
        )


def _use(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    name = found[1]
    if name.lower() not in {session.source.database.name.lower(), "master", "tempdb"}:
        raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
    session.answer.write(env_change(EnvChangeType.DATABASE, name, session.source.database.name))
    session.answer.info(5701, f"Changed database context to '{name}'.", state=2)


def _begin(session: Session, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    begin(session)


def _commit(session: Session, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    if not session.state.transactions:
        raise SqlError(3902, "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    commit(session)


def _rollback(session: Session, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    if not session.state.transactions:
        raise SqlError(3903, "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.")
    roll_back(session)


def _if_open(session: Session, found: re.Match[str], variables: dict[str, Parameter]) -> None:
    if session.state.transactions:
        _run(session, found[1], variables)


def _print(session: Session, found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    session.answer.info(0, found[1].replace("''", "'"))


def _execute(session: Session, found: re.Match[str], variables: dict[str, Parameter]) -> None:
    name, parameters = found[1], []
    for part in _split_commas(found[2]) if found[2].strip() else ():
        argument = _ARGUMENT.match(part)
        if not argument:
            raise SqlError(50000, f"The stand-in's EXEC takes literals, not {part.strip()[:40]}")
        parameters.append(computed(session, argument[1] or "", _ARGUMENT_TYPE, argument[2], variables))
    call(session, name, parameters, run_in_procedure, DoneStatus.MORE)


def _nothing(_session: Session, _found: re.Match[str], _variables: dict[str, Parameter]) -> None:
    """Options that change nothing here."""


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


_STATEMENTS: tuple[tuple[re.Pattern[str], Callable[[Session, re.Match[str], dict[str, Parameter]], None]], ...] = (
    (_SET_ISOLATION, _set_isolation),
    (_MAKE_SNAPSHOT, _make_snapshot),
    (_DROP_DATABASE, _drop_database),
    (_SET_IMPLICIT, _set_implicit),
    (_SET_FORMAT, _set_format),
    (_SET_VARIABLE, _set_variable),
    (_SET, _nothing),
    (_USE, _use),
    (_BEGIN, _begin),
    (_COMMIT, _commit),
    (_ROLLBACK, _rollback),
    (_SAVE, _nothing),
    (_IF_OPEN, _if_open),
    (_DECLARE, _declare),
    (_EXECUTE, _execute),
    (_PROCEDURE_CALL, _execute),
    (_PRINT, _print),
)

"""T-SQL read into sqlglot's trees, and a batch split into statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.tsql import TSQL
from sqlglot.parsers.tsql import TSQLParser
from sqlglot.tokenizer_core import Token, TokenType

from standin.errors import SqlError


class _Parser(TSQLParser):
    """The T-SQL parser without its knowledge of functions: the translation has its own."""

    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
        name: parser
        for name, parser in TSQLParser.FUNCTION_PARSERS.items()
        if name in {"CAST", "CONVERT", "TRY_CAST", "TRY_CONVERT", "TRIM"}
    }


class _TSQL(TSQL):
    Parser = _Parser


#: what may hold a quotation mark that begins no constant, then constants: of characters, and binary ones
_PARTS = re.compile(
    r"--[^\n]*|/\*.*?\*/|\[(?:[^\]]|\]\])*\]|'(?:[^']|'')*'|0x[0-9a-f\\\r\n]*", re.IGNORECASE | re.DOTALL
)

_STARTS = frozenset({"SET", "USE", "BEGIN", "COMMIT", "ROLLBACK", "SAVE", "DECLARE", "EXEC", "EXECUTE", "IF", "PRINT"})
#: what may hold a quotation mark that begins no constant, then constants: of characters, and binary ones
_PARTS = re.compile(
    r"--[^\n]*|/\*.*?\*/|\[(?:[^\]]|\]\])*\]|'(?:[^']|'')*'|0x[0-9a-f\\\r\n]*", re.IGNORECASE | re.DOTALL
)

_OTHER_STARTS = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "TRUNCATE", "MERGE", "WAITFOR"})
_JOINS_SELECTS = frozenset({"UNION", "ALL", "EXCEPT", "INTERSECT", "AS"})


def split_batch(sql: str) -> list[str]:
    """The statements of a batch, with or without semicolons between them."""
    try:
        tokens = _TSQL().tokenize(sql)
    except Exception as error:
        raise SqlError(102, "Incorrect syntax near the batch's text.", 15) from error
    statements: list[list[Token]] = [[]]
    depth = 0
    has_select = False
    for token in tokens:
        word = token.text.upper() if token.token_type not in {TokenType.STRING, TokenType.IDENTIFIER} else ""
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        current = statements[-1]
        if token.token_type is TokenType.SEMICOLON:
            statements.append([])
            has_select = False
            continue
        before = current[-1].text.upper() if current else ""
        is_if = bool(current) and current[0].text.upper() == "IF"
        starts = depth == 0 and bool(current) and not is_if
        if starts and (
            (word in _STARTS | _OTHER_STARTS and before not in {"(", ",", "."} and not (word == "SET" and has_select))
            or (word in {"SELECT", "WITH"} and current[0].text.upper() in _STARTS)
            or (word == "SELECT" and has_select and before not in _JOINS_SELECTS)
        ):
            statements.append([])
            has_select = False
        if word == "SELECT" and depth == 0:
            has_select = True
        statements[-1].append(token)
    return [sql[group[0].start : group[-1].end + 1] for group in statements if group]


def without_continuations(sql: str) -> str:
    """Constants that go on in the next line behind a backslash, in one line, as T-SQL reads them."""

    def joined(found: re.Match[str]) -> str:
        part = found[0]
        return re.sub(r"\\\r?\n", "", part) if part[0] in "'0" else part

    return _PARTS.sub(joined, sql)


def parse(sql: str) -> exp.Expression:
    """One statement's tree. Raises SqlError 102 where the text is no T-SQL that is known here."""
    try:
        tree = sqlglot.parse_one(without_continuations(sql), read=_TSQL)
    except sqlglot.errors.SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        near = details[0].get("highlight") or sql.strip().split()[0] if sql.strip() else ""
        raise syntax_error(near) from error
    if not isinstance(tree, exp.Expression):
        raise syntax_error(sql[:20])
    return tree


def written(node: exp.Expression, length: int | None = None) -> str:
    """A tree as T-SQL, for an error's words."""
    return node.sql(dialect=_TSQL)[:length]


def syntax_error(near: str) -> SqlError:
    """The error for a text that is no T-SQL, or none that is known here."""
    return SqlError(102, f"Incorrect syntax near '{near}'.", 15)

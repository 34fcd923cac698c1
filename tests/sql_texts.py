"""The T-SQL that stands in the product's source, each text as a pattern of the statements that are made with it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.harness import ROOT

#: what may hold T-SQL; `mssql/expressions` makes PostgreSQL's SQL of the source's
MODULES = tuple(
    sorted(
        path
        for pattern in ("mssql/*.py", "data_phase/**/*.py", "verification/**/*.py", "run/*.py", "type_mapping.py")
        for path in ROOT.glob(pattern)
    )
)
#: words of T-SQL as this project writes them: a text with none of them is no T-SQL, or says nothing by itself
_WORDS = re.compile(
    r"\b(?:SELECT|FROM|WHERE|GROUP BY|ORDER BY|HAVING|JOIN|UNION ALL|OFFSET|FETCH NEXT|TABLESAMPLE|CASE WHEN|WHEN N'"
    r"|IS NOT NULL|NOT EXISTS|COLLATE|EXEC|DECLARE|SET [A-Z]+|BEGIN TRANSACTION|COMMIT|ROLLBACK|CREATE|DROP|ALTER)\b"
    r"|\b[A-Z_]{3,}\(|@@[A-Z]+|\.[A-Z][A-Za-z]+\(\)"
)


@dataclass(frozen=True)
class SqlText:
    """A text with T-SQL: where it stands, in which function (none of a constant's), and what it is part of."""

    place: str
    path: str
    function: str
    text: str
    pattern: re.Pattern[str]


def sql_texts(path: Path, root: Path = ROOT) -> Iterator[SqlText]:
    """The texts of a module that hold T-SQL, docstrings left out."""
    yield from _texts(ast.parse(path.read_text(encoding="utf-8")), path.relative_to(root).as_posix(), "")


def in_one_line(sql: str) -> str:
    """T-SQL without comments, and with one blank where there are any."""
    return " ".join(re.sub(r"--[^\n]*", "", sql).split())


def _texts(node: ast.AST, path: str, function: str) -> Iterator[SqlText]:
    parts: list[str] = []
    if isinstance(node, ast.JoinedStr):
        parts = _static(node)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = _pieces(node.value)
    if any(map(_WORDS.search, parts)):
        pattern = re.compile(".*?".join(re.escape(part) for part in map(in_one_line, parts) if part))
        yield SqlText(f"{path}:{getattr(node, 'lineno', 0)}", path, function, "…".join(parts), pattern)
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.JoinedStr) and isinstance(child, ast.Constant):
            continue
        if isinstance(node, ast.Expr) and isinstance(child, ast.Constant):
            continue
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        yield from _texts(child, path, node.name if is_function else function)  # type: ignore[attr-defined]


def _static(node: ast.JoinedStr) -> list[str]:
    """The parts of an f-string between the values that are put into it."""
    parts = [""]
    for value in node.values:
        if isinstance(value, ast.Constant):
            first, *others = _pieces(str(value.value))
            parts[-1] += first
            parts += others
        else:
            parts.append("")
    return parts


def _pieces(text: str) -> list[str]:
    """The parts of a text between the places that are filled later: `{c}`, and parameters."""
    return re.split(r"\{\w*\}|\?", text)

"""Servers' words without the values of rows that they repeat: ERROR_VALUES=hide.

Names of tables, columns and constraints stay where the words before them say that they are names. Everything else in
quotes, and what stands in parentheses for a key or a row, is taken for a value: words of a form that is not known, or
of another language, lose more rather than less. Source: PostgreSQL, "Error Message Style Guide"; Microsoft, "Database
Engine events and errors" (245, 2601, 2627, 2628, 8114, 8152).
"""

from __future__ import annotations

import re

HIDDEN = "***"

_NAMED = (
    "column", "columns", "relation", "constraint", "table", "type", "schema", "index", "function", "role", "database",
    "encoding", "user", "sequence", "trigger", "policy", "extension", "view", "domain", "parameter", "object", "login",
    "property", "name", "driver",
)  # fmt: skip
#: parts of what `db.target_words` puts together
_SEGMENT = re.compile(r"(; (?:detail|hint|where): )")
_KEY = re.compile(
    r"=\((?:.*\)(?= (?:already exists|is not present|is still referenced|conflicts with|is duplicated))|.*\)|.*$)",
    re.DOTALL,
)
_ROW = re.compile(r"(\bcontains|\bkey value is) \(.*\)", re.DOTALL)
_AFTER_COLON = re.compile(r'(: )(["\'«„“»]).*["\'»“”«]', re.DOTALL)
_QUOTED = re.compile(r'(\b\w+)?(\s+)?("[^"]*"|\'(?:[^\']|\'\')*\'|«[^»]*»|»[^«]*«|[„“][^“”]*[“”])')
_WORD_VALUE = re.compile(r"(\bvalue) (\S+)(?= is out of range)")


def without_values(text: str) -> str:
    """A server's words without values of rows."""
    return "".join(part if _SEGMENT.fullmatch(part) else _hidden(part) for part in _SEGMENT.split(text))


def _hidden(words: str) -> str:
    # The server's own number behind them stays.
    words, number = _number(words)
    words = _KEY.sub(f"=({HIDDEN})", words)
    words = _ROW.sub(rf"\1 ({HIDDEN})", words)
    words = _AFTER_COLON.sub(rf'\1"{HIDDEN}"', words)
    words = _WORD_VALUE.sub(rf"\1 {HIDDEN}", words)
    return _QUOTED.sub(_without_value, words) + number


def _number(words: str) -> tuple[str, str]:
    found = re.search(r"\.? \((?:SQLSTATE \S+|\d+)\)$", words)
    return (words[: found.start()], found[0]) if found else (words, "")


def _without_value(found: re.Match[str]) -> str:
    word, blank, quoted = found[1] or "", found[2] or "", found[3]
    if word.lower() in _NAMED:
        return found[0]
    return f"{word}{blank}{quoted[0]}{HIDDEN}{quoted[-1]}"

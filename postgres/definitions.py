"""The only definitions that this tool runs out of its own records: keys, foreign keys and indexes, in one form.

What stands in `replication.suspended` was written by `pg_get_constraintdef` and `pg_get_indexdef`. Before it is run
it is held against the form that these two write, token by token: one statement, about the very table, and
nothing behind it.
Source: PostgreSQL, "Lexical Structure", and the synopses of CREATE INDEX and ALTER TABLE.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import UnknownDefinitionError
from postgres.names import TargetName

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<name>"(?:[^"]|"")+" | [a-z_][a-z0-9_]*)
  | (?P<text>E'(?:[^'\\]|\\.|'')*' | '(?:[^'\\]|'')*')
  | (?P<word>[A-Z][A-Z_]*\b)
  | (?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)
  | (?P<comment>--|/\*)
  | (?P<mark>[-+*/<>=~!@\#%^&|`?.,:()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_IN_AN_EXPRESSION = ("SELECT", "WHERE", "USING")
_ACTIONS = (("NO", "ACTION"), ("RESTRICT",), ("CASCADE",), ("SET", "NULL"), ("SET", "DEFAULT"))


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    @property
    def name(self) -> str:
        """What a name stands for, without its quotes."""
        return self.text[1:-1].replace('""', '"') if self.text.startswith('"') else self.text


class _Reader:
    """Tokens from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._tokens)

    def _next(self) -> _Token:
        if self.is_at_end:
            raise UnknownDefinitionError
        self._position += 1
        return self._tokens[self._position - 1]

    def has(self, *words: str) -> bool:
        """Whether these words or marks come next; if so they are passed."""
        ahead = [token.text for token in self._tokens[self._position : self._position + len(words)]]
        if ahead != list(words):
            return False
        self._position += len(words)
        return True

    def sees(self, word: str) -> bool:
        """Whether this word or mark comes next; it is not passed."""
        return not self.is_at_end and self._tokens[self._position].text == word

    def must(self, *words: str) -> None:
        """Pass these words or marks."""
        if not self.has(*words):
            raise UnknownDefinitionError

    def name(self) -> str:
        """Pass a name."""
        token = self._next()
        if token.kind != "name":
            raise UnknownDefinitionError
        return token.name

    def table(self) -> TargetName:
        """Pass the name of a table with its schema."""
        schema = self.name()
        self.must(".")
        return TargetName(schema, self.name())

    def names(self, *before: str) -> tuple[str, ...]:
        """Pass names in parentheses; these words may stand before one."""
        found: list[str] = []
        self.must("(")
        while not found or self.has(","):
            if before:
                self.has(*before)
            found.append(self.name())
        self.must(")")
        return tuple(found)

    def group(self) -> None:
        """Pass whatever stands in parentheses."""
        self.must("(")
        depth = 1
        while depth:
            text = self._next().text
            depth += (text == "(") - (text == ")")

    def rest(self) -> None:
        """Pass an expression that goes on to the end."""
        depth = 0
        if self.is_at_end:
            raise UnknownDefinitionError
        while not self.is_at_end:
            text = self._next().text
            depth += (text == "(") - (text == ")")
            if depth < 0 or text in _NOT_IN_AN_EXPRESSION or (text == "," and not depth):
                raise UnknownDefinitionError
        if depth:
            raise UnknownDefinitionError

    def end(self) -> None:
        """Nothing may follow."""
        if not self.is_at_end:
            raise UnknownDefinitionError


def _tokens(text: str) -> Sequence[_Token]:
    found: list[_Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup == "comment":
            raise UnknownDefinitionError
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match[0]))
        position = match.end()
    return found


def read_key(definition: str) -> tuple[str, ...]:
    """The columns of a PRIMARY KEY or UNIQUE constraint. Raises UnknownDefinitionError."""
    reader = _Reader(definition)
    if not reader.has("PRIMARY", "KEY"):
        reader.must("UNIQUE")
        reader.has("NULLS", "NOT", "DISTINCT")
    columns = reader.names()
    if reader.has("INCLUDE"):
        reader.names()
    _deferral(reader)
    reader.end()
    return columns


def read_foreign_key(definition: str) -> TargetName:
    """The table that a foreign key points to. Raises UnknownDefinitionError."""
    reader = _Reader(definition)
    reader.must("FOREIGN", "KEY")
    reader.names("PERIOD")
    reader.must("REFERENCES")
    table = reader.table()
    reader.names("PERIOD")
    if reader.has("MATCH"):
        reader.must("FULL")
    for event in ("UPDATE", "DELETE"):
        if reader.has("ON", event):
            if not any(reader.has(*action) for action in _ACTIONS):
                raise UnknownDefinitionError
            if event == "DELETE" and reader.sees("("):
                reader.names()
    _deferral(reader)
    reader.has("NOT", "ENFORCED")
    reader.end()
    return table


def read_index(definition: str) -> tuple[str, TargetName]:
    """The name of an index that a statement makes, and its table. Raises UnknownDefinitionError."""
    reader = _Reader(definition)
    reader.must("CREATE")
    reader.has("UNIQUE")
    reader.must("INDEX")
    name = reader.name()
    reader.must("ON")
    reader.has("ONLY")
    table = reader.table()
    reader.must("USING")
    reader.name()
    reader.group()
    if reader.has("INCLUDE"):
        reader.names()
    reader.has("NULLS", "NOT", "DISTINCT")
    if reader.has("WITH"):
        reader.group()
    if reader.has("WHERE"):
        reader.rest()
    reader.end()
    return name, table


def _deferral(reader: _Reader) -> None:
    reader.has("DEFERRABLE")
    reader.has("INITIALLY", "DEFERRED")

"""What is wrong with a JSON text that a person edited: the line, the mistake in words, and how it is mended.

Python's own words name what a parser expected, and its position is often a line below the mistake. What people do is
known: a comma too many or too few, quotes of another kind, a comment, a word as Python or SQL writes it. The grammar is
that of RFC 8259, with the three numbers besides that Python reads (NaN, Infinity, -Infinity).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from model.visible import on_one_line

#: characters of the file that a message shows at most
SHOWN = 40
_TOKENS = re.compile(
    r"""
    (?P<blank>[ \t\r\n]+)
  | (?P<mark>^(?:<<<<<<<|=======|>>>>>>>)[^\n]*)
  | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?(?:\*/|\Z)|<!--.*?(?:-->|\Z))
  | (?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")
  | (?P<broken>"(?:[^"\\\n]|\\(?:.|\Z))*(?:"|(?=\n|\Z)))
  | (?P<single>'(?:[^'\\\n]|\\.)*'|`[^`\n]*`)
  | (?P<curly>[“”„‟«»‘’‚‛][^\n“”„‟«»‘’‚‛"]*["“”„‟«»‘’‚‛])
  | (?P<sign>[{}\[\]:,])
  | (?P<word>[^\s{}\[\]:,"'`“”„‟«»‘’‚‛=;()/\#\u00a0\u200b\ufeff]+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LITERALS = frozenset({"null", "true", "false", "NaN", "Infinity", "-Infinity"})
_OTHER_WORDS: Mapping[str, str] = {"none": "null", "nil": "null", "null": "null", "true": "true", "false": "false"}
_ESCAPE = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
_CLOSING = {"{": "}", "[": "]"}
_WHAT = {"{": "brace {", "[": "bracket ["}


class JsonMistakeError(Exception):
    """The first mistake in a text: where it is, what is wrong, and how it is mended, in words."""

    def __init__(self, line: int, column: int, words: str) -> None:
        super().__init__(f"line {line}, column {column}: {words}")
        self.line = line
        self.column = column
        self.words = words


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int

    @property
    def shown(self) -> str:
        """The token within a message."""
        short = self.text if len(self.text) <= SHOWN else f"{self.text[: SHOWN - 3]}..."
        return on_one_line(short)

    @property
    def is_value(self) -> bool:
        """Whether something begins with it that may be meant as a value or a name."""
        return self.kind in ("text", "broken", "single", "curly", "word") or self.text in ("{", "[")


@dataclass
class _Open:
    """An object or an array that is not closed yet, and the names that stand in it so far."""

    token: _Token
    names: dict[str, _Token] = field(default_factory=dict)


def first_mistake(text: str, read_name: Callable[[str], str]) -> JsonMistakeError | None:
    """The first place in which the text is not JSON, or where a name stands a second time in one object.

    `read_name` gives the value of a JSON string. None where there is no such place.
    """
    try:
        _Reading(text, read_name).through()
    except JsonMistakeError as mistake:
        return mistake
    return None


class _Reading:
    """Reads a text as far as it is JSON."""

    def __init__(self, text: str, read_name: Callable[[str], str]) -> None:
        self._text = text
        self._read_name = read_name
        self._tokens = self._significant()
        self._open: list[_Open] = []
        self._before: _Token | None = None
        self._token = next(self._tokens)

    def _significant(self) -> Iterator[_Token]:
        for found in _TOKENS.finditer(self._text):
            if found.lastgroup != "blank":
                yield _Token(str(found.lastgroup), found[0], found.start())
        while True:
            yield _Token("end", "", len(self._text.rstrip()))

    def _refuse(self, token: _Token, words: str) -> NoReturn:
        line = self._line(token)
        column = token.start - (self._text.rfind("\n", 0, token.start) + 1) + 1
        raise JsonMistakeError(line, column, words)

    def _line(self, token: _Token) -> int:
        return self._text.count("\n", 0, token.start) + 1

    def _step(self) -> _Token:
        """Leave the token behind; it was right."""
        self._before, self._token = self._token, next(self._tokens)
        return self._before

    def through(self) -> None:
        """Read all of it. Raises JsonMistakeError."""
        self._value()
        while self._open:
            self._rest()
        if self._token.kind != "end":
            self._after_the_end()

    def _value(self) -> None:
        """A value where one belongs; of an object or array only its beginning."""
        token = self._token
        if token.text in _CLOSING:
            self._step()
            self._open.append(_Open(token))
            self._first()
        elif token.kind == "text":
            self._check_text(token)
            self._step()
        elif token.kind == "word" and (token.text in _LITERALS or _NUMBER.fullmatch(token.text)):
            self._step()
        else:
            self._no_value(token)

    def _first(self) -> None:
        """What follows an opening brace or bracket: its end, or the first of its members."""
        opened = self._open[-1].token.text
        if self._token.text == _CLOSING[opened]:
            self._step()
            self._open.pop()
        else:
            self._member()

    def _rest(self) -> None:
        """What follows a member: a comma and another one, or the end."""
        opened, token = self._open[-1].token, self._token
        if token.text == _CLOSING[opened.text]:
            self._step()
            self._open.pop()
        elif token.text == ",":
            comma = self._step()
            if self._token.text in ("}", "]"):
                self._refuse(comma, f"there is a comma before {self._token.text}, and nothing follows it. Delete it")
            if self._token.text == ",":
                self._refuse(self._token, "there are two commas in a row. Delete one of them")
            self._member()
        else:
            self._no_comma(token)

    def _member(self) -> None:
        if self._open[-1].token.text == "{":
            self._name()
            self._colon()
        self._value()

    def _name(self) -> None:
        token = self._token
        if token.kind == "text":
            self._check_text(token)
            name, names = self._read_name(token.text), self._open[-1].names
            if name in names:
                first = self._line(names[name])
                where = f"in line {first} and again here" if first != self._line(token) else "twice in this line"
                self._refuse(token, f"{token.shown} stands {where}, and only one of them can hold. Delete one")
            names[name] = self._step()
            return
        self._check_common(token)
        if token.kind == "word":
            self._refuse(token, f'the name {token.shown} has no quotes. Write "{token.shown}"')
        self._refuse(token, f"{token.shown} stands where a name in double quotes belongs")

    def _colon(self) -> None:
        if self._token.text == ":":
            self._step()
            return
        name, token = self._before, self._token
        assert name is not None
        self._check_common(token, unquoted=False)
        if token.text == "=":
            self._refuse(token, f"there is a = after {name.shown}. Write a colon instead")
        self._refuse(name, f"a colon is missing after {name.shown}. Write {name.shown}: and its value")

    # -- what is wrong ------------------------------------------------------------------------------

    def _check_text(self, token: _Token) -> None:
        wrong = _ESCAPE.search(token.text.replace("\\\\", "  "))
        if wrong:
            self._refuse(
                token, f'a single backslash stands in {token.shown}. Write two for one: \\\\, as in "C:\\\\data"'
            )

    def _check_common(self, token: _Token, unquoted: bool = True) -> None:
        """Refuse what is wrong wherever it stands."""
        if token.kind == "mark":
            self._refuse(token, f"{token.shown} is a mark of a merge. Keep one of the two versions, delete the marks")
        if token.kind == "comment":
            self._refuse(
                token, f'{token.shown} is a comment, which JSON does not have. Delete it, or make it "note": "..."'
            )
        if token.kind == "broken":
            if token.text.endswith('"') and len(token.text) > 1:
                self._refuse(token, f"{token.shown} holds a tab or another control character. Write \\t, or a blank")
            self._refuse(token, f"the text that begins with {token.shown} has no closing quote in its line. Add it")
        if token.kind in ("single", "curly") and unquoted:
            kind = "curly" if token.kind == "curly" else "single"
            self._refuse(token, f'{token.shown} is in {kind} quotes. Write "{on_one_line(token.text[1:-1])[:SHOWN]}"')
        if token.kind == "end":
            self._ends_early(token)
        if token.kind == "other" and (not token.text.isprintable() or token.text.isspace()):
            name = unicodedata.name(token.text, "a control character").lower()
            self._refuse(token, f"an invisible character stands here (U+{ord(token.text):04X}, {name}). Delete it")

    def _no_value(self, token: _Token) -> NoReturn:
        self._check_common(token)
        if token.kind == "word":
            meant = _OTHER_WORDS.get(token.text.lower())
            if meant:
                self._refuse(token, f"{token.shown} is spelled {meant} in JSON. Write {meant}")
            if re.match(r"[+-]?[.0-9]", token.text):
                self._refuse(
                    token, f"{token.shown} is no number in JSON. Write digits alone, as in 50000, or quotes around it"
                )
            self._refuse(token, f'the text {token.shown} has no quotes. Write "{token.shown}"')
        before = self._before
        if before is not None and before.text in (":", ",") and token.text in ("}", "]", ","):
            what = "a value is missing after the colon" if before.text == ":" else "a value is missing"
            self._refuse(before, f"{what}. Write it, or null")
        self._refuse(token, f"{token.shown} stands where a value belongs")

    def _no_comma(self, token: _Token) -> NoReturn:
        opened, before = self._open[-1].token, self._before
        assert before is not None
        if token.text == ";":
            self._refuse(token, "there is a semicolon. Write a comma instead")
        self._check_common(token, unquoted=False)
        if token.is_value:
            self._refuse(before, f"a comma is missing after {before.shown}. Add it")
        if token.text in ("}", "]"):
            self._refuse(
                token,
                f"{token.text} closes the {_WHAT[opened.text]} of line {self._line(opened)}. "
                f"Write {_CLOSING[opened.text]}, or delete what is too much",
            )
        if token.text == ":":
            self._refuse(
                token, "there is a colon where a comma or an end belongs. Is a name or a quote missing before it?"
            )
        self._refuse(token, f"{token.shown} stands where a comma or an end belongs. Delete it")

    def _after_the_end(self) -> NoReturn:
        token = self._token
        if token.text in ("}", "]", ","):
            self._refuse(
                token, f"there is one {token.text} too many: all that was opened is closed before it. Delete it"
            )
        self._check_common(token, unquoted=False)
        self._refuse(token, f"{token.shown} stands after the end of the document. Delete what follows the last }}")

    def _ends_early(self, token: _Token) -> NoReturn:
        missing = "".join(_CLOSING[one.token.text] for one in reversed(self._open))
        if not self._open:
            self._refuse(token, "it is empty")
        since = self._line(self._open[-1].token)
        self._refuse(
            token,
            f"the file ends before it is complete: {missing} is missing at its end (the last "
            f"{_WHAT[self._open[-1].token.text]} stands in line {since}). Add it, or put back a copy of the file",
        )

"""The pieces of a pattern of LIKE and PATINDEX.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mssql.expressions.tree import Refused


@dataclass(frozen=True)
class Range:
    """The characters from one to another, in the order of a collation."""

    low: str
    high: str

    def __str__(self) -> str:
        return f"{self.low}-{self.high}"


@dataclass(frozen=True)
class Element:
    """A piece of a pattern: `%`, `_`, one character of text, or a set of characters and ranges."""

    kind: str
    members: tuple[str, ...] = ()
    ranges: tuple[Range, ...] = ()
    is_negated: bool = False

    @property
    def text(self) -> str:
        """The characters that it names one by one."""
        return "".join(self.members)

    @property
    def counts(self) -> bool:
        """It stands for exactly one UTF-16 unit that may be half a character."""
        return self.kind == "_" or self.is_negated


@dataclass
class _Reader:
    """Reads a pattern from left to right."""

    pattern: str
    escape: str | None
    at: int = 0
    elements: list[Element] = field(default_factory=list)

    def character(self) -> tuple[str, bool]:
        """The next character, and whether an escape character stood before it.

        Before an ordinary character the escape character is left out ("LIKE", pattern matching with the ESCAPE
        clause); at the end of the pattern it makes LIKE false, which is refused here.
        """
        is_escaped = self.pattern[self.at] == self.escape
        self.at += is_escaped
        if self.at == len(self.pattern):
            raise Refused("the pattern of LIKE ends with its ESCAPE character and finds nothing")
        self.at += 1
        return self.pattern[self.at - 1], is_escaped


def elements_of(pattern: str, escape: str | None) -> list[Element]:
    """A pattern in pieces ("LIKE"). Raises `Refused` where the page leaves a meaning open."""
    reader = _Reader(pattern, escape)
    while reader.at < len(pattern):
        character, is_escaped = reader.character()
        if is_escaped or character not in "%_[":
            reader.elements.append(Element("text", (character,)))
        elif character == "[":
            reader.elements.append(_set(reader))
        else:
            reader.elements.append(Element(character))
    return reader.elements


def _set(reader: _Reader) -> Element:
    """What stands between brackets. A hyphen that is the first or the last there is itself ("LIKE")."""
    unclear = Refused("the pattern of LIKE has a set that is not clear")
    characters: list[tuple[str, bool]] = []
    while True:
        if reader.at == len(reader.pattern):
            raise unclear
        character, is_escaped = reader.character()
        if character == "]" and not is_escaped:
            break
        characters.append((character, is_escaped))
    is_negated = characters[:1] == [("^", False)]
    characters = characters[is_negated:]
    if not characters:
        raise unclear
    members: list[str] = []
    ranges: list[Range] = []
    position = 0
    while position < len(characters):
        character, is_escaped = characters[position]
        is_last = position == len(characters) - 1
        if character == "-" and not is_escaped and not (is_last or position == 0):
            raise unclear
        if position + 2 < len(characters) and characters[position + 1] == ("-", False):
            ranges.append(Range(character, characters[position + 2][0]))
            position += 3
        else:
            members.append(character)
            position += 1
    return Element("set", tuple(members), tuple(ranges), is_negated)

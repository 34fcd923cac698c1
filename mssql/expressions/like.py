"""LIKE as an anchored regular expression.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.catalog import SqlType
from mssql.expressions.collations import Collation, deciding_collation, settle_case, weigh
from mssql.expressions.context import Context
from mssql.expressions.text import full_text, in_utf16_units
from mssql.expressions.tree import Like, Refused
from mssql.expressions.types import STRINGS, UNICODE
from mssql.expressions.values import Condition, Notes, quoted

_BEYOND_ASCII = r"\u0080-\U0010FFFF"


def like(context: Context, node: Like, accepting: bool | None) -> Condition:
    """LIKE as an anchored regular expression ("LIKE (Transact-SQL)")."""
    operand, pattern = context.value(node.operand), context.value(node.pattern)
    if not isinstance(pattern.constant, str) or operand.known.name not in STRINGS:
        raise Refused("LIKE is translated between a text and a constant pattern only")
    escape: str | None = None
    if node.escape is not None:
        given = context.value(node.escape).constant
        if not isinstance(given, str) or len(given) != 1:
            raise Refused("the ESCAPE character is not one constant character")
        escape = given
    if operand.constant is not None:
        raise Refused("LIKE is translated between a text and a constant pattern only")
    collation = deciding_collation(operand, pattern)
    elements = _like_elements(pattern.constant, escape)
    is_unicode = operand.known.name in UNICODE or (pattern.type is not None and pattern.known.name in UNICODE)
    literal = "".join(element.text for element in elements)
    weigh(context.notes, literal, collation, SqlType("nvarchar" if is_unicode else "varchar"))
    settle_case(operand)
    if node.negated and accepting is not None:
        accepting = not accepting
    # Between non-Unicode texts, trailing blanks of the value are not significant.
    head, tail = "^", "$" if is_unicode else " *$"
    if elements and elements[-1].kind == "%":
        elements, tail = elements[:-1], ""
    if elements and elements[0].kind == "%":
        elements, head = elements[1:], ""
    regex = "".join(_regex(context.notes, element, collation, accepting) for element in elements)
    subject = full_text(context.notes, operand)
    counts_units = is_unicode and not operand.is_ascii and not collation.counts_characters
    if counts_units and any(element.counts for element in elements):
        subject = in_utf16_units(subject)
    return Condition(f"{subject} {'!~' if node.negated else '~'} {quoted(head + regex + tail)}")


@dataclass(frozen=True)
class _LikeElement:
    """A piece of a LIKE pattern: `%`, `_`, one character of text, or a set."""

    kind: str
    text: str = ""
    members: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    is_negated: bool = False

    @property
    def counts(self) -> bool:
        """It stands for exactly one UTF-16 unit that may be half a character."""
        return self.kind == "_" or self.is_negated


def _like_elements(pattern: str, escape: str | None) -> list[_LikeElement]:
    """A pattern in pieces ("LIKE (Transact-SQL)"). Raises `Refused` where the page leaves a meaning open."""
    elements: list[_LikeElement] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == escape:
            if position == len(pattern) or pattern[position] not in {"%", "_", "[", "]", escape, "^", "-"}:
                raise Refused("the ESCAPE character stands before an ordinary one")
            elements.append(_LikeElement("text", pattern[position]))
            position += 1
        elif character in "%_":
            elements.append(_LikeElement(character))
        elif character == "[":
            end = pattern.find("]", position)
            body = pattern[position:end]
            if end == -1 or not body.removeprefix("^") or (escape is not None and escape in body):
                raise Refused("the pattern of LIKE has a set that is not clear")
            elements.append(_like_set(body))
            position = end + 1
        else:
            elements.append(_LikeElement("text", character))
    return elements


def _like_set(body: str) -> _LikeElement:
    is_negated = body.startswith("^")
    body = body.removeprefix("^")
    members, ranges = [], []
    position = 0
    while position < len(body):
        if position + 2 < len(body) and body[position + 1] == "-":
            low, high = body[position], body[position + 2]
            kinds = [
                name for name, test in (("digit", str.isdigit), ("lower", str.islower), ("upper", str.isupper))
                if test(low) and test(high)
            ]  # fmt: skip
            if not kinds or not (low + high).isascii() or low > high:
                raise Refused(f"the range {low}-{high} of LIKE follows the collation's order")
            ranges.append(f"{low}-{high}")
            position += 3
        elif body[position] == "-" and position > 0:
            raise Refused("the pattern of LIKE has a set that is not clear")
        else:
            members.append(body[position])
            position += 1
    text = "".join(members) + "".join(ranges).replace("-", "")
    return _LikeElement("set", text, tuple(members), tuple(ranges), is_negated)


def _regex(notes: Notes, element: _LikeElement, collation: Collation, accepting: bool | None) -> str:
    """One element of a pattern. Ranges have a certain part, ASCII, and an uncertain one (see the package)."""
    if element.kind == "%":
        return ".*"
    if element.kind == "_":
        return "."
    both_cases = collation.ignores_case and not collation.is_binary
    if element.kind == "text":
        return _regex_set([element.text], both_cases, "") if element.text.isalpha() else _regex_escaped(element.text)
    beyond = ""
    if element.ranges and not collation.is_binary:
        if accepting is None:
            notes.doubt(f"a range like {element.ranges[0]} follows the order of {collation.name}")
        elif accepting != element.is_negated:
            beyond = _BEYOND_ASCII
            both_cases = True
            notes.remark("characters beyond ASCII pass a range of LIKE, for the collation may have them in it")
    members = [*element.members, *element.ranges]
    return _regex_set(members, both_cases, beyond, is_negated=element.is_negated)


def _regex_escaped(character: str) -> str:
    return "\\" + character if character in r"\.^$*+?()[]{}|-" else character


def _regex_set(members: Sequence[str], both_cases: bool, beyond: str, *, is_negated: bool = False) -> str:
    """A bracket expression of characters and ranges; both cases of ASCII letters are spelled out."""
    spelled: list[str] = []
    for member in members:
        variants = [member]
        if both_cases and member.isascii():
            variants = list(dict.fromkeys([member.upper(), member.lower()]))
        for variant in variants:
            low, dash, high = variant.partition("-") if len(variant) == 3 else (variant, "", "")
            spelled.append(_regex_escaped(low) + dash + (_regex_escaped(high) if high else ""))
    inside = "".join(spelled) + beyond
    if len(spelled) == 1 and not is_negated and not beyond and len(members[0]) == 1:
        return inside
    return f"[{'^' if is_negated else ''}{inside}]"

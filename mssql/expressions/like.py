"""LIKE and PATINDEX as regular expressions.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from model.catalog import SqlType
from mssql.expressions.arguments import string_argument
from mssql.expressions.assumptions import Assumption
from mssql.expressions.collations import Collation, deciding_collation, settle_case, weigh
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.like_patterns import Element, elements_of
from mssql.expressions.ranges import held_by, runs
from mssql.expressions.text import full_text, in_utf16_units, is_in_units, length_type
from mssql.expressions.tree import Binary, Call, Like, Node, Refused
from mssql.expressions.types import INTEGERS, STRINGS, UNICODE
from mssql.expressions.values import Condition, Notes, Value, quoted


def like(context: Context, node: Like, accepting: bool | None) -> Condition:
    """LIKE as an anchored regular expression ("LIKE").

    `accepting` is True where it may be true of more texts than on the source, False where of fewer, None where of
    neither.
    """
    match = _match(context, node.operand, node.pattern, node.escape, _of_the_negated(accepting, node.negated))
    return match.condition(node.negated)


def comparison_of_patindex(context: Context, node: Binary, accepting: bool | None) -> Condition | None:
    """PATINDEX compared with 0, which asks as LIKE does whether there is a match; None for any other comparison."""
    call, number = node.left, node.right
    if not (
        isinstance(call, Call) and call.name.upper() == "PATINDEX" and not call.schema and len(call.arguments) == 2
    ):
        return None
    is_found = {("=", 0): False, ("<=", 0): False, ("<", 1): False, (">", 0): True, ("<>", 0): True, (">=", 1): True}
    constant = context.value(number).constant
    if not isinstance(constant, int) or (node.operator, constant) not in is_found:
        return None
    negated = not is_found[node.operator, constant]
    match = _match(context, call.arguments[1], call.arguments[0], None, _of_the_negated(accepting, negated))
    _weigh_end(context.notes, match)
    return match.condition(negated)


def _patindex(context: Context, arguments: Arguments) -> Value:
    """Where the first match begins, 0 where there is none ("PATINDEX")."""
    match = _match(context, arguments[1], arguments[0], None, None)
    _weigh_end(context.notes, match)
    operand = context.value(arguments[1])
    context.notes.once(operand)
    type_ = length_type(operand)
    if not match.regex:
        return Value(f"{match.subject} IS NULL", type_)
    if match.regex.startswith("^"):
        return Value(
            f"CASE WHEN {match.condition(False).sql} THEN 1 WHEN {match.condition(True).sql} THEN 0 END", type_
        )
    before = f"substring({match.subject} from {quoted(f'^(.*?){match.regex}')})"
    if is_in_units(operand) and not match.is_in_units:
        before = in_utf16_units(before)
    return Value(f"CASE WHEN {match.condition(True).sql} THEN 0 ELSE length({before}) + 1 END", type_)


FUNCTIONS = {"PATINDEX": Function(_patindex, 2, 2)}


def regex_of(text: str, collation: Collation) -> str:
    """A regular expression that finds a constant text as the collation does."""
    return "".join(_of_characters(collation.cases(character)) for character in text)


def _of_the_negated(accepting: bool | None, is_negated: bool) -> bool | None:
    return not accepting if is_negated and accepting is not None else accepting


@dataclass(frozen=True)
class _Match:
    """A text and the regular expression that is looked for in it.

    `is_padded`: blanks may follow at its end. `is_in_units`: a character that is two UTF-16 units stands twice.
    """

    subject: str
    regex: str
    is_padded: bool
    is_in_units: bool

    def condition(self, is_negated: bool) -> Condition:
        return Condition(f"{self.subject} {'!~' if is_negated else '~'} {quoted(self.regex)}")


def _match(context: Context, text: Node, pattern: Node, escape: Node | None, accepting: bool | None) -> _Match:
    operand, given = context.value(text), context.value(pattern)
    if operand.type is not None and operand.known.name in {*INTEGERS, "decimal"}:
        operand = string_argument(context, text)
    if not isinstance(given.constant, str) or operand.known.name not in STRINGS or operand.constant is not None:
        raise Refused("LIKE is translated between a text and a constant pattern only")
    collation = deciding_collation(operand, given)
    elements = elements_of(given.constant, _escape_character(context, escape))
    is_unicode = operand.known.name in UNICODE or given.known.name in UNICODE
    literal = "".join(element.text for element in elements)
    weigh(context.notes, literal, collation, SqlType("nvarchar" if is_unicode else "varchar"))
    settle_case(operand)
    # Between non-Unicode texts, trailing blanks of the value are not significant.
    head, tail = "^", "$" if is_unicode else " *$"
    if elements and elements[-1].kind == "%":
        elements, tail = elements[:-1], ""
    if elements and elements[0].kind == "%":
        elements, head = elements[1:], ""
    pieces = (_regex(context.notes, element, collation, is_unicode, accepting) for element in elements)
    # Characters are matched by their codes; under a collation that ignores case PostgreSQL refuses to match at all.
    subject = f'{full_text(context.notes, operand)} COLLATE "C"'
    in_units = is_unicode and not operand.is_ascii and not collation.counts_characters
    in_units = in_units and any(element.counts for element in elements)
    if in_units:
        subject = in_utf16_units(full_text(context.notes, operand))
    return _Match(subject, head + _repeated(pieces) + tail, tail == " *$", in_units)


def _weigh_end(notes: Notes, match: _Match) -> None:
    if match.is_padded:
        notes.assume(
            Assumption.BLANKS_AT_END, "whether blanks may follow a match of PATINDEX at the end is not documented"
        )


def _escape_character(context: Context, escape: Node | None) -> str | None:
    if escape is None:
        return None
    given = context.value(escape).constant
    if not isinstance(given, str) or len(given) != 1:
        raise Refused("the ESCAPE character is not one constant character")
    return given


def _repeated(pieces: Iterable[str]) -> str:
    """Regular expressions one after another, with a number where one of a set stands several times."""
    found = []
    for piece, same in groupby(pieces):
        count = len(list(same))
        is_set = piece == "." or piece.startswith("[")
        found.append(f"{piece}{{{count}}}" if is_set and count > 1 else piece * count)
    return "".join(found)


def _regex(notes: Notes, element: Element, collation: Collation, is_unicode: bool, accepting: bool | None) -> str:
    """One element of a pattern."""
    if element.kind == "%":
        return ".*"
    if element.kind == "_":
        return "."
    members = {variant for member in element.members for variant in collation.cases(member)}
    if element.kind == "text":
        return _of_characters(members)
    members |= _characters_of_ranges(notes, element, collation, is_unicode, accepting)
    if len(members) == 1 and not element.is_negated:
        return _escaped(next(iter(members)))
    return f"[{'^' if element.is_negated else ''}{''.join(map(_run, runs(members)))}]"


def _of_characters(members: set[str]) -> str:
    ordered = sorted(members)
    return _escaped(ordered[0]) if len(ordered) == 1 else f"[{''.join(map(_escaped, ordered))}]"


def _characters_of_ranges(
    notes: Notes, element: Element, collation: Collation, is_unicode: bool, accepting: bool | None
) -> set[str]:
    """What the ranges of a set hold; of characters that may or may not be in one, what `accepting` asks for."""
    found: set[str] = set()
    for range_ in element.ranges:
        held = held_by(range_, collation, is_unicode=is_unicode)
        found |= held.certain
        if held.possible and accepting is None:
            notes.doubt(f"the range {range_} of LIKE follows the order of {collation.name}")
        if held.possible and accepting != element.is_negated:
            found |= held.possible
            notes.remark("letters of a range of LIKE pass where the collation may have them in it")
        if not collation.is_binary:
            notes.assume(
                Assumption.RANGES,
                f"the range {range_} of LIKE may hold more characters under {collation.name}",
                is_lenient=True,
            )
    return found


def _run(run: tuple[str, str]) -> str:
    first, last = run
    if ord(last) - ord(first) < 2:
        return "".join(map(_escaped, dict.fromkeys((first, last))))
    return f"{_escaped(first)}-{_escaped(last)}"


def _escaped(character: str) -> str:
    """A character in a regular expression. Beyond ASCII by its code, which no encoding of a script changes."""
    if not character.isascii():
        return f"\\u{ord(character):04X}" if ord(character) < 0x10000 else f"\\U{ord(character):08X}"
    return "\\" + character if character in r"\.^$*+?()[]{}|-" else character

"""What a range of LIKE holds: the characters that stand between its ends in the order of a collation.

The order is digits, then letters; accented letters stand with their base letter, other scripts behind. So between 0
and 9 lie digits only, and between A and Z lie Latin letters: É does, Ž does not, for it comes after Z. Which other
characters the collation has there (² ¼, full-width forms, digits of other scripts) is not documented: see
`Assumption.RANGES`.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from mssql.expressions.collations import Collation
from mssql.expressions.like_patterns import Range
from mssql.expressions.tree import Refused

#: letters without a decomposition, by the letter that they stand with
_BASES = dict(zip("ÆæŒœØøÐðĐđŁłĦħŦŧÞþßıŊŋƒ", "aaooooddddllhhttttsinnf", strict=True))
_LATIN = (range(0xC0, 0x250), range(0x1E00, 0x1F00))


@dataclass(frozen=True)
class Held:
    """The characters of a range: those that are certainly in it, and those that may be."""

    certain: frozenset[str]
    possible: frozenset[str] = frozenset()


def held_by(range_: Range, collation: Collation, *, is_unicode: bool) -> Held:
    """What a range holds. Raises `Refused` where its ends are no digits and no letters."""
    low, high = range_.low, range_.high
    if not (low + high).isascii():
        raise Refused(f"the range {range_} of LIKE follows the collation's order")
    if collation.is_binary:
        return _between(range_, low, high)
    if not (low + high).isalnum():
        raise Refused(f"the range {range_} of LIKE follows the collation's order")
    if low.isdigit() and high.isdigit():
        return _between(range_, low, high)
    if low.isalpha() and high.isalpha():
        return _letters(range_, low, high, collation, is_unicode)
    if low.isdigit():
        letters = _letters(range_, "a", high, collation, is_unicode)
        return Held(letters.certain | _between(range_, low, "9").certain, letters.possible)
    raise Refused(f"the range {range_} of LIKE holds nothing")


def _between(range_: Range, low: str, high: str) -> Held:
    if low > high:
        raise Refused(f"the range {range_} of LIKE holds nothing")
    return Held(frozenset(map(chr, range(ord(low), ord(high) + 1))))


def _letters(range_: Range, low: str, high: str, collation: Collation, is_unicode: bool) -> Held:
    """Letters from `low` to `high`, accented ones with their base letter."""
    if low.lower() > high.lower():
        raise Refused(f"the range {range_} of LIKE holds nothing")
    accented = frozenset(
        letter for letter in _accented_letters() if is_unicode or not collation.is_western or _is_western(letter)
    )
    plain = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    inside = frozenset(letter for letter in plain if low.lower() <= letter.lower() <= high.lower())
    if not collation.is_western:
        return Held(inside, accented) if collation.ignores_case else Held(frozenset(), inside | accented)
    last = high.lower()
    certain = frozenset(
        letter for letter in accented
        if low.lower() <= _base(letter) < last
        or (collation.ignores_accents and _base(letter) == last)
    )  # fmt: skip
    if collation.ignores_case:
        return Held(certain | inside)
    # Where case counts, one of the letters at each end lies outside, and which one differs between collations.
    edges = frozenset(letter for letter in inside if letter.lower() in {low.lower(), last}) - {low, high}
    return Held((certain | inside) - edges, edges)


@cache
def _accented_letters() -> frozenset[str]:
    letters = (chr(code) for codes in _LATIN for code in codes)
    return frozenset(letter for letter in letters if unicodedata.category(letter)[0] == "L" and _base(letter))


def _base(letter: str) -> str:
    """The ASCII letter that a letter stands with, in lower case; empty if there is none."""
    if letter in _BASES:
        return _BASES[letter]
    first = unicodedata.normalize("NFKD", letter)[0].lower()
    return first if first.isascii() and first.isalpha() else ""


def _is_western(letter: str) -> bool:
    """Code page 1252 has it."""
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def runs(characters: Iterable[str]) -> list[tuple[str, str]]:
    """Characters as ranges of neighbours, each by its first and last one."""
    found: list[tuple[str, str]] = []
    for character in sorted(characters):
        if found and ord(character) == ord(found[-1][1]) + 1:
            found[-1] = (found[-1][0], character)
        else:
            found.append((character, character))
    return found

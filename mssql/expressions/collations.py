"""What a collation decides about the equality of texts.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.tree import Refused
from mssql.expressions.types import UNICODE
from mssql.expressions.values import Notes, Value

#: the letters i of Turkish, capital and small
_CAPITALS, _SMALL = "İI", "iı"


@dataclass(frozen=True)
class Collation:
    """What a collation's name says ("Windows collation name", "Collation and Unicode support")."""

    name: str

    @property
    def _parts(self) -> list[str]:
        return self.name.upper().split("_")

    @property
    def is_binary(self) -> bool:
        return bool({"BIN", "BIN2"} & set(self._parts))

    @property
    def ignores_case(self) -> bool:
        return "CI" in self._parts

    @property
    def is_understood(self) -> bool:
        """The name says of case and accents what it does with them."""
        return self.is_binary or bool({"CI", "CS"} & set(self._parts) and {"AI", "AS"} & set(self._parts))

    @property
    def ignores_accents(self) -> bool:
        return "AI" in self._parts

    @property
    def counts_characters(self) -> bool:
        """Positions count characters, not UTF-16 units (_SC, _UTF8 and the version 140 collations)."""
        return bool({"SC", "UTF8"} & set(self._parts)) or ("140" in self._parts and not self.is_binary)

    @property
    def has_one_byte_characters(self) -> bool:
        """varchar holds one byte a character. Unknown families count as having more."""
        return "UTF8" not in self._parts and self._parts[0] not in {"JAPANESE", "CHINESE", "KOREAN", "XJIS"}

    @property
    def has_another_i(self) -> bool:
        """I is not the capital of i."""
        return self._parts[0] in {"TURKISH", "AZERI"} or "1254" in self.name

    @property
    def is_western(self) -> bool:
        """Its letters stand as in English, and its varchar holds code page 1252."""
        western = (["MODERN", "SPANISH"], ["BBF", "UNICODE"])
        return bool({"LATIN1", "FRENCH"} & set(self._parts[:2])) or self._parts[:2] in western

    def lower(self, text: str) -> str:
        """A constant text in lower case."""
        return (text.translate(str.maketrans(_CAPITALS, _SMALL)) if self.has_another_i else text).lower()

    def cases(self, character: str) -> set[str]:
        """A character and those that differ from it by their case only."""
        if not self.ignores_case or self.is_binary:
            return {character}
        if self.has_another_i and character in _CAPITALS + _SMALL:
            position = (_CAPITALS + _SMALL).index(character) % 2
            return {_CAPITALS[position], _SMALL[position]}
        return {one for one in (character, character.upper(), character.lower()) if len(one) == 1}

    def is_exact_for(self, type_: SqlType) -> bool:
        """No two characters are equal but ASCII letters of different case: bytes, or an SQL_ sort order on varchar."""
        return self.is_binary or (self._parts[0] == "SQL" and type_.name not in UNICODE)


#: where a collation does not matter: a text of digits and signs, in which digits and signs are looked for
_ANY = Collation("Latin1_General_BIN2")


def deciding_collation(*values: Value) -> Collation:
    """The collation that decides ("Collation precedence"). Raises `Refused` if none is known and it matters."""
    names = {value.collation for value in values if value.has_explicit_collation} or {
        value.collation for value in values if value.collation is not None
    }
    if len(names) > 1:
        raise Refused(f"the collations {' and '.join(sorted(str(name) for name in names))} are in conflict")
    name = next(iter(names), None)
    if name is None:
        constants = [value.constant for value in values if isinstance(value.constant, str)]
        is_plain = constants and all(text.isascii() and not re.search("[A-Za-z]", text) for text in constants)
        if is_plain and all(value.is_ascii for value in values):
            return _ANY
        raise Refused("texts are compared and their collation is not known")
    collation = Collation(name)
    if not collation.is_understood:
        raise Refused(f"texts are compared under the collation {name}, whose rules are not known")
    return collation


def weigh(notes: Notes, text: str, collation: Collation, type_: SqlType) -> bool:
    """Registers what is doubtful about matching a constant text; True if case must be ignored."""
    if collation.is_binary:
        return False
    has_letters = any(character.isalpha() for character in text)
    if any(_has_rules_of_its_own(character) for character in text):
        notes.doubt(f"{text!r} holds characters that {collation.name} compares by rules of its own")
    elif not collation.is_exact_for(type_):
        notes.assume(
            Assumption.EQUAL_CHARACTERS,
            f"under {collation.name} more characters are equal (full-width forms, zero-width characters) than in "
            "PostgreSQL",
            is_lenient=True,
        )
    if collation.ignores_accents and has_letters:
        notes.assume(Assumption.ACCENTS, f"{collation.name} ignores accents, PostgreSQL does not")
    return collation.ignores_case and has_letters


def _has_rules_of_its_own(character: str) -> bool:
    """A character that a collation may take for another one: kana, full-width forms, superscripts, marks."""
    if character.isascii():
        return False
    if character in "ßẞæÆœŒþÞðÐ":
        return False
    one, other = (unicodedata.normalize(form, character) for form in ("NFD", "NFKD"))
    is_kana = "\u3040" <= character <= "\u30ff"
    return one != other or is_kana or unicodedata.category(character)[0] not in "LNPSZ"


def folded(notes: Notes, sql: str, sought: str, collation: Collation) -> str:
    """A text in lower case, to find a constant in: only ASCII letters have the same case in every locale."""
    if collation.has_another_i:
        sql = with_letters_i(sql, "lower")
    if sought.isascii():
        return f'lower({sql} COLLATE "C")'
    notes.assume(Assumption.LETTER_CASE, "the case of letters beyond ASCII depends on the PostgreSQL database's locale")
    return f"lower({sql})"


def with_letters_i(sql: str, function: str) -> str:
    """A text whose letters i have the case that upper() or lower() gives them in Turkish."""
    before, after = (_SMALL, _CAPITALS) if function == "upper" else (_CAPITALS, _SMALL)
    return f"translate({sql}, '{before}', '{after}')"


def settle_case(value: Value) -> None:
    """UPPER and LOWER matter for ASCII letters only where a constant of ASCII characters is looked for."""
    if value.case_doubt is not None:
        value.case_doubt.is_lenient = True

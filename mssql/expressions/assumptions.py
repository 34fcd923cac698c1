"""What a translation takes for granted where the engines differ for values that hardly any database holds.

With `EXPRESSIONS=usual` such a translation is applied, and the report has the words below beside it; with `strict` it
is refused. docs/schema.md lists them. What may differ for ordinary values is no assumption but a doubt.
"""

from __future__ import annotations

from enum import Enum


class Assumption(Enum):
    """One choice; the value is what a person is told of it."""

    EQUAL_CHARACTERS = (
        "texts are compared character by character; a Windows collation also takes full-width forms for equal and "
        "ignores zero-width characters"
    )
    ACCENTS = (
        "a constant text is found as it is written; a collation that ignores accents finds it with other accents, too"
    )
    LETTER_CASE = (
        "upper and lower case of letters beyond ASCII are those of the PostgreSQL database's locale (C knows none); "
        "SQL Server's are those of Unicode"
    )
    RANGES = (
        "a range of LIKE such as [0-9] or [A-Z] holds ASCII digits, or Latin letters with their accents; a collation "
        "may also have superscripts, fractions, full-width forms or other scripts in it"
    )
    UTF16_UNITS = (
        "positions and lengths in an nvarchar count characters; SQL Server counts one beyond U+FFFF, such as an emoji, "
        "as two"
    )

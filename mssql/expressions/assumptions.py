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

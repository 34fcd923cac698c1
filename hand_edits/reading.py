"""A file's content as a JSON document, or in words why it is none."""

from __future__ import annotations

import codecs
import json
from typing import Any

from hand_edits.json_mistakes import first_mistake


class HandEditError(Exception):
    """What a person wrote cannot be understood; the message says where, what is wrong, and how it is mended."""


class _TwiceError(ValueError):
    """A name stands twice in an object."""


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, with a byte order mark or without. Raises HandEditError."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise HandEditError(
            'it is in UTF-16, which Windows PowerShell writes and some editors call "Unicode". Save it as UTF-8'
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Of a byte order mark the error's position knows nothing, but lines are the same.
        line = error.object.count(b"\n", 0, error.start) + 1
        raise HandEditError(
            f"line {line}: the byte 0x{error.object[error.start]:02x} in it is not UTF-8. Save the file as UTF-8"
        ) from None


def parsed(text: str) -> object:
    """The JSON document that a text is. Raises HandEditError, also where a name stands twice in one object."""
    if not text.strip():
        raise HandEditError("it is empty. Put back a copy of it, if there is one")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise HandEditError("its brackets are nested too deep") from None
    except (json.JSONDecodeError, _TwiceError) as error:
        mistake = first_mistake(text, json.loads)
        # What is not foreseen is told as Python tells it.
        raise HandEditError(str(mistake or error)) from None
    except ValueError:
        # Python's own limit to what it takes for a number.
        raise HandEditError("it holds a number of thousands of digits") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _TwiceError("a name stands twice in one object")
    return members

"""What a terminal, a log line or a report may see of text that comes from outside: names, values, servers' words.

A control character in a table's name could move a cursor, hide a line or paint a false one; a bidirectional override
turns text around (Unicode, "Unicode Bidirectional Algorithm", explicit formatting). Each is shown as an escape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

# C0 but for the newline, DEL, C1; line and paragraph separators; bidirectional marks and overrides; half characters.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_BEYOND_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""`text` with each control character as an escape (`\x1b`); newlines stay."""
    return _UNSAFE.sub(_escape, text)


def on_one_line(text: str) -> str:
    r"""The same for a name or words within a line: a newline is `\n`."""
    return visible(text).replace("\n", r"\n")


def json_text(value: object, indent: int | None = None) -> str:
    """JSON that people read: names beyond ASCII as they are, what `visible` escapes as JSON escapes it."""
    return visible_json(json.dumps(value, indent=indent, ensure_ascii=False))


def visible_json(written: str) -> str:
    """The same for what is JSON already."""
    return _BEYOND_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def listed(names: Sequence[str], limit: int = 10) -> str:
    """Names within a sentence: all of a few, of many the first and how many there are besides."""
    shown = [on_one_line(name) for name in names[:limit]]
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"

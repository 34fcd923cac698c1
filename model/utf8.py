"""What somebody typed, whatever the locale took it for."""

from __future__ import annotations

import os


def as_utf8(text: str) -> str:
    """An argument or environment value as the UTF-8 that it was typed in, whatever Python's locale took it for."""
    return os.fsencode(text).decode("utf-8", errors="replace")

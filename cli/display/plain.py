"""What a person sees: banners, one block a table, live bars on a terminal, plain lines for cron.

The texts are the same everywhere. A terminal adds bars; a pipe or cron gets whole lines without
control characters; an output whose encoding has no emoji gets words instead.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from model.visible import on_one_line, visible
from run.display import Bars

SECONDS_BETWEEN_LINES = 30.0

#: emoji → the word that stands for it where the output's encoding has no emoji
WORDS: dict[str, str] = {
    "📊": "[i]",
    "✅": "[OK]",
    "❌": "[FAILED]",
    "⏳": "[..]",
    "📋": "[--]",
    "📈": "[%]",
    "⏭️": "[SKIP]",
    "🔍": "[READ]",
    "🗑️": "[TRUNCATE]",
    "📝": "[WRITE]",
    "⚠️": "[WARNING]",
    "💡": "[HINT]",
    "🔌": "[CONNECT]",
    "🏗️": "[CREATE]",
    "🔗": "[KEYS]",
    "👷": "[WORKERS]",
    "🛑": "[STOPPED]",
    "🔁": "[RETRY]",
    "🔑": "[KEYS]",
    "📸": "[SNAPSHOT]",
    "→": "->",
    "…": "...",
    "·": "-",
    "≈": "~",
    "–": "-",
    "×": "x",
}


def in_words(text: str, encoding: str) -> str:
    """`text` as this encoding can show it: emoji as words, unknown and control characters as escapes."""
    text = visible(text)
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        pass
    for emoji, word in WORDS.items():
        text = text.replace(emoji, word)
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


@dataclass
class _Counted:
    """A table's rows since it began."""

    expected: int
    copied: int = 0
    started: float = field(default_factory=time.monotonic)


class _LineBars:
    """A line every half minute about each table under way."""

    def __init__(self, display: PlainDisplay) -> None:
        self._display = display
        self._tables: dict[str, _Counted] = {}
        self._last = time.monotonic()

    def start(self, table: str, expected: int) -> None:
        self._tables[table] = _Counted(expected)

    def rows(self, table: str, copied: int) -> None:
        now = time.monotonic()
        if table not in self._tables:
            return
        self._tables[table].copied = copied
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        for name, counted in self._tables.items():
            share = f" of about {counted.expected:,}" if counted.expected > 0 else ""
            rate = counted.copied / max(now - counted.started, 0.001)
            self._display.say(f"   … {on_one_line(name)}: {counted.copied:,}{share} rows, {rate:,.0f} rows/second")

    def end(self, table: str) -> None:
        self._tables.pop(table, None)


class SteadyStream:
    """A stream that takes every line: its reader may go, its disk fill up, and the run goes on all the same."""

    def __init__(self, stream: TextIO | None) -> None:
        """`stream` is None where the process was started with it closed."""
        self._stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "ascii"

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what can be handed on."""
        with contextlib.suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.flush()

    def isatty(self) -> bool:
        """Whether a person watches."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """The file's number, for what draws on terminals. Raises OSError where there is none."""
        if self._stream is None:
            raise OSError("closed")
        return self._stream.fileno()


class PlainDisplay:
    """Whole lines, nothing else: for pipes, files and cron."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = SteadyStream(stream)

    def say(self, text: str = "") -> None:
        self._stream.write(in_words(text, self._stream.encoding) + "\n")
        self._stream.flush()

    @contextmanager
    def bars(self) -> Iterator[Bars]:
        yield _LineBars(self)

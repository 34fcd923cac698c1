"""Whole lines, for people and for what they use: texts as an output can show them, words instead of emoji."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TextIO

from cli.display.line_bars import LineBars
from model.visible import visible
from run.display import LEVELS, Bars, Level, Line, Whole, line_of

Verbosity = Literal["quiet", "usual", "verbose"]


@dataclass(frozen=True)
class Taste:
    """What somebody wants to see: how much, and whether with emoji."""

    verbosity: Verbosity = "usual"
    has_emoji: bool = True

    def wants(self, line: Line, usual: Level) -> bool:
        """Whether a line is shown, where usually those of a level and above are."""
        least: Mapping[Verbosity, Level] = {"quiet": "warning", "usual": usual, "verbose": "chunk"}
        return LEVELS.index(line.level) >= LEVELS.index(least[self.verbosity])

    def shown(self, text: str) -> str:
        """A text as it is shown."""
        return text if self.has_emoji else without_emoji(text)


USUAL = Taste()

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
    "🔎": "[COMPARE]",
    "🗑️": "[TRUNCATE]",
    "📝": "[WRITE]",
    "⚠️": "[WARNING]",
    "💡": "[HINT]",
    "🔌": "[CONNECT]",
    "🏗️": "[CREATE]",
    "🔗": "[KEYS]",
    "🔀": "[SWITCH]",
    "🧹": "[REMOVED]",
    "💾": "[DISK]",
    "👷": "[WORKERS]",
    "🛑": "[STOPPED]",
    "🔁": "[RETRY]",
    "🔑": "[KEYS]",
    "📸": "[SNAPSHOT]",
    "🐢": "[SLOWLY]",
    "🌙": "[NIGHTLY]",
    "✏️": "[EDITED]",
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
    return without_emoji(text).encode(encoding, errors="backslashreplace").decode(encoding)


def without_emoji(text: str) -> str:
    """`text` with a word for each of our emoji."""
    for emoji, word in WORDS.items():
        text = text.replace(emoji, word)
    return text


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
    """Whole lines, nothing else: for terminals that cannot draw."""

    def __init__(self, stream: TextIO | None, taste: Taste = USUAL) -> None:
        self._stream = SteadyStream(stream)
        self._taste = taste

    def say(self, text: str = "") -> None:
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        if self._taste.wants(line, "detail"):
            self._stream.write(in_words(self._taste.shown(line.text), self._stream.encoding) + "\n")
            self._stream.flush()

    @contextmanager
    def bars(self, whole: Whole) -> Iterator[Bars]:
        yield LineBars(self, whole)

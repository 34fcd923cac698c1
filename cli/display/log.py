"""A log: one line for each thing that is said, with the time and the run that says it, as text or as JSON."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TextIO

from cli.display.line_bars import LineBars
from cli.display.plain import USUAL, WORDS, SteadyStream, Taste, in_words
from model.visible import json_text, visible
from run.display import Bars, Line, Whole, line_of

#: signs of a run's identity that lines begin with
RUN_SIGNS = 8


class LogFormat(Protocol):
    """How a line of a log is written."""

    def written(self, line: Line, at: datetime, encoding: str) -> Iterator[str]:
        """The lines for it that a stream of this encoding takes; none for a blank one."""


class TextLog:
    """`2025-12-16 14:25:00 9f1c64d2 words`, one line for each line of the words."""

    def __init__(self, run: str, taste: Taste) -> None:
        self._run = run[:RUN_SIGNS]
        self._taste = taste

    def written(self, line: Line, at: datetime, encoding: str) -> Iterator[str]:
        """The lines of text for it, in words where the encoding has no emoji."""
        is_short = line.in_log is not None and self._taste.verbosity != "verbose"
        text = self._taste.shown(line.in_log if is_short and line.in_log is not None else line.text)
        for one in text.split("\n"):
            if one.strip() or self._taste.verbosity == "verbose":
                stamped = f"{at.isoformat(sep=' ', timespec='seconds')} {self._run} {one}"
                yield in_words(visible(stamped), encoding)


class JsonLog:
    """An object a line: `time`, `run`, `level`, `event`, `table`, `message`, and the line's facts.

    It is UTF-8 (RFC 8259, section 8.1): a stream of another encoding gets ASCII alone.
    """

    def __init__(self, run: str) -> None:
        self._run = run

    def written(self, line: Line, at: datetime, encoding: str) -> Iterator[str]:
        """The line of text for it."""
        message = without_sign(line.in_log if line.in_log is not None else line.text).strip()
        if not message:
            return
        document: dict[str, Any] = {
            "time": at.astimezone().isoformat(timespec="milliseconds"), "run": self._run, "level": line.level,
            "event": line.event, "table": line.table, "message": message, **line.facts,
        }  # fmt: skip
        yield json_text(document) if is_utf8(encoding) else json.dumps(document)


class LogDisplay:
    """Writes a log into a stream."""

    def __init__(
        self, stream: TextIO | None, log_format: LogFormat, taste: Taste = USUAL,
        clock: Callable[[], datetime] = datetime.now,
    ) -> None:  # fmt: skip
        self._stream = SteadyStream(stream)
        self._format = log_format
        self._taste = taste
        self._clock = clock

    def say(self, text: str = "") -> None:
        """Log words."""
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        """Log a line."""
        if not self._taste.wants(line, "info"):
            return
        for text in self._format.written(line, self._clock(), self._stream.encoding):
            self._stream.write(text + "\n")
        self._stream.flush()

    @contextmanager
    def bars(self, whole: Whole) -> Iterator[Bars]:
        """How far the run is, in a line now and then."""
        yield LineBars(self, whole)


def without_sign(text: str) -> str:
    """Words without the emoji that they begin with, which `level` says for machines."""
    text = text.lstrip()
    for emoji in WORDS:
        if text.startswith(emoji):
            return text.removeprefix(emoji).lstrip()
    return text


def is_utf8(encoding: str) -> bool:
    """Whether an encoding is UTF-8, by whichever of its names."""
    return codecs.lookup(encoding).name == "utf-8"

"""What a setting may be: how its text is read, and what is refused."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from model.errors import SettingsError
from model.rates import MaxRate, parse_rate
from model.refresh import REFRESHES, RefreshOf


class Kind(Protocol):
    """What a setting may be."""

    def read(self, name: str, text: str) -> Any:
        """Its value, of what somebody wrote; the default where that is blank. Raises SettingsError."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    default: int
    low: int
    high: int

    def read(self, name: str, text: str) -> int:
        """Underscores may part its digits."""
        digits = text.strip().replace("_", "")
        if not digits:
            return self.default
        if not re.fullmatch(r"[0-9]{1,20}", digits) or not self.low <= int(digits) <= self.high:
            raise SettingsError(f"{name} must be a whole number from {self.low} to {self.high}, not {text!r}")
        return int(digits)


@dataclass(frozen=True)
class Choice:
    """One of a few words; the first is the default."""

    known: tuple[str, ...]

    def read(self, name: str, text: str) -> str:
        """Without case; true and 1 mean yes, false and 0 no."""
        word = text.strip().lower()
        word = {"true": "yes", "1": "yes", "false": "no", "0": "no"}.get(word, word) or self.known[0]
        if word not in self.known:
            raise SettingsError(f"{name} must be one of {', '.join(self.known)}, not {text!r}")
        return word


@dataclass(frozen=True)
class Text:
    """Any text."""

    default: str = ""

    def read(self, name: str, text: str) -> str:  # noqa: ARG002
        """Blanks around it do not count."""
        return text.strip() or self.default


@dataclass(frozen=True)
class Names:
    """Names with commas between them."""

    default: tuple[str, ...] = ()

    def read(self, name: str, text: str) -> tuple[str, ...]:  # noqa: ARG002
        """Blank ones do not count; the default where there are no others."""
        return tuple(filter(None, (part.strip() for part in text.split(",")))) or self.default


@dataclass(frozen=True)
class File:
    """A path, or none."""

    def read(self, name: str, text: str) -> Path | None:  # noqa: ARG002
        """Blanks around it do not count."""
        return Path(text.strip()) if text.strip() else None


@dataclass(frozen=True)
class Rate:
    """Rows or bytes a second, or none."""

    def read(self, name: str, text: str) -> MaxRate | None:
        """As of `model.rates`."""
        try:
            return parse_rate(text) if text.strip() else None
        except ValueError as error:
            raise SettingsError(f"{name} {error}") from None


@dataclass(frozen=True)
class SchemaPairs:
    """Schemas of the source and of the target: `dbo:shop,Sales:sales_eu`."""

    def read(self, name: str, text: str) -> Mapping[str, str]:
        """Source schema, lower-cased → target schema."""
        pairs: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            source, colon, target = (part.strip() for part in pair.partition(":"))
            if not (source and colon and target):
                raise SettingsError(f"{name} must look like dbo:shop,Sales:sales_eu, not {text!r}")
            if source.lower() in pairs:
                raise SettingsError(f"{name} names {source} twice")
            pairs[source.lower()] = target
        return pairs


@dataclass(frozen=True)
class RefreshPairs:
    """Tables, as globs, and how they are refreshed: `AuditLog:truncate,Sales.*:swap`."""

    def read(self, name: str, text: str) -> RefreshOf:
        """In the order in which they are written."""
        pairs = []
        for pair in filter(None, (part.strip() for part in text.split(","))):
            glob, colon, word = (part.strip() for part in pair.rpartition(":"))
            found = next((refresh for refresh in REFRESHES if refresh == word.lower()), None)
            if not (glob and colon) or found is None:
                raise SettingsError(
                    f"{name} must look like AuditLog:truncate,Sales.*:swap, with {', '.join(REFRESHES)}, not {pair!r}"
                )
            pairs.append((glob, found))
        return tuple(pairs)


def default_workers() -> int:
    """Workers where nobody says: one a core, at most four, so that two busy servers are not overrun."""
    return max(1, min(4, os.cpu_count() or 1))

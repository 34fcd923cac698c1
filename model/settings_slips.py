"""Slips in settings: names that are nearly ours, and where a setting was given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.errors import SettingsError

#: how near a name must be to be taken for a slip, from 0 to 1
NEAR = 0.86
#: and how near to one that is given as well: MSSQL_SA_PASSWORD is another program's
VERY_NEAR = 0.93
#: of the environment, where much stands that is no business of ours, only names that begin so
OURS = ("MSSQL_", "PG_")


@dataclass(frozen=True)
class Given:
    """What somebody wrote: the values by name, and the line of the file that each comes from, where one does."""

    values: Mapping[str, str]
    lines: Mapping[str, int]
    file: Path | None = None

    def place(self, name: str) -> str:
        """Where a setting was given, for a person; nothing where it was not."""
        if name in self.lines:
            return f"{self.file}, line {self.lines[name]}"
        return "the environment" if name in self.values else ""

    def told(self, error: SettingsError) -> SettingsError:
        """The same error, with where the setting that it begins with was given."""
        name = re.match(r"[A-Z][A-Z0-9_]+", str(error))
        place = self.place(name[0]) if name else ""
        return SettingsError(f"{str(error).rstrip('.')}. It stands in {place}.") if place else error


def refuse_near_names(given: Given, known: Iterable[str]) -> None:
    """Raise SettingsError for a name that is no setting, and nearly one.

    What is near to nothing is somebody else's, and so is a setting's name with a number behind it.
    """
    names = set(known)
    missing = sorted(names - given.values.keys())
    there = sorted(names & given.values.keys())
    for name in given.values:
        if name in names or not (name in given.lines or name.startswith(OURS)):
            continue
        near = difflib.get_close_matches(name.upper(), missing, n=1, cutoff=NEAR)
        twice = [] if name[-1].isdigit() else difflib.get_close_matches(name.upper(), there, n=1, cutoff=VERY_NEAR)
        if near or twice:
            meant = f"Is {near[0]} meant" if near else f"Is {twice[0]} meant, which is given as well"
            raise SettingsError(
                f"{given.place(name)}: there is no setting {name}. {meant}? Correct the name, or, if it is another "
                f"program's, keep it out of this file."
            )

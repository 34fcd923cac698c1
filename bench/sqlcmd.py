"""A script for sqlcmd as the batches that a server is sent (Microsoft, "sqlcmd utility", "Use sqlcmd with scripting
variables").

Understood are GO with its count, `:setvar`, `$(name)` and `:r file`. A script that uses another of sqlcmd's commands is
refused by name: left out, it would do something else than it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_GO = re.compile(r"[ \t]*GO(?:[ \t]+(\d+))?[ \t]*;?[ \t]*", re.IGNORECASE)
_COMMAND = re.compile(
    r"[ \t]*:(setvar|r|on|connect|quit|exit|out|error|perftrace|xml|listvar|list|reset|serverlist|ed|help)\b[ \t]*(.*)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$\(([^()\s\"']+)\)")


class ScriptError(Exception):
    """A script that cannot be run as it stands; says the file, the line and what to do."""


@dataclass(frozen=True)
class Batch:
    """What stands between two lines with GO: the line of the script that it begins on, and its text."""

    line: int
    text: str

    @property
    def title(self) -> str:
        """Its first line that is not blank, cut, for a person who looks for it."""
        return next(line.strip() for line in self.text.splitlines() if line.strip())[:80]

    def part(self, start: int, end: int) -> Batch:
        """A part of the text, with the line that it begins on."""
        blank = len(self.text[start:end]) - len(self.text[start:end].lstrip())
        return Batch(self.line + self.text[: start + blank].count("\n"), self.text[start:end].strip())


def read_script(path: Path) -> str:
    """A script's text, in the encodings that Microsoft's own scripts have."""
    raw = path.read_bytes()
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252")


def batches(path: Path, given: Mapping[str, str]) -> Iterator[Batch]:
    """The batches of a script, with its variables replaced by their values.

    What is `given` holds against the script's own `:setvar`. With sqlcmd it is the other way round, and a script whose
    folder is not its author's has to be edited. Raises ScriptError.
    """
    variables = {name.lower(): value for name, value in given.items()}
    yield from _Reader(variables, frozenset(variables)).batches(path)


class _Reader:
    """Reads a script and those that it includes, which share its variables."""

    def __init__(self, variables: dict[str, str], fixed: frozenset[str]) -> None:
        self._variables = variables
        self._fixed = fixed

    def batches(self, path: Path) -> Iterator[Batch]:
        lines: list[str] = []
        begins = 1
        for number, line in enumerate(read_script(path).splitlines(), start=1):
            if separator := _GO.fullmatch(line):
                yield from [batch for batch in self._batch(begins, lines) for _ in range(int(separator[1] or 1))]
                lines, begins = [], number + 1
            elif command := _COMMAND.fullmatch(line):
                lines.append("")
                if command[1].lower() == "r":
                    yield from self._batch(begins, lines)
                    lines, begins = [], number + 1
                    yield from self.batches(self._included(path, number, command[2]))
                else:
                    self._set(path, number, command[1], command[2])
            else:
                lines.append(self._filled(path, number, line))
        yield from self._batch(begins, lines)

    def _batch(self, begins: int, lines: list[str]) -> list[Batch]:
        batch = Batch(begins, "\n".join(lines))
        return [batch.part(0, len(batch.text))] if batch.text.strip() else []

    def _set(self, path: Path, number: int, word: str, rest: str) -> None:
        parts = re.fullmatch(r'([^\s"]+)(?:[ \t]+(?:"([^"]*)"|(\S+)))?[ \t]*', rest)
        if word.lower() != "setvar" or parts is None:
            raise ScriptError(f"{path.name}, line {number}: `:{word} {rest}` is not understood; run it with sqlcmd.")
        name = parts[1].lower()
        if name in self._fixed:
            return
        value = parts[2] if parts[2] is not None else parts[3]
        if value is None:
            self._variables.pop(name, None)
        else:
            self._variables[name] = value

    def _included(self, path: Path, number: int, rest: str) -> Path:
        named = self._filled(path, number, rest.strip().strip('"'))
        found = beside(path, named)
        if found is None:
            raise ScriptError(f"{path.name}, line {number}: {named} is not there.")
        return found

    def _filled(self, path: Path, number: int, line: str) -> str:
        def value(match: re.Match[str]) -> str:
            try:
                return self._variables[match[1].lower()]
            except KeyError:
                raise ScriptError(
                    f"{path.name}, line {number}: the variable {match[1]} has no value; name it in --set NAME=VALUE."
                ) from None

        return _VARIABLE.sub(value, line)


def beside(script: Path, named: str) -> Path | None:
    """A file that a script names, as named or by its name alone beside the script; None where it is not there.

    The scripts name folders of the machine that they were written on.
    """
    for found in (Path(named), script.parent / named, script.parent / own_name(named)):
        if found.is_file():
            return found
    return None


def own_name(named: str) -> str:
    """A file's name without its folders, as Windows or others write them."""
    return re.split(r"[\\/]", named)[-1]

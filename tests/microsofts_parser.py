"""Microsoft's own T-SQL parser (ScriptDom), which the package `maxdop` carries in a native program."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: the grammars of SQL Server from 2012 on that it has, by the product's year
GRAMMARS = ("2012", "2014", "2016", "2017", "2019", "2022", "2025")
NOT_THERE = (
    "Microsoft's parser is not installed: pip install -r requirements-dev.txt (there is no wheel for some systems)"
)
#: files that no grammar has, one before all others and one behind them
_CONTROLS = ("00first", "zzlast")
#: told of a file that was parsed, and is not laid out as the program would lay it out
_PARSED = "would be reformatted"


@dataclass(frozen=True)
class Refusal:
    """A statement that a grammar does not have, and what the parser says."""

    statement: str
    grammar: str
    words: str

    def __str__(self) -> str:
        return f"SQL Server {self.grammar}: {self.words}\n    {self.statement[:2000]}"


def program() -> str | None:
    """Where the parser is, None where it is not installed."""
    return shutil.which("maxdop", path=sysconfig.get_path("scripts")) or shutil.which(
        "maxdop", path=str(Path(sys.executable).parent)
    )


def refused(statements: Sequence[str], grammar: str) -> list[Refusal]:
    """Those of the statements that a grammar does not have.

    All are looked at by one process, each from a file of its own. A line that is nothing but GO would end a batch
    there, as in SQL Server's own tools, and not on a connection: no statement here has one.
    """
    found = program()
    assert found is not None, NOT_THERE
    split = [statement for statement in statements if re.search(r"(?im)^\s*GO\s*(\d+\s*)?$", statement)]
    assert not split, f"a line of GO splits these: {split[:3]}"
    with tempfile.TemporaryDirectory(prefix="statements-") as name:
        folder = Path(name)
        for number, statement in enumerate(statements):
            # The program writes every end of a line in its own way, and then takes a literal's text for changed.
            (folder / f"{number}.sql").write_bytes(re.sub(r"\r\n?", "\n", statement).encode())
        for control in _CONTROLS:
            (folder / f"{control}.sql").write_text("SELECT FROM WHERE", encoding="utf-8")
        finished = subprocess.run(
            [found, "--check", "--parser-version", grammar, str(folder)],
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
    assert finished.returncode in (0, 1), finished.stderr[-2000:]
    told = re.findall(r"(\w+)\.sql:? (.*)", finished.stderr + finished.stdout)
    seen = {name for name, words in told if name in _CONTROLS and words != _PARSED}
    assert seen == set(_CONTROLS), f"files were not looked at, or not as is known: {finished.stderr[-2000:]}"
    return [
        Refusal(statements[int(name)], grammar, words)
        for name, words in told
        if name not in _CONTROLS and words != _PARSED
    ]

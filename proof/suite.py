"""The tests that need a T-SQL server, run by pytest, and what came of each of them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from proof.servers import ROOT, environment_of_tests

State = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Case:
    """A test: the module that it is in, its name, what came of it, and why where it did not pass."""

    module: str
    name: str
    state: State
    words: str = ""


def run_tests(given: Mapping[str, str], samples: Path | None, chosen: Sequence[str]) -> list[Case]:
    """Run the tests that need a T-SQL server; `chosen` are further arguments of pytest.

    `samples` is the folder with Microsoft's scripts, which one of the tests takes Northwind from.
    """
    northwind = next(iter(sorted(samples.resolve().rglob("instnwnd.sql"))), None) if samples else None
    named = {**given, **({"NORTHWIND_SCRIPT": str(northwind)} if northwind else {})}
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        results = Path(folder) / "results.xml"
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "-m", "tsql", "-q", "-n", "auto", "--dist", "loadscope",
                "-p", "no:cacheprovider", f"--junitxml={results}", *chosen,
            ],
            cwd=ROOT, env=environment_of_tests(named), check=False, stdout=sys.stderr,
        )  # fmt: skip
        return read_results(results) if results.exists() else []


def read_results(file: Path) -> list[Case]:
    """The cases of pytest's JUnit file."""
    return [_case(found) for found in ET.parse(file).getroot().iter("testcase")]


def _case(found: ET.Element) -> Case:
    module, name = found.get("classname", ""), found.get("name", "")
    for kind in ("failure", "error"):
        if (wrong := found.find(kind)) is not None:
            return Case(module, name, "failed", (wrong.get("message") or "").strip())
    if (left := found.find("skipped")) is not None:
        return Case(module, name, "skipped", (left.get("message") or "").strip())
    return Case(module, name, "passed")

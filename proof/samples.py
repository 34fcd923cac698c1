"""Microsoft's sample databases: loaded by their own scripts, replicated, compared, and accounted for."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.run_tsql_script import Outcome, Refusal, run_script
from bench.sqlcmd import ScriptError
from db import connect_source, load_settings
from mssql.quoting import quote
from proof.servers import ROOT, environment_of_tests, source_settings


@dataclass(frozen=True)
class Sample:
    """A sample database: its script, and how the script knows where to put it."""

    name: str
    script: str
    #: the script's variable for the database's name, where it has one
    variable: str | None = None
    #: the database that the script makes whatever it is told, after dropping one of that name
    own_name: str | None = None


SAMPLES = (
    Sample("Northwind", "instnwnd.sql"),
    Sample("pubs", "instpubs.sql", own_name="pubs"),
    Sample("AdventureWorks", "instawdb.sql", variable="DatabaseName"),
)


@dataclass(frozen=True)
class Step:
    """A program that ran: what it was for, its exit code, and what it said, without times."""

    what: str
    code: int
    words: str


@dataclass(frozen=True)
class Replicated:
    """What came of a sample database."""

    name: str
    #: why it was not even begun with
    omitted: str | None = None
    parts: int = 0
    #: parts of its script that did not go in, in the server's words
    not_loaded: Sequence[Refusal] = ()
    steps: Sequence[Step] = ()
    tables: int = 0
    rows: int = 0
    equal: int = 0
    #: tables that are not equal, by name, with why
    different: Sequence[str] = ()
    #: objects by what the schema report says of them
    report: Mapping[str, int] | None = None
    unaccounted: str | None = None

    @property
    def is_proven(self) -> bool:
        """Whether all that went in arrived, and is equal."""
        return self.omitted is None and self.tables > 0 and all(step.code == 0 for step in self.steps)


def replicate_samples(given: Mapping[str, str], folder: Path | None, targets: Any) -> Iterator[Replicated]:
    """Each sample in turn; `targets` makes databases of the PostgreSQL, as demo.target's class does."""
    for sample in SAMPLES:
        script = next(iter(sorted(folder.rglob(sample.script))), None) if folder else None
        if script is None:
            yield Replicated(sample.name, omitted=f"SAMPLES names no folder with {sample.script} in it")
            continue
        print(f"{sample.name}: loading", file=sys.stderr)
        yield _replicate(sample, script, given, targets)


def _replicate(sample: Sample, script: Path, given: Mapping[str, str], targets: Any) -> Replicated:
    name = sample.own_name or f"proof_{sample.name}_{uuid.uuid4().hex[:12]}"
    master = load_settings(None, source_settings(given, "master"))
    with contextlib.closing(connect_source(master)) as admin:
        if admin.execute("SELECT DB_ID(?)", name).fetchone()[0] is not None:
            return Replicated(sample.name, omitted=f"the server has a database {name}, which its script would drop")
        if sample.own_name is None and sample.variable is None:
            admin.execute(f"CREATE DATABASE {quote(name)}")
        try:
            outcome = _load(sample, script, given, name)
            print(f"{sample.name}: replicating", file=sys.stderr)
            return _copied(sample, outcome, source_settings(given, name), targets)
        except ScriptError as error:
            return Replicated(sample.name, omitted=str(error))
        finally:
            admin.execute(f"IF DB_ID('{name}') IS NOT NULL DROP DATABASE {quote(name)}")


def _load(sample: Sample, script: Path, given: Mapping[str, str], name: str) -> Outcome:
    begins_in_master = sample.own_name is not None or sample.variable is not None
    settings = load_settings(None, source_settings(given, "master" if begins_in_master else name))
    with contextlib.closing(connect_source(settings)) as connection:
        return run_script(connection, script, {sample.variable: name} if sample.variable else {})


def _copied(sample: Sample, outcome: Outcome, source: Mapping[str, str], targets: Any) -> Replicated:
    """Copy a database that was loaded, compare it, and account for every object."""
    target = f"proof_{uuid.uuid4().hex[:12]}"
    targets.create_database(target)
    settings = {**environment_of_tests({}), **source, **targets.environment(target), "PYTHONUTF8": "1"}
    with tempfile.TemporaryDirectory(prefix="proof-") as folder:
        here = Path(folder)
        steps = [_step("schema", settings, here, str(ROOT / "replicate-schema.py"))]
        if (here / "schema_report.json").exists():
            steps += [
                _step("rows", settings, here, str(ROOT / "sync-data.py")),
                _step("comparison", settings, here, str(ROOT / "sync-data.py"), "--verify"),
                _step("account", {**settings, "PYTHONPATH": str(ROOT)}, here, "-m", "bench.account"),
            ]
        compared = _last_run(here / "runs.jsonl")
        report = here / "schema_report.json"
        summary = json.loads(report.read_text(encoding="utf-8"))["summary"] if report.exists() else None
    tables = compared.get("tables", [])
    return Replicated(
        sample.name,
        parts=outcome.parts,
        not_loaded=outcome.refusals,
        steps=steps,
        tables=len(tables),
        rows=sum(table["rows"] or 0 for table in tables),
        equal=sum(table["compared"] == "equal" for table in tables),
        different=[
            f"{table['table']}: {table['error'] or table['compared'] or 'not compared'}"
            for table in tables
            if table["compared"] != "equal"
        ],
        report=summary,
        unaccounted=next((line for line in steps[-1].words.splitlines() if "unaccounted" in line), None),
    )


def _last_run(file: Path) -> dict[str, Any]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    last: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return last if "--verify" in last.get("arguments", []) else {}


def _step(what: str, settings: Mapping[str, str], folder: Path, *command: str) -> Step:
    ended = subprocess.run(
        [sys.executable, *command], cwd=folder, env=dict(settings), check=False, capture_output=True, text=True,
        encoding="utf-8", stdin=subprocess.DEVNULL,
    )  # fmt: skip
    said = [*ended.stdout.splitlines(), *ended.stderr.splitlines()]
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{8} ?", "", line) for line in said]
    return Step(what, ended.returncode, "\n".join(lines))

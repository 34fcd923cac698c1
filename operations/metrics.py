"""The last run of each script as metrics, in Prometheus' text format, for node_exporter's textfile collector.

Source: Prometheus, "Exposition formats"; node_exporter, "Textfile Collector".
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hand_edits.whole_files import put_in_place
from model.version import __version__
from model.visible import on_one_line
from operations import verdict
from operations.run_result import RunResult

PREFIX = "mssql_to_postgres"
#: the collector runs as somebody else; there are no values of rows in it
READABLE = 0o644
_LABELS = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

LAST_SUCCESS = "last_success_timestamp_seconds"

#: metric → what it is
HELP: Mapping[str, str] = {
    "info": "The last run, by script and folder: source, target, version. Always 1.",
    "last_run_timestamp_seconds": "When the last run ended.",
    "last_success_timestamp_seconds": "When the last run ended that had nothing to complain of.",
    "last_run_success": "Whether the last run had nothing to complain of.",
    "last_run_exit_code": "The exit code of the last run.",
    "last_run_duration_seconds": "How long the last run took.",
    "last_run_tables": "Tables of the last run, by state.",
    "last_run_rows": "Rows that the last run brought.",
    "last_run_rejected_rows": "Rows that PostgreSQL refused and that were left out.",
    "last_run_objects_not_restored": "Keys, indexes and triggers that were suspended and are not back.",
}


@dataclass(frozen=True)
class Sample:
    """A value of a metric with its labels."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    value: str

    @property
    def line(self) -> str:
        """As the text format has it."""
        inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        return f"{PREFIX}_{self.metric}{{{inside}}} {self.value}"


def write_metrics(path: Path, result: RunResult, folder: Path) -> None:
    """Put a run's samples into the file in place of those of the last run of the same script and folder.

    Those of others stay. The file is replaced whole, and may be read by everybody. Raises OSError.
    """
    ours = (("script", result.script), ("folder", on_one_line(str(folder.resolve()))))
    before = list(_read(path))
    kept = [one for one in before if one.labels[:2] != ours]
    earlier = next((one.value for one in before if one.labels == ours and one.metric == LAST_SUCCESS), None)
    _replace(path, _text([*kept, *_samples(result, ours, earlier)]))


def _samples(result: RunResult, ours: tuple[tuple[str, str], ...], earlier: str | None) -> Iterator[Sample]:
    ended = _number(datetime.fromisoformat(result.ended_at).timestamp())
    about = (
        *ours,
        *((side, on_one_line(str(result.settings.get(side) or ""))) for side in ("source", "target")),
        ("version", __version__),
    )
    yield Sample("info", about, "1")
    yield Sample("last_run_timestamp_seconds", ours, ended)
    succeeded = ended if result.exit_code == 0 else earlier
    if succeeded is not None:
        yield Sample(LAST_SUCCESS, ours, succeeded)
    yield Sample("last_run_success", ours, _number(result.exit_code == 0))
    yield Sample("last_run_exit_code", ours, _number(result.exit_code))
    yield Sample("last_run_duration_seconds", ours, _number(verdict.seconds(result)))
    done, failed = verdict.done(result), verdict.failed(result)
    states = {
        "done": done, "failed": failed, "left": len(result.tables) - done - failed, "skipped": len(result.skipped),
        "gone": len(result.gone),
    }  # fmt: skip
    for state, count in states.items():
        yield Sample("last_run_tables", (*ours, ("state", state)), _number(max(count, 0)))
    yield Sample("last_run_rows", ours, _number(verdict.rows(result)))
    yield Sample("last_run_rejected_rows", ours, _number(sum(one.rejected for one in result.tables)))
    yield Sample("last_run_objects_not_restored", ours, _number(len(result.not_restored)))


def _number(value: float) -> str:
    return f"{value:g}" if value != int(value) else str(int(value))


def _text(samples: list[Sample]) -> str:
    lines = []
    for metric, words in HELP.items():
        ours = [one.line for one in samples if one.metric == metric]
        if ours:
            lines += [f"# HELP {PREFIX}_{metric} {words}", f"# TYPE {PREFIX}_{metric} gauge", *ours]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> Iterator[Sample]:
    """The samples that the file has; what is not ours in it is not kept."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return
    for line in text.splitlines():
        found = re.fullmatch(rf"{PREFIX}_(\w+)\{{(.*)\}} (\S+)", line)
        if found is not None and found[1] in HELP:
            labels = tuple((name, _unescaped(value)) for name, value in _LABELS.findall(found[2]))
            yield Sample(found[1], labels, found[3])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)


def _replace(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(name).chmod(READABLE)
        put_in_place(Path(name), path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise

"""--history: the last runs of a folder as a table, or as JSON. Needs no server, no settings and no lock."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cli.display.plain import PlainDisplay
from model.errors import ALL_DONE, SOME_FAILED, OutputError
from model.visible import json_text, on_one_line
from operations import verdict
from operations.history import BrokenLine, last_runs
from operations.run_result import FILE, RunResult
from run.output import write_out

#: runs that are shown where nobody says how many
USUAL = 20
HEADINGS = ("started", "script", "session", "verdict", "tables", "failed", "rows", "time", "mode", "workers", "because")
#: columns of numbers
RIGHT = frozenset({"tables", "failed", "rows", "time"})
SIGNS_OF_SESSION = 8


def show_history(folder: Path, most: int, as_json: bool) -> int:
    """Print the last runs that are kept in a folder, the newest last; returns the exit code."""
    beside = PlainDisplay(sys.stderr)
    try:
        runs, broken = last_runs(folder, most)
        for one in broken:
            beside.say(f"⚠️ {_place(folder, one)}: {one.why}. It is passed over.")
        if not runs and not as_json:
            beside.say(f"No run has left a line in {folder / FILE}.")
            return ALL_DONE
        write_out(json_text([facts(run) for run in runs], indent=2) + "\n" if as_json else table(runs))
    except OSError as error:
        beside.say(f"❌ {folder / FILE} cannot be read: {error.strerror or error}")
        return SOME_FAILED
    except OutputError as error:
        beside.say(f"❌ {error}")
        return error.exit_code
    return ALL_DONE


def _place(folder: Path, broken: BrokenLine) -> str:
    return f"{folder / broken.file}, line {broken.line}"


def facts(run: RunResult) -> dict[str, object]:
    """What is told of a run, by stable names."""
    return {
        "run": run.run, "started_at": run.started_at, "ended_at": run.ended_at, "script": run.script,
        "session": run.session, "verdict": verdict.verdict(run), "exit_code": run.exit_code,
        "tables_done": verdict.done(run), "tables_failed": verdict.failed(run), "rows": verdict.rows(run),
        "seconds": verdict.seconds(run), "ended_because": run.ended_because, "modes": list(verdict.modes(run)),
        "workers": run.workers, "cluster": verdict.cluster(run),
    }  # fmt: skip


def table(runs: Sequence[RunResult]) -> str:
    """The runs as lines with aligned columns. The reason stands last, whatever its length."""
    lines = [HEADINGS, *(_cells(run) for run in runs)]
    widths = [max(len(cells[number]) for cells in lines) for number in range(len(HEADINGS) - 1)]
    return "".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if heading in RIGHT else cell.ljust(width)
        for cell, width, heading in zip(cells, widths, HEADINGS, strict=False)
    ]
    return "  ".join([*padded, cells[-1]]).rstrip() + "\n"


def _cells(run: RunResult) -> tuple[str, ...]:
    return (
        run.started_at.replace("T", " ")[:16],
        on_one_line(run.script).removesuffix(".py"),
        on_one_line(run.session or "")[:SIGNS_OF_SESSION] or "-",
        verdict.verdict(run),
        str(verdict.done(run)),
        str(verdict.failed(run)),
        f"{verdict.rows(run):,}",
        duration(verdict.seconds(run)),
        on_one_line(",".join(verdict.modes(run))) or "-",
        _workers(run),
        on_one_line(run.ended_because),
    )


def _workers(run: RunResult) -> str:
    """How many, and whether they were a cluster's, as one word."""
    if not run.workers:
        return "-"
    return f"cluster:{run.workers}" if verdict.cluster(run) else str(run.workers)


def duration(seconds: float) -> str:
    """`1:02:03`, hours first."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"

"""Speed as ratios in one run: the floor, sync-data.py and sling in turn, on a T-SQL server.

    python -m bench.speed [--shape mixed] [--rows 1000000] [--rounds 3] [--sling PATH] [--env-file FILE]
    python -m bench.speed --tables 4 --before PATH    # several tables, and the sync-data.py of another checkout

The source and target of the settings are used: a table `bench_<shape>` is made in both, or several of so many rows
each, which sling is not asked to copy. Each program runs as a process of its own, its start included. Ratios are
medians of the ratios within each round, since a machine that others use changes its speed from one round to the next;
other figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote as percent

from bench.shapes import SHAPES, create_shape
from db import connect_source, connect_target, find_env_file, load_settings
from model.odbc_strings import parse_odbc
from model.settings import Settings
from postgres.names import quote

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Measured:
    """One run of one program: wall and CPU seconds, peak resident memory in MB."""

    wall: float
    cpu: float
    memory: float


def measure(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Measured:
    """Run a command to its end. Raises RuntimeError with its output if it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        process = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            raise RuntimeError(f"{command[0]} failed:\n{output.read().decode(errors='replace')}")
    return Measured(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def sling_environment(settings: Settings) -> dict[str, str]:
    """sling's two connections, as it wants them."""
    source = parse_odbc(settings.source.connection_string)
    host, _, port = source["server"].partition(",")
    port = port or source.get("port", "1433")
    encrypt = "true" if settings.source.is_encrypted else "disable"
    target = settings.target.parameters
    return {
        "SLING_SOURCE": f"sqlserver://{percent(source['uid'])}:{percent(source['pwd'])}@{host}:{port}"
        f"?database={percent(source['database'])}&encrypt={encrypt}&TrustServerCertificate=true",
        "SLING_TARGET": f"postgresql://{percent(target.get('user', ''))}:{percent(target.get('password', ''))}"
        f"@{target.get('host', 'localhost')}:{target.get('port', '5432')}/{percent(target['dbname'])}?sslmode=disable",
    }


def find_sling() -> str | None:
    """The sling binary: on the PATH, or inside the sling-linux-amd64 package."""
    found = shutil.which("sling")
    if found:
        return found
    for folder in map(Path, sys.path):
        for binary in sorted(folder.glob("sling_linux_amd64/**/sling*")):
            if binary.is_file() and os.access(binary, os.X_OK):
                return str(binary)
    return None


def commands(tables: Sequence[str], settings: Settings, arguments: argparse.Namespace) -> dict[str, list[str]]:
    """The programs to compare, by name."""
    env = ["--env-file", str(arguments.env_file)] if arguments.env_file else []
    ours = ["--tables", ",".join(tables), "--workers", str(arguments.workers), *env]
    found = {
        "floor": [sys.executable, "-m", "bench.floor", *tables, *env],
        "sync-data.py": [sys.executable, str(ROOT / "sync-data.py"), *ours],
    }  # fmt: skip
    if arguments.before:
        found["before"] = [sys.executable, str(arguments.before.resolve() / "sync-data.py"), *ours]
    sling, table = arguments.sling, tables[0]
    if sling and len(tables) == 1:
        found["sling"] = [
            sling, "run", "--src-conn", "SLING_SOURCE", "--src-stream", f"dbo.{table}", "--tgt-conn", "SLING_TARGET",
            "--tgt-object", f"{settings.target_schema}.{table}_sling", "--mode", "full-refresh",
        ]  # fmt: skip
    return found


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mixed")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sling", default=find_sling(), help="the sling binary (pip install sling-linux-amd64)")
    parser.add_argument("--tables", type=int, default=1, help="so many tables of the shape")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--before", type=Path, help="another checkout, whose sync-data.py is measured as well")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    env_file = find_env_file(arguments.env_file)
    arguments.env_file = env_file.resolve() if env_file else None
    settings = load_settings(arguments.env_file)
    with closing(connect_source(settings)) as source:
        tables = [create_shape(source, arguments.shape, arguments.rows)]
        for number in range(2, arguments.tables + 1):
            tables.append(create_shape(source, arguments.shape, arguments.rows, f"{tables[0]}_{number}"))
    environment = {**os.environ, **sling_environment(settings)}
    environment.pop("PYTHONPATH", None)
    env = ["--env-file", str(arguments.env_file)] if arguments.env_file else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        schema = [sys.executable, str(ROOT / "replicate-schema.py"), "--tables", ",".join(tables), "--recreate", *env]
        measure(schema, environment, folder)
        results: dict[str, list[Measured]] = {}
        for number in range(arguments.rounds):
            # Whoever comes first in a round may find the servers slower, so that is another one each time.
            order = list(commands(tables, settings, arguments).items())[:: -1 if number % 2 else 1]
            for program, command in order:
                if program == "sling":
                    _drop_sling_table(settings, tables[0])
                # A checkout's modules are its own: nothing but the floor is looked for on the path.
                path = {"PYTHONPATH": str(ROOT)} if program == "floor" else {}
                measured = measure(command, {**environment, **path}, folder)
                results.setdefault(program, []).append(measured)
                print(f"round {number + 1}: {program:<14}{measured.wall:8.2f} s", flush=True)
    _print_table(results, arguments.rows * arguments.tables)
    if not arguments.sling and arguments.tables == 1:
        print("sling was left out: pip install sling-linux-amd64, or give --sling PATH")
    return 0


def _drop_sling_table(settings: Settings, table: str) -> None:
    with closing(connect_target(settings)) as target, target.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {quote(settings.target_schema)}.{quote(table + '_sling')}")
        target.commit()


def _print_table(results: Mapping[str, Sequence[Measured]], rows: int) -> None:
    medians = {
        program: Measured(
            statistics.median(run.wall for run in runs),
            statistics.median(run.cpu for run in runs),
            max(run.memory for run in runs),
        )
        for program, runs in results.items()
    }
    floor = results["floor"]
    print(f"\n{'program':<14}{'seconds':>9}{'rows/s':>10}{'x floor':>9}{'CPU s':>8}{'peak MB':>9}")
    for program, run in medians.items():
        speed = f"{rows / run.wall:>10,.0f}{statistics.median(_ratios(results[program], floor)):>9.2f}"
        print(f"{program:<14}{run.wall:>9.2f}{speed}{run.cpu:>8.2f}{run.memory:>9.0f}")
    if "before" in results:
        ratios = _ratios(results["sync-data.py"], results["before"])
        print(f"\nsync-data.py takes {statistics.median(ratios):.2f} of the time before", end="")
        print(f" ({min(ratios):.2f} to {max(ratios):.2f})")
    if "sling" in results:
        ratios = _ratios(results["sling"], results["sync-data.py"])
        print(f"\nsync-data.py is {statistics.median(ratios):.2f} times as fast as sling", end="")
        print(f" ({min(ratios):.2f} to {max(ratios):.2f})")


def _ratios(runs: Sequence[Measured], others: Sequence[Measured]) -> list[float]:
    """The time of each run in that of the other of its round."""
    return [run.wall / other.wall for run, other in zip(runs, others, strict=True)]


if __name__ == "__main__":
    sys.exit(main())

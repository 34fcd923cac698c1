"""What --verify costs beside the load that it checks: both in turn, on a T-SQL server.

    python -m bench.verify [--shape mixed] [--rows 1000000] [--rounds 3] [--workers N] [--env-file FILE]

The source and target of the settings are used: a table `bench_<shape>` is made in both. Each program
runs as a process of its own, its start included; figures are medians of the rounds. Only ratios between
lines of one run mean anything. A table that is not equal ends it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.shapes import SHAPES, create_shape
from bench.speed import ROOT, Measured, measure
from db import connect_source, find_env_file, load_settings

PROGRAMS = {"load": [], "verify": ["--verify"], "verify, counts": ["--verify=counts"]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mixed")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, help="as sync-data.py takes it (default: the setting)")
    parser.add_argument("--table", help="measure this table of the source in place of one made for it")
    parser.add_argument("--env-file", type=Path)
    options = parser.parse_args(arguments)
    env_file = find_env_file(options.env_file)
    settings = load_settings(env_file)
    if options.table:
        table = options.table
    else:
        with closing(connect_source(settings)) as source:
            table = create_shape(source, options.shape, options.rows)
    given = ["--tables", table, *(["--env-file", str(env_file.resolve())] if env_file else [])]
    copy = [sys.executable, str(ROOT / "sync-data.py"), *given]
    copy += ["--workers", str(options.workers)] if options.workers else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs: dict[str, list[Measured]] = {program: [] for program in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        schema = [sys.executable, str(ROOT / "replicate-schema.py"), *given, "--recreate"]
        measure(schema, environment, Path(folder))
        for number in range(options.rounds):
            for program, flags in PROGRAMS.items():
                run = measure([*copy, *flags], environment, Path(folder))
                runs[program].append(run)
                print(f"round {number + 1}: {program:<16}{run.wall:8.2f} s", flush=True)
    load = statistics.median(run.wall for run in runs["load"])
    print(f"\n{'program':<16}{'seconds':>9}{'x load':>8}{'CPU s':>8}{'peak MB':>9}")
    for program, measured in runs.items():
        wall = statistics.median(run.wall for run in measured)
        cpu = statistics.median(run.cpu for run in measured)
        memory = max(run.memory for run in measured)
        print(f"{program:<16}{wall:>9.2f}{wall / load:>8.2f}{cpu:>8.2f}{memory:>9.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Whatever part of a cluster dies at a random moment, rows arrive exactly once."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.harness import ROOT, clean_environment


def test_random_kills_and_cuts_lose_and_double_nothing() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench.cluster_chaos", "--workers", "3", "--clients", "1", "--schedulers", "1",
         "--cuts", "1"],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    counts = "3 workers, 1 clients, 1 schedulers, 1 cuts"
    nothing = "0 rows lost, 0 doubled, 0 objects missing, 0 connections left"
    assert re.fullmatch(f"{counts}: {nothing}", finished.stdout.splitlines()[-1]), finished.stdout

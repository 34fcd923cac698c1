"""Whatever part of a cluster dies at a random moment, rows arrive exactly once."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.harness import ROOT, clean_environment


@pytest.mark.parametrize("seed", range(5))
def test_random_kills_and_cuts_lose_and_double_nothing(seed: int) -> None:
    """All together 30 kills of workers, 10 of the run, 5 of the scheduler, and 10 cuts."""
    counts = ("--workers", "6", "--clients", "2", "--schedulers", "1", "--cuts", "2")
    finished = subprocess.run(
        [sys.executable, "-m", "bench.cluster_chaos", *counts, "--seed", str(seed)],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    last = finished.stdout.splitlines()[-1]
    counts_told = "6 workers, 2 clients, 1 schedulers, 2 cuts"
    nothing = "0 rows lost, 0 doubled, 0 objects missing, 0 connections left"
    assert re.fullmatch(f"{counts_told}: {nothing}", last), finished.stdout

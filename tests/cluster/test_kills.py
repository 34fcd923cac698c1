"""Whatever part of a cluster dies or is cut off at a random moment, rows arrive exactly once.

30 kills of workers, 10 of the run, 5 of the scheduler and 10 cuts. A class for each half: what runs the tests on all
cores gives a class to one of them.
"""

from __future__ import annotations

import re
import subprocess
import sys

from tests.harness import ROOT, clean_environment


def strike(workers: int, clients: int, schedulers: int, cuts: int) -> None:
    """Play nights until so much was struck; on failure the output says with which seed."""
    finished = subprocess.run(
        [sys.executable, "-m", "bench.cluster_chaos", "--workers", str(workers), "--clients", str(clients),
         "--schedulers", str(schedulers), "--cuts", str(cuts)],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    counts = f"{workers} workers, {clients} clients, {schedulers} schedulers, {cuts} cuts"
    nothing = "0 rows lost, 0 doubled, 0 objects missing, 0 connections left"
    assert re.fullmatch(f"{counts}: {nothing}", finished.stdout.splitlines()[-1]), finished.stdout


class TestOneHalf:
    def test_random_kills_and_cuts_lose_and_double_nothing(self) -> None:
        strike(workers=15, clients=5, schedulers=3, cuts=5)


class TestOtherHalf:
    def test_random_kills_and_cuts_lose_and_double_nothing(self) -> None:
        strike(workers=15, clients=5, schedulers=2, cuts=5)

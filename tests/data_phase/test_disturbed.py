"""Equal or told: whatever others do to the target between a kill and a resume, or beside a run."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.harness import ROOT, clean_environment


def test_a_disturbed_load_ends_equal_or_says_what_is_not() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench.chaos", "--disturbed", "6"],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    last = finished.stdout.splitlines()[-1]
    assert re.fullmatch(r"6 disturbed rounds: \d equal, \d told, 0 wrong", last), finished.stdout

"""`make demo-cluster` shows what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from demo.cluster import show
from demo.shop import ORDER_LINE_COUNT
from demo.target import EmbeddedTarget
from tests.harness import ROOT
from tests.samples import query


def test_the_demo_of_a_cluster_copies_and_compares_although_a_worker_is_killed(
    target: EmbeddedTarget, target_database: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    show(target, tmp_path, target_database)
    shown = capfd.readouterr().out
    assert re.search(r"🛑 worker 2 \(tcp://127\.0\.0\.1:\d+\) was killed", shown), shown
    assert re.search(r"worker tcp://127\.0\.0\.1:\d+ was lost; another does its work \(attempt 2 of 5\)", shown), shown
    assert "2 worker processes" in shown.partition("4 of 4")[2], "the comparison is made by those that are left"
    assert query(target, target_database, "SELECT count(*) FROM orderlines") == [(ORDER_LINE_COUNT,)]


def test_make_runs_it() -> None:
    told = subprocess.run(
        ["make", "-n", "--no-print-directory", "demo-cluster"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    assert told.rstrip().endswith("python -m demo.cluster")

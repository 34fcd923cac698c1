"""The measurements of a cluster run to their end, in small; what they measure is not looked at."""

from __future__ import annotations

import pytest

from bench import cluster_overhead, cluster_planning


def test_scheduling_alone(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_planning.main(["--tables", "1", "10", "--chunks", "3"])
    out = capsys.readouterr().out
    assert "      3 chunks:" in out and "     30 chunks:" in out
    assert all(f"{kind}:" in out for kind in ("client", "scheduler", "workers"))
    assert "after 30 chunks more the scheduler has" in out


def test_a_load_of_so_many_chunks(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_planning.main(["--tables", "1", "3", "--chunks", "3", "--rows-a-chunk", "20"])
    out = capsys.readouterr().out
    assert "      9 chunks:" in out and "after 9 chunks more the scheduler has" in out


def test_a_load_by_a_cluster_beside_one_by_threads(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_overhead.main(["--rows", "500", "--chunk-rows", "100", "--rounds", "1", "--shape", "narrow"])
    out = capsys.readouterr().out
    assert "round 1, local  " in out and "round 1, cluster" in out
    assert "the whole process: the cluster's is" in out

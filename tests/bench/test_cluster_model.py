"""The forecast of a load, with costs that were measured and with given ones; how near it is, is not looked at."""

from __future__ import annotations

import re

import pytest

from bench import cluster_model


def test_a_prediction_beside_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_model.main(["--rows", "4000", "--rounds", "1", "--shape", "narrow", "--tables", "5"])
    out = capsys.readouterr().out
    assert re.search(r"^1 +[0-9.]+ +[0-9.]+ +[+-][0-9.]+ %$", out, re.MULTILINE)
    assert re.search(r"^2 +[0-9.]+ +[0-9.]+ +[+-][0-9.]+ %$", out, re.MULTILINE)
    assert "| 100,000 |" in out


def test_a_forecast_from_given_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster_model.main(["--worker-mb-s", "40", "--source-mb-s", "100", "--tables", "20"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1,000 |")]
    assert [cell.split()[-1] for cell in line.strip("| ").split(" | ")[1:]] == ["worker"] * 2 + ["source"] * 5

"""The units that let systemd start the nightly run are such as systemd takes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT

UNITS = sorted((ROOT / "packaging" / "systemd").glob("sync-data.*"))


def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: install the package systemd")
    assert [unit.suffix for unit in UNITS] == [".service", ".timer"]
    for unit in UNITS:
        # What is started must be there, and who it runs as: those of this machine, in place of the reader's.
        text = re.sub(r"(?m)^ExecStart=\S+ \S+", f"ExecStart={sys.executable} {ROOT}/sync-data.py", unit.read_text())
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / unit.name) for unit in UNITS)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    ours = [line for line in verified.stderr.splitlines() if "sync-data" in line]
    assert ours == []
    assert verified.returncode == 0, verified.stderr


def test_the_service_starts_a_command_that_there_is(tmp_path: Path) -> None:
    service = (ROOT / "packaging" / "systemd" / "sync-data.service").read_text(encoding="utf-8")
    (flags,) = re.findall(r"(?m)^ExecStart=\S+ \S+/sync-data\.py (.*)$", service)
    assert flags in (ROOT / "docs" / "nightly.md").read_text(encoding="utf-8")
    refused = subprocess.run(
        [sys.executable, str(ROOT / "sync-data.py"), *flags.split(), "--env-file", "there is none"],
        check=False, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path,
    )  # fmt: skip
    assert "there is none" in refused.stderr, refused.stderr

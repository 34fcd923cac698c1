"""Hosts of two runs on one machine do not meet, and what a killed run left is taken away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, wait_until
from tests.hosts import Hosts, lacking

MAKES_ONE = """
import subprocess, sys
from pathlib import Path
from tests.hosts import Hosts
one = Hosts(Path(sys.argv[1])).add("claimed")
subprocess.Popen(one.command("sleep", "600"), stdout=subprocess.DEVNULL)
print(one.namespace, one.addresses["cluster"], flush=True)
sys.stdin.read()
"""


def test_hosts_of_two_runs_do_not_meet_and_those_of_a_killed_one_go(tmp_path: Path) -> None:
    if words := lacking():
        pytest.skip(words)
    for name in ("killed", "beside", "later"):
        (tmp_path / name).mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", MAKES_ONE, str(tmp_path / "killed")], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as killed:  # fmt: skip
        assert killed.stdout is not None
        namespace, address = killed.stdout.readline().split()
        with Hosts(tmp_path / "beside") as beside:
            assert beside.add("claimed").addresses["cluster"] != address
        wait_until(lambda: bool(_runs_in(namespace)), "something runs there")
        killed.kill()
    with Hosts(tmp_path / "later"):
        assert not _runs_in(namespace)


def _runs_in(namespace: str) -> str:
    shown = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return shown.stdout.strip()

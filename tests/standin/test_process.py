"""The stand-in as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from model.catalog import Database
from standin.server import Access, StandIn
from tests.harness import ROOT
from tests.standin.clients import connect, error_of, value


def test_as_a_process_with_faults(tmp_path: Path, driver: str) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(
        json.dumps(
            [
                {"table": "dbo.Settings", "number": 1205, "message": "Deadlocked."},
                {"table": "dbo.Orders", "number": 823, "message": "I/O error.", "after_rows": 100},
            ]
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "standin", "--database", "shop", "--faults", str(faults)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready on port ")
        # Only the words of a connection string are wanted of it.
        words = StandIn(Database("shop", ()), {}, access=Access(port=int(line.split()[-1])))
        opened = connect(words, driver)
        assert "(1205)" in error_of(opened, "SELECT * FROM dbo.Settings")
        assert "(823)" in error_of(opened, "SELECT * FROM dbo.Orders")
        assert value(opened, "SELECT COUNT(*) FROM dbo.Settings") == 5
        assert value(opened, "SELECT DATALENGTH(Picture) FROM dbo.ProductPictures WHERE ProductID = 1") == 3 * 1024**2
        opened.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0

"""The whole of `make test-sqlserver` on a T-SQL server, with small scripts in the place of Microsoft's."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.harness import ROOT, clean_environment

NORTHWIND = """
CREATE TABLE dbo.Customers (id int NOT NULL CONSTRAINT PK_Customers PRIMARY KEY, name nvarchar(30))
GO
CREATE TABLE dbo.Places (id int, at no_such_type)
GO
INSERT dbo.Customers VALUES (1, N'one'), (2, N'zwei ü'), (3, NULL)
GO
"""
ADVENTURE_WORKS = """
:setvar Folder "C:\\Samples\\"
:setvar DatabaseName "AdventureWorks"
GO
USE master
GO
CREATE DATABASE $(DatabaseName)
GO
USE $(DatabaseName)
GO
CREATE TABLE dbo.Words (id int NOT NULL CONSTRAINT PK_Words PRIMARY KEY, word nvarchar(30))
GO
BULK INSERT dbo.Words FROM '$(Folder)Words.csv' WITH (CODEPAGE = '65001', ROWTERMINATOR = '0x0a')
GO
"""


def test_on_a_tsql_server_the_proof_says_what_ran_and_what_arrived(
    tsql_server: Mapping[str, str], tmp_path: Path
) -> None:
    assert tsql_server
    (tmp_path / "instnwnd.sql").write_text(NORTHWIND, encoding="utf-8")
    deeper = tmp_path / "aw"
    deeper.mkdir()
    (deeper / "instawdb.sql").write_text(ADVENTURE_WORKS, encoding="utf-8")
    (deeper / "Words.csv").write_bytes("1\tä\n2\tω\n".encode())
    ended = subprocess.run(
        [
            sys.executable, "-m", "proof", "--samples", str(tmp_path), "--to", str(tmp_path / "proof.md"),
            "--tests", "-n", "0", "tests/bench/test_bulk_insert.py",
        ],
        cwd=ROOT, env=clean_environment({}), check=False, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    text = (tmp_path / "proof.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("**Proven.** 2 tests passed, 0 failed, 0 were skipped.")
    assert "| Northwind | 2 of 3 parts went in | 1 | 3 | 1 |" in text
    assert "| pubs | not run: SAMPLES names no folder with instpubs.sql in it |" in text
    assert "| AdventureWorks | 5 of 5 parts went in | 1 | 2 | 1 |" in text
    assert text.count("objects unaccounted for: 0") == 2
    assert "### Northwind: not loaded, in the server's words\n\n- line 4 (CREATE TABLE dbo.Places (id" in text
    assert "no_such_type" in text
    assert "| tests.bench.test_bulk_insert | 2 | 0 | 0 |" in text
    for place in (socket.gethostname(), str(Path.home()), str(ROOT), str(tmp_path)):
        assert place not in text

"""Prove the tool on a SQL Server, and write down with which versions, what ran and what differed.

    python -m proof [--samples FOLDER] [--to sqlserver-proof.md] [--tests ARGUMENT ...]

The server is the one that MSSQL_TEST_HOST (_PORT, _USER, _PASSWORD, _ENCRYPT) names; without it docker compose starts
one of MSSQL_IMAGE. Exits 1 if anything that ran failed, 2 if nothing could run.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

from db import connect_source, find_driver, load_settings
from demo.named_target import NamedTarget
from demo.target import EmbeddedTarget
from proof.report import is_proven, page, verdict
from proof.samples import replicate_samples
from proof.servers import ROOT, ProofError, servers, source_settings
from proof.suite import run_tests

ABOUT_SERVER = """
SELECT @@VERSION, CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)),
       CAST(SERVERPROPERTY('Edition') AS nvarchar(128)), CAST(SERVERPROPERTY('Collation') AS nvarchar(128)),
       (SELECT compatibility_level FROM sys.databases WHERE name = 'master')
"""


def versions_of(given: Mapping[str, str], target: EmbeddedTarget) -> dict[str, str]:
    """With which versions of everything the proof is given."""
    settings = load_settings(None, source_settings(given, "master"))
    with closing(connect_source(settings)) as connection:
        banner, product, edition, collation, level = connection.execute(ABOUT_SERVER).fetchone()
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        (postgres,) = cursor.fetchone()
    packages = ("pyodbc", "arrow-odbc", "psycopg2-binary", "adbc-driver-postgresql", "pyarrow")
    return {
        "SQL Server": banner.splitlines()[0],
        "@@VERSION": banner,
        "version": f"{product}, {edition}",
        "collation of the server": collation,
        "compatibility level of master": str(level),
        "PostgreSQL": postgres,
        "ODBC driver": find_driver("").label,
        "Python": sys.version.split()[0],
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def places(given: Mapping[str, str]) -> dict[str, str]:
    """Names of machines and folders that may be in somebody's words, and what stands for them in the proof."""
    hosts = {given["MSSQL_TEST_HOST"]: "the server", given.get("PG_TEST_HOST", ""): "the target"}
    own = {socket.gethostname(): "this machine", str(Path.home()): "~", tempfile.gettempdir(): "a folder"}
    found = {**own, **hosts, str(ROOT): "."}
    return {name: words for name, words in found.items() if len(name) > 3}


def main() -> int:
    """Run the proof; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, help="the folder with Microsoft's scripts, at any depth")
    parser.add_argument("--to", type=Path, default=Path("sqlserver-proof.md"))
    parser.add_argument("--tests", nargs=argparse.REMAINDER, default=[], help="further arguments of pytest")
    arguments = parser.parse_args()
    try:
        with servers(os.environ) as given:
            target: Any = NamedTarget(given) if "PG_TEST_HOST" in given else EmbeddedTarget()
            with target:
                versions = versions_of(given, target)
                samples = list(replicate_samples(given, arguments.samples, target))
            cases = run_tests(given, arguments.samples, arguments.tests)
            arguments.to.write_text(page(versions, samples, cases, places(given)), encoding="utf-8")
    except ProofError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{verdict(samples, cases)}\nWritten to {arguments.to}")
    return 0 if is_proven(samples, cases) else 1


if __name__ == "__main__":
    sys.exit(main())

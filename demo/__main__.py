"""The whole job on embedded servers: schema, rows, an interruption and a resume, then the proof.

    python -m demo          run it
    python -m demo --stop   stop the PostgreSQL that it left running for you to look at

The source is a stand-in that speaks SQL Server's protocol; the target is a real PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from demo.target import EmbeddedTarget
from standin.process import process_of
from standin.server import LOGIN, PASSWORD

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".demo"
DATABASE = "shop"
BIG_TABLE = "OrderLines"
START_TIMEOUT_S = 60.0


def settings(port: int, target: EmbeddedTarget) -> dict[str, str]:
    """What a user would write into .env."""
    return {
        "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(port), "MSSQL_DATABASE": DATABASE, "MSSQL_USER": LOGIN,
        "MSSQL_PASSWORD": PASSWORD, "MSSQL_TRUST_SERVER_CERTIFICATE": "yes", **target.environment(DATABASE),
    }  # fmt: skip


def write_env(folder: Path, values: Mapping[str, str]) -> None:
    """Write `.env`, which holds a password, for its owner alone."""
    file = folder / ".env"
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text("".join(f"{name}='{value}'\n" for name, value in values.items()), encoding="utf-8")


def run(script: str, *arguments: str, expect: int = 0) -> None:
    """Run one of the scripts as a user would, its output on the screen."""
    print(f"\n$ python {script} {' '.join(arguments)}".rstrip(), flush=True)
    code = subprocess.run([sys.executable, str(ROOT / script), *arguments], cwd=FOLDER, check=False).returncode
    if code != expect:
        raise SystemExit(f"{script} ended with exit code {code}, {expect} was expected")


def interrupt_in(table: str) -> None:
    """Start the data phase and kill it, without a chance to clean up, while it copies a table."""
    print(f"\n$ python sync-data.py        # killed with SIGKILL in the middle of {table}", flush=True)
    process = subprocess.Popen([sys.executable, str(ROOT / "sync-data.py")], cwd=FOLDER)
    deadline = time.monotonic() + START_TIMEOUT_S
    while _status(table) != "in_progress":
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{table} was never seen in progress")
        time.sleep(0.01)
    time.sleep(0.3)
    process.kill()
    process.wait()
    print(f"\n🛑 killed. {table} is {_status(table)!r} in the progress file.")


def _status(table: str) -> str | None:
    try:
        tables: Mapping[str, Mapping[str, Mapping[str, str]]] = json.loads(
            (FOLDER / "data_sync_progress.json").read_text(encoding="utf-8")
        )["tables"]
    except FileNotFoundError:
        return None
    return tables.get(table, {}).get("data", {}).get("status")


def step(text: str) -> None:
    """Announce a part of the demo."""
    print(f"\n{'#' * 60}\n# {text}\n{'#' * 60}", flush=True)


def main() -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stop", action="store_true", help="stop the PostgreSQL that an earlier demo left running")
    arguments = parser.parse_args()
    # Where standard output has no emoji the scripts fall back to words; the demo's own lines must not fail either.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    target = EmbeddedTarget(FOLDER / "target").start()
    if arguments.stop:
        target.stop()
        print("stopped")
        return 0
    started = time.monotonic()
    target.create_database(DATABASE)
    for file in FOLDER.glob("*_progress*.json*"):
        file.unlink()
    with process_of("demo.shop:shop") as port:
        write_env(FOLDER, settings(port, target))
        step("1 of 4: the schema")
        run("replicate-schema.py")
        step("2 of 4: the rows, and a kill in the middle")
        interrupt_in(BIG_TABLE)
        step("3 of 4: --resume")
        run("sync-data.py", "--resume")
        step("4 of 4: the proof, value by value")
        run("sync-data.py", "--verify")
    environment, python = target.environment(DATABASE), os.path.relpath(sys.executable)
    look = f"{target.psql} -h {environment['PGHOST']} -p {environment['PGPORT']} -U {environment['PGUSER']} {DATABASE}"
    print(
        f"\n✅ Demo finished in {time.monotonic() - started:.0f} s: a stand-in SQL Server database was copied into "
        f"PostgreSQL,\n   killed half way, resumed, and both sides hold the same rows."
        f"\n\nLook at it:       {look} -c '\\dt *.*orders*'"
        f"\nThe progress:     grep -A5 '\"Orders\"' {os.path.relpath(FOLDER / 'data_sync_progress.json')}"
        f"\nGo on yourself:   {python} -m standin --database demo.shop:shop --port {port} &    serves the source again"
        f"\n                  cd {os.path.relpath(FOLDER)} && ../{python} ../sync-data.py --status"
        f"\nStop PostgreSQL:  {python} -m demo --stop"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

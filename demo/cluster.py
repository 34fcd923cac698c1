"""The job by a cluster on embedded servers: a scheduler, three worker processes, one of them killed, then the proof.

    python -m demo.cluster     run it
    python -m demo --stop      stop the PostgreSQL that it left running for you to look at

Needs requirements-cluster.txt. The servers are those of `python -m demo`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.__main__ import BIG_TABLE, FOLDER, ROOT, settings, step, write_env
from demo.target import EmbeddedTarget
from standin.process import process_of

DATABASE = "shop_by_cluster"
WORKERS = 3
#: rows a chunk, and a second: so that there is a moment in which all workers copy
CHUNK_ROWS = 5_000
PACE = "60krows"
#: rows of the big table after which a worker is killed
KILL_AFTER = 50_000
TIMEOUT_S = 60.0


def show(target: EmbeddedTarget, folder: Path, database: str) -> None:
    """Copy the demo database into an empty one; logs and the progress file lie in `folder`.

    Raises SystemExit where a step fails, or both sides are not equal in the end.
    """
    target.create_database(database)
    for file in folder.glob("*_progress*.json*"):
        file.unlink()
    with ExitStack() as open_ones:
        port = open_ones.enter_context(process_of("demo.shop:shop"))
        values = {**settings(port, target), **target.environment(database), "CHUNK_ROWS": str(CHUNK_ROWS)}
        write_env(folder, values)
        step(f"1 of 4: a scheduler and {WORKERS} workers, a process each")
        address = open_ones.enter_context(_scheduler(folder))
        print(f"scheduler   {address}")
        workers = [open_ones.enter_context(_worker(folder, address, number)) for number in range(1, WORKERS + 1)]
        for number, worker in enumerate(workers, start=1):
            print(f"worker {number}    {_address_of(folder, number)}, process {worker.pid}", flush=True)
        step("2 of 4: the schema, from this machine")
        _end(_start(folder, "replicate-schema.py"))
        step("3 of 4: the rows, by the workers; one of them is killed on the way")
        copying = _start(folder, "sync-data.py", "--cluster", address, "--max-rate", PACE)
        _wait(lambda: _rows_synced(folder) >= KILL_AFTER, f"rows of {BIG_TABLE} arrive", copying)
        workers[1].kill()
        print(f"\n🛑 worker 2 ({_address_of(folder, 2)}) was killed: {_rows_synced(folder):,} rows of {BIG_TABLE} are "
              f"there, some were on its way", flush=True)  # fmt: skip
        _end(copying)
        step("4 of 4: the proof, value by value, by the workers that are left")
        _end(_start(folder, "sync-data.py", "--verify", "--cluster", address))


def main() -> int:
    """Run the demo; returns the exit code: 0 only where both sides are equal."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    target, started = EmbeddedTarget(FOLDER / "target").start(), time.monotonic()
    folder = FOLDER / "cluster"
    folder.mkdir(exist_ok=True)
    show(target, folder, DATABASE)
    known = target.environment(DATABASE)
    look = f"{target.psql} -h {known['PGHOST']} -p {known['PGPORT']} -U {known['PGUSER']} {DATABASE}"
    print(
        f"\n✅ Demo finished in {time.monotonic() - started:.0f} s: {WORKERS} workers copied a stand-in SQL Server "
        f"database into PostgreSQL,\n   one was killed half way, and both sides hold the same rows."
        f"\n\nLook at it:         {look} -c '\\dt *.*orders*'"
        f"\nThe workers' logs:  {os.path.relpath(folder)}/worker-*.log"
        f"\nStop PostgreSQL:    {os.path.relpath(sys.executable)} -m demo --stop"
    )
    return 0


# -- the cluster -----------------------------------------------------------------------------------------


@contextmanager
def _scheduler(folder: Path) -> Iterator[str]:
    """A running one; yields its address."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    flags = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show", "--scheduler-file", str(file))
    with _dask(folder, "scheduler", *flags) as process:

        def is_up() -> bool:
            return file.exists() and '"address"' in file.read_text(encoding="utf-8")

        _wait(is_up, "the scheduler is up", process)
        yield str(json.loads(file.read_text(encoding="utf-8"))["address"])


@contextmanager
def _worker(folder: Path, address: str, number: int) -> Iterator[subprocess.Popen[str]]:
    """A worker of one thread that has joined."""
    flags = (
        address, "--name", f"worker-{number}", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1",
        "--local-directory", str(folder / f"worker-{number}"),
    )  # fmt: skip
    with _dask(folder, "worker", *flags, log=f"worker-{number}.log") as process:
        _wait(lambda: "Registered to" in _log_of(folder, number), "a worker has joined", process)
        yield process


@contextmanager
def _dask(folder: Path, *words: str, log: str = "scheduler.log") -> Iterator[subprocess.Popen[str]]:
    with (folder / log).open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *words], cwd=folder, text=True, stdout=file, stderr=file,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _log_of(folder: Path, number: int) -> str:
    return (folder / f"worker-{number}.log").read_text(encoding="utf-8")


def _address_of(folder: Path, number: int) -> str:
    found = re.search(r"Start worker at: +(\S+)", _log_of(folder, number))
    return found[1] if found else "?"


# -- the scripts -----------------------------------------------------------------------------------------


def _start(folder: Path, script: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start one of the scripts as a user would, its output on the screen."""
    print(f"\n$ python {script} {' '.join(arguments)}".rstrip(), flush=True)
    return subprocess.Popen([sys.executable, str(ROOT / script), *arguments], cwd=folder)


def _end(process: subprocess.Popen[bytes]) -> None:
    code = process.wait()
    if code != 0:
        raise SystemExit(f"it ended with exit code {code}, 0 was expected")


def _wait(is_there: Callable[[], bool], what: str, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not is_there():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"waited in vain: {what}")
        time.sleep(0.02)


def _rows_synced(folder: Path) -> int:
    try:
        tables: Mapping[str, Mapping[str, Mapping[str, int]]] = json.loads(
            (folder / "data_sync_progress.json").read_text(encoding="utf-8")
        )["tables"]
    except FileNotFoundError:
        return 0
    return int(tables.get(BIG_TABLE, {}).get("data", {}).get("rows_synced", 0))


if __name__ == "__main__":
    sys.exit(main())

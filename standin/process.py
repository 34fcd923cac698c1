"""The stand-in as a process of its own."""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from model.catalog import Database
from standin.filling import Rows
from standin.server import LOGIN, PASSWORD, Access, StandIn


def load_database(name: str) -> tuple[Database, Mapping[str, Rows]]:
    """The database that `module:callable` yields; a bare `shop` means `demo.shop:shop`."""
    module, _, attribute = name.partition(":")
    if not attribute:
        module, attribute = f"demo.{name}", name
    made = getattr(importlib.import_module(module), attribute)()
    database, rows = made
    return database, rows


@contextmanager
def process_of(database: str) -> Iterator[int]:
    """The stand-in as a process of its own that serves what `module:callable` yields; yields its port.

    Raises RuntimeError where it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "standin", "--database", database],
        cwd=Path(__file__).resolve().parent.parent, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("ready on port "):
            raise RuntimeError(f"the stand-in source did not start: {line!r}")
        yield int(line.split()[-1])
    finally:
        process.terminate()
        process.wait(10)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves a database until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="python -m standin", description="Serve a declared database over TDS.")
    parser.add_argument("--database", default="shop", help="module:callable that yields it (default: shop)")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 chooses a free one (default)")
    parser.add_argument("--login", default=LOGIN)
    parser.add_argument("--password", default=PASSWORD)
    parser.add_argument("--denied", action="append", default=[], metavar="TABLE", help="refuse SELECT on schema.table")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="a JSON file of errors to raise")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    database, rows = load_database(options.database)
    standin = StandIn(
        database,
        rows,
        access=Access(options.login, options.password, options.host, options.port),
        denied=options.denied,
    )
    if options.faults:
        standin.load_faults(options.faults)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with standin:
        print(f"ready on port {standin.port}", flush=True)
        stopped.wait()
    return 0

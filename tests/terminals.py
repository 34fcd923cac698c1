"""Scripts on a terminal, and what a person sees there."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Iterator

from tests.harness import DEFAULT_TIMEOUT_S, ROOT, Proxy, Workplace, clean_environment


def read_all(descriptor: int) -> Iterator[bytes]:
    """What a terminal shows, piece by piece, until the program has closed it."""
    while select.select([descriptor], [], [], DEFAULT_TIMEOUT_S)[0]:
        try:
            piece = os.read(descriptor, 1 << 16)
        except OSError:  # Linux's way to say that the other end is closed
            return
        if not piece:
            return
        yield piece
    raise AssertionError("the terminal stayed silent")


def on_terminal(workplace: Workplace, *arguments: str, proxy: Proxy | None = None, **settings: str) -> tuple[int, str]:
    """Run the data phase on a terminal; returns its exit code and everything that it showed.

    A proxy that is stalled is let go as soon as the run has shown a bar.
    """
    ours, theirs = pty.openpty()
    environment = clean_environment({**workplace.environment, "TERM": "xterm-256color", **settings})
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "sync-data.py"), *arguments],
        cwd=workplace.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        for piece in read_all(ours):
            shown += piece
            if proxy is not None and re.search(rb"[1-9]\d*/60000", shown):
                proxy.resume()
        return process.wait(timeout=60), shown.decode("utf-8")
    finally:
        process.kill()
        process.wait()
        os.close(ours)

"""A script from its arguments to its exit code.

Exit codes: 0 all done · 1 some tables failed · 2 bad arguments or settings · 3 a server cannot be
reached or refuses the login · 4 another run holds the lock · 130/143 stopped by a signal.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cli.display.choice import choose_display
from cli.display.plain import PlainDisplay
from model.errors import ALL_DONE, BAD_ARGUMENTS, SOME_FAILED, ReplicationError, ServerError, Stopped
from operations.recorder import Recorder
from operations.run_result import FILE, RunResult, keep
from run.options import Options
from run.script import Script

SAVED = "Progress is saved; --resume continues from here."


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into Stopped, raised in the main thread."""

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal must be able to end a run that hangs while it stops.
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def script_of(name: str, options: Options) -> Script:
    """What a script hands to its phase."""
    return Script(options, choose_display(), choose_display(sys.stderr), Recorder(name, sys.argv[1:]))


def run_script(
    script: Script, folder: Path | None, phase: Callable[[Script], RunResult], after_stop: str = SAVED
) -> int:
    """Run a phase; every error that ends it becomes words on standard error and its exit code.

    On every way out a line about the run is added to `runs.jsonl` in `folder`; None for a run that is to leave nothing
    behind. `after_stop` is what a person is told
    when a signal stopped it.
    """
    debug = script.options.debug
    try:
        with stop_on_signals():
            result = phase(script)
        return _kept(result, folder)
    except Stopped as stop:
        name = "Ctrl-C" if stop.number == signal.SIGINT else signal.Signals(stop.number).name
        _complain(f"🛑 Stopped by {name}. {after_stop}")
        leave(_kept(script.recorder.ended(128 + stop.number, f"stopped by {name}"), folder))
    except ServerError as error:
        _complain(f"❌ {error}")
        _trace(debug)
        # While the error is still held: letting go of it frees what a worker hangs in.
        leave(_kept(script.recorder.ended(error.exit_code, str(error)), folder))
    except ReplicationError as error:
        _complain(f"❌ {error}")
        _trace(debug)
        return _kept(script.recorder.ended(error.exit_code, str(error)), folder)
    except Exception as error:
        words = f"Error in this tool: {type(error).__name__}: {error}"
        _complain(f"❌ {words}. --resume continues; --debug shows where it happened.")
        _trace(debug)
        return _kept(script.recorder.ended(SOME_FAILED, words), folder)


def _kept(result: RunResult, folder: Path | None) -> int:
    """Keep a run's result; returns its exit code, also where it cannot be kept."""
    if folder is None:
        return result.exit_code
    try:
        keep(result, folder)
    except OSError as error:
        _complain(f"⚠️ WARNING: {folder / FILE} cannot be written: {error.strerror or error}. This run is not in it.")
    return result.exit_code


def end_with(main: Callable[[], int]) -> NoReturn:
    """Run a script's `main` and end the process with its exit code, also where argparse ends it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Else a connection would get the number of a standard stream that was closed, and what is written there.
            os.open(os.devnull, os.O_RDWR)
    try:
        code = main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else ALL_DONE if ended.code is None else BAD_ARGUMENTS
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process with this exit code at once, without letting go of anything.

    A thread of a driver may wait for the source for ever, and freeing its connection waits with it. The system
    closes what is open.
    """
    for stream in (sys.stdout, sys.stderr):
        # Whoever read it may have gone.
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    os._exit(code)


def _trace(debug: bool) -> None:
    if debug:
        _complain(traceback.format_exc().rstrip())


def _complain(text: str) -> None:
    PlainDisplay(sys.stderr).say(text)

"""A script from its arguments to its exit code.

Exit codes: 0 all done · 1 some tables failed · 2 bad arguments or settings · 3 a server cannot be
reached or refuses the login · 4 another run holds the lock · 5 --stop-at came first · 130/143 stopped by a signal.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cli.display.choice import Wishes, choose_displays
from cli.display.noting import NotingDisplay
from model.errors import (
    ALL_DONE,
    BAD_ARGUMENTS,
    SOME_FAILED,
    OutputError,
    ReplicationError,
    ServerError,
    Stopped,
    TimeIsUpError,
)
from operations.afterwards import tell_others
from operations.history import Limits, newest_first, rotate
from operations.recorder import Recorder
from operations.report import FILE as REPORT
from operations.report import write_report
from operations.run_result import FILE, RunResult, keep
from run.display import Line, line_of, tell_failures
from run.options import Options
from run.script import Script
from run.telling import telling_of

SAVED = "Progress is saved; --resume continues from here."


def stopping_signals() -> list[signal.Signals]:
    """SIGINT and SIGTERM; on Windows, where nobody can send the latter, SIGBREAK besides, which is Ctrl-Break.

    Python, "signal": closing the window of a console is SIGBREAK as well, but ends the process at once.
    """
    found: list[signal.Signals] = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        found.append(signal.SIGBREAK)
    return found


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Turn signals that ask a run to stop into Stopped, raised in the main thread."""

    def stop(number: int, _frame: FrameType | None) -> None:
        # A second signal must be able to end a run that hangs while it stops.
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in stopping_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def script_of(name: str, options: Options, wishes: Wishes) -> Script:
    """What a script hands to its phase. Ends the process where a log file cannot be written."""
    recorder = Recorder(name, sys.argv[1:])
    try:
        displays = choose_displays(wishes, recorder.run)
    except OutputError as error:
        choose_displays(replace(wishes, log_file=None), recorder.run).err.say(f"❌ {error}. Nothing was done.")
        leave(error.exit_code)
    out, err = (NotingDisplay(display, recorder.warned) for display in (displays.out, displays.err))
    return Script(options, out, err, recorder)


def run_script(
    script: Script, folder: Path | None, phase: Callable[[Script], RunResult], after_stop: str = SAVED
) -> int:
    """Run a phase; every error that ends it becomes words on standard error and its exit code.

    On every way out a line about the run is added to `runs.jsonl` in `folder`; None for a run that is to leave nothing
    behind. `after_stop` is what a person is told when a signal stopped it.
    """
    ending = _Ending(script, folder)
    try:
        with stop_on_signals():
            result = phase(script)
        return ending.kept(result)
    except Stopped as stop:
        number = signal.Signals(stop.number)
        name = {"SIGINT": "Ctrl-C", "SIGBREAK": "Ctrl-Break"}.get(number.name, number.name)
        ending.complain(f"🛑 Stopped by {name}. {after_stop}")
        leave(ending.kept(script.recorder.ended(128 + stop.number, f"stopped by {name}")))
    except TimeIsUpError as error:
        done, left = script.recorder.progress
        told = f"{error}. {done} tables are done, {left} are left; --resume --no-truncate goes on after the last chunk"
        ending.complain(f"🛑 {told}.")
        return ending.kept(script.recorder.ended(error.exit_code, told))
    except ServerError as error:
        ending.complain(f"❌ {error}")
        # While the error is still held: letting go of it frees what a worker hangs in.
        leave(ending.kept(script.recorder.ended(error.exit_code, str(error))))
    except ReplicationError as error:
        ending.complain(f"❌ {error}")
        return ending.kept(script.recorder.ended(error.exit_code, str(error)))
    except Exception as error:
        words = f"Error in this tool: {type(error).__name__}: {error}"
        ending.complain(f"❌ {words}. --resume continues; --debug shows where it happened.")
        return ending.kept(script.recorder.ended(SOME_FAILED, words))


class _Ending:
    """What is said and kept where a run ends before its time."""

    def __init__(self, script: Script, folder: Path | None) -> None:
        self._script = script
        self._folder = folder

    def complain(self, text: str) -> None:
        """Say why the run ends, which tables failed until then, and with --debug where it happened."""
        script = self._script
        script.beside.tell(replace(line_of(text), event="run ended"))
        tell_failures(script.beside, script.recorder.failed)
        if script.options.debug and not isinstance(sys.exc_info()[1], Stopped):
            script.beside.tell(Line(traceback.format_exc().rstrip(), "error", event="trace"))

    def kept(self, result: RunResult) -> int:
        """Keep a run's result; returns its exit code, also where it cannot be kept."""
        if self._folder is None:
            return result.exit_code
        before = self._before(result.script, self._folder)
        try:
            keep(result, self._folder)
        except OSError as error:
            path, why = self._folder / FILE, error.strerror or error
            self._script.beside.say(f"⚠️ WARNING: {path} cannot be written: {why}. This run is not in it.")
        self._rotate(result, self._folder)
        self._report(result, self._folder)
        tell_others(telling_of(self._script.options.env_file), result, before, self._folder, self._script.beside.say)
        return result.exit_code

    @staticmethod
    def _before(script: str, folder: Path) -> RunResult | None:
        """The last run of a script that is known here."""
        with suppress(OSError):
            return next(
                (one for one in newest_first(folder) if isinstance(one, RunResult) and one.script == script), None
            )
        return None

    def _report(self, result: RunResult, folder: Path) -> None:
        """Write the page about the run; whatever prevents that is told, and changes nothing about the run."""
        try:
            write_report(result, folder)
        except Exception as error:
            if isinstance(error, ImportError) and not result.settings:
                # What ended before its settings were read has told what is to be installed.
                return
            why = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
            self._script.beside.say(f"⚠️ WARNING: {folder / REPORT} cannot be written: {why}. It is as it was.")
            if self._script.options.debug:
                self._script.beside.tell(Line(traceback.format_exc().rstrip(), "error", event="trace"))

    def _rotate(self, result: RunResult, folder: Path) -> None:
        """Once the settings are known, let the history be no longer than they say."""
        runs, days = (result.settings.get(name) for name in ("history_runs", "history_days"))
        if not isinstance(runs, int) or not isinstance(days, int):
            return
        try:
            rotate(folder, Limits(runs, days), datetime.now())
        except OSError as error:
            why = error.strerror or error
            self._script.beside.say(f"⚠️ WARNING: {folder / FILE} cannot be set aside: {why}. It goes on growing.")


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

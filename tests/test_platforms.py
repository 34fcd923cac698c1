"""What differs on Windows and macOS, as far as it can be looked at from elsewhere: choices, names, words.

Nothing here ran on those systems; docs/install.md says so.
"""

from __future__ import annotations

import importlib.util
import io
import locale
import os
import platform
import re
import signal
import sys
from datetime import datetime
from pathlib import Path

import pytest

import db
from cli.display.choice import Wishes, choose_displays
from cli.display.plain import PlainDisplay, in_words
from cli.display.terminal import TerminalDisplay
from cli.run_script import stopping_signals
from data_phase.reject_files import file_name
from db import choose_utf8_locale, find_driver, load_settings, wheel_driver
from hand_edits.whole_files import put_in_place, write_atomically
from model.driver_manager import libraries
from model.errors import OutputError, SettingsError
from operations.killed_run import killed_run
from run.output import write_out
from tests.harness import ROOT, source_settings


@pytest.fixture
def windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - made before, by pytest itself
    """Python says that this is Windows."""
    monkeypatch.setattr(sys, "platform", "win32")


# -- drivers -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("windows")
def test_on_windows_the_newest_of_microsofts_drivers_is_taken_and_the_old_one_of_the_system_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = ["SQL Server", "SQL Server Native Client 11.0", "ODBC Driver 17 for SQL Server"]
    monkeypatch.setattr(db._odbc(), "drivers", lambda: [*installed, "ODBC Driver 18 for SQL Server"])
    assert find_driver("").name == "ODBC Driver 18 for SQL Server"
    monkeypatch.setattr(db._odbc(), "drivers", lambda: installed[:2])
    with pytest.raises(SettingsError, match="Install Microsoft's ODBC Driver 18 for SQL Server") as refused:
        find_driver("")
    assert "pip" not in str(refused.value), "the package carries none for Windows"


def test_on_macos_the_packages_driver_of_the_machines_kind_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for machine in ("arm64", "x86_64"):
        folder = tmp_path / "libs" / "macos" / machine / "lib"
        folder.mkdir(parents=True)
        (folder / "libmsodbcsql.18.dylib").touch()
    found = type("Found", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    monkeypatch.setattr(sys, "platform", "darwin")
    for machine in ("arm64", "x86_64"):
        monkeypatch.setattr(platform, "machine", lambda machine=machine: machine)
        assert wheel_driver() == tmp_path / "libs" / "macos" / machine / "lib" / "libmsodbcsql.18.dylib"


def test_the_driver_manager_is_looked_for_where_each_system_has_it() -> None:
    assert libraries("win32") == ()
    assert libraries("linux") == ("libodbc.so.2",)
    assert "/opt/homebrew/lib/libodbc.2.dylib" in libraries("darwin")


@pytest.mark.usefixtures("windows")
def test_on_windows_the_locale_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[object] = []
    monkeypatch.setattr(locale, "getlocale", lambda _: ("English_United States", "1252"))
    monkeypatch.setattr(locale, "setlocale", lambda *arguments: changed.append(arguments))
    choose_utf8_locale()
    assert changed == []


@pytest.mark.usefixtures("windows")
def test_on_windows_a_target_without_a_host_is_this_machine_by_tcp() -> None:
    settings = load_settings(None, {**source_settings(1433, "shop"), "PGDATABASE": "d", "MSSQL_DRIVER": "x"})
    assert settings.target.label == "localhost:5432/d"
    assert settings.target.security == "encrypted if the server can, certificate not verified"


# -- signals -----------------------------------------------------------------------------------------


def test_on_windows_ctrl_break_stops_a_run_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopping_signals() == [signal.SIGINT, signal.SIGTERM]
    monkeypatch.setattr(signal, "SIGBREAK", 21, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert stopping_signals() == [signal.SIGINT, signal.SIGTERM, 21]


# -- consoles ----------------------------------------------------------------------------------------


class Console:
    """A stream that a person watches."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""


def test_a_console_of_windows_gets_bars_though_it_has_no_term(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(sys, "stdout", Console())
    assert isinstance(choose_displays(Wishes(), "run").out, PlainDisplay)
    monkeypatch.setattr(sys, "platform", "win32")
    assert isinstance(choose_displays(Wishes(), "run").out, TerminalDisplay)


def test_what_a_pipe_of_windows_cannot_show_is_told_in_words() -> None:
    assert in_words("✅ Kundenübersicht → 漢字", "cp1252") == r"[OK] Kundenübersicht -> \u6f22\u5b57"


def test_a_pipe_that_cannot_take_a_script_says_how_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, encoding="cp1252"))
    write_out("CREATE TABLE ü ();\n")
    with pytest.raises(OutputError, match=r"has no 'Ω'\. With PYTHONUTF8=1"):
        write_out("CREATE TABLE Ω ();\n")
    assert pipe.getvalue().decode("cp1252").split() == ["CREATE", "TABLE", "ü", "();"], "nothing of it was written"


# -- files -------------------------------------------------------------------------------------------


def refuse_replacing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[Path]:
    """Let putting a file in its place fail so often, as where somebody reads what is there; returns the attempts."""
    attempts: list[Path] = []
    replace = Path.replace

    def replaced(self: Path, target: Path) -> Path:
        attempts.append(self)
        if len(attempts) <= times:
            raise PermissionError(13, "The process cannot access the file because it is being used by another process")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replaced)
    return attempts


@pytest.mark.usefixtures("windows")
def test_on_windows_a_file_that_somebody_reads_is_replaced_once_they_have_read_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    attempts = refuse_replacing(monkeypatch, 2)
    new, file = tmp_path / "new", tmp_path / "file"
    new.write_text("new", encoding="utf-8")
    file.write_text("old", encoding="utf-8")
    put_in_place(new, file)
    assert file.read_text(encoding="utf-8") == "new"
    assert len(attempts) == 3


def test_elsewhere_a_file_that_may_not_be_replaced_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    attempts = refuse_replacing(monkeypatch, 2)
    with pytest.raises(PermissionError):
        write_atomically(tmp_path / "file", "new")
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("CON", "%43ON"),
        ("nul", "%6Eul"),
        ("COM1", "%43OM1"),
        ("aux.Orders", "%61ux.Orders"),
        ("Sales.CON", "Sales.CON"),
        ("CONTACTS", "CONTACTS"),
        ("COL", "COL"),
        ("a:b?", "a%3Ab%3F"),
    ],
)
def test_a_tables_file_has_a_name_that_windows_takes(table: str, name: str) -> None:
    assert file_name(table) == name


@pytest.mark.usefixtures("windows")
def test_on_windows_the_paths_of_a_run_that_was_killed_are_told_whole() -> None:
    words = r"process 5 on HOST in C:\x, since 2025-12-16T12:00:00 (sync-data.py --progress-file D:\night\p.json)"
    run = killed_run(words, {}, datetime(2025, 12, 16, 13))
    assert run is not None
    assert run.arguments == ("--progress-file", r"D:\night\p.json")


def test_no_module_of_the_product_imports_what_only_posix_has() -> None:
    only_posix = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"}
    beside = {"standin", "demo", "bench", "tests", "packaging", "docs"}
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT).parts
        if parts[0] in beside or parts[0].startswith("."):
            continue
        text = file.read_text(encoding="utf-8")
        assert not only_posix & set(re.findall(r"(?m)^\s*(?:import|from) (\w+)", text)), file
        for call in ("os.fork", "os.geteuid", "os.getuid", "os.killpg", "os.sync", "os.statvfs", "os.setsid"):
            if call in text:
                assert file.name == "system_packages.py", f"{file}: {call}"


def test_make_finds_the_environment_of_windows() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "ifeq ($(OS),Windows_NT)\nPYTHON := py\nBIN := $(VENV)/Scripts\nendif" in makefile
    assert os.name != "nt" or Path(sys.executable).parent.name == "Scripts"

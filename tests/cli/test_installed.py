"""Scripts on a machine where something is missing: flags are read, and one line says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.installed import needed_packages
from model.errors import NotInstalledError
from tests.harness import ROOT
from tests.samples import both_scripts

SCRIPTS = {"schema": "replicate-schema.py", "data": "sync-data.py"}


def bare(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script with a Python that sees no package but its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MSSQL", "PG"))}
    return subprocess.run(
        [sys.executable, "-S", str(ROOT / SCRIPTS[script]), *arguments],
        cwd=folder, env={**environment, "PYTHONIOENCODING": "utf-8"}, capture_output=True, text=True, check=False,
        encoding="utf-8",
    )  # fmt: skip


@both_scripts
def test_help_needs_no_package(script: str, tmp_path: Path) -> None:
    helped = bare(script, "--help", folder=tmp_path)
    assert helped.returncode == 0, helped.stderr
    assert "--resume" in helped.stdout


@both_scripts
def test_mistyped_flags_are_told_without_any_package(script: str, tmp_path: Path) -> None:
    mistyped = bare(script, "--reset", "--resume", folder=tmp_path)
    assert mistyped.returncode == 2
    assert "cannot be combined with --resume" in mistyped.stderr


@both_scripts
def test_without_packages_one_line_says_what_to_install(script: str, tmp_path: Path) -> None:
    ended = bare(script, folder=tmp_path)
    assert ended.returncode == 2
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert "psycopg2-binary is not installed" in line
    assert str(ROOT) in line
    assert "Traceback" not in line


def test_an_environment_beside_the_scripts_is_named_with_the_command(tmp_path: Path) -> None:
    own = tmp_path / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    own.parent.mkdir(parents=True)
    own.touch()
    with pytest.raises(NotInstalledError) as refused, needed_packages(tmp_path):
        import no_such_package  # type: ignore[import-not-found] # noqa: F401, PLC0415
    assert "no_such_package is not installed" in str(refused.value)
    assert f"run {own}" in str(refused.value)


def test_without_an_environment_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match=r"make setup.*pip install -r"), needed_packages(tmp_path):
        import no_such_package  # noqa: F401, PLC0415


@both_scripts
def test_without_the_driver_manager_one_line_says_how_to_install_it(script: str, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / SCRIPTS[script])]
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind /dev/null "$0" && exec "$@"', library(), *command],
        cwd=tmp_path, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    (line,) = (ended.stdout + ended.stderr).strip().splitlines()
    assert "ODBC driver manager (libodbc.so.2) is missing. Install it, as root: " in line


def library() -> str:
    """The file of libodbc, which can be hidden from one process."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux can hide a library from one process")
    tried = subprocess.run(["unshare", "--mount", "mount", "--bind", "/dev/null", "/dev/full"], check=False)
    if tried.returncode != 0:
        pytest.skip("this system does not let a process have mounts of its own")
    found = list(Path("/usr/lib").rglob("libodbc.so.2"))
    if not found:
        pytest.skip("libodbc.so.2 does not lie under /usr/lib")
    return str(found[0].resolve())

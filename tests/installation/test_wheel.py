"""The package as it is installed: two commands that do what the two scripts do."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.harness import ROOT, clean_environment
from tests.samples import Shop

#: what shows, proves and measures the product, and is no part of it
BESIDE = {"standin", "demo", "bench", "proof", "tests"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel was installed; what it depends on is there already."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)], check=True
    )
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--prefix", str(folder / "at"), str(wheel)], check=True)
    return folder / "at"


def run(
    installed: Path, command: str, *arguments: str, folder: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run an installed command in a folder."""
    (packages,) = installed.glob("**/site-packages")
    return subprocess.run(
        [next(installed.glob(f"*/{command}*")), *arguments], cwd=folder, capture_output=True, text=True, check=False,
        encoding="utf-8", env=clean_environment({**settings, "PYTHONPATH": str(packages)}),
    )  # fmt: skip


def test_the_installed_commands_copy_a_database(installed: Path, shop: Shop, tmp_path: Path) -> None:
    for command in ("replicate-schema", "sync-data"):
        ended = run(installed, command, folder=tmp_path, **shop.workplace.environment)
        assert ended.returncode == 0, ended.stdout + ended.stderr
    shop.assert_equal()
    assert (tmp_path / "data_sync_progress.json").exists()
    assert 'data-verdict="done"' in (tmp_path / "run_report.html").read_text(encoding="utf-8")


def test_the_installed_package_takes_no_name_but_its_own(installed: Path) -> None:
    (packages,) = installed.glob("**/site-packages")
    assert {path.name.partition("-")[0] for path in packages.iterdir()} == {"mssql_to_postgres"}


def test_the_wheel_holds_every_room_of_the_product(installed: Path) -> None:
    (inside,) = installed.glob("**/site-packages/mssql_to_postgres")
    rooms = {path.parent.name for path in ROOT.glob("[a-z]*/*.py")} - BESIDE
    files = {path.name for path in ROOT.glob("*.py")} | {".env.example", "requirements.txt"}
    assert {path.name for path in inside.iterdir()} - {"__pycache__"} == rooms | files


def test_the_wheel_asks_for_what_the_requirements_ask_for(installed: Path) -> None:
    (at,) = installed.glob("**/site-packages/*.dist-info")
    lines = (line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines())
    needed = {Requirement(line) for line in lines if line and not line.startswith("pytest")}
    asked = {Requirement(text) for text in Distribution.at(at).requires or ()}
    extra = {one for one in asked if "extra" in str(one.marker)}
    assert asked - extra == needed
    cluster = (ROOT / "requirements-cluster.txt").read_text().splitlines()
    (line,) = (line.partition("#")[0].strip() for line in cluster if line and line[0] not in "#-")
    assert {str(one.name) + str(one.specifier) for one in extra} == {line}

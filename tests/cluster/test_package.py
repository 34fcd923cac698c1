"""What of Dask a run needs, and what it does without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenes import Scene

DASK = {"dask", "distributed", "tornado"}


def test_a_run_on_this_machine_imports_nothing_of_dask(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def note(event, found):\n"
        "    if event == 'import':\n"
        "        with open(os.path.join(os.environ['NOTED'], str(os.getpid())), 'a') as file:\n"
        "            file.write(found[0] + '\\n')\n"
        "sys.addaudithook(note)\n"
    )
    noted = tmp_path / "noted"
    noted.mkdir()
    for flags in (("--refresh", "swap"), ("--verify",)):
        finished = scene.run(*flags, PYTHONPATH=str(tmp_path / "modules"), NOTED=str(noted))
        assert finished.code == 0, finished.text
    modules = [set(file.read_text().splitlines()) for file in noted.iterdir()]
    assert any("run.crews" in one for one in modules), "the runs' own modules are noted"
    assert not DASK & {name.partition(".")[0] for one in modules for name in one}
    assert not any(name.partition(".")[0] == "cluster" for one in modules for name in one)


@pytest.mark.parametrize("flags", [(), ("--verify",)])
def test_a_missing_package_is_told_with_what_brings_it(scene: Scene, tmp_path: Path, flags: tuple[str, ...]) -> None:
    hidden = tmp_path / "hidden" / "distributed"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'distributed'\", name='distributed')\n"
    )
    finished = scene.run("--cluster", "tcp://127.0.0.1:1", *flags, PYTHONPATH=str(hidden.parent))
    assert finished.code == 2, finished.text
    assert "the Python package distributed is not installed" in finished.text
    assert "pip install -r requirements-cluster.txt" in finished.text

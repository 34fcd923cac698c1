"""The commands of the installed package: each runs its script as it lies in the package's folder."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent


def replicate_schema() -> None:
    """Run `replicate-schema.py`; ends the process."""
    _run("replicate-schema.py")


def sync_data() -> None:
    """Run `sync-data.py`; ends the process."""
    _run("sync-data.py")


def _run(script: str) -> None:
    # As Python does for a script: its folder comes first among those that modules are looked for in.
    sys.path.insert(0, str(FOLDER))
    sys.argv[0] = script
    runpy.run_path(str(FOLDER / script), run_name="__main__")

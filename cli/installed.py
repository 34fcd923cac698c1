"""What a script needs that may not be installed, and how it is installed on the system at hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installation.system_packages import DRIVER_MANAGER, how_to_install
from model.errors import NotInstalledError

#: packages whose names differ from those of their modules
PACKAGES = {"dotenv": "python-dotenv", "psycopg2": "psycopg2-binary", "arrow_odbc": "arrow-odbc"}


@contextmanager
def needed_packages(root: Path = Path(__file__).parent.parent) -> Iterator[None]:
    """Turn an import that fails into words on what to install. `root` is where the scripts lie.

    Raises NotInstalledError.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        # Linked libraries that are missing are an ImportError of one package and an OSError of another.
        raise NotInstalledError(_in_words(error, root)) from None


def _in_words(error: ImportError | OSError, root: Path) -> str:
    if "libodbc" in str(error):
        return (
            f"the system's ODBC driver manager ({DRIVER_MANAGER}) is missing. Install it, as root: {how_to_install()}"
        )
    module = (getattr(error, "name", None) or "").partition(".")[0]
    what = (
        f"the Python package {PACKAGES.get(module, module)} is not installed for {sys.executable}"
        if isinstance(error, ModuleNotFoundError)
        else f"a Python package cannot be loaded by {sys.executable}: {error}"
    )
    own = root / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if own.exists() and Path(sys.prefix) != own.parent.parent:
        return f"{what}. It is in the environment beside the scripts: run {own} {' '.join(sys.argv)}"
    return (
        f"{what}. Install what is needed: `make setup` in {root} makes an environment for it; or, in one of your own, "
        f"{sys.executable} -m pip install -r {root / 'requirements.txt'}"
    )

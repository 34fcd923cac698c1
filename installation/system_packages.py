"""Install the system's ODBC driver manager where it is missing: the one thing that pip cannot bring.

Exits 0 when libodbc is there, or was installed; else says how to install it and exits 1. FreeTDS, the
second ODBC driver that the tests use, is installed along with it where that is as easy.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from model.driver_manager import libraries


@dataclass(frozen=True)
class Manager:
    """A system's package manager: its program, and the commands that install the packages."""

    program: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def spoken(self) -> str:
        """The commands as a person types them."""
        return " && ".join(" ".join(command) for command in self.commands)


MANAGERS = (
    Manager("apt-get", (("apt-get", "update", "-q"), ("apt-get", "install", "-q", "-y", "libodbc2", "tdsodbc"))),
    Manager("dnf", (("dnf", "install", "-y", "unixODBC"),)),
    Manager("apk", (("apk", "add", "unixodbc", "freetds"),)),
    Manager("zypper", (("zypper", "--non-interactive", "install", "unixODBC"),)),
    Manager("brew", (("brew", "install", "unixodbc", "freetds"),)),
)


#: the library that pyodbc and arrow-odbc are linked with
DRIVER_MANAGER = next(iter(libraries(sys.platform)), "odbc32.dll")


def _manager() -> Manager | None:
    return next((manager for manager in MANAGERS if shutil.which(manager.program)), None)


def how_to_install() -> str:
    """The commands that install the driver manager on this system, as a person types them."""
    manager = _manager()
    return manager.spoken if manager else "your system's package of unixODBC"


def has_driver_manager() -> bool:
    """Whether pyodbc and arrow-odbc will find the library they are linked with."""
    if sys.platform == "win32":
        return True
    for library in (*libraries(sys.platform), ctypes.util.find_library("odbc")):
        if library is None:
            continue
        try:
            ctypes.CDLL(library)
            return True
        except OSError:
            continue
    return False


def install(manager: Manager) -> bool:
    """Run the manager's commands, by sudo where this is not root; False if one failed."""
    prefix: Sequence[str] = ()
    if manager.program != "brew" and os.geteuid() != 0:
        if shutil.which("sudo") is None:
            return False
        prefix = ("sudo",)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in manager.commands:
        print("+", " ".join((*prefix, *command)), flush=True)
        if subprocess.run((*prefix, *command), env=environment, check=False, stdout=subprocess.DEVNULL).returncode:
            return False
    return True


def main() -> int:
    """Install what is missing; returns the exit code."""
    if has_driver_manager():
        return 0
    manager = _manager()
    if manager is not None and install(manager) and has_driver_manager():
        return 0
    print(
        f"The system's ODBC driver manager (libodbc) is missing. Install it, as root: {how_to_install()}",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())

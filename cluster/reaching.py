"""What a cluster's workers run, asked in a way that needs nothing of ours there; and how they get our code."""

from __future__ import annotations

import platform
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from cluster import envelope
from model.errors import RunRefusedError, SettingsError
from model.version import __version__


@dataclass(frozen=True)
class About:
    """A worker's version of this tool, None where it has none, and its Python, as `3.11`."""

    version: str | None
    python: str

    def __str__(self) -> str:
        tool = f"version {self.version}" if self.version else "without this tool"
        return f"{tool}, Python {self.python}"


OURS = About(__version__, ".".join(platform.python_version_tuple()[:2]))


def ask(client: Client, addresses: Sequence[str]) -> dict[str, About | str]:
    """What each worker runs, or why it does not say.

    Python first, by a message of Dask's own: a function that travels is one of this Python's.
    """
    told = client.get_versions()["workers"]
    pythons = {
        address: ".".join(str(told[address]["host"]["python"]).split(".")[:2])
        for address in addresses
        if isinstance(told.get(address), dict)
    }
    found: dict[str, About | str] = dict.fromkeys(addresses, "it does not answer")
    found |= {address: f"Python {python}" for address, python in pythons.items()}
    alike = [address for address, python in pythons.items() if python == OURS.python]
    answers = client.run(envelope.version, workers=alike, on_error="return") if alike else {}
    for address, answer in answers.items():
        is_told = answer is None or isinstance(answer, str)
        found[address] = About(answer, OURS.python) if is_told else f"{type(answer).__name__}: {answer}"
    return found


def fits(about: About | str) -> bool:
    """Whether a worker can take tasks of this run."""
    return about == OURS


def bring_code(client: Client, wheel: Path) -> None:
    """Let every worker that has no code of ours, also those that come later, import from a wheel (`make wheel`).

    Raises SettingsError where it is none of this tool, and RunRefusedError where a worker cannot take it.
    """
    try:
        with zipfile.ZipFile(wheel) as opened:
            opened.getinfo(f"{envelope.PACKAGE}/model/version.py")
    except (zipfile.BadZipFile, KeyError):
        raise SettingsError(f"CLUSTER_CODE: {wheel} is no wheel of this tool; `make wheel` builds one") from None
    try:
        client.register_plugin(envelope.Code(wheel.read_bytes()))
    except Exception as error:
        # Whatever a worker raises arrives as it is.
        raise RunRefusedError(
            f"CLUSTER_CODE: a worker cannot take {wheel.name}: {error}. Restart the workers: a process keeps the "
            f"modules that it has once imported."
        ) from None

"""What a cluster's workers run, asked in a way that needs nothing of ours there; and how they get our code."""

from __future__ import annotations

import platform
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client, WorkerPlugin
from distributed.comm import CommClosedError

from cluster import envelope
from model.errors import RunRefusedError, SettingsError, UnreachableError
from model.version import __version__


@dataclass(frozen=True)
class About:
    """A worker's version of this tool, None where it has none, and its Python, as `3.11`."""

    version: str | None
    python: str

    def __str__(self) -> str:
        tool = f"version {self.version}" if self.version else "without this tool"
        return f"{tool}, Python {self.python}"


#: of a worker that cannot be reached: it is going, or was cut off
SILENT = "it does not answer"
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
    found: dict[str, About | str] = dict.fromkeys(addresses, SILENT)
    found |= {address: f"Python {python}" for address, python in pythons.items()}
    alike = [address for address, python in pythons.items() if python == OURS.python]
    answers = client.run(envelope.version, workers=alike, on_error="return") if alike else {}
    for address, answer in answers.items():
        is_told = answer is None or isinstance(answer, str)
        found[address] = About(answer, OURS.python) if is_told else in_words(answer)
    return found


def is_silence(answer: object) -> bool:
    """Whether a worker could not be reached; what it raises itself, for a file it cannot read say, is an answer."""
    return isinstance(answer, (CommClosedError, ConnectionError, TimeoutError)) or type(answer) is OSError


def in_words(answer: object) -> str:
    """What a worker answered, or what came of asking it."""
    if is_silence(answer):
        return SILENT
    return answer if isinstance(answer, str) else f"{type(answer).__name__}: {answer}"


def fits(about: About | str) -> bool:
    """Whether a worker can take tasks of this run."""
    return about == OURS


def scheduler_is_gone(address: str) -> UnreachableError:
    """What a run ends with."""
    return UnreachableError(f"the cluster's scheduler {address} is gone. Start it again; then use --resume")


@contextmanager
def through(address: str) -> Iterator[None]:
    """What is asked of a scheduler. Raises UnreachableError where it is gone before it has answered."""
    try:
        yield
    except Exception as error:
        if is_silence(error):
            raise scheduler_is_gone(address) from None
        raise


def register(client: Client, plugin: WorkerPlugin) -> None:
    """Give every worker a plugin, also those that come later. One that cannot be reached meanwhile is passed over."""
    try:
        client.register_plugin(plugin)
    except Exception as error:
        if not is_silence(error):
            raise


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
        register(client, envelope.Code(wheel.read_bytes()))
    except Exception as error:
        # Whatever a worker raises arrives as it is.
        raise RunRefusedError(
            f"CLUSTER_CODE: a worker cannot take {wheel.name}: {error}. Restart the workers: a process keeps the "
            f"modules that it has once imported."
        ) from None

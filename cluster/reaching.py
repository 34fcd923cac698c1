"""What a cluster's workers run, asked in a way that needs nothing of ours there; and how they get our code."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, WorkerPlugin

from model.version import __version__

#: seconds for which workers are waited for to say what they run
ASK_S = 30


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
    """What each worker runs, or why it does not say."""
    answers = client.run(_question(), workers=list(addresses), on_error="return")
    return {
        address: About(*answer) if isinstance(answer, tuple) else f"{type(answer).__name__}: {answer}"
        for address, answer in answers.items()
    }


def fits(about: About | str) -> bool:
    """Whether a worker can take tasks of this run."""
    return about == OURS


def in_words(about: About | str) -> str:
    """For a person."""
    return str(about)


def _question() -> Callable[[], tuple[str | None, str]]:
    # Not at the top of a module, so that it is pickled by value: the worker may have none of our modules.
    def answer() -> tuple[str | None, str]:
        import importlib  # noqa: PLC0415
        import platform as here  # noqa: PLC0415

        importlib.invalidate_caches()
        python = ".".join(here.python_version_tuple()[:2])
        try:
            return importlib.import_module("model.version").__version__, python
        except (ImportError, AttributeError):
            return None, python

    return answer


def bring_code(client: Client, wheel: Path) -> None:
    """Let every worker, also those that come later, import from a wheel of this tool (`make wheel`)."""
    client.register_plugin(_code(wheel.name, wheel.read_bytes()))


def _code(name: str, content: bytes) -> Any:
    class Code(WorkerPlugin):  # type: ignore[misc]  # distributed is not typed
        """Pickled by value as well."""

        idempotent = True

        def __init__(self) -> None:
            self.name = f"code of {name}"
            self.content = content

        def setup(self, worker: Any) -> None:
            import importlib  # noqa: PLC0415
            import os  # noqa: PLC0415
            import sys  # noqa: PLC0415

            path = os.path.join(worker.local_directory, name)  # noqa: PTH118
            with open(path, "wb") as file:  # noqa: PTH123
                file.write(self.content)
            if path not in sys.path:
                sys.path.insert(0, path)
            importlib.invalidate_caches()

    return Code()

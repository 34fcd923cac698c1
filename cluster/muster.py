"""What a cluster's workers answered before a run, as data: who would take its tasks, and whether it is refused."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

from model.errors import ReplicationError, RunRefusedError, UnreachableError
from model.version import __version__
from model.visible import listed


@dataclass(frozen=True)
class About:
    """A worker's version of this tool, None where it has none, and its Python, as `3.11`."""

    version: str | None
    python: str

    def __str__(self) -> str:
        tool = f"version {self.version}" if self.version else "without this tool"
        return f"{tool}, Python {self.python}"


@dataclass(frozen=True)
class Joined:
    """A worker process that has joined: the next one at its address has another folder."""

    address: str
    folder: str


#: of a worker that cannot be reached: it is going, was cut off, or stands still
SILENT = "it does not answer"
OURS = About(__version__, ".".join(platform.python_version_tuple()[:2]))
#: what helps where a worker runs something else
ADVICE = (
    "Install the same version there, name its folder in their PYTHONPATH, or send it with CLUSTER_CODE; "
    "docs/cluster.md says how"
)


def fits(about: About | str) -> bool:
    """Whether a worker can take tasks of this run."""
    return about == OURS


@dataclass(frozen=True)
class Muster:
    """The workers of a scheduler with the threads of each, and what each answered, or why it does not say.

    `lacks` is of those that run what this run does: what else they would need, in words.
    """

    scheduler: str
    threads: Mapping[Joined, int]
    abouts: Mapping[Joined, About | str]
    lacks: Mapping[Joined, str]

    @property
    def known(self) -> Mapping[Joined, About | str]:
        """What is known of each."""
        return {**self.abouts, **self.lacks}

    @property
    def usable(self) -> Mapping[str, int]:
        """The threads of each worker that takes tasks, by its address."""
        return {one.address: self.threads[one] for one, about in self.known.items() if fits(about)}

    @property
    def silent(self) -> list[str]:
        """The addresses of those that do not answer."""
        return sorted(one.address for one, about in self.known.items() if about == SILENT)

    @property
    def unlike(self) -> Mapping[str, str]:
        """What those run that run something else, by their address."""
        return _in_order({one: about for one, about in self.abouts.items() if not (fits(about) or about == SILENT)})

    @property
    def lacking(self) -> Mapping[str, str]:
        """What those lack that lack something, by their address."""
        return _in_order({one: words for one, words in self.lacks.items() if words != SILENT})

    def refusal(self) -> ReplicationError | None:
        """Why a run is refused; None where it is not."""
        count = len(self.threads)
        if not count:
            return UnreachableError(
                f"the cluster {self.scheduler} has no worker. Start some; docs/cluster.md says how."
            )
        if self.unlike:
            return RunRefusedError(
                f"{len(self.unlike)} of {count} workers cannot take tasks of this run ({OURS}):\n"
                f"{_as_list(self.unlike)}\n{ADVICE}."
            )
        if self.lacking:
            return RunRefusedError(
                f"{len(self.lacking)} of {count} workers cannot work for this run:\n{_as_list(self.lacking)}"
            )
        if not self.usable:
            return UnreachableError(
                f"no worker of the cluster {self.scheduler} answers: {listed(self.silent)}. Look whether they run, and "
                f"whether the scheduler reaches them; then try again."
            )
        return None


def _in_order(found: Mapping[Joined, About | str]) -> dict[str, str]:
    return {one.address: str(about) for one, about in sorted(found.items(), key=lambda item: item[0].address)}


def _as_list(words: Mapping[str, str]) -> str:
    return "\n".join(f"  {address}: {what}" for address, what in words.items())

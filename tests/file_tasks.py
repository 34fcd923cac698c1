"""Tasks that touch no server and wait for files, or leave some. Workers of a cluster import this."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from bench.idle_tasks import NoConnections
from scheduling.tasks import Label, Lane, Worker


@dataclass(frozen=True)
class _FileTask:
    folder: Path

    @property
    def lane(self) -> Lane:
        """That of chunks."""
        return "working"

    @property
    def label(self) -> Label:
        """The same for all of a kind."""
        return Label("dbo.T", type(self).__name__)

    def connect(self) -> NoConnections:
        """Nothing to open."""
        return NoConnections()

    def wait_for(self, name: str) -> None:
        """Wait for a file, deaf to everything else, as in a driver."""
        while not (self.folder / name).exists():
            time.sleep(0.05)


class AnswersOnTheSecondTime(_FileTask):
    """Hangs at first; once more, it waits for a file and answers."""

    def run(self, worker: Worker[NoConnections]) -> str:
        """Leave word that it began."""
        name = "again" if worker.tries_again else "first"
        (self.folder / f"{name}-began").touch()
        self.wait_for(f"{name}-may-end")
        return name


class MovesOnTheSecondTime(_FileTask):
    """Hangs at first; once more, it moves until a file is there."""

    def run(self, worker: Worker[NoConnections]) -> str:
        """Leave word that it began. Raises CancelledError."""
        if not worker.tries_again:
            (self.folder / "first-began").touch()
            self.wait_for("first-may-end")
            return "first"
        (self.folder / "again-began").touch()
        while not (self.folder / "again-may-end").exists():
            worker.moved()
            time.sleep(0.05)
        return "again"


class DiesOnce(_FileTask):
    """Does its work, a file, and takes its worker's process with it before it can answer."""

    def run(self, worker: Worker[NoConnections]) -> tuple[str, bool]:
        """What stands in the file, and whether it was said that it may be there."""
        done = self.folder / "done"
        if not done.exists():
            done.write_text("by the first")
            os.kill(os.getpid(), signal.SIGKILL)
        return done.read_text(), worker.tries_again


class OddError(Exception):
    """Made of more than its words, so that what was pickled cannot be unpickled."""

    def __init__(self, words: str, *, number: int) -> None:
        super().__init__(f"{words} {number}")


class FailsOddly(_FileTask):
    """Fails in a way that nobody foresaw."""

    def run(self, worker: Worker[NoConnections]) -> None:  # noqa: ARG002
        """Raises OddError."""
        raise OddError("it went wrong", number=7)


class RemarksAThousandTimes(_FileTask):
    """Has much to say."""

    def run(self, worker: Worker[NoConnections]) -> None:
        """Say it."""
        for number in range(1000):
            worker.remark(str(number))


@dataclass(frozen=True)
class NamedTask(_FileTask):
    """Of a table with that name."""

    name: str

    @property
    def label(self) -> Label:
        """With the name in it."""
        return Label(self.name, "task")

    def run(self, worker: Worker[NoConnections]) -> str:  # noqa: ARG002
        """The name."""
        return self.name


@dataclass(frozen=True)
class Answers(_FileTask):
    """Answers at once, so many bytes."""

    size: int

    def run(self, worker: Worker[NoConnections]) -> bytes:
        """Move once, and answer."""
        worker.moved()
        return bytes(self.size)

"""Tables whose tasks do nothing: what is left is what scheduling them costs. Workers must be able to import this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from model.events import Event
from scheduling.tasks import Label, Lane, Task, Worker


class NoConnections:
    """To no server."""

    def give_up(self) -> None:
        """There is nothing to end."""

    def disconnect(self) -> None:
        """There is nothing to drop."""


@dataclass(frozen=True)
class Idle:
    """Answers at once. `burden` travels with it, as settings and a table's columns do with a real one."""

    table: str
    number: int
    burden: object = None

    @property
    def lane(self) -> Lane:
        """That of chunks."""
        return "working"

    @property
    def label(self) -> Label:
        """As a chunk's."""
        return Label(self.table, f"chunk {self.number}", f"chunk {self.number + 1}")

    def connect(self) -> NoConnections:
        """Nothing to open."""
        return NoConnections()

    def run(self, worker: Worker[NoConnections]) -> int:
        """Move once, and answer."""
        worker.moved()
        return self.number


@dataclass
class IdleTable:
    """A table of so many chunks, known at once."""

    key: str
    chunks: int
    burden: object = None
    done: set[int] = field(default_factory=set)

    @property
    def is_over(self) -> bool:
        """Whether each chunk has answered."""
        return len(self.done) == self.chunks

    def begin(self) -> Sequence[Task[NoConnections, object]]:
        """All chunks."""
        return [Idle(self.key, number, self.burden) for number in range(self.chunks)]

    def take(self, task: Task[NoConnections, object], result: Any) -> Sequence[Task[NoConnections, object]]:  # noqa: ARG002
        """Count it."""
        self.done.add(result)
        return ()

    def fail(self, error: Exception) -> Sequence[Task[NoConnections, object]]:
        """Nothing of it may."""
        raise error

    def events(self) -> list[Event]:
        """None."""
        return []

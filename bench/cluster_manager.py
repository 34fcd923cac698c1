"""A cluster whose parts are struck, and a manager that replaces at once what has died.

Each worker reaches the scheduler, and is reached, through proxies of its own, so that any one of them can be cut off.
"""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.dask_cluster import DaskCluster
from tests.harness import Proxy

#: seconds after a death within which the manager starts another
REPLACED_S = 1.0
#: seconds within which a worker must have joined
JOINED_S = 60.0
#: seconds within which a worker without its scheduler has ended, whatever its threads hang in
ENDED_S = 30.0


@dataclass
class Member:
    """A worker's process and its two ways: to the scheduler, and from it."""

    process: subprocess.Popen[str]
    ways: tuple[Proxy, Proxy]
    state: Literal["joining", "at work", "to end"] = "joining"
    #: the moment at which it lost its scheduler, from which on it is to end
    lost_at: float = 0.0

    def loses_scheduler(self) -> None:
        """It is given no tasks any more."""
        self.state, self.lost_at = "to end", time.monotonic()


@dataclass
class ManagedCluster:
    """So many workers, kept up by `look`, which must be called often."""

    folder: Path
    wanted: int
    threads: int
    #: chooses the delays
    chance: random.Random
    cluster: DaskCluster = field(init=False)
    members: list[Member] = field(init=False, default_factory=list)
    #: moments at which another worker is to be started
    _due: list[float] = field(init=False, default_factory=list)
    _scheduler_due: float | None = field(init=False, default=None)

    def __enter__(self) -> ManagedCluster:
        self.cluster = DaskCluster(self.folder, workers=0, threads=self.threads)
        for _ in range(self.wanted):
            self._add()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cluster.close()
        for member in self.members:
            _close(member)

    @property
    def address(self) -> str:
        """What runs are given."""
        return self.cluster.address

    @property
    def at_work(self) -> list[Member]:
        """The workers that can be given tasks."""
        return [member for member in self.members if member.state == "at work" and member.process.poll() is None]

    # -- strikes -------------------------------------------------------------------------------------

    def kill_worker(self, which: float) -> bool:
        """Kill one of those at work, `which` between 0 and 1; whether there was one."""
        if not self.at_work:
            return False
        self._one(which).process.kill()
        return True

    def cut_worker(self, which: float) -> bool:
        """Break all that one of those at work has with the scheduler; whether there was one."""
        if not self.at_work:
            return False
        member = self._one(which)
        member.loses_scheduler()
        for way in member.ways:
            way.cut()
        return True

    def kill_scheduler(self) -> bool:
        """Kill it, if it is there; the manager brings it back at the same address."""
        if self._scheduler_due is not None:
            return False
        self.cluster.scheduler.kill()
        self.cluster.scheduler.wait()
        self._scheduler_due = self._soon()
        for member in self.members:
            if self._has_joined(member):
                member.loses_scheduler()
        return True

    def _one(self, which: float) -> Member:
        there = self.at_work
        return there[int(which * len(there))]

    # -- the manager ---------------------------------------------------------------------------------

    def look(self) -> None:
        """Bring back what has died, each after its delay."""
        now = time.monotonic()
        if self._scheduler_due is not None and now >= self._scheduler_due:
            self._scheduler_due = None
            self.cluster.restart_scheduler()
        for member in list(self.members):
            if member.process.poll() is not None:
                self.members.remove(member)
                self.cluster.workers.remove(member.process)
                _close(member)
                self._due.append(self._soon())
            elif member.state == "joining" and self._has_joined(member):
                member.state = "at work"
        for moment in [moment for moment in self._due if now >= moment]:
            self._due.remove(moment)
            self._add()

    def wait_for_worker(self) -> None:
        """Until a run can begin. Raises RuntimeError if no worker joins."""
        deadline = time.monotonic() + JOINED_S
        while not self.at_work:
            self.look()
            if time.monotonic() > deadline:
                raise RuntimeError(f"no worker joins:\n{self.cluster.log()[-6000:]}")
            time.sleep(0.02)

    def hanging(self) -> list[str]:
        """Workers that have lost their scheduler and whose processes do not end, in words."""
        while True:
            self.look()
            left = [member for member in self.members if member.state == "to end"]
            late = [member for member in left if time.monotonic() - member.lost_at > ENDED_S]
            if late or not left:
                return [f"process {member.process.pid} of a worker that lost its scheduler" for member in late]
            time.sleep(0.02)

    def _has_joined(self, member: Member) -> bool:
        return member.state == "at work" or (member.state == "joining" and self.cluster.has_joined(member.process))

    def _soon(self) -> float:
        return time.monotonic() + self.chance.uniform(0, REPLACED_S)

    def _add(self) -> None:
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        ways = (Proxy(("127.0.0.1", self.cluster.port)), Proxy(("127.0.0.1", port)))
        listens = (
            "--listen-address", f"tcp://127.0.0.1:{port}", "--contact-address", f"tcp://127.0.0.1:{ways[1].port}",
        )  # fmt: skip
        process = self.cluster.add_worker(address=f"tcp://127.0.0.1:{ways[0].port}", listens=listens)
        self.members.append(Member(process, ways))


def _close(member: Member) -> None:
    for way in member.ways:
        way.close()

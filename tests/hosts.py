"""Hosts of their own on this machine: network namespaces with addresses of their own, and what each of them sees.

Each host has a leg in three networks, so that its way to the scheduler, to the source and to the target can be cut one
by one. Both servers are on the machine itself, which has the first address of each network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal

from tests.dask_cluster import SCHEDULER, WORKER
from tests.harness import ROOT, clean_environment, wait_until

Network = Literal["cluster", "source", "target"]
NETWORKS: tuple[Network, ...] = ("cluster", "source", "target")
#: Dask's own patience: a worker without a heartbeat for so long is removed, and a connection without an answer is lost
PATIENCE = {
    "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP": "12s",
}


def lacking() -> str | None:
    """Why there can be no hosts here; None where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts of their own need root on Linux"
    if shutil.which("ip") is None:
        return "hosts of their own need `ip` (iproute2)"
    name = f"try-{os.getpid()}"
    tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        inside = ["ip", "netns", "exec", name, "mount", "-t", "tmpfs", "none", "/mnt"]
        tried = subprocess.run(inside, capture_output=True, text=True, check=False)
        subprocess.run(["ip", "netns", "del", name], check=False)
    return f"hosts of their own: {tried.stderr.strip()}" if tried.returncode else None


@dataclass(frozen=True)
class Host:
    """A network namespace with a folder of its own; nothing in `hidden` is there for what runs in it."""

    namespace: str
    folder: Path
    addresses: Mapping[Network, str]
    #: the machine's ends of its legs
    legs: Mapping[Network, str]
    hidden: Sequence[Path] = ()

    def command(self, *arguments: str) -> list[str]:
        """What runs a command there, in a mount namespace of its own (iproute2, "ip-netns": exec)."""
        hide = "".join(f"mount -t tmpfs none {shlex.quote(str(path))} && " for path in self.hidden)
        return ["ip", "netns", "exec", self.namespace, "sh", "-c", f'{hide}exec "$@"', "sh", *arguments]

    def sees(self, path: Path) -> bool:
        """Whether a file is there for what runs on this host."""
        return subprocess.run(self.command("test", "-e", str(path)), check=False).returncode == 0

    def reaches(self, address: str, port: int) -> bool:
        """Whether a server answers within a second."""
        asked = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1)"
        command = self.command(sys.executable, "-c", asked, address, str(port))
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def cut_off(self, *networks: Network) -> None:
        """Take its legs out of networks, as when a cable is pulled; nobody is told that it is gone."""
        for network in networks:
            _ip("link", "set", self.legs[network], "down")

    def put_back(self, *networks: Network) -> None:
        """Let it into networks again."""
        for network in networks:
            _ip("link", "set", self.legs[network], "up")


class Hosts:
    """Networks and the hosts in them, under names of this process; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._third = 3 * (os.getpid() % 80)
        self._prefix = f"h{os.getpid()}"
        self.hosts: list[Host] = []
        for network in NETWORKS:
            _ip("link", "add", self._bridge(network), "type", "bridge")
            _ip("address", "add", f"{self.address(network)}/24", "dev", self._bridge(network))
            _ip("link", "set", self._bridge(network), "up")

    def address(self, network: Network, number: int = 1) -> str:
        """An address of a network; that of the machine itself is the first."""
        return f"10.97.{self._third + NETWORKS.index(network)}.{number}"

    def add(self, name: str, hidden: Sequence[Path] = ()) -> Host:
        """Another host with a leg in each network."""
        number = len(self.hosts) + 2
        folder = self._folder / name
        folder.mkdir()
        legs: dict[Network, str] = {network: f"{self._prefix}{network[0]}{number}" for network in NETWORKS}
        addresses = {network: self.address(network, number) for network in NETWORKS}
        host = Host(f"{self._prefix}-{name}", folder, addresses, legs, hidden)
        self.hosts.append(host)
        _ip("netns", "add", host.namespace)
        _ip("-n", host.namespace, "link", "set", "lo", "up")
        for network, leg in legs.items():
            _ip("link", "add", leg, "type", "veth", "peer", "name", network, "netns", host.namespace)
            _ip("link", "set", leg, "master", self._bridge(network), "up")
            _ip("-n", host.namespace, "address", "add", f"{addresses[network]}/24", "dev", network)
            _ip("-n", host.namespace, "link", "set", network, "up")
        return host

    def close(self) -> None:
        """Take everything away; what runs on the hosts has ended before."""
        for host in self.hosts:
            # A leg goes with its other end.
            for leg in host.legs.values():
                _try("link", "del", leg)
            _try("netns", "del", host.namespace)
        for network in NETWORKS:
            _try("link", "del", self._bridge(network))

    def _bridge(self, network: Network) -> str:
        return f"{self._prefix}{network[0]}"

    def __enter__(self) -> Hosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class HostsCluster:
    """A Dask scheduler and workers, each on a host of its own. A worker that ends is started again, as by systemd."""

    scheduler: Host
    workers: Sequence[Host]
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What runs are given."""
        return f"tcp://{self.scheduler.addresses['cluster']}:8786"

    def start(self, environments: Mapping[str, Mapping[str, str]]) -> None:
        """Start all, each worker with its host's environment (by namespace), and wait until they have joined."""
        self._start(
            self.scheduler, {"PYTHONPATH": ""}, sys.executable, "-m", SCHEDULER, "--no-dashboard",
            "--no-show", "--host", self.scheduler.addresses["cluster"], "--port", "8786",
        )  # fmt: skip
        for host in self.workers:
            worker = shlex.join([
                sys.executable, "-m", WORKER, self.address, "--no-nanny", "--nthreads", "2", "--no-dashboard",
                "--host", host.addresses["cluster"], "--local-directory", str(host.folder), "--death-timeout", "60",
            ])  # fmt: skip
            self._start(host, environments[host.namespace], "sh", "-c", f"while :; do {worker}; sleep 0.5; done")
        self.wait_for_all()

    def wait_for_all(self) -> None:
        """Wait until each worker is in the cluster, those that were cut off again."""

        wait_until(lambda: all(self.has(host) for host in self.workers), "all workers are in the cluster", timeout=60)

    def has(self, host: Host) -> bool:
        """Whether the scheduler knows the worker of a host now."""
        log = self.log_of(self.scheduler)
        address = re.escape(f"tcp://{host.addresses['cluster']}:")
        told = re.findall(rf"(Register|Remove) worker addr: {address}", log)
        return bool(told) and told[-1] == "Register"

    def log_of(self, host: Host) -> str:
        """All that was written on a host."""
        return "\n".join(path.read_text(encoding="utf-8") for path in sorted(host.folder.glob("*.log")))

    def close(self) -> None:
        """End all processes."""
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, host: Host, environment: Mapping[str, str], *command: str) -> None:
        own = {"PYTHONPATH": str(ROOT), "HOME": str(host.folder), **PATIENCE, **environment}
        with (host.folder / "dask.log").open("w") as log:
            self._running.append(
                subprocess.Popen(
                    host.command(*command), cwd=host.folder, text=True, stdout=log, stderr=log,
                    stdin=subprocess.DEVNULL, env=clean_environment(own), start_new_session=True,
                )
            )  # fmt: skip

    def __enter__(self) -> HostsCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _try(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=False)

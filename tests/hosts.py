"""Hosts of their own on this machine: network namespaces with addresses of their own, and what each of them sees.

Each host has a leg in three networks, so that its way to the scheduler, to the source and to the target can be cut one
by one. Both servers are on the machine itself, which has the first address of each network.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
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
    if tried.returncode == 0:
        tried = subprocess.run(
            ["ip", "link", "add", name, "type", "bridge"], capture_output=True, text=True, check=False
        )
        subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
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

    def meets(self, other: Host) -> bool:
        """Whether a packet gets to another host over the cluster's network, where nobody listens."""
        asked = (
            "import contextlib, socket, sys\n"
            "with contextlib.suppress(ConnectionRefusedError): socket.create_connection((sys.argv[1], 9), 3)"
        )
        command = self.command(sys.executable, "-c", asked, other.addresses["cluster"])
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def kill(self, module: str) -> None:
        """Kill what runs a module here."""
        for pid in _pids_in(self.namespace):
            with suppress(OSError):
                if module in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0"):
                    os.kill(pid, signal.SIGKILL)

    def cut_off(self, *networks: Network) -> None:
        """Take its legs out of networks, as when a cable is pulled; nobody is told that it is gone."""
        for network in networks:
            _ip("link", "set", self.legs[network], "down")

    def put_back(self, *networks: Network) -> None:
        """Let it into networks again."""
        for network in networks:
            _ip("link", "set", self.legs[network], "up")


class Hosts:
    """Networks and the hosts in them, under a number that no other run on this machine has; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.hosts: list[Host] = []
        self._number = _claimed_number()
        for network in NETWORKS:
            if network != NETWORKS[0]:
                _ip("link", "add", _bridge(self._number, network), "type", "bridge")
            _ip("address", "add", f"{self.address(network)}/24", "dev", _bridge(self._number, network))
            _ip("link", "set", _bridge(self._number, network), "up")

    def address(self, network: Network, number: int = 1) -> str:
        """An address of a network; that of the machine itself is the first."""
        return f"10.97.{_third(self._number, network)}.{number}"

    def add(self, name: str, hidden: Sequence[Path] = ()) -> Host:
        """Another host with a leg in each network."""
        number = len(self.hosts) + 2
        folder = self._folder / name
        folder.mkdir()
        legs: dict[Network, str] = {network: f"{_bridge(self._number, network)}{number}" for network in NETWORKS}
        addresses = {network: self.address(network, number) for network in NETWORKS}
        host = Host(f"{_prefix(self._number)}-{name}", folder, addresses, legs, hidden)
        self.hosts.append(host)
        _ip("netns", "add", host.namespace)
        _ip("-n", host.namespace, "link", "set", "lo", "up")
        for network, leg in legs.items():
            _ip("link", "add", leg, "type", "veth", "peer", "name", network, "netns", host.namespace)
            _ip("link", "set", leg, "master", _bridge(self._number, network), "up")
            _ip("-n", host.namespace, "address", "add", f"{addresses[network]}/24", "dev", network)
            _ip("-n", host.namespace, "link", "set", network, "up")
        return host

    def close(self) -> None:
        """Take everything away, and end what runs there."""
        _clear(self._number)

    def __enter__(self) -> Hosts:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class HostsCluster:
    """A Dask scheduler and workers, each on a host of its own. A worker that ends is started again, as by systemd.

    `certificates` are the settings that name a host's own, by its namespace.
    """

    scheduler: Host
    workers: Sequence[Host]
    port: int = 8786
    certificates: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """What runs are given."""
        return f"{self.scheme}://{self.scheduler.addresses['cluster']}:{self.port}"

    @property
    def scheme(self) -> str:
        """What addresses begin with."""
        return "tls" if self.certificates else "tcp"

    def start(self, environments: Mapping[str, Mapping[str, str]]) -> None:
        """Start all, each worker with its host's environment (by namespace), and wait until they have joined."""
        self._start(
            self.scheduler, {"PYTHONPATH": ""}, sys.executable, "-m", SCHEDULER, "--no-dashboard",
            "--no-show", "--host", self.scheduler.addresses["cluster"], "--port", str(self.port),
            *self._security(self.scheduler),
        )  # fmt: skip
        for host in self.workers:
            worker = shlex.join([
                sys.executable, "-m", WORKER, self.address, "--no-nanny", "--nthreads", "2", "--no-dashboard",
                "--host", host.addresses["cluster"], "--local-directory", str(host.folder), "--death-timeout", "60",
                *self._security(host),
            ])  # fmt: skip
            # As long as this process lives: what kills it may be a hand that kills nothing else.
            again = f"while kill -0 {os.getpid()}; do {worker}; sleep 0.5; done"
            self._start(host, environments[host.namespace], "sh", "-c", again)
        self.wait_for_all()

    def wait_for_all(self) -> None:
        """Wait until each worker is in the cluster, those that were cut off again."""

        wait_until(lambda: all(self.has(host) for host in self.workers), "all workers are in the cluster", timeout=60)

    def has(self, host: Host) -> bool:
        """Whether the scheduler knows the worker of a host now."""
        log = self.log_of(self.scheduler)
        address = re.escape(f"{self.scheme}://{host.addresses['cluster']}:")
        told = re.findall(rf"(Register|Remove) worker addr: {address}", log)
        return bool(told) and told[-1] == "Register"

    def log_of(self, host: Host) -> str:
        """All that its process on a host wrote."""
        return self._log(host).read_text(encoding="utf-8")

    def close(self) -> None:
        """End all processes."""
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _log(self, host: Host) -> Path:
        return host.folder / f"dask-{self.port}.log"

    def _security(self, host: Host) -> list[str]:
        if not self.certificates:
            return []
        own = self.certificates[host.namespace]
        return [
            "--protocol", "tls", "--tls-ca-file", own["CLUSTER_TLS_CA"], "--tls-cert", own["CLUSTER_TLS_CERT"],
            "--tls-key", own["CLUSTER_TLS_KEY"],
        ]  # fmt: skip

    def _start(self, host: Host, environment: Mapping[str, str], *command: str) -> None:
        own = {"PYTHONPATH": str(ROOT), "HOME": str(host.folder), **PATIENCE, **environment}
        with self._log(host).open("w") as log:
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


# -- numbers -------------------------------------------------------------------------------------------


def _prefix(number: int) -> str:
    return f"rephost{number}"


def _bridge(number: int, network: Network) -> str:
    return f"{_prefix(number)}{network[0]}"


def _third(number: int, network: Network) -> int:
    return len(NETWORKS) * number + NETWORKS.index(network)


def _claimed_number() -> int:
    """A number whose names and addresses nobody has; its first bridge says who has it.

    What a run that was killed has left is taken away before.
    """
    with (Path(tempfile.gettempdir()) / "replication-hosts.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        numbers = range(255 // len(NETWORKS))
        for number in numbers:
            if (owner := _alias(_bridge(number, NETWORKS[0]))) and not _is_alive(owner):
                _clear(number)
        for number in numbers:
            first = _bridge(number, NETWORKS[0])
            if any(_is_routed(f"10.97.{_third(number, network)}.0/24") for network in NETWORKS):
                continue
            if _try("link", "add", first, "type", "bridge"):
                _ip("link", "set", first, "alias", f"{os.getpid()} {_birth(os.getpid())}")
                return number
    raise AssertionError("10.97.0.0/16 has no room for hosts of their own")


def _alias(link: str) -> str:
    """Whose a link is; nothing where there is none, or where it is just being made."""
    file = Path(f"/sys/class/net/{link}/ifalias")
    with suppress(OSError):
        return file.read_text(encoding="utf-8").strip()
    return ""


def _is_alive(owner: str) -> bool:
    pid, birth = owner.split()
    return _birth(int(pid)) == birth


def _birth(pid: int) -> str:
    """When a process began, in ticks since the machine did; nothing where there is none (Linux, "proc": stat)."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    return ""


def _is_routed(network: str) -> bool:
    """Whether this machine has a way to it of its own already."""
    shown = subprocess.run(["ip", "-4", "route", "show", "match", network], capture_output=True, text=True, check=False)
    return any(not line.startswith("default") for line in shown.stdout.splitlines())


def _clear(number: int) -> None:
    """Take away all that is called by a number, what runs there first."""
    prefix = _prefix(number)
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False).stdout
    for namespace in re.findall(rf"^{prefix}-\w+", listed, re.MULTILINE):
        for pid in _pids_in(namespace):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _try("netns", "del", namespace)
    # A leg goes with its other end, and the claim with the first bridge.
    legs = [link.name for link in Path("/sys/class/net").iterdir() if re.fullmatch(rf"{prefix}[a-z]\d+", link.name)]
    for link in (*legs, *(_bridge(number, network) for network in reversed(NETWORKS))):
        _try("link", "del", link)


def _pids_in(namespace: str) -> list[int]:
    shown = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    return [int(pid) for pid in shown.stdout.split()]


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


def _try(*arguments: str) -> bool:
    return subprocess.run(["ip", *arguments], capture_output=True, check=False).returncode == 0

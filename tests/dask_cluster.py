"""A Dask cluster of separate processes on this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests.harness import ROOT, clean_environment, wait_until

SCHEDULER = "distributed.cli.dask_scheduler"
WORKER = "distributed.cli.dask_worker"


class DaskCluster:
    """A scheduler and workers, each a process, with files of their own in a folder.

    `tls` are the flags that name certificates, the same for all, `common` an environment; the scheduler listens at
    `host`. It has none of our code.
    """

    def __init__(
        self,
        folder: Path,
        workers: int = 2,
        threads: int = 2,
        tls: Sequence[str] = (),
        common: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.host = host
        self.common = common or {}
        self.tls = tls
        self._started = 0
        self._folders: dict[int, Path] = {}
        self.scheduler = self._start_scheduler(0)
        self.workers: list[subprocess.Popen[str]] = []
        self.threads = threads
        for _ in range(workers):
            self.add_worker()
        self.wait_for(workers)

    @property
    def address(self) -> str:
        """What runs are given."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers have joined since the cluster was started."""
        wait_until(lambda: self.log().count("Registered to") >= workers, f"{workers} workers have joined")

    def address_of(self, worker: subprocess.Popen[str]) -> str:
        """What a worker that has joined is known by."""
        (address,) = re.findall(r"Start worker at: +(\S+)", self.log_of(worker))
        return str(address)

    def folder_of(self, worker: subprocess.Popen[str]) -> Path:
        """Where a worker works."""
        return self._folders[worker.pid]

    def log_of(self, worker: subprocess.Popen[str]) -> str:
        """All that a worker wrote."""
        return "\n".join(path.read_text() for path in self._folders[worker.pid].glob("*.log"))

    def add_worker(self, *arguments: str, threads: int | None = None, address: str | None = None, env_file: str = "",
                   environment: Mapping[str, str] | None = None, listens: Sequence[str] = ("--host", "127.0.0.1"),
                   ) -> subprocess.Popen[str]:  # fmt: skip
        """Another worker process, with a `.env` where it works; `listens` are the flags that say where."""
        self._started += 1
        folder = self.folder / f"worker-{self._started}"
        folder.mkdir()
        if env_file:
            (folder / ".env").write_text(env_file, encoding="utf-8")
        process = self._start(
            folder, environment or {}, WORKER, address or self.address, "--no-nanny", "--nthreads",
            str(threads or self.threads), "--no-dashboard", *listens, "--local-directory", str(folder),
            "--death-timeout", "20", *self._security(), *arguments,
        )  # fmt: skip
        self.workers.append(process)
        self._folders[process.pid] = folder
        return process

    def restart_scheduler(self) -> None:
        """A new one at the same address, after the old one was killed."""
        self.scheduler = self._start_scheduler(self.port)

    def _start_scheduler(self, port: int) -> subprocess.Popen[str]:
        self._started += 1
        file = self.folder / f"scheduler-{self._started}.json"
        process = self._start(
            self.folder, {"PYTHONPATH": ""}, SCHEDULER, "--host", self.host, "--port", str(port), "--no-dashboard",
            "--no-show", "--scheduler-file", str(file), *self._security(),
        )  # fmt: skip
        wait_until(lambda: file.exists() and "address" in file.read_text(), "the scheduler is up")
        address = str(json.loads(file.read_text())["address"])
        self.scheme, self.port = address.partition(":")[0], int(address.rpartition(":")[2])
        return process

    def _security(self) -> list[str]:
        return ["--protocol", "tls", *self.tls] if self.tls else []

    def _start(
        self, folder: Path, environment: Mapping[str, str], module: str, *arguments: str
    ) -> subprocess.Popen[str]:
        self._started += 1
        with (folder / f"{module.rpartition('_')[2]}-{self._started}.log").open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=folder, text=True, stdout=log, stderr=log,
                env=clean_environment({"PYTHONPATH": str(ROOT), **self.common, **environment}),
            )  # fmt: skip

    def wait_to_join(self, worker: subprocess.Popen[str]) -> None:
        """Wait until a worker has been taken in."""
        wait_until(lambda: self.has_joined(worker), f"worker {worker.pid} has joined")

    def has_joined(self, worker: subprocess.Popen[str]) -> bool:
        """Whether a worker has been taken in by a scheduler."""
        return "Registered to" in self.log_of(worker)

    def log(self) -> str:
        """All that its processes wrote."""
        return "\n".join(path.read_text() for path in sorted(self.folder.rglob("*.log")))

    def close(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

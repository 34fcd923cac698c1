"""What packaging/ has for clusters: units, manifests, a job, a configuration."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml

from tests.certificates import Authority
from tests.dask_cluster import DaskCluster
from tests.harness import ROOT, clean_environment, free_port, wait_until
from tests.scenes import Scene

PACKAGING = ROOT / "packaging"
UNITS = sorted((PACKAGING / "systemd").glob("dask-*.service"))
MANIFESTS = sorted((PACKAGING / "kubernetes").glob("*.yaml"))
PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


@lru_cache
def help_of(*program: str) -> str:
    """What a program says of its flags."""
    return subprocess.run(
        [sys.executable, *program, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def assert_flags(words: list[str]) -> None:
    """A `dask` command has the flags that it is given."""
    for word in words[2:]:
        if word.startswith("--"):
            assert re.search(rf"{re.escape(word.partition('=')[0])}\b", help_of("-m", "dask", words[1])), word


# -- systemd ---------------------------------------------------------------------------------------------


def test_systemd_has_nothing_to_say_against_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: install the package systemd")
    assert [unit.name for unit in UNITS] == ["dask-scheduler.service", "dask-worker@.service"]
    for unit in UNITS:
        # What is started must be there: that of this machine, in place of the reader's.
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", unit.read_text(encoding="utf-8"))
        (tmp_path / unit.name.replace("@.", "@1.")).write_text(text, encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(str(path) for path in sorted(tmp_path.iterdir()))],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert [line for line in verified.stderr.splitlines() if "dask-" in line] == []
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_the_units_start_commands_that_there_are(unit: Path) -> None:
    (line,) = re.findall(r"(?m)^ExecStart=(.*)$", unit.read_text(encoding="utf-8"))
    words = shlex.split(line)
    assert Path(words[0]).name == "dask"
    assert_flags(words)
    assert {"--protocol", "--tls-ca-file", "--tls-cert", "--tls-key"} <= set(words)
    # As the page makes them.
    assert set(re.findall(r"/etc/cluster/(\S+)", line)) == {"ca.pem", "node.pem", "node-key.pem"}
    assert words[words.index("--dashboard-address") + 1].startswith("127.0.0.1:")


# -- Kubernetes ------------------------------------------------------------------------------------------


def documents() -> list[dict[str, Any]]:
    """All that is applied."""
    return [found for path in MANIFESTS for found in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def pods() -> list[dict[str, Any]]:
    """The pods' templates."""
    found = []
    for one in documents():
        spec = one["spec"]
        spec = spec["jobTemplate"]["spec"] if one["kind"] == "CronJob" else spec
        if "template" in spec:
            found.append(spec["template"])
    return found


@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_the_manifests_are_such_as_kubernetes_takes(version: str) -> None:
    kinds = [one["kind"] for one in documents()]
    assert sorted(kinds) == ["CronJob", "Deployment", "Deployment", "PersistentVolumeClaim", "Service"]
    for one in documents():
        kubernetes_validate.validate(one, version, strict=True)


def test_a_slip_in_a_manifest_would_be_noticed() -> None:
    service = next(one for one in documents() if one["kind"] == "Service")
    service["spec"]["ports"][0]["targetport"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, "1.30", strict=True)


def test_the_manifests_fit_together() -> None:
    service = next(one for one in documents() if one["kind"] == "Service")
    deployments = [one for one in documents() if one["kind"] == "Deployment"]
    for one in deployments:
        assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]
    chosen = [one for one in pods() if service["spec"]["selector"].items() <= one["metadata"]["labels"].items()]
    (scheduler,) = (one["spec"]["containers"][0] for one in chosen)
    assert service["spec"]["ports"][0]["targetPort"] in [port["name"] for port in scheduler["ports"]]
    address = f"tls://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    containers = [pod["spec"]["containers"][0] for pod in pods()]
    (worker,) = (one for one in containers if one["command"] == ["dask", "worker"])
    (run,) = (one for one in containers if one["command"][0] == "sync-data")
    assert worker["args"][0] == address and run["command"][-1] == address
    assert len({one["image"] for one in containers}) == 1
    for pod in pods():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        assert {mount["name"] for mount in pod["spec"]["containers"][0]["volumeMounts"]} == volumes
    secrets = set(re.findall(r"(?:secretName|secretRef: \{name): ([\w-]+)", "".join(p.read_text() for p in MANIFESTS)))
    assert secrets == set(re.findall(r"kubectl create secret generic (\S+)", PAGE))
    named = {Path(name).name for name in re.findall(r"/etc/cluster/[\w.]+", "".join(p.read_text() for p in MANIFESTS))}
    assert named == set(re.findall(r"--from-file=([\w.]+)=", PAGE))


def test_the_pods_run_commands_that_there_are() -> None:
    for container in (pod["spec"]["containers"][0] for pod in pods()):
        if container["command"][0] == "dask":
            assert_flags([*container["command"], *container["args"]])
            assert any(word.startswith("--dashboard-address=127.0.0.1:") for word in container["args"])
            continue
        for word in container["command"][1:]:
            assert not word.startswith("--") or word in help_of("sync-data.py")
        for variable in container["env"]:
            assert f"#{variable['name']}=" in (ROOT / ".env.example").read_text(encoding="utf-8")


def test_the_image_has_what_the_tool_needs() -> None:
    text = (PACKAGING / "kubernetes" / "Containerfile").read_text(encoding="utf-8")
    wheel = re.search(r"COPY (\S+) ", text)
    assert wheel is not None and wheel[1] == "dist/mssql_to_postgres-*.whl"
    assert "[cluster]" in text
    assert "libodbc2" in text and "apt-get install libodbc2" in (ROOT / "docs" / "install.md").read_text()


# -- Slurm -----------------------------------------------------------------------------------------------

#: starts two tasks on this machine, as srun does on many; what does not end when it is told to is killed
SRUN = """#!/bin/bash
"$@" & first=$!
"$@" & second=$!
trap 'kill $first $second; sleep 1; kill -9 $first $second; exit 1' TERM
wait
"""


def test_the_job_runs_scheduler_workers_and_the_run(scene: Scene, tmp_path: Path) -> None:
    script = PACKAGING / "slurm" / "replicate.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    Authority(tmp_path / "certificates").settings("node")
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "srun").write_text(SRUN)
    (commands / "srun").chmod(0o755)
    folder = scene.workplace.folder
    environment = dict(scene.workplace.environment)
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in environment.items()))
    port = free_port()
    settings = {
        "PATH": f"{commands}:{os.environ['PATH']}", "TOOL": str(ROOT), "FOLDER": str(folder), "PORT": str(port),
        "VENV": str(Path(sys.executable).parent.parent), "CERTIFICATES": str(tmp_path / "certificates"),
        "ADDRESS": "127.0.0.1",
    }  # fmt: skip
    with (tmp_path / "job.log").open("w") as log:
        job = subprocess.Popen(
            [str(script), "--then-verify", "-v"], stdout=log, stderr=log, cwd=tmp_path, start_new_session=True,
            env=clean_environment(settings),
        )  # fmt: skip
        try:
            code = job.wait(60)
            text = (tmp_path / "job.log").read_text()
            assert code == 0, text
            wait_until(lambda: is_free(port), "the scheduler has ended")
        finally:
            # As Slurm does with what a job leaves behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
    assert f"Cluster: tls://127.0.0.1:{port}, " in text
    assert re.findall(r"dashboard at: +(?:http://)?([\d.]+):", text) == ["127.0.0.1"] * 3
    scene.assert_equal()


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


# -- Dask's own configuration ----------------------------------------------------------------------------


def test_dasks_programs_speak_tls_by_the_configuration_alone(scene: Scene, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    settings = authority.settings("node")
    text = (PACKAGING / "dask" / "tls.yaml").read_text(encoding="utf-8")
    (tmp_path / "tls.yaml").write_text(text.replace("/etc/cluster/", f"{tmp_path}/certificates/"))
    (tmp_path / "cluster").mkdir()
    with DaskCluster(tmp_path / "cluster", workers=0, common={"DASK_CONFIG": str(tmp_path / "tls.yaml")}) as running:
        assert running.address.startswith("tls://")
        # As `dask ssh` names it.
        running.add_worker(address=f"127.0.0.1:{running.port}")
        running.wait_for(1)
        finished = scene.run("--cluster", running.address, **settings)
        # Who has no certificate learns nothing of it by HTTP either.
        (told,) = set(re.findall(r"dashboard at: +http://([\d.]+:\d+)/", running.log()))
        for page in ("info/main/workers.html", "json/identity.json", "metrics"):
            assert httpx.get(f"http://{told}/{page}").status_code == 404, page
    assert finished.code == 0, finished.text
    scene.assert_equal()

"""compose.yaml and the workflows, as far as they can be held against anything without Docker and GitHub."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.harness import ROOT

COMPOSE = ROOT / "compose.yaml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def schema_of(file: Path) -> str:
    """The name of the schema that check-jsonschema carries for such a file."""
    return "vendor.compose-spec" if file.name.startswith("compose") else "vendor.github-workflows"


def check(file: Path, schema: str) -> subprocess.CompletedProcess[str]:
    """Hold a file against a schema."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(file)],
        check=False, capture_output=True, text=True,
    )  # fmt: skip


def read(file: Path) -> Any:
    """A YAML file's content."""
    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", [COMPOSE, *WORKFLOWS], ids=lambda file: file.name)
def test_the_file_is_one_of_its_kind(file: Path) -> None:
    checked = check(file, schema_of(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("name", "original", "wrong"),
    [
        ("compose.yaml", "  healthcheck:", "  healthchek:"), ("compose.yaml", "profiles: [", "profiles: [3, "),
        ("tests.yml", "runs-on:", "runs_on:"), ("sqlserver.yml", "- cron:", "- crom:"),
    ],
)  # fmt: skip
def test_a_slip_would_be_found(name: str, original: str, wrong: str, tmp_path: Path) -> None:
    (file,) = [file for file in (COMPOSE, *WORKFLOWS) if file.name == name]
    text = file.read_text(encoding="utf-8")
    assert original in text
    slip = tmp_path / name
    slip.write_text(text.replace(original, wrong), encoding="utf-8")
    assert check(slip, schema_of(slip)).returncode == 1


def test_every_image_is_there_behind_a_profile_with_a_health_check() -> None:
    services = read(COMPOSE)["services"]
    assert {service["image"] for service in services.values() if "$" not in service["image"]} == {
        *(f"mcr.microsoft.com/mssql/server:{year}-latest" for year in (2017, 2019, 2022, 2025)),
        *(f"postgres:{version}" for version in range(13, 19)),
    }
    for name, service in services.items():
        assert service["profiles"] == [name]
        assert service["healthcheck"]["test"]
        assert all(port.startswith("127.0.0.1::") for port in service["ports"])
        kind, _, version = name.partition("-")
        assert kind in ("sqlserver", "postgres")
        assert version in service["image"]


def test_nothing_is_accepted_or_known_that_a_person_has_not_given() -> None:
    services = read(COMPOSE)["services"]
    for name, service in services.items():
        given = service["environment"]
        secrets = {key for key in given if key.endswith("PASSWORD")} | ({"ACCEPT_EULA"} & given.keys())
        assert ("ACCEPT_EULA" in secrets) == name.startswith("sqlserver")
        for secret in secrets:
            assert re.fullmatch(rf"\$\{{{secret}:\?[^}}]+\}}", given[secret]), f"{name}: {secret}"


def test_the_workflows_use_what_is_there() -> None:
    images = {service["image"] for service in read(COMPOSE)["services"].values()}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    chosen = set()
    for workflow in WORKFLOWS:
        for job in read(workflow)["jobs"].values():
            for pair in job["strategy"]["matrix"].get("include", []):
                chosen |= {f"mcr.microsoft.com/mssql/server:{pair['mssql']}", f"postgres:{pair['postgres']}"}
            for line in [line for step in job["steps"] for line in step.get("run", "").splitlines()]:
                for target in re.findall(r"\bmake (\S+)", line):
                    assert re.search(rf"^{target}:", makefile, re.MULTILINE), line
                for path in re.findall(r"\btests/\S+", line):
                    assert (ROOT / path).exists(), line
    assert chosen == {image for image in images if "$" not in image}


def test_every_supported_python_is_tested() -> None:
    (versions,) = [
        job["strategy"]["matrix"]["python"] for workflow in WORKFLOWS for job in read(workflow)["jobs"].values()
        if "python" in job["strategy"]["matrix"]
    ]  # fmt: skip
    (oldest,) = re.findall(r'^requires-python = ">=(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert versions == [f"3.{minor}" for minor in range(int(oldest.partition(".")[2]), 14)]

"""Where a proof gets its servers from. Docker is a script here that writes down how it is called."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proof.servers import ProofError, servers
from standin.server import PASSWORD, Access, StandIn
from tests.samples import SHOP, SHOP_ROWS

FAKE = """#!/bin/sh
echo "$@" >> {folder}/calls
echo "$MSSQL_IMAGE $ACCEPT_EULA $MSSQL_SA_PASSWORD" >> {folder}/given
case "$*" in *" port sqlserver 1433") echo 127.0.0.1:{port};; *" up "*) exit {up};; esac
"""


@pytest.fixture
def docker(
    serve: Callable[..., StandIn], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, str]]:
    """Puts a docker on the path; returns an environment in which the licence is accepted."""
    port = serve(SHOP, SHOP_ROWS, access=Access("sa")).port

    def put(up: int = 0) -> dict[str, str]:
        script = tmp_path / "docker"
        script.write_text(FAKE.format(folder=tmp_path, port=port, up=up), encoding="utf-8")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        return {
            "PATH": os.environ["PATH"],
            "ACCEPT_EULA": "Y",
            "MSSQL_SA_PASSWORD": PASSWORD,
            "MSSQL_IMAGE": "an/image",
        }

    return put


def test_a_container_is_started_waited_for_and_removed(docker: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    with servers(docker()) as given:
        assert given["MSSQL_TEST_HOST"] == "127.0.0.1"
        assert given["MSSQL_TEST_USER"] == "sa"
        assert given["MSSQL_TEST_PASSWORD"] == PASSWORD
        assert "PG_TEST_HOST" not in given
        assert "down" not in (tmp_path / "calls").read_text()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split(" compose.yaml ")[-1].split("compose.yaml ")[-1] for call in calls] == [
        "up --detach sqlserver", "port sqlserver 1433", "--profile sqlserver --profile postgres down --volumes",
    ]  # fmt: skip
    assert len({call.split("--project-name ")[1].split()[0] for call in calls}) == 1
    assert PASSWORD not in "".join(calls)
    assert f"an/image Y {PASSWORD}" in (tmp_path / "given").read_text()


def test_each_proof_has_a_project_of_its_own_and_a_password_that_it_makes(
    docker: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    environment = {name: value for name, value in docker(up=1).items() if name != "MSSQL_SA_PASSWORD"}
    for _ in range(2):
        with pytest.raises(ProofError, match=r"docker compose up --detach sqlserver failed"), servers(environment):
            pass
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len({call.split("--project-name ")[1].split()[0] for call in calls}) == 2
    passwords = {line.split()[-1] for line in (tmp_path / "given").read_text().splitlines()}
    assert len(passwords) == 2
    # SQL Server wants three of the four kinds of characters, and eight or more of them.
    assert all(len(word) > 8 and word.startswith("Aa1") for word in passwords)


def test_the_licence_is_for_a_person_to_accept(docker: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    environment = {name: value for name, value in docker().items() if name != "ACCEPT_EULA"}
    with pytest.raises(ProofError, match=r"MSSQL_TEST_HOST.*linkid=857698.*ACCEPT_EULA=Y"), servers(environment):
        pass
    assert not (tmp_path / "calls").exists()


def test_without_docker_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProofError, match=r"Docker is not there.*MSSQL_TEST_HOST"), servers({"ACCEPT_EULA": "Y"}):
        pass


def test_a_server_that_is_named_needs_no_docker(serve: Callable[..., StandIn], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    port = serve(SHOP, SHOP_ROWS, access=Access("sa")).port
    named = {"MSSQL_TEST_HOST": "127.0.0.1", "MSSQL_TEST_PORT": str(port), "MSSQL_TEST_PASSWORD": PASSWORD}
    with servers({**named, "HOME": "/nowhere"}) as given:
        assert given == named

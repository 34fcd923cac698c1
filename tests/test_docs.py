"""Every example in README.md and docs/ runs, in the order in which it is read.

A fenced block says by its second word what its lines need: `scripts` the two scripts between a stand-in
and an empty target, `progress` a progress file, `setup` nothing (they are what the Makefile runs), `tsql` a
T-SQL server, `machines` other machines (there, the flags that the lines use are checked against the programs' own
help), `cluster` a cluster, `certificates` openssl, `quickstart` a terminal for each of its lines.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from demo.shop import shop
from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.dask_cluster import DaskCluster
from tests.harness import DEFAULT_TIMEOUT_S, ROOT, Workplace, clean_environment, free_port, wait_until
from tests.samples import query

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = {"scripts", "progress", "setup", "tsql", "cluster", "certificates", "machines", "quickstart", ""}


def blocks(page: Path) -> list[tuple[str, list[str]]]:
    """The shell blocks of a page: what each needs, and its lines without comments."""
    found = re.findall(r"^```sh *(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [
        (kind, [line for raw in text.splitlines() if (line := raw.partition(" #")[0].strip()) and line[0] != "#"])
        for kind, text in found
    ]


def run_line(line: str, workplace: Workplace) -> subprocess.CompletedProcess[str]:
    """Run one line in a shell, `python` being this one and the scripts those of the project."""
    spelled = re.sub(r"\bpython (replicate-schema|sync-data)\.py", rf"{shlex.quote(sys.executable)} {ROOT}/\1.py", line)
    return subprocess.run(
        ["bash", "-c", spelled], cwd=workplace.folder, env=clean_environment(workplace.environment), check=False,
        capture_output=True, text=True, encoding="utf-8", timeout=DEFAULT_TIMEOUT_S,
    )  # fmt: skip


@pytest.mark.parametrize("page", [page for page in PAGES if any(k == "scripts" for k, _ in blocks(page))], ids=str)
def test_the_examples_with_the_scripts_run(
    page: Path, serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]
) -> None:
    database, rows = shop()
    workplace = make_workplace(serve(database, rows), database)
    if page.name != "README.md":
        for line in ("python replicate-schema.py", "python sync-data.py"):
            assert run_line(line, workplace).returncode == 0
    for kind, lines in blocks(page):
        if kind not in ("scripts", "progress"):
            continue
        if kind == "progress" and not workplace.data_progress.exists():
            assert run_line("python sync-data.py", workplace).returncode == 0
        for line in lines:
            finished = run_line(line, workplace)
            assert finished.returncode == 0, f"{line}\n{finished.stdout}\n{finished.stderr}"
            assert finished.stdout, line


def test_the_examples_on_a_cluster_run(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace], tmp_path: Path
) -> None:
    database, rows = shop()
    workplace = make_workplace(serve(database, rows), database)
    assert run_line("python replicate-schema.py", workplace).returncode == 0
    (tmp_path / "cluster").mkdir()
    with DaskCluster(tmp_path / "cluster") as cluster:
        for kind, lines in blocks(ROOT / "docs" / "cluster.md"):
            for line in lines if kind == "cluster" else ():
                finished = run_line(line.replace("tls://scheduler:8786", cluster.address), workplace)
                assert finished.returncode == 0, f"{line}\n{finished.stdout}\n{finished.stderr}"
                assert "Cluster:" in finished.stdout


def test_the_quick_start_of_a_cluster_runs_and_nobody_else_reaches_it(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace], tmp_path: Path
) -> None:
    database, rows = shop()
    workplace = make_workplace(serve(database, rows), database)
    assert run_line("python replicate-schema.py", workplace).returncode == 0
    (lines,) = [lines for kind, lines in blocks(ROOT / "docs" / "cluster.md") if kind == "quickstart"]
    port = str(free_port())
    scheduler, worker, run = (line.replace("8786", port) for line in lines)
    log = tmp_path / "cluster.log"
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with log.open("w") as said:
        started = [
            subprocess.Popen(["bash", "-c", f"exec env {line}"], cwd=ROOT, env=clean_environment({"PATH": programs}),
                             stdout=said, stderr=said)
            for line in (scheduler, worker)
        ]  # fmt: skip
        try:
            wait_until(lambda: "Registered to" in log.read_text(), "the worker has joined")
            finished = run_line(run, workplace)
            listens = {
                one.laddr.ip
                for process in started
                for one in psutil.Process(process.pid).net_connections("inet")
                if one.status == psutil.CONN_LISTEN
            }
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(DEFAULT_TIMEOUT_S)
    assert finished.returncode == 0, finished.stdout + finished.stderr + log.read_text()
    assert "Cluster: tcp://127.0.0.1:" in finished.stdout
    assert listens == {"127.0.0.1"}


def test_the_certificates_are_made_as_a_cluster_takes_them(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace], tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    database, rows = shop()
    workplace = make_workplace(serve(database, rows), database)
    assert run_line("python replicate-schema.py", workplace).returncode == 0
    folder = tmp_path / "certificates"
    folder.mkdir()
    (lines,) = [lines for kind, lines in blocks(ROOT / "docs" / "cluster.md") if kind == "certificates"]
    for line in lines:
        subprocess.run(["bash", "-c", line], cwd=folder, check=True, capture_output=True)
    files = {"CA": folder / "ca.pem", "CERT": folder / "node.pem", "KEY": folder / "node-key.pem"}
    flags = [f"--tls-ca-file={files['CA']}", f"--tls-cert={files['CERT']}", f"--tls-key={files['KEY']}"]
    with DaskCluster(tmp_path, workers=1, tls=flags) as cluster:
        secured = workplace.with_settings(**{f"CLUSTER_TLS_{name}": str(file) for name, file in files.items()})
        finished = run_line(f"python sync-data.py --cluster {cluster.address}", secured)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if any(k == "machines" for k, _ in blocks(page))], ids=str)
def test_the_examples_for_other_machines_use_flags_and_files_that_exist(page: Path) -> None:
    for kind, lines in blocks(page):
        for line in lines if kind == "machines" else []:
            words = [word.partition("=")[0] for word in shlex.split(line)]
            for word in words:
                if word.startswith("packaging/"):
                    assert (ROOT / word).is_file(), line
            if words[0] in ("python", "dask"):
                program = ["-m", "dask", words[1]] if words[0] == "dask" else [words[1]]
                helped = subprocess.run(
                    [sys.executable, *program, "--help"], cwd=ROOT, check=True, capture_output=True, text=True
                ).stdout
                for word in words:
                    if word.startswith("--"):
                        assert re.search(rf"{word}\b", helped), f"{line}: {word}"


def test_the_set_up_without_make_is_what_make_does() -> None:
    (lines,) = [lines for kind, lines in blocks(ROOT / "docs" / "install.md") if kind == "setup"]
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    for variable, value in (("PYTHON", "python3"), ("BIN", ".venv/bin"), ("VENV", ".venv")):
        made = made.replace(f"$({variable})", value)
    made = made.replace("python -m pip install --quiet --disable-pip-version-check", "pip install")
    for line in lines:
        assert f"\t{line}\n" in made


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_no_example_is_left_out(page: Path) -> None:
    for kind, lines in blocks(page):
        assert kind in KINDS, f"{page.name}: unknown kind of block {kind!r}"
        for line in lines:
            if line.startswith("make "):
                assert re.search(rf"^{line.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
            elif kind == "":
                known = ("cp .env.example", "pip install", ". .venv/bin/activate")
                assert line.startswith(known), f"{page.name}: {line} is run by no test"


@pytest.mark.parametrize("page", [page for page in PAGES if any(k == "tsql" for k, _ in blocks(page))], ids=str)
def test_the_examples_for_a_tsql_server_use_flags_that_exist(page: Path) -> None:
    for kind, lines in blocks(page):
        for line in lines if kind == "tsql" else []:
            words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
            if words[0] != "python":
                continue
            program = words[1:3] if words[1] == "-m" else words[1:2]
            helped = subprocess.run(
                [sys.executable, *program, "--help"], cwd=ROOT, check=False, capture_output=True, text=True
            )
            assert helped.returncode == 0, line
            for word in words:
                if word.startswith("--"):
                    assert word in helped.stdout, f"{line}: {word}"


@pytest.fixture
def granted(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Iterator[Callable[..., Workplace]]:
    """Does what the page on rights says, where nobody else may do anything; returns a workplace of that role."""
    page = (ROOT / "docs" / "rights.md").read_text(encoding="utf-8")
    roles = {name: f"{name}_{target_database}" for name in ("replicator", "alice")}
    database, rows = shop()
    workplace = make_workplace(serve(database, rows), database)
    query(
        target, target_database,
        f"REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE {target_database} FROM PUBLIC;"
        f" CREATE ROLE {roles['alice']} LOGIN",
    )  # fmt: skip

    def grant(block: str, name: str) -> Workplace:
        (grants,) = re.findall(rf"^```{block}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        for role, made in roles.items():
            grants = re.sub(rf"\b{role}\b", made, grants)
        query(target, target_database, re.sub(r"DATABASE shop\b", f"DATABASE {target_database}", grants))
        return workplace.with_settings(PGUSER=roles[name])

    yield grant
    for role in roles.values():
        query(target, target_database, f"DROP OWNED BY {role}; DROP ROLE {role}")


EVERY_DAY = (
    ("schema",), ("schema", "--check"), ("data",), ("data", "--nightly", "--with-schema"), ("data", "--verify"),
    ("data", "--status"), ("data", "--restore-keys"),
)  # fmt: skip


def test_the_grants_for_postgresql_are_enough(granted: Callable[..., Workplace]) -> None:
    workplace = granted("sql postgres", "replicator")
    for script, *arguments in EVERY_DAY:
        finished = workplace.run(script, *arguments)
        assert finished.code == 0, finished.text


def test_people_with_logins_of_their_own_work_as_one_role(
    granted: Callable[..., Workplace], target: EmbeddedTarget, target_database: str
) -> None:
    replicator = granted("sql postgres", "replicator")
    assert replicator.run("schema").code == 0
    alice = granted("sql postgres people", "alice")
    finished = alice.run("data")
    assert finished.code == 0, finished.text
    finished = replicator.run("data")
    assert finished.code == 0, finished.text
    owners = query(
        target, target_database, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'replication'"
    )
    assert owners == [(replicator.environment["PGUSER"],)]


def test_a_superuser_may_create_the_schemas_for_a_role_that_may_not(
    granted: Callable[..., Workplace], target: EmbeddedTarget, target_database: str
) -> None:
    workplace = granted("sql postgres", "replicator")
    role = workplace.environment["PGUSER"]
    query(
        target, target_database,
        f"REVOKE CREATE ON DATABASE {target_database} FROM {role}; CREATE SCHEMA sales AUTHORIZATION {role};"
        f" CREATE SCHEMA replication AUTHORIZATION {role}",
    )  # fmt: skip
    for script, *arguments in EVERY_DAY:
        finished = workplace.run(script, *arguments)
        assert finished.code == 0, finished.text


def helps() -> dict[str, str]:
    """What each script says of its flags."""
    return {
        name: subprocess.run(
            [sys.executable, str(ROOT / name), "--help"], check=True, capture_output=True, text=True
        ).stdout
        for name in ("sync-data.py", "replicate-schema.py")
    }


def test_the_page_of_usage_has_every_flag_and_no_other() -> None:
    flag = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
    page = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    table = page.partition("## Flags")[2].partition("\n## ")[0]
    there = {one for text in helps().values() for one in flag.findall(text)}
    assert set(flag.findall(table)) == there - {"--help"}


def test_the_commands_for_each_purpose_use_flags_that_exist() -> None:
    helped = helps()
    page = (ROOT / "docs" / "purposes.md").read_text(encoding="utf-8")
    commands = re.findall(r"`python (\S+\.py)([^`]*)`", page)
    assert len(commands) > 12
    for script, rest in commands:
        for flag in re.findall(r"--[a-z-]+", rest):
            assert flag in helped[script], f"{script}{rest}"


def test_the_picture_is_made_of_its_text() -> None:
    made = subprocess.run([sys.executable, "-m", "demo.picture"], cwd=ROOT, check=True, capture_output=True)
    assert (ROOT / "docs" / "how-it-works.svg").read_bytes() == made.stdout


def headings(page: Path) -> set[str]:
    """The anchors that a page's headings get (GitHub's way: lower case, no marks, blanks as dashes)."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_to_pages_and_headings_that_are_there(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = link.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), link
        if anchor:
            assert anchor in headings(linked), link

"""Fourteen nights of a database that people read, with all that happens in a fortnight; then the story is checked.

    python -m bench.fortnight [--keep FOLDER]

Each night runs the line of docs/nightly.md as cron would: by `/bin/sh`, with an almost empty environment, the settings
in `.env`. Among the nights are a source that is down, a kill, a full disk, a schema that changes, a table that is
dropped, and hands that edit the progress file, one of which slips. The first nights empty the tables and fill them, but
one, which merges; then a person has the settings say `REFRESH=swap`, and the last night merges on a Dask cluster of
processes that loses a worker. While nights merge or swap, readers ask for all tables all the time, and must find the
rows of the night before or those of this one. In the mornings a person does what the messages say, and nothing else.

Afterwards `--history`, the reports, `--status` and the notifications must tell the true story of each night, with its
mode and its workers, and the target must hold what the source holds. The full disk takes root, for a file system of its
own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyodbc

from bench.watch import Watch
from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from postgres.names import quote
from standin.server import LOGIN, PASSWORD, Access, StandIn
from tests.dask_cluster import DaskCluster
from tests.harness import bare

ROOT = Path(__file__).resolve().parent.parent
NAME = "fortnight"
CRON = "python sync-data.py --nightly --with-schema >> sync.log 2>&1"
#: of the file system that the target's tables lie on, and what is left of it in the night of the full disk
DISK_MB, LEFT_KB = 64, 300
ROWS = 20_000
#: workers of a night on this machine, and those of the cluster, each a process
WORKERS, CLUSTER = 2, 3
INT, TEXT = SqlType("int"), SqlType("nvarchar", 100)


def _table(name: str, *more: Column) -> Table:
    columns = (Column("ID", INT, is_nullable=False), Column("Note", TEXT), *more)
    return Table("dbo", name, columns, primary_key=Key(f"PK_{name}", (KeyColumn("ID"),), is_clustered=True))


#: a table's usual rate in the report
USUAL = r"<tr data-table=[^>]*data-mode=[^>]*>(?:<td[^>]*>.*?</td>){6}<td>(.*?)</td>"
#: the applications of cluster workers through which rows come now
LOADING = """
SELECT application_name FROM pg_stat_activity
WHERE application_name LIKE 'mssql-to-postgres % %:%' AND state = 'active' AND query LIKE 'COPY %'
"""


NAMES = ("Accounts", "Bookings", "Customers", "Drafts", "Events", "Ledger", "Offers", "Prices")


def rows_in(night: int) -> int:
    """How many rows each table has in a night."""
    return ROWS + 100 * night


@dataclass
class World:
    """Both servers, the folder that cron runs in, and whoever is told."""

    folder: Path
    target: EmbeddedTarget
    posted: list[dict[str, Any]]
    disk: Path | None
    port: int = 0
    tables: tuple[Table, ...] = tuple(map(_table, NAMES))
    source: StandIn | None = None
    night: int = 0
    #: the night of the rows that are staged, by their tables
    staged: dict[str, int] = field(default_factory=dict)
    #: the cluster's address, as long as there is one
    cluster: str | None = None
    problems: list[str] = field(default_factory=list)

    def serve(self) -> None:
        """Start the source with the rows of this night."""
        self.stop()
        rows = {
            table.full_name: (
                f"SELECT i, 'night {self.night} row ' || i"
                + "".join(f", {len(table.columns)}" for _ in table.columns[2:])
                + f" FROM range({rows_in(self.night)}) AS t(i)"
            )
            for table in self.tables
        }
        database = Database(NAME, self.tables)
        self.source = StandIn(database, rows, access=Access(port=self.port)).start()
        self.port = self.source.port

    def stop(self) -> None:
        """Stop the source."""
        if self.source is not None:
            self.source.stop()
            self.source = None

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        with contextlib.closing(self.target.connect(NAME)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []

    @property
    def progress(self) -> Path:
        """The data phase's progress file."""
        return self.folder / "data_sync_progress.json"

    def environment(self) -> dict[str, str]:
        """What cron gives."""
        return {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "replica"}

    def shell(self, line: str) -> subprocess.Popen[bytes]:
        """Start a line as cron does."""
        spelled = re.sub(r"\bpython (\S+\.py)", rf"{sys.executable} {ROOT}/\1", line)
        return subprocess.Popen(
            ["/bin/sh", "-c", spelled], cwd=self.folder, env=self.environment(), start_new_session=True
        )

    def log_of(self, work: Callable[[], int]) -> tuple[int, str]:
        """An exit code, and what was added to the log meanwhile."""
        log = self.folder / "sync.log"
        before = log.stat().st_size if log.exists() else 0
        code = work()
        return code, bare(log.read_bytes()[before:].decode("utf-8"))

    def person(self, line: str, expected: int = 0) -> None:
        """What a person types in the morning, because a message said so."""
        code = self.shell(line).wait()
        if code != expected:
            self.problems.append(f"morning {self.night}: {line} ended with {code}, not {expected}")

    def status(self) -> dict[str, Any]:
        """What `--status` tells."""
        shown = self._look("--status", "--json")
        found: dict[str, Any] = json.loads(shown)
        return found

    def history(self) -> str:
        """What `--history` shows."""
        return self._look("--history")

    def _look(self, *flags: str) -> str:
        return subprocess.run(
            [sys.executable, str(ROOT / "sync-data.py"), *flags], cwd=self.folder, env=self.environment(),
            capture_output=True, text=True, check=True, encoding="utf-8",
        ).stdout  # fmt: skip

    def runs(self) -> list[dict[str, Any]]:
        """The lines of runs.jsonl."""
        path = self.folder / "runs.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


@dataclass(frozen=True)
class Night:
    """What happens before a night's run, how the run is to end, what its log must say, and what a person does then."""

    title: str
    before: Callable[[World], None]
    code: int
    verdict: str
    words: tuple[str, ...] = ()
    morning: Callable[[World], None] = lambda _: None
    run: Callable[[World], int] = lambda world: world.shell(CRON).wait()
    #: whether NOTIFY_ON=change must tell of it
    is_told: bool = False
    #: how rows came, and by how many workers; None where the night got nowhere
    mode: str | None = "truncate"
    workers: int | None = WORKERS
    #: whether there is nothing that its rates may be held against: it is the first of its kind, or one of the first
    is_new_kind: bool = False

    @property
    def is_read(self) -> bool:
        """Whether readers may ask for the tables meanwhile."""
        return self.mode in ("merge", "swap")


# -- what happens --------------------------------------------------------------------------------------


def nothing(_: World) -> None:
    """An ordinary day."""


def kill(world: World) -> int:
    """Kill the night's run once a table is under way."""
    process = world.shell(CRON.replace("--nightly", "--nightly --max-rate 40krows --workers 1"))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, KeyError):
            document = json.loads(world.progress.read_text(encoding="utf-8"))
            entries = [entry["data"] for entry in document["tables"].values()]
            if any(one["status"] == "in_progress" for one in entries) and any(
                one["status"] == "completed" for one in entries
            ):
                break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    return -process.wait()


def merged(world: World) -> int:
    """Tonight the tables are merged."""
    return world.shell(CRON.replace("--nightly", "--nightly --refresh merge")).wait()


@contextlib.contextmanager
def locked(world: World, table: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """Somebody has locked a table of the source: who, as messages name it, and what ends it."""
    assert world.source is not None
    driver = load_settings(world.folder / ".env", {}).source.driver.name
    with contextlib.closing(
        pyodbc.connect(world.source.connection_string(driver, APP="a report", WSID="desk7"))
    ) as held:
        held.execute(f"SELECT TOP (1) 1 AS c0 FROM dbo.{table} WITH (TABLOCKX)").fetchall()
        number = held.execute("SELECT @@SPID AS c0").fetchone()[0]
        yield f"session {number} (login {LOGIN}, host desk7, a report)", held.rollback


def on_a_cluster(world: World) -> int:
    """A night on a cluster of processes, one of which dies while rows come by it.

    Another one waits for somebody who has locked a table of the source, until a person has asked who that is.
    """
    folder = world.folder.parent / "cluster"
    with locked(world, "Prices") as (session, release), DaskCluster(folder, CLUSTER, threads=1) as cluster:
        world.cluster = cluster.address
        flags = f"--nightly --refresh merge --max-rate 20krows --cluster {cluster.address}"
        process = world.shell(CRON.replace("--nightly", flags))
        by_port = {cluster.address_of(worker).rpartition(":")[2]: worker for worker in cluster.workers}
        while process.poll() is None and not (found := world.query(LOADING)):
            time.sleep(0.02)
        if process.poll() is None:
            by_port[str(found[0][0]).rpartition(":")[2]].kill()
        _wait_until_told_of(world, session, process)
        release()
        return process.wait()


def _wait_until_told_of(world: World, session: str, process: subprocess.Popen[bytes]) -> None:
    """Ask for the status until it tells whom the run waits for."""
    told: dict[str, Any] = {}
    while process.poll() is None:
        told = world.status()
        if told["is_running"] and told["staged"] and session in {one["waits_for"] for one in told["sessions"]}:
            return
    world.problems.append(f"--status did not tell that {session} is waited for: {told}")


def swap_from_now_on(world: World) -> None:
    """Readers have complained of empty tables; a person changes the settings, and wants one table left alone."""
    with (world.folder / ".env").open("a", encoding="utf-8") as file:
        file.write("REFRESH=swap\n")
    skip_offers(world)


def fill_disk(world: World) -> None:
    """Leave almost no room where the target's tables lie."""
    assert world.disk is not None
    free = shutil.disk_usage(world.disk).free
    with contextlib.suppress(OSError), (world.disk / "somebody.else").open("ab") as file:
        file.write(b"x" * max(free - LEFT_KB * 1024, 0))


def crowded(world: World) -> int:
    """Run while somebody else takes whatever room there is, also what PostgreSQL gives back meanwhile."""
    process = world.shell(CRON)
    while process.poll() is None:
        fill_disk(world)
        time.sleep(0.01)
    return process.returncode


def free_disk(world: World) -> None:
    """A person frees the disk."""
    assert world.disk is not None
    (world.disk / "somebody.else").unlink()


def add_column(world: World) -> None:
    """Somebody adds a column to a table of the source."""
    world.tables = tuple(
        replace(table, columns=(*table.columns, Column("Rank", INT))) if table.name == "Events" else table
        for table in world.tables
    )


def drop_table(world: World) -> None:
    """Somebody drops a table of the source."""
    world.tables = tuple(table for table in world.tables if table.name != "Drafts")


def edit(world: World, old: str, new: str) -> None:
    """A hand edits the progress file."""
    text = world.progress.read_text(encoding="utf-8")
    if not re.search(old, text, re.DOTALL):
        world.problems.append(f"night {world.night}: {old} is not in the progress file")
    world.progress.write_text(re.sub(old, new, text, count=1, flags=re.DOTALL), encoding="utf-8")


def skip_offers(world: World) -> None:
    """A person wants one table left alone, and writes it as people do."""
    edit(world, r'("Offers": \{\s*"data": \{\s*"status": )"\w+"', r'\1"Skip"')


def slip(world: World) -> None:
    """A hand slips: a comma too many."""
    edit(world, r'("Ledger": \{\s*"data": \{\s*"status": "\w+",)', r"\1,")


def mend(world: World) -> None:
    """The person takes the comma away that the message named."""
    edit(world, ",,", ",")


def nights(has_disk: bool) -> list[Night]:
    """The fortnight."""
    full = [
        Night(
            "the target's disk is full", fill_disk, 1, "failed", ("No space left on device", "failed"), free_disk,
            run=crowded, is_told=True,
        ),
        Night("there is room again", nothing, 0, "done", ("is continued",), is_told=True),
    ]  # fmt: skip
    quiet = [Night("an ordinary night", nothing, 0, "done"), Night("an ordinary night", nothing, 0, "done")]
    return [
        Night("the first night", nothing, 0, "done", ("the first one begins",), is_told=True),
        Night(
            "one that merges", nothing, 0, "done", ("a new one begins", "8 tables are live with the new rows"),
            run=merged, mode="merge", is_new_kind=True,
        ),
        Night(
            "the source is down", World.stop, 3, "unreachable", ("SQL Server",), is_told=True, mode=None, workers=None,
        ),
        Night("the source is back", nothing, 0, "done", is_told=True),
        Night("the machine is killed", nothing, 9, "stopped", run=kill, mode=None, workers=None),
        Night("the night after", nothing, 0, "done", ("The last run was killed", "is continued"), is_told=True),
        *(full if has_disk else quiet),
        Night(
            "hands change the settings to swap, and a table to Skip", swap_from_now_on, 0, "done",
            ("Left out", "Offers", "7 tables are live with the new rows"), mode="swap", is_new_kind=True,
        ),
        Night(
            "a column was added", add_column, 1, "failed",
            ("column rank is missing", "--apply-drift", "6 tables are staged and not live", "Readers see the rows"),
            lambda world: world.person("python replicate-schema.py --apply-drift >> schema.log 2>&1"), is_told=True,
            mode="swap", is_new_kind=True,
        ),
        Night(
            "the column is there", nothing, 0, "done", ("is continued", "7 tables are live with the new rows"),
            is_told=True, mode="swap", is_new_kind=True,
        ),
        Night(
            "a table was dropped", drop_table, 0, "done", ("The source no longer has", "Drafts"), is_told=True,
            mode="swap", is_new_kind=True,
        ),
        Night(
            "a hand slips", slip, 2, "refused", ("data_sync_progress.json", "line "), mend, is_told=True, mode=None,
            workers=None,
        ),
        Night(
            "a cluster does it, and loses a worker", nothing, 0, "done",
            (f"{CLUSTER} worker processes", "was lost; another does its work", "6 tables are live with the new rows"),
            run=on_a_cluster, is_told=True, mode="merge", workers=CLUSTER, is_new_kind=True,
        ),
    ]  # fmt: skip


# -- played ----------------------------------------------------------------------------------------------


def play(world: World, night: Night) -> None:
    """A night and its morning; what is not as it should be is noted."""
    world.night += 1
    world.serve()
    night.before(world)
    if night.before in (add_column, drop_table):
        world.serve()
    told, known = len(world.posted), len(world.problems)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(Watch(world.target, NAME, NAMES, rows_in)) if night.is_read else None
        code, log = world.log_of(lambda: night.run(world))
    place = f"night {world.night}, {night.title}"
    problems = [f"it ended with {code}, not {night.code}"] if code != night.code else []
    problems += [f"its log does not say {words!r}" for words in night.words if words not in log]
    if night.code == 0 and "❌" in log:
        problems.append("its log complains, and nothing went wrong")
    if watch is not None:
        problems += watch.troubles
    if night.code != 9:
        problems += _about_files(world, night)
    if bool(world.posted[told:]) != night.is_told:
        problems.append(f"it was {'not ' if night.is_told else ''}told of: {world.posted[told:]}")
    elif night.is_told:
        problems += _unlike_played("it was told of", world, night, world.posted[-1])
    print(f"{'❌' if problems else '✅'} {place}: exit code {code}", flush=True)
    problems += world.problems[known:]
    for problem in problems:
        print(f"   {problem}", flush=True)
    if problems:
        print("   | " + log.replace("\n", "\n   | "), flush=True)
    world.problems[known:] = [f"{place}: {problem}" for problem in problems]
    night.morning(world)
    world.cluster = None


def _about_files(world: World, night: Night) -> Iterator[str]:
    """What the night's line, its report, its status and the rows in the target do not tell as it was."""
    last = world.runs()[-1]
    if last["exit_code"] != night.code:
        yield f"runs.jsonl says {last['exit_code']}: {last['ended_because']}"
    page = (world.folder / "run_report.html").read_text(encoding="utf-8")
    if f'data-run="{last["run"]}"' not in page:
        yield "run_report.html is about another night"
    for attribute, value in (
        ("verdict", night.verdict), ("modes", night.mode or ""), ("workers", night.workers or ""),
        ("cluster", world.cluster or ""),
    ):  # fmt: skip
        if f'data-{attribute}="{value}"' not in page:
            yield f"run_report.html does not say that its {attribute} was {value!r}"
    if night.is_new_kind and (usual := [cell for cell in re.findall(USUAL, page) if cell]):
        yield f"run_report.html holds it against nights of another kind, whose rates were {usual}"
    if night.is_read:
        yield from _about_status(world, night, last)
    done = {one["table"] for one in last["tables"] if one["status"] == "completed"}
    if night.code == 0 and not done:
        yield "no table was completed"
    if world.source is not None:
        yield from _unlike(world, done)
    for one in last["tables"]:
        if one["staged"]:
            world.staged[one["table"]] = world.night


def _about_status(world: World, night: Night, last: dict[str, Any]) -> Iterator[str]:
    """What `--status` does not tell in the morning as it was."""
    told = world.status()
    if told["is_running"] or told["last_run"]["run"] != last["run"]:
        yield f"--status tells of another run: {told}"
    yield from _unlike_played("--status says", world, night, told["last_run"])
    staged = sorted(one["table"] for one in last["tables"] if one["staged"])
    shown = sorted(one["table"] for one in told["staged"] if one["is_complete"])
    if shown != [f"public.{table.lower()}" for table in staged] or told["under_way"]:
        yield f"--status has {shown} staged and {told['under_way']} under way; it was {staged}"
    if staged and f"{len(staged)} of them staged and not live" not in told["next_step"]:
        yield f"--status says: {told['next_step']}"


def _unlike_played(says: str, world: World, night: Night, told: dict[str, Any]) -> Iterator[str]:
    """Where a notification, or a status, is not about the night that was played."""
    modes = [night.mode] if night.mode else []
    wanted = {"verdict": night.verdict, "modes": modes, "workers": night.workers, "cluster": world.cluster}
    for name, value in wanted.items():
        if told[name] != value:
            yield f"{says}: {name} {told[name]}, and not {value}"


def _unlike(world: World, done: Collection[str]) -> Iterator[str]:
    """Tables that this night completed and whose rows are not those of the night in which they were read."""
    for table in world.tables:
        if table.name in done:
            night = world.staged.pop(table.name, world.night)
            more = [len(table.columns)] * len(table.columns[2:])
            wanted = [(number, f"night {night} row {number}", *more) for number in range(rows_in(night))]
            there = world.query(f"SELECT * FROM {quote(table.name.lower())} ORDER BY 1")
            if wanted != there:
                yield f"{table.name} holds {len(there)} rows, the source had {len(wanted)}, or other values"


def check_story(world: World, played: Sequence[Night]) -> None:
    """Hold the history against what was played."""
    ours = [run for run in world.runs() if run["script"] == "sync-data.py"]
    codes = [137 if night.code == 9 else night.code for night in played]
    if [run["exit_code"] for run in ours] != codes:
        world.problems.append(f"the history has {[run['exit_code'] for run in ours]}, played was {codes}")
    shown = world.history()
    print(shown)
    told = [line.split() for line in shown.splitlines() if "sync-data" in line]
    found = [(words[4], words[9], words[10]) for words in told]
    cluster = played[-1]
    wanted = [
        (night.verdict, night.mode or "-", f"cluster:{CLUSTER}" if night is cluster else str(night.workers or "-"))
        for night in played
    ]
    if found != wanted:
        world.problems.append(f"--history shows {found}, played was {wanted}")
    if world.query("SELECT count(*) FROM drafts")[0][0] == 0:
        world.problems.append("the dropped table's rows are gone from the target")
    if world.query("SELECT count(*) FROM replication.suspended") != [(0,)]:
        world.problems.append("something is still suspended")
    if world.query("SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('replication_staging')") != [
        (0,)
    ]:
        world.problems.append("something is still staged")


# -- the world -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listener() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that keeps what is posted: its address, and the posts."""
    posted: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/told", posted
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def small_disk(folder: Path, owner: str | None) -> Iterator[Path | None]:
    """A file system of its own for the target's tables; None where this is not root."""
    if os.name != "posix" or os.geteuid() != 0 or owner is None:
        yield None
        return
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(disk)], check=True)
    try:
        (disk / "tables").mkdir()
        shutil.chown(disk / "tables", owner)
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


@contextlib.contextmanager
def world_in(folder: Path) -> Iterator[World]:
    """Both servers, and a folder with settings; the tables are made as a person would."""
    with contextlib.ExitStack() as stack:
        target = stack.enter_context(EmbeddedTarget())
        owner = getattr(target._server, "system_user", None)
        disk = stack.enter_context(small_disk(folder, owner))
        url, posted = stack.enter_context(listener())
        where = f" TABLESPACE {quote('small')}" if disk is not None else ""
        with contextlib.closing(target.connect()) as admin, admin.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET fsync = off")
            cursor.execute("SELECT pg_reload_conf()")
            if disk is not None:
                cursor.execute(f"CREATE TABLESPACE {quote('small')} LOCATION %s", (str(disk / "tables"),))
            cursor.execute(f"CREATE DATABASE {quote(NAME)}{where}")
        place = folder / "replica"
        place.mkdir()
        (folder / "cluster").mkdir()
        world = World(place, target, posted, disk)
        stack.callback(world.stop)
        world.serve()
        settings = {
            "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(world.port), "MSSQL_DATABASE": NAME, "MSSQL_USER": LOGIN,
            "MSSQL_PASSWORD": PASSWORD, "MSSQL_ENCRYPT": "no", **target.environment(NAME), "NOTIFY_URL": url,
            "NOTIFY_ON": "change", "METRICS_FILE": str(place / "replicator.prom"), "CHUNK_ROWS": "5000",
            "RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0", "WORKERS": str(WORKERS),
        }  # fmt: skip
        env = place / ".env"
        env.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()), encoding="utf-8")
        env.chmod(0o600)
        world.person("python replicate-schema.py >> schema.log 2>&1")
        posted.clear()
        yield world


def main(arguments: Sequence[str] | None = None) -> int:
    """Play, check, print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy what the nights leave behind to this folder")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="fortnight-") as name:
        folder = Path(name)
        # The server's system user passes through it.
        folder.chmod(0o755)
        with world_in(folder) as world:
            played = nights(world.disk is not None)
            if world.disk is None:
                print("The full disk is left out: it takes root.")
            for night in played:
                play(world, night)
            check_story(world, played)
            if options.keep:
                shutil.copytree(world.folder, options.keep, dirs_exist_ok=True)
    for problem in world.problems:
        print(f"❌ {problem}")
    print(
        "❌ The story is not the true one."
        if world.problems
        else "✅ 14 nights, and the story of each is the true one."
    )
    return 1 if world.problems else 0


if __name__ == "__main__":
    sys.exit(main())

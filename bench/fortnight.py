"""Fourteen nights of a database that people read, with all that happens in a fortnight; then the story is checked.

    python -m bench.fortnight [--keep FOLDER]

Each night runs the line of docs/nightly.md as cron would: by `/bin/sh`, with an almost empty environment, the settings
in `.env`. Among the nights are a source that is down, a kill, a full disk, a schema that changes, a table that is
dropped, and hands that edit the progress file, one of which slips. In the mornings a person does what the messages say,
and nothing else. Afterwards `--history`, the reports and the notifications must tell the true story of each night, and
the target must hold what the source holds. The full disk takes root, for a file system of its own.
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

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from postgres.names import quote
from standin.server import LOGIN, PASSWORD, Access, StandIn
from tests.harness import bare

ROOT = Path(__file__).resolve().parent.parent
NAME = "fortnight"
CRON = "python sync-data.py --nightly --with-schema >> sync.log 2>&1"
#: of the file system that the target's tables lie on, and what is left of it in the night of the full disk
DISK_MB, LEFT_KB = 64, 300
ROWS = 20_000
INT, TEXT = SqlType("int"), SqlType("nvarchar", 100)


def _table(name: str, *more: Column) -> Table:
    columns = (Column("ID", INT, is_nullable=False), Column("Note", TEXT), *more)
    return Table("dbo", name, columns, primary_key=Key(f"PK_{name}", (KeyColumn("ID"),), is_clustered=True))


NAMES = ("Accounts", "Bookings", "Customers", "Drafts", "Events", "Ledger", "Offers", "Prices")


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
    problems: list[str] = field(default_factory=list)

    def serve(self) -> None:
        """Start the source with the rows of this night."""
        self.stop()
        rows = {
            table.full_name: (
                f"SELECT i, 'night {self.night} row ' || i"
                + "".join(f", {len(table.columns)}" for _ in table.columns[2:])
                + f" FROM range({ROWS + 100 * self.night}) AS t(i)"
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
        Night("an ordinary night", nothing, 0, "done", ("a new one begins",)),
        Night("the source is down", World.stop, 3, "unreachable", ("SQL Server",), is_told=True),
        Night("the source is back", nothing, 0, "done", is_told=True),
        Night("the machine is killed", nothing, 9, "stopped", run=kill),
        Night("the night after", nothing, 0, "done", ("The last run was killed", "is continued"), is_told=True),
        *(full if has_disk else quiet),
        Night(
            "a column was added", add_column, 1, "failed", ("column rank is missing", "--apply-drift"),
            lambda world: world.person("python replicate-schema.py --apply-drift >> schema.log 2>&1"), is_told=True,
        ),
        Night("the column is there", nothing, 0, "done", ("is continued",), is_told=True),
        Night("a hand sets a table to Skip", skip_offers, 0, "done", ("Left out", "Offers")),
        Night("a table was dropped", drop_table, 0, "done", ("The source no longer has", "Drafts"), is_told=True),
        Night("a hand slips", slip, 2, "refused", ("data_sync_progress.json", "line "), mend, is_told=True),
        Night("the last night", nothing, 0, "done", is_told=True),
    ]  # fmt: skip


# -- played ----------------------------------------------------------------------------------------------


def play(world: World, night: Night) -> None:
    """A night and its morning; what is not as it should be is noted."""
    world.night += 1
    world.serve()
    night.before(world)
    if night.before in (add_column, drop_table):
        world.serve()
    told = len(world.posted)
    code, log = world.log_of(lambda: night.run(world))
    place = f"night {world.night}, {night.title}"
    problems = [f"it ended with {code}, not {night.code}"] if code != night.code else []
    problems += [f"its log does not say {words!r}" for words in night.words if words not in log]
    if night.code != 9:
        problems += _about_files(world, night)
    if bool(world.posted[told:]) != night.is_told:
        problems.append(f"it was {'not ' if night.is_told else ''}told of: {world.posted[told:]}")
    elif night.is_told and world.posted[-1]["verdict"] != night.verdict:
        problems.append(f"it was told of as {world.posted[-1]['verdict']}")
    print(f"{'❌' if problems else '✅'} {place}: exit code {code}", flush=True)
    for problem in problems:
        print(f"   {problem}", flush=True)
    if problems:
        print("   | " + log.replace("\n", "\n   | "), flush=True)
    world.problems += [f"{place}: {problem}" for problem in problems]
    night.morning(world)


def _about_files(world: World, night: Night) -> Iterator[str]:
    """What the night's line, its report and the rows in the target do not tell as it was."""
    last = world.runs()[-1]
    if last["exit_code"] != night.code:
        yield f"runs.jsonl says {last['exit_code']}: {last['ended_because']}"
    page = (world.folder / "run_report.html").read_text(encoding="utf-8")
    if f'data-verdict="{night.verdict}"' not in page or f'data-run="{last["run"]}"' not in page:
        yield "run_report.html is about another night"
    done = {one["table"] for one in last["tables"] if one["status"] == "completed"}
    if night.code == 0 and not done:
        yield "no table was completed"
    if world.source is not None:
        yield from _unlike(world, world.source, done)


def _unlike(world: World, source: StandIn, done: Collection[str]) -> Iterator[str]:
    """Tables that this night brought and whose rows are not the source's of this night."""
    for table in world.tables:
        if table.name in done:
            wanted = source.execute(f"SELECT * FROM dbo.{quote(table.name)} ORDER BY 1")
            there = world.query(f"SELECT * FROM {quote(table.name.lower())} ORDER BY 1")
            if wanted != there:
                yield f"{table.name} holds {len(there)} rows, the source {len(wanted)}, or other values"


def check_story(world: World, played: Sequence[Night]) -> None:
    """Hold the history against what was played."""
    ours = [run for run in world.runs() if run["script"] == "sync-data.py"]
    codes = [137 if night.code == 9 else night.code for night in played]
    if [run["exit_code"] for run in ours] != codes:
        world.problems.append(f"the history has {[run['exit_code'] for run in ours]}, played was {codes}")
    shown = subprocess.run(
        [sys.executable, str(ROOT / "sync-data.py"), "--history"], cwd=world.folder, env=world.environment(),
        capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    print(shown.stdout)
    verdicts = [line.split()[4] for line in shown.stdout.splitlines() if "sync-data" in line]
    if verdicts != [night.verdict for night in played]:
        world.problems.append(f"--history shows {verdicts}")
    if world.query("SELECT count(*) FROM drafts")[0][0] == 0:
        world.problems.append("the dropped table's rows are gone from the target")
    if world.query("SELECT count(*) FROM replication.suspended") != [(0,)]:
        world.problems.append("something is still suspended")


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
        world = World(place, target, posted, disk)
        stack.callback(world.stop)
        world.serve()
        settings = {
            "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(world.port), "MSSQL_DATABASE": NAME, "MSSQL_USER": LOGIN,
            "MSSQL_PASSWORD": PASSWORD, "MSSQL_ENCRYPT": "no", **target.environment(NAME), "NOTIFY_URL": url,
            "NOTIFY_ON": "change", "METRICS_FILE": str(place / "replicator.prom"), "CHUNK_ROWS": "5000",
            "RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0",
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

"""Three tables on a stand-in behind a proxy, and a run that stands still in the midst of the big one."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Finished, Proxy, Workplace, source_settings, wait_until
from tests.samples import entries, query, statuses, table

BIG_ROWS = 30_000
#: bytes from the source by which some chunks of the big table are through, and not all
PART = 1_300_000
CHUNK_ROWS = 4000

BIG, FEW, LATER = table("Big"), table("Few"), table("Later")
DATABASE = Database("exact", (BIG, FEW, LATER))
ROWS: Mapping[str, Any] = {
    "dbo.Big": f"SELECT i, 'a text that takes some room, of row ' || i FROM range({BIG_ROWS}) AS t(i)",
    "dbo.Few": "SELECT i, 'few ' || i FROM range(300) AS t(i)",
    "dbo.Later": "SELECT i, 'later ' || i FROM range(300) AS t(i)",
}
BACKENDS = (
    "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
DDL = "; ".join(f"CREATE TABLE {name} (id integer PRIMARY KEY, label varchar(50))" for name in ("big", "few", "later"))


@dataclass
class Scene:
    """The three tables on a stand-in behind a proxy, and empty on the target."""

    source: StandIn
    proxy: Proxy
    workplace: Workplace
    target: EmbeddedTarget
    database: str
    #: the table that runs are stopped in
    big: str = "Big"

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    def run(self, *arguments: str, **settings: str) -> Finished:
        """Run the data phase to its end."""
        return self.workplace.with_settings(**settings).run("data", *arguments)

    @contextmanager
    def stopped_in_the_big_table(self, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
        """A run that has committed some chunks of the big table, and to which the source now says nothing."""
        self.proxy.stall_after(PART)
        process = self.workplace.with_settings(**settings).start("data", *arguments)
        try:

            def is_there() -> bool:
                assert process.poll() is None, process.communicate()
                return self.proxy.is_stalled and self.rows_synced > 0

            wait_until(is_there, "chunks are committed, and the source is silent")
            yield process
        finally:
            self.proxy.resume()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def kill_in_the_big_table(self, *arguments: str, **settings: str) -> None:
        """Leave the big table partly copied."""
        with self.stopped_in_the_big_table(*arguments, **settings) as process:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # The server's end of a killed connection is given up a moment later.
        wait_until(
            lambda: (
                not self.query(
                    "SELECT pid FROM pg_stat_activity"
                    " WHERE application_name = 'mssql-to-postgres' AND datname = current_database()"
                )
            ),
            "PostgreSQL has rolled back what the killed run left open",
        )

    @property
    def rows_synced(self) -> int:
        """What the progress file says of the big table."""
        if not self.workplace.data_progress.exists():
            return 0
        return int(entries(self.workplace.data_progress)[self.big].get("rows_synced", 0))

    def checkpoints(self, name: str = "big") -> dict[int, tuple[int, datetime.datetime]]:
        """The rows of each committed chunk of a table, and when it was committed."""
        found = self.query(f"SELECT chunk, rows, committed_at FROM replication.checkpoint WHERE table_name = '{name}'")
        return {chunk: (rows, committed_at) for chunk, rows, committed_at in found}

    def assert_nobody_is_left(self, seconds: float = 20) -> None:
        """No connection of a run is open on either server."""
        wait_until(lambda: not self.query(BACKENDS), "no connection is left on the target", timeout=seconds)
        wait_until(lambda: not self.source_connections(), "no connection is left on the source", timeout=seconds)

    def source_connections(self) -> list[object]:
        """What is connected to the source, whether it talks or not."""
        return [
            one
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_ESTABLISHED and one.laddr and one.laddr.port == self.proxy.port
        ]

    def assert_equal(self) -> None:
        """Every table holds the source's rows, each once, and is completed."""
        for name in ("big", "few", "later"):
            wanted = self.source.execute(f'SELECT * FROM dbo."{name}" ORDER BY 1')
            assert self.query(f"SELECT * FROM {name} ORDER BY 1") == wanted, name
        assert set(statuses(self.workplace.data_progress).values()) == {"completed"}
        assert self.query("SELECT * FROM replication.suspended") == []


def settings_of(port: int, target: EmbeddedTarget, database: str) -> dict[str, str]:
    """The settings of a scene whose source listens on `port`."""
    return {
        **source_settings(port, DATABASE.name), **target.environment(database), "CHUNK_ROWS": str(CHUNK_ROWS),
        "BATCH_SIZE": "1000", "WORKERS": "1", "RETRY_SECONDS": "0",
    }  # fmt: skip


@contextmanager
def holding(scene: Scene, statement: str) -> Iterator[int]:
    """Another session that holds a lock; its pid."""
    connection = scene.target.connect(scene.database)
    connection.autocommit = False
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET application_name = 'a report'")
            cursor.execute(statement)
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        yield pid
    finally:
        connection.close()

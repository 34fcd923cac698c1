"""Runs that are at work in the target, and the tables that each has claimed.

A run holds an advisory lock for as long as it lives, on a connection of its own; so a run that was killed is known to
be dead by everybody at once, on whatever machine it was. What it claimed is then free, and what it had
suspended may be restored. A live run's tables are nobody else's: no second load, no restoring of its keys, no DDL.
Claims are taken and judged one run at a time, behind one more advisory lock.

Source: PostgreSQL, "Advisory Locks".
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from model.errors import TablesClaimedError
from postgres.names import TargetName, listed

#: the first key of this tool's advisory locks; the second is a run's number, 0 for judging claims
LOCK_CLASS = 0x5265706C
JUDGING = 0
#: the same for making schemas of our own
PREPARING = -1
SECONDS_BETWEEN_SIGNS_OF_LIFE = 1.0
#: how often a step is tried whose connection breaks
ATTEMPTS = 5
#: tables of a refusal that are named
NAMED = 5

CREATE = """
CREATE TABLE IF NOT EXISTS replication.run (
    run integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    folder text NOT NULL,
    command text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE replication.run IS 'Runs at work. Each holds an advisory lock while it lives; others are dead.';
CREATE TABLE IF NOT EXISTS replication.claim (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    run integer NOT NULL REFERENCES replication.run ON DELETE CASCADE,
    is_loading boolean NOT NULL,
    PRIMARY KEY (table_schema, table_name)
);
COMMENT ON TABLE replication.claim IS 'Tables that runs work on. is_loading: their keys must not come back yet.';
"""

#: two runs may begin at once, and IF NOT EXISTS does not see what the other has not committed yet
PREPARE = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {PREPARING})"
JUDGE = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {JUDGING})"
#: beside others who only restore, behind everybody who claims
JUDGE_TOGETHER = f"SELECT pg_advisory_xact_lock_shared({LOCK_CLASS}, {JUDGING})"
#: a host that went away without a word is noticed after two minutes (PostgreSQL, "Connections and Authentication")
NOTICE_DEAD_HOSTS = "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 15; SET tcp_keepalives_count = 4"
LIVE = f"SELECT pg_try_advisory_lock({LOCK_CLASS}, %s)"
IS_ALIVE = f"""
EXISTS (SELECT FROM pg_locks AS k WHERE k.locktype = 'advisory' AND k.granted
        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND k.classid = {LOCK_CLASS} AND k.objid = r.run::oid AND k.objsubid = 2)
"""
BEGIN = """
INSERT INTO replication.run (host, pid, folder, command) VALUES (%s, %s, %s, %s) RETURNING run
"""
BURY = f"DELETE FROM replication.run AS r WHERE r.run <> %s AND NOT {IS_ALIVE}"
END = "DELETE FROM replication.run WHERE run = %s"

_WANTED = "unnest(%(schemas)s::text[], %(tables)s::text[]) AS wanted (table_schema, table_name)"
CLAIMED_BY_OTHERS = f"""
SELECT c.table_schema, c.table_name, r.host, r.pid, r.folder, r.command, r.started_at, c.is_loading
FROM replication.claim AS c JOIN replication.run AS r USING (run) JOIN {_WANTED} USING (table_schema, table_name)
WHERE c.run <> %(run)s ORDER BY 1, 2
"""
CLAIM = f"""
INSERT INTO replication.claim (table_schema, table_name, run, is_loading)
SELECT table_schema, table_name, %(run)s, %(is_loading)s FROM (SELECT DISTINCT * FROM {_WANTED}) AS w
ON CONFLICT (table_schema, table_name) DO NOTHING
"""
STOP_LOADING = "UPDATE replication.claim SET is_loading = false WHERE run = %s"
LOADED_BY_OTHERS = f"""
SELECT c.table_schema, c.table_name FROM replication.claim AS c JOIN {_WANTED} USING (table_schema, table_name)
WHERE c.run <> %(run)s AND c.is_loading
"""
WHO = """
SELECT r.host, r.pid, r.folder, r.command, r.started_at
FROM replication.claim AS c JOIN replication.run AS r USING (run)
WHERE c.table_schema = %s AND c.table_name = %s
"""


@dataclass(frozen=True)
class Holder:
    """A run at work, as others see it."""

    host: str
    pid: int
    folder: str
    command: str
    started_at: Any

    def __str__(self) -> str:
        since = self.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host} in {self.folder}, since {since} ({self.command})"


class LiveRun:
    """This process's run in the target: alive for others until it is closed or the process dies.

    `connect` opens a psycopg2 connection; one is kept for the advisory lock, and opened again when it breaks. Used by
    one thread at a time.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        """Raises psycopg2.Error, and what `connect` raises."""
        self._connect = connect
        self._stopping = threading.Event()
        #: held by whoever uses the connection
        self._using = threading.Lock()
        self._holding = self._connected()
        #: whether this connection holds the lock; the server may take a broken one's for alive a while longer
        self._is_alive = False
        with self._holding.cursor() as cursor:
            while not self._is_alive:
                # Nobody sees the run before it is alive.
                cursor.execute("BEGIN")
                cursor.execute(BEGIN, (socket.gethostname(), os.getpid(), str(Path.cwd()), _command()))
                (self.number,) = cursor.fetchone()
                self._come_alive(cursor)
                # Where the schema was dropped, numbers begin anew beside runs that are still alive.
                cursor.execute("COMMIT" if self._is_alive else "ROLLBACK")
        threading.Thread(target=self._stay_alive, name="live run", daemon=True).start()

    def claim(self, tables: Sequence[TargetName], *, is_loading: bool = True) -> None:
        """Take tables for this run, all or none. Raises TablesClaimedError, psycopg2.Error."""
        wanted = self._parameters(tables, is_loading=is_loading)

        def take(cursor: Any) -> None:
            cursor.execute(CLAIMED_BY_OTHERS, wanted)
            others = cursor.fetchall()
            if others:
                holders = _holders(others)
                raise TablesClaimedError(
                    f"{holders}. Wait for it to end (--wait MINUTES does), or stop it; nothing was changed.",
                    holder=holders,
                )
            cursor.execute(CLAIM, wanted)

        self._judge(take)

    def stop_loading(self, tables: Sequence[TargetName]) -> None:
        """This run's loads are over: from now on others may restore what concerns its tables, too.

        `tables`, of which something is suspended, are taken as well where they are free. Raises psycopg2.Error.
        """

        def stop(cursor: Any) -> None:
            cursor.execute(STOP_LOADING, (self.number,))
            cursor.execute(CLAIM, self._parameters(tables, is_loading=False))

        self._judge(stop)

    def abandon(self) -> None:
        """End the run without a word to the server, which may not answer: it is dead for others from now on."""
        self._stopping.set()
        with suppress(psycopg2.Error):
            self._holding.close()

    def close(self) -> None:
        """End the run: its claims are free."""
        self._stopping.set()
        with suppress(Exception), self._using:
            self._revive()
            with self._holding.cursor() as cursor:
                cursor.execute(END, (self.number,))
        with suppress(psycopg2.Error):
            self._holding.close()

    def _judge(self, step: Callable[[Any], None]) -> None:
        """Run a step in a transaction in which no other run judges claims, and those of dead runs are gone.

        A connection that turns out to be broken is opened anew. Raises psycopg2.Error, and what `step` raises.
        """
        for attempt in range(ATTEMPTS):
            with self._using:
                try:
                    self._revive()
                    with self._holding.cursor() as cursor:
                        cursor.execute("BEGIN")
                        cursor.execute(JUDGE)
                        cursor.execute(BURY, (self.number,))
                        step(cursor)
                        cursor.execute("COMMIT")
                    return
                except BaseException as error:
                    if not self._holding.closed:
                        with suppress(psycopg2.Error), self._holding.cursor() as cursor:
                            cursor.execute("ROLLBACK")
                        raise
                    if not isinstance(error, psycopg2.Error) or attempt == ATTEMPTS - 1:
                        raise
            time.sleep(SECONDS_BETWEEN_SIGNS_OF_LIFE)

    def _revive(self) -> None:
        """Be alive for others again where the connection broke. Raises psycopg2.Error, and what `connect` raises."""
        if self._holding.closed:
            # Whoever took our tables meanwhile is noticed by each load in its own transactions.
            self._is_alive = False
            self._holding = self._connected()
        if not self._is_alive:
            with self._holding.cursor() as cursor:
                self._come_alive(cursor)

    def _come_alive(self, cursor: Any) -> None:
        cursor.execute(LIVE, (self.number,))
        (self._is_alive,) = cursor.fetchone()

    def _parameters(self, tables: Iterable[TargetName], *, is_loading: bool) -> dict[str, object]:
        return {**parameters(tables, self.number), "is_loading": is_loading}

    def _connected(self) -> Any:
        connection = self._connect()
        connection.rollback()
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(NOTICE_DEAD_HOSTS)
        return connection

    def _stay_alive(self) -> None:
        while not self._stopping.wait(SECONDS_BETWEEN_SIGNS_OF_LIFE):
            with self._using, suppress(Exception):
                self._revive()
                with self._holding.cursor() as cursor:
                    cursor.execute("SELECT 1")


def parameters(tables: Iterable[TargetName], run: int) -> dict[str, object]:
    """What the queries about claims are given."""
    return {**listed(tables), "run": run}


def loaded_by_others(cursor: Any, tables: Sequence[TargetName], run: int) -> set[TargetName]:
    """Those of the tables that other runs load now, in the caller's transaction, until whose end that stays so."""
    cursor.execute(JUDGE_TOGETHER)
    cursor.execute(LOADED_BY_OTHERS, parameters(tables, run))
    return {TargetName(schema, table) for schema, table in cursor.fetchall()}


def holder(cursor: Any, table: TargetName) -> Holder | None:
    """The run that has claimed a table."""
    cursor.execute(WHO, (table.schema, table.table))
    found = cursor.fetchone()
    return None if found is None else Holder(*found)


def _holders(others: Sequence[tuple[Any, ...]]) -> str:
    by_holder: dict[Holder, list[str]] = {}
    for schema, table, host, pid, folder, command, started_at, _ in others:
        by_holder.setdefault(Holder(host, pid, folder, command, started_at), []).append(f"{schema}.{table}")
    parts = []
    for who, names in by_holder.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        parts.append(f"another run works on {', '.join(names[:NAMED])}{more}: {who}")
    return "; ".join(parts)


def _command() -> str:
    return " ".join(Path(word).name if position == 0 else word for position, word in enumerate(sys.argv))

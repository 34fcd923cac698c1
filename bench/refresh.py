"""Truncate, merge and swap side by side: time, WAL and dead rows when one row in a hundred has changed.

    python -m bench.refresh [--rows 1000000] [--rounds 3] [--changed spread|newest] [--env-file FILE]

The source, a T-SQL server, and the target of the settings are used: a table `bench_refresh` is made in both. Before
each run one row in a hundred is changed on the source: every hundredth (`spread`), or those of the highest keys
(`newest`); the target's table is vacuumed, and a checkpoint made, as there is more than one between two nights. So the
first change of a page writes the page whole to the WAL (`full_page_writes`); that part is shown by itself. What of
the WAL is the live table's, its indexes and TOAST included, is read by the extension pg_walinspect where the target
has it. Ratios are medians of the ratios within each round, other figures medians of the rounds; the modes take turns
in who comes first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from bench.shapes import create_shape
from bench.speed import ROOT, measure
from db import connect_source, connect_target, find_env_file, load_settings
from model.settings import Settings
from postgres.names import quote

TABLE = "bench_refresh"
#: of replication, and gone with the connection
SLOT = "bench_refresh"
MODES = ("truncate", "merge", "swap")
#: one row in so many is changed
ONE_IN = 100

#: the table's own files: rows, indexes, TOAST and its index
FILES = """
WITH own AS (
    SELECT c.oid, c.reltoastrelid FROM pg_class AS c WHERE c.oid = %(table)s::regclass
), parts AS (
    SELECT oid FROM own UNION SELECT reltoastrelid FROM own WHERE reltoastrelid <> 0
)
SELECT array_agg(pg_relation_filenode(oid)) FROM (
    SELECT oid FROM parts UNION SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT oid FROM parts)
) AS relations
"""
#: bytes of all records that touch these files, and of the whole pages among them
WAL_OF_FILES = """
SELECT coalesce(sum(length), 0)::bigint, coalesce(sum(pages), 0)::bigint FROM (
    SELECT max(record_length) AS length, sum(block_fpi_length) AS pages
    FROM pg_get_wal_block_info(%(first)s, %(last)s, false) WHERE relfilenode = ANY (%(files)s) GROUP BY start_lsn
) AS records
"""
#: rows that are dead but still there; counted in the table itself, since statistics come late
DEAD = "SELECT dead_tuple_count FROM pgstattuple(%(table)s::regclass)"


@dataclass(frozen=True)
class Refresh:
    """What one run took: seconds, bytes of WAL, rows that it left dead."""

    seconds: float
    wal: float
    #: of that, what was written to the live table; and of this, whole pages; None where nobody can tell
    live_wal: float | None
    pages: float | None
    dead: float | None


#: the columns of the table that is printed, and how each is found
FIGURES: Mapping[str, tuple[str, Callable[[Refresh], float | None]]] = {
    "seconds": ("{:.2f}", lambda one: one.seconds),
    "WAL MB": ("{:.1f}", lambda one: one.wal / 1e6),
    "to the live table": ("{:.1f}", lambda one: None if one.live_wal is None else one.live_wal / 1e6),
    "without whole pages": (
        "{:.1f}", lambda one: None if one.live_wal is None or one.pages is None else (one.live_wal - one.pages) / 1e6,
    ),
    "dead rows": ("{:,.0f}", lambda one: one.dead),
}  # fmt: skip


def change(source: Any, rows: int, number: int, where: str) -> None:
    """Change one row in a hundred, by a name that tells the change's number."""
    chosen = f"id % {ONE_IN} = {number % ONE_IN}" if where == "spread" else f"id > {rows - rows // ONE_IN}"
    source.execute(
        f"UPDATE {TABLE} SET amount = amount + 1, name = CONCAT(N'Change ', {number}, N' of ', id) WHERE {chosen}"
    )


class Target:
    """The target's table as it is looked at between runs."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"{quote(settings.target_schema)}.{quote(TABLE)}"
        self._connection = connect_target(settings)
        self._connection.rollback()
        self._connection.autocommit = True
        self._has = {name: self._install(name) for name in ("pg_walinspect", "pgstattuple")}

    def close(self) -> None:
        """Leave the server."""
        self._connection.close()

    def _install(self, extension: str) -> bool:
        try:
            self.ask(f"CREATE EXTENSION IF NOT EXISTS {extension}")
        except psycopg2.Error:
            return False
        return True

    def ask(self, sql: str, **values: object) -> tuple[Any, ...]:
        """The one row of a query; an empty one of a statement without any."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, {"table": self.name, **values})
            found: tuple[Any, ...] = cursor.fetchone() if cursor.description else ()
            return found

    def prepare(self) -> None:
        """Make the table as a night finds it: vacuumed, and every page written since."""
        self.ask(f"VACUUM (ANALYZE) {self.name}")
        self.ask("CHECKPOINT")
        if self._has["pg_walinspect"]:
            # So that no checkpoint removes WAL that is still to be read.
            self.ask("SELECT pg_create_physical_replication_slot(%(slot)s, true, true)", slot=SLOT)

    def position(self) -> str:
        """Where the WAL ends."""
        return str(self.ask("SELECT pg_current_wal_insert_lsn()")[0])

    def look(self, first: str, seconds: float) -> Refresh:
        """What a run has left that began when the WAL ended at `first`."""
        last = self.position()
        (wal,) = self.ask("SELECT %(last)s::pg_lsn - %(first)s::pg_lsn", first=first, last=last)
        live: tuple[Any, ...] = (None, None)
        if self._has["pg_walinspect"]:
            (files,) = self.ask(FILES)
            # What is not written to disk yet cannot be read back.
            self.ask("SELECT pg_switch_wal()")
            live = self.ask(WAL_OF_FILES, first=first, last=last, files=files)
            self.ask("SELECT pg_drop_replication_slot(%(slot)s)", slot=SLOT)
        dead = self.ask(DEAD)[0] if self._has["pgstattuple"] else None
        return Refresh(seconds, float(wal), live[0], live[1], dead)


def main() -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--changed", choices=("spread", "newest"), default="spread")
    parser.add_argument("--env-file", type=Path)
    arguments = parser.parse_args()
    env_file = find_env_file(arguments.env_file)
    env = ["--env-file", str(env_file.resolve())] if env_file else []
    settings = load_settings(env_file)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    results: dict[str, list[Refresh]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as name, closing(connect_source(settings)) as source:
        folder = Path(name)
        create_shape(source, "mixed", arguments.rows, TABLE)

        def run(script: str, *flags: str) -> float:
            command = [sys.executable, str(ROOT / script), "--tables", TABLE, *flags, *env]
            return measure(command, environment, folder).wall

        run("replicate-schema.py", "--recreate")
        run("sync-data.py")
        with closing(Target(settings)) as target:
            target.ask(f"ALTER TABLE {target.name} SET (autovacuum_enabled = false)")
            # Another one than in any run before, since the source keeps what was changed then.
            number = int(time.time())
            for turn in range(arguments.rounds):
                for mode in (*MODES[turn % 3 :], *MODES[: turn % 3]):
                    number += 1
                    change(source, arguments.rows, number, arguments.changed)
                    target.prepare()
                    first = target.position()
                    one = target.look(first, run("sync-data.py", "--refresh", mode))
                    wanted = arguments.rows // ONE_IN
                    if target.ask(f"SELECT count(*) FROM {target.name} WHERE name LIKE 'Change {number} of %%'") != (
                        wanted,
                    ):
                        raise RuntimeError(f"{mode} did not bring the {wanted:,} changed rows")
                    results[mode].append(one)
                    print(f"round {turn + 1}: {mode:<9}{one.seconds:8.2f} s{one.wal / 1e6:9.1f} MB of WAL", flush=True)
    _print_table(results)
    return 0


def _print_table(results: Mapping[str, Sequence[Refresh]]) -> None:
    print("\n| mode | " + " | ".join(f"{name} | ÷ truncate" for name in FIGURES) + " |")
    print("|---|" + "---:|" * 2 * len(FIGURES))
    for mode, runs in results.items():
        cells = []
        for form, figure in FIGURES.values():
            found = [value for value in map(figure, runs) if value is not None]
            others = [value for value in map(figure, results["truncate"]) if value]
            ratios = [mine / other for mine, other in zip(found, others, strict=False)]
            cells.append(form.format(statistics.median(found)) if found else "")
            cells.append(f"{statistics.median(ratios):.3f}" if ratios else "")
        print(f"| {mode} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())

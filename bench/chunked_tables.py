"""Tables on a stand-in, empty on an embedded PostgreSQL: as many, with as many rows, as a measurement needs.

`python -m standin --database bench.chunked_tables:database` serves them; TABLES and ROWS in the environment say how
many tables, and rows of each.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.process import process_of
from tests.harness import Workplace, source_settings

NAME = "chunked"
TABLES, ROWS = "BENCH_TABLES", "BENCH_ROWS"
COLUMNS = (
    Column("id", SqlType("int"), is_nullable=False), Column("big", SqlType("bigint")),
    Column("amount", SqlType("decimal", 9, 18, 4)), Column("created", SqlType("datetime2", scale=3)),
    Column("name", SqlType("nvarchar", 120)),
)  # fmt: skip
SELECT = """
SELECT i, i * 7919, CAST(i AS decimal(18, 4)) / 8, TIMESTAMP '2020-01-01' + to_seconds(i), 'a name of some length ' || i
FROM range({rows}) AS t(i)
"""


def database() -> tuple[Database, Mapping[str, str]]:
    """What the stand-in serves."""
    tables, rows = int(os.environ[TABLES]), int(os.environ[ROWS])
    made = tuple(
        Table("dbo", name, COLUMNS, primary_key=Key(f"PK_{name}", (KeyColumn("id"),), is_clustered=True))
        for name in (f"T{number:04}" for number in range(1, tables + 1))
    )
    return Database(NAME, made), {table.full_name: SELECT.format(rows=rows) for table in made}


@contextmanager
def chunked(folder: Path, tables: int, rows: int, chunk_rows: int) -> Iterator[Workplace]:
    """Both servers, each a process of its own, and a folder in which scripts are started; chunks of so many rows.

    Raises RuntimeError where the tables cannot be made on the target.
    """
    with contextlib.ExitStack() as stack:
        with _environment({TABLES: str(tables), ROWS: str(rows)}):
            port = stack.enter_context(process_of("bench.chunked_tables:database"))
        target = stack.enter_context(EmbeddedTarget())
        target.create_database(NAME)
        settings = {
            **source_settings(port, NAME), "MSSQL_ENCRYPT": "no", **target.environment(NAME),
            "CHUNK_ROWS": str(chunk_rows),
        }  # fmt: skip
        workplace = Workplace(folder, settings, told=())
        schema = workplace.run("schema", timeout=3600)
        if schema.code:
            raise RuntimeError(f"the tables could not be made:\n{schema.text}")
        workplace.schema_progress.unlink(missing_ok=True)
        yield workplace


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

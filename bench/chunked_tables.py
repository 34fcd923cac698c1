"""Tables on a stand-in, empty on an embedded PostgreSQL: as many, with as many rows, as a measurement needs.

`python -m standin --database bench.chunked_tables:database` serves them; ROWS and SHAPE in the environment say
how many rows each table has, and which of SHAPES all have.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.process import process_of
from tests.harness import Workplace, source_settings

NAME = "chunked"
ROWS, SHAPE = "BENCH_ROWS", "BENCH_SHAPE"


@dataclass(frozen=True)
class Shape:
    """A table's columns after its key `id`, and what DuckDB makes each of, from the row's number `i`."""

    columns: tuple[Column, ...]
    values: str


SHAPES: Mapping[str, Shape] = {
    "narrow": Shape(
        (Column("quantity", SqlType("int")), Column("day", SqlType("date"))),
        "i % 1000, DATE '2000-01-01' + CAST(i % 9000 AS integer)",
    ),
    "five": Shape(
        (
            Column("big", SqlType("bigint")), Column("amount", SqlType("decimal", 9, 18, 4)),
            Column("created", SqlType("datetime2", scale=3)), Column("name", SqlType("nvarchar", 120)),
        ),
        "i * 7919, CAST(i AS decimal(18, 4)) / 8, TIMESTAMP '2020-01-01' + to_seconds(i),"
        " 'a name of some length ' || i",
    ),
    "mixed": Shape(
        (
            Column("big", SqlType("bigint")), Column("amount", SqlType("decimal", 9, 18, 4)),
            Column("price", SqlType("money")), Column("ratio", SqlType("float", 8, 53)),
            Column("created", SqlType("datetime2", scale=6)), Column("code", SqlType("varchar", 20)),
            Column("name", SqlType("nvarchar", 120)), Column("flag", SqlType("bit")),
            Column("uid", SqlType("uniqueidentifier")),
        ),
        "i * 7919, CAST(i % 1000000 AS decimal(18, 4)) / 8, CAST(i % 100000 AS decimal(19, 4)) / 8, i * 1.1,"
        " TIMESTAMP '2020-01-01' + to_seconds(i), 'code ' || i, 'Name number ' || i || ' é', i % 2,"
        " md5(CAST(i AS varchar))::uuid",
    ),
}  # fmt: skip


def database() -> tuple[Database, Mapping[str, str]]:
    """What the stand-in serves."""
    counts, shape = [int(count) for count in os.environ[ROWS].split()], SHAPES[os.environ[SHAPE]]
    columns = (Column("id", SqlType("int"), is_nullable=False), *shape.columns)
    made = tuple(
        Table("dbo", name, columns, primary_key=Key(f"PK_{name}", (KeyColumn("id"),), is_clustered=True))
        for name in (f"T{number:04}" for number in range(1, len(counts) + 1))
    )
    return Database(NAME, made), {
        table.full_name: f"SELECT i, {shape.values} FROM range({count}) AS t(i)"
        for table, count in zip(made, counts, strict=True)
    }


@contextmanager
def chunked(folder: Path, rows: Sequence[int], chunk_rows: int, shape: str = "five") -> Iterator[Workplace]:
    """Both servers, each a process of its own, and a folder in which scripts are started; chunks of so many rows.

    The tables are `T0001` and so on, with so many rows each.

    Raises RuntimeError where the tables cannot be made on the target.
    """
    with contextlib.ExitStack() as stack:
        with _environment({ROWS: " ".join(map(str, rows)), SHAPE: shape}):
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

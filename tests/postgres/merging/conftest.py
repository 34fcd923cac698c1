"""A target database in which tables are staged and merged by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from postgres import locks
from postgres.merging import Applied, apply, create_staging, describe
from postgres.names import TargetName

#: the rows of a table as they are stored, each with its number of times: what `record_image_eq` compares
IMAGES = "SELECT encode(record_send(t.*::record), 'hex') FROM ONLY {} AS t ORDER BY 1"


@dataclass
class MergeScene:
    """A connection, not in autocommit mode, and what was merged with it."""

    connection: Any
    said: list[str] = field(default_factory=list)

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """A statement in a transaction of its own, and its rows."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
        return found

    def stage(self, *tables: TargetName) -> None:
        """Empty staging tables for these."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT to_regnamespace('replication_staging') IS NULL")
            if cursor.fetchone() == (True,):
                cursor.execute("CREATE SCHEMA replication_staging")
            for table in tables:
                create_staging(cursor, table, staging_of(table))
        self.connection.commit()

    def stage_copy(self, *tables: TargetName) -> None:
        """Staging tables with the rows that the live ones have now."""
        self.stage(*tables)
        for table in tables:
            columns = self.run(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND attgenerated = '' AND NOT attisdropped",
                table.quoted,
            )[0][0]
            self.run(f"INSERT INTO {staging_of(table).quoted} ({columns}) SELECT {columns} FROM ONLY {table.quoted}")

    def merge(self, *tables: TargetName) -> dict[TargetName, Applied]:
        """Merge all of them in one transaction, with the search path of a run; a failure is rolled back."""
        pairs = {table: staging_of(table) for table in tables}
        self.run("SET search_path = pg_catalog")
        try:
            with self.connection.cursor() as cursor:
                locks.lock(cursor, tables, "SHARE ROW EXCLUSIVE")
                merges = describe(cursor, pairs)
                for staging in pairs.values():
                    cursor.execute(f"ANALYZE {staging.quoted}")
                done = apply(cursor, merges, tell=self.said.append)
            self.connection.commit()
        except BaseException:
            self.connection.rollback()
            raise
        finally:
            self.run("RESET search_path")
        return done

    def are_equal(self, *tables: TargetName) -> bool:
        """Whether the tables are as they are staged, byte by byte."""
        return all(self.images(table) == self.images(staging_of(table)) for table in tables)

    def images(self, table: TargetName) -> list[tuple[Any, ...]]:
        """All rows of a table, byte by byte."""
        return self.run(IMAGES.format(table.quoted))

    def places(self, table: TargetName) -> Sequence[tuple[Any, ...]]:
        """Where every row of a table lies, and who wrote it: the same for rows that nobody has touched."""
        return self.run(f"SELECT t.ctid::text, t.xmin::text, t.* FROM ONLY {table.quoted} AS t ORDER BY t.ctid")


def staging_of(table: TargetName) -> TargetName:
    """Where a table's rows are staged."""
    return TargetName("replication_staging", f"{table.schema}.{table.table}")


def public(name: str) -> TargetName:
    """A table of the schema public."""
    return TargetName("public", name)


@pytest.fixture
def scene(target: EmbeddedTarget, target_database: str) -> Iterator[MergeScene]:
    """An empty database to merge in."""
    connection = target.connect(target_database)
    connection.autocommit = False
    yield MergeScene(connection)
    connection.close()

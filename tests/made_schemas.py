"""Databases that went through the schema phase, and what PostgreSQL holds of them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.shop import INT, ROWVERSION, nvarchar, varchar
from demo.target import EmbeddedTarget
from model.catalog import (
    Check,
    Column,
    Computed,
    Database,
    Default,
    ForeignKey,
    Identity,
    Index,
    Key,
    KeyColumn,
    OtherObject,
    SqlType,
    Table,
)
from standin.server import StandIn
from tests.harness import DEFAULT_TIMEOUT_S, Finished, Workplace, clean_environment, source_settings
from tests.samples import query

Entry = dict[str, str]


@dataclass
class Made:
    """A database that went through the schema phase."""

    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql, *values)

    def one(self, sql: str, *values: object) -> Any:
        """The only value of a query on the target."""
        ((value,),) = self.query(sql, *values)
        return value

    def entries(self) -> dict[tuple[str, str], Entry]:
        """The report by kind and name."""
        document = json.loads((self.workplace.folder / "schema_report.json").read_text(encoding="utf-8"))
        return {(entry["kind"], entry["name"]): entry for entry in document["objects"]}

    def entry(self, kind: str, name: str) -> Entry:
        """One object of the report."""
        return self.entries()[kind, name]

    def columns(self, table: str) -> dict[str, tuple[str, bool]]:
        """Type and NOT NULL of a table's columns, by name, in order."""
        sql = (
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
        )
        return {name: (kind, refuses) for name, kind, refuses in self.query(sql, table)}

    def index(self, name: str) -> str:
        """An index as PostgreSQL writes it, after the table's name."""
        return str(self.one("SELECT pg_get_indexdef(%s::regclass)", name)).partition(" USING btree ")[2]

    def constraint(self, table: str, name: str) -> str:
        """A constraint as PostgreSQL writes it; empty where there is none."""
        sql = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s"
        return "".join(text for (text,) in self.query(sql, table, name))


def make(
    source: StandIn, database: Database, target: EmbeddedTarget, folder: Path, name: str, **settings: str
) -> tuple[Made, Finished]:
    """Run the schema phase into a fresh database of that name."""
    target.create_database(name)
    environment = {**source_settings(source.port, database.name), **target.environment(name), **settings}
    workplace = Workplace(folder, environment)
    return Made(workplace, target, name), workplace.run("schema")


def run_on(database: Database, target: EmbeddedTarget, folder: Path, **settings: str) -> tuple[Made, Finished]:
    """The schema phase over a small database of the test's own."""
    with StandIn(database, {}) as source:
        return make(source, database, target, folder, database.name, **settings)


def dump(target: EmbeddedTarget, database: str) -> str:
    """The schema as pg_dump writes it, without the tool's own part, and the word that is new in every dump."""
    program = target.psql.with_name("pg_dump")
    process = subprocess.run(
        [str(program), "--schema-only", "--exclude-schema=replication"],
        env=clean_environment(target.environment(database)), capture_output=True, text=True, encoding="utf-8",
        timeout=DEFAULT_TIMEOUT_S, check=True,
    )  # fmt: skip
    return re.sub(r"(?m)^\\(un)?restrict .*$", "", process.stdout)


def large_database(count: int) -> Database:
    """A database of so many tables as a company has them: what is remarked upon is everywhere, and mostly the same."""
    return Database("large", tuple(_large_table(number) for number in range(count)), others=tuple(_code(count)))


def _large_table(number: int) -> Table:
    name = f"Table{number:03}"
    columns = (
        Column("ID", INT, is_nullable=False, identity=Identity()),
        Column("Name", nvarchar(50)),
        Column("Created", SqlType("datetime2", scale=7), default=Default(f"DF_{name}_Created", "(sysdatetime())")),
        Column("At", SqlType("datetimeoffset", scale=3)),
        Column("Version", ROWVERSION, is_nullable=False),
        Column("Owner", INT, default=Default(f"DF_{name}_Owner", "([dbo].[CurrentOwner]())")),
        Column("Secret", varchar(20), is_masked=number % 3 == 0),
        Column("Parent", INT),
        Column("Label", nvarchar(60), computed=Computed("([dbo].[LabelOf]([Name]))")),
    )
    return Table(
        "dbo",
        name,
        columns,
        Key(f"PK_{name}", (KeyColumn("ID"),)),
        indexes=(
            Index("IX_Name", (KeyColumn("Name"),)),
            Index(f"IX_{name}_Created", (KeyColumn("Created"),), filter=f"([Parent]>[dbo].[First{number % 5}]())"),
        ),
        foreign_keys=(
            ForeignKey(f"FK_{name}", ("Parent",), "dbo", f"Table{number // 2:03}", ("ID",), is_trusted=number % 4 > 0),
        ),
        checks=(Check(f"CK_{name}", f"([Name] like '%{number}%' AND [dbo].[IsFine]([Name])=(1))"),),
        traits=("temporal",) if number % 50 == 0 else (),
    )


def _code(count: int) -> Iterator[OtherObject]:
    for number in range(count):
        text = f"CREATE VIEW [dbo].[View{number:03}] AS\nSELECT [ID], [Name]\nFROM [dbo].[Table{number:03}]"
        yield OtherObject("view", "dbo", f"View{number:03}", text)
    for number in range(count // 3):
        text = f"CREATE PROCEDURE [dbo].[Do{number:03}] AS SELECT 1 AS [One]"
        yield OtherObject("sql stored procedure", "dbo", f"Do{number:03}", text)

"""Every object of the source is in PostgreSQL or in the report, counted by `bench.account` on both sides."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from db import connect_source, load_settings, wheel_driver
from demo.shop import INT, nvarchar
from demo.target import EmbeddedTarget
from model.catalog import Check, Column, Database, Default, Identity, Table
from mssql.introspection import read_database
from standin.server import StandIn
from tests.handmade import HANDMADE, HANDMADE_ROWS, LONG_NAME, create_on, index, primary, required
from tests.harness import DEFAULT_TIMEOUT_S, ROOT, Finished, Workplace, clean_environment, source_settings
from tests.made_schemas import Made, dump, make
from tests.samples import query, target_tables, write_progress
from tests.tsql_servers import own_database


def account(made: Made, *flags: str) -> Finished:
    """What `python -m bench.account` says of a replicated schema."""
    report = str(made.workplace.folder / "schema_report.json")
    process = subprocess.run(
        [sys.executable, "-m", "bench.account", "--report", report, *flags],
        cwd=ROOT, env=clean_environment(made.workplace.environment), capture_output=True, text=True, encoding="utf-8",
        timeout=DEFAULT_TIMEOUT_S, check=False,
    )  # fmt: skip
    return Finished(process.returncode, process.stdout, process.stderr)


@pytest.fixture(scope="module")
def handmade() -> Iterator[StandIn]:
    """The hand-made database, served for all tests here."""
    with StandIn(HANDMADE, HANDMADE_ROWS) as source:
        yield source


@pytest.fixture(scope="module")
def made(handmade: StandIn, target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The hand-made database in PostgreSQL."""
    result, finished = make(handmade, HANDMADE, target, tmp_path_factory.mktemp("objects"), "objects")
    assert finished.code == 0, finished.text
    return result


# -- the account ------------------------------------------------------------------------------------


def test_every_object_is_accounted_for(made: Made) -> None:
    counted = account(made)
    assert counted.code == 0, counted.text
    assert counted.out.splitlines()[-1] == "objects unaccounted for: 0"
    counts = {line[:34].strip(): line.split()[-4:] for line in counted.out.splitlines()[1:-1]}
    tables = HANDMADE.tables
    assert counts["table"] == [str(len(tables)), str(len(tables)), "0", "0"]
    assert counts["column"][0] == str(sum(len(table.columns) for table in tables))
    assert counts["index"][0] == str(sum(len(table.indexes) for table in tables))
    assert counts["foreign key"][:2] == [str(sum(len(table.foreign_keys) for table in tables))] * 2
    assert counts["sequence"][:2] == ["3", "3"]


def test_every_object_is_there_under_its_name_or_under_one_that_the_report_tells(made: Made) -> None:
    listed = account(made, "--names").out.splitlines()
    for line in (
        "schema Sales = sales",
        "table Sales.Regions = sales.regions",
        "column dbo.Indexed.ParentID = parentid",
        "primary key dbo.Indexed.PK_Indexed = pk_indexed",
        "unique constraint dbo.Indexed.UQ_Indexed_Code = uq_indexed_code",
        "index dbo.Indexed.IX_Include = ix_include",
        "index dbo.Indexed.IX_Same = indexed_ix_same",  # two tables have it
        "foreign key dbo.Children.FK_Two = fk_two",
        "check dbo.Indexed.CK_Indexed_Price = ck_indexed_price",
        "default dbo.Defaulted.Zero = zero",
        "sequence dbo.Vouchers = public.vouchers",
        "comment index dbo.Indexed.IX_Same = index dbo.Indexed.IX_Same",
        "comment sequence dbo.Vouchers = sequence dbo.Vouchers",
    ):
        assert line in listed, line
    (cut,) = [line for line in listed if line.startswith(f"table dbo.{LONG_NAME} = ")]
    assert re.fullmatch(r"public\.a name of 128 characters x+_[0-9a-f]{8}", cut.partition(" = ")[2])


def test_the_account_notices_whatever_is_lost(made: Made, target: EmbeddedTarget) -> None:
    query(target, "postgres", 'CREATE DATABASE "lossy" TEMPLATE "objects"')
    lossy = Made(made.workplace.with_settings(PGDATABASE="lossy"), target, "lossy")
    lossy.query("DROP INDEX ix_include; CREATE INDEX ix_include ON indexed (region, price, state, day)")
    lossy.query(
        "ALTER TABLE children DROP CONSTRAINT fk_two, ADD CONSTRAINT fk_two FOREIGN KEY (pa, pb) REFERENCES parents"
    )
    lossy.query("ALTER TABLE acts1 DROP CONSTRAINT fk_acts1")
    lossy.query("ALTER TABLE checked DROP CONSTRAINT ck_state")
    lossy.query("ALTER TABLE defaulted ALTER zero SET DEFAULT 1, ALTER text DROP DEFAULT")
    lossy.query("ALTER TABLE indexed ALTER price TYPE numeric(12,2)")
    lossy.query("ALTER TABLE idint ALTER number SET INCREMENT BY 11")
    lossy.query("COMMENT ON TABLE sales.regions IS NULL; COMMENT ON INDEX indexed_ix_same IS NULL")
    lossy.query("DROP TABLE heap")
    lossy.query("ALTER SEQUENCE unused INCREMENT BY 6")
    lossy.query("ALTER TABLE indexedtoo DROP CONSTRAINT pk_indexedtoo")
    lossy.query("ALTER TABLE computed DROP COLUMN total CASCADE")
    # Not the number of things, but their names.
    lossy.query(
        "ALTER INDEX ix_uniqueinclude RENAME TO ix_other; ALTER TABLE parents RENAME CONSTRAINT pk_parents TO pk"
    )
    lossy.query("ALTER TABLE indexed RENAME CONSTRAINT ck_indexed_price TO price")
    lossy.query("ALTER TABLE cyclea RENAME CONSTRAINT fk_ab TO fk_other; ALTER TABLE cyclea ALTER other SET DEFAULT 1")
    lossy.query("ALTER SEQUENCE vouchers RENAME TO tickets; COMMENT ON CONSTRAINT pk_indexed ON indexed IS NULL")
    counted = account(lossy)
    assert counted.code == 1
    lost = {line.strip().split(":")[0] for line in counted.out.splitlines() if line.startswith("  ")}
    expected = {
        "index dbo.Indexed.IX_Include", "foreign key dbo.Children.FK_Two", "foreign key dbo.Acts1.FK_Acts1",
        "check dbo.Checked.CK_State", "default dbo.Defaulted.Zero", "default dbo.Defaulted.Text",
        "column dbo.Indexed.Price", "identity dbo.IdInt.Number", "comment table Sales.Regions", "table dbo.Heap",
        "column dbo.Heap.Anything", "sequence dbo.Unused", "primary key dbo.IndexedToo.PK_IndexedToo",
        "column dbo.Computed.Total", "computed column dbo.Computed.Total", "index dbo.Computed.IX_Computed_Total",
        "table dbo.Computed", "index dbo.Indexed.IX_UniqueInclude", "index dbo.Indexed", "index dbo.Parents",
        "primary key dbo.Parents.PK_Parents", "check dbo.Indexed.CK_Indexed_Price", "constraint dbo.Indexed",
        "foreign key dbo.CycleA.FK_AB", "constraint dbo.CycleA", "default dbo.CycleA", "sequence dbo.Vouchers",
        "comment primary key dbo.Indexed.PK_Indexed",
    }  # fmt: skip
    assert expected <= lost
    assert counted.out.splitlines()[-1] == f"objects unaccounted for: {len(lost)}"


def test_on_a_tsql_server_every_object_is_accounted_for(
    tsql_server: Mapping[str, str], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    with own_database(tsql_server, "handmade") as there:
        settings = {**there, **target.environment(target_database)}
        made = Made(Workplace(tmp_path, settings), target, target_database)
        connection = connect_source(load_settings(None, settings))
        refused = create_on(connection)
        connection.close()
        finished = made.workplace.run("schema")
        assert finished.code == 0, finished.text
        counted = account(made)
        assert counted.code == 0, counted.text
        again = made.workplace.run("schema")
        assert again.code == 0, again.text
    # Whatever the server is, most of it must have gone in.
    assert len(refused) < 30, refused
    assert made.index("ix_include") if len(refused) == 0 else True
    assert made.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") > 20


def test_on_a_tsql_server_northwind_arrives_by_name(
    tsql_server: Mapping[str, str], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    script = os.environ.get("NORTHWIND_SCRIPT")
    if not script:
        pytest.skip("no Northwind: set NORTHWIND_SCRIPT to the path of Microsoft's instnwnd.sql to run this")
    with own_database(tsql_server, "northwind") as there:
        made = Made(Workplace(tmp_path, {**there, **target.environment(target_database)}), target, target_database)
        # A server that ignores NOCHECK refuses rows, of which nothing is said here.
        subprocess.run(
            [sys.executable, "-m", "bench.run_tsql_script", script],
            cwd=ROOT, env=clean_environment(made.workplace.environment), capture_output=True,
            timeout=10 * DEFAULT_TIMEOUT_S, check=False,
        )  # fmt: skip
        finished = made.workplace.run("schema")
        assert finished.code == 0, finished.text
        counted = account(made, "--names")
    assert counted.code == 0, counted.text
    listed = [line.lower() for line in counted.out.splitlines()]
    for line in (
        "table dbo.order details = public.order details",
        "column dbo.orders.shipvia = shipvia",
        "primary key dbo.order details.pk_order_details = pk_order_details",
        "foreign key dbo.orders.fk_orders_customers = fk_orders_customers",
        "check dbo.order details.ck_discount = ck_discount",
        "default dbo.orders.freight = freight",
    ):
        assert line in listed, line
    counts = {line[:34].strip(): line.split()[-4:] for line in counted.out.splitlines() if line[-1:].isdigit()}
    for kind, count in (("table", 13), ("column", 88), ("primary key", 13), ("check", 8), ("default", 9)):
        assert counts[kind] == [str(count), str(count), "0", "0"], kind


# -- the catalog is read in a few queries --------------------------------------------------------------


class _Counting:
    """A pyodbc connection whose cursors count the statements they are given."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def cursor(self) -> _Counting._Cursor:
        """A counting cursor."""
        return self._Cursor(self._connection.cursor(), self.statements)

    class _Cursor:
        def __init__(self, cursor: Any, statements: list[str]) -> None:
            self._cursor, self._statements = cursor, statements

        def execute(self, sql: str, *parameters: Any) -> Any:
            self._statements.append(sql)
            return self._cursor.execute(sql, *parameters)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._cursor, name)


def _many(count: int) -> Database:
    tables = tuple(
        Table(
            "dbo",
            f"T{number:03}",
            (
                required("ID", INT, identity=Identity()),
                Column("Name", nvarchar(20), default=Default(f"DF_{number}", "(N'x')"), comment="A name."),
            ),
            primary(f"PK_{number}", "ID"),
            indexes=(index(f"IX_{number}", "Name"),),
            checks=(Check(f"CK_{number}", "([ID]>(0))"),),
        )
        for number in range(count)
    )
    return Database("many", tables)


def test_the_number_of_catalog_queries_does_not_depend_on_the_number_of_tables() -> None:
    statements = {}
    for count in (3, 60):
        with StandIn(_many(count), {}) as source:
            connection = pyodbc.connect(source.connection_string(str(wheel_driver() or "FreeTDS")))
            counting = _Counting(connection)
            assert len(read_database(counting, ("MS_Description",)).tables) == count
            connection.close()
            statements[count] = counting.statements
    assert statements[3] == statements[60]
    assert len(statements[60]) < 50


# -- dry run ------------------------------------------------------------------------------------------------


def test_dry_run_is_accepted_by_psql_and_makes_what_a_run_makes(
    made: Made, handmade: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    for name in ("dry", "scripted"):
        target.create_database(name)
    environment = {**source_settings(handmade.port, HANDMADE.name), **target.environment("dry")}
    workplace = Workplace(tmp_path, environment)
    finished = workplace.run("schema", "--dry-run")
    assert finished.code == 0, finished.text
    assert finished.err == ""
    # Nothing was touched, on either side of it.
    assert list(tmp_path.iterdir()) == []
    assert target_tables(target, "dry") == []
    assert query(target, "dry", "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_)'") == [
        ("public",)
    ]
    script = tmp_path / "schema.sql"
    script.write_text(finished.out, encoding="utf-8")
    ran = subprocess.run(
        [str(target.psql), "--no-psqlrc", "--quiet", "--file", str(script)],
        env=clean_environment(target.environment("scripted")), capture_output=True, text=True, encoding="utf-8",
        timeout=DEFAULT_TIMEOUT_S, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert dump(target, "scripted") == dump(target, "objects")
    for entry in made.entries().values():
        if entry["state"] == "skipped":
            assert " ".join(f"-- not made: {entry['kind']} {entry['name']}".split()) in finished.out


# -- the report tells what came true --------------------------------------------------------------------------


def test_a_table_that_fails_takes_its_parts_out_of_what_is_done(
    handmade: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    target.create_database("failing")
    # In the way: a table of another shape, and an index under a name that is wanted.
    query(target, "failing", "CREATE TABLE indexedtoo (id text)")
    query(target, "failing", "CREATE TABLE other (a integer); CREATE INDEX ux_parents_code ON other (a)")
    environment = {**source_settings(handmade.port, HANDMADE.name), **target.environment("failing")}
    made = Made(Workplace(tmp_path, environment), target, "failing")
    tables = ("--tables", "IndexedToo,Parents,Children,Regions")
    finished = made.workplace.run("schema", *tables)
    assert finished.code == 1, finished.text
    for kind, name in (
        ("table", "dbo.IndexedToo"), ("column", "dbo.IndexedToo.Region"),
        ("primary key", "dbo.IndexedToo.PK_IndexedToo"), ("index", "dbo.IndexedToo.IX_Same"),
        ("index", "dbo.Parents.UX_Parents_Code"),
        ("foreign key", "dbo.Children.FK_UniqueIndex"),
    ):  # fmt: skip
        entry = made.entry(kind, name)
        assert entry["state"] == "skipped", (kind, name)
        assert entry["reason"]
    assert made.entry("foreign key", "dbo.Children.FK_Two")["state"] == "done"
    counted = account(made)
    assert counted.out.splitlines()[-1] == "objects unaccounted for: 0", counted.text
    # What was in the way is gone, and so are the words about it.
    made.query("DROP TABLE indexedtoo, other")
    resumed = made.workplace.run("schema", "--resume", *tables)
    assert resumed.code == 0, resumed.text
    for kind, name in (("index", "dbo.Parents.UX_Parents_Code"), ("foreign key", "dbo.Children.FK_UniqueIndex")):
        assert made.entry(kind, name)["state"] == "done"
    assert made.entry("table", "dbo.IndexedToo")["state"] == "done"


def test_a_table_that_a_run_leaves_alone_is_not_called_done(
    handmade: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    target.create_database("partly")
    environment = {**source_settings(handmade.port, HANDMADE.name), **target.environment("partly")}
    made = Made(Workplace(tmp_path, environment), target, "partly")
    write_progress(made.workplace.schema_progress, "schema", Heap="completed", Versioned="pending")
    finished = made.workplace.run("schema", "--resume", "--tables", "Heap,Versioned")
    assert finished.code == 0, finished.text
    assert made.entry("column", "dbo.Heap.Anything")["state"] == "skipped"
    assert made.entry("column", "dbo.Versioned.Version")["state"] == "changed"


def test_a_run_with_nothing_left_to_do_still_writes_the_report(made: Made) -> None:
    report = made.workplace.folder / "schema_report.json"
    before = json.loads(report.read_text(encoding="utf-8"))
    report.unlink()
    finished = made.workplace.run("schema", "--resume")
    assert finished.code == 0, finished.text
    assert "Nothing left to do" in finished.out
    assert json.loads(report.read_text(encoding="utf-8")) == before

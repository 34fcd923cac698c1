"""The type map: what a person asks for happens in both phases, is shown, and is kept to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from data_phase.job import Job
from data_phase.modes.interface import LoadMode
from data_phase.modes.keep_and_continue import KeepAndContinue
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from db import connect_target, load_settings
from demo.target import EmbeddedTarget
from model.catalog import AliasType, Column, Database, Index, Key, KeyColumn, SqlType, Table
from model.errors import TargetError, TypeMapError
from postgres import own_schema
from postgres.introspection import read_tables
from postgres.load_plan import plan_load
from postgres.names import TargetName
from run.type_map import TypeMap, read_type_map
from standin.server import StandIn
from standin.values import Shape
from tests.harness import Finished, Workplace, source_settings
from tests.loads import begin
from tests.samples import claimed, query
from tests.type_values import extended, point

INT = SqlType("int", 4, 10)
PLACES = Table(
    "dbo",
    "Places",
    (
        Column("Id", INT, is_nullable=False),
        Column("Version", SqlType("timestamp", 8), is_nullable=False),
        Column("At", SqlType("datetimeoffset", 10, 34, 7)),
        Column("Spot", SqlType("geography", -1)),
        Column("About", SqlType("json", -1)),
        Column("Phone", SqlType("varchar", 24, alias="PhoneNumber", alias_schema="Sales")),
        Column("Embedding", SqlType("vector", 16, 2)),
    ),
    Key("PK_Places", (KeyColumn("Id"),)),
    indexes=(
        Index("IX_Version", (KeyColumn("Version"),)),
        Index("IX_Phone", (KeyColumn("Phone"),), included=("Version",)),
    ),
)
LOGS = Table(
    "Sales",
    "Logs",
    (
        Column("Id", INT, is_nullable=False),
        Column("At", SqlType("datetimeoffset", 10, 34, 0)),
        Column("Version", SqlType("timestamp", 8), is_nullable=False),
    ),
    Key("PK_Logs", (KeyColumn("Id"),)),
)
DATABASE = Database("mapped", (PLACES, LOGS), alias_types=(AliasType("Sales", "PhoneNumber", SqlType("varchar", 24)),))
SPOT = point(13.4, 52.5)
ROWS: dict[str, list[tuple[object, ...]]] = {
    "dbo.Places": [
        (1, None, "2024-02-29 12:00:00.1234560 +05:30", SPOT, '{"b": 1, "a": 2}', "030", "[1.0e+000,2.5e-001]"),
        (2, None, None, None, None, None, None),
    ],
    "Sales.Logs": [(1, "2024-02-29 12:00:00 -08:00", None)],
}  # fmt: skip
WHOLE = {
    "types": {"rowversion": "bigint", "datetimeoffset": "offset", "json": "json", "alias": "domain", "vector": "array"},
    "columns": {"Places.Spot": "wkt", "dbo.places.version": "drop", "Sales.Logs.At": "timestamptz"},
}


@dataclass
class Mapped:
    """The two tables, a folder, and an empty database."""

    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def run(self, script: str, document: object = None, *arguments: str) -> Finished:
        """Run a phase with this type map."""
        if document is None:
            return self.workplace.run(script, *arguments)
        file = self.workplace.folder / "types.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return self.workplace.run(script, "--type-map", "types.json", *arguments)

    def types(self, table: str) -> dict[str, str]:
        """Columns of a target table and their types."""
        found = query(
            self.target, self.database,
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum", table,
        )  # fmt: skip
        return dict(found)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    def report(self) -> dict[tuple[str, str], dict[str, str]]:
        """The schema report's entries, by kind and name."""
        text = (self.workplace.folder / "schema_report.json").read_text(encoding="utf-8")
        return {(entry["kind"], entry["name"]): entry for entry in json.loads(text)["objects"]}


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """The tables, to be read only."""
    with StandIn(DATABASE, ROWS) as server:
        yield server


@pytest.fixture
def mapped(
    source: StandIn,
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Mapped:
    """A new folder and database for each test."""
    return Mapped(make_workplace(source, DATABASE), target, target_database)


def test_every_option_happens_in_both_phases_and_is_told(mapped: Mapped) -> None:
    for script in ("schema", "data"):
        finished = mapped.run(script, WHOLE)
        assert finished.code == 0, finished.text
        assert "Type map: types.json (8 entries)" in finished.out
    verified = mapped.run("data", WHOLE, "--verify")
    assert verified.code == 0, verified.text
    assert mapped.types("places") == {
        "id": "integer", "at": "timestamp(6) with time zone", "at_offset": "smallint", "spot": "text",
        "about": "json", "phone": "sales.phonenumber", "embedding": "real[]",
    }  # fmt: skip
    assert mapped.types("sales.logs") == {
        "id": "integer", "at": "timestamp(0) with time zone", "version": "bigint",
    }  # fmt: skip
    instant = "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
    assert mapped.rows(f"SELECT {instant}, at_offset, spot, about::text, phone, embedding FROM places ORDER BY id") == [
        ("2024-02-29 06:30:00.123456", 330, f"SRID=4326;{SPOT.wkt}", '{"b": 1, "a": 2}', "030", [1.0, 0.25]),
        (None,) * 6,
    ]
    assert mapped.rows("SELECT version > 0, version < 100000 FROM sales.logs") == [(True, True)]
    domains = "SELECT typname, format_type(typbasetype, typtypmod) FROM pg_type WHERE typtype = 'd'"
    assert mapped.rows(f"{domains} AND typnamespace = 'sales'::regnamespace") == [
        ("phonenumber", "character varying(24)")
    ]
    report = mapped.report()
    assert report["column", "dbo.Places.Version"]["state"] == "skipped"
    assert "type map" in report["column", "dbo.Places.Version"]["reason"]
    assert "type map drops" in report["index", "dbo.Places.IX_Version"]["reason"]
    assert "type map drops" in report["index", "dbo.Places.IX_Phone"]["reason"]
    assert report["alias type", "Sales.PhoneNumber"]["state"] == "done"
    assert "330" not in report["column", "dbo.Places.At"]["reason"]
    assert "at_offset" in report["column", "dbo.Places.At"]["reason"]
    again = mapped.run("schema", WHOLE)
    assert again.code == 0, again.text


def test_without_a_map_nothing_is_lost_but_what_is_told(mapped: Mapped) -> None:
    for script in ("schema", "data"):
        finished = mapped.run(script)
        assert finished.code == 0, finished.text
    assert mapped.types("places") == {
        "id": "integer", "version": "bytea", "at": "timestamp(6) with time zone", "spot": "bytea", "about": "jsonb",
        "phone": "character varying(24)", "embedding": "real[]",
    }  # fmt: skip
    assert mapped.rows("SELECT encode(spot, 'hex'), about, length(version) FROM places WHERE id = 1") == [
        (extended(SPOT), {"a": 2, "b": 1}, 8)
    ]
    report = mapped.report()
    assert "PostGIS is not installed" in report["column", "dbo.Places.Spot"]["reason"]
    assert "SRID" in report["column", "dbo.Places.Spot"]["reason"]
    assert "offset is not" in report["column", "dbo.Places.At"]["reason"]
    assert "doubled" in report["column", "dbo.Places.About"]["reason"]
    assert report["alias type", "Sales.PhoneNumber"]["state"] == "changed"
    assert "type_map" not in json.loads(mapped.workplace.data_progress.read_text(encoding="utf-8"))


def test_the_dry_run_shows_the_map_and_what_comes_of_it(mapped: Mapped) -> None:
    finished = mapped.run("schema", WHOLE, "--dry-run")
    assert finished.code == 0, finished.text
    assert "-- type map types.json: rowversion: bigint" in finished.out
    assert "-- type map types.json: dbo.Places.Version: drop" in finished.out
    assert 'CREATE DOMAIN "sales"."phonenumber" AS character varying(24);' in finished.out
    assert finished.out.index("CREATE DOMAIN") < finished.out.index("CREATE TABLE")
    assert '"at_offset" smallint' in finished.out
    assert "-- not made: column dbo.Places.Version: dropped by the type map" in finished.out


def test_the_setting_names_a_map_and_the_flag_wins(mapped: Mapped) -> None:
    (mapped.workplace.folder / "other.json").write_text('{"types": {"json": "text"}}', encoding="utf-8")
    mapped.workplace = mapped.workplace.with_settings(TYPE_MAP="other.json")
    assert '"about" text' in mapped.run("schema", None, "--dry-run").out
    assert '"about" json,' in mapped.run("schema", {"types": {"json": "json"}}, "--dry-run").out


@pytest.mark.parametrize("script", ["schema", "data"])
def test_a_session_is_not_resumed_with_another_map(mapped: Mapped, script: str) -> None:
    if script == "data":
        assert mapped.run("schema", WHOLE).code == 0
    assert mapped.run(script, WHOLE, "--tables", "Places").code == 0
    progress = mapped.workplace.schema_progress if script == "schema" else mapped.workplace.data_progress
    before = progress.read_text(encoding="utf-8")
    kept = json.loads(before)["type_map"]
    assert kept["columns"] == {
        "Sales.Logs.At": "timestamptz", "dbo.Places.Spot": "wkt", "dbo.Places.Version": "drop",
    }  # fmt: skip
    other = {**WHOLE, "types": {**WHOLE["types"], "rowversion": "bytea", "xml": "text"}}
    refused = mapped.run(script, other, "--resume")
    assert refused.code == 2, refused.text
    assert "--resume" in refused.err
    assert "another type map" in refused.err
    assert "rowversion: was bigint, is not named" in refused.err
    assert "xml: was not named, is text" in refused.err
    assert mapped.run(script, None, "--resume").code == 2
    assert progress.read_text(encoding="utf-8") == before
    # The same in other words is the same.
    spelled = {"columns": {"PLACES.spot": "wkt", "places.VERSION": "drop", "logs.at": "TimestampTZ"},
               "types": {**WHOLE["types"], "timestamp": "bigint", "geometry": "postgis"}}  # fmt: skip
    del spelled["types"]["rowversion"]
    resumed = mapped.run(script, spelled, "--resume")
    assert resumed.code == 0, resumed.text


def test_a_load_that_began_with_another_map_is_not_continued(target: EmbeddedTarget, target_database: str) -> None:
    """Whatever the progress file says, and though the target could take the values of both."""
    notes = Table(
        "dbo", "Notes", (Column("Id", INT, is_nullable=False), Column("About", SqlType("json", -1))),
        Key("PK_Notes", (KeyColumn("Id"),)),
    )  # fmt: skip
    rows = [(number, "{}") for number in range(100)]
    query(target, target_database, "CREATE TABLE notes (id integer PRIMARY KEY, about text)")
    with StandIn(Database("notes", (notes,)), {"dbo.Notes": rows}) as source:
        reached = {**source_settings(source.port, "notes"), **target.environment(target_database)}
        settings = load_settings(None, {**reached, "CHUNK_ROWS": "20"})
        with closing(connect_target(settings)) as connection:
            own_schema.prepare(connection)
            there = read_tables(connection, ["public"])[TargetName("public", "notes")]
            run = claimed(connection, there.name)

        def job(type_map: TypeMap, mode: LoadMode) -> Job:
            (table,) = type_map.resolved((notes,)).apply((replace(notes, row_count=100),))
            return Job(table, plan_load(table, there, settings), mode, "session", run)

        assert len(begin(settings, job(TypeMap(), TruncateAndCopy())).chunks) == 5
        assert len(begin(settings, job(TypeMap(), KeepAndContinue())).chunks) == 5
        with pytest.raises(TargetError, match="cannot be continued"):
            begin(settings, job(TypeMap({"json": "text"}), KeepAndContinue()))


REFUSED: dict[str, tuple[object, str]] = {
    "no JSON": ('{"types": ', "line 1, column"),
    "no object": ("[]", 'an object with "types" and "columns"'),
    "unknown part": ({"tipes": {}}, '"tipes" is not known; there are "types" and "columns"'),
    "part of another shape": ({"types": []}, '"types" must be an object'),
    "option of another shape": ({"types": {"json": 1}}, '"json": the option must be a text, not 1'),
    "near type": ({"types": {"rowversoin": "bigint"}}, '"rowversoin" is no type with options. Near: rowversion'),
    "type without options": ({"types": {"money": "text"}}, '"money" has no options; those that have: rowversion'),
    "unknown option": (
        {"types": {"rowversion": "date"}}, '"rowversion": "date" is not known; it can be bytea, bigint, drop',
    ),
    "near column": ({"columns": {"Places.Verison": "drop"}}, "there is no such column. Near: dbo.Places.Version"),
    "another type's option": (
        {"columns": {"Places.Spot": "drop"}},
        '"Places.Spot": "drop" does not apply; geography can be postgis, ewkb, wkb, wkt',
    ),
    "column without options": ({"columns": {"Places.Id": "drop"}}, "int has no options"),
    "column twice": ({"columns": {"Places.At": "offset", "dbo.places.at": "offset"}}, "names dbo.Places.At twice"),
    "entry twice": ('{"types": {"json": "json", "JSON": "text"}}', "appears twice"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_map_that_is_wrong_is_refused_by_its_entry(tmp_path: Path, name: str) -> None:
    document, words = REFUSED[name]
    file = tmp_path / "types.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    with pytest.raises(TypeMapError) as caught:
        read_type_map(file).resolved(DATABASE.tables)
    assert words in str(caught.value)
    assert "type map" in str(caught.value)


def test_a_name_that_several_columns_have_is_refused_with_all_of_them() -> None:
    twins = (PLACES, replace(PLACES, schema="Sales"))
    with pytest.raises(TypeMapError, match=r"dbo\.Places\.At, Sales\.Places\.At"):
        TypeMap(columns={"Places.At": "offset"}).resolved(twins)


def test_a_column_that_stands_in_the_way_of_an_offset_is_told() -> None:
    crowded = replace(PLACES, columns=(*PLACES.columns, Column("AT_OFFSET", INT)))
    with pytest.raises(TypeMapError, match=r"dbo\.Places\.At would make a column At_offset"):
        TypeMap({"datetimeoffset": "offset"}).apply([crowded])


@pytest.mark.parametrize("script", ["schema", "data"])
def test_a_map_that_cannot_be_used_stops_before_anything_is_made(mapped: Mapped, script: str) -> None:
    refused = mapped.run(script, {"columns": {"Places.Verison": "drop"}})
    assert refused.code == 2, refused.text
    assert "Near: dbo.Places.Version" in refused.err
    assert mapped.rows("SELECT 1 FROM pg_tables WHERE tablename = 'places'") == []
    absent = mapped.workplace.with_settings(TYPE_MAP="nowhere.json").run(script)
    assert absent.code == 2
    assert "type map nowhere.json cannot be read: No such file or directory" in absent.err


def test_a_domain_that_cannot_be_made_stops_before_any_table(mapped: Mapped) -> None:
    mapped.rows("CREATE SCHEMA sales; CREATE DOMAIN sales.phonenumber AS integer")
    refused = mapped.run("schema", WHOLE)
    assert refused.code == 2, refused.text
    assert "sales.phonenumber over character varying(24): it exists, over integer" in refused.err
    assert mapped.rows("SELECT 1 FROM pg_tables WHERE tablename = 'places'") == []


def test_pgvector_is_used_where_it_is_installed(mapped: Mapped) -> None:
    mapped.rows("CREATE EXTENSION vector")
    for script in ("schema", "data"):
        finished = mapped.run(script)
        assert finished.code == 0, finished.text
    assert mapped.types("places")["embedding"] == "vector(2)"
    assert mapped.rows("SELECT embedding::text FROM places ORDER BY id") == [("[1,0.25]",), (None,)]


def test_postgis_is_used_where_it_is_installed(tmp_path: Path) -> None:
    url = os.environ.get("POSTGIS_TEST_URL")
    if not url:
        pytest.skip("no PostGIS: set POSTGIS_TEST_URL to the address of a database with the extension to run this")
    kinds = {"geog": SqlType("geography", -1), "geom": SqlType("geometry", -1)}
    table = Table(
        "dbo", "gis_shapes", (Column("id", INT, is_nullable=False), *(Column(*pair) for pair in kinds.items()))
    )
    four = Shape(bytes.fromhex("01B90B0000000000000000F03F000000000000F03F00000000000000400000000000000840"), 25832)
    database = Database("gis", (table,))
    rows = [(1, SPOT, four), (2, None, None), (3, point(-180.0, -90.0), point(1.5, 2.5, 0))]
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor, StandIn(database, {"dbo.gis_shapes": rows}) as source:
        cursor.execute("DROP TABLE IF EXISTS gis_shapes")
        workplace = Workplace(tmp_path, {**source_settings(source.port, "gis"), "DATABASE_URL": url})
        for arguments in (("schema",), ("data",), ("schema",), ("data", "--verify")):
            finished = workplace.run(*arguments)
            assert finished.code == 0, finished.text
        cursor.execute("SELECT ST_AsEWKT(geog::geometry), ST_AsEWKT(geom) FROM gis_shapes ORDER BY id")
        assert cursor.fetchall() == [
            ("SRID=4326;POINT(13.4 52.5)", "SRID=25832;POINT(1 1 2 3)"),
            (None, None),
            ("SRID=4326;POINT(-180 -90)", "POINT(1.5 2.5)"),
        ]
        cursor.execute("DROP TABLE gis_shapes")
    connection.close()

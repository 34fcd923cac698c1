"""Values of every type: after a merge a table is as it was staged, byte by byte; what was so before is untouched."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.target import EmbeddedTarget
from postgres.merging import Applied
from tests.postgres.merging.conftest import MergeScene, public, staging_of

T = public("t")
#: values that are easily taken for one another, as SQL's literals of each type
VALUES = {
    "boolean": ["true", "false"],
    "smallint": ["0", "-1", "32767"],
    "bigint": ["0", "1", "9223372036854775807"],
    "numeric": ["0", "1", "1.0", "1.00", "10", "100", "0.1", "-0.10", "NaN", "1e30"],
    "numeric(12,2)": ["0", "1", "1.01", "-1.01", "NaN"],
    "real": ["0", "-0", "1", "NaN", "Infinity", "0.1"],
    "double precision": ["0", "-0", "1", "NaN", "-Infinity", "0.1", "0.30000000000000004", "0.3"],
    "text": ["", " ", "a", "A", "a ", "ä", "a\u0308", "NULL", "é" * 5000, "e" * 5000],
    "varchar(20)": ["", "a", "a ", "A", "\\N", ","],
    "char(4)": ["", "a", "A", "a b", "ß"],
    "bpchar": ["", " ", "a", "a ", "A"],
    "citext": ["", "a", "A", "a ", "straße", "STRASSE"],
    "json": ["{}", '{"a":1}', '{"a": 1}', "1.0", "1.00", "null"],
    "jsonb": ["{}", '{"a":1}', "1.0", "1.00", "null", '"1"'],
    "bytea": ["", "\\x00", "\\x0000", "\\xff"],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "date": ["2000-01-01", "0044-03-15 BC", "infinity"],
    "time": ["00:00", "24:00", "00:00:00.000001"],
    "timetz": ["12:00+00", "13:00+01", "12:00+01"],
    "timestamp": ["2000-01-01", "2000-01-01 00:00:00.000001", "infinity"],
    "timestamptz": ["2000-01-01+00", "2000-01-01+01", "-infinity"],
    "interval": ["1 day", "24 hours", "1 month", "30 days", "0"],
    "integer[]": ["{}", "{1}", "{NULL}", "{{1}}", "[0:0]={1}"],
    "citext[]": ["{a}", "{A}", "{}"],
    "mood": ["sad", "happy"],
    "point": ["(0,0)", "(-0,0)", "(0,1)"],
    "inet": ["10.0.0.1", "10.0.0.1/24", "::1"],
    "int4range": ["empty", "[1,2)", "[1,3)"],
    "varbit": ["", "0", "00"],
    "name_domain": ["a", "A", "a "],
    "amount_domain": ["1.0", "1.00", "2"],
    "pair": ["(1,a)", "(1,)", "(,A)", "(1,A)"],
    "hstore": ["", "a=>1", "a=>NULL"],
    "tsvector": ["", "a:1", "a"],
    "money": ["0", "0.01"],
}
#: what a key can be of: types with an order
KEYS = [
    "bigint", "numeric", "numeric(12,2)", "double precision", "text", "varchar(20)", "char(4)", "bpchar", "citext",
    "uuid", "date", "timestamptz", "interval", "mood", "bytea", "name_domain", "inet", "jsonb", "citext[]",
]  # fmt: skip
#: 1.0 and 1.00 are the same number, and may stay as they are
TRIMMED = ("numeric", "amount_domain")

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Case:
    """A table, the rows that it has, and those that it is to have. The first `keys` columns are its key."""

    types: tuple[str, ...]
    keys: int
    old: tuple[Row, ...]
    new: tuple[Row, ...]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Tables with and without a key, of which some rows are kept, some changed, some gone, some new."""
    key = draw(st.lists(st.sampled_from(KEYS), max_size=2))
    types = (*key, *draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=4)))
    pools = [
        st.sampled_from(VALUES[kind]) if position < len(key) else st.none() | st.sampled_from(VALUES[kind])
        for position, kind in enumerate(types)
    ]
    rows = st.tuples(*pools)
    old = draw(st.lists(rows, max_size=8))
    kept = draw(st.lists(st.sampled_from(old), max_size=8)) if old else []
    changed = []
    for row in draw(st.lists(st.sampled_from(old), max_size=4)) if old else []:
        at = draw(st.integers(0, len(types) - 1))
        changed.append((*row[:at], draw(pools[at]), *row[at + 1 :]))
    new = draw(st.permutations([*kept, *changed, *draw(st.lists(rows, max_size=4))]))
    return Case(types, len(key), tuple(old), tuple(new))


@pytest.fixture(scope="module")
def types_scene(target: EmbeddedTarget) -> Iterator[MergeScene]:
    """A database with all of the types."""
    target.create_database("merged_values")
    connection = target.connect("merged_values")
    connection.autocommit = False
    scene = MergeScene(connection)
    scene.run("""
        CREATE EXTENSION citext; CREATE EXTENSION hstore;
        CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TYPE pair AS (one integer, other text);
        CREATE DOMAIN name_base AS citext; CREATE DOMAIN name_domain AS name_base;
        CREATE DOMAIN amount_domain AS numeric CHECK (VALUE > 0)""")
    yield scene
    connection.close()


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_table_becomes_what_was_staged(types_scene: MergeScene, case: Case) -> None:
    scene = types_scene
    make(scene, case)
    before = images(scene, case, "t")
    wanted = images(scene, case, staging_of(T).quoted)
    places = kept(scene)

    done = scene.merge(T)[T]

    assert images(scene, case, "t") == wanted
    unchanged = sum((before & wanted).values())
    assert len(kept(scene) & places) == unchanged
    assert done.rows == sum(wanted.values())
    assert done.updated + done.deleted == sum(before.values()) - unchanged
    assert done.updated + done.inserted == done.rows - unchanged
    places = kept(scene)
    assert scene.merge(T)[T] == Applied(0, 0, 0, done.rows)
    assert kept(scene) == places


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("kind", VALUES)
def test_every_value_becomes_every_other(types_scene: MergeScene, kind: str, key: str) -> None:
    become_each_other(types_scene, kind, VALUES[kind], key)


#: what takes a PostgreSQL with ICU and libxml
MORE_VALUES = {
    "xml": ["<a/>", "<a></a>", "<a />"],
    'text COLLATE "loose"': ["", "a", "A", "a ", "\u00e4", "a\u0308", "\u00c4"],
    'varchar(9) COLLATE "loose"': ["", "a", "A", "a "],
    'char(3) COLLATE "loose"': ["", "a", "A"],
    "loose_domain": ["a", "A"],
}


@pytest.mark.parametrize("key", ["PRIMARY KEY", ""])
@pytest.mark.parametrize("kind", MORE_VALUES)
def test_every_value_of_a_loose_collation_becomes_every_other(kind: str, key: str) -> None:
    url = os.environ.get("ICU_TEST_URL")
    if not url:
        pytest.skip("no PostgreSQL with ICU: set ICU_TEST_URL to the address of an empty database to run this")
    with closing(psycopg2.connect(url)) as connection:
        scene = MergeScene(connection)
        scene.run("""
            CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
            CREATE DOMAIN loose_domain AS text COLLATE loose""")
        become_each_other(scene, kind, MORE_VALUES[kind], key)
        if kind != "xml":
            scene.run(f"DROP TABLE t; CREATE TABLE t (value {kind} PRIMARY KEY); INSERT INTO t VALUES ('a')")
            scene.run("DROP SCHEMA replication_staging CASCADE")
            scene.stage(T)
            scene.run(f"INSERT INTO {staging_of(T).quoted} VALUES ('A')")
            assert scene.merge(T) == {T: Applied(0, 1, 0, 1)}
            assert scene.are_equal(T)
        scene.run("DROP SCHEMA replication_staging CASCADE; DROP TABLE t; DROP DOMAIN loose_domain")
        scene.run("DROP COLLATION loose")


def become_each_other(scene: MergeScene, kind: str, values: list[str], key: str) -> None:
    """A table with a row for every two values: it has the one, and is to have the other."""
    given = [*values, None]
    pairs = [(one, other) for one in given for other in given]
    scene.run("DROP TABLE IF EXISTS t; DROP SCHEMA IF EXISTS replication_staging CASCADE")
    scene.run(f"CREATE TABLE t (c0 integer {key}, c1 {kind})")
    scene.stage(T)
    for number, pair in enumerate(pairs):
        for table, value in zip(("t", staging_of(T).quoted), pair, strict=True):
            scene.run(f"INSERT INTO {table} VALUES (%s, %s)", number, value)
    case = Case(("integer", kind), 1, (), ())
    wanted, before = images(scene, case, staging_of(T).quoted), images(scene, case, "t")
    done = scene.merge(T)[T]
    assert images(scene, case, "t") == wanted
    assert done.updated + done.deleted == sum((before - wanted).values())


def make(scene: MergeScene, case: Case) -> None:
    """The table with its old rows, and its staging table with the new ones; of equal keys the first one counts."""
    columns = ", ".join(f"c{at} {kind}" for at, kind in enumerate(case.types))
    key = f", PRIMARY KEY ({', '.join(f'c{at}' for at in range(case.keys))})" if case.keys else ""
    scene.run("DROP TABLE IF EXISTS t, fresh; DROP SCHEMA IF EXISTS replication_staging CASCADE")
    for table, rows in (("t", case.old), ("fresh", case.new)):
        scene.run(f"CREATE TABLE {table} ({columns}{key})")
        for row in rows:
            values = ", ".join(f"%s::{kind}" for kind in case.types)
            scene.run(f"INSERT INTO {table} VALUES ({values}) ON CONFLICT DO NOTHING", *row)
    scene.stage(T)
    scene.run(f"INSERT INTO {staging_of(T).quoted} SELECT * FROM fresh")


def images(scene: MergeScene, case: Case, table: str) -> Counter[str]:
    """The rows of a table, byte by byte."""
    columns = ", ".join(
        f"trim_scale(c{at})" if kind in TRIMMED else f"c{at}" for at, kind in enumerate(case.types)
    )  # fmt: skip
    return Counter(row for (row,) in scene.run(f"SELECT encode(record_send(ROW({columns})), 'hex') FROM {table}"))


def kept(scene: MergeScene) -> set[tuple[str, str]]:
    """Where the rows lie, and who wrote them."""
    return set(scene.run("SELECT ctid::text, xmin::text FROM t"))

"""Tables that are tied at random: afterwards all is as it was staged, or, where that cannot be, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo.target import EmbeddedTarget
from model.errors import TargetError
from postgres.names import TargetName
from tests.postgres.merging.conftest import MergeScene, public, staging_of

IDS = st.integers(1, 4)
ACTIONS = ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]


@dataclass(frozen=True)
class Reference:
    """A foreign key to the `id` or the `code` of a table, by its number."""

    to: int
    by: str
    on_delete: str
    on_update: str
    is_deferrable: bool


@dataclass(frozen=True)
class Row:
    """A row: its key, its unique value if it has one, what it references, and something else."""

    id: int
    code: int | None
    references: tuple[int | None, ...]
    note: int


Rows = tuple[Row, ...]


@dataclass(frozen=True)
class Graph:
    """Tables, each with its references; the rows that they have, and those that they are to have."""

    tables: tuple[tuple[Reference, ...], ...]
    keyless: frozenset[int]
    old: tuple[Rows, ...]
    new: tuple[Rows, ...]


def contents(draw: st.DrawFn, tables: tuple[tuple[Reference, ...], ...], is_broken: bool) -> tuple[Rows, ...]:
    """Rows for all tables; every reference finds its row, unless the source is broken."""
    ids = [draw(st.lists(IDS, unique=True, max_size=4)) for _ in tables]
    codes = [draw(st.permutations([1, 2, 3, 4, None, None])) for _ in tables]
    there = [
        {"id": own, "code": [code for code in codes[number][: len(own)] if code is not None]}
        for number, own in enumerate(ids)
    ]
    found = []
    for number, references in enumerate(tables):
        rows = []
        for position, own in enumerate(ids[number]):
            values = tuple(
                draw(st.sampled_from([None, *there[reference.to][reference.by], *([9] if is_broken else [])]))
                for reference in references
            )
            rows.append(Row(own, codes[number][position], values, draw(st.integers(0, 1))))
        found.append(tuple(rows))
    return tuple(found)


@st.composite
def graphs(draw: st.DrawFn, is_broken: bool = False) -> Graph:
    """Up to four tables with up to two references each, in circles too."""
    count = draw(st.integers(1, 4))
    tables = tuple(
        tuple(
            Reference(
                draw(st.integers(0, count - 1)), draw(st.sampled_from(["id", "id", "code"])),
                draw(st.sampled_from(ACTIONS)), draw(st.sampled_from(ACTIONS)), draw(st.booleans()),
            )
            for _ in range(draw(st.integers(0, 2)))
        )
        for _ in range(count)
    )  # fmt: skip
    by_id = {reference.to for references in tables for reference in references if reference.by == "id"}
    keyless = frozenset(n for n in range(count) if n not in by_id and draw(st.booleans()))
    return Graph(tables, keyless, contents(draw, tables, False), contents(draw, tables, is_broken))


@pytest.fixture(scope="module")
def graph_scene(target: EmbeddedTarget) -> Iterator[MergeScene]:
    """A database for all graphs."""
    target.create_database("merged_graphs")
    connection = target.connect("merged_graphs")
    connection.autocommit = False
    yield MergeScene(connection)
    connection.close()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs())
def test_every_graph_becomes_what_was_staged(graph_scene: MergeScene, graph: Graph) -> None:
    names = make(graph_scene, graph)
    graph_scene.merge(*names)
    assert graph_scene.are_equal(*names)
    places = [graph_scene.places(name) for name in names]
    assert not any(one.changed for one in graph_scene.merge(*names).values())
    assert [graph_scene.places(name) for name in names] == places


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(is_broken=True), merged=st.sets(st.integers(0, 3), min_size=1))
def test_what_the_source_breaks_or_a_table_outside_forbids_changes_nothing(
    graph_scene: MergeScene, graph: Graph, merged: set[int]
) -> None:
    names = make(graph_scene, graph)
    inside = [name for number, name in enumerate(names) if number in merged]
    outside = [name for name in names if name not in inside]
    before = [graph_scene.places(name) for name in names]
    others = [graph_scene.places(name) for name in outside]
    try:
        graph_scene.merge(*inside)
    except TargetError:
        assert [graph_scene.places(name) for name in names] == before
    else:
        assert graph_scene.are_equal(*inside)
    assert [graph_scene.places(name) for name in outside] == others


def make(scene: MergeScene, graph: Graph) -> list[TargetName]:
    """The tables with their old rows and keys, and their staging tables with the new rows."""
    scene.run("DROP SCHEMA IF EXISTS public, replication_staging CASCADE; CREATE SCHEMA public")
    names = [public(f"t{number}") for number in range(len(graph.tables))]
    for number, (name, references) in enumerate(zip(names, graph.tables, strict=True)):
        key = "" if number in graph.keyless else "PRIMARY KEY"
        columns = "".join(f", r{at} integer" for at in range(len(references)))
        scene.run(f"CREATE TABLE {name.quoted} (id integer {key}, code integer UNIQUE{columns}, note integer)")
    scene.stage(*names)
    for number, name in enumerate(names):
        for table, rows in ((name, graph.old[number]), (staging_of(name), graph.new[number])):
            for row in rows:
                values = [row.id, row.code, *row.references, row.note]
                scene.run(f"INSERT INTO {table.quoted} VALUES ({', '.join(['%s'] * len(values))})", *values)
    for name, references in zip(names, graph.tables, strict=True):
        for at, one in enumerate(references):
            scene.run(
                f"ALTER TABLE {name.quoted} ADD FOREIGN KEY (r{at}) REFERENCES {names[one.to].quoted} ({one.by})"
                f" ON DELETE {one.on_delete} ON UPDATE {one.on_update}"
                f"{' DEFERRABLE INITIALLY DEFERRED' if one.is_deferrable else ''}"
            )
    return names

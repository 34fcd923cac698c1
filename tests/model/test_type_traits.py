"""A type's traits stand in one table: a new type of a known family is one entry, and no module asks for names.

Every known type gets a twin: its own entry under a name that no module has ever seen. Whatever the tool says of a
column of the one, it must say of a column of the other.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import type_mapping
from db import load_settings
from model.catalog import FORMS, Column, Database, ForeignKey, Identity, Key, KeyColumn, SqlType, Table
from model.errors import DescriptionError, OtherwiseDescribedError, UnfitTargetError, UnsupportedTypeError
from model.findings import Translation
from model.ranges import WHOLE_TABLE
from model.type_traits import Traits
from mssql import data_checks, descriptions, figures, native_numbers
from mssql.chunk_keys import chunk_key, find_again, pick
from mssql.wanted_rows import select_list
from mssql.where import where_clause
from postgres.ddl.plan import Expressions, all_steps
from postgres.ddl.planning import plan_schema
from postgres.introspection import TargetColumn, TargetTable
from postgres.load_plan import plan_load
from postgres.names import target_name
from tests.harness import ROOT, source_settings
from type_mapping import (
    COMMON_NAMES,
    MAPPINGS,
    WIRE,
    TargetFeatures,
    check_types,
    has_seventh_digit,
    read_type,
    traits_of,
)
from verification.comparable_values import form_of

TWIN = "_twin"
#: sizes as the catalog shows them: max_length, precision, scale
SIZES = ((40, 0, 0), (-1, 0, 0), (4001, 0, 0), (8, 19, 4), (17, 38, 38), (10, 27, 7), (16, 0, 0))
#: what a driver may say of a column
OFFERED = (
    pa.uint8(), pa.int32(), pa.int64(), pa.decimal128(12, 2), pa.float32(), pa.float64(), pa.bool_(), pa.date32(),
    pa.time64("us"), pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"),
    pa.string(), pa.binary(), pa.binary(16),
)  # fmt: skip
FEATURES = (
    TargetFeatures(),
    TargetFeatures(has_xml=False, extension_types={"citext": "citext", "vector": "vector", "geometry": "geometry"}),
)
NO_EXPRESSIONS = Expressions(*(lambda *_: Translation("", None, "none", None, False) for _ in range(4)))


def as_declared(name: str, max_length: int, precision: int, scale: int) -> SqlType:
    """The type in that size; moments have seven fractional digits at most."""
    most = 7 if traits_of(SqlType(name)).may_have_seventh_digit else scale
    return SqlType(name, max_length, precision, min(scale, most))


def table_of(kind: SqlType) -> Table:
    """A table whose key, foreign key and identity are one column of the type."""
    column = Column("value", kind, is_nullable=False, collation="Latin1_General_CI_AS", identity=Identity())
    reference = ForeignKey("FK", ("value",), "dbo", "values", ("value",))
    key = Key("PK", (KeyColumn("value"),))
    return Table(
        "dbo", "values", (column, replace(column, name="other", identity=None)), key, foreign_keys=(reference,)
    )


def read_with(table: Table) -> Iterator[str]:
    """How the source is asked for a table's values, its chunks and its figures."""
    columns, kinds = table.columns, [read_type(column) for column in table.columns]
    yield select_list(columns)
    yield f"{native_numbers.forms_of(columns)}"
    yield figures.figures_query(table, columns, WHOLE_TABLE, kinds)
    if chunk_key(table):
        row = {"value": "2024-02-29 23:59:59.123456"}
        yield f"{find_again(table, row)} {where_clause(pick(table, [row]))}"
    for offered in OFFERED:
        try:
            descriptions.hold_against(columns, [offered, offered])
            yield f"{offered} is what was promised"
        except OtherwiseDescribedError as error:
            yield f"{offered} becomes {', '.join(str(column.type) for column in error.columns)}"
        except DescriptionError as error:
            yield f"{offered}: {error}"


def checked_with(table: Table) -> Iterator[str]:
    """What the source's values are looked through for."""
    column = table.columns[0]
    is_text, is_fine = data_checks.is_text(column), has_seventh_digit(column.type)
    yield data_checks.columns_query(table, [column] * is_text, [column] * is_fine)
    for comparison in ("exact", "lower", "source"):
        request = data_checks.Request((table,), lambda _, found=comparison: found)  # type: ignore[misc]
        yield data_checks.duplicates_query(table, [column], None, request)


def made_with(table: Table, features: TargetFeatures, policy: str) -> Iterator[str]:
    """The DDL of a table and what is said of it."""
    given = {**source_settings(1, "none"), "PGDATABASE": "none", "COLLATION_POLICY": policy}
    settings = load_settings(None, given)
    plan = plan_schema(Database("d", (table,)), (table,), (), settings, features, NO_EXPRESSIONS)
    for one in plan.tables:
        yield from (step.sql for step in (*one.create, *one.details, *all_steps((*one.keys, *one.foreign_keys))))
        yield from (f"{finding.name}: {finding.state}, {finding.reason}" for finding in one.all_findings)


def loaded_with(table: Table) -> Iterator[str]:
    """Which columns of a target take the values, in which form, and how they are compared there."""
    settings = load_settings(None, {**source_settings(1, "none"), "PGDATABASE": "none"})
    for base in dict.fromkeys(base for bases in WIRE.values() for base in bases):
        for modifier in (-1, 3, 24):
            columns = tuple(
                TargetColumn(column.name, base, base, modifier, True, False, False) for column in table.columns
            )
            try:
                plan = plan_load(table, TargetTable(target_name(table, settings), columns), settings)
                yield f"{base} {modifier}: {[(one.family, str(one.wire)) for one in plan.columns]}"
                yield f"compared as {form_of(table.columns[0], base, 'strip').type}"
            except UnfitTargetError as error:
                yield f"{base} {modifier}: {error}"


def answers(kind: SqlType) -> list[str]:
    """Everything that the tool says of a table with columns of the type."""
    table = table_of(kind)
    found = [f"{kind} of {kind.characters}", *read_with(table), *checked_with(table), *loaded_with(table)]
    for features in FEATURES:
        for policy in ("leave", "citext", "icu"):
            found += made_with(table, features, policy)
    return found


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", MAPPINGS)
def test_a_type_by_another_name_is_treated_as_the_one_that_it_is_like(
    monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int, int]
) -> None:
    entry = MAPPINGS[name]
    twin = replace(entry, traits=replace(entry.traits, form=FORMS.get(name)))
    monkeypatch.setattr(type_mapping, "MAPPINGS", {**MAPPINGS, name + TWIN: twin})
    known = as_declared(name, *size)
    new = replace(known, name=name + TWIN, form=type_mapping.form_of(name + TWIN))
    assert [answer.replace(TWIN, "") for answer in answers(new)] == answers(known)


def test_a_new_type_of_a_known_family_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    label = Column("label", SqlType("label", 60, form="units"), is_nullable=False, collation="Latin1_General_CS_AS")
    with pytest.raises(UnsupportedTypeError, match="label"):
        check_types([Table("dbo", "shelves", (label,))])
    line = {"label": replace(MAPPINGS["nvarchar"], traits=replace(MAPPINGS["nvarchar"].traits, form="units"))}
    monkeypatch.setattr(type_mapping, "MAPPINGS", {**MAPPINGS, **line})

    table = Table("dbo", "shelves", (label,), Key("PK", (KeyColumn("label"),)))
    check_types([table])
    assert "label character varying(30) NOT NULL" in "\n".join(made_with(table, FEATURES[0], "leave")).replace('"', "")
    assert where_clause(pick(table, [{"label": "it's"}])) == (
        " WHERE ([label] = CAST(N'it''s' COLLATE Latin1_General_CS_AS AS label(30)))"
    )
    assert "SUM(CAST(DATALENGTH([label]) AS bigint))" in figures.figures_query(
        table, table.columns, WHOLE_TABLE, [pa.string()]
    )
    assert form_of(label, "varchar", "strip").type == pa.string()
    with pytest.raises(UnfitTargetError, match=r"keeps 20 where label\(30\) needs 30"):
        type_mapping.wire_type(label, "varchar", 24)


def test_a_type_that_is_not_known_has_no_traits() -> None:
    assert traits_of(SqlType("colour")) == Traits()
    assert traits_of(SqlType("varchar", 40, is_clr=True)) == Traits()


# -- no names of types elsewhere ---------------------------------------------------------------------

TYPE_NAMES = {*MAPPINGS, *COMMON_NAMES.values()}
#: names that neither PostgreSQL nor a family has too
OF_TSQL_ALONE = TYPE_NAMES - {name for bases in WIRE.values() for name in bases} - set(WIRE) - {"smallint", "bigint"}
BESIDE = ("standin", "demo", "bench", "tests", "installation")
#: T-SQL's rules for expressions are rules about its own types, by name
WITHOUT = ("type_mapping.py", "mssql/expressions/")
ALLOWED: Mapping[str, set[str]] = {
    # How T-SQL writes the sizes of its own types; a new one says it in its traits.
    "model/catalog.py": set(FORMS),
    # Words for a person, by the type that a driver offers.
    "mssql/descriptions.py": {"date", "time", "timestamp", "datetime2", "text"},
    # The one type that has a column of its own in the catalog.
    "mssql/introspection.py": {"vector"},
    # PostgreSQL's own types, by what tells that two of their values differ.
    "postgres/merging/comparison.py": {"numeric", "money", "date", "time", "timestamp"},
}


def constants(node: ast.AST) -> set[str]:
    """The names of types that stand in an expression as they are."""
    found = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))
    return TYPE_NAMES & set(found)


def named_types(path: Path) -> Iterator[set[str]]:
    """The names of types in a module's collections, and those that anything's `name` is compared with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.Set, ast.Tuple, ast.List, ast.Dict)):
            parts = [*node.keys, *node.values] if isinstance(node, ast.Dict) else node.elts
            names = set[str]().union(*(constants(part) for part in parts if isinstance(part, ast.Constant)))
            if len(names) > 1 and names & OF_TSQL_ALONE:
                yield names
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, ast.Attribute) and side.attr == "name" for side in sides) and constants(node):
                yield constants(node)


def test_no_module_but_the_table_sorts_types_by_their_names() -> None:
    found: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for names in () if name.startswith((".", *BESIDE, *WITHOUT)) else named_types(path):
            found.setdefault(name, set()).update(names)
    assert found == ALLOWED

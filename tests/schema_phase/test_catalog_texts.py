"""Texts of the source's catalog: comments of other names, texts that are hidden, defaults and rules that are bound."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from demo.shop import INT, varchar
from demo.target import EmbeddedTarget
from model.catalog import Check, Column, Computed, Database, Default, OtherObject, Table
from standin.server import StandIn
from tests.handmade import primary, required
from tests.made_schemas import Made, make

PLAIN = Table(
    "dbo",
    "T",
    (required("ID"), Column("Code", varchar(10)), Column("Amount", INT, comment="How many.")),
    primary("PK_T", "ID"),
    comment="Things.",
)


# -- comments ----------------------------------------------------------------------------------------


def property_of(name: str, value: str, column: int = 0) -> str:
    """An extended property of the table or a column of it, as sp_addextendedproperty leaves it."""
    return (
        "INSERT INTO sys.extended_properties (class, class_desc, major_id, minor_id, name, value)"
        f" SELECT 1, 'OBJECT_OR_COLUMN', object_id, {column}, '{name}', '{value}' FROM sys.tables"
    )


@pytest.fixture
def described() -> Iterator[StandIn]:
    """A table with properties of several names."""
    with StandIn(Database("described", (PLAIN,)), {}) as source:
        source.execute(property_of("Description", "Things that we sell."))
        source.execute(property_of("DESCRIPTION", "Its code.", 2))
        source.execute(property_of("Description", "How many.", 3))
        source.execute(property_of("Owner", "the night shift"))
        yield source


def test_properties_named_description_are_comments_too(
    described: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    made, finished = make(described, Database("described", ()), target, tmp_path, "described")
    assert finished.code == 0, finished.text
    assert made.one("SELECT obj_description('t'::regclass, 'pg_class')") == "Things.\nThings that we sell."
    assert made.one("SELECT col_description('t'::regclass, 2)") == "Its code."
    assert made.one("SELECT col_description('t'::regclass, 3)") == "How many."  # a text that is there twice comes once
    owner = made.entry("extended property Owner", "dbo.T")
    assert (owner["state"], owner["original"]) == ("skipped", "the night shift")
    assert "COMMENT_PROPERTIES" in owner["reason"]
    assert ("extended property Description", "dbo.T") not in made.entries()


def test_comment_properties_says_which_are_comments_and_in_which_order(
    described: StandIn, target: EmbeddedTarget, tmp_path: Path
) -> None:
    made, finished = make(
        described, Database("described", ()), target, tmp_path, "described2", COMMENT_PROPERTIES="owner, MS_Description"
    )
    assert finished.code == 0, finished.text
    assert made.one("SELECT obj_description('t'::regclass, 'pg_class')") == "the night shift\nThings."
    assert made.one("SELECT col_description('t'::regclass, 2)") is None
    assert made.entry("extended property DESCRIPTION", "dbo.T.Code")["original"] == "Its code."


# -- texts that are hidden -----------------------------------------------------------------------------


@pytest.fixture
def hidden(target: EmbeddedTarget, tmp_path: Path) -> Made:
    """What becomes of a database whose login lacks VIEW DEFINITION (Microsoft, "Metadata Visibility Configuration")."""
    table = Table(
        "dbo",
        "T",
        (
            required("ID"),
            Column("Code", varchar(10), default=Default("DF_Code", "('x')")),
            Column("Gone", INT, default=Default("DF_Gone", "((1))")),
            Column("Twice", INT, computed=Computed("([ID]*(2))")),
        ),
        primary("PK_T", "ID"),
        checks=(Check("CK_T", "([ID]>(0))"),),
    )
    view = OtherObject("view", "dbo", "Days", "CREATE VIEW dbo.Days AS SELECT 1 AS One")
    with StandIn(Database("hidden", (table,), others=(view,)), {}) as source:
        for name in ("default_constraints", "check_constraints", "computed_columns", "sql_modules"):
            source.execute(f"UPDATE sys.{name} SET definition = NULL")
        # Not even a row is shown of this one; the column's own row tells of it.
        source.execute("UPDATE sys.columns SET default_object_id = 4711 WHERE name = 'Gone'")
        source.execute("DELETE FROM sys.default_constraints WHERE name = 'DF_Gone'")
        made, finished = make(source, Database("hidden", ()), target, tmp_path, "hidden")
    assert finished.code == 0, finished.text
    return made


def test_texts_that_the_login_may_not_read_are_told_as_such(hidden: Made) -> None:
    for kind, name, state in (
        ("default", "dbo.T.Code", "skipped"), ("default", "dbo.T.Gone", "skipped"), ("check", "dbo.T.CK_T", "skipped"),
        ("computed column", "dbo.T.Twice", "changed"), ("view", "dbo.Days", "skipped"),
    ):  # fmt: skip
        entry = hidden.entry(kind, name)
        assert entry["state"] == state, (kind, name)
        assert "VIEW DEFINITION" in entry["reason"], (kind, name)
    assert hidden.columns("t")["twice"] == ("integer", False)


# -- defaults and rules that are bound -----------------------------------------------------------------


@pytest.fixture
def bound(target: EmbeddedTarget, tmp_path: Path) -> Made:
    """Catalog rows as sp_bindefault and sp_bindrule leave them ("sys.columns", "sys.sql_modules")."""
    texts = {
        9001: ("D ", "DEFAULT_CONSTRAINT", "NoPhone", "-- of 1998\nCREATE DEFAULT [dbo].[NoPhone] AS 'unknown'"),
        9002: ("R ", "RULE", "Range", "create rule Range\nas @range >= 1 AND @range < 200 /* of old */"),
        9003: ("R ", "RULE", "Codes", "CREATE RULE dbo.Codes AS @list IN ('a@b', '0736', 'unknown');"),
        9004: ("R ", "RULE", "Odd", "CREATE RULE Odd AS dbo.IsOdd(@n) = 1"),
    }
    with StandIn(Database("bound", (PLAIN,)), {}) as source:
        for number, (code, kind, name, text) in texts.items():
            source.execute(
                "INSERT INTO sys.objects (name, object_id, schema_id, parent_object_id, type, type_desc, create_date,"
                " modify_date, is_ms_shipped, is_published, is_schema_published)"
                f" VALUES ('{name}', {number}, 1, 0, '{code}', '{kind}', '2001-01-01', '2001-01-01', 0, 0, 0)"
            )
            quoted = text.replace("'", "''")
            source.execute(f"INSERT INTO sys.sql_modules (object_id, definition) VALUES ({number}, '{quoted}')")
        source.execute("UPDATE sys.columns SET default_object_id = 9001, rule_object_id = 9003 WHERE name = 'Code'")
        source.execute("UPDATE sys.columns SET rule_object_id = 9002 WHERE name = 'Amount'")
        source.execute("UPDATE sys.columns SET rule_object_id = 9004 WHERE name = 'ID'")
        made, finished = make(source, Database("bound", ()), target, tmp_path, "bound")
    assert finished.code == 0, finished.text
    return made


def test_a_default_that_is_bound_is_the_columns_default(bound: Made) -> None:
    assert bound.one("INSERT INTO t (id) VALUES (1) RETURNING code") == "unknown"
    assert bound.entry("default", "dbo.T.Code")["state"] == "done"
    assert "their own default" in bound.entry("default constraint", "dbo.NoPhone")["reason"]


def test_a_rule_that_is_bound_is_a_check_of_its_column(bound: Made) -> None:
    bound.query("INSERT INTO t VALUES (2, 'A@B', 1), (3, NULL, NULL)")
    for values in ("4, '0737', 1", "5, '0736', 200", "6, '0736', 0"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            bound.query(f"INSERT INTO t VALUES ({values})")
    # Rows from before it was bound may break it.
    assert bound.constraint("t", "range_amount").endswith("NOT VALID")
    assert bound.entry("check", "dbo.T.Range_Amount")["state"] == "changed"
    odd = bound.entry("check", "dbo.T.Odd_ID")
    assert (odd["state"], odd["original"]) == ("skipped", "dbo.IsOdd([ID]) = 1")

"""Why a table cannot be exchanged is said in words, before anything is built."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from postgres import twins
from postgres.names import TargetName
from tests.postgres.twins import nasty
from tests.postgres.twins.places import run
from tests.samples import query

THINGS = TargetName("public", "things")
DDL = "CREATE TABLE things (id integer PRIMARY KEY, label text); CREATE TABLE others (id integer PRIMARY KEY)"

NOTHING = "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"


def obstacles(connection: Any, table: TargetName = THINGS) -> tuple[str, ...]:
    """Of a table."""
    return twins.obstacles(connection, table)


def test_nothing_is_in_the_way_of_the_nasty_schema(nasty_connection: Any) -> None:
    assert twins.obstacles_of(nasty_connection, nasty.LIVES) == dict.fromkeys(nasty.LIVES, ())


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        (
            "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM things",
            "the materialised view public.totals is computed from it",
        ),
        ("CREATE TEMPORARY VIEW mine AS TABLE things", "the temporary view mine of another connection reads it"),
        ("CREATE PUBLICATION night FOR TABLE things", "it is published: publication of table public.things in"),
        ("CREATE PUBLICATION night FOR ALL TABLES", "the publication night publishes all tables"),
        ("CREATE PUBLICATION night FOR TABLES IN SCHEMA public", "the publication night publishes its schema"),
        ("CREATE FUNCTION one(things) RETURNS integer LANGUAGE sql AS 'SELECT 1'", "function public.one(public.things) "
         "uses its row type"),
        ("CREATE FUNCTION all_of() RETURNS SETOF things LANGUAGE sql AS 'TABLE things'", "all_of() uses its row"),
        (
            "CREATE FUNCTION number() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM things; END",
            "function public.number() depends on it",
        ),
        ("CREATE TABLE whole (row things)", "column row of table public.whole uses its row type"),
        ("CREATE TABLE whole (rows things[])", "column rows of table public.whole uses its row type"),
        ("CREATE TYPE whole AS (row things)", "column row of composite type public.whole uses its row type"),
        ("CREATE VIEW whole AS SELECT t FROM things AS t", "column t of view public.whole uses its row type"),
        ("CREATE RULE quiet AS ON DELETE TO things DO INSTEAD NOTHING", "the rule quiet stands on it"),
        (
            "CREATE RULE filled AS ON INSERT TO others DO ALSO INSERT INTO things VALUES (new.id)",
            "the rule filled of public.others mentions it",
        ),
        ("CREATE TABLE below () INHERITS (things)", "public.below inherits from it"),
        ("CREATE TABLE above (id integer); ALTER TABLE things INHERIT above", "it inherits from public.above"),
        (
            "CREATE TABLE parts (id integer REFERENCES things) PARTITION BY LIST (id)",
            "the partitioned table public.parts has a foreign key to it",
        ),
        (
            "ALTER TABLE others ADD of_thing regclass DEFAULT 'things'::regclass",
            "default value for column of_thing of table public.others depends on it",
        ),
        ("ALTER TABLE things ADD CHECK (things IS NOT NULL)", "its constraint things_check uses the whole row"),
        ("INSERT INTO things VALUES (1, 'a'), (2, 'a')", None),
        (
            NOTHING + "CREATE CONSTRAINT TRIGGER beside AFTER INSERT ON others FROM things FOR EACH ROW "
            "EXECUTE FUNCTION nothing()",
            "trigger beside on table public.others depends on it",
        ),
        (
            NOTHING + "CREATE CONSTRAINT TRIGGER beside AFTER INSERT ON things FROM others FOR EACH ROW "
            "EXECUTE FUNCTION nothing()",
            "its trigger beside belongs to a table beside it",
        ),
        (
            "ALTER TABLE things ALTER id ADD GENERATED ALWAYS AS IDENTITY;"
            "CREATE TABLE counts (id bigint DEFAULT nextval('things_id_seq'))",
            "default value for column id of table public.counts depends on it",
        ),
        ("CREATE EXTENSION citext; ALTER EXTENSION citext ADD TABLE things", "things belongs to extension"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_named(
    target: EmbeddedTarget, target_database: str, plain_connection: Any, ddl: str, words: str | None
) -> None:
    with closing(target.connect(target_database)) as other:
        run(other, DDL)
        assert obstacles(plain_connection) == ()
        run(other, ddl)
        found = obstacles(plain_connection)
    if words is None:
        assert found == ()
    else:
        assert any(words in one for one in found), found


def test_an_index_that_is_not_valid_is_in_the_way(
    target: EmbeddedTarget, target_database: str, plain_connection: Any
) -> None:
    query(target, target_database, DDL + "; INSERT INTO things VALUES (1, 'a'), (2, 'a')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        query(target, target_database, "CREATE UNIQUE INDEX CONCURRENTLY broken ON things (label)")
    assert obstacles(plain_connection) == ("its index public.broken is not valid: drop it or REINDEX it",)


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        ("CREATE TABLE things (id integer) PARTITION BY LIST (id)", "it is partitioned"),
        (
            "CREATE TABLE whole (id integer) PARTITION BY LIST (id);"
            "CREATE TABLE things PARTITION OF whole FOR VALUES IN (1)",
            "it is a partition",
        ),
        ("CREATE TYPE thing AS (id integer); CREATE TABLE things OF thing", "it is made of a type"),
        ("CREATE VIEW things AS SELECT 1", "it is no plain table"),
    ],
)
def test_another_kind_of_table_is_in_the_way(plain_connection: Any, ddl: str, words: str) -> None:
    run(plain_connection, ddl)
    assert words in obstacles(plain_connection)


def test_a_materialised_view_of_a_view_is_in_nobodys_way(plain_connection: Any) -> None:
    run(plain_connection, DDL + "; CREATE VIEW seen AS TABLE things; CREATE MATERIALIZED VIEW stored AS TABLE seen")
    assert obstacles(plain_connection) == ()


def test_a_table_that_is_not_there_has_none(plain_connection: Any) -> None:
    assert obstacles(plain_connection) == ()


# -- what the role may not do --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ddl", "words"),
    [
        ("ALTER TABLE things OWNER TO postgres", "it belongs to postgres"),
        ("CREATE VIEW seen AS TABLE things", "the view public.seen, which depends on it, belongs to postgres"),
        (
            "ALTER TABLE others ADD thing integer REFERENCES things",
            "the table public.others, which depends on it",
        ),
        (
            "ALTER TABLE others ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY looks ON others USING (id IN (SELECT id FROM things))",
            "the table public.others, which depends on it, belongs to postgres",
        ),
        ("REVOKE CREATE ON SCHEMA public FROM twins_owner", "this role may not create tables in public"),
        (
            "CREATE SCHEMA views; CREATE VIEW views.seen AS TABLE things; ALTER VIEW views.seen OWNER TO twins_owner",
            "this role may not create views in views, where seen reads it",
        ),
        (
            "ALTER TABLE things ADD other integer REFERENCES others",
            "this role may not refer to public.others, to which its foreign key things_other_fkey points",
        ),
        (
            "GRANT REFERENCES ON others TO twins_owner; ALTER TABLE things ADD other integer REFERENCES others",
            "this role may not lock public.others, to which its foreign key things_other_fkey points",
        ),
        (
            "GRANT SELECT ON things TO twins_passer WITH GRANT OPTION; SET ROLE twins_passer;"
            "GRANT SELECT ON things TO twins_reader",
            "twins_passer passed rights on it on, and this role is no member of that one",
        ),
    ],
)
@pytest.mark.usefixtures("roles")
def test_what_the_role_may_not_do_is_named(
    target: EmbeddedTarget, target_database: str, plain_connection: Any, ddl: str, words: str
) -> None:
    query(target, target_database, f"{DDL}; GRANT CREATE ON SCHEMA public TO twins_owner")
    query(
        target, target_database, "GRANT USAGE ON SCHEMA public TO twins_passer; ALTER TABLE things OWNER TO twins_owner"
    )
    run(plain_connection, "SET SESSION AUTHORIZATION twins_owner")
    assert obstacles(plain_connection) == ()
    query(target, target_database, ddl)
    found = obstacles(plain_connection)
    assert any(words in one for one in found), found

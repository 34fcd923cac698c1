"""What a twin lacks is made, after a kill and after somebody's changes too; what its rows violate is told."""

from __future__ import annotations

from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from model.errors import LoadLostError, TargetError
from postgres import twins
from postgres.names import TargetName
from tests.postgres.twins.nasty import ORDERS, PEOPLE, STAGING
from tests.postgres.twins.places import MEMORY, TWINS, build, create, dump, exchange, fill, finish, replace, run
from tests.samples import query

THINGS = TargetName("public", "things")
TWIN = TargetName(STAGING, "public.things")


class KilledError(Exception):
    """The process is gone."""


def test_a_bare_twin_has_nothing_that_slows_a_load_down(nasty_connection: Any) -> None:
    create(nasty_connection, TWINS)
    staged = f"relnamespace = '{STAGING}'::regnamespace"
    assert run(nasty_connection, f"SELECT relname FROM pg_class WHERE {staged} AND relkind IN ('i', 'I')") == []
    assert (
        run(nasty_connection, f"SELECT tgname FROM pg_trigger JOIN pg_class AS c ON c.oid = tgrelid WHERE {staged}")
        == []
    )
    # Checks hold, computed columns compute.
    with pytest.raises(psycopg2.errors.CheckViolation):
        run(nasty_connection, f'INSERT INTO {TWINS[PEOPLE].quoted} ("per cent %s") VALUES (-1)')
    nasty_connection.rollback()
    run(nasty_connection, f"INSERT INTO {TWINS[PEOPLE].quoted} (name) VALUES ('a')")
    assert run(nasty_connection, f"SELECT upper_name FROM {TWINS[PEOPLE].quoted}") == [("A",)]


def test_to_complete_twice_changes_nothing_more(nasty_connection: Any) -> None:
    build(nasty_connection)
    relations = f"SELECT oid, relname FROM pg_class WHERE relnamespace = '{STAGING}'::regnamespace ORDER BY 1"
    before = run(nasty_connection, relations)
    finish(nasty_connection, TWINS)
    assert run(nasty_connection, relations) == before


@pytest.mark.parametrize("steps", range(1, 12))
def test_what_a_kill_has_left_undone_is_done_by_the_next_run(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any, steps: int
) -> None:
    before = dump(target, target_database)
    create(nasty_connection, TWINS)
    fill(nasty_connection)
    done = []

    def moved() -> None:
        done.append(1)
        if len(done) == steps:
            raise KilledError

    with pytest.raises(KilledError):
        for _ in range(2):
            twins.complete(nasty_connection, PEOPLE, TWINS[PEOPLE], MEMORY, moved)
    nasty_connection.rollback()
    finish(nasty_connection, TWINS)
    assert exchange(nasty_connection, TWINS) == []
    assert dump(target, target_database) == before


@pytest.mark.parametrize(
    "change",
    [
        "DROP INDEX shop.same_name; CREATE INDEX same_name ON shop.people (boss)",
        "ALTER TABLE shop.people DROP CONSTRAINT people_count; CREATE INDEX extra ON shop.people (favourite)",
        "ALTER TABLE shop.people DROP CONSTRAINT people_pk CASCADE; ALTER TABLE shop.people ADD PRIMARY KEY (id)",
        "DROP TRIGGER asleep ON shop.people; ALTER TABLE shop.people DISABLE TRIGGER always",
        "DROP POLICY looks ON shop.people; ALTER POLICY inserts ON shop.people WITH CHECK (true)",
        "DROP STATISTICS shop.more; COMMENT ON STATISTICS shop.\"stats on people\" IS 'other'",
        "ALTER TABLE shop.people NO FORCE ROW LEVEL SECURITY, REPLICA IDENTITY FULL, SET WITHOUT CLUSTER",
        "REVOKE ALL ON shop.people FROM twins_passer CASCADE; GRANT INSERT ON shop.people TO twins_clerk",
        "REVOKE SELECT (name) ON shop.people FROM twins_clerk; REVOKE ALL ON shop.people_id_seq FROM twins_reader",
        "COMMENT ON TABLE shop.people IS NULL; COMMENT ON COLUMN shop.people.boss IS 'new'",
        "ALTER TABLE shop.people OWNER TO twins_clerk; COMMENT ON SEQUENCE shop.people_id_seq IS NULL",
        "ALTER TABLE shop.orders DROP CONSTRAINT to_root; COMMENT ON CONSTRAINT orders_person ON shop.orders IS 'new'",
        "ALTER TABLE shop.people DROP CONSTRAINT favourite; "
        "ALTER TABLE shop.people ADD CONSTRAINT favourite FOREIGN KEY (favourite) REFERENCES shop.roots",
    ],
)
def test_what_was_changed_after_the_twin_was_complete_is_changed_on_it(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any, change: str
) -> None:
    build(nasty_connection)
    run(nasty_connection, change)
    before = dump(target, target_database)
    finish(nasty_connection, TWINS)
    assert exchange(nasty_connection, TWINS) == []
    assert dump(target, target_database) == before


def test_another_table_under_the_name_is_not_taken_for_the_one_that_was(nasty_connection: Any) -> None:
    build(nasty_connection)
    run(nasty_connection, "ALTER TABLE shop.people ALTER shared TYPE bigint")
    with pytest.raises(LoadLostError, match=r"shop\.people was changed while its new rows were staged"):
        finish(nasty_connection, TWINS)
    run(nasty_connection, "DROP TABLE shop.people CASCADE")
    with pytest.raises(LoadLostError, match=r"shop\.people is not there any more"):
        finish(nasty_connection, TWINS)


# -- rows that violate something ---------------------------------------------------------------------


def test_rows_that_violate_a_key_are_told_with_its_name(plain_connection: Any) -> None:
    run(plain_connection, 'CREATE TABLE things (id integer CONSTRAINT "the key" PRIMARY KEY)')
    create(plain_connection, {THINGS: TWIN})
    run(plain_connection, f"INSERT INTO {TWIN.quoted} VALUES (1), (1)")
    with pytest.raises(
        TargetError, match=r"key the key of public\.things .* could not create unique index \"the key\""
    ):
        twins.complete(plain_connection, THINGS, TWIN, MEMORY)


def test_rows_that_violate_a_foreign_key_are_told_with_its_name(nasty_connection: Any) -> None:
    create(nasty_connection, TWINS)
    fill(nasty_connection)
    run(nasty_connection, f"UPDATE {TWINS[ORDERS].quoted} SET person = 31 WHERE id = 30")
    with pytest.raises(TargetError, match=r"new rows of shop\.orders violate its foreign key orders_person.*=\(31\)"):
        finish(nasty_connection, TWINS)
    # Others are not looked at by then, and the rows can be put right.
    right = f"UPDATE {TWINS[ORDERS].quoted} SET person = 30 WHERE id = 30"
    run(nasty_connection, f"SET session_replication_role = replica; {right}; RESET session_replication_role")
    finish(nasty_connection, TWINS)
    assert exchange(nasty_connection, TWINS) == []


def test_a_key_to_rows_that_come_with_the_switch_is_left_to_be_validated(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    before = dump(target, target_database)
    pairs = {ORDERS: TWINS[ORDERS]}
    create(nasty_connection, pairs)
    run(nasty_connection, f"INSERT INTO {TWINS[ORDERS].quoted} (id, person) VALUES (1, 21)")
    twins.complete(nasty_connection, ORDERS, TWINS[ORDERS], MEMORY)
    with pytest.raises(TargetError, match="orders_person"):
        twins.foreign_keys(nasty_connection, pairs)
    twins.foreign_keys(nasty_connection, pairs, not_yet=[PEOPLE])
    with nasty_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, pairs)
        cursor.execute(planned.lock_statement)
        cursor.execute("SET session_replication_role = replica; UPDATE shop.people SET favourite = NULL;")
        cursor.execute("INSERT INTO shop.people (id, count) OVERRIDING SYSTEM VALUE VALUES (21, 700)")
        cursor.execute("RESET session_replication_role")
        left = twins.exchange(cursor, planned)
    nasty_connection.commit()
    assert sorted(one.name for one in left) == ["favourite", "orders_person"]
    assert twins.validate(nasty_connection, left) == []
    assert dump(target, target_database) == before


# -- roles -------------------------------------------------------------------------------------------


def test_a_role_that_is_no_superuser_can_do_it_for_its_own_tables_and_those_of_its_group(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    query(target, "postgres", "GRANT twins_owner, twins_passer TO twins_clerk")
    try:
        query(
            target, target_database,
            f"GRANT CREATE, USAGE ON SCHEMA {STAGING}, replication, public TO twins_clerk;"
            f"GRANT CREATE ON SCHEMA public TO twins_owner;"
            f"GRANT ALL ON ALL TABLES IN SCHEMA replication TO twins_clerk;"
            f"CREATE TABLE things (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, label text);"
            f"ALTER TABLE things OWNER TO twins_owner; CREATE VIEW seen AS TABLE things;"
            f"ALTER VIEW seen OWNER TO twins_owner; CREATE STATISTICS both_things ON id, label FROM things;"
            f"ALTER STATISTICS both_things OWNER TO twins_owner;"
            f"ALTER SCHEMA {STAGING} OWNER TO twins_clerk",
        )  # fmt: skip
        query(
            target, target_database,
            "SET ROLE twins_owner; GRANT SELECT ON things TO twins_passer WITH GRANT OPTION; GRANT DELETE ON things TO "
            "twins_clerk; RESET ROLE; GRANT USAGE ON SCHEMA public TO twins_passer; SET ROLE twins_passer;"
            "GRANT SELECT ON things TO twins_reader",
        )  # fmt: skip
        before = dump(target, target_database)
        run(nasty_connection, "SET SESSION AUTHORIZATION twins_clerk")
        assert twins.obstacles(nasty_connection, THINGS) == ()
        rows = f"INSERT INTO {TWIN.quoted} (label) VALUES ('new')"
        assert replace(nasty_connection, [THINGS], rows) == []
        assert dump(target, target_database) == before
        assert run(nasty_connection, "SELECT label FROM things") == [("new",)]
        assert run(nasty_connection, f"SELECT has_schema_privilege('twins_owner', '{STAGING}', 'CREATE')") == [(False,)]
    finally:
        query(target, "postgres", "REVOKE twins_owner, twins_passer FROM twins_clerk")

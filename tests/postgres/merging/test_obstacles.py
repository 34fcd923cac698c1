"""Tables that cannot be merged are told beforehand, each with its reason."""

from __future__ import annotations

import psycopg2
import pytest

from postgres.merging import obstacles_of
from tests.postgres.merging.conftest import MergeScene, public, staging_of

T, U, V = public("t"), public("u"), public("v")
REFUSE = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE VIEW t AS SELECT 1 AS id", "it is a view"),
        ("CREATE TABLE t (id integer); CREATE RULE quiet AS ON DELETE TO t DO INSTEAD NOTHING", "its rule quiet"),
        (
            "CREATE TABLE t (id integer); INSERT INTO t VALUES (1); CREATE PUBLICATION p FOR TABLE t",
            "publication p sends its updates and deletes",
        ),
        (
            "CREATE TABLE t (id integer PRIMARY KEY); ALTER TABLE t REPLICA IDENTITY NOTHING;"
            " CREATE PUBLICATION p FOR ALL TABLES",
            "no usable replica identity",
        ),
        (
            "CREATE TABLE t (id integer PRIMARY KEY DEFERRABLE); CREATE PUBLICATION p FOR ALL TABLES",
            "no usable replica identity",
        ),
        (
            "CREATE TABLE whole (id integer, PRIMARY KEY (id)) PARTITION BY LIST (id);"
            "CREATE TABLE t PARTITION OF whole FOR VALUES IN (1)",
            "it is a partition",
        ),
        (
            f"CREATE TABLE t (id integer) PARTITION BY LIST (id); {REFUSE}"
            "CREATE TRIGGER fires AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
            "it is partitioned and has the trigger fires",
        ),
        (
            "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
            "CREATE FOREIGN TABLE t (id integer) SERVER s",
            "it is a foreign table",
        ),
        ("SELECT", "it does not exist"),
    ],
)
def test_what_cannot_be_merged(scene: MergeScene, sql: str, reason: str) -> None:
    scene.run(sql)
    found = obstacles_of(scene.connection, [T])
    assert list(found) == [T]
    assert len(found[T]) == 1
    assert reason in found[T][0]


def test_what_looks_like_an_obstacle_and_is_none(scene: MergeScene) -> None:
    scene.run(f"""
        {REFUSE}
        CREATE TABLE t (id integer PRIMARY KEY, up integer REFERENCES t ON DELETE RESTRICT ON UPDATE CASCADE);
        CREATE TRIGGER fires AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();
        CREATE TABLE u (id integer); ALTER TABLE u REPLICA IDENTITY FULL;
        CREATE TABLE v (id integer); CREATE PUBLICATION inserts FOR TABLE v WITH (publish = 'insert');
        CREATE RULE quiet AS ON DELETE TO v DO INSTEAD NOTHING; ALTER TABLE v DISABLE RULE quiet;
        CREATE PUBLICATION p FOR TABLE t, u;
        ALTER TABLE t ENABLE ROW LEVEL SECURITY""")
    assert obstacles_of(scene.connection, [T, U, V]) == {}


def test_rights_that_the_role_lacks(scene: MergeScene) -> None:
    scene.run(f"""
        {REFUSE}
        CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE u (id integer PRIMARY KEY, t integer REFERENCES t);
        CREATE TRIGGER fires AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION refuse();
        CREATE TABLE v (id integer); ALTER TABLE v ENABLE ROW LEVEL SECURITY;
        DROP ROLE IF EXISTS merger; CREATE ROLE merger;
        GRANT SELECT, INSERT, UPDATE ON t TO merger; GRANT SELECT, INSERT, UPDATE, DELETE ON v TO merger""")
    scene.run("SET ROLE merger")
    found = obstacles_of(scene.connection, [T, V])
    assert found[V] == ("row security hides rows of it from this role. Give the role BYPASSRLS",)
    assert [reason.partition(",")[0] for reason in found[T]] == [
        "this role lacks the right to DELETE",
        "its trigger fires would fire for rows that are not new",
        "foreign key u_t_fkey of public.u references it",
    ]
    scene.run(
        "RESET ROLE; GRANT DELETE ON t TO merger; GRANT SELECT ON u TO merger; DROP TRIGGER fires ON t; SET ROLE merger"
    )
    assert list(obstacles_of(scene.connection, [T, V])) == [V]
    scene.run("RESET ROLE; DROP OWNED BY merger; DROP ROLE merger")


def test_a_role_that_owns_nothing_merges(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text UNIQUE);
        CREATE TABLE u (id integer PRIMARY KEY, t integer REFERENCES t ON DELETE CASCADE);
        INSERT INTO t (code) VALUES ('a'), ('b'), ('c'); INSERT INTO u VALUES (1, 1), (2, 2), (3, 3);
        DROP ROLE IF EXISTS merger; CREATE ROLE merger;
        GRANT SELECT, INSERT, UPDATE, DELETE ON t, u TO merger;
        CREATE SCHEMA replication_staging AUTHORIZATION merger; GRANT USAGE ON SCHEMA public TO merger""")
    scene.run("SET ROLE merger")
    assert obstacles_of(scene.connection, [T, U]) == {}
    scene.stage_copy(T, U)
    t, u = staging_of(T).quoted, staging_of(U).quoted
    scene.run(
        f"UPDATE {t} SET code = CASE code WHEN 'a' THEN 'b' ELSE 'a' END WHERE id < 3; INSERT INTO {t} VALUES (9)"
    )
    scene.run(f"DELETE FROM {u} WHERE id = 3; DELETE FROM {t} WHERE id = 3")
    scene.merge(T, U)
    assert scene.are_equal(T, U)
    scene.run("RESET ROLE; DROP OWNED BY merger; DROP ROLE merger")


def test_three_hundred_tables_take_few_queries(scene: MergeScene) -> None:
    names = [public(f"t{number}") for number in range(300)]
    scene.run("".join(
        f"CREATE TABLE {name.quoted} (id integer PRIMARY KEY, up integer REFERENCES {before.quoted});"
        if number else f"CREATE TABLE {name.quoted} (id integer PRIMARY KEY, up integer);"
        for number, (name, before) in enumerate(zip(names, [names[0], *names], strict=False))
    ))  # fmt: skip
    executed = Counted(scene.connection)
    assert obstacles_of(executed, names) == {}
    assert executed.queries < 10


class Counted:
    """A connection that counts what its cursors execute."""

    def __init__(self, connection: psycopg2.extensions.connection) -> None:
        self._connection = connection
        self.queries = 0

    def rollback(self) -> None:
        """As the connection does."""
        self._connection.rollback()

    def cursor(self) -> psycopg2.extensions.cursor:
        """A cursor whose queries are counted."""
        counted = self

        class Cursor(psycopg2.extensions.cursor):
            def execute(self, *arguments: object) -> None:
                counted.queries += 1
                super().execute(*arguments)  # type: ignore[arg-type]

        return self._connection.cursor(cursor_factory=Cursor)

"""Tables replaced by twins: afterwards everything is as it was, but for the rows."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from model.errors import LoadLostError
from postgres import restoration, suspension_record, twins
from postgres.names import TargetName
from tests.postgres.twins.nasty import ORDERS, PEOPLE, STAGING
from tests.postgres.twins.places import TWINS, build, create, dump, exchange, fill, finish, replace, run
from tests.samples import query

PARENTS, CHILDREN = TargetName("public", "parents"), TargetName("public", "children")


def test_everything_but_the_rows_is_as_it_was(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    before = dump(target, target_database)
    build(nasty_connection)
    assert exchange(nasty_connection, TWINS) == []
    assert dump(target, target_database) == before
    assert suspension_record.read(nasty_connection) == []
    assert run(nasty_connection, "SELECT count(*), min(name), max(name) FROM shop.people") == [(30, "new 1", "new 9")]
    assert run(nasty_connection, 'SELECT count(*), min("name %s") FROM shop.seen_again') == [(30, "new 1")]
    assert run(nasty_connection, "REFRESH MATERIALIZED VIEW shop.summed; TABLE shop.summed") == [(30,)]
    assert run(nasty_connection, "SELECT shop.counted()") == [(30,)]
    left = f"SELECT relname FROM pg_class WHERE relnamespace = '{STAGING}'::regnamespace OR relname ~ '^(retired|twin)'"
    assert run(nasty_connection, left) == []


def test_it_can_be_done_again_and_again(target: EmbeddedTarget, target_database: str, nasty_connection: Any) -> None:
    before = dump(target, target_database)
    for count in (40, 25):
        build(nasty_connection, count)
        assert exchange(nasty_connection, TWINS) == []
    assert dump(target, target_database) == before
    assert run(nasty_connection, "SELECT count(*) FROM shop.orders") == [(25,)]


def test_one_table_is_replaced_while_others_point_to_it_and_it_to_them(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    before = dump(target, target_database)
    same = f"SET session_replication_role = replica; INSERT INTO {TWINS[ORDERS].quoted} TABLE shop.orders"
    assert replace(nasty_connection, [ORDERS], same + "; RESET session_replication_role") == []
    assert dump(target, target_database) == before
    assert suspension_record.read(nasty_connection) == []
    assert run(nasty_connection, "SELECT sum(total) FROM shop.seen") == [(210,)]


def test_rights_hold_for_the_rows_that_are_new(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    build(nasty_connection)
    exchange(nasty_connection, TWINS)

    def count(role: str, what: str) -> int:
        return int(query(target, target_database, f"SET ROLE {role}; SELECT count({what}) FROM shop.people")[0][0])

    assert (count("twins_reader", "*"), count("twins_clerk", "name")) == (30, 30)
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        count("twins_clerk", "boss")


def test_the_switch_takes_the_statistics_of_the_new_rows_along(nasty_connection: Any) -> None:
    build(nasty_connection)
    exchange(nasty_connection, TWINS)
    found = "SELECT reltuples::integer FROM pg_class WHERE oid = 'shop.people'::regclass"
    assert run(nasty_connection, found) == [(30,)]
    assert run(nasty_connection, "SELECT n_distinct FROM pg_stats WHERE tablename = 'people' AND attname = 'id'") == [
        (-1,)
    ]
    extended = "SELECT DISTINCT statistics_name FROM pg_stats_ext WHERE schemaname = 'shop'"
    assert sorted(run(nasty_connection, extended)) == [("more",), ("stats FROM x",), ("stats on people",)]


# -- sequences -----------------------------------------------------------------------------------------


def next_of(connection: Any, column: str) -> int:
    """What the sequence of a column of shop.people gives next."""
    return int(run(connection, f"SELECT nextval(pg_get_serial_sequence('shop.people', '{column}'))")[0][0])


def test_sequences_go_on_where_they_stood(nasty_connection: Any) -> None:
    before = [next_of(nasty_connection, column) for column in ("count", "down")]
    build(nasty_connection)
    # Somebody goes on while the twin is built.
    between = next_of(nasty_connection, "count")
    exchange(nasty_connection, TWINS)
    assert between > before[0]
    # CACHE 3 takes three at a time, of which the old session had none.
    assert next_of(nasty_connection, "id") == 505
    assert next_of(nasty_connection, "count") == between + 1
    assert next_of(nasty_connection, "down") == before[1] - 3


def test_a_load_that_set_an_identity_further_counts(nasty_connection: Any) -> None:
    create(nasty_connection, TWINS)
    fill(nasty_connection)
    twin = TWINS[PEOPLE].quoted.replace("'", "''")
    run(nasty_connection, f"SELECT setval(pg_get_serial_sequence('{twin}', 'id'), 900)")
    finish(nasty_connection, TWINS)
    exchange(nasty_connection, TWINS)
    assert next_of(nasty_connection, "id") == 905


def test_a_descending_identity_goes_on_downwards(plain_connection: Any) -> None:
    run(
        plain_connection,
        "CREATE TABLE parents (id integer GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY, label text);"
        "INSERT INTO parents (label) VALUES ('a'), ('b'), ('c')",
    )
    replace(plain_connection, [PARENTS], f"INSERT INTO {STAGING}.\"public.parents\" (label) VALUES ('d')")
    assert run(plain_connection, "INSERT INTO parents (label) VALUES ('e') RETURNING id") == [(-4,)]


# -- readers -------------------------------------------------------------------------------------------


def test_prepared_statements_and_plans_of_others_go_on(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    with closing(target.connect(target_database)) as reader:
        run(reader, "PREPARE counted AS SELECT count(*), min(name) FROM shop.people WHERE id > $1")
        seen = "WHERE id IN (SELECT id FROM shop.seen)"
        run(reader, f'PREPARE seen AS SELECT count(*), min("name %s") FROM shop.seen_again {seen}')
        assert run(reader, "EXECUTE counted (0)") == [(20, "old 1")]
        assert run(reader, "EXECUTE seen") == [(20, "old 1")]
        build(nasty_connection)
        assert run(reader, "EXECUTE counted (0)") == [(20, "old 1")]
        exchange(nasty_connection, TWINS)
        assert run(reader, "EXECUTE counted (0)") == [(30, "new 1")]
        assert run(reader, "EXECUTE seen") == [(30, "new 1")]


def test_a_reader_in_a_transaction_is_waited_for_and_goes_on(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    build(nasty_connection)
    with closing(target.connect(target_database)) as reader:
        reader.autocommit = False
        with reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM shop.seen")
            run(nasty_connection, "SET lock_timeout = 100")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                exchange(nasty_connection, TWINS)
            nasty_connection.rollback()
            cursor.execute("SELECT count(*), min(name) FROM shop.people")
            assert cursor.fetchall() == [(20, "old 1")]
        reader.rollback()
        assert exchange(nasty_connection, TWINS) == []
        assert run(reader, "SELECT count(*) FROM shop.seen") == [(30,)]


LOCKED = """
SELECT c.relkind, l.relation::regclass::text FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock')
  AND c.relkind IN ('r', 'v', 'm', 'S') AND c.relnamespace <> 'replication'::regnamespace
"""


def test_the_exchange_locks_nothing_that_was_not_locked_before_it(nasty_connection: Any) -> None:
    build(nasty_connection)
    with nasty_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, TWINS)
        cursor.execute(planned.lock_statement)
        cursor.execute(f"CREATE TEMPORARY TABLE locked ON COMMIT DROP AS {LOCKED}")
        cursor.execute("SELECT array_agg(oid) FROM pg_class WHERE relnamespace = %s::regnamespace", (STAGING,))
        (staged,) = cursor.fetchone()
        twins.exchange(cursor, planned)
        # Those of the new tables are locked under their names now.
        cursor.execute(
            f"SELECT * FROM ({LOCKED} AND l.relation <> ALL (%s) AND c.relname <> 'locked') AS now "
            f"EXCEPT SELECT * FROM locked",
            (staged,),
        )
        assert cursor.fetchall() == []
    nasty_connection.rollback()


def test_whoever_took_a_number_is_waited_for_before_anything_is_held(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    build(nasty_connection)
    with closing(target.connect(target_database)) as writer, nasty_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, TWINS)
        for sequence in ("people_id_seq", "people_count_seq"):
            run(writer, f"BEGIN; SELECT nextval('shop.{sequence}')")
            cursor.execute("SAVEPOINT before; SET LOCAL lock_timeout = 50")
            with pytest.raises(psycopg2.errors.LockNotAvailable):
                cursor.execute(planned.lock_statement)
            cursor.execute("ROLLBACK TO SAVEPOINT before")
            run(writer, "COMMIT")
        cursor.execute(planned.lock_statement)


def test_who_would_see_nothing_of_the_new_rows_is_named(
    target: EmbeddedTarget, target_database: str, nasty_connection: Any
) -> None:
    def older(connection: Any) -> list[int]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            return [one.pid for one in twins.older_readers(cursor, cursor.fetchone()[0])]

    with closing(target.connect(target_database)) as old, closing(target.connect(target_database)) as other:
        run(old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM shop.roots")
        run(other, "BEGIN; SELECT count(*) FROM shop.roots")
        assert older(nasty_connection) == [old.info.backend_pid]
        build(nasty_connection)
        run(old, "COMMIT")
        assert older(nasty_connection) == []


# -- foreign keys of other tables -----------------------------------------------------------------------


def family(connection: Any) -> None:
    """Two tables of which one points to the other."""
    run(
        connection,
        "CREATE TABLE parents (id integer PRIMARY KEY); INSERT INTO parents SELECT generate_series(1, 5);"
        "CREATE TABLE children (id integer PRIMARY KEY, parent integer CONSTRAINT parent REFERENCES parents);"
        "COMMENT ON CONSTRAINT parent ON children IS 'its own';"
        "INSERT INTO children VALUES (1, 5)",
    )


def twin_of_parents(connection: Any, count: int) -> dict[TargetName, TargetName]:
    """A twin with so many rows, ready for the exchange."""
    pairs = {PARENTS: TargetName(STAGING, "public.parents")}
    create(connection, pairs)
    run(connection, f"INSERT INTO {pairs[PARENTS].quoted} SELECT generate_series(1, {count})")
    finish(connection, pairs)
    return pairs


KEY = """
SELECT convalidated, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'parent'
"""


def test_a_kill_before_keys_are_validated_is_made_good_by_the_next_run(plain_connection: Any) -> None:
    family(plain_connection)
    pairs = twin_of_parents(plain_connection, 6)
    with plain_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, pairs)
        cursor.execute(planned.lock_statement)
        twins.exchange(cursor, planned)
    plain_connection.commit()
    assert run(plain_connection, KEY) == [(False, f"{suspension_record.MARK}\nits own")]
    left = suspension_record.read(plain_connection)
    assert [(str(one), one.is_back) for one in left] == [("foreign key public.children.parent", True)]
    assert restoration.restore(lambda: plain_connection, left, "64MB") == []
    assert run(plain_connection, KEY) == [(True, "its own")]
    assert suspension_record.read(plain_connection) == []


def test_a_key_that_the_new_rows_violate_is_told_and_stays_recorded(plain_connection: Any) -> None:
    family(plain_connection)
    (problem,) = exchange(plain_connection, twin_of_parents(plain_connection, 4))
    assert "children" in problem
    assert "(parent)=(5) is not present" in problem
    assert [one.name for one in suspension_record.read(plain_connection)] == ["parent"]
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        run(plain_connection, "INSERT INTO children VALUES (2, 9)")


# -- somebody changes something meanwhile --------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("ALTER TABLE shop.people ADD extra integer", "its columns are"),
        ("ALTER TABLE shop.people DROP CONSTRAINT unproven", "its checks are"),
        ("ALTER TABLE shop.people SET (fillfactor = 50)", "its storage is"),
        ("CREATE INDEX extra ON shop.people (boss)", "index extra"),
        ("DROP INDEX shop.same_name", "index"),
        ("GRANT DELETE ON shop.people TO twins_reader", "rights"),
        ("GRANT SELECT (boss) ON shop.people TO twins_reader", "rights"),
        ("COMMENT ON TABLE shop.people IS 'new'", "comment"),
        ("CREATE TRIGGER extra AFTER INSERT ON shop.people EXECUTE FUNCTION shop.noted()", "trigger extra"),
        ("ALTER TABLE shop.people DISABLE ROW LEVEL SECURITY", "settings"),
        ("ALTER TABLE shop.orders DROP CONSTRAINT to_root", "foreign key to_root"),
        ("CREATE MATERIALIZED VIEW shop.new AS SELECT id FROM shop.people", "materialised view shop.new"),
    ],
)
def test_what_was_changed_meanwhile_is_never_lost(nasty_connection: Any, change: str, words: str) -> None:
    build(nasty_connection)
    with nasty_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, TWINS)
    nasty_connection.commit()
    run(nasty_connection, change)
    with pytest.raises(LoadLostError, match=words), nasty_connection.cursor() as cursor:
        cursor.execute(planned.lock_statement)
        twins.exchange(cursor, planned)
    nasty_connection.rollback()
    assert run(nasty_connection, "SELECT count(*) FROM shop.people") == [(20,)]


def test_a_view_that_was_changed_after_the_plan_keeps_its_new_form(nasty_connection: Any) -> None:
    build(nasty_connection)
    with nasty_connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, TWINS)
    nasty_connection.commit()
    run(nasty_connection, "CREATE VIEW shop.newest AS SELECT id FROM shop.people")
    run(
        nasty_connection,
        'CREATE OR REPLACE VIEW shop.updatable AS SELECT id, name, 7 AS "per cent %s" FROM shop.people',
    )
    with nasty_connection.cursor() as cursor:
        cursor.execute(planned.lock_statement)
        twins.exchange(cursor, planned)
    nasty_connection.commit()
    assert run(nasty_connection, "SELECT count(*) FROM shop.newest") == [(30,)]
    assert run(nasty_connection, 'SELECT DISTINCT "per cent %s" FROM shop.updatable') == [(7,)]


def test_tablespaces_and_names_of_others_do_not_matter(
    target: EmbeddedTarget, target_database: str, plain_connection: Any
) -> None:
    ddl = """
CREATE UNLOGGED TABLE parents (id integer GENERATED ALWAYS AS IDENTITY, label text) TABLESPACE twins_space;
ALTER TABLE parents ADD PRIMARY KEY (id) USING INDEX TABLESPACE twins_space;
CREATE INDEX parents_label ON parents (label) WITH (fillfactor = 70) TABLESPACE twins_space WHERE label > '';
CREATE INDEX parents_usual ON parents (label);
-- What the twin is called, in the live schema; what the live table is called, in the staging schema.
CREATE TABLE "public.parents" (id integer);
CREATE TABLE replication_staging.parents (id integer);
"""
    with closing(target.connect()) as server:
        run(server, "SET allow_in_place_tablespaces = on")
        with server.cursor() as cursor:
            cursor.execute("CREATE TABLESPACE twins_space LOCATION ''")
    try:
        run(plain_connection, ddl)
        before = dump(target, target_database)
        replace(plain_connection, [PARENTS], f"INSERT INTO {STAGING}.\"public.parents\" (label) VALUES ('new')")
        assert dump(target, target_database) == before
        assert run(plain_connection, "SELECT id, label FROM parents") == [(1, "new")]
    finally:
        plain_connection.rollback()
        run(plain_connection, "DROP TABLE parents")
        query(target, "postgres", "DROP TABLESPACE twins_space")


def test_nothing_to_exchange_is_no_error(nasty_connection: Any) -> None:
    assert exchange(nasty_connection, {}) == []

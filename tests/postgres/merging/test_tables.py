"""Kinds of tables: what is written, what is left alone, what fires, and what whoever reads meanwhile sees."""

from __future__ import annotations

import pickle
import threading

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from model.errors import TargetError, UnfitTargetError
from postgres import locks
from postgres.merging import Applied, apply, read_merges
from postgres.names import TargetName
from tests.postgres.merging.conftest import MergeScene, public, staging_of

T, U = public("t"), public("u")
ODD = TargetName("Odd ones", 'a "table" of 100%')


def numbered(scene: MergeScene, columns: str = "id integer PRIMARY KEY, note text") -> None:
    """A table with a thousand rows, staged as it is."""
    scene.run(f"CREATE TABLE t ({columns})")
    scene.run("INSERT INTO t (id, note) SELECT n, 'n' || n FROM generate_series(1, 1000) AS n")
    scene.stage_copy(T)


def test_only_rows_that_differ_are_written(scene: MergeScene) -> None:
    numbered(scene)
    before = scene.places(T)
    staging = staging_of(T).quoted
    scene.run(f"""
        DELETE FROM {staging} WHERE id = 7; UPDATE {staging} SET note = NULL WHERE id = 8;
        UPDATE {staging} SET note = '' WHERE id = 9; INSERT INTO {staging} VALUES (0, 'new')""")
    assert scene.merge(T) == {T: Applied(1, 2, 1, 1000)}
    assert scene.are_equal(T)
    assert len(set(before) & set(scene.places(T))) == 997


def test_a_table_that_does_not_differ_writes_nothing(scene: MergeScene, target: EmbeddedTarget) -> None:
    numbered(scene, "id integer, note text")
    scene.run("""
        CREATE TABLE u (id integer PRIMARY KEY, note text, amount double precision);
        INSERT INTO u SELECT n, 'n' || n, n FROM generate_series(1, 1000) n;
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
        CREATE TRIGGER fires AFTER UPDATE ON u EXECUTE FUNCTION refuse()""")
    scene.stage_copy(U)
    connection = target.connect(scene.connection.info.dbname)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (FREEZE, ANALYZE) t, u")
    connection.close()
    written = (
        "SELECT c.relname, t.xmin::text, pg_stat_get_tuples_updated(c.oid), pg_stat_get_tuples_deleted(c.oid),"
        " pg_stat_get_tuples_inserted(c.oid), pg_stat_get_dead_tuples(c.oid), pg_relation_size(c.oid)"
        " FROM pg_class AS c LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid WHERE c.relname IN ('t', 'u') ORDER BY 1"
    )
    scene.run("SELECT pg_stat_force_next_flush()")
    before, places = scene.run(written), [scene.places(T), scene.places(U)]
    assert scene.merge(T, U) == {T: Applied(0, 0, 0, 1000), U: Applied(0, 0, 0, 1000)}
    scene.run("SELECT pg_stat_force_next_flush()")
    assert (scene.run(written), [scene.places(T), scene.places(U)]) == (before, places)


def test_a_large_value_that_is_the_same_is_not_written_again(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE t (id integer PRIMARY KEY, note text, document text, picture bytea);
        ALTER TABLE t ALTER COLUMN document SET STORAGE EXTERNAL, ALTER COLUMN picture SET STORAGE EXTERNAL;
        INSERT INTO t SELECT n, 'n', repeat('x', 1000000), decode(repeat('ff', 100000), 'hex')
            FROM generate_series(1, 5) AS n""")
    scene.stage_copy(T)
    scene.run(f"UPDATE {staging_of(T).quoted} SET note = 'other'")
    toast = "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE relname = 't'"
    before = scene.run(toast)
    assert scene.merge(T) == {T: Applied(0, 5, 0, 5)}
    assert scene.are_equal(T)
    assert scene.run(toast) == before


@pytest.mark.parametrize("key", ["PRIMARY KEY", "UNIQUE NOT NULL", "NOT NULL", "NOT NULL UNIQUE DEFERRABLE"])
def test_names_that_need_quotes(scene: MergeScene, key: str) -> None:
    scene.run(f'''
        CREATE SCHEMA "Odd ones";
        CREATE TABLE {ODD.quoted} ("per cent %s" integer {key}, "a ""b""" text, "select" integer);
        INSERT INTO {ODD.quoted} VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'c', NULL);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
        CREATE TRIGGER "odd %s ""one""" BEFORE UPDATE ON {ODD.quoted} EXECUTE FUNCTION refuse()''')
    scene.stage(ODD)
    staging = staging_of(ODD).quoted
    scene.run(f'''
        INSERT INTO {staging} SELECT * FROM {ODD.quoted};
        UPDATE {staging} SET "select" = 7 WHERE "a ""b""" = 'a'; DELETE FROM {staging} WHERE "select" = 1''')
    scene.merge(ODD)
    assert scene.are_equal(ODD)


def test_triggers_and_rules_of_the_server(scene: MergeScene) -> None:
    numbered(scene)
    scene.run("""
        CREATE TABLE fired (what text);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO public.fired VALUES (TG_NAME); RETURN NULL; END $$;
        CREATE TRIGGER usual AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER asleep AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER "replica's" AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER always AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
        ALTER TABLE t DISABLE TRIGGER asleep; ALTER TABLE t ENABLE REPLICA TRIGGER "replica's";
        ALTER TABLE t ENABLE ALWAYS TRIGGER always""")
    states = "SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1"
    before = scene.run(states)
    scene.run(f"UPDATE {staging_of(T).quoted} SET note = 'other' WHERE id = 5")
    scene.merge(T)
    assert scene.run("SELECT what FROM fired") == [("always",)]
    assert scene.run(states) == before


def test_a_trigger_that_is_always_on_and_keeps_rows_fails_the_merge(scene: MergeScene) -> None:
    numbered(scene)
    scene.run(f"""
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER kept BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep();
        ALTER TABLE t ENABLE ALWAYS TRIGGER kept;
        DELETE FROM {staging_of(T).quoted} WHERE id > 998""")
    with pytest.raises(TargetError, match=r"2 rows were to be deleted, and 0 were; rolled back.*ENABLE ALWAYS"):
        scene.merge(T)


def test_an_identity_that_is_always_generated(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE t (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text);
        CREATE TABLE u (code text PRIMARY KEY, number integer GENERATED ALWAYS AS IDENTITY, t integer REFERENCES t);
        INSERT INTO t (note) VALUES ('a'), ('b'), ('c');
        INSERT INTO u (code, t) VALUES ('x', 1), ('y', 2), ('z', 3)""")
    scene.stage_copy(T, U)
    t, u = staging_of(T).quoted, staging_of(U).quoted
    scene.run(f"""
        INSERT INTO {t} VALUES (17, 'new'); UPDATE {t} SET note = 'other' WHERE id = 1;
        UPDATE {u} SET number = 7 WHERE code = 'x'; UPDATE {u} SET t = 17 WHERE code = 'y';
        DELETE FROM {u} WHERE code = 'z'; DELETE FROM {t} WHERE id = 3""")
    assert scene.merge(T, U) == {T: Applied(1, 1, 1, 3), U: Applied(0, 2, 1, 2)}
    assert scene.are_equal(T, U)


def test_generated_columns_fill_themselves(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE t (net numeric NOT NULL, id integer PRIMARY KEY,
                        gross numeric NOT NULL GENERATED ALWAYS AS (net * 2) STORED CHECK (gross < 100));
        CREATE TABLE u (base integer NOT NULL, id integer GENERATED ALWAYS AS (base + 1) STORED PRIMARY KEY, note text);
        INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO u (base, note) VALUES (1, 'a'), (2, 'b')""")
    scene.stage_copy(T, U)
    t, u = staging_of(T).quoted, staging_of(U).quoted
    scene.run(f"""
        UPDATE {t} SET net = 3 WHERE id = 1; INSERT INTO {t} VALUES (4, 4);
        UPDATE {u} SET note = 'c' WHERE base = 1; UPDATE {u} SET base = 7 WHERE base = 2""")
    with pytest.raises(psycopg2.errors.CheckViolation):
        scene.run(f"INSERT INTO {t} VALUES (50, 5)")
    assert scene.merge(T, U) == {T: Applied(1, 1, 0, 3), U: Applied(1, 1, 1, 2)}
    assert scene.are_equal(T, U)


def test_tables_that_inherit_keep_their_rows(scene: MergeScene) -> None:
    numbered(scene)
    scene.run(f"""
        CREATE TABLE u () INHERITS (t); INSERT INTO u VALUES (1, 'mine'), (2000, 'mine');
        DELETE FROM {staging_of(T).quoted} WHERE id = 1; UPDATE {staging_of(T).quoted} SET note = 'x' WHERE id = 2""")
    before = scene.places(U)
    assert scene.merge(T) == {T: Applied(0, 1, 1, 999)}
    assert scene.are_equal(T)
    assert scene.places(U) == before


@pytest.mark.parametrize("key", [", PRIMARY KEY (region, id)", ""])
def test_a_partitioned_table(scene: MergeScene, key: str) -> None:
    scene.run(f"""
        CREATE TABLE t (region text NOT NULL, id integer NOT NULL, note text{key}) PARTITION BY LIST (region);
        CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a');
        CREATE TABLE t_b (note text, id integer NOT NULL, region text NOT NULL);
        ALTER TABLE t ATTACH PARTITION t_b FOR VALUES IN ('b');
        INSERT INTO t SELECT r, n, 'n' || n FROM unnest(ARRAY['a', 'b']) AS r, generate_series(1, 100) AS n""")
    scene.stage(T)
    staging = staging_of(T).quoted
    scene.run(f"""
        INSERT INTO {staging} SELECT * FROM t;
        DELETE FROM {staging} WHERE (region, id) = ('a', 1); DELETE FROM {staging} WHERE (region, id) = ('b', 2);
        UPDATE {staging} SET note = 'other' WHERE id = 3; INSERT INTO {staging} VALUES ('a', 500, 'new')""")
    before = set(scene.run("SELECT tableoid, ctid::text, xmin::text FROM t"))
    done = scene.merge(T)[T]
    assert (done.rows, done.deleted + done.updated, done.inserted + done.updated) == (199, 4, 3)
    assert scene.run("SELECT * FROM t ORDER BY 1, 2, 3") == scene.run(f"SELECT * FROM {staging} ORDER BY 1, 2, 3")
    assert len(set(scene.run("SELECT tableoid, ctid::text, xmin::text FROM t")) & before) == 196


def test_rows_that_the_key_takes_for_one_are_told(scene: MergeScene) -> None:
    numbered(scene)
    scene.run(f"INSERT INTO {staging_of(T).quoted} VALUES (5, 'n5')")
    with pytest.raises(TargetError, match=r"1,000 rows after the merge, and 1,001 were staged.*have the same id"):
        scene.merge(T)
    scene.run(f"UPDATE {staging_of(T).quoted} SET id = 2000 WHERE id = 5")
    with pytest.raises(TargetError, match=r"duplicate key value.*2000.*Nothing was changed"):
        scene.merge(T)


def test_a_constraint_that_refuses_staged_rows_is_told(scene: MergeScene) -> None:
    numbered(scene)
    before = scene.places(T)
    scene.run(f"""
        ALTER TABLE t ADD CONSTRAINT not_long CHECK (length(note) < 10);
        UPDATE {staging_of(T).quoted} SET note = 'much too long' WHERE id = 5""")
    with pytest.raises(TargetError, match=r'violates check constraint "not_long".*Nothing was changed'):
        scene.merge(T)
    assert scene.places(T) == before


def test_a_table_that_was_changed_after_it_was_staged_is_refused(scene: MergeScene) -> None:
    numbered(scene)
    scene.run("ALTER TABLE t ALTER COLUMN note TYPE varchar(10)")
    with pytest.raises(UnfitTargetError, match=r"public\.t cannot be merged: its columns were changed.*note"):
        scene.merge(T)
    scene.run(f"DROP TABLE {staging_of(T).quoted}")
    with pytest.raises(UnfitTargetError, match=r"public\.t cannot be merged: its staged rows are not there"):
        scene.merge(T)


def test_a_staging_table_refuses_what_the_live_one_refuses_and_fills_in_nothing(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE t (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, note text DEFAULT 'x' NOT NULL,
                        amount integer CHECK (amount > 0), at timestamp DEFAULT now());
        CREATE INDEX ON t (amount)""")
    scene.stage(T)
    staging = staging_of(T).quoted
    for row in ("1, NULL, 1, NULL", "1, 'a', 0, NULL", "DEFAULT, 'a', 1, NULL", "1, DEFAULT, 1, NULL"):
        with pytest.raises(psycopg2.IntegrityError):
            scene.run(f"INSERT INTO {staging} VALUES ({row})")
    assert scene.run(f"INSERT INTO {staging} VALUES (1, 'a', 1) RETURNING *") == [(1, "a", 1, None)]
    assert scene.run(f"""
        SELECT relpersistence, relhasindex, reloptions FROM pg_class WHERE oid = '{staging}'::regclass
        """) == [("u", False, ["autovacuum_enabled=false"])]  # fmt: skip


def test_what_is_to_be_merged_travels_between_processes(scene: MergeScene) -> None:
    numbered(scene)
    merges = read_merges(scene.connection, {T: staging_of(T)})
    assert pickle.loads(pickle.dumps(merges)) == merges


def test_a_reader_with_a_short_patience_never_waits_and_sees_old_or_new(
    scene: MergeScene, target: EmbeddedTarget
) -> None:
    scene.run("""
        CREATE TABLE t (id integer PRIMARY KEY, code integer UNIQUE, night integer);
        CREATE TABLE u (id integer PRIMARY KEY, t integer REFERENCES t ON DELETE CASCADE, night integer);
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER fires AFTER UPDATE ON t EXECUTE FUNCTION nothing();
        INSERT INTO t SELECT n, n, 0 FROM generate_series(1, 2000) AS n;
        INSERT INTO u SELECT n, n, 0 FROM generate_series(1, 2000) AS n""")
    scene.stage_copy(T, U)
    t, u = staging_of(T).quoted, staging_of(U).quoted
    seen: list[tuple[int, int, int]] = []
    failures: list[str] = []
    is_over = threading.Event()

    def read() -> None:
        connection = target.connect(scene.connection.info.dbname)
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 250")
            while not is_over.is_set():
                try:
                    cursor.execute(
                        "SELECT count(*), min(t.night + u.night), max(t.night + u.night) FROM t JOIN u ON u.t = t.id"
                    )
                    seen.extend(cursor.fetchall())
                except psycopg2.Error as error:
                    failures.append(str(error))
        connection.close()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for night in range(1, 6):
            # The codes are swapped in pairs, so that all rows are replaced, and those below them with them.
            scene.run(f"UPDATE {t} SET night = {night}, code = code + CASE code % 2 WHEN 0 THEN -1 ELSE 1 END")
            scene.run(f"UPDATE {u} SET night = {night}")
            scene.merge(T, U)
            before = len(seen)
            while len(seen) < before + 2 and reader.is_alive():
                is_over.wait(0.01)
    finally:
        is_over.set()
        reader.join()
    assert failures == []
    assert {(count, low - high) for count, low, high in seen} == {(2000, 0)}
    assert {low // 2 for _, low, _ in seen} >= {1, 2, 3, 4, 5}


def test_a_merge_that_is_given_up_leaves_all_as_it_was(scene: MergeScene) -> None:
    numbered(scene)
    before = scene.places(T)
    scene.run(f"UPDATE {staging_of(T).quoted} SET note = 'other'")
    merges = read_merges(scene.connection, {T: staging_of(T)})
    told: list[TargetName] = []
    with scene.connection.cursor() as cursor:
        locks.lock(cursor, [T], "SHARE ROW EXCLUSIVE")
        apply(cursor, merges, compared=told.append, applied=lambda table, _: told.append(table))
    scene.connection.rollback()
    assert told == [T, T]
    assert scene.places(T) == before

"""Tables that foreign keys tie together: every key holds throughout, in whatever order rows come, go and move."""

from __future__ import annotations

import threading

import pytest

from demo.target import EmbeddedTarget
from model.errors import TargetError
from postgres.names import TargetName
from tests.harness import wait_until
from tests.postgres.merging.conftest import MergeScene, public, staging_of
from tests.samples import query

PARENT, CHILD, GRANDCHILD, OTHER = (public(name) for name in ("parent", "child", "grandchild", "other"))
ACTIONS = ["NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"]


def family(scene: MergeScene, action: str) -> tuple[TargetName, ...]:
    """Three generations; each row of `parent` has an e-mail of its own."""
    scene.run(f"""
        CREATE TABLE parent (id integer PRIMARY KEY, email text NOT NULL UNIQUE, note text);
        CREATE TABLE child (id integer PRIMARY KEY, parent integer REFERENCES parent ON DELETE {action}, note text);
        CREATE TABLE grandchild (id integer PRIMARY KEY, child integer REFERENCES child ON DELETE {action});
        CREATE INDEX ON child (parent, note); CREATE INDEX ON grandchild (child);
        INSERT INTO parent SELECT n, 'mail ' || n, 'note' FROM generate_series(1, 9) AS n;
        INSERT INTO child SELECT n, n, 'note' FROM generate_series(1, 9) AS n;
        INSERT INTO grandchild SELECT n, n FROM generate_series(1, 9) AS n""")
    scene.stage_copy(PARENT, CHILD, GRANDCHILD)
    return PARENT, CHILD, GRANDCHILD


@pytest.mark.parametrize("action", ACTIONS)
def test_rows_come_go_and_change_in_three_generations(scene: MergeScene, action: str) -> None:
    tables = family(scene, action)
    parent, child, grandchild = (staging_of(table).quoted for table in tables)
    scene.run(f"""
        DELETE FROM {grandchild} WHERE id IN (1, 2);
        DELETE FROM {child} WHERE id = 1;
        DELETE FROM {parent} WHERE id = 1;
        INSERT INTO {parent} VALUES (20, 'mail 20', 'new');
        UPDATE {child} SET parent = 20 WHERE id IN (2, 3);
        UPDATE {parent} SET note = 'other' WHERE id = 2;
        INSERT INTO {child} VALUES (20, 20, 'new');
        INSERT INTO {grandchild} VALUES (20, 20)""")
    done = scene.merge(*tables)
    assert scene.are_equal(*tables)
    assert [(one.inserted, one.updated, one.deleted, one.rows) for one in done.values()] == [
        (1, 1, 1, 9), (1, 2, 1, 9), (1, 0, 2, 8),
    ]  # fmt: skip
    assert scene.said == []


@pytest.mark.parametrize("action", ACTIONS)
def test_unique_values_are_swapped_below_rows_that_stay(scene: MergeScene, action: str) -> None:
    tables = family(scene, action)
    parent = staging_of(PARENT).quoted
    scene.run(f"UPDATE {parent} SET email = 'mail ' || (id % 9) + 1, note = 'moved'")
    scene.merge(*tables)
    assert scene.are_equal(*tables)
    assert scene.said == ["unique values move between rows of public.parent: these rows are replaced"]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_parent_is_replaced_by_another_with_the_same_e_mail_and_its_children_move(
    scene: MergeScene, action: str
) -> None:
    tables = family(scene, action)
    parent, child = (staging_of(table).quoted for table in (PARENT, CHILD))
    scene.run(f"UPDATE {parent} SET id = 100 WHERE id = 5; UPDATE {child} SET parent = 100 WHERE parent = 5")
    scene.merge(*tables)
    assert scene.are_equal(*tables)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_parent_that_children_name_by_its_e_mail_is_replaced(scene: MergeScene, action: str) -> None:
    scene.run(f"""
        CREATE TABLE parent (id integer PRIMARY KEY, email text NOT NULL UNIQUE);
        CREATE TABLE child (id integer PRIMARY KEY, email text REFERENCES parent (email) ON DELETE {action});
        INSERT INTO parent VALUES (1, 'a'), (2, 'b');
        INSERT INTO child VALUES (1, 'a'), (2, 'b'), (3, NULL)""")
    scene.stage_copy(PARENT, CHILD)
    scene.run(f"UPDATE {staging_of(PARENT).quoted} SET id = 3 WHERE id = 1")
    scene.merge(PARENT, CHILD)
    assert scene.are_equal(PARENT, CHILD)
    assert scene.run("SELECT count(*) FROM child WHERE email IS NULL") == [(1,)]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_circle_of_two_tables(scene: MergeScene, action: str) -> None:
    scene.run(f"""
        CREATE TABLE parent (id integer PRIMARY KEY, favourite integer, code text UNIQUE);
        CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent ON DELETE CASCADE);
        INSERT INTO parent SELECT n, NULL, n FROM generate_series(1, 6) AS n;
        INSERT INTO child SELECT n, n FROM generate_series(1, 6) AS n;
        UPDATE parent SET favourite = id;
        ALTER TABLE parent ADD FOREIGN KEY (favourite) REFERENCES child ON DELETE {action}""")
    scene.stage_copy(PARENT, CHILD)
    parent, child = (staging_of(table).quoted for table in (PARENT, CHILD))
    # Both rows of a pair go, a pair comes, two parents swap their codes, and the rest is tied anew.
    scene.run(f"""
        DELETE FROM {parent} WHERE id = 1; DELETE FROM {child} WHERE id = 1;
        INSERT INTO {parent} VALUES (7, 7, '7'); INSERT INTO {child} VALUES (7, 7);
        UPDATE {parent} SET code = 5 - id, favourite = 7 WHERE id IN (2, 3);
        UPDATE {child} SET parent = 7 WHERE id = 4""")
    scene.merge(PARENT, CHILD)
    assert scene.are_equal(PARENT, CHILD)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_table_that_references_itself(scene: MergeScene, action: str) -> None:
    scene.run(f"""
        CREATE TABLE parent (id integer PRIMARY KEY, boss integer REFERENCES parent ON DELETE {action},
                             code integer UNIQUE);
        INSERT INTO parent SELECT n, nullif(n / 2, 0), n FROM generate_series(1, 20) AS n""")
    scene.stage_copy(PARENT)
    parent = staging_of(PARENT).quoted
    scene.run(f"""
        UPDATE {parent} SET boss = 21 WHERE boss = 3; DELETE FROM {parent} WHERE id IN (3, 19, 20);
        UPDATE {parent} SET code = 3 - code WHERE id IN (1, 2);
        INSERT INTO {parent} VALUES (21, 22, 21), (22, 1, 22)""")
    scene.merge(PARENT)
    assert scene.are_equal(PARENT)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_name_that_children_follow_changes(scene: MergeScene, action: str) -> None:
    scene.run(f"""
        CREATE EXTENSION citext;
        CREATE TABLE parent (id integer PRIMARY KEY, code citext UNIQUE, number numeric UNIQUE, note text);
        CREATE TABLE child (id integer PRIMARY KEY, code citext REFERENCES parent (code) ON UPDATE {action},
                            number numeric REFERENCES parent (number) ON UPDATE {action});
        INSERT INTO parent VALUES (1, 'a', 1.0), (2, 'b', 2.0), (3, 'c', 3.0), (4, 'd', 4.0);
        INSERT INTO child SELECT id, code, number FROM parent""")
    scene.stage_copy(PARENT, CHILD)
    parent, child = staging_of(PARENT).quoted, staging_of(CHILD).quoted
    # One gets another case, and its child does not.
    scene.run(f"UPDATE {parent} SET code = 'A' WHERE id = 1")
    scene.merge(PARENT, CHILD)
    assert scene.are_equal(PARENT, CHILD)
    # Two swap, and their children stay; the last one gets a new name.
    scene.run(f"""
        UPDATE {parent} SET code = chr(197 - ascii(code)), number = 5 - number WHERE id IN (2, 3);
        UPDATE {parent} SET code = 'new' WHERE id = 4; UPDATE {child} SET code = 'new' WHERE id = 4""")
    scene.merge(PARENT, CHILD)
    assert scene.are_equal(PARENT, CHILD)
    scene.run(f"UPDATE {parent} SET number = 1.000, note = 'changed' WHERE id = 1")
    scene.merge(PARENT, CHILD)
    assert scene.run("SELECT code, number, note FROM parent WHERE id = 1") == [("A", 1, "changed")]
    assert scene.are_equal(CHILD)


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
def test_rows_outside_the_merge_are_not_touched(scene: MergeScene, action: str) -> None:
    family(scene, action)
    parent = staging_of(PARENT).quoted
    scene.run(f"DELETE FROM {parent} WHERE id = 4; UPDATE {parent} SET note = 'changed' WHERE id = 5")
    before = [scene.places(table) for table in (PARENT, CHILD)]
    with pytest.raises(TargetError, match=r"1 row of public.child, which is not merged in this run.*child_parent_fkey"):
        scene.merge(PARENT)
    assert [scene.places(table) for table in (PARENT, CHILD)] == before


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"])
def test_rows_outside_are_not_hit_through_rows_that_are_only_replaced(scene: MergeScene, action: str) -> None:
    family(scene, action)
    scene.run(f"UPDATE {staging_of(PARENT).quoted} SET email = 'mail ' || 3 - id WHERE id IN (1, 2)")
    before = [scene.places(table) for table in (PARENT, CHILD, GRANDCHILD)]
    with pytest.raises(TargetError, match=r"public\.grandchild, which is not merged in this run"):
        scene.merge(PARENT, CHILD)
    assert [scene.places(table) for table in (PARENT, CHILD, GRANDCHILD)] == before


def test_rows_outside_may_reference_rows_that_are_replaced(scene: MergeScene) -> None:
    family(scene, "NO ACTION")
    scene.run(f"UPDATE {staging_of(PARENT).quoted} SET email = 'mail ' || 3 - id WHERE id IN (1, 2)")
    before = scene.places(CHILD)
    scene.merge(PARENT)
    assert scene.are_equal(PARENT)
    assert scene.places(CHILD) == before


@pytest.mark.parametrize("action", ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"])
def test_a_key_that_the_source_breaks_is_told(scene: MergeScene, action: str) -> None:
    tables = family(scene, action)
    scene.run(f"DELETE FROM {staging_of(PARENT).quoted} WHERE id = 4")
    before = [scene.places(table) for table in tables]
    with pytest.raises(TargetError, match=r"child_parent_fkey[\s\S]*(?i:nothing was changed)"):
        scene.merge(*tables)
    assert [scene.places(table) for table in tables] == before


def test_a_row_outside_that_comes_while_its_parent_goes_is_not_taken_along(
    scene: MergeScene, target: EmbeddedTarget
) -> None:
    family(scene, "CASCADE")
    scene.run("DELETE FROM child WHERE id = 4")
    scene.run(f"DELETE FROM {staging_of(PARENT).quoted} WHERE id = 4")
    other = target.connect(scene.connection.info.dbname)
    other.autocommit = False
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO child VALUES (4, 4)")

    def commit_when_waited_for() -> None:
        wait_until(lambda: scene_waits(target, scene), "the merge waits for the row")
        other.commit()

    committing = threading.Thread(target=commit_when_waited_for)
    committing.start()
    with pytest.raises(TargetError, match=r"1 row of public.child, which is not merged in this run"):
        scene.merge(PARENT)
    committing.join()
    other.close()
    assert scene.run("SELECT count(*) FROM child WHERE parent = 4") == [(1,)]


def scene_waits(target: EmbeddedTarget, scene: MergeScene) -> bool:
    """Whether the merging connection waits for another one."""
    waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
    return query(target, "postgres", waits, scene.connection.info.backend_pid) == [(True,)]


def test_a_diamond(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE parent (id integer PRIMARY KEY);
        CREATE TABLE child (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent ON DELETE CASCADE);
        CREATE TABLE other (id integer PRIMARY KEY, parent integer NOT NULL REFERENCES parent);
        CREATE TABLE grandchild (id integer PRIMARY KEY, child integer REFERENCES child ON DELETE SET NULL,
                                 other integer REFERENCES other ON DELETE CASCADE);
        INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 2); INSERT INTO other VALUES (1, 1);
        INSERT INTO grandchild VALUES (1, 1, 1), (2, 2, 1)""")
    tables = (GRANDCHILD, PARENT, OTHER, CHILD)
    scene.stage_copy(*tables)
    grandchild, parent, other, child = (staging_of(table).quoted for table in tables)
    scene.run(f"""
        INSERT INTO {parent} VALUES (3); DELETE FROM {parent} WHERE id = 1;
        UPDATE {child} SET parent = 3 WHERE id = 1; UPDATE {other} SET parent = 3;
        UPDATE {grandchild} SET child = NULL WHERE id = 2; DELETE FROM {child} WHERE id = 2""")
    scene.merge(*tables)
    assert scene.are_equal(*tables)


def test_a_key_without_an_index_is_told_where_rows_go(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE parent (id integer PRIMARY KEY); INSERT INTO parent VALUES (1), (2);
        CREATE TABLE child (id integer PRIMARY KEY, "up %s" integer REFERENCES parent)""")
    scene.stage_copy(PARENT, CHILD)
    scene.run(f"INSERT INTO {staging_of(PARENT).quoted} VALUES (3)")
    scene.merge(PARENT, CHILD)
    assert scene.said == []
    scene.run(f"DELETE FROM {staging_of(PARENT).quoted} WHERE id = 1")
    scene.merge(PARENT, CHILD)
    assert len(scene.said) == 1
    assert scene.said[0].startswith("rows of public.parent go (1), and for each of them the server reads all of")
    assert scene.said[0].endswith('CREATE INDEX ON "public"."child" ("up %s") spares that')


def test_deferred_keys_and_keys_without_order(scene: MergeScene) -> None:
    scene.run("""
        CREATE TABLE parent (id integer PRIMARY KEY, code integer UNIQUE DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE child (id integer, parent integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'fired'; END $$;
        INSERT INTO parent VALUES (1, 1), (2, 2); INSERT INTO child VALUES (1, 1), (1, 1), (2, NULL), (NULL, 2);
        CREATE TRIGGER refused BEFORE INSERT OR UPDATE OR DELETE ON child FOR EACH ROW EXECUTE FUNCTION refuse();
        CREATE CONSTRAINT TRIGGER late AFTER INSERT OR UPDATE OR DELETE ON parent DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION refuse()""")
    scene.stage_copy(PARENT, CHILD)
    parent, child = (staging_of(table).quoted for table in (PARENT, CHILD))
    scene.run(f"""
        UPDATE {parent} SET code = 3 - code; INSERT INTO {parent} VALUES (3, 3);
        DELETE FROM {child} WHERE id = 2; INSERT INTO {child} VALUES (1, 1), (3, 3), (NULL, NULL)""")
    done = scene.merge(PARENT, CHILD)
    assert scene.are_equal(PARENT, CHILD)
    assert (done[CHILD].inserted, done[CHILD].deleted, done[CHILD].rows) == (3, 1, 6)
    assert scene.run("SELECT DISTINCT tgenabled FROM pg_trigger WHERE NOT tgisinternal") == [("O",)]

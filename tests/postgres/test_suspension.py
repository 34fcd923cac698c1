"""What a load suspends comes back as it was: after a run, a failed run, a kill, and with nothing left to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.arena import OBJECTS
from data_phase import loading
from data_phase import phase as data_sync
from data_phase.options import DataOptions
from demo.target import EmbeddedTarget
from model.catalog import Database
from model.errors import SuspensionError
from postgres import own_schema, restoration, suspension, suspension_record
from postgres.names import TargetName
from postgres.suspension import LoadedTables
from run.options import Options
from standin.server import StandIn
from tests.harness import Proxy, Workplace, wait_until
from tests.loads import script_for
from tests.samples import query, set_status, statuses, table, write_progress

ORDERS, PEOPLE = TargetName("public", "orders"), TargetName("public", "people")
ODD = TargetName("Odd ones", 'a "table" of 100%')
RESTED = TargetName("public", "rested")
TABLES = [ORDERS, PEOPLE, ODD, RESTED]
#: all of them large, and emptied by the load
EVERY_TABLE = LoadedTables(TABLES, TABLES, TABLES)

DDL = r"""
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE people (id integer PRIMARY KEY, label varchar(60), boss integer REFERENCES people,
                     favourite integer, UNIQUE (id, label));
CREATE TABLE orders (id integer PRIMARY KEY, label varchar(60), person integer, person_label varchar(60));
ALTER TABLE orders ADD CONSTRAINT "orders' person" FOREIGN KEY (person) REFERENCES people
    ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT "orders' person" ON orders IS 'who ordered; 100% sure, it''s said';
ALTER TABLE orders ADD CONSTRAINT both_columns FOREIGN KEY (person, person_label) REFERENCES people (id, label)
    MATCH FULL ON UPDATE SET NULL NOT VALID;
ALTER TABLE people ADD CONSTRAINT in_a_circle FOREIGN KEY (favourite) REFERENCES orders;

ALTER TABLE orders ADD CONSTRAINT "late key" UNIQUE NULLS NOT DISTINCT (label, id) DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT "late key" ON orders IS '100% late, it''s said';
-- A key that a view rests on cannot be dropped.
CREATE TABLE rested (id integer CONSTRAINT view_key PRIMARY KEY, label text);
CREATE VIEW resting AS SELECT id, label FROM rested GROUP BY id;
CREATE INDEX orders_label ON orders (label DESC NULLS LAST) WITH (fillfactor = 70);
CREATE UNIQUE INDEX orders_some ON orders (person_label, id) WHERE person > 0;
CREATE INDEX "orders %s wide" ON orders USING btree (lower(label)) INCLUDE (id, person);
COMMENT ON INDEX "orders %s wide" IS '100% of the "labels", it''s said';
CREATE INDEX orders_hash ON orders USING hash (label);
CREATE UNIQUE INDEX people_pair ON people (boss, id) NULLS NOT DISTINCT;

CREATE TRIGGER after_row AFTER INSERT OR UPDATE OF label ON orders FOR EACH ROW WHEN (NEW.id > 0)
    EXECUTE FUNCTION nothing();
COMMENT ON TRIGGER after_row ON orders IS 'does nothing';
CREATE TRIGGER "on truncate" BEFORE TRUNCATE ON orders EXECUTE FUNCTION nothing();
CREATE TRIGGER asleep BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION nothing();
ALTER TABLE orders DISABLE TRIGGER asleep;

CREATE SCHEMA "Odd ones";
CREATE TABLE "Odd ones"."a ""table"" of 100%" (id integer PRIMARY KEY, "per cent %s" integer);
CREATE INDEX "odd %(index)s" ON "Odd ones"."a ""table"" of 100%" ("per cent %s");
ALTER TABLE "Odd ones"."a ""table"" of 100%" ADD CONSTRAINT "odd %s key" FOREIGN KEY ("per cent %s") REFERENCES people;
COMMENT ON CONSTRAINT "odd %s key" ON "Odd ones"."a ""table"" of 100%" IS 'odd';
CREATE TRIGGER "odd %s" AFTER DELETE ON "Odd ones"."a ""table"" of 100%" EXECUTE FUNCTION nothing();
"""
#: OBJECTS, in all schemas of these tests
EVERYTHING = OBJECTS.replace("= 'public'::regnamespace", "IN ('public'::regnamespace, '\"Odd ones\"'::regnamespace)")


@pytest.fixture
def connection(target: EmbeddedTarget, target_database: str) -> Iterator[Any]:
    """A connection to a database with everything that can be suspended, as the tool opens one."""
    query(target, target_database, DDL)
    connection = target.connect(target_database)
    connection.autocommit = False
    own_schema.prepare(connection)
    yield connection
    connection.close()


def objects(connection: Any) -> list[str]:
    """Definitions and comments of keys, indexes and triggers."""
    with connection.cursor() as cursor:
        cursor.execute(EVERYTHING)
        found = [text for (text,) in cursor.fetchall()]
    connection.rollback()
    return found


def run(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement and commit it; returns its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    connection.commit()
    return found


def restore_all(connection: Any) -> list[str]:
    """Restore everything; returns what is wrong."""
    left = suspension_record.read(connection)
    groups = [group for kind in suspension_record.KINDS for group in restoration.groups(left, kind)]
    return [problem for group in groups for problem in restoration.restore(lambda: connection, group, "64MB")]


# -- there and back --------------------------------------------------------------------------------


def test_everything_is_suspended_and_comes_back_as_it_was(connection: Any) -> None:
    before = objects(connection)
    assert suspension.suspend(connection, EVERY_TABLE) == 5 + 5 + 6 + 3
    left = objects(connection)
    assert not [text for text in left if "FOREIGN KEY" in text]
    assert not [text for text in left if text.startswith("index ") and "view_key" not in text]
    assert not [text for text in left if text.startswith("trigger ") and text.endswith(" O")]
    assert restore_all(connection) == []
    assert objects(connection) == before
    assert suspension_record.read(connection) == []


def test_indexes_of_other_tables_than_large_ones_stay(connection: Any) -> None:
    before = {text for text in objects(connection) if text.startswith("index ")}
    suspension.suspend(connection, LoadedTables(TABLES, [PEOPLE]))
    after = {text for text in objects(connection) if text.startswith("index ")}
    assert [text.split(" ON ")[0] for text in before - after] == ["index CREATE UNIQUE INDEX people_pair"]


def test_what_comes_back_does_not_depend_on_the_search_path(connection: Any) -> None:
    before = objects(connection)
    suspension.suspend(connection, EVERY_TABLE)
    run(connection, "CREATE SCHEMA other; CREATE TABLE other.people (id integer PRIMARY KEY); SET search_path = other")
    assert restore_all(connection) == []
    run(connection, "SET search_path = public")
    assert [text for text in objects(connection) if " other." not in text] == before


@pytest.mark.parametrize("restored", range(20))
def test_a_kill_at_any_step_of_the_way_back_loses_nothing(connection: Any, restored: int) -> None:
    before = objects(connection)
    suspension.suspend(connection, EVERY_TABLE)
    for one in suspension_record.read(connection)[:restored]:
        assert restoration.restore(lambda: connection, [one], "64MB") == []
    # The next run suspends again what is back, on top of what is not.
    suspension.suspend(connection, EVERY_TABLE)
    assert restore_all(connection) == []
    assert objects(connection) == before


def test_a_kill_before_the_validation_of_a_key_does_not_make_it_forget_that_it_was_valid(connection: Any) -> None:
    before = objects(connection)
    suspension.suspend(connection, LoadedTables(TABLES, TABLES))
    (one,) = [one for one in suspension_record.read(connection) if one.name == "orders' person"]
    with connection.cursor() as cursor:
        # As far as restore comes before the rows are checked.
        cursor.execute(
            f'ALTER TABLE orders ADD CONSTRAINT "orders\' person" {one.definition} NOT VALID;'
            "COMMENT ON CONSTRAINT \"orders' person\" ON orders IS 'who ordered; 100% sure, it''s said'"
        )
        cursor.execute(suspension_record.RECORD_BACK, one.row)
    connection.commit()
    suspension.suspend(connection, LoadedTables(TABLES, TABLES))
    assert restore_all(connection) == []
    assert objects(connection) == before


def test_a_key_that_rows_violate_stays_unvalidated_and_is_told_until_it_fits(connection: Any) -> None:
    before = objects(connection)
    suspension.suspend(connection, EVERY_TABLE)
    run(connection, "INSERT INTO orders VALUES (1, 'of nobody', 7)")
    for _ in range(2):
        (problem,) = restore_all(connection)
        assert "foreign key public.orders.orders' person" in problem
        assert "Key (person)=(7) is not present" in problem
        assert run(connection, "SELECT count(*) FROM orders") == [(1,)]
        assert run(connection, "SELECT convalidated FROM pg_constraint WHERE conname = 'orders'' person'") == [(False,)]
    run(connection, "INSERT INTO people VALUES (7, 'somebody')")
    assert restore_all(connection) == []
    assert objects(connection) == before


def test_what_somebody_restored_by_hand_is_no_trouble(connection: Any) -> None:
    before = objects(connection)
    suspension.suspend(connection, LoadedTables(TABLES, TABLES))
    by_hand = {"orders_hash", "in_a_circle"}
    for one in suspension_record.read(connection):
        if one.name in by_hand:
            run(
                connection,
                one.definition
                if one.kind == "index"
                else f"ALTER TABLE people ADD CONSTRAINT {one.name} {one.definition}",
            )
    assert restore_all(connection) == []
    assert objects(connection) == before


def test_a_table_that_others_hold_is_told_within_a_bounded_time(
    connection: Any, target: EmbeddedTarget, target_database: str
) -> None:
    before = objects(connection)
    with closing(target.connect(target_database)) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE people IN ACCESS SHARE MODE")
        with pytest.raises(SuspensionError, match=r"cannot be suspended.*people could not be locked.* pid "):
            suspension.suspend(connection, EVERY_TABLE, patience=0.05)
    assert restore_all(connection) == []
    assert objects(connection) == before
    assert suspension_record.read(connection) == []


# -- in a run --------------------------------------------------------------------------------------

ROW_COUNT = 20_000
DATABASE = Database("suspended", (table("Orders"), table("People")))
ROWS = {
    "dbo.Orders": f"SELECT i, 'order number ' || i FROM range({ROW_COUNT}) AS t(i)",
    "dbo.People": f"SELECT i, 'person number ' || i FROM range({ROW_COUNT}) AS t(i)",
}
#: bytes from the source after which the tables are on their way
PART = 400_000


class Scene:
    """Both tables on a stand-in, and on the target with everything that can be suspended."""

    def __init__(self, source: StandIn, workplace: Workplace, target: EmbeddedTarget, database: str) -> None:
        self.source, self.workplace, self.target, self.database = source, workplace, target, database
        self.query('DROP SCHEMA IF EXISTS "Odd ones" CASCADE')
        self.before = self.objects

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query on the target."""
        return query(self.target, self.database, sql)

    @property
    def objects(self) -> list[tuple[Any, ...]]:
        """Definitions and comments of keys, indexes and triggers."""
        return self.query(OBJECTS)

    def assert_back(self) -> None:
        """Everything is there as it was."""
        assert self.objects == self.before
        assert self.query("SELECT * FROM replication.suspended") == []


@pytest.fixture
def scene(
    connection: Any,
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Scene:
    """The scene of a run."""
    connection.close()
    source = serve(DATABASE, ROWS)
    workplace = make_workplace(source, DATABASE).with_settings(BATCH_SIZE="500", RETRY_ATTEMPTS="1")
    return Scene(source, workplace, target, target_database)


def test_after_a_run_with_large_tables(scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loading, "LARGE_TABLE_ROWS", 1)
    monkeypatch.chdir(tmp_path)
    for name, value in scene.workplace.environment.items():
        monkeypatch.setenv(name, value)
    assert data_sync.run(script_for(Options()), DataOptions(2)).exit_code == 0
    assert scene.query("SELECT count(*) FROM orders") == [(ROW_COUNT,)]
    scene.assert_back()


def test_a_key_that_the_rows_break_fails_its_table_until_they_fit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loading, "LARGE_TABLE_ROWS", 1)
    monkeypatch.chdir(tmp_path)
    for name, value in scene.workplace.environment.items():
        monkeypatch.setenv(name, value)
    scene.query("ALTER TABLE people ADD half integer DEFAULT 1, ADD CONSTRAINT one_half UNIQUE (half)")
    before = scene.objects
    assert data_sync.run(script_for(Options()), DataOptions(2)).exit_code == 1
    shown = capsys.readouterr().out
    assert "❌ dbo.People failed: its key public.people.one_half cannot be restored: could not create" in shown
    assert "Key (half)=(1) is duplicated" in shown
    assert statuses(scene.workplace.data_progress) == {"Orders": "completed", "People": "failed"}
    assert scene.query("SELECT name FROM replication.suspended") == [("one_half",)]

    scene.query("ALTER TABLE people ALTER half SET DEFAULT NULL")
    assert data_sync.run(script_for(Options(resume=True)), DataOptions(2)).exit_code == 0
    assert scene.query("SELECT count(*) FROM people") == [(ROW_COUNT,)]
    assert scene.objects == before
    assert scene.query("SELECT * FROM replication.suspended") == []


@pytest.mark.parametrize("is_suspended", [False, True], ids=["keys stand", "a killed run suspended the keys"])
def test_keys_guard_the_rows_of_a_partial_table_of_which_no_load_is_known(
    scene: Scene,
    is_suspended: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loading, "LARGE_TABLE_ROWS", 1)
    monkeypatch.chdir(tmp_path)
    for name, value in scene.workplace.environment.items():
        monkeypatch.setenv(name, value)
    scene.query("INSERT INTO orders VALUES (7, 'of others')")
    write_progress(scene.workplace.data_progress, "data", Orders="in_progress", People="completed")
    if is_suspended:
        with closing(scene.target.connect(scene.database)) as connection:
            connection.autocommit = False
            suspension.suspend(connection, LoadedTables([ORDERS], [ORDERS], [ORDERS]))
    assert data_sync.run(script_for(Options(resume=True, no_truncate=True)), DataOptions(2)).exit_code == 1
    assert 'duplicate key value violates unique constraint "orders_pkey"' in capsys.readouterr().out
    assert scene.query("SELECT id, label FROM orders") == [(7, "of others")]
    scene.assert_back()


def test_after_a_run_in_which_a_table_failed(scene: Scene) -> None:
    scene.source.fail_next("dbo.Orders", 8134, "Divide by zero error encountered.")
    failed = scene.workplace.run("data")
    assert failed.code == 1
    assert "keys, indexes and triggers are back" in failed.out
    scene.assert_back()


def test_after_a_kill_and_resume_and_after_a_kill_with_nothing_left_to_do(scene: Scene) -> None:
    with Proxy(("127.0.0.1", scene.source.port)) as proxy:
        proxy.stall_after(PART)
        process = scene.workplace.with_settings(MSSQL_PORT=str(proxy.port)).start("data")
        wait_until(lambda: proxy.is_stalled, "the source is silent")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert scene.query("SELECT count(*) FROM replication.suspended") != [(0,)]
    assert scene.objects != scene.before
    assert scene.workplace.run("data", "--resume").code == 0
    scene.assert_back()

    # Killed after its last table: everything is completed, and still suspended.
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        suspension.suspend(connection, LoadedTables([ORDERS, PEOPLE], [ORDERS, PEOPLE]))
    resumed = scene.workplace.run("data", "--resume")
    assert resumed.code == 0
    assert "Nothing left to do" in resumed.out
    assert "11 of 11 keys, indexes and triggers are back" in resumed.out
    scene.assert_back()


def test_a_violated_key_makes_exit_code_1_and_deletes_nothing(scene: Scene) -> None:
    scene.query("ALTER TABLE orders ALTER person SET DEFAULT -1")
    run = scene.workplace.run("data")
    assert run.code == 1
    assert "WARNING: foreign key public.orders.orders' person" in run.text
    assert "No row was deleted" in run.text
    assert set(statuses(scene.workplace.data_progress).values()) == {"completed"}
    assert scene.query("SELECT count(*) FROM orders") == [(ROW_COUNT,)]
    assert scene.query("SELECT name, is_back FROM replication.suspended") == [("orders' person", True)]
    assert scene.query("SELECT convalidated FROM pg_constraint WHERE conname = 'orders'' person'") == [(False,)]

    scene.query("ALTER TABLE orders ALTER person DROP DEFAULT; INSERT INTO people VALUES (-1, 'found')")
    resumed = scene.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    scene.assert_back()


def test_ctrl_c_does_not_wait_for_an_index_or_a_key(scene: Scene) -> None:
    assert scene.workplace.run("data").code == 0
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        suspension.suspend(connection, LoadedTables([ORDERS, PEOPLE], [ORDERS, PEOPLE]))
    with closing(scene.target.connect(scene.database)) as other, other.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE")
        process = scene.workplace.start("data", "--resume")
        waiting = "SELECT pid FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted"
        wait_until(lambda: bool(scene.query(waiting)), "the run waits for the table")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "--resume continues from here" in err
        wait_until(lambda: not scene.query(waiting), "PostgreSQL was told that nobody waits any more")
    assert scene.workplace.run("data", "--resume").code == 0
    scene.assert_back()


def test_a_role_without_rights_is_told_what_it_lacks(scene: Scene) -> None:
    scene.query(
        "DROP SCHEMA replication CASCADE; DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN;"
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"
    )
    refused = scene.workplace.with_settings(PGUSER="guest").run("data")
    assert refused.code == 1
    assert "the schema `replication`, where loads keep their checkpoints, cannot be created" in refused.err
    assert "grant CREATE on the database" in refused.err
    assert "Traceback" not in refused.text

    scene.query(f'GRANT CREATE ON DATABASE "{scene.database}" TO guest')
    refused = scene.workplace.with_settings(PGUSER="guest").run("data")
    assert refused.code == 1
    assert "cannot be loaded for want of rights" in refused.out
    assert "a load has to suspend keys or triggers of public.orders, which belongs to postgres" in refused.out
    assert scene.objects == scene.before
    scene.query("DROP SCHEMA replication CASCADE; DROP OWNED BY guest; DROP ROLE guest")
    set_status(scene.workplace.data_progress, "Orders", "pending")
    assert scene.workplace.run("data", "--resume").code == 0
    scene.assert_back()


def test_a_foreign_key_to_a_table_that_is_only_readable_is_suspended_too(connection: Any) -> None:
    before = objects(connection)
    run(
        connection,
        "DROP ROLE IF EXISTS owner_of_few; CREATE ROLE owner_of_few;"
        "GRANT ALL ON SCHEMA replication, public TO owner_of_few;"
        "GRANT ALL ON ALL TABLES IN SCHEMA replication TO owner_of_few;"
        'GRANT USAGE ON SCHEMA "Odd ones" TO owner_of_few; GRANT SELECT, REFERENCES ON people TO owner_of_few;'
        'ALTER TABLE "Odd ones"."a ""table"" of 100%" OWNER TO owner_of_few',
    )
    run(connection, "SET ROLE owner_of_few")
    assert suspension.suspend(connection, LoadedTables([ODD])) == 2
    assert restore_all(connection) == []
    run(connection, "RESET ROLE")
    assert objects(connection) == before


def test_foreign_keys_of_postgresql_18_come_back_as_they_were(connection: Any) -> None:
    if connection.server_version < 180000:
        pytest.skip("PostgreSQL 18 has these first")
    run(
        connection,
        "ALTER TABLE orders ADD CONSTRAINT slack FOREIGN KEY (person) REFERENCES people NOT ENFORCED;"
        "CREATE TABLE spans (whose int4range, during int4range, UNIQUE (whose, during WITHOUT OVERLAPS));"
        "ALTER TABLE orders ADD whose int4range, ADD during int4range, ADD CONSTRAINT within"
        " FOREIGN KEY (whose, PERIOD during) REFERENCES spans (whose, PERIOD during)",
    )
    before = objects(connection)
    assert suspension.suspend(connection, EVERY_TABLE) == 5 + 2 + 5 + 6 + 3
    assert restore_all(connection) == []
    assert objects(connection) == before

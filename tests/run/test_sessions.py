"""Sessions as the target knows them: a run in the wrong place is refused, a nightly run needs nobody."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.harness import Workplace
from tests.samples import SHOP_KEYS, Shop, both_scripts, processed, set_status, statuses, write_progress

SOME_FAILED = {"Customers": "completed", "Orders": "failed", "Products": "completed", "Sales_Orders": "pending"}
LEFT = ["Orders", "Sales.Orders"]


def begun(file: Path, hours_ago: float) -> None:
    """Let a file's session have begun so long ago."""
    document = json.loads(file.read_text(encoding="utf-8"))
    document["session_start"] = (datetime.now() - timedelta(hours=hours_ago)).isoformat(timespec="seconds")
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")


def elsewhere(shop: Shop) -> Workplace:
    """Another folder, from which the same source and target are reached."""
    folder = shop.workplace.folder / "elsewhere"
    folder.mkdir(exist_ok=True)
    return Workplace(folder, shop.workplace.environment)


# -- --resume in the wrong place -------------------------------------------------------------------


@both_scripts
def test_resume_from_another_folder_is_refused_and_told_where_the_session_is(shop: Shop, script: str) -> None:
    shop.ready(script)
    assert shop.workplace.run(script).code == 0
    if script == "data":
        shop.query("INSERT INTO customers VALUES (-1, 'a row that --resume must not lose')")
    refused = elsewhere(shop).run(script, "--resume")
    assert refused.code == 2, refused.text
    assert f"in another place: {shop.progress(script)} (begun " in refused.err
    assert "ended " in refused.err
    assert "without --resume, or with --new-session" in refused.err
    assert not (elsewhere(shop).folder / shop.progress(script).name).exists()
    if script == "data":
        assert shop.query("SELECT count(*) FROM customers") == [(13,)]
    begins = elsewhere(shop).run(script, "--new-session")
    assert begins.code == 0, begins.text
    assert processed(begins.out) == SHOP_KEYS
    # Where a run was last is the place that counts.
    assert elsewhere(shop).run(script, "--resume").code == 0
    shop.progress(script).unlink()
    assert str(elsewhere(shop).folder) in shop.workplace.run(script, "--resume").err


@both_scripts
def test_resume_without_a_file_where_it_was_is_a_new_session(shop: Shop, script: str) -> None:
    shop.ready(script)
    assert shop.workplace.run(script).code == 0
    shop.progress(script).unlink()
    resumed = shop.workplace.run(script, "--resume")
    assert resumed.code == 0, resumed.text
    assert "this is a new session" in resumed.out
    assert processed(resumed.out) == SHOP_KEYS


@pytest.mark.parametrize(("script", "flag"), [("schema", "--resume"), ("data", "--resume"), ("data", "--nightly")])
def test_a_folder_that_is_not_there_is_a_slip_where_a_session_is_to_go_on(shop: Shop, script: str, flag: str) -> None:
    shop.ready(script)
    file = shop.workplace.folder / "not_mounted" / "progress.json"
    refused = shop.workplace.run(script, flag, "--progress-file", str(file))
    assert refused.code == 2
    assert f"{flag}: the folder {file.parent} of the progress file does not exist. Nothing was done." in refused.err
    assert not file.parent.exists()
    begins = shop.workplace.run(script, "--new-session", "--progress-file", str(file))
    assert begins.code == 0, begins.text
    assert set(statuses(file, script).values()) == {"completed"}


def test_sessions_of_other_sources_and_phases_do_not_count(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    assert elsewhere(shop).run("data", "--resume").code == 0
    shop.query("UPDATE replication.session SET source = 'sql02:1433/shop'")
    other = Workplace(shop.workplace.folder, shop.workplace.environment).run("data", "--resume")
    assert other.code == 0, other.text


def test_a_schema_role_without_rights_on_the_database_resumes_as_before(shop: Shop) -> None:
    role = f"maker_{shop.database}"
    shop.query(f"CREATE ROLE {role} LOGIN PASSWORD 'x'; CREATE SCHEMA sales; GRANT USAGE, CREATE ON SCHEMA public, "
               f"sales TO {role}; REVOKE CREATE ON DATABASE {shop.database} FROM PUBLIC, {role}")  # fmt: skip
    try:
        as_maker = shop.workplace.with_settings(PGUSER=role, PGPASSWORD="x")
        resumed = as_maker.run("schema", "--resume")
        assert resumed.code == 0, resumed.text
        assert shop.query("SELECT to_regnamespace('replication')") == [(None,)]
        assert "Nothing left to do" in as_maker.run("schema", "--resume").out
    finally:
        shop.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_the_record_of_an_older_version_is_upgraded(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    shop.query("DROP TABLE replication.session; CREATE TABLE replication.session (session text PRIMARY KEY,"
               " keeps_rows boolean NOT NULL, started_at timestamptz NOT NULL DEFAULT now());"
               " INSERT INTO replication.session VALUES ('of an older version', true)")  # fmt: skip
    assert shop.workplace.run("data", "--resume").code == 0
    known = shop.query("SELECT progress_file, ended_at IS NOT NULL FROM replication.session ORDER BY 1")
    assert known == [(str(shop.workplace.data_progress), True), (None, False)]


# -- nothing left, and night after night -----------------------------------------------------------


@both_scripts
def test_nothing_left_says_since_when_and_how_to_do_it_again(shop: Shop, script: str) -> None:
    shop.ready(script)
    write_progress(shop.progress(script), script, **dict.fromkeys(("Customers", "Orders"), "completed"),
                   Products="skipped", Sales_Orders="completed")  # fmt: skip
    resumed = shop.workplace.run(script, "--resume")
    assert resumed.code == 0, resumed.text
    assert "every table is completed or skipped. This session ended at 2025-12-16 12:00:00." in resumed.out
    assert "run without --resume" in resumed.out


def test_nightly_begins_when_there_is_nothing_or_all_is_done(shop: Shop) -> None:
    shop.ready("data")
    first = shop.workplace.run("data", "--nightly")
    assert first.code == 0, first.text
    assert "🌙 there is no session to continue; the first one begins" in first.out
    shop.query("DELETE FROM customers")
    second = shop.workplace.run("data", "--nightly")
    assert second.code == 0, second.text
    assert "🌙 the last session is done, it ended at 20" in second.out
    assert processed(second.out) == SHOP_KEYS
    shop.assert_equal()


@pytest.mark.parametrize(
    ("hours", "max_age", "done"), [(5, "", LEFT), (30, "", SHOP_KEYS), (30, "48", LEFT), (1, "0", SHOP_KEYS)]
)
def test_nightly_continues_what_is_young_enough(shop: Shop, hours: int, max_age: str, done: list[str]) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", **SOME_FAILED)
    begun(shop.workplace.data_progress, hours)
    night = shop.workplace.with_settings(SESSION_MAX_AGE=max_age).run("data", "--nightly")
    assert night.code == 0, night.text
    assert processed(night.out) == done
    assert ("is continued: 2 tables left, 1 of them failed" in night.out) == (len(done) == 2)
    assert ("a new one begins" in night.out) == (done == SHOP_KEYS)
    assert set(statuses(shop.workplace.data_progress).values()) == {"completed"}


def test_nightly_begins_anew_in_another_place_and_says_so(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    set_status(shop.workplace.data_progress, "Orders", "failed")
    night = elsewhere(shop).run("data", "--nightly")
    assert night.code == 0, night.text
    assert f"in another place: {shop.workplace.data_progress}" in night.out
    assert processed(night.out) == SHOP_KEYS


def test_nightly_is_refused_beside_flags_that_decide_what_it_decides(shop: Shop) -> None:
    for flag in ("--resume", "--no-truncate", "--new-session", "--reset", "--verify"):
        assert shop.workplace.run("data", "--nightly", flag).code == 2, flag

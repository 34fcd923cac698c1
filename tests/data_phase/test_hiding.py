"""What the source hides from a login without an error is told before the first row, and not taken for the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Index, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import MakeWorkplace, Serve, query, statuses, table
from tests.samples import entries as entries_of

TEXT = SqlType("nvarchar", 100)
PEOPLE = replace(
    table("People"), columns=(table("People").columns[0], Column("email", TEXT, is_masked=True), Column("name", TEXT))
)
SECRETS = replace(
    table("Secrets"), columns=(table("Secrets").columns[0], Column("number", TEXT, is_encrypted=True))
)  # fmt: skip
# A dot in a database's name would make HAS_PERMS_BY_NAME(DB_NAME(), …) NULL.
DATABASE = Database("hidden.part", (PEOPLE, table("Tenants"), SECRETS, table("Open")))
ROWS = {
    "dbo.People": [(1, "a@example.com", "Ann"), (2, "b@example.com", "Bob")],
    "dbo.Tenants": [(number, f"tenant {number}") for number in range(10)],
    "dbo.Secrets": [(1, "0x01")],
    "dbo.Open": [(1, "open")],
}


@dataclass
class Place:
    """A source that hides something, and a target whose tables hold rows of an earlier night."""

    source: StandIn
    workplace: Workplace
    target: EmbeddedTarget
    database: str

    def rows(self, name: str) -> int:
        """Rows of a table of the target."""
        ((count,),) = query(self.target, self.database, f"SELECT count(*) FROM {name}")
        return int(count)


@pytest.fixture
def place(serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str) -> Iterator[Place]:
    source = serve(DATABASE, ROWS)
    workplace = make_workplace(source, DATABASE)
    assert workplace.run("schema").code == 0
    everything = ("--allow-masked", "--allow-hidden-rows", "--allow-encrypted")
    assert workplace.run("data", *everything).code == 0
    yield Place(source, workplace, target, target_database)


ENCRYPTED = ("--allow-encrypted",)


def test_masks_are_not_copied_as_if_they_were_values(place: Place) -> None:
    place.source.revoke("UNMASK")
    place.source.replace_rows("dbo.People", [(1, "xxxx", "Ann")])
    finished = place.workplace.run("data", *ENCRYPTED)
    assert finished.code == 1, finished.text
    told = finished.out.partition("Processing")[0]
    assert "People: the login lacks UNMASK on email, so masks would be read as if they were the values" in told
    assert "GRANT UNMASK to the login's user" in told and "--allow-masked" in told
    assert statuses(place.workplace.data_progress) == {
        "Open": "completed", "People": "failed", "Secrets": "completed", "Tenants": "completed",
    }  # fmt: skip
    assert "lacks UNMASK on email" in entries_of(place.workplace.data_progress)["People"]["error"]
    assert query(place.target, place.database, "SELECT email FROM people ORDER BY id") == [
        ("a@example.com",), ("b@example.com",),
    ]  # fmt: skip


@pytest.mark.parametrize("refresh", ["merge", "swap"])
def test_masks_do_not_get_into_staged_rows_either(place: Place, refresh: str) -> None:
    place.source.revoke("UNMASK")
    place.source.replace_rows("dbo.People", [(1, "xxxx", "Ann")])
    finished = place.workplace.run("data", *ENCRYPTED, "--refresh", refresh, "--switch", "table")
    assert finished.code == 1
    assert query(place.target, place.database, "SELECT email FROM people ORDER BY id LIMIT 1") == [("a@example.com",)]
    assert statuses(place.workplace.data_progress)["Open"] == "completed"


def test_masks_are_copied_where_a_person_allows_it_and_each_run_says_so(place: Place) -> None:
    place.source.revoke("UNMASK")
    place.source.replace_rows("dbo.People", [(1, "xxxx", "Ann")])
    finished = place.workplace.run("data", *ENCRYPTED, "--allow-masked")
    assert finished.code == 0, finished.text
    assert "Gone on with, by --allow-masked:\n   People: the login lacks UNMASK" in finished.out
    assert query(place.target, place.database, "SELECT email FROM people") == [("xxxx",)]
    runs = (place.workplace.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    assert "--allow-masked" in runs[-1] and "masks would be read" in runs[-1]


@pytest.mark.parametrize("column", ["", "email"])
def test_a_right_to_the_table_or_to_the_column_is_enough(place: Place, column: str) -> None:
    place.source.revoke("UNMASK")
    place.source.grant("UNMASK", "dbo.People", column)
    finished = place.workplace.run("data", *ENCRYPTED)
    assert finished.code == 0, finished.text
    assert "UNMASK" not in finished.text


def test_a_right_to_another_column_is_not(place: Place) -> None:
    place.source.revoke("UNMASK")
    place.source.grant("UNMASK", "dbo.People", "name")
    assert place.workplace.run("data", *ENCRYPTED).code == 1


def test_rows_that_a_policy_may_hide_are_not_missed_in_silence(place: Place) -> None:
    place.source.add_policy("TenantPolicy", "dbo.Tenants")
    place.source.execute("DELETE FROM dbo.Tenants WHERE id > 3")
    finished = place.workplace.run("data", *ENCRYPTED)
    assert finished.code == 1
    told = finished.out.partition("Processing")[0]
    assert "Tenants: the security policy TenantPolicy may hide rows from the login" in told
    assert "--exclude the table, or --allow-hidden-rows" in told
    assert place.rows("tenants") == 10
    assert statuses(place.workplace.data_progress)["Tenants"] == "failed"
    allowed = place.workplace.run("data", *ENCRYPTED, "--allow-hidden-rows")
    assert allowed.code == 0, allowed.text
    assert "Gone on with, by --allow-hidden-rows" in allowed.out
    assert place.rows("tenants") == 4


@pytest.mark.parametrize(("predicate", "is_enabled"), [("BLOCK", True), ("FILTER", False)])
def test_a_policy_that_hides_nothing_is_in_nobody_s_way(place: Place, predicate: str, is_enabled: bool) -> None:
    place.source.add_policy("Harmless", "dbo.Tenants", predicate=predicate, is_enabled=is_enabled)
    finished = place.workplace.run("data", *ENCRYPTED)
    assert finished.code == 0, finished.text
    assert "Harmless" not in finished.text


def test_a_policy_on_a_table_that_is_left_out_is_in_nobody_s_way(place: Place) -> None:
    place.source.add_policy("TenantPolicy", "dbo.Tenants")
    finished = place.workplace.run("data", *ENCRYPTED, "--exclude", "Tenants")
    assert finished.code == 0, finished.text


def test_ciphertext_is_not_copied_as_if_it_were_a_value(place: Place) -> None:
    finished = place.workplace.run("data")
    assert finished.code == 1
    assert "Secrets: number is Always Encrypted, so ciphertext would be read" in finished.out
    assert "ColumnEncryption=Enabled" in finished.out
    assert statuses(place.workplace.data_progress)["Secrets"] == "failed"
    assert place.rows("secrets") == 1


def test_a_comparison_does_not_take_masks_and_hidden_rows_for_the_data(place: Place) -> None:
    place.source.revoke("UNMASK")
    place.source.add_policy("TenantPolicy", "dbo.Tenants")
    finished = place.workplace.run("data", "--verify", *ENCRYPTED)
    assert finished.code == 1
    assert "❌ dbo.People: not compared: the login lacks UNMASK on email" in finished.out
    assert "❌ dbo.Tenants: not compared: the security policy TenantPolicy may hide rows" in finished.out
    assert "✅ dbo.Open: 1 rows equal" in finished.out
    assert "Different:     2" in finished.text
    allowed = place.workplace.run("data", "--verify", *ENCRYPTED, "--allow-masked", "--allow-hidden-rows")
    assert allowed.code == 0, allowed.text


NIGHTLY = ("--nightly", "--then-verify=counts")


@pytest.mark.parametrize("flags", [("--resume", "--then-verify"), NIGHTLY, ("--resume", "--verify-first")])
def test_a_load_s_own_comparison_does_not_take_what_an_earlier_run_copied_knowingly_for_the_data(
    place: Place, flags: tuple[str, ...]
) -> None:
    place.source.revoke("UNMASK")
    place.source.replace_rows("dbo.People", [(1, "xxxx", "Ann")])
    place.source.add_policy("TenantPolicy", "dbo.Tenants")
    knowingly = ("--allow-masked", "--allow-hidden-rows", "--allow-encrypted")
    # One table is left to do, so that a night goes on with the session.
    place.source.fail_next("dbo.Open", 208, "Invalid object name 'dbo.Open'.")
    assert place.workplace.run("data", *knowingly).code == 1
    finished = place.workplace.run("data", *flags)
    assert finished.code == 1, finished.text
    assert "❌ dbo.People: not compared: the login lacks UNMASK on email" in finished.out
    assert "❌ dbo.Tenants: not compared: the security policy TenantPolicy may hide rows" in finished.out
    assert "❌ dbo.Secrets: not compared: number is Always Encrypted" in finished.out
    assert "✅ dbo.Open: 1 rows" in finished.out
    allowed = place.workplace.run("data", "--resume", "--then-verify", *knowingly)
    assert "✅ dbo.People: 1 rows equal" in allowed.out, allowed.text


def test_what_is_staged_with_masks_is_not_shown_by_a_run_that_may_not_have_them(place: Place) -> None:
    place.source.revoke("UNMASK")
    place.source.replace_rows("dbo.People", [(1, "xxxx", "Ann")])
    place.source.fail_next("dbo.Open", 208, "Invalid object name 'dbo.Open'.")
    swap = (*ENCRYPTED, "--refresh", "swap", "--verify-first")
    assert "staged and not live" in place.workplace.run("data", *swap, "--allow-masked").text
    finished = place.workplace.run("data", "--resume", *ENCRYPTED, "--verify-first")
    assert finished.code == 1
    assert "People: the login lacks UNMASK on email" in finished.out
    assert "dbo.People: 1 rows equal" not in finished.out
    assert query(place.target, place.database, "SELECT email FROM people ORDER BY id LIMIT 1") == [("a@example.com",)]


def test_rejected_rows_are_not_loaded_with_masks(place: Place) -> None:
    constraint = "ALTER TABLE people ADD CONSTRAINT no_bob CHECK (name <> 'Bob')"
    query(place.target, place.database, f"DELETE FROM people; {constraint}")
    rejecting = place.workplace.run("data", *ENCRYPTED, "--on-error", "reject", "--tables", "People")
    assert "1 rows were rejected" in rejecting.text, rejecting.text
    query(place.target, place.database, "ALTER TABLE people DROP CONSTRAINT no_bob")
    place.source.revoke("UNMASK")
    finished = place.workplace.run("data", "--retry-rejects", *ENCRYPTED)
    assert finished.code == 1
    assert "❌ dbo.People: the login lacks UNMASK on email" in finished.out
    assert place.rows("people") == 1
    assert place.workplace.run("data", "--retry-rejects", *ENCRYPTED, "--allow-masked").code == 0
    assert place.rows("people") == 2


def test_a_login_without_view_definition_is_told_what_it_cannot_know(place: Place) -> None:
    place.source.revoke("VIEW DEFINITION")
    place.source.execute("DELETE FROM dbo.Tenants WHERE id > 3")
    finished = place.workplace.run("data", *ENCRYPTED)
    told = finished.out.partition("Processing")[0]
    assert "The login has no VIEW DEFINITION in 127.0.0.1" in told
    assert "whether a security policy hides rows is not known. GRANT VIEW DEFINITION" in told
    assert "dbo.Tenants: the login sees 4 rows, the catalog counts about 10" in told
    assert "dbo.Open: the login sees" not in told
    assert finished.code == 0, finished.text


def test_a_table_that_cannot_be_counted_keeps_no_other_from_being_counted(place: Place) -> None:
    place.source.revoke("VIEW DEFINITION")
    place.source.execute("DELETE FROM dbo.Tenants WHERE id > 3")
    place.source.fail_next("dbo.People", 229, "The SELECT permission was denied on the object 'People'.")
    told = place.workplace.run("data", *ENCRYPTED).out.partition("Processing")[0]
    assert "Of 1 of 4 tables the rows could not be counted:\n   dbo.People: " in told
    assert "The SELECT permission was denied on the object 'People'." in told
    assert "dbo.Tenants: the login sees 4 rows, the catalog counts about 10" in told


def test_nothing_is_counted_where_the_login_sees_all_of_the_catalog(place: Place) -> None:
    place.source.execute("DELETE FROM dbo.Tenants WHERE id > 3")
    finished = place.workplace.run("data", *ENCRYPTED)
    assert "the login sees" not in finished.text and "VIEW DEFINITION" not in finished.text


def test_tables_that_the_login_may_not_see_are_told(place: Place) -> None:
    place.source.revoke("VIEW DEFINITION")
    for view in ("tables", "objects", "all_objects"):
        place.source.execute(f"DELETE FROM sys.{view} WHERE name = 'Tenants'")
    for script, flags in (("data", ENCRYPTED), ("schema", ())):
        finished = place.workplace.run(script, *flags)
        assert "1 object with rows is hidden from it" in finished.out, finished.text
        assert "GRANT VIEW DEFINITION TO the login's user" in finished.out


def test_what_has_no_rows_is_not_told_as_hidden(place: Place) -> None:
    place.source.revoke("VIEW DEFINITION")
    place.source.execute("UPDATE sys.partitions SET rows = 0 WHERE object_id = sys.tds_object_id('dbo.Tenants')")
    for view in ("tables", "objects", "all_objects"):
        place.source.execute(f"DELETE FROM sys.{view} WHERE name = 'Tenants'")
    finished = place.workplace.run("schema")
    assert finished.code == 0, finished.text
    assert "no VIEW DEFINITION" in finished.out and "hidden from it" not in finished.out


DENIED = "The SELECT permission was denied on the object 'security_policies'."


def test_policies_that_cannot_be_read_end_no_run_and_are_told_as_not_known(place: Place) -> None:
    place.source.fail_next("sys.security_policies", 229, DENIED, times=99)
    place.source.revoke("UNMASK")
    place.source.execute("DELETE FROM dbo.Tenants WHERE id > 3")
    made = place.workplace.run("schema")
    assert made.code == 0, made.text
    unknown = "hides anything from the login is not known, since it did not say: row-level security policies: "
    assert unknown in made.out and DENIED in made.out
    report = (place.workplace.folder / "schema_report.md").read_text(encoding="utf-8")
    assert "row-level security policies" in report
    checked = place.workplace.run("schema", "--check", "--check-data")
    assert "catalog not read: row-level security policies" in checked.out, checked.text
    assert "row-level security hides about 6 rows from this login" in " ".join(checked.out.split())
    loaded = place.workplace.run("data", *ENCRYPTED)
    assert unknown in loaded.out and DENIED in loaded.out
    # What else was asked was answered, and holds.
    assert loaded.code == 1 and "People: the login lacks UNMASK on email" in loaded.out
    assert "dbo.Tenants: the login sees 4 rows, the catalog counts about 10" in loaded.out


def test_a_filter_that_the_login_may_not_read_is_never_taken_for_none(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    unique = Index("UX_live", (KeyColumn("code"),), is_unique=True, filter="([is_live]=(1))")
    code = SqlType("int", 4)
    columns = (Column("code", code, is_nullable=False), Column("is_live", SqlType("bit", 1)))
    database = Database("filtered", (Table("dbo", "Parts", columns, indexes=(unique,)),))
    source = serve(database, {"dbo.Parts": [(1, 0), (1, 0), (2, 1), (3, 1)]})
    source.execute("UPDATE sys.indexes SET filter_definition = NULL")
    workplace = make_workplace(source, database).with_settings(CHUNK_ROWS="2")
    made = workplace.run("schema")
    assert made.code == 0, made.text
    report = (workplace.folder / "schema_report.md").read_text(encoding="utf-8")
    assert "UX_live" in report and "this login may not read it (VIEW DEFINITION)" in report
    assert query(target, target_database, "SELECT count(*) FROM pg_index WHERE indrelid = 'parts'::regclass") == [(0,)]
    loaded = workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert query(target, target_database, "SELECT count(*) FROM parts") == [(4,)]
    chunks = "SELECT count(*) FROM replication.checkpoint WHERE table_name = 'parts'"
    assert query(target, target_database, chunks) == [(1,)]
    checked = workplace.run("schema", "--check", "--check-data")
    assert "too many: equal to another" not in checked.text

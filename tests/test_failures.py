"""What can go wrong: it is told in the server's words, costs no other table, and has its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, SqlType, Table
from model.errors import SettingsError
from standin.server import LOGIN, Access, StandIn
from tests.harness import Finished, Proxy, Workplace, wait_until
from tests.samples import (
    INT,
    SHOP,
    SHOP_KEYS,
    SHOP_ROWS,
    TEXT,
    Shop,
    counts,
    entries,
    processed,
    statuses,
    table,
    target_tables,
)

Serve = Callable[..., StandIn]
MakeWorkplace = Callable[[StandIn, Database], Workplace]
both_scripts = pytest.mark.parametrize("script", ["schema", "data"])


def assert_only_failed(shop: Shop, finished: Finished, key: str, *words: str) -> None:
    """That table failed with these words on screen and in the file; all others are done; the exit code is 1."""
    assert finished.code == 1, finished.text
    assert processed(finished.out) == SHOP_KEYS
    after = entries(shop.workplace.data_progress)
    assert {name: part["status"] for name, part in after.items()} == {
        name: "failed" if name == key else "completed" for name in SHOP_KEYS
    }
    for word in words:
        assert word in after[key]["error"]
    assert f"❌ {key}: {after[key]['error']}" in finished.out
    assert "⚠️ 1 table failed to sync" in finished.out
    assert "Traceback" not in finished.text


# -- a table fails -------------------------------------------------------------------------------


def test_a_table_that_the_login_may_not_read_fails_in_the_servers_words(serve: Serve, shop: Shop) -> None:
    shop.ready("data")
    guarded = serve(SHOP, SHOP_ROWS, denied=["dbo.Orders"])
    finished = shop.workplace.with_settings(MSSQL_PORT=str(guarded.port)).run("data")
    words = "The SELECT permission was denied on the object 'Orders', database 'shop', schema 'dbo'."
    assert_only_failed(shop, finished, "Orders", words, "229")
    granted = shop.workplace.run("data", "--resume")
    assert granted.code == 0, granted.text
    assert processed(granted.out) == ["Orders"]
    shop.assert_equal()


def test_an_error_before_the_first_row_fails_that_table_only(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 8115, "Arithmetic overflow error converting expression.", times=99)
    finished = own_shop.workplace.run("data")
    assert_only_failed(own_shop, finished, "Orders", "Arithmetic overflow error converting expression.", "8115")


def test_an_error_amid_the_rows_fails_that_table_and_keeps_its_old_rows(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.query("INSERT INTO orders VALUES (-1, 0)")
    words = "The operating system returned error 21 to SQL Server during a read."
    own_shop.source.fail_after_rows("dbo.Orders", 7, 823, words, times=99)
    finished = own_shop.workplace.run("data")
    assert_only_failed(own_shop, finished, "Orders", words, "823")
    assert [key for (key, _) in own_shop.rows("orders")] == [-1]


def test_a_row_that_the_target_refuses_fails_that_table_and_names_the_row(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT no_teens CHECK (id <> 13)")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "no_teens", "Failing row contains (13, 13.50)", "23514")
    assert shop.rows("orders") == []
    shop.query("ALTER TABLE orders DROP CONSTRAINT no_teens")
    assert shop.workplace.run("data", "--resume").code == 0
    shop.assert_equal()


def test_a_target_column_of_another_kind_fails_that_table_and_names_the_column(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ALTER total TYPE date USING NULL")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "column total", "decimal(12,2)", "date")


def test_a_target_column_that_would_cut_values_fails_that_table(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ALTER total TYPE numeric(12,1)")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "column total")


def test_a_missing_target_column_fails_that_table_and_is_named(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders DROP total")
    assert_only_failed(shop, shop.workplace.run("data"), "Orders", "column total is missing", "public.orders")


def test_a_missing_target_table_fails_and_says_which_script_makes_it(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE orders")
    assert_only_failed(shop, shop.workplace.run("data"), "Orders", "public.orders", "replicate-schema.py")


def test_foreign_keys_between_tables_are_suspended_for_the_load_and_are_back_after_it(shop: Shop) -> None:
    shop.ready("data")
    shop.query(
        "CREATE TABLE notes (order_id integer REFERENCES orders);"
        "ALTER TABLE customers ADD CONSTRAINT of_product FOREIGN KEY (id) REFERENCES products NOT VALID"
    )
    keys = "SELECT conname, conrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f' AND"
    keys += " connamespace = 'public'::regnamespace ORDER BY 1"
    before = shop.query(keys)
    finished = shop.workplace.run("data")
    assert finished.code == 0, finished.text
    shop.assert_equal()
    assert len(before) == 2
    assert shop.query(keys) == before


def test_a_foreign_key_that_the_new_rows_break_is_told_and_no_row_is_lost(shop: Shop) -> None:
    shop.ready("data")
    shop.query("CREATE TABLE notes (order_id integer REFERENCES orders); INSERT INTO orders VALUES (999, 0)")
    shop.query("INSERT INTO notes VALUES (999)")
    finished = shop.workplace.run("data")
    assert finished.code == 1, finished.text
    assert "notes_order_id_fkey" in finished.text
    assert "(order_id)=(999)" in finished.text
    assert shop.query("SELECT * FROM notes") == [(999,)]
    shop.assert_equal()


def test_a_failed_table_shows_a_traceback_with_debug_only(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 50000, "The dog ate it.", times=99)
    with_debug = own_shop.workplace.run("data", "--debug")
    assert "Traceback" in with_debug.text
    assert "The dog ate it." in with_debug.text
    assert "Traceback" not in own_shop.workplace.run("data").text


# -- the source cannot be used -------------------------------------------------------------------


@both_scripts
def test_a_wrong_password_of_the_source_is_told_and_never_shown(shop: Shop, script: str) -> None:
    shop.ready(script)
    finished = shop.workplace.with_settings(MSSQL_PASSWORD="wr0ng-Passw0rd").run(script, "--debug")
    assert finished.code == 3, finished.text
    assert f"Login failed for user '{LOGIN}'" in finished.err
    assert "MSSQL_PASSWORD" in finished.err
    assert "wr0ng-Passw0rd" not in finished.text
    assert not shop.progress(script).exists()


def test_an_unknown_source_database_is_told(shop: Shop) -> None:
    finished = shop.workplace.with_settings(MSSQL_DATABASE="nowhere").run("schema")
    assert finished.code == 3, finished.text
    assert "nowhere" in finished.err
    assert "MSSQL_DATABASE" in finished.err
    assert "Traceback" not in finished.text


@pytest.mark.parametrize(
    "settings", [{"MSSQL_PORT": "1"}, {"MSSQL_HOST": "no-such-host.invalid"}], ids=["port", "host"]
)
def test_a_source_that_nobody_answers_for_is_told(shop: Shop, settings: dict[str, str]) -> None:
    finished = shop.workplace.with_settings(**settings).run("data")
    assert finished.code == 3, finished.text
    assert "MSSQL_HOST and MSSQL_PORT" in finished.err
    assert next(iter(settings.values())) in finished.err
    assert "Traceback" not in finished.text


def test_a_certificate_that_is_not_trusted_is_told_with_the_setting(shop: Shop) -> None:
    finished = shop.workplace.with_settings(MSSQL_TRUST_SERVER_CERTIFICATE="").run("schema")
    assert finished.code == 3, finished.text
    assert "certificate" in finished.err
    assert "MSSQL_TRUST_SERVER_CERTIFICATE" in finished.err
    assert shop.tables == []


def test_debug_shows_where_a_fatal_error_came_from_and_plain_runs_do_not(shop: Shop) -> None:
    unreachable = shop.workplace.with_settings(MSSQL_PORT="1")
    assert "Traceback" in unreachable.run("schema", "--debug").err
    assert "Traceback" not in unreachable.run("schema").text


# -- the target cannot be used -------------------------------------------------------------------


@both_scripts
def test_a_target_that_is_down_is_told(shop: Shop, script: str) -> None:
    finished = shop.workplace.with_settings(PGHOST="127.0.0.1", PGPORT="1").run(script)
    assert finished.code == 3, finished.text
    assert "127.0.0.1:1" in finished.err
    assert "PGHOST and PGPORT" in finished.err
    assert not shop.progress(script).exists()


def test_an_unknown_target_database_is_told(shop: Shop) -> None:
    finished = shop.workplace.with_settings(PGDATABASE="nowhere").run("data")
    assert finished.code == 3, finished.text
    assert 'database "nowhere" does not exist' in finished.err
    assert "PGDATABASE" in finished.err


def test_an_unknown_target_role_is_told(shop: Shop) -> None:
    finished = shop.workplace.with_settings(PGUSER="nobody").run("schema")
    assert finished.code == 3, finished.text
    assert 'role "nobody" does not exist' in finished.err
    assert "PGUSER" in finished.err


@pytest.fixture
def guarded_target() -> Iterator[EmbeddedTarget]:
    """A server of its own that asks the role `loader` for a password."""
    server = EmbeddedTarget().start()
    connection = server.connect()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE loader LOGIN SUPERUSER PASSWORD 'S3cret; of {the} ''target'' \\ ü'")
        cursor.execute("SHOW hba_file")
        (hba,) = cursor.fetchone()
        Path(hba).write_text("local all postgres trust\nlocal all loader scram-sha-256\n", encoding="utf-8")
        cursor.execute("SELECT pg_reload_conf()")
    connection.close()
    yield server
    server.stop()


TARGET_PASSWORD = "S3cret; of {the} 'target' \\ ü"


def test_the_targets_password_opens_it_and_a_wrong_one_is_told_but_not_shown(
    shop: Shop, guarded_target: EmbeddedTarget
) -> None:
    environment = {**guarded_target.environment("postgres"), "PGUSER": "loader"}
    wrong = shop.workplace.with_settings(**environment, PGPASSWORD="wr0ng-Passw0rd").run("schema", "--debug")
    assert wrong.code == 3, wrong.text
    assert "password authentication failed" in wrong.err
    assert "PGPASSWORD" in wrong.err
    assert "wr0ng-Passw0rd" not in wrong.text

    right = shop.workplace.with_settings(**environment, PGPASSWORD=TARGET_PASSWORD)
    finished = right.run("schema")
    assert finished.code == 0, finished.text
    assert "S3cret" not in finished.text + shop.workplace.schema_progress.read_text(encoding="utf-8")

    server = f"host={environment['PGHOST']}&port={environment['PGPORT']}"
    url = f"postgresql://loader:{quote(TARGET_PASSWORD, safe='')}@/postgres?{server}"
    none = dict.fromkeys(("PGHOST", "PGPORT", "PGUSER", "PGDATABASE"), "")
    by_url = shop.workplace.with_settings(**none, DATABASE_URL=url).run("data")
    assert by_url.code == 0, by_url.text
    assert "S3cret" not in by_url.text
    assert target_tables(guarded_target, "postgres") == [
        "public.customers", "public.orders", "public.products", "sales.orders",
    ]  # fmt: skip


def test_a_target_address_that_cannot_be_read_is_refused_without_its_password(shop: Shop) -> None:
    url = "postgresql://loader:S3cret@[::1/x"
    finished = shop.workplace.with_settings(DATABASE_URL=url).run("schema", "--debug")
    assert finished.code == 2, finished.text
    assert "DATABASE_URL" in finished.err
    assert "S3cret" not in finished.text


# -- settings ------------------------------------------------------------------------------------


REQUIRED = ["MSSQL_HOST", "MSSQL_DATABASE", "MSSQL_USER", "MSSQL_PASSWORD", "PGDATABASE"]
SENSELESS = [
    ("MSSQL_PORT", "abc"),
    ("MSSQL_PORT", "65536"),
    ("PGPORT", "abc"),
    ("BATCH_SIZE", "0"),
    ("CHUNK_ROWS", "many"),
    ("WORKERS", "0"),
    ("NAMING", "upper"),
    ("MSSQL_ENCRYPT", "perhaps"),
    ("SCHEMA_MAP", "dbo"),
]


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(shop: Shop, name: str) -> None:
    there = {key: value for key, value in shop.workplace.environment.items() if key != name}
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        load_settings(None, there)


@pytest.mark.parametrize(("name", "value"), SENSELESS)
def test_a_setting_with_a_senseless_value_is_named(shop: Shop, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        load_settings(None, {**shop.workplace.environment, name: value})
    assert value in str(refused.value)


def test_a_run_with_a_missing_or_a_senseless_setting_ends_before_it_begins(shop: Shop) -> None:
    for settings, words in (
        ({"MSSQL_PASSWORD": ""}, "MSSQL_PASSWORD is missing"),
        ({"MSSQL_PORT": "abc"}, "MSSQL_PORT must be"),
        ({"BATCH_SIZE": "0"}, "BATCH_SIZE must be"),
    ):
        finished = shop.workplace.with_settings(**settings).run("schema")
        assert finished.code == 2, finished.text
        assert words in finished.err
        assert "Traceback" not in finished.text
    assert shop.tables == []
    assert not shop.workplace.schema_progress.exists()


# -- passwords -----------------------------------------------------------------------------------

HARD_PASSWORDS = ["a;b{c}d'e\"f\\g h$i#j%k", "}};PWD=x;{ both ", " pässwörd €漢字"]


@pytest.mark.parametrize("password", HARD_PASSWORDS)
def test_a_password_of_any_characters_opens_the_source_and_is_never_shown(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str, password: str
) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(password=password), denied=["dbo.Orders"])
    shop = Shop(source, make_workplace(source, SHOP), target, target_database).ready("data")
    right = shop.workplace.with_settings(MSSQL_PASSWORD=password).run("data", "--debug")
    assert right.code == 1, right.text  # for the table that is denied
    assert statuses(shop.workplace.data_progress)["Products"] == "completed"
    everything = right.text + shop.workplace.data_progress.read_text(encoding="utf-8")
    assert password not in everything
    wrong = shop.workplace.with_settings(MSSQL_PASSWORD=password + "!").run("data", "--debug")
    assert wrong.code == 3, wrong.text
    assert "Login failed" in wrong.err
    assert password not in wrong.text


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="plain"),
        pytest.param(["--debug"], id="debug"),
    ],
)
def test_a_password_that_the_server_itself_repeats_is_hidden_on_screen_and_in_the_file(
    own_shop: Shop, arguments: list[str]
) -> None:
    own_shop.ready("data")
    password = own_shop.source.password
    own_shop.source.fail_next("dbo.Orders", 50000, f"Linked login <{password}> was refused.", times=99)
    finished = own_shop.workplace.run("data", *arguments)
    assert finished.code == 1, finished.text
    error = entries(own_shop.workplace.data_progress)["Orders"]["error"]
    assert "Linked login <***> was refused." in error
    assert "Linked login <***> was refused." in finished.out
    assert password not in finished.text + own_shop.workplace.data_progress.read_text(encoding="utf-8")


def test_a_password_in_an_env_file_is_taken_as_it_stands(shop: Shop, serve: Serve, tmp_path: Path) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(password="a;b{c}$HOME ${USER} #d"))
    file = tmp_path / "its.env"
    file.write_text("MSSQL_PASSWORD='a;b{c}$HOME ${USER} #d'\n", encoding="utf-8")
    workplace = shop.workplace.with_settings(MSSQL_PORT=str(source.port), MSSQL_PASSWORD="")
    finished = workplace.run("schema", "--env-file", str(file))
    assert finished.code == 0, finished.text


def test_a_running_copy_shows_no_password_in_the_list_of_processes(shop: Shop) -> None:
    shop.ready("data")
    password = shop.workplace.environment["MSSQL_PASSWORD"]
    with Proxy(("127.0.0.1", shop.source.port)) as proxy:
        proxy.stall_after(6_000)
        process = shop.workplace.with_settings(MSSQL_PORT=str(proxy.port)).start("data")
        try:
            wait_until(lambda: proxy.is_stalled, "the run is connected to the source")
            listed = subprocess.run(["ps", "-ef", "-ww"], capture_output=True, text=True, check=True).stdout
            commands = [Path(f"/proc/{number}/cmdline").read_text(encoding="utf-8") for number in group_of(process.pid)]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert any("sync-data.py" in command for command in commands)
    assert not any(password in command for command in commands)
    assert password not in listed


def group_of(leader: int) -> list[int]:
    """The processes of a process group."""
    found = subprocess.run(["pgrep", "-g", str(leader)], capture_output=True, text=True, check=True).stdout
    return [int(number) for number in found.split()]


def test_a_whole_connection_string_is_used_and_its_password_never_shown(shop: Shop) -> None:
    text = (
        f"Server=127.0.0.1,{shop.source.port};Database=shop;UID={LOGIN};PWD={{wr0ng;Passw0rd}};"
        "TrustServerCertificate=yes"
    )
    none = {name: "" for name in shop.workplace.environment if name.startswith("MSSQL")}
    wrong = shop.workplace.with_settings(**none, MSSQL_CONNECTION_STRING=text).run("schema", "--debug")
    assert wrong.code == 3, wrong.text
    assert "Passw0rd" not in wrong.text
    text = text.replace("{wr0ng;Passw0rd}", "{" + shop.source.password + "}")
    right = shop.workplace.with_settings(**none, MSSQL_CONNECTION_STRING=text).run("schema")
    assert right.code == 0, right.text
    assert shop.source.password not in right.text


# -- refused before any DDL ----------------------------------------------------------------------


@both_scripts
def test_types_that_cannot_be_copied_are_refused_by_name_before_anything_is_made(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str, script: str
) -> None:
    database = Database(
        "shop",
        (
            table("Aaa"),
            table("Places", spot=SqlType("Point3D", -1, is_clr=True), label=TEXT),
            table("Tree", node=SqlType("Node", 892, is_clr=True)),
        ),
    )
    workplace = make_workplace(serve(database, {}), database)
    finished = workplace.run(script)
    assert finished.code == 2, finished.text
    assert "dbo.Places.spot (Point3D)" in finished.err
    assert "dbo.Tree.node (Node)" in finished.err
    assert "CLR type" in finished.err
    assert "--exclude" in finished.err
    assert target_tables(target, target_database) == []
    if script == "schema":
        without = workplace.run(script, "--exclude", "Tree", "--exclude", "Places")
        assert without.code == 0, without.text
        assert target_tables(target, target_database) == ["public.aaa"]


def test_names_that_fall_together_are_refused_and_preserve_keeps_them_apart(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    identity = Column("id", INT, is_nullable=False)
    twins = Table("dbo", "Twins", (identity, Column("Ä", TEXT), Column("ä", TEXT)))
    database = Database("shop", (Table("dbo", "Öl", (identity,)), Table("dbo", "öl", (identity,)), twins))
    workplace = make_workplace(serve(database, {}), database)
    refused = workplace.run("schema")
    assert refused.code == 2, refused.text
    assert "dbo.Öl" in refused.err
    assert "dbo.öl" in refused.err
    assert "all become public.öl" in refused.err
    assert "of dbo.Twins all become ä" in refused.err
    assert "NAMING=preserve" in refused.err
    assert target_tables(target, target_database) == []
    kept = workplace.with_settings(NAMING="preserve").run("schema")
    assert kept.code == 0, kept.text
    assert target_tables(target, target_database) == ["public.Twins", "public.Öl", "public.öl"]


def test_names_alike_in_their_first_63_bytes_stay_apart(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    names = ["ü" * 40 + end for end in ("a", "b")]
    database = Database("shop", tuple(table(name) for name in names))
    rows = {f"dbo.{name}": [(1, name[-1])] for name in names}
    workplace = make_workplace(serve(database, rows), database)
    assert workplace.run("schema").code == 0
    assert workplace.run("data").code == 0
    made = target_tables(target, target_database)
    assert len(made) == 2
    assert all(len(name.removeprefix("public.").encode()) <= 63 for name in made)


# -- the schema phase ----------------------------------------------------------------------------


def test_a_table_that_exists_and_fits_is_completed_with_its_rows(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    assert shop.workplace.run("data").code == 0
    again = shop.workplace.run("schema")
    assert again.code == 0, again.text
    assert again.out.count("exists already and fits") == 4
    shop.assert_equal()


def test_a_table_that_exists_and_differs_fails_readably_and_is_not_dropped(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint, total numeric(12,2), mine text); INSERT INTO orders VALUES (1)")
    finished = shop.workplace.run("schema")
    assert finished.code == 1, finished.text
    after = entries(shop.workplace.schema_progress, "schema")
    assert statuses(shop.workplace.schema_progress, "schema") == {
        key: "failed" if key == "Orders" else "completed" for key in SHOP_KEYS
    }
    for words in (
        "column id is bigint, the source asks for integer",
        "column mine is not on the source",
        "--recreate",
    ):
        assert words in after["Orders"]["error"]
        assert words in finished.out
    assert shop.query("SELECT id FROM orders") == [(1,)]
    assert "⚠️ 1 table failed to replicate" in finished.out


def test_recreate_drops_what_differs_and_nothing_else(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    assert shop.workplace.run("data").code == 0
    shop.query("ALTER TABLE orders ADD mine text")
    finished = shop.workplace.run("schema", "--recreate")
    assert finished.code == 0, finished.text
    assert shop.rows("orders") == []
    assert len(shop.rows("customers")) == 12
    assert shop.workplace.run("data", "--tables", "dbo.Orders").code == 0
    shop.assert_equal()


def test_recreate_does_not_drop_what_a_view_depends_on(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint); CREATE VIEW report AS SELECT * FROM orders")
    finished = shop.workplace.run("schema", "--recreate")
    assert finished.code == 1, finished.text
    error = entries(shop.workplace.schema_progress, "schema")["Orders"]["error"]
    assert "report" in error
    assert shop.query("SELECT count(*) FROM report") == [(0,)]


def test_a_view_instead_of_a_table_fails_that_table_in_the_servers_words(shop: Shop) -> None:
    shop.query("CREATE VIEW orders AS SELECT 1 AS id")
    finished = shop.workplace.run("schema")
    assert finished.code == 1, finished.text
    assert statuses(shop.workplace.schema_progress, "schema")["Orders"] == "failed"
    assert '"orders" already exists' in entries(shop.workplace.schema_progress, "schema")["Orders"]["error"]


def test_a_failed_schema_table_is_made_by_resume(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint)")
    assert shop.workplace.run("schema").code == 1
    shop.query("DROP TABLE orders")
    resumed = shop.workplace.run("schema", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == ["Orders"]
    assert len(shop.tables) == 4


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"TARGET_SCHEMA": "shop"}, ["sales.orders", "shop.customers", "shop.orders", "shop.products"]),
        (
            {"SCHEMA_MAP": "dbo:a, SALES:sales_eu", "TARGET_SCHEMA": "unused"},
            ["a.customers", "a.orders", "a.products", "sales_eu.orders"],
        ),
        ({"NAMING": "preserve"}, ["public.Customers", "public.Orders", "public.Products", "sales.Orders"]),
    ],
    ids=["target schema", "schema map", "preserve"],
)
def test_settings_say_where_tables_go_and_both_scripts_agree(
    shop: Shop, settings: dict[str, str], wanted: list[str]
) -> None:
    workplace = shop.workplace.with_settings(**settings)
    assert workplace.run("schema").code == 0
    assert shop.tables == wanted
    copied = workplace.run("data")
    assert copied.code == 0, copied.text
    quoted = ['"' + name.replace(".", '"."') + '"' for name in wanted]
    assert sorted(counts(shop.target, shop.database, *quoted).values()) == [5, 9, 12, 20]


def test_a_schema_map_that_brings_two_tables_together_is_refused(shop: Shop) -> None:
    finished = shop.workplace.with_settings(SCHEMA_MAP="Sales:public").run("schema")
    assert finished.code == 2, finished.text
    assert "dbo.Orders, Sales.Orders all become public.orders" in finished.err
    assert shop.tables == []


@pytest.mark.parametrize("schemas", ["", "CREATE SCHEMA sales"], ids=["no schema", "schemas there"])
def test_a_role_that_may_not_create_is_told_in_the_servers_words(shop: Shop, schemas: str) -> None:
    name = f"reader_{shop.database}"
    shop.query(f"CREATE ROLE {name} LOGIN; {schemas}")
    finished = shop.workplace.with_settings(PGUSER=name).run("schema")
    assert finished.code == 1, finished.text
    assert "permission denied" in finished.text
    assert "Traceback" not in finished.text
    assert shop.tables == []
    shop.query(f"ALTER ROLE {name} SUPERUSER")
    resumed = shop.workplace.with_settings(PGUSER=name).run("schema", "--resume")
    assert resumed.code == 0, resumed.text
    assert len(shop.tables) == 4

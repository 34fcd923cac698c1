"""Settings, passwords and servers: what is missing, wrong or unreachable is told by name, and no password is shown."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyodbc
import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.errors import SettingsError
from model.odbc_strings import parse_odbc
from standin.server import LOGIN, PASSWORD, Access
from tests.harness import OPEN_WIRE, Proxy, source_settings, utf16, wait_until
from tests.samples import SHOP, SHOP_ROWS, MakeWorkplace, Serve, Shop, both_scripts, entries, statuses, target_tables

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


# -- what of the source's connections is encrypted ----------------------------------------------------


@pytest.mark.parametrize("encryption", ["", "Encryption=request;", "Encryption=require;"])
def test_what_freetds_is_asked_for_is_what_travels(encryption: str, shop: Shop) -> None:
    if "FreeTDS" not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    with Proxy(("127.0.0.1", shop.source.port)) as source:
        source.flip_a_bit(utf16("sale 5"))
        text = f"Driver=FreeTDS;Server=127.0.0.1;Port={source.port};TDS_Version=7.4;ClientCharset=UTF-8;{encryption}"
        workplace = shop.ready("data").workplace.with_settings(
            MSSQL_HOST="", MSSQL_CONNECTION_STRING=f"{text}Database=shop;UID={LOGIN};PWD={PASSWORD}"
        )
        finished = workplace.run("data")
    assert finished.code == 0, finished.text
    is_open = "require" not in encryption
    assert (OPEN_WIRE in finished.out) == is_open
    label = "sale 4 ü€" if is_open else "sale 5 ü€"
    assert shop.query("SELECT label FROM sales.orders WHERE id = 5") == [(label,)]


@pytest.mark.parametrize(
    ("driver", "count"),
    [("ODBC Driver 17 for SQL Server", "0"), ("/opt/libmsodbcsql-18.6.so.2.1", "0"), ("FreeTDS", None)],
)
def test_no_driver_opens_a_connection_again_by_itself(driver: str, count: str | None) -> None:
    settings = load_settings(None, {**source_settings(1433, "shop"), "PGDATABASE": "d", "MSSQL_DRIVER": driver})
    assert parse_odbc(settings.source.connection_string).get("connectretrycount") == count


@pytest.mark.parametrize(
    ("text", "is_encrypted"),
    [
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d", True),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d", False),
        ("Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d;Encrypt=yes", True),
        ("Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d;Encrypt=optional", False),
        ("Driver=/opt/lib/libmsodbcsql.17.dylib;Server=s;Database=d", False),
        ("Driver=/opt/lib/libmsodbcsql-18.6.so.2.1;Server=s;Database=d;Encrypt=false", False),
        ("Driver=FreeTDS;Server=s;Database=d", False),
        ("Driver=FreeTDS;Server=s;Database=d;Encryption=require", True),
    ],
)
def test_a_whole_connection_string_is_read_as_its_driver_reads_it(text: str, is_encrypted: bool) -> None:
    settings = load_settings(None, {"MSSQL_CONNECTION_STRING": text, "PGDATABASE": "d"})
    assert settings.source.is_encrypted is is_encrypted

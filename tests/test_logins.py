"""Logins people have: what each way takes, what travels, what is told when it is refused, and what is never shown.

The connections are real: both drivers, by pyodbc and by arrow-odbc, to the stand-in. So is Kerberos, where it is
installed. What needs Microsoft Entra's directory is untested beyond the words of the connection string.
"""

from __future__ import annotations

import base64
import ctypes.util
import http.server
import json
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import db
from db import connect_source, find_driver, load_settings, probe_port
from model.connection_advice import source_advice
from model.errors import SettingsError, UnreachableError
from model.logins import METHODS, Authentication
from model.odbc_strings import parse_odbc
from model.settings import Secrets, Settings
from model.settings_slips import Given, refuse_near_names
from model.settings_table import SETTINGS
from mssql import reader
from mssql.wanted_rows import SourceConnections, WantedRows
from standin.server import Access, StandIn
from tests.harness import ROOT, Workplace, free_port, source_settings
from tests.kerberos import ACCOUNT, NAME, Realm, realm
from tests.samples import SHOP, SHOP_COUNTS, SHOP_ROWS, MakeWorkplace, Serve, Shop, counts

BASE = {"MSSQL_HOST": "sql.example.com", "MSSQL_DATABASE": "shop", "PGDATABASE": "d"}
MICROSOFT = {**BASE, "MSSQL_DRIVER": "ODBC Driver 18 for SQL Server"}
Connect = Callable[[Settings], Any]
both_lanes = pytest.mark.parametrize("connect", [connect_source, reader.connect], ids=["pyodbc", "arrow"])


def parts_of(values: Mapping[str, str]) -> dict[str, str]:
    """The keywords of the connection string that settings make."""
    return parse_odbc(load_settings(None, values).source.connection_string)


def is_answered(connection: Any) -> bool:
    """Whether a connection of either lane answers a query."""
    if isinstance(connection, db._odbc().Connection):
        with closing(connection):
            return bool(connection.execute("SELECT 1 AS c0").fetchval() == 1)
    return [
        row for batch in connection.read_arrow_batches("SELECT 1 AS c0", batch_size=1) for row in batch.to_pylist()
    ] == [{"c0": 1}]


def token_until(moment: float) -> str:
    """An access token in the form that Microsoft Entra gives it, which ends at a moment."""
    parts = ({"typ": "JWT", "alg": "RS256"}, {"aud": "https://database.windows.net/", "exp": int(moment)})
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.{'s1gnature' * 40}"


# -- the connection string of each way ---------------------------------------------------------------

WAYS: list[tuple[Authentication, dict[str, str], dict[str, str]]] = [
    ("sql", {"MSSQL_USER": "u", "MSSQL_PASSWORD": "p"}, {"uid": "u", "pwd": "p"}),
    ("kerberos", {}, {"trusted_connection": "yes"}),
    (
        "entra-password",
        {"MSSQL_USER": "u@example.com", "MSSQL_PASSWORD": "p"},
        {"authentication": "ActiveDirectoryPassword", "uid": "u@example.com", "pwd": "p"},
    ),
    (
        "entra-service-principal",
        {"MSSQL_USER": "client", "MSSQL_PASSWORD": "p"},
        {"authentication": "ActiveDirectoryServicePrincipal", "uid": "client", "pwd": "p"},
    ),
    ("entra-managed-identity", {}, {"authentication": "ActiveDirectoryMsi"}),
    ("entra-managed-identity", {"MSSQL_USER": "id"}, {"authentication": "ActiveDirectoryMsi", "uid": "id"}),
    ("entra-integrated", {}, {"authentication": "ActiveDirectoryIntegrated"}),
    ("entra-token", {"MSSQL_ACCESS_TOKEN_FILE": "/run/token"}, {}),
]


@pytest.mark.parametrize(("way", "given", "keywords"), WAYS)
def test_each_way_is_written_in_the_keywords_of_microsofts_driver(
    way: Authentication, given: dict[str, str], keywords: dict[str, str]
) -> None:
    parts = parts_of({**MICROSOFT, **given, "MSSQL_AUTHENTICATION": way})
    named = {
        name: value for name, value in parts.items() if name in ("uid", "pwd", "authentication", "trusted_connection")
    }
    assert named == keywords


def test_every_way_is_told_of_and_tried() -> None:
    assert {way for way, _, _ in WAYS} == METHODS.keys()


@pytest.mark.parametrize("way", ["kerberos", "entra-integrated"])
def test_a_password_that_is_left_in_the_settings_is_not_sent_where_a_ticket_logs_in(way: str) -> None:
    given = {**MICROSOFT, "MSSQL_USER": "u", "MSSQL_PASSWORD": "p", "MSSQL_AUTHENTICATION": way}
    assert not {"uid", "pwd"} & parts_of(given).keys()


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("sql", "MSSQL_USER"),
        ("sql", "MSSQL_PASSWORD"),
        ("entra-password", "MSSQL_USER"),
        ("entra-password", "MSSQL_PASSWORD"),
        ("entra-service-principal", "MSSQL_USER"),
        ("entra-service-principal", "MSSQL_PASSWORD"),
        ("entra-token", "MSSQL_ACCESS_TOKEN_FILE"),
    ],
)
def test_what_a_way_needs_is_asked_for_by_name(way: str, name: str) -> None:
    given = {**MICROSOFT, "MSSQL_USER": "u", "MSSQL_PASSWORD": "p", "MSSQL_AUTHENTICATION": way}
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        load_settings(None, {key: value for key, value in given.items() if key != name})


def test_a_token_and_another_way_are_refused() -> None:
    given = {**MICROSOFT, "MSSQL_USER": "u", "MSSQL_PASSWORD": "p", "MSSQL_ACCESS_TOKEN_FILE": "/run/token"}
    with pytest.raises(SettingsError, match="MSSQL_ACCESS_TOKEN_FILE is given, and MSSQL_AUTHENTICATION is sql"):
        load_settings(None, given)


def test_two_tokens_are_refused() -> None:
    given = {
        **MICROSOFT,
        "MSSQL_AUTHENTICATION": "entra-token",
        "MSSQL_ACCESS_TOKEN_FILE": "f",
        "MSSQL_ACCESS_TOKEN": "t",
    }
    with pytest.raises(SettingsError, match="both given"):
        load_settings(None, given)


def test_a_token_is_not_sent_over_a_connection_that_is_not_encrypted() -> None:
    given = {**MICROSOFT, "MSSQL_AUTHENTICATION": "entra-token", "MSSQL_ACCESS_TOKEN": "t", "MSSQL_ENCRYPT": "no"}
    with pytest.raises(SettingsError, match="MSSQL_ENCRYPT=no does not go with entra-token"):
        load_settings(None, given)


def test_freetds_is_refused_where_only_microsofts_driver_has_the_login() -> None:
    given = {**BASE, "MSSQL_DRIVER": "FreeTDS", "MSSQL_AUTHENTICATION": "entra-managed-identity"}
    with pytest.raises(SettingsError, match="has no logins of Microsoft Entra"):
        load_settings(None, given)


def test_freetds_takes_kerberos_by_its_keyword() -> None:
    given = {**BASE, "MSSQL_DRIVER": "FreeTDS", "MSSQL_AUTHENTICATION": "kerberos"}
    parts = parts_of(given)
    assert parts["trusted_connection"] == "yes"
    assert not {"uid", "pwd"} & parts.keys()


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("MSSQL_AUTHENTIFICATION", "MSSQL_AUTHENTICATION"),
        ("MSSQL_APPLICATIONINTENT", "MSSQL_APPLICATION_INTENT"),
        ("MSSQL_MULTISUBNETFAILOVER", "MSSQL_MULTI_SUBNET_FAILOVER"),
        ("MSSQL_ACCESSTOKEN_FILE", "MSSQL_ACCESS_TOKEN_FILE"),
    ],
)
def test_a_name_that_is_nearly_one_of_these_settings_is_told(slip: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=f"there is no setting {slip}. Is {meant} meant"):
        refuse_near_names(Given({slip: "x"}, {}, None), SETTINGS)


# -- a whole connection string -----------------------------------------------------------------------


def test_a_whole_string_may_log_in_without_a_password() -> None:
    text = "Driver={ODBC Driver 17 for SQL Server};Server=s;Database=d;Authentication=ActiveDirectoryMsi"
    source = load_settings(None, {"MSSQL_CONNECTION_STRING": text, "PGDATABASE": "d"}).source
    assert source.connection_string == f"{text};APP=mssql-to-postgres"
    assert source.authentication == "entra-managed-identity"
    assert source.is_encrypted, "such a login is encrypted whatever the driver's version"


def test_a_whole_string_and_a_token_go_together_unless_the_string_logs_in_itself() -> None:
    text = "Driver={ODBC Driver 18 for SQL Server};Server=s;Database=d"
    given = {"MSSQL_CONNECTION_STRING": text, "MSSQL_ACCESS_TOKEN": "t", "PGDATABASE": "d"}
    assert load_settings(None, given).source.authentication == "entra-token"
    with pytest.raises(SettingsError, match="says UID, and an access token is given"):
        load_settings(None, {**given, "MSSQL_CONNECTION_STRING": f"{text};UID=u"})


@both_lanes
def test_a_data_source_of_the_system_is_used_with_its_own_driver(
    serve: Serve, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = serve(SHOP, SHOP_ROWS)
    driver = find_driver("")
    # A name of its own each time, since the driver manager remembers for a while what it has read.
    name = f"shop on {source.port}"
    (tmp_path / "odbc.ini").write_text(
        f"[{name}]\nDriver={driver.name}\nServer=127.0.0.1,{source.port}\nDatabase=shop\nTrustServerCertificate=yes\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("ODBCINI", str(tmp_path / "odbc.ini"))
    text = f"DSN={name};UID={source.login};PWD={{{source.password}}}"
    settings = load_settings(None, {"MSSQL_CONNECTION_STRING": text, "PGDATABASE": "d"})
    assert is_answered(connect(settings))
    assert settings.source.driver.origin == f"of the data source {name}"
    assert settings.source.driver.name == driver.name


@pytest.mark.parametrize("keyword", ["PWD", "Password", "KeystoreSecret", "AccessToken", "Access Token"])
def test_the_secrets_of_a_whole_string_are_hidden(keyword: str) -> None:
    assert "hunter2" not in Secrets().hide(f"bad string: Server=s;{keyword}={{hunter2; and more}};Database=d")


def test_a_token_is_hidden_wherever_it_stands() -> None:
    token = token_until(0)
    assert Secrets().hide(f"Token '{token}' was refused.") == "Token '***' was refused."


# -- an access token ---------------------------------------------------------------------------------


@pytest.fixture
def token_shop(
    serve: Serve, make_workplace: MakeWorkplace, target: Any, target_database: str, tmp_path: Path
) -> tuple[Shop, Path]:
    """The shop on a stand-in that a token opens, and the file that holds it."""
    token = token_until(time.time() + 3600)
    source = serve(SHOP, SHOP_ROWS, access=Access(token=token))
    file = tmp_path / "token"
    file.write_text(f"{token}\n", encoding="utf-8")
    workplace = make_workplace(source, SHOP).with_settings(
        MSSQL_USER="", MSSQL_PASSWORD="", MSSQL_AUTHENTICATION="entra-token", MSSQL_ACCESS_TOKEN_FILE=str(file)
    )
    return Shop(source, workplace, target, target_database), file


def settings_in(workplace: Workplace) -> Settings:
    """The settings that the scripts would read there."""
    return load_settings(None, workplace.environment)


def test_a_token_opens_every_connection_of_both_scripts_and_is_never_shown(token_shop: tuple[Shop, Path]) -> None:
    shop, file = token_shop
    schema = shop.workplace.run("schema", "--debug")
    assert schema.code == 0, schema.text
    data = shop.workplace.run("data", "--debug", "--then-verify")
    assert data.code == 0, data.text
    assert counts(shop.target, shop.database, *SHOP_COUNTS) == SHOP_COUNTS
    assert "login by Microsoft Entra access token" in data.out
    token = file.read_text(encoding="utf-8").strip()
    assert {login.token for login in shop.source.logins} == {token}
    assert {login.user for login in shop.source.logins} == {""}
    kept = [path for path in shop.workplace.folder.rglob("*") if path.is_file() and path != file]
    assert kept
    for path in kept:
        assert token.encode() not in path.read_bytes(), path
    assert token not in schema.text + data.text


def test_rows_read_by_a_token_are_those_read_by_a_password(serve: Serve) -> None:
    token = token_until(time.time() + 3600)
    source = serve(SHOP, SHOP_ROWS, access=Access(token=token))
    given = {**source_settings(source.port, "shop"), "PGDATABASE": "d"}
    found = []
    for more in ({}, {"MSSQL_AUTHENTICATION": "entra-token", "MSSQL_ACCESS_TOKEN": token}):
        settings = load_settings(None, {**given, **more})
        connection = reader.connect(settings)
        read = SourceConnections(connection, settings)
        found.append([
            [row for part in reader.read_batches(read, WantedRows(one, one.columns)) for row in part.to_pylist()]
            for one in SHOP.tables
        ])  # fmt: skip
    assert found[0] == found[1]
    assert sum(map(len, found[0])) == sum(SHOP_COUNTS.values())


@both_lanes
def test_a_token_that_is_renewed_opens_the_connections_that_follow(
    token_shop: tuple[Shop, Path], connect: Connect
) -> None:
    shop, file = token_shop
    settings = settings_in(shop.workplace)
    assert is_answered(connect(settings))
    shop.source.token = token_until(time.time() + 7200)
    with pytest.raises(UnreachableError, match="token-identified principal"):
        connect(settings)
    file.write_text(shop.source.token, encoding="utf-8")
    assert is_answered(connect(settings))


def test_a_token_that_has_expired_is_told_with_when_it_did(token_shop: tuple[Shop, Path]) -> None:
    shop, file = token_shop
    file.write_text(token_until(1_700_000_000), encoding="utf-8")
    finished = shop.workplace.run("data")
    assert finished.code == 3, finished.text
    assert "The access token expired at 2023-11-14 22:13:20 UTC." in finished.err
    assert "MSSQL_ACCESS_TOKEN_FILE" in finished.err
    assert "database.windows.net" in finished.err


@pytest.mark.parametrize(("text", "words"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_file_without_a_token_is_told(token_shop: tuple[Shop, Path], text: str | None, words: str) -> None:
    shop, file = token_shop
    if text is None:
        file.unlink()
    else:
        file.write_text(text, encoding="utf-8")
    finished = shop.workplace.run("schema")
    assert finished.code == 3, finished.text
    assert f"MSSQL_ACCESS_TOKEN_FILE ({file}) {words}" in finished.err
    assert "Traceback" not in finished.text


# -- a managed identity ------------------------------------------------------------------------------


@contextmanager
def identity_endpoint(token: str) -> Iterator[list[str]]:
    """What gives App Service's and others' programs the token of their identity; yields the questions that it is asked.

    Microsoft, "How to use managed identities for App Service", REST endpoint reference.
    """
    asked: list[str] = []

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer = {"access_token": token, "expires_on": "9999999999", "resource": "r", "token_type": "Bearer"}
            body = json.dumps(answer, separators=(",", ":")).encode()
            self.send_response(200 if self.headers["X-IDENTITY-HEADER"] == "a secret" else 403)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is said."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.server_port}/token")
            environment.setenv("IDENTITY_HEADER", "a secret")
            yield asked
        server.shutdown()


def needs_libcurl() -> None:
    """Skip where the driver has nothing to ask a directory with."""
    if ctypes.util.find_library("curl") is None:
        pytest.skip("libcurl is not installed")


@both_lanes
def test_a_managed_identity_opens_a_connection_of_either_lane(serve: Serve, connect: Connect) -> None:
    needs_libcurl()
    token = token_until(time.time() + 3600)
    source = serve(SHOP, SHOP_ROWS, access=Access(token=token))
    given = {**source_settings(source.port, "shop"), "PGDATABASE": "d", "MSSQL_PASSWORD": ""}
    given |= {"MSSQL_AUTHENTICATION": "entra-managed-identity", "MSSQL_USER": f"11112222-{connect.__module__}"}
    with identity_endpoint(token) as asked:
        assert is_answered(connect(load_settings(None, given)))
    assert [login.token for login in source.logins] == [token]
    (question,) = asked
    assert "resource=https%3A%2F%2Fdatabase.windows.net%2F" in question
    assert f"client_id={given['MSSQL_USER']}" in question


@pytest.mark.parametrize(("given", "seconds"), [
    ({}, 15), ({"MSSQL_APPLICATION_INTENT": "ReadOnly"}, 30),
    ({"MSSQL_AUTHENTICATION": "entra-service-principal"}, 30),
])  # fmt: skip
def test_a_login_that_takes_a_detour_may_take_longer(given: dict[str, str], seconds: int) -> None:
    settings = load_settings(None, {**MICROSOFT, "MSSQL_USER": "u", "MSSQL_PASSWORD": "p", **given})
    assert db.login_timeout(settings.source) == seconds


def test_a_managed_identity_copies_a_database(
    serve: Serve, make_workplace: MakeWorkplace, target: Any, target_database: str
) -> None:
    needs_libcurl()
    token = token_until(time.time() + 3600)
    source = serve(SHOP, SHOP_ROWS, access=Access(token=token))
    workplace = make_workplace(source, SHOP).with_settings(
        MSSQL_USER="", MSSQL_PASSWORD="", MSSQL_AUTHENTICATION="entra-managed-identity"
    )
    with identity_endpoint(token):
        finished = [workplace.run("schema"), workplace.run("data", "--debug")]
    assert [one.code for one in finished] == [0, 0], finished
    assert counts(target, target_database, *SHOP_COUNTS) == SHOP_COUNTS
    assert {login.token for login in source.logins} == {token}
    assert token not in finished[0].text + finished[1].text


# -- Kerberos ----------------------------------------------------------------------------------------


@pytest.fixture
def kerberos(tmp_path: Path) -> Iterator[Realm]:
    """A realm of its own."""
    folder = tmp_path / "realm"
    folder.mkdir()
    with realm(folder) as made:
        yield made


def by_ticket(source: StandIn, driver: str) -> dict[str, str]:
    """Settings of a login by Kerberos. The realm knows the server as `localhost`."""
    given = {**source_settings(source.port, "shop"), "MSSQL_HOST": "localhost", "MSSQL_USER": "", "MSSQL_PASSWORD": ""}
    return {**given, "MSSQL_AUTHENTICATION": "kerberos", "MSSQL_DRIVER": driver}


@both_lanes
def test_a_kerberos_ticket_opens_a_connection_of_either_lane(
    kerberos: Realm, serve: Serve, odbc_driver: str, connect: Connect
) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(principal=ACCOUNT))
    kerberos.serve(source.port)
    assert is_answered(connect(load_settings(None, {**by_ticket(source, odbc_driver), "PGDATABASE": "d"})))
    assert [login.principal for login in source.logins] == [ACCOUNT]


def test_a_kerberos_ticket_copies_a_database(
    kerberos: Realm, serve: Serve, make_workplace: MakeWorkplace, target: Any, target_database: str, odbc_driver: str
) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(principal=ACCOUNT))
    kerberos.serve(source.port)
    workplace = make_workplace(source, SHOP).with_settings(**by_ticket(source, odbc_driver))
    for script in ("schema", "data"):
        finished = workplace.run(script)
        assert finished.code == 0, finished.text
        assert "login by Kerberos" in finished.out
    assert counts(target, target_database, *SHOP_COUNTS) == SHOP_COUNTS
    assert {login.principal for login in source.logins} == {ACCOUNT}


def test_an_account_that_the_server_does_not_know_is_told_with_what_makes_it_known(
    kerberos: Realm, serve: Serve, odbc_driver: str
) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(principal=f"somebody@{NAME}"))
    kerberos.serve(source.port)
    settings = load_settings(None, {**by_ticket(source, odbc_driver), "PGDATABASE": "d"})
    for connect in (connect_source, reader.connect):
        with pytest.raises(UnreachableError, match="18456") as refused:
            connect(settings)
        assert "FROM WINDOWS" in str(refused.value)


def test_a_server_that_the_domain_does_not_know_by_its_address_is_told(kerberos: Realm, serve: Serve) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(principal=ACCOUNT))
    kerberos.serve(source.port)
    given = {**by_ticket(source, ""), "MSSQL_HOST": "127.0.0.1", "PGDATABASE": "d"}
    with pytest.raises(UnreachableError, match="not found in Kerberos database") as refused:
        connect_source(load_settings(None, given))
    assert "not an alias or an address" in str(refused.value)


def test_a_domain_that_does_not_answer_is_told(kerberos: Realm, serve: Serve) -> None:
    source = serve(SHOP, SHOP_ROWS, access=Access(principal=ACCOUNT))
    kerberos.serve(source.port)
    kerberos.stop()
    with pytest.raises(UnreachableError, match="Cannot contact any KDC") as refused:
        connect_source(load_settings(None, {**by_ticket(source, ""), "PGDATABASE": "d"}))
    assert "krb5.conf" in str(refused.value)


# -- availability groups -----------------------------------------------------------------------------


@both_lanes
@pytest.mark.parametrize(("intent", "is_read_only"), [("", False), ("ReadOnly", True), ("ReadWrite", False)])
def test_the_server_is_told_of_a_reader(
    serve: Serve, odbc_driver: str, connect: Connect, intent: str, is_read_only: bool
) -> None:
    source = serve(SHOP, SHOP_ROWS)
    given = {**source_settings(source.port, "shop"), "PGDATABASE": "d", "MSSQL_DRIVER": odbc_driver}
    assert is_answered(connect(load_settings(None, {**given, "MSSQL_APPLICATION_INTENT": intent})))
    assert [login.is_read_only for login in source.logins] == [is_read_only]


@both_lanes
def test_a_listener_of_several_subnets_is_connected_to(serve: Serve, odbc_driver: str, connect: Connect) -> None:
    source = serve(SHOP, SHOP_ROWS)
    given = {**source_settings(source.port, "shop"), "PGDATABASE": "d", "MSSQL_DRIVER": odbc_driver}
    settings = load_settings(None, {**given, "MSSQL_MULTI_SUBNET_FAILOVER": "yes"})
    assert is_answered(connect(settings))
    has_keyword = parse_odbc(settings.source.connection_string).get("multisubnetfailover") == "yes"
    assert has_keyword != settings.source.driver.is_freetds


def test_a_listener_and_the_name_of_an_instance_are_refused() -> None:
    given = {**MICROSOFT, "MSSQL_HOST": r"host\one", "MSSQL_USER": "u", "MSSQL_PASSWORD": "p"}
    with pytest.raises(SettingsError, match="does not go with an instance's name"):
        load_settings(None, {**given, "MSSQL_MULTI_SUBNET_FAILOVER": "yes"})


@contextmanager
def silent_address() -> Iterator[tuple[str, int]]:
    """An address that answers nothing to those who connect, as one of a subnet that is down: its queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        yield address
        for one in waiting:
            one.close()


def test_of_several_addresses_the_one_that_answers_is_found_without_waiting_for_the_others(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = serve(SHOP, SHOP_ROWS)
    settings = load_settings(None, {**source_settings(source.port, "shop"), "PGDATABASE": "d"})
    with silent_address() as silent:
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (silent, ("127.0.0.1", source.port))
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_more: found)
        # Whoever tries them one after the other would wait so long.
        monkeypatch.setattr(db, "CONNECT_TIMEOUT_S", 3600)
        probe_port(settings.source)


def test_addresses_that_all_refuse_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {**source_settings(free_port(), "shop"), "PGDATABASE": "d"}
    monkeypatch.setattr(db, "CONNECT_TIMEOUT_S", 3600)
    with pytest.raises(UnreachableError, match="cannot be reached: Connection refused"):
        probe_port(load_settings(None, given).source)


# -- named instances ---------------------------------------------------------------------------------


@contextmanager
def browser(instance: str, port: int) -> Iterator[list[str]]:
    """SQL Server Browser on this machine ([MC-SQLR]), for one instance; yields the instances that were asked for."""
    asked: list[str] = []
    answering = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        answering.bind(("127.0.0.1", 1434))
    except OSError as error:
        answering.close()
        pytest.skip(f"UDP port 1434 cannot be had here: {error.strerror}")

    def answer() -> None:
        while True:
            try:
                message, client = answering.recvfrom(1024)
            except OSError:
                return
            # CLNT_UCAST_INST: one byte, then the instance's name and a zero. A closing datagram is empty.
            if not message:
                return
            name = message[1:].split(b"\0")[0].decode("ascii")
            asked.append(name)
            told = f"ServerName;HERE;InstanceName;{instance};IsClustered;No;Version;16.0.4135.4;tcp;{port};;".encode()
            if name.lower() == instance.lower():
                answering.sendto(struct.pack("<BH", 5, len(told)) + told, client)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield asked
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
        ending.sendto(b"", ("127.0.0.1", 1434))
    thread.join()
    answering.close()


@both_lanes
def test_a_named_instance_is_looked_up(serve: Serve, odbc_driver: str, connect: Connect) -> None:
    source = serve(SHOP, SHOP_ROWS)
    given = {**source_settings(source.port, "shop"), "PGDATABASE": "d", "MSSQL_DRIVER": odbc_driver, "MSSQL_PORT": ""}
    with browser("PAYROLL", source.port) as asked:
        assert is_answered(connect(load_settings(None, {**given, "MSSQL_HOST": r"127.0.0.1\PAYROLL"})))
    assert {name.upper() for name in asked} == {"PAYROLL"}


# -- what is told when a login is refused ------------------------------------------------------------


def test_without_a_kerberos_ticket_a_run_says_how_one_is_had(shop: Shop, odbc_driver: str, tmp_path: Path) -> None:
    workplace = shop.workplace.with_settings(
        MSSQL_DRIVER=odbc_driver, MSSQL_AUTHENTICATION="kerberos", MSSQL_USER="", MSSQL_PASSWORD="",
        KRB5CCNAME=f"FILE:{tmp_path}/none", KRB5_CONFIG=os.devnull,
    )  # fmt: skip
    finished = workplace.run("data")
    assert finished.code == 3, finished.text
    assert "klist" in finished.err
    assert "kinit" in finished.err
    assert "Traceback" not in finished.text


#: by way of logging in: words as the drivers hand them over (Microsoft's and MIT's lists of messages), what is told
REFUSALS: dict[Authentication, list[tuple[str, str]]] = {
    "sql": [
        ("[28000] Login failed for user 'replicator'. (18456)", "Check MSSQL_USER and MSSQL_PASSWORD"),
        ("[28000] Login failed for user 'CORP\\sync'. (18456)", "MSSQL_AUTHENTICATION=kerberos"),
        ("Login failed. The login is from an untrusted domain and cannot be used with … (18452)", "mixed mode"),
        ("Login failed for user 'x'. Reason: The password of the account has expired. (18487)", "set a new one"),
        ("Login failed for user 'x' because the account is currently locked out. (18486)", "UNLOCK"),
        ("Client with IP address '1.2.3.4' is not allowed to access the server. (40615)", "firewall"),
        ("Unable to connect: Adaptive Server is unavailable or does not exist (20009)", "Check MSSQL_HOST"),
        ("… is currently accessible for connections when the application intent is set to read only. (978)",
         "set MSSQL_APPLICATION_INTENT=ReadOnly"),
        ("… is in an availability group and currently does not allow read only connections. (979)",
         "leave MSSQL_APPLICATION_INTENT out"),
        ("… is participating in an availability group and is currently not accessible for queries. (976)", "listener"),
        ("[HYT00] Login timeout expired (0)", "MSSQL_MULTI_SUBNET_FAILOVER=yes"),
        ("[FA001] Cannot use Authentication option with Integrated Security option. (0)", "more than one way"),
        ("SSL Provider: [error:0A000086:SSL routines::certificate verify failed] (-1)", "TRUST_SERVER_CERTIFICATE"),
    ],
    "kerberos": [
        ("SSPI Provider: No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0) (458752)", "kinit"),
        ("SSPI Provider: Ticket expired (851968)", "The ticket has expired"),
        ("SSPI Provider: Server MSSQLSvc/10.0.0.1:1433@CORP.EXAMPLE not found in Kerberos database (851968)",
         "setspn -S MSSQLSvc/"),
        ("SSPI Provider: Cannot find KDC for realm \"CORP.EXAMPLE\" (458752)", "krb5.conf"),
        ("SSPI Provider: Clock skew too great (458752)", "NTP"),
        ("[HY000] Cannot generate SSPI context (0)", "service principal name"),
        ("[28000] Login failed for user 'CORP\\sync'. (18456)", "FROM WINDOWS"),
        ("[08001] Unable to connect to data source (0)", "FreeTDS says no more than that. Kerberos"),
    ],
    "entra-password": [
        ("AADSTS50076: you must use multi-factor authentication", "use a service principal"),
        ("AADSTS99999999: something new", "https://login.microsoftonline.com/error?code=99999999"),
    ],
    "entra-service-principal": [
        ("Failed to authenticate the user 'x' in Active Directory (Authentication option is "
         "'ActiveDirectoryServicePrincipal'). AADSTS7000222: The provided client secret keys are expired.",
         "The client secret has expired"),
    ],
    "entra-managed-identity": [
        ("[HYT00] Login timeout expired (0)", "left out for the machine's own"),
        ("[FA005] Cannot generate federated authentication context (0)", "this machine's own endpoint"),
        ("[28000] Login failed for user '<token-identified principal>'. (18456)", "FROM EXTERNAL PROVIDER"),
    ],
    "entra-token": [
        ("Login failed for user '<token-identified principal>'. Token is expired. (18456)", "lasts about an hour"),
        ("Login failed for user '<token-identified principal>'. (18456)", "FROM EXTERNAL PROVIDER"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("authentication", "words", "told"), [(way, *refusal) for way, refusals in REFUSALS.items() for refusal in refusals]
)
def test_what_to_do_next_is_told_for_each_refusal(authentication: Authentication, words: str, told: str) -> None:
    assert told in source_advice(words, authentication)


def test_a_string_that_names_two_ways_is_told_by_the_driver_and_explained(shop: Shop) -> None:
    text = f"Server=127.0.0.1,{shop.source.port};Database=shop;Trusted_Connection=yes;Authentication=ActiveDirectoryMsi"
    none = {name: "" for name in shop.workplace.environment if name.startswith("MSSQL")}
    finished = shop.workplace.with_settings(**none, MSSQL_CONNECTION_STRING=text).run("schema")
    assert finished.code == 3, finished.text
    assert "Cannot use Authentication option with Integrated Security option" in finished.err
    assert "more than one way to log in" in finished.err


# -- the page about them -----------------------------------------------------------------------------

PAGE = (ROOT / "docs" / "logins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```env\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_examples_of_the_page_are_settings(block: str, tmp_path: Path) -> None:
    file = tmp_path / "its.env"
    file.write_text(f"MSSQL_DRIVER=ODBC Driver 18 for SQL Server\nPGDATABASE=d\n{block}", encoding="utf-8")
    others = {name: value for name, value in BASE.items() if name not in block}
    source = load_settings(file, others).source
    (way,) = re.findall(r"^MSSQL_AUTHENTICATION=(.*)", block, re.MULTILINE) or ["sql"]
    assert source.authentication == way


def test_the_page_has_every_way() -> None:
    (table, *_) = PAGE.split("\n## ")
    assert re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE) == list(METHODS)

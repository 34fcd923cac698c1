"""What travels to a worker, byte by byte."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster import parcels
from db import load_settings
from model.cluster import CREDENTIALS, Credentials
from model.errors import SettingsError
from model.settings import Settings

PASSWORDS = ("of-the-source", "of-the-target")


@pytest.fixture
def settings() -> Settings:
    """Settings with all that must not travel."""
    return load_settings(None, {
        "MSSQL_HOST": "db.example", "MSSQL_DATABASE": "Shop", "MSSQL_USER": "reader",
        "MSSQL_PASSWORD": PASSWORDS[0], "PGHOST": "target.example", "PGUSER": "writer", "PGPASSWORD": PASSWORDS[1],
        "PGDATABASE": "copy", "CHUNK_ROWS": "1234", "CLUSTER_TLS_CA": "/etc/here/ca.pem",
        "CLUSTER_TLS_CERT": "/etc/here/me.pem", "CLUSTER_TLS_KEY": "/etc/here/me-key.pem",
        "NOTIFY_URL": "https://hooks.example/of-the-notices", "ERROR_VALUES": "hide",
    })  # fmt: skip


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives this process settings of its own, as a worker's environment does."""
    for kept in (parcels._own_settings, parcels._own_driver):
        kept.cache_clear()
    monkeypatch.chdir(tmp_path)

    def give(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_no_path_of_this_machine_travels(settings: Settings, credentials: Credentials) -> None:
    packed = parcels.packed(settings, credentials)
    assert "/" in settings.source.driver.name, "the driver of this machine is named by its path"
    for path in (settings.source.driver.name, "/etc/here"):
        assert path.encode() not in packed, path


def test_nothing_to_log_in_with_travels_to_workers_that_have_their_own(settings: Settings) -> None:
    packed = parcels.packed(settings, "workers")
    for text in (*PASSWORDS, "reader", "writer", "of-the-notices"):
        assert text.encode() not in packed, text
    # Where the workers have none, it has to.
    assert all(text.encode() in parcels.packed(settings, "client") for text in PASSWORDS)


def test_settings_arrive_with_the_drivers_of_the_machine_they_arrive_at(
    settings: Settings, tmp_path: Path, own: Callable[..., None]
) -> None:
    packed = parcels.packed(settings, "client")
    driver = tmp_path / "libmsodbcsql-18.9.so"
    shutil.copy(settings.source.driver.name, driver)
    own(MSSQL_DRIVER=str(driver))
    arrived = parcels.unpacked(packed, "worker 7")
    assert arrived.source.driver.name == str(driver)
    assert str(driver) in arrived.source.connection_string
    assert "of-the-source" in arrived.source.connection_string
    assert arrived.target.parameters["application_name"] == "worker 7"
    assert arrived.chunk_rows == 1234 and arrived.secrets.hides_values
    assert arrived.secrets.hide("of-the-source") != "of-the-source"


@pytest.mark.parametrize(("name", "value"), [("PGHOSTADDR", "192.0.2.7"), ("PGPORT", "6432"), ("PGSERVICE", "other")])
def test_an_environment_that_leads_elsewhere_is_refused(
    settings: Settings, own: Callable[..., None], name: str, value: str
) -> None:
    packed = parcels.packed(settings, "client")
    own(**{name: value, "PGDATABASE": "another", "PGPASSFILE": "/home/me/.pgpass", "PGAPPNAME": "mine"})
    with pytest.raises(SettingsError, match=rf"^{name} in its environment would lead .* elsewhere"):
        parcels.unpacked(packed, "worker 7")


def test_a_workers_own_settings_take_the_place_of_what_did_not_travel(
    settings: Settings, own: Callable[..., None]
) -> None:
    own(
        MSSQL_HOST="near.example", MSSQL_DATABASE="Another", MSSQL_USER="me", MSSQL_PASSWORD="my-password",
        PGHOST="there", PGUSER="me", PGDATABASE="copy", CHUNK_ROWS="99",
    )  # fmt: skip
    arrived = parcels.unpacked(parcels.packed(settings, "workers"), "worker 7")
    assert "near.example" in arrived.source.connection_string
    # Which database is copied says the run, and how as well.
    assert "Shop" in arrived.source.connection_string and "Another" not in arrived.source.connection_string
    assert arrived.chunk_rows == 1234
    assert arrived.target.parameters["host"] == "there"
    assert arrived.target.parameters["application_name"] == "worker 7"
    assert "my-password" not in arrived.secrets.hide("it is my-password")


def test_a_worker_without_settings_says_which(settings: Settings, own: Callable[..., None]) -> None:
    own()
    with pytest.raises(SettingsError, match=r"CLUSTER_SETTINGS=workers, but .* incomplete: MSSQL_HOST"):
        parcels.unpacked(parcels.packed(settings, "workers"), "worker 7")

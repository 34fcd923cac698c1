"""Anything as it travels to a worker: without what is true only here.

A task holds settings, and settings hold passwords, the path of this machine's ODBC driver and other local paths. The
worker that opens the parcel puts its own driver in, and its own credentials where it has to bring them.
"""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import fields, replace
from functools import lru_cache, partial
from typing import Any

from db import LIBPQ_VARIABLES, find_driver, find_env_file, in_database, load_settings, read_given
from model.cluster import Credentials
from model.errors import SettingsError
from model.odbc_strings import odbc_value, parse_odbc
from model.settings import Driver, Secrets, Settings, Target
from model.visible import listed

#: libpq's parameters that name files: they are this machine's
_LOCAL_FILES = ("passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir", "service", "servicefile")
#: those that say where a password may lie, which was sent
_OF_NO_ACCOUNT = ("passfile",)
#: fields of settings that do not travel as they are
_CHANGED = ("source", "target", "secrets", "type_map", "cluster")


def packed(content: object, credentials: Credentials) -> bytes:
    """Anything picklable; settings in it as they travel."""
    buffer = io.BytesIO()
    _Packing(buffer, credentials).dump(content)
    return buffer.getvalue()


def unpacked(parcel: bytes, application: str) -> Any:
    """What is in it, with this machine's own settings; `application` is what PostgreSQL knows its connections by.

    Raises SettingsError where this machine lacks a driver, or credentials that it has to have.
    """
    return _Unpacking(io.BytesIO(parcel), application).load()


def forget_own() -> None:
    """Read this machine's own settings anew when they are needed next: a password may have changed since."""
    _own_settings.cache_clear()
    _own_driver.cache_clear()


def local_files(settings: Settings) -> list[str]:
    """Settings that name files of this machine, which a worker could not follow."""
    token = settings.source.token
    own = ["MSSQL_ACCESS_TOKEN_FILE"] if token is not None and token.file else []
    return own + [f"{name} of the target" for name in _LOCAL_FILES if settings.target.parameters.get(name)]


class _Packing(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, credentials: Credentials) -> None:
        super().__init__(buffer, protocol=pickle.HIGHEST_PROTOCOL)
        self._credentials = credentials

    def reducer_override(self, found: object) -> Any:
        """Settings travel in their own way, everything else as usual (Python, "pickle", reducer_override)."""
        if isinstance(found, Settings):
            return _arrived, (_travelling(found, self._credentials),)
        return NotImplemented


class _Unpacking(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, application: str) -> None:
        super().__init__(buffer)
        self._application = application

    def find_class(self, module: str, name: str) -> Any:
        """Settings are completed for whom the parcel is opened by."""
        if (module, name) == (__name__, _arrived.__name__):
            return partial(_arrived, application=self._application)
        return super().find_class(module, name)


def _travelling(settings: Settings, credentials: Credentials) -> dict[str, Any]:
    """What is sent of settings. For workers with credentials of their own only the source's database is named."""
    source, target, secrets = settings.source, settings.target, settings.secrets
    parts = parse_odbc(source.connection_string)
    database = parts.get("database") or parts.get("initial catalog") or ""
    driver = parts.pop("driver", "")
    if credentials == "workers":
        parts, target, secrets = {}, Target({}, target.label), Secrets(hides_values=secrets.hides_values)
    text = ";".join(f"{name}={odbc_value(value)}" for name, value in parts.items())
    return {
        "source": replace(source, connection_string=text, driver=Driver("", "")),
        # A name is one on every machine, a path is not.
        "driver": driver if source.driver.is_freetds and not {"/", "\\"} & set(driver) else "",
        "target": target,
        "secrets": secrets,
        "credentials": credentials,
        "database": database,
        "others": {one.name: getattr(settings, one.name) for one in fields(settings) if one.name not in _CHANGED},
    }


def _arrived(sent: dict[str, Any], application: str = "") -> Settings:
    """Settings for the connections of a machine that they were sent to."""
    source, target, secrets = sent["source"], sent["target"], sent["secrets"]
    if sent["credentials"] == "workers":
        own = _own_settings()
        source = in_database(own.source, sent["database"]) if sent["database"] else own.source
        target, secrets = own.target, replace(own.secrets, hides_values=secrets.hides_values)
    else:
        _refuse_own_ways(target)
        driver = _own_driver(sent["driver"])
        text = f"Driver={odbc_value(driver.name)};{source.connection_string}"
        source = replace(source, driver=driver, connection_string=text)
    target = replace(target, parameters={**target.parameters, "application_name": application})
    return Settings(source=source, target=target, secrets=secrets, **sent["others"])


def _refuse_own_ways(target: Target) -> None:
    """Raise SettingsError where this machine's environment would have libpq go another way than the run was told.

    What is no parameter libpq takes from there (PostgreSQL, "Environment Variables" of libpq).
    """
    given = target.parameters.keys() | _OF_NO_ACCOUNT
    own = [name for name, keyword in LIBPQ_VARIABLES.items() if keyword not in given and os.environ.get(name)]
    if own:
        raise SettingsError(
            f"{listed(own)} in its environment would lead its connections to the target elsewhere than the run's "
            f"settings. Unset it there; or let each worker have its own settings: CLUSTER_SETTINGS=workers"
        )


@lru_cache(maxsize=8)
def _own_driver(named: str) -> Driver:
    """The one of that name; of those that are here, that of this machine's MSSQL_DRIVER, where none is named."""
    return find_driver(named or read_given(find_env_file(None)).values.get("MSSQL_DRIVER", "").strip())


@lru_cache(maxsize=1)
def _own_settings() -> Settings:
    try:
        return load_settings(find_env_file(None))
    except SettingsError as error:
        raise SettingsError(f"CLUSTER_SETTINGS=workers, but a worker's own settings are incomplete: {error}") from None

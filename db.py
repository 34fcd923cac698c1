"""Settings, and connections to both sides.

Settings come from a `.env` file (python-dotenv) and the process environment, which wins. Every
mistake in them is a SettingsError that names the setting. Passwords stay inside the connection
strings made here: `Secrets.hide` removes them from any text that a person or a file will see.
"""

from __future__ import annotations

import difflib
import errno
import importlib.util
import locale
import os
import platform
import re
import selectors
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

import psycopg2
import psycopg2.extensions
from dotenv.parser import Binding, parse_stream

from model.cluster_settings import read_cluster
from model.connection_advice import NOBODY_LISTENS, source_advice
from model.errors import NoMoreConnectionsError, OdbcDiagnosis, SettingsError, UnreachableError, is_temporary_sqlstate
from model.logins import METHODS, AccessToken, Login, expiry_of, login_in, login_of, required
from model.odbc_strings import odbc_value, parse_odbc
from model.server_address import parse_address
from model.settings import SECRET_PARAMETERS, Driver, Secrets, Settings, Source, Target
from model.settings_slips import Given, refuse_near_names
from model.settings_table import SETTINGS, fields_of, read
from model.utf8 import as_utf8

#: what the tool calls itself on both servers, where nobody gives it another name
APPLICATION = "mssql-to-postgres"

#: libpq's environment variables and the keyword each stands for
#: (PostgreSQL documentation, "Environment Variables" of libpq).
LIBPQ_VARIABLES: Mapping[str, str] = {
    "PGHOST": "host",
    "PGHOSTADDR": "hostaddr",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGPASSFILE": "passfile",
    "PGREQUIREAUTH": "require_auth",
    "PGCHANNELBINDING": "channel_binding",
    "PGSERVICE": "service",
    "PGOPTIONS": "options",
    "PGAPPNAME": "application_name",
    "PGSSLMODE": "sslmode",
    "PGSSLCERT": "sslcert",
    "PGSSLKEY": "sslkey",
    "PGSSLROOTCERT": "sslrootcert",
    "PGSSLCRL": "sslcrl",
    "PGSSLSNI": "sslsni",
    "PGREQUIREPEER": "requirepeer",
    "PGGSSENCMODE": "gssencmode",
    "PGKRBSRVNAME": "krbsrvname",
    "PGCONNECT_TIMEOUT": "connect_timeout",
    "PGTARGETSESSIONATTRS": "target_session_attrs",
}

#: libpq's parameters (PostgreSQL, "Parameter Key Words"): a dead peer is noticed after about two minutes
KEEPALIVES = {"keepalives_idle": "60", "keepalives_interval": "15", "keepalives_count": "4"}
CONNECT_TIMEOUT_S = 15
#: PostgreSQL, "SSL Support", sslmode
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
UTF8_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "UTF-8")


# -- reading the settings --------------------------------------------------------------------


def find_env_file(named: Path | None) -> Path | None:
    """The settings file: the one named, else `.env` here, else `.env` beside the scripts.

    Raises SettingsError when a named file is not there.
    """
    if named is not None:
        if not named.is_file():
            raise SettingsError(f"--env-file {named}: there is no such file")
        return named
    for folder in (Path.cwd(), Path(__file__).resolve().parent):
        if (folder / ".env").is_file():
            return folder / ".env"
    return None


def readable_by_others(file: Path) -> bool:
    """Whether others than its owner may read a file, where the system has such rights."""
    try:
        return os.name == "posix" and bool(file.stat().st_mode & 0o044)
    except OSError:
        return False


def read_given(env_file: Path | None, environment: Mapping[str, str] | None = None) -> Given:
    """All that the file and the environment say, by name; the environment wins.

    Raises SettingsError, also for a line of the file that says nothing.
    """
    if environment is None:
        environment = {name: as_utf8(value) for name, value in os.environ.items()}
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for binding in _bindings(env_file) if env_file else ():
        line = binding.original.line + len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        if binding.error or (binding.key is not None and binding.value is None):
            quotes = " A quote that is opened must be closed in the same setting." if binding.error else ""
            # Not what stands there: it may be a part of a password.
            raise SettingsError(f"{env_file}, line {line}: this is no setting; it must look like NAME=value.{quotes}")
        if binding.key is not None and binding.value is not None:
            values[binding.key], lines[binding.key] = binding.value, line
    lines = {name: line for name, line in lines.items() if name not in environment}
    return Given({**values, **environment}, lines, env_file)


def _bindings(env_file: Path) -> list[Binding]:
    """The settings in a file; a `$` in a password is a `$`. Raises SettingsError."""
    try:
        with env_file.open(encoding="utf-8-sig") as file:
            return list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read: {error}") from None


def load_settings(env_file: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check all settings. Raises SettingsError.

    `environment` is the process environment (default `os.environ`); it wins over the file.
    """
    given = read_given(env_file, environment)
    refuse_near_names(given, {*SETTINGS, *LIBPQ_VARIABLES})
    values = given.values
    try:
        source, source_secrets = _source(values)
        target, target_secrets = _target(values)
        fields = {**fields_of(values), "cluster": read_cluster(values)}
    except SettingsError as error:
        raise given.told(error) from None
    secrets = (*source_secrets, *target_secrets, values.get("NOTIFY_URL", "").strip())
    hidden = Secrets(tuple(filter(None, secrets)), hides_values=read("ERROR_VALUES", values) == "hide")
    return Settings(source=source, target=target, secrets=hidden, **fields)


def _source(values: Mapping[str, str]) -> tuple[Source, Sequence[str]]:
    whole = values.get("MSSQL_CONNECTION_STRING", "").strip()
    if whole:
        return _source_of(whole, values)

    host = required(values, "MSSQL_HOST", "the name or address of the SQL Server").strip()
    database = required(values, "MSSQL_DATABASE", "the database to copy").strip()
    login = login_of(values, read("MSSQL_AUTHENTICATION", values))
    address = parse_address(host, values.get("MSSQL_PORT", "").strip() and str(read("MSSQL_PORT", values)))
    port = address.port or read("MSSQL_PORT", {})
    has_instance = bool(address.instance)
    host = f"{address.host}\\{address.instance}" if has_instance else address.host
    encrypt = read("MSSQL_ENCRYPT", values)
    trust = read("MSSQL_TRUST_SERVER_CERTIFICATE", values)
    is_listener = read("MSSQL_MULTI_SUBNET_FAILOVER", values) == "yes"
    if is_listener and has_instance:
        raise SettingsError(
            f"MSSQL_MULTI_SUBNET_FAILOVER does not go with an instance's name ({host}): write the listener's port "
            f"instead"
        )
    driver = find_driver(values.get("MSSQL_DRIVER", "").strip())
    _refuse_unfit(driver, login)
    # A host with an instance name is resolved by the server's browser service, which knows the port.
    encrypted = encrypt in ("yes", "strict", "mandatory")
    if METHODS[login.authentication].is_entra and not encrypted:
        raise SettingsError(
            f"MSSQL_ENCRYPT={encrypt} does not go with {login.authentication}: whoever reads a token on its way can "
            f"use it"
        )
    parts = {"Driver": driver.name}
    if driver.is_freetds:
        # It tries all addresses of a name at once by itself, and has no keyword for it.
        parts |= {"Server": host} if has_instance else {"Server": host, "Port": str(port)}
        parts |= {"TDS_Version": "7.4", "ClientCharset": "UTF-8", "Encryption": "require" if encrypted else "off"}
    else:
        parts |= {"Server": host if has_instance else f"{host},{port}"}
        parts |= {"Encrypt": encrypt, "TrustServerCertificate": trust}
        # Microsoft, "Connection resiliency in the ODBC driver": an idle connection that breaks would be opened again
        # without a word, also one that was given up.
        parts |= {"ConnectRetryCount": "0"}
        parts |= {"MultiSubnetFailover": "yes"} if is_listener else {}
    parts |= {"ApplicationIntent": "ReadOnly"} if read("MSSQL_APPLICATION_INTENT", values) == "readonly" else {}
    parts |= {"Database": database, **login.keywords, "APP": APPLICATION}
    text = ";".join(f"{name}={odbc_value(value)}" for name, value in parts.items())
    label = f"{host}/{database}" if has_instance else f"{host}:{port}/{database}"
    source = Source(
        text, driver, label, encrypted, None if has_instance else (host, port),
        verifies=encrypted and trust == "no" and not driver.is_freetds,
        authentication=login.authentication, token=login.token,
    )  # fmt: skip
    return source, login.secrets


def _source_of(whole: str, values: Mapping[str, str]) -> tuple[Source, Sequence[str]]:
    """The source that a whole connection string describes."""
    parts = parse_odbc(whole)
    login = login_in(parts, values)
    named, dsn = parts.get("driver", ""), parts.get("dsn", "")
    if named:
        driver = Driver(named, "from MSSQL_CONNECTION_STRING")
    elif dsn:
        driver = Driver(_odbc().dataSources().get(dsn, "unknown"), f"of the data source {dsn}")
    else:
        driver = find_driver(values.get("MSSQL_DRIVER", ""))
    _refuse_unfit(driver, login)
    text = whole if named or dsn else f"Driver={odbc_value(driver.name)};{whole}"
    # What a data source says of it would be overridden.
    if not dsn and "app" not in parts:
        text = f"{text.rstrip().rstrip(';')};APP={APPLICATION}"
    label = f"{parts.get('server', dsn or '?')}/{parts.get('database', '?')}"
    # Microsoft, "Using Microsoft Entra ID with the ODBC Driver": such a login is encrypted by older drivers as well.
    default = "yes" if driver.encrypts_by_default or METHODS[login.authentication].is_entra else "no"
    word = parts.get("encrypt", parts.get("encryption", default)).lower()
    encrypted = word not in ("no", "false", "optional", "off", "request")
    trusts = parts.get("trustservercertificate", "no").lower() in ("yes", "true", "1")
    source = Source(
        text, driver, label, encrypted, verifies=encrypted and not trusts and not driver.is_freetds,
        authentication=login.authentication, token=login.token,
    )  # fmt: skip
    return source, login.secrets


def _refuse_unfit(driver: Driver, login: Login) -> None:
    """Raise SettingsError where the login takes Microsoft's driver, and this is another one."""
    if driver.is_freetds and METHODS[login.authentication].is_entra:
        raise SettingsError(
            f"MSSQL_DRIVER: {driver.label} has no logins of Microsoft Entra ({login.authentication}), Microsoft's "
            f"driver has them. Run: pip install mssql-python-odbc, or install msodbcsql18 from your system's packages"
        )


def _target(values: Mapping[str, str]) -> tuple[Target, list[str]]:
    url = values.get("DATABASE_URL", "").strip()
    if url:
        try:
            parameters = dict(psycopg2.extensions.parse_dsn(url))
        except psycopg2.ProgrammingError:
            raise SettingsError(_NO_ADDRESS) from None
        # libpq ends the password at the first `@`, or at a `/` before it; the rest would be shown as host and database.
        rest = re.sub(r"^\w+://|\?.*", "", url, flags=re.DOTALL)
        is_torn = "://" in url and ("@" in rest.partition("@")[2] or ("/" in rest.partition("@")[0] and "@" in rest))
        if is_torn or not _are_ports(parameters.get("port", "")):
            raise SettingsError(_NO_ADDRESS)
    else:
        parameters = {keyword: values[name] for name, keyword in LIBPQ_VARIABLES.items() if values.get(name, "") != ""}
        if "dbname" not in parameters and "service" not in parameters:
            raise SettingsError(
                "PGDATABASE is missing: the PostgreSQL database that receives the tables. "
                "Put it into .env (see .env.example) or the environment, or give DATABASE_URL whole."
            )
    port = parameters.get("port", "5432")
    if not _are_ports(port):
        raise SettingsError(f"PGPORT must be a number, not {port!r}")
    mode = parameters.get("sslmode", "prefer")
    if mode not in SSL_MODES:
        near = difflib.get_close_matches(mode, SSL_MODES, n=1)
        meant = f". Is {near[0]} meant?" if near else ""
        raise SettingsError(f"PGSSLMODE must be one of {', '.join(SSL_MODES)}, not {mode!r}{meant}")
    # Windows has no sockets of its own, and libpq goes to this machine by TCP.
    host = parameters.get("host") or ("localhost" if sys.platform == "win32" else "local socket")
    parameters.setdefault("connect_timeout", str(CONNECT_TIMEOUT_S))
    # Building an index is silent for as long as it takes: only these tell a busy server from a dead one.
    for keyword, value in KEEPALIVES.items():
        parameters.setdefault(keyword, value)
    parameters.setdefault("application_name", APPLICATION)
    label = f"{host}:{port}/{parameters.get('dbname', '')}"
    return Target(parameters, label), [parameters.get(name, "") for name in SECRET_PARAMETERS]


_NO_ADDRESS = (
    "DATABASE_URL is not a PostgreSQL address; it looks like postgresql://user:password@host:5432/database. Special "
    "characters in the password are written as %XX: @ is %40, / is %2F, : is %3A, ? is %3F, # is %23, % is %25"
)


def _are_ports(text: str) -> bool:
    return all(re.fullmatch(r"[0-9]{1,5}", part.strip()) for part in text.split(",") if part)


# -- ODBC ------------------------------------------------------------------------------------


def find_driver(named: str) -> Driver:
    """The ODBC driver to use: the one named, else the newest of Microsoft's that is installed, else the
    one that the mssql-python-odbc wheel carries, else FreeTDS. Raises SettingsError when there is none.
    """
    if named:
        return Driver(named.strip("{}"), "MSSQL_DRIVER")
    installed = _odbc().drivers()
    microsoft = [name for name in installed if re.fullmatch(r"ODBC Driver \d+ for SQL Server", name)]
    if microsoft:
        newest = max(microsoft, key=lambda name: int(re.findall(r"\d+", name)[0]))
        return Driver(newest, "the newest installed")
    carried = wheel_driver()
    if carried is not None:
        return Driver(str(carried), "Microsoft's, from the mssql-python-odbc package")
    for name in installed:
        if "freetds" in name.lower():
            return Driver(name, "installed; Microsoft's driver was not found")
    if sys.platform == "win32":
        how = "Install Microsoft's ODBC Driver 18 for SQL Server: its installer (msodbcsql.msi) registers it."
    else:
        how = (
            "Run: pip install mssql-python-odbc (it carries Microsoft's driver 18), or install msodbcsql18 or tdsodbc "
            "from your system's packages."
        )
    raise SettingsError(f"MSSQL_DRIVER: no ODBC driver for SQL Server was found. {how}")


def wheel_driver() -> Path | None:
    """The driver file that the mssql-python-odbc package carries for this system, if it is installed.

    On Windows a driver must be registered to be found, so the packaged file cannot serve there.
    """
    found = importlib.util.find_spec("mssql_python_odbc")
    if found is None or found.origin is None or sys.platform == "win32":
        return None
    libs = Path(found.origin).parent / "libs"
    machine = {"aarch64": "arm64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    if sys.platform == "darwin":
        return next(iter(sorted(libs.glob(f"macos/{machine}/lib/libmsodbcsql*.dylib"))), None)
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    family = f"{release.get('ID', '')} {release.get('ID_LIKE', '')}"
    if "alpine" in family:
        order: tuple[str, ...] = ("alpine",)
    elif "suse" in family:
        order = ("suse", "debian_ubuntu", "rhel")
    elif re.search("rhel|fedora|centos", family):
        order = ("rhel", "debian_ubuntu", "suse")
    else:
        order = ("debian_ubuntu", "rhel", "suse")
    for flavour in order:
        for file in sorted(libs.glob(f"linux/{flavour}/{machine}/lib/libmsodbcsql*.so*")):
            return file
    return None


def _odbc() -> Any:
    choose_utf8_locale()
    try:
        import pyodbc  # noqa: PLC0415  (its import fails without the system's libodbc)
    except ImportError as error:
        if "libodbc" not in str(error):
            raise
        raise SettingsError(
            "the system's ODBC driver manager (libodbc.so.2) is missing. Install it with `make setup`, or by hand: "
            "apt-get install libodbc2 (Debian, Ubuntu) · dnf install unixODBC (Fedora, RHEL) · apk add unixodbc "
            "(Alpine) · brew install unixodbc (macOS)"
        ) from None
    return pyodbc


def choose_utf8_locale() -> None:
    """Let the process's character type be UTF-8, which under cron's C locale it is not.

    Microsoft's driver reads the text of a query in the locale's encoding: with the C locale a column
    named in Greek would be an "Invalid column name". The driver manager looks at the locale once,
    when it is first used, so this comes before. Python itself does not look at it after its start. On
    Windows texts cross as UTF-16.
    """
    if sys.platform == "win32" or locale.getlocale(locale.LC_CTYPE)[1] == "UTF-8":
        return
    for name in UTF8_LOCALES:
        try:
            locale.setlocale(locale.LC_CTYPE, name)
            return
        except locale.Error:
            continue


def connect_source(settings: Settings) -> Any:
    """A pyodbc connection in autocommit mode, for the catalog. Raises UnreachableError."""
    pyodbc = _odbc()
    pyodbc.pooling = False
    probe_port(settings.source)
    try:
        return pyodbc.connect(
            settings.source.connection_string, autocommit=True, timeout=login_timeout(settings.source),
            attrs_before=login_attributes(settings.source),
        )  # fmt: skip
    except pyodbc.Error as error:
        raise source_unreachable(settings, error) from None


def source_unreachable(settings: Settings, error: BaseException) -> UnreachableError:
    """The error for a person when the source refused a connection."""
    words = settings.secrets.hide(odbc_words(error))
    advice = source_advice(words, settings.source.authentication)
    ended = expiry_of(_token_text(settings.source.token)) if settings.source.token else None
    if ended is not None and ended < datetime.now(timezone.utc):
        advice = f"The access token expired at {ended:%Y-%m-%d %H:%M:%S} UTC. {advice}"
    told = f"SQL Server {settings.source.label} cannot be used: {words}\n{advice}"
    return UnreachableError(told, numbers=odbc_diagnosis(error).numbers)


def login_timeout(source: Source) -> int:
    """Seconds that a login may take: more where a directory is asked before, or the server sends readers elsewhere.

    Microsoft, "Troubleshoot transient connection errors" (30 seconds for Azure), "ODBC Driver on Linux and macOS
    Support for High Availability and Disaster Recovery" (read-only routing).
    """
    is_reader = parse_odbc(source.connection_string).get("applicationintent", "").lower() == "readonly"
    return CONNECT_TIMEOUT_S * (2 if METHODS[source.authentication].is_entra or is_reader else 1)


#: Microsoft's msodbcsql.h, SQL_COPT_SS_ACCESS_TOKEN
ACCESS_TOKEN = 1256


def login_attributes(source: Source) -> dict[int, bytes]:
    """The attributes that a connection takes before it is opened: the access token, as it is now.

    Raises UnreachableError where the file with it cannot be read, or is empty.
    """
    if source.token is None:
        return {}
    # Microsoft, "Authenticating with an access token": its size in bytes, then each of its bytes with a zero behind it.
    raw = _token_text(source.token).encode("utf-16-le")
    return {ACCESS_TOKEN: struct.pack("<I", len(raw)) + raw}


def _token_text(token: AccessToken) -> str:
    if token.file is None:
        return token.text
    try:
        text = token.file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnreachableError(f"{token.place} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text:
        raise UnreachableError(
            f"{token.place} is empty: whatever renews it must put the new one in its place at once (mv)"
        )
    return text


def in_database(source: Source, database: str) -> Source:
    """The same server and login, in another database."""
    parts = {name: value for name, value in parse_odbc(source.connection_string).items() if name != "initial catalog"}
    text = ";".join(f"{name}={odbc_value(value)}" for name, value in {**parts, "database": database}.items())
    return replace(source, connection_string=text)


def probe_port(source: Source) -> None:
    """Raise UnreachableError at once, in plain words, where nobody listens, or no connection must be opened.

    The drivers answer a closed port or an unknown name with "Login timeout expired", after their timeout.
    """
    if source.closed_because is not None:
        raise NoMoreConnectionsError(source.closed_because)
    if source.address is None:
        return
    try:
        _answering(*source.address).close()
    except OSError as error:
        raise UnreachableError(
            f"SQL Server {source.label} cannot be reached: {error.strerror or error}\n{NOBODY_LISTENS}"
        ) from None


def _answering(host: str, port: int) -> socket.socket:
    """A connection to the first that answers of all addresses that a name stands for, as of a listener in two subnets.

    All are tried at once, since of such a listener's addresses only one does. Raises OSError, the first one.
    """
    errors: list[OSError] = []
    with selectors.DefaultSelector() as waiting:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                one = socket.socket(family, kind, protocol)
            except OSError as error:
                errors.append(error)
                continue
            one.setblocking(False)
            code = one.connect_ex(address)
            if code in (0, *_UNDER_WAY):
                waiting.register(one, selectors.EVENT_WRITE)
            else:
                errors.append(OSError(code, os.strerror(code)))
                one.close()
        try:
            deadline = time.monotonic() + CONNECT_TIMEOUT_S
            while waiting.get_map() and (left := deadline - time.monotonic()) > 0:
                for ready, _ in waiting.select(left):
                    one = cast("socket.socket", ready.fileobj)
                    waiting.unregister(one)
                    code = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if not code:
                        return one
                    errors.append(OSError(code, os.strerror(code)))
                    one.close()
        finally:
            for other in list(waiting.get_map().values()):
                cast("socket.socket", other.fileobj).close()
    raise errors[0] if errors else TimeoutError(errno.ETIMEDOUT, "timed out")


#: what an attempt that does not wait answers where it goes on (Windows: WSAEWOULDBLOCK)
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, getattr(errno, "WSAEWOULDBLOCK", errno.EWOULDBLOCK))


def odbc_words(error: BaseException) -> str:
    """An ODBC error's text for a person: `[SQLSTATE] the server's words (native number)`.

    pyodbc and arrow-odbc wrap the same words differently; both come out alike.
    """
    arguments: tuple[object, ...] = getattr(error, "args", ())
    text = str(arguments[1] if len(arguments) > 1 else error)
    wrapped = re.search(r"State: (\w+), Native error: (-?\d+), Message: (.*)", text, re.DOTALL)
    if wrapped:
        text = f"[{wrapped[1]}] {wrapped[3]} ({wrapped[2]})"
    tags = r"\[(?:Microsoft|FreeTDS|unixODBC|SQL Server|Driver Manager|ODBC Driver \d+ for SQL Server)\]"
    text = re.sub(tags, "", text)
    return " ".join(re.sub(r"\s*\(SQL[A-Z][A-Za-z]+\)", "", text).split())


def odbc_diagnosis(error: BaseException) -> OdbcDiagnosis:
    """An ODBC error taken apart. Both drivers' packages hand over text alone, so that this is where it is read.

    It is a record or several, `[state] words (number); [state] words (number)`. What stands in parentheses within the
    words is a value, a pool's number or a process.
    """
    words = odbc_words(error)
    numbers = frozenset(int(number) for number in re.findall(r"\((\d+)\)(?=$|; \[[0-9A-Z]{5}\])", words))
    return OdbcDiagnosis(words, numbers, frozenset(re.findall(r"(?:^|\); )\[([0-9A-Z]{5})\]", words)))


def is_temporary_target_error(error: psycopg2.Error) -> bool:
    """Whether a PostgreSQL error may pass by itself (PostgreSQL, "PostgreSQL Error Codes").

    One without a code is a lost connection.
    """
    if error.pgcode is None:
        return isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.DatabaseError))
    return is_temporary_sqlstate(error.pgcode)


# -- PostgreSQL ------------------------------------------------------------------------------


#: what our SQL relies on, whatever ALTER ROLE, ALTER DATABASE, PGOPTIONS or the server's configuration say. What only
#: decides where and how rows are stored (tablespaces, access method, compression) is left as it is found; but see
#: `connect_to_load`.
SESSION_SETTINGS: Mapping[str, str] = {
    # How our SQL is read.
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "xmloption": "content",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    # A datetimeoffset constant without an offset means +00:00 on the source.
    "TimeZone": "UTC",
    # How values and the catalog's own words are written.
    "quote_all_identifiers": "off",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "extra_float_digits": "1",
    # What a statement sees and does. A policy that would hide rows is an error instead.
    "row_security": "off",
    "session_replication_role": "origin",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    # How long it may take: a copy, an index and a wait in between take their time.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
#: extensions whose types, operators and functions our SQL names without a schema
_NAMED_BARE = ("citext", "pgcrypto", "postgis", "vector")
# Settings that an older server does not know are left out, and those that are right already, since some take rights.
# With synchronous_commit off, a crash of the server would lose what the progress file calls completed. Operators are
# named in full, since the search path that is in force meanwhile may be anybody's.
SET_SESSION = f"""
WITH wanted (name, value) AS (
    VALUES {", ".join(f"('{name}', '{value}')" for name, value in SESSION_SETTINGS.items())}
    UNION ALL
    SELECT 'synchronous_commit', 'local'
    WHERE pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
    UNION ALL
    SELECT 'search_path', pg_catalog.concat_ws(', ', 'pg_catalog', (
        SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(n.nspname), ', ')
        FROM pg_catalog.pg_extension AS e
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
        WHERE e.extname OPERATOR(pg_catalog.=) ANY ('{{{",".join(_NAMED_BARE)}}}'::pg_catalog.name[])
        AND n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
    ), 'pg_temp'))
SELECT pg_catalog.set_config(name, value, false) FROM wanted
WHERE pg_catalog.current_setting(name, true) OPERATOR(pg_catalog.<>) value
"""
# Only servers from PostgreSQL 14 on know the setting, and only those that were built with lz4 this value.
PREFER_LZ4 = """
SELECT set_config(name, 'lz4', false) FROM pg_settings
WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals) AND setting <> 'lz4'
"""


def connect_target(settings: Settings) -> Any:
    """A psycopg2 connection, not in autocommit mode, with `SESSION_SETTINGS` and UTF-8. Raises UnreachableError.

    The search path is pg_catalog and the schemas of the extensions that our SQL uses, so that nobody's function or
    table stands in for what is meant.
    """
    return _connected(settings, (SET_SESSION,))


def connect_to_load(settings: Settings) -> Any:
    """The same for what loads rows: large values are compressed as TOAST_COMPRESSION says. Raises UnreachableError.

    Only what this session writes is, in columns without a COMPRESSION of their own (PostgreSQL, "CREATE TABLE").
    """
    return _connected(settings, (SET_SESSION, PREFER_LZ4) if settings.toast_compression == "lz4" else (SET_SESSION,))


def _connected(settings: Settings, statements: Sequence[str]) -> Any:
    connection: Any = None
    try:
        parameters = {**settings.target.parameters, "client_encoding": "UTF8"}
        connection = psycopg2.connect(psycopg2.extensions.make_dsn(**parameters))
        if connection.get_parameter_status("standard_conforming_strings") != "on":
            # psycopg2 decides once, when it connects, how it writes the backslashes of bound values.
            connection.close()
            options = f"{parameters.get('options', '')} -c standard_conforming_strings=on".strip()
            connection = psycopg2.connect(psycopg2.extensions.make_dsn(**{**parameters, "options": options}))
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.autocommit = False
        return connection
    except psycopg2.Error as error:
        if connection is not None:
            connection.close()
        words = settings.secrets.hide(target_words(error))
        raise UnreachableError(
            f"PostgreSQL {settings.target.label} cannot be used: {words}\n{target_advice(words)}"
        ) from None


def target_words(error: BaseException) -> str:
    """A PostgreSQL error's text for a person: the primary message, its detail and its SQLSTATE."""
    diagnostics = getattr(error, "diag", None)
    primary = getattr(diagnostics, "message_primary", None)
    if not primary:
        return " ".join(str(error).split())
    parts = [primary]
    for label, name in (("detail", "message_detail"), ("hint", "message_hint"), ("where", "context")):
        value = getattr(diagnostics, name, None)
        if value:
            parts.append(f"{label}: {value}")
    # A name in it may hold a newline, and what follows would look like a line of ours.
    told = re.sub(r"\s*\n\s*", " ", "; ".join(parts))
    return f"{told} (SQLSTATE {getattr(error, 'pgcode', None) or '?'})"


def target_advice(words: str) -> str:
    """What to do next about a failed connection to PostgreSQL."""
    if re.search(r'database ".*" does not exist', words):
        return "Create the database first (createdb), or check PGDATABASE."
    if re.search(r"too many (clients|connections)|remaining connection slots", words):
        return "Wait until others have ended, or raise max_connections or the CONNECTION LIMIT of the role or database."
    if "permission denied to set parameter" in words:
        return (
            "This tool relies on its default. Have someone with the right reset it: ALTER ROLE or DATABASE ... RESET."
        )
    if re.search(r"password|authentication|no pg_hba|role .* does not exist", words):
        return "Check PGUSER and PGPASSWORD, and the server's pg_hba.conf."
    return "Check PGHOST and PGPORT, that the server runs, and that no firewall blocks it."

"""How a login to SQL Server is proven: the ways that people have, and what each takes.

Sources: Microsoft, "Using Microsoft Entra ID with the ODBC Driver" (the keyword Authentication, which of UID and PWD go
with it, SQL_COPT_SS_ACCESS_TOKEN), "Using Integrated Authentication" (Trusted_Connection); FreeTDS User Guide,
"Connection attributes".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from model.errors import SettingsError

Authentication = Literal[
    "sql", "kerberos", "entra-password", "entra-service-principal", "entra-managed-identity", "entra-integrated",
    "entra-token",
]  # fmt: skip


@dataclass(frozen=True)
class AccessToken:
    """Where an access token of Microsoft Entra is: a file, which is read for each connection, or its own text."""

    file: Path | None
    text: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        """The setting that names it, for a person."""
        return f"MSSQL_ACCESS_TOKEN_FILE ({self.file})" if self.file else "MSSQL_ACCESS_TOKEN"


@dataclass(frozen=True)
class Method:
    """One way: its name for a person, the keywords of Microsoft's driver, what MSSQL_USER and MSSQL_PASSWORD are.

    `user` and `password` are empty where the way has none; `user_if_given` is what a user is that may be left out.
    """

    words: str
    keywords: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    user_if_given: str = ""
    password: str = ""

    @property
    def is_entra(self) -> bool:
        """Whether Microsoft's driver alone has it."""
        return self.words.startswith("Microsoft Entra")


METHODS: Mapping[Authentication, Method] = {
    "sql": Method("SQL login", user="the login that reads it", password="that login's password"),
    "kerberos": Method("Kerberos", {"Trusted_Connection": "yes"}),
    "entra-password": Method(
        "Microsoft Entra password",
        {"Authentication": "ActiveDirectoryPassword"},
        user="the account in the directory, like name@example.com",
        password="that account's password",
    ),
    "entra-service-principal": Method(
        "Microsoft Entra service principal",
        {"Authentication": "ActiveDirectoryServicePrincipal"},
        user="the application's client ID",
        password="its client secret (the value, not the secret's ID)",
    ),
    "entra-managed-identity": Method(
        "Microsoft Entra managed identity",
        {"Authentication": "ActiveDirectoryMsi"},
        user_if_given="the ID of a user-assigned identity",
    ),
    "entra-integrated": Method("Microsoft Entra integrated", {"Authentication": "ActiveDirectoryIntegrated"}),
    "entra-token": Method("Microsoft Entra access token"),
}
#: ODBC keywords, lower-cased, that say who logs in: none of them goes with an access token
LOGIN_KEYWORDS = ("uid", "user", "pwd", "password", "authentication", "trusted_connection")
#: those whose values are secrets
SECRET_KEYWORDS = ("pwd", "password", "keystoresecret")


@dataclass(frozen=True)
class Login:
    """A login as a connection takes it: keywords of the connection string, or an access token; and what is secret."""

    authentication: Authentication
    keywords: Mapping[str, str] = field(repr=False)
    token: AccessToken | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


def login_of(values: Mapping[str, str], authentication: Authentication) -> Login:
    """The login that the settings describe. Raises SettingsError."""
    method = METHODS[authentication]
    token = access_token(values)
    if authentication == "entra-token" and token is None:
        raise SettingsError(
            "MSSQL_ACCESS_TOKEN_FILE is missing: a file that holds the access token, which is read for each "
            "connection. MSSQL_ACCESS_TOKEN holds the token itself"
        )
    if token is not None and authentication != "entra-token":
        name = "MSSQL_ACCESS_TOKEN_FILE" if token.file else "MSSQL_ACCESS_TOKEN"
        raise SettingsError(
            f"{name} is given, and MSSQL_AUTHENTICATION is {authentication}: an access token is used with entra-token"
        )
    keywords = dict(method.keywords)
    user = values.get("MSSQL_USER", "").strip()
    if method.user:
        keywords["UID"] = required(values, "MSSQL_USER", method.user).strip()
    elif method.user_if_given and user:
        keywords["UID"] = user
    if method.password:
        keywords["PWD"] = required(values, "MSSQL_PASSWORD", method.password, blank_allowed=authentication == "sql")
    secrets = (keywords.get("PWD", ""), token.text if token else "")
    return Login(authentication, keywords, token, tuple(filter(None, secrets)))


def login_in(parts: Mapping[str, str], values: Mapping[str, str]) -> Login:
    """The login of a whole connection string, taken apart, with a token beside it where one is given.

    Raises SettingsError.
    """
    token = access_token(values)
    if token is not None:
        named = [keyword for keyword in LOGIN_KEYWORDS if parts.get(keyword)]
        if named:
            raise SettingsError(
                f"MSSQL_CONNECTION_STRING says {named[0].upper()}, and an access token is given: the driver takes one "
                f"of them"
            )
        return Login("entra-token", {}, token, (token.text,) if token.text else ())
    secrets = tuple(filter(None, (parts.get(keyword, "") for keyword in SECRET_KEYWORDS)))
    return Login(_authentication_in(parts), {}, None, secrets)


def _authentication_in(parts: Mapping[str, str]) -> Authentication:
    if parts.get("trusted_connection", "").lower() in ("yes", "true", "1"):
        return "kerberos"
    word = parts.get("authentication", "").lower()
    by_keyword = {
        method.keywords["Authentication"].lower(): name
        for name, method in METHODS.items()
        if "Authentication" in method.keywords
    }
    return by_keyword.get(word, "sql")


def access_token(values: Mapping[str, str]) -> AccessToken | None:
    """The access token that the settings name, if they name one. Raises SettingsError."""
    file, text = (values.get(name, "").strip() for name in ("MSSQL_ACCESS_TOKEN_FILE", "MSSQL_ACCESS_TOKEN"))
    if file and text:
        raise SettingsError("MSSQL_ACCESS_TOKEN and MSSQL_ACCESS_TOKEN_FILE are both given: leave one of them out")
    if file:
        return AccessToken(Path(file))
    return AccessToken(None, text) if text else None


def required(values: Mapping[str, str], name: str, what: str, blank_allowed: bool = False) -> str:
    """A setting as it was written; raises SettingsError where it is missing. `what` says what it is."""
    value = values.get(name)
    if value is None or (not blank_allowed and not value.strip()):
        raise SettingsError(f"{name} is missing: {what}. Put it into .env (see .env.example) or the environment.")
    return value


def expiry_of(token: str) -> datetime | None:
    """When an access token ends, as it says itself (RFC 7519, "JSON Web Token", exp); None where it does not say."""
    body = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return datetime.fromtimestamp(said["exp"], timezone.utc)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None

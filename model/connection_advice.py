"""What to do next about a connection to SQL Server that failed, by the words of its driver or of the server.

Sources: Microsoft, "Database Engine events and errors" (the numbers), "MSSQLSERVER_18456", "Using Integrated
Authentication", "ODBC Driver on Linux and macOS Support for High Availability and Disaster Recovery", "Microsoft Entra
authentication and authorization error codes"; MIT Kerberos, "kinit", "krb5.conf".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model.logins import METHODS, Authentication

#: where nobody listens, or nothing better is known
NOBODY_LISTENS = "Check MSSQL_HOST and MSSQL_PORT, that the server listens on TCP, and that no firewall blocks it."

_KERBEROS = (
    "Kerberos: `klist` shows the ticket of whoever runs this, `kinit name@REALM` gets one (from cron: `kinit -kt "
    "file.keytab name@REALM` before the run)."
)
#: what Kerberos says in the middle of a driver's words → what to do about it
_KERBEROS_CAUSES: Mapping[str, str] = {
    r"No (Kerberos )?credentials|credentials cache|No credentials were supplied": f"There is no ticket. {_KERBEROS}",
    r"expired": f"The ticket has expired. {_KERBEROS}",
    r"not found in Kerberos database|principal unknown|compose Service Principal": (
        "The directory has no service principal name (SPN) for this server: MSSQL_HOST must be the full name in DNS, "
        "not an alias or an address, and a domain administrator registers it: setspn -S "
        "MSSQLSvc/host.example.com:1433 account"
    ),
    r"Cannot (find|contact|resolve).*(KDC|realm)|default realm|Configuration file": (
        "This machine does not find the domain's Kerberos server: name the realm in /etc/krb5.conf (default_realm; "
        "dns_lookup_kdc = true, or kdc = host under [realms])."
    ),
    r"Clock skew": (
        "The clocks of this machine and of the domain differ by more than five minutes: set this one by NTP."
    ),
}

#: what Microsoft Entra's numbers mean that stand in its words
_ENTRA_CAUSES: Mapping[str, str] = {
    "7000215": "MSSQL_PASSWORD must be the client secret's value, not its ID.",
    "7000222": "The client secret has expired: make a new one for the application, and put it into MSSQL_PASSWORD.",
    "700016": "The directory knows no application with this client ID: check MSSQL_USER.",
    "50126": "Check MSSQL_USER and MSSQL_PASSWORD.",
    "50034": "The directory knows no such account: check MSSQL_USER (name@example.com).",
    "50076": "The account must prove itself a second time (MFA), which no program can: use a service principal.",
    "50079": "The account must prove itself a second time (MFA), which no program can: use a service principal.",
    "53003": "A Conditional Access policy of the directory forbids it: its administrator can except this account.",
}

_NO_TOKEN = (
    "Microsoft Entra gave no token. The driver asks it over HTTPS (login.microsoftonline.com; for a managed identity, "
    "this machine's own endpoint), by libcurl: check that these can be reached, and that libcurl is installed."
)
_ENTRA_USER = (
    "The directory let it in, the database does not know it: CREATE USER [name] FROM EXTERNAL PROVIDER in that "
    "database (name: the account's, the application's or the managed identity's), and name the database in "
    "MSSQL_DATABASE."
)


@dataclass(frozen=True)
class _Rule:
    """Words of a driver or server, as a pattern; what they call for, by how the login is proven."""

    words: str
    advice: Callable[[str, Authentication], str]


def source_advice(words: str, authentication: Authentication = "sql") -> str:
    """What to do next about a failed connection to SQL Server."""
    for rule in _RULES:
        if re.search(rule.words, words, re.IGNORECASE):
            return rule.advice(words, authentication)
    if METHODS[authentication].is_entra and not re.search(r"HYT00|08001|08S01", words):
        return f"Check what {METHODS[authentication].words} takes: docs/logins.md."
    return NOBODY_LISTENS


def _always(text: str) -> Callable[[str, Authentication], str]:
    return lambda _words, _authentication: text


def _of_kerberos(words: str, authentication: Authentication) -> str:  # noqa: ARG001
    for cause, advice in _KERBEROS_CAUSES.items():
        if re.search(cause, words, re.IGNORECASE):
            return advice
    return (
        f"{_KERBEROS} MSSQL_HOST must be the server's full name in DNS, for which the domain has a service principal "
        f"name (setspn -Q MSSQLSvc/host.example.com:1433 shows it)."
    )


def _of_entra(words: str, authentication: Authentication) -> str:  # noqa: ARG001
    found = re.search(r"AADSTS(\d+)", words)
    if found is None:
        return _NO_TOKEN
    cause = _ENTRA_CAUSES.get(found[1], "The words are Microsoft Entra's.")
    return f"{cause} Its number explained: https://login.microsoftonline.com/error?code={found[1]}"


def _of_a_refused_login(words: str, authentication: Authentication) -> str:
    method = METHODS[authentication]
    if authentication == "entra-token" and (re.search("expired", words) or "token-identified" not in words):
        return (
            "Check the access token: it lasts about an hour, and must be for SQL Server (--resource "
            "https://database.windows.net/). MSSQL_ACCESS_TOKEN_FILE is read again for each connection: keep it fresh."
        )
    if method.is_entra:
        return _ENTRA_USER
    if authentication == "kerberos":
        return (
            "The ticket is good, the server does not know the account: CREATE LOGIN [DOMAIN\\name] FROM WINDOWS, and "
            "a user in the database. `klist` shows whose ticket it is."
        )
    if re.search(r"user '[^']*\\", words):
        return (
            "A Windows account has no password for Microsoft's driver: MSSQL_AUTHENTICATION=kerberos logs in as "
            "whoever runs this."
        )
    return "Check MSSQL_USER and MSSQL_PASSWORD (in .env, put a password with special characters in single quotes)."


def _of_no_answer(words: str, authentication: Authentication) -> str:  # noqa: ARG001
    if METHODS[authentication].is_entra and authentication != "entra-token":
        unknown = (
            " It says no more where that refuses: MSSQL_USER must be the identity's ID, left out for the machine's own."
        )
        return f"{_NO_TOKEN}{unknown if authentication == 'entra-managed-identity' else ''}"
    return (
        f"{NOBODY_LISTENS} An instance's name is looked up by the server's SQL Server Browser (UDP port 1434): where "
        f"that does not answer, give MSSQL_PORT instead of the name. For the listener of an availability group, set "
        f"MSSQL_MULTI_SUBNET_FAILOVER=yes."
    )


_RULES = (
    # Whatever the driver says around it, the directory's own number is the cause.
    _Rule(r"AADSTS\d+", _of_entra),
    _Rule(r"SSPI|GSSAPI|Kerberos|krb5", _of_kerberos),
    _Rule(
        r"certificate|SSL Provider",
        _always(
            "This machine does not trust the server's certificate. Give the server a trusted one; or, on a network "
            "you trust, set MSSQL_TRUST_SERVER_CERTIFICATE=yes."
        ),
    ),
    _Rule(
        r"\(978\)|application intent is set to read only",
        _always("This replica is for readers only: set MSSQL_APPLICATION_INTENT=ReadOnly."),
    ),
    _Rule(
        r"\(979\)|does not allow read only connections",
        _always("This replica is not for readers: leave MSSQL_APPLICATION_INTENT out, or name a readable secondary."),
    ),
    _Rule(
        r"\(982\)|no online secondary replicas",
        _always(
            "No readable secondary is online that the listener could send a reader to: leave MSSQL_APPLICATION_INTENT "
            "out to read from the primary, or have the group's read-only routing looked at."
        ),
    ),
    _Rule(
        r"\(976\)|not accessible for queries",
        _always(
            "This replica does not let anybody read: name the availability group's listener in MSSQL_HOST, or a "
            "readable secondary."
        ),
    ),
    _Rule(
        r"\(40615\)|is not allowed to access the server",
        _always(
            "The firewall of Azure SQL does not know this machine's address: add a rule for the one that is named."
        ),
    ),
    _Rule(
        r"\(18452\)|untrusted domain",
        _always(
            "The server took no password, only Windows accounts of its domain: it may not allow SQL logins (mixed "
            "mode), or the account is of a domain that it does not trust. MSSQL_AUTHENTICATION=kerberos logs in by a "
            "ticket."
        ),
    ),
    _Rule(
        r"\(1848[78]\)|password .*(has expired|must be changed)",
        _always("The login's password has expired: set a new one on the server, then in MSSQL_PASSWORD."),
    ),
    _Rule(
        r"\(18486\)|currently locked out", _always("The login is locked: ALTER LOGIN name WITH PASSWORD = '…' UNLOCK.")
    ),
    _Rule(
        r"\b(4060|911)\b|Cannot open database",
        lambda _words, authentication: (
            f"Check MSSQL_DATABASE, and that the login is a user of that database."
            f"{f' {_ENTRA_USER}' if METHODS[authentication].is_entra else ''}"
        ),
    ),
    _Rule(r"\b18456\b|28000|Login failed", _of_a_refused_login),
    _Rule(
        r"Cannot use (Authentication|Access Token)",
        _always("The connection string names more than one way to log in: leave one of them (docs/logins.md)."),
    ),
    _Rule(r"federated authentication|Active Directory|libcurl|access token", _of_entra),
    _Rule(
        r"Can't open lib|IM002|IM003|IM004|file not found",
        _always("Check MSSQL_DRIVER: name an installed ODBC driver, or leave it out to let one be found."),
    ),
    _Rule(r"HYT00|Login timeout", _of_no_answer),
    _Rule(
        r"Adaptive Server|Unable to connect to data source",
        lambda _words, authentication: (
            f"FreeTDS says no more than that. {_of_kerberos('', authentication)}"
            if authentication == "kerberos"
            else f"FreeTDS says no more than that. {NOBODY_LISTENS}"
        ),
    ),
)

"""What a run is told by its settings, as data. What each may be and means stands in `model.settings_table`."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from model.changes import NulPolicy
from model.cluster import Cluster
from model.error_values import without_values
from model.logins import METHODS, AccessToken, Authentication
from model.rates import MaxRate
from model.refresh import Refresh, RefreshOf, SwitchScope

Naming = Literal["lower", "preserve"]
CollationPolicy = Literal["leave", "citext", "icu"]
ExpressionPolicy = Literal["usual", "strict"]
MissingKeys = Literal["error", "tell"]
ToastCompression = Literal["lz4", "server"]


@dataclass(frozen=True)
class Secrets:
    """The texts that must never be shown."""

    values: tuple[str, ...] = field(default=(), repr=False)
    #: whether values of rows that servers repeat in their words are hidden as well
    hides_values: bool = False

    def hide(self, text: str) -> str:
        """`text` with `***` wherever connection strings and addresses have a secret.

        A secret that cannot be taken for a word is replaced wherever it stands besides. A short or plain one is not:
        what is replaced in every word tells what it is.
        """
        if self.hides_values:
            text = without_values(text)
        text = _KEYWORD_SECRET.sub(r"\1=***", text)
        text = _TOKEN.sub("***", text)
        text = _ADDRESS_SECRET.sub(r"\1:***@", text)
        for value in sorted(filter(_is_distinctive, self.values), key=len, reverse=True):
            for form in {value, value.replace("}", "}}"), quote(value, safe="")}:
                text = text.replace(form, "***")
        return text


#: libpq's parameters whose values are secrets, and ODBC's: `password=x`, `PWD={x}`, `password='x'`
SECRET_PARAMETERS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_KEYWORD_SECRET = re.compile(
    rf"(?i)\b(PWD|KeystoreSecret|Access ?Token|{'|'.join(SECRET_PARAMETERS)})\s*=\s*"
    r"(\{(?:[^}]|\}\})*\}|'(?:[^'\\]|\\.)*'|[^;\s]+)"
)
#: an access token as Microsoft Entra writes it (RFC 7519, "JSON Web Token"): three parts, the first one's JSON object
#: begins with `{"`
_TOKEN = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_ADDRESS_SECRET = re.compile(r"(?i)\b(postgres(?:ql)?://[^\s/:@]*):\S*@")


def _is_distinctive(secret: str) -> bool:
    kinds = (str.islower, str.isupper, str.isdigit, lambda sign: not sign.isalnum())
    return len(secret) >= 8 and sum(any(map(is_kind, secret)) for is_kind in kinds) >= 2


@dataclass(frozen=True)
class Driver:
    """An ODBC driver: the name or path for `Driver=`, and why it was chosen, for the start banner."""

    name: str
    origin: str

    @property
    def is_freetds(self) -> bool:
        """FreeTDS spells some connection keywords its own way."""
        return bool(re.search(r"freetds|tdsodbc", self.name, re.IGNORECASE))

    @property
    def encrypts_by_default(self) -> bool:
        """Whether a connection is encrypted where nothing is said (Microsoft, "DSN and Connection String Keywords")."""
        older = r"ODBC Driver 1[0-7] |msodbcsql[-.]?1[0-7]|Native Client|^SQL Server$"
        return not self.is_freetds and re.search(older, self.name) is None

    @property
    def label(self) -> str:
        """For a person: the driver's name without the folders it lies in."""
        return f"{Path(self.name).name} ({self.origin})"


@dataclass(frozen=True)
class Source:
    """How to reach SQL Server. `connection_string` serves pyodbc and arrow-odbc alike."""

    connection_string: str = field(repr=False)
    driver: Driver
    label: str
    is_encrypted: bool = True
    #: host and port where they are known; None for a named instance or a whole connection string
    address: tuple[str, int] | None = None
    #: why no further connection must be opened, where none must
    closed_because: str | None = None
    #: whether the server's certificate is checked
    verifies: bool = False
    #: how the login is proven; the token that does, where one does
    authentication: Authentication = "sql"
    token: AccessToken | None = field(default=None, repr=False)

    @property
    def login(self) -> str:
        """For a person: how the login is proven, where that is not by a password of the server's own."""
        return "" if self.authentication == "sql" else f", login by {METHODS[self.authentication].words}"

    @property
    def security(self) -> str:
        """For a person: whether the connection is encrypted, and the server is who it says."""
        if not self.is_encrypted:
            return "not encrypted"
        return "encrypted, certificate verified" if self.verifies else "encrypted, certificate not verified"


#: sslmode → what it means
_SECURITY: Mapping[str, str] = {
    "disable": "not encrypted",
    "allow": "encrypted only if the server insists",
    "prefer": "encrypted if the server can, certificate not verified",
    "require": "encrypted, certificate not verified",
    "verify-ca": "encrypted, certificate verified, name not checked",
    "verify-full": "encrypted, certificate verified",
}


@dataclass(frozen=True)
class Target:
    """How to reach PostgreSQL: psycopg2's keyword arguments."""

    parameters: Mapping[str, str] = field(repr=False)
    label: str = ""

    @property
    def security(self) -> str:
        """For a person: whether the connection is encrypted, and the server is who it says.

        PostgreSQL, "SSL Support".
        """
        host, mode = self.parameters.get("host", ""), self.parameters.get("sslmode", "prefer")
        if host.startswith(("/", "@")) or (not host and sys.platform != "win32"):
            return "a socket of this machine"
        return _SECURITY.get(mode, mode)


@dataclass(frozen=True)
class Settings:
    """Everything a run is told by `.env` and the environment. Picklable."""

    source: Source
    target: Target
    secrets: Secrets
    naming: Naming = "lower"
    target_schema: str = "public"
    #: source schema (as the source spells it, lower-cased) → target schema
    schema_map: Mapping[str, str] = field(default_factory=dict)
    collation_policy: CollationPolicy = "leave"
    expressions: ExpressionPolicy = "usual"
    #: names of extended properties that become comments
    comment_properties: tuple[str, ...] = ("MS_Description", "Description")
    nul_policy: NulPolicy = "strip"
    #: rows an Arrow batch
    batch_size: int = 20_000
    #: rows a committed chunk; a table of fewer is one chunk
    chunk_rows: int = 1_000_000
    #: tables and chunks copied at the same time
    workers: int = 1
    #: attempts at a chunk, the first included, and seconds before the second; the wait doubles each time
    retry_attempts: int = 5
    retry_seconds: float = 1.0
    #: seconds without a row after which a chunk is given up
    stall_timeout: int = 600
    #: how fast a load may be at most, over all workers
    max_rate: MaxRate | None = None
    #: rejected rows of a table beyond which it fails (--on-error reject); 0 for no limit
    reject_limit: int = 10_000
    #: seconds for which a step that needs a strong lock on a table waits for others, in short attempts
    lock_wait: int = 300
    #: how tables are refreshed; some of them otherwise
    refresh: Refresh = "truncate"
    refresh_tables: RefreshOf = ()
    #: what becomes visible at once, and for how many seconds that waits for others
    switch: SwitchScope = "together"
    switch_timeout: int = 300
    #: hours after which --nightly begins a new session rather than continue one that was not finished
    session_max_age: int = 20
    #: whether keys that the source has and a target's table lacks are an error, or only told
    missing_keys: MissingKeys = "error"
    #: roles beside the one that runs to which the target's schema `replication` may belong
    trusted_roles: tuple[str, ...] = ()
    #: PostgreSQL's memory for building each index that a load suspended
    maintenance_work_mem: str = "256MB"
    #: how a load's large values are compressed: by lz4 where PostgreSQL has it, or by the server's own setting
    toast_compression: ToastCompression = "lz4"
    #: the only tables that runs are about, as globs, where not all; those that they never are about
    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    #: lines that `runs.jsonl` keeps at least, and days; 0 for no limit
    history_runs: int = 200
    history_days: int = 400
    #: the machines that copy; this one alone where it has no address
    cluster: Cluster = field(default_factory=Cluster)
    #: the file that says how types cross, where not as usual
    type_map: Path | None = None

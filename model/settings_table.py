"""Every setting once: its name, its default, what it may be, and the words for it.

`.env.example` is made of this table: `python -m model.settings_table > .env.example`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from model.cluster import CREDENTIALS
from model.logins import METHODS
from model.refresh import REFRESHES, SWITCH_SCOPES
from model.setting_kinds import Choice, File, Kind, Names, Rate, RefreshPairs, SchemaPairs, Text, Whole, default_workers

#: characters of a line of comment, and of a title, in `.env.example`
WIDTH, RULE_WIDTH = 112, 91


# -- the table -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """One setting: `shown` is what `.env.example` shows for it, `words` the comment above that.

    `is_given` where the example gives it a value rather than showing it as a comment. Those of the connections are read
    in `db`, and have no `field` of `Settings` of their own. `default` says what holds where it is not given, if that
    depends on the machine.
    """

    name: str
    shown: str
    words: str = ""
    kind: Kind = field(default_factory=Text)
    field: str = ""
    is_given: bool = False
    default: str = ""


@dataclass(frozen=True)
class Group:
    """Settings about one thing; blank lines stand between its `parts`."""

    title: str
    parts: tuple[tuple[Setting, ...], ...]


HEAD = """\
# Copy to .env and fill in. The process environment wins over this file.
# Put values with # or blanks into single quotes: MSSQL_PASSWORD='a b#c'. Nothing is interpolated.
"""

#: in the order in which `.env.example` has them
TABLE: tuple[Group, ...] = (
    Group(
        "Source: SQL Server",
        (
            (
                Setting(
                    "MSSQL_HOST",
                    "sql.example.com",
                    "Name or address; HOST\\INSTANCE for a named instance (then omit MSSQL_PORT).",
                    is_given=True,
                ),
                Setting(
                    "MSSQL_PORT",
                    "1433",
                    kind=Whole(1_433, 1, 65_535),
                    is_given=True,
                ),
                Setting(
                    "MSSQL_DATABASE",
                    "shop",
                    is_given=True,
                ),
                Setting(
                    "MSSQL_USER",
                    "replicator",
                    "A login with the right to read: db_datareader, and VIEW DEFINITION for the structure.",
                    is_given=True,
                ),
                Setting(
                    "MSSQL_PASSWORD",
                    "'...'",
                    is_given=True,
                ),
            ),
            (
                Setting(
                    "MSSQL_AUTHENTICATION",
                    "kerberos",
                    "How the login is proven: sql (default) by its password, kerberos by a Windows account's ticket, "
                    "the others by Microsoft Entra. docs/logins.md says what each takes.",
                    Choice(tuple(METHODS)),
                ),
                Setting(
                    "MSSQL_ACCESS_TOKEN_FILE",
                    "/run/mssql/token",
                    "For entra-token: a file with the access token, which is read again for each connection.",
                    File(),
                ),
                Setting(
                    "MSSQL_ACCESS_TOKEN",
                    "'...'",
                    "Or the token itself, for runs that end before it does (about an hour).",
                ),
            ),
            (
                Setting(
                    "MSSQL_APPLICATION_INTENT",
                    "ReadOnly",
                    "ReadOnly asks an availability group for a readable secondary, ReadWrite (default) for the "
                    "primary.",
                    Choice(("readwrite", "readonly")),
                ),
                Setting(
                    "MSSQL_MULTI_SUBNET_FAILOVER",
                    "yes",
                    "yes: MSSQL_HOST is the listener of an availability group or a failover cluster, all addresses of "
                    "which are tried at once.",
                    Choice(("no", "yes")),
                ),
            ),
            (
                Setting(
                    "MSSQL_DRIVER",
                    "ODBC Driver 18 for SQL Server",
                    'ODBC driver by name or path. Default: the newest "ODBC Driver NN for SQL Server" '
                    "installed, else the one in the mssql-python-odbc package, else FreeTDS.",
                ),
            ),
            (
                Setting(
                    "MSSQL_ENCRYPT",
                    "yes",
                    "TLS: yes (default), no, strict, mandatory, optional.",
                    Choice(("yes", "no", "strict", "mandatory", "optional")),
                ),
                Setting(
                    "MSSQL_TRUST_SERVER_CERTIFICATE",
                    "no",
                    "yes accepts any certificate: for networks you trust, and for servers with a self-signed one.",
                    Choice(("no", "yes")),
                ),
            ),
            (
                Setting(
                    "MSSQL_CONNECTION_STRING",
                    "Driver={ODBC Driver 18 for SQL Server};Server=sql.example.com,1433;Database=shop;UID=...;PWD=...",
                    "Or the whole ODBC connection string, instead of all of the above.",
                ),
            ),
        ),
    ),
    Group(
        "Target: PostgreSQL, by libpq's own variables",
        (
            (
                Setting(
                    "PGHOST",
                    "localhost",
                    is_given=True,
                ),
                Setting(
                    "PGPORT",
                    "5432",
                    is_given=True,
                ),
                Setting(
                    "PGDATABASE",
                    "shop",
                    is_given=True,
                ),
                Setting(
                    "PGUSER",
                    "postgres",
                    is_given=True,
                ),
                Setting(
                    "PGPASSWORD",
                    "'...'",
                    is_given=True,
                ),
                Setting(
                    "PGSSLMODE",
                    "require",
                ),
            ),
            (
                Setting(
                    "DATABASE_URL",
                    "postgresql://postgres:secret@localhost:5432/shop",
                    "Or one address, instead of all of the above; write special characters as %XX.",
                ),
            ),
        ),
    ),
    Group(
        "Names",
        (
            (
                Setting(
                    "TARGET_SCHEMA",
                    "public",
                    "The schema that receives the tables of dbo. Other schemas keep their name, in lower case.",
                    Text("public"),
                    field="target_schema",
                ),
                Setting(
                    "SCHEMA_MAP",
                    "dbo:shop,Sales:sales_eu",
                    "Other pairs, source:target.",
                    SchemaPairs(),
                    field="schema_map",
                ),
                Setting(
                    "NAMING",
                    "lower",
                    "lower (default) writes table and column names in lower case; preserve keeps them, quoted.",
                    Choice(("lower", "preserve")),
                    field="naming",
                ),
            ),
            (
                Setting(
                    "COLLATION_POLICY",
                    "leave",
                    "How case- and accent-insensitive collations are carried over: leave (exact "
                    "comparison, reported), citext, or icu (nondeterministic collations; the target must "
                    "be built with ICU).",
                    Choice(("leave", "citext", "icu")),
                    field="collation_policy",
                ),
                Setting(
                    "EXPRESSIONS",
                    "usual",
                    "Defaults, checks, computed columns and filters that mean the same but for values that hardly any "
                    "database holds: usual (default) translates them, and the report says what was assumed; strict "
                    "leaves them out. docs/schema.md lists what is assumed.",
                    Choice(("usual", "strict")),
                    field="expressions",
                ),
                Setting(
                    "COMMENT_PROPERTIES",
                    "MS_Description,Description",
                    "Extended properties that become comments, without regard to case. Where an object has several, "
                    "its comment has each different text once, on lines of its own, in this order.",
                    Names(("MS_Description", "Description")),
                    field="comment_properties",
                ),
            ),
        ),
    ),
    Group(
        "Types",
        (
            (
                Setting(
                    "TYPE_MAP",
                    "types.json",
                    "A JSON file that gives types or single columns another PostgreSQL type; see docs/types.md.",
                    File(),
                    field="type_map",
                ),
            ),
        ),
    ),
    Group(
        "Tables",
        (
            (
                Setting(
                    "TABLES",
                    "Orders,Sales.*",
                    "Runs are about these tables only, as --tables has them; that flag wins over it.",
                    Names(),
                    field="tables",
                ),
                Setting(
                    "EXCLUDE",
                    "AuditLog,*_tmp",
                    "Runs leave these tables out, whatever --tables says; --exclude leaves out more.",
                    Names(),
                    field="exclude",
                ),
            ),
        ),
    ),
    Group(
        "Refreshing tables that others read",
        (
            (
                Setting(
                    "REFRESH",
                    "truncate",
                    "How tables get their new rows (docs/refresh.md): truncate (default) empties and fills them, merge "
                    "applies the differences, swap replaces them by a twin; --refresh overrides it.",
                    Choice(REFRESHES),
                    field="refresh",
                ),
                Setting(
                    "REFRESH_TABLES",
                    "AuditLog:truncate,Sales.*:swap",
                    "Other ways for single tables; the first pattern that matches counts, over --refresh as well.",
                    RefreshPairs(),
                    field="refresh_tables",
                ),
                Setting(
                    "SWITCH",
                    "together",
                    "When merge and swap show the new rows: together (default), all tables of a run in one transaction "
                    "at its end; table, each with those that foreign keys tie it to, as soon as they are loaded. "
                    "--switch overrides it.",
                    Choice(SWITCH_SCOPES),
                    field="switch",
                ),
                Setting(
                    "SWITCH_TIMEOUT",
                    "300",
                    "Seconds for which that step waits for others who hold the tables, in attempts that keep nobody "
                    "waiting for more than a moment.",
                    Whole(300, 1, 86_400),
                    field="switch_timeout",
                ),
            ),
        ),
    ),
    Group(
        "Copying",
        (
            (
                Setting(
                    "BATCH_SIZE",
                    "20000",
                    "At most so many rows per Arrow batch; wide rows make smaller batches, so that memory "
                    "stays bounded.",
                    Whole(20_000, 1, 10_000_000),
                    field="batch_size",
                ),
                Setting(
                    "CHUNK_ROWS",
                    "1000000",
                    "Rows per committed chunk; a table with fewer rows, or without a key, is one chunk.",
                    Whole(1_000_000, 1, 1_000_000_000),
                    field="chunk_rows",
                ),
                Setting(
                    "WORKERS",
                    "4",
                    "Tables and chunks copied at the same time (default: one per core, at most four); "
                    "--workers overrides it.",
                    Whole(default_workers(), 1, 64),
                    field="workers",
                    default="one per core, at most four",
                ),
                Setting(
                    "MAX_RATE",
                    "50000rows",
                    "A load moves at most so many rows (50000rows) or so much (20MB) a second, all workers together; "
                    "--max-rate overrides it. Default: as fast as it can.",
                    Rate(),
                    field="max_rate",
                ),
                Setting(
                    "NUL_POLICY",
                    "strip",
                    "The character U+0000, which PostgreSQL's text cannot hold: strip (default), replace "
                    "(with U+FFFD), error. Changed values are counted by table and column.",
                    Choice(("strip", "replace", "error")),
                    field="nul_policy",
                ),
                Setting(
                    "ERROR_VALUES",
                    "show",
                    "Whether values of rows that the servers repeat in their errors are shown (default), or hidden: in "
                    "what is said, logs, the progress file, reports, rejects/, notifications and --verify.",
                    Choice(("show", "hide")),
                ),
                Setting(
                    "REJECT_LIMIT",
                    "10000",
                    "With --on-error reject: a table with more rejected rows than this fails, because the "
                    "cause is then not in single rows. 0: any number.",
                    Whole(10_000, 0, 1_000_000_000),
                    field="reject_limit",
                ),
                Setting(
                    "RETRY_ATTEMPTS",
                    "5",
                    "Attempts at a chunk when a connection breaks or there is a deadlock.",
                    Whole(5, 1, 100),
                    field="retry_attempts",
                ),
                Setting(
                    "RETRY_SECONDS",
                    "1",
                    "Seconds before the second of them; the wait doubles each time.",
                    Whole(1, 0, 3_600),
                    field="retry_seconds",
                ),
                Setting(
                    "STALL_TIMEOUT",
                    "600",
                    "Seconds without a row after which a chunk is retried with another connection.",
                    Whole(600, 1, 86_400),
                    field="stall_timeout",
                ),
                Setting(
                    "LOCK_WAIT",
                    "300",
                    "Seconds that a step waits for a strong lock on a table, in short attempts so that "
                    "nobody queues behind it.",
                    Whole(300, 1, 86_400),
                    field="lock_wait",
                ),
                Setting(
                    "SESSION_MAX_AGE",
                    "20",
                    "With --nightly: hours after which a session that was not finished is not continued, but "
                    "followed by a new one, so that every night copies all tables. 0: never continue.",
                    Whole(20, 0, 8_760),
                    field="session_max_age",
                ),
                Setting(
                    "MISSING_KEYS",
                    "error",
                    "If the target's table lacks a key that the source has, and there is no record of "
                    "why: error (default) makes the exit code 1, tell only says so.",
                    Choice(("error", "tell")),
                    field="missing_keys",
                ),
                Setting(
                    "TRUSTED_ROLES",
                    "dba",
                    "Roles that may own the target's schema `replication`, besides the one that runs and superusers.",
                    Names(),
                    field="trusted_roles",
                ),
                Setting(
                    "MAINTENANCE_WORK_MEM",
                    "256MB",
                    "PostgreSQL's memory for building each index that was suspended for a load.",
                    Text("256MB"),
                    field="maintenance_work_mem",
                ),
                Setting(
                    "TOAST_COMPRESSION",
                    "lz4",
                    "How PostgreSQL compresses large values that a load brings: lz4 (default; where the server has it, "
                    "from PostgreSQL 14 on; several times as fast as pglz) or server (by default_toast_compression). "
                    "Columns with a COMPRESSION of their own keep it.",
                    Choice(("lz4", "server")),
                    field="toast_compression",
                ),
            ),
        ),
    ),
    Group(
        "Several machines: a Dask cluster (docs/cluster.md)",
        (
            (
                Setting(
                    "CLUSTER",
                    "tls://scheduler.example.com:8786",
                    "The scheduler's address; --cluster overrides it. Default: this machine alone.",
                ),
                Setting(
                    "CLUSTER_TLS_CA",
                    "/etc/cluster/ca.pem",
                    "For tls:// addresses: the authority that both ends trust.",
                    File(),
                ),
                Setting("CLUSTER_TLS_CERT", "/etc/cluster/node.pem", "This run's certificate.", File()),
                Setting("CLUSTER_TLS_KEY", "/etc/cluster/node-key.pem", "Its key, without a password.", File()),
                Setting(
                    "CLUSTER_SETTINGS",
                    "client",
                    "Whose address, user and password the workers use for both servers: this run's (client, default; "
                    "they travel, so over tls:// only) or each worker's own, from its .env or environment (workers).",
                    Choice(CREDENTIALS),
                ),
                Setting(
                    "CLUSTER_LOST_AFTER",
                    "60",
                    "A worker that says nothing for so many seconds is taken for lost; others do its chunks.",
                    Whole(60, 5, 3_600),
                ),
                Setting(
                    "CLUSTER_CODE",
                    "dist/mssql_to_postgres-0.1.0-py3-none-any.whl",
                    "A wheel of this tool (`make wheel`) for workers that have none of their own.",
                    File(),
                ),
            ),
            (
                Setting(
                    "MAX_SOURCE_CONNECTIONS",
                    "0",
                    "At most so many connections of all workers together to SQL Server; 0 (default): as many as "
                    "the cluster has threads.",
                    Whole(0, 0, 10_000),
                ),
                Setting("MAX_TARGET_CONNECTIONS", "0", "The same to PostgreSQL.", Whole(0, 0, 10_000)),
            ),
        ),
    ),
    Group(
        "What runs leave behind",
        (
            (
                Setting(
                    "HISTORY_RUNS",
                    "200",
                    "runs.jsonl has a line about each run. Once it holds so many, it is set aside under a name "
                    "with the date, and the one set aside before is removed. 0: no limit.",
                    Whole(200, 0, 1_000_000),
                    field="history_runs",
                ),
                Setting(
                    "HISTORY_DAYS",
                    "400",
                    "The same by age: a line stays for so many days, and for twice as many at most. 0: no limit.",
                    Whole(400, 0, 36_500),
                    field="history_days",
                ),
            ),
        ),
    ),
    Group(
        "Telling others",
        (
            (
                Setting(
                    "NOTIFY_URL",
                    "https://hooks.example.com/...",
                    "Where a summary of each run is posted (docs/notifications.md). It is a secret, and never shown.",
                ),
                Setting(
                    "NOTIFY_ON",
                    "failure",
                    "Which runs are told of: failure (default), change (another verdict than the last run of the "
                    "script, or other tables that failed or are gone), always.",
                    Choice(("failure", "change", "always")),
                ),
                Setting(
                    "NOTIFY_FORMAT",
                    "auto",
                    "The shape: json, slack (a text, which most chats take), or auto (default), by the address.",
                    Choice(("auto", "json", "slack")),
                ),
            ),
            (
                Setting(
                    "METRICS_FILE",
                    "/var/lib/node_exporter/mssql_to_postgres.prom",
                    "Where the last run is written as metrics for node_exporter's textfile collector.",
                    File(),
                ),
            ),
        ),
    ),
)

SETTINGS: Mapping[str, Setting] = {setting.name: setting for group in TABLE for part in group.parts for setting in part}


def read(name: str, values: Mapping[str, str]) -> Any:
    """The value of a setting among what somebody wrote. Raises SettingsError."""
    return SETTINGS[name].kind.read(name, values.get(name, ""))


def fields_of(values: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `Settings` that stand in the table, by their names. Raises SettingsError."""
    return {setting.field: read(setting.name, values) for setting in SETTINGS.values() if setting.field}


def example() -> str:
    """The text of `.env.example`."""
    lines = HEAD.splitlines()
    for group in TABLE:
        lines += ["", f"# ---- {group.title} ".ljust(RULE_WIDTH, "-")]
        for number, part in enumerate(group.parts):
            lines += [""] if number else []
            for setting in part:
                lines += textwrap.wrap(setting.words, WIDTH, initial_indent="# ", subsequent_indent="# ")
                lines.append(f"{'' if setting.is_given else '#'}{setting.name}={setting.shown}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(example(), end="")

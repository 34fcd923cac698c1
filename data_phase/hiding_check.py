"""What the source would hide from a run without an error, looked for before the first row is read or compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import arrow_odbc

from data_phase.connection_pair import ConnectionPair
from data_phase.options import ALLOWED, Allowed
from db import odbc_words
from model.catalog import Hiding, Table
from model.visible import listed
from mssql.catalog_queries import ArrowConnection, Catalog
from mssql.hiding import count_seen, encrypted, read_hiding
from run.context import Run
from run.visibility import GRANT, unknowns


def hidden(
    this_run: Run, tables: Sequence[Table], pair: ConnectionPair, allowed: Collection[Allowed]
) -> dict[str, str]:
    """Why tables must not be copied or compared, by their keys: what would be read is not what they hold.

    Told, as is what is gone on with knowingly, and what this login cannot know.
    """
    catalog = Catalog(ArrowConnection(pair.source))
    found = read_hiding(catalog, tables)
    sealed = encrypted(tables, this_run.settings.source)
    reasons = {kind: _reasons(kind, found, sealed) for kind in ALLOWED}
    refused: dict[str, list[str]] = {}
    for kind, words in reasons.items():
        if words and kind in allowed:
            said = "\n".join(f"   {key}: {reason}" for key, reason in words.items())
            this_run.display.say(f"⚠️ Gone on with, by {ALLOWED[kind]}:\n{said}")
            continue
        for key, reason in words.items():
            refused.setdefault(key, []).append(f"{reason}. {_mends(kind)}, or {ALLOWED[kind]}")
    if refused:
        said = "\n".join(f"   {key}: {'; '.join(words)}" for key, words in refused.items())
        this_run.display.say(f"⚠️ Of {len(refused)} of {len(tables)} tables the source hides something:\n{said}")
    unknown = unknowns(found, this_run.settings.source.label)
    for sentence in unknown:
        this_run.display.say(f"⚠️ {sentence}")
    if unknown:
        _count_what_is_seen(this_run, catalog, tables)
    return {key: "; ".join(words) for key, words in refused.items()}


def _reasons(kind: Allowed, found: Hiding, sealed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What is wrong with tables, in words, by their keys."""
    if kind == "masked":
        return {
            key: f"the login lacks UNMASK on {listed(columns)}, so masks would be read as if they were the values"
            for key, columns in found.masked.items()
        }
    if kind == "hidden rows":
        return {
            key: f"the security polic{'ies' if len(names) > 1 else 'y'} {listed(names)} may hide rows from the login"
            for key, names in found.policies.items()
        }
    return {
        key: f"{listed(columns)} {'are' if len(columns) > 1 else 'is'} Always Encrypted, so ciphertext would be read"
        for key, columns in sealed.items()
    }


def _mends(kind: Allowed) -> str:
    return {
        "masked": "GRANT UNMASK to the login's user, --exclude the table",
        "hidden rows": "Copy with a login that the policy lets see all rows, --exclude the table",
        "encrypted": "Set ColumnEncryption=Enabled in MSSQL_CONNECTION_STRING, --exclude the table",
    }[kind]


def _count_what_is_seen(this_run: Run, catalog: Catalog, tables: Sequence[Table]) -> None:
    say = this_run.display.say
    say("🔍 Counting the rows that the login sees, since nothing else tells of hidden ones...")
    not_counted: list[str] = []
    for table in tables:
        try:
            seen = count_seen(catalog, table)
        except arrow_odbc.Error as error:
            # One table that cannot be counted says nothing of the others.
            not_counted.append(f"   {table.full_name}: {odbc_words(error)}")
            continue
        if seen is not None:
            say(
                f"⚠️ {table.full_name}: the login sees {seen.rows:,} rows, the catalog counts about "
                f"{seen.known:,}. Are some hidden by a security policy? {GRANT}, and it will be known."
            )
    if not_counted:
        said = "\n".join(not_counted)
        say(f"⚠️ Of {len(not_counted)} of {len(tables)} tables the rows could not be counted:\n{said}")

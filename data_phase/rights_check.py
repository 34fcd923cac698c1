"""What either login lacks for a load: told once for all tables, before any row is touched."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg2

from data_phase.connection_pair import ConnectionPair
from data_phase.loading import LARGE_TABLE_ROWS
from db import target_words
from model.catalog import Table
from model.errors import CatalogError
from mssql.catalog_queries import ArrowConnection, Catalog
from mssql.rights import unreadable
from postgres.introspection import TargetTable
from postgres.names import TargetName, target_name
from postgres.rights import TableRights, read_table_rights
from run.context import Run
from run.plan import Plan


def lacking_rights(
    this_run: Run, plan: Plan, existing: Mapping[TargetName, TargetTable], pair: ConnectionPair
) -> dict[str, str]:
    """Why tables of the plan cannot be loaded for want of a right, by their keys; told. The others can.

    Raises CatalogError.
    """
    tables = [work.table for work in plan.work]
    found = {**_in_target(this_run, tables, existing, pair), **_in_source(tables, pair)}
    if found:
        said = "\n".join(f"   {key}: {error}" for key, error in found.items())
        this_run.display.say(f"⚠️ {len(found)} of {len(tables)} tables cannot be loaded for want of rights:\n{said}")
    return found


def _in_source(tables: list[Table], pair: ConnectionPair) -> dict[str, str]:
    try:
        denied = unreadable(Catalog(ArrowConnection(pair.source)), tables)
    except Exception:
        # Where the server does not answer that question, each table answers it for itself.
        return {}
    words = "the login may not SELECT from it in the source; GRANT SELECT on it, or db_datareader"
    return {table.key: words for table in denied}


def _in_target(
    this_run: Run, tables: list[Table], existing: Mapping[TargetName, TargetTable], pair: ConnectionPair
) -> dict[str, str]:
    names = {target_name(table, this_run.settings): table for table in tables}
    try:
        rights = read_table_rights(pair.target, [name for name in names if name in existing])
    except psycopg2.Error as error:
        raise CatalogError(f"the rights on the target's tables cannot be read: {target_words(error)}") from None
    # A table that keeps its rows is not emptied.
    needless = {"TRUNCATE"} if this_run.options.no_truncate else set()
    found: dict[str, str] = {}
    for name, one in rights.items():
        lacks = [right for right in one.missing_for_a_load if right not in needless]
        table = names[name]
        if lacks:
            words = f"{name} belongs to {one.owner}, and this role lacks {', '.join(lacks)} on it"
            found[table.key] = f"{words}; GRANT {', '.join(lacks)} on it, or the role {one.owner}"
        elif reserved := _reserved_for_owners(one, name, table):
            found[table.key] = reserved
    return found


def _reserved_for_owners(rights: TableRights, name: TargetName, table: Table) -> str | None:
    """What a load of the table has to do and this role may not, with what mends it; None where it may."""
    if not rights.may_suspend and rights.owns:
        return f"a load has to suspend foreign keys from or to {name} whose other table belongs to another role"
    mends = f"ALTER TABLE {name.quoted} OWNER TO this role, or GRANT the role {rights.owner} to it"
    if not rights.may_suspend or (table.row_count >= LARGE_TABLE_ROWS and not rights.may_suspend_indexes):
        return f"a load has to suspend keys or triggers of {name}, which belongs to {rights.owner}; {mends}"
    if not rights.may_set_sequences:
        return f"{name} belongs to {rights.owner}, and this role lacks UPDATE on its sequence; GRANT it, or {mends}"
    return None

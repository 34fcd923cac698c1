"""How much room the staged rows of a run take in the target, told before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import psycopg2

from data_phase.connection_pair import ConnectionPair
from db import target_words
from model.catalog import Table
from model.errors import CatalogError, NoRoomError
from model.refresh import Refresh
from model.table_size import amount
from mssql import table_sizes
from mssql.catalog_queries import ArrowConnection
from postgres import disk
from postgres.names import TargetName
from run.context import Run


def tell_room(
    this_run: Run,
    tables: Mapping[str, Table],
    names: Mapping[str, TargetName],
    staged: Mapping[str, Refresh],
    units: Iterable[Sequence[str]],
    pair: ConnectionPair,
) -> None:
    """Say how much room the staging tables take at most at the same time.

    By the source's sizes, or, of tables of which it says none, by those that they have in the target. Raises
    NoRoomError where the target's disk is known to have less, and CatalogError.
    """
    try:
        known = table_sizes.read_sizes(ArrowConnection(pair.source), [tables[key] for key in staged])
        there = disk.read_sizes(pair.target, [names[key] for key in staged])
        free = disk.free_bytes(pair.target)
    except psycopg2.Error as error:
        raise CatalogError(f"the sizes of the target's tables cannot be read: {target_words(error)}") from None

    def room(key: str) -> int:
        size = known.get(tables[key]) or there.get(names[key])
        return 0 if size is None else size.staged(staged[key])

    # Units are switched one after the other, but several may be staged at a time.
    this_run.display.say(in_words(sum(room(key) for unit in units for key in unit if key in staged), free))


def in_words(needed: int, free: int | None) -> str:
    """How much room so many staged bytes take, for a person. Raises NoRoomError where more than the `free` ones."""
    if free is not None and needed > free:
        raise NoRoomError(
            f"the target's disk has {amount(free)} left, and staging all tables takes about {amount(needed)}. "
            f"Nothing was touched. Free some room; or refresh fewer tables at a time, with --tables; or let large ones "
            f"be filled in place: REFRESH_TABLES=Name:truncate"
        )
    has = f", of {amount(free)} that its disk has left" if free is not None else ""
    return f"💾 The staged rows take about {amount(needed)} of the target's disk meanwhile{has}"

"""How each table of a run is refreshed, decided before anything is read: as asked for, or why another way.

A table that cannot be replaced by a twin is merged instead; one that cannot be merged either is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg2

from data_phase.connection_pair import ConnectionPair
from data_phase.options import DataOptions
from data_phase.staging_room import tell_room
from data_phase.switching import tied_together
from db import target_words
from model.catalog import Table
from model.errors import CatalogError, UsageError
from model.refresh import REFRESHES, SWITCH_SCOPES, Refresh, SwitchScope
from model.visible import listed, on_one_line
from postgres import merging, staging, twins
from postgres.introspection import TargetTable
from postgres.names import TargetName, target_name
from run.context import Run
from run.plan import Plan
from run.selection import matching, refresh_by_name

#: tables whose reasons are told one by one
NAMED = 20


@dataclass(frozen=True)
class RefreshPlan:
    """How the tables are refreshed whose rows are staged, by their keys, and which of them are switched together.

    Tables that are not among them are filled in place.
    """

    staged: Mapping[str, Refresh] = field(default_factory=dict)
    units: tuple[tuple[str, ...], ...] = ()
    scope: SwitchScope = "together"


def plan_refresh(
    this_run: Run,
    plan: Plan,
    existing: Mapping[TargetName, TargetTable],
    pair: ConnectionPair,
    options: DataOptions,
) -> RefreshPlan:
    """Decide it for all tables of the plan; what differs from what was asked for is told.

    Raises UsageError, also for tables that can be refreshed in no such way, NoRoomError, CatalogError and RecordError.
    """
    settings = this_run.settings
    for glob, _ in settings.refresh_tables:
        if not matching(this_run.tables, glob):
            this_run.display.say(f"⚠️ REFRESH_TABLES in the settings: {on_one_line(glob)} matches no table")
    asked = {work.table.key: _asked(work.table, this_run, plan, options) for work in plan.work}
    if plan.is_new and this_run.options.no_truncate:
        if options.refresh in ("merge", "swap"):
            raise UsageError(
                f"--no-truncate keeps rows in the tables that readers see, so it cannot be combined with --refresh "
                f"{options.refresh}. A load that was staged goes on with --resume alone."
            )
        asked = {}
    names = {work.table.key: target_name(work.table, settings) for work in plan.work}
    # What is not there is told elsewhere.
    wanted = {key: how for key, how in asked.items() if how != "truncate" and names[key] in existing}
    if not wanted:
        return RefreshPlan()
    staging.prepare(pair.target, settings.trusted_roles)
    try:
        scope = options.switch or _scope_before(this_run, plan) or settings.switch
        ordered = {names[key]: key for key in wanted}
        units = [list(wanted)] if scope == "together" else tied_together(ordered, staging.ties(pair.target, ordered))
        staged = _possible(this_run, wanted, names, units, pair)
    except psycopg2.Error as error:
        raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None
    _tell(this_run, staged, scope)
    tables = {work.table.key: work.table for work in plan.work}
    tell_room(this_run, tables, names, staged, units, pair)
    return RefreshPlan(staged, tuple(map(tuple, units)), scope)


def flags_of(this_run: Run, plan: Plan, options: DataOptions) -> dict[str, str]:
    """What a session's flags ask for, and a resumed one goes on with unless other ones are given."""
    given = {"refresh": options.refresh, "switch": options.switch}
    if plan.is_new and this_run.options.no_truncate:
        given["refresh"] = "truncate"
    known = {} if plan.is_new else this_run.tracker.refresh
    return {**known, **{name: word for name, word in given.items() if word is not None}}


def _asked(table: Table, this_run: Run, plan: Plan, options: DataOptions) -> Refresh:
    """What flag and settings ask for of a table."""
    given = refresh_by_name(table, this_run.settings) or options.refresh
    if given is not None:
        return given
    tracker = this_run.tracker
    before = None if plan.is_new else tracker.refresh_of(tracker.session_of(table.key)).get("refresh")
    return next((how for how in REFRESHES if how == before), this_run.settings.refresh)


def _scope_before(this_run: Run, plan: Plan) -> SwitchScope | None:
    before = None if plan.is_new else this_run.tracker.refresh.get("switch")
    return next((scope for scope in SWITCH_SCOPES if scope == before), None)


def _possible(
    this_run: Run,
    wanted: Mapping[str, Refresh],
    names: Mapping[str, TargetName],
    units: Iterable[Sequence[str]],
    pair: ConnectionPair,
) -> dict[str, Refresh]:
    """What is possible of what is wanted. Raises UsageError, psycopg2.Error."""
    swapped = [names[key] for key, how in wanted.items() if how == "swap"]
    hindered = {name: why for name, why in twins.obstacles_of(pair.target, swapped).items() if why}
    if hindered:
        this_run.display.say(
            f"⚠️ {len(hindered)} of {len(swapped)} tables cannot be replaced by a twin, and are merged instead:\n"
            f"{_reasons(hindered)}"
        )
    staged: dict[str, Refresh] = {
        key: "swap" if how == "swap" and names[key] not in hindered else "merge" for key, how in wanted.items()
    }
    _same_way(this_run, staged, units)
    merged = [names[key] for key, how in staged.items() if how == "merge"]
    refused = {name: why for name, why in merging.obstacles_of(pair.target, merged).items() if why}
    if refused:
        keys = [key for key in staged if names[key] in refused]
        raise UsageError(
            f"{len(refused)} of {len(staged)} tables can be refreshed neither by a merge nor by a swap:\n"
            f"{_reasons(refused)}\nNothing was touched. Refresh them in place, which empties them for their readers: "
            f"REFRESH_TABLES={','.join(f'{key}:truncate' for key in keys[:NAMED])}"
        )
    return staged


def _same_way(this_run: Run, staged: dict[str, Refresh], units: Iterable[Sequence[str]]) -> None:
    """Merge what would be swapped in the same moment in which other tables are merged.

    EXECUTE and COPY (SELECT ...) TO look at the database as it was when they began, before they wait for a table: they
    would find new rows in tables that were replaced meanwhile, and old ones in merged tables. And foreign keys between
    the two would not hold at every moment.
    """
    for unit in units:
        merged = [key for key in unit if staged[key] == "merge"]
        swapped = [key for key in unit if staged[key] == "swap"]
        if merged and swapped:
            staged.update(dict.fromkeys(swapped, "merge"))
            this_run.display.say(
                f"⚠️ {listed(swapped)}: merged as well, since what becomes visible at the same moment goes the same way "
                f"({listed(merged)})"
            )


def _reasons(found: Mapping[TargetName, Iterable[str]]) -> str:
    lines = [f"   {on_one_line(str(name))}: {on_one_line('; '.join(why))}" for name, why in found.items()]
    more = [f"   and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return "\n".join([*lines[:NAMED], *more])


def _tell(this_run: Run, staged: Mapping[str, Refresh], scope: SwitchScope) -> None:
    counts = {how: [key for key, one in staged.items() if one == how] for how in ("merge", "swap")}
    words = [f"{len(keys)} by {how}" for how, keys in counts.items() if keys]
    when = "all at once at the end" if scope == "together" else "as soon as they are loaded"
    this_run.display.say(f"🔀 Refreshed beside their readers: {listed(words)}; the new rows are shown {when}")

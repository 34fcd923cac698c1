"""Which tables a run is about: by globs, and from which one on."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from model.catalog import Table
from model.errors import UsageError
from model.refresh import Refresh
from model.settings import Settings
from model.visible import listed, on_one_line
from run.options import Options


@dataclass(frozen=True)
class Selection:
    """The tables of a run, in the fixed order.

    `tables` are those that the globs leave, by which tables are numbered; `affected` those among them that the run is
    about, from the one that --start-from-table names on. `remarks` say what the settings leave out.
    """

    tables: tuple[Table, ...]
    affected: tuple[Table, ...]
    remarks: tuple[str, ...] = ()


def select(tables: Iterable[Table], options: Options, settings: Settings) -> Selection:
    """What options and settings ask for of the source's tables. Raises UsageError."""
    everything = tuple(tables)
    chosen, remarks = select_tables(everything, options, settings)
    if options.start_from_table is None:
        return Selection(chosen, chosen, remarks)
    start = _start_among(everything, chosen, options, settings)
    return Selection(chosen, tuple(table for table in chosen if table.sort_key >= start.sort_key), remarks)


def _start_among(everything: Sequence[Table], chosen: Sequence[Table], options: Options, settings: Settings) -> Table:
    """The table that a run starts from. Raises UsageError, also where the globs leave it out."""
    name = options.start_from_table or ""
    try:
        return find_table(chosen, name)
    except UsageError:
        # Where it is a table all the same, the globs are the reason; where it is none, this says so.
        left_out = find_table(everything, name)
    raise UsageError(
        f"--start-from-table {name}: {left_out.full_name} is left out by {_leaves_out(left_out, options, settings)}, "
        f"so nothing starts there"
    )


def _leaves_out(table: Table, options: Options, settings: Settings) -> str:
    """What leaves a table out: the patterns that match it, or those of which none does."""
    for where, globs in (("--exclude", options.exclude), ("EXCLUDE in the settings:", settings.exclude)):
        found = [glob for glob in globs if matching([table], glob)]
        if found:
            return f"{where} {listed(found)}"
    if options.tables:
        return f"--tables {listed(options.tables)}"
    return f"TABLES in the settings: {listed(settings.tables)}"


def select_tables(
    everything: Sequence[Table], options: Options, settings: Settings
) -> tuple[tuple[Table, ...], tuple[str, ...]]:
    """The tables that are asked for, in the fixed order, and what is to be said of how the settings chose them.

    `--tables` wins over TABLES; EXCLUDE holds whatever the flags say, and `--exclude` adds to it. A glob without a dot
    matches bare names in any schema; with one, `schema.table`; both without case. One that is a table's name as the
    progress file has it (`[a.b]`) means that table. Raises UsageError for a glob that matches nothing, so that a typing
    error is not a silent no-op; only patterns of the settings may wait for tables that are still to come.
    """
    remarks = _unknown_schemas(everything, settings)
    wanted = everything
    if options.tables:
        wanted = _named(everything, "--tables", options.tables)
    elif settings.tables:
        wanted = _named_by_setting(everything, "TABLES", settings.tables, remarks)
        remarks.append(f"📋 TABLES in the settings: {len(wanted)} of {len(everything)} tables of the source")
    out = {table.key for table in _named(everything, "--exclude", options.exclude)}
    excluded = {table.key for table in _named_by_setting(everything, "EXCLUDE", settings.exclude, remarks)}
    left_out = [table.key for table in wanted if table.key in excluded]
    if left_out:
        remarks.append(f"⏭️ Left out by EXCLUDE in the settings: {listed(left_out)}")
    kept = {table.key for table in wanted} - out - excluded
    return tuple(table for table in everything if table.key in kept), tuple(remarks)


def _named(tables: Sequence[Table], option: str, globs: Sequence[str]) -> Sequence[Table]:
    """The tables that globs of a flag match. Raises UsageError."""
    found = {glob: matching(tables, glob) for glob in globs}
    for glob, some in found.items():
        if not some:
            raise UsageError(f"{option} {glob}: no table matches{_near(glob, tables)}")
    return [table for some in found.values() for table in some]


def _unknown_schemas(tables: Sequence[Table], settings: Settings) -> list[str]:
    """What SCHEMA_MAP says of schemas in which the source shows no table."""
    there = {table.schema.lower(): table.schema for table in tables}
    remarks = []
    for schema in settings.schema_map:
        if there and schema not in there:
            near_ones = difflib.get_close_matches(schema, there, n=3, cutoff=0.6)
            meant = f" Near: {', '.join(there[one] for one in near_ones)}." if near_ones else ""
            remarks.append(f"⚠️ SCHEMA_MAP in the settings: the source shows no table in {on_one_line(schema)}.{meant}")
    return remarks


def _named_by_setting(
    tables: Sequence[Table], setting: str, globs: Sequence[str], remarks: list[str]
) -> Sequence[Table]:
    """The tables that globs of a setting match; a pattern without any is told. Raises UsageError."""
    found = {glob: matching(tables, glob) for glob in globs}
    for glob, some in found.items():
        if not some and not any(sign in glob for sign in "*?"):
            raise UsageError(
                f"{setting} in the settings: {glob}: no table matches{_near(glob, tables)}. Nothing was done. Correct "
                f"the name, or take it out of {setting}."
            )
        if not some:
            remarks.append(f"⚠️ {setting} in the settings: {on_one_line(glob)} matches no table")
    return [table for some in found.values() for table in some]


def matching(tables: Sequence[Table], glob: str) -> list[Table]:
    """The tables that a glob means, in the first of the ways of reading it that finds any."""
    pattern = glob.lower()
    ways: tuple[Callable[[Table], bool], ...] = (
        lambda table: "[" in glob and pattern in (table.key.lower(), table.full_name.lower()),
        lambda table: any(
            fnmatch.fnmatchcase(table.schema.lower(), pattern[: dot.start()])
            and fnmatch.fnmatchcase(table.name.lower(), pattern[dot.end() :])
            for dot in re.finditer(r"\.", pattern)
        ),
        lambda table: fnmatch.fnmatchcase(table.name.lower(), pattern),
    )
    return next((found for is_meant in ways if (found := [table for table in tables if is_meant(table)])), [])


def refresh_by_name(table: Table, settings: Settings) -> Refresh | None:
    """How REFRESH_TABLES has a table refreshed, whatever a flag says; None where it does not name it."""
    return next((how for glob, how in settings.refresh_tables if matching([table], glob)), None)


def find_table(tables: Sequence[Table], name: str) -> Table:
    """The one table of that name, bare or `schema.table`, with brackets or without, without case.

    Raises UsageError with near matches when there is none, and with the candidates when there are several.
    """
    wanted = name.strip().lower()
    # In T-SQL's brackets a dot is part of a name, and is no dot between names.
    parts = [
        (bracketed or bare).replace("]]", "]")
        for bracketed, bare in re.findall(r"\[((?:[^]]|\]\])*)\]|([^.]+)", wanted)
    ]
    found = [table for table in tables if parts == [table.schema.lower(), table.name.lower()]]
    found = found or [table for table in tables if parts == [table.name.lower()]]
    found = found or [table for table in tables if wanted in (table.bare_key.lower(), table.name.lower())]
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"--start-from-table {name}: there is no such table{_near(name, tables)}")
    candidates = ", ".join(table.full_name for table in found)
    raise UsageError(f"--start-from-table {name}: several tables have that name: {candidates}. Give schema.table.")


def _near(name: str, tables: Iterable[Table]) -> str:
    spellings = {spelling.lower(): table.full_name for table in tables for spelling in (table.name, table.full_name)}
    near = difflib.get_close_matches(name.lower(), spellings, n=5, cutoff=0.5)
    names = list(dict.fromkeys(spellings[spelling] for spelling in near))
    return f". Near: {', '.join(names)}" if names else ""

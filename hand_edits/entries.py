"""What the entries of a progress file mean: which tables of the source, tables that are gone, or a slip."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hand_edits.names import origin, parts
from hand_edits.reading import HandEditError
from hand_edits.statuses import Phase
from model.catalog import Table
from model.visible import json_text

#: what only this tool writes into an entry, in files that do not say yet which table it was for
_TIMES = ("started_at", "completed_at", "failed_at")
#: how near two names must be for one to be the other mistyped, of 1 for equal, where nothing else tells
MISTYPED = 0.75
#: names that a refusal lists at most
LISTED = 5


class KnownTables:
    """The source's tables by all that a progress file may call them."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._keys: set[str] = set()
        self._bare: dict[str, list[str]] = {}
        self._folded: dict[tuple[str, str], list[str]] = {}
        self._spellings: dict[str, str] = {}
        for table in tables:
            self._keys.add(table.key)
            self._bare.setdefault(table.bare_key, []).append(table.key)
            self._folded.setdefault((table.schema.lower(), table.name.lower()), []).append(table.key)
            for spelling in (table.key, table.name, table.full_name):
                self._spellings.setdefault(spelling.lower(), table.key)

    def written(self, name: str, is_bare: bool) -> list[str]:
        """The keys of the tables of exactly this name; `is_bare` where the file writes no brackets."""
        if is_bare and name in self._bare:
            return self._bare[name]
        return [name] if name in self._keys else []

    def respelled(self, name: str) -> list[str]:
        """The keys of the tables of this name but for case, blanks, brackets and the default schema."""
        found = parts(name)
        return self._folded.get((found[0].lower(), found[1].lower()), []) if found else []

    def near(self, name: str, cutoff: float = 0.5) -> list[str]:
        """Keys of tables with a name like this one, the nearest first."""
        found = difflib.get_close_matches(name.strip().lower(), self._spellings, n=LISTED, cutoff=cutoff)
        return list(dict.fromkeys(self._spellings[spelling] for spelling in found))


@dataclass(frozen=True)
class Meant:
    """What the entries of a file mean.

    `tables` has them by the keys of their tables, those of tables that are gone among them, marked so. `respelled`
    tells which key a name was understood as, `ambiguous` which keys a name of an older file may mean: such an entry is
    taken for none of them.
    """

    tables: Mapping[str, Any]
    respelled: Mapping[str, str] = field(default_factory=dict)
    ambiguous: Mapping[str, list[str]] = field(default_factory=dict)


def meaning(
    entries: Mapping[str, Any],
    phase: Phase,
    known: KnownTables,
    is_bare: bool,
    now: str,
    line_of: Callable[[str], str],
) -> Meant:
    """What the entries mean. `now` is when tables count as gone that were not yet; `line_of` says where a name stands.

    Equal but for case, blanks, brackets or the default schema is understood. Raises HandEditError for a name that means
    no table of the source and was not written by this tool, one that may mean several, and two that mean one.
    """
    claims: dict[str, list[str]] = {}
    respelled: dict[str, str] = {}
    ambiguous: dict[str, list[str]] = {}
    unknown: list[str] = []
    for name in entries:
        exact = known.written(name, is_bare)
        keys = exact or known.respelled(name)
        if len(keys) == 1:
            claims.setdefault(keys[0], []).append(name)
            respelled |= {} if exact else {name: keys[0]}
        elif exact:
            ambiguous[name] = exact
        elif keys:
            raise HandEditError(
                f"{line_of(name)}{json_text(name)} may mean any of {', '.join(keys)}. Write the one that is meant, "
                f"upper and lower case as here"
            )
        else:
            unknown.append(name)
    for key, names in claims.items():
        if len(names) > 1:
            both = " and ".join(f"{line_of(name)}{json_text(name)}" for name in names)
            raise HandEditError(f"{both} mean the same table, {key}. Keep one of these entries")
    slips = [name for name in unknown if not _is_ours(name, entries[name][phase], known, claims)]
    if slips:
        raise HandEditError(_refusal(slips, entries, phase, known, line_of))
    key_of = {names[0]: key for key, names in claims.items()}
    read = {
        key_of.get(name, name): _back(entry, phase) if name in key_of else _gone(entry, phase, now)
        for name, entry in entries.items()
        if name not in ambiguous
    }
    return Meant(read, respelled, ambiguous)


def _is_ours(name: str, part: Mapping[str, Any], known: KnownTables, claims: Mapping[str, object]) -> bool:
    """Whether this tool wrote an entry for a table of this very name, so that it is the table that is gone."""
    if "source" in part:
        return bool(part["source"] == origin(name))
    # An older file does not say so. What was never begun, or is like a table without an entry, may be a slip.
    is_slip = any(key not in claims for key in known.near(name, MISTYPED))
    return any(time in part for time in _TIMES) and not is_slip


def _refusal(
    slips: list[str], entries: Mapping[str, Any], phase: Phase, known: KnownTables, line_of: Callable[[str], str]
) -> str:
    told = []
    for name in slips[:LISTED]:
        written, near = entries[name][phase].get("source"), known.near(name)
        was = f"; the entry was written for {written}" if isinstance(written, str) else ""
        told.append(
            f"{line_of(name)}{json_text(name)} names no table of the source{was}"
            + (f". Near: {', '.join(near)}" if near else "")
        )
    more = f", and so do {len(slips) - LISTED} more" if len(slips) > LISTED else ""
    return f"{'. '.join(told)}{more}. Correct the name, or remove the entry"


def _gone(entry: Mapping[str, Any], phase: Phase, now: str) -> Mapping[str, Any]:
    """The entry of a table that the source no longer has; one that a person decided about stays as it is."""
    part = entry[phase]
    if part["status"] in ("skipped", "gone"):
        return entry
    kept = {name: value for name, value in part.items() if name != "status"}
    return {**entry, phase: {"status": "gone", "gone_since": now, "was": part["status"], **kept}}


def _back(entry: Mapping[str, Any], phase: Phase) -> Mapping[str, Any]:
    """The entry of a table that the source has, which may have been gone: it is another one then, and to be done."""
    part = entry[phase]
    if part["status"] != "gone":
        return entry
    was = part.get("was")
    kept = {name: value for name, value in part.items() if name not in ("status", "gone_since", "was")}
    return {**entry, phase: {"status": was if was in ("in_progress", "failed") else "pending", **kept}}

"""Names that share a schema: tables, sequences, domains, keys and indexes are of one space in PostgreSQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from model.catalog import Column, SqlType, Table
from model.catalog import Sequence as SourceSequence
from model.settings import Settings
from postgres.names import TargetName, cut, fold, target_name


@dataclass(frozen=True)
class RelationNames:
    """Names of keys and indexes, which share one space with tables in PostgreSQL, unlike on the source.

    `identities` are names of sequences that feed columns. They are ours, so they give way to all names of the source.
    `crowded` are schemas in which PostgreSQL's own choice for such a sequence could be the name of something else.
    """

    by_object: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    identities: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    crowded: Set[str] = frozenset()

    def of(self, table: Table, name: str) -> str:
        """The PostgreSQL name of a key or index of this table."""
        return self.by_object[(table.schema, table.name, name)]

    def of_identity(self, table: Table, column: Column) -> str:
        """The PostgreSQL name of the sequence that feeds this column."""
        return self.identities[(table.schema, table.name, column.name)]

    @staticmethod
    def allocate(
        tables: Sequence[Table], settings: Settings, sequences: Sequence[SourceSequence] = ()
    ) -> RelationNames:
        """A name for every key and index: its own where it is alone, else with the table's in front.

        Depends on the names alone, not on the order of tables, so every run gives the same.
        """
        others = [target_name(table, settings) for table in tables]
        others += [sequence_target(sequence, settings) for sequence in sequences]
        wanted = {
            (table.schema, table.name, name): (target_name(table, settings), fold(name, settings))
            for table in tables
            for name in _relation_names(table)
        }
        taken = Counter((target.schema, folded) for target, folded in wanted.values())
        taken.update((target.schema, target.table) for target in others)
        names: dict[tuple[str, str, str], str] = {}
        used = {(target.schema, target.table) for target in others}
        used |= {pair for pair, count in taken.items() if count == 1}
        for key in sorted(wanted):
            target, folded = wanted[key]
            if taken[(target.schema, folded)] == 1:
                names[key] = folded
                continue
            names[key] = _free(f"{target.table}_{folded}", target.schema, used)
        crowded = {schema for schema, name in used if re.search(r"_seq\d*$", name)}
        identities = {}
        for table in sorted(tables, key=lambda table: table.sort_key):
            target = target_name(table, settings)
            for column in (column for column in table.columns if column.identity is not None):
                wanted_name = fold(f"{target.table}_{column.name}_seq", settings)
                identities[(table.schema, table.name, column.name)] = _free(wanted_name, target.schema, used)
        return RelationNames(names, identities, crowded)


def _free(name: str, schema: str, used: set[tuple[str, str]]) -> str:
    """The name, numbered where it is taken in the schema; it is taken from now on."""
    candidate = cut(name)
    number = 1
    while (schema, candidate) in used:
        number += 1
        candidate = cut(f"{name}_{number}")
    used.add((schema, candidate))
    return candidate


def _relation_names(table: Table) -> Iterator[str]:
    if table.primary_key is not None:
        yield table.primary_key.name
    yield from (key.name for key in table.unique)
    yield from (index.name for index in table.indexes)


def domain_target(kind: SqlType, settings: Settings) -> TargetName:
    """Where the domain of an alias type goes: beside the tables of its schema."""
    return target_name(Table(kind.alias_schema, kind.alias or "", ()), settings)


def sequence_target(sequence: SourceSequence, settings: Settings) -> TargetName:
    """Where a sequence object goes: beside the tables of its schema, whose names share one space with its own."""
    return target_name(Table(sequence.schema, sequence.name, ()), settings)


def sequence_name(sequence: SourceSequence, settings: Settings) -> str:
    """The quoted name of a sequence object in PostgreSQL."""
    return sequence_target(sequence, settings).quoted

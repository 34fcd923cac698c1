"""Names that share a schema: tables, sequences, domains, keys and indexes are of one space in PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from model.catalog import Sequence as SourceSequence
from model.catalog import SqlType, Table
from model.settings import Settings
from postgres.names import TargetName, cut, fold, target_name


@dataclass(frozen=True)
class RelationNames:
    """Names of keys and indexes, which share one space with tables in PostgreSQL, unlike on the source."""

    by_object: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def of(self, table: Table, name: str) -> str:
        """The PostgreSQL name of a key or index of this table."""
        return self.by_object[(table.schema, table.name, name)]

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
            candidate = cut(f"{target.table}_{folded}")
            number = 1
            while (target.schema, candidate) in used:
                number += 1
                candidate = cut(f"{target.table}_{folded}_{number}")
            used.add((target.schema, candidate))
            names[key] = candidate
        return RelationNames(names)


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

"""What all objects of a plan are made with."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from model.catalog import Database, Table
from model.settings import Settings
from postgres.ddl.plan import Expressions
from postgres.ddl.relation_names import RelationNames
from postgres.names import TargetName, fold, quote
from type_mapping import TargetFeatures


@dataclass(frozen=True)
class Context:
    """The settings, both sides, and what all tables of a plan share.

    `tables` are the source's by schema and name; `reachable` are the target's to which foreign keys may point.
    """

    settings: Settings
    features: TargetFeatures
    expressions: Expressions
    names: RelationNames
    reachable: Set[TargetName]
    database: Database
    tables: Mapping[tuple[str, str], Table]

    def quoted(self, name: str) -> str:
        """The quoted identifier in PostgreSQL of a name of the source."""
        return quote(fold(name, self.settings))

    def renamed(self, source: str, name: str) -> list[str]:
        """The remark that an object could not keep its name, if so."""
        folded = source.lower() if self.settings.naming == "lower" else source
        return [] if folded == name else [f"named {name}, because its own name is taken in the schema or too long"]

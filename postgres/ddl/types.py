"""Which type a column gets."""

from __future__ import annotations

import re

from model.catalog import Column
from model.settings import Settings
from postgres.ddl.relation_names import domain_target
from type_mapping import TargetFeatures, postgres_type, traits_of

#: the option of columns that the target does not get
DROP = "drop"
#: PostgreSQL type → the range of a sequence that feeds it
RANGES = {
    "smallint": (-(2**15), 2**15 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


def column_type(column: Column, settings: Settings, features: TargetFeatures) -> str:
    """The PostgreSQL type of a column, by the type mapping and `COLLATION_POLICY`."""
    if settings.collation_policy == "citext" and ignores_case(column) and _is_varying(column):
        return "citext"
    if _has_domain(column):
        return domain_target(column.type, settings).quoted
    return postgres_type(column, features)


def _has_domain(column: Column) -> bool:
    # An identity must be of a plain type.
    return column.type.is_domain and column.identity is None


def has_native_identity(column: Column, features: TargetFeatures) -> bool:
    """Whether PostgreSQL's IDENTITY can stand for the source's; decimal keys need a sequence of their own."""
    return postgres_type(column, features) in RANGES


def ignores_case(column: Column) -> bool:
    """Whether the column's collation on the source ignores case."""
    return bool(column.collation and re.search(r"_CI(_|$)", column.collation, re.IGNORECASE))


def _is_varying(column: Column) -> bool:
    traits = traits_of(column.type)
    return traits.is_text and not traits.is_fixed_size

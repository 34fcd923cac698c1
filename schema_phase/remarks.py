"""What a check finds, and the target that it finds it in, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from model.findings import Finding
from model.table_size import TableSize
from postgres.ddl import TablePlan
from postgres.introspection import TargetTable
from postgres.names import TargetName
from postgres.rights import TargetRights
from type_mapping import TargetFeatures

#: `blocks`: something would fail, or be lost or changed in a way that somebody must decide about;
#: `warns`: it goes through, but not as it was, or with work left; `notes`: good to know
Severity = Literal["blocks", "warns", "notes"]


@dataclass(frozen=True)
class Remark:
    """One thing to know before a run.

    `kind` is a word for a person ("unsupported type"), `name` where it stands on the source, `text` what it
    is, `advice` what to do about it. `count` is of rows, columns or objects, as `text` says.
    """

    severity: Severity
    kind: str
    name: str
    text: str
    advice: str | None = None
    count: int | None = None


@dataclass(frozen=True)
class TargetState:
    """The target as it is, or what is assumed of one that cannot be reached (`unreachable` says why).

    `has_citext` and `has_icu` are `None` where nobody could look, `free_bytes` of its disk where nobody can know.
    """

    features: TargetFeatures = field(default_factory=TargetFeatures)
    tables: Mapping[TargetName, TargetTable] = field(default_factory=dict)
    has_citext: bool | None = None
    has_icu: bool | None = None
    encoding: str | None = None
    unreachable: str | None = None
    rights: TargetRights | None = None
    sizes: Mapping[TargetName, TableSize] = field(default_factory=dict)
    free_bytes: int | None = None


@dataclass(frozen=True)
class Foreseen:
    """What the schema phase would make of tables: its findings, and the plan of each table."""

    findings: Sequence[Finding]
    plans: Sequence[TablePlan]

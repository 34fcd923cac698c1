"""The flags that only the schema phase has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SchemaOptions:
    """The flags that only the schema phase has."""

    recreate: bool = False
    apply_drift: bool = False
    dry_run: bool = False
    check: bool = False
    check_data: bool = False
    #: the address of a cluster that is checked as well; None for the one that the settings name
    cluster: str | None = None

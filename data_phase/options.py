"""The flags that only the data phase has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from model.rates import MaxRate
from model.refresh import Refresh, SwitchScope

if TYPE_CHECKING:
    from verification.table_comparison import Mode

#: what a person may go on with all the same: masks for values, policies that may filter rows, ciphertext for values
Allowed = Literal["masked", "hidden rows", "encrypted"]
#: the flag for each
ALLOWED: Mapping[Allowed, str] = {
    "masked": "--allow-masked", "hidden rows": "--allow-hidden-rows", "encrypted": "--allow-encrypted",
}  # fmt: skip


@dataclass(frozen=True)
class DataOptions:
    """The flags that only the data phase has.

    `workers` overrides the setting. `on_error` says what a row does that PostgreSQL refuses: fail its table, or be
    recorded and left out. With `then_verify` the tables that are completed are compared afterwards.
    `consistent` asks for one snapshot of the source, or, where it is False, gives up a session's own.
    """

    workers: int | None = None
    on_error: Literal["fail", "reject"] = "fail"
    retry_rejects: bool = False
    then_verify: Mode | None = None
    consistent: bool | None = None
    #: overrides the setting
    max_rate: MaxRate | None = None
    #: the moment from which no chunk begins any more
    stop_at: datetime | None = None
    #: override the settings
    refresh: Refresh | None = None
    switch: SwitchScope | None = None
    #: tables that are complete become visible also where others of their unit failed
    switch_anyway: bool = False
    #: with `then_verify`: what is staged is compared before anybody sees it
    verify_first: bool = False
    #: what the source hides and a person goes on with knowingly
    allows: frozenset[Allowed] = frozenset()
    #: overrides the setting
    cluster: str | None = None

"""How a table is refreshed: emptied and filled in place, or filled beside what readers see until that is exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

#: `truncate`: emptied and filled; `merge`: the differences are applied; `swap`: replaced by a complete twin
Refresh = Literal["truncate", "merge", "swap"]
#: which tables become visible in one transaction: all of a run, or each with those that foreign keys tie it to
SwitchScope = Literal["together", "table"]

REFRESHES: tuple[Refresh, ...] = get_args(Refresh)
SWITCH_SCOPES: tuple[SwitchScope, ...] = get_args(SwitchScope)

#: patterns of tables and how these are refreshed; the first that matches counts
RefreshOf = Sequence[tuple[str, Refresh]]

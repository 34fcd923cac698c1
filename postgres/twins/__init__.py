"""A complete twin of a table, built beside it, and the exchange of both in one transaction of milliseconds.

`obstacles` says why a table cannot be exchanged. Otherwise: `create` the bare twin, load it, `complete` it, make the
`foreign_keys` of all twins together, `plan_exchange`, run the plan's `lock_statement`, `exchange`, commit, and
`validate` what is left. Each step before the exchange can be done again after a kill.
"""

from postgres.twins.completion import complete
from postgres.twins.creation import create
from postgres.twins.dependents import obstacles, obstacles_of
from postgres.twins.keys import foreign_keys
from postgres.twins.snapshots import older_readers
from postgres.twins.switching import Planned, exchange, plan_exchange, validate

__all__ = [
    "Planned", "complete", "create", "exchange", "foreign_keys", "obstacles", "obstacles_of", "older_readers",
    "plan_exchange", "validate",
]  # fmt: skip

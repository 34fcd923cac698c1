"""A complete twin of a table, built beside it, and the exchange of both in one transaction of milliseconds.

`obstacles` says why a table cannot be exchanged. Otherwise: `create` the bare twin, load it, `complete` it, make the
`foreign_keys` of all twins together, lock what `relations_to_lock` names by `lock_statement`, `exchange`, commit, and
`validate` what is left. Each step before the exchange can be done again after a kill.
"""

from postgres.twins.completion import complete
from postgres.twins.creation import create
from postgres.twins.dependents import obstacles, obstacles_of
from postgres.twins.keys import foreign_keys
from postgres.twins.switching import exchange, lock_statement, relations_to_lock, validate

__all__ = [
    "complete", "create", "exchange", "foreign_keys", "lock_statement", "obstacles", "obstacles_of",
    "relations_to_lock", "validate",
]  # fmt: skip

"""How much of the corpus is translated: of what has an equivalent in PostgreSQL, at least 97 in 100."""

from __future__ import annotations

from collections.abc import Callable

from tests.expression_corpora import ENTRIES
from tests.mssql.expressions.translations import translate

#: why something has no equivalent: part of the reason that a person is told
WITHOUT_EQUIVALENT = (
    # SQL Server would not take it, or gives no value for it
    "is no ", "does not fit into", "is longer than", "the source refuses", "NULL is never true", "holds nothing",
    "finds nothing", "not clear", "in conflict", "is not a column", "a value stands", "in the catalog",
    "is given a time zone",
    # no expression of T-SQL that stands by itself
    "user-defined", "subquery", "a comment", "not T-SQL", "ends in the middle", "is not understood", "is not shown",
    "the sequence", "sql_variant",
    # a setting of the session or of the database decides, and the text does not say which
    "language", "date format", "DATEFIRST", "culture", "Hijri", "compatibility level",
    # the server's own
    "source's", "source server's", "HOST_NAME", "set by the application", "does not have",
    # PostgreSQL keeps no such value, or allows it nowhere in such a place
    "changes with the time", "lost in timestamptz", "seventh fractional digit", "thirds",
)  # fmt: skip
"""All else that is refused counts as having an equivalent."""


def test_of_what_has_an_equivalent_97_in_100_are_translated(record_property: Callable[[str, object], None]) -> None:
    outcomes = [translate(entry) for entry in ENTRIES]
    translated = [outcome for outcome in outcomes if outcome.sql is not None]
    refused = [outcome for outcome in outcomes if outcome.sql is None]
    left = [one for one in refused if not any(part in (one.reason or "") for part in WITHOUT_EQUIVALENT)]
    share = len(translated) / (len(translated) + len(left))
    record_property(
        "summary",
        f"{len(ENTRIES)} expressions: {len(translated)} translated, {len(left)} refused that have an equivalent "
        f"({share:.1%} translated), {len(refused) - len(left)} without one",
    )
    assert share >= 0.97, "\n".join(f"{one.original}: {one.reason}" for one in left)

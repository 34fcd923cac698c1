"""Whom a read of SQL Server waits for, in words."""

from __future__ import annotations

import pytest

from mssql.activity import blocker_in_words


@pytest.mark.parametrize(
    ("blocker", "names", "words"),
    [
        (71, ("bi", "desk7", "a report"), "session 71 (login bi, host desk7, a report)"),
        (71, ("bi", None, "turn\u202eed"), r"session 71 (login bi, turn\u202eed)"),
        # One that has gone meanwhile, or is the server's own.
        (71, (None, None, None), "session 71"),
        (0, (None, None, None), None),
        # No session, but in the way until a person does something.
        (-2, (None, None, None), "a distributed transaction that nobody ends (orphaned; KILL takes its unit of work)"),
        (-3, (None, None, None), "a transaction that is still to be recovered (deferred)"),
        # Latches, whose owner the server does not know.
        (-4, (None, None, None), None),
        (-5, (None, None, None), None),
    ],
)
def test_whoever_blocks_is_named(blocker: int, names: tuple[str | None, ...], words: str | None) -> None:
    assert blocker_in_words(blocker, *names) == words

"""What a nightly run does about the last session, whatever state it finds it in."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run.nightly import LastSession, decide

NOW = datetime(2026, 1, 31, 2, 0)
YESTERDAY = NOW - timedelta(hours=24)


@pytest.mark.parametrize(
    ("last", "continues", "words"),
    [
        (None, False, "no session to continue"),
        (LastSession(YESTERDAY, 0, ended="2026-01-30 03:12:00"), False, "it ended at 2026-01-30 03:12:00"),
        (LastSession(NOW - timedelta(hours=4), 7), True, "session of 2026-01-30 22:00 is continued: 7 tables left"),
        (LastSession(NOW - timedelta(hours=4), 1, 1), True, "1 table left, 1 of them failed"),
        (LastSession(YESTERDAY, 7), False, "24 hours old (SESSION_MAX_AGE=20); a new one begins"),
        (
            LastSession(NOW - timedelta(hours=1), 7, is_closed_because="it rains"),
            False,
            "cannot be continued: it rains",
        ),
        (LastSession(None, 7), False, "when the last session began cannot be read"),
    ],
)
def test_what_is_done_and_why(last: LastSession | None, continues: bool, words: str) -> None:
    decision = decide(last, NOW, 20)
    assert (decision.continues, words in decision.words) == (continues, True), decision.words


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 8_760),
)
def test_only_what_is_unfinished_and_young_enough_is_continued(
    begun: datetime, left: int, failed: int, max_age: int
) -> None:
    decision = decide(LastSession(begun, left, min(failed, left)), NOW, max_age)
    assert decision.continues == (left > 0 and NOW - begun < timedelta(hours=max_age))
    assert ("is continued" if decision.continues else "a new one begins") in decision.words

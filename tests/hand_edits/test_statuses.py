"""A status is read however a person spells it, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_edits.statuses import STATUSES, near_status, read_status


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Skip", "skipped"), ("SKIPPED", "skipped"), (" skipped ", "skipped"), ("Completed", "completed"),
        ("complete", "completed"), ("in progress", "in_progress"), ("In-Progress", "in_progress"), ("FAILED", "failed"),
        ("Pending\t", "pending"),
    ],
)  # fmt: skip
def test_other_spellings_of_a_status_are_understood(written: str, meant: str) -> None:
    assert read_status(written) == meant


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("done", "completed"), ("ignore", "skipped"), ("skiped", "skipped"), ("complted", "completed"),
        ("pendign", "pending"), ("retry", "pending"), ("banana", None), (None, None), (["failed"], None), ("", None),
    ],
)  # fmt: skip
def test_a_word_that_is_no_status_is_not_guessed_but_may_have_a_near_one(written: object, near: str | None) -> None:
    assert read_status(written) is None
    assert near_status(written) == near


@given(
    st.sampled_from(STATUSES), st.text(" \t\n"), st.text(" \t\n"), st.sampled_from([str.upper, str.title, str.lower])
)
def test_case_and_blanks_around_never_matter(status: str, before: str, after: str, case: object) -> None:
    assert read_status(before + case(status) + after) == status  # type: ignore[operator]


@given(st.text() | st.none() | st.integers() | st.lists(st.text()))
def test_what_is_read_is_a_status_or_nothing(written: object) -> None:
    assert read_status(written) in (*STATUSES, None)
    assert near_status(written) in (*STATUSES, None)

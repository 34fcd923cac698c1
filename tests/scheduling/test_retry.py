"""The one retry policy: so many attempts, longer and longer waits, and only for what may pass by itself."""

from __future__ import annotations

import pytest

from model.errors import CancelledError, SourceError, TargetError, UnreachableError
from scheduling.retry import LONGEST_PATIENT_WAIT_S, LONGEST_WAIT_S, Again, RetryPolicy, with_retries


def failing(error: Exception, times: int) -> tuple[list[int], object]:
    """Attempts as they are made, and a function that fails so many times."""
    attempts: list[int] = []

    def once(attempt: int) -> str:
        attempts.append(attempt)
        if len(attempts) <= times:
            raise error
        return "done"

    return attempts, once


def test_what_may_pass_is_tried_until_it_works() -> None:
    attempts, once = failing(SourceError("deadlock", is_temporary=True), 2)
    waited: list[Again] = []
    assert with_retries(RetryPolicy(5, 1), once, waited.append) == "done"  # type: ignore[arg-type]
    assert attempts == [1, 2, 3]
    assert [(again.attempt, again.attempts, str(again.error)) for again in waited] == [
        (2, 5, "deadlock"), (3, 5, "deadlock"),
    ]  # fmt: skip


def test_the_last_attempt_s_error_is_raised() -> None:
    attempts, once = failing(UnreachableError("gone"), 9)
    with pytest.raises(UnreachableError, match="gone"):
        with_retries(RetryPolicy(3, 0), once, lambda _: None)  # type: ignore[arg-type]
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize("error", [TargetError("no"), ValueError("a fault"), CancelledError()])
def test_anything_else_is_tried_once(error: Exception) -> None:
    attempts, once = failing(error, 9)
    with pytest.raises(type(error)):
        with_retries(RetryPolicy(3, 0), once, lambda _: None)  # type: ignore[arg-type]
    assert attempts == [1]


def test_a_wait_that_gives_up_ends_it() -> None:
    def give_up(_: Again) -> None:
        raise CancelledError

    attempts, once = failing(TargetError("not now", is_temporary=True), 9)
    with pytest.raises(CancelledError):
        with_retries(RetryPolicy(3, 0), once, give_up)  # type: ignore[arg-type]
    assert attempts == [1]


def test_waits_double_up_to_a_limit_with_jitter() -> None:
    waits: list[float] = []
    _, once = failing(TargetError("not now", is_temporary=True), 99)
    with pytest.raises(TargetError, match="not now"):
        with_retries(RetryPolicy(9, 1.0), once, lambda again: waits.append(again.seconds))  # type: ignore[arg-type]
    assert len(waits) == 8
    for attempt, wait in enumerate(waits):
        expected = min(2.0**attempt, LONGEST_WAIT_S)
        assert 0.5 * expected <= wait <= 1.5 * expected
    assert len(set(waits)) == 8


def test_where_the_source_lacks_memory_the_waits_are_ten_times_as_long() -> None:
    waits: list[float] = []
    _, once = failing(SourceError("no memory", is_temporary=True, numbers=frozenset({8645})), 99)
    with pytest.raises(SourceError, match="no memory"):
        with_retries(RetryPolicy(7, 1.0), once, lambda again: waits.append(again.seconds))  # type: ignore[arg-type]
    for wait, expected in zip(waits, [10, 20, 40, 80, LONGEST_PATIENT_WAIT_S, LONGEST_PATIENT_WAIT_S], strict=True):
        assert 0.5 * expected <= wait <= 1.5 * expected

"""Which worker was at which table when: every moment of work is in a span, and there are never too many of them."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from operations.timeline import Span, Timeline


def test_the_parts_of_a_table_that_follow_each_other_are_one_span() -> None:
    timeline = Timeline()
    for begin, end in ((0.0, 1.0), (1.1, 5.0), (5.0, 6.0)):
        timeline.begin(1, "Orders", begin)
        timeline.end(1, end)
    assert timeline.spans(6.0) == (Span(1, "Orders", 0.0, 6.0),)


def test_a_wait_or_another_table_begins_a_new_span() -> None:
    timeline = Timeline()
    for table, begin, end in (("Orders", 0.0, 1.0), ("Orders", 9.0, 10.0), ("Lines", 10.0, 11.0)):
        timeline.begin(1, table, begin)
        timeline.end(1, end)
    assert [span.table for span in timeline.spans(11.0)] == ["Orders", "Orders", "Lines"]


def test_what_is_not_over_lasts_until_now() -> None:
    timeline = Timeline()
    timeline.begin(2, "Orders", 1.0)
    assert timeline.spans(7.5) == (Span(2, "Orders", 1.0, 7.5),)


@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from("ABCDEFG"), st.floats(0, 30), st.floats(0, 3)), max_size=300),
    st.integers(8, 40),
)
def test_many_short_spans_are_taken_together_and_none_is_lost(
    work: list[tuple[int, str, float, float]], most: int
) -> None:
    timeline, clocks, moments = Timeline(most), dict.fromkeys(range(1, 5), 0.0), list[tuple[int, float]]()
    for worker, table, seconds, pause in work:
        begin = clocks[worker] + pause
        clocks[worker] = begin + seconds
        timeline.begin(worker, table, begin)
        timeline.end(worker, clocks[worker])
        moments.append((worker, begin + seconds / 2))
    spans = timeline.spans(max(clocks.values()))
    assert len(spans) <= most
    for worker, moment in moments:
        assert any(one.worker == worker and one.begin - 0.01 <= moment <= one.end + 0.01 for one in spans)
    for first, second in itertools.pairwise(spans):
        assert first.worker < second.worker or first.end <= second.begin + 0.01

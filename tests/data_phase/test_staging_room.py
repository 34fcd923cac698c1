"""What is said of the room that staged rows take."""

from __future__ import annotations

import re

import pytest

from data_phase.staging_room import in_words
from model.errors import NoRoomError
from tests.scenes import Scene


def test_room_is_told_beside_what_the_disk_has_left() -> None:
    assert in_words(3_200_000, None) == "💾 The staged rows take about 3.2 MB of the target's disk meanwhile"
    assert in_words(12_345_000_000, 99 * 10**9).endswith(
        "about 12.3 GB of the target's disk meanwhile, of 99.0 GB that its disk has left"
    )


def test_a_disk_that_is_known_to_be_too_small_is_refused() -> None:
    with pytest.raises(
        NoRoomError, match=r"has 1\.0 GB left, and staging all tables takes about 2\.0 GB. Nothing was"
    ) as no:
        in_words(2 * 10**9, 10**9)
    assert no.value.exit_code == 2


def test_it_is_told_when_a_run_begins_by_the_sizes_of_the_source(scene: Scene) -> None:
    ended = scene.run("--refresh", "swap")
    assert ended.code == 0, ended.text
    told = re.search(r"The staged rows take about ([0-9.]+) MB .*, of [0-9.]+ GB that its disk has left", ended.out)
    # The target's tables are empty.
    assert told is not None and float(told[1]) > 0.1

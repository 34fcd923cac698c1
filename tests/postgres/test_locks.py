"""Whoever holds a lock that a step waits for is told, and told again as long as that lasts."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from postgres import locks
from postgres.names import TargetName
from tests.harness import wait_until
from tests.scenes import Scene, holding

FEW = TargetName("public", "few")


def test_whom_a_step_waits_for_is_told_again_and_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (locks.TOLD_AFTER_S, locks.TOLD_AGAIN_S) == (10, 60)
    monkeypatch.setattr(locks, "TOLD_AFTER_S", 0.1)
    monkeypatch.setattr(locks, "TOLD_AGAIN_S", 0.2)
    said: list[str] = []
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False

        def work() -> None:
            locks.execute_patiently(connection, [FEW], "TRUNCATE few", tell=said.append)
            connection.commit()

        waiting = threading.Thread(target=work)
        with holding(scene, "SELECT count(*) FROM few") as pid:
            waiting.start()
            wait_until(lambda: len(said) > 2, "it is told three times")
        waiting.join(60)
        assert not waiting.is_alive()
    assert all(
        f"for a lock on public.few, held by pid {pid} (a report, user postgres): SELECT" in one for one in said[:3]
    )
    assert "the lock was had after" in said[-1]

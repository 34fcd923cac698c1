"""How a task's answer comes back: with the worker's reports, or fetched; and which answers do not count."""

from __future__ import annotations

import pickle
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from distributed import Client
from distributed import Future as DaskFuture

from bench.cluster_planning import NO_SERVERS
from bench.idle_tasks import NoConnections
from cluster import crew
from cluster.client import FleetingClient
from cluster.station import MOST_PUBLISHED, TOPIC, Answer
from model.cluster import Cluster
from model.errors import CancelledError
from scheduling.scheduler import Workers
from scheduling.work import HiredWorkers
from tests.dask_cluster import DaskCluster
from tests.file_tasks import (
    Answers,
    AnswersOnTheSecondTime,
    DiesOnce,
    FailsOddly,
    MovesOnTheSecondTime,
    NamedTask,
    RemarksAThousandTimes,
)
from tests.harness import ROOT, wait_until
from tests.scenes import Scene

Told = list[dict[str, Any]]


@contextmanager
def working(
    cluster: DaskCluster, count: int = 4, lost_after: int = 60
) -> Iterator[tuple[Workers[NoConnections], Told]]:
    """Workers of a cluster, and what they publish, as somebody else hears it."""
    told: Told = []
    with (
        crew.connected(NO_SERVERS, Cluster(cluster.address, lost_after=lost_after), print) as made,
        Client(cluster.address, set_as_default=False) as other,
    ):
        other.subscribe_topic(TOPIC, lambda event: told.append(event[1]))
        hired: HiredWorkers[NoConnections] = made.workers(count, (), None, None)
        try:
            yield hired, told
        finally:
            hired.stop(1)
            hired.close()


def answers(told: Told) -> list[Answer | None]:
    """What was published of answers; None for one that is to be fetched."""
    packed = [one["answer"] for one in told if "key" in one]
    return [None if one is None else pickle.loads(one) for one in packed]


def ended(workers: Workers[NoConnections], future: Future[object]) -> object:
    """What a task came to, while somebody looks after the workers as a run does."""

    def is_done() -> bool:
        workers.remarks()
        return future.done()

    wait_until(is_done, "the task has ended", timeout=40)
    return future.result()


def test_a_short_answer_comes_with_the_reports(cluster: DaskCluster, tmp_path: Path) -> None:
    with working(cluster) as (workers, told):
        assert workers.submit(Answers(tmp_path, 100), "working").result(20) == bytes(100)
        wait_until(lambda: answers(told) == [Answer(bytes(100))], "it was published")


def test_a_long_answer_is_fetched(cluster: DaskCluster, tmp_path: Path) -> None:
    size = 20 * MOST_PUBLISHED
    with working(cluster) as (workers, told):
        # Nobody looks after the workers meanwhile: that it is there is published.
        assert workers.submit(Answers(tmp_path, size), "working").result(20) == bytes(size)
        wait_until(lambda: answers(told) == [None], "it was published that there is one")


def test_the_answer_of_a_task_that_was_given_up_does_not_count(cluster: DaskCluster, tmp_path: Path) -> None:
    task = AnswersOnTheSecondTime(tmp_path)
    with working(cluster) as (workers, told):
        first = workers.submit(task, "working")
        wait_until((tmp_path / "first-began").exists, "it began")
        workers.give_up(task.label)
        with pytest.raises(CancelledError):
            first.result(5)
        second = workers.submit(task, "working")
        wait_until(lambda: len(answers(told)) == 1, "the first one's late answer is there", timeout=20)
        (late,) = answers(told)
        assert late is not None and isinstance(late.error, CancelledError)
        wait_until((tmp_path / "again-began").exists, "it began again")
        assert not second.done()
        (tmp_path / "again-may-end").touch()
        assert ended(workers, second) == "again"
        (tmp_path / "first-may-end").touch()


def test_a_task_that_is_begun_again_where_it_still_hangs_is_not_ended_with_what_hangs(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    task = MovesOnTheSecondTime(tmp_path)
    with DaskCluster(tmp_path_factory.mktemp("cluster"), workers=1) as one, working(one) as (workers, told):
        workers.submit(task, "working")
        wait_until((tmp_path / "first-began").exists, "it began")
        workers.give_up(task.label)
        second = workers.submit(task, "working")
        wait_until((tmp_path / "again-began").exists, "it began again")
        wait_until(lambda: len(answers(told)) == 1, "the worker has noticed that the first one is given up")
        (tmp_path / "again-may-end").touch()
        assert ended(workers, second) == "again"
        assert workers.remarks() == []
        (tmp_path / "first-may-end").touch()


def test_a_task_that_was_lost_is_given_to_one_other_while_its_cancellation_takes_its_time(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = FleetingClient.cancel

    def cancel_slowly(client: FleetingClient, *arguments: object, **options: object) -> None:
        time.sleep(1)
        cancel(client, *arguments, **options)

    monkeypatch.setattr(FleetingClient, "cancel", cancel_slowly)
    with working(cluster) as (workers, told), Client(cluster.address, set_as_default=False) as other:
        future = workers.submit(AnswersOnTheSecondTime(tmp_path), "working")
        wait_until((tmp_path / "first-began").exists, "it began")
        (key,) = other.run_on_scheduler(
            lambda dask_scheduler: [one for one in dask_scheduler.tasks if " Answers" in one]
        )
        other.cancel([DaskFuture(key, other)], force=True)
        remarks: list[str] = []
        until = time.monotonic() + 3
        while time.monotonic() < until:
            remarks += [one.words for one in workers.remarks()]
            time.sleep(0.05)
        (tmp_path / "again-may-end").touch()
        (tmp_path / "first-may-end").touch()
        assert ended(workers, future) == "again"
        assert remarks == ["🔁 somebody else had the cluster cancel its task; another does its work (attempt 2 of 5)"]
        wait_until(lambda: len(answers(told)) == 2, "both have answered")
        # Nor does another one answer later.
        assert ended(workers, workers.submit(Answers(tmp_path, 1), "working")) == bytes(1)
        assert len(answers(told)) == 3


def test_a_task_that_is_given_up_as_it_answers_may_have_been_done(cluster: DaskCluster, tmp_path: Path) -> None:
    task = AnswersOnTheSecondTime(tmp_path)
    for name in ("first", "again"):
        (tmp_path / f"{name}-may-end").touch()
    with working(cluster) as (workers, _):
        assert ended(workers, workers.submit(task, "working")) == "first"
        workers.give_up(task.label)
        assert ended(workers, workers.submit(task, "working")) == "again"


def test_a_task_taken_from_a_busy_worker_may_have_been_done_there(cluster: DaskCluster, tmp_path: Path) -> None:
    free = tmp_path / "free"

    def keep_busy() -> None:
        while not free.exists():
            time.sleep(0.05)

    with working(cluster, lost_after=2) as (workers, _), Client(cluster.address, set_as_default=False) as other:
        threads = [worker for worker, count in other.nthreads().items() for _ in range(count)]
        theirs = [other.submit(keep_busy, workers=[worker], pure=False) for worker in threads]
        wait_until(lambda: sum(map(len, other.processing().values())) == len(theirs), "both workers are busy")
        future = workers.submit(AnswersOnTheSecondTime(tmp_path), "working")
        wait_until(
            lambda: any("busy with tasks of others" in one.words for one in workers.remarks()), "it is given to others"
        )
        free.touch()
        (tmp_path / "again-may-end").touch()
        assert ended(workers, future) == "again"
        other.gather(theirs)


def test_an_error_that_cannot_be_unpacked_is_told_in_its_words(cluster: DaskCluster, tmp_path: Path) -> None:
    with working(cluster) as (workers, _), pytest.raises(RuntimeError, match="OddError: it went wrong 7"):
        workers.submit(FailsOddly(tmp_path), "working").result(20)


def test_remarks_come_in_their_order_and_before_the_answer(cluster: DaskCluster, tmp_path: Path) -> None:
    with working(cluster) as (workers, _):
        for _ in range(10):
            workers.submit(RemarksAThousandTimes(tmp_path), "working").result(20)
            assert [one.words for one in workers.remarks()] == [str(number) for number in range(1000)]


@pytest.mark.parametrize(
    "name", ["Ж'\"\\()%s\n-1", "x" * 128, "a-1-b", "('a', 1)", "\ud800 half a pair"], ids=lambda name: ascii(name)[:20]
)
def test_names_of_all_kinds_go_through_the_scheduler(cluster: DaskCluster, tmp_path: Path, name: str) -> None:
    with working(cluster) as (workers, _):
        assert workers.submit(NamedTask(tmp_path, name), "working").result(20) == name


def test_a_worker_that_dies_between_doing_and_answering(own_cluster: DaskCluster, tmp_path: Path) -> None:
    with working(own_cluster) as (workers, told):
        future = workers.submit(DiesOnce(tmp_path), "working")
        assert ended(workers, future) == ("by the first", True)
        wait_until(lambda: answers(told) == [Answer(("by the first", True))], "only the second one answered")
    assert [one.poll() is None for one in own_cluster.workers].count(False) == 1


def test_answers_that_are_never_heard_are_fetched(scene: Scene, own_cluster: DaskCluster, tmp_path: Path) -> None:
    folder = tmp_path / "deaf"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "from distributed import Worker\n"
        "publish = Worker.log_event\n"
        "def some(self, topic, told):\n"
        "    if 'key' not in told:\n"
        "        publish(self, topic, told)\n"
        "Worker.log_event = some\n"
    )
    for worker in own_cluster.workers:
        worker.kill()
        worker.wait()
    for _ in range(2):
        own_cluster.wait_to_join(own_cluster.add_worker(environment={"PYTHONPATH": f"{folder}:{ROOT}"}))
    finished = scene.run("--cluster", own_cluster.address)
    assert finished.code == 0, finished.text
    assert "another does its work" not in finished.out
    scene.assert_equal()


def test_runs_leave_no_topics_of_their_own_behind(scene: Scene, own_cluster: DaskCluster) -> None:
    for _ in range(2):
        assert scene.run("--cluster", own_cluster.address, "--new-session").code == 0
    with Client(own_cluster.address, set_as_default=False) as client:
        assert [topic for topic in client.get_events() if "replication" in topic] == [TOPIC]

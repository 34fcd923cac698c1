"""A worker that is taken for lost and comes back from the dead commits nothing twice, and nothing into a newer load."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.dask_cluster import DaskCluster
from tests.harness import wait_until
from tests.scenes import Scene

LOST = {"CLUSTER_LOST_AFTER": "5"}
COPYING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name ~ '^mssql-to-postgres .+ .+' AND state <> 'idle'
"""


@contextmanager
def frozen_worker(scene: Scene, cluster: DaskCluster, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run, one of whose two workers is stopped in the midst of a chunk, while the source goes on answering."""
    with scene.stopped_in_the_big_table("--cluster", cluster.address, "--workers", "2", *arguments, **LOST) as process:
        frozen = cluster.workers[0]
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            scene.proxy.resume()
            yield process
        finally:
            os.kill(frozen.pid, signal.SIGCONT)


def test_a_worker_that_stands_still_and_comes_back_doubles_nothing(scene: Scene, own_cluster: DaskCluster) -> None:
    with frozen_worker(scene, own_cluster) as process:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, out + err
        assert "has been silent for 5 s; another does its work (attempt 2 of 5)" in out
        scene.assert_equal()
    wait_until(lambda: not scene.query(COPYING), "the worker that came back has let go")
    scene.assert_equal()


def test_the_checkpoint_alone_is_enough(scene: Scene, own_cluster: DaskCluster) -> None:
    """As where the run may not end other connections, so that what was lost and its successor both copy the chunk."""
    superuser = _superuser(scene)
    scene.query("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend FROM PUBLIC")
    scene.query(
        f"CREATE ROLE copies LOGIN; GRANT ALL ON DATABASE {scene.database} TO copies;"
        " GRANT ALL ON SCHEMA public TO copies;"
        " ALTER TABLE big OWNER TO copies; ALTER TABLE few OWNER TO copies; ALTER TABLE later OWNER TO copies"
    )
    scene.workplace = scene.workplace.with_settings(PGUSER="copies")
    try:
        with scene.stopped_in_the_big_table(
            "--cluster", own_cluster.address, "--workers", "2", "--log-file", "run.log", **LOST
        ) as process:
            frozen = own_cluster.workers[0]
            os.kill(frozen.pid, signal.SIGSTOP)
            scene.proxy.resume()
            wait_until(lambda: "has been silent" in _log(scene), "the worker is taken for lost", timeout=60)
            # It goes on as if nothing had been, beside those that do its work.
            os.kill(frozen.pid, signal.SIGCONT)
            out, err = process.communicate(timeout=90)
        assert process.returncode == 0, out + err
        assert "could not be ended: permission denied" in out
        scene.assert_equal()
        wait_until(lambda: not scene.query(COPYING), "the worker that came back has let go")
        scene.assert_equal()
    finally:
        scene.query("GRANT EXECUTE ON FUNCTION pg_catalog.pg_terminate_backend TO PUBLIC")
        scene.query(f"REASSIGN OWNED BY copies TO {superuser}; DROP OWNED BY copies; DROP ROLE copies")


def test_nothing_gets_into_a_newer_session(scene: Scene, own_cluster: DaskCluster) -> None:
    with frozen_worker(scene, own_cluster) as process:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        own_cluster.add_worker()
        # The frozen worker's own transactions are in the way of emptying the table until somebody ends them.
        scene.query(f"SELECT pg_terminate_backend(pid) FROM ({COPYING}) AS t")
        newer = scene.run("--new-session", "--tables", "Big,Few,Later")
        assert newer.code == 0, newer.text
        scene.assert_equal()
    wait_until(lambda: not scene.query(COPYING), "the worker that came back has let go")
    scene.assert_equal()


def test_a_worker_that_was_silent_and_is_back_gets_tasks_again(scene: Scene, own_cluster: DaskCluster) -> None:
    arguments = ("--cluster", own_cluster.address, "--workers", "1", "--log-file", "run.log")
    with scene.stopped_in_the_big_table(*arguments, **LOST) as process:
        idle, busy = sorted(own_cluster.workers, key=lambda one: len(_backends_of(scene, own_cluster.address_of(one))))
        os.kill(idle.pid, signal.SIGSTOP)
        # The only one that is left is given its task, and says nothing.
        busy.kill()
        busy.wait()
        scene.proxy.resume()
        wait_until(lambda: "has been silent" in _log(scene), "the worker is taken for lost", timeout=60)
        os.kill(idle.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    scene.assert_equal()


def _backends_of(scene: Scene, address: str) -> list[tuple[object, ...]]:
    port = address.rpartition(":")[2]
    return scene.query(f"SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'mssql-to-postgres % %:{port}'")


def _log(scene: Scene) -> str:
    log = scene.workplace.folder / "run.log"
    return log.read_text(encoding="utf-8") if log.exists() else ""


def _superuser(scene: Scene) -> str:
    ((name,),) = scene.query("SELECT current_user")
    return str(name)

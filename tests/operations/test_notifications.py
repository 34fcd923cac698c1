"""Others are told of a run, by a real HTTP server that is well, ill, late or silent; the run is not changed by it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from operations import notifications
from operations.metrics import write_metrics
from operations.notifications import Notification, NotToldError, changes, is_due, post, text
from operations.run_result import RunResult, TableResult
from tests.samples import Shop

SECRET = "T0P-S3CR3T-path"
GOOD = RunResult("sync-data.py", (), "s", "2025-12-16T01:00:00", "2025-12-16T01:00:09", 0, "all tables are completed")


@dataclass
class Hook:
    """An HTTP server that takes what is posted; `behaves` says how it answers."""

    behaves: str = "200"
    posted: list[dict[str, Any]] = field(default_factory=list)
    tries: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Its address, with a secret in its path."""
        return f"http://127.0.0.1:{self.port}/{SECRET}"


@contextmanager
def hook(behaves: str = "200") -> Iterator[Hook]:
    """A server on a port of its own."""
    made = Hook(behaves)
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.tries += 1
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if made.behaves == "never":
                over.wait(60)
                return
            if made.behaves == "drops":
                self.connection.close()
                return
            if made.behaves == "drips":
                while not over.wait(0.1):
                    self.wfile.write(b"HTTP/1.1 200 OK\\r\\nX: " if made.tries < 0 else b"H")
                return
            if made.behaves == "500 once" and made.tries == 1:
                self.send_response(500)
            elif made.behaves.isdigit():
                self.send_response(int(made.behaves))
            else:
                time.sleep(1.0 if made.behaves == "late" else 0)
                self.send_response(200)
            self.end_headers()
            made.posted.append(json.loads(content))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield made
    finally:
        over.set()
        server.shutdown()
        server.server_close()


# -- through the scripts -------------------------------------------------------------------------------


def test_a_failure_is_told_once_with_its_tables_and_no_secret(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13)")
    with hook() as made:
        finished = shop.workplace.with_settings(NOTIFY_URL=made.url).run("data")
    assert finished.code == 1
    (told,) = made.posted
    assert (told["verdict"], told["exit_code"], told["script"]) == ("failed", 1, "sync-data.py")
    assert (told["tables_done"], told["tables_failed"]) == (3, 1)
    assert told["failed"][0]["table"] == "Orders"
    assert "odd" in told["failed"][0]["error"]
    kept = json.loads((shop.workplace.folder / "runs.jsonl").read_text(encoding="utf-8"))
    assert told["run"] == kept["run"]
    everything = finished.text + "".join(path.read_text(encoding="utf-8") for path in shop.workplace.folder.glob("*"))
    assert SECRET not in everything


def test_a_good_run_is_told_only_where_that_is_wished(shop: Shop) -> None:
    shop.ready("data")
    with hook() as made:
        workplace = shop.workplace.with_settings(NOTIFY_URL=made.url)
        assert workplace.run("data").code == 0
        assert made.posted == []
        assert workplace.with_settings(NOTIFY_ON="always", NOTIFY_FORMAT="slack").run("data").code == 0
    (told,) = made.posted
    assert told["text"].startswith("✅ sync-data.py on ")


def test_the_mode_and_the_workers_are_told(shop: Shop) -> None:
    shop.ready("data")
    with hook() as made:
        workplace = shop.workplace.with_settings(NOTIFY_URL=made.url, NOTIFY_ON="always", WORKERS="3")
        assert workplace.run("data", "--refresh", "swap").code == 0
    (told,) = made.posted
    assert (told["modes"], told["workers"], told["cluster"]) == (["swap"], 3, None)
    assert "(swap, 3 workers)" in text(told)
    assert "(swap, 8 workers of the cluster tcp://s:1)" in text({**told, "workers": 8, "cluster": "tcp://s:1"})


def test_a_server_that_answers_late_is_waited_for(shop: Shop) -> None:
    shop.ready("data")
    with hook("late") as made:
        finished = shop.workplace.with_settings(NOTIFY_URL=made.url, NOTIFY_ON="always").run("data")
    assert (finished.code, [one["verdict"] for one in made.posted]) == (0, ["done"])
    assert "NOTIFY_URL" not in finished.err


def test_a_change_is_told_and_nothing_else(shop: Shop) -> None:
    shop.ready("data")
    with hook() as made:
        workplace = shop.workplace.with_settings(NOTIFY_URL=made.url, NOTIFY_ON="change")
        assert workplace.run("data").code == 0
        assert workplace.run("data").code == 0
        shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13) NOT VALID")
        assert workplace.run("data").code == 1
        assert workplace.run("data", "--resume").code == 1
        shop.query("ALTER TABLE orders DROP CONSTRAINT odd")
        assert workplace.run("data", "--resume").code == 0
    assert [one["verdict"] for one in made.posted] == ["done", "failed", "done"]
    assert "mended: Orders" in made.posted[-1]["changes"]


@pytest.mark.parametrize(
    ("behaves", "words"),
    [
        ("403", "it answered 403"), ("500", "it answered 500"), ("drops", "RemoteProtocolError"),
        ("never", "no answer within 25 s"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_take_it_is_a_warning_and_no_more(shop: Shop, behaves: str, words: str) -> None:
    shop.ready("data")
    with hook(behaves) as made:
        finished = shop.workplace.with_settings(NOTIFY_URL=made.url, NOTIFY_ON="always").run("data")
    assert finished.code == 0
    assert f"WARNING: 127.0.0.1 was not told of this run (NOTIFY_URL): {words}" in finished.err
    assert SECRET not in finished.text


def test_settings_that_are_wrong_are_told_too(shop: Shop) -> None:
    with hook() as made:
        finished = shop.workplace.with_settings(NOTIFY_URL=made.url, MSSQL_HOST="").run("data")
    assert finished.code == 2
    (told,) = made.posted
    assert told["verdict"] == "refused"
    assert "MSSQL_HOST is missing" in told["ended_because"]


def test_metrics_of_both_scripts_stand_in_one_file_that_everybody_may_read(shop: Shop) -> None:
    path = shop.workplace.folder / "metrics" / "replicator.prom"
    path.parent.mkdir()
    workplace = shop.workplace.with_settings(METRICS_FILE=str(path))
    assert workplace.run("schema").code == 0
    assert workplace.run("data").code == 0
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13) NOT VALID")
    assert workplace.run("data").code == 1
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    found = {
        (
            sample.name.removeprefix("mssql_to_postgres_"),
            sample.labels["script"],
            sample.labels.get("state"),
        ): sample.value
        for family in text_string_to_metric_families(path.read_text(encoding="utf-8"))
        for sample in family.samples
    }
    assert found["last_run_success", "replicate-schema.py", None] == 1
    assert found["last_run_success", "sync-data.py", None] == 0
    assert found["last_run_exit_code", "sync-data.py", None] == 1
    assert found["last_run_tables", "sync-data.py", "done"] == 3
    assert found["last_run_tables", "sync-data.py", "failed"] == 1
    assert (
        0
        < found["last_success_timestamp_seconds", "sync-data.py", None]
        <= found["last_run_timestamp_seconds", "sync-data.py", None]
    )


def test_metrics_that_cannot_be_written_are_a_warning(shop: Shop) -> None:
    shop.ready("data")
    finished = shop.workplace.with_settings(METRICS_FILE=str(shop.workplace.folder / "no" / "x.prom")).run("data")
    assert finished.code == 0
    assert "WARNING: METRICS_FILE " in finished.err


# -- by themselves -------------------------------------------------------------------------------------


def test_a_server_that_fails_once_is_asked_again() -> None:
    with hook("500 once") as made:
        post(Notification(made.url), {"a": 1})
    assert made.tries == 2


@pytest.mark.parametrize("behaves", ["never", "drips"])
def test_a_server_that_does_not_answer_is_given_up(behaves: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "TOTAL_S", 1.0)
    with hook(behaves) as made, pytest.raises(NotToldError, match="no answer within 1 s") as told:
        post(Notification(made.url), {})
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("url", ["no address", "ftp://example.com/x", "http://", "http://127.0.0.1:1/x"])
def test_what_cannot_be_posted_to_is_said_in_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "PAUSE_S", 0.0)
    with pytest.raises(NotToldError, match="was not told of this run"):
        post(Notification(url), {})


def test_what_a_change_is() -> None:
    bad = replace(GOOD, exit_code=1, tables=(TableResult("A", "failed", error="x"),))
    other = replace(GOOD, exit_code=1, tables=(TableResult("A", "completed"), TableResult("B", "failed")))
    assert is_due("change", GOOD, None)
    assert not is_due("change", GOOD, GOOD)
    assert changes(bad, GOOD) == ("failed, the run before: done", "newly failed: A")
    assert changes(other, bad) == ("newly failed: B", "mended: A")
    assert changes(replace(GOOD, gone={"C": "2025-12-16"}), GOOD) == ("newly gone at the source: C",)
    assert is_due("failure", bad, bad)
    assert not is_due("failure", GOOD, bad)


@given(st.text(), st.text())
def test_hostile_names_stay_on_their_lines(table: str, error: str) -> None:
    bad = replace(GOOD, exit_code=1, tables=(TableResult(table, "failed", error=error),))
    assert text(notifications.summary(bad, None)).count("\n") == 2


@given(folder=st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_hostile_names_of_folders_do_no_harm_to_metrics(tmp_path_factory: pytest.TempPathFactory, folder: str) -> None:
    path = tmp_path_factory.mktemp("metrics") / "x.prom"
    for _ in range(2):
        write_metrics(path, GOOD, path.parent / folder)
    families = list(text_string_to_metric_families(path.read_text(encoding="utf-8")))
    assert {len(family.samples) for family in families if family.name.endswith("last_run_success")} == {1}

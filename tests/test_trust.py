"""What others must not get out of a run or put into it: rights of files, links, control characters, secrets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Check, Database
from model.errors import SettingsError
from model.settings import Secrets
from model.visible import json_text, on_one_line, visible
from standin.server import PASSWORD
from tests.harness import ROOT, Workplace, clean_environment, wait_until
from tests.samples import (
    EARLIER,
    SHOP_KEYS,
    TEXT,
    MakeWorkplace,
    Serve,
    Shop,
    both_scripts,
    labelled,
    processed,
    query,
    statuses,
    table,
    write_progress,
)
from tests.terminals import on_terminal


def rights(file: Path) -> int:
    """Who may do what with a file."""
    return file.stat().st_mode & 0o777


# -- files -------------------------------------------------------------------------------------------------


def test_every_file_of_a_run_is_its_owners_alone(own_shop: Shop) -> None:
    own_shop.workplace.run("schema")
    own_shop.query("ALTER TABLE products ADD CONSTRAINT few CHECK (id < 4)")
    before = os.umask(0)
    try:
        assert own_shop.workplace.run("schema", "--resume").code == 0
        assert own_shop.workplace.run("schema", "--check").code == 0
        assert own_shop.workplace.run("data", "--on-error", "reject").code == 1
    finally:
        os.umask(before)
    files = [file for file in own_shop.workplace.folder.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"data_sync_progress.json", "schema_report.json", "schema_report.md", "Products.jsonl"} <= names
    assert {file.name: oct(rights(file)) for file in files} == {file.name: "0o600" for file in files}
    assert rights(own_shop.workplace.folder / "rejects") == 0o700


def test_a_linked_progress_file_is_written_through_and_locked_where_it_is(shop: Shop) -> None:
    shop.ready("data")
    real = shop.workplace.folder / "elsewhere" / "real.json"
    real.parent.mkdir()
    write_progress(real, "data", Customers="completed")
    real.chmod(0o640)
    for name in ("link.json", "other-link.json"):
        (shop.workplace.folder / name).symlink_to(real)
    blocker = shop.target.connect(shop.database)
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE orders")
    process = shop.workplace.start("data", "--resume", "--progress-file", "link.json")
    try:
        wait_until(lambda: statuses(real).get("Orders") == "in_progress", "the first run is under way")
        second = shop.workplace.run("data", "--resume", "--progress-file", "other-link.json")
        third = shop.workplace.run("data", "--resume", "--progress-file", "elsewhere/real.json")
    finally:
        blocker.close()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert (second.code, third.code) == (4, 4)
    assert (shop.workplace.folder / "link.json").is_symlink()
    assert statuses(real) == dict.fromkeys(SHOP_KEYS, "completed")
    assert rights(real) == 0o640
    assert sorted(file.name for file in shop.workplace.folder.iterdir()) == [
        "elsewhere", "link.json", "other-link.json", "run_report.html", "runs.jsonl",
    ]  # fmt: skip


@both_scripts
def test_a_pipe_or_a_device_as_progress_file_is_refused_at_once(shop: Shop, script: str) -> None:
    shop.ready(script)
    os.mkfifo(shop.workplace.folder / "pipe.json")
    (shop.workplace.folder / "circle.json").symlink_to("circle.json")
    (shop.workplace.folder / "null.json").symlink_to("/dev/null")
    for named, words in (
        ("pipe.json", "a pipe"), ("/dev/null", "a device"), ("null.json", "a device"), (".", "a folder"),
        ("circle.json", "circle.json"),
    ):  # fmt: skip
        for more in ([], ["--resume"], ["--reset"]):
            finished = shop.workplace.run(script, "--progress-file", named, *more, timeout=30)
            assert finished.code == 2, finished.text
            assert words in finished.err
            assert "Traceback" not in finished.text
    assert shop.done(script) == []


# -- control characters ------------------------------------------------------------------------------------

EVIL = "a\x1b[2J\x9b1mb\u202egpj.[red]x[/red]\ny"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture
def evil(serve: Serve, make_workplace: MakeWorkplace) -> Workplace:
    """A table whose name, columns and checks hold what terminals obey."""
    check = Check("CK_\x1b]0;owned\x07", "([id]<(3) or [label]=N'\x1b[31m' or x'\x9b')")
    made = replace(table(EVIL, "dbo", **{"label": TEXT, "c\x1b[1m": TEXT}), checks=(check,), primary_key=None)
    database = Database("shop", (made, table("Plain")))
    return make_workplace(serve(database, {f"dbo.{EVIL}": [(1, "x", "\x1b[31mred"), (1, "y", "z")]}), database)


def test_control_characters_never_reach_a_log_or_a_report(evil: Workplace) -> None:
    runs = [
        evil.run("schema"), evil.run("schema", "--check"), evil.run("data"), evil.run("data", "--verify"),
        evil.run("data", "--tables", "Nowhere\x1b[2J"), evil.run("data", "--start-from-table", "Nowhere\x9b2J"),
    ]  # fmt: skip
    for finished in runs:
        assert not RAW.search(finished.text), finished.text
    assert runs[0].code == runs[2].code == 0, runs[0].text + runs[2].text
    assert r"Processing: [a\x1b" in runs[0].out
    assert r"\ny]" in runs[0].out
    assert "✅" in runs[2].out
    reports = ("schema_report.md", "schema_report_details.md", "schema_report.json")
    for name in (*reports, "schema_check.json", "data_sync_progress.json"):
        assert not RAW.search((evil.folder / name).read_text(encoding="utf-8")), name
    keys = [f"[{EVIL.replace(']', ']]')}]", "Plain"]
    assert sorted(json.loads(evil.data_progress.read_text(encoding="utf-8"))["tables"]) == sorted(keys)
    again = evil.run("data", "--resume")
    assert (again.code, processed(again.out)) == (0, [])


def test_a_newline_in_a_name_makes_no_line_of_its_own(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.query('ALTER TABLE orders ADD CONSTRAINT "few\n✅ 20 rows synced successfully" CHECK (id < 4)')
    for script in ("data", "schema"):
        finished = own_shop.workplace.run(script, "--tables", "dbo.Orders")
        assert not [line for line in finished.out.splitlines() if line.startswith("✅ 20 rows")], finished.out


def test_rejected_rows_are_listed_with_escapes(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.query("ALTER TABLE products ADD CONSTRAINT few CHECK (id < 4)")
    own_shop.source.execute("UPDATE dbo.Products SET label = 'a\x9b\x7f\u202eb\x1b' WHERE id = 5")
    assert own_shop.workplace.run("data", "--on-error", "reject").code == 1
    text = (own_shop.workplace.folder / "rejects" / "Products.jsonl").read_text(encoding="utf-8")
    assert not RAW.search(text)
    rows = [json.loads(line) for line in text.splitlines()]
    assert "a\x9b\x7f\u202eb\x1b" in json.dumps(rows[-1], ensure_ascii=False).replace("\\u001b", "\x1b")


def test_servers_words_with_control_characters_are_shown_as_escapes(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.query('ALTER TABLE orders ADD CONSTRAINT "few\x1b[2J" CHECK (id < 4)')
    failed = own_shop.workplace.run("data", "--debug")
    assert failed.code == 1
    assert not RAW.search(failed.text)
    assert r"few\x1b[2J" in failed.out


def test_a_terminal_gets_neither_controls_nor_markup_of_a_name(evil: Workplace) -> None:
    assert evil.run("schema").code == 0
    code, shown = on_terminal(evil)
    assert code == 0, shown
    assert "\x1b[2J" not in shown
    assert "\x9b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[2J\x9b1mb\u202egpj.[red" in shown


def test_visible_keeps_what_people_write() -> None:
    kept = "✅ Größe → 商品🎉 ⏭️ a\nb Ελλάδα עברית 👩‍👩‍👧"
    assert visible(kept) == kept
    assert visible("\x1b[2J\x7f\x9b\u202e\t") == r"\x1b[2J\x7f\x9b\u202e\x09"
    assert on_one_line("a\nb") == r"a\nb"
    assert json.loads(json_text({"\x9b": "\u2028\ud800é\n"})) == {"\x9b": "\u2028\ud800é\n"}
    assert json_text("\x9bé\ud800") == r'"\u009bé\ud800"'


# -- secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:Tail@Secret1@host:5432/db", "postgresql://me:12/Secret1@host/db",
        "postgresql://me:12@Secret1/x@h",
        "postgresql://me:Top/Secret1@host:5432/db", "postgresql://me:Top?Secret1@host:5432/db",
        "postgresql://me:a b Secret1@host/db", "postgresql://me:Secret1@host:port/db",
        "host=h password=x Secret1 dbname=d",
        "postgres://me:%zzSecret1@host/db",
    ],
)  # fmt: skip
def test_an_address_that_is_not_escaped_shows_nothing_of_the_password(shop: Shop, address: str) -> None:
    finished = shop.workplace.with_settings(DATABASE_URL=address).run("data")
    assert finished.code in (2, 3), finished.text
    assert "Secret1" not in finished.text
    assert "DATABASE_URL" in finished.err or "cannot be used" in finished.err


@pytest.mark.parametrize("password", ["a", "e", "1", "o", "***"])
def test_a_short_password_neither_shows_nor_garbles(shop: Shop, password: str) -> None:
    workplace = shop.workplace.with_settings(MSSQL_PASSWORD=password)
    refused = workplace.run("data")
    assert refused.code == 3
    clear = shop.workplace.with_settings(MSSQL_PASSWORD="quite another").run("data")
    assert refused.text == clear.text
    target = shop.workplace.with_settings(PGPASSWORD=password, PGPORT="1")
    assert target.run("data").text == shop.workplace.with_settings(PGPORT="1").run("data").text


def test_secrets_are_hidden_where_they_stand() -> None:
    secrets = Secrets(("s3cret;}x9", "a", "orders"))
    hidden = {
        "PWD={s3cret;}}x9};UID=me": "PWD=***;UID=me",
        "Pwd=a;UID=me": "Pwd=***;UID=me",
        "password=a host=b": "password=*** host=b",
        r"password='a\'b c' host=b": "password=*** host=b",
        "postgresql://me:a@host/db": "postgresql://me:***@host/db",
        "postgres://me:a@b@host/db and more": "postgres://me:***@host/db and more",
        "the words s3cret;}x9 again": "the words *** again",
        "table orders has a row": "table orders has a row",
        "https://example.org/a:b@c": "https://example.org/a:b@c",
    }
    assert {text: secrets.hide(text) for text in hidden} == hidden


def test_a_password_is_in_no_file_and_no_process_list(shop: Shop) -> None:
    shop.ready("data")
    workplace = shop.workplace.with_settings(PGPASSWORD="S3cret-of-target")
    blocker = shop.target.connect(shop.database)
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE orders")
    process = workplace.start("data", "--debug")
    try:
        wait_until(
            lambda: workplace.data_progress.exists() and statuses(workplace.data_progress)["Orders"] == "in_progress",
            "it runs",
        )
        listed = subprocess.run(["ps", "-ef"], capture_output=True, text=True, check=True).stdout
        holder = (workplace.folder / "data_sync_progress.json.lock.holder").read_text(encoding="utf-8")
    finally:
        blocker.close()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    for text in (listed, holder, out, err, workplace.data_progress.read_text(encoding="utf-8")):
        assert "S3cret-of-target" not in text
        assert PASSWORD not in text


def test_whole_settings_keep_secrets_out_of_their_own_text() -> None:
    settings = load_settings(
        None,
        {
            "MSSQL_CONNECTION_STRING": "Driver=x;Server=h;UID=u;PWD={p;w}}1};Database=d",
            "DATABASE_URL": "postgresql://u:p%40ss@h:5/d?sslpassword=key-word",
        },
    )
    shown = f"{settings} {settings.source.label} {settings.target.label}"
    assert not re.search(r"p;w|p@ss|p%40ss|key-word", shown)
    assert settings.target.label == "h:5/d"


def test_an_address_with_a_host_after_two_at_signs_is_refused_with_advice() -> None:
    with pytest.raises(SettingsError, match="%40"):
        load_settings(None, {"MSSQL_CONNECTION_STRING": "Driver=x", "DATABASE_URL": "postgresql://u:p@ss@h/d"})


# -- what cannot be shown ----------------------------------------------------------------------------------

SCRIPTS = {"schema": "$replicate-schema.py", "data": "$sync-data.py"}
MANY = Database("shop", tuple(table(f"T{number:02}") for number in range(1, 13)))


def _shell(workplace: Workplace, command: str) -> tuple[int, str]:
    ran = subprocess.run(
        ["bash", "-c", command.replace("$", f"{sys.executable} {ROOT}/")], cwd=workplace.folder,
        env=clean_environment(workplace.environment), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


@both_scripts
@pytest.mark.parametrize(
    "where", ["| head -n 1", "| true", "> /dev/full", ">&-", "2>&-", ">&- 2>&-", "< /dev/null > /dev/full 2>&1", "<&-"]
)
def test_an_output_that_takes_nothing_stops_no_run(
    serve: Serve, make_workplace: MakeWorkplace, script: str, where: str
) -> None:
    rows = {f"dbo.{one.name}": labelled(5) for one in MANY.tables}
    workplace = make_workplace(serve(MANY, rows), MANY)
    if script == "data":
        assert workplace.run("schema").code == 0
    code, text = _shell(workplace, f"set -o pipefail; {SCRIPTS[script]} {where}")
    assert code == 0, text
    assert "fault of this tool" not in text
    assert "Exception ignored" not in text
    assert "Traceback" not in text
    progress = workplace.schema_progress if script == "schema" else workplace.data_progress
    assert set(statuses(progress, script).values()) == {"completed"}


@pytest.mark.parametrize("where", ["| head -n 1", "> /dev/full"])
def test_what_a_load_suspended_is_back_though_nobody_reads_what_is_said(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str, where: str
) -> None:
    database = Database("shop", (table("Big"),))
    rows = {"dbo.Big": "SELECT i, 'row ' || i FROM range(100000) AS t(i)"}
    workplace = make_workplace(serve(database, rows), database)
    assert workplace.run("schema").code == 0
    query(target, target_database, "CREATE INDEX by_label ON big (label)")
    code, text = _shell(workplace, f"set -o pipefail; $sync-data.py {where}")
    assert code == 0, text
    found = "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid"
    assert query(target, target_database, found) == [(2,)]
    assert query(target, target_database, "SELECT count(*) FROM big") == [(100_000,)]


def test_errors_keep_their_exit_code_without_an_output(shop: Shop) -> None:
    for where in ("2>&-", "2> /dev/full", ">&- 2>&-"):
        code, text = _shell(shop.workplace, f"$sync-data.py --tables Nowhere {where}")
        assert code == 2, text
    code, text = _shell(shop.workplace, "set -o pipefail; $sync-data.py --help | true")
    assert (code, text) == (0, "")


def test_a_dry_run_that_cannot_be_written_whole_is_not_taken_for_one(shop: Shop) -> None:
    code, text = _shell(shop.workplace, "$replicate-schema.py --dry-run > /dev/full")
    assert code == 2
    assert "No space left" in text
    code, text = _shell(shop.workplace, "set -o pipefail; $replicate-schema.py --dry-run | head -n 1")
    assert code == 0
    assert text == "-- DDL as replicate-schema.py would run it.\n"


# -- limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limited", ["role", "database"])
def test_more_workers_than_connections_are_fewer_workers_and_told(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str, limited: str
) -> None:
    workplace = make_workplace(serve(MANY, {f"dbo.{one.name}": labelled(50) for one in MANY.tables}), MANY)
    query(
        target, target_database,
        f"DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN; ALTER DATABASE {target_database} OWNER TO modest;"
        "GRANT ALL ON SCHEMA public TO modest",
    )  # fmt: skip
    query(
        target, "postgres",
        "ALTER ROLE modest CONNECTION LIMIT 3" if limited == "role"
        else f"ALTER DATABASE {target_database} CONNECTION LIMIT 3",
    )  # fmt: skip
    try:
        modest = workplace.with_settings(PGUSER="modest", WORKERS="8")
        assert modest.run("schema").code == 0
        for arguments in ((), ("--then-verify",), ("--verify",)):
            finished = modest.run("data", *arguments)
            assert finished.code == 0, finished.text
            assert re.search(
                "8 workers need more connections than PostgreSQL has left .* [123] workers? instead", finished.out
            )
        assert set(statuses(workplace.data_progress).values()) == {"completed"}
    finally:
        query(target, target_database, "REASSIGN OWNED BY modest TO postgres; DROP OWNED BY modest; DROP ROLE modest")


@pytest.mark.parametrize(
    ("name", "value"),
    [("WORKERS", "²"), ("WORKERS", "9" * 5000), ("CHUNK_ROWS", "٣"), ("MSSQL_PORT", "①"), ("PGPORT", "²")],
)
def test_numbers_that_are_none_are_refused_by_name(shop: Shop, name: str, value: str) -> None:
    finished = shop.workplace.with_settings(**{name: value}).run("data")
    assert finished.code == 2, finished.text
    assert name in finished.err
    assert "Traceback" not in finished.text


@pytest.mark.parametrize(
    "text",
    [
        '{"tables": {"Orders": {"data": {"status": "completed", "rows_synced": %s}}}}' % ("9" * 5000),
        '{"tables": {"Orders": {"data": {"status": "completed", "rows_synced": %s}}}}' % ("9" * 4000),
        '{"session_id": "\\ud800", "tables": {}}',
        '{"consistency": {"database": "\\udfff"}, "tables": {}}',
        '{"tables": {"Orders": {"data": {"status": "\\ud800", "error": null}}}}',
        '{"tables": {"\\ud800": {"data": {"status": "oops", "error": null}}}}',
    ],
)  # fmt: skip
def test_odd_values_in_the_progress_file_are_refused_in_words(shop: Shop, text: str) -> None:
    shop.ready("data")
    shop.workplace.data_progress.write_text(text, encoding="utf-8")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 2, finished.text
    assert "data_sync_progress.json cannot be used as it is" in finished.err
    assert "Traceback" not in finished.text
    assert shop.workplace.data_progress.read_text(encoding="utf-8") == text


def test_half_a_character_in_a_name_or_an_error_does_no_harm(shop: Shop) -> None:
    shop.ready("data")
    entry = {"status": "skipped", "error": "half \ud800 of it", "started_at": EARLIER}
    old = {"tables": {"\udc80": {"data": entry}, "Orders": {"data": {**entry, "status": "failed"}}}}
    shop.workplace.data_progress.write_text(json.dumps(old), encoding="utf-8")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 0, finished.text
    kept = json.loads(shop.workplace.data_progress.read_text(encoding="utf-8"))["tables"]["\udc80"]["data"]
    assert kept == entry
    assert shop.workplace.run("data", "--tables", "Nowhere", "--progress-file", "x.json").code == 2

"""What a person sees: whole lines in a pipe, a live bar on a terminal, words where there is no emoji."""

from __future__ import annotations

import re

import pytest

from cli.display.plain import WORDS, in_words
from demo.target import EmbeddedTarget
from model.catalog import Database
from progress import Summary
from run.display import RULE, closing_block, summary_banner
from tests.harness import Proxy, wait_until
from tests.samples import (
    SHOP,
    SHOP_DDL,
    SHOP_ROWS,
    MakeWorkplace,
    Serve,
    Shop,
    entries,
    labelled,
    query,
    statuses,
    table,
    target_tables,
    write_progress,
)
from tests.terminals import on_terminal


def blocks(text: str, title: str) -> list[list[str]]:
    """The lines of each block between rules under a title."""
    pattern = rf"^{RULE}\n{re.escape(title)}\n{RULE}\n(.*?)\n{RULE}$"
    return [found.splitlines() for found in re.findall(pattern, text, re.MULTILINE | re.DOTALL)]


# -- to a pipe -----------------------------------------------------------------------------------


def test_a_pipe_gets_whole_lines_without_control_characters(shop: Shop) -> None:
    for script in ("schema", "data"):
        # A run that a terminal's settings reach, as from a shell's `| tee`.
        finished = shop.workplace.with_settings(TERM="xterm-256color", FORCE_COLOR="1").run(script)
        assert finished.code == 0, finished.text
        assert finished.out.endswith("\n")
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f\x80-\x9f]", finished.text) == []


def test_a_table_is_told_step_by_step(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    source = serve(SHOP, {"dbo.Orders": "SELECT i, i / 4 FROM range(85432) AS t(i)"})
    workplace = make_workplace(source, SHOP)
    query(target, target_database, SHOP_DDL)
    finished = workplace.run("data", "--exclude", "Products", "--workers", "1")
    assert finished.code == 0, finished.text
    told = finished.out[finished.out.index("[2/3]") :].partition("\n\n")[0]
    assert told.splitlines() == [
        "[2/3] Processing: Orders",
        "📊 Syncing dbo.Orders → public.orders",
        "🔍 Reading from MS SQL...",
        "🗑️ Truncating target table...",
        "📝 Writing to PostgreSQL...",
        "✅ 85,432 rows synced successfully",
    ]


def test_the_progress_summary_has_its_lines_and_numbers(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed", Orders="failed", Products="in_progress")
    finished = shop.workplace.run("data", "--resume")
    first, last = blocks(finished.out, "📊 PROGRESS SUMMARY")
    assert first == [
        "Total tables:     4",
        "✅ Completed:     1",
        "❌ Failed:        1",
        "⏳ In Progress:   1",
        "📋 Remaining:     1",
        "📈 Progress:      1/4 (25%)",
    ]
    assert last[1:] == [
        "✅ Completed:     4",
        "⏳ In Progress:   0",
        "📋 Remaining:     0",
        "📈 Progress:      4/4 (100%)",
    ]


def test_the_synchronization_summary_has_its_seven_lines_and_what_failed(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE orders; DROP TABLE products")
    write_progress(shop.workplace.data_progress, "data", Customers="completed")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 1, finished.text
    (summary,) = blocks(finished.out, "Synchronization Summary")
    assert summary[:5] == [
        "Total tables:      4",
        "Successful:        1",
        "Skipped:           1",
        "Failed:            2",
        "Total rows synced: 9",
    ]
    assert re.fullmatch(r"Duration:          [\d,]+\.\d\d seconds", summary[5])
    assert re.fullmatch(r"Throughput:        [\d,]+ rows/second", summary[6])
    assert len(summary) == 7
    ending = finished.out.rpartition(RULE)[2].strip().splitlines()
    assert ending[0] == "⚠️ 2 tables failed to sync"
    assert ending[-1] == "💡 Use --resume to continue from failure point"
    errors = entries(shop.workplace.data_progress)
    assert ending[1:-1] == [f"   ❌ {key}: {errors[key]['error']}" for key in ("Orders", "Products")]


def test_the_summary_returns_every_ten_tables(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    names = [f"T{number:02}" for number in range(1, 24)]
    database = Database("shop", tuple(table(name) for name in names))
    # One worker, so that no table is done before its turn to be told.
    workplace = make_workplace(serve(database, {}), database).with_settings(WORKERS="1")
    made = workplace.run("schema")
    assert made.code == 0, made.text
    assert len(target_tables(target, target_database)) == 23
    finished = workplace.run("data")
    assert finished.code == 0, finished.text
    for out, wanted in ((made.out, None), (finished.out, ["10", "20", "23"])):
        shown = [line for line in out.splitlines() if line.startswith(("[", "✅ Completed:"))]
        numbers = [number for number, line in enumerate(shown) if line.startswith("✅ Completed:")]
        assert numbers == [10, 21, 25]
        counted = [shown[number].rpartition(" ")[2] for number in numbers]
        assert counted == (wanted or counted)
        assert counted[-1] == "23"


def test_an_error_that_ends_the_run_goes_to_standard_error_only(shop: Shop) -> None:
    finished = shop.workplace.with_settings(MSSQL_PORT="1").run("data")
    assert finished.out == ""
    assert finished.err.startswith("❌ ")


def test_lines_are_written_at_once_even_to_a_pipe(shop: Shop) -> None:
    shop.ready("data")
    blocker = shop.target.connect(shop.database)
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("LOCK TABLE products")
    process = shop.workplace.start("data")
    try:
        wait_until(
            lambda: (
                shop.workplace.data_progress.exists()
                and statuses(shop.workplace.data_progress)["Products"] == "in_progress"
            ),
            "the run waits for the lock",
        )
        assert process.stdout is not None
        seen = ""
        while "Processing: Products" not in seen:  # ends only if the line comes while the run waits
            seen += process.stdout.readline()
        assert process.poll() is None
    finally:
        blocker.close()
        process.communicate(timeout=60)
    assert process.returncode == 0


# -- without emoji -------------------------------------------------------------------------------

STRANGE = Database("shop", (table("Größe"), table("商品🎉"), table("Plain")))
STRANGE_ROWS = {"dbo.Größe": labelled(3), "dbo.商品🎉": labelled(8), "dbo.Plain": labelled(2)}


def test_an_ascii_output_gets_words_and_no_name_crashes_it(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    workplace = make_workplace(serve(STRANGE, STRANGE_ROWS), STRANGE).with_settings(
        PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C", LANG="C"
    )
    for script in ("schema", "data"):
        finished = workplace.run(script)
        assert finished.code == 0, finished.text
        assert finished.text.isascii()
        assert "[i] PROGRESS SUMMARY" in finished.out
        assert "[OK] Completed:     3" in finished.out
        assert r"Processing: Gr\xf6\xdfe" in finished.out
        assert r"Processing: \u5546\u54c1\U0001f389" in finished.out
    assert "[i] Syncing dbo.Plain -> public.plain" in finished.out
    assert "[TRUNCATE] Truncating target table..." in finished.out
    assert entries(workplace.data_progress)["商品🎉"]["rows_synced"] == 8
    copied = query(target, target_database, "SELECT label FROM größe ORDER BY id")
    assert copied == [("row 1 ü€",), ("row 2 ü€",), ("row 3 ü€",)]
    refused = workplace.run("data", "--start-from-table", "Große")
    assert refused.code == 2
    assert refused.text.isascii()
    assert r"dbo.Gr\xf6\xdfe" in refused.err


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "cp932", "utf-8"])
def test_every_text_survives_every_encoding(encoding: str) -> None:
    text = " ".join(WORDS) + " Größe 商品🎉 plain"
    shown = in_words(text, encoding)
    assert shown.encode(encoding).decode(encoding) == shown
    assert shown.endswith("plain")


def test_in_words_changes_nothing_that_the_encoding_can_show() -> None:
    assert in_words("✅ Größe → 商品", "utf-8") == "✅ Größe → 商品"
    assert in_words("Größe", "latin-1") == "Größe"
    assert in_words("plain", "ascii") == "plain"


@pytest.mark.parametrize(("emoji", "word"), WORDS.items())
def test_in_words_has_an_ascii_word_for_each_sign(emoji: str, word: str) -> None:
    assert in_words(f"{emoji} 12 rows", "ascii") == f"{word} 12 rows"
    assert word.isascii()


def test_in_words_escapes_what_has_no_word() -> None:
    assert in_words("✅ Größe", "ascii") == r"[OK] Gr\xf6\xdfe"
    assert in_words("✅ Größe", "cp1252") == "[OK] Größe"
    assert in_words("⚠ without its variation selector", "ascii").isascii()


# -- on a terminal -------------------------------------------------------------------------------


def test_a_terminal_shows_a_live_bar_and_the_same_lines(
    serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> None:
    source = serve(SHOP, {**SHOP_ROWS, "dbo.Orders": "SELECT i, i FROM range(60000) AS t(i)"})
    query(target, target_database, SHOP_DDL)
    with Proxy(("127.0.0.1", source.port)) as proxy:
        # The bar has something to show: a part of the rows is there, and the rest waits for it.
        proxy.stall_after(500_000)
        workplace = make_workplace(source, SHOP).with_settings(MSSQL_PORT=str(proxy.port), BATCH_SIZE="1000")
        code, shown = on_terminal(workplace, proxy=proxy)
    assert code == 0, shown
    assert "\x1b[?25l" in shown  # the cursor is hidden while a bar lives …
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # … and comes back
    assert re.search(r"Orders.*[━╸].*\d+/60000", shown)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r", "")
    assert "[2/4] Processing: Orders" in plain
    assert "📊 Syncing dbo.Orders → public.orders" in plain
    assert "✅ 60,000 rows synced successfully" in plain
    assert blocks(plain, "Synchronization Summary") != []


def test_a_terminal_gets_the_exit_code_of_a_failure_and_long_lines_uncut(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT a_rather_long_name_for_a_constraint_of_orders CHECK (id <> 13)")
    code, shown = on_terminal(shop.workplace)
    assert code == 1
    error = entries(shop.workplace.data_progress)["Orders"]["error"]
    assert len(error) > 120
    assert f"❌ Orders: {error}" in shown


def test_a_dumb_terminal_gets_plain_lines(shop: Shop) -> None:
    shop.ready("data")
    code, shown = on_terminal(shop.workplace, TERM="dumb")
    assert code == 0
    assert "\x1b" not in shown
    assert "✅ 20 rows synced successfully" in shown


def test_an_ascii_terminal_gets_words_only(shop: Shop) -> None:
    shop.ready("data")
    code, shown = on_terminal(shop.workplace, PYTHONIOENCODING="ascii", PYTHONUTF8="0", LC_ALL="C")
    assert code == 0, shown
    assert shown.isascii()
    assert "[OK] 20 rows synced successfully" in shown


# -- the blocks by themselves --------------------------------------------------------------------


def test_the_banner_is_the_documented_one() -> None:
    assert summary_banner(Summary(total=300, completed=125, failed=2, in_progress=1)).splitlines() == [
        "=" * 60,
        "📊 PROGRESS SUMMARY",
        "=" * 60,
        "Total tables:     300",
        "✅ Completed:     125",
        "❌ Failed:        2",
        "⏳ In Progress:   1",
        "📋 Remaining:     172",
        "📈 Progress:      125/300 (41%)",
        "=" * 60,
    ]


def test_the_closing_block_aligns_its_values() -> None:
    assert closing_block("Title", [("A", "1"), ("Longer", "2")]).splitlines() == [
        "=" * 60, "Title", "=" * 60, "A:      1", "Longer: 2", "=" * 60,
    ]  # fmt: skip

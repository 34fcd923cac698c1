"""A script for sqlcmd becomes the batches that sqlcmd would send."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.sqlcmd import Batch, ScriptError, batches


def read(folder: Path, text: str, **given: str) -> list[tuple[int, str]]:
    """The lines and texts of a script's batches."""
    script = folder / "script.sql"
    script.write_bytes(text.encode("utf-8"))
    return [(batch.line, batch.text) for batch in batches(script, given)]


def test_go_parts_batches_and_repeats_them(tmp_path: Path) -> None:
    text = "\ufeffSELECT 1\r\ngo\r\n\r\n  GO ;\r\nSELECT 'GO'\r\n-- GO on\r\nGO 3\r\n\r\nCATEGORY\r\n"
    assert read(tmp_path, text) == [
        (1, "SELECT 1"), *[(5, "SELECT 'GO'\n-- GO on")] * 3, (9, "CATEGORY"),
    ]  # fmt: skip


def test_variables_are_filled_in_from_where_they_are_set_on(tmp_path: Path) -> None:
    text = (
        ' :setvar Folder "C:\\Some folder\\"\n:setvar name one\nGO\nUSE $(Name); -- $x (y)\n'
        ":SetVar NAME two\nSELECT '$(Folder)a.csv', $(name)\nGO\nPRINT '$' + '(name)'\n"
    )
    assert read(tmp_path, text) == [
        (4, "USE one; -- $x (y)\n\nSELECT 'C:\\Some folder\\a.csv', two"), (8, "PRINT '$' + '(name)'"),
    ]  # fmt: skip


def test_what_is_given_holds_against_the_script(tmp_path: Path) -> None:
    assert read(tmp_path, ":setvar DatabaseName Sample\nUSE $(databasename)\n", DatabaseName="other") == [
        (2, "USE other")
    ]


def test_other_scripts_are_read_where_they_are_named_and_share_the_variables(tmp_path: Path) -> None:
    (tmp_path / "more.sql").write_bytes("\ufeffSELECT '$(word) ü'\n:setvar word later\nGO\n".encode("utf-16-le"))
    text = ':setvar word now\nBEGIN_\n:r "D:\\scripts\\more.sql"\nSELECT $(word)\n'
    assert read(tmp_path, text) == [(2, "BEGIN_"), (1, "SELECT 'now ü'"), (4, "SELECT later")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SELECT 1\nGO\nUSE $(DatabaseName)", "line 3: the variable DatabaseName has no value"),
        (":setvar a b\n:setvar a\nSELECT $(a)", "line 3: the variable a has no value"),
        ("GO\n:connect other", "line 2: `:connect other` is not understood; run it with sqlcmd"),
        (":r other.sql", "line 1: other.sql is not there"),
    ],
)
def test_what_cannot_be_run_as_it_stands_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"script\.sql") as refused:
        read(tmp_path, text)
    assert words in str(refused.value)


def test_a_part_of_a_batch_knows_its_line() -> None:
    batch = Batch(10, "PRINT 'a'\n\nBULK INSERT t\nGO_")
    assert batch.part(9, 24) == Batch(12, "BULK INSERT t")
    assert batch.part(9, 24).title == "BULK INSERT t"

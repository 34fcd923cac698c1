"""BULK INSERT by the client does what Microsoft's pages say of the server's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from bench.bulk_insert import STATEMENT, options_of, rows_of
from bench.run_tsql_script import run_script
from bench.sqlcmd import ScriptError
from db import connect_source, load_settings
from tests.tsql_servers import own_database

AS_MICROSOFT_WRITES_IT = """
PRINT 'Loading [Person].[Address]';

BULK INSERT [Person].[A ]] b] FROM 'C:\\Samples\\O''Neil.csv'
WITH (
    CHECK_CONSTRAINTS,
    CODEPAGE = '65001',
    DATAFILETYPE = 'char',
    FIELDTERMINATOR= '\\t',
    ROWTERMINATOR = '&|\\n',
    KEEPIDENTITY,
    TABLOCK
);
"""


def test_a_statement_is_found_with_its_options() -> None:
    (found,) = STATEMENT.finditer(AS_MICROSOFT_WRITES_IT)
    assert (found["table"], found["file"]) == ("[Person].[A ]] b]", "C:\\Samples\\O''Neil.csv")
    options = options_of(found["options"])
    assert options["FIELDTERMINATOR"] == "\\t"
    assert options["ROWTERMINATOR"] == "&|\\n"
    assert "KEEPIDENTITY" in options
    assert "KEEPNULLS" not in options


@pytest.mark.parametrize("text", ["FORMATFILE = 'a.fmt'", "DATAFILETYPE = 'native'", "FORMAT = 'CSV'", "LASTROW = 5"])
def test_an_option_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ScriptError, match=text.split(maxsplit=1)[0]):
        options_of(f"TABLOCK, {text}")


@pytest.mark.parametrize(
    ("options", "raw", "rows"),
    [
        ("", "1\tä\r\n2\t\r\n".encode("cp1252"), [["1", "ä"], ["2", ""]]),
        ("CODEPAGE='65001', ROWTERMINATOR='\\n'", "1\tω\n2\tz\n".encode(), [["1", "ω"], ["2", "z"]]),
        # A row ends behind its last field alone.
        ("ROWTERMINATOR='0x0a'", b"1\ta\r\n2\n3\tb", [["1", "a\r"], ["2\n3", "b"]]),
        ("FIELDTERMINATOR='+|', ROWTERMINATOR='&|\\n'", b"1+|a\nb&|\r\n2+|\0&|\r\n", [["1", "a\nb"], ["2", "\0"]]),
        ("DATAFILETYPE='widechar', FIRSTROW=2", "\ufeffid\tx\n1\t日\n".encode("utf-16-le"), [["1", "日"]]),
        ("", b"\t\n\t\n", [["", ""], ["", ""]]),
    ],
)
def test_a_file_becomes_rows(options: str, raw: bytes, rows: list[list[str]]) -> None:
    assert list(rows_of(raw, options_of(options), 2)) == rows


def test_a_row_with_too_few_fields_is_told() -> None:
    with pytest.raises(ScriptError, match="row 2 has 2 fields, the table 3 columns"):
        list(rows_of(b"1\t2\t3\n4\t5\n", {}, 3))


def test_on_a_tsql_server_the_rows_of_a_script_s_files_arrive(tsql_server: Mapping[str, str], tmp_path: Path) -> None:
    (tmp_path / "sample.sql").write_text(
        ":setvar Folder C:\\elsewhere\\\n"
        "CREATE TABLE dbo.things (id int IDENTITY NOT NULL, name nvarchar(20) NULL, twice AS id * 2,\n"
        " kind varchar(10) NOT NULL DEFAULT 'usual', raw varbinary(max) NULL, doc xml NULL, at datetime NULL)\n"
        "GO\n"
        "PRINT 'loading'\n"
        "BULK INSERT dbo.missing FROM '$(Folder)things.csv'\n"
        "BULK INSERT [dbo].[things] FROM '$(Folder)things.csv'"
        " WITH (CODEPAGE='65001', FIELDTERMINATOR='+|', ROWTERMINATOR='&|\\n', KEEPIDENTITY)\n"
        "BULK INSERT [dbo].[things] FROM '$(Folder)lost.csv'\n"
        "GO\n",
        encoding="utf-8",
    )
    fields = [
        ["7", "ω\nback\\\nslash", "14", "", "", "", ""],
        ["9", "\0", "18", "rare", "00FF", '<?xml version="1.0" encoding="utf-8"?><a>ω</a>', "2024-02-29 12:00:00.997"],
    ]
    (tmp_path / "things.csv").write_bytes("".join("+|".join(row) + "&|\r\n" for row in fields).encode())
    with own_database(tsql_server, "bulk") as there:
        settings = load_settings(None, {**there, "PGDATABASE": "none"})
        with closing(connect_source(settings)) as connection:
            outcome = run_script(connection, tmp_path / "sample.sql", {})
            found = connection.execute(
                "SELECT id, name, kind, raw, CAST(doc AS nvarchar(max)), at FROM dbo.things ORDER BY id"
            ).fetchall()
            connection.execute("INSERT INTO dbo.things (name) VALUES ('still counting')")
    assert outcome.parts == 5
    assert [str(refusal) for refusal in outcome.refusals] == [
        "line 6 (BULK INSERT dbo.missing FROM 'C:\\elsewhere\\things.csv'): the table dbo.missing is not there.",
        "line 8 (BULK INSERT [dbo].[things] FROM 'C:\\elsewhere\\lost.csv'): the file lost.csv is not there.",
    ]
    assert [tuple(row) for row in found] == [
        (7, "ω\nback\\\nslash", "usual", None, None, None),
        (9, "", "rare", b"\x00\xff", "<a>ω</a>", dt.datetime(2024, 2, 29, 12, 0, 0, 997000)),
    ]  # fmt: skip


def test_on_a_tsql_server_a_use_that_fails_ends_a_script(tsql_server: Mapping[str, str], tmp_path: Path) -> None:
    script = tmp_path / "sample.sql"
    script.write_text("SELECT 1 AS one\nGO\nUSE not_there_at_all\nGO\nCREATE TABLE dbo.astray (id int)\nGO\n")
    with own_database(tsql_server, "use") as there:
        settings = load_settings(None, {**there, "PGDATABASE": "none"})
        with closing(connect_source(settings)) as connection:
            outcome = run_script(connection, script, {})
            astray = connection.execute("SELECT OBJECT_ID('dbo.astray')").fetchone()[0]
    assert (outcome.parts, len(outcome.refusals), astray) == (2, 1, None)
    assert "not_there_at_all" in outcome.refusals[0].words

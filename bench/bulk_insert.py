"""BULK INSERT done by the client, for servers that do not see the folder with the files (a container's, say).

As Microsoft's pages "BULK INSERT (Transact-SQL)", "Specify field and row terminators (SQL Server)" and "Keep nulls or
default values during bulk import (SQL Server)" describe it for files of characters; what is not one of those is refused
by name. One thing differs: triggers fire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from bench.sqlcmd import ScriptError, beside, own_name
from mssql.quoting import quote

#: values of one INSERT; a statement takes 2,100 (Microsoft, "Maximum capacity specifications for SQL Server")
VALUES = 2000

STATEMENT = re.compile(
    r"^[ \t]*BULK\s+INSERT\s+(?P<table>(?:\[(?:[^\]]|\]\])+\]|\w+)(?:\s*\.\s*(?:\[(?:[^\]]|\]\])+\]|\w+))*)"
    r"\s+FROM\s+'(?P<file>(?:[^']|'')*)'(?:\s*WITH\s*\((?P<options>(?:'(?:[^']|'')*'|[^')])*)\))?[ \t]*;?",
    re.IGNORECASE | re.MULTILINE,
)
_OPTION = re.compile(r"(\w+)\s*(?:=\s*(?:'((?:[^']|'')*)'|(\w+)))?\s*(?:,|$)")
_IGNORED = {
    "CHECK_CONSTRAINTS", "TABLOCK", "BATCHSIZE", "ROWS_PER_BATCH", "KILOBYTES_PER_BATCH", "FIRE_TRIGGERS", "MAXERRORS",
}  # fmt: skip
_UNDERSTOOD = {
    "CODEPAGE", "DATAFILETYPE", "FIELDTERMINATOR", "ROWTERMINATOR", "FIRSTROW", "KEEPIDENTITY", "KEEPNULLS",
}  # fmt: skip

COLUMNS = """
SELECT CAST(c.name AS nvarchar(128)), CAST(t.name AS nvarchar(128)), c.is_identity, c.is_computed,
       CASE WHEN c.default_object_id = 0 THEN 0 ELSE 1 END
FROM sys.columns AS c
JOIN sys.types AS t ON t.user_type_id = CASE WHEN c.system_type_id = 240 THEN c.user_type_id ELSE c.system_type_id END
WHERE c.object_id = OBJECT_ID(?)
ORDER BY c.column_id
"""


@dataclass(frozen=True)
class _Column:
    """A column as far as a field of text becomes a value of it."""

    name: str
    type: str
    is_identity: bool
    is_computed: bool
    has_default: bool

    @property
    def is_hexadecimal(self) -> bool:
        """Whether a file of characters holds its bytes in hexadecimal."""
        return self.type in ("binary", "varbinary", "image", "hierarchyid", "geography", "geometry")

    @property
    def mark(self) -> str:
        """What stands for a value of it in the statement."""
        return f"CAST(? AS {'varbinary' if self.is_hexadecimal else 'nvarchar'}(max))"

    def value(self, given: str) -> str:
        """The expression that makes a value of it from what was sent."""
        return f"CAST({given} AS {self.type})" if self.type in ("hierarchyid", "geography", "geometry") else given

    def sent(self, field: str) -> str | bytes | None:
        """A field as it is sent: NULL for nothing, an empty value for a lone NUL character, as bcp writes it."""
        if field == "":
            return None
        text = "" if field == "\0" else field
        if self.is_hexadecimal:
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise ScriptError(f"{text[:40]!r} for the column {self.name} is not hexadecimal.") from None
        # What a document says of its bytes does not hold for the characters that travel.
        return re.sub(r"\A\s*<\?xml[^>]*\?>", "", text) if self.type == "xml" else text


def options_of(text: str | None) -> dict[str, str]:
    """The options between WITH's parentheses, in upper case. Raises ScriptError for one that is not understood."""
    found = {}
    for name, quoted, bare in _OPTION.findall(text or ""):
        option = name.upper()
        value = quoted.replace("''", "'") or bare
        if option not in _UNDERSTOOD | _IGNORED or (option == "DATAFILETYPE" and value not in ("char", "widechar")):
            raise ScriptError(f"BULK INSERT with {option}{f' = {value}' if value else ''} is not understood here.")
        found[option] = value
    return found


def rows_of(raw: bytes, options: dict[str, str], width: int) -> Iterator[list[str]]:
    """The rows of a file: a row's fields end with the field terminator, its last one with the row terminator.

    Raises ScriptError for a row that has fewer fields than the table has columns.
    """
    text = raw.decode(_encoding(options))
    field_end = _terminator(options.get("FIELDTERMINATOR", "\\t"))
    row_end = _terminator(options.get("ROWTERMINATOR", "\\n"))
    if not options.get("ROWTERMINATOR", "").startswith("0x") and "\r\n" in text:
        # "\n" means a carriage return and a line feed; files that came by way of git have the line feed alone.
        row_end = re.sub(r"(?<!\r)\n", "\r\n", row_end)
    start, number = 0, 0
    # A line break, and the mark that ended files once, may follow the last row.
    while len(text) - start > 3 or text[start:].strip("\r\n\x1a"):
        number += 1
        row = []
        for column in range(width):
            end = field_end if column < width - 1 else row_end
            found = text.find(end, start)
            if found < 0 and column < width - 1:
                raise ScriptError(f"row {number} has {column + 1} fields, the table {width} columns.")
            found = len(text) if found < 0 else found
            row.append(text[start:found])
            start = found + len(end)
        if number >= int(options.get("FIRSTROW", "1")):
            yield row


def _encoding(options: dict[str, str]) -> str:
    if options.get("DATAFILETYPE") == "widechar":
        return "utf-16"
    page = options.get("CODEPAGE", "ACP")
    return {"65001": "utf-8-sig", "ACP": "cp1252", "RAW": "cp1252", "OEM": "cp437"}.get(page.upper(), f"cp{page}")


def _terminator(text: str) -> str:
    if text.lower().startswith("0x"):
        return bytes.fromhex(text[2:]).decode("latin-1")
    escapes = {"t": "\t", "n": "\n", "r": "\r", "0": "\0", "\\": "\\"}
    return re.sub(r"\\([tnr0\\])", lambda match: escapes[match[1]], text)


def bulk_insert(connection: Any, statement: re.Match[str], script: Path) -> int:
    """Do what a BULK INSERT of a script says; returns the number of rows.

    Raises ScriptError where the file or the table is not there or is not as the statement says, pyodbc.Error where the
    server refuses a row (those of earlier statements are in then).
    """
    named, table = statement["file"].replace("''", "'"), statement["table"]
    options = options_of(statement["options"])
    path = beside(script, named)
    if path is None:
        raise ScriptError(f"the file {own_name(named)} is not there.")
    columns = [_Column(*row) for row in connection.execute(COLUMNS, table).fetchall()]
    if not columns:
        raise ScriptError(f"the table {table} is not there.")
    try:
        rows = list(rows_of(path.read_bytes(), options, len(columns)))
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path.name} is not in {error.encoding}: {error.reason} at byte {error.start}.") from None
    keeps_identity = "KEEPIDENTITY" in options and any(column.is_identity for column in columns)
    # An empty field is NULL, or the column's default where it has one and is not told to keep nulls.
    by_columns: dict[tuple[int, ...], list[list[str]]] = {}
    for row in rows:
        by_columns.setdefault(_filled(row, columns, options), []).append(row)
    if keeps_identity:
        connection.execute(f"SET IDENTITY_INSERT {table} ON")
    try:
        for chosen, alike in by_columns.items():
            _insert(connection, table, columns, chosen, alike)
    finally:
        if keeps_identity:
            connection.execute(f"SET IDENTITY_INSERT {table} OFF")
    return len(rows)


def _filled(row: Sequence[str], columns: Sequence[_Column], options: dict[str, str]) -> tuple[int, ...]:
    """The places of the columns that a row gives a value, or NULL."""
    return tuple(
        place
        for place, column in enumerate(columns)
        if not column.is_computed
        and column.type != "timestamp"
        and not (column.is_identity and "KEEPIDENTITY" not in options)
        and not (row[place] == "" and column.has_default and "KEEPNULLS" not in options)
    )


def _insert(
    connection: Any, table: str, columns: Sequence[_Column], chosen: Sequence[int], rows: Sequence[Sequence[str]]
) -> None:
    """Insert the chosen columns of rows, many with each statement."""
    names = ", ".join(quote(columns[place].name) for place in chosen)
    fields = [f"f{place}" for place in chosen]
    values = ", ".join(columns[place].value(field) for place, field in zip(chosen, fields, strict=True))
    marks = f"({', '.join(columns[place].mark for place in chosen)})"
    waiting = iter(rows)
    while some := list(islice(waiting, max(1, VALUES // len(chosen)))):
        connection.execute(
            f"INSERT INTO {table} ({names}) SELECT {values}"
            f" FROM (VALUES {', '.join([marks] * len(some))}) AS given ({', '.join(fields)})",
            [columns[place].sent(row[place]) for row in some for place in chosen],
        )

"""What cannot be run ends in the server's number and words, and the connection stays usable."""

from __future__ import annotations

import pyodbc
import pytest

from tests.standin.clients import error_of, value


@pytest.mark.parametrize(
    ("sql", "number", "words"),
    [
        ("SELECT * FROM nope", 208, "Invalid object name 'nope'."),
        ("SELECT * FROM other.dbo.Long", 208, "Invalid object name 'other.dbo.Long'."),
        ("SELECT nope FROM dbo.Long", 207, "Invalid column name 'nope'."),
        ("SELECT x.id FROM dbo.Long AS a", 4104, 'The multi-part identifier "x.id" could not be bound.'),
        ("SELECT FROM", 102, "Incorrect syntax near"),
        ("SELECT id, COUNT(*) FROM dbo.Long", 8120, "GROUP BY"),
        ("SELECT CAST('x' AS int)", 245, "Conversion failed"),
        ("SELECT CAST(300 AS tinyint)", 8115, "overflow"),
        ("SELECT nothing_known(1)", 195, "is not a recognized built-in function name"),
        ("SELECT * FROM dbo.Secret", 229, "The SELECT permission was denied on the object 'Secret', database 'shop'"),
        ("EXEC no_such_procedure", 2812, "Could not find stored procedure 'no_such_procedure'."),
        ("USE elsewhere", 911, "Database 'elsewhere' does not exist"),
    ],
)
def test_error(connection: pyodbc.Connection, sql: str, number: int, words: str) -> None:
    message = error_of(connection, sql)
    assert words in message
    assert f"({number})" in message
    assert value(connection, "SELECT 1") == 1

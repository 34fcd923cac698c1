"""Which SQL Server this is."""

from __future__ import annotations

from typing import Any

import arrow_odbc
import pyodbc
from arrow_odbc import TextEncoding

from db import odbc_words
from model.errors import CatalogError

VERSION = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version"
NAME = "SELECT CAST(SERVERPROPERTY('ServerName') AS nvarchar(128)) AS name"


def read_version(connection: Any) -> str:
    """The version that a server gives itself, by a pyodbc or arrow-odbc connection; "?" where it gives none.

    Microsoft, "SERVERPROPERTY (Transact-SQL)", ProductVersion. Raises CatalogError.
    """
    try:
        if isinstance(connection, pyodbc.Connection):
            found = connection.cursor().execute(VERSION).fetchval()
        else:
            batches = connection.read_arrow_batches(
                VERSION, batch_size=1, max_text_size=128, payload_text_encoding=TextEncoding.UTF16
            )
            found = next(row["version"] for batch in batches for row in batch.to_pylist())
    except (pyodbc.Error, arrow_odbc.Error) as error:
        raise CatalogError(f"the source's version cannot be read: {odbc_words(error)}") from None
    return str(found or "?")


def read_name(connection: Any) -> str:
    """The name that a server gives itself, whatever it is reached by; over a pyodbc connection.

    Microsoft, "SERVERPROPERTY (Transact-SQL)", ServerName. Raises CatalogError.
    """
    try:
        return str(connection.cursor().execute(NAME).fetchval())
    except pyodbc.Error as error:
        raise CatalogError(f"the source's name cannot be read: {odbc_words(error)}") from None

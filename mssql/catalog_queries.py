"""Queries about the catalog, over either kind of connection; what a server lacks or cannot answer is noted."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Protocol

import pyodbc
from arrow_odbc import Error, TextEncoding

from db import odbc_words

#: room for anything that the data phase asks the catalog for, in characters or bytes
LONGEST_NAME = 4000
#: what either kind of connection raises
ODBC_ERRORS = (pyodbc.Error, Error)


class Connection(Protocol):
    """Something that answers queries."""

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query; a column is an attribute."""


class PyodbcConnection:
    """Answers of any length."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query."""
        return list(self._cursor.execute(sql).fetchall())


class ArrowConnection:
    """Answers without texts of any length: names, numbers and flags."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, sql: str) -> list[Any]:
        """The rows of a query."""
        batches = self._connection.read_arrow_batches(
            sql, batch_size=1000, max_text_size=LONGEST_NAME, max_binary_size=LONGEST_NAME,
            payload_text_encoding=TextEncoding.UTF16,
        )  # fmt: skip
        return [SimpleNamespace(**row) for batch in batches for row in batch.to_pylist()]


def text_questions(view: str, number: int, column: int | None = None) -> tuple[str, str]:
    """How one definition is asked for, by the numbers of its object and column, and how of Babelfish's PostgreSQL.

    Babelfish writes out no text that holds CASE, COALESCE, ISNULL or NULLIF.
    """
    if column is not None:
        return (
            f"SELECT definition FROM {view} WHERE object_id = {number:d} AND column_id = {column:d}",
            "SELECT pg_get_expr(adbin, adrelid) AS definition FROM pg_attrdef "
            f"WHERE adrelid = {number:d} AND adnum = {column:d}",
        )
    question = f"SELECT definition FROM {view} WHERE object_id = {number:d}"
    if view == "sys.check_constraints":
        return question, f"SELECT pg_get_expr(conbin, conrelid) AS definition FROM pg_constraint WHERE oid = {number:d}"
    return question, f"SELECT pg_get_expr(adbin, adrelid) AS definition FROM pg_attrdef WHERE oid = {number:d}"


class Catalog:
    """A database's catalog; `unread` is what it would not tell, and why."""

    def __init__(self, connection: Connection) -> None:
        self.rows = connection.rows
        self.unread: list[str] = []

    def has(self, view: str) -> bool:
        """Whether this server has such a view of `sys`, asked without provoking an error (Microsoft, "OBJECT_ID").

        A server that does not answer is noted, and taken for one without.
        """
        rows = self.optional(f"sys.{view}", f"SELECT number = CAST(OBJECT_ID(N'sys.{view}') AS int)")
        return any(row.number is not None for row in rows)

    def optional(self, what: str, sql: str) -> list[Any]:
        """The rows of a view that some servers lack; its absence is noted, not passed over."""
        try:
            return self.rows(sql)
        except ODBC_ERRORS as error:
            self.unread.append(f"{what}: {odbc_words(error)}")
            return []

    def texts(self, what: str, view: str, ids: Sequence[int]) -> dict[int, str]:
        """Definitions by object id. A server that chokes on one of them is asked for each by itself."""
        if not ids:
            return {}
        try:
            rows = self.rows(f"SELECT object_id, definition FROM {view}")
            return {row[0]: row[1] for row in rows if row[1] is not None}
        except pyodbc.Error:
            texts = {}
            for object_id in ids:
                text = self.text(f"{what} {object_id}", *text_questions(view, object_id))
                if text is not None:
                    texts[object_id] = text
            return texts

    def text(self, what: str, sql: str, postgres_sql: str) -> str | None:
        """One definition, or what PostgreSQL has of it below Babelfish; None where neither is told, which is noted."""
        try:
            return self._definition(sql)
        except pyodbc.Error as error:
            try:
                return self._definition(postgres_sql)
            except (pyodbc.Error, ValueError):
                self.unread.append(f"{what}: {odbc_words(error)}")
                return None

    def _definition(self, sql: str) -> str:
        (row,) = self.rows(sql)
        return str(row.definition or "")

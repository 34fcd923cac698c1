"""Errors that a client is told."""

from __future__ import annotations


class SqlError(Exception):
    """An error with SQL Server's number, severity and words."""

    def __init__(self, number: int, message: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(message)
        self.number, self.severity, self.state = number, severity, state


class EncodingError(Exception):
    """A value does not fit the type it is to be sent as."""


def as_sql_error(error: Exception) -> SqlError:
    """SQL Server's error for one of DuckDB's or of the encoding."""
    if isinstance(error, SqlError):
        return error
    text = str(error)
    if isinstance(error, EncodingError):
        return SqlError(8152 if "truncated" in text else 50000, text)
    lowered = text.lower()
    is_conversion = "conversion error" in lowered
    if is_conversion and ("timestamp" in lowered or "date" in lowered):
        return SqlError(241, "Conversion failed when converting date and/or time from character string.")
    if is_conversion and "uuid" in lowered:
        return SqlError(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
    if "out of range" in lowered or "overflow" in lowered:
        return SqlError(8115, "Arithmetic overflow error converting expression to data type.")
    if is_conversion:
        return SqlError(245, f"Conversion failed when converting a value: {text.splitlines()[0]}")
    if "group by" in lowered:
        return SqlError(
            8120,
            "A column is invalid in the select list because it is not contained in either an aggregate function or the"
            " GROUP BY clause.",
        )
    return SqlError(50000, f"The stand-in could not run this: {text}")

"""Errors that a client is told."""

from __future__ import annotations


class SqlError(Exception):
    """An error with SQL Server's number, severity and words."""

    def __init__(self, number: int, message: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(message)
        self.number, self.severity, self.state = number, severity, state


class EncodingError(Exception):
    """A value does not fit the type it is to be sent as."""

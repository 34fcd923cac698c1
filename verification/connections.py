"""The connections that a worker compares with."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pyodbc

from db import connect_source
from model.errors import CancelledError
from model.settings import Settings
from mssql import reader
from postgres import reader as target_reader


class ComparisonConnections:
    """Rows of the source, the source's own figures, rows of the target: each opened when needed, and again after a
    failure.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: Any = None
        self._source_figures: Any = None
        self._target: Any = None
        self._is_given_up = False

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._source is None:
            self._source = reader.connect(self._settings)
        return self._source

    @property
    def source_figures(self) -> Any:
        """A pyodbc connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._source_figures is None:
            self._source_figures = connect_source(self._settings)
        return self._source_figures

    @property
    def target(self) -> Any:
        """An ADBC connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._target is None:
            self._target = target_reader.connect(self._settings)
        return self._target

    def give_up(self) -> None:
        """Open no other connection. Nothing is written by these, so what hangs in one does no harm."""
        self._is_given_up = True

    def disconnect(self) -> None:
        """Drop all of them."""
        # An arrow-odbc connection closes when nothing refers to it.
        self._source = None
        if self._source_figures is not None:
            with suppress(pyodbc.Error):
                self._source_figures.close()
            self._source_figures = None
        if self._target is not None:
            target_reader.disconnect(self._target)
            self._target = None

    def _end_if_given_up(self) -> None:
        if self._is_given_up:
            raise CancelledError

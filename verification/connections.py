"""The connections that a worker compares with."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any

import pyodbc

from db import connect_source
from model.errors import CancelledError
from model.settings import Settings
from mssql import figures, reader
from mssql.wires import Wires
from postgres import reader as target_reader


class ComparisonConnections:
    """Rows of the source, the source's own figures, rows of the target: each opened when needed, and again after a
    failure.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: all that these have open on the source
        self.wires = Wires()
        self._source: Any = None
        self._source_figures: Any = None
        self._target: Any = None
        self._is_given_up = False
        #: held by whoever closes the target's connection, or has its query cancelled
        self._ending = threading.Lock()

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._source is None:
            self._source = self.wires.opened(lambda: reader.connect(self._settings), reader.ask)
        return self._source

    @property
    def source_figures(self) -> Any:
        """A pyodbc connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._source_figures is None:
            self._source_figures = self.wires.opened(lambda: connect_source(self._settings), figures.ask)
        return self._source_figures

    @property
    def target(self) -> Any:
        """An ADBC connection. Raises UnreachableError, CancelledError."""
        self._end_if_given_up()
        if self._target is None:
            self._target = target_reader.connect(self._settings)
        return self._target

    def give_up(self) -> None:
        """End these for good, from any thread: both servers end their queries, and no other connection is opened."""
        self._is_given_up = True
        self.wires.break_off()
        # Asking the server to stop takes a connection of its own, which may hang as well.
        threading.Thread(target=self._cancel, daemon=True).start()

    def disconnect(self) -> None:
        """Drop all of them."""
        # An arrow-odbc connection closes when nothing refers to it.
        self._source = None
        if self._source_figures is not None:
            with suppress(pyodbc.Error):
                self._source_figures.close()
            self._source_figures = None
        with self._ending:
            if self._target is not None:
                target_reader.disconnect(self._target)
                self._target = None

    def _cancel(self) -> None:
        with self._ending:
            if self._target is not None:
                target_reader.cancel(self._target)

    def _end_if_given_up(self) -> None:
        if self._is_given_up:
            raise CancelledError

"""The two connections that a worker's rows travel between."""

from __future__ import annotations

from typing import Any

from db import connect_to_load
from model.errors import CancelledError
from model.settings import Settings
from mssql import odbc_client, reader, snapshots
from mssql.wires import Wires
from postgres.connections import break_off


class ConnectionPair:
    """A connection to the source and one to the target; each is opened when needed and again after a failure."""

    def __init__(self, settings: Settings, session: snapshots.Session | None = None) -> None:
        """`session` holds connections to the source that must last, since no other sees the snapshot that they see."""
        self.settings = settings
        self._session = session
        #: all that this pair has open on the source
        self.wires = session.wires if session is not None else Wires()
        self._source: Any = session.batches if session is not None else None
        self._target: Any = None
        #: whether it is of no use any more
        self.is_given_up = False

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError, CancelledError once given up."""
        if self._source is None:
            self._source = self.wires.opened(lambda: reader.connect(self.settings), reader.ask)
        return self._source

    @property
    def target(self) -> Any:
        """A psycopg2 connection outside a transaction. Raises UnreachableError, CancelledError once given up."""
        if self._target is None or self._target.closed:
            self._target = connect_to_load(self.settings)
        if self.is_given_up:
            self.disconnect()
            raise CancelledError
        return self._target

    @property
    def by_value(self) -> odbc_client.Connection | None:
        """The connection that must serve where rows are read value by value; None where one may be opened."""
        return self._session.by_value if self._session is not None else None

    def give_up(self) -> None:
        """End this pair for good, from any thread, whatever its worker hangs in.

        Nothing that its worker does when it wakes up can reach the target any more: the connection is
        broken, and no other is opened. The source ends its query.
        """
        self.is_given_up = True
        self.wires.break_off()
        break_off(self._target)

    def disconnect(self) -> None:
        """Drop both connections; what was not committed is gone.

        A session that must last is kept while it sees its snapshot.
        """
        if self._session is not None and not self._session.is_open:
            self._session = None
        self._source = self._session.batches if self._session is not None else None
        if self._target is not None and not self._target.closed:
            self._target.close()
        self._target = None

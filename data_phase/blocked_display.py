"""Who blocks a table that does not move: asked of both servers, and told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress

import psycopg2

from db import connect_source, connect_target
from model.errors import ReplicationError
from model.events import Event, MovesAgain, StandsStill
from model.visible import on_one_line
from mssql import activity as source_activity
from postgres import activity as target_activity
from run.context import Run
from run.display import Line


class BlockedDisplay:
    """Listens for tables that stand still, and says who is in their way."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, events: Sequence[Event]) -> None:
        """Say what happened. Servers are asked in a thread: whoever waits for them must not hold up the load."""
        for event in events:
            if isinstance(event, StandsStill):
                threading.Thread(target=self._ask, args=(event,), name="who blocks", daemon=True).start()
            elif isinstance(event, MovesAgain):
                self._tell(event.table, f"⏳ {on_one_line(event.table)} moves again", event.seconds)

    def _ask(self, event: StandsStill) -> None:
        in_source = self._in_source()
        blockers = [*self._in_target(), *(in_source or [])]
        nobody = "neither server says that somebody is in the way; the source may be slow"
        if in_source is None:
            nobody = f"PostgreSQL does not say that somebody is in the way. SQL Server: {source_activity.NOT_SHOWN}"
        who = "; ".join(blockers) or nobody
        words = f"⏳ {on_one_line(event.table)}: no row for {event.seconds:.0f} s. {who}"
        self._tell(event.table, words, event.seconds)

    def _tell(self, table: str, words: str, seconds: float) -> None:
        hidden = self._run.settings.secrets.hide(words)
        self._run.display.tell(Line(hidden, "warning", None, "stands still", table, {"seconds": round(seconds)}))

    def _in_target(self) -> list[str]:
        # What cannot be asked is not known, and the load goes on all the same.
        with suppress(psycopg2.Error, ReplicationError), closing(connect_target(self._run.settings)) as connection:
            return [f"PostgreSQL: {one}" for one in target_activity.blocked(connection)]
        return []

    def _in_source(self) -> list[str] | None:
        """None where the login may not know."""
        with suppress(Exception), closing(connect_source(self._run.settings)) as connection:
            found = source_activity.at_work(connection)
            return None if found is None else [f"SQL Server: {one.blocked}" for one in found if one.waits_for]
        return []

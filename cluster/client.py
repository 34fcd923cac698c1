"""Dask's client, as a run needs it."""

from __future__ import annotations

from typing import Any

from distributed import Client


class FleetingClient(Client):  # type: ignore[misc]  # distributed is not typed
    """A client of whose tasks the scheduler keeps nothing once they are over."""

    def _graph_to_futures(self, *args: Any, **kwargs: Any) -> Any:
        """Send tasks without a word on the collection that they are of.

        A scheduler keeps such words for as long as it runs, some 300 bytes a submit (distributed 2026.8,
        `Span.add_metadata`), and a task here is a submit. Should Dask send them in another way, they are kept again,
        and nothing else changes.
        """
        if "span_metadata" in kwargs:
            kwargs["span_metadata"] = {}
        return super()._graph_to_futures(*args, **kwargs)

"""Whether a cluster's scheduler answers. One whose process is stopped keeps its connections, and says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from distributed import Client

#: seconds between two questions, and between two looks at whether one is answered
PULSE_S = 0.5
#: seconds without an answer after which a scheduler is silent
SILENT_S = 3.0


class Pulse:
    """A scheduler is asked all the time, in Dask's own thread."""

    def __init__(self, client: Client, address: str, say: Callable[[str], None]) -> None:
        """Begins to ask; `say` is told of a scheduler that is silent, and that it answers again."""
        self._client, self._address, self._say = client, address, say
        self._seconds_silent = 0.0
        self._is_told = False
        self._asking = asyncio.run_coroutine_threadsafe(self._ask_for_ever(), client.loop.asyncio_loop)

    def look(self) -> float:
        """For how many seconds it has been silent; 0 where it is not. Says when that changes."""
        seconds = self._seconds_silent
        is_silent = seconds >= SILENT_S
        if is_silent and not self._is_told:
            self._say(f"⚠️ the Dask scheduler {self._address} has not answered for {seconds:.0f} s; it is waited for")
        elif self._is_told and not is_silent:
            self._say(f"⏳ the Dask scheduler {self._address} answers again")
        self._is_told = is_silent
        return seconds if is_silent else 0.0

    def close(self) -> None:
        """Ask no more."""
        self._asking.cancel()

    async def _ask_for_ever(self) -> None:
        """Seconds are counted as they pass here: while this process itself is stopped, nobody could have answered."""
        while True:
            asked = asyncio.ensure_future(self._client.scheduler.echo())
            try:
                while not (await asyncio.wait([asked], timeout=PULSE_S))[0]:
                    self._seconds_silent += PULSE_S
            finally:
                asked.cancel()
            if asked.exception() is None:
                self._seconds_silent = 0.0
            await asyncio.sleep(PULSE_S)

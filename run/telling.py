"""Who is told of a run, by its settings, as far as these can be read."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from model.errors import ReplicationError
from model.settings_table import read
from operations.afterwards import Telling
from operations.notifications import Notification


def telling_of(env_file: Path | None) -> Telling:
    """Read what concerns telling alone, so that a mistake elsewhere in the settings is told as well.

    Nobody where not even that can be read.
    """
    with suppress(ReplicationError, ImportError, OSError):
        # Here, since a script reads its flags without the packages that this takes.
        from db import find_env_file, read_given  # noqa: PLC0415

        values = read_given(find_env_file(env_file)).values
        url = read("NOTIFY_URL", values)
        notification = Notification(url, read("NOTIFY_ON", values), read("NOTIFY_FORMAT", values)) if url else None
        return Telling(notification, read("METRICS_FILE", values))
    return Telling()

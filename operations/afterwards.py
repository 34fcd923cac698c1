"""What a run leaves behind once it is over, for others: each step may fail, and the run has ended as it has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from operations.metrics import write_metrics
from operations.notifications import Notification, NotToldError, body, is_due, post, summary
from operations.run_result import RunResult


@dataclass(frozen=True)
class Telling:
    """Who is told of a run: somebody behind an address, and whoever collects metrics."""

    notification: Notification | None = None
    metrics_file: Path | None = None


def tell_others(
    telling: Telling, result: RunResult, before: RunResult | None, folder: Path, warn: Callable[[str], None]
) -> None:
    """Tell of a run; `before` is the last one of the same script. What fails is a warning."""
    if telling.metrics_file is not None:
        try:
            write_metrics(telling.metrics_file, result, folder)
        except OSError as error:
            warn(f"⚠️ WARNING: METRICS_FILE {telling.metrics_file} cannot be written: {error.strerror or error}.")
    notification = telling.notification
    if notification is not None and is_due(notification.on, result, before):
        try:
            post(notification, body(notification, summary(result, before)))
        except NotToldError as error:
            warn(f"⚠️ WARNING: {error}.")

"""What a table's status in a progress file may be."""

from __future__ import annotations

from typing import Literal

Phase = Literal["schema", "data"]
Status = Literal["pending", "in_progress", "completed", "failed", "skipped"]

STATUSES: tuple[Status, ...] = ("pending", "in_progress", "completed", "failed", "skipped")

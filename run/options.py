"""The flags that both scripts share, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """The flags that both scripts share, and `nightly`, with which a run finds out by itself whether it resumes."""

    resume: bool = False
    no_truncate: bool = False
    start_from_table: str | None = None
    reset: bool = False
    tables: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    env_file: Path | None = None
    progress_file: Path | None = None
    type_map: Path | None = None
    debug: bool = False
    #: for how long a run that is at work is waited for
    wait_minutes: float = 0
    nightly: bool = False

    @property
    def is_partial(self) -> bool:
        """Whether the run leaves some tables alone, whose entries then stay as they are."""
        return bool(self.tables or self.exclude or self.start_from_table)

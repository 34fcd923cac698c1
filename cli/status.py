"""--status: what runs or ran last. Needs no lock, touches nothing, and shows what can be known."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from cli.display.plain import PlainDisplay
from cli.installed import needed_packages
from hand_edits.statuses import Phase
from model.errors import ALL_DONE, NotInstalledError, OutputError
from model.visible import json_text
from operations.status import Status
from run.output import write_out
from status.files import read_files


def show_status(path: Path, phase: Phase, env_file: Path | None, as_json: bool) -> int:
    """Print the status of a script; returns the exit code: 0 where it could be told, whatever it is."""
    found = _with_servers(read_files(path, phase, datetime.now()), env_file)
    try:
        write_out(json_text(found.document, indent=2) + "\n" if as_json else found.text)
    except OutputError as error:
        PlainDisplay(sys.stderr).say(f"❌ {error}")
        return error.exit_code
    return ALL_DONE


def _with_servers(found: Status, env_file: Path | None) -> Status:
    try:
        with needed_packages():
            from status.servers import with_servers  # noqa: PLC0415
    except NotInstalledError as error:
        return replace(found, not_known=(*found.not_known, f"both servers were not asked: {error}"))
    return with_servers(found, env_file)

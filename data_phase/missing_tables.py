"""Tables of the source that the target does not have: a few are told, most of them are one reason not to begin."""

from __future__ import annotations

from collections.abc import Collection

from model.errors import TablesMissingError
from model.visible import listed
from postgres.names import TargetName, target_name
from run.context import Run


def tell_or_refuse(this_run: Run, existing: Collection[TargetName]) -> None:
    """Say which of the run's tables the target does not have. Raises TablesMissingError where those are most of them.

    Tables that a person marked as skipped need not be there.
    """
    tracker, settings = this_run.tracker, this_run.settings
    wanted = [target_name(one, settings) for one in this_run.affected if tracker.status(one.key) != "skipped"]
    missing = [str(name) for name in wanted if name not in existing]
    if not missing:
        return
    if 2 * len(missing) > len(wanted):
        raise TablesMissingError(f"{_most(missing, len(wanted), settings.target.label)} Nothing was touched.")
    does, them = ("does", "it") if len(missing) == 1 else ("do", "them")
    this_run.display.say(
        f"⚠️ {len(missing)} of {len(wanted)} tables {does} not exist in the target, and cannot be done before "
        f"replicate-schema.py has made {them}: {listed(missing)}"
    )


def _most(missing: list[str], wanted: int, target: str) -> str:
    if wanted == 1:
        return f"{missing[0]} does not exist in the target ({target}): run replicate-schema.py first."
    if len(missing) == wanted:
        return (
            f"none of the {wanted} tables exists in the target ({target}): run replicate-schema.py first. If it was "
            f"run, look at PGDATABASE, TARGET_SCHEMA and NAMING: they must be the same for both."
        )
    return (
        f"{len(missing)} of {wanted} tables do not exist in the target ({target}): {listed(missing)}. Run "
        f"replicate-schema.py first, or choose tables with --tables."
    )

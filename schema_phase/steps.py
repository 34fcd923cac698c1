"""One step of a plan, carried out: what of it may be refused, and what then holds instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg2

from db import target_words
from model.findings import Finding
from postgres import locks
from postgres.ddl import Step


class _TakesNoRowError(Exception):
    """The table would take no row after the step; with the server's words."""


def run_step(cursor: Any, step: Step) -> list[Finding]:
    """Run one step, behind a savepoint where it may be refused; returns what then holds instead.

    Raises psycopg2.Error where it is refused and may not be.
    """
    if not step.is_optional and step.fallback is None and step.probe is None:
        cursor.execute(step.sql)
        return []
    cursor.execute("SAVEPOINT step")
    try:
        cursor.execute(step.sql)
        if step.probe is not None:
            _try(cursor, step.probe)
        cursor.execute("RELEASE SAVEPOINT step")
        return []
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise
    except psycopg2.Error as error:
        if error.pgcode in locks.NOT_HAD or not (step.is_optional or step.fallback):
            raise
        return _without(cursor, step, target_words(error))
    except _TakesNoRowError as error:
        return _without(cursor, step, f"with it the table would take no row: {error}")


def _try(cursor: Any, probe: str) -> None:
    """Raise _TakesNoRowError where PostgreSQL has no support for it. Values that it cannot compute with say nothing."""
    cursor.execute("SAVEPOINT probe")
    try:
        cursor.execute(probe)
    except psycopg2.errors.FeatureNotSupported as error:
        raise _TakesNoRowError(target_words(error)) from None
    except (psycopg2.OperationalError, psycopg2.InterfaceError):
        raise
    except psycopg2.Error:
        cursor.execute("ROLLBACK TO SAVEPOINT probe")


def _without(cursor: Any, step: Step, words: str) -> list[Finding]:
    cursor.execute("ROLLBACK TO SAVEPOINT step")
    if step.fallback is not None:
        cursor.execute(step.fallback)
    if step.lost:
        return [replace(finding, reason=f"{finding.reason}: {words}") for finding in step.lost]
    if step.finding is None:
        return []
    return [replace(step.finding, state="skipped", reason=f"PostgreSQL refused it: {words}", suggestion=step.sql)]

"""The schema `replication` in the target, which holds what this tool records: made, upgraded, refused if not ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg2

from db import target_words
from model.errors import RecordError
from postgres import checkpoints, rejected_rows, runs, sessions, suspension_record, trust

CREATE = "CREATE SCHEMA IF NOT EXISTS replication"
#: in this order, since one table refers to another
EVERYTHING = (
    checkpoints.CREATE, checkpoints.UPGRADE, sessions.CREATE, sessions.UPGRADE, rejected_rows.CREATE,
    suspension_record.CREATE, runs.CREATE,
)  # fmt: skip
IS_THERE = "SELECT to_regnamespace('replication') IS NOT NULL"
IS_CURRENT = """
SELECT to_regclass('replication.claim') IS NOT NULL AND 4 = (
    SELECT count(*) FROM pg_attribute WHERE (attrelid, attname) IN (
        (to_regclass('replication.load'), 'keeps_rows'), (to_regclass('replication.load'), 'run'),
        (to_regclass('replication.checkpoint'), 'changes'), (to_regclass('replication.session'), 'progress_file')))
"""


def can_be_made(connection: Any) -> bool:
    """Whether the schema `replication` is there, or this role may make it. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_regnamespace('replication') IS NOT NULL"
            " OR has_database_privilege(current_user, current_database(), 'CREATE')"
        )
        (found,) = cursor.fetchone()
    connection.rollback()
    return bool(found)


def prepare(connection: Any, trusted: Sequence[str] = ()) -> None:
    """Make the schema `replication` where it is missing, or made by an older version.

    `trusted` are roles beside the one that runs whose schema it may be. Raises RecordError, also where it belongs to
    somebody else, or others may write to it.
    """
    try:
        with connection.cursor() as cursor:
            problems = trust.problems(cursor, trusted)
            if problems:
                raise RecordError(
                    f"the schema `replication` of the target cannot be trusted: {'; '.join(problems)}. Nothing "
                    f"in it was read or run. Revoke these rights, or, if the role is yours, name it in "
                    f"TRUSTED_ROLES; or, if you need nothing in it, drop it: DROP SCHEMA replication CASCADE"
                )
            cursor.execute(IS_CURRENT)
            (is_current,) = cursor.fetchone()
            if not is_current:
                cursor.execute(runs.PREPARE)
                cursor.execute(IS_THERE)
                if cursor.fetchone() == (False,):
                    # Even where it is there, IF NOT EXISTS asks for the right to make it.
                    cursor.execute(CREATE)
                for statements in EVERYTHING:
                    cursor.execute(statements)
        connection.commit()
    except RecordError:
        connection.rollback()
        raise
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise RecordError(
            f"the schema `replication`, where loads keep their checkpoints, cannot be created: {target_words(error)}. "
            f"Let a superuser create it for this role (CREATE SCHEMA replication AUTHORIZATION ...), or "
            f"grant CREATE on the database."
        ) from None

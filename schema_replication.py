"""The schema phase: SQL Server's tables recreated in PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from catalog import Table
from db import Settings, UnreachableError, connect_target, target_words
from display import choose_display
from postgres import ddl
from postgres.names import TargetName, target_name
from postgres.shape import TargetTable, differences, read_features, read_tables, target_schemas
from progress import DEFAULT_FILES, ProgressTracker
from session import ALL_DONE, Options, Plan, Run, Work, announce, close_run, plan_run, read_source, reset, work_through
from type_mapping import TargetFeatures


class SchemaError(Exception):
    """A table could not be made, or one that exists does not fit; the message says why."""


def run(options: Options, recreate: bool) -> int:
    """Make all tables that the options ask for; returns the exit code.

    With `recreate`, a table that exists and does not fit is dropped and made anew. Raises what
    `session.run_script` turns into words.
    """
    display = choose_display()
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["schema"]), "schema")
    with tracker.lock():
        if options.reset:
            return reset(tracker, display)
        this_run = read_source(options, tracker, display)
        with closing(connect_target(this_run.settings)) as target:
            try:
                features = read_features(target)
                existing = read_tables(target, target_schemas(this_run.tables, this_run.settings))
            except psycopg2.Error as error:
                raise UnreachableError(f"the target's catalog cannot be read: {target_words(error)}") from None
            announce(this_run)
            has_xml_column = any(column.type.name == "xml" for table in this_run.tables for column in table.columns)
            if has_xml_column and not features.has_xml:
                display.say("⚠️ The target was built without libxml: xml columns become text.")
            plan = plan_run(this_run)
            if not plan.work:
                return ALL_DONE
            return _replicate(this_run, plan, Workshop(target, features, existing, _existing_schemas(target)), recreate)


@dataclass(frozen=True)
class Workshop:
    """The target as the phase finds it; `schemas` grows as schemas are made."""

    connection: Any
    features: TargetFeatures
    tables: Mapping[TargetName, TargetTable]
    schemas: set[str]


def _replicate(run: Run, plan: Plan, workshop: Workshop, recreate: bool) -> int:
    started = time.monotonic()

    def do_table(work: Work) -> None:
        table = work.table
        place = target_name(table, run.settings)
        run.tracker.start(table.key)
        there = workshop.tables.get(place)
        if there is not None:
            unlike = differences(table, there, run.settings, workshop.features)
            if not unlike:
                run.tracker.complete(table.key)
                run.display.say(f"✅ {place} exists already and fits")
                return
            if not recreate:
                raise SchemaError(
                    f"{place} exists and differs: {'; '.join(unlike)}. It was left as it is; change it, or let "
                    f"--recreate drop it with its rows and make it anew."
                )
        run.display.say(f"🏗️ Creating {table.full_name} → {place}")
        _create(run.settings, workshop, table, place, replaces=there is not None)
        run.tracker.complete(table.key)
        run.display.say(f"✅ {len(table.columns)} columns{' and a primary key' if table.primary_key else ''}")

    failed = work_through(run, plan, do_table, (SchemaError,))
    duration = ("Duration", f"{time.monotonic() - started:.2f} seconds")
    return close_run(run, plan, failed, "Schema Replication Summary", "replicate", [duration])


def _existing_schemas(target: Any) -> set[str]:
    with target.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace")
        names = {name for (name,) in cursor.fetchall()}
    target.rollback()
    return names


def _create(settings: Settings, workshop: Workshop, table: Table, place: TargetName, *, replaces: bool) -> None:
    """Make one table in one transaction, its schema with it where that is missing."""
    statements = [] if place.schema in workshop.schemas else [ddl.create_schema(place.schema)]
    statements += [ddl.drop_table(place)] if replaces else []
    statements += ddl.create_table(table, settings, workshop.features)
    connection = workshop.connection
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        connection.commit()
    except psycopg2.Error as error:
        if connection.closed:
            raise UnreachableError(f"PostgreSQL {settings.target.label} went away: {target_words(error)}") from None
        connection.rollback()
        raise SchemaError(target_words(error)) from None
    workshop.schemas.add(place.schema)

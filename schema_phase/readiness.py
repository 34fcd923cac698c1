"""Whether a run would fail for what the target holds already, or for what either login may not do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from model.catalog import Table
from model.refresh import Refresh
from model.settings import Settings
from model.table_size import TableSize, amount
from postgres.ddl import TablePlan
from postgres.drift import differences
from postgres.names import STAGING_SCHEMA, target_name
from postgres.rights import RECORDS, TargetRights
from run.selection import refresh_by_name
from schema_phase.remarks import Remark, TargetState

READING = "GRANT SELECT on it to the login, or db_datareader; or leave the table out"


def drift_remarks(plans: Sequence[TablePlan], settings: Settings, target: TargetState) -> Iterator[Remark]:
    """Tables that exist and are not as the source has them: the schema phase refuses each."""
    for plan in plans:
        there = target.tables.get(plan.target)
        unlike = differences(plan, there, settings, target.features) if there is not None else []
        if unlike:
            mends = (
                "--apply-drift mends that without loss"
                if all(one.mend for one in unlike)
                else ("--recreate drops the table with its rows and creates it again")
            )
            yield Remark(
                "blocks", "table differs", plan.table.full_name,
                f"{plan.target} exists and differs: {'; '.join(one.text for one in unlike)}", mends,
            )  # fmt: skip


def source_remarks(unreadable: Sequence[Table]) -> Iterator[Remark]:
    """What the login lacks in the source."""
    for table in unreadable:
        yield Remark("blocks", "no right to read", table.full_name, "the login may not SELECT from it", READING)


def target_remarks(rights: TargetRights, tables: Sequence[Table], settings: Settings) -> Iterator[Remark]:
    """What the role lacks in the target, and settings that the server refuses."""
    role, database = rights.role, rights.database
    for name, schema in rights.schemas.items():
        if name == RECORDS:
            if not rights.may_create_schemas and not (schema.exists and schema.may_create):
                yield Remark(
                    "blocks", "no right to record", RECORDS,
                    f"the role {role} may not create the schema {RECORDS}, where loads keep their checkpoints",
                    f"GRANT CREATE ON DATABASE {database} TO {role}, or CREATE SCHEMA {RECORDS} AUTHORIZATION {role}",
                )  # fmt: skip
        elif name == STAGING_SCHEMA:
            may_stage = schema.may_use and schema.may_create if schema.exists else rights.may_create_schemas
            if not may_stage and any(_refresh(table, settings) != "truncate" for table in tables):
                yield Remark(
                    "blocks", "no right to stage", name,
                    f"the role {role} may not create the schema {name}, or tables in it, where new rows stand until "
                    f"they are shown (REFRESH, REFRESH_TABLES)",
                    f"GRANT CREATE ON DATABASE {database} TO {role}, or CREATE SCHEMA {name} AUTHORIZATION {role}",
                )  # fmt: skip
        elif not schema.exists and not rights.may_create_schemas:
            yield Remark(
                "blocks", "no right to create", name, f"the role {role} may not create the schema",
                f"GRANT CREATE ON DATABASE {database} TO {role}, or CREATE SCHEMA {name} AUTHORIZATION {role}",
            )  # fmt: skip
        elif schema.exists and not (schema.may_use and schema.may_create):
            yield Remark(
                "blocks", "no right to create", name, f"the role {role} may not create tables in the schema",
                f"GRANT USAGE, CREATE ON SCHEMA {name} TO {role}",
            )  # fmt: skip
    yield from _table_remarks(rights)
    for name, words in rights.refused_settings.items():
        yield Remark(
            "blocks", "setting refused", name.upper(), f"the target does not take {getattr(settings, name)}: {words}",
            "write a value that PostgreSQL knows, like 256MB",
        )  # fmt: skip


def room_remarks(
    tables: Sequence[Table], sizes: Mapping[tuple[str, str], TableSize], settings: Settings, target: TargetState
) -> Iterator[Remark]:
    """What new rows take of the target's disk while they stand beside live ones, by the source's sizes.

    Or by the target's, of tables of which the source says none; nothing where no size is known.
    """
    known = {table: sizes.get((table.schema, table.name)) or target.sizes.get(target_name(table, settings))
             for table in tables}  # fmt: skip
    free = target.free_bytes
    left = "" if free is None else f", of {amount(free)} that its disk has left"
    ways = {table: _refresh(table, settings) for table in tables}
    needed = sum(size.staged(ways[table]) for table, size in known.items() if size)
    if needed:
        count = sum(how != "truncate" for how in ways.values())
        text = f"the new rows of {count:,} tables take about {amount(needed)} of the target's disk meanwhile{left}"
        advice = "free some room; refresh fewer tables at a time; or fill large ones in place: REFRESH_TABLES"
        lacks = free is not None and needed > free
        yield Remark(
            "blocks" if lacks else "notes", "room for staging", STAGING_SCHEMA, text, advice if lacks else None
        )
    elif any(known.values()):
        both = {how: amount(sum(size.staged(how) for size in known.values() if size)) for how in ("merge", "swap")}
        text = (
            f"with --refresh merge, new rows would take about {both['merge']} of the target's disk meanwhile, with "
            f"swap {both['swap']}{left}"
        )
        yield Remark("notes", "room for staging", STAGING_SCHEMA, text)


def _refresh(table: Table, settings: Settings) -> Refresh:
    """How a run refreshes a table that no flag tells otherwise."""
    return refresh_by_name(table, settings) or settings.refresh


def _table_remarks(rights: TargetRights) -> Iterator[Remark]:
    for table, found in rights.tables.items():
        if not found.owns:
            lacks = found.missing_for_a_load
            yield Remark(
                "blocks", "table of another owner", str(table),
                f"belongs to {found.owner}: the role {rights.role} may not change it or its keys"
                + (f", and lacks {', '.join(lacks)}" if lacks else ""),
                f"ALTER TABLE {table.quoted} OWNER TO {rights.role}, or GRANT {found.owner} TO {rights.role}",
            )  # fmt: skip

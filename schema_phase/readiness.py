"""Whether a run would fail for what the target holds already, or for what either login may not do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.catalog import Table
from model.settings import Settings
from postgres.ddl import TablePlan
from postgres.drift import differences
from postgres.rights import RECORDS, TargetRights
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


def target_remarks(rights: TargetRights, settings: Settings) -> Iterator[Remark]:
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

"""--with-schema: the structure of both sides compared before any row is copied. Nothing is altered."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from db import connect_source, connect_target
from model.catalog import Table
from model.errors import UnfitTargetError
from model.visible import on_one_line
from mssql.introspection import read_database
from postgres.ddl import TablePlan
from postgres.drift import differences
from postgres.introspection import TargetTable
from postgres.load_plan import plan_load
from postgres.names import TargetName
from run.context import Run
from schema_phase.planning import Target, plan_schema
from type_mapping import TargetFeatures

APPLY = "replicate-schema.py --apply-drift adds missing columns and widens types"


@dataclass(frozen=True)
class Compared:
    """How a table's target differs from what the source asks for: what of it fails a load, and what does not.

    `can_be_mended` says that all of what fails it can be, without loss.
    """

    table: Table
    target: TargetName
    failing: tuple[str, ...]
    other: tuple[str, ...] = ()
    can_be_mended: bool = False

    @property
    def why_not(self) -> str:
        """Why its rows are not copied."""
        hint = APPLY if self.can_be_mended else "change it, or let replicate-schema.py --recreate make it anew"
        return f"{self.target} differs from the source: {'; '.join(self.failing)}. It was left as it is; {hint}"


def look(this_run: Run, tables: Sequence[Table]) -> dict[str, str]:
    """Compare these tables with their targets; told. Returns why rows of some must not be copied, by their keys.

    Tables that the target does not have are not among them: the data phase tells these itself.

    Raises UnreachableError and CatalogError.
    """
    compared = _compared_all(this_run, tables)
    _tell(this_run, len(compared), [one for one in compared if one.failing or one.other])
    return {one.table.key: one.why_not for one in compared if one.failing}


def _compared_all(this_run: Run, tables: Sequence[Table]) -> list[Compared]:
    with closing(connect_source(this_run.settings)) as source:
        database = read_database(source, this_run.settings.comment_properties)
    mapped = this_run.type_map.apply(database.tables)
    wanted = {table.key for table in tables}
    with closing(connect_target(this_run.settings)) as connection:
        target = Target.read(connection, this_run)
    plan = plan_schema(
        this_run, replace(database, tables=mapped), [table for table in mapped if table.key in wanted], target
    )
    return [
        _compared(this_run, one, there, target.features)
        for one in plan.tables
        if (there := target.tables.get(one.target)) is not None
    ]


def _compared(this_run: Run, plan: TablePlan, there: TargetTable, features: TargetFeatures) -> Compared:
    unlike = differences(plan, there, this_run.settings, features)
    failing = [one for one in unlike if one.fails_load]
    words = [one.text for one in failing]
    if not failing:
        try:
            plan_load(plan.table, there, this_run.settings)
        except UnfitTargetError as error:
            words = [str(error)]
    return Compared(
        plan.table,
        plan.target,
        tuple(words),
        tuple(one.text for one in unlike if not one.fails_load),
        can_be_mended=bool(failing) and all(one.mend for one in failing),
    )


def _tell(this_run: Run, total: int, found: Sequence[Compared]) -> None:
    say = this_run.display.say
    if not found:
        say(f"🔎 Schema: {total} table{'s' if total != 1 else ''} compared, none differs from the source")
        return
    say(f"⚠️ Schema: {total} tables compared, {len(found)} differ{'s' if len(found) == 1 else ''} from the source:")
    for one in found:
        name = f"{on_one_line(one.table.full_name)} → {one.target}"
        if one.failing:
            say(f"   ❌ {name}: {on_one_line('; '.join(one.failing))}: not copied")
        if one.other:
            say(f"   ⚠️ {name}: {on_one_line('; '.join(one.other))}{'' if one.failing else ': copied all the same'}")
    if any(one.failing for one in found):
        say(f"   💡 {APPLY}. The next --nightly or --resume copies them then.")

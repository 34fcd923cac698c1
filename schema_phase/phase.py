"""The schema phase: SQL Server's structure recreated in PostgreSQL.

Tables first, each with its defaults, checks and comments in one transaction; then keys and indexes; then
foreign keys. Every step looks at what is there already, so a run that was killed anywhere goes on with
`--resume`, and a second run changes nothing. The rows are never needed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from db import connect_source, connect_target
from model.catalog import Database, Table
from model.findings import Finding
from model.settings import Settings
from mssql.introspection import read_database
from mssql.server_version import read_version
from operations.run_result import RunResult
from postgres import ddl, own_schema
from postgres.ddl import SchemaPlan, TablePlan
from postgres.introspection import search_path
from postgres.names import target_name
from postgres.runs import LiveRun
from progress import DEFAULT_FILES, ProgressTracker
from run.closing import Closing, Ending, close_run, failed
from run.context import Run, announce, load_run_settings, reset, run_over
from run.output import write_out
from run.plan import Plan, begin_session, plan_run
from run.restoring import claim, restore
from run.script import Script
from run.sessions import note_end, note_session, refuse_elsewhere, refuse_without_folder
from run.target_connections import affordable
from run.visibility import unknowns
from run.waiting import locked
from schema_phase import preflight
from schema_phase.builder import Builder
from schema_phase.fidelity_report import write_report
from schema_phase.loop import Worked, work_through
from schema_phase.options import SchemaOptions
from schema_phase.outcomes import Outcomes, findings_of
from schema_phase.planning import Target, plan_schema
from schema_phase.remarks import Foreseen, TargetState


def run(script: Script, schema_options: SchemaOptions) -> RunResult:
    """Make everything that the options ask for.

    Raises ReplicationError where the run ends for that, and Stopped.
    """
    tracker = ProgressTracker(
        script.options.progress_file or Path(DEFAULT_FILES["schema"]), "schema", script.display.say
    )
    if schema_options.check:
        foresee = partial(_foresee, script, tracker)
        ending = preflight.run(script, tracker.path.parent, schema_options.check_data, foresee, schema_options.cluster)
    elif schema_options.dry_run:
        ending = _print_ddl(script, tracker)
    else:
        refuse_without_folder(script.options, tracker)
        with locked(script, tracker):
            if script.options.reset:
                return script.recorder.ended(0, reset(script, tracker))
            ending = _run(script, tracker, schema_options)
    return script.recorder.ended(ending.exit_code, ending.because)


def _print_ddl(script: Script, tracker: ProgressTracker) -> Ending:
    this_run, database = _read(script, tracker)
    for remark in this_run.remarks:
        script.beside.say(remark)
    with closing(connect_target(this_run.settings)) as connection:
        plan = plan_schema(this_run, database, this_run.affected, Target.read(connection, this_run))
        path = search_path(connection)
    remarks = [f"type map {this_run.type_map.path}: {line}" for line in this_run.type_map.lines]
    write_out(ddl.script(plan, path, remarks))
    return Ending(reasons=("the DDL was printed",))


def _run(script: Script, tracker: ProgressTracker, schema_options: SchemaOptions) -> Ending:
    this_run, database = _read(script, tracker)
    with closing(connect_target(this_run.settings)) as connection:
        this_run.recorder.works_with(target=str(connection.get_parameter_status("server_version")))
        announce(this_run)
        for unknown in unknowns(database.hiding, this_run.settings.source.label):
            this_run.display.say(f"⚠️ {unknown}")
        work = plan_run(this_run)
        live = _claimed(this_run, work, connection)
        try:
            target = Target.read(connection, this_run)
            plan = plan_schema(this_run, database, this_run.tables, target)
            begin_session(this_run, work)
            if live is not None:
                note_session(this_run, work, connection)
            keys = [one.table.key for one in work.work]
            this_run.recorder.plans(tracker.session_id, keys, len(work.tables) - len(keys))
            outcomes = Outcomes()
            outcomes.planned(plan)
            builder = Builder(this_run, target, outcomes, schema_options, _chosen(plan, work))
            ending = _replicate(this_run, plan, work, builder, outcomes)
            if live is not None:
                note_end(this_run)
            return ending
        finally:
            if live is not None:
                live.close()


def _chosen(plan: SchemaPlan, work: Plan) -> list[TablePlan]:
    plans = {table.table.key: table for table in plan.tables}
    return [plans[one.table.key] for one in work.work]


def _claimed(this_run: Run, work: Plan, connection: Any) -> LiveRun | None:
    """This run's claim on the tables it works on, with all that killed runs suspended restored.

    None where the role may not make the schema `replication`: no load can have been there either. Raises
    TablesClaimedError, RecordError, SuspensionError and UnreachableError.
    """
    if not own_schema.can_be_made(connection):
        return None
    own_schema.prepare(connection, this_run.settings.trusted_roles)
    refuse_elsewhere(this_run, work, connection)
    live = claim(this_run, [target_name(one.table, this_run.settings) for one in work.work])
    try:
        places = affordable(this_run, this_run.crew.places(None, this_run.settings.workers), connection)
        restore(this_run, live, places.now)
    except BaseException:
        live.close()
        raise
    return live


def _read(script: Script, tracker: ProgressTracker) -> tuple[Run, Database]:
    settings = load_run_settings(script)
    with closing(connect_source(settings)) as source:
        script.recorder.works_with(source=read_version(source))
        database = read_database(source, settings.comment_properties)
    this_run = run_over(script, database.tables, settings, tracker)
    return this_run, replace(database, tables=this_run.type_map.apply(database.tables))


def _foresee(
    script: Script,
    tracker: ProgressTracker,
    settings: Settings,
    tables: Sequence[Table],
    database: Database,
    state: TargetState,
) -> Foreseen:
    """What holds after a run over these tables, if nothing is refused."""
    this_run = Run(script, settings, tracker, tuple(tables), tuple(tables))
    outcomes = Outcomes()
    target = Target(None, state.features, dict(state.tables))
    plan = plan_schema(this_run, database, tables, target)
    outcomes.planned(plan)
    return Foreseen(list(outcomes.findings.values()), plan.tables)


def _replicate(this_run: Run, plan: SchemaPlan, work: Plan, builder: Builder, outcomes: Outcomes) -> Ending:
    started = time.monotonic()
    working = {one.table.key for one in work.work}
    for table in plan.tables:
        if table.table.key not in working:
            _recall(this_run.tracker, table, builder.has(table), outcomes)
    worked = _build(this_run, plan, work, builder, outcomes) if work.work else Worked()
    report, told = _report(this_run, outcomes)
    if not work.work:
        return Ending(reasons=("nothing was left to do",)) + report
    extra = [
        ("Keys and indexes", str(sum(len(table.keys) for table in plan.tables))),
        ("Foreign keys", str(sum(len(table.foreign_keys) for table in plan.tables))),
        ("Duration", f"{time.monotonic() - started:.2f} seconds"),
    ]
    words = Closing("Schema Replication Summary", "replicate")
    done = work.without(worked.left_out - {*worked.failed})
    ending = close_run(this_run, done, worked.failed, words, extra)
    this_run.display.say(told)
    return ending + report


def _build(this_run: Run, plan: SchemaPlan, work: Plan, builder: Builder, outcomes: Outcomes) -> Worked:
    """Carry the plan out; returns what did not become of it."""
    plans = {table.table.key: table for table in plan.tables}
    builder.make_schemas(plan.schemas)
    builder.make_schema_comments(plan.schema_comments)
    builder.make_support(plan.support)
    for named in plan.domains:
        builder.make_domain(named)
    for named in plan.sequences:
        builder.make_sequence(named)
    worked = work_through(this_run, work, lambda one: builder.make_table(plans[one.table.key]))
    for key in worked.left_out:
        _recall(this_run.tracker, plans[key], builder.has(plans[key]), outcomes)
    for key in [key for key in worked.failed if key not in worked.left_out]:
        outcomes.not_made(plans[key].all_findings, f"its table failed: {this_run.tracker.error(key)}")
    left = [one for one in work.work if one.table.key not in {*worked.failed, *worked.left_out}]
    without_keys = builder.make_all(left, plans, "indexes")
    for key in without_keys:
        steps = [step for named in plans[key].foreign_keys for step in named.steps]
        outcomes.not_made(findings_of(steps), "its table's keys and indexes failed")
    worked.failed += without_keys
    worked.failed += builder.make_all(
        [one for one in left if one.table.key not in worked.failed], plans, "foreign_keys"
    )
    return worked


def _report(this_run: Run, outcomes: Outcomes) -> tuple[Ending, str]:
    """Write the report; returns how that ended, and where a person finds it, in words.

    Where the report cannot be written, the words say so: that costs the exit code, not the summary.
    """
    settings, findings = this_run.settings, list(outcomes.findings.values())
    states = [finding.state for finding in findings]
    counts = (
        f"{states.count('done')} objects done, {states.count('changed')} changed, {states.count('skipped')} skipped"
    )
    try:
        as_json, as_page = write_report(
            this_run.tracker.path.parent, settings.source.label, settings.target.label, findings
        )
    except OSError as error:
        where = error.filename or this_run.tracker.path.parent
        words = f"the report cannot be written: {error.strerror or error} ({where})"
        this_run.display.say(f"❌ {words}. Once that is fixed, --resume writes it.")
        return failed(words), f"📋 {counts}"
    return Ending(), f"📋 {counts}: see {as_page} and {as_json.name}"


def _recall(tracker: ProgressTracker, plan: TablePlan, is_there: bool, outcomes: Outcomes) -> None:
    """What holds of a table that this run leaves alone: what the server refused in an earlier run still stands."""
    if not is_there:
        outcomes.not_made(plan.all_findings, "this run leaves the table alone, and it is not in PostgreSQL")
    outcomes.note(Finding(**entry) for entry in tracker.entry(plan.table.key).get("refused", []))

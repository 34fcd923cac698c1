"""The pre-flight: what a run would meet, told before it, as a page for a person and the same as JSON.

Reads the source's structure and, when asked, its values; looks at the target if it can be reached. Changes
nothing on either side, needs no lock and leaves the progress file alone. Everything a run would refuse, one
thing after the other, is collected here.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal, get_args

import psycopg2

from db import connect_source, connect_target, target_words
from hand_edits.whole_files import write_atomically
from model.catalog import Column, Database, ForeignKey, Hiding, SqlType, Table
from model.errors import OutputError, UnreachableError, UnsupportedTypeError
from model.findings import Finding
from model.settings import Settings
from model.visible import json_text
from mssql import data_checks, table_sizes
from mssql.catalog_queries import Catalog, PyodbcConnection
from mssql.data_checks import Comparison, Count
from mssql.hiding import encrypted
from mssql.introspection import read_database
from mssql.rights import unreadable
from mssql.server_version import read_version
from postgres import ddl, disk
from postgres.ddl import NULLS_NOT_DISTINCT_SINCE
from postgres.introspection import has_citext, has_icu, read_features, read_tables, target_schemas
from postgres.names import MAX_BYTES, column_collisions, table_collisions, target_name
from postgres.rights import read_rights
from run.closing import Ending, failed
from run.context import load_run_settings
from run.display import RULE, Display
from run.script import Script
from run.selection import select
from run.type_map import read_type_map
from run.visibility import GRANT, what_is_not_known
from schema_phase import readiness
from schema_phase.cluster_check import cluster_remarks
from schema_phase.remarks import Foreseen, Remark, Severity, TargetState
from type_mapping import TargetFeatures, mapping_of

Verdict = Literal["ready", "decide"]

JSON_FILE = "schema_check.json"
WIDTH = 110
#: names listed in one remark, and remarks of one kind shown on the page
NAMES_SHOWN = 8
REMARKS_SHOWN = 12
LARGEST_SHOWN = 5
TITLES: Mapping[Severity, str] = {
    "blocks": "❌ IN THE WAY: would fail, lose data or change it",
    "warns": "⚠️ WARNINGS: works, but not exactly as on the source",
    "notes": "📋 NOTES",
}
#: findings of the plan that have a remark of their own here
TOLD_ELSEWHERE = {"catalog", "catalog view", "security policy"}
#: what is skipped by intent, not for want of a counterpart
SKIPPED_BY_INTENT = {"table", "schema"}

#: trait of a table → how grave, what becomes of it, what to do
TRAITS: Mapping[str, tuple[Severity, str, str | None]] = {
    "temporal": ("notes", "its current rows are copied; PostgreSQL keeps no old versions", "triggers can keep them"),
    "temporal history": ("notes", "copied as an ordinary table", None),
    "memory-optimised": ("notes", "an ordinary table; PostgreSQL caches what is used", None),
    "partitioned": ("notes", "one ordinary table in PostgreSQL", "for a huge one, consider declarative partitioning"),
    "tracked by CDC": ("notes", "copied; change capture is not set up in PostgreSQL", "logical replication does that"),
    "ledger": ("warns", "its rows are copied, its proof against tampering is not", "keep the source's digests"),
    "append-only ledger": (
        "warns", "its rows are copied; in PostgreSQL they can be changed", "revoke UPDATE and DELETE there",
    ),
    "ledger history": ("warns", "copied as an ordinary table, which proves nothing", "keep the source's digests"),
    "external": ("warns", "its rows lie outside the database and are read through it", "or --exclude it"),
    "FileTable": ("warns", "its rows are copied with the files' content; the file share is not", "or --exclude it"),
    "graph node": ("warns", "an ordinary table; $node_id and MATCH have no counterpart", "create keys by hand"),
    "graph edge": ("warns", "an ordinary table; $from_id, $to_id and MATCH have no counterpart",
                   "create references by hand"),
    "stretched": ("warns", "rows that moved to Azure are read from there, slowly", "move them back first"),
}  # fmt: skip


#: what the schema phase would make of these tables, if the target refuses nothing
Foresight = Callable[[Settings, Sequence[Table], Database, TargetState], Foreseen]


def run(script: Script, folder: Path, with_data: bool, foresee: Foresight, cluster: str | None = None) -> Ending:
    """Look at everything, print the page, write the same as JSON into `folder`.

    `with_data` counts values too; `cluster` is the address of one that is looked at, None for that of the settings.
    Raises ReplicationError.
    """
    settings = load_run_settings(script)
    type_map = read_type_map(settings.type_map)
    with closing(connect_source(settings)) as source:
        script.recorder.works_with(source=read_version(source))
        database = read_database(source, settings.comment_properties)
        catalog = Catalog(PyodbcConnection(source.cursor()))
        asked_for = select(database.tables, script.options, settings).affected
        unread, sizes = unreadable(catalog, asked_for), table_sizes.read_sizes(catalog, asked_for)
    database = replace(database, tables=type_map.resolved(database.tables).apply(database.tables))
    selection = select(database.tables, script.options, settings)
    for remark in selection.remarks:
        script.display.say(remark)
    tables = selection.affected
    target = read_target(settings, tables)
    stripped, unsupported = without_unsupported(database)
    kept = {(table.schema, table.name) for table in tables}
    plannable = [table for table in stripped.tables if (table.schema, table.name) in kept]
    foreseen = foresee(settings, plannable, stripped, target)
    findings = [finding for finding in foreseen.findings if finding.kind != "column" or finding.name not in unsupported]
    remarks = [
        *structure_remarks(database, tables, settings, target),
        *finding_remarks(findings),
        *readiness.source_remarks(unread),
        *readiness.drift_remarks(foreseen.plans, settings, target),
        *([] if target.rights is None else readiness.target_remarks(target.rights, tables, settings)),
        *readiness.room_remarks(
            tables, {(one.schema, one.name): size for one, size in sizes.items()}, settings, target
        ),
        *cluster_remarks(settings, cluster),
    ]
    if with_data:
        remarks += _data_remarks(database, tables, settings, script.beside)
    remarks = _sorted(
        replace(remark, text=settings.secrets.hide(remark.text), advice=remark.advice and _one_line(remark.advice))
        for remark in remarks
    )
    source_label, target_label = settings.source.label, settings.target.label
    as_json = folder / JSON_FILE
    script.display.say(page(source_label, target_label, remarks, with_data, as_json))
    try:
        write_atomically(as_json, document(source_label, target_label, remarks))
    except OSError as error:
        raise OutputError(f"{as_json} cannot be written: {error.strerror or error}") from None
    found = verdict(remarks)
    return Ending(reasons=("nothing is in the way",)) if found == "ready" else failed("something is in the way")


# -- the target --------------------------------------------------------------------------------


def read_target(settings: Settings, tables: Sequence[Table]) -> TargetState:
    """The target as it is. One that cannot be reached is assumed to be a current PostgreSQL."""
    try:
        with closing(connect_target(settings)) as connection:
            connection.set_session(readonly=True)
            features = read_features(connection)
            there = read_tables(connection, target_schemas(tables, settings))
            names = [target_name(table, settings) for table in tables]
            return TargetState(
                features=features,
                tables=there,
                has_citext=has_citext(connection),
                has_icu=has_icu(connection),
                encoding=connection.get_parameter_status("server_encoding"),
                rights=read_rights(connection, names, settings.maintenance_work_mem),
                sizes=disk.read_sizes(connection, names),
                free_bytes=disk.free_bytes(connection),
            )
    except UnreachableError as error:
        return TargetState(unreachable=_one_line(str(error)))
    except psycopg2.Error as error:
        return TargetState(unreachable=settings.secrets.hide(target_words(error)))


# -- structure ---------------------------------------------------------------------------------


def without_unsupported(database: Database) -> tuple[Database, set[str]]:
    """The database with a text in place of every column that cannot be copied, and those columns' names.

    So that everything else can be planned, and remarked on, all the same.
    """
    names: set[str] = set()

    def supported(table: Table) -> Table:
        columns = []
        for column in table.columns:
            if is_supported(column):
                columns.append(column)
                continue
            names.add(f"{table.full_name}.{column.name}")
            columns.append(replace(column, type=SqlType("nvarchar", -1)))
        return replace(table, columns=tuple(columns))

    return replace(database, tables=tuple(supported(table) for table in database.tables)), names


def is_supported(column: Column) -> bool:
    """Whether the type mapping knows the column's type."""
    try:
        mapping_of(column.type)
    except UnsupportedTypeError:
        return False
    return True


def _is_xml(column: Column) -> bool:
    return is_supported(column) and mapping_of(column.type).family == "xml"


def structure_remarks(
    database: Database, tables: Sequence[Table], settings: Settings, target: TargetState
) -> Iterator[Remark]:
    """Everything that the source's catalog and the target's state say by themselves."""
    yield from _overview(tables)
    yield from _target_remarks(tables, settings, target)
    for view in database.unread:
        what, _, words = view.partition(":")
        yield Remark(
            "warns", "catalog not read", what, f"the source did not show it:{words}", "what it holds is not known here"
        )
    yield from _hiding_remarks(database.hiding, tables)
    yield from _collisions(tables, settings)
    sealed = encrypted(tables, settings.source)
    for table in tables:
        yield from _table_remarks(database, table, sealed)
    yield from _long_names(tables)
    yield from _key_remarks(tables, settings, target)


def _hiding_remarks(hiding: Hiding, tables: Sequence[Table]) -> Iterator[Remark]:
    """Rows that may be hidden, and what this login cannot know."""
    for table in tables:
        policies = hiding.policies.get(table.key, ())
        if policies:
            yield Remark(
                "blocks", "row-level security", table.full_name,
                f"{_list(policies)} is in force and may silently hide rows from this login",
                "copy with a login that sees all rows; --check-data counts the hidden ones; sync-data.py "
                "--allow-hidden-rows copies those that it sees",
            )  # fmt: skip
    unknown = what_is_not_known(hiding, "the source")
    if unknown is not None:
        yield Remark("warns", "no VIEW DEFINITION", "catalog", unknown.partition(f" {GRANT}")[0], GRANT, hiding.unseen)


def _overview(tables: Sequence[Table]) -> Iterator[Remark]:
    rows = sum(table.row_count for table in tables)
    largest = sorted(tables, key=lambda table: -table.row_count)[:LARGEST_SHOWN]
    listed = ", ".join(f"{table.full_name} {table.row_count:,}" for table in largest if table.row_count)
    text = f"{_many(len(tables), 'table')}, about {rows:,} rows" + (f"; the largest: {listed}" if listed else "")
    yield Remark("notes", "overview", "table", text, count=len(tables))


def _target_remarks(tables: Sequence[Table], settings: Settings, target: TargetState) -> Iterator[Remark]:
    label = settings.target.label
    if target.unreachable is not None:
        yield Remark(
            "warns", "target not reached", label, f"{target.unreachable} A current PostgreSQL is assumed.",
            "check again once it can be reached",
        )  # fmt: skip
    if target.encoding not in (None, "UTF8"):
        yield Remark(
            "warns", "target encoding", label,
            f"the database is encoded in {target.encoding}, which cannot hold every character of the source",
            "create the database with ENCODING 'UTF8'",
        )  # fmt: skip
    xml = [f"{table.full_name}.{column.name}" for table in tables for column in table.columns if _is_xml(column)]
    if xml and not target.features.has_xml:
        yield Remark(
            "warns", "xml as text", label, f"built without libxml, so these columns become text: {_list(xml)}",
            "use a PostgreSQL built with libxml if the xml type is needed", len(xml),
        )  # fmt: skip
    policy = settings.collation_policy
    there = {"leave": True, "citext": target.has_citext, "icu": target.has_icu}[policy]
    if there is False:
        what = {"citext": "the extension citext is not available", "icu": "it was built without ICU"}[policy]
        yield Remark(
            "blocks", "collation policy", label, f"COLLATION_POLICY={policy}, but {what} on the target",
            "install it (Debian: postgresql-contrib), or choose another policy" if policy == "citext"
            else "use a PostgreSQL built with ICU, or choose another policy",
        )  # fmt: skip


def _collisions(tables: Sequence[Table], settings: Settings) -> Iterator[Remark]:
    advice = "NAMING=preserve keeps case apart, SCHEMA_MAP keeps schemas apart, --exclude leaves tables out"
    for table in tables:
        for line in column_collisions(table, settings):
            yield Remark("blocks", "name collision", table.full_name, line, advice)
    for line in table_collisions(tables, settings):
        yield Remark("blocks", "name collision", "table", line, advice)


def _table_remarks(database: Database, table: Table, sealed: Mapping[str, Sequence[str]]) -> Iterator[Remark]:
    for column in table.columns:
        name = f"{table.full_name}.{column.name}"
        if not is_supported(column):
            yield Remark(
                "blocks", "unsupported type", name, f"{column.type} is a CLR type or unknown, and cannot be copied",
                "leave the table out with --exclude",
            )  # fmt: skip
        if column.name in sealed.get(table.key, ()):
            yield Remark(
                "blocks", "encrypted column", name, "is Always Encrypted: only ciphertext can be read here",
                "set ColumnEncryption=Enabled in MSSQL_CONNECTION_STRING, or leave the table out",
            )  # fmt: skip
        if column.name in database.hiding.masked.get(table.key, ()):
            yield Remark(
                "blocks", "masked column", name,
                "the login lacks UNMASK: masks would be copied as if they were the values",
                "GRANT UNMASK to the login's user; sync-data.py --allow-masked copies the masks",
            )  # fmt: skip
    for trait in table.traits:
        severity, text, advice = TRAITS.get(trait, ("warns", "an ordinary table in PostgreSQL", None))
        yield Remark(severity, trait, table.full_name, text, advice)


def _long_names(tables: Sequence[Table]) -> Iterator[Remark]:
    names: dict[str, None] = {}
    for table in tables:
        names |= {name: None for name in (table.schema, table.name) if _is_long(name)}
        parts = [column.name for column in table.columns]
        parts += [key.name for key in (*table.unique, *([table.primary_key] if table.primary_key else []))]
        parts += [index.name for index in table.indexes] + [key.name for key in table.foreign_keys]
        parts += [check.name for check in table.checks]
        names |= {f"{table.full_name}.{name}": None for name in parts if _is_long(name)}
    if names:
        yield Remark(
            "notes", "long names", "name", f"{_many(len(names), 'name')} of more than {MAX_BYTES} bytes, cut with"
            f" a hash at the end: {_list(list(names))}", "queries must use the cut names", len(names),
        )  # fmt: skip


def _is_long(name: str) -> bool:
    return len(name.encode("utf-8", errors="replace")) > MAX_BYTES


def _key_remarks(tables: Sequence[Table], settings: Settings, target: TargetState) -> Iterator[Remark]:
    keyless = [
        table.full_name
        for table in tables
        if table.primary_key is None and not table.unique and not any(index.is_unique for index in table.indexes)
    ]
    if keyless:
        yield Remark(
            "notes", "no key", "table", f"{_many(len(keyless), 'table')} without a primary key or unique index:"
            f" {_list(keyless)}",
            "each is copied in one piece, so --resume starts it from scratch", len(keyless),
        )  # fmt: skip
    unique = [pair for table in tables for pair in _unique(table)]
    loose = [name for name, columns in unique if any(map(_ignores_case, columns))]
    if loose and settings.collation_policy == "leave":
        yield Remark(
            "notes", "case-insensitive key", "key",
            f"{_many(len(loose), 'unique key')} that ignore case or accents on the source;"
            f" PostgreSQL will accept 'A' beside 'a': {_list(loose)}",
            "COLLATION_POLICY=citext or icu prevents that", len(loose),
        )  # fmt: skip
    open_to_nulls = [name for name, columns in unique if any(column.is_nullable for column in columns)]
    if open_to_nulls and target.features.version < NULLS_NOT_DISTINCT_SINCE:
        yield Remark(
            "warns", "several NULLs", "key", "the target is older than PostgreSQL 15, so without NULLS NOT DISTINCT:"
            f" it will allow several NULLs in {_list(open_to_nulls)}", "use PostgreSQL 15 or later", len(open_to_nulls),
        )  # fmt: skip
    for kind, names, advice in (
        ("foreign key", [f"{t.full_name}.{k.name}" for t in tables for k in t.foreign_keys if _is_doubtful(k)],
         "--check-data counts the rows whose referenced row is missing"),
        ("check", [f"{t.full_name}.{c.name}" for t in tables for c in t.checks if c.is_disabled or not c.is_trusted],
         "rows that violate them are not counted here; DBCC CHECKCONSTRAINTS on the source lists them"),
    ):  # fmt: skip
        if names:
            text = f"{_many(len(names), kind)} disabled or not trusted on the source, so NOT VALID: {_list(names)}"
            yield Remark("notes", "not trusted", kind, text, advice, len(names))


def _is_doubtful(key: ForeignKey) -> bool:
    return key.is_disabled or not key.is_trusted


def _unique(table: Table) -> Iterator[tuple[str, list[Column]]]:
    """Name and columns of every key and unique index; a primary key's columns are never nullable."""
    keys = [*([table.primary_key] if table.primary_key else []), *table.unique]
    named = [(key.name, key.columns_used) for key in keys]
    named += [(index.name, tuple(c.name for c in index.columns)) for index in table.indexes if index.is_unique]
    for name, columns in named:
        yield f"{table.full_name}.{name}", [column for column in table.columns if column.name in columns]


def _ignores_case(column: Column) -> bool:
    return data_checks.is_text(column) and bool(re.search(r"_(CI|AI)(_|$)", column.collation or "", re.IGNORECASE))


# -- what the schema phase would say -----------------------------------------------------------


def finding_remarks(findings: Iterable[Finding]) -> Iterator[Remark]:
    """The plan's findings, summed up by kind; every object stands in the report that a run writes."""
    skipped: defaultdict[str, list[Finding]] = defaultdict(list)
    changed: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.kind in TOLD_ELSEWHERE:
            continue
        if finding.state == "skipped":
            skipped[finding.kind].append(finding)
        elif finding.state == "changed" and finding.kind != "table" and not _is_told(finding):
            changed[(finding.kind, (finding.reason or "") if finding.kind == "column" else "")].append(finding)
    for kind, group in sorted(skipped.items()):
        by_intent = kind in SKIPPED_BY_INTENT or all(finding.cause == "not looked at" for finding in group)
        severity: Severity = "notes" if by_intent else "warns"
        advice = None if by_intent else "the schema_report_details.md of a run holds the text of each"
        name = _many(len(group), kind)
        yield Remark(severity, "not made", kind, f"{name}: {_reasons(group)}", advice, len(group))
    for (kind, _), group in sorted(changed.items()):
        text = f"{_many(len(group), kind)}: {_reasons(group)}"
        yield Remark("notes", "made differently", kind, text, count=len(group))


def _is_told(finding: Finding) -> bool:
    return finding.cause == "unsure"


def _reasons(findings: Sequence[Finding]) -> str:
    """Names with their reasons, a reason that all share only once."""
    reasons = {finding.reason or "" for finding in findings}
    if len(reasons) == 1:
        return f"{_one_line(reasons.pop())}: {_list([finding.name for finding in findings])}"
    return _list([f"{finding.name} ({_one_line(finding.reason or '')})" for finding in findings], "; ")


# -- values ------------------------------------------------------------------------------------


def _data_remarks(database: Database, tables: Sequence[Table], settings: Settings, told: Display) -> list[Remark]:
    numbers = iter(range(1, len(tables) + 1))
    request = data_checks.Request(tables, lambda column: comparison(column, settings), database.hiding.may_hide_rows)
    counts = data_checks.count_problems(
        lambda: connect_source(settings),
        request,
        lambda name: told.say(f"[{next(numbers)}/{len(tables)}] 🔍 Checking values: {name}"),
    )
    limits = Remark(
        "notes", "not looked for", "values",
        "unpaired surrogates, rows that violate an untrusted check, documents that PostgreSQL's xml rejects",
    )  # fmt: skip
    return [*(data_remark(count, settings) for count in counts), limits]


def comparison(column: Column, settings: Settings) -> Comparison:
    """How PostgreSQL will compare a text column's values."""
    if is_supported(column) and ddl.column_type(column, settings, TargetFeatures()) == "citext":
        return "lower"
    return "source" if settings.collation_policy == "icu" and _ignores_case(column) else "exact"


def data_remark(count: Count, settings: Settings) -> Remark:
    """A count as a remark: how grave it is, and what to do."""
    rows = f"{count.rows:,} row{'' if count.rows == 1 else 's'}"
    if count.problem == "unread":
        severity: Severity = "blocks" if count.is_refused else "warns"
        advice = "GRANT SELECT to the login, or leave the table out" if count.is_refused else None
        return Remark(severity, "not checked", count.name, settings.secrets.hide(count.words or ""), advice)
    severity, text, advice = _PROBLEMS[count.problem]
    if count.problem == "NUL characters" and settings.nul_policy == "error":
        severity, advice = "blocks", "NUL_POLICY=strip or replace stores them without it; or remove it on the source"
    return Remark(severity, count.problem, count.name, text.format(rows=rows), advice, count.rows)


_PROBLEMS: Mapping[str, tuple[Severity, str, str]] = {
    "NUL characters": (
        "warns", "{rows} with U+0000, which PostgreSQL's text cannot hold", "NUL_POLICY decides what is stored instead",
    ),
    "seventh digit": (
        "warns", "{rows} with a seventh fractional digit, which will be cut", "PostgreSQL keeps microseconds",
    ),
    "duplicates": (
        "blocks", "{rows} too many: equal to another by PostgreSQL's rules, so the key cannot exist",
        "make them differ on the source (digits after the sixth are cut; citext ignores case)",
    ),
    "orphans": (
        "warns", "{rows} whose referenced row is missing: the key stays NOT VALID",
        "fix them on either side, then VALIDATE",
    ),
    "unequal": (
        "warns", "{rows} that match the referenced row only if case, accents or trailing blanks are ignored: the key"
        " stays NOT VALID", "write both alike on the source, or see COLLATION_POLICY",
    ),
    "hidden rows": (
        "blocks", "by the catalog's row count, row-level security hides about {rows} from this login",
        "copy with a login that sees all of them",
    ),
}  # fmt: skip


# -- the page and the document -----------------------------------------------------------------


def verdict(remarks: Iterable[Remark]) -> Verdict:
    """`decide` where anything blocks."""
    return "decide" if any(remark.severity == "blocks" for remark in remarks) else "ready"


def document(source: str, target: str, remarks: Sequence[Remark]) -> str:
    """The remarks as JSON text."""
    whole = {
        "source": source,
        "target": target,
        "remarks": [asdict(remark) for remark in remarks],
        "counts": _counts(remarks),
        "verdict": verdict(remarks),
    }
    return json_text(whole, indent=2) + "\n"


def page(source: str, target: str, remarks: Sequence[Remark], with_data: bool, as_json: Path) -> str:
    """The remarks for a person: the gravest first, the verdict last."""
    lines = [RULE, "🔍 CHECK BEFORE THE RUN", RULE, f"Source: {source}", f"Target: {target}", f"JSON:   {as_json}"]
    for severity, title in TITLES.items():
        chosen = [remark for remark in remarks if remark.severity == severity]
        if not chosen:
            continue
        lines += ["", f"{title} ({len(chosen)})"]
        by_kind: defaultdict[str, list[Remark]] = defaultdict(list)
        for remark in chosen:
            by_kind[remark.kind].append(remark)
        for kind, group in by_kind.items():
            shown = group if len(group) <= REMARKS_SHOWN else group[: REMARKS_SHOWN - 1]
            for position, remark in enumerate(shown):
                # What several have in common is advised once, after the last of them.
                is_last = position + 1 == len(shown) or shown[position + 1].advice != remark.advice
                lines += _entry(remark, with_advice=is_last)
            if len(shown) < len(group):
                lines.append(f"  - {len(group) - len(shown)} more of this kind ({kind}): see {JSON_FILE}")
    counts = _counts(remarks)
    kinds: tuple[tuple[Severity, str], ...] = (("blocks", "in the way"), ("warns", "warnings"), ("notes", "notes"))
    # A search for warnings finds none where there is none.
    found = ", ".join(f"{counts[severity]} {words}" for severity, words in kinds if counts[severity])
    ending = "; ".join(filter(None, (found, "" if with_data else "the values were not checked (--check-data does)")))
    ready = verdict(remarks) == "ready"
    lines += ["", RULE]
    lines += [f"✅ READY: nothing is in the way. {ending}" if ready else f"❌ DECIDE FIRST: {ending}", RULE]
    return "\n".join(lines)


def _entry(remark: Remark, with_advice: bool) -> list[str]:
    where = "" if remark.name in remark.text else f"{remark.name}: "
    text = _one_line(f"{remark.kind}: {where}{remark.text}")
    lines = textwrap.wrap(text, WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    return lines + ([f"    → {remark.advice}"] if remark.advice and with_advice else [])


def _counts(remarks: Iterable[Remark]) -> dict[Severity, int]:
    severities = [remark.severity for remark in remarks]
    return {severity: severities.count(severity) for severity in get_args(Severity)}


def _sorted(remarks: Iterable[Remark]) -> list[Remark]:
    """The gravest first; within that, as they were found."""
    order = get_args(Severity)
    return sorted(remarks, key=lambda remark: order.index(remark.severity))


def _list(names: Sequence[str], separator: str = ", ") -> str:
    shown = separator.join(names[:NAMES_SHOWN])
    return shown if len(names) <= NAMES_SHOWN else f"{shown} and {len(names) - NAMES_SHOWN:,} more"


def _many(count: int, what: str) -> str:
    """`1 index`, `2 indexes`; a name in the plural stays as it is."""
    if what.endswith("s"):
        return what if count == 1 else f"{count:,} {what}"
    if count == 1:
        return f"1 {what}"
    if what.endswith("y") and not what.endswith("ey"):
        return f"{count:,} {what[:-1]}ies"
    return f"{count:,} {what}{'es' if what.endswith('x') else 's'}"


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""Primary keys, unique constraints and indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from model.catalog import Index, Key, KeyColumn, Table
from model.findings import Finding
from postgres.ddl.collations import probe
from postgres.ddl.context import Context
from postgres.ddl.index_room import ROOM, longest_key, longest_value
from postgres.ddl.plan import NamedStep, Step, state
from postgres.ddl.statements import comment
from postgres.ddl.types import DROP
from postgres.names import TargetName, quote

NULLS_NOT_DISTINCT_SINCE = 150000
#: PostgreSQL's INDEX_MAX_KEYS, which counts included columns too
_INDEX_COLUMNS = 32
BTREE_KINDS = {"CLUSTERED", "NONCLUSTERED"}
_MAY_BE_TOO_LONG = (
    "a key that takes more than 2,704 bytes in UTF-8, where letters take up to three, would be refused, and its row"
)
_IF_TOO_LONG = "where there are such keys, make an index on md5() of what is long in place of this one"
#: index kinds without a counterpart, and what a person could do instead
FOREIGN_KINDS = {
    "CLUSTERED COLUMNSTORE": "consider a BRIN index on the column that the rows are ordered by",
    "NONCLUSTERED COLUMNSTORE": "consider a BRIN index on the column that the rows are ordered by",
    "XML": "consider an index on an xpath() expression",
    "SPATIAL": "consider PostGIS and a GiST index",
}
#: `graph_type_desc` of a hidden column → that of the computed one which shows it
_SHOWN_AS = {
    "GRAPH_ID": "GRAPH_ID_COMPUTED",
    "GRAPH_FROM_ID": "GRAPH_FROM_ID_COMPUTED",
    "GRAPH_FROM_OBJ_ID": "GRAPH_FROM_ID_COMPUTED",
    "GRAPH_TO_ID": "GRAPH_TO_ID_COMPUTED",
    "GRAPH_TO_OBJ_ID": "GRAPH_TO_ID_COMPUTED",
}


def keys_and_indexes(
    context: Context, table: Table, target: TargetName, findings: list[Finding]
) -> Iterator[NamedStep]:
    """The keys and indexes of a table; those that PostgreSQL does not get go to `findings`."""
    keys = [(table.primary_key, "primary key")] if table.primary_key is not None else []
    keys += [(key, "unique constraint") for key in table.unique]
    for key, kind in keys:
        planned = _key(context, table, target, key, kind, findings)
        if planned is not None:
            yield planned
    for index in table.indexes:
        planned = _index(context, table, target, index, findings)
        if planned is not None:
            yield planned


def _key(
    context: Context, table: Table, target: TargetName, key: Key, kind: str, findings: list[Finding]
) -> NamedStep | None:
    source_name = f"{table.full_name}.{key.name}"
    spelled = f"{kind.split(maxsplit=1)[0].upper()} ({', '.join(key.columns_used)})"
    shown = _shown(table, key.columns)
    why = "disabled on the source, so its rows may break it" if key.is_disabled else None
    if shown is None:
        why = _why_not_shown(table, key.columns)
    if why or shown is None:
        findings.append(Finding(kind, source_name, "skipped", why, spelled, "create it by hand if wanted"))
        return None
    name = context.names.of(table, key.name)
    columns = ", ".join(context.quoted(part.name) for part in shown)
    remarks = [] if shown == key.columns else ["on the column that shows the server's own"]
    if any(part.is_descending for part in key.columns):
        remarks.append("descending columns are ascending in a PostgreSQL constraint")
    words, nulls = ("PRIMARY KEY", None) if kind == "primary key" else _unique_words(context, table, key.columns_used)
    remarks += [nulls] if nulls else []
    remarks += context.renamed(key.name, name)
    too_long, advice = _length(longest_key(table, [part.name for part in shown], is_clustered=key.is_clustered))
    remarks += too_long
    finding = Finding(kind, source_name, state(remarks), "; ".join(remarks) or None, suggestion=advice)
    steps = [Step(f"ALTER TABLE {target.quoted} ADD CONSTRAINT {quote(name)} {words} ({columns})", finding)]
    if key.comment:
        where = f"CONSTRAINT {quote(name)} ON {target.quoted}"
        steps.append(comment(where, key.comment, f"{kind} {finding.name}"))
    return NamedStep(name, tuple(steps), f"{words} ({columns})")


def _index(
    context: Context, table: Table, target: TargetName, index: Index, findings: list[Finding]
) -> NamedStep | None:
    source_name = f"{table.full_name}.{index.name}"
    if index.kind in FOREIGN_KINDS or index.kind not in BTREE_KINDS | {"NONCLUSTERED HASH"}:
        why = f"{index.kind.lower()} indexes have no counterpart in PostgreSQL"
        suggestion = FOREIGN_KINDS.get(index.kind)
        findings.append(Finding("index", source_name, "skipped", why, _spelled(index), suggestion))
        return None
    if not index.columns:
        # Babelfish shows a full-text index as one, on a column 0.
        why = "the catalog names no column of the table that it is on"
        findings.append(Finding("index", source_name, "skipped", why, _spelled(index)))
        return None
    if index.is_disabled:
        why, suggestion = "disabled on the source", "create it by hand if wanted"
        findings.append(Finding("index", source_name, "skipped", why, _spelled(index), suggestion))
        return None
    shown = _shown(table, index.columns)
    if shown is None:
        why = _why_not_shown(table, index.columns)
        findings.append(Finding("index", source_name, "skipped", why, _spelled(index)))
        return None
    where = ""
    of_filter: list[str] = []
    probing = None
    if index.filter is not None:
        translation = context.expressions.filter(index.filter, table)
        if translation.sql is None or not translation.is_immutable:
            why = translation.reason or "its filter is not immutable in PostgreSQL"
            findings.append(
                Finding("index", source_name, "skipped", f"filter: {why}", _spelled(index), translation.suggestion)
            )
            return None
        where = f" WHERE {translation.sql}"
        probing = probe(context, table, [translation.sql])
        of_filter = [translation.suggestion] if translation.suggestion else []
    name = context.names.of(table, index.name)
    columns = ", ".join(context.quoted(c.name) + (" DESC" if c.is_descending else "") for c in shown)
    names = [column.name for column in shown]
    key_bytes = longest_key(table, names, is_clustered=index.kind == "CLUSTERED")
    kept = _included(table, index.included, len(shown), ROOM - key_bytes)
    include = f" INCLUDE ({', '.join(map(context.quoted, kept))})" if kept else ""
    remarks = ["a hash index on the source, a B-tree here"] if index.kind == "NONCLUSTERED HASH" else []
    if shown != index.columns:
        remarks.append("on the column that shows the server's own")
    gone = {column.name for column in table.internal_columns if column.type.option == DROP}
    if dropped := [name for name in index.included if name in gone]:
        remarks.append(f"without the included {', '.join(dropped)}, which the type map drops")
    if left_out := [name for name in index.included if name not in kept and name not in gone]:
        remarks.append(
            f"without the included {', '.join(left_out)}: a PostgreSQL index holds no row of more than 2,704 bytes "
            f"and no more than {_INDEX_COLUMNS} columns"
        )
    unique = nulls = ""
    if index.is_unique:
        words, remark = _unique_words(context, table, names)
        unique = "UNIQUE "
        nulls = " NULLS NOT DISTINCT" if "NULLS" in words else ""
        remarks += [remark] if remark else []
    remarks += context.renamed(index.name, name)
    too_long, advice = _length(key_bytes)
    remarks += too_long
    finding = Finding("index", source_name, state(remarks), "; ".join([*remarks, *of_filter]) or None, None, advice)
    sql = f"CREATE {unique}INDEX {quote(name)} ON {target.quoted} ({columns}){include}{nulls}{where}"
    steps = [Step(sql, finding, probe=probing)]
    if index.comment:
        qualified = f"{quote(target.schema)}.{quote(name)}"
        steps.append(comment(f"INDEX {qualified}", index.comment, f"index {source_name}"))
    return NamedStep(name, tuple(steps), f"{unique}INDEX ({columns}){include}{nulls}{' WHERE' if where else ''}")


def _shown(table: Table, columns: Sequence[KeyColumn]) -> tuple[KeyColumn, ...] | None:
    """The columns of a key or index as far as the target has them; None where one has no counterpart.

    Indexes of graph tables stand on hidden columns, for which the target has the computed one that
    shows them, say $node_id for graph_id (Microsoft, "SQL Graph Architecture").
    """
    kept = {column.name for column in table.columns}
    by_type = {column.graph_type: column.name for column in table.columns if column.graph_type}
    internal = {
        column.name: by_type.get(_SHOWN_AS.get(column.graph_type or "", "")) for column in table.internal_columns
    }
    shown: list[KeyColumn] = []
    for part in columns:
        name = part.name if part.name in kept else internal.get(part.name)
        if name is None:
            return None
        if all(other.name != name for other in shown):
            shown.append(replace(part, name=name))
    return tuple(shown)


def _why_not_shown(table: Table, columns: Sequence[KeyColumn]) -> str:
    dropped = {column.name for column in table.internal_columns if column.type.option == DROP}
    if any(part.name in dropped for part in columns):
        return "on a column that the type map drops"
    return "on a column that the server keeps for itself"


def _unique_words(context: Context, table: Table, columns: Sequence[str]) -> tuple[str, str | None]:
    """UNIQUE as the source means it: one NULL and no more."""
    nullable = any(column.is_nullable for column in table.columns if column.name in columns)
    if not nullable:
        return "UNIQUE", None
    if context.features.version >= NULLS_NOT_DISTINCT_SINCE:
        return "UNIQUE NULLS NOT DISTINCT", None
    return "UNIQUE", "PostgreSQL before 15 allows several NULLs in it"


def _length(longest: int) -> tuple[list[str], str | None]:
    """What is to be said of a key that takes so many bytes, and what to do about it."""
    return ([_MAY_BE_TOO_LONG], _IF_TOO_LONG) if longest > ROOM else ([], None)


def _included(table: Table, names: Sequence[str], in_key: int, room: int) -> list[str]:
    """The included columns that an index of PostgreSQL can hold whatever their values are.

    `in_key` columns are its key, which leaves `room` bytes. The narrowest come first, so that many have room.
    """
    widths = {column.name: longest_value(column) for column in table.columns}
    kept = set()
    for wide, name in sorted((wide, name) for name in names if (wide := widths.get(name)) is not None):
        if wide <= room:
            room -= wide
            kept.add(name)
    return [name for name in names if name in kept][: _INDEX_COLUMNS - in_key]


def _spelled(index: Index) -> str:
    """An index in words close to T-SQL, for the report."""
    columns = ", ".join(column.name + (" DESC" if column.is_descending else "") for column in index.columns)
    included = f" INCLUDE ({', '.join(index.included)})" if index.included else ""
    where = "" if index.filter is None else f" WHERE {index.filter or '(hidden)'}"
    return f"{'UNIQUE ' if index.is_unique else ''}{index.kind} INDEX {index.name} ({columns}){included}{where}"

"""The exchange: twins take the places of live tables, in one transaction of milliseconds.

All that takes time was done before. What is left are names, and what other objects know by number: views are defined
again, foreign keys of other tables made again without looking at the rows, and recorded until they are validated.
The old table is dropped without CASCADE, so that whatever was overlooked ends the transaction instead of being lost.

Readers of a view lock the view first and then its tables; so do the locks for an exchange. Whoever waits for one of
them meanwhile finds the new table under the name. Source: PostgreSQL, "Explicit Locking", CREATE VIEW, ALTER TABLE.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import LoadLostError
from postgres import restoration
from postgres.names import TargetName, quote
from postgres.suspension_record import FORGET, RECORD_BACK, Suspended, record, write_comment
from postgres.twins.completion import BUILT, SAID, check_shape, is_alike
from postgres.twins.creation import settings_kept
from postgres.twins.dependents import Dependents, dependents, obstacles_now
from postgres.twins.keys import wanted
from postgres.twins.parts import Column, IdentitySequence, Kind, Table, literal, read_all, rendered, twin_name

#: milliseconds that are waited for each relation that was not known when the others were locked
AGAIN_MS = 100

# Whoever may change a table's owner can do so to the same one; others may lock it if they may write to it.
LOCKING = """
SELECT CASE WHEN pg_has_role(c.relowner, 'USAGE')
    THEN format('ALTER TABLE %%s OWNER TO %%I', w.name, pg_get_userbyid(c.relowner))
    ELSE format('LOCK TABLE ONLY %%s IN ACCESS EXCLUSIVE MODE', w.name) END
FROM unnest(%s::text[]) WITH ORDINALITY AS w (name, position) JOIN pg_class AS c ON c.oid = to_regclass(w.name)
ORDER BY w.position
"""
# Changes with everything that is said about the relations, their parts and what depends on them: who wrote each row of
# the catalog. VACUUM and ANALYZE leave that as it is.
STATE = """
WITH named AS MATERIALIZED (
    SELECT c.oid, c.reltype FROM unnest(%s::text[]) AS w (name) JOIN pg_class AS c ON c.oid = to_regclass(w.name)
), identity AS MATERIALIZED (
    SELECT d.objid AS oid FROM named JOIN pg_depend AS d ON d.refobjid = named.oid
    WHERE d.refclassid = 'pg_class'::regclass AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
), rows AS (
    SELECT 'relation' AS kind, oid, xmin FROM pg_class
        WHERE oid IN (SELECT oid FROM named UNION SELECT oid FROM identity)
    UNION ALL SELECT 'column', attrelid, a.xmin FROM pg_attribute AS a JOIN named ON attrelid = named.oid
    UNION ALL SELECT 'index', indexrelid, x.xmin FROM pg_index AS x JOIN named ON indrelid = named.oid
    UNION ALL SELECT 'index', i.oid, i.xmin
        FROM pg_index AS x JOIN named ON indrelid = named.oid JOIN pg_class AS i ON i.oid = x.indexrelid
    UNION ALL SELECT 'constraint', k.oid, k.xmin FROM pg_constraint AS k
        WHERE conrelid IN (SELECT oid FROM named) OR confrelid IN (SELECT oid FROM named)
    UNION ALL SELECT 'trigger', t.oid, t.xmin FROM pg_trigger AS t JOIN named ON tgrelid = named.oid
    UNION ALL SELECT 'policy', p.oid, p.xmin FROM pg_policy AS p JOIN named ON polrelid = named.oid
    UNION ALL SELECT 'rule', r.oid, r.xmin FROM pg_rewrite AS r JOIN named ON ev_class = named.oid
    UNION ALL SELECT 'statistics', s.oid, s.xmin FROM pg_statistic_ext AS s JOIN named ON stxrelid = named.oid
    UNION ALL SELECT 'comment', objoid, d.xmin FROM pg_description AS d
        JOIN named ON objoid = named.oid WHERE classoid = 'pg_class'::regclass
    UNION ALL SELECT 'dependent', objid, d.xmin FROM pg_depend AS d
        JOIN named ON refobjid = named.oid AND refclassid = 'pg_class'::regclass
    UNION ALL SELECT 'dependent', objid, d.xmin FROM pg_depend AS d
        JOIN named ON refobjid = reltype AND refclassid = 'pg_type'::regclass
    UNION ALL SELECT 'publication', oid, xmin FROM pg_publication
)
SELECT md5(string_agg(concat_ws(' ', kind, oid, xmin), ', ' ORDER BY kind, oid, xmin::text)) FROM rows
"""


@dataclass(frozen=True)
class Planned:
    """An exchange that is thought out.

    `relations`, in SQL, are those that it takes from everybody: views that read the tables, tables that foreign keys
    tie to them or whose policies look into them, the tables, their sequences. `lock_statement` takes them, or fails by
    the timeouts that are set. LOCK TABLE would lock everything that a view reads, and ask its owner for the right to; a
    change of owner to the one that it has locks nothing but the view, and changes nothing.
    """

    pairs: Mapping[TargetName, TargetName]
    relations: tuple[str, ...]
    lock_statement: str
    statements: str
    to_validate: tuple[Suspended, ...]
    #: what the catalog says of all that is concerned
    state: str | None


def plan_exchange(cursor: Any, pairs: Mapping[TargetName, TargetName]) -> Planned:
    """Think an exchange out: all that takes time, before anything is locked.

    In the caller's transaction, in which nothing of it may be changed from here on. Raises LoadLostError where a twin
    is not, or not any more, what the live table is, psycopg2.Error.
    """
    with settings_kept(cursor, "search_path"):
        for live, words in obstacles_now(cursor, pairs).items():
            if words:
                raise LoadLostError(f"{live} cannot be exchanged any more: {'; '.join(words)}")
        tables = read_all(cursor, [*pairs, *pairs.values()])
        for live, twin in pairs.items():
            check_alike(tables[live], tables[twin], pairs)
        found = dependents(cursor, pairs)
        relations = tuple(name.quoted for name in _relations([tables[live] for live in pairs], found))
        change = _Exchange(pairs, tables, found)
        return Planned(
            pairs, relations, _lock_statement(cursor, relations), "; ".join(change.statements()),
            tuple(change.to_validate), _state(cursor, pairs, relations),
        )  # fmt: skip


def exchange(cursor: Any, planned: Planned) -> list[Suspended]:
    """Let twins take the places of live tables, in the transaction that holds the locks.

    Returns the foreign keys that were valid and are to be validated again; they are recorded, so that the next run
    validates them after a kill. What somebody changed since the plan is seen, and thought out again. Raises
    LoadLostError where a twin is not what the live table is any more, psycopg2.Error; nothing may be committed then.
    """
    if not planned.pairs:
        return []
    with settings_kept(cursor, "search_path", "lock_timeout"):
        if _state(cursor, planned.pairs, planned.relations) != planned.state:
            planned = plan_exchange(cursor, planned.pairs)
            # Others wait for what is held already.
            cursor.execute(f"SET LOCAL lock_timeout = {AGAIN_MS}")
            cursor.execute(planned.lock_statement)
        cursor.execute(planned.statements)
        for key in planned.to_validate:
            _record(cursor, key)
    return list(planned.to_validate)


def _relations(lives: Sequence[Table], around: Dependents) -> list[TargetName]:
    """Everything that is taken from everybody, in the order in which others lock it.

    A view before the tables that it reads, a table before the sequence that numbers its rows. Whoever took a number
    holds the sequence until his transaction ends. A foreign key has triggers on both tables, which go with it.
    """
    pairs = {live.name for live in lives}
    beside = {key.suspended.table for key in around.foreign_keys} | {policy.table for policy in around.policies}
    beside |= {part.points_to for live in lives for part in live.of("foreign key") if part.points_to is not None}
    sequences = {sequence for live in lives for sequence, _ in live.serials}
    sequences |= {
        TargetName(live.name.schema, column.sequence.name)
        for live in lives for column in live.columns if column.sequence is not None
    }  # fmt: skip
    groups = ({view.name for view in around.views}, beside - pairs, pairs, sequences)
    return [name for names in groups for name in sorted(names)]


def _lock_statement(cursor: Any, relations: Sequence[str]) -> str:
    cursor.execute(LOCKING, (list(relations),))
    steps = "".join(f"{step}; " for (step,) in cursor.fetchall())
    return f"DO {literal(f'BEGIN {steps}END')}"


def _state(cursor: Any, pairs: Mapping[TargetName, TargetName], relations: Sequence[str]) -> str | None:
    cursor.execute(STATE, ([*relations, *(twin.quoted for twin in pairs.values())],))
    (state,) = cursor.fetchone()
    return None if state is None else str(state)


def validate(
    connection: Any, keys: Sequence[Suspended], *, run: int = 0, tell: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Validate what an exchange has left to validate; returns what is wrong, in the server's words.

    A key that rows violate stays as it is, and recorded, as after a load. Raises no psycopg2.Error.
    """
    # The memory is for building indexes.
    return restoration.restore(lambda: connection, keys, "64MB", run=run, tell=tell) if keys else []


def check_alike(live: Table, twin: Table, pairs: Mapping[TargetName, TargetName]) -> None:
    """Raise LoadLostError unless the twin is in all things what the live table is."""
    check_shape(live, twin)
    keys = {key.part.name: key for key in wanted(live, twin.name, pairs, ())}
    standing = {part.name: part for part in twin.of("foreign key")}
    wrong = [f"foreign key {name}" for name, key in keys.items() if not key.is_made_as(standing.get(name))]
    wrong += [f"foreign key {name}" for name in standing if name not in keys]
    kinds: tuple[Kind, ...] = (*BUILT, *SAID)
    expected = {part.twin_key(twin.name): part for part in live.of(*kinds)}
    made = {part.key: part for part in twin.of(*kinds)}
    wrong += [f"{part.kind} {part.name}" for key, part in expected.items() if not is_alike(part, made.get(key))]
    wrong += [f"{part.kind} {part.name}" for key, part in made.items() if key not in expected]
    for what, one, other in (
        ("owner", live.owner, twin.owner), ("rights", live.rights, twin.rights),
        ("comment", live.comment, twin.comment),
        ("settings", set(live.settings), set(twin.settings)),
        ("columns' rights and comments", _said(live.columns), _said(twin.columns)),
    ):  # fmt: skip
        if one != other:
            wrong.append(what)
    if wrong:
        raise LoadLostError(
            f"{live.name} and {twin.name}, which was to replace it, are not alike any more: {', '.join(wrong)}. "
            f"Nothing was replaced; the next run makes them alike"
        )


def _said(columns: Collection[Column]) -> list[object]:
    return [
        (one.rights, one.comment, None if one.sequence is None else (one.sequence.rights, one.sequence.comment))
        for one in columns
    ]


class _Exchange:
    """What one exchange changes."""

    def __init__(
        self, pairs: Mapping[TargetName, TargetName], tables: Mapping[TargetName, Table], around: Dependents
    ) -> None:
        self._pairs = [(tables[live], tables[twin]) for live, twin in sorted(pairs.items())]
        self._lives = set(pairs)
        self._around = around
        keys = [key.suspended for key in around.foreign_keys]
        self.to_validate = [key for key in keys if key.is_validated and not key.definition.endswith(" NOT ENFORCED")]
        for live, twin in self._pairs:
            self.to_validate += _left_to_validate(live, twin)

    def statements(self) -> list[str]:
        """All of it, in order; some of it only fits behind the rest."""
        pairs, keys = self._pairs, [key.suspended for key in self._around.foreign_keys]
        statements = ["SET LOCAL search_path = pg_catalog"]
        statements += [f"ALTER TABLE {key.table.quoted} DROP CONSTRAINT {quote(key.name)}" for key in keys]
        for live, twin in pairs:
            statements += [f"ALTER SEQUENCE {sequence.quoted} OWNED BY NONE" for sequence, _ in live.serials]
            statements += _moved(live, twin)
        statements += [view.statement for view in self._around.views]
        statements += [policy.statement for policy in self._around.policies if policy.table not in self._lives]
        for live, twin in pairs:
            statements += _gone_on(live, twin)
            statements += [
                rendered(policy.condition, live.name) for policy in live.of("policy") if policy.condition
            ]  # fmt: skip
        # All at once, since foreign keys may tie them.
        statements.append(f"DROP TABLE {', '.join(_retired(live).quoted for live, _ in pairs)}")
        for live, twin in pairs:
            statements += _named(live, quote(twin.name.schema))
        for key in keys:
            later = "" if key.definition.endswith(" NOT ENFORCED") else " NOT VALID"
            statements.append(
                f"ALTER TABLE {key.table.quoted} ADD CONSTRAINT {quote(key.name)} {key.definition}{later}"
            )
            if key.comment is not None:
                statements.append(f"COMMENT ON {key.as_commented} IS {literal(key.comment)}")
        return statements


def _moved(live: Table, twin: Table) -> list[str]:
    """The live table out of the way, the twin to where it was."""
    schema, between = quote(live.name.schema), quote(twin_name(live.oid))
    return [
        f"ALTER TABLE {live.name.quoted} RENAME TO {quote(_retired(live).table)}",
        # The twin's name may be taken in the live schema, the live one's in the staging schema.
        f"ALTER TABLE {twin.name.quoted} RENAME TO {between}",
        f"ALTER TABLE {quote(twin.name.schema)}.{between} SET SCHEMA {schema}",
        f"ALTER TABLE {schema}.{between} RENAME TO {quote(live.name.table)}",
    ]


def _retired(live: Table) -> TargetName:
    return TargetName(live.name.schema, f"retired {live.oid}")


def _gone_on(live: Table, twin: Table) -> list[str]:
    """Every identity's sequence goes on where the old one stands, or where the load has left it if that is further."""
    statements = []
    for column, other in zip(live.columns, twin.columns, strict=True):
        if column.sequence is not None and other.sequence is not None:
            old = TargetName(live.name.schema, column.sequence.name).quoted
            new = TargetName(live.name.schema, other.sequence.name).quoted
            statements.append(_set_further(column.sequence, old, new))
    return statements


def _set_further(sequence: IdentitySequence, old: str, new: str) -> str:
    order = "DESC" if sequence.is_ascending else "ASC"
    # One that begins again at its end has no furthest position.
    others = "" if sequence.is_cycle else f" UNION ALL SELECT last_value, is_called FROM {new}"
    return (
        f"SELECT setval({literal(new)}, last_value, is_called) FROM ("
        f"SELECT last_value, is_called FROM {old}{others} ORDER BY last_value {order}, is_called DESC LIMIT 1"
        f") AS furthest"
    )


def _named(live: Table, staging: str) -> list[str]:
    """Everything has the name it had, where it was."""
    schema = quote(live.name.schema)
    statements = []
    for part in live.of("key", "index"):
        statements.append(f"ALTER INDEX {schema}.{quote(part.twin_name)} RENAME TO {quote(part.name)}")
    for part in live.of("statistics"):
        statements.append(f"ALTER STATISTICS {staging}.{quote(part.twin_name)} SET SCHEMA {quote(part.schema)}")
        statements.append(f"ALTER STATISTICS {quote(part.schema)}.{quote(part.twin_name)} RENAME TO {quote(part.name)}")
    for column in live.columns:
        if column.sequence is not None:
            before = quote(twin_name(column.sequence.oid))
            statements.append(f"ALTER SEQUENCE {schema}.{before} RENAME TO {quote(column.sequence.name)}")
    for sequence, name in live.serials:
        statements.append(f"ALTER SEQUENCE {sequence.quoted} OWNED BY {live.name.quoted}.{quote(name)}")
    return statements


def _left_to_validate(live: Table, twin: Table) -> list[Suspended]:
    """The twin's foreign keys that are not valid, as the live table's are."""
    standing = {part.name: part for part in twin.of("foreign key")}
    found = []
    for part in live.of("foreign key"):
        if part.is_valid and not standing[part.name].is_valid:
            found.append(Suspended(live.name, "foreign key", part.name, part.definition, part.comment, True, False))
    return found


def _record(cursor: Any, key: Suspended) -> None:
    """Write down that a key stands and is not validated."""
    cursor.execute(FORGET, key.row)
    record(cursor, key)
    cursor.execute(RECORD_BACK, key.row)
    write_comment(cursor, key, key.marked_comment)

"""Who owns a twin, and who may do what with it: exactly what holds for the live table, in the same order.

Rights that somebody passed on are given by that somebody again. Source: PostgreSQL, "Privileges" and "GRANT".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from postgres.names import TargetName, quote
from postgres.twins.parts import Right, Table, literal

# Of these roles, those that cannot reach or fill the schema.
OUTSIDE = """
SELECT r.rolname FROM pg_roles AS r
WHERE r.rolname = ANY (%s) AND NOT (
    has_schema_privilege(r.oid, %s, 'USAGE') AND has_schema_privilege(r.oid, %s, 'CREATE'))
ORDER BY 1
"""


@contextmanager
def guests(cursor: Any, schema: str, roles: Collection[str], owner: str) -> Iterator[None]:
    """Let roles own things in a schema, and pass rights to them on, for as long as the block takes.

    The `owner` of a table may reach the schema from then on: foreign keys are checked in its name. PostgreSQL,
    "Constraints" and CREATE TABLE.
    """
    cursor.execute(OUTSIDE, (list(roles), schema, schema))
    outside = [name for (name,) in cursor.fetchall()]
    names = ", ".join(map(quote, outside))
    if names:
        # Two transactions cannot change the rights on a schema at the same time.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"guests of {schema}",))
        cursor.execute(f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {names}")
    yield
    if names:
        cursor.execute(f"REVOKE USAGE, CREATE ON SCHEMA {quote(schema)} FROM {names}")
    if owner in outside:
        cursor.execute(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(owner)}")


def roles_in(table: Table) -> set[str]:
    """The roles that own something of the table, or pass rights on it on."""
    held = [*table.rights]
    for column in table.columns:
        held += [*column.rights, *(() if column.sequence is None else column.sequence.rights)]
    owners = {part.owner for part in table.of("statistics")}
    return {table.owner, *owners, *(right.grantor for right in held)}


def give_rights(cursor: Any, live: Table, twin: Table) -> None:
    """Give the twin, which has the live table's owner by now, the rights that the live table has.

    In the caller's transaction. Raises psycopg2.Error.
    """
    cursor.execute("SELECT current_setting('role')")
    (role,) = cursor.fetchone()
    statements = _statements(live, twin)
    if statements:
        # Whoever could grant in several names does it in another than the owner's.
        statements = [_as_role(live.owner), *statements, f"SELECT set_config('role', {literal(role)}, true)"]
        cursor.execute("; ".join(statements))


def _statements(live: Table, twin: Table) -> list[str]:
    giving = _Giving(live.owner)
    if live.rights != twin.rights:
        giving.give(twin.name.quoted, twin.rights, live.rights)
    for column, twins_column in zip(live.columns, twin.columns, strict=True):
        # Those on the table take the columns' away with them.
        held = () if live.rights != twin.rights else twins_column.rights
        if column.rights != held:
            giving.give(twin.name.quoted, held, column.rights, f" ({quote(column.name)})")
        if column.sequence is not None and twins_column.sequence is not None:
            name = TargetName(twin.name.schema, twins_column.sequence.name).quoted
            if column.sequence.rights != twins_column.sequence.rights:
                giving.give(f"SEQUENCE {name}", twins_column.sequence.rights, column.sequence.rights)
    return giving.statements


class _Giving:
    """Statements that take rights away and give others."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self.statements: list[str] = []

    def give(self, where: str, held: Sequence[Right], wanted: Sequence[Right], column: str = "") -> None:
        # What is given is added at the end, so that all goes first.
        for name in dict.fromkeys(_grantee(right) for right in held):
            self.statements.append(f"REVOKE ALL{column} ON {where} FROM {name} CASCADE")
        for (grantor, grantee, grantable), rights in groupby(
            wanted, key=lambda right: (right.grantor, _grantee(right), right.is_grantable)
        ):
            privileges = ", ".join(f"{right.privilege}{column}" for right in rights)
            grant = f"GRANT {privileges} ON {where} TO {grantee}{' WITH GRANT OPTION' if grantable else ''}"
            if grantor == self._owner:
                self.statements.append(grant)
            else:
                self.statements += [_as_role(grantor), grant, _as_role(self._owner)]


def _grantee(right: Right) -> str:
    return "PUBLIC" if right.grantee is None else quote(right.grantee)


def _as_role(name: str) -> str:
    return f"SET LOCAL ROLE {quote(name)}"

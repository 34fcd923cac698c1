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
def guests(cursor: Any, schema: str, roles: Collection[str]) -> Iterator[None]:
    """Let roles own things in a schema, and pass rights to them on, for as long as the block takes."""
    cursor.execute(OUTSIDE, (list(roles), schema, schema))
    names = ", ".join(quote(name) for (name,) in cursor.fetchall())
    if names:
        # Two transactions cannot change the rights on a schema at the same time.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"guests of {schema}",))
        cursor.execute(f"GRANT USAGE, CREATE ON SCHEMA {quote(schema)} TO {names}")
    yield
    if names:
        cursor.execute(f"REVOKE USAGE, CREATE ON SCHEMA {quote(schema)} FROM {names}")


def roles_in(table: Table) -> set[str]:
    """The roles that own something of the table, or pass rights on it on."""
    held = [*table.rights]
    for column in table.columns:
        held += [*column.rights, *(() if column.sequence is None else column.sequence.rights)]
    owners = {part.owner for part in table.of("statistics")}
    return {table.owner, *owners, *(right.grantor for right in held)}


def rights_statements(live: Table, twin: Table, role: str) -> list[str]:
    """What gives the twin, which has the live table's owner by now, the rights that the live table has.

    `role` is the setting of that name.
    """
    giving = _Giving(live.owner, role)
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

    def __init__(self, owner: str, role: str) -> None:
        self._owner = owner
        self._role = role
        self.statements: list[str] = []

    def give(self, where: str, held: Sequence[Right], wanted: Sequence[Right], column: str = "") -> None:
        # The owner's own come last among them otherwise.
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
                self.statements += [
                    f"SET LOCAL ROLE {quote(grantor)}", grant,
                    f"SELECT set_config('role', {literal(self._role)}, true)",
                ]  # fmt: skip


def _grantee(right: Right) -> str:
    return "PUBLIC" if right.grantee is None else quote(right.grantee)

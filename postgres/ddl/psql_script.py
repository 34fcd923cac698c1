"""A plan as a script for psql."""

from __future__ import annotations

from collections.abc import Iterable

from db import SESSION_SETTINGS
from postgres.ddl.plan import SchemaPlan, Step, all_steps
from postgres.ddl.statements import create_schema

#: what a script for psql begins with: of a session's settings those that change what DDL means or whether it ends
SCRIPT_SETTINGS = {
    name: f"'{value}'"
    for name, value in SESSION_SETTINGS.items()
    if not name.startswith(("default_transaction_", "session_", "idle_session_", "transaction_"))
} | {"client_min_messages": "warning"}


def script(plan: SchemaPlan, search_path: str, remarks: Iterable[str] = ()) -> str:
    """The whole plan as one script that psql accepts; `remarks`, and what is not made, stand in it as comments.

    It begins with the settings that a run's own session has, `search_path` among them.
    """
    lines = ["-- DDL as replicate-schema.py would run it.", *(_one_line(f"-- {remark}") for remark in remarks)]
    lines += ["\\set ON_ERROR_STOP on", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"]
    lines += ["SET LOCAL client_encoding = 'UTF8';", f"SET LOCAL search_path = {search_path};"]
    lines += [f"SET LOCAL {name} = {value};" for name, value in SCRIPT_SETTINGS.items()]
    lines += [f"{create_schema(schema)};" for schema in plan.schemas]
    parts: list[tuple[str, Iterable[Step]]] = [
        ("Before the tables", (*plan.schema_comments, *plan.support, *all_steps((*plan.domains, *plan.sequences))))
    ]
    parts += [(f"Table {table.target}", (*table.create, *table.details)) for table in plan.tables]
    parts += [(f"Keys and indexes of {table.target}", all_steps(table.keys)) for table in plan.tables if table.keys]
    parts += [
        (f"Foreign keys of {table.target}", all_steps(table.foreign_keys))
        for table in plan.tables
        if table.foreign_keys
    ]
    for title, steps in parts:
        statements = [f"{step.sql};" for step in steps]
        if statements:
            lines += ["", f"-- {_one_line(title)}", *statements]
    left_out = [
        finding
        for finding in (*plan.findings, *(finding for table in plan.tables for finding in table.findings))
        if finding.state == "skipped"
    ]
    lines += ["", "COMMIT;", ""]
    lines += [_one_line(f"-- not made: {f.kind} {f.name}: {f.reason}") for f in left_out]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())

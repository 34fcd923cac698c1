"""Statements that stand for themselves."""

from __future__ import annotations

from model.findings import Finding
from postgres.ddl.plan import Step
from postgres.names import TargetName, quote


def create_schema(schema: str) -> str:
    """`CREATE SCHEMA` for a schema that is not there yet."""
    return f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}"


def drop_table(target: TargetName) -> str:
    """`DROP TABLE`, never CASCADE: what depends on the table is a person's decision."""
    return f"DROP TABLE {target.quoted}"


def drop_constraint(target: TargetName, name: str) -> str:
    """`ALTER TABLE … DROP CONSTRAINT`."""
    return f"ALTER TABLE {target.quoted} DROP CONSTRAINT {quote(name)}"


def comment(where: str, text: str, name: str) -> Step:
    """`COMMENT ON` an object; `name` is what the finding calls the object."""
    finding = Finding("comment", name, original=text)
    return Step(f"COMMENT ON {where} IS {literal(text)}", finding, is_optional=True)


def literal(text: str) -> str:
    """A string literal (standard_conforming_strings is on, so a backslash is itself)."""
    return "'" + text.replace("'", "''") + "'"

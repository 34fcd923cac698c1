"""What a plan is made of: statements, the findings that they make true, the order they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from model.catalog import Column, Table
from model.findings import Finding, State, Translation
from postgres.names import TargetName


@dataclass(frozen=True)
class Expressions:
    """The source's expressions in PostgreSQL's words, by where they stand."""

    default: Callable[[Column], Translation]
    check: Callable[[str, Table], Translation]
    computed: Callable[[Column, Table], Translation]
    filter: Callable[[str, Table], Translation]


@dataclass(frozen=True)
class Step:
    """One statement of a plan, and the finding that it makes true.

    An optional step may be refused by the server without failing its table: `lost` findings then hold,
    or else its own as `skipped`. `fallback` is run in place of a required step that was refused, and
    `lost` findings then hold. `probe` is a query that PostgreSQL refuses, as not supported, where the table
    would take no row after the step: the step then counts as refused, required or not. `makes` names the
    constraint or the column's default that the step makes, by which a table that exists already is asked
    whether it has it.
    """

    sql: str
    finding: Finding | None = None
    is_optional: bool = False
    fallback: str | None = None
    lost: tuple[Finding, ...] = ()
    probe: str | None = None
    makes: tuple[Literal["constraint", "default"], str] | None = None


@dataclass(frozen=True)
class NamedStep:
    """A key, index or foreign key: its name in PostgreSQL, and the statements that make it, in order.

    `shape` says what it is, in the words in which `postgres.drift` reads what is there.
    """

    name: str
    steps: tuple[Step, ...]
    shape: str = ""

    @property
    def finding(self) -> Finding:
        """The finding that its first statement makes true."""
        finding = self.steps[0].finding
        assert finding is not None
        return finding


@dataclass(frozen=True)
class TablePlan:
    """All that makes a table: the table itself; its keys and indexes; its foreign keys.

    `details` are defaults, checks and comments, which follow `create` in one transaction. `definitions`
    are the columns as ADD COLUMN wants them, by their name in PostgreSQL.
    """

    table: Table
    target: TargetName
    create: tuple[Step, ...]
    details: tuple[Step, ...]
    definitions: Mapping[str, str]
    keys: tuple[NamedStep, ...]
    foreign_keys: tuple[NamedStep, ...]
    findings: tuple[Finding, ...]

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Everything that holds of the table and its parts if nothing is refused."""
        steps = [*self.create, *self.details, *all_steps((*self.keys, *self.foreign_keys))]
        return (*self.findings, *(step.finding for step in steps if step.finding is not None))


@dataclass(frozen=True)
class SchemaPlan:
    """The whole database: what comes before the tables, the tables, and findings about everything else.

    `schema_comments` follow `schemas`; `support` is what `COLLATION_POLICY` cannot do without; `domains` are
    alias types, each with its base type as `shape`.
    """

    schemas: tuple[str, ...]
    schema_comments: tuple[Step, ...]
    support: tuple[Step, ...]
    domains: tuple[NamedStep, ...]
    sequences: tuple[NamedStep, ...]
    tables: tuple[TablePlan, ...]
    findings: tuple[Finding, ...]


def all_steps(named: Iterable[NamedStep]) -> list[Step]:
    """The steps of all of them, in order."""
    return [step for one in named for step in one.steps]


def state(remarks: Sequence[str]) -> State:
    """What a finding with these remarks says of its object."""
    return "changed" if remarks else "done"


def untranslated(kind: str, name: str, translation: Translation) -> Finding:
    """The finding that an expression does not translate."""
    return Finding(kind, name, "skipped", translation.reason, translation.original, translation.suggestion)

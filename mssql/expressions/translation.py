"""The four ways in: a default, a check, a filter, a computed column."""

from __future__ import annotations

from collections.abc import Callable

from model.catalog import Column, Table
from model.findings import Translation
from model.settings import ExpressionPolicy
from mssql.expressions.babelfish import binary_of
from mssql.expressions.context import Kind
from mssql.expressions.conversions import convert
from mssql.expressions.parser import parse
from mssql.expressions.session import PROCESS_ID
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import BINARIES, PRECEDENCE, STRINGS, normalised
from mssql.expressions.values import Volatility, constant_sql
from mssql.expressions.writer import Quote, SequenceName, Writer

#: Microsoft, "Metadata Visibility Configuration": definitions are NULL to those without the right
NOT_SHOWN = "its text is not shown: this login may not read it (VIEW DEFINITION), or the server failed to write it"
#: the PostgreSQL that is translated for where nobody says: `server_version_num`
NEWEST_ASSUMED = 160000


def translate_default(
    text: str,
    column: Column,
    *,
    sequence_name: SequenceName,
    policy: ExpressionPolicy = "usual",
    target_version: int = NEWEST_ASSUMED,
) -> Translation:
    """A default's text for `ALTER COLUMN … SET DEFAULT <sql>`, converted to the column's type as an INSERT would.

    `sequence_name` maps a sequence's schema and name to its quoted, qualified name in PostgreSQL, and raises
    `LookupError` for one it does not know. `policy` says whether anything is assumed (see `assumptions`),
    `target_version` what the PostgreSQL server can do. Never raises: what does not translate is refused in the result.
    """
    writer = Writer(Kind.DEFAULT, target_version, sequence_name=sequence_name)

    def write(node: Node) -> str:
        target = normalised(column.type)
        value = writer.value(binary_of(node) if target.name in BINARIES else node)
        if value.type is None:
            return "NULL"
        if target.name == "xml" and isinstance(value.constant, str):
            return constant_sql(value.constant, target)
        if target.is_clr or target.name not in PRECEDENCE:
            raise Refused(f"the column is of type {column.type}, whose defaults are not translated")
        if value.sql == PROCESS_ID and target.name in {"smallint", "tinyint"}:
            raise Refused(f"the number of a PostgreSQL process does not fit into {target}", PROCESS_ID)
        value = convert(writer.notes, value, target, is_assignment=True)
        if value.constant is not None:
            return constant_sql(value.constant, target, is_bare=True)
        return value.operand

    return _outcome(text, writer, policy, write)


def translate_check(
    text: str, table: Table, quote: Quote, *, policy: ExpressionPolicy = "usual", target_version: int = NEWEST_ASSUMED
) -> Translation:
    """A check constraint's text for `CHECK (<sql>)`: no row that the source accepts is refused.

    `quote` maps a column's source name to the quoted identifier in PostgreSQL. Never raises.
    """
    writer = Writer(Kind.CHECK, target_version, table.columns, quote)
    return _outcome(text, writer, policy, lambda node: writer.condition(node, True).sql)


def translate_filter(
    text: str, table: Table, quote: Quote, *, policy: ExpressionPolicy = "usual", target_version: int = NEWEST_ASSUMED
) -> Translation:
    """A filtered index's predicate for `WHERE <sql>`. Never raises; see `translate_check` for `quote`."""
    writer = Writer(Kind.FILTER, target_version, table.columns, quote)
    return _outcome(text, writer, policy, lambda node: writer.condition(node, None).sql)


def translate_computed(
    text: str,
    column: Column,
    table: Table,
    quote: Quote,
    *,
    policy: ExpressionPolicy = "usual",
    target_version: int = NEWEST_ASSUMED,
) -> Translation:
    """A computed column's text for `GENERATED ALWAYS AS (<sql>) STORED`.

    The type that T-SQL's rules give to the expression must be the one the catalog shows for the column: a
    difference means that a rule was misread, and the expression is refused. Never raises.
    """
    writer = Writer(Kind.COMPUTED, target_version, table.columns, quote)

    def write(node: Node) -> str:
        value = writer.value(node)
        target = normalised(column.type)
        if value.type is None:
            raise Refused("it is always NULL")
        same = value.known.name == target.name or (value.known.name in STRINGS and target.name in STRINGS)
        if not same or (target.name == "decimal" and value.known.scale != target.scale):
            raise Refused(
                f"its type is {column.type} in the catalog, and {value.type} by the rules that this tool knows"
            )
        if target.name in STRINGS:
            return convert(writer.notes, value, target, is_assignment=True).sql
        return value.sql

    return _outcome(text, writer, policy, write)


def _outcome(original: str, writer: Writer, policy: ExpressionPolicy, write: Callable[[Node], str]) -> Translation:
    """Parses, writes and weighs the doubts."""
    if not original.strip():
        return Translation(original, None, NOT_SHOWN, None, False)
    try:
        sql = write(parse(original))
    except Refused as refusal:
        return Translation(original, None, refusal.reason, refusal.suggestion, False)
    except RecursionError:
        return Translation(original, None, "it is nested too deeply", None, False)
    is_silent = writer.kind in {Kind.COMPUTED, Kind.DEFAULT}
    weighed = [doubt for doubt in writer.notes.doubts if is_silent or not doubt.is_lenient]
    doubts = [doubt for doubt in weighed if policy == "strict" or doubt.assumption is None]
    is_immutable = writer.notes.volatility is Volatility.IMMUTABLE
    if doubts:
        reasons = "; ".join(dict.fromkeys(doubt.reason for doubt in doubts))
        return Translation(original, None, reasons, sql, is_immutable)
    if not is_immutable and writer.kind in {Kind.COMPUTED, Kind.FILTER}:
        reason = f"its value changes with the time or the session, which no {writer.kind.value} may in PostgreSQL"
        return Translation(original, None, reason, sql, False)
    assumed = dict.fromkeys(doubt.assumption.value for doubt in weighed if doubt.assumption is not None)
    return Translation(original, sql, None, "; ".join([*writer.notes.remarks, *assumed]) or None, is_immutable)

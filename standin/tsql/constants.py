"""Literals, variables and what else is known before the query runs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from sqlglot import exp

from model.catalog import SqlType
from standin.errors import SqlError
from standin.parameters import Parameter
from standin.quoting import text_literal
from standin.storage import storage
from standin.tsql.context import Context, Statement
from standin.tsql.parser import written
from standin.tsql.values import Typed, text_value
from standin.type_names import BIGINT, FLOAT, INT, SYSNAME
from standin.types import TEXTS, is_text_moment
from standin.values import offset_text


def literal(_context: Context, node: exp.Literal) -> Typed:
    """A number or a text, of the type that T-SQL gives it."""
    if node.is_string:
        return text_value(node.name, SqlType("varchar", max(1, len(node.name))))
    text = node.name
    if "e" in text.lower():
        return Typed(f"CAST({text} AS DOUBLE)", FLOAT, is_nullable=False)
    if "." in text:
        whole, _, fraction = text.partition(".")
        kind = SqlType("numeric", precision=max(1, len(whole.lstrip("0")) + len(fraction)), scale=len(fraction))
        return Typed(f"CAST({text_literal(text)} AS {storage(kind)})", kind, is_nullable=False)
    number = int(text)
    if number < 2**31:
        return Typed(text, INT, is_nullable=False)
    kind = BIGINT if number < 2**63 else SqlType("numeric", precision=len(text))
    return Typed(f"CAST({text} AS {storage(kind)})", kind, is_nullable=False)


def national(_context: Context, node: exp.National) -> Typed:
    """N'…'."""
    text = node.this if isinstance(node.this, str) else node.this.name
    return text_value(text, SqlType("nvarchar", max(2, 2 * len(text))))


def hexadecimal(_context: Context, node: exp.HexString) -> Typed:
    """0x…."""
    digits = str(node.this)
    digits = digits if len(digits) % 2 == 0 else "0" + digits
    return Typed(f"unhex('{digits}')", SqlType("varbinary", max(1, len(digits) // 2)), is_nullable=False)


def null(_context: Context, _node: exp.Expression) -> Typed:
    """NULL, which is an int where nothing else decides."""
    return Typed("NULL", INT)


def known_value(statement: Statement, kind: SqlType, value: object) -> Typed:
    """A value that is known now, such as a parameter's."""
    if value is None:
        return Typed(f"CAST(NULL AS {storage(kind)})", kind)
    if kind.name in TEXTS:
        return _bound_text(statement, str(value), kind)
    if isinstance(value, (bytes, bytearray)):
        return Typed(f"CAST({statement.bind(bytes(value))} AS BLOB)", kind, is_nullable=False)
    if kind.name == "datetimeoffset":
        return Typed(text_literal(offset_text(value)), kind)
    if is_text_moment(kind):
        return Typed(text_literal(str(value)), kind)
    if isinstance(value, (bool, int)):
        return Typed(f"CAST({int(value)} AS {storage(kind)})", kind, is_nullable=False)
    if isinstance(value, float):
        return Typed(f"CAST('{value!r}' AS {storage(kind)})", kind, is_nullable=False)
    if isinstance(value, Decimal):
        return Typed(f"CAST('{value:f}' AS {storage(kind)})", kind, is_nullable=False)
    return Typed(f"CAST({text_literal(str(value))} AS {storage(kind)})", kind, is_nullable=False)


def _bound_text(statement: Statement, text: str, kind: SqlType) -> Typed:
    if "\0" in text:
        return Typed(f"CAST({statement.bind(text)} AS VARCHAR)", kind, is_nullable=False)
    return replace(text_value(text, kind), kind=kind)


def _variable(statement: Statement, node: exp.Parameter) -> Parameter:
    name = "@" + node.name
    found = statement.parameters.get(name.lower())
    if found is None:
        raise SqlError(137, f'Must declare the scalar variable "{name}".', 15)
    return found


def parameter(context: Context, node: exp.Parameter) -> Typed:
    """@name or @@NAME."""
    if isinstance(node.this, exp.Parameter):
        return _global(context.statement, node.this.name.upper())
    found = _variable(context.statement, node)
    return known_value(context.statement, found.kind, found.value)


def _global(statement: Statement, name: str) -> Typed:
    facts = statement.facts
    known: dict[str, tuple[SqlType, object]] = {
        "VERSION": (SqlType("nvarchar", 600), facts.version_text),
        "SPID": (SqlType("smallint"), facts.spid),
        "SERVERNAME": (SYSNAME, facts.properties["servername"]),
        "SERVICENAME": (SYSNAME, "MSSQLSERVER"),
        "TRANCOUNT": (INT, facts.transactions),
        "ROWCOUNT": (INT, facts.row_count),
        "ERROR": (INT, 0),
        "MICROSOFTVERSION": (INT, 0x10000000),
        "LANGUAGE": (SYSNAME, "us_english"),
        "MAX_PRECISION": (SqlType("tinyint"), 38),
        "OPTIONS": (INT, 5496),
        "DBTS": (SqlType("binary", 8), b"\0\0\0\0\0\0\x07\xd1"),
        "LOCK_TIMEOUT": (INT, -1),
    }
    if name not in known:
        raise SqlError(137, f'Must declare the scalar variable "@@{name}".', 15)
    return known_value(statement, *known[name])


def constant_text(statement: Statement, node: exp.Expression) -> str:
    """The text of a constant that has to be known before the query runs. Raises SqlError for anything else."""
    if isinstance(node, exp.Literal):
        return node.name
    if isinstance(node, exp.Neg):
        return "-" + constant_text(statement, node.this)
    if isinstance(node, exp.Parameter):
        return str(_variable(statement, node).value)
    raise SqlError(50000, f"The stand-in expects a constant instead of {written(node, 40)}")

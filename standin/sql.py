"""T-SQL queries of the stand-in, translated into DuckDB's SQL.

sqlglot parses T-SQL; `Translator` walks the tree and writes DuckDB's text, knowing the T-SQL type of
every expression on the way: the type decides what `+` means, how texts become numbers, and as what
the result travels. Names are resolved here too, so that a wrong one gets SQL Server's error.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.tsql import TSQL
from sqlglot.parsers.tsql import TSQLParser
from sqlglot.tokenizer_core import Token, TokenType

from model.catalog import SqlType
from standin.types import (
    BINARIES,
    DECIMALS,
    INTEGERS,
    MOMENTS,
    SPATIAL,
    TEXTS,
    WIDE,
    Parameter,
    is_case_sensitive,
    is_text_moment,
    offset_text,
    storage,
)

INT, BIGINT, FLOAT, BIT = SqlType("int"), SqlType("bigint"), SqlType("float"), SqlType("bit")
SYSNAME = SqlType("nvarchar", 256)
NVARCHAR_MAX = SqlType("nvarchar", -1)


#: characters of an expression from which it is worth computing it only once
_LONG_SQL = 1000


class SqlError(Exception):
    """An error with SQL Server's number, severity and words."""

    def __init__(self, number: int, message: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(message)
        self.number, self.severity, self.state = number, severity, state


class _Parser(TSQLParser):
    """The T-SQL parser without its knowledge of functions: the translator has its own."""

    FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
    NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
    FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
        name: parser
        for name, parser in TSQLParser.FUNCTION_PARSERS.items()
        if name in {"CAST", "CONVERT", "TRY_CAST", "TRY_CONVERT", "TRIM"}
    }


class _TSQL(TSQL):
    Parser = _Parser


@dataclass(frozen=True)
class Output:
    """A column that a table or a query offers."""

    name: str
    kind: SqlType | None = None
    is_nullable: bool = True
    collation: str | None = None
    table: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """A table that can be named in FROM."""

    schema: str
    name: str
    columns: tuple[Output, ...]


@dataclass(frozen=True)
class Query:
    """A translated query: its columns are called c1, c2, … in `sql` and as `outputs` say outside."""

    sql: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Typed:
    """A translated expression."""

    sql: str
    kind: SqlType | None = None
    is_nullable: bool = True
    collation: str | None = None
    name: str = ""
    table: tuple[str, ...] = ()
    #: The text of a literal, which conversions may read at once.
    literal: str | None = None


@dataclass(frozen=True)
class Facts:
    """What expressions may ask about the session and the server."""

    database: str
    login: str
    spid: int
    version_text: str
    properties: Mapping[str, str | int]
    transactions: int = 0
    row_count: int = 0


@dataclass(frozen=True)
class _Source:
    """One table in FROM: the alias it got, the names it answers to, its columns."""

    alias: str
    name: str
    schema: str
    columns: tuple[tuple[str, Output], ...]

    def find(self, name: str) -> Typed | None:
        lowered = name.lower()
        for inner, output in self.columns:
            if output.name.lower() == lowered:
                return self.typed(inner, output)
        return None

    def typed(self, inner: str, output: Output) -> Typed:
        return Typed(
            f"{self.alias}.{quote(inner)}", output.kind, output.is_nullable, output.collation, output.name, output.table
        )


@dataclass
class _Scope:
    sources: list[_Source] = field(default_factory=list)
    parent: _Scope | None = None
    ctes: dict[str, tuple[str, tuple[Output, ...]]] = field(default_factory=dict)

    def child(self) -> _Scope:
        return _Scope(parent=self, ctes=dict(self.ctes))


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A DuckDB text literal."""
    return "'" + text.replace("'", "''") + "'"


#: rows that the stand-in takes for a page when it samples a table
PAGE_ROWS = 20


def _some_pages(table: str, sample: exp.TableSample) -> str:
    """A table's rows in the part of its pages that TABLESAMPLE asks for, others each time."""
    percent = sample.args.get("percent")
    if percent is None or sample.args.get("seed") is not None:
        raise SqlError(50000, "The stand-in samples a table by PERCENT only, and not REPEATABLE.")
    seed = random.getrandbits(32)
    return f"(SELECT * FROM {table} WHERE hash(rowid // {PAGE_ROWS}, {seed}) % 1000000 < {percent.this} * 10000)"


# --- statements -------------------------------------------------------------------------------------

_STARTS = frozenset({"SET", "USE", "BEGIN", "COMMIT", "ROLLBACK", "SAVE", "DECLARE", "EXEC", "EXECUTE", "IF", "PRINT"})
_OTHER_STARTS = frozenset({"INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "TRUNCATE", "MERGE", "WAITFOR"})
_JOINS_SELECTS = frozenset({"UNION", "ALL", "EXCEPT", "INTERSECT", "AS"})


def split_batch(sql: str) -> list[str]:
    """The statements of a batch, with or without semicolons between them."""
    try:
        tokens = _TSQL().tokenize(sql)
    except Exception as error:
        raise SqlError(102, "Incorrect syntax near the batch's text.", 15) from error
    statements: list[list[Token]] = [[]]
    depth = 0
    has_select = False
    for token in tokens:
        word = token.text.upper() if token.token_type not in {TokenType.STRING, TokenType.IDENTIFIER} else ""
        if token.token_type is TokenType.L_PAREN:
            depth += 1
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        current = statements[-1]
        if token.token_type is TokenType.SEMICOLON:
            statements.append([])
            has_select = False
            continue
        before = current[-1].text.upper() if current else ""
        is_if = bool(current) and current[0].text.upper() == "IF"
        starts = depth == 0 and bool(current) and not is_if
        if starts and (
            (word in _STARTS | _OTHER_STARTS and before not in {"(", ",", "."} and not (word == "SET" and has_select))
            or (word in {"SELECT", "WITH"} and current[0].text.upper() in _STARTS)
            or (word == "SELECT" and has_select and before not in _JOINS_SELECTS)
        ):
            statements.append([])
            has_select = False
        if word == "SELECT" and depth == 0:
            has_select = True
        statements[-1].append(token)
    return [sql[group[0].start : group[-1].end + 1] for group in statements if group]


def parse(sql: str) -> exp.Expression:
    """One statement's tree. Raises SqlError 102 where the text is no T-SQL that is known here."""
    try:
        tree = sqlglot.parse_one(sql, read=_TSQL)
    except sqlglot.errors.SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        near = details[0].get("highlight") or sql.strip().split()[0] if sql.strip() else ""
        raise SqlError(102, f"Incorrect syntax near '{near}'.", 15) from error
    if not isinstance(tree, exp.Expression):
        raise SqlError(102, f"Incorrect syntax near '{sql[:20]}'.", 15)
    return tree


def sql_type(node: exp.Expression, default_length: int = 30) -> SqlType:
    """The T-SQL type that a CAST names; `default_length` is that of a char or binary type without one."""
    text = node.sql(dialect=_TSQL) if not isinstance(node, exp.DataType) else ""
    if isinstance(node, exp.DataType):
        name = node.args.get("kind")
        if name:
            text = str(name.sql(dialect=_TSQL) if isinstance(name, exp.Expression) else name)
        else:
            names = {
                "UTINYINT": "tinyint", "TIMESTAMPTZ": "datetimeoffset", "TIMESTAMP": "datetime2",
                "ROWVERSION": "timestamp",
                "DATETIME2": "datetime2", "DOUBLE": "float", "BOOLEAN": "bit", "UUID": "uniqueidentifier",
                "TEXT": "text", "INT": "int", "IMAGE": "image",
            }  # fmt: skip
            base = node.this.name if hasattr(node.this, "name") else str(node.this)
            base = names.get(base, base.lower())
            sizes = [part.name for part in node.expressions]
            text = base + (f"({','.join(sizes)})" if sizes else "")
    return named_type(text, default_length)


def named_type(text: str, default_length: int = 1) -> SqlType:
    """The type that text like `decimal(10, 2)` or `[sys].[nvarchar](max)` names."""
    found = re.fullmatch(r"(?:\[?sys\]?\.)?\[?(\w+)\]?\s*(?:\(\s*(\w+)\s*(?:,\s*(\d+)\s*)?\))?", text.strip(), re.I)
    if not found:
        raise SqlError(243, f"Type {text} is not a defined system type.")
    name = found[1].lower()
    name = {"integer": "int", "dec": "decimal", "rowversion": "timestamp", "character": "char"}.get(name, name)
    first = found[2]
    if name in {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}:
        length = -1 if first and first.lower() == "max" else int(first or default_length)
        return SqlType(name, length * 2 if name.startswith("n") and length > 0 else length)
    if name in {"decimal", "numeric"}:
        return SqlType(name, precision=int(first or 18), scale=int(found[3] or 0))
    if name in {"time", "datetime2", "datetimeoffset"}:
        return SqlType(name, scale=int(first) if first else 7)
    if name == "float" and first and int(first) <= 24:
        return SqlType("real")
    if name in {"text", "ntext", "image", "xml"}:
        return SqlType(name, -1)
    if name == "sysname":
        return SYSNAME
    if name not in _PRECEDENCE and name not in {"numeric"}:
        raise SqlError(243, f"Type {name} is not a defined system type.")
    return SqlType(name)


# --- types ------------------------------------------------------------------------------------------

# From Microsoft's data type precedence, highest first.
_PRECEDENCE = (
    "sql_variant", "xml", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real",
    "decimal", "money", "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image",
    "timestamp", "uniqueidentifier", "nvarchar", "nchar", "varchar", "char", "varbinary", "binary", "json", "vector",
)  # fmt: skip
_DIGITS = {"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}


def _rank(kind: SqlType) -> int:
    name = {"numeric": "decimal", "sysname": "nvarchar"}.get(kind.name, kind.name)
    return _PRECEDENCE.index(name) if name in _PRECEDENCE else 0


def family(kind: SqlType) -> str:
    """The family whose members DuckDB compares without help."""
    name = kind.name
    if name in INTEGERS or name in DECIMALS or name in {"float", "real"}:
        return "number"
    if name in TEXTS:
        return "text"
    if name in BINARIES:
        return "binary"
    if is_text_moment(kind):
        return name + "7"
    return "moment" if name in MOMENTS else name


def _as_decimal(kind: SqlType) -> SqlType:
    if kind.name in _DIGITS:
        return SqlType("decimal", precision=_DIGITS[kind.name])
    if kind.name in {"money", "smallmoney"}:
        return SqlType("decimal", precision=19 if kind.name == "money" else 10, scale=4)
    return kind


def common(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type two operands meet in, by data type precedence."""
    if left is None or right is None:
        return left or right
    higher, lower = (left, right) if _rank(left) <= _rank(right) else (right, left)
    if higher.name in {"decimal", "numeric"} and family(lower) == "number":
        other = _as_decimal(lower)
        scale = max(higher.scale, other.scale)
        digits = max(higher.precision - higher.scale, other.precision - other.scale)
        return replace(higher, precision=min(38, digits + scale), scale=scale)
    if family(higher) == "text" and family(lower) == "text" and higher.max_length != -1:
        if lower.max_length == -1 or lower.name in {"text", "ntext", "xml"}:
            return replace(higher, max_length=-1)
        units = max(left.characters, right.characters)
        return replace(higher, max_length=units * 2 if higher.name in WIDE else units)
    if family(higher) == "binary" and family(lower) == "binary" and higher.max_length != -1:
        return replace(higher, max_length=-1 if lower.max_length == -1 else max(left.max_length, right.max_length))
    if higher.name == lower.name:
        return replace(higher, scale=max(higher.scale, lower.scale))
    return higher


def ticks_of(sql: str, kind: SqlType) -> str:
    """The local ticks of a moment; of a time, those since midnight."""
    if kind.name == "datetimeoffset":
        return f"tds_dt2_ticks(left({sql}, 27))"
    if kind.name == "time":
        return f"tds_time_ticks({sql})" if kind.scale == 7 else f"(epoch_us({sql}) * 10)"
    if is_text_moment(kind):
        return f"tds_dt2_ticks({sql})"
    return f"tds_ts_ticks(CAST({sql} AS TIMESTAMP))"


def from_ticks(ticks: str, kind: SqlType) -> str:
    """A moment of the type from ticks, rounded as the type asks."""
    if kind.name == "datetime":
        day, rest = f"(({ticks}) // 864000000000)", f"(({ticks}) % 864000000000)"
        milliseconds = f"((({rest} * 3 + 50000) // 100000 * 10 + 1) // 3)"
        return f"tds_ticks_ts({day} * 864000000000 + {milliseconds} * 10000)"
    if kind.name == "smalldatetime":
        return f"tds_ticks_ts((({ticks}) + 300000000) // 600000000 * 600000000)"
    unit = 10 ** (7 - kind.scale)
    rounded = f"(({ticks}) + {unit // 2}) // {unit} * {unit}" if unit > 1 else ticks
    if kind.name == "time":
        return f"tds_ticks_time({rounded})" if kind.scale == 7 else f"CAST(tds_ticks_ts({rounded}) AS TIME)"
    return f"tds_ticks_dt2({rounded})" if kind.scale == 7 else f"tds_ticks_ts({rounded})"


_MOMENT_STYLES = {
    0: "%b %_d %Y %_I:%M%p", 1: "%m/%d/%y", 2: "%y.%m.%d", 3: "%d/%m/%y", 4: "%d.%m.%y", 5: "%d-%m-%y",
    8: "%H:%M:%S", 10: "%m-%d-%y", 11: "%y/%m/%d", 12: "%y%m%d", 101: "%m/%d/%Y", 102: "%Y.%m.%d", 103: "%d/%m/%Y",
    104: "%d.%m.%Y", 105: "%d-%m-%Y", 108: "%H:%M:%S", 110: "%m-%d-%Y", 111: "%Y/%m/%d", 112: "%Y%m%d",
    20: "%Y-%m-%d %H:%M:%S", 120: "%Y-%m-%d %H:%M:%S", 23: "%Y-%m-%d",
}  # fmt: skip


def _moment_text(value: Typed, kind: SqlType, style: int | None) -> str:
    """A moment, date or time as CONVERT writes it."""
    if kind.name == "time":
        digits = kind.scale
        text = f"tds_ticks_time({ticks_of(value.sql, kind)})"
        return f"left({text}, {9 + digits if digits else 8})"
    if style is None:
        style = 0 if kind.name in {"datetime", "smalldatetime"} else 121
    ticks = ticks_of(value.sql, kind)
    if style in {0, 100}:
        moment = f"tds_ticks_ts({ticks})"
        day = f"strftime({moment}, '%b ') || lpad(CAST(day({moment}) AS VARCHAR), 2, ' ') || strftime({moment}, ' %Y ')"
        hour = f"lpad(CAST((hour({moment}) + 11) % 12 + 1 AS VARCHAR), 2, ' ')"
        return f"({day} || {hour} || strftime({moment}, ':%M%p'))"
    if style in _MOMENT_STYLES:
        return f"strftime(tds_ticks_ts({ticks}), '{_MOMENT_STYLES[style]}')"
    text = f"tds_ticks_dt2({ticks})"
    if kind.name == "date":
        return f"left({text}, 10)"
    digits = {"datetime": 3, "smalldatetime": 0}.get(kind.name, kind.scale)
    if style == 127 and kind.name == "datetimeoffset":
        text = f"tds_ticks_dt2(tds_dto_ticks({value.sql}))"
    body = f"left({text}, {20 + digits if digits else 19})"
    if style in {126, 127}:
        body = f"replace(regexp_replace({body}, '\\.0+$', ''), ' ', 'T')"
    if kind.name != "datetimeoffset":
        return body
    if style == 127:
        return f"({body} || 'Z')"
    gap = "27" if style == 126 else "28"
    offset = f"substr({value.sql}, 29)" if gap == "27" else f"substr({value.sql}, 28)"
    return f"({body} || {offset})"


def _number_text(value: Typed, kind: SqlType, style: int | None) -> str:
    if kind.name in {"money", "smallmoney"} and style != 2:
        return f"CAST(CAST({value.sql} AS DECIMAL(19,2)) AS VARCHAR)"
    if kind.name in {"float", "real"}:
        digits = 8 if kind.name == "real" else 16
        formats = {None: "%.6g", 0: "%.6g", 1: "%.7e", 2: "%.15e", 3: f"%.{digits}e"}
        if style in {1, 2, 3}:
            return f"tds_exponent(printf('{formats[style]}', CAST({value.sql} AS DOUBLE)))"
        return f"printf('{formats.get(style, '%.6g')}', CAST({value.sql} AS DOUBLE))"
    return f"CAST({value.sql} AS VARCHAR)"


def _to_text(value: Typed, kind: SqlType, target: SqlType, style: int | None) -> str:
    group = family(kind)
    if group == "text":
        text = value.sql
    elif group == "number":
        text = _number_text(value, kind, style)
    elif kind.name == "uniqueidentifier":
        text = f"upper(CAST({value.sql} AS VARCHAR))"
    elif group == "binary":
        decoder = "tds_from_utf16" if target.name in WIDE else "tds_from_latin1"
        text = {1: f"('0x' || hex({value.sql}))", 2: f"hex({value.sql})"}.get(style or 0, f"{decoder}({value.sql})")
    else:
        text = _moment_text(value, kind, style)
    length = target.characters
    if length > 0 and not (group == "text" and 0 < kind.characters <= length):
        text = f"left({text}, {length})"
    if target.name in {"char", "nchar"}:
        text = f"rpad({text}, {length}, ' ')"
    return text


def _to_binary(value: Typed, kind: SqlType, target: SqlType, style: int | None) -> str:
    group = family(kind)
    if group == "text":
        encoder = "tds_utf16" if kind.name in WIDE else "tds_latin1"
        raw = {
            1: f"unhex(substr({value.sql}, 3))",
            2: f"unhex({value.sql})",
        }.get(style or 0, f"{encoder}({value.sql})")
    elif kind.name == "uniqueidentifier":
        raw = f"tds_guid_bytes({value.sql})"
    elif kind.name in INTEGERS:
        width = INTEGERS[kind.name]
        digits = f"lpad(to_hex(CAST({value.sql} AS BIGINT)), 16, '0')"
        raw = f"unhex(right({digits}, {2 * width}))"
        if target.name == "binary" and target.max_length > 0:
            return f"unhex(right(repeat('0', {2 * target.max_length}) || right({digits}, 16), {2 * target.max_length}))"
    elif group == "binary":
        raw = value.sql
    else:
        raise SqlError(529, f"Explicit conversion from data type {kind.name} to {target.name} is not allowed.")
    if target.max_length > 0 and not (group == "binary" and 0 < kind.max_length <= target.max_length):
        raw = f"unhex(left(hex({raw}), {2 * target.max_length}))"
    if target.name == "binary":
        raw = f"unhex(rpad(hex({raw}), {2 * target.max_length}, '0'))"
    return raw


def _iso(text: str) -> str:
    """A date written without separators, or a moment with T and Z, as DuckDB reads it."""
    return re.sub(r"^\s*(\d{4})(\d\d)(\d\d)\b", r"\1-\2-\3", text).replace("T", " ").strip()


def _text_to_moment(value: Typed, target: SqlType) -> str:
    sql = value.sql if value.literal is None else text_literal(_iso(value.literal))
    if target.name == "date":
        return f"CAST(left({sql}, 10) AS DATE)"
    if target.name == "time":
        return from_ticks(f"tds_time_ticks(tds_norm_time({sql}))", target)
    if target.name == "datetimeoffset":
        return f"tds_norm_dto({sql})"
    if target.name == "datetime2" and target.scale == 7:
        return f"tds_norm_dt2({sql})"
    if target.name == "datetime2":
        return from_ticks(f"tds_dt2_ticks(tds_norm_dt2({sql}))", target)
    return from_ticks(f"tds_ts_ticks(CAST({sql} AS TIMESTAMP))", target)


def convert(value: Typed, target: SqlType, style: int | None = None) -> str:
    """DuckDB's text for CONVERT(target, value, style)."""
    kind = value.kind
    if kind is None or value.sql == "NULL":
        return f"CAST({value.sql} AS {storage(target)})"
    if kind.name == "sql_variant" and target.name != "sql_variant":
        # A macro's argument is written out wherever its name stands, so what others build upon is computed apart.
        text = Typed("v", NVARCHAR_MAX, value.is_nullable)
        sql = convert(text, target, 1 if target.name in BINARIES else None)
        return f"list_transform([tds_variant_text({value.sql})], lambda v: {sql})[1]"
    source, goal = family(kind), family(target)
    if target.name in TEXTS and value.sql.startswith("list_transform("):
        return f"list_transform([{value.sql}], lambda w: {_to_text(replace(value, sql='w'), kind, target, style)})[1]"
    if target.name in TEXTS:
        return _to_text(value, kind, target, style)
    if target.name in BINARIES:
        return _to_binary(value, kind, target, style)
    if goal == "number":
        if source == "binary":
            number = f"CAST('0x' || hex({value.sql}) AS BIGINT)"
            return f"CAST({number} AS {storage(target)})"
        if target.name == "bit":
            number = f"CAST({value.sql} AS DOUBLE)" if source == "text" else value.sql
            return f"CAST(({number}) <> 0 AS UTINYINT)"
        if kind.name in DECIMALS | {"float", "real"} and target.name in INTEGERS:
            return f"CAST(trunc({value.sql}) AS {storage(target)})"
        if source == "text" and target.name in INTEGERS:
            return f"CAST(trim({value.sql}) AS {storage(target)})"
        if source == "text":
            return f"CAST(replace(trim({value.sql}), ',', '') AS {storage(target)})"
        if source != "number":
            return f"CAST(tds_dt2_ticks(tds_norm_dt2(CAST({value.sql} AS VARCHAR))) AS {storage(target)})"
        return f"CAST({value.sql} AS {storage(target)})"
    if target.name == "uniqueidentifier":
        return f"tds_bytes_guid({value.sql})" if source == "binary" else f"CAST({value.sql} AS UUID)"
    if source == "text":
        return _text_to_moment(value, target)
    if source == "number":
        return f"(TIMESTAMP '1900-01-01' + to_microseconds(CAST({value.sql} * 86400000000 AS BIGINT)))"
    if target.name == "datetimeoffset":
        if kind.name == "datetimeoffset":
            if kind.scale <= target.scale:
                return value.sql
            unit = 10 ** (7 - target.scale)
            rounded = f"(tds_dto_ticks({value.sql}) + {unit // 2}) // {unit} * {unit}"
            return f"tds_ticks_dto({rounded}, tds_offset({value.sql}))"
        return f"({from_ticks(ticks_of(value.sql, kind), SqlType('datetime2', scale=7))} || ' +00:00')"
    if target.name == "date":
        return f"CAST(tds_ticks_ts({ticks_of(value.sql, kind)}) AS DATE)" if kind.name != "date" else value.sql
    if kind.name == target.name and kind.scale == target.scale:
        return value.sql
    ticks = ticks_of(value.sql, kind)
    if kind.name == "time" and target.name != "time":
        ticks = f"({ticks} + {693595 * 864_000_000_000})"
    return from_ticks(ticks, target)


# --- expressions ------------------------------------------------------------------------------------

_PARTS = {
    **dict.fromkeys(("yy", "yyyy", "year"), "year"),
    **dict.fromkeys(("qq", "q", "quarter"), "quarter"),
    **dict.fromkeys(("mm", "m", "month"), "month"),
    **dict.fromkeys(("dy", "y", "dayofyear"), "dayofyear"),
    **dict.fromkeys(("dd", "d", "day"), "day"),
    **dict.fromkeys(("wk", "ww", "week", "isowk", "isoww", "iso_week"), "week"),
    **dict.fromkeys(("dw", "w", "weekday", "dayofweek"), "dayofweek"),
    **dict.fromkeys(("hh", "hour"), "hour"),
    **dict.fromkeys(("mi", "n", "minute"), "minute"),
    **dict.fromkeys(("ss", "s", "second"), "second"),
    **dict.fromkeys(("ms", "millisecond"), "millisecond"),
    **dict.fromkeys(("mcs", "microsecond"), "microsecond"),
    **dict.fromkeys(("ns", "nanosecond"), "nanosecond"),
    **dict.fromkeys(("tz", "tzoffset"), "tzoffset"),
}

_COMPARISONS: Mapping[type, str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_BITS: Mapping[type, str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "xor"}


def _paren(sql: str) -> str:
    return f"({sql})"


class Translator:
    """Translates the queries of one batch.

    `tables` collects the tables that were named, `binds` the values that DuckDB is to bind as
    `$1`, `$2`, …. Raises SqlError with SQL Server's numbers.
    """

    def __init__(
        self,
        relations: Mapping[tuple[str, str], Relation],
        facts: Facts,
        parameters: Mapping[str, Parameter],
    ) -> None:
        self._relations = relations
        self._facts = facts
        self._parameters = parameters
        self._aliases = 0
        self.tables: list[Relation] = []
        self.binds: list[object] = []

    # --- queries

    def query(self, node: exp.Expression, scope: _Scope | None = None) -> Query:
        """A SELECT, a set operation or a bracketed one of either."""
        inner = scope.child() if scope else _Scope()
        prefix = self._with(node, inner)
        if isinstance(node, exp.Select):
            query = self._select(node, inner)
        elif isinstance(node, exp.SetOperation):
            query = self._set_operation(node, inner)
        elif isinstance(node, (exp.Subquery, exp.Paren)):
            query = self._subquery(node, inner)
        else:
            raise SqlError(102, f"Incorrect syntax near '{node.sql(dialect=_TSQL)[:30]}'.", 15)
        return replace(query, sql=prefix + query.sql)

    def _subquery(self, node: exp.Expression, scope: _Scope) -> Query:
        query = self.query(node.this, scope)
        tail = self._tail(node, _Scope(parent=scope, ctes=scope.ctes), query.outputs, [])
        return replace(query, sql=f"SELECT * FROM ({query.sql}) AS sub{tail}") if tail else query

    def _with(self, node: exp.Expression, scope: _Scope) -> str:
        clause = node.args.get("with_")
        if clause is None:
            return ""
        parts = []
        for cte in clause.expressions:
            body = cte.this
            names = [column.name for column in cte.args["alias"].args.get("columns") or ()]
            alias = self._alias()
            if self._is_recursive(cte):
                # The part before UNION ALL says what the columns are; DuckDB wants the union itself outermost.
                anchor = self.query(body.this, scope)
                outputs = _renamed(anchor.outputs, names)
                scope.ctes[cte.alias.lower()] = (alias, outputs)
                step = self.query(body.expression, scope)
                kinds = [output.kind for output in anchor.outputs]
                query = Query(f"({anchor.sql}) UNION ALL ({_as_kinds(step, kinds)})", outputs)
            else:
                query = self.query(body, scope)
                outputs = _renamed(query.outputs, names)
            scope.ctes[cte.alias.lower()] = (alias, outputs)
            columns = ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))
            parts.append(f"{alias}({columns}) AS ({query.sql})")
        return "WITH RECURSIVE " + ", ".join(parts) + " "

    @staticmethod
    def _is_recursive(cte: exp.CTE) -> bool:
        body = cte.this
        return isinstance(body, exp.SetOperation) and any(
            table.name.lower() == cte.alias.lower() and not table.db for table in body.expression.find_all(exp.Table)
        )

    def _alias(self) -> str:
        self._aliases += 1
        return f"s{self._aliases}"

    def _set_operation(self, node: exp.SetOperation, scope: _Scope) -> Query:
        left, right = self.query(node.this, scope), self.query(node.expression, scope)
        if len(left.outputs) != len(right.outputs):
            raise SqlError(
                205,
                "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of"
                " expressions in their target lists.",
            )
        kinds = [common(a.kind, b.kind) for a, b in zip(left.outputs, right.outputs, strict=True)]
        outputs = tuple(
            replace(a, kind=kind, is_nullable=a.is_nullable or b.is_nullable)
            for a, b, kind in zip(left.outputs, right.outputs, kinds, strict=True)
        )
        word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
        if not node.args.get("distinct", True):
            word += " ALL"
        sql = f"({_as_kinds(left, kinds)}) {word} ({_as_kinds(right, kinds)})"
        columns = ", ".join(f"c{number}" for number in range(1, len(outputs) + 1))
        tail = self._tail(node, _Scope(parent=scope.parent, ctes=scope.ctes), outputs, [])
        return Query(f"SELECT * FROM ({sql}) AS combined({columns}){tail}", outputs)

    def _select(self, node: exp.Select, scope: _Scope) -> Query:
        if node.args.get("for_"):
            raise SqlError(50000, "FOR XML and FOR JSON are not supported by the stand-in.")
        from_sql = self._from(node, scope)
        items: list[Typed] = []
        for item in node.expressions:
            items.extend(self._item(item, scope))
        outputs = tuple(Output(item.name, item.kind, item.is_nullable, item.collation, item.table) for item in items)
        listed = ", ".join(f"{item.sql} AS c{number}" for number, item in enumerate(items, 1))
        sql = f"SELECT {'DISTINCT ' if node.args.get('distinct') else ''}{listed}{from_sql}"
        if where := node.args.get("where"):
            sql += f" WHERE {self.predicate(where.this, scope)}"
        if group := node.args.get("group"):
            sql += " GROUP BY " + ", ".join(self.expression(key, scope).sql for key in group.expressions)
        if having := node.args.get("having"):
            sql += f" HAVING {self.predicate(having.this, scope)}"
        return Query(sql + self._tail(node, scope, outputs, items), outputs)

    def _tail(self, node: exp.Expression, scope: _Scope, outputs: Sequence[Output], items: Sequence[Typed]) -> str:
        """ORDER BY, TOP and OFFSET … FETCH."""
        sql = ""
        if order := node.args.get("order"):
            sql += " ORDER BY " + ", ".join(self._ordered(key, scope, outputs, items) for key in order.expressions)
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is not None:
            count: Any = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.args.get("expression")
            options = limit.args.get("limit_options")
            if options is not None and options.args.get("with_ties"):
                raise SqlError(50000, "TOP … WITH TIES is not supported by the stand-in.")
            percent = "%" if options is not None and options.args.get("percent") else ""
            sql += f" LIMIT {self.expression(count, scope).sql}{percent}"
        if offset is not None:
            sql += f" OFFSET {self.expression(offset.expression, scope).sql}"
        return sql

    def _ordered(self, key: exp.Expression, scope: _Scope, outputs: Sequence[Output], items: Sequence[Typed]) -> str:
        inner = key.this if isinstance(key, exp.Ordered) else key
        value: Typed | None = None
        if isinstance(inner, exp.Literal) and not inner.is_string:
            number = int(inner.name)
            if not 0 < number <= len(outputs):
                raise SqlError(108, f"The ORDER BY position number {number} is out of range of the number of items"
                                    " in the select list.", 15)  # fmt: skip
            value = Typed(f"c{number}", outputs[number - 1].kind)
        elif isinstance(inner, exp.Column) and not inner.table:
            for number, output in enumerate(outputs, 1):
                if output.name.lower() == inner.name.lower():
                    value = Typed(f"c{number}", output.kind)
                    break
        if value is None:
            value = self.expression(inner, scope)
            for number, item in enumerate(items, 1):
                if item.sql == value.sql:
                    value = Typed(f"c{number}", value.kind)
                    break
        is_descending = isinstance(key, exp.Ordered) and bool(key.args.get("desc"))
        return f"{_sortable(value)} {'DESC NULLS LAST' if is_descending else 'ASC NULLS FIRST'}"

    def _item(self, item: exp.Expression, scope: _Scope) -> list[Typed]:
        if isinstance(item, exp.Star):
            return [source.typed(*column) for source in scope.sources for column in source.columns]
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            source = self._source_named(item, scope)
            return [source.typed(*column) for column in source.columns]
        if isinstance(item, exp.Alias):
            value = self.expression(item.this, scope)
            return [replace(value, name=item.alias)]
        if isinstance(item, (exp.Aliases, exp.PropertyEQ)):
            raise SqlError(102, f"Incorrect syntax near '{item.sql(dialect=_TSQL)}'.", 15)
        return [self.expression(item, scope)]

    def _source_named(self, column: exp.Column, scope: _Scope) -> _Source:
        for source in scope.sources:
            if _answers(source, column):
                return source
        raise SqlError(
            107, f"The column prefix '{column.table}' does not match with a table name or alias name used in the query."
        )

    # --- FROM

    def _from(self, node: exp.Select, scope: _Scope) -> str:
        clause = node.args.get("from_")
        if clause is None:
            return ""
        sql = " FROM " + self._source(clause.this, scope)
        for join in node.args.get("joins") or ():
            sql += self._join(join, scope)
        for lateral in node.args.get("laterals") or ():
            sql += f" CROSS JOIN LATERAL {self._source(lateral, scope)}"
        return sql

    def _join(self, join: exp.Join, scope: _Scope) -> str:
        side, kind = (join.args.get("side") or "").upper(), (join.args.get("kind") or "").upper()
        before = len(scope.sources)
        if isinstance(join.this, exp.Lateral):
            is_outer = not join.this.args.get("cross_apply")
            word = "LEFT JOIN LATERAL" if is_outer else "CROSS JOIN LATERAL"
            sql = f" {word} {self._source(join.this, scope)}{' ON TRUE' if is_outer else ''}"
            side = "LEFT" if is_outer else ""
        else:
            target = self._source(join.this, scope)
            condition = join.args.get("on")
            if condition is None:
                sql = f" CROSS JOIN {target}"
            else:
                sql = f" {side or kind or 'INNER'} JOIN {target} ON {self.predicate(condition, scope)}"
        if side in {"LEFT", "FULL"}:
            scope.sources[before:] = [_all_nullable(source) for source in scope.sources[before:]]
        if side in {"RIGHT", "FULL"}:
            scope.sources[:before] = [_all_nullable(source) for source in scope.sources[:before]]
        return sql

    def _source(self, node: exp.Expression, scope: _Scope) -> str:
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return self._table(node, scope)
        if isinstance(node, exp.Lateral):
            return self._derived(node.this, node.alias, node, scope, lateral=True)
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            sql = self._source(node.this, scope)
            for join in node.this.args.get("joins") or node.args.get("joins") or ():
                sql += self._join(join, scope)
            return _paren(sql)
        if isinstance(node, exp.Subquery):
            return self._derived(node, node.alias, node, scope, lateral=False)
        if isinstance(node, exp.Values):
            return self._values(node, scope)
        raise SqlError(208, f"Invalid object name '{node.sql(dialect=_TSQL)[:60]}'.")

    def _table(self, node: exp.Table, scope: _Scope) -> str:
        schema, name = node.db, node.name
        if not schema and name.lower() in scope.ctes:
            inner, outputs = scope.ctes[name.lower()]
            alias = self._alias()
            columns = tuple((f"c{number}", output) for number, output in enumerate(outputs, 1))
            scope.sources.append(_Source(alias, node.alias or name, "", columns))
            return f"{inner} AS {alias}"
        relation = self._relations.get(((schema or "dbo").lower(), name.lower()))
        catalog = node.catalog.lower()
        is_here = not catalog or catalog == self._facts.database.lower() or (schema or "").lower() == "sys"
        if relation is None or not is_here:
            written = ".".join(part for part in (node.catalog, schema, name) if part)
            raise SqlError(208, f"Invalid object name '{written}'.")
        self.tables.append(relation)
        alias = self._alias()
        columns = tuple((output.name, output) for output in relation.columns)
        scope.sources.append(_Source(alias, node.alias or name, "" if node.alias else relation.schema, columns))
        sql = f"{quote(relation.schema)}.{quote(relation.name)}"
        if sample := node.args.get("sample"):
            sql = _some_pages(sql, sample)
        sql = f"{sql} AS {alias}"
        for join in node.args.get("joins") or ():
            sql += self._join(join, scope)
        return sql

    def _derived(
        self, query_node: exp.Expression, name: str, node: exp.Expression, scope: _Scope, *, lateral: bool
    ) -> str:
        outer = scope if lateral else _Scope(parent=scope.parent, ctes=scope.ctes)
        inner = query_node
        while isinstance(inner, exp.Subquery) and not isinstance(inner.this, exp.Values):
            inner = inner.this
        alias_node = node.args.get("alias")
        names = [column.name for column in (alias_node.args.get("columns") or ())] if alias_node is not None else []
        if isinstance(inner, (exp.Subquery, exp.Values)):
            values = inner.this if isinstance(inner, exp.Subquery) else inner
            return self._values(values, scope, name, names)
        query = self.query(inner, outer)
        alias = self._alias()
        outputs = _renamed(query.outputs, names)
        columns = tuple((f"c{number}", output) for number, output in enumerate(outputs, 1))
        scope.sources.append(_Source(alias, name, "", columns))
        listed = ", ".join(inner_name for inner_name, _ in columns)
        return f"({query.sql}) AS {alias}({listed})"

    def _values(self, node: exp.Values, scope: _Scope, name: str = "", names: Sequence[str] = ()) -> str:
        rows = [[self.expression(value, scope) for value in row.expressions] for row in node.expressions]
        alias_node = node.args.get("alias")
        if alias_node is not None:
            name = name or alias_node.name
            names = names or [column.name for column in alias_node.args.get("columns") or ()]
        kinds: list[SqlType | None] = []
        for position in range(len(rows[0])):
            kind: SqlType | None = None
            for row in rows:
                if row[position].sql != "NULL":
                    kind = common(kind, row[position].kind)
            kinds.append(kind)
        alias = self._alias()
        outputs = [Output(label, kind) for label, kind in zip(names, kinds, strict=False)]
        columns = tuple((f"c{number}", output) for number, output in enumerate(outputs, 1))
        scope.sources.append(_Source(alias, name, "", columns))
        listed = ", ".join(
            _paren(", ".join(_meet(value, kind) for value, kind in zip(row, kinds, strict=True))) for row in rows
        )
        return f"(VALUES {listed}) AS {alias}({', '.join(inner for inner, _ in columns)})"

    # --- predicates

    def predicate(self, node: exp.Expression, scope: _Scope) -> str:
        """A condition; T-SQL knows no boolean values, so conditions and values never mix."""
        if isinstance(node, exp.Paren):
            return _paren(self.predicate(node.this, scope))
        if isinstance(node, (exp.And, exp.Or)):
            word = "AND" if isinstance(node, exp.And) else "OR"
            return f"({self.predicate(node.this, scope)} {word} {self.predicate(node.expression, scope)})"
        if isinstance(node, exp.Not):
            return f"(NOT {self.predicate(node.this, scope)})"
        if type(node) in _COMPARISONS:
            return self._comparison(node, scope)
        if isinstance(node, exp.Is):
            tested = self.expression(node.this, scope).sql
            return f"({tested} IS {'NOT ' if isinstance(node.expression, exp.Not) else ''}NULL)"
        if isinstance(node, exp.Between):
            value, low, high = (self.expression(node.args[part], scope) for part in ("this", "low", "high"))
            return f"({_compare(value, '>=', low)} AND {_compare(value, '<=', high)})"
        if isinstance(node, exp.In):
            return self._in(node, scope)
        if isinstance(node, exp.Exists):
            inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
            return f"EXISTS ({self.query(inner, scope).sql})"
        if isinstance(node, (exp.Like, exp.Escape)):
            return self._like(node, scope)
        raise SqlError(4145, "An expression of non-boolean type specified in a context where a condition is expected,"
                             f" near '{node.sql(dialect=_TSQL)[:30]}'.", 15)  # fmt: skip

    def _comparison(self, node: exp.Expression, scope: _Scope) -> str:
        operator = _COMPARISONS[type(node)]
        left = self.expression(node.this, scope)
        if isinstance(node.expression, (exp.Any, exp.All)):
            query = self.query(node.expression.this, scope)
            return f"({left.sql} {operator} {type(node.expression).__name__.upper()} ({query.sql}))"
        return _compare(left, operator, self.expression(node.expression, scope))

    def _in(self, node: exp.In, scope: _Scope) -> str:
        value = self.expression(node.this, scope)
        if query_node := node.args.get("query"):
            inner = query_node.this if isinstance(query_node, exp.Subquery) else query_node
            query = self.query(inner, scope)
            kind = common(value.kind, query.outputs[0].kind)
            return f"({_meet(value, kind)} IN ({_as_kinds(query, [kind])}))"
        options = [self.expression(option, scope) for option in node.expressions]
        return _paren(" OR ".join(_compare(value, "=", option) for option in options))

    def _like(self, node: exp.Expression, scope: _Scope) -> str:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = node.expression.name
            node = node.this
        value = self.expression(node.this, scope)
        pattern = self.expression(node.expression, scope)
        text = value.sql if value.kind is None or family(value.kind) == "text" else convert(value, NVARCHAR_MAX)
        negation = "NOT " if node.args.get("negate") else ""
        if pattern.literal is not None:
            flags = "'s'" if is_case_sensitive(value.collation) else "'is'"
            regex = text_literal(like_regex(pattern.literal, escape))
            return f"({negation}regexp_full_match({text}, {regex}, {flags}))"
        suffix = f" ESCAPE {text_literal(escape)}" if escape else ""
        return f"({text} {negation}ILIKE {pattern.sql}{suffix})"

    # --- values

    def expression(self, node: exp.Expression, scope: _Scope) -> Typed:
        """A value of any kind."""
        handler = _HANDLERS.get(type(node))
        if handler is None:
            if isinstance(node, exp.Predicate):
                raise SqlError(102, f"Incorrect syntax near '{node.sql(dialect=_TSQL)[:30]}'.", 15)
            raise SqlError(
                50000, f"The stand-in does not support {type(node).__name__}: {node.sql(dialect=_TSQL)[:80]}"
            )
        return handler(self, node, scope)

    def _column(self, node: exp.Column, scope: _Scope) -> Typed:
        name = node.name
        if not node.table and not node.this.args.get("quoted"):
            special = _NILADIC.get(name.upper())
            if special is not None:
                return special(self)
        level: _Scope | None = scope
        while level is not None:
            found = [
                typed for source in level.sources if _answers(source, node) and (typed := source.find(name)) is not None
            ]
            if len(found) > 1:
                raise SqlError(209, f"Ambiguous column name '{name}'.")
            if found:
                return found[0]
            if node.table and any(_answers(source, node) for source in level.sources):
                raise SqlError(207, f"Invalid column name '{name}'.")
            level = level.parent
        if name.lower() == "stsrid":
            # A property, which looks like a column of a table that is called as the column is.
            owner = self._column(exp.column(node.table, table=node.db or None, quoted=True), scope)
            if owner.kind is not None and owner.kind.name in SPATIAL:
                return Typed(f"tds_srid({owner.sql})", INT, owner.is_nullable)
        if node.table:
            written = ".".join(part for part in (node.db, node.table, name) if part)
            raise SqlError(4104, f'The multi-part identifier "{written}" could not be bound.')
        raise SqlError(207, f"Invalid column name '{name}'.")

    def _literal(self, node: exp.Literal, _scope: _Scope) -> Typed:
        if node.is_string:
            return _text(node.name, SqlType("varchar", max(1, len(node.name))))
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

    def _national(self, node: exp.National, _scope: _Scope) -> Typed:
        text = node.this if isinstance(node.this, str) else node.this.name
        return _text(text, SqlType("nvarchar", max(2, 2 * len(text))))

    def _hex(self, node: exp.HexString, _scope: _Scope) -> Typed:
        digits = str(node.this)
        digits = digits if len(digits) % 2 == 0 else "0" + digits
        return Typed(f"unhex('{digits}')", SqlType("varbinary", max(1, len(digits) // 2)), is_nullable=False)

    def _null(self, _node: exp.Expression, _scope: _Scope) -> Typed:
        return Typed("NULL", INT)

    def _parenthesis(self, node: exp.Paren, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        return replace(value, sql=_paren(value.sql), name="")

    def _negative(self, node: exp.Neg, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        if value.sql == "CAST(9223372036854775808 AS DECIMAL(19,0))":
            return Typed("CAST('-9223372036854775808' AS BIGINT)", BIGINT)
        return Typed(f"(-{value.sql})", value.kind, value.is_nullable)

    def _not_bits(self, node: exp.BitwiseNot, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        return Typed(f"(~{value.sql})", value.kind)

    def _bits(self, node: exp.Binary, scope: _Scope) -> Typed:
        left, right = self.expression(node.this, scope), self.expression(node.expression, scope)
        kind = common(left.kind, right.kind)
        operator = _BITS[type(node)]
        body = f"xor({left.sql}, {right.sql})" if operator == "xor" else f"({left.sql} {operator} {right.sql})"
        return Typed(body, kind)

    def _arithmetic(self, node: exp.Binary, scope: _Scope) -> Typed:
        left, right = self.expression(node.this, scope), self.expression(node.expression, scope)
        return _calculate(type(node), left, right)

    def _case(self, node: exp.Case, scope: _Scope) -> Typed:
        subject = self.expression(node.this, scope) if node.this is not None else None
        branches: list[tuple[str, Typed]] = []
        for branch in node.args["ifs"]:
            if subject is None:
                condition = self.predicate(branch.this, scope)
            else:
                condition = _compare(subject, "=", self.expression(branch.this, scope))
            branches.append((condition, self.expression(branch.args["true"], scope)))
        default = node.args.get("default")
        otherwise = self.expression(default, scope) if default is not None else Typed("NULL", INT)
        return _choose(branches, otherwise)

    def _cast(self, node: exp.Expression, scope: _Scope) -> Typed:
        is_convert = isinstance(node, exp.Convert)
        value = self.expression(node.expression if is_convert else node.this, scope)
        target = sql_type(node.this if is_convert else node.args["to"])
        style_node = node.args.get("style") if is_convert else node.args.get("format")
        style = int(self._constant(style_node)) if style_node is not None else None
        sql = convert(value, target, style)
        if isinstance(node, exp.TryCast) or node.args.get("safe"):
            sql = sql.replace("CAST(", "TRY_CAST(").replace("TRY_TRY_", "TRY_")
        return Typed(sql, target, value.is_nullable, value.collation if family(target) == "text" else None)

    def _constant(self, node: exp.Expression) -> str:
        if isinstance(node, exp.Literal):
            return node.name
        if isinstance(node, exp.Neg):
            return "-" + self._constant(node.this)
        if isinstance(node, exp.Parameter):
            return str(self._variable(node).value)
        raise SqlError(50000, f"The stand-in expects a constant instead of {node.sql(dialect=_TSQL)[:40]}")

    def _collate(self, node: exp.Collate, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        collation = node.expression.name
        if collation.lower() == "database_default":
            return value
        if is_case_sensitive(collation):
            return replace(value, sql=f'({value.sql} COLLATE "binary")', collation=collation, literal=None)
        return replace(value, sql=f"({value.sql} COLLATE NOCASE)", collation=collation, literal=None)

    def _scalar_query(self, node: exp.Subquery, scope: _Scope) -> Typed:
        query = self.query(node.this, scope)
        first = query.outputs[0]
        return Typed(f"({query.sql})", first.kind, True, first.collation)

    def _variable(self, node: exp.Parameter) -> Parameter:
        name = "@" + node.name
        found = self._parameters.get(name.lower())
        if found is None:
            raise SqlError(137, f'Must declare the scalar variable "{name}".', 15)
        return found

    def _parameter(self, node: exp.Parameter, _scope: _Scope) -> Typed:
        if isinstance(node.this, exp.Parameter):
            return self._global(node.this.name.upper())
        found = self._variable(node)
        return self.value(found.kind, found.value)

    def value(self, kind: SqlType, value: object) -> Typed:
        """A parameter's value as an expression."""
        if value is None:
            return Typed(f"CAST(NULL AS {storage(kind)})", kind)
        if kind.name in TEXTS:
            return self._bound_text(str(value), kind)
        if isinstance(value, (bytes, bytearray)):
            return Typed(f"CAST({self._bind(bytes(value))} AS BLOB)", kind, is_nullable=False)
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

    def _bind(self, value: object) -> str:
        if value not in self.binds:
            self.binds.append(value)
        return f"${self.binds.index(value) + 1}"

    def _bound_text(self, text: str, kind: SqlType) -> Typed:
        if "\0" in text:
            return Typed(f"CAST({self._bind(text)} AS VARCHAR)", kind, is_nullable=False)
        return replace(_text(text, kind), kind=kind)

    def _global(self, name: str) -> Typed:
        facts = self._facts
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
        return self.value(*known[name])

    def _datepart(self, part: str, value: Typed) -> Typed:
        kind = value.kind or SqlType("datetime2", scale=6)
        if family(kind) == "text":
            value, kind = Typed(convert(value, SqlType("datetime2", scale=7))), SqlType("datetime2", scale=7)
        ticks, unit = ticks_of(value.sql, kind), _PARTS.get(part.lower())
        small = {"millisecond": "// 10000", "microsecond": "// 10", "nanosecond": "* 100"}
        if unit in small:
            return Typed(f"CAST({ticks} % 10000000 {small[unit]} AS INTEGER)", INT, value.is_nullable)
        if unit == "tzoffset":
            sql = f"CAST(tds_offset({value.sql}) AS INTEGER)" if kind.name == "datetimeoffset" else "0"
            return Typed(sql, INT)
        if unit is None:
            raise SqlError(155, f"'{part}' is not a recognized datepart option.", 15)
        extra = " + 1" if unit == "dayofweek" else ""
        return Typed(f"CAST(date_part('{unit}', tds_ticks_ts({ticks})){extra} AS INTEGER)", INT, value.is_nullable)

    def _trim(self, node: exp.Trim, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        return Typed(f"trim({_as_text(value)})", _text_kind(value), collation=value.collation)

    def _window(self, node: exp.Window, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        parts = []
        if keys := node.args.get("partition_by"):
            parts.append("PARTITION BY " + ", ".join(self.expression(key, scope).sql for key in keys))
        if order := node.args.get("order"):
            keys_sql = [
                f"{_sortable(self.expression(key.this, scope))} "
                f"{'DESC NULLS LAST' if key.args.get('desc') else 'ASC NULLS FIRST'}"
                for key in order.expressions
            ]
            # ORDER BY (SELECT NULL) means no order, and DuckDB is faster without one.
            if [key.this.sql().upper() for key in order.expressions] != ["(SELECT NULL)"]:
                parts.append("ORDER BY " + ", ".join(keys_sql))
        if spec := node.args.get("spec"):
            parts.append(spec.sql(dialect="duckdb"))
        over = f" OVER ({' '.join(parts)})"
        # A cast around an aggregate stays outside of the window.
        found = re.fullmatch(r"CAST\((\w+\(.*\)) AS ([\w(),]+)\)", value.sql, re.S)
        if found and found[1].split("(")[0] in {"sum", "count", "avg", "row_number", "rank", "dense_rank", "ntile"}:
            return replace(value, sql=f"CAST({found[1]}{over} AS {found[2]})")
        return replace(value, sql=value.sql + over)

    def _within_group(self, node: exp.WithinGroup, scope: _Scope) -> Typed:
        function = node.this
        if function.name.upper() != "STRING_AGG":
            raise SqlError(50000, f"The stand-in does not support {function.name} WITHIN GROUP.")
        order = [self._ordered(key, scope, (), ()) for key in node.expression.expressions]
        return self._string_agg(function.expressions, scope, " ORDER BY " + ", ".join(order))

    def _string_agg(self, arguments: Sequence[exp.Expression], scope: _Scope, order: str = "") -> Typed:
        value, separator = (self.expression(argument, scope) for argument in arguments)
        kind = _text_kind(value)
        if kind.max_length != -1:
            kind = replace(kind, name="nvarchar" if kind.name in WIDE else "varchar", max_length=8000)
        return Typed(f"string_agg({_as_text(value)}, {separator.sql}{order})", kind, collation=value.collation)

    def _method(self, node: exp.Dot, scope: _Scope) -> Typed:
        """`c.ToString()` and its like on columns of CLR types, which are stored as their text or bytes."""
        chain: list[exp.Expression] = []
        inner: exp.Expression = node
        while isinstance(inner, exp.Dot):
            chain.insert(0, inner.expression)
            inner = inner.this
        names = [inner.name, *(part.name for part in chain[:-1])]
        column = exp.column(names[-1], table=names[-2] if len(names) > 1 else None, quoted=True)
        value = self._column(column, scope)
        method = chain[-1].name.lower()
        is_spatial = value.kind is not None and value.kind.name in SPATIAL
        text, raw = NVARCHAR_MAX, SqlType("varbinary", -1)
        methods = {"tostring": ("{}", text)}
        if is_spatial:
            methods = {
                "tostring": ("tds_wkt({})", text),
                "astextzm": ("tds_wkt({})", text),
                "asbinaryzm": ("tds_wkb({})", raw),
                "stsrid": ("tds_srid({})", INT),
            }
        if method not in methods:
            raise SqlError(6506, f"Could not find method '{chain[-1].name}'.")
        template, kind = methods[method]
        return Typed(template.format(value.sql), kind, value.is_nullable)

    def _next_value(self, _node: exp.Expression, _scope: _Scope) -> Typed:
        raise SqlError(50000, "NEXT VALUE FOR is not supported by the stand-in.")

    def _at_time_zone(self, node: exp.AtTimeZone, scope: _Scope) -> Typed:
        value = self.expression(node.this, scope)
        zone = node.args["zone"].name
        if zone.upper() != "UTC" or value.kind is None:
            raise SqlError(9820, f"The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid.")
        target = SqlType("datetimeoffset", scale=value.kind.scale)
        if value.kind.name == "datetimeoffset":
            return Typed(f"tds_ticks_dto(tds_dto_ticks({value.sql}), 0)", target)
        return Typed(convert(value, target), target)

    def _function(self, node: exp.Anonymous, scope: _Scope) -> Typed:
        name = node.name.upper()
        arguments = node.expressions
        handler = _FUNCTIONS.get(name)
        if handler is None:
            raise SqlError(195, f"'{node.name}' is not a recognized built-in function name.", 15)
        return handler(self, arguments, scope)

    def if_function(self, node: exp.If, scope: _Scope) -> Typed:
        """IIF."""
        return self.iif([node.this, node.args["true"], node.args["false"]], scope)

    def iif(self, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        """IIF by its arguments."""
        condition = self.predicate(arguments[0], scope)
        return _choose([(condition, self.expression(arguments[1], scope))], self.expression(arguments[2], scope))


def like_regex(pattern: str, escape: str = "") -> str:
    """A LIKE pattern as a regular expression over the whole text."""
    out, at = "", 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if escape and char == escape and at < len(pattern):
            out += re.escape(pattern[at])
            at += 1
        elif char == "%":
            out += ".*"
        elif char == "_":
            out += "."
        elif char == "[" and "]" in pattern[at:]:
            end = pattern.index("]", at)
            out += "[" + pattern[at:end].replace("\\", "\\\\").replace("[", "\\[") + "]"
            at = end + 1
        else:
            out += re.escape(char)
    return out


def _answers(source: _Source, column: exp.Column) -> bool:
    if not column.table:
        return True
    if source.name.lower() != column.table.lower():
        return False
    return not column.db or not source.schema or source.schema.lower() == column.db.lower()


def _all_nullable(source: _Source) -> _Source:
    columns = tuple((inner, replace(output, is_nullable=True)) for inner, output in source.columns)
    return replace(source, columns=columns)


def _renamed(outputs: Sequence[Output], names: Sequence[str]) -> tuple[Output, ...]:
    if not names:
        return tuple(outputs)
    return tuple(replace(output, name=name) for output, name in zip(outputs, names, strict=False))


def _as_kinds(query: Query, kinds: Sequence[SqlType | None]) -> str:
    """The query with its columns converted where their stored form differs from that of `kinds`."""
    casts = []
    for number, (output, kind) in enumerate(zip(query.outputs, kinds, strict=True), 1):
        casts.append(f"{_meet(Typed(f'c{number}', output.kind), kind)} AS c{number}")
    if all(cast == f"c{number} AS c{number}" for number, cast in enumerate(casts, 1)):
        return query.sql
    return f"SELECT {', '.join(casts)} FROM ({query.sql}) AS met"


def _meet(value: Typed, kind: SqlType | None) -> str:
    """The value, converted if its family is another one than that of `kind`."""
    if kind is None or value.kind is None or value.sql == "NULL":
        return value.sql
    if family(value.kind) == family(kind):
        return value.sql
    return convert(value, kind)


def _sortable(value: Typed) -> str:
    if value.kind is not None and value.kind.name == "uniqueidentifier":
        return f"tds_guid_key({value.sql})"
    if value.kind is not None and value.kind.name == "datetimeoffset":
        return f"tds_dto_ticks({value.sql})"
    return value.sql


def _without_blanks(value: Typed) -> str:
    return text_literal(value.literal.rstrip(" ")) if value.literal is not None else f"rtrim({value.sql}, ' ')"


def _compare(left: Typed, operator: str, right: Typed) -> str:
    kind = common(left.kind, right.kind)
    first, second = (Typed(_meet(side, kind), kind, literal=side.literal) for side in (left, right))
    if kind is not None and family(kind) == "text":
        # Trailing blanks do not count in comparisons.
        first, second = (Typed(_without_blanks(side)) for side in (first, second))
    if kind is not None and (kind.name == "datetimeoffset" or operator not in {"=", "<>"}):
        first, second = Typed(_sortable(first)), Typed(_sortable(second))
    return f"({first.sql} {operator} {second.sql})"


def _choose(branches: Iterable[tuple[str, Typed]], otherwise: Typed) -> Typed:
    branches = list(branches)
    results = [*(result for _, result in branches), otherwise]
    kind: SqlType | None = None
    for result in results:
        if result.sql != "NULL":
            kind = common(kind, result.kind)
    whens = " ".join(f"WHEN {condition} THEN {_meet(result, kind)}" for condition, result in branches)
    is_nullable = any(result.is_nullable for result in results)
    collation = next((result.collation for result in results if result.collation), None)
    return Typed(f"CASE {whens} ELSE {_meet(otherwise, kind)} END", kind, is_nullable, collation)


def _text(text: str, kind: SqlType) -> Typed:
    return Typed(text_literal(text), kind, is_nullable=False, literal=text)


def _text_kind(value: Typed) -> SqlType:
    if value.kind is None or family(value.kind) != "text":
        return SqlType("varchar", 8000)
    if value.kind.name in {"xml", "ntext", "text"}:
        return SqlType("nvarchar" if value.kind.name != "text" else "varchar", -1)
    return value.kind


def _as_text(value: Typed) -> str:
    if value.kind is None or family(value.kind) == "text":
        return value.sql
    return convert(value, SqlType("varchar", 8000))


def _calculate(operator: type[exp.Binary], left: Typed, right: Typed) -> Typed:
    """`+ - * / %` with T-SQL's result types."""
    kind = common(left.kind, right.kind)
    is_nullable = left.is_nullable or right.is_nullable
    if operator is exp.Add and kind is not None and family(kind) == "text":
        length = -1
        if left.kind and right.kind and -1 not in {left.kind.max_length, right.kind.max_length}:
            length = left.kind.characters + right.kind.characters
            length = min(8000, length * (2 if kind.name in WIDE else 1))
        name = "nvarchar" if kind.name in WIDE else "varchar"
        return Typed(f"({left.sql} || {right.sql})", SqlType(name, length), is_nullable, left.collation)
    if operator is exp.Add and kind is not None and family(kind) == "binary":
        return Typed(f"({left.sql} || {right.sql})", SqlType("varbinary", -1), is_nullable)
    if kind is not None and family(kind) in {"moment", "date"}:
        days, moment = (left, right) if right.kind and family(right.kind) == "moment" else (right, left)
        sign = "-" if operator is exp.Sub else "+"
        return Typed(f"({moment.sql} {sign} to_microseconds(CAST({days.sql} * 86400000000 AS BIGINT)))", moment.kind)
    first, second = _meet(left, kind), _meet(right, kind)
    symbols: Mapping[type, str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
    symbol = symbols[operator]
    if kind is None:
        return Typed(f"({first} {symbol} {second})")
    if kind.name in INTEGERS:
        # DuckDB's narrow integers overflow where SQL Server's results are int.
        wide = kind if kind.name == "bigint" else INT
        if kind.name != "bigint" and operator is not exp.Div:
            first = f"CAST({first} AS {storage(wide)})" if kind.name != "int" else first
        return Typed(f"({first} {'//' if operator is exp.Div else symbol} {second})", wide, is_nullable)
    if kind.name in {"decimal", "numeric"} and left.kind and right.kind:
        one, two = _as_decimal(left.kind), _as_decimal(right.kind)
        if operator is exp.Div:
            scale = max(6, one.scale + two.precision + 1)
            precision = one.precision - one.scale + two.scale + scale
            if precision > 38:
                scale = max(6, scale - (precision - 38))
                precision = 38
            result = SqlType("decimal", precision=precision, scale=min(scale, 38))
            return Typed(f"CAST({first} / {second} AS {storage(result)})", result, is_nullable)
        scale = one.scale + two.scale if operator is exp.Mul else max(one.scale, two.scale)
        whole = max(one.precision - one.scale, two.precision - two.scale) + 1
        precision = one.precision + two.precision + 1 if operator is exp.Mul else whole + scale
        if operator is exp.Mod:
            precision = max(one.precision - one.scale, two.precision - two.scale) + scale
        result = SqlType("decimal", precision=min(38, precision), scale=min(scale, 38))
        return Typed(f"CAST({first} {symbol} {second} AS {storage(result)})", result, is_nullable)
    if kind.name in {"money", "smallmoney"}:
        return Typed(f"CAST({first} {symbol} {second} AS {storage(kind)})", kind, is_nullable)
    return Typed(f"({first} {symbol} {second})", kind, is_nullable)


# --- functions --------------------------------------------------------------------------------------

_Handler = Callable[[Translator, Sequence[exp.Expression], _Scope], Typed]


def _simple(template: str, kind: SqlType | None = None) -> _Handler:
    """A function by DuckDB's text over its arguments; the type is `kind` or that of the first argument."""

    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        values = [translator.expression(argument, scope) for argument in arguments]
        sql = template.format(*(value.sql for value in values))
        return Typed(sql, kind or (values[0].kind if values else None), True, values[0].collation if values else None)

    return translate


def _texts(template: str, kind: SqlType | None = None) -> _Handler:
    """Like `_simple` for a function whose first argument is made a text; the result keeps its type."""

    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        values = [translator.expression(argument, scope) for argument in arguments]
        sql = template.format(_as_text(values[0]), *(value.sql for value in values[1:]))
        return Typed(sql, kind or _text_kind(values[0]), values[0].is_nullable, values[0].collation)

    return translate


def _constant(kind: SqlType, value: Callable[[Translator], object]) -> _Handler:
    """A function whose arguments do not matter."""
    return lambda translator, _arguments, _scope: translator.value(kind, value(translator))


def _now(kind: SqlType, *, utc: bool = True) -> Callable[[Translator], Typed]:
    def translate(translator: Translator) -> Typed:
        moment = datetime.datetime.now(datetime.timezone.utc if utc else None)
        if kind.name == "datetimeoffset":
            return translator.value(kind, moment.astimezone())
        text = f"{moment.replace(tzinfo=None):%Y-%m-%d %H:%M:%S.%f}"
        return translator.value(kind, text + "0" if kind.scale == 7 else text[:23])

    return translate


def _call(niladic: Callable[[Translator], Typed]) -> _Handler:
    return lambda translator, _arguments, _scope: niladic(translator)


_DATETIME, _DATETIME2 = SqlType("datetime"), SqlType("datetime2", scale=7)

_NILADIC: Mapping[str, Callable[[Translator], Typed]] = {
    "CURRENT_TIMESTAMP": _now(_DATETIME, utc=False),
    "CURRENT_USER": lambda translator: translator.value(SYSNAME, "dbo"),
    "SESSION_USER": lambda translator: translator.value(SYSNAME, "dbo"),
    "SYSTEM_USER": lambda translator: translator.value(SYSNAME, translator._facts.login),
    "USER": lambda translator: translator.value(SYSNAME, "dbo"),
}


def _aggregate(name: str) -> _Handler:
    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        counted = {"COUNT": INT, "COUNT_BIG": BIGINT}.get(name)
        argument = arguments[0] if arguments else exp.Star()
        if counted is not None and isinstance(argument, exp.Star):
            return Typed(f"CAST(count(*) AS {storage(counted)})", counted, is_nullable=False)
        distinct = ""
        if isinstance(argument, exp.Distinct):
            distinct, argument = "DISTINCT ", argument.expressions[0]
        value = translator.expression(argument, scope)
        kind = value.kind
        if counted is not None:
            return Typed(f"CAST(count({distinct}{value.sql}) AS {storage(counted)})", counted, is_nullable=False)
        if name in {"MIN", "MAX"}:
            if _sortable(value) != value.sql:
                return Typed(f"arg_{name.lower()}({value.sql}, {_sortable(value)})", kind)
            if kind is not None and kind.name == "bit":
                raise SqlError(8117, f"Operand data type bit is invalid for {name.lower()} operator.")
            return Typed(f"{name.lower()}({value.sql})", kind, True, value.collation)
        if (kind is not None and family(kind) != "number") or (kind is not None and kind.name == "bit"):
            raise SqlError(8117, f"Operand data type {kind.name} is invalid for {name.lower()} operator.")
        result = kind
        if kind is not None and kind.name in INTEGERS:
            result = BIGINT if kind.name == "bigint" else INT
        elif kind is not None and kind.name in {"decimal", "numeric"}:
            result = SqlType("decimal", precision=38, scale=max(kind.scale, 6) if name == "AVG" else kind.scale)
        elif kind is not None and kind.name in {"money", "smallmoney"}:
            result = SqlType("money")
        elif kind is not None:
            result = FLOAT
        call = f"{name.lower()}({distinct}{value.sql})"
        if result is None:
            return Typed(call)
        if name == "AVG" and result.name in INTEGERS:
            whole = f"CAST(sum({distinct}{value.sql}) AS HUGEINT)"
            return Typed(f"CAST({whole} // nullif(count({distinct}{value.sql}), 0) AS {storage(result)})", result)
        return Typed(f"CAST({call} AS {storage(result)})", result)

    return translate


def _left_right(name: str) -> _Handler:
    return _texts(name + "({}, CAST({} AS INTEGER))")


def _substring(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value, start, length = (translator.expression(argument, scope) for argument in arguments)
    if value.kind is not None and family(value.kind) == "binary":
        at = f"CAST(2 * {start.sql} - 1 AS BIGINT)"
        sql = f"unhex(substr(hex({value.sql}), {at}, CAST(2 * {length.sql} AS BIGINT)))"
        return Typed(sql, SqlType("varbinary", value.kind.max_length))
    # A start before the text's first character eats into the length.
    end = f"({start.sql} + {length.sql})"
    sql = f"substr({_as_text(value)}, greatest({start.sql}, 1), greatest({end} - greatest({start.sql}, 1), 0))"
    return Typed(sql, _text_kind(value), value.is_nullable, value.collation)


def _data_length(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value = translator.expression(arguments[0], scope)
    kind = value.kind
    if kind is None:
        return Typed(f"strlen(CAST({value.sql} AS VARCHAR))", INT)
    result = BIGINT if kind.max_length == -1 else INT
    if family(kind) == "text":
        length = f"2 * tds_units({value.sql})" if kind.name in WIDE else f"length({value.sql})"
        if kind.name in WIDE and len(value.sql) > _LONG_SQL:
            # A macro's argument is written out wherever its name stands.
            length = f"2 * list_transform([{value.sql}], lambda text: tds_units(text))[1]"
        if (value.collation or "").lower().endswith("_utf8") and kind.name not in WIDE:
            length = f"strlen({value.sql})"
        return Typed(f"CAST({length} AS {storage(result)})", result)
    if family(kind) == "binary":
        return Typed(f"CAST(octet_length({value.sql}) AS {storage(result)})", result)
    fixed = {"datetime": 8, "smalldatetime": 4, "date": 3, "uniqueidentifier": 16, "money": 8, "smallmoney": 4,
             "float": 8, "real": 4, **INTEGERS}  # fmt: skip
    if kind.name in {"decimal", "numeric"}:
        digits = kind.precision
        fixed[kind.name] = 5 if digits <= 9 else 9 if digits <= 19 else 13 if digits <= 28 else 17
    clock = 3 if kind.scale <= 2 else 4 if kind.scale <= 4 else 5
    extra = {"time": 0, "datetime2": 3, "datetimeoffset": 5}.get(kind.name, 0)
    return Typed(f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {fixed.get(kind.name, clock + extra)} END", INT)


def _length(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value = translator.expression(arguments[0], scope)
    if value.kind is not None and family(value.kind) == "binary":
        return Typed(f"CAST(octet_length({value.sql}) AS INTEGER)", INT)
    return Typed(f"CAST(tds_units(rtrim({_as_text(value)}, ' ')) AS INTEGER)", INT)


def _is_null(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    first, second = (translator.expression(argument, scope) for argument in arguments)
    kind = second.kind if first.sql == "NULL" else first.kind
    other = convert(second, kind) if kind is not None and second.sql != "NULL" else second.sql
    if kind is not None and second.kind is not None and family(kind) == family(second.kind) != "text":
        other = second.sql if family(kind) != "number" else f"CAST({second.sql} AS {storage(kind)})"
    is_nullable = first.is_nullable and second.is_nullable
    return Typed(f"coalesce({first.sql}, {other})", kind, is_nullable, first.collation)


def _coalesce(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    values = [translator.expression(argument, scope) for argument in arguments]
    kind: SqlType | None = None
    for value in values:
        if value.sql != "NULL":
            kind = common(kind, value.kind)
    sql = f"coalesce({', '.join(_meet(value, kind) for value in values)})"
    return Typed(sql, kind, all(value.is_nullable for value in values), values[0].collation)


def _null_if(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    first, second = (translator.expression(argument, scope) for argument in arguments)
    return Typed(
        f"CASE WHEN {_compare(first, '=', second)} THEN NULL ELSE {first.sql} END", first.kind, True, first.collation
    )


def _concat(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    values = [translator.expression(argument, scope) for argument in arguments]
    is_wide = any(value.kind is not None and value.kind.name in WIDE for value in values)
    lengths = [_text_kind(value).characters for value in values]
    length = -1 if -1 in lengths else min(8000, sum(lengths) * (2 if is_wide else 1))
    parts = " || ".join(f"coalesce({_as_text(value)}, '')" for value in values)
    return Typed(_paren(parts), SqlType("nvarchar" if is_wide else "varchar", length), is_nullable=False)


def _char_index(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    needle, text = (translator.expression(argument, scope) for argument in arguments[:2])
    if is_case_sensitive(text.collation):
        one, two = _as_text(needle), _as_text(text)
    else:
        one, two = f"lower({_as_text(needle)})", f"lower({_as_text(text)})"
    if len(arguments) == 2:
        return Typed(f"CAST(instr({two}, {one}) AS INTEGER)", INT)
    start = translator.expression(arguments[2], scope).sql
    found = f"instr(substr({two}, greatest({start}, 1)), {one})"
    return Typed(f"CAST(CASE WHEN {found} = 0 THEN 0 ELSE {found} + greatest({start}, 1) - 1 END AS INTEGER)", INT)


def _pat_index(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    pattern, text = (translator.expression(argument, scope) for argument in arguments)
    if pattern.literal is None:
        raise SqlError(50000, "PATINDEX of the stand-in needs a literal pattern.")
    body = pattern.literal
    anchored_start, anchored_end = not body.startswith("%"), not body.endswith("%")
    regex = like_regex(body.strip("%"))
    head = "^(" if anchored_start else "^((?s:.*?))("
    whole = text_literal(f"(?is){head}{regex}){'$' if anchored_end else ''}")
    value = _as_text(text)
    before = "''" if anchored_start else f"regexp_extract({value}, {whole}, 1)"
    found = f"regexp_matches({value}, {whole})"
    return Typed(f"CAST(CASE WHEN {found} THEN length({before}) + 1 ELSE 0 END AS INTEGER)", INT)


def _hash_bytes(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    algorithm = arguments[0].name.upper()
    value = translator.expression(arguments[1], scope)
    raw = convert(value, SqlType("varbinary", -1))
    functions = {"MD5": "md5", "SHA1": "sha1", "SHA": "sha1", "SHA2_256": "sha256"}
    if algorithm not in functions:
        raise SqlError(50000, f"HASHBYTES('{algorithm}') is not supported by the stand-in.")
    return Typed(f"unhex({functions[algorithm]}({raw}))", SqlType("varbinary", 8000))


def _moment_of(value: Typed) -> tuple[str, SqlType]:
    kind = value.kind or SqlType("datetime2", scale=6)
    if family(kind) == "number":
        return convert(value, _DATETIME), _DATETIME
    if family(kind) == "text":
        return convert(value, _DATETIME2), _DATETIME2
    return value.sql, kind


def _date_add(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    unit = _PARTS.get(arguments[0].name.lower())
    number = translator.expression(arguments[1], scope)
    value = translator.expression(arguments[2], scope)
    sql, kind = _moment_of(value)
    if value.kind is not None and family(value.kind) == "text":
        kind = _DATETIME
        sql = convert(value, kind)
    ticks = ticks_of(sql, kind)
    small = {"second": 10**7, "millisecond": 10**4, "microsecond": 10, "hour": 36 * 10**9, "minute": 6 * 10**8}
    if unit == "nanosecond":
        moved = f"({ticks} + CAST({number.sql} AS BIGINT) // 100)"
    elif unit in small:
        moved = f"({ticks} + CAST({number.sql} AS BIGINT) * {small[unit]})"
    else:
        count = f"CAST({number.sql} AS INTEGER)"
        step = {"year": f"to_years({count})", "quarter": f"to_months(3 * {count})", "month": f"to_months({count})",
                "week": f"to_weeks({count})"}.get(unit or "", f"to_days({count})")  # fmt: skip
        moved = f"(tds_ts_ticks(tds_ticks_ts({ticks}) + {step}) + {ticks} % 10)"
    if kind.name == "date":
        return Typed(f"CAST(tds_ticks_ts({moved}) AS DATE)", kind)
    if kind.name == "datetimeoffset":
        return Typed(f"(tds_ticks_dt2({moved}) || substr({sql}, 28))", kind)
    if kind.name == "time":
        moved = f"({moved} % 864000000000 + 864000000000) % 864000000000"
    return Typed(from_ticks(moved, kind), kind)


def _date_diff(kind: SqlType) -> _Handler:
    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        unit = _PARTS.get(arguments[0].name.lower(), "day")
        sides = [_moment_of(translator.expression(argument, scope)) for argument in arguments[1:]]
        first, second = (ticks_of(sql, side) for sql, side in sides)
        if unit == "nanosecond":
            return Typed(f"CAST(({second} - {first}) * 100 AS {storage(kind)})", kind)
        unit = {"dayofyear": "day", "dayofweek": "day"}.get(unit, unit)
        sql = f"date_diff('{unit}', tds_ticks_ts({first}), tds_ticks_ts({second}))"
        return Typed(f"CAST({sql} AS {storage(kind)})", kind)

    return translate


def _date_part(unit: str | None) -> _Handler:
    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        if unit is not None:
            return translator._datepart(unit, translator.expression(arguments[0], scope))
        return translator._datepart(arguments[0].name, translator.expression(arguments[1], scope))

    return translate


def _switch_offset(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value, offset = (translator.expression(argument, scope) for argument in arguments)
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", offset.literal or "")
    minutes = str(int(found[1] + "1") * (int(found[2]) * 60 + int(found[3]))) if found else offset.sql
    kind = value.kind or SqlType("datetimeoffset", scale=7)
    return Typed(f"tds_ticks_dto(tds_dto_ticks({value.sql}), {minutes})", kind, value.is_nullable)


def _to_date_time_offset(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value, offset = (translator.expression(argument, scope) for argument in arguments)
    sql, kind = _moment_of(value)
    text = from_ticks(ticks_of(sql, kind), _DATETIME2)
    return Typed(f"({text} || ' ' || {offset.sql})", SqlType("datetimeoffset", scale=kind.scale))


def _server_property(translator: Translator, arguments: Sequence[exp.Expression], _scope: _Scope) -> Typed:
    found = translator._facts.properties.get(arguments[0].name.lower())
    # The real type is sql_variant, whose base type is one of these.
    return translator.value(INT if isinstance(found, int) else SYSNAME, found)


def _variant_property(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value = translator.expression(arguments[0], scope)
    if arguments[1].name.lower() != "basetype":
        raise SqlError(50000, f"The stand-in knows only the base type of a sql_variant, not {arguments[1].name}.")
    kind = value.kind or INT
    if kind.name == "sql_variant":
        return Typed(f"tds_variant_type({value.sql})", SYSNAME)
    return Typed(f"CASE WHEN {value.sql} IS NOT NULL THEN '{kind.name}' END", SYSNAME)


def _lookup(template: str, kind: SqlType) -> _Handler:
    """A metadata function: a scalar query over the stand-in's catalog; missing arguments are NULL."""

    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        values = [translator.expression(argument, scope).sql for argument in arguments]
        values += ["NULL"] * (4 - len(values))
        return Typed(template.format(*values), kind)

    return translate


def _database_name(translator: Translator, _arguments: Sequence[exp.Expression], _scope: _Scope) -> Typed:
    return translator.value(SYSNAME, translator._facts.database)


def _choose_function(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    index = translator.expression(arguments[0], scope)
    branches = [
        (f"({index.sql} = {number})", translator.expression(argument, scope))
        for number, argument in enumerate(arguments[1:], 1)
    ]
    return _choose(branches, Typed("NULL", INT))


def _ranking(name: str) -> _Handler:
    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        values = ", ".join(translator.expression(argument, scope).sql for argument in arguments)
        return Typed(f"{name}({values})", BIGINT, is_nullable=False)

    return translate


def _neighbour(name: str) -> _Handler:
    def translate(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
        values = [translator.expression(argument, scope) for argument in arguments]
        return Typed(f"{name}({', '.join(value.sql for value in values)})", values[0].kind, True, values[0].collation)

    return translate


def _round(translator: Translator, arguments: Sequence[exp.Expression], scope: _Scope) -> Typed:
    value, digits = (translator.expression(argument, scope) for argument in arguments[:2])
    function = "round" if len(arguments) < 3 else "trunc"
    kind = value.kind
    sql = f"{function}({value.sql}, {digits.sql})"
    return Typed(f"CAST({sql} AS {storage(kind)})" if kind is not None else sql, kind)


_ONE = _constant(INT, lambda _: 1)
_ZERO = _constant(INT, lambda _: 0)

_FUNCTIONS: Mapping[str, _Handler] = {
    **{name: _aggregate(name) for name in ("COUNT", "COUNT_BIG", "MIN", "MAX", "SUM", "AVG")},
    **{name: _ranking(name.lower()) for name in ("ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE")},
    **{name: _neighbour(name.lower()) for name in ("LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE")},
    "STRING_AGG": lambda translator, arguments, scope: translator._string_agg(arguments, scope),
    "IIF": lambda translator, arguments, scope: translator.iif(arguments, scope),
    "CHOOSE": _choose_function,
    "ISNULL": _is_null,
    "COALESCE": _coalesce,
    "NULLIF": _null_if,
    # Texts
    "CONCAT": _concat,
    "LEN": _length,
    "DATALENGTH": _data_length,
    "LEFT": _left_right("left"),
    "RIGHT": _left_right("right"),
    "SUBSTRING": _substring,
    "CHARINDEX": _char_index,
    "PATINDEX": _pat_index,
    "UPPER": _texts("upper({})"),
    "LOWER": _texts("lower({})"),
    "LTRIM": _texts("ltrim({})"),
    "RTRIM": _texts("rtrim({}, ' ')"),
    "REPLACE": _texts("replace({}, {}, {})", SqlType("nvarchar", 8000)),
    "REVERSE": _texts("reverse({})"),
    "REPLICATE": _texts("repeat({}, CAST({} AS BIGINT))", SqlType("nvarchar", -1)),
    "STUFF": _texts("(left({0}, {1} - 1) || {3} || substr({0}, {1} + {2}))", SqlType("nvarchar", 8000)),
    "QUOTENAME": _texts("('[' || replace({}, ']', ']]') || ']')", SqlType("nvarchar", 516)),
    "SPACE": _simple("repeat(' ', CAST({} AS BIGINT))", SqlType("varchar", 8000)),
    "CHAR": _simple("chr(CAST({} AS INTEGER))", SqlType("char", 1)),
    "NCHAR": _simple("chr(CAST({} AS INTEGER))", SqlType("nchar", 2)),
    "ASCII": _texts("ascii({})", INT),
    "UNICODE": _texts("unicode({})", INT),
    "STR": _simple("lpad(CAST(CAST(round({0}) AS BIGINT) AS VARCHAR), 10, ' ')", SqlType("varchar", 10)),
    "HASHBYTES": _hash_bytes,
    "FORMATMESSAGE": _texts("{}"),
    # Numbers
    "ABS": _simple("abs({})"),
    "SIGN": _simple("sign({})"),
    "FLOOR": _simple("floor({})"),
    "CEILING": _simple("ceil({})"),
    "ROUND": _round,
    "POWER": _simple("power({}, {})", FLOAT),
    "SQRT": _simple("sqrt({})", FLOAT),
    "ISNUMERIC": _texts("CASE WHEN TRY_CAST({} AS DOUBLE) IS NULL THEN 0 ELSE 1 END", INT),
    "NEWID": _simple("uuid()", SqlType("uniqueidentifier")),
    # Moments
    "GETDATE": _call(_now(_DATETIME, utc=False)),
    "GETUTCDATE": _call(_now(_DATETIME)),
    "SYSDATETIME": _call(_now(_DATETIME2, utc=False)),
    "SYSUTCDATETIME": _call(_now(_DATETIME2)),
    "SYSDATETIMEOFFSET": _call(_now(SqlType("datetimeoffset", scale=7))),
    "DATEADD": _date_add,
    "DATEDIFF": _date_diff(INT),
    "DATEDIFF_BIG": _date_diff(BIGINT),
    "DATEPART": _date_part(None),
    "YEAR": _date_part("year"),
    "MONTH": _date_part("month"),
    "DAY": _date_part("day"),
    "SWITCHOFFSET": _switch_offset,
    "TODATETIMEOFFSET": _to_date_time_offset,
    # Server, session, catalog
    "SERVERPROPERTY": _server_property,
    "DB_NAME": _database_name,
    "ORIGINAL_DB_NAME": _database_name,
    "DB_ID": _constant(SqlType("smallint"), lambda _: 5),
    "SUSER_SNAME": _constant(SYSNAME, lambda translator: translator._facts.login),
    "SUSER_NAME": _constant(SYSNAME, lambda translator: translator._facts.login),
    "ORIGINAL_LOGIN": _constant(SYSNAME, lambda translator: translator._facts.login),
    "USER_NAME": _constant(SYSNAME, lambda _: "dbo"),
    "HOST_NAME": _constant(SYSNAME, lambda _: "client"),
    "APP_NAME": _constant(SYSNAME, lambda _: "client"),
    "IS_MEMBER": _ONE,
    "IS_ROLEMEMBER": _ONE,
    "IS_SRVROLEMEMBER": _ZERO,
    "HAS_DBACCESS": _ONE,
    "XACT_STATE": _ZERO,
    "SCOPE_IDENTITY": _constant(SqlType("decimal", precision=38), lambda _: None),
    "HAS_PERMS_BY_NAME": _lookup("sys.tds_has_perms({0})", INT),
    "SCHEMA_NAME": _lookup("sys.tds_schema_name(coalesce({0}, 1))", SYSNAME),
    "SCHEMA_ID": _lookup("sys.tds_schema_id(coalesce({0}, 'dbo'))", INT),
    "OBJECT_ID": _lookup("sys.tds_object_id({0})", INT),
    "OBJECT_NAME": _lookup("sys.tds_object_name({0})", SYSNAME),
    "OBJECT_SCHEMA_NAME": _lookup("sys.tds_object_schema({0})", SYSNAME),
    "OBJECT_DEFINITION": _lookup("sys.tds_definition({0})", NVARCHAR_MAX),
    "TYPE_NAME": _lookup("sys.tds_type_name({0})", SYSNAME),
    "TYPE_ID": _lookup("sys.tds_type_id({0})", INT),
    "COL_NAME": _lookup("sys.tds_column_name({0}, {1})", SYSNAME),
    "COL_LENGTH": _lookup("sys.tds_column_length({0}, {1})", SqlType("smallint")),
    "COLUMNPROPERTY": _lookup("sys.tds_column_property({0}, {1}, {2})", INT),
    "OBJECTPROPERTY": _lookup("sys.tds_object_property({0}, {1})", INT),
    "OBJECTPROPERTYEX": _lookup("sys.tds_object_property({0}, {1})", INT),
    "INDEXPROPERTY": _lookup("NULL", INT),
    "DATABASEPROPERTYEX": _lookup("sys.tds_database_property({1})", SYSNAME),
    "IDENT_CURRENT": _lookup("sys.tds_identity({0}, 'last')", SqlType("numeric", precision=38)),
    "IDENT_SEED": _lookup("sys.tds_identity({0}, 'seed')", SqlType("numeric", precision=38)),
    "IDENT_INCR": _lookup("sys.tds_identity({0}, 'increment')", SqlType("numeric", precision=38)),
    "COLLATIONPROPERTY": _lookup(
        "CASE WHEN lower({1}) = 'codepage' THEN CASE WHEN lower({0}) LIKE '%utf8' THEN 65001 ELSE 1252 END"
        " WHEN lower({1}) = 'lcid' THEN 1033 END",
        INT,
    ),
    "SQL_VARIANT_PROPERTY": _variant_property,
    "FULLTEXTSERVICEPROPERTY": _ZERO,
    "CONNECTIONPROPERTY": _lookup("CASE WHEN lower({0}) = 'net_transport' THEN 'TCP' END", SYSNAME),
}

_HANDLERS: Mapping[type, Callable[..., Typed]] = {
    exp.Column: Translator._column,
    exp.Literal: Translator._literal,
    exp.National: Translator._national,
    exp.HexString: Translator._hex,
    exp.Null: Translator._null,
    exp.Paren: Translator._parenthesis,
    exp.Neg: Translator._negative,
    exp.BitwiseNot: Translator._not_bits,
    exp.BitwiseAnd: Translator._bits,
    exp.BitwiseOr: Translator._bits,
    exp.BitwiseXor: Translator._bits,
    exp.Add: Translator._arithmetic,
    exp.Sub: Translator._arithmetic,
    exp.Mul: Translator._arithmetic,
    exp.Div: Translator._arithmetic,
    exp.Mod: Translator._arithmetic,
    exp.Case: Translator._case,
    exp.If: Translator.if_function,
    exp.Cast: Translator._cast,
    exp.TryCast: Translator._cast,
    exp.Convert: Translator._cast,
    exp.Collate: Translator._collate,
    exp.Subquery: Translator._scalar_query,
    exp.Parameter: Translator._parameter,
    exp.Trim: Translator._trim,
    exp.Window: Translator._window,
    exp.WithinGroup: Translator._within_group,
    exp.Dot: Translator._method,
    exp.NextValueFor: Translator._next_value,
    exp.AtTimeZone: Translator._at_time_zone,
    exp.Anonymous: Translator._function,
}

"""Functions of texts and bytes."""

from __future__ import annotations

from sqlglot import exp

from model.catalog import SqlType
from standin.collations import is_case_sensitive
from standin.errors import SqlError
from standin.quoting import text_literal
from standin.storage import storage
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.conversions import as_text, convert
from standin.tsql.patterns import like_regex
from standin.tsql.precedence import family
from standin.tsql.templates import by_template, by_text_template
from standin.tsql.values import Typed, parenthesised, text_kind
from standin.type_names import BIGINT, INT
from standin.types import INTEGERS, WIDE, decimal_size, moment_size

#: characters of an expression from which it is worth computing it only once
_LONG_SQL = 1000


def _substring(context: Context, arguments: Arguments) -> Typed:
    value, start, length = (context.value(argument) for argument in arguments)
    if value.kind is not None and family(value.kind) == "binary":
        at = f"CAST(2 * {start.sql} - 1 AS BIGINT)"
        sql = f"unhex(substr(hex({value.sql}), {at}, CAST(2 * {length.sql} AS BIGINT)))"
        return Typed(sql, SqlType("varbinary", value.kind.max_length))
    # A start before the text's first character eats into the length.
    end = f"({start.sql} + {length.sql})"
    sql = f"substr({as_text(value)}, greatest({start.sql}, 1), greatest({end} - greatest({start.sql}, 1), 0))"
    return Typed(sql, text_kind(value), value.is_nullable, value.collation)


def _data_length(context: Context, arguments: Arguments) -> Typed:
    value = context.value(arguments[0])
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
        fixed[kind.name] = decimal_size(kind.precision)
    return Typed(f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {fixed.get(kind.name, moment_size(kind))} END", INT)


def _length(context: Context, arguments: Arguments) -> Typed:
    value = context.value(arguments[0])
    if value.kind is not None and family(value.kind) == "binary":
        return Typed(f"CAST(octet_length({value.sql}) AS INTEGER)", INT)
    return Typed(f"CAST(tds_units(rtrim({as_text(value)}, ' ')) AS INTEGER)", INT)


def _concat(context: Context, arguments: Arguments) -> Typed:
    values = [context.value(argument) for argument in arguments]
    is_wide = any(value.kind is not None and value.kind.name in WIDE for value in values)
    lengths = [text_kind(value).characters for value in values]
    length = -1 if -1 in lengths else min(8000, sum(lengths) * (2 if is_wide else 1))
    parts = " || ".join(f"coalesce({as_text(value)}, '')" for value in values)
    return Typed(parenthesised(parts), SqlType("nvarchar" if is_wide else "varchar", length), is_nullable=False)


def _char_index(context: Context, arguments: Arguments) -> Typed:
    needle, text = (context.value(argument) for argument in arguments[:2])
    if is_case_sensitive(text.collation):
        one, two = as_text(needle), as_text(text)
    else:
        one, two = f"lower({as_text(needle)})", f"lower({as_text(text)})"
    if len(arguments) == 2:
        return Typed(f"CAST(instr({two}, {one}) AS INTEGER)", INT)
    start = context.value(arguments[2]).sql
    found = f"instr(substr({two}, greatest({start}, 1)), {one})"
    return Typed(f"CAST(CASE WHEN {found} = 0 THEN 0 ELSE {found} + greatest({start}, 1) - 1 END AS INTEGER)", INT)


def _pat_index(context: Context, arguments: Arguments) -> Typed:
    pattern, text = (context.value(argument) for argument in arguments)
    if pattern.literal is None:
        raise SqlError(50000, "PATINDEX of the stand-in needs a literal pattern.")
    body = pattern.literal
    anchored_start, anchored_end = not body.startswith("%"), not body.endswith("%")
    regex = like_regex(body.strip("%"))
    head = "^(" if anchored_start else "^((?s:.*?))("
    whole = text_literal(f"(?is){head}{regex}){'$' if anchored_end else ''}")
    value = as_text(text)
    before = "''" if anchored_start else f"regexp_extract({value}, {whole}, 1)"
    found = f"regexp_matches({value}, {whole})"
    return Typed(f"CAST(CASE WHEN {found} THEN length({before}) + 1 ELSE 0 END AS INTEGER)", INT)


def trim(context: Context, node: exp.Trim) -> Typed:
    """TRIM, of which the parser has a node of its own."""
    value = context.value(node.this)
    return Typed(f"trim({as_text(value)})", text_kind(value), collation=value.collation)


def _hash_bytes(context: Context, arguments: Arguments) -> Typed:
    algorithm = arguments[0].name.upper()
    value = context.value(arguments[1])
    raw = convert(value, SqlType("varbinary", -1))
    functions = {"MD5": "md5", "SHA1": "sha1", "SHA": "sha1", "SHA2_256": "sha256"}
    if algorithm not in functions:
        raise SqlError(50000, f"HASHBYTES('{algorithm}') is not supported by the stand-in.")
    return Typed(f"unhex({functions[algorithm]}({raw}))", SqlType("varbinary", 8000))


FUNCTIONS: dict[str, Function] = {
    "CONCAT": _concat,
    "LEN": _length,
    "DATALENGTH": _data_length,
    "LEFT": by_text_template("left({}, CAST({} AS INTEGER))"),
    "RIGHT": by_text_template("right({}, CAST({} AS INTEGER))"),
    "SUBSTRING": _substring,
    "CHARINDEX": _char_index,
    "PATINDEX": _pat_index,
    "UPPER": by_text_template("upper({})"),
    "LOWER": by_text_template("lower({})"),
    "LTRIM": by_text_template("ltrim({})"),
    "RTRIM": by_text_template("rtrim({}, ' ')"),
    "REPLACE": by_text_template("replace({}, {}, {})", SqlType("nvarchar", 8000)),
    "REVERSE": by_text_template("reverse({})"),
    "REPLICATE": by_text_template("repeat({}, CAST({} AS BIGINT))", SqlType("nvarchar", -1)),
    "STUFF": by_text_template("(left({0}, {1} - 1) || {3} || substr({0}, {1} + {2}))", SqlType("nvarchar", 8000)),
    "QUOTENAME": by_text_template("('[' || replace({}, ']', ']]') || ']')", SqlType("nvarchar", 516)),
    "SPACE": by_template("repeat(' ', CAST({} AS BIGINT))", SqlType("varchar", 8000)),
    "CHAR": by_template("chr(CAST({} AS INTEGER))", SqlType("char", 1)),
    "NCHAR": by_template("chr(CAST({} AS INTEGER))", SqlType("nchar", 2)),
    "ASCII": by_text_template("ascii({})", INT),
    "UNICODE": by_text_template("unicode({})", INT),
    "STR": by_template("lpad(CAST(CAST(round({0}) AS BIGINT) AS VARCHAR), 10, ' ')", SqlType("varchar", 10)),
    "HASHBYTES": _hash_bytes,
    "FORMATMESSAGE": by_text_template("{}"),
}

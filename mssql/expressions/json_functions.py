"""Functions of JSON texts with a constant path. Invalid JSON is an error in both engines.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re

from mssql.expressions.arguments import string_argument
from mssql.expressions.assumptions import Assumption
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.text import full_text, text_value
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import INT, sized_type
from mssql.expressions.values import Value, quoted

#: the first version of PostgreSQL with IS JSON
IS_JSON_SINCE = 160000

_STEP = re.compile(
    r'\.(?P<name>[A-Za-z_$][A-Za-z0-9_$]*)|\."(?P<quoted>(?:[^"\\]|\\["\\/])+)"|\[(?P<index>[0-9]{1,9})\]'
)


def _keys_of(path: str) -> list[str]:
    """The keys of a path ("JSON path expressions"). `strict` differs by its errors only. Raises `Refused`."""
    unclear = Refused(f"the path {path!r} is not one that this tool reads")
    match = re.fullmatch(r"\s*(?:(?:lax|strict)\s+)?\$(?P<steps>.*?)\s*", path, re.DOTALL)
    if match is None:
        raise unclear
    keys, position = [], 0
    while position < len(match["steps"]):
        step = _STEP.match(match["steps"], position)
        if step is None:
            raise unclear
        keys.append(step["name"] or step["index"] or re.sub(r"\\(.)", r"\1", step["quoted"]))
        position = step.end()
    return keys


def _part(context: Context, text: Node, path: Node | None) -> tuple[Value, str]:
    """The text, and the part of it that the path leads to, as PostgreSQL's json, which keeps numbers as written."""
    value = string_argument(context, text)
    if value.constant is not None:
        raise Refused("a constant stands for JSON")
    given = context.value(path).constant if path is not None else "$"
    if not isinstance(given, str):
        raise Refused("JSON is read along constant paths only")
    keys = _keys_of(given)
    context.notes.assume(Assumption.JSON, "of a key that stands twice in an object, PostgreSQL takes the last one")
    json = f"nullif({full_text(context.notes, value)}, '')::json"
    return value, f"{json} #> {_path_sql(keys)}" if keys else json


def _path_sql(keys: list[str]) -> str:
    if all(re.fullmatch(r"[A-Za-z0-9_$]+", key) and key.upper() != "NULL" for key in keys):
        return quoted("{" + ",".join(keys) + "}")
    return f"ARRAY[{', '.join(map(quoted, keys))}]"


def _json_value(context: Context, arguments: Arguments) -> Value:
    """A scalar as text; an object, a list and a missing key give NULL ("JSON_VALUE")."""
    value, part = _part(context, *arguments)
    sql = f"CASE WHEN json_typeof({part}) NOT IN ('object', 'array') THEN ({part}) #>> '{{}}' END"
    return text_value(sql, sized_type("nvarchar", 4000), [value])


def _json_query(context: Context, arguments: Arguments) -> Value:
    """An object or a list as it is written; anything else gives NULL ("JSON_QUERY")."""
    value, part = _part(context, arguments[0], arguments[1] if len(arguments) == 2 else None)
    sql = f"CASE WHEN json_typeof({part}) IN ('object', 'array') THEN ({part})::text END"
    return text_value(sql, sized_type("nvarchar", -1), [value])


def _isjson(context: Context, arguments: Arguments) -> Value:
    """1 for an object or a list, 0 for any other text, NULL for NULL ("ISJSON")."""
    value = string_argument(context, arguments[0])
    if value.constant is not None:
        raise Refused("ISJSON of a constant is not translated")
    text = full_text(context.notes, value)
    if context.target_version < IS_JSON_SINCE:
        context.notes.doubt(
            "PostgreSQL asks whether a text is JSON from version 16 on; before, one that is not ends in an error"
        )
        return Value(f"CASE WHEN json_typeof({text}::json) IN ('object', 'array') THEN 1 ELSE 0 END", INT)
    sql = f"CASE WHEN {text} IS JSON OBJECT OR {text} IS JSON ARRAY THEN 1 WHEN {text} IS NOT NULL THEN 0 END"
    return Value(sql, INT)


FUNCTIONS = {
    "JSON_VALUE": Function(_json_value, 2, 2),
    "JSON_QUERY": Function(_json_query, 1, 2),
    "ISJSON": Function(_isjson, 1, 1),
}

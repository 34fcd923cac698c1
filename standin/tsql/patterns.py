"""LIKE and its patterns."""

from __future__ import annotations

import re

from sqlglot import exp

from standin.collations import is_case_sensitive
from standin.quoting import text_literal
from standin.tsql.context import Context
from standin.tsql.conversions import convert
from standin.tsql.precedence import family
from standin.type_names import NVARCHAR_MAX


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


def like(context: Context, node: exp.Expression) -> str:
    """LIKE, with an ESCAPE or none."""
    escape = ""
    if isinstance(node, exp.Escape):
        escape = node.expression.name
        node = node.this
    value = context.value(node.this)
    pattern = context.value(node.expression)
    text = value.sql if value.kind is None or family(value.kind) == "text" else convert(value, NVARCHAR_MAX)
    negation = "NOT " if node.args.get("negate") else ""
    if pattern.literal is not None:
        flags = "'s'" if is_case_sensitive(value.collation) else "'is'"
        regex = text_literal(like_regex(pattern.literal, escape))
        return f"({negation}regexp_full_match({text}, {regex}, {flags}))"
    suffix = f" ESCAPE {text_literal(escape)}" if escape else ""
    return f"({text} {negation}ILIKE {pattern.sql}{suffix})"

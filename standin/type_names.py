"""T-SQL's types by their names, and as text writes them."""

from __future__ import annotations

import re

from model.catalog import SqlType
from standin.errors import SqlError

#: The types by their names, the one of highest precedence first ("Data type precedence").
BY_PRECEDENCE = (
    "sql_variant", "xml", "datetimeoffset", "datetime2", "datetime", "smalldatetime", "date", "time", "float", "real",
    "decimal", "money", "smallmoney", "bigint", "int", "smallint", "tinyint", "bit", "ntext", "text", "image",
    "timestamp", "uniqueidentifier", "nvarchar", "nchar", "varchar", "char", "varbinary", "binary", "json", "vector",
)  # fmt: skip

INT, BIGINT, FLOAT = SqlType("int"), SqlType("bigint"), SqlType("float")
SYSNAME = SqlType("nvarchar", 256)
NVARCHAR_MAX = SqlType("nvarchar", -1)


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
    if name not in BY_PRECEDENCE and name not in {"numeric"}:
        raise SqlError(243, f"Type {name} is not a defined system type.")
    return SqlType(name)

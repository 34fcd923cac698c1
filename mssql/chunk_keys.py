"""The key that a table is cut by and its rows are found by, and literals of its values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from model.catalog import Column, Table
from model.ranges import Picked
from model.type_traits import KeyKind
from mssql.quoting import can_stand_in_a_query, literal
from type_mapping import has_seventh_digit, traits_of

#: a key of more columns than this is not used: each one doubles what the server compares
MAX_KEY_COLUMNS = 8
_ORDERED_KINDS = {"CLUSTERED", "NONCLUSTERED"}

_OF_ITS_TYPE = "CAST({v} AS {t})"
# Kind of key → how its value is written as text by the server, and the literal made of that text as T-SQL writes it
# ({v}). A literal is of the column's own type: a bare 2147483648 is a numeric, for which a bigint column would be
# converted, and its index not sought in (Microsoft, "int, bigint, smallint, and tinyint", "Data type precedence").
_LITERALS: Mapping[KeyKind, tuple[str, str]] = {
    "integer": ("CAST({c} AS varchar(40))", _OF_ITS_TYPE),
    "decimal": ("CAST({c} AS varchar(45))", _OF_ITS_TYPE),
    "amount": ("CAST(CAST({c} AS decimal(19,4)) AS varchar(45))", _OF_ITS_TYPE),
    "date": ("CONVERT(varchar(40), {c}, 23)", _OF_ITS_TYPE),
    "timestamp": ("CONVERT(varchar(40), {c}, 121)", _OF_ITS_TYPE),
    "uuid": ("CAST({c} AS varchar(36))", _OF_ITS_TYPE),
    "text": ("{c}", "CAST({v}{collate} AS {t})"),
}


def chunk_key(table: Table) -> tuple[Column, ...]:
    """The columns to cut a table by: its primary key, else a unique key or index without NULLs; else none.

    Only keys of types whose literals are exact enough, and whose order the server alone decides.
    """
    by_name = {column.name: column for column in table.columns}
    candidates = [key.columns_used for key in (table.primary_key, *table.unique) if key and not key.is_disabled]
    candidates += [
        tuple(column.name for column in index.columns)
        for index in table.indexes
        if index.is_unique and index.filter is None and not index.is_disabled and index.kind in _ORDERED_KINDS
    ]
    for names in candidates:
        columns = tuple(by_name[name] for name in names if name in by_name)
        if len(columns) != len(names) or len(columns) > MAX_KEY_COLUMNS:
            continue
        if not any(column.is_nullable or traits_of(column.type).key is None for column in columns):
            return columns
    return ()


def _forms_of(column: Column) -> tuple[str, str]:
    kind = traits_of(column.type).key
    assert kind is not None, f"{column.type} is in no key that a table is cut by"
    return _LITERALS[kind]


def key_texts(key: Sequence[Column], names: Sequence[str]) -> str:
    """What selects the texts of a key's values as k0, k1, …; `names` are its columns as SQL spells them."""
    return ", ".join(
        f"{_forms_of(column)[0].replace('{c}', names[position])} AS k{position}" for position, column in enumerate(key)
    )


def key_literals(key: Sequence[Column], row: Mapping[str, str]) -> tuple[str, ...]:
    """Literals of a key's values, made of the texts of a row that `key_texts` has selected."""
    return tuple(_literal(column, row[f"k{position}"]) for position, column in enumerate(key))


def _literal(column: Column, text: str) -> str:
    kind = traits_of(column.type).key
    collate = f" COLLATE {column.collation}" if column.collation else ""
    _, template = _forms_of(column)
    if kind == "timestamp":
        text = _in_iso_8601(text)
    # Of the other kinds the text is plain ASCII in one line.
    value = literal(text) if kind == "text" else "'" + text.replace("'", "''") + "'"
    return template.replace("{t}", str(column.type)).replace("{collate}", collate).replace("{v}", value)


def _in_iso_8601(text: str) -> str:
    """A moment as style 121 writes it, `2024-02-03 12:00:00.000 +01:00`, with a T and without the other blank.

    With a blank in place of the T the session's language decides whether a datetime is in February or in March
    (Microsoft, "datetime", "datetime2", "datetimeoffset" and "time (Transact-SQL)", the parts on ISO 8601).
    """
    day, _, rest = text.partition(" ")
    return f"{day}T{rest.replace(' ', '')}" if rest else text


def find_again(table: Table, row: Mapping[str, object]) -> Mapping[str, object] | None:
    """The part of a row, written down as text and numbers, by which it is found on the source again.

    None where the table has no key to rely on, or the key's values lost something on their way (a seventh
    digit, half a surrogate pair) or cannot stand in a query.
    """
    key = chunk_key(table)
    if not key or any(has_seventh_digit(column.type) for column in key):
        return None
    values = {column.name: row[column.name] for column in key}
    is_whole = all(can_stand_in_a_query(str(value)) and "\ufffd" not in str(value) for value in values.values())
    return values if is_whole else None


def pick(table: Table, keys: Sequence[Mapping[str, object]]) -> Picked:
    """The rows with these keys, each as `find_again` gave it. Raises KeyError where the table's key is another now."""
    columns = chunk_key(table)
    return Picked(
        tuple(column.name for column in columns),
        tuple(tuple(_literal(column, _as_read(column, str(key[column.name]))) for column in columns) for key in keys),
    )


def _as_read(column: Column, text: str) -> str:
    """A timestamp written with six digits as the column's type takes it."""
    traits = traits_of(column.type)
    if traits.has_offset:
        return f"{text} +00:00"
    if traits.own_digits is None:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[: traits.own_digits]}".removesuffix(".")

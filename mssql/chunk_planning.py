"""Row ranges of a table, equal in rows, found and compared inside SQL Server only.

Each boundary is the key that stands a chunk's number of rows behind the one before, so gaps and skew do
not matter: found by skipping through the key's index, one pass over all of it, or, of a large table, as
every n-th key of a sorted sample. What comes back is a literal; whatever it lost on the way (a seventh
digit, a character of a code page) moves the boundary and no row, because both neighbours compare with the
same literal. Order is checked by the server before use. So where boundaries lie never decides what is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import arrow_odbc
from arrow_odbc import TextEncoding

from db import odbc_diagnosis
from model.catalog import WHOLE_TABLE, Chunk, Column, Picked, Table
from model.errors import PlanningError
from model.type_traits import KeyKind
from mssql.quoting import quote, quote_table
from type_mapping import has_seventh_digit, traits_of

#: pairs of boundaries whose order one query checks
PAIRS_A_CHECK = 100
#: a key of more columns than this is not used: each one doubles what the server compares
MAX_KEY_COLUMNS = 8
#: rows that @@ROWCOUNT, an int, is sure to count
MOST_COUNTED = 2_000_000_000
#: keys from which a boundary is chosen, where the first of them cannot stand in a query
CANDIDATES = 100
#: the smallest part of a sample's expected boundaries with which it is trusted
LEAST_OF_A_SAMPLE = 0.1
#: the largest part of a table that is drawn: reading and sorting more would cost what skipping costs
MOST_OF_A_TABLE = 0.1
LAST_OF_BASIC_PLANE = 0xFFFF
#: traits of tables whose rows do not lie in pages that the server could draw
WITHOUT_PAGES = {"memory-optimised", "external"}

SERVER = "SELECT CAST(SERVERPROPERTY('Babelfish') AS int) AS is_babelfish, @@TRANCOUNT AS depth"


@dataclass(frozen=True)
class Sampling:
    """From how many rows on a table's boundaries come from a sample, and how many rows are drawn for a chunk.

    `page_rows` where the server draws whole pages: rows of a page are neighbours, so that it takes more of them
    to tell where a chunk ends than of `single_rows`, drawn one by one.
    """

    from_rows: int = 5_000_000
    page_rows: int = 5_000
    single_rows: int = 1_000


SAMPLING = Sampling()


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


_ORDERED_KINDS = {"CLUSTERED", "NONCLUSTERED"}

# kind of key → how its value is written as text by the server, and the literal made of that text ({v}).
_LITERALS: Mapping[KeyKind, tuple[str, str]] = {
    "integer": ("CAST({c} AS varchar(40))", "{v}"),
    "decimal": ("CAST({c} AS varchar(45))", "CAST('{v}' AS {t})"),
    "money": ("CAST(CAST({c} AS decimal(19,4)) AS varchar(45))", "CAST('{v}' AS {t})"),
    "date": ("CONVERT(varchar(40), {c}, 23)", "CAST('{v}' AS {t})"),
    "moment": ("CONVERT(varchar(40), {c}, 121)", "CONVERT({t}, '{v}', 121)"),
    "uuid": ("CAST({c} AS varchar(36))", "CAST('{v}' AS {t})"),
    "text": ("{c}", "CAST(N'{v}'{collate} AS {t})"),
}


def _forms_of(column: Column) -> tuple[str, str]:
    kind = traits_of(column.type).key
    assert kind is not None, f"{column.type} is in no key that a table is cut by"
    return _LITERALS[kind]


def plan_chunks(
    connection: Any,
    table: Table,
    chunk_rows: int,
    on_boundary: Callable[[], None] = lambda: None,
    sampling: Sampling = SAMPLING,
) -> tuple[Chunk, ...]:
    """The chunks of a table, about `chunk_rows` rows each; one whole-table chunk where it cannot be cut.

    Those of a large table differ more in size, and from one time to the next, since they come from a sample.
    `connection` is an arrow-odbc connection. `on_boundary` is called for each boundary found, since a large
    table has thousands. Raises PlanningError, and what `on_boundary` raises.
    """
    key = chunk_key(table)
    if not key or 0 < table.row_count <= chunk_rows:
        return (WHOLE_TABLE,)
    if is_beyond_basic_plane("".join((table.schema, table.name, *(column.name for column in key)))):
        # Queries that name it do not reach the server by this connection; a table that is not cut needs none.
        return (WHOLE_TABLE,)
    try:
        boundaries = []
        for boundary in _boundaries(connection, table, key, chunk_rows, sampling):
            boundaries.append(boundary)
            on_boundary()
        boundaries = _rising(connection, boundaries)
        if not boundaries:
            return (WHOLE_TABLE,)
    except arrow_odbc.Error as error:
        raise _failed("chunks of the table cannot be found", error) from None
    names = tuple(column.name for column in key)
    edges = [None, *boundaries, None]
    return tuple(Chunk(number, names, low, high) for number, (low, high) in enumerate(pairwise(edges)))


def is_beyond_basic_plane(text: str) -> bool:
    """Whether unixODBC garbles the text, a character beyond the basic plane of which is two units in UTF-16."""
    return any(ord(character) > LAST_OF_BASIC_PLANE for character in text)


def find_again(table: Table, row: Mapping[str, object]) -> Mapping[str, object] | None:
    """The part of a row, written down as text and numbers, by which it is found on the source again.

    None where the table has no key to rely on, or the key's values lost something on their way (a seventh
    digit, half a surrogate pair) or cannot stand in a query.
    """
    key = chunk_key(table)
    if not key or any(has_seventh_digit(column.type) for column in key):
        return None
    values = {column.name: row[column.name] for column in key}
    is_whole = all(_can_stand_in_a_query(str(value)) and "\ufffd" not in str(value) for value in values.values())
    return values if is_whole else None


def pick(table: Table, keys: Sequence[Mapping[str, object]]) -> Picked:
    """The rows with these keys, each as `find_again` gave it. Raises KeyError where the table's key is another now."""
    columns = chunk_key(table)
    return Picked(
        tuple(column.name for column in columns),
        tuple(tuple(_literal(column, _as_read(column, str(key[column.name]))) for column in columns) for key in keys),
    )


def _as_read(column: Column, text: str) -> str:
    """A moment written with six digits as the column's type takes it."""
    traits = traits_of(column.type)
    if traits.has_offset:
        return f"{text} +00:00"
    if traits.own_digits is None:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[: traits.own_digits]}".removesuffix(".")


def where_clause(chunk: Chunk | Picked) -> str:
    """` WHERE …` for the chunk's rows, or those picked; empty for a whole table."""
    names = [quote(column) for column in chunk.columns]
    if isinstance(chunk, Picked):
        rows = (" AND ".join(map(" = ".join, zip(names, key, strict=True))) for key in chunk.keys)
        return f" WHERE {' OR '.join(f'({row})' for row in rows)}"
    branches = _branches(names, chunk.lower, chunk.upper)
    if len(branches) > 1:
        exact = " OR ".join(f"({' AND '.join(terms)})" for terms in branches)
        return f" WHERE {' AND '.join(_hull(names, chunk.lower, chunk.upper))} AND ({exact})"
    return f" WHERE {' AND '.join(branches[0])}" if branches else ""


def _branches(names: Sequence[str], lower: Sequence[str] | None, upper: Sequence[str] | None) -> list[list[str]]:
    """The keys above `lower` and up to `upper` as ranges, in the key's order, each of which an index can seek.

    T-SQL has no comparison of rows. A range is the terms that hold for it: equal columns first, then one that
    is bounded. Relies on what `_rising` has made sure of: the first column in which the bounds' texts differ
    rises, and those before it are equal.
    """
    if lower is None and upper is None:
        return []
    same = _equal_columns(lower, upper)
    middle = _equal(names, lower, same)
    branches = []
    if lower is not None:
        for place in reversed(range(same + 1, len(names))):
            branches.append([*_equal(names, lower, place), f"{names[place]} > {lower[place]}"])
        middle.append(f"{names[same]} > {lower[same]}")
    if upper is not None:
        middle.append(f"{names[same]} {_up_to(names, same)} {upper[same]}")
    branches.append(middle)
    if upper is not None:
        for place in range(same + 1, len(names)):
            branches.append([*_equal(names, upper, place), f"{names[place]} {_up_to(names, place)} {upper[place]}"])
    return branches


def _hull(names: Sequence[str], lower: Sequence[str] | None, upper: Sequence[str] | None) -> list[str]:
    """One range around all branches, for servers that would rather seek once than several times."""
    same = _equal_columns(lower, upper)
    terms = _equal(names, lower, same)
    if lower is not None:
        terms.append(f"{names[same]} >= {lower[same]}")
    if upper is not None:
        terms.append(f"{names[same]} <= {upper[same]}")
    return terms


def _equal_columns(lower: Sequence[str] | None, upper: Sequence[str] | None) -> int:
    if lower is None or upper is None:
        return 0
    return next(place for place, (low, high) in enumerate(zip(lower, upper, strict=True)) if low != high)


def _equal(names: Sequence[str], bound: Sequence[str] | None, count: int) -> list[str]:
    return [] if bound is None else [f"{names[place]} = {bound[place]}" for place in range(count)]


def _up_to(names: Sequence[str], place: int) -> str:
    # Only in the last column is the bound itself within.
    return "<=" if place == len(names) - 1 else "<"


def _boundaries(
    connection: Any, table: Table, key: Sequence[Column], chunk_rows: int, sampling: Sampling
) -> Iterator[tuple[str, ...]]:
    """The keys that end a chunk: those of a sample where the table is large and the sample can be trusted."""
    if table.row_count >= sampling.from_rows and _lies_in_pages(table):
        found = _drawn(connection, table, key, chunk_rows, sampling)
        if found and len(found) * chunk_rows >= LEAST_OF_A_SAMPLE * table.row_count:
            yield from found
            return
    yield from _skipped_to(connection, table, key, chunk_rows)


def _lies_in_pages(table: Table) -> bool:
    # A columnstore's row groups hold up to a million rows each, too few of them to draw from.
    return not WITHOUT_PAGES.intersection(table.traits) and all(
        index.kind != "CLUSTERED COLUMNSTORE" for index in table.indexes
    )


def _drawn(
    connection: Any, table: Table, key: Sequence[Column], chunk_rows: int, sampling: Sampling
) -> list[tuple[str, ...]]:
    """Keys that stand equally far from each other in a sample of the table; none where the server draws no sample.

    On SQL Server only the pages that are drawn are read (Microsoft, "Limiting Result Sets by Using TABLESAMPLE").
    Babelfish reads over TABLESAMPLE and answers all rows; there it takes PostgreSQL's random(), once a row, while
    T-SQL's RAND() is one value for all rows and NEWID() takes many times as long.
    """
    (server,) = _rows(connection, SERVER)
    wanted = sampling.single_rows if server["is_babelfish"] else sampling.page_rows
    if wanted > MOST_OF_A_TABLE * chunk_rows:
        return []
    if server["is_babelfish"]:
        # As an equality, of which its planner expects few rows: for more it would go through the whole key index.
        sample = f" WHERE FLOOR(pg_catalog.random() * {chunk_rows / wanted:.6f}) = 0"
    else:
        sample = f" TABLESAMPLE SYSTEM ({100 * wanted / chunk_rows:.6f} PERCENT)"
    names = ", ".join(f"t.{quote(column.name)} AS c{place}" for place, column in enumerate(key))
    order = ", ".join(f"t.{quote(column.name)}" for column in key)
    rows = (
        f"SELECT {names}, ROW_NUMBER() OVER (ORDER BY {order}) AS place"
        f" FROM {quote_table(table.schema, table.name)} AS t{sample}"
    )
    # Text is made of the candidates only: of each `wanted` rows, the last one and some behind it.
    chosen = f"t.place >= {wanted} AND t.place % {wanted} < {CANDIDATES}"
    texts = _texts(key, [f"t.c{place}" for place in range(len(key))])
    query = f"SELECT {texts}, t.place AS place FROM ({rows}) AS t WHERE {chosen} ORDER BY t.place"
    found: dict[int, tuple[str, ...]] = {}
    try:
        for row in _each_row(connection, query):
            number = row.pop("place") // wanted
            if number not in found and all(map(_can_stand_in_a_query, row.values())):
                found[number] = _literals(key, row)
    except arrow_odbc.Error as error:
        # A refusal may have ended the transaction that sees one moment, outside of which nothing may be read.
        if odbc_diagnosis(error).is_temporary or _rows(connection, SERVER) != [server]:
            raise
        return []
    # Keys that lost on their way what tells them apart are one boundary.
    return list(dict.fromkeys(found.values()))


def _texts(key: Sequence[Column], names: Sequence[str]) -> str:
    return ", ".join(
        f"{_forms_of(column)[0].replace('{c}', names[place])} AS k{place}" for place, column in enumerate(key)
    )


def _literals(key: Sequence[Column], row: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(_literal(column, row[f"k{place}"]) for place, column in enumerate(key))


def _skipped_to(connection: Any, table: Table, key: Sequence[Column], chunk_rows: int) -> Iterator[tuple[str, ...]]:
    """Keys that end a chunk, each found by skipping the rows since the one before in the key's index."""
    source = f"{quote_table(table.schema, table.name)} AS t"
    # Qualified, so that none of them is taken for a result's name (k0, k1, …).
    names = [f"t.{quote(column.name)}" for column in key]
    order = ", ".join(names)
    # Made outside of the query that skips, or the server makes texts of all the rows that it skips.
    texts = _texts(key, names)
    lower: tuple[str, ...] | None = None
    while True:
        found: tuple[str, ...] | None = None
        left = chunk_rows
        branches = _branches(names, lower, None) or [[]]
        for branch in branches:
            where = f" WHERE {' AND '.join(branch)}" if branch else ""
            page = f"ORDER BY {order} OFFSET {left - 1} ROWS FETCH NEXT {CANDIDATES} ROWS ONLY"
            page = f"SELECT {order} FROM {source}{where} {page}"
            rows = _rows(connection, f"SELECT {texts} FROM ({page}) AS t ORDER BY {order}")
            # A boundary that is the last key would leave an empty chunk behind it.
            usable = rows[:-1] if branch is branches[-1] else rows
            row = next((row for row in usable if all(map(_can_stand_in_a_query, row.values()))), None)
            if row is not None:
                found = _literals(key, row)
                break
            if branch is not branches[-1]:
                (count,) = _rows(connection, f"SELECT COUNT_BIG(*) AS n FROM {source}{where}")
                left = max(1, left - int(count["n"]))
        if found is None or found == lower:
            return
        lower = found
        yield found


def _can_stand_in_a_query(text: str) -> bool:
    # A query ends at a NUL, and unixODBC garbles what lies beyond the basic plane: its order could not be checked.
    return all("\x00" < character < "\ud800" or "\udfff" < character <= "\uffff" for character in text)


def _literal(column: Column, text: str) -> str:
    collate = f" COLLATE {column.collation}" if column.collation else ""
    _, template = _forms_of(column)
    return (
        template.replace("{t}", str(column.type)).replace("{collate}", collate).replace("{v}", text.replace("'", "''"))
    )


def _rising(connection: Any, boundaries: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those boundaries that rise, as the server compares them, in the first column whose text changes.

    Others are left out: a case-insensitive server may take two texts for one value, and a value that lost
    something on its way may stand in the wrong place.
    """
    kept = list(boundaries)
    while True:
        pairs = list(pairwise(kept))
        fallen: set[int] = set()
        for start in range(0, len(pairs), PAIRS_A_CHECK):
            terms = [
                f"CASE WHEN {high} > {low} THEN 1 ELSE 0 END AS p{place}"
                for place, (low, high) in enumerate(map(_first_difference, pairs[start : start + PAIRS_A_CHECK]))
            ]
            (answer,) = _rows(connection, f"SELECT {', '.join(terms)}")
            fallen |= {start + int(name[1:]) + 1 for name, rises in answer.items() if not rises}
        if not fallen:
            return kept
        # The first of neighbours only, since the others are then compared with another boundary.
        kept = [boundary for place, boundary in enumerate(kept) if place not in fallen or place - 1 in fallen]


def _first_difference(pair: tuple[tuple[str, ...], tuple[str, ...]]) -> tuple[str, str]:
    low, high = pair
    place = _equal_columns(low, high)
    return low[place], high[place]


def count_query(arrived: int) -> str:
    """What asks how many rows the server sent in answer to the connection's query before, of which so many arrived."""
    return f"SELECT sent = {'@@ROWCOUNT' if arrived <= MOST_COUNTED else 'ROWCOUNT_BIG()'}"


def _rows(connection: Any, sql: str) -> list[dict[str, Any]]:
    return list(_each_row(connection, sql))


def _each_row(connection: Any, sql: str) -> Iterator[dict[str, Any]]:
    for batch in connection.read_arrow_batches(sql, batch_size=100, payload_text_encoding=TextEncoding.UTF16):
        yield from batch.to_pylist()


def _failed(what: str, error: arrow_odbc.Error) -> PlanningError:
    found = odbc_diagnosis(error)
    return PlanningError(f"{what}: {found.words}", found.is_temporary)

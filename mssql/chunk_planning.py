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
from itertools import pairwise, starmap
from typing import Any, TypeAlias

import arrow_odbc
from arrow_odbc import TextEncoding

from db import odbc_diagnosis
from model.catalog import Column, Table
from model.errors import PlanningError
from model.ranges import WHOLE_TABLE, Chunk
from mssql.chunk_keys import chunk_key, key_literals, key_texts
from mssql.quoting import can_stand_in_a_query, is_beyond_basic_plane, quote, quote_table
from mssql.where import first_difference, ranges

#: pairs of boundaries whose order one query checks
PAIRS_A_CHECK = 100
#: keys from which a boundary is chosen, where the first of them cannot stand in a query
CANDIDATES = 100
#: the smallest part of a sample's expected boundaries with which it is trusted
LEAST_OF_A_SAMPLE = 0.1
#: the largest part of a table that is drawn: reading and sorting more would cost what skipping costs
MOST_OF_A_TABLE = 0.1
#: traits of tables whose rows do not lie in pages that the server could draw
WITHOUT_PAGES = {"memory-optimised", "external"}

#: the errors of OFFSET and FETCH in a database whose compatibility level is too old for them
BAD_SYNTAX, BAD_FETCH = 102, 153

#: an answer of SERVER
Server: TypeAlias = Mapping[str, Any]
TOO_OLD = (
    "⚠️ read as one chunk, which begins anew after every failure: the compatibility level of the database is too old to "
    "cut the table ({words}); 110 is enough"
)

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


def plan_chunks(
    connection: Any,
    table: Table,
    chunk_rows: int,
    on_boundary: Callable[[], None] = lambda: None,
    sampling: Sampling = SAMPLING,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Chunk, ...]:
    """The chunks of a table, about `chunk_rows` rows each; one whole-table chunk where it cannot be cut.

    Those of a large table differ more in size, and from one time to the next, since they come from a sample.
    `connection` is an arrow-odbc connection. `on_boundary` is called for each boundary found, since a large
    table has thousands; `tell` is told why a table with a key is not cut. Raises PlanningError, and what
    `on_boundary` raises.
    """
    key = chunk_key(table)
    if not key or 0 < table.row_count <= chunk_rows:
        return (WHOLE_TABLE,)
    if is_beyond_basic_plane("".join((table.schema, table.name, *(column.name for column in key)))):
        # Queries that name it do not reach the server by this connection; a table that is not cut needs none.
        return (WHOLE_TABLE,)
    try:
        (server,) = _rows(connection, SERVER)
        boundaries = []
        try:
            for boundary in _boundaries(connection, server, table, key, chunk_rows, sampling):
                boundaries.append(boundary)
                on_boundary()
        except arrow_odbc.Error as error:
            if not _is_too_old(error) or _has_ended_its_transaction(connection, server):
                raise
            tell(TOO_OLD.format(words=odbc_diagnosis(error).words))
            return (WHOLE_TABLE,)
        boundaries = _rising(connection, boundaries)
        if not boundaries:
            return (WHOLE_TABLE,)
    except arrow_odbc.Error as error:
        raise _failed("chunks of the table cannot be found", error) from None
    names = tuple(column.name for column in key)
    edges = [None, *boundaries, None]
    return tuple(Chunk(number, names, low, high) for number, (low, high) in enumerate(pairwise(edges)))


def _is_too_old(error: arrow_odbc.Error) -> bool:
    """Whether a query was not understood: the statements here ask for nothing newer than OFFSET."""
    return not odbc_diagnosis(error).numbers.isdisjoint({BAD_SYNTAX, BAD_FETCH})


def _has_ended_its_transaction(connection: Any, server: Server) -> bool:
    """Whether a refusal ended the transaction that sees one snapshot, outside of which nothing may be read."""
    return _rows(connection, SERVER) != [server]


def _boundaries(
    connection: Any, server: Server, table: Table, key: Sequence[Column], chunk_rows: int, sampling: Sampling
) -> Iterator[tuple[str, ...]]:
    """The keys that end a chunk: those of a sample where the table is large and the sample can be trusted."""
    if table.row_count >= sampling.from_rows and _lies_in_pages(table):
        found = _drawn(connection, server, table, key, chunk_rows, sampling)
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
    connection: Any, server: Server, table: Table, key: Sequence[Column], chunk_rows: int, sampling: Sampling
) -> list[tuple[str, ...]]:
    """Keys that stand equally far from each other in a sample of the table; none where the server draws no sample.

    On SQL Server only the pages that are drawn are read (Microsoft, "Limiting Result Sets by Using TABLESAMPLE").
    Babelfish reads over TABLESAMPLE and answers all rows; there it takes PostgreSQL's random(), once a row, while
    T-SQL's RAND() is one value for all rows and NEWID() takes many times as long.
    """
    wanted = sampling.single_rows if server["is_babelfish"] else sampling.page_rows
    if wanted > MOST_OF_A_TABLE * chunk_rows:
        return []
    if server["is_babelfish"]:
        # As an equality, of which its planner expects few rows: for more it would go through the whole key index.
        sample = f" WHERE FLOOR(pg_catalog.random() * {chunk_rows / wanted:.6f}) = 0"
    else:
        sample = f" TABLESAMPLE SYSTEM ({100 * wanted / chunk_rows:.6f} PERCENT)"
    names = ", ".join(f"t.{quote(column.name)} AS c{position}" for position, column in enumerate(key))
    order = ", ".join(f"t.{quote(column.name)}" for column in key)
    rows = (
        f"SELECT {names}, ROW_NUMBER() OVER (ORDER BY {order}) AS ordinal"
        f" FROM {quote_table(table.schema, table.name)} AS t{sample}"
    )
    # Text is made of the candidates only: of each `wanted` rows, the last one and some behind it.
    chosen = f"t.ordinal >= {wanted} AND t.ordinal % {wanted} < {CANDIDATES}"
    texts = key_texts(key, [f"t.c{position}" for position in range(len(key))])
    query = f"SELECT {texts}, t.ordinal AS ordinal FROM ({rows}) AS t WHERE {chosen} ORDER BY t.ordinal"
    found: dict[int, tuple[str, ...]] = {}
    try:
        for row in _each_row(connection, query):
            number = row.pop("ordinal") // wanted
            if number not in found and all(map(can_stand_in_a_query, row.values())):
                found[number] = key_literals(key, row)
    except arrow_odbc.Error as error:
        if odbc_diagnosis(error).is_temporary or _has_ended_its_transaction(connection, server):
            raise
        return []
    # Keys that lost on their way what tells them apart are one boundary.
    return list(dict.fromkeys(found.values()))


def _skipped_to(connection: Any, table: Table, key: Sequence[Column], chunk_rows: int) -> Iterator[tuple[str, ...]]:
    """Keys that end a chunk, each found by skipping the rows since the one before in the key's index."""
    source = f"{quote_table(table.schema, table.name)} AS t"
    # Qualified, so that none of them is taken for a result's name (k0, k1, …).
    names = [f"t.{quote(column.name)}" for column in key]
    order = ", ".join(names)
    # Made outside of the query that skips, or the server makes texts of all the rows that it skips.
    texts = key_texts(key, names)
    lower: tuple[str, ...] | None = None
    while True:
        found: tuple[str, ...] | None = None
        left = chunk_rows
        branches = ranges(names, lower, None) or [[]]
        for branch in branches:
            where = f" WHERE {' AND '.join(branch)}" if branch else ""
            page = f"ORDER BY {order} OFFSET {left - 1} ROWS FETCH NEXT {CANDIDATES} ROWS ONLY"
            page = f"SELECT {order} FROM {source}{where} {page}"
            rows = _rows(connection, f"SELECT {texts} FROM ({page}) AS t ORDER BY {order}")
            # A boundary that is the last key would leave an empty chunk behind it.
            usable = rows[:-1] if branch is branches[-1] else rows
            row = next((row for row in usable if all(map(can_stand_in_a_query, row.values()))), None)
            if row is not None:
                found = key_literals(key, row)
                break
            if branch is not branches[-1]:
                (count,) = _rows(connection, f"SELECT COUNT_BIG(*) AS n FROM {source}{where}")
                left = max(1, left - int(count["n"]))
        if found is None or found == lower:
            return
        lower = found
        yield found


def _rising(connection: Any, boundaries: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Those boundaries that rise, as the server compares them, in the first column whose text changes.

    Others are left out: a case-insensitive server may take two texts for one value, and a value that lost
    something on its way may stand in the wrong order.
    """
    kept = list(boundaries)
    while True:
        pairs = list(pairwise(kept))
        fallen: set[int] = set()
        for start in range(0, len(pairs), PAIRS_A_CHECK):
            terms = [
                f"CASE WHEN {high} > {low} THEN 1 ELSE 0 END AS p{position}"
                for position, (low, high) in enumerate(starmap(first_difference, pairs[start : start + PAIRS_A_CHECK]))
            ]
            (answer,) = _rows(connection, f"SELECT {', '.join(terms)}")
            fallen |= {start + int(name[1:]) + 1 for name, rises in answer.items() if not rises}
        if not fallen:
            return kept
        # The first of neighbours only, since the others are then compared with another boundary.
        kept = [boundary for position, boundary in enumerate(kept) if position not in fallen or position - 1 in fallen]


def _rows(connection: Any, sql: str) -> list[dict[str, Any]]:
    return list(_each_row(connection, sql))


def _each_row(connection: Any, sql: str) -> Iterator[dict[str, Any]]:
    for batch in connection.read_arrow_batches(sql, batch_size=100, payload_text_encoding=TextEncoding.UTF16):
        yield from batch.to_pylist()


def _failed(what: str, error: arrow_odbc.Error) -> PlanningError:
    found = odbc_diagnosis(error)
    return PlanningError(f"{what}: {found.words}", found.is_temporary, found.numbers)

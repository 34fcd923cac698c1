"""How much room tables take in the source (Microsoft, "sys.allocation_units", "sys.partitions")."""

from __future__ import annotations

from collections.abc import Sequence

from model.catalog import Table
from model.table_size import TableSize
from mssql.catalog_queries import Connection

#: bytes of a page (Microsoft, "Pages and extents architecture guide")
PAGE = 8192

# An allocation unit belongs to a partition's own rows or to its large values, by different numbers.
SIZES = """
SELECT s.name AS table_schema, o.name AS table_name,
       SUM(CASE WHEN p.index_id IN (0, 1) THEN a.used_pages ELSE 0 END) AS rows_pages, SUM(a.used_pages) AS all_pages
FROM sys.allocation_units AS a
JOIN sys.partitions AS p ON a.container_id = CASE WHEN a.type = 2 THEN p.partition_id ELSE p.hobt_id END
JOIN sys.objects AS o ON o.object_id = p.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type = 'U'
GROUP BY s.name, o.name
"""


def read_sizes(connection: Connection, tables: Sequence[Table]) -> dict[Table, TableSize]:
    """The sizes of those of the tables of which the server says them."""
    try:
        found = {
            (row.table_schema, row.table_name): TableSize(int(row.rows_pages) * PAGE, int(row.all_pages) * PAGE)
            for row in connection.rows(SIZES)
        }
    except Exception:
        # A server without these views, or a login that may not see them: nobody knows.
        return {}
    return {table: found[table.schema, table.name] for table in tables if (table.schema, table.name) in found}

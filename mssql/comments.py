"""Comments on the source's objects, and whatever else its extended properties hold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from model.catalog import OtherObject
from mssql.catalog_queries import Catalog

#: classes of owners (Microsoft, "sys.extended_properties")
OBJECT, PARAMETER, SCHEMA, INDEX = 1, 2, 3, 7
# A value has up to 7,500 bytes.
PROPERTIES = """
SELECT e.class, e.class_desc, e.major_id, e.minor_id, CAST(e.name AS nvarchar(128)) AS name,
       CAST(e.value AS nvarchar(max)) AS value, CAST(s.name AS nvarchar(128)) AS schema_name,
       CAST(o.name AS nvarchar(128)) AS object_name, CAST(c.name AS nvarchar(128)) AS column_name,
       CAST(i.name AS nvarchar(128)) AS index_name
FROM sys.extended_properties AS e
LEFT JOIN sys.objects AS o ON e.class IN (1, 2, 7) AND o.object_id = e.major_id
LEFT JOIN sys.schemas AS s ON s.schema_id = CASE WHEN e.class = 3 THEN e.major_id ELSE o.schema_id END
LEFT JOIN sys.columns AS c ON e.class = 1 AND c.object_id = e.major_id AND c.column_id = e.minor_id
LEFT JOIN sys.indexes AS i ON e.class = 7 AND i.object_id = e.major_id AND i.index_id = e.minor_id
"""


@dataclass(frozen=True)
class Part:
    """A part of an object, a column or an index, by number; with part 0 the object itself."""

    object_id: int
    part: int = 0


class Comments:
    """Comments by their owners. Those that nobody asks for, and properties of other names, are left over."""

    def __init__(self, catalog: Catalog | None = None, names: Sequence[str] = ()) -> None:
        """Extended properties of these names, in any case, are comments. Without a `catalog` nothing has one.

        Where an owner has several, its comment is each different text of them, in the order of `names`.
        """
        self._properties = catalog.optional("comments (sys.extended_properties)", PROPERTIES) if catalog else []
        self._places = {name.casefold(): place for place, name in enumerate(names)}
        texts: defaultdict[tuple[int, Part], list[str]] = defaultdict(list)
        for row in sorted(
            filter(self._is_comment, self._properties), key=lambda row: self._places[row.name.casefold()]
        ):
            if row.value:
                texts[(row[0], Part(row.major_id, row.minor_id))].append(row.value)
        self._comments = {owner: "\n".join(dict.fromkeys(found)) for owner, found in texts.items()}
        self._told: set[tuple[int, Part]] = set()

    def _is_comment(self, row: Any) -> bool:
        return row.name.casefold() in self._places

    def of(self, object_id: int, column: int = 0) -> str | None:
        """The comment of an object or a column."""
        return self._tell(OBJECT, Part(object_id, column))

    def of_index(self, table: int, index: int) -> str | None:
        """The comment of an index."""
        return self._tell(INDEX, Part(table, index))

    def of_schema(self, schema: int) -> str | None:
        """The comment of a schema."""
        return self._tell(SCHEMA, Part(schema))

    def _tell(self, kind: int, part: Part) -> str | None:
        self._told.add((kind, part))
        return self._comments.get((kind, part))

    def left_over(self) -> Iterator[OtherObject]:
        """Extended properties that are nobody's comment: other names, or owners without a counterpart."""
        for row in self._properties:
            if self._is_comment(row) and (row[0], Part(row.major_id, row.minor_id)) in self._told:
                continue
            parts = (row.object_name, row.column_name, row.index_name)
            numbers = f"{str(row.class_desc).lower()} {row.major_id} {row.minor_id}"
            owner = ".".join(part for part in parts if part) if row.object_name and row[0] != PARAMETER else numbers
            kind = "comment" if self._is_comment(row) else f"extended property {row.name}"
            yield OtherObject(kind, row.schema_name or "", owner, row.value)

"""What a database holds beside its tables: sequences, alias types, views, procedures and all the rest, by name."""

from __future__ import annotations

from model.catalog import AliasType, OtherObject, SqlType
from model.catalog import Sequence as SequenceObject
from mssql.catalog_queries import ODBC_ERRORS, Catalog
from mssql.comments import Comments
from type_mapping import form_of

SEQUENCES = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(q.name AS nvarchar(128)) AS name, q.object_id,
       CAST(type.name AS nvarchar(128)) AS type_name, q.precision, q.scale,
       CAST(q.start_value AS varchar(40)) AS start_value, CAST(q.increment AS varchar(40)) AS increment,
       CAST(q.minimum_value AS varchar(40)) AS minimum_value, CAST(q.maximum_value AS varchar(40)) AS maximum_value,
       q.is_cycling, q.cache_size, CAST(q.{last_used} AS varchar(40)) AS current_value
FROM sys.sequences AS q
JOIN sys.schemas AS s ON s.schema_id = q.schema_id
LEFT JOIN sys.types AS type ON type.user_type_id = q.system_type_id
"""

ALIAS_TYPES = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(type.name AS nvarchar(128)) AS name,
       CAST(base.name AS nvarchar(128)) AS base_name, type.max_length, type.precision, type.scale, type.is_nullable,
       type.is_assembly_type
FROM sys.types AS type
JOIN sys.schemas AS s ON s.schema_id = type.schema_id
LEFT JOIN sys.types AS base ON base.user_type_id = type.system_type_id
WHERE type.is_user_defined = 1 AND type.is_table_type = 0
"""

# Whatever sys.objects holds beyond tables and what belongs to them: views, procedures, functions, triggers,
# queues, bound defaults and rules. Nothing that a later version adds can slip through.
OTHER_OBJECTS = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(o.name AS nvarchar(128)) AS name, o.object_id,
       LOWER(REPLACE(o.type_desc, '_', ' ')) AS kind, CAST(p.name AS nvarchar(128)) AS parent_name
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
LEFT JOIN sys.objects AS p ON p.object_id = o.parent_object_id
WHERE o.is_ms_shipped = 0 AND o.type NOT IN ('U', 'PK', 'UQ', 'F', 'C', 'SO', 'SN', 'IT', 'S')
  AND NOT (o.type = 'D' AND o.parent_object_id <> 0)
"""

MODULES = "SELECT m.object_id, m.definition FROM sys.sql_modules AS m"

SYNONYMS = """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(n.name AS nvarchar(128)) AS name, n.base_object_name
FROM sys.synonyms AS n
JOIN sys.schemas AS s ON s.schema_id = n.schema_id
"""

#: kinds of things outside sys.objects, each with the query that lists them as schema, name, definition, parent
MORE_OBJECTS = {
    "table type": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.table_types AS t JOIN sys.schemas AS s ON s.schema_id = t.schema_id WHERE t.is_user_defined = 1
""",
    "XML schema collection": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(x.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.xml_schema_collections AS x JOIN sys.schemas AS s ON s.schema_id = x.schema_id WHERE s.name <> 'sys'
""",
    "full-text index": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(t.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(t.name AS nvarchar(128)) AS parent_name
FROM sys.fulltext_indexes AS f
JOIN sys.tables AS t ON t.object_id = f.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id
""",
    "partition function": """
SELECT '' AS schema_name, CAST(f.name AS nvarchar(128)) AS name,
       NULL AS definition, NULL AS parent_name
FROM sys.partition_functions AS f
""",
    "database trigger": """
SELECT '' AS schema_name, CAST(t.name AS nvarchar(128)) AS name, m.definition, NULL AS parent_name
FROM sys.triggers AS t LEFT JOIN sys.sql_modules AS m ON m.object_id = t.object_id
WHERE t.parent_class = 0 AND t.is_ms_shipped = 0
""",
    "index of a view": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(i.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(v.name AS nvarchar(128)) AS parent_name
FROM sys.indexes AS i
JOIN sys.views AS v ON v.object_id = i.object_id JOIN sys.schemas AS s ON s.schema_id = v.schema_id
WHERE i.name IS NOT NULL AND v.is_ms_shipped = 0
""",
    "statistics": """
SELECT CAST(s.name AS nvarchar(128)) AS schema_name, CAST(x.name AS nvarchar(128)) AS name,
       NULL AS definition, CAST(t.name AS nvarchar(128)) AS parent_name
FROM sys.stats AS x JOIN sys.tables AS t ON t.object_id = x.object_id JOIN sys.schemas AS s ON s.schema_id = t.schema_id
WHERE x.user_created = 1
""",
}

SECURITY_POLICIES = "SELECT CAST(name AS nvarchar(128)) AS name FROM sys.security_policies WHERE is_enabled = 1"


def read_sequences(catalog: Catalog, comments: Comments) -> tuple[SequenceObject, ...]:
    """The sequence objects."""
    try:
        rows = catalog.rows(SEQUENCES.format(last_used="last_used_value"))
    except ODBC_ERRORS:
        # Before 2017 a sequence that was never used shows its start as current_value, like one used once.
        rows = catalog.optional("sequences", SEQUENCES.format(last_used="current_value"))
    found = [
        SequenceObject(
            schema=row.schema_name,
            name=row.name,
            type=SqlType(row.type_name or "bigint", 0, row.precision or 0, row.scale or 0),
            start=int(row.start_value),
            increment=int(row.increment),
            minimum=int(row.minimum_value),
            maximum=int(row.maximum_value),
            is_cycling=bool(row.is_cycling),
            cache_size=row.cache_size,
            current=None if row.current_value is None else int(row.current_value),
            comment=comments.of(row.object_id),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda sequence: (sequence.schema.lower(), sequence.name.lower())))


def read_alias_types(catalog: Catalog) -> tuple[AliasType, ...]:
    """The alias types, and those of assemblies."""
    return tuple(
        AliasType(
            schema=row.schema_name,
            name=row.name,
            base=SqlType(
                (row.base_name or row.name).lower(),
                row.max_length,
                row.precision,
                row.scale,
                is_clr=bool(row.is_assembly_type),
                form=form_of((row.base_name or row.name).lower()),
            ),
            is_nullable=bool(row.is_nullable),
        )
        for row in catalog.optional("alias types", ALIAS_TYPES)
    )


def read_others(catalog: Catalog) -> tuple[OtherObject, ...]:
    """Whatever else the database holds, each with its text where it has one."""
    rows = catalog.rows(OTHER_OBJECTS)
    texts = {row.object_id: row.definition for row in catalog.optional("module texts", MODULES)}
    found = [
        OtherObject(row.kind, row.schema_name, row.name, texts.get(row.object_id), row.parent_name) for row in rows
    ]
    found += [
        OtherObject("synonym", row.schema_name, row.name, row.base_object_name)
        for row in catalog.optional("synonyms", SYNONYMS)
    ]
    for kind, sql in MORE_OBJECTS.items():
        found += [
            OtherObject(kind, row.schema_name, row.name, row.definition, row.parent_name)
            for row in catalog.optional(f"{kind}s", sql)
        ]
    return tuple(sorted(found, key=lambda other: (other.kind, other.schema.lower(), other.name.lower())))


def read_security_policies(catalog: Catalog) -> tuple[str, ...]:
    """The names of row-level security policies that are enabled; servers before 2016 know none."""
    if not catalog.has("security_policies"):
        return ()
    return tuple(row.name for row in catalog.optional("row-level security policies", SECURITY_POLICIES))

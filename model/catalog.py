"""What a SQL Server database holds, as plain data.

The one vocabulary that the source side, the target side and the phases share. Every class is a
frozen dataclass; names and texts are kept exactly as the source's catalog shows them. This module
imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

DEFAULT_SCHEMA = "dbo"
#: the kind, among other objects, of a table that was dropped and that a ledger keeps
DROPPED_LEDGER_TABLE = "dropped ledger table"
#: what T-SQL writes behind a type's name: its length in bytes, or in UTF-16 units of two bytes; precision and scale;
#: the scale alone. `fixed units` is a length in units that the name stands for.
Form = Literal["bytes", "units", "fixed units", "digits", "scale"]
#: T-SQL's own types that are declared with a size (Microsoft, "Data types (Transact-SQL)")
FORMS: Mapping[str, Form] = {
    "char": "bytes", "varchar": "bytes", "binary": "bytes", "varbinary": "bytes",
    "nchar": "units", "nvarchar": "units", "sysname": "fixed units",
    "decimal": "digits", "numeric": "digits",
    "time": "scale", "datetime2": "scale", "datetimeoffset": "scale",
}  # fmt: skip


def written(part: str) -> str:
    """A name as it stands among names joined by dots: in brackets, a `]` doubled, where it holds a dot or a bracket.

    Source: Microsoft, "Database Identifiers". Without them `dbo.[Sales.Orders]` would be taken for `Sales.Orders`.
    """
    return "[" + part.replace("]", "]]") + "]" if any(sign in part for sign in ".[]") else part


@dataclass(frozen=True)
class SqlType:
    """A T-SQL type as a column declares it (`sys.types` joined to `sys.columns`).

    `name` is the base type in lower case (`nvarchar`, `decimal`, `timestamp` for rowversion).
    `max_length` is in bytes, as in `sys.columns`: twice the characters for nchar and nvarchar, -1 for
    (max) and xml. `precision` and `scale` are 0 where they mean nothing. `alias` is the quoted-free
    name of the alias type the column was declared with, `None` otherwise, and `alias_schema` where that
    type lives. `is_clr` marks a user-defined CLR type, whose `name` is then the type's own name.
    A vector's `precision` is its dimensions, 0 where the catalog does not say. `form` is how the type's size is
    written where its name is not one of `FORMS`.

    Two are not the source's: `option` is what a type map asks for in place of the type's usual
    way into PostgreSQL, and `is_domain` that the alias type is to become a domain.
    """

    name: str
    max_length: int = 0
    precision: int = 0
    scale: int = 0
    alias: str | None = None
    is_clr: bool = False
    alias_schema: str = DEFAULT_SCHEMA
    option: str | None = None
    is_domain: bool = False
    form: Form | None = None

    @property
    def characters(self) -> int:
        """The declared length in characters (UTF-16 units for n-types), -1 for (max)."""
        if self._form in ("units", "fixed units") and self.max_length > 0:
            return self.max_length // 2
        return self.max_length

    def __str__(self) -> str:
        """The type as T-SQL writes it: `decimal(10,2)`, `nvarchar(max)`, `datetime2(7)`."""
        if self._form == "digits":
            return f"{self.name}({self.precision},{self.scale})"
        if self._form in ("bytes", "units"):
            length = "max" if self.max_length == -1 else str(self.characters)
            return f"{self.name}({length})"
        if self._form == "scale":
            return f"{self.name}({self.scale})"
        return self.name

    @property
    def _form(self) -> Form | None:
        return self.form or FORMS.get(self.name)


@dataclass(frozen=True)
class Identity:
    """An IDENTITY property. `last_value` is the last value handed out, `None` before the first insert."""

    seed: int = 1
    increment: int = 1
    last_value: int | None = None


@dataclass(frozen=True)
class Default:
    """A default constraint; `text` is the expression as the catalog stores it, e.g. `(getdate())`."""

    name: str
    text: str


@dataclass(frozen=True)
class Computed:
    """A computed column's expression and whether the source stores its values."""

    text: str
    is_persisted: bool = False


@dataclass(frozen=True)
class Column:
    """One column of a table, in `column_id` order within `Table.columns`."""

    name: str
    type: SqlType
    is_nullable: bool = True
    identity: Identity | None = None
    default: Default | None = None
    computed: Computed | None = None
    collation: str | None = None
    comment: str | None = None
    is_rowguid: bool = False
    is_sparse: bool = False
    is_column_set: bool = False
    is_filestream: bool = False
    is_masked: bool = False
    is_encrypted: bool = False
    is_hidden: bool = False
    #: dropped from a ledger table, which keeps its values
    is_dropped: bool = False
    #: `sys.columns.generated_always_type_desc`, `None` for NOT_APPLICABLE.
    generated_always: str | None = None
    #: `sys.columns.graph_type_desc`, `None` outside graph tables.
    graph_type: str | None = None
    #: the source's column that this one is made of, for a column that only the target has
    made_of: str | None = None

    @property
    def source_name(self) -> str:
        """The name of the column that is read on the source."""
        return self.made_of or self.name


@dataclass(frozen=True)
class KeyColumn:
    """A column of a key or an index."""

    name: str
    is_descending: bool = False


@dataclass(frozen=True)
class Key:
    """A PRIMARY KEY or UNIQUE constraint."""

    name: str
    columns: tuple[KeyColumn, ...]
    is_clustered: bool = False
    comment: str | None = None
    is_disabled: bool = False

    @property
    def columns_used(self) -> tuple[str, ...]:
        """The names of its columns."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Index:
    """An index that no constraint owns. `kind` is `sys.indexes.type_desc` (NONCLUSTERED, XML, …).

    `filter` is empty where there is one that the login may not read: never to be taken for none.
    """

    name: str
    columns: tuple[KeyColumn, ...]
    included: tuple[str, ...] = ()
    is_unique: bool = False
    filter: str | None = None
    kind: str = "NONCLUSTERED"
    is_disabled: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key; `columns[i]` references `referenced_columns[i]`.

    Actions are written as the catalog has them: NO_ACTION, CASCADE, SET_NULL, SET_DEFAULT.
    """

    name: str
    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]
    on_delete: str = "NO_ACTION"
    on_update: str = "NO_ACTION"
    is_trusted: bool = True
    is_disabled: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class Check:
    """A CHECK constraint; `text` as the catalog stores it, e.g. `([Quantity]>(0))`."""

    name: str
    text: str
    is_trusted: bool = True
    is_disabled: bool = False
    comment: str | None = None


@dataclass(frozen=True)
class Table:
    """A user table. `row_count` is the catalog's estimate (`sys.partitions.rows`), in rows.

    `traits` names what makes the table one that needs care, in words a person reads:
    "temporal", "memory-optimised", "graph node", … Empty for an ordinary table. `internal_columns` are
    columns that the server keeps for itself or derives from others, so that they cannot or need not be
    copied, and those that a type map drops; `columns` leaves them out.
    """

    schema: str
    name: str
    columns: tuple[Column, ...]
    primary_key: Key | None = None
    unique: tuple[Key, ...] = ()
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    row_count: int = 0
    comment: str | None = None
    traits: tuple[str, ...] = ()
    internal_columns: tuple[Column, ...] = ()

    @property
    def full_name(self) -> str:
        """`schema.table`, each as `written`, on one line, for a person to read and type; never for SQL."""
        return f"{written(self.schema)}.{written(self.name)}".replace("\n", r"\n")

    @property
    def key(self) -> str:
        """The name in the progress file: bare for tables of dbo, `Sales.Orders` for others, each part as `written`."""
        name = written(self.name)
        return name if self.schema == DEFAULT_SCHEMA else f"{written(self.schema)}.{name}"

    @property
    def bare_key(self) -> str:
        """The same without brackets, as older progress files have it: two tables may share it."""
        return self.name if self.schema == DEFAULT_SCHEMA else f"{self.schema}.{self.name}"

    @property
    def sort_key(self) -> tuple[str, str, str, str]:
        """The fixed order of every loop: schema, then table, without case; exact names break ties."""
        return (self.schema.lower(), self.name.lower(), self.schema, self.name)


@dataclass(frozen=True)
class Sequence:
    """A sequence object. `current` is the last value handed out, `None` if the catalog hides it."""

    schema: str
    name: str
    type: SqlType
    start: int
    increment: int
    minimum: int
    maximum: int
    is_cycling: bool = False
    cache_size: int | None = None
    current: int | None = None
    comment: str | None = None


@dataclass(frozen=True)
class AliasType:
    """`CREATE TYPE name FROM base`."""

    schema: str
    name: str
    base: SqlType
    is_nullable: bool = True


@dataclass(frozen=True)
class OtherObject:
    """An object that is reported, not translated: a view, procedure, function, trigger, synonym, …

    `kind` is the catalog's word in lower case ("view", "sql trigger"); `definition` its T-SQL or what it
    points at; `parent` the table or view that a trigger or full-text index belongs to.
    """

    kind: str
    schema: str
    name: str
    definition: str | None = None
    parent: str | None = None


@dataclass(frozen=True)
class Hiding:
    """What is hidden from a login, by the tables' keys: columns whose masks it gets, policies that filter its rows.

    `sees_definitions` says whether it may see all of the catalog; None where the server does not answer. Without that
    right `policies` may be missing some, and `unseen` is the number of objects with rows that it does not see at all.
    `unread` is what the server did not tell when it was asked about all this, with its words.
    """

    masked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sees_definitions: bool | None = None
    unseen: int = 0
    unread: tuple[str, ...] = ()

    @property
    def may_hide_rows(self) -> bool:
        """Whether a login may see fewer rows than there are."""
        return bool(self.policies or self.unread) or self.sees_definitions is False


@dataclass(frozen=True)
class Database:
    """Everything the source's catalog showed, read at one time."""

    name: str
    tables: tuple[Table, ...]
    collation: str | None = None
    sequences: tuple[Sequence, ...] = ()
    alias_types: tuple[AliasType, ...] = ()
    others: tuple[OtherObject, ...] = ()
    schemas: tuple[str, ...] = ()
    #: by schema; those without one are left out
    schema_comments: Mapping[str, str] = field(default_factory=dict)
    #: catalog views that this server does not have or show, with its words; what they hold is not known
    unread: tuple[str, ...] = ()
    #: what is kept from the login that read this
    hiding: Hiding = field(default_factory=Hiding)
    #: row-level security policies that are in force and may hide rows from the login
    security_policies: tuple[str, ...] = ()

"""The tree that a T-SQL expression is read into."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from model.catalog import SqlType


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """The expression does not translate; the text says why, for a person."""

    def __init__(self, reason: str, suggestion: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


class Token(Enum):
    """What a piece of the text is; the values are words for a person."""

    WORD = "word"
    QUOTED = "name in brackets"
    STRING = "string"
    NATIONAL = "national string"
    NUMBER = "number"
    MONEY = "money"
    BINARY = "binary"
    ODBC = "constant of ODBC"
    OPERATOR = "operator"
    END = "end"


@dataclass(frozen=True)
class Literal:
    """A number, a text or a binary constant, as it is written."""

    kind: Token
    text: str


@dataclass(frozen=True)
class Null:
    """NULL."""


@dataclass(frozen=True)
class Name:
    """A column, with whatever stands before its name."""

    parts: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """A function call; `schema` holds what stands before the name. A bare CURRENT_TIMESTAMP is one, too."""

    schema: tuple[str, ...]
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Unary:
    """A sign or `~`."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """Arithmetic, concatenation, bits, or a comparison (a value of `COMPARISONS`)."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Logical:
    """AND or OR over two or more parts."""

    operator: str
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """NOT."""

    operand: Node


@dataclass(frozen=True)
class IsNull:
    """IS NULL, or IS NOT NULL."""

    operand: Node
    negated: bool


@dataclass(frozen=True)
class In:
    """IN over listed items, or NOT IN."""

    operand: Node
    items: tuple[Node, ...]
    negated: bool


@dataclass(frozen=True)
class Between:
    """BETWEEN, or NOT BETWEEN."""

    operand: Node
    low: Node
    high: Node
    negated: bool


@dataclass(frozen=True)
class Like:
    """LIKE, or NOT LIKE."""

    operand: Node
    pattern: Node
    escape: Node | None
    negated: bool


@dataclass(frozen=True)
class Case:
    """CASE; simple with an `operand`, else searched. `branches` are WHEN and THEN."""

    operand: Node | None
    branches: tuple[tuple[Node, Node], ...]
    default: Node | None


@dataclass(frozen=True)
class Convert:
    """CAST, or CONVERT, which may have a style."""

    operand: Node
    type: SqlType
    style: Node | None


@dataclass(frozen=True)
class Collate:
    """COLLATE."""

    operand: Node
    collation: str


@dataclass(frozen=True)
class NextValue:
    """NEXT VALUE FOR a sequence."""

    parts: tuple[str, ...]


Node = (
    Literal
    | Null
    | Name
    | Call
    | Unary
    | Binary
    | Logical
    | Not
    | IsNull
    | In
    | Between
    | Like
    | Case
    | Convert
    | Collate
    | NextValue
)

#: the call that `AT TIME ZONE` becomes
AT_TIME_ZONE = "AT TIME ZONE"
#: comparisons as they are written, and what each is called in the tree
COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!<": ">=", "!>": "<="}

"""T-SQL's scalar expressions, as the catalog holds them, read into a tree.

The parser is our own, because T-SQL's scalar grammar is small and general SQL parsers drop what decides a
value here: GETDATE and GETUTCDATE become one node, `real` becomes `float`, `&` and COLLATE get another
precedence, PostgreSQL's `::` passes for CAST.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from model.catalog import SqlType


class Refused(Exception):  # noqa: N818 - an outcome, not an error
    """The expression does not translate; the text says why, for a person."""

    def __init__(self, reason: str, suggestion: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.suggestion = suggestion


def parse(text: str) -> Node:
    """The whole text as one expression. Raises Refused where it is not one that this tool reads."""
    return _Parser(text).parse()


# --- tokens ------------------------------------------------------------------------------------------------


class Token(Enum):
    """What a piece of the text is; the values are words for a person."""

    WORD = "word"
    QUOTED = "name in brackets"
    STRING = "string"
    NATIONAL = "national string"
    NUMBER = "number"
    MONEY = "money"
    BINARY = "binary"
    OPERATOR = "operator"
    END = "end"


_TOKENS = re.compile(
    r"""(?P<space>\s+)
    | (?P<NATIONAL>[Nn]'(?:[^']|'')*')
    | (?P<STRING>'(?:[^']|'')*')
    | (?P<QUOTED>\[(?:[^\]]|\]\])*\])
    | (?P<BINARY>0[xX][0-9A-Fa-f]*(?!\w))
    | (?P<MONEY>\$\d+(?:\.\d*)?(?![\w.]|,\d))
    | (?P<NUMBER>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<WORD>[^\W\d][\w$\#@]*)
    | (?P<OPERATOR><>|!=|!<|!>|<=|>=|::|--|/\*|[-+*/%&|^~=<>().,])""",
    re.VERBOSE,
)

_FOREIGN = {
    "::": "it is written in PostgreSQL's syntax (::), not in T-SQL",
    "--": "it holds a comment",
    "/*": "it holds a comment",
}


def _tokens(text: str) -> list[tuple[Token, str]]:
    """The text in tokens, values unescaped. Raises `Refused` at the first character that fits nowhere."""
    found: list[tuple[Token, str]] = []
    position = 0
    while position < len(text):
        match = _TOKENS.match(text, position)
        if match is None:
            raise Refused(f"it is not T-SQL that this tool reads, from {_excerpt(text[position:])} on")
        position = match.end()
        kind, value = match.lastgroup or "", match.group()
        if kind == "space":
            continue
        if kind in {"NUMBER", "MONEY"} and len(value) > 80:
            raise Refused("a number has more digits than T-SQL takes")
        if value in _FOREIGN:
            raise Refused(_FOREIGN[value])
        if kind in {"NATIONAL", "STRING"} and re.search(r"\\\r?\n", value):
            raise Refused("a text is continued on the next line by a backslash")
        if kind == "NATIONAL":
            value = value[2:-1].replace("''", "'")
        elif kind == "STRING":
            value = value[1:-1].replace("''", "'")
        elif kind == "QUOTED":
            value = value[1:-1].replace("]]", "]")
        elif kind in {"MONEY", "BINARY"}:
            value = value[1:] if kind == "MONEY" else value[2:]
        found.append((Token[kind], value))
    found.append((Token.END, ""))
    return found


def _excerpt(text: str) -> str:
    """A short piece of a text for a message."""
    return repr(text if len(text) <= 30 else text[:30] + "…")


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

_BARE_FUNCTIONS = {"CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER"}
_RESERVED = {
    "ALL", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "COLLATE", "CONTAINS", "CURRENT_DATE", "CURRENT_TIME",
    "DISTINCT", "ELSE", "END", "ESCAPE", "EXISTS", "FOR", "FREETEXT", "FROM", "IN", "IS", "LIKE", "NOT", "OR",
    "OVER", "SELECT", "SOME", "THEN", "VALUES", "WHEN", "WHERE", "WITHIN",
}  # fmt: skip
#: comparisons as they are written, and what each is called in the tree
COMPARISONS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!<": ">=", "!>": "<="}
_MAX_DEPTH = 60


class _Parser:
    """Recursive descent over T-SQL's scalar expressions ("Operator precedence").

    The unary minus binds tighter here than on the page; as division and remainder follow the dividend's sign, the
    value is the same.
    """

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        """The whole text as one expression. Raises `Refused`."""
        node = self._disjunction()
        if self._kind is not Token.END:
            raise self._unexpected()
        return node

    @property
    def _kind(self) -> Token:
        return self._tokens[self._at][0]

    @property
    def _value(self) -> str:
        return self._tokens[self._at][1]

    def _unexpected(self) -> Refused:
        if self._kind is Token.END:
            return Refused("the text ends in the middle of an expression")
        if self._kind is Token.WORD and self._value.upper() in {"SELECT", "EXISTS"}:
            return Refused("it holds a subquery")
        return Refused(f"{self._value!r} is not understood at this place")

    def _next(self) -> str:
        value = self._value
        self._at += 1
        return value

    def _is_word(self, *words: str) -> bool:
        return self._kind is Token.WORD and self._value.upper() in words

    def _take_word(self, *words: str) -> bool:
        if self._is_word(*words):
            self._at += 1
            return True
        return False

    def _is_operator(self, *operators: str) -> bool:
        return self._kind is Token.OPERATOR and self._value in operators

    def _take(self, operator: str) -> bool:
        if self._is_operator(operator):
            self._at += 1
            return True
        return False

    def _expect(self, operator: str) -> None:
        if not self._take(operator):
            raise self._unexpected()

    def _expect_word(self, word: str) -> None:
        if not self._take_word(word):
            raise self._unexpected()

    def _disjunction(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Refused("it is nested too deeply")
        parts = [self._conjunction()]
        while self._take_word("OR"):
            parts.append(self._conjunction())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Logical("OR", tuple(parts))

    def _conjunction(self) -> Node:
        parts = [self._negation()]
        while self._take_word("AND"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Logical("AND", tuple(parts))

    def _negation(self) -> Node:
        negations = 0
        while self._take_word("NOT"):
            negations += 1
        node = self._predicate()
        for _ in range(negations):
            node = Not(node)
        return node

    def _predicate(self) -> Node:
        left = self._sum()
        if self._kind is Token.OPERATOR and self._value in COMPARISONS:
            return Binary(COMPARISONS[self._next()], left, self._sum())
        if self._take_word("IS"):
            negated = self._take_word("NOT")
            self._expect_word("NULL")
            return IsNull(left, negated)
        negated = self._take_word("NOT")
        if self._take_word("IN"):
            self._expect("(")
            return In(left, self._list(), negated)
        if self._take_word("BETWEEN"):
            low = self._sum()
            self._expect_word("AND")
            return Between(left, low, self._sum(), negated)
        if self._take_word("LIKE"):
            pattern = self._sum()
            return Like(left, pattern, self._sum() if self._take_word("ESCAPE") else None, negated)
        if negated:
            raise self._unexpected()
        return left

    def _list(self) -> tuple[Node, ...]:
        """Expressions up to the closing parenthesis, at least one."""
        items = [self._disjunction()]
        while self._take(","):
            items.append(self._disjunction())
        self._expect(")")
        return tuple(items)

    def _sum(self) -> Node:
        node = self._product()
        while self._is_operator("+", "-", "&", "|", "^"):
            operator = self._next()
            node = Binary(operator, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._unary()
        while self._is_operator("*", "/", "%"):
            operator = self._next()
            node = Binary(operator, node, self._unary())
        return node

    def _unary(self) -> Node:
        operators: list[str] = []
        while self._is_operator("+", "-", "~"):
            operators.append(self._next())
        node = self._primary()
        while self._take_word("COLLATE"):
            if self._kind is not Token.WORD:
                raise self._unexpected()
            node = Collate(node, self._next())
        for operator in reversed(operators):
            node = Unary(operator, node)
        return node

    def _primary(self) -> Node:
        kind = self._kind
        if kind in {Token.STRING, Token.NATIONAL, Token.NUMBER, Token.MONEY, Token.BINARY}:
            return Literal(kind, self._next())
        if self._take("("):
            node = self._disjunction()
            self._expect(")")
            return node
        if kind is Token.QUOTED:
            return self._named()
        if kind is not Token.WORD:
            raise self._unexpected()
        word = self._value.upper()
        if word == "NULL":
            self._at += 1
            return Null()
        if word == "CASE":
            return self._case()
        if word == "NEXT":
            return self._next_value()
        if word in _BARE_FUNCTIONS and self._tokens[self._at + 1] != (Token.OPERATOR, "."):
            return Call((), self._next(), ())
        if word in {"CAST", "CONVERT"} and self._tokens[self._at + 1] == (Token.OPERATOR, "("):
            return self._cast() if word == "CAST" else self._convert()
        if word in _RESERVED:
            raise self._unexpected()
        return self._named()

    def _name(self) -> tuple[str, ...]:
        parts = []
        while True:
            if self._kind not in {Token.WORD, Token.QUOTED}:
                raise self._unexpected()
            parts.append(self._next())
            if not self._take("."):
                return tuple(parts)

    def _named(self) -> Node:
        parts = self._name()
        if not self._take("("):
            return Name(parts)
        arguments: tuple[Node, ...] = () if self._take(")") else self._list()
        if self._is_operator(".", "(") or self._is_word("OVER", "WITHIN"):
            raise self._unexpected()
        return Call(parts[:-1], parts[-1], arguments)

    def _case(self) -> Node:
        self._at += 1
        operand = None if self._is_word("WHEN") else self._disjunction()
        branches = []
        while self._take_word("WHEN"):
            condition = self._disjunction()
            self._expect_word("THEN")
            branches.append((condition, self._disjunction()))
        default = self._disjunction() if self._take_word("ELSE") else None
        self._expect_word("END")
        if not branches:
            raise self._unexpected()
        return Case(operand, tuple(branches), default)

    def _next_value(self) -> Node:
        self._at += 1
        self._expect_word("VALUE")
        self._expect_word("FOR")
        return NextValue(self._name())

    def _cast(self) -> Node:
        self._at += 2
        operand = self._disjunction()
        self._expect_word("AS")
        type_ = self._type()
        self._expect(")")
        return Convert(operand, type_, None)

    def _convert(self) -> Node:
        self._at += 2
        type_ = self._type()
        self._expect(",")
        operand = self._disjunction()
        style = self._disjunction() if self._take(",") else None
        self._expect(")")
        return Convert(operand, type_, style)

    def _type(self) -> SqlType:
        parts = self._name()
        numbers: list[str] = []
        if self._take("("):
            while True:
                if self._kind is not Token.NUMBER and not self._is_word("MAX"):
                    raise self._unexpected()
                numbers.append(self._next().lower())
                if not self._take(","):
                    break
            self._expect(")")
        if len(parts) != 1:
            raise Refused(f"the type {'.'.join(parts)} is user-defined")
        return _declared_type(parts[0].lower(), numbers)


# --- types as they are written -----------------------------------------------------------------------------

#: other names of types
SYNONYMS = {
    "numeric": "decimal", "dec": "decimal", "integer": "int", "character": "char", "sysname": "nvarchar",
}  # fmt: skip
_PLAIN_TYPES = {
    name: SqlType(name)
    for name in (
        "bit", "tinyint", "smallint", "int", "bigint", "money", "smallmoney", "real", "date", "smalldatetime",
        "datetime", "uniqueidentifier",
    )
}  # fmt: skip
_LENGTH_TYPES = {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}
#: types with a number of fractional digits
SCALED_TIMES = {"time", "datetime2", "datetimeoffset"}


def decimal_type(precision: int, scale: int = 0) -> SqlType:
    """A decimal type. Raises Refused where T-SQL has none such."""
    if not (1 <= precision <= 38 and 0 <= scale <= precision):
        raise Refused(f"decimal({precision},{scale}) is beyond T-SQL's 38 digits")
    return SqlType("decimal", 17, precision, scale)


def sized_type(name: str, characters: int) -> SqlType:
    """A string or binary type of so many characters, -1 for (max)."""
    return SqlType(name, characters * 2 if name in {"nchar", "nvarchar"} and characters > 0 else characters)


def _declared_type(name: str, numbers: Sequence[str]) -> SqlType:
    """A type as CAST and CONVERT write it, with T-SQL's defaults ("CAST and CONVERT": n is 30 when left out)."""
    name = SYNONYMS.get(name, name)
    written = f"{name}({','.join(numbers)})" if numbers else name
    if name in _PLAIN_TYPES and not numbers:
        return _PLAIN_TYPES[name]
    allowed = 2 if name == "decimal" else 1
    if name not in {"decimal", "float"} | _LENGTH_TYPES | SCALED_TIMES or len(numbers) > allowed:
        raise Refused(f"the type {written} is not one that this tool converts to")
    if numbers == ["max"]:
        if name not in {"varchar", "nvarchar", "varbinary"}:
            raise Refused(f"the type {written} is not one that this tool converts to")
        return SqlType(name, -1)
    if not all(number.isdigit() for number in numbers):
        raise Refused(f"the type {written} is not one that this tool converts to")
    sizes = [int(number) for number in numbers]
    if name == "decimal":
        return decimal_type(*sizes) if sizes else decimal_type(18)
    if name == "float":
        return SqlType("real") if sizes and sizes[0] <= 24 else SqlType("float", 8, 53)
    if name in SCALED_TIMES:
        return SqlType(name, scale=sizes[0] if sizes else 7)
    return sized_type(name, sizes[0] if sizes else 30)

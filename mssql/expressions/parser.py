"""T-SQL's scalar expressions, as the catalog holds them, read into a tree.

The parser is our own, because T-SQL's scalar grammar is small and general SQL parsers drop what decides a
value here: GETDATE and GETUTCDATE become one node, `real` becomes `float`, `&` and COLLATE get another
precedence, PostgreSQL's `::` passes for CAST.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re

from mssql.expressions.babelfish import cast_of, restored
from mssql.expressions.tree import (
    AT_TIME_ZONE,
    COMPARISONS,
    Between,
    Binary,
    Call,
    Case,
    Collate,
    Convert,
    In,
    IsNull,
    Like,
    Literal,
    Logical,
    Name,
    NextValue,
    Node,
    Not,
    Null,
    Refused,
    Token,
    Unary,
)
from mssql.expressions.types import DATETIME, declared_type


def parse(text: str) -> Node:
    """The whole text as one expression. Raises Refused where it is not one that this tool reads."""
    return _Parser(text).parse()


_TOKENS = re.compile(
    r"""(?P<space>\s+)
    | (?P<NATIONAL>[Nn]'(?:[^']|'')*')
    | (?P<STRING>'(?:[^']|'')*')
    | \{\s*(?:d|ts)\s*(?P<ODBC>'[^']*')\s*\}
    | (?P<QUOTED>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")
    | (?P<BINARY>0[xX][0-9A-Fa-f]*(?!\w))
    | (?P<MONEY>\$\d+(?:\.\d*)?(?![\w.]|,\d))
    | (?P<NUMBER>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<WORD>(?:@@)?[^\W\d][\w$\#@]*)
    | (?P<OPERATOR><>|!=|!<|!>|<=|>=|!?~~\*?|\|\||::|--|/\*|[-+*/%&|^~=<>().,])""",
    re.VERBOSE,
)

_COMMENTS = {"--", "/*"}
#: how Babelfish writes IN and NOT IN
_ARRAYS = {"=": "ANY", "<>": "ALL"}
#: how Babelfish writes LIKE and NOT LIKE
_LIKES = {"~~": False, "~~*": False, "!~~": True, "!~~*": True}


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
        if value in _COMMENTS:
            raise Refused("it holds a comment")
        if kind in {"NATIONAL", "STRING"} and re.search(r"\\\r?\n", value):
            raise Refused("a text is continued on the next line by a backslash")
        if kind == "NATIONAL":
            value = value[2:-1].replace("''", "'")
        elif kind == "STRING":
            value = value[1:-1].replace("''", "'")
        elif kind == "ODBC":
            value = match["ODBC"][1:-1]
        elif kind == "QUOTED":
            value = value[1:-1].replace(value[-1] * 2, value[-1])
        elif kind in {"MONEY", "BINARY"}:
            value = value[1:] if kind == "MONEY" else value[2:]
        found.append((Token[kind], value))
    found.append((Token.END, ""))
    return found


def _excerpt(text: str) -> str:
    """A short piece of a text for a message."""
    return repr(text if len(text) <= 30 else text[:30] + "…")


_BARE_FUNCTIONS = {"CURRENT_TIMESTAMP", "CURRENT_USER", "SESSION_USER", "SYSTEM_USER", "USER"}
_RESERVED = {
    "ALL", "AND", "ANY", "AS", "BETWEEN", "BY", "CASE", "COLLATE", "CONTAINS", "CURRENT_DATE", "CURRENT_TIME",
    "DISTINCT", "ELSE", "END", "ESCAPE", "EXISTS", "FOR", "FREETEXT", "FROM", "IN", "IS", "LIKE", "NOT", "OR",
    "OVER", "SELECT", "SOME", "THEN", "VALUES", "WHEN", "WHERE", "WITHIN",
}  # fmt: skip
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
        return restored(node)

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
        return Refused(f"{self._value!r} is not understood here")

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
            operator = COMPARISONS[self._next()]
            if operator in _ARRAYS and self._take_word(_ARRAYS[operator]):
                return In(left, self._array(), negated=operator == "<>")
            return Binary(operator, left, self._sum())
        if self._kind is Token.OPERATOR and self._value in _LIKES:
            return Like(left, negated=_LIKES[self._next()], pattern=self._sum(), escape=None)
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

    def _array(self) -> tuple[Node, ...]:
        """The items of IN as Babelfish has them: `(ARRAY[1, 2])`, of which the tokens make a name in brackets."""
        self._expect("(")
        if not self._take_word("ARRAY") or self._kind is not Token.QUOTED:
            raise self._unexpected()
        items = _Parser(f"{self._next()})")._list()
        self._expect(")")
        return items

    def _list(self) -> tuple[Node, ...]:
        """Expressions up to the closing parenthesis, at least one."""
        items = [self._disjunction()]
        while self._take(","):
            items.append(self._disjunction())
        self._expect(")")
        return tuple(items)

    def _sum(self) -> Node:
        node = self._product()
        while self._is_operator("+", "-", "&", "|", "^", "||"):
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
        while self._is_operator("+", "-", "~", "~~"):
            operators.extend(self._next())
        node = self._primary()
        while True:
            if self._take("::"):
                node = cast_of(node, *self._type_name())
            elif self._take_word("COLLATE"):
                if self._kind not in {Token.WORD, Token.QUOTED}:
                    raise self._unexpected()
                node = Collate(node, self._next())
            elif self._take_word("AT"):
                self._expect_word("TIME")
                self._expect_word("ZONE")
                node = Call((), AT_TIME_ZONE, (node, self._primary()))
            else:
                break
        for operator in reversed(operators):
            node = Unary(operator, node)
        return node

    def _primary(self) -> Node:
        kind = self._kind
        if kind in {Token.STRING, Token.NATIONAL, Token.NUMBER, Token.MONEY, Token.BINARY}:
            return Literal(kind, self._next())
        if kind is Token.ODBC:
            # Year, month and day in any language ("datetime", ODBC).
            return Convert(Literal(Token.STRING, self._next()), DATETIME, Literal(Token.NUMBER, "121"))
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
        if word.removeprefix("TRY_") in {"CAST", "CONVERT"} and self._tokens[self._at + 1] == (Token.OPERATOR, "("):
            node = self._cast() if word.endswith("CAST") else self._convert()
            return Call((), "TRY_CONVERT", (node,)) if word.startswith("TRY_") else node
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
            return Call((), parts[0], ()) if parts[0].startswith("@@") else Name(parts)
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
        # SQL Server stores CAST as CONVERT with its types in brackets: without them it is PostgreSQL's numeric.
        is_postgres = self._is_word("NUMERIC")
        name, numbers = self._type_name()
        self._expect(")")
        return cast_of(operand, name, numbers) if is_postgres else Convert(operand, declared_type(name, numbers), None)

    def _convert(self) -> Node:
        self._at += 2
        name, numbers = self._type_name()
        self._expect(",")
        operand = self._disjunction()
        style = self._disjunction() if self._take(",") else None
        self._expect(")")
        return Convert(operand, declared_type(name, numbers), style)

    def _type_name(self) -> tuple[str, list[str]]:
        """A type's name in lower case, and what stands in parentheses behind it."""
        parts = self._name()
        words = [parts[-1].lower(), *self._further_words()]
        numbers: list[str] = []
        if self._take("("):
            while True:
                if self._kind is not Token.NUMBER and not self._is_word("MAX"):
                    raise self._unexpected()
                numbers.append(self._next().lower())
                if not self._take(","):
                    break
            self._expect(")")
        if len(parts) > 1 and (len(parts) > 2 or parts[0].lower() not in {"sys", "pg_catalog"}):
            raise Refused(f"the type {'.'.join(parts)} is user-defined")
        return " ".join([*words, *self._further_words()]), numbers

    def _further_words(self) -> list[str]:
        """The rest of a type's name in several words: `character varying`, `timestamp(3) without time zone`."""
        words = []
        while self._is_word("VARYING", "PRECISION", "WITHOUT", "WITH", "TIME", "ZONE"):
            words.append(self._next().lower())
        return words

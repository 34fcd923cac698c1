"""One expression written again in PostgreSQL's SQL, each kind of node by the module of its family."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from model.catalog import DEFAULT_SCHEMA, Column, SqlType
from mssql.expressions import choices, dates, json_functions, numbers, session, text_building, text_functions, tries
from mssql.expressions.conditions import between, compare, in_list
from mssql.expressions.constants import literal_value
from mssql.expressions.context import Context, Function, Kind
from mssql.expressions.conversions import cast
from mssql.expressions.like import FUNCTIONS as PATTERN_FUNCTIONS
from mssql.expressions.like import comparison_of_patindex, like
from mssql.expressions.operators import operate, signed
from mssql.expressions.refusals import REASONS
from mssql.expressions.single_characters import between_characters, with_ranges
from mssql.expressions.tree import (
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
    Unary,
)
from mssql.expressions.types import PRECEDENCE, STRINGS, normalised
from mssql.expressions.values import NULL, Condition, Notes, Value, Volatility, quoted
from mssql.expressions.week_days import day_of_any_week

Quote = Callable[[str], str]
SequenceName = Callable[[str, str], str]

#: every function that is translated, by its name in T-SQL
_FUNCTIONS: dict[str, Function] = {
    **dates.FUNCTIONS,
    **session.FUNCTIONS,
    **choices.FUNCTIONS,
    **text_functions.FUNCTIONS,
    **text_building.FUNCTIONS,
    **json_functions.FUNCTIONS,
    **tries.FUNCTIONS,
    **PATTERN_FUNCTIONS,
    **numbers.FUNCTIONS,
}


@dataclass(frozen=True)
class Writer:
    """Writes one parsed expression; `notes` gathers what the outcome relies on."""

    kind: Kind
    target_version: int
    columns: Sequence[Column] = ()
    quote: Quote | None = None
    sequence_name: SequenceName | None = None
    notes: Notes = field(default_factory=Notes)

    @property
    def context(self) -> Context:
        """What the families' modules are given."""
        return Context(self.kind, self.target_version, self.notes, self.value, self.condition)

    def condition(self, node: Node, accepting: bool | None) -> Condition:
        """A predicate. `accepting` is True where it may be true of more rows than on the source, False where of fewer,
        `None` where of neither."""
        if isinstance(node, Logical):
            operands = with_ranges(self.context, node.parts) if node.operator == "AND" else node.parts
            parts = [self.condition(part, accepting) for part in operands]
            if len(parts) == 1:
                return parts[0]
            return Condition(f" {node.operator} ".join(part.operand for part in parts))
        if isinstance(node, Not):
            inner = self.condition(node.operand, None if accepting is None else not accepting)
            return Condition(f"NOT {inner.operand}")
        if isinstance(node, IsNull):
            return Condition(f"{self._nullable(node.operand)} IS {'NOT ' if node.negated else ''}NULL")
        if isinstance(node, Binary) and node.operator in COMPARISONS.values():
            found = comparison_of_patindex(self.context, node, accepting)
            if found is not None:
                return found
            return compare(self.notes, node.operator, self.value(node.left), self.value(node.right))
        if isinstance(node, In):
            return in_list(self.context, node)
        if isinstance(node, Between):
            of_characters = between_characters(self.context, node)
            if of_characters is not None:
                return like(self.context, of_characters, accepting)
            return between(self.context, node)
        if isinstance(node, Like):
            return like(self.context, node, accepting)
        raise Refused("a value stands where T-SQL wants a condition")

    def value(self, node: Node) -> Value:
        """A scalar."""
        if isinstance(node, Literal):
            return literal_value(node)
        if isinstance(node, Null):
            return NULL
        if isinstance(node, Name):
            return self._column(node)
        if isinstance(node, Unary):
            return signed(self.context, node)
        if isinstance(node, Binary) and node.operator not in COMPARISONS.values():
            return day_of_any_week(self.context, node) or operate(
                self.notes, node.operator, self.value(node.left), self.value(node.right)
            )
        if isinstance(node, Convert):
            return cast(self.context, node)
        if isinstance(node, Case):
            return choices.case(self.context, node)
        if isinstance(node, Collate):
            inner = self.value(node.operand)
            return replace(inner, collation=node.collation, has_explicit_collation=True)
        if isinstance(node, NextValue):
            return self._next_value(node)
        if isinstance(node, Call):
            return self._call(node)
        raise Refused("a condition stands where T-SQL wants a value")

    def _nullable(self, node: Node) -> str:
        """What stands before IS NULL: any column at all, or a value."""
        if isinstance(node, Name):
            return self._column_name(node)[1]
        return self.value(node).operand

    def _column_name(self, node: Name) -> tuple[Column, str]:
        name = ".".join(node.parts)
        if self.kind is Kind.DEFAULT or self.quote is None:
            raise Refused(f"a default cannot name a column ({name})")
        if len(node.parts) != 1:
            raise Refused(f"{name} is not a column of the table")
        found = [column for column in self.columns if column.name == name] or [
            column for column in self.columns if column.name.casefold() == name.casefold()
        ]
        if len(found) != 1:
            raise Refused(f"{name} is not a column of the table" if not found else f"{name} names several columns")
        if found[0].computed is not None and self.kind is Kind.COMPUTED:
            raise Refused(f"{name} is a computed column, which no generated column may use")
        return found[0], self.quote(found[0].name)

    def _column(self, node: Name) -> Value:
        column, sql = self._column_name(node)
        type_ = normalised(column.type)
        if type_.is_clr or type_.name not in PRECEDENCE:
            raise Refused(
                f"{column.name} is of type {column.type}, which has no counterpart in PostgreSQL's expressions"
            )
        return Value(
            sql,
            type_,
            collation=column.collation if type_.name in STRINGS else None,
            is_trimmed=type_.name in {"char", "nchar"},
        )

    def _next_value(self, node: NextValue) -> Value:
        name = ".".join(node.parts)
        if self.sequence_name is None or len(node.parts) > 2:
            raise Refused(f"the sequence {name} cannot be used here")
        schema = node.parts[0] if len(node.parts) == 2 else DEFAULT_SCHEMA
        try:
            target = self.sequence_name(schema, node.parts[-1])
        except LookupError:
            raise Refused(f"the sequence {name} is not known") from None
        self.notes.uses(Volatility.VOLATILE)
        return Value(f"nextval({quoted(target)}::regclass)", SqlType("bigint"))

    def _call(self, node: Call) -> Value:
        name = node.name.upper()
        if node.schema:
            raise Refused(f"the function {'.'.join([*node.schema, node.name])} is user-defined")
        function = _FUNCTIONS.get(name)
        if function is None:
            reason, suggestion = REASONS.get(name, (f"the function {name} is not translated", None))
            raise Refused(reason, suggestion)
        try:
            if not function.least <= len(node.arguments) <= function.most:
                raise Refused(f"the function {name} has {len(node.arguments)} arguments, which is not expected")
            return function.write(self.context, node.arguments)
        except Refused as refusal:
            if name in refusal.reason:
                raise
            raise Refused(f"{refusal.reason} (in {name})", refusal.suggestion) from None

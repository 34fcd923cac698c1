"""The day of the week in a form that DATEFIRST does not change.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from collections.abc import Iterator

from mssql.expressions.context import Context
from mssql.expressions.dates import date_argument, part_name
from mssql.expressions.tree import Binary, Call, Node
from mssql.expressions.types import DATETIME, INT
from mssql.expressions.values import Value


def day_of_any_week(context: Context, node: Binary) -> Value | None:
    """(DATEPART(weekday, d) + @@DATEFIRST + n) % 7, which is the same whatever day a week begins with ("SET
    DATEFIRST"); None for anything else."""
    if node.operator != "%" or context.value(node.right).constant != 7:
        return None
    terms = list(_terms(node.left, 1))
    calls = {_name(term): term for sign, term in terms if sign == 1 and _name(term)}
    rest = [(sign, term) for sign, term in terms if not _name(term)]
    weekday = calls.get("DATEPART")
    if set(calls) != {"DATEPART", "@@DATEFIRST"} or len(terms) != len(rest) + 2 or not isinstance(weekday, Call):
        return None
    numbers = [(sign, context.value(term).constant) for sign, term in rest]
    shift = sum(sign * number for sign, number in numbers if isinstance(number, int))
    if part_name(weekday.arguments[0]) != "weekday" or not all(isinstance(number, int) for _, number in numbers):
        return None
    if shift < -2:
        # The remainder may be negative.
        return None
    value = date_argument(context, weekday.arguments[1], DATETIME)
    return Value(f"(extract(dow from {value.sql})::integer + {(shift + 1) % 7}) % 7", INT, is_atom=False)


def _terms(node: Node, sign: int) -> Iterator[tuple[int, Node]]:
    if isinstance(node, Binary) and node.operator in {"+", "-"}:
        yield from _terms(node.left, sign)
        yield from _terms(node.right, sign if node.operator == "+" else -sign)
    else:
        yield sign, node


def _name(node: Node) -> str:
    return node.name.upper() if isinstance(node, Call) and not node.schema else ""

"""What a T-SQL type is on the source, whatever a column of it becomes. Imports nothing but plain data.

The values stand in `type_mapping.MAPPINGS`, beside the way that each type takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.catalog import Form

#: kinds of values that T-SQL can write as literals without loss, so that a table can be cut by a key of them
KeyKind = Literal["integer", "decimal", "amount", "date", "timestamp", "uuid", "text"]


@dataclass(frozen=True)
class Traits:
    """One type's traits; each default is what most types are.

    Sources: Microsoft, "Data types (Transact-SQL)" and the pages of the types.
    """

    #: how a value of a key is written as a literal; None where a table is not cut by such keys
    key: KeyKind | None = None
    #: characters in a collation: compared, searched and measured as text
    is_text: bool = False
    #: kept as UTF-16, so that it may hold half a surrogate pair; other text is of a code page, or checked by the server
    is_wide: bool = False
    #: the length of a text, in characters, that its type is not declared with
    own_characters: int | None = None
    #: texts and binaries whose values all have the declared length
    is_fixed_size: bool = False
    #: the old large types, which T-SQL neither compares nor searches; `max_length` is that of a pointer
    is_pointer: bool = False
    #: a time or timestamp that is declared with up to seven fractional digits, of which PostgreSQL keeps six
    may_have_seventh_digit: bool = False
    #: fractional digits of a timestamp that is not declared with a number of them
    own_digits: int | None = None
    #: a date and time with an offset, which is read as its instant, with seven digits
    has_offset: bool = False
    #: bytes of an amount of money, which has its own form in the protocol and in a driver's hands
    money_bytes: int | None = None
    #: lowest and highest whole number, where PostgreSQL's type holds more
    range: tuple[int, int] | None = None
    #: how T-SQL writes its size, for a type that is not one of T-SQL's own names (`catalog.FORMS`)
    form: Form | None = None
    #: what a person should know of every column of the type, whichever way it takes
    remark: str | None = None


#: of most types, and of those that are not known
USUAL = Traits()

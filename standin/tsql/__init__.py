"""T-SQL queries translated into DuckDB's SQL.

sqlglot parses T-SQL (`parser`); the tree is walked from `queries` through `conditions` and `expressions`, and DuckDB's
text written, knowing the T-SQL type of every value on the way: the type decides what `+` means, how texts become
numbers, and as what the result travels. Names are resolved here too (`scopes`), so that a wrong one gets SQL Server's
error. A function of T-SQL stands in the module of its subject.
"""

from standin.tsql.context import Facts
from standin.tsql.parser import parse, split_batch
from standin.tsql.translation import Translation, translate

__all__ = ["Facts", "Translation", "parse", "split_batch", "translate"]

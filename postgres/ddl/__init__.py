"""catalog → PostgreSQL's DDL, with a finding for every object of the source. Pure: nothing is touched.

What the schema phase runs, what `--dry-run` prints and what the report says come from the same plan.
Expressions arrive translated (`Expressions`), because T-SQL is none of this package's business.
"""

from postgres.ddl.collations import in_expressions
from postgres.ddl.keys_and_indexes import NULLS_NOT_DISTINCT_SINCE
from postgres.ddl.plan import Expressions, NamedStep, SchemaPlan, Step, TablePlan
from postgres.ddl.planning import plan_schema
from postgres.ddl.psql_script import script
from postgres.ddl.relation_names import RelationNames, sequence_name, sequence_target
from postgres.ddl.statements import create_schema, drop_constraint, drop_table
from postgres.ddl.types import column_type, has_native_identity

__all__ = [
    "NULLS_NOT_DISTINCT_SINCE", "Expressions", "NamedStep", "RelationNames", "SchemaPlan", "Step", "TablePlan",
    "column_type", "create_schema", "drop_constraint", "drop_table", "has_native_identity", "in_expressions",
    "plan_schema", "script", "sequence_name", "sequence_target",
]  # fmt: skip

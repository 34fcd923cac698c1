"""A live table is made equal to its staging table: exactly the rows that differ are written, in one transaction.

Whoever reads the live table sees it as it was until the transaction commits, and never waits.
"""

from postgres.merging.applying import Applied, apply
from postgres.merging.description import Merge, Merges, describe, read_merges
from postgres.merging.obstacles import obstacles_of
from postgres.merging.staging_table import create_staging

__all__ = ["Applied", "Merge", "Merges", "apply", "create_staging", "describe", "obstacles_of", "read_merges"]

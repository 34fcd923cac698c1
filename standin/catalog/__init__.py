"""The stand-in's `sys` schema, computed from a declared database.

Every view has the columns, types and values that Microsoft documents for it; what the stand-in cannot know (dates,
sizes on disk) is constant. `system_tables` gives the views as plain tables, `METADATA_FUNCTIONS` what OBJECT_ID() and
its like read them by.
"""

from standin.catalog.metadata_functions import METADATA_FUNCTIONS
from standin.catalog.system_tables import SystemTable, system_tables

__all__ = ["METADATA_FUNCTIONS", "SystemTable", "system_tables"]

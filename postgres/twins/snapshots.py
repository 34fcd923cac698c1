"""Who would see nothing of new rows: whoever looks at the database as it was before they were committed.

The names and definitions of tables change for everybody at once; rows do not. To a transaction of REPEATABLE READ, or a
function that reads in the middle of a long query, a table exchanged meanwhile would be empty if the twin was loaded
after it began. Source: PostgreSQL, "Concurrency Control", Caveats.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from postgres.locks import Holder

# Between two statements of READ COMMITTED nobody holds a snapshot. Whether others' transactions are old is told only to
# those who may see it; the rest is left out, or a busy server would never let anything be exchanged.
OLDER = """
SELECT a.pid, 'snapshot', coalesce(nullif(a.application_name, ''), a.backend_type, ''), coalesce(a.usename, ''),
       coalesce(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80), '')
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND a.backend_xmin IS NOT NULL AND a.xact_start < %s
ORDER BY a.pid
"""


def older_readers(cursor: Any, since: datetime) -> list[Holder]:
    """Transactions that began before `since`, by the server's clock, and still look at the database as it was then.

    In the caller's transaction. An exchange had better wait for them if the twins were loaded after `since`.
    Raises psycopg2.Error.
    """
    # Else it is what the transaction saw when it asked first. PostgreSQL, "The Cumulative Statistics System".
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(OLDER, (since,))
    return [Holder(*row) for row in cursor.fetchall()]

"""Everything that can go wrong, on one page: what it means, which exit code it has, whether it may pass by itself.

The message of each is for a person: what failed, in the server's words where it has some, and what to do next. An error
travels between processes, so whatever it carries is its first argument or an attribute.

Not here: `postgres.locks.LockNotHadError`, which must be one of psycopg2's own, and what a single module raises for
itself to catch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from model.catalog import Column

ALL_DONE, SOME_FAILED, BAD_ARGUMENTS, UNREACHABLE, LOCKED = range(5)
TIME_IS_UP = 5


class ReplicationError(Exception):
    """Anything that this tool foresees.

    `exit_code` is that of a run which it ends. `is_temporary` says whether another attempt may succeed.
    """

    exit_code: ClassVar[int] = SOME_FAILED
    #: SQL Server's own numbers of the error, where it gave some
    numbers: frozenset[int] = frozenset()

    def __init__(self, words: str, is_temporary: bool = False) -> None:
        super().__init__(words)
        self.is_temporary = is_temporary

    @property
    def is_shortage(self) -> bool:
        """Whether the source lacks memory, locks or workers, so that another attempt made soon would only add to it."""
        return bool(self.numbers & SHORTAGES.keys())


# -- what may pass by itself ---------------------------------------------------------------------------

#: SQL Server's errors of a shortage, which takes minutes to pass rather than seconds: another attempt made at once only
#: adds to it. Azure's own advice begins at ten seconds ("Transient errors", of 40501). In brackets the page that
#: documents an error; "events" is Microsoft's "Database Engine events and errors", "provider" its "Built-in retry logic
#: providers in SqlClient", "limits" its "Resource management in Azure SQL Database".
SHORTAGES: Mapping[int, str] = {
    701: "not enough memory to run the query [MSSQLSERVER_701]",
    1204: "no lock can be had: memory or the setting `locks` is used up [MSSQLSERVER_1204, provider]",
    8628: "timed out waiting to optimize the query [events, 8000 to 8999]",
    8645: "timed out waiting for memory to run the query [MSSQLSERVER_8645]",
    8651: "the memory asked for is more than the resource pool has left [Troubleshooting Resource Governor]",
    10928: "limit of workers or sessions reached [limits, provider]",
    10929: "too busy for more than the guaranteed minimum [limits, provider]",
    10936: "limit of the elastic pool's requests reached [limits]",
    40501: "the service is busy [Transient errors, provider]",
    49918: "not enough resources to process the request [Transient errors, provider]",
    49919: "too many operations under way to create or change [Transient errors, provider]",
    49920: "too many operations under way [Transient errors, provider]",
}
#: SQL Server's further errors that pass by themselves, with the same brackets; "in-memory" is Microsoft's "Transactions
#: with memory-optimized tables", "retry logic" its "Retry logic and connection resiliency with mssql-django"
TEMPORARY_NUMBERS: Mapping[int, str] = {
    **SHORTAGES,
    64: "the connection broke while logging in [retry logic]",
    233: "the connection broke before the login [retry logic, provider]",
    615: "the database is moved, its table of names is not yet known [Transient errors]",
    976: "the replica is not open for queries, data movement is suspended or not begun [events, 0 to 999]",
    983: "the replica is neither primary nor secondary while it changes its role [events, 0 to 999]",
    1205: "deadlock victim [MSSQLSERVER_1205, provider]",
    1222: "a lock was not had in time [MSSQLSERVER_1222, provider]",
    3960: "conflict of two updates under SNAPSHOT [events, 3000 to 3999]",
    4221: "a readable replica lacks row versions while it starts [Transient errors, provider]",
    10053: "the connection was aborted [retry logic]",
    10054: "the connection was reset [retry logic]",
    10060: "the server did not answer in time [retry logic, provider]",
    40143: "the connection could not be initialized, a failover [provider]",
    40197: "the service failed over or is upgraded [Transient errors, provider]",
    40540: "the service failed over while it worked on the request [provider]",
    40613: "the database is not available at the moment [Transient errors, provider]",
    41301: "a transaction that this one depends on was rolled back [in-memory]",
    41302: "the row was changed since the transaction began [in-memory]",
    41305: "repeatable reads could not be kept up to the commit [in-memory]",
    41325: "serializable reads could not be kept up to the commit [in-memory]",
    41839: "too many transactions depend on each other [in-memory]",
}
#: ODBC's states: link failures, timeouts, serialization failure (Microsoft, "Appendix A: ODBC Error Codes")
TEMPORARY_ODBC_STATES = frozenset({"08S01", "08001", "08007", "HYT00", "HYT01", "40001"})
#: PostgreSQL's, beside class 08: shutdowns and start-up, too many connections, serialization failures and deadlocks, a
#: lock not had in time (PostgreSQL, "PostgreSQL Error Codes")
TEMPORARY_SQLSTATES = frozenset({"57P01", "57P02", "57P03", "53300", "40001", "40P01", "55P03"})


def is_temporary_sqlstate(code: str) -> bool:
    """Whether a PostgreSQL error of this SQLSTATE may pass by itself."""
    return code.startswith("08") or code in TEMPORARY_SQLSTATES


@dataclass(frozen=True)
class OdbcDiagnosis:
    """What a driver or SQL Server said: its words for a person, its error numbers, its ODBC states."""

    words: str
    numbers: frozenset[int]
    states: frozenset[str]

    @property
    def is_temporary(self) -> bool:
        """Whether it may pass by itself: lost connections, deadlocks, failovers, throttling."""
        return bool(self.numbers & TEMPORARY_NUMBERS.keys() or self.states & TEMPORARY_ODBC_STATES)


# -- the run cannot be carried out as it was asked for: nothing was touched ----------------------------


class RunRefusedError(ReplicationError):
    """What was asked for cannot be carried out; the message says why and what would be right."""

    exit_code = BAD_ARGUMENTS


class UsageError(RunRefusedError):
    """The arguments cannot be carried out."""


class SettingsError(RunRefusedError):
    """A setting is missing or wrong; the message names it."""


class TypeMapError(SettingsError):
    """The type map cannot be read or carried out; the message names the entry."""


class NotInstalledError(RunRefusedError):
    """A package or a library that the run needs is missing; the message says how it is installed."""


class ProgressFileError(RunRefusedError):
    """The progress file cannot be used as it is; the message names the line and the way out."""


class TablesMissingError(RunRefusedError):
    """Most tables that a run is about do not exist in the target; the message says how they are made."""


class NoRoomError(RunRefusedError):
    """The target's disk is known to be too small for what the run would stage."""


class OutputError(RunRefusedError):
    """What the run is for cannot be written: standard output, or a file."""


class UnsupportedTypeError(RunRefusedError):
    """Types that cannot be copied; the message names each table, column and type."""


class NameCollisionError(RunRefusedError):
    """Two names of the source become one on the target; the message lists them."""


# -- a server fails the run as a whole -----------------------------------------------------------------


class ServerError(ReplicationError):
    """A server does not do what every run needs of it; the message holds its own words."""

    exit_code = UNREACHABLE


class UnreachableError(ServerError):
    """A server cannot be reached or refuses the login."""

    def __init__(self, words: str, is_temporary: bool = True, numbers: frozenset[int] = frozenset()) -> None:
        super().__init__(words, is_temporary)
        self.numbers = numbers


class NoMoreConnectionsError(UnreachableError):
    """No further connection to the source may be opened, since none could see the session's snapshot."""

    def __init__(self, words: str) -> None:
        super().__init__(words, is_temporary=False)


class CatalogError(ServerError):
    """A server's catalog cannot be read."""


class RecordError(ReplicationError):
    """The schema `replication` of the target cannot be used."""


# -- others are at work --------------------------------------------------------------------------------


class OthersAtWorkError(ReplicationError):
    """Another run that is alive works on the same. `holder` says which run, and on what, in one line."""

    exit_code = LOCKED

    def __init__(self, words: str, holder: str = "") -> None:
        super().__init__(words)
        self.holder = holder


class LockHeldError(OthersAtWorkError):
    """Another run holds the lock of the progress file; the message says who."""


class TablesClaimedError(OthersAtWorkError):
    """Another run works on these tables in the target; the message says which run, and on what."""


class TimeIsUpError(ReplicationError):
    """The time that --stop-at names has come; what is left waits for the next run."""

    exit_code = TIME_IS_UP


# -- one table fails, the run goes on ------------------------------------------------------------------


class TableError(ReplicationError):
    """A table cannot be done. `side` says which of the two is at fault, where it is one of them alone."""

    side: ClassVar[str | None] = None


class SourceError(TableError):
    """The source failed while it was read."""

    side = "the source"

    def __init__(self, words: str, is_temporary: bool = False, numbers: frozenset[int] = frozenset()) -> None:
        super().__init__(words, is_temporary)
        self.numbers = numbers


class PlanningError(SourceError):
    """The source failed while chunks were sought."""


class TargetError(TableError):
    """The target refused the load. Nothing of it was kept."""

    side = "the target"


class ValueRefusedError(TargetError):
    """A value does not fit the target's column; found before it was sent."""

    def __init__(self, words: str, column: str = "") -> None:
        super().__init__(words)
        self.column = column


class UnfitTargetError(TableError):
    """The target's table cannot take the source's rows, or be compared: something is missing, or of another type."""


class LoadLostError(TableError):
    """What a load relies on is not there any more: another run took its table over, or somebody changed the table.

    Nothing of the transaction in which it was found was kept.
    """


class SuspensionError(TableError):
    """Something cannot be suspended, or what was cannot be read or restored."""


class SchemaError(TableError):
    """A table cannot be made, or one that exists does not fit."""


class CancelledError(ReplicationError):
    """The run is stopping, or the task was given up; nothing of it was committed."""

    def __init__(self, words: str = "given up") -> None:
        super().__init__(words)


# -- between modules, never seen by a person -----------------------------------------------------------


class SnapshotError(ReplicationError):
    """A snapshot of the source cannot be had this way; another is tried, or the run is refused."""


class OdbcError(ReplicationError):
    """The driver or the server refused; the words are theirs, as `odbc_words` writes them."""


class InexactError(ReplicationError, ValueError):
    """A number does not fit the type it is asked for; the message says so in Arrow's words."""


class WireError(ReplicationError):
    """A value is not in the form that the source was asked for; the message says how."""


class UnknownDefinitionError(ReplicationError):
    """A recorded definition has not the form that this tool writes down."""

    def __init__(self, words: str = "unknown form") -> None:
        super().__init__(words)


class UnknownNumberError(ReplicationError):
    """A driver handed a number over in a form that is not the one it had before."""


class LoadBegunError(ReplicationError):
    """Another worker of the same run has begun the table's load already."""

    def __init__(self, words: str = "begun already") -> None:
        super().__init__(words)


class DescriptionError(ReplicationError):
    """The driver describes a column as something else than the catalog does; the message says what to do."""


class OtherwiseDescribedError(ReplicationError):
    """The driver describes columns otherwise than was promised; `columns` are as it describes them."""

    def __init__(self, words: str, columns: Sequence[Column] = ()) -> None:
        super().__init__(words)
        self.columns = tuple(columns)


class Stopped(BaseException):
    """A signal asked the run to stop. Not an Exception, so that no table's own handling swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

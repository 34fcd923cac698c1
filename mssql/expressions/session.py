"""What a server gives each call or session: new identifiers, names of users."""

from __future__ import annotations

from model.catalog import SqlType
from mssql.expressions.context import Arguments, Context, Function, Kind
from mssql.expressions.tree import Refused
from mssql.expressions.types import INT, sized_type
from mssql.expressions.values import Notes, Value, Volatility

_ROLE = "the name is that of the PostgreSQL role, not of the SQL Server login or user"


def _newid(context: Context, _: Arguments) -> Value:
    if context.kind is not Kind.DEFAULT:
        raise Refused("a new identifier can be a default only")
    context.notes.uses(Volatility.VOLATILE)
    return Value("gen_random_uuid()", SqlType("uniqueidentifier"))


def _newsequentialid(context: Context, arguments: Arguments) -> Value:
    context.notes.remark("new identifiers are random, not in sequence; PostgreSQL 18 has uuidv7() for ordered ones")
    return _newid(context, arguments)


def _role(notes: Notes, sql: str) -> Value:
    notes.uses(Volatility.STABLE)
    notes.remark(_ROLE)
    # The name is PostgreSQL's, so no code page of the source cuts it: what is_ascii stands for here.
    return Value(f"{sql}::text", sized_type("nvarchar", 128), is_ascii=True)


def _current_user(context: Context, _: Arguments) -> Value:
    return _role(context.notes, "current_user")


def _login(context: Context, _: Arguments) -> Value:
    return _role(context.notes, "session_user")


def _application(context: Context, _: Arguments) -> Value:
    context.notes.uses(Volatility.STABLE)
    context.notes.remark("the application's name is the one that a client gives its PostgreSQL connection")
    return Value("current_setting('application_name')", sized_type("nvarchar", 128), is_ascii=True)


def _database(context: Context, _: Arguments) -> Value:
    context.notes.uses(Volatility.STABLE)
    context.notes.remark("the database's name is that of the PostgreSQL database")
    return Value("current_database()::text", sized_type("nvarchar", 128), is_ascii=True)


#: what @@SPID becomes; it may be beyond smallint, which the source's is
PROCESS_ID = "pg_backend_pid()"


def _process(context: Context, _: Arguments) -> Value:
    context.notes.uses(Volatility.STABLE)
    context.notes.remark("the number of a session is that of its PostgreSQL process")
    return Value(PROCESS_ID, INT)


FUNCTIONS = {
    "APP_NAME": Function(_application, 0, 0),
    "PROGRAM_NAME": Function(_application, 0, 0),
    "DB_NAME": Function(_database, 0, 0),
    "@@SPID": Function(_process, 0, 0),
    "NEWID": Function(_newid, 0, 0),
    "NEWSEQUENTIALID": Function(_newsequentialid, 0, 0),
    "USER_NAME": Function(_current_user, 0, 0),
    "CURRENT_USER": Function(_current_user, 0, 0),
    "USER": Function(_current_user, 0, 0),
    "SESSION_USER": Function(_current_user, 0, 0),
    "SUSER_SNAME": Function(_login, 0, 0),
    "SUSER_NAME": Function(_login, 0, 0),
    "SYSTEM_USER": Function(_login, 0, 0),
    "ORIGINAL_LOGIN": Function(_login, 0, 0),
}

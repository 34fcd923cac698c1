"""Functions that ask about the server, the session and the catalog."""

from __future__ import annotations

from model.catalog import SqlType
from standin.errors import SqlError
from standin.tsql.constants import known_value
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.templates import by_template, known
from standin.tsql.values import Typed
from standin.type_names import INT, NVARCHAR_MAX, SYSNAME


def _server_property(context: Context, arguments: Arguments) -> Typed:
    found = context.statement.facts.properties.get(arguments[0].name.lower())
    # The real type is sql_variant, whose base type is one of these.
    return known_value(context.statement, INT if isinstance(found, int) else SYSNAME, found)


def _variant_property(context: Context, arguments: Arguments) -> Typed:
    value = context.value(arguments[0])
    if arguments[1].name.lower() != "basetype":
        raise SqlError(50000, f"The stand-in knows only the base type of a sql_variant, not {arguments[1].name}.")
    kind = value.kind or INT
    if kind.name == "sql_variant":
        return Typed(f"tds_variant_type({value.sql})", SYSNAME)
    return Typed(f"CASE WHEN {value.sql} IS NOT NULL THEN '{kind.name}' END", SYSNAME)


def _lookup(template: str, kind: SqlType) -> Function:
    """A metadata function: a scalar query over the stand-in's catalog; missing arguments are NULL."""

    def translate(context: Context, arguments: Arguments) -> Typed:
        values = [context.value(argument).sql for argument in arguments]
        values += ["NULL"] * (4 - len(values))
        return Typed(template.format(*values), kind)

    return translate


_ONE, _ZERO = known(INT, lambda _: 1), known(INT, lambda _: 0)
_DBO, _CLIENT = known(SYSNAME, lambda _: "dbo"), known(SYSNAME, lambda _: "client")
_LOGIN, _DATABASE = known(SYSNAME, lambda facts: facts.login), known(SYSNAME, lambda facts: facts.database)

FUNCTIONS: dict[str, Function] = {
    "NEWID": by_template("uuid()", SqlType("uniqueidentifier")),
    "SERVERPROPERTY": _server_property,
    "DB_NAME": _DATABASE,
    "ORIGINAL_DB_NAME": _DATABASE,
    "DB_ID": known(SqlType("smallint"), lambda _: 5),
    "SUSER_SNAME": _LOGIN,
    "SUSER_NAME": _LOGIN,
    "ORIGINAL_LOGIN": _LOGIN,
    "USER_NAME": _DBO,
    "HOST_NAME": _CLIENT,
    "APP_NAME": known(SYSNAME, lambda facts: facts.program),
    "IS_MEMBER": _ONE,
    "IS_ROLEMEMBER": _ONE,
    "IS_SRVROLEMEMBER": _ZERO,
    "HAS_DBACCESS": _ONE,
    "XACT_STATE": _ZERO,
    "SCOPE_IDENTITY": known(SqlType("decimal", precision=38), lambda _: None),
    "HAS_PERMS_BY_NAME": _lookup("sys.tds_has_perms({0}, {2}, {3})", INT),
    "SCHEMA_NAME": _lookup("sys.tds_schema_name(coalesce({0}, 1))", SYSNAME),
    "SCHEMA_ID": _lookup("sys.tds_schema_id(coalesce({0}, 'dbo'))", INT),
    "OBJECT_ID": _lookup("sys.tds_object_id({0})", INT),
    "OBJECT_NAME": _lookup("sys.tds_object_name({0})", SYSNAME),
    "OBJECT_SCHEMA_NAME": _lookup("sys.tds_object_schema({0})", SYSNAME),
    "OBJECT_DEFINITION": _lookup("sys.tds_definition({0})", NVARCHAR_MAX),
    "TYPE_NAME": _lookup("sys.tds_type_name({0})", SYSNAME),
    "TYPE_ID": _lookup("sys.tds_type_id({0})", INT),
    "COL_NAME": _lookup("sys.tds_column_name({0}, {1})", SYSNAME),
    "COL_LENGTH": _lookup("sys.tds_column_length({0}, {1})", SqlType("smallint")),
    "COLUMNPROPERTY": _lookup("sys.tds_column_property({0}, {1}, {2})", INT),
    "OBJECTPROPERTY": _lookup("sys.tds_object_property({0}, {1})", INT),
    "OBJECTPROPERTYEX": _lookup("sys.tds_object_property({0}, {1})", INT),
    "INDEXPROPERTY": _lookup("NULL", INT),
    "DATABASEPROPERTYEX": _lookup("sys.tds_database_property({1})", SYSNAME),
    "IDENT_CURRENT": _lookup("sys.tds_identity({0}, 'last')", SqlType("numeric", precision=38)),
    "IDENT_SEED": _lookup("sys.tds_identity({0}, 'seed')", SqlType("numeric", precision=38)),
    "IDENT_INCR": _lookup("sys.tds_identity({0}, 'increment')", SqlType("numeric", precision=38)),
    "COLLATIONPROPERTY": _lookup(
        "CASE WHEN lower({1}) = 'codepage' THEN CASE WHEN lower({0}) LIKE '%utf8' THEN 65001 ELSE 1252 END"
        " WHEN lower({1}) = 'lcid' THEN 1033 END",
        INT,
    ),
    "SQL_VARIANT_PROPERTY": _variant_property,
    "FULLTEXTSERVICEPROPERTY": _ZERO,
    "CONNECTIONPROPERTY": _lookup("CASE WHEN lower({0}) = 'net_transport' THEN 'TCP' END", SYSNAME),
}

#: those without brackets
NILADIC: dict[str, Function] = {"CURRENT_USER": _DBO, "SESSION_USER": _DBO, "SYSTEM_USER": _LOGIN, "USER": _DBO}

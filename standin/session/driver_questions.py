"""What drivers ask about types and about the columns of a query before they run it."""

from __future__ import annotations

from model.catalog import SqlType
from standin.session.queries import translation_of, wire_types
from standin.session.session import Session
from standin.type_names import INT

# Name, ODBC's code, greatest length or precision, and what stands before a literal.
_DATA_TYPES = (
    ("datetimeoffset", -155, 34, "'"),
    ("time", -154, 16, "'"),
    ("xml", -152, 0, "N'"),
    ("uniqueidentifier", -11, 36, "'"),
    ("ntext", -10, 1073741823, "N'"),
    ("nvarchar", -9, 4000, "N'"),
    ("nchar", -8, 4000, "N'"),
    ("bit", -7, 1, None),
    ("tinyint", -6, 3, None),
    ("bigint", -5, 19, None),
    ("image", -4, 2147483647, "0x"),
    ("varbinary", -3, 8000, "0x"),
    ("binary", -2, 8000, "0x"),
    ("text", -1, 2147483647, "'"),
    ("char", 1, 8000, "'"),
    ("numeric", 2, 38, None),
    ("decimal", 3, 38, None),
    ("int", 4, 10, None),
    ("smallint", 5, 5, None),
    ("float", 6, 53, None),
    ("real", 7, 24, None),
    ("varchar", 12, 8000, "'"),
    ("date", 91, 10, "'"),
    ("datetime2", 93, 27, "'"),
    ("datetime", 93, 23, "'"),
)


def answer_description(session: Session, statement: str) -> None:
    """The few columns of sp_describe_first_result_set that drivers read."""
    query = translation_of(session, statement, {})
    wires = wire_types(session, query)
    rows = [
        (0, number, output.name, int(output.is_nullable), wire.kind.name, str(wire.kind))
        for number, (output, wire) in enumerate(zip(query.outputs, wires, strict=True), 1)
    ]
    text = SqlType("nvarchar", 512)
    columns = {
        "is_hidden": INT,
        "column_ordinal": INT,
        "name": text,
        "is_nullable": INT,
        "base_type_name": text,
        "system_type_name": text,
    }
    session.answer.small_result(columns, rows)


def answer_data_types(session: Session, wanted: int) -> None:
    """sp_datatype_info: drivers ask it for the greatest length of a parameter. 0 wants every type."""
    text, small = SqlType("nvarchar", 256), SqlType("smallint")
    columns = {"TYPE_NAME": text, "DATA_TYPE": small, "PRECISION": INT, "LITERAL_PREFIX": text,
               "LITERAL_SUFFIX": text, "CREATE_PARAMS": text, "NULLABLE": small, "CASE_SENSITIVE": small,
               "SEARCHABLE": small, "UNSIGNED_ATTRIBUTE": small, "MONEY": small, "AUTO_INCREMENT": small,
               "LOCAL_TYPE_NAME": text, "MINIMUM_SCALE": small, "MAXIMUM_SCALE": small, "SQL_DATA_TYPE": small,
               "SQL_DATETIME_SUB": small, "NUM_PREC_RADIX": INT, "INTERVAL_PRECISION": small,
               "USERTYPE": small}  # fmt: skip
    rows = [
        (name, code, size, quote, "'" if quote else None, None, 1, 0, 3, None, 0, None, name, None, None, code,
         None, None, None, 0)
        for name, code, size, quote in _DATA_TYPES
        if wanted in {0, code}
    ]  # fmt: skip
    session.answer.small_result(columns, rows)

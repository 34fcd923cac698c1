"""The drivers that read the stand-in, and a query through each of them."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import arrow_odbc
import pyarrow as pa
import pyodbc
import pytest
from arrow_odbc import TextEncoding

from standin.server import StandIn

OFFSET_TYPE = -155  # SQL_SS_TIMESTAMPOFFSET


def microsoft_driver() -> str | None:
    """The path of Microsoft's driver, or its registered name."""
    try:
        from mssql_python_odbc import get_libs_dir  # noqa: PLC0415 - Windows has no such package
    except ImportError:
        return next((name for name in pyodbc.drivers() if name.startswith("ODBC Driver 1")), None)
    machine = {"AMD64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = sorted(Path(get_libs_dir()).glob(f"**/debian_ubuntu/{machine}/lib/libmsodbcsql*"))
    return str(found[-1]) if found else None


def freetds_driver() -> str | None:
    """The registered name of FreeTDS."""
    return next((name for name in pyodbc.drivers() if name == "FreeTDS"), None)


def installed(name: str) -> str:
    """The driver `microsoft` or `freetds`; a test that needs one that is not there is skipped."""
    found = microsoft_driver() if name == "microsoft" else freetds_driver()
    if found is None:
        pytest.skip(f"the {name} ODBC driver is not installed")
    return found


def connect(source: StandIn, driver: str, **more: Any) -> pyodbc.Connection:
    """A pyodbc connection that shows datetimeoffset as the driver's bytes."""
    opened = pyodbc.connect(source.connection_string(driver, **more), timeout=10, autocommit=True)
    opened.add_output_converter(OFFSET_TYPE, lambda raw: raw)
    return opened


def rows(opened: pyodbc.Connection, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Every row of a query, as tuples."""
    cursor = opened.cursor()
    try:
        cursor.execute(sql, *parameters)
        while cursor.description is None:
            assert cursor.nextset()
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


def value(opened: pyodbc.Connection, sql: str, *parameters: object) -> Any:
    """The only value of a query."""
    ((found,),) = rows(opened, sql, *parameters)
    return found


def arrow(source: StandIn, driver: str, sql: str, parameters: list[str] | None = None) -> pa.Table:
    """A query's answer through arrow-odbc."""
    reader = arrow_odbc.read_arrow_batches_from_odbc(
        query=sql,
        connection_string=source.connection_string(driver),
        parameters=parameters,
        max_text_size=1_000_000,
        max_binary_size=11_000_000,
        batch_size=10,
        payload_text_encoding=TextEncoding.UTF16,
    )
    assert reader is not None
    return pa.Table.from_batches(list(reader), schema=reader.schema)


def error_of(opened: pyodbc.Connection, sql: str, *parameters: object) -> str:
    """The message of the error that a query ends in."""
    with pytest.raises(pyodbc.Error) as caught:
        rows(opened, sql, *parameters)
    return str(caught.value.args[1])

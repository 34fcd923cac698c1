"""A stand-in with the samples, and a connection to it through each driver."""

from __future__ import annotations

from collections.abc import Iterator

import pyodbc
import pytest

from standin.server import StandIn
from tests.standin.clients import connect, installed
from tests.standin.samples import DATABASE, ROWS


@pytest.fixture(params=["microsoft", "freetds"])
def driver(request: pytest.FixtureRequest) -> str:
    """Each of the two drivers."""
    return installed(request.param)


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """A stand-in with one table for the types, one for the catalog, one long one, one that is denied."""
    with StandIn(DATABASE, ROWS, denied=("dbo.Secret",)) as running:
        yield running


@pytest.fixture
def connection(source: StandIn, driver: str) -> Iterator[pyodbc.Connection]:
    """A connection through each driver."""
    opened = connect(source, driver)
    yield opened
    opened.close()

"""A PostgreSQL that holds only what an expression is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from demo.target import EmbeddedTarget

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


@pytest.fixture(scope="session")
def expression_postgres() -> Iterator[PgConnection]:
    """A connection to an embedded PostgreSQL of the expressions' own.

    Its data lie in no folder of pytest's, which removes those of earlier runs, also of one that still goes on.
    """
    with EmbeddedTarget() as server:
        connection = server.connect()
        with connection.cursor() as cursor:
            cursor.execute(
                "SET TimeZone = 'Asia/Kathmandu'; SET application_name = 'corpus'; CREATE SEQUENCE corpus_seq"
            )
        yield connection
        connection.close()

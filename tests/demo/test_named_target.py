"""A PostgreSQL that somebody else started stands in for the embedded one."""

from __future__ import annotations

from demo.named_target import NamedTarget
from demo.target import EmbeddedTarget
from tests.samples import Shop, query


def test_a_named_server_is_used_and_left_running(target: EmbeddedTarget, target_database: str, shop: Shop) -> None:
    reached = target.environment(target_database)
    variables = {
        "PG_TEST_HOST": reached["PGHOST"],
        "PG_TEST_PORT": reached["PGPORT"],
        "PG_TEST_USER": reached["PGUSER"],
    }
    name = f"{target_database}_named"
    with NamedTarget(variables) as named:
        named.create_database(name)
        settings = named.environment(name)
        assert settings == {**reached, "PGDATABASE": name}
        workplace = shop.workplace.with_settings(**settings)
        assert workplace.run("schema").code == 0
        assert workplace.run("data").code == 0
        assert query(named, name, "SELECT count(*) FROM customers") == [(12,)]
        # Anew, and empty.
        named.create_database(name)
        assert query(named, name, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    assert query(target, target_database, f"DROP DATABASE {name}") == []

"""READY means that a run does not fail for what the target holds already, or for what either login may not do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from model.catalog import Database
from model.refresh import Refresh
from model.settings import Driver, Secrets, Settings, Source, Target
from model.table_size import TableSize
from schema_phase import readiness
from schema_phase.remarks import TargetState
from standin.server import StandIn
from tests.harness import Finished, Workplace
from tests.samples import SHOP, SHOP_ROWS, Shop, statuses


@pytest.fixture
def clerk(shop: Shop) -> Iterator[Workplace]:
    """The shop's workplace with a role that may connect, and nothing else; tables of the superuser are there."""
    name = f"clerk_{shop.database}"
    shop.query(f"CREATE ROLE {name} LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC")
    yield shop.workplace.with_settings(PGUSER=name)
    shop.query(f"REASSIGN OWNED BY {name} TO postgres; DROP OWNED BY {name}; DROP ROLE {name}")


def check(workplace: Workplace, *arguments: str) -> tuple[Finished, dict[tuple[str, str], dict[str, Any]]]:
    """A check, and its remarks by kind and name."""
    finished = workplace.run("schema", "--check", *arguments)
    document = json.loads((workplace.folder / "schema_check.json").read_text(encoding="utf-8"))
    return finished, {(one["kind"], one["name"]): one for one in document["remarks"]}


def test_a_target_that_is_as_it_should_be_is_ready(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    finished, remarks = check(shop.workplace)
    assert finished.code == 0, finished.text
    assert not [one for one in remarks.values() if one["severity"] == "blocks"]


def test_tables_that_differ_are_in_the_way_as_the_run_shows(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    shop.query("ALTER TABLE orders DROP COLUMN total; ALTER TABLE customers ADD COLUMN extra integer")
    finished, remarks = check(shop.workplace)
    assert finished.code == 1
    assert "column total is missing" in remarks["table differs", "dbo.Orders"]["text"]
    assert "--apply-drift" in remarks["table differs", "dbo.Orders"]["advice"]
    assert "column extra is not on the source" in remarks["table differs", "dbo.Customers"]["text"]
    assert shop.workplace.run("schema").code == 1
    assert shop.workplace.run("schema", "--recreate").code == 0
    assert check(shop.workplace)[0].code == 0


def test_a_role_without_create_is_told_before_any_row(shop: Shop, clerk: Workplace) -> None:
    finished, remarks = check(clerk)
    assert finished.code == 1
    assert "GRANT USAGE, CREATE ON SCHEMA public" in remarks["no right to create", "public"]["advice"]
    assert "GRANT CREATE ON DATABASE" in remarks["no right to create", "sales"]["advice"]
    assert "keep their checkpoints" in remarks["no right to record", "replication"]["text"]
    role = clerk.environment["PGUSER"]
    shop.query(f"GRANT CREATE ON DATABASE {shop.database} TO {role}; GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    assert check(clerk)[0].code == 0
    for script in ("schema", "data"):
        finished = clerk.run(script)
        assert finished.code == 0, finished.text


def test_the_room_that_staging_takes_is_told(shop: Shop) -> None:
    note = check(shop.workplace)[1]["room for staging", "replication_staging"]
    assert note["severity"] == "notes"
    assert re.search(r"--refresh merge, .* about \d+ kB .*, with swap \d+ kB, of [\d.]+ GB that its", note["text"])
    staging = shop.workplace.with_settings(REFRESH="swap", REFRESH_TABLES="dbo.Orders:truncate")
    asked = check(staging)[1]["room for staging", "replication_staging"]["text"]
    assert re.search(r"the new rows of 3 tables take about \d+ kB of the target's disk meanwhile, of ", asked)


def test_a_disk_that_is_too_small_for_staging_is_in_the_way() -> None:
    (table, *_), size = SHOP.tables, TableSize(2_000_000_000, 3_000_000_000)
    sizes, target = {(table.schema, table.name): size}, TargetState(free_bytes=2_500_000_000)
    expected: tuple[tuple[Refresh, str], ...] = (("merge", "notes"), ("swap", "blocks"))
    for refresh, severity in expected:
        settings = Settings(Source("", Driver("", ""), ""), Target({}), Secrets(), refresh=refresh)
        (remark,) = readiness.room_remarks([table], sizes, settings, target)
        assert remark.severity == severity


def test_a_role_that_may_not_stage_is_told_where_the_settings_ask_for_it(shop: Shop, clerk: Workplace) -> None:
    role = clerk.environment["PGUSER"]
    shop.query(
        f"CREATE SCHEMA sales AUTHORIZATION {role}; CREATE SCHEMA replication AUTHORIZATION {role};"
        f" GRANT USAGE, CREATE ON SCHEMA public TO {role}"
    )
    assert clerk.run("schema").code == 0
    assert check(clerk)[0].code == 0
    merging = clerk.with_settings(REFRESH="merge")
    finished, remarks = check(merging)
    assert finished.code == 1
    assert "CREATE SCHEMA replication_staging" in remarks["no right to stage", "replication_staging"]["advice"]
    refused = merging.run("data")
    assert refused.code == 1
    assert "the schema replication_staging, where new rows stand until they are shown, cannot be made" in refused.err
    shop.query(f"CREATE SCHEMA replication_staging AUTHORIZATION {role}")
    assert check(merging)[0].code == 0
    assert merging.run("data").code == 0


def test_tables_of_another_owner_are_named(shop: Shop, clerk: Workplace) -> None:
    shop.ready("data")
    role = clerk.environment["PGUSER"]
    shop.query(
        f"GRANT CREATE ON DATABASE {shop.database} TO {role}; GRANT USAGE, CREATE ON SCHEMA public, sales TO {role};"
        f" GRANT SELECT ON orders TO {role}"
    )
    finished, remarks = check(clerk)
    assert finished.code == 1
    words = remarks["table of another owner", "public.orders"]["text"]
    assert "belongs to postgres" in words
    assert "lacks INSERT, TRUNCATE" in words


def test_a_setting_that_the_server_refuses_is_told(shop: Shop) -> None:
    finished, remarks = check(shop.workplace.with_settings(MAINTENANCE_WORK_MEM="much"))
    assert finished.code == 1
    assert "does not take much" in remarks["setting refused", "MAINTENANCE_WORK_MEM"]["text"]


def test_a_table_that_may_not_be_read_is_in_the_way(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]
) -> None:
    workplace = make_workplace(serve(SHOP, SHOP_ROWS, denied=["dbo.Orders"]), SHOP)
    finished, remarks = check(workplace)
    assert finished.code == 1
    assert ("no right to read", "dbo.Orders") in remarks


def test_a_load_tells_all_that_it_may_not_touch_at_once_and_loads_the_rest(shop: Shop, clerk: Workplace) -> None:
    shop.ready("data")
    role = clerk.environment["PGUSER"]
    shop.query(
        f"GRANT CREATE ON DATABASE {shop.database} TO {role}; GRANT USAGE, CREATE ON SCHEMA public, sales TO {role};"
        f" ALTER TABLE customers OWNER TO {role}; ALTER TABLE sales.orders OWNER TO {role};"
        f" GRANT SELECT ON orders TO {role}"
    )
    finished = clerk.run("data")
    assert finished.code == 1
    told = finished.out.partition("2 of 4 tables cannot be loaded for want of rights")[2]
    assert told, finished.text
    assert "this role lacks INSERT, TRUNCATE on it" in told.partition("Processing")[0]
    assert statuses(clerk.data_progress) == {
        "Customers": "completed", "Orders": "failed", "Products": "failed", "Sales.Orders": "completed",
    }  # fmt: skip


def test_a_load_tells_what_only_owners_may_suspend_and_loads_the_rest(shop: Shop, clerk: Workplace) -> None:
    shop.ready("data")
    role = clerk.environment["PGUSER"]
    shop.query(
        f"GRANT CREATE ON DATABASE {shop.database} TO {role}; GRANT USAGE ON SCHEMA public, sales TO {role};"
        f" GRANT SELECT, INSERT, TRUNCATE ON ALL TABLES IN SCHEMA public, sales TO {role};"
        " ALTER TABLE orders ADD CONSTRAINT to_products FOREIGN KEY (id) REFERENCES products NOT VALID;"
        " CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        " CREATE TRIGGER fires BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION nothing();"
        f" ALTER TABLE products OWNER TO {role}"
    )
    finished = clerk.run("data")
    assert finished.code == 1
    told = finished.out.partition("3 of 4 tables cannot be loaded for want of rights")[2].partition("Processing")[0]
    assert "suspend keys or triggers of public.customers, which belongs to postgres; ALTER TABLE" in told, finished.text
    assert "suspend keys or triggers of public.orders, which belongs to postgres" in told
    assert "foreign keys from or to public.products whose other table belongs to another role" in told
    assert statuses(clerk.data_progress)["Sales.Orders"] == "completed"
    shop.query(f"ALTER TABLE customers OWNER TO {role}; ALTER TABLE orders OWNER TO {role}")
    assert clerk.run("data", "--resume").code == 0
    assert set(statuses(clerk.data_progress).values()) == {"completed"}


def test_a_load_tells_what_it_may_not_read(
    serve: Callable[..., StandIn], make_workplace: Callable[[StandIn, Database], Workplace]
) -> None:
    workplace = make_workplace(serve(SHOP, SHOP_ROWS, denied=["dbo.Orders", "Sales.Orders"]), SHOP)
    assert workplace.run("schema").code == 0
    finished = workplace.run("data")
    assert finished.code == 1
    assert "2 of 4 tables cannot be loaded for want of rights" in finished.out
    assert statuses(workplace.data_progress)["Customers"] == "completed"

"""Names of our own objects give way to the source's, and two objects of one name both arrive."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from demo.shop import INT, TINYINT, nvarchar
from demo.target import EmbeddedTarget
from model.catalog import AliasType, Check, Column, Database, Identity, Index, KeyColumn, SqlType, Table
from model.catalog import Sequence as SequenceObject
from tests.handmade import primary, required
from tests.made_schemas import run_on


def test_a_check_with_the_name_that_postgresql_gives_a_range_arrives(target: EmbeddedTarget, tmp_path: Path) -> None:
    jobs = Table(
        "dbo",
        "jobs",
        (required("job_id", SqlType("smallint")), required("min_lvl", TINYINT), Column("max_lvl", TINYINT)),
        primary("PK_jobs", "job_id"),
        checks=(
            Check("jobs_min_lvl_check", "([min_lvl]>=(10))"),
            Check("jobs_min_lvl_range", "([min_lvl]<=[max_lvl])"),
        ),
    )
    made, finished = run_on(Database("own_ranges", (jobs,)), target, tmp_path)
    assert finished.code == 0, finished.text
    for check in jobs.checks:
        assert made.entry("check", f"dbo.jobs.{check.name}")["state"] == "done"
    assert "10" in made.constraint("jobs", "jobs_min_lvl_check")
    assert "max_lvl" in made.constraint("jobs", "jobs_min_lvl_range")
    made.query("INSERT INTO jobs VALUES (1, 10, 255)")
    for values in ("2, 9, 20", "3, 30, 20", "4, 256, NULL", "5, 10, 256"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            made.query(f"INSERT INTO jobs VALUES ({values})")


def test_a_check_with_the_name_that_postgresql_gives_a_length_arrives(target: EmbeddedTarget, tmp_path: Path) -> None:
    people = Table(
        "dbo",
        "People",
        (required("ID"), Column("Name", nvarchar(5), collation="Latin1_General_CI_AS")),
        primary("PK_People", "ID"),
        checks=(Check("People_Name_check", "([ID]>(0))"), Check("People_Name_length", "([ID]<(9))")),
    )
    made, finished = run_on(Database("own_lengths", (people,)), target, tmp_path, COLLATION_POLICY="citext")
    assert finished.code == 0, finished.text
    for values in ("0, 'Ann'", "9, 'Ann'", "1, 'Alexander'"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            made.query(f"INSERT INTO people VALUES ({values})")
    made.query("INSERT INTO people VALUES (1, 'Ann')")


def test_two_checks_of_one_name_on_a_table_both_arrive(target: EmbeddedTarget, tmp_path: Path) -> None:
    jobs = Table(
        "dbo",
        "jobs",
        (required("min_lvl"), required("max_lvl"), required("step")),
        checks=(
            Check("CK_jobs", "([min_lvl]>=(10))"),
            Check("CK_jobs", "([max_lvl]<=(250))"),
            Check("CK_jobs_2", "([step]>(0))"),
        ),
    )
    made, finished = run_on(Database("twin_checks", (jobs,)), target, tmp_path)
    assert finished.code == 0, finished.text
    assert "min_lvl" in made.constraint("jobs", "ck_jobs")
    assert "step" in made.constraint("jobs", "ck_jobs_2")  # a name that is alone stays
    for values in ("9, 20, 1", "10, 251, 1", "10, 20, 0"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            made.query(f"INSERT INTO jobs VALUES ({values})")
    told = {name: entry for (kind, name), entry in made.entries().items() if kind == "check"}
    assert {name: entry["state"] for name, entry in told.items()} == {
        "dbo.jobs.CK_jobs": "done", "dbo.jobs.CK_jobs (2)": "changed", "dbo.jobs.CK_jobs_2": "done",
    }  # fmt: skip
    assert "named ck_jobs_3" in told["dbo.jobs.CK_jobs (2)"]["reason"]


def test_a_check_with_the_name_that_postgresql_18_gives_a_not_null_arrives(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    orders = Table(
        "dbo",
        "Orders",
        (required("ID"), required("Amount")),
        primary("PK_Orders", "ID"),
        checks=(Check("Orders_Amount_not_null", "([Amount]<>(0))"),),
    )
    made, finished = run_on(Database("own_not_nulls", (orders,)), target, tmp_path)
    assert finished.code == 0, finished.text
    assert made.entry("check", "dbo.Orders.Orders_Amount_not_null")["state"] == "done"
    assert "<> 0" in made.constraint("orders", "orders_amount_not_null")
    assert made.columns("orders")["amount"] == ("integer", True)


def test_a_domain_and_a_table_of_one_name_stop_before_any_table(target: EmbeddedTarget, tmp_path: Path) -> None:
    phone = SqlType("varchar", 24, alias="Phone")
    people = Table("dbo", "People", (required("ID"), Column("Phone", phone)))
    database = Database("one_name", (people, Table("dbo", "Phone", (required("ID"),))), alias_types=(
        AliasType("dbo", "Phone", SqlType("varchar", 24)),
    ))  # fmt: skip
    (tmp_path / "types.json").write_text('{"types": {"alias": "domain"}}', encoding="utf-8")
    made, finished = run_on(database, target, tmp_path, TYPE_MAP="types.json")
    assert finished.code == 2, finished.text
    assert "the alias type dbo.Phone cannot be the domain public.phone, for a table has that name" in finished.err
    assert made.query("SELECT FROM pg_tables WHERE schemaname = 'public'") == []


def test_an_index_on_no_column_of_the_catalog_is_skipped(target: EmbeddedTarget, tmp_path: Path) -> None:
    table = Table("dbo", "T", (required("ID"),), primary("PK_T", "ID"), indexes=(Index("ft_index_T", ()),))
    made, finished = run_on(Database("no_column", (table,)), target, tmp_path)
    assert finished.code == 0, finished.text
    assert made.entry("index", "dbo.T.ft_index_T")["state"] == "skipped"
    assert made.entry("primary key", "dbo.T.PK_T")["state"] == "done"


def test_tables_sequences_and_indexes_named_like_the_sequence_of_an_identity_arrive(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    counted = required("ID", INT, identity=Identity(100, 10))
    orders = Table("dbo", "Orders", (counted, Column("State", INT)), primary("PK_Orders", "ID"))
    lines = Table(
        "dbo", "Lines", (counted, Column("State", INT)), indexes=(Index("Lines_ID_seq", (KeyColumn("State"),)),)
    )
    tills = Table("dbo", "Tills", (required("ID", SqlType("decimal", precision=9), identity=Identity(5, 1)),))
    database = Database(
        "own_sequences",
        (lines, orders, Table("dbo", "Orders_ID_seq", (required("ID"),)), tills),
        sequences=(SequenceObject("dbo", "Tills_ID_seq", INT, 7, 1, 1, 99),),
    )
    made, finished = run_on(database, target, tmp_path)
    assert finished.code == 0, finished.text
    assert made.columns("orders_id_seq") == {"id": ("integer", True)}
    assert made.index("lines_id_seq") == "(state)"
    assert made.one("SELECT nextval('tills_id_seq')") == 7
    assert made.one("INSERT INTO tills DEFAULT VALUES RETURNING id") == 5
    for table in ("orders", "lines"):
        assert made.one(f"INSERT INTO {table} DEFAULT VALUES RETURNING id") == 100
        assert made.one(f"INSERT INTO {table} DEFAULT VALUES RETURNING id") == 110

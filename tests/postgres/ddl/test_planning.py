"""The plan of a schema: statements, their order, and an account of everything; with no server."""

from __future__ import annotations

from dataclasses import replace

from model.catalog import Check, Column, Computed, Database, Default, ForeignKey, Index, Key, KeyColumn, SqlType, Table
from model.findings import Translation
from model.settings import Driver, Secrets, Settings, Source, Target
from postgres.ddl import Expressions, SchemaPlan, plan_schema
from postgres.names import TargetName
from tests.samples import table
from type_mapping import TargetFeatures

SETTINGS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())
#: every expression translates to the same word
AS_IT_IS = Expressions(*(lambda *_: Translation("getdate()", "now()", None, None, is_immutable=False),) * 4)
ORDERS = table("Orders")
EVENTS = Table(
    "Sales",
    "Events",
    (Column("Id", SqlType("int", 4), is_nullable=False), Column("What", SqlType("nvarchar", 100))),
    Key("PK_Events", (KeyColumn("Id"),)),
)


def planned(*tables: Table, settings: Settings = SETTINGS) -> SchemaPlan:
    """The plan of these tables, in an empty target."""
    return plan_schema(Database("shop", tables), tables, (), settings, TargetFeatures(), AS_IT_IS)


def test_each_table_goes_where_the_settings_say() -> None:
    plan = planned(ORDERS, EVENTS)
    assert set(plan.schemas) == {"public", "sales"}
    created = [step.sql for one in plan.tables for step in one.create]
    assert created[0].startswith('CREATE TABLE "public"."orders"')
    assert created[1].startswith('CREATE TABLE "sales"."events"')
    kept = planned(EVENTS, settings=replace(SETTINGS, naming="preserve", schema_map={"sales": "Archive"}))
    assert kept.tables[0].create[0].sql.startswith('CREATE TABLE "Archive"."Events"')


def test_a_key_is_a_step_of_its_own_with_its_name_and_its_finding() -> None:
    (events,) = planned(EVENTS).tables
    (key,) = events.keys
    assert key.name == "pk_events"
    assert "PRIMARY KEY" in key.steps[0].sql
    assert (key.finding.kind, key.finding.state) == ("primary key", "done")


def test_everything_of_a_table_is_accounted_for() -> None:
    (events,) = planned(EVENTS).tables
    names = {(finding.kind, finding.name) for finding in events.all_findings}
    assert ("table", "Sales.Events") in names
    assert {("column", "Sales.Events.Id"), ("column", "Sales.Events.What")} <= names


def test_what_does_not_translate_is_skipped_with_its_reason_and_costs_no_table() -> None:
    odd = replace(EVENTS, columns=(EVENTS.columns[0], replace(EVENTS.columns[1], default=Default("DF_What", "ODD()"))))
    nothing = Translation("ODD()", None, "no counterpart", None, is_immutable=False)
    refused = Expressions(*(lambda *_: nothing,) * 4)
    (events,) = plan_schema(Database("shop", (odd,)), (odd,), (), SETTINGS, TargetFeatures(), refused).tables
    assert events.create[0].sql.startswith("CREATE TABLE")
    (default,) = [one for one in events.all_findings if one.kind == "default"]
    assert (default.state, default.reason, default.original) == ("skipped", "no counterpart", "ODD()")


def test_what_a_translation_assumes_is_said_of_its_object() -> None:
    columns = (EVENTS.columns[0], replace(EVENTS.columns[1], computed=Computed("THIS")))
    index = Index("IX", (KeyColumn("Id"),), filter="THIS")
    odd = replace(EVENTS, columns=columns, checks=(Check("CK", "THIS", is_trusted=False),), indexes=(index,))
    assuming = Expressions(*(lambda *_: Translation("THIS", "that", None, "assumed", is_immutable=True),) * 4)
    (events,) = plan_schema(Database("shop", (odd,)), (odd,), (), SETTINGS, TargetFeatures(), assuming).tables
    said = {one.kind: (one.state, one.reason) for one in events.all_findings if "assumed" in (one.reason or "")}
    assert said["computed column"] == ("done", "assumed")
    assert said["index"] == ("done", "assumed")
    assert said["check"] == ("changed", "not trusted on the source, so NOT VALID in PostgreSQL; assumed")


def test_a_foreign_key_to_a_table_that_nobody_makes_is_skipped_with_a_reason() -> None:
    key = ForeignKey("FK_Events_Orders", ("Id",), "dbo", "Orders", ("id",))
    child = replace(EVENTS, foreign_keys=(key,))
    alone = plan_schema(Database("shop", (ORDERS, child)), (child,), (), SETTINGS, TargetFeatures(), AS_IT_IS)
    assert alone.tables[0].foreign_keys == ()
    (finding,) = [one for one in alone.tables[0].all_findings if one.kind == "foreign key"]
    assert finding.state == "skipped"
    beside = plan_schema(
        Database("shop", (ORDERS, child)),
        (child,),
        [TargetName("public", "orders")],
        SETTINGS,
        TargetFeatures(),
        AS_IT_IS,
    )
    (made,) = beside.tables[0].foreign_keys
    assert 'REFERENCES "public"."orders"' in made.steps[0].sql

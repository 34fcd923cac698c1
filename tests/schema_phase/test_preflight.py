"""`--check` and `--check-data`: every kind of remark, with planted numbers, and that nothing is touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import (
    Check,
    Column,
    Database,
    Default,
    ForeignKey,
    Hiding,
    Identity,
    Index,
    Key,
    KeyColumn,
    SqlType,
    Table,
)
from model.settings import Settings
from mssql.data_checks import Comparison, Count, Request, count_problems
from progress import ProgressTracker
from schema_phase.preflight import JSON_FILE, document, page, structure_remarks, verdict
from schema_phase.remarks import Remark, TargetState
from standin.server import StandIn
from tests.harness import ROOT, Finished, Workplace, source_settings
from tests.samples import INT, TEXT, Shop, table, target_tables
from tests.tsql_servers import own_database
from type_mapping import TargetFeatures

LOOSE = "Latin1_General_CI_AS"
VARCHAR = SqlType("varchar", 50)
TIMESTAMP = SqlType("datetime2", scale=7)


def check(workplace: Workplace, *arguments: str) -> tuple[Finished, list[dict[str, Any]]]:
    """Run the check; its end and the remarks of its JSON, which must agree with each other."""
    finished = workplace.run("schema", *(arguments or ("--check",)))
    assert finished.code in (0, 1), finished.text
    whole = json.loads((workplace.folder / JSON_FILE).read_text(encoding="utf-8"))
    assert set(whole) == {"source", "target", "remarks", "counts", "verdict"}
    remarks: list[dict[str, Any]] = whole["remarks"]
    severities = [remark["severity"] for remark in remarks]
    assert whole["counts"] == {word: severities.count(word) for word in ("blocks", "warns", "notes")}
    assert whole["verdict"] == ("decide" if finished.code else "ready")
    assert finished.code == int("blocks" in severities)
    last = finished.out.rstrip().splitlines()[-2]
    assert last.startswith("❌ DECIDE FIRST" if finished.code else "✅ READY"), finished.out
    return finished, remarks


def found(remarks: list[dict[str, Any]], kind: str) -> list[tuple[str, str, int | None]]:
    """Severity, name and count of every remark of a kind, in order of their names."""
    chosen = [(remark["severity"], remark["name"], remark["count"]) for remark in remarks if remark["kind"] == kind]
    return sorted(chosen, key=lambda entry: entry[1])


def text_of(remarks: list[dict[str, Any]], kind: str, name: str) -> str:
    """The text of the one remark of that kind and name."""
    (text,) = [remark["text"] for remark in remarks if (remark["kind"], remark["name"]) == (kind, name)]
    return str(text)


# -- nothing is touched ------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--check"], ["--check", "--check-data"], ["--check-data"]])
def test_a_check_touches_neither_side_nor_the_progress_file_and_needs_no_lock(shop: Shop, arguments: list[str]) -> None:
    progress = shop.workplace.schema_progress
    progress.write_text("{ not even JSON", encoding="utf-8")
    before = {path.name for path in shop.workplace.folder.iterdir()}
    with ProgressTracker(progress, "schema").lock():
        finished, remarks = check(shop.workplace, *arguments)
    assert finished.code == 0
    assert progress.read_text(encoding="utf-8") == "{ not even JSON"
    left = {path.name for path in shop.workplace.folder.iterdir() if ".lock" not in path.name}
    assert left == before | {JSON_FILE, "runs.jsonl", "run_report.html"}
    assert shop.tables == []
    assert text_of(remarks, "overview", "table").startswith("4 tables, about 46 rows")
    assert ("--check-data does" in finished.out) == ("--check-data" not in arguments)


def test_the_json_lies_beside_the_progress_file(shop: Shop) -> None:
    folder = shop.workplace.folder / "elsewhere"
    folder.mkdir()
    finished = shop.workplace.run("schema", "--check", "--progress-file", str(folder / "progress.json"))
    assert finished.code == 0, finished.text
    assert {path.name for path in folder.iterdir()} == {JSON_FILE, "runs.jsonl", "run_report.html"}


@pytest.mark.parametrize("other", ["--reset", "--recreate", "--apply-drift", "--dry-run"])
def test_a_check_refuses_flags_that_ask_for_something_else(shop: Shop, other: str) -> None:
    finished = shop.workplace.run("schema", "--check", other)
    assert finished.code == 2
    assert "--check touches nothing" in finished.err


def test_only_the_tables_that_are_asked_for_are_looked_at(shop: Shop) -> None:
    _, remarks = check(shop.workplace, "--check", "--tables", "Orders")
    assert text_of(remarks, "overview", "table").startswith("2 tables")
    _, remarks = check(shop.workplace, "--check", "--start-from-table", "Products")
    assert text_of(remarks, "overview", "table").startswith("2 tables")
    assert shop.workplace.run("schema", "--check", "--tables", "Nowhere").code == 2


def test_a_target_that_cannot_be_reached_is_told_and_a_current_one_assumed(shop: Shop) -> None:
    workplace = shop.workplace.with_settings(PGHOST="127.0.0.1", PGPORT="1")
    finished, remarks = check(workplace, "--check-data")
    assert finished.code == 0
    ((severity, name, _),) = found(remarks, "target not reached")
    assert severity == "warns"
    assert "A current PostgreSQL is assumed" in text_of(remarks, "target not reached", name)


def test_a_source_that_cannot_be_reached_is_exit_code_3(shop: Shop) -> None:
    finished = shop.workplace.with_settings(MSSQL_PORT="1").run("schema", "--check")
    assert finished.code == 3
    assert not (shop.workplace.folder / JSON_FILE).exists()


# -- structure ---------------------------------------------------------------------------------

LONG_NAME = "a column whose name goes on and on until PostgreSQL cannot hold it any more"


def _unlike(name: str, trait: str) -> Table:
    return Table("dbo", name, (Column("id", INT, is_nullable=False),), Key(f"PK_{name}", (KeyColumn("id"),)),
                 traits=(trait,))  # fmt: skip


STRUCTURE = Database(
    "structure",
    (
        table("Shapes", shape=SqlType("Shape", -1, is_clr=True), note=TEXT),
        table("Twins", É=TEXT, é=TEXT),
        table("Log"),
        table("Log", "Archive"),
        Table("dbo", "Secrets", (
            Column("id", INT, is_nullable=False), Column("ssn", TEXT, is_encrypted=True),
            Column("mail", TEXT, is_masked=True),
        ), Key("PK_Secrets", (KeyColumn("id"),))),
        Table("dbo", "Heap", (Column("a", INT), Column(LONG_NAME, TEXT))),
        Table("dbo", "Loose", (Column("code", VARCHAR, collation=LOOSE), Column("amount", SqlType("decimal", 9, 9))),
              unique=(Key("UQ_Loose", (KeyColumn("code"),)),)),
        Table("dbo", "Numbers", (
            Column("id", SqlType("decimal", 9, 18), is_nullable=False, identity=Identity()),
            Column("at", TIMESTAMP, default=Default("DF_at", "([dbo].[Now]())")),
            Column("parent", SqlType("decimal", 9, 18)),
        ), Key("PK_Numbers", (KeyColumn("id"),)),
            indexes=(Index("IX_Columns", (KeyColumn("at"),), kind="NONCLUSTERED COLUMNSTORE"),),
            foreign_keys=(ForeignKey("FK_Numbers", ("parent",), "dbo", "Numbers", ("id",), is_trusted=False),),
            checks=(Check("CK_Numbers", "([dbo].[IsFine]([id])=(1))"),
                    Check("CK_Parent", "([parent]>(0))", is_disabled=True))),
        _unlike("Versions", "temporal"),
        _unlike("Fast", "memory-optimised"),
        _unlike("Parts", "partitioned"),
        _unlike("Far", "external"),
        _unlike("Files", "FileTable"),
        _unlike("Persons", "graph node"),
        _unlike("Friends", "graph edge"),
        _unlike("Deeds", "ledger"),
    ),
    collation="Latin1_General_CS_AS",
)  # fmt: skip


@pytest.fixture(scope="module")
def structure(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A source that has everything to remark on; its login sees masks, for want of UNMASK."""
    target.create_database("preflight_structure")
    with StandIn(STRUCTURE, {"dbo.Log": [(1, "x")] * 7, "dbo.Heap": [(1, "x")] * 3}) as source:
        source.revoke("UNMASK")
        source.execute("UPDATE sys.tables SET is_tracked_by_cdc = true WHERE name = 'Fast'")
        source.add_policy("TenantPolicy", "dbo.Heap")
        source.execute("DROP TABLE sys.synonyms")
        yield Workplace(
            tmp_path_factory.mktemp("structure"),
            {**source_settings(source.port, "structure"), **target.environment("preflight_structure"),
             "SCHEMA_MAP": "Archive:public"},
        )  # fmt: skip


@pytest.fixture(scope="module")
def structure_check(structure: Workplace) -> tuple[Finished, list[dict[str, Any]]]:
    """One check of it, for many tests."""
    return check(structure)


Remarks = tuple[Finished, list[dict[str, Any]]]


def test_what_stands_in_the_way_is_exit_code_1_and_the_first_on_the_page(structure_check: Remarks) -> None:
    finished, remarks = structure_check
    assert finished.code == 1
    assert finished.err == ""
    titles = [finished.out.index(title) for title in ("IN THE WAY", "WARNINGS", "NOTES")]
    assert titles == sorted(titles)
    order = [remark["severity"] for remark in remarks]
    assert order == sorted(order, key=["blocks", "warns", "notes"].index)


def test_unsupported_types_are_named_and_the_rest_is_looked_at_all_the_same(structure_check: Remarks) -> None:
    assert found(structure_check[1], "unsupported type") == [("blocks", "dbo.Shapes.shape", None)]


def test_names_that_fall_together_are_all_named(structure_check: Remarks) -> None:
    _, remarks = structure_check
    assert found(remarks, "name collision") == [("blocks", "dbo.Twins", None), ("blocks", "table", None)]
    assert text_of(remarks, "name collision", "table") == "tables Archive.Log, dbo.Log all become public.log"
    assert text_of(remarks, "name collision", "dbo.Twins") == "columns É, é of dbo.Twins all become é"


def test_encrypted_and_masked_columns_and_row_level_security(structure_check: Remarks) -> None:
    _, remarks = structure_check
    assert found(remarks, "encrypted column") == [("blocks", "dbo.Secrets.ssn", None)]
    assert found(remarks, "masked column") == [("blocks", "dbo.Secrets.mail", None)]
    assert found(remarks, "row-level security") == [("blocks", "dbo.Heap", None)]


@pytest.mark.parametrize(
    ("trait", "name", "severity"),
    [
        ("temporal", "Versions", "notes"), ("memory-optimised", "Fast", "notes"), ("tracked by CDC", "Fast", "notes"),
        ("partitioned", "Parts", "notes"), ("external", "Far", "warns"), ("FileTable", "Files", "warns"),
        ("graph node", "Persons", "warns"), ("graph edge", "Friends", "warns"), ("ledger", "Deeds", "warns"),
    ],
)  # fmt: skip
def test_traits_of_tables(structure_check: Remarks, trait: str, name: str, severity: str) -> None:
    assert found(structure_check[1], trait) == [(severity, f"dbo.{name}", None)]


def test_keys_and_names(structure_check: Remarks) -> None:
    _, remarks = structure_check
    assert found(remarks, "no key") == [("notes", "table", 1)]
    assert "dbo.Heap" in text_of(remarks, "no key", "table")
    assert found(remarks, "case-insensitive key") == [("notes", "key", 1)]
    assert "dbo.Loose.UQ_Loose" in text_of(remarks, "case-insensitive key", "key")
    assert found(remarks, "long names") == [("notes", "name", 1)]
    assert f"dbo.Heap.{LONG_NAME}" in text_of(remarks, "long names", "name")


def test_untrusted_foreign_keys_and_checks(structure_check: Remarks) -> None:
    _, remarks = structure_check
    assert found(remarks, "not trusted") == [("notes", "check", 1), ("notes", "foreign key", 1)]
    assert "dbo.Numbers.FK_Numbers" in text_of(remarks, "not trusted", "foreign key")
    assert "dbo.Numbers.CK_Parent" in text_of(remarks, "not trusted", "check")


def test_what_the_plan_cannot_make_is_summed_up_by_kind(structure_check: Remarks) -> None:
    _, remarks = structure_check
    skipped = {name: (severity, count) for severity, name, count in found(remarks, "not made")}
    assert skipped["default"] == skipped["check"] == skipped["index"] == ("warns", 1)
    assert "dbo.Numbers.at" in text_of(remarks, "not made", "default")
    assert "dbo.Numbers.CK_Numbers" in text_of(remarks, "not made", "check")
    assert ("notes", "identity", 1) in found(remarks, "made differently")
    assert "dbo.Numbers.id" in text_of(remarks, "made differently", "identity")


def test_catalog_views_that_could_not_be_read(structure_check: Remarks) -> None:
    assert found(structure_check[1], "catalog not read") == [("warns", "synonyms", None)]


def test_the_largest_tables_are_named(structure_check: Remarks) -> None:
    text = text_of(structure_check[1], "overview", "table")
    assert text == "16 tables, about 10 rows; the largest: dbo.Log 7, dbo.Heap 3"


def test_a_collation_policy_that_the_target_cannot_follow(structure: Workplace) -> None:
    _, remarks = check(structure.with_settings(COLLATION_POLICY="icu"))
    assert [severity for severity, *_ in found(remarks, "collation policy")] == ["blocks"]
    _, remarks = check(structure.with_settings(COLLATION_POLICY="citext"))
    assert found(remarks, "collation policy") == []
    assert found(remarks, "case-insensitive key") == []


def test_a_target_without_libxml(serve: Callable[..., StandIn], make_workplace: Callable[..., Workplace]) -> None:
    database = Database("papers", (table("Papers", paper=SqlType("xml", -1)),))
    _, remarks = check(make_workplace(serve(database, {}), database))
    ((severity, name, count),) = found(remarks, "xml as text")
    assert (severity, count) == ("warns", 1)
    assert "dbo.Papers.paper" in text_of(remarks, "xml as text", name)


@pytest.fixture
def settings() -> Settings:
    """Settings that lead nowhere."""
    return load_settings(None, {
        "MSSQL_HOST": "nowhere", "MSSQL_DATABASE": "d", "MSSQL_USER": "u", "MSSQL_PASSWORD": "p", "PGDATABASE": "d",
        "COLLATION_POLICY": "citext",
    })  # fmt: skip


def test_an_old_target_without_citext_in_another_encoding(settings: Settings) -> None:
    nullable = Table("dbo", "T", (Column("a", INT),), unique=(Key("UQ", (KeyColumn("a"),)),))
    state = TargetState(TargetFeatures(version=140000), has_citext=False, encoding="LATIN1")
    remarks = list(structure_remarks(Database("d", (nullable,)), (nullable,), settings, state))
    severities = {remark.kind: remark.severity for remark in remarks}
    assert severities["several NULLs"] == severities["target encoding"] == "warns"
    assert severities["collation policy"] == "blocks"
    assert "several NULLs" not in {
        remark.kind for remark in structure_remarks(Database("d", (nullable,)), (nullable,), settings, TargetState())
    }


def test_masked_columns_are_in_the_way_where_the_login_gets_their_masks(settings: Settings) -> None:
    masked = Table("dbo", "T", (Column("a", TEXT, is_masked=True), Column("b", TEXT, is_masked=True)))
    database = Database("d", (masked,), hiding=Hiding(masked={"T": ("b",)}))
    remarks = structure_remarks(database, (masked,), settings, TargetState())
    assert [(one.severity, one.name) for one in remarks if one.kind == "masked column"] == [("blocks", "dbo.T.b")]


def test_the_page_shows_some_of_many_and_the_json_all() -> None:
    remarks = [Remark("blocks", "unsupported type", f"dbo.T.c{n}", "geography", "leave it out") for n in range(100)]
    shown = page("a", "b", remarks, False, Path(JSON_FILE))
    assert shown.count("geography") == 11
    assert "89 more of this kind (unsupported type)" in shown
    assert len(json.loads(document("a", "b", remarks))["remarks"]) == 100
    assert verdict(remarks) == "decide"
    assert verdict([]) == "ready"


# -- values ------------------------------------------------------------------------------------

VALUES = Database(
    "values",
    (
        Table("dbo", "Texts", (
            Column("id", INT, is_nullable=False), Column("n]v", TEXT), Column("v", VARCHAR),
            Column("c", SqlType("char", 9)), Column("nt", SqlType("ntext", -1)), Column("vm", SqlType("varchar", -1)),
            Column("v8", SqlType("varchar", 8000)), Column("clean", TEXT),
        ), Key("PK_Texts", (KeyColumn("id"),))),
        Table("dbo", "Moments", (
            Column("t", SqlType("time", scale=7)), Column("d", TIMESTAMP),
            Column("o", SqlType("datetimeoffset", scale=7)),
            Column("six", SqlType("datetime2", scale=6)),
        )),
        Table("dbo", "Unique", (
            Column("at", TIMESTAMP, is_nullable=False), Column("place", INT, is_nullable=False),
            Column("code", VARCHAR, collation=LOOSE), Column("exact", VARCHAR, collation="Latin1_General_CS_AS"),
        ), Key("PK_Unique", (KeyColumn("at"), KeyColumn("place"))),
            unique=(Key("UQ_At", (KeyColumn("at"),), is_disabled=True), Key("UQ_Code", (KeyColumn("code"),)),
                    Key("UQ_Both", (KeyColumn("at"), KeyColumn("exact")))),
            indexes=(Index("UX_Later", (KeyColumn("at"),), is_unique=True, filter="([place]>(2))"),
                     Index("IX_At", (KeyColumn("at"),)))),
        Table("dbo", "Parents", (
            Column("id", INT, is_nullable=False), Column("code", VARCHAR, is_nullable=False, collation=LOOSE),
        ), Key("PK_Parents", (KeyColumn("id"),)), unique=(Key("UQ_Parents", (KeyColumn("id"), KeyColumn("code"))),)),
        Table("dbo", "Children", (
            Column("parent", INT), Column("code", VARCHAR, collation=LOOSE), Column("other", INT), Column("fine", INT),
        ), foreign_keys=(
            ForeignKey("FK_Untrusted", ("parent",), "dbo", "Parents", ("id",), is_trusted=False),
            ForeignKey("FK_Disabled", ("parent", "code"), "dbo", "Parents", ("id", "code"), is_disabled=True),
            ForeignKey("FK_Loose", ("other", "code"), "dbo", "Parents", ("id", "code")),
            ForeignKey("FK_Fine", ("fine",), "dbo", "Parents", ("id",)),
        )),
    ),
)  # fmt: skip
VALUE_ROWS: Mapping[str, list[tuple[object, ...]]] = {
    "dbo.Texts": [
        (n, "a\0" if n <= 1 else "a", "\0" if n <= 2 else "", "c\0" if n <= 3 else "c", "\0\0n" if n <= 4 else None,
         "m" * 9000 + "\0" if n <= 5 else "m", "v" * 7000 + "\0" if n <= 6 else "v", "\u0100\u0001")
        for n in range(1, 9)
    ],
    "dbo.Moments": [
        ("23:59:59.9999999" if n <= 2 else "23:59:59.9999990",
         "9999-12-31 23:59:59.9999999" if n <= 3 else "0001-01-01 00:00:00.0000010",
         "2024-01-01 00:00:00.1234567 +05:30" if n <= 4 else "2024-01-01 00:00:00.1234560 -08:00",
         "2024-01-01 00:00:00.123456")
        for n in range(1, 8)
    ] + [(None, None, None, None)],
    "dbo.Unique": [
        ("2024-01-01 00:00:00.0000001", 1, "ab", "x"), ("2024-01-01 00:00:00.0000002", 1, "AB", "X"),
        ("2024-01-01 00:00:00.0000003", 1, "Ab", "x"), ("2024-01-01 00:00:00.0000010", 3, "cd", "x"),
        ("2024-01-01 00:00:00.0000011", 4, "éf", "y"), ("2024-01-01 00:00:00.0000012", 5, "ÉF", "z"),
        ("2024-01-01 00:00:00.0000020", 1, None, None),
    ],
    "dbo.Parents": [(1, "one"), (2, "two"), (3, "three")],
    "dbo.Children": [
        (1, "one", 1, 1), (1, "ONE", 1, 2), (2, "Two", 2, 3), (7, "one", 1, None), (8, None, 3, 1), (None, "one", 1, 1),
    ],
}  # fmt: skip
NULS = [("dbo.Texts.c", 3), ("dbo.Texts.n]v", 1), ("dbo.Texts.nt", 4), ("dbo.Texts.v", 2), ("dbo.Texts.v8", 6),
        ("dbo.Texts.vm", 5)]  # fmt: skip
SEVENTH = [("dbo.Moments.d", 3), ("dbo.Moments.o", 4), ("dbo.Moments.t", 2), ("dbo.Unique.at", 5)]
#: beyond the first of each group: (.000000, 1) three times; (.000000, x) twice; filtered: .000001 three times
DUPLICATES = [("dbo.Unique.PK_Unique", 2), ("dbo.Unique.UQ_Both", 1), ("dbo.Unique.UX_Later", 2)]
ORPHANS = [("dbo.Children.FK_Disabled", 1), ("dbo.Children.FK_Untrusted", 2)]
UNEQUAL = [("dbo.Children.FK_Loose", 2)]


@pytest.fixture(scope="module")
def values(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A source with planted values."""
    target.create_database("preflight_values")
    with StandIn(VALUES, VALUE_ROWS) as source:
        yield Workplace(
            tmp_path_factory.mktemp("values"),
            {**source_settings(source.port, "values"), **target.environment("preflight_values")},
        )


@pytest.fixture(scope="module")
def values_check(values: Workplace) -> Remarks:
    """One check of them, for many tests."""
    return check(values, "--check", "--check-data")


@pytest.mark.parametrize(
    ("kind", "severity", "planted"),
    [
        ("NUL characters", "warns", NULS), ("seventh digit", "warns", SEVENTH), ("duplicates", "blocks", DUPLICATES),
        ("orphans", "warns", ORPHANS), ("unequal", "warns", UNEQUAL), ("hidden rows", "blocks", []),
        ("not checked", "warns", []),
    ],
)  # fmt: skip
def test_planted_values_are_counted(
    values_check: Remarks, kind: str, severity: str, planted: list[tuple[str, int]]
) -> None:
    assert found(values_check[1], kind) == [(severity, name, count) for name, count in planted]


def test_nul_characters_block_where_the_policy_is_to_fail(values: Workplace) -> None:
    _, remarks = check(values.with_settings(NUL_POLICY="error"), "--check", "--check-data")
    assert found(remarks, "NUL characters") == [("blocks", name, count) for name, count in NULS]


def test_what_is_not_looked_for_is_said(values_check: Remarks) -> None:
    assert found(values_check[1], "not looked for") == [("notes", "values", None)]


def test_values_are_not_looked_at_unless_asked(values: Workplace) -> None:
    finished, remarks = check(values, "--check")
    assert finished.code == 0
    assert not {remark["kind"] for remark in remarks} & {"NUL characters", "seventh digit", "duplicates", "orphans"}


def test_the_values_check_says_on_standard_error_where_it_is(values_check: Remarks) -> None:
    assert "[5/5] 🔍 Checking values: dbo.Unique" in values_check[0].err
    assert "Checking values" not in values_check[0].out


def test_citext_makes_duplicates_of_what_differs_in_case_and_forgives_references(values: Workplace) -> None:
    _, remarks = check(values.with_settings(COLLATION_POLICY="citext"), "--check-data")
    # ab, AB, Ab and éf, ÉF: the source's own collation would not hold them; one with fewer rules of case would
    assert ("blocks", "dbo.Unique.UQ_Code", 3) in found(remarks, "duplicates")
    assert found(remarks, "unequal") == []


def test_rows_that_row_level_security_hides_are_counted(
    serve: Callable[..., StandIn], make_workplace: Callable[..., Workplace]
) -> None:
    database = Database("tenants", (table("Tenants"), table("Open")))
    source = serve(database, {"dbo.Tenants": [(n, "x") for n in range(10)], "dbo.Open": [(1, "x")]})
    # The catalog's count is that of the start, and stays while rows vanish from sight.
    source.execute("DELETE FROM dbo.Tenants WHERE id < 4")
    workplace = make_workplace(source, database)
    assert found(check(workplace, "--check-data")[1], "hidden rows") == []
    source.add_policy("p", "dbo.Tenants")
    finished, remarks = check(workplace, "--check-data")
    assert found(remarks, "hidden rows") == [("blocks", "dbo.Tenants", 4)]
    assert finished.code == 1


def test_a_query_that_fails_is_a_remark(
    serve: Callable[..., StandIn], make_workplace: Callable[..., Workplace]
) -> None:
    database = Database("faults", (table("Broken"), table("Denied"), table("Dropped"), table("Fine")))
    source = serve(database, {"dbo.Fine": [(1, "a\0")], "dbo.Dropped": [(1, "a\0")]}, denied=["dbo.Denied"])
    source.fail_next("dbo.Broken", 8134, "Divide by zero error encountered.", times=5)
    source.fail_next("dbo.Dropped", 1205, "Transaction was deadlocked. Rerun the transaction.", times=1)
    finished, remarks = check(make_workplace(source, database), "--check-data")
    assert finished.code == 1
    assert found(remarks, "not checked") == [("warns", "dbo.Broken", None), ("blocks", "dbo.Denied", None)]
    assert "Divide by zero" in text_of(remarks, "not checked", "dbo.Broken")
    assert [name for _, name, _ in found(remarks, "NUL characters")] == ["dbo.Dropped.label", "dbo.Fine.label"]


# -- the same queries on a server that speaks real T-SQL ------------------------------------------


@pytest.fixture(scope="module")
def tsql_database(tsql_server: dict[str, str]) -> Iterator[dict[str, str]]:
    """The settings of a database of our own on it, dropped at the end."""
    with own_database(tsql_server, "preflight") as there:
        yield there


def compares_exactly(_column: Column) -> Comparison:
    """As under COLLATION_POLICY=leave."""
    return "exact"


def without_case(column: Column) -> Comparison:
    """As under COLLATION_POLICY=citext."""
    return "lower" if column.collation == LOOSE else "exact"


def test_planted_values_are_counted_on_a_real_server(tsql_database: dict[str, str]) -> None:
    settings = load_settings(None, {**tsql_database, "PGDATABASE": "nowhere"})
    connection = connect_source(settings)
    run = connection.execute
    run("CREATE TABLE Texts (id int, [n v] nvarchar(50), v varchar(50), nt ntext, v8 varchar(8000), vm varchar(max))")
    run("INSERT Texts VALUES (1, N'a' + NCHAR(0), 'b', N'c', 'd', 'e'), (2, N'Ā' + NCHAR(1), 'b', N'c', 'd', 'e')")
    run("CREATE TABLE Moments (id int, t time(7), d datetime2(7), o datetimeoffset(7))")
    run(
        "INSERT Moments VALUES"
        " (1, '12:00:00.0000001', '2024-01-01 00:00:00.0000001', '2024-01-01 00:00:00.0000001 +01:00'),"
        " (2, '12:00:00', '2024-01-01 00:00:00', '2023-12-31 22:00:00 -01:00'), (3, NULL, NULL, NULL)"
    )  # fmt: skip
    run("CREATE TABLE Parents (id int, code nvarchar(20))")
    run("CREATE TABLE Children (parent int, code nvarchar(20))")
    run("INSERT Parents VALUES (1, N'one'), (2, N'two')")
    run("INSERT Children VALUES (1, N'one'), (1, N'ONE'), (1, N'one '), (2, N'two'), (9, N'two'), (NULL, N'two')")
    holds_nul = run("SELECT DATALENGTH(NCHAR(0))").fetchone()[0] is not None
    keeps_seven = run("SELECT DATEPART(NANOSECOND, CAST('00:00:00.0000001' AS time(7)))").fetchone()[0] == 100
    ignores_case = run("SELECT COUNT(*) FROM Children WHERE code = N'one'").fetchone()[0] == 3
    connection.close()
    columns = [
        Column("t", SqlType("time", scale=7)),
        Column("d", TIMESTAMP),
        Column("o", SqlType("datetimeoffset", scale=7)),
    ]
    tables = (
        Table("dbo", "Texts", (
            Column("n v", TEXT), Column("v", VARCHAR), Column("nt", SqlType("ntext", -1)),
            Column("v8", SqlType("varchar", 8000)), Column("vm", SqlType("varchar", -1)),
        )),
        Table("dbo", "Moments", (Column("id", INT), *columns), unique=tuple(
            Key(f"UQ_{column.name}", (KeyColumn(column.name),)) for column in columns
        )),
        Table("dbo", "Children", (Column("parent", INT), Column("code", TEXT, collation=LOOSE)),
              unique=(Key("UQ_Code", (KeyColumn("code"),)),),
              foreign_keys=(
                  ForeignKey("FK_Parent", ("parent",), "dbo", "Parents", ("id",), is_trusted=False),
                  ForeignKey("FK_Both", ("parent", "code"), "dbo", "Parents", ("id", "code"), is_trusted=False),
                  ForeignKey("FK_Code", ("code",), "dbo", "Parents", ("code",)),
        )),
    )  # fmt: skip

    def counted(compares: Callable[[Column], Comparison]) -> set[Count]:
        return set(count_problems(lambda: connect_source(settings), Request(tables, compares), lambda _: None))

    expected = {
        Count("duplicates", "dbo.Moments.UQ_t", 1), Count("duplicates", "dbo.Moments.UQ_d", 1),
        Count("duplicates", "dbo.Moments.UQ_o", 1), Count("orphans", "dbo.Children.FK_Parent", 1),
        Count("orphans", "dbo.Children.FK_Both", 1 if ignores_case else 2),
    }  # fmt: skip
    if holds_nul:
        expected.add(Count("NUL characters", "dbo.Texts.n v", 1))
    if keeps_seven:
        expected |= {Count("seventh digit", f"dbo.Moments.{name}", 1) for name in "tdo"}
    strict, loose = counted(compares_exactly), counted(without_case)
    # ONE and 'one ' match 'one' on a source that ignores case; the blank is ignored by every collation
    assert strict == expected | {Count("unequal", "dbo.Children.FK_Code", 2)}
    # one, ONE, 'one ' and two three times
    assert loose == expected | {
        Count("duplicates", "dbo.Children.UQ_Code", 4),
        Count("unequal", "dbo.Children.FK_Code", 1 if ignores_case else 2),
    }


def test_the_whole_check_on_a_real_server(
    tsql_database: dict[str, str], target: EmbeddedTarget, tmp_path: Path, target_database: str
) -> None:
    given = {**tsql_database, **target.environment(target_database)}
    connection = connect_source(load_settings(None, given))
    connection.execute("CREATE TABLE Whole (id int PRIMARY KEY, name nvarchar(30) UNIQUE, at datetime2(7), note ntext)")
    connection.execute("INSERT Whole VALUES (1, N'x', '2024-01-01', NULL)")
    try:
        finished, remarks = check(Workplace(tmp_path, given), "--check-data", "--tables", "Whole")
    finally:
        connection.execute("DROP TABLE Whole")
        connection.close()
    assert finished.code == 0, finished.text
    assert found(remarks, "not checked") == []
    assert text_of(remarks, "overview", "table").startswith("1 table")
    assert target_tables(target, target_database) == []


def test_a_query_reads_no_uncommitted_rows() -> None:
    text = (ROOT / "mssql" / "data_checks.py").read_text(encoding="utf-8")
    assert "NOLOCK" not in text.upper()

"""Each trap of a schema by name: the hand-made database once through both scripts, then looked at from all sides.

Tests named `test_field_NN_…` are things that broke in other tools.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from demo.shop import INT
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, ForeignKey, Index, KeyColumn, Table
from standin.server import StandIn
from tests.handmade import (
    AWKWARD_NAMES,
    CARE,
    DEFAULTS,
    DEFAULTS_REPORTED,
    HANDMADE,
    HANDMADE_ROWS,
    IDENTITIES,
    IDENTITY_NEXT,
    ORDINARY,
    index,
    primary,
    required,
)
from tests.harness import Workplace, source_settings
from tests.made_schemas import Made, make, run_on
from tests.samples import query

Entry = dict[str, str]


@pytest.fixture(scope="module")
def made(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The hand-made database in PostgreSQL, with the rows of the identity tables."""
    with StandIn(HANDMADE, HANDMADE_ROWS) as source:
        result, finished = make(source, HANDMADE, target, tmp_path_factory.mktemp("traps"), "traps")
        assert finished.code == 0, finished.text
        copied = result.workplace.run("data", "--tables", "Id*")
        assert copied.code == 0, copied.text
        yield result


# -- nothing left out -----------------------------------------------------------------------------


def test_field_07_no_column_is_left_out_in_silence(made: Made) -> None:
    entries = made.entries()
    for table in HANDMADE.tables:
        name = "sales.regions" if table.schema == "Sales" else None
        for column in table.columns:
            entry = entries["column", f"{table.full_name}.{column.name}"]
            if entry["state"] == "skipped":
                assert entry["reason"]
            elif name:
                assert column.name.lower() in made.columns(name)
    total = sum(len(table.columns) for table in HANDMADE.tables)
    assert sum(kind == "column" for kind, _ in entries) == total
    skipped = [entry for (kind, _), entry in entries.items() if kind == "column" and entry["state"] == "skipped"]
    there = made.one(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema IN ('public', 'sales')"
        " AND table_name NOT LIKE 'pg\\_%%'"
    )
    assert there == total - len(skipped)


def test_every_changed_or_skipped_object_has_a_reason(made: Made) -> None:
    for key, entry in made.entries().items():
        assert entry["state"] in ("done", "changed", "skipped")
        assert entry["state"] == "done" or entry.get("reason"), key


def test_field_14_rowversion_is_bytes_and_no_date(made: Made) -> None:
    assert made.columns("versioned")["version"] == ("bytea", True)
    assert "rowversion" in made.entry("column", "dbo.Versioned.Version")["reason"]


# -- identity -------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", IDENTITIES)
def test_field_15_identity_of_every_type_goes_on_where_the_source_stands(made: Made, table: str) -> None:
    name = table.lower()
    ((number,),) = made.query(f"INSERT INTO {name} (id) VALUES (-1) RETURNING number")
    assert number == IDENTITY_NEXT[table]
    ((following,),) = made.query(f"INSERT INTO {name} (id) VALUES (-2) RETURNING number")
    assert following - number == IDENTITIES[table][1].increment
    # A value of one's own is taken, as the source takes it with IDENTITY_INSERT.
    own = 200 if IDENTITIES[table][1].increment > 0 else -200
    made.query(f"INSERT INTO {name} (id, number) VALUES (-3, {own})")
    made.query(f"DELETE FROM {name} WHERE id < 0")


def test_identity_starts_at_its_seed_before_any_row_is_copied(target: EmbeddedTarget, tmp_path: Path) -> None:
    tables = tuple(table for table in ORDINARY if table.name in IDENTITIES)
    made, finished = run_on(Database("seeds", tables), target, tmp_path)
    assert finished.code == 0, finished.text
    for name, (_, identity) in IDENTITIES.items():
        assert made.query(f"INSERT INTO {name.lower()} (id) VALUES (1) RETURNING number") == [(identity.seed,)]


# -- computed columns -------------------------------------------------------------------------------


def test_field_22_computed_columns_are_generated_or_ordinary_and_told(made: Made) -> None:
    generated = {
        name
        for (name,) in made.query(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'computed'::regclass AND attgenerated = 's'"
        )
    }
    assert generated == {"total", "label"}
    assert made.query("INSERT INTO computed (id, quantity, price) VALUES (1, 3, 2.50) RETURNING total, label") == [
        (7.5, "3 pieces")
    ]
    assert made.columns("computed")["age"] == ("integer", False)
    entry = made.entry("computed column", "dbo.Computed.Age")
    assert entry["state"] == "changed"
    assert "receives the values" in entry["reason"]
    assert "getdate()" in entry["original"]
    assert made.entry("computed column", "dbo.Computed.Total")["state"] == "done"


# -- indexes ------------------------------------------------------------------------------------------


def test_field_17_include_and_filtered_indexes(made: Made) -> None:
    assert made.index("ix_include") == "(region, price DESC) INCLUDE (state, day)"
    assert made.index("ix_uniqueinclude") == "(state) INCLUDE (region) NULLS NOT DISTINCT"
    where = made.index("ix_filtered")
    assert where.startswith("(day) NULLS NOT DISTINCT WHERE ")
    assert "state = 1" in where
    assert "region IS NOT NULL" in where
    # As a key column, region would widen what is unique.
    made.query("INSERT INTO indexed (id, code, state, region) VALUES (1, 'a', 1, 'x')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        made.query("INSERT INTO indexed (id, code, state, region) VALUES (2, 'b', 1, 'y')")
    made.query("DELETE FROM indexed")
    skipped = made.entry("index", "dbo.Indexed.IX_FilteredOddly")
    assert skipped["state"] == "skipped"
    assert "dbo.Cutoff" in skipped["reason"]
    assert "Cutoff" in skipped["original"]
    assert made.one("SELECT to_regclass('ix_filteredoddly')") is None


def test_large_included_columns_would_refuse_rows_and_are_left_out(made: Made) -> None:
    assert made.index("ix_largeinclude") == "(state, day) INCLUDE (price)"
    assert "Notes" in made.entry("index", "dbo.Indexed.IX_LargeInclude")["reason"]


def test_field_18_the_same_index_name_on_two_tables(made: Made) -> None:
    assert made.index("indexed_ix_same") == "(region)"
    assert made.index("indexedtoo_ix_same") == "(region DESC)"
    for table, name in (("Indexed", "indexed_ix_same"), ("IndexedToo", "indexedtoo_ix_same")):
        entry = made.entry("index", f"dbo.{table}.IX_Same")
        assert entry["state"] == "changed"
        assert name in entry["reason"]


def test_an_index_with_the_name_of_a_foreign_key_hides_neither(made: Made) -> None:
    assert made.index("fk_indexed_parent") == "(parentid)"
    assert made.constraint("indexed", "fk_indexed_parent") == "FOREIGN KEY (parentid) REFERENCES indexed(id)"


def test_a_unique_constraint_allows_one_null(made: Made) -> None:
    made.query("INSERT INTO indexed (id, state, region) VALUES (1, 1, 'x')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        made.query("INSERT INTO indexed (id, state, region) VALUES (2, 2, 'x')")
    made.query("DELETE FROM indexed")


def test_disabled_keys_and_indexes_are_told(made: Made) -> None:
    for kind, name in (("unique constraint", "UQ_Indexed_Disabled"), ("index", "IX_Disabled")):
        entry = made.entry(kind, f"dbo.Indexed.{name}")
        assert entry["state"] == "skipped"
        assert "disabled" in entry["reason"]


def test_an_index_of_more_columns_than_postgresql_allows_loses_included_ones_only(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    names = [f"C{number:02}" for number in range(40)]
    wide = Table(
        "dbo",
        "Wide",
        (required("ID"), *(Column(name, INT) for name in names)),
        primary("PK_Wide", "ID"),
        indexes=(index("IX_Wide", "C00", "C01", included=tuple(names[2:])),),
    )
    made, finished = run_on(Database("wide", (wide,)), target, tmp_path)
    assert finished.code == 0, finished.text
    assert (
        made.one("SELECT indnatts || '/' || indnkeyatts FROM pg_index WHERE indexrelid = 'ix_wide'::regclass") == "32/2"
    )
    assert "C39" in made.entry("index", "dbo.Wide.IX_Wide")["reason"]


def test_a_partitioning_column_is_no_part_of_an_index(target: EmbeddedTarget, tmp_path: Path) -> None:
    """The server adds it to indexes of a partitioned table, with key ordinal 0."""
    table = Table(
        "dbo",
        "Slices",
        (required("ID"), required("Day"), Column("Name", INT)),
        indexes=(Index("IX_Name", (KeyColumn("Name"),)),),
        traits=("partitioned",),
    )
    database = Database("slices", (table,))
    with StandIn(database, {}) as source:
        source.execute(
            "INSERT INTO sys.index_columns BY NAME SELECT * REPLACE (2 AS index_column_id, 0 AS key_ordinal,"
            " 2 AS column_id, 1 AS partition_ordinal) FROM sys.index_columns"
        )
        made, finished = make(source, database, target, tmp_path, "slices")
    assert finished.code == 0, finished.text
    assert made.index("ix_name") == "(name)"


# -- foreign keys ---------------------------------------------------------------------------------------


def test_field_21_foreign_keys_of_all_kinds(made: Made) -> None:
    assert made.constraint("children", "fk_two") == "FOREIGN KEY (pb, pa) REFERENCES parents(b, a)"
    assert made.constraint("children", "fk_self") == "FOREIGN KEY (boss) REFERENCES children(id)"
    assert made.constraint("children", "fk_cross") == "FOREIGN KEY (region) REFERENCES sales.regions(id)"
    assert made.constraint("children", "fk_uniqueindex") == "FOREIGN KEY (parentcode) REFERENCES parents(code)"
    assert made.constraint("children", "fk_uniquekey") == "FOREIGN KEY (parentserial) REFERENCES parents(serial)"
    assert made.constraint("cyclea", "fk_ab") == "FOREIGN KEY (other) REFERENCES cycleb(id)"
    assert made.constraint("cycleb", "fk_ba") == "FOREIGN KEY (other) REFERENCES cyclea(id)"
    actions = [made.constraint(f"acts{n}", f"fk_acts{n}").partition("sales.regions(id)")[2] for n in range(5)]
    assert actions == [
        "",
        " ON UPDATE CASCADE ON DELETE CASCADE",
        " ON UPDATE SET NULL ON DELETE SET NULL",
        " ON UPDATE SET DEFAULT ON DELETE SET DEFAULT",
        " ON DELETE CASCADE",
    ]


def test_untrusted_and_disabled_constraints_are_not_valid_and_told(made: Made) -> None:
    for table, kind, name, word in (
        ("Children", "foreign key", "FK_Untrusted", "not trusted"),
        ("Children", "foreign key", "FK_Disabled", "disabled"),
        ("Checked", "check", "CK_Percent", "not trusted"),
        ("Checked", "check", "CK_Off", "disabled"),
    ):
        assert made.constraint(table.lower(), name.lower()).endswith(" NOT VALID")
        entry = made.entry(kind, f"dbo.{table}.{name}")
        assert entry["state"] == "changed"
        assert word in entry["reason"]
    valid = "SELECT count(*) FROM pg_constraint WHERE conname IN ('fk_two', 'ck_state') AND convalidated"
    assert made.one(valid) == 2


def test_field_21_a_key_to_an_excluded_table_is_skipped_and_told(target: EmbeddedTarget, tmp_path: Path) -> None:
    child = Table(
        "dbo",
        "Child",
        (required("ID"), Column("Parent", INT)),
        primary("PK_Child", "ID"),
        foreign_keys=(ForeignKey("FK_Child", ("Parent",), "dbo", "Parent", ("ID",)),),
    )
    parent = Table("dbo", "Parent", (required("ID"),), primary("PK_Parent", "ID"))
    database = Database("family", (child, parent))
    target.create_database("family")
    with StandIn(database, {}) as source:
        workplace = Workplace(tmp_path, {**source_settings(source.port, "family"), **target.environment("family")})
        made = Made(workplace, target, "family")
        finished = workplace.run("schema", "--exclude", "Parent")
        assert finished.code == 0, finished.text
        entry = made.entry("foreign key", "dbo.Child.FK_Child")
        assert entry["state"] == "skipped"
        assert "dbo.Parent" in entry["reason"]
        assert made.entry("table", "dbo.Parent")["state"] == "skipped"
        # Once the table is there, the key comes too.
        assert workplace.run("schema").code == 0
        assert made.constraint("child", "fk_child") == "FOREIGN KEY (parent) REFERENCES parent(id)"
        assert made.entry("foreign key", "dbo.Child.FK_Child")["state"] == "done"


def test_a_key_that_rows_violate_stays_not_valid_and_rows_stay(target: EmbeddedTarget, tmp_path: Path) -> None:
    child = Table(
        "dbo",
        "Child",
        (required("ID"), Column("Parent", INT)),
        primary("PK_Child", "ID"),
        foreign_keys=(ForeignKey("FK_Child", ("Parent",), "dbo", "Child", ("ID",)),),
    )
    database = Database("orphans", (child,))
    target.create_database("orphans")
    query(target, "orphans", "CREATE TABLE child (id integer NOT NULL, parent integer)")
    query(target, "orphans", "INSERT INTO child VALUES (1, 99)")
    with StandIn(database, {}) as source:
        workplace = Workplace(tmp_path, {**source_settings(source.port, "orphans"), **target.environment("orphans")})
        made = Made(workplace, target, "orphans")
        for _ in range(2):  # and a second run says it again
            finished = workplace.run("schema")
            assert finished.code == 0, finished.text
            entry = made.entry("foreign key", "dbo.Child.FK_Child")
            assert entry["state"] == "changed"
            assert "violate" in entry["reason"]
            assert made.constraint("child", "fk_child").endswith(" NOT VALID")
        assert made.query("SELECT * FROM child") == [(1, 99)]
        made.query("UPDATE child SET parent = 1")
        assert workplace.run("schema").code == 0
        assert made.entry("foreign key", "dbo.Child.FK_Child")["state"] == "done"
        assert made.constraint("child", "fk_child") == "FOREIGN KEY (parent) REFERENCES child(id)"


def test_a_key_to_a_table_that_the_login_may_not_see_is_told(target: EmbeddedTarget, tmp_path: Path) -> None:
    child = Table(
        "dbo",
        "Child",
        (required("ID"), Column("Parent", INT)),
        primary("PK_Child", "ID"),
        foreign_keys=(ForeignKey("FK_Child", ("Parent",), "dbo", "Secret", ("ID",)),),
    )
    database = Database("veiled", (child, Table("dbo", "Secret", (required("ID"),), primary("PK_Secret", "ID"))))
    with StandIn(database, {}) as source:
        # Metadata visibility: rows about what a login may not touch are missing, the key's own row is not.
        source.execute(
            "DELETE FROM sys.columns WHERE object_id IN (SELECT object_id FROM sys.tables WHERE name = 'Secret')"
        )
        source.execute("DELETE FROM sys.tables WHERE name = 'Secret'")
        made, finished = make(source, database, target, tmp_path, "veiled")
    assert finished.code == 0, finished.text
    entry = made.entry("foreign key", "dbo.Child.FK_Child")
    assert entry["state"] == "skipped"
    assert "(hidden)" in entry["reason"]


# -- defaults and checks ----------------------------------------------------------------------------------


def test_field_16_every_default_of_the_field_gives_its_value_or_is_told(made: Made) -> None:
    ((row,),) = made.query("INSERT INTO defaulted (id) VALUES (1) RETURNING to_jsonb(defaulted)")
    for name, (_, text, value) in DEFAULTS.items():
        entry = made.entry("default", f"dbo.Defaulted.{name}")
        got = row[name.lower()]
        if name in DEFAULTS_REPORTED:
            assert entry["state"] == "skipped"
            assert entry["original"] == text
            assert got is None
            continue
        assert entry["state"] == "done", name
        assert entry["original"] == text
        if value == "NULL":
            assert got is None
        elif value is None:
            assert got is not None, name
        elif name == "Epoch":
            assert got == "1900-01-01T00:00:00"
        else:
            assert got == value, name
    assert made.one("SELECT today = current_date AND tomorrow - now BETWEEN '23:59' AND '24:01' FROM defaulted")
    assert made.one("SELECT abs(extract(epoch FROM utcnow - now() AT TIME ZONE 'UTC')) < 60 FROM defaulted")
    assert len(row["hex"]) == 32
    made.query("DELETE FROM defaulted")


def test_checks_hold_or_are_told_with_their_text(made: Made) -> None:
    made.query("INSERT INTO checked (id, state, percent) VALUES (1, 'OPEN', 100)")  # the collation ignores case
    for values in ("2, 'ajar', 1", "3, 'open', 101", "4, 'open', 0", "5, 'open', 256", "6, 'open', -1"):
        with pytest.raises(psycopg2.errors.CheckViolation):
            made.query(f"INSERT INTO checked (id, state, percent) VALUES ({values})")
    odd = made.entry("check", "dbo.Checked.CK_Odd")
    assert odd["state"] == "skipped"
    assert odd["original"] == "([dbo].[IsOdd]([Percent])=(1))"


# -- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AWKWARD_NAMES)
def test_field_20_awkward_names_arrive_whole(made: Made, name: str) -> None:
    folded = name.lower()
    if len(folded.encode()) > 63:
        assert made.entry("table", f"dbo.{name}")["state"] == "changed"
        assert made.entry("column", f"dbo.{name}.{name}")["state"] == "changed"
        ((folded,),) = made.query(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE %s"
            " AND right(relname, 9) ~ '^_[0-9a-f]{8}$' AND obj_description(oid, 'pg_class') IS NULL ORDER BY 1 LIMIT 1",
            folded[:40] + "%",
        )
    ((oid,),) = made.query(
        "SELECT c.oid FROM pg_class c WHERE relname = %s AND relnamespace = 'public'::regnamespace", folded
    )
    found = made.query("SELECT attname FROM pg_attribute WHERE attrelid = %s AND attnum > 0 ORDER BY attnum", oid)
    assert found == [(folded,), ("parent",)]
    kinds = made.query("SELECT contype FROM pg_constraint WHERE conrelid = %s AND contype <> 'n' ORDER BY 1", oid)
    assert kinds == [("c",), ("f",), ("p",)]
    assert made.query("SELECT count(*) FROM pg_index WHERE indrelid = %s", oid) == [(2,)]
    assert ("default", f"dbo.{name}.{name}") not in made.entries()


def test_field_19_names_equal_after_63_bytes_stay_apart(made: Made) -> None:
    found = made.query("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE 'llllllll%%' ORDER BY 1")
    assert len(found) == 2
    assert all(len(name.encode()) <= 63 for (name,) in found)


# -- sequences, comments, types ---------------------------------------------------------------------------------


def test_sequences_go_on_where_the_source_stands(made: Made) -> None:
    sql = "SELECT data_type::text, start_value, min_value, max_value, increment_by, cycle, cache_size FROM pg_sequences"
    assert made.query(f"{sql} WHERE sequencename = 'vouchers'") == [("bigint", 1, 1, 2**63 - 1, 1, False, 20)]
    assert made.query(f"{sql} WHERE sequencename = 'countdown'") == [("smallint", 100, -100, 100, -10, True, 1)]
    assert made.one("SELECT nextval('sales.countdown')") == 50
    assert made.one("SELECT nextval('unused')") == 5  # never used: its start is still to come
    assert made.one("SELECT nextval('unused')") == 10
    assert made.one("SELECT obj_description('vouchers'::regclass, 'pg_class')") == "Never twice."


def test_comments_of_everything_arrive(made: Made) -> None:
    assert made.one("SELECT obj_description('sales.regions'::regclass, 'pg_class')") == "Where we sell: 100%."
    assert made.one("SELECT col_description('sales.regions'::regclass, 2)") == "With 'quotes', \\ and\na second line."
    assert made.one("SELECT obj_description('indexed_ix_same'::regclass, 'pg_class')") == "For the search box."
    named = "SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conname = %s"
    assert made.one(named, "pk_indexed") == "The key's comment."
    assert made.one(named, "uq_indexed_code") == "One code each, and one NULL."
    assert made.one(named, "ck_indexed_price") == "Nothing is given away."
    assert made.one(named, "fk_indexed_parent") == "To itself."
    states = {entry["state"] for (kind, _), entry in made.entries().items() if kind == "comment"}
    assert states == {"done"}


def test_extended_properties_without_a_place_are_told(target: EmbeddedTarget, tmp_path: Path) -> None:
    database = Database("told", (Table("dbo", "T", (required("ID"),), primary("PK_T", "ID")),))
    with StandIn(database, {}) as source:
        source.execute(
            "INSERT INTO sys.extended_properties (class, class_desc, major_id, minor_id, name, value)"
            " SELECT 1, 'OBJECT_OR_COLUMN', object_id, 0, 'Owner', 'the night shift' FROM sys.tables"
            " UNION ALL SELECT 0, 'DATABASE', 0, 0, 'MS_Description', 'All of it'"
            " UNION ALL SELECT 3, 'SCHEMA', 1, 0, 'MS_Description', 'Ours'"
        )
        made, finished = make(source, database, target, tmp_path, "told")
    assert finished.code == 0, finished.text
    told = {entry.get("original"): entry for entry in made.entries().values() if entry["state"] == "skipped"}
    assert told["the night shift"]["kind"] == "extended property Owner"
    assert told["the night shift"]["name"] == "dbo.T"
    assert "All of it" in told
    # A schema's has a place.
    assert made.one("SELECT obj_description('public'::regnamespace, 'pg_namespace')") == "Ours"
    assert made.entry("comment", "schema dbo")["state"] == "done"


def test_alias_types_become_their_base_and_are_told(made: Made) -> None:
    assert made.columns("aliased")["phone"] == ("character varying(24)", False)
    assert made.columns("aliased")["owner"] == ("character varying(128)", False)
    assert made.entry("alias type", "dbo.PhoneNumber")["state"] == "changed"
    assert "PhoneNumber" in made.entry("column", "dbo.Aliased.Phone")["reason"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("view", "dbo.Days"),
        ("sql stored procedure", "dbo.Recount"),
        ("sql scalar function", "dbo.IsOdd"),
        ("sql trigger", "dbo.OnIndexed on Indexed"),
        ("synonym", "dbo.Gebiete"),
    ],
)
def test_field_35_code_and_synonyms_are_in_the_report_with_their_text(made: Made, kind: str, name: str) -> None:
    entry = made.entry(kind, name)
    assert entry["state"] == "skipped"
    assert entry["reason"]
    assert entry["original"]


# -- tables that need care ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "care",
    [
        "temporal", "temporal history", "partitioned", "memory-optimised", "graph node", "graph edge", "ledger",
        "external", "FileTable",
    ],
)  # fmt: skip
def test_tables_that_need_care_are_named_as_what_they_are(made: Made, care: str) -> None:
    entry = made.entry("table", CARE[care].full_name)
    assert entry["state"] == "changed"
    assert care in entry["reason"]
    assert made.one("SELECT to_regclass(%s) IS NOT NULL", f'"{CARE[care].name.lower()}"')


def test_temporal_tables_keep_their_hidden_period_columns_and_their_history(made: Made) -> None:
    stamp = ("timestamp(6) without time zone", True)
    assert made.columns("prices")["validfrom"] == made.columns("priceshistory")["validfrom"] == stamp
    assert "hidden" in made.entry("column", "dbo.Prices.ValidTo")["reason"]
    assert made.index("ix_priceshistory") == "(validto, validfrom)"


def test_memory_optimised_hash_indexes_become_trees_and_are_told(made: Made) -> None:
    assert made.index("ix_inmemory_hash") == "(session)"
    assert made.entry("index", "dbo.InMemory.IX_InMemory_Hash")["state"] == "changed"


def test_columnstore_indexes_are_told(made: Made) -> None:
    entry = made.entry("index", "dbo.Facts.CCI_Facts")
    assert entry["state"] == "skipped"
    assert "columnstore" in entry["reason"]
    assert "BRIN" in entry["suggestion"]


def test_graph_tables_keep_what_can_be_read_and_their_indexes(made: Made) -> None:
    assert list(made.columns("person")) == ["$node_id_12ab", "id", "name"]
    assert made.index("graph_unique_index_77") == '("$node_id_12ab")'
    assert made.index("ix_likes") == '("$from_id_66", "$to_id_99")'
    assert made.entry("column", "dbo.Person.graph_id_8E1D")["state"] == "skipped"
    assert made.entry("index", "dbo.Likes.IX_Likes")["state"] == "changed"


def test_ledger_columns_are_copied_and_told(made: Made) -> None:
    assert made.columns("balances")["ledger_start_transaction_id"] == ("bigint", True)
    assert "transaction id start" in made.entry("column", "dbo.Balances.ledger_start_transaction_id")["reason"]


def test_filestream_sparse_and_column_sets_are_told(made: Made) -> None:
    assert made.columns("documents")["file_stream"] == ("bytea", False)
    assert "FILESTREAM" in made.entry("column", "dbo.Documents.file_stream")["reason"]
    assert list(made.columns("attributes")) == ["id", "colour", "size"]
    assert "sparse" in made.entry("column", "dbo.Attributes.Colour")["reason"]
    assert "column set" in made.entry("column", "dbo.Attributes.AllOfThem")["reason"]


def test_field_35_always_encrypted_columns_are_told(made: Made) -> None:
    entry = made.entry("column", "dbo.Patients.SSN")
    assert entry["state"] == "changed"
    assert "Always Encrypted" in entry["reason"]


def test_masked_columns_are_told(made: Made) -> None:
    assert "masked" in made.entry("column", "dbo.Staff.Email")["reason"]


# -- collations -------------------------------------------------------------------------------------------------------

COLLATED = tuple(table for table in ORDINARY if table.name == "Collated")


def test_field_32_collation_policy_leave_compares_exactly_and_says_so(made: Made) -> None:
    assert made.columns("collated")["loose"] == ("character varying(20)", False)
    made.query("INSERT INTO collated (id, loose) VALUES (1, 'Key'), (2, 'KEY')")
    made.query("DELETE FROM collated")
    for collation in ("Latin1_General_CI_AS", "Latin1_General_CI_AI", HANDMADE.collation):
        assert made.entry("collation", str(collation))["state"] == "changed"
    assert ("collation", "Latin1_General_CS_AS") not in made.entries()


def test_field_32_collation_policy_citext_ignores_case_in_keys(target: EmbeddedTarget, tmp_path: Path) -> None:
    database = Database("ci", COLLATED)
    with StandIn(database, {}) as source:
        made, finished = make(source, database, target, tmp_path, "ci", COLLATION_POLICY="citext")
        assert finished.code == 0, finished.text
        again = made.workplace.run("schema")
        assert again.code == 0, again.text
    kinds = {name: kind for name, (kind, _) in made.columns("collated").items()}
    assert kinds["loose"] == kinds["looseaccent"] == "citext"
    assert (kinds["strict"], kinds["bytes"], kinds["padded"]) == (
        "character varying(20)", "character varying(20)", "character(4)",
    )  # fmt: skip
    made.query("INSERT INTO collated (id, loose) VALUES (1, 'Key')")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        made.query("INSERT INTO collated (id, loose) VALUES (2, 'KEY')")
    with pytest.raises(psycopg2.errors.CheckViolation):
        made.query("INSERT INTO collated (id, loose) VALUES (3, repeat('x', 21))")
    # What citext cannot ignore (accents) or be (char) is still told.
    assert made.entry("collation", "Latin1_General_CI_AI")["state"] == "changed"
    assert "1 columns" in made.entry("collation", "Latin1_General_CI_AS")["reason"]


def test_field_32_collation_policy_icu_stops_before_any_table_where_there_is_no_icu(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    made, finished = run_on(Database("noicu", COLLATED), target, tmp_path, COLLATION_POLICY="icu")
    assert finished.code == 2, finished.text
    assert "COLLATION_POLICY=icu" in finished.err
    assert "ICU" in finished.err
    assert made.one("SELECT to_regclass('collated')") is None


def test_field_32_collation_policy_icu_ignores_what_the_source_ignores(tmp_path: Path) -> None:
    url = os.environ.get("ICU_TEST_URL")
    if not url:
        pytest.skip("no PostgreSQL with ICU: set ICU_TEST_URL to the address of an empty database to run this")
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor, StandIn(Database("icu", COLLATED), {}) as source:
        cursor.execute("DROP TABLE IF EXISTS collated")
        settings = {"DATABASE_URL": url, "COLLATION_POLICY": "icu"}
        workplace = Workplace(tmp_path, {**source_settings(source.port, "icu"), **settings})
        for _ in range(2):
            finished = workplace.run("schema")
            assert finished.code == 0, finished.text
        cursor.execute("INSERT INTO collated VALUES (1, 'Key', 'résumé', 'a', 'a', 'AB')")
        cursor.execute(
            "SELECT loose = 'KEY', loose = 'Kéy', looseaccent = 'RESUME', strict = 'A', bytes = 'A', padded = 'ab'"
            " FROM collated"
        )
        assert cursor.fetchall() == [(True, False, True, False, False, True)]
        with pytest.raises(psycopg2.errors.UniqueViolation):
            cursor.execute("INSERT INTO collated (id, loose) VALUES (2, 'KEY')")
        cursor.execute("DROP TABLE collated")
    connection.close()
    assert '"collation"' not in (tmp_path / "schema_report.json").read_text(encoding="utf-8")

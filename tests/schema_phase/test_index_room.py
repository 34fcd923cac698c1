"""Keys and included columns that have room in an index of PostgreSQL, and those that may have none."""

from __future__ import annotations

import random
from pathlib import Path

import psycopg2
import pytest

from demo.shop import nvarchar, varchar
from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from tests.handmade import index, primary, required
from tests.made_schemas import run_on


def test_included_columns_whose_longest_values_have_no_room_are_left_out(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    # As AdventureWorks has it: IX_ProductReview_ProductID_Name … INCLUDE (Comments), nvarchar(3850).
    lengths = {"Name": 50, "Title": 300, "Comments": 3850, "Summary": 300, "Short": 90}
    columns = [Column(name, nvarchar(length)) for name, length in lengths.items()]
    reviews = Table(
        "dbo", "Reviews", (required("ID"), required("Product"), *columns), primary("PK_Reviews", "ID"),
        indexes=(index("IX_Reviews", "Product", "Name", included=(*list(lengths)[1:], "ID")),),
    )  # fmt: skip
    made, finished = run_on(Database("reviews", (reviews,)), target, tmp_path)
    assert finished.code == 0, finished.text
    assert made.index("ix_reviews") == "(product, name) INCLUDE (title, summary, short, id)"
    assert "without the included Comments:" in made.entry("index", "dbo.Reviews.IX_Reviews")["reason"]
    # The longest values, of characters that do not compress.
    longest = [
        "".join(chr(0x4E00 + (number * 7919 + place * 104729) % 20000) for number in range(length))
        for place, length in enumerate(lengths.values())
    ]
    made.query("INSERT INTO reviews VALUES (1, 2, %s, %s, %s, %s, %s)", *longest)
    assert made.one("SELECT length(comments) FROM reviews") == 3850


def _letters(count: int, first: int, kinds: int) -> str:
    """A text that does not compress to speak of."""
    return "".join(random.Random(count).choices([chr(first + number) for number in range(kinds)], k=count))


CHINESE, CYRILLIC = (0x4E00, 20000), (0x410, 64)


def test_a_key_that_may_be_longer_than_an_index_has_room_for_is_told_and_no_other(
    target: EmbeddedTarget, tmp_path: Path
) -> None:
    texts = (
        Column("Cyrillic", varchar(1700), collation="Cyrillic_General_CI_AS"),
        Column("Wide", nvarchar(4000), collation="Cyrillic_General_CI_AS"),
        Column("UTF8", varchar(1700), collation="Latin1_General_100_CI_AS_SC_UTF8"),
        Column("Bytes", SqlType("varbinary", 1700)),
        Column("Short", varchar(200), collation="Thai_CI_AS"),
    )
    thai = required("Name", varchar(900), collation="Thai_CI_AS")
    texts_table = Table(
        "dbo", "Texts", (required("ID"), *texts), primary("PK_Texts", "ID"),
        unique=(Key("UQ_Cyrillic", (KeyColumn("Cyrillic"),)),),
        indexes=(
            index("IX_Wide", "Wide", included=("ID",)), index("IX_Cyrillic", "Cyrillic", included=("ID", "Short")),
            index("IX_UTF8", "UTF8", "ID"), index("IX_Bytes", "Bytes"), index("IX_Both", "Wide", "Short"),
        ),
    )  # fmt: skip
    names = Table("dbo", "Names", (thai,), primary("PK_Names", "Name"))
    in_memory = Table(
        "dbo", "Hot", (required("ID"), Column("Wide", nvarchar(1250))), primary("PK_Hot", "ID", is_clustered=False),
        indexes=(index("IX_Hot", "Wide"),), traits=("memory-optimised",),
    )  # fmt: skip
    made, finished = run_on(Database("longkeys", (texts_table, names, in_memory)), target, tmp_path)
    assert finished.code == 0, finished.text
    entries = made.entries()
    told = {name for (_, name), entry in entries.items() if "more than 2,704 bytes" in (entry.get("reason") or "")}
    assert told == {
        "dbo.Texts.UQ_Cyrillic", "dbo.Texts.IX_Cyrillic", "dbo.Texts.IX_Both", "dbo.Names.PK_Names", "dbo.Hot.IX_Hot",
    }  # fmt: skip
    assert "md5()" in made.entry("primary key", "dbo.Names.PK_Names")["suggestion"]
    # What there is no room for beside the longest key is not in the index.
    assert made.index("ix_cyrillic") == "(cyrillic)"
    assert made.index("ix_wide") == "(wide) INCLUDE (id)"
    # The longest keys that the source has room for.
    wide, utf8 = _letters(850, *CHINESE), _letters(1700, 33, 94)
    made.query("INSERT INTO texts VALUES (1, NULL, %s, %s, %s, NULL)", wide, utf8, random.Random(1).randbytes(1700))
    with pytest.raises(psycopg2.errors.ProgramLimitExceeded):
        made.query("INSERT INTO texts (id, cyrillic) VALUES (2, %s)", _letters(1700, *CYRILLIC))


def test_what_a_key_leaves_no_room_for_is_not_included_however_small(target: EmbeddedTarget, tmp_path: Path) -> None:
    small = [Column(f"N{number:02}", SqlType("uniqueidentifier", 16)) for number in range(20)]
    wide = Table(
        "dbo", "Full", (required("ID"), Column("Wide", nvarchar(850)), *small), primary("PK_Full", "ID"),
        indexes=(index("IX_Full", "Wide", included=tuple(column.name for column in small)),),
    )  # fmt: skip
    made, finished = run_on(Database("fullkeys", (wide,)), target, tmp_path)
    assert finished.code == 0, finished.text
    kept = made.index("ix_full").partition(" INCLUDE ")[2]
    assert kept == f"({', '.join(f'n{number:02}' for number in range(8))})"
    assert "without the included N08, " in made.entry("index", "dbo.Full.IX_Full")["reason"]
    longest = f'INSERT INTO "full" VALUES (1, %s{", gen_random_uuid()" * len(small)})'
    made.query(longest, _letters(850, *CHINESE))

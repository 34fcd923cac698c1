"""What is counted on the source, where code pages decide: texts that only PostgreSQL tells apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

from db import connect_source, load_settings
from model.catalog import Column, Database, ForeignKey, Key, KeyColumn, SqlType, Table
from mssql.data_checks import Count, Request, count_problems
from standin.server import StandIn
from tests.harness import source_settings
from tests.tsql_servers import own_database

CYRILLIC = "Cyrillic_General_CI_AS"
NAME = Column("Name", SqlType("varchar", 20), is_nullable=False, collation=CYRILLIC)
PARENTS = Table("dbo", "Parents", (NAME,), Key("PK_Parents", (KeyColumn("Name"),)))
CHILDREN = Table(
    "dbo", "Children", (NAME,), foreign_keys=(ForeignKey("FK_Name", ("Name",), "dbo", "Parents", ("Name",)),)
)
#: the second one is another name to PostgreSQL, and to a collation that counts case; six letters all of them
THERE, REFERRED = ["привет"], ["привет", "ПРИВЕТ"]
UNEQUAL = [Count("unequal", "dbo.Children.FK_Name", 1)]


def counted(settings: Mapping[str, str]) -> list[Count]:
    """What there is to say of the two tables where PostgreSQL compares exactly."""
    given = load_settings(None, {**settings, "PGDATABASE": "none"})
    request = Request((PARENTS, CHILDREN), lambda _: "exact")
    return list(count_problems(lambda: connect_source(given), request, lambda _: None))


def test_letters_of_another_code_page_are_told_apart(serve: Callable[..., StandIn]) -> None:
    rows = {"dbo.Parents": [(name,) for name in THERE], "dbo.Children": [(name,) for name in REFERRED]}
    source = serve(Database("names", (PARENTS, CHILDREN)), rows)
    assert counted(source_settings(source.port, "names")) == UNEQUAL


def test_a_nul_is_found_among_letters_of_another_code_page_and_no_letter_is_taken_for_one(
    serve: Callable[..., StandIn],
) -> None:
    rows = {"dbo.Parents": [("привет",), ("при\x00вет",), ("日本",)], "dbo.Children": []}
    source = serve(Database("names", (PARENTS, CHILDREN)), rows)
    assert counted(source_settings(source.port, "names")) == [Count("NUL characters", "dbo.Parents.Name", 1)]


def test_on_a_tsql_server_letters_of_another_code_page_are_told_apart(tsql_server: Mapping[str, str]) -> None:
    with own_database(tsql_server, "code_pages") as there:
        given = load_settings(None, {**there, "PGDATABASE": "none"})
        with closing(connect_source(given)) as source:
            column = f"Name varchar(20) COLLATE {CYRILLIC} NOT NULL"
            source.execute(f"CREATE TABLE Parents ({column} PRIMARY KEY)").close()
            source.execute(f"CREATE TABLE Children ({column})").close()
            source.execute("INSERT INTO Parents VALUES (?)", *THERE).close()
            for name in REFERRED:
                source.execute("INSERT INTO Children VALUES (?)", name).close()
        assert counted(there) == UNEQUAL

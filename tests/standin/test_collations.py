"""Narrow text is read in the code page of its collation."""

from __future__ import annotations

import pytest

from model.catalog import Column, Database, Table
from standin.collations import Collation
from standin.server import StandIn
from tests.standin.clients import connect, value
from tests.standin.samples import Q

CODE_PAGES = (
    ("Greek_CI_AS", "Ζαχαροπλαστείο"),
    ("Cyrillic_General_CI_AS", "Привет"),
    ("Polish_CI_AS", "Łódź"),
    ("Japanese_CI_AS", "日本語テスト"),
    ("Chinese_PRC_CI_AS", "北京书店"),
    ("Chinese_Taiwan_Stroke_CI_AS", "臺北書店"),
    ("Korean_Wansung_CI_AS", "안녕하세요"),
    ("Turkish_CI_AS", "İstanbul ğ"),
    ("Hebrew_CI_AS", "שלום"),
    ("Lithuanian_CI_AS", "Žąsis"),
)
#: FreeTDS does not look at a collation's sort id, nor at its UTF-8 flag
CODE_PAGES_OF_ONE_DRIVER = (
    ("SQL_Latin1_General_CP850_CI_AS", "café ░"),
    ("SQL_Latin1_General_CP437_CI_AS", "café α"),
    ("Latin1_General_100_CI_AS_SC_UTF8", "中 é 😀"),
)


def _check_code_page(driver: str, collation: str, text: str) -> None:
    table = Table("dbo", "T", (Column("t", Q("varchar", 100), collation=collation),))
    with StandIn(Database("shop", (table,)), {"dbo.T": [(text,)]}) as running:
        opened = connect(running, driver)
        try:
            assert value(opened, "SELECT t FROM dbo.T") == text
        finally:
            opened.close()


@pytest.mark.parametrize(("collation", "text"), CODE_PAGES)
def test_code_page_of_a_varchar_column(driver: str, collation: str, text: str) -> None:
    _check_code_page(driver, collation, text)


@pytest.mark.parametrize("driver", ["microsoft"], indirect=True)
@pytest.mark.parametrize(("collation", "text"), CODE_PAGES_OF_ONE_DRIVER)
def test_code_page_by_sort_id_or_flag(driver: str, collation: str, text: str) -> None:
    _check_code_page(driver, collation, text)


def test_code_page_is_known_by_name() -> None:
    assert Collation.named("Thai_CI_AS").encoding == "cp874"
    assert Collation.named(None).encoding == "cp1252"

"""The table of settings: one default each, and an example and documentation that are made of it."""

from __future__ import annotations

import dataclasses
import re

import pytest

from model.errors import SettingsError
from model.settings import Driver, Secrets, Settings, Source, Target
from model.settings_table import SETTINGS, example, fields_of, read
from tests.harness import ROOT

PLAIN = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())


def test_the_example_is_the_table_s() -> None:
    """`python -m model.settings_table > .env.example` mends it."""
    assert (ROOT / ".env.example").read_text(encoding="utf-8") == example()


def test_every_field_of_a_run_s_settings_stands_in_the_table_once() -> None:
    # Made of several settings each.
    together = ("source", "target", "secrets", "cluster")
    fields = [setting.field for setting in SETTINGS.values() if setting.field]
    wanted = [one.name for one in dataclasses.fields(Settings) if one.name not in together]
    assert sorted(fields) == sorted(wanted)


def test_settings_that_nobody_gives_are_those_of_the_dataclass() -> None:
    given = fields_of({})
    assert given.pop("workers") >= 1
    assert {name: getattr(PLAIN, name) for name in given} == given


#: settings that have no default which could be shown
WITHOUT_DEFAULT = {
    "SCHEMA_MAP",
    "TYPE_MAP",
    "TRUSTED_ROLES",
    "WORKERS",
    "TABLES",
    "EXCLUDE",
    "MAX_RATE",
    "REFRESH_TABLES",
}


def test_the_example_shows_the_defaults() -> None:
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", example(), re.MULTILINE))
    for name, setting in SETTINGS.items():
        if setting.field and name not in WITHOUT_DEFAULT:
            assert read(name, {name: shown[name]}) == read(name, {}), name


def test_the_documentation_names_no_setting_that_there_is_not() -> None:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    known = {*SETTINGS, "PGOPTIONS", "PGSSLMODE", *re.findall(r"\$\{([A-Z_]+)", compose)}
    others = ("PG", "MSSQL_TEST_", "ICU_", "LZ4_", "POSTGIS_", "NORTHWIND_")
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for name in re.findall(r"`([A-Z][A-Z]+_[A-Z_]+)(?:=[^`]*)?`", page.read_text(encoding="utf-8")):
            assert name in known or name.startswith(others), f"{page.name}: {name}"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("WORKERS", "0", "WORKERS must be a whole number from 1 to 64, not '0'"),
        ("BATCH_SIZE", "many", "BATCH_SIZE must be a whole number from 1 to 10000000, not 'many'"),
        ("NAMING", "upper", "NAMING must be one of lower, preserve, not 'upper'"),
        ("TOAST_COMPRESSION", "zstd", "TOAST_COMPRESSION must be one of lz4, server, not 'zstd'"),
        ("SCHEMA_MAP", "dbo", "SCHEMA_MAP must look like dbo:shop"),
        ("SCHEMA_MAP", "dbo:a,DBO:b", "SCHEMA_MAP names DBO twice"),
    ],
)
def test_a_senseless_value_is_refused_with_what_would_be_right(name: str, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        read(name, {name: text})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("CHUNK_ROWS", " 2_000_000 ", 2_000_000),
        ("MSSQL_ENCRYPT", "True", "yes"),
        ("NUL_POLICY", " Replace ", "replace"),
        ("TRUSTED_ROLES", "dba, , ops ", ("dba", "ops")),
        ("SCHEMA_MAP", "dbo:shop, Sales : eu", {"dbo": "shop", "sales": "eu"}),
        ("TYPE_MAP", "  ", None),
    ],
)
def test_a_value_is_read_as_a_person_means_it(name: str, text: str, value: object) -> None:
    assert read(name, {name: text}) == value

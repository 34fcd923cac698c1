"""Slips in the settings: refused before anything is touched, with where they stand and what was meant."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import SettingsError
from model.server_address import ServerAddress, parse_address
from model.settings_page import page
from model.settings_table import SETTINGS
from tests.harness import ROOT, Finished, Workplace, bare, clean_environment
from tests.samples import Shop


def run_with_file(shop: Shop, text: str, **environment: str) -> Finished:
    """The data phase with all its settings in `.env`, and some in the environment."""
    (shop.workplace.folder / ".env").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(ROOT / "sync-data.py")], cwd=shop.workplace.folder, capture_output=True, text=True,
        check=False, encoding="utf-8", env=clean_environment(environment),
    )  # fmt: skip
    return Finished(done.returncode, bare(done.stdout), bare(done.stderr))


def env(workplace: Workplace, **changes: str) -> str:
    """The workplace's settings as a file; a blank value leaves one out."""
    values = {**workplace.environment, **changes}
    return "".join(f"{name}='{value}'\n" for name, value in values.items() if value)


def test_settings_in_a_file_do(shop: Shop) -> None:
    shop.ready("data")
    finished = run_with_file(shop, env(shop.workplace))
    assert finished.code == 0, finished.text


@pytest.mark.parametrize(
    ("wrong", "right"), [("MSSQL_PASWORD", "MSSQL_PASSWORD"), ("PG_HOST", "PGHOST"), ("WORKER", "WORKERS")]
)
def test_a_misspelt_name_is_refused_with_its_line_and_what_was_meant(shop: Shop, wrong: str, right: str) -> None:
    text = env(shop.workplace, **{right: ""}) + f"{wrong}='a secret'\n"
    finished = run_with_file(shop, text)
    assert finished.code == 2
    assert f".env, line {text.count(chr(10))}: there is no setting {wrong}. Is {right} meant?" in finished.err
    assert "a secret" not in finished.text


def test_a_misspelt_name_in_the_environment_is_refused_too(shop: Shop) -> None:
    finished = run_with_file(shop, env(shop.workplace, MSSQL_USER=""), MSSQL_USR="sa")
    assert finished.code == 2
    assert "the environment: there is no setting MSSQL_USR. Is MSSQL_USER meant?" in finished.err


@pytest.mark.parametrize("wrong", ["MSSQL_HOSTT", "MSSQL_PASWORD"])
def test_a_misspelt_name_beside_the_right_one_is_refused_too(shop: Shop, wrong: str) -> None:
    right = {"MSSQL_HOSTT": "MSSQL_HOST", "MSSQL_PASWORD": "MSSQL_PASSWORD"}[wrong]
    overriding = run_with_file(shop, env(shop.workplace), **{wrong: "x"})
    assert overriding.code == 2
    assert f"the environment: there is no setting {wrong}. Is {right} meant, which is given as well?" in overriding.err
    text = env(shop.workplace) + f"{wrong}='a secret'\n"
    in_file = run_with_file(shop, text)
    assert in_file.code == 2
    assert f"line {text.count(chr(10))}: there is no setting {wrong}. Is {right} meant, which" in in_file.err


def test_other_programs_names_do_no_harm(shop: Shop) -> None:
    shop.ready("data")
    text = (
        env(shop.workplace)
        + "MSSQL_SA_PASSWORD=x\nMSSQL_PID=Developer\nMSSQL_HOST2=x\nPGDATA=/x\nCOMPOSE_FILE=a.yaml\n"
    )
    assert run_with_file(shop, text, WORKER="7", PGBIN="/usr").code == 0


@pytest.mark.parametrize("junk", ["a line of a password", "export", "WORKERS"])
def test_a_line_that_is_no_setting_is_refused_without_its_words(shop: Shop, junk: str) -> None:
    text = "# first\n\n" + env(shop.workplace) + junk + "\n"
    finished = run_with_file(shop, text)
    assert finished.code == 2
    assert f".env, line {text.count(chr(10))}: this is no setting; it must look like NAME=value" in finished.err
    assert "password" not in finished.err.replace("MSSQL_PASSWORD", "")


def test_a_quote_that_is_not_closed_is_told(shop: Shop) -> None:
    finished = run_with_file(shop, env(shop.workplace, MSSQL_PASSWORD="") + "MSSQL_PASSWORD='secret-and-no-end\n")
    assert finished.code == 2
    assert "A quote that is opened must be closed" in finished.err
    assert "secret-and-no-end" not in finished.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PGSSLMODE": "maybe"}, "PGSSLMODE must be one of disable, allow, prefer"),
        ({"PGSSLMODE": "verify-ful"}, "Is verify-full meant?"),
        ({"WORKERS": "many"}, "WORKERS must be a whole number from 1 to 64"),
        ({"MSSQL_HOST": "sql,1444", "MSSQL_PORT": "1433"}, "names port 1444, and MSSQL_PORT 1433"),
        ({"MSSQL_HOST": "SQL\\EXPRESS", "MSSQL_PORT": "1433"}, "names the instance EXPRESS, and MSSQL_PORT a port"),
        ({"MSSQL_HOST": "np:sql"}, "np: is no TCP connection"),
    ],
)
def test_a_value_that_cannot_be_is_told_with_where_it_stands(shop: Shop, changes: dict[str, str], words: str) -> None:
    finished = run_with_file(shop, env(shop.workplace, **changes))
    assert finished.code == 2
    assert words in finished.err
    assert f"It stands in {shop.workplace.folder / '.env'}, line " in finished.err
    told = run_with_file(shop, env(shop.workplace), **changes)
    assert "It stands in the environment." in told.err


@pytest.mark.parametrize(
    "written", ["tcp:127.0.0.1", "127.0.0.1,{port}", "tcp:127.0.0.1,{port}", " 127.0.0.1 , {port}"]
)
def test_an_address_as_other_tools_have_it_is_understood(shop: Shop, written: str) -> None:
    shop.ready("data")
    port = shop.workplace.environment["MSSQL_PORT"]
    changes = {"MSSQL_HOST": written.format(port=port), "MSSQL_PORT": "" if "{port}" in written else port}
    assert run_with_file(shop, env(shop.workplace, **changes)).code == 0


def test_a_schema_that_the_source_has_not_is_told_with_near_ones(shop: Shop) -> None:
    shop.ready("data")
    finished = shop.workplace.with_settings(SCHEMA_MAP="Sale:sales").run("data")
    assert "SCHEMA_MAP in the settings: the source shows no table in sale. Near: Sales." in finished.out


@given(st.text(), st.sampled_from(["", "1433"]))
def test_any_address_is_understood_or_refused_in_words(written: str, port: str) -> None:
    try:
        assert isinstance(parse_address(written, port), ServerAddress)
    except SettingsError as error:
        assert "MSSQL_HOST" in str(error)


def test_the_page_of_settings_is_made_of_their_table() -> None:
    assert (ROOT / "docs" / "all-settings.md").read_text(encoding="utf-8") == page()


def test_a_default_that_the_page_shows_can_be_written_as_it_is_shown() -> None:
    shown = re.findall(r"^\| `(\w+)` \| [^|]* \| `([^|]*)` \|", page(), re.MULTILINE)
    assert {"MSSQL_PORT", "CHUNK_ROWS", "COMMENT_PROPERTIES", "REFRESH"} <= {name for name, _ in shown}
    for name, default in shown:
        kind = SETTINGS[name].kind
        assert kind.read(name, default) == kind.read(name, ""), name


def test_the_page_is_the_same_on_every_machine() -> None:
    assert "| `WORKERS` | 1 to 64 | one per core, at most four |" in page()

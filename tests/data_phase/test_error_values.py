"""ERROR_VALUES=hide: no value of a row in what is said, written or kept; a banner that tells what is encrypted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from tests.harness import Workplace
from tests.samples import SHOP, SHOP_DDL, MakeWorkplace, Serve, Shop, query

SECRET = "Joe-Secret-42"


@pytest.fixture
def place(serve: Serve, make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str) -> Workplace:
    """The shop with a label that nobody else should read, and a target that refuses it."""
    source = serve(SHOP, {"dbo.Customers": f"SELECT i, '{SECRET}' || i FROM range(3) AS t(i)"})
    query(target, target_database, SHOP_DDL)
    query(target, target_database, "ALTER TABLE customers ADD CONSTRAINT short CHECK (length(label) < 5)")
    return make_workplace(source, SHOP).with_settings(ERROR_VALUES="hide")


def everything(folder: Path) -> str:
    """All that lies in a folder."""
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


def test_values_are_hidden_wherever_a_run_leaves_words(place: Workplace) -> None:
    shown = place.with_settings(ERROR_VALUES="show").run("data")
    assert SECRET in shown.text
    for path in place.folder.iterdir():
        path.unlink()
    for arguments in ((), ("--debug",), ("--on-error", "reject")):
        finished = place.run("data", *arguments)
        assert finished.code == 1
        assert SECRET not in finished.text
        assert SECRET not in everything(place.folder)
    assert "short" in everything(place.folder)
    assert (place.folder / "rejects" / "Customers.jsonl").exists()


def test_a_comparison_names_columns_and_counts_and_no_value(
    place: Workplace, target: EmbeddedTarget, target_database: str
) -> None:
    query(target, target_database, "ALTER TABLE customers DROP CONSTRAINT short")
    assert place.run("data").code == 0
    query(
        target,
        target_database,
        "UPDATE customers SET label = label || 'x' WHERE id = 1; DELETE FROM customers WHERE id = 2",
    )
    shown = place.with_settings(ERROR_VALUES="show").run("data", "--verify", "--tables", "Customers")
    assert SECRET in shown.out
    hidden = place.run("data", "--verify", "--tables", "Customers")
    assert hidden.code == 1
    assert SECRET not in hidden.text
    assert "differs in 1 row" in hidden.out.lower()


# -- connections, and the file that holds the passwords ------------------------------------------------


def test_the_banner_says_what_is_encrypted_and_verified(shop: Shop) -> None:
    shop.ready("data")
    for changes, words in (
        ({"MSSQL_ENCRYPT": "no"}, "not encrypted"),
        ({"MSSQL_ENCRYPT": "yes"}, "encrypted, certificate not verified"),
    ):
        told = shop.workplace.with_settings(**changes).run("data").out
        (source,) = [line for line in told.splitlines() if "Source: " in line]
        assert source.endswith(f", {words}")
        (server,) = [line for line in told.splitlines() if "Target: " in line]
        assert server.endswith(", a socket of this machine")


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_settings_that_others_may_read_are_told(shop: Shop) -> None:
    shop.ready("data")
    file = shop.workplace.folder / "own.env"
    file.write_text("WORKERS=1\n", encoding="utf-8")
    file.chmod(0o644)
    told = shop.workplace.run("data", "--env-file", str(file))
    assert f"{file} can be read by others than its owner: chmod 600" in told.out
    file.chmod(0o600)
    assert "can be read by others" not in shop.workplace.run("data", "--env-file", str(file)).out

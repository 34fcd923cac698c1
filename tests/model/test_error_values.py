"""Servers' words without the values of rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.error_values import without_values

SECRET = "joe@example.com"
DUPLICATE = 'duplicate key value violates unique constraint "uq_mail"; detail: Key'
WORDS = [
    f"{DUPLICATE} (email)=({SECRET}) already exists. (SQLSTATE 23505)",
    f"{DUPLICATE} (a, b)=(1, x) y) {SECRET}) already exists.",
    f'new row for relation "a" violates check constraint "odd"; detail: Failing row contains (13, {SECRET}, null).',
    f'invalid input syntax for type integer: "{SECRET}"; where: COPY orders, line 3, column total: "{SECRET}"',
    f'invalid input syntax for type integer: "a " quote {SECRET}" (SQLSTATE 22P02)',
    "Violation of PRIMARY KEY constraint 'PK_A'. Cannot insert duplicate key in object 'dbo.A'. "
    f"The duplicate key value is ({SECRET}). (2627)",
    f"Conversion failed when converting the varchar value '{SECRET}' to data type int. (245)",
    "String or binary data would be truncated in table 'shop.dbo.A', column 'Mail'. "
    f"Truncated value: '{SECRET}'. (2628)",
    f"doppelter Schlüsselwert verletzt Constraint »uq«; detail: Schlüssel »(email)=({SECRET})« existiert bereits",
    'insert or update on table "b" violates foreign key constraint "fk"; '
    f'detail: Key (m)=({SECRET}) is not present in table "a".',
]


@pytest.mark.parametrize("words", WORDS)
def test_no_value_is_left(words: str) -> None:
    assert SECRET not in without_values(words)


def test_names_and_numbers_stay() -> None:
    shown = [without_values(words) for words in WORDS]
    assert shown[0] == f"{DUPLICATE} (email)=(***) already exists. (SQLSTATE 23505)"
    assert 'relation "a" violates check constraint "odd"' in shown[2]
    assert "COPY orders, line 3, column total" in shown[3]
    assert "object 'dbo.A'" in shown[5]
    assert shown[6] == "Conversion failed when converting the varchar value '***' to data type int. (245)"
    assert "column 'Mail'" in shown[7]
    assert 'is not present in table "a"' in shown[9]


@given(st.text())
def test_any_words_are_taken_and_what_is_hidden_stays_so(words: str) -> None:
    assert isinstance(without_values(words), str)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8).filter(lambda text: "***" not in text))
def test_no_key_is_left_whatever_it_holds(value: str) -> None:
    words = f'duplicate key value violates unique constraint "uq"; detail: Key (email)=(1{value}1) already exists.'
    assert f"1{value}1" not in without_values(words)

"""Errors: one tree, each with its exit code, and whole after a way between processes."""

from __future__ import annotations

import inspect
import pickle

import pytest

from db import odbc_diagnosis
from model import errors
from model.errors import ReplicationError, RunRefusedError, ServerError, TableError, ValueRefusedError

CLASSES = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, ReplicationError) and found.__module__ == "model.errors"
]


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_comes_whole_out_of_another_process(kind: type[ReplicationError]) -> None:
    error = kind("words of the server")
    error.is_temporary = True
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == "words of the server"
    assert back.is_temporary


def test_what_a_refused_value_knows_of_its_column_travels_with_it() -> None:
    back = pickle.loads(pickle.dumps(ValueRefusedError("column Note: too long", "Note")))
    assert back.column == "Note"


@pytest.mark.parametrize("kind", CLASSES)
def test_the_exit_code_of_an_error_is_that_of_its_branch(kind: type[ReplicationError]) -> None:
    branches = {RunRefusedError: 2, ServerError: 3, errors.OthersAtWorkError: 4, errors.TimeIsUpError: 5, TableError: 1}
    expected = next((code for branch, code in branches.items() if issubclass(kind, branch)), 1)
    assert kind("").exit_code == expected


@pytest.mark.parametrize(
    ("text", "is_temporary"),
    [
        ("[40001] Transaction (Process ID 52) was deadlocked (1205)", True),
        ("[08S01] Communication link failure (10054)", True),
        ("[HYT00] Login timeout expired (0)", True),
        ("[42S02] Invalid object name 'dbo.Orders'. (208)", False),
        ("[42000] Incorrect syntax near 1205. (102)", False),
        ("[42000] Conversion failed for the value (64) of '40001' in HYT00. (245)", False),
        ("[42000] The memory grant was not to be had in resource pool 'small' (257). Rerun the query. (8651)", True),
        ("[01000] Changed database context (1205). (5701); [42S02] Invalid object name 'x'. (208)", False),
        ("[42S02] Invalid object name 'x'. (208); [42000] Statement(s) could not be prepared. (8180)", False),
        ("[42000] Statement(s) could not be prepared. (8180); [40001] Deadlocked. (1205) (SQLExecDirectW)", True),
        ("State: 42000, Native error: 8645, Message: [Microsoft][ODBC Driver 18 for SQL Server]No (12) memory", True),
    ],
)
def test_which_errors_of_the_source_may_pass_by_themselves(text: str, is_temporary: bool) -> None:
    assert odbc_diagnosis(Exception(text)).is_temporary is is_temporary


def test_of_several_records_each_own_number_and_state_is_read_and_nothing_else() -> None:
    found = odbc_diagnosis(
        Exception("[42000] Value (233) of 08S01 (1) refused. (547) (SQLFetch); [01000] Ended. (3621)")
    )
    assert found.numbers == {547, 3621}
    assert found.states == {"42000", "01000"}

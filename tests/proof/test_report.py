"""What sqlserver-proof.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.run_tsql_script import Refusal
from bench.sqlcmd import Batch
from proof.report import is_proven, page, verdict
from proof.samples import Replicated, Step
from proof.suite import Case, read_results

PASSED = Case("tests.test_a", "test_one", "passed")
DONE = [Step(what, 0, "") for what in ("schema", "rows", "comparison", "account")]
EQUAL = Replicated(
    "Northwind", parts=402, steps=DONE, tables=13, rows=3308, equal=13,
    report={"done": 200, "changed": 1, "skipped": 0}, unaccounted="objects unaccounted for: 0",
)  # fmt: skip


def test_a_proof_that_went_well() -> None:
    text = page({"SQL Server": "Microsoft SQL Server 2022\nmore", "PostgreSQL": "18"}, [EQUAL], [PASSED], {})
    assert text.startswith(
        "# Proof on Microsoft SQL Server 2022\n\n**Proven.** 1 tests passed, 0 failed, 0 were skipped."
    )
    assert "| SQL Server | Microsoft SQL Server 2022 more |" in text
    assert (
        "| Northwind | 402 of 402 parts went in | 13 | 3,308 | 13 | 200 done, 1 changed, 0 skipped |"
        " objects unaccounted for: 0 |" in text
    )
    assert "| tests.test_a | 1 | 0 | 0 |" in text
    assert "###" not in text


@pytest.mark.parametrize(
    ("samples", "cases", "proven"),
    [
        ([EQUAL], [PASSED], True),
        ([EQUAL, Replicated("pubs", omitted="the server has a database pubs")], [PASSED], True),
        ([], [PASSED], True),
        ([EQUAL], [], False),
        ([EQUAL], [PASSED, Case("m", "t", "failed")], False),
        ([Replicated("pubs", steps=DONE)], [PASSED], False),
        ([Replicated("pubs", steps=[*DONE, Step("account", 1, "")], tables=2, equal=2)], [PASSED], False),
    ],
)
def test_only_what_ran_and_did_not_fail_is_proven(samples: list[Replicated], cases: list[Case], proven: bool) -> None:
    assert is_proven(samples, cases) == proven
    assert verdict(samples, cases).startswith("**Proven.**" if proven else "**NOT proven.**")


def test_what_differed_and_what_was_refused_is_told_without_names_of_machines() -> None:
    refused = [
        Refusal(Batch(7, "CREATE TABLE a (x geography)"), "'GEOGRAPHY' is not | supported by db1.example"),
        *(Refusal(Batch(line, "INSERT o VALUES (1)"), "violates fk") for line in (9, 10, 11)),
    ]
    comparison = Step("comparison", 1, "✅ dbo.a: 2 rows equal\n❌ dbo.b: not the same values in /home/ada/x\n")
    sample = Replicated(
        "pubs", parts=9, not_loaded=refused, steps=[*DONE, comparison], tables=2, rows=4, equal=1,
        different=["b: different"],
    )  # fmt: skip
    failed = Case("tests.test_a", "test_two[x|y]", "failed", "AssertionError: assert 1 == 2\n at db1.example")
    skipped = [Case("tests.test_b", f"test_{number}", "skipped", "no snapshots here") for number in range(3)]
    places = {"db1.example": "the server", "/home/ada": "~", "db1": "this machine"}
    text = page({"SQL Server": "x"}, [sample], [PASSED, failed, *skipped], places)
    for line in (
        "| pubs | 5 of 9 parts went in | 2 | 4 | 1 |  |  |",
        "### pubs: what differed\n\n- b: different",
        "### pubs: comparison ended with exit code 1\n\n```\n❌ dbo.b: not the same values in ~/x\n```",
        "- line 7 (CREATE TABLE a (x geography)): 'GEOGRAPHY' is not \\| supported by the server\n",
        "- line 9 (INSERT o VALUES (1)): violates fk, and 2 more in the same words\n",
        "- tests.test_a: test_two[x\\|y]: AssertionError: assert 1 == 2 at the server\n",
        "- 3 in tests.test_b: no snapshots here\n",
    ):
        assert line in text, text
    assert "db1" not in text
    assert "ada" not in text


def test_pytest_s_results_are_read(tmp_path: Path) -> None:
    file = tmp_path / "results.xml"
    file.write_text(
        '<testsuites><testsuite><testcase classname="tests.a" name="one"/>'
        '<testcase classname="tests.a" name="two"><failure message="assert 0">long</failure></testcase>'
        '<testcase classname="tests.a" name="three"><error message="failed on setup"/></testcase>'
        '<testcase classname="tests.b" name="four"><skipped message="why not"/></testcase></testsuite></testsuites>'
    )
    assert read_results(file) == [
        Case("tests.a", "one", "passed"), Case("tests.a", "two", "failed", "assert 0"),
        Case("tests.a", "three", "failed", "failed on setup"), Case("tests.b", "four", "skipped", "why not"),
    ]  # fmt: skip

"""Every statement that the product sends, read by Microsoft's own parser in each grammar from 2012 on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.filling import Rows
from standin.server import StandIn
from tests.built_statements import DATABASE, ROWS, built, functions_run, send_all
from tests.handmade import HANDMADE, HANDMADE_ROWS
from tests.harness import Workplace, source_settings
from tests.microsofts_parser import GRAMMARS, NOT_THERE, program, refused
from tests.samples import query
from tests.sql_texts import MODULES, SqlText, in_one_line, sql_texts

pytestmark = pytest.mark.skipif(program() is None, reason=NOT_THERE)

#: texts with words of T-SQL that are never sent to a source, each by its beginning
NOT_SENT = {
    "the login may not SELECT from it": "advice for a person",
    "ALTER TABLE … OWNER TO": "advice for a person, about PostgreSQL",
    "⚠️ … stands where it stood": "words for a person",
    "; ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION": "advice for a person",
    "…*CREATE…+(…:DEFAULT|RULE)": "a pattern of what the catalog holds",
}
Run = tuple[str, tuple[str, ...]]
LOADS: tuple[Run, ...] = (("schema", ()), ("data", ()))
#: every way in which a run asks the source, the rows that a check of the target refuses last
RUNS: tuple[Run, ...] = (
    ("schema", ("--check", "--check-data")), *LOADS, ("data", ("--verify",)), ("schema", ("--dry-run",)),
    ("data", ("--consistent", "--then-verify")), ("data", ("--no-truncate",)), ("data", ("--refresh", "merge")),
    ("data", ("--refresh", "swap")), ("data", ("--nightly", "--with-schema", "--verify-first")),
    ("data", ("--status",)), ("target", ("ALTER TABLE child ADD CHECK (n <> 7) NOT VALID",)),
    ("data", ("--on-error", "reject")), ("data", ("--retry-rejects",)),
)  # fmt: skip


@dataclass(frozen=True)
class Collected:
    """The product's statements, and which of its functions were called while they were made in this process."""

    statements: tuple[str, ...]
    functions: frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def collected(target: EmbeddedTarget, tmp_path_factory: pytest.TempPathFactory) -> Collected:
    """What builders make of every type and shape, and what whole runs send."""
    ran: set[tuple[str, str]] = set()
    statements: dict[str, None] = {}
    with functions_run(ran):
        statements |= dict.fromkeys(built())
        with StandIn(DATABASE, ROWS) as source:
            send_all(source, source_settings(source.port, DATABASE.name))
            statements |= source.batches
    for database, rows, runs in ((DATABASE, ROWS, RUNS), (HANDMADE, HANDMADE_ROWS, LOADS)):
        folder = tmp_path_factory.mktemp(database.name)
        statements |= dict.fromkeys(_sent(database, rows, runs, target, folder))
    return Collected(tuple(statements), frozenset(ran))


def _sent(
    database: Database, rows: Mapping[str, Rows], runs: Sequence[Run], target: EmbeddedTarget, folder: Path
) -> Iterator[str]:
    """The statements of whole runs. What becomes of them, other tests look at: here they are carried out at all."""
    name = f"parsed_{database.name}"
    target.create_database(name)
    with StandIn(database, rows) as source:
        given = {**source_settings(source.port, database.name), **target.environment(name)}
        workplace = Workplace(folder, given).with_settings(CHUNK_ROWS="20", RETRY_SECONDS="0")
        for script, arguments in runs:
            if script == "target":
                query(target, name, *arguments)
                continue
            finished = workplace.run(script, *arguments)
            assert finished.code in (0, 1), (script, arguments, finished.text)
        yield from source.batches


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_every_statement_is_t_sql(
    collected: Collected, grammar: str, record_property: Callable[[str, object], None]
) -> None:
    found = refused(collected.statements, grammar)
    record_property("parsed", (len(collected.statements), grammar))
    assert not found, "\n".join(map(str, found[:20]))


def test_enough_is_parsed_to_mean_something(collected: Collected) -> None:
    assert len(collected.statements) > 3000
    for words in (
        "TABLESAMPLE SYSTEM",
        "WITH (TABLOCK, HOLDLOCK)",
        "AS SNAPSHOT OF",
        "SQL_VARIANT_PROPERTY",
        "DISTINCT",
    ):
        assert any(words in statement for statement in collected.statements), words


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_what_is_no_t_sql_is_refused_in_every_grammar(grammar: str) -> None:
    wrong = [
        "SELECT 1 FROM",
        "SELECT [a FROM t",
        "SELECT 'a FROM t",
        "SELECT a FROM t LIMIT 1",
        "SELECT a ILIKE b FROM t",
    ]
    right = ["SELECT 1", "SELECT N'\\\n🎉'", "SELECT TOP (1) [a]]b] FROM [t] WITH (TABLOCKX)"]
    assert [found.statement for found in refused([*wrong, *right], grammar)] == wrong


def test_what_newer_grammars_brought_is_refused_in_older_ones() -> None:
    newer = "SELECT STRING_AGG(a, ',') WITHIN GROUP (ORDER BY a) FROM t"
    assert [found.statement for found in refused([newer], "2012")] == [newer]
    assert refused([newer], "2017") == []
    newest = "SELECT a FROM t WHERE a IS NOT DISTINCT FROM b"
    assert [found.statement for found in refused([newest], "2019")] == [newest]
    assert refused([newest], "2022") == []


def test_a_builder_that_nothing_reaches_is_noticed(collected: Collected) -> None:
    lines = [in_one_line(statement) for statement in collected.statements]
    missing = [why for module in MODULES for text in sql_texts(module) if (why := _missing(text, lines, collected))]
    assert not missing, (
        "\n".join(missing) + "\nCall what builds it in tests/built_statements.py (`built` where it makes a text, "
        "`send_all` where it asks a connection). A text that is never sent to a source goes to NOT_SENT here."
    )


def _missing(text: SqlText, lines: list[str], collected: Collected) -> str:
    if any(text.text.strip().startswith(beginning) for beginning in NOT_SENT):
        return ""
    # What type_mapping's functions make, they make once, when it is imported.
    is_run = not text.function or text.path == "type_mapping.py" or (text.path, text.function) in collected.functions
    if is_run and any(map(text.pattern.search, lines)):
        return ""
    what = "no statement has this text" if is_run else f"{text.function} was not called"
    return f"{text.place}: {what}: {in_one_line(text.text)[:160]}"


@pytest.mark.parametrize("word", ["a new builder", "a new branch"])
def test_a_new_builder_would_be_noticed(collected: Collected, tmp_path: Path, word: str) -> None:
    """What is noticed of a module that nobody calls, and of a text that no call has made."""
    source = "def ask(table):\n    return f'SELECT COUNT_BIG(*) FROM {table} WITH (NOEXPAND)'\n"
    module = tmp_path / "mssql" / "new.py"
    module.parent.mkdir()
    module.write_text(source, encoding="utf-8")
    (text,) = sql_texts(module, tmp_path)
    known = collected if word == "a new builder" else Collected((), collected.functions | {(text.path, "ask")})
    lines = [] if word == "a new branch" else ["SELECT COUNT_BIG(*) FROM [dbo].[t] WITH (NOEXPAND)"]
    assert "mssql/new.py:2" in _missing(text, lines, known)

"""Which mode a table is loaded in, and how its tasks follow each other; with no server."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from data_phase.job import Begun, Job
from data_phase.load_tasks import AbandonLoad, AnalyzeTable, BeginLoad, CopyChunk, FinishLoad
from data_phase.modes.choice import mode_of
from data_phase.modes.interface import LoadMode
from data_phase.modes.keep_and_continue import AddToRows, ContinueBesideRows, KeepAndContinue
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from data_phase.table_load import TableLoad
from model.errors import TargetError, UnfitTargetError
from model.events import ChunkCommitted, KeysAreBuilt, LoadBegun, TableCompleted, TableFailed, TableStarted
from model.ranges import WHOLE_TABLE, Chunk
from model.settings import Driver, Secrets, Settings, Source, Target
from postgres.checkpoints import Totals
from postgres.load_plan import LoadColumn, LoadPlan
from postgres.names import TargetName
from run.options import Options
from run.plan import Work
from tests.samples import table

ORDERS = table("Orders")
TARGET = TargetName("public", "orders")
SETTINGS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets(("s3cret-Word",)))
CHUNKS = tuple(Chunk(number, ("id",), None, None) for number in range(3))


@pytest.mark.parametrize(
    ("options", "is_partial", "session_keeps_rows", "mode"),
    [
        (Options(), False, False, TruncateAndCopy()),
        (Options(resume=True), True, False, TruncateAndCopy()),
        (Options(resume=True), True, True, TruncateAndCopy()),
        (Options(no_truncate=True), False, True, AddToRows()),
        (Options(resume=True, no_truncate=True), True, False, KeepAndContinue()),
        (Options(resume=True, no_truncate=True), False, False, TruncateAndCopy()),
        (Options(resume=True, no_truncate=True), True, True, ContinueBesideRows()),
        (Options(resume=True, no_truncate=True), False, True, AddToRows()),
    ],
)
def test_a_table_s_mode(options: Options, is_partial: bool, session_keeps_rows: bool, mode: LoadMode) -> None:
    assert mode_of(Work(1, ORDERS, is_partial), options, session_keeps_rows) == mode


def load(**changes: object) -> TableLoad:
    """A load that has not begun."""
    plan = LoadPlan(TARGET, (), (LoadColumn("id", "integer", pa.int32()), LoadColumn("label", "text", pa.utf8())))
    job = Job(ORDERS, plan, TruncateAndCopy(), "a session", **changes)  # type: ignore[arg-type]
    return TableLoad(SETTINGS, ORDERS, TARGET, job)


def test_a_small_table_is_complete_with_its_one_chunk() -> None:
    one = load()
    (begin,) = one.begin()
    assert isinstance(begin, BeginLoad)
    (copy,) = one.take(begin, Begun(one.job, (WHOLE_TABLE,), {}))
    assert isinstance(copy, CopyChunk)
    assert one.take(copy, Totals(7, changes={"nul_characters": {"label": 2}}, loaded_as="1/2", sent=99)) == []
    assert one.is_over
    assert one.events() == [
        TableStarted("Orders", "dbo.Orders", "public.orders", ORDERS.row_count),
        LoadBegun("Orders", 1, 0, 0, empties=True),
        TableCompleted("Orders", 7, 0, {"nul_characters": {"label": 2}}, "1/2", bytes=99),
    ]


def test_one_of_many_values_is_complete_with_its_chunk_as_well_and_analyzed_after_that() -> None:
    one = load()
    (begin,) = one.begin()
    (copy,) = one.take(begin, Begun(one.job, (WHOLE_TABLE,), {}))
    (analyze,) = one.take(copy, Totals(50_000))
    assert isinstance(analyze, AnalyzeTable)
    assert one.is_over
    assert isinstance(one.events()[-1], TableCompleted)


def test_a_large_one_is_finished_after_its_last_chunk_in_whatever_order_they_come() -> None:
    one = load(is_suspended=True)
    (begin,) = one.begin()
    first, second = one.take(begin, Begun(one.job, CHUNKS, {1: 10}, ("a remark",)))
    assert [copy.chunk.number for copy in (first, second) if isinstance(copy, CopyChunk)] == [0, 2]
    assert one.take(second, Totals(20)) == []
    (finish,) = one.take(first, Totals(30))
    assert isinstance(finish, FinishLoad)
    assert one.take(finish, Totals(60)) == []
    told = one.events()[1:]
    assert told[:4] == [
        LoadBegun("Orders", 3, 1, 10, empties=True, remarks=("a remark",)),
        ChunkCommitted("Orders", 30),
        ChunkCommitted("Orders", 60),
        KeysAreBuilt("Orders"),
    ]
    assert isinstance(told[4], TableCompleted)
    assert (told[4].rows, told[4].restored) == (60, True)


def test_a_load_of_which_all_chunks_are_there_is_only_finished() -> None:
    one = load()
    (begin,) = one.begin()
    (finish,) = one.take(begin, Begun(one.job, CHUNKS, {0: 1, 1: 1, 2: 1}))
    assert isinstance(finish, FinishLoad)


def test_the_mode_that_a_load_goes_on_in_is_the_one_of_all_its_tasks() -> None:
    one = load()
    (begin,) = one.begin()
    (copy,) = one.take(begin, Begun(replace(one.job, mode=AddToRows()), (WHOLE_TABLE,), {}))
    assert isinstance(copy, CopyChunk)
    assert copy.job.mode == AddToRows()
    one.take(copy, Totals(1))
    assert isinstance(one.events()[-1], TableCompleted)


def test_a_failure_is_told_without_secrets_and_its_load_abandoned() -> None:
    one = load()
    one.begin()
    (abandon,) = one.fail(TargetError("refused for s3cret-Word"))
    assert isinstance(abandon, AbandonLoad)
    assert one.is_over
    told = one.events()[-1]
    assert isinstance(told, TableFailed)
    assert told.error == "refused for ***"


def test_a_table_that_cannot_be_loaded_fails_when_it_begins() -> None:
    one = TableLoad(SETTINGS, ORDERS, TARGET, UnfitTargetError("it does not exist"))
    with pytest.raises(UnfitTargetError):
        one.begin()
    assert one.fail(UnfitTargetError("it does not exist")) == []
    assert [type(event) for event in one.events()] == [TableStarted, TableFailed]

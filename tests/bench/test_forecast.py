"""What the simulation of a load must keep to, whatever the costs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import forecast as simulation
from bench.forecast import Costs, OneWorker, Site, TableSize, database_of, fitted, forecast

sizes = st.builds(TableSize, mb=st.floats(0.1, 2000), chunks=st.sampled_from([1, 1, 2, 7, 40]))
databases = st.lists(sizes, min_size=1, max_size=8)
some = st.sampled_from([0.0, 0.001, 0.1])
rates = st.sampled_from([3.0, 50.0])
limits = st.sampled_from([math.inf, 20.0, 100.0])
costs = st.builds(Costs, worker_mb_s=rates, chunk_s=some, table_s=some, plan_s_mb=st.sampled_from([0.0, 0.001]))
with_all_costs = st.builds(
    Costs, worker_mb_s=rates, chunk_s=some, table_s=some, plan_s_mb=some, key_s_mb=some, cpu_s_mb=some, task_s=some
)
sites = st.builds(
    Site, source_mb_s=limits, target_mb_s=limits, network_mb_s=limits, cores=limits, workers=st.sampled_from([1, 2, 4])
)
counts = st.integers(1, 12)


def total(tables: list[TableSize]) -> float:
    return sum(table.mb for table in tables)


@given(databases, with_all_costs, sites, counts)
def test_no_load_is_faster_than_any_of_its_limits(
    tables: list[TableSize], costs: Costs, site: Site, workers: int
) -> None:
    seconds = forecast(tables, costs, site, workers).seconds * (1 + 1e-9)
    machines = math.ceil(workers / site.workers)
    assert seconds >= total(tables) / site.source_mb_s
    assert seconds >= total(tables) / site.target_mb_s
    assert seconds >= total(tables) / (machines * site.network_mb_s)
    assert seconds >= total(tables) / (workers * costs.worker_mb_s)
    assert seconds >= total(tables) * costs.cpu_s_mb / (machines * site.cores)
    assert seconds >= sum(table.chunks for table in tables) * costs.task_s
    assert seconds >= max(
        table.mb * (1 / table.chunks / costs.worker_mb_s + costs.plan_s_mb + costs.key_s_mb) for table in tables
    )


@given(databases, with_all_costs, sites, counts)
def test_every_second_is_ruled_by_something(tables: list[TableSize], costs: Costs, site: Site, workers: int) -> None:
    found = forecast(tables, costs, site, workers)
    assert math.isclose(sum(found.ruled.values()), found.seconds)
    assert min(found.ruled.values()) >= 0


@settings(max_examples=300)
@given(databases, costs, sites, counts, st.integers(1, 6))
def test_more_workers_are_never_slower_by_more_than_the_longest_chunk(
    tables: list[TableSize], costs: Costs, site: Site, workers: int, more: int
) -> None:
    # By so much they may be: what comes last has less of the servers while it shares them with more.
    longest = max(
        costs.table_s + costs.plan_s_mb * table.mb + costs.chunk_s + table.mb / table.chunks / costs.worker_mb_s
        for table in tables
    )
    before = forecast(tables, costs, site, workers)
    assert forecast(tables, costs, site, workers + more).seconds <= before.seconds + longest + 1e-6


@given(st.lists(st.builds(TableSize, mb=st.floats(0.1, 2000)), min_size=1, max_size=20), costs, counts)
def test_where_nothing_is_shared_more_workers_are_never_slower(
    tables: list[TableSize], costs: Costs, workers: int
) -> None:
    few, many = (forecast(tables, costs, Site(), count).seconds for count in (workers, workers + 1))
    assert many <= few + 1e-6


@given(databases, with_all_costs, sites)
def test_one_worker_does_one_thing_after_the_other(tables: list[TableSize], costs: Costs, site: Site) -> None:
    tables = tables[:1]
    (table,) = tables
    rate = min(
        costs.worker_mb_s, site.source_mb_s, site.target_mb_s, site.network_mb_s,
        site.cores / costs.cpu_s_mb if costs.cpu_s_mb else math.inf,
    )  # fmt: skip
    wanted = (
        costs.table_s + table.mb * (costs.plan_s_mb + costs.key_s_mb + 1 / rate)
        + table.chunks * (costs.chunk_s + costs.task_s) + 2 * costs.task_s
    )  # fmt: skip
    assert math.isclose(forecast(tables, costs, site, 1).seconds, wanted)


def test_a_table_without_a_key_is_what_is_left_in_the_end() -> None:
    tables = [TableSize(1000), *[TableSize(100, 10)] * 10]
    found = forecast(tables, Costs(worker_mb_s=10), Site(), 16)
    assert found.seconds == 100
    assert found.limit == "one table"


def test_the_narrowest_place_is_named() -> None:
    tables, costs = [TableSize(10_000, 100)], Costs(worker_mb_s=10, cpu_s_mb=0.1)
    assert forecast(tables, costs, Site(), 4).limit == "worker"
    assert forecast(tables, costs, Site(source_mb_s=20), 4).limit == "source"
    assert forecast(tables, costs, Site(target_mb_s=20), 4).limit == "target"
    assert forecast(tables, costs, Site(network_mb_s=20, workers=4), 4).limit == "network"
    assert forecast(tables, costs, Site(cores=2, workers=4), 4).limit == "cores"
    assert forecast(tables, Costs(worker_mb_s=1000, task_s=1), Site(), 4).limit == "scheduler"
    assert forecast(tables, Costs(worker_mb_s=1000, key_s_mb=1), Site(), 4).limit == "keys"


def test_a_second_machine_brings_a_network_and_cores_of_its_own() -> None:
    tables, site = [TableSize(1000, 100)], Site(network_mb_s=10, workers=4)
    assert math.isclose(forecast(tables, Costs(worker_mb_s=10), site, 4).seconds, 100)
    assert math.isclose(forecast(tables, Costs(worker_mb_s=10), site, 8).seconds, 50)


def test_keys_of_one_table_are_built_while_the_next_one_travels() -> None:
    alone = forecast([TableSize(100, 2)], Costs(worker_mb_s=1, key_s_mb=0.5), Site(), 1)
    both = forecast([TableSize(100, 2)] * 2, Costs(worker_mb_s=1, key_s_mb=0.5), Site(), 1)
    assert (alone.seconds, both.seconds) == (150, 250)


def test_keys_built_on_a_worker_s_machine_take_its_cores() -> None:
    tables, site = [TableSize(100, 2)] * 2, Site(cores=2)
    costs = Costs(worker_mb_s=10, cpu_s_mb=0.2, key_s_mb=0.2)
    assert math.isclose(forecast(tables, costs, site, 1).seconds, 40)
    # The second table's copy takes twice as long while the first one's keys are built, for 20 s.
    assert math.isclose(forecast(tables, replace(costs, key_cores=1), site, 1).seconds, 50)


def test_chunks_taken_together_hardly_change_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [TableSize(1000 / n, 1000 // n) for n in range(1, 40)]
    costs, site = Costs(20, 0.02, 0.2, 0.001, 0.01, 0, 0.005), Site(source_mb_s=150)
    fine = forecast(tables, costs, site, 8).seconds
    monkeypatch.setattr(simulation, "MOST_PARTS", 800)
    assert abs(forecast(tables, costs, site, 8).seconds / fine - 1) < 0.02


def taken(size: TableSize, costs: Costs) -> OneWorker:
    """What a load takes by the costs' own meaning."""
    return OneWorker(
        size,
        begin_s=costs.table_s + costs.plan_s_mb * size.mb,
        copy_s=costs.chunk_s * size.chunks + size.mb / costs.worker_mb_s,
        key_s=costs.key_s_mb * size.mb,
        cpu_s=0.5 + costs.cpu_s_mb * size.mb,
    )


@given(st.builds(Costs, worker_mb_s=rates, chunk_s=some, table_s=some, plan_s_mb=some, key_s_mb=some, cpu_s_mb=some))
def test_costs_are_found_again_in_what_they_make_of_two_loads(costs: Costs) -> None:
    found = fitted(taken(TableSize(20, 20), costs), taken(TableSize(200, 8), costs))
    for name in ("worker_mb_s", "chunk_s", "table_s", "plan_s_mb", "key_s_mb", "cpu_s_mb"):
        assert math.isclose(getattr(found, name), getattr(costs, name), rel_tol=1e-6, abs_tol=1e-9), name


def test_a_measurement_that_went_wrong_gives_no_costs_below_nothing() -> None:
    small, large = OneWorker(TableSize(20, 20), 1, 1, 1, 9), OneWorker(TableSize(200, 8), 0.5, 12, 3, 8)
    costs = fitted(small, large)
    assert min(costs.chunk_s, costs.table_s, costs.plan_s_mb, costs.cpu_s_mb) >= 0
    assert costs.worker_mb_s > 0


def test_a_database_has_all_its_bytes_in_its_tables() -> None:
    tables = database_of(1000, 30, 0.05, chunk_mb=10)
    assert math.isclose(total(tables), 1000)
    assert len(tables) == 31 and TableSize(50) in tables
    assert all(table.mb / table.chunks <= 10 for table in tables if table.mb != 50)

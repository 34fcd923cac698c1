"""How long a load takes on 1 to 64 workers, and what keeps it from being faster: measured costs, and a simulation.

    python -m bench.cluster_model [--rounds 3] [--shape five]
    python -m bench.cluster_model --worker-mb-s 40 --chunk-s 0.03 --network-gbit 1 --source-mb-s 200 --target-mb-s 150

The first measures: loads of a small table in many chunks and of a large one in few, by one local worker, give costs.
What they predict for three tables by one and by two local workers is held against what these take; all of it in turn,
medians of the rounds. Exit code 1 where a prediction is more than --bound per cent away. Both servers are on this
machine: the stand-in and an embedded PostgreSQL.

Both then print a table: hours by GB (10**9 bytes sent to the target) and workers, and what most of the workers' time
goes to. With --worker-mb-s nothing is measured. Servers, network and machines of your own are flags.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import psycopg2

from bench.chunked_tables import SHAPES, chunked
from bench.cluster_overhead import Load, address_of, measured, servers
from bench.forecast import Costs, OneWorker, Site, TableSize, database_of, fitted, forecast
from tests.harness import Workplace

WORKERS = (1, 2, 4, 8, 16, 32, 64)
GB = (10, 100, 1_000, 10_000, 100_000)
#: what giving a task to a cluster takes, by `bench.cluster_planning`
TASK_S = 0.0026
#: a load's begin and the end of its last chunk are in `replication.load`, the end of its keys is their ANALYZE
MOMENTS = """
SELECT extract(epoch FROM l.finished_at - l.started_at), extract(epoch FROM s.last_analyze - l.finished_at),
       (SELECT count(*) FROM replication.checkpoint AS c WHERE c.table_name = l.table_name)
FROM replication.load AS l JOIN pg_stat_user_tables AS s ON s.relname = l.table_name WHERE l.table_name = %s
"""


def one_worker(workplace: Workplace, table: str, chunk_rows: int) -> tuple[OneWorker, float]:
    """What one worker takes for a table, with the CPU seconds of all; and those of the run alone."""
    cut = workplace.with_settings(CHUNK_ROWS=str(chunk_rows))
    load = measured(cut, servers(cut), ["--workers", "1", "--tables", table])
    with closing(psycopg2.connect(address_of(workplace))) as connection, connection.cursor() as cursor:
        cursor.execute(MOMENTS, (table.lower(),))
        ((copying, keys, chunks),) = cursor.fetchall()
    copy_s, key_s = float(copying), float(keys)
    begin_s = max(0.0, load.load - copy_s - key_s)
    # Planning and the building of keys keep one core busy.
    cpu_s = max(0.0, sum(load.cpu.values()) - begin_s - key_s)
    return OneWorker(TableSize(load.mb, chunks), begin_s, copy_s, key_s, cpu_s), load.cpu["run"]


def middle(found: Sequence[OneWorker]) -> OneWorker:
    """The medians of several measurements of the same."""
    return OneWorker(
        found[0].size,
        *(statistics.median(getattr(one, name) for one in found) for name in ("begin_s", "copy_s", "key_s", "cpu_s")),
    )


def measure(options: argparse.Namespace, folder: Path) -> tuple[Costs, int]:
    """The costs on this machine, as those of a worker whose servers are elsewhere; and the exit code. Prints both."""
    rows = {"T0001": options.rows // 10, "T0002": options.rows, "T0003": options.rows * 3 // 2}
    small_chunk, large_chunk, chunk = (max(1, options.rows // parts) for parts in (200, 8, 20))
    found: dict[str, list[OneWorker]] = {"small": [], "large": []}
    own: dict[str, list[float]] = {"small": [], "large": []}
    taken: dict[int, list[Load]] = {1: [], 2: []}
    with chunked(folder, list(rows.values()), chunk, options.shape) as workplace:
        measured(workplace, servers(workplace), ["--workers", "2"])  # PostgreSQL makes its WAL files, not counted
        for number in range(options.rounds):
            for name, table, chunk_rows in (("small", "T0001", small_chunk), ("large", "T0002", large_chunk)):
                one, cpu = one_worker(workplace, table, chunk_rows)
                found[name].append(one)
                own[name].append(cpu)
                print(f"round {number + 1}: {name} table, {_told(one)}", flush=True)
            for workers, loads in taken.items():
                loads.append(measured(workplace, servers(workplace), ["--workers", str(workers)]))
                print(f"round {number + 1}: three tables by {workers}, {loads[-1].load:.2f} s", flush=True)
    small, large = (middle(found[name]) for name in ("small", "large"))
    here = replace(fitted(small, large), key_cores=1)
    alone = fitted(*(replace(middle(found[name]), cpu_s=statistics.median(own[name])) for name in ("small", "large")))
    a_row = large.size.mb / rows["T0002"]
    tables = [TableSize(count * a_row, math.ceil(count / chunk)) for count in rows.values()]
    seconds = {workers: statistics.median(one.load for one in loads) for workers, loads in taken.items()}
    code = _hold(tables, here, seconds, options.bound)
    return replace(alone, task_s=TASK_S), code


def _told(one: OneWorker) -> str:
    return (
        f"{one.size.mb:.1f} MB in {one.size.chunks} chunks: begun in {one.begin_s:.2f} s, copied in {one.copy_s:.2f} s,"
        f" keys in {one.key_s:.2f} s; {one.cpu_s:.1f} CPU s for the copy"
    )


def _hold(tables: Sequence[TableSize], costs: Costs, taken: Mapping[int, float], bound: float) -> int:
    """Print predictions beside what was measured; 1 where one is too far away."""
    cores = os.cpu_count() or 1
    print(f"\ncosts here, both servers on the same {cores} cores: {_flags(costs)}\n")
    print(f"{'local workers':<15}{'predicted s':>12}{'measured s':>12}{'difference':>12}")
    code = 0
    for workers, seconds in taken.items():
        predicted = forecast(tables, costs, Site(cores=cores, workers=max(taken)), workers).seconds
        away = 100 * (predicted / seconds - 1)
        print(f"{workers:<15}{predicted:>12.2f}{seconds:>12.2f}{away:>+11.1f} %")
        code = max(code, int(abs(away) > bound))
    print(f"{'ABOVE' if code else 'within'} {bound:.0f} %")
    return code


def _flags(costs: Costs) -> str:
    """As they are given to this program."""
    return " ".join(f"--{one.name.replace('_', '-')} {getattr(costs, one.name):.3g}" for one in fields(costs))


def table_of(costs: Costs, site: Site, options: argparse.Namespace) -> str:
    """Hours by GB and workers, as Markdown."""
    lines = ["| GB | " + " | ".join(f"{count} workers" for count in WORKERS) + " |", "|---:" * (1 + len(WORKERS)) + "|"]
    for size in GB:
        tables = database_of(size * 1000, options.tables, options.keyless / 100, options.chunk_mb)
        cells = []
        for workers in WORKERS:
            found = forecast(tables, costs, site, workers)
            cells.append(f"{_hours(found.seconds)} {found.limit}")
        lines.append(f"| {size:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.2f}" if hours < 1 else f"{hours:.1f}" if hours < 100 else f"{hours:,.0f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure unless the costs are given, and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="of the large table that is measured")
    parser.add_argument("--shape", choices=sorted(SHAPES), default="five")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bound", type=float, default=25.0, help="per cent (default 25)")
    costs = parser.add_argument_group("costs, instead of measuring them; see Costs in bench/forecast.py")
    for one in fields(Costs):
        costs.add_argument(f"--{one.name.replace('_', '-')}", type=float)
    place = parser.add_argument_group("where the cluster is to be")
    place.add_argument("--network-gbit", type=float, default=10.0, help="of each worker machine, each way")
    place.add_argument("--source-mb-s", type=float, default=500.0, help="what the source can send in sum")
    place.add_argument("--target-mb-s", type=float, default=300.0, help="what the target can take, its WAL included")
    place.add_argument("--machine-workers", type=int, default=8, help="workers of a machine")
    place.add_argument("--cores", type=float, default=8.0, help="of a worker machine")
    place.add_argument("--tables", type=int, default=300)
    place.add_argument("--keyless", type=float, default=1.0, help="per cent of all in one table without a key")
    place.add_argument("--chunk-mb", type=float, default=100.0, help="MB of a chunk")
    options = parser.parse_args(arguments)
    given = {one.name: value for one in fields(Costs) if (value := getattr(options, one.name)) is not None}
    code = 0
    if "worker_mb_s" in given:
        used = Costs(**{"task_s": TASK_S, **given})
    else:
        with tempfile.TemporaryDirectory() as name:
            used, code = measure(options, Path(name))
        used = replace(used, **given)
    network_mb_s = options.network_gbit * 1000 / 8
    site = Site(options.source_mb_s, options.target_mb_s, network_mb_s, options.cores, options.machine_workers)
    print(f"\nhours, and what most of the workers' time goes to, with {_flags(used)}:\n")
    print(table_of(used, site, options))
    return code


if __name__ == "__main__":
    sys.exit(main())

"""One table after another, each with its own end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from model.errors import ProgressFileError, ServerError
from model.events import TableFailed, TableLeftOut, TableStarted, TaskBegun, TaskEnded
from model.visible import on_one_line
from postgres.names import target_name
from run.closing import in_words, traced
from run.context import Run
from run.display import Line, banner_line
from run.plan import Plan, Work

TABLES_BETWEEN_BANNERS = 10


@dataclass
class Worked:
    """What did not become of a run's tables: those that failed, and those that a person took from it, by their keys."""

    failed: list[str] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)


def work_through(run: Run, plan: Plan, do_table: Callable[[Work], None]) -> Worked:
    """Do one table after another, unless a person has taken it from the run before its turn.

    `do_table` completes the table in the tracker. A ServerError or ProgressFileError ends the run: the tables that are
    left stay as they are for `--resume`.
    """
    worked = Worked()
    for done, work in enumerate(plan.work):
        if done and done % TABLES_BETWEEN_BANNERS == 0:
            run.display.tell(banner_line(run.tracker.summary(plan.keys)))
        table = work.table
        status = run.tracker.left_out(table.key)
        if status is not None:
            words = f"⏭️ {table.full_name} was set to {status}: left alone"
            run.display.tell(Line(words, event="table left out", table=table.key))
            run.recorder([TableLeftOut(table.key, status)])
            worked.left_out.add(table.key)
            if status == "failed":
                worked.failed.append(table.key)
            continue
        place = f"[{work.number}/{len(plan.tables)}]"
        title = f"\n{place} Processing: {on_one_line(table.key)}"
        run.display.tell(Line(title, "detail", event="table started", table=table.key))
        started = TableStarted(table.key, table.full_name, str(target_name(table, run.settings)))
        run.recorder([started, TaskBegun(table.key, 1, "table")])
        try:
            do_table(work)
        except (ServerError, ProgressFileError):
            raise
        except Exception as error:
            words = run.settings.secrets.hide(in_words(error))
            if run.options.debug:
                run.display.say(run.settings.secrets.hide(traced(error)))
            run.tracker.fail(table.key, words)
            run.recorder([TableFailed(table.key, words)])
            worked.failed.append(table.key)
            run.display.tell(
                Line(
                    f"❌ {table.full_name} failed: {on_one_line(words)}", "error",
                    f"❌ {place} {table.full_name} failed: {on_one_line(words)}", "table failed", table.key,
                    {"error": words},
                )
            )  # fmt: skip
        finally:
            run.recorder([TaskEnded(table.key, 1, "table")])
    return worked

"""One table after another, each with its own end."""

from __future__ import annotations

from collections.abc import Callable

from model.errors import ProgressFileError, ServerError
from model.events import TableFailed, TableStarted, TaskBegun, TaskEnded
from model.visible import on_one_line
from postgres.names import target_name
from run.closing import in_words, traced
from run.context import Run
from run.display import Line, banner_line
from run.plan import Plan, Work

TABLES_BETWEEN_BANNERS = 10


def work_through(run: Run, plan: Plan, do_table: Callable[[Work], None]) -> list[str]:
    """Do one table after another; returns the keys of those that failed, while the run went on.

    `do_table` completes the table in the tracker. A ServerError or ProgressFileError ends the run: the tables that are
    left stay as they are for `--resume`.
    """
    failed: list[str] = []
    for done, work in enumerate(plan.work):
        if done and done % TABLES_BETWEEN_BANNERS == 0:
            run.display.tell(banner_line(run.tracker.summary(plan.keys)))
        table = work.table
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
            failed.append(table.key)
            run.display.tell(
                Line(
                    f"❌ {table.full_name} failed: {on_one_line(words)}", "error",
                    f"❌ {place} {table.full_name} failed: {on_one_line(words)}", "table failed", table.key,
                    {"error": words},
                )
            )  # fmt: skip
        finally:
            run.recorder([TaskEnded(table.key, 1, "table")])
    return failed

"""A run's result told to others: one POST, which may fail without a run failing for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from model.version import __version__
from model.visible import on_one_line
from operations import verdict
from operations.run_result import RunResult

NotifyOn = Literal["failure", "change", "always"]
NotifyFormat = Literal["auto", "json", "slack"]

#: seconds for one attempt, and for all of them: a server that sends a byte now and then is not waited for either
ATTEMPT_S, TOTAL_S = 10.0, 25.0
ATTEMPTS = 3
PAUSE_S = 1.0
#: tables that a notification names, and signs of an error
TABLES_NAMED, ERROR_SIGNS = 20, 500
#: hosts whose webhooks take a text
TEXT_HOSTS = ("hooks.slack.com", "discord.com", "mattermost", "rocket.chat")


@dataclass(frozen=True)
class Notification:
    """Where to tell of a run, when, and in which shape. `url` is a secret."""

    url: str
    on: NotifyOn = "failure"
    shape: NotifyFormat = "auto"

    @property
    def host(self) -> str:
        """What may be said of the address: webhooks keep their secret in the path."""
        return urlsplit(self.url).hostname or "?"


class NotToldError(Exception):
    """Nobody was told; the message says why, and holds no secret."""


def is_due(on: NotifyOn, result: RunResult, before: RunResult | None) -> bool:
    """Whether somebody wants to know of a run; `before` is the last one of the same script.

    A change is another verdict, other tables that failed, or other tables that are gone at the source.
    """
    if on == "failure":
        return result.exit_code != 0
    return on == "always" or before is None or bool(changes(result, before))


def changes(result: RunResult, before: RunResult | None) -> tuple[str, ...]:
    """What is different from the last run, in words."""
    if before is None:
        return ()
    words = []
    was, now = verdict.verdict(before), verdict.verdict(result)
    if was != now:
        words.append(f"{now}, the run before: {was}")
    failed_before, failed_now = _failed(before).keys(), _failed(result).keys()
    looked_at = {one.table for one in result.tables}
    for what, tables in (
        ("newly failed", failed_now - failed_before), ("mended", (failed_before - failed_now) & looked_at),
        ("newly gone at the source", result.gone.keys() - before.gone.keys()),
    ):  # fmt: skip
        if tables:
            words.append(f"{what}: {_some(sorted(tables))}")
    return tuple(words)


def summary(result: RunResult, before: RunResult | None) -> dict[str, Any]:
    """What is told, by stable names (docs/notifications.md)."""
    failed = _failed(result)
    return {
        "tool": "mssql-to-postgres",
        "version": __version__,
        "host": socket.gethostname(),
        "script": result.script,
        "run": result.run,
        "session": result.session,
        "source": result.settings.get("source"),
        "target": result.settings.get("target"),
        "verdict": verdict.verdict(result),
        "exit_code": result.exit_code,
        "ended_because": result.ended_because,
        "started_at": result.started_at,
        "ended_at": result.ended_at,
        "seconds": verdict.seconds(result),
        "tables_done": verdict.done(result),
        "tables_failed": verdict.failed(result),
        "rows": verdict.rows(result),
        "modes": list(verdict.modes(result)),
        "workers": result.workers,
        "cluster": verdict.cluster(result),
        "rejected": sum(one.rejected for one in result.tables),
        "failed": [
            {"table": table, "error": error[:ERROR_SIGNS]} for table, error in list(failed.items())[:TABLES_NAMED]
        ],
        "gone": sorted(result.gone),
        "not_restored": list(result.not_restored),
        "changes": list(changes(result, before)),
    }


def text(told: Mapping[str, Any]) -> str:
    """The same for a person in a chat."""
    sign = "✅" if told["exit_code"] == 0 else "❌"
    where = f"{told['source']} → {told['target']}" if told["source"] else "settings could not be read"
    how = verdict.how(told["modes"], told["workers"], told["cluster"])
    lines = [
        f"{sign} {told['script']} on {told['host']}: {told['verdict']} ({told['ended_because']})",
        f"{where}: {told['tables_done']} tables done, {told['rows']:,} rows in {told['seconds']:.0f} s"
        + (f" ({how})" if how else ""),
        *(f"❌ {one['table']}: {one['error']}" for one in told["failed"]),
        *([f"⚠️ gone at the source: {_some(told['gone'])}"] if told["gone"] else []),
        *([f"⚠️ not restored: {_some(told['not_restored'])}"] if told["not_restored"] else []),
        *(f"⚠️ {words}" for words in told["changes"]),
    ]
    return "\n".join(map(on_one_line, lines))


def body(notification: Notification, told: Mapping[str, Any]) -> dict[str, Any]:
    """What is posted: the summary as it is, or as the text that chats take."""
    is_chat = notification.shape == "slack" or (
        notification.shape == "auto" and any(host in notification.host for host in TEXT_HOSTS)
    )
    if not is_chat:
        return dict(told)
    return {"content": text(told)} if "discord" in notification.host else {"text": text(told)}


def post(notification: Notification, document: Mapping[str, Any]) -> None:
    """Tell, within `TOTAL_S` seconds in all. Raises NotToldError."""
    outcome: list[str | None] = []
    thread = threading.Thread(target=lambda: outcome.append(_post(notification, document)), daemon=True)
    thread.start()
    thread.join(TOTAL_S)
    words = outcome[0] if outcome else f"no answer within {TOTAL_S:.0f} s"
    if words is not None:
        raise NotToldError(f"{notification.host} was not told of this run (NOTIFY_URL): {words}")


def _post(notification: Notification, document: Mapping[str, Any]) -> str | None:
    """Try until it works; why it did not, in words without the address."""
    try:
        # Here, since a run that tells nobody need not have it.
        import httpx  # noqa: PLC0415
    except ImportError:
        return "the package httpx is not installed"
    words = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        try:
            with httpx.stream("POST", notification.url, json=dict(document), timeout=ATTEMPT_S) as answer:
                code = answer.status_code
        except httpx.HTTPError as error:
            words = f"{type(error).__name__}: {str(error).replace(notification.url, '***')}"
            continue
        except (httpx.InvalidURL, ValueError):
            return "it is no address that can be posted to"
        if code < 300:
            return None
        words = f"it answered {code}"
        if code < 500 and code != 429:
            break
    return words


def _failed(result: RunResult) -> dict[str, str]:
    return {
        one.table: one.error or "" for one in result.tables if one.status == "failed" or one.compared == "different"
    }


def _some(names: list[str]) -> str:
    more = len(names) - TABLES_NAMED
    return ", ".join(names[:TABLES_NAMED]) + (f" and {more} more" if more > 0 else "")

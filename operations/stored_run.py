"""A line of `runs.jsonl` as a value again, also of an older or a newer version of the tool."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from operations.run_result import RejectReason, RunResult, TableResult
from operations.timeline import Span


def run_of(line: bytes) -> RunResult:
    """The run that a line is about. Members that this version does not know are left out, missing ones are as usual.

    Raises ValueError, with what is wrong in words.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON, or was cut off") from None
    facts = _facts(document, _RUN)
    for name in ("script", "started_at", "ended_at", "exit_code", "ended_because"):
        if name not in facts:
            raise ValueError(f'it has no "{name}"')
    facts["tables"] = tuple(TableResult(**_facts(one, _TABLE, "table", "status")) for one in facts.get("tables", ()))
    facts["spans"] = tuple(Span(**_facts(one, _SPAN, *_SPAN)) for one in facts.get("spans", ()))
    facts["rejects"] = {
        table: tuple(RejectReason(**_facts(one, _REASON, *_REASON)) for one in reasons)
        for table, reasons in facts.get("rejects", {}).items()
    }
    texts = {name: tuple(value) for name, value in facts.items() if isinstance(value, list)}
    return RunResult(**{"arguments": (), "session": None, **facts, **texts})


def _facts(document: object, kinds: Mapping[str, Callable[[object], bool]], *needed: str) -> dict[str, Any]:
    """The members of an object that are known. Raises ValueError where one is of another kind, or is missing."""
    if not isinstance(document, dict):
        raise ValueError("it is not an object")
    for name, is_right in kinds.items():
        if (name in document or name in needed) and not is_right(document.get(name)):
            raise ValueError(f'"{name}" is not as a run writes it')
    return {name: document[name] for name in kinds if name in document}


# -- what members may be -------------------------------------------------------------------------------


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object) -> bool:
    return isinstance(value, int)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _is_time(value: object) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is None
    except ValueError:
        return False


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _or_nothing(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


def _all(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(map(is_right, value))


def _object_of(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_right, value.values()))


_RUN: Mapping[str, Callable[[object], bool]] = {
    "script": _is_text, "arguments": _all(_is_text), "session": _or_nothing(_is_text), "started_at": _is_time,
    "ended_at": _is_time, "exit_code": _is_whole, "ended_because": _is_text, "tables": _all(_is_object),
    "left_alone": _is_whole, "suspended": _is_whole, "restored": _is_whole, "not_restored": _all(_is_text),
    "skipped": _all(_is_text), "gone": _object_of(_is_text), "versions": _object_of(_is_text), "settings": _is_object,
    "run": _is_text, "spans": _all(_is_object), "rejects": _object_of(_all(_is_object)),
    "suspended_objects": _all(_is_text), "warnings": _all(_is_text), "more_warnings": _is_whole,
    "workers": _or_nothing(_is_whole),
}  # fmt: skip
_TABLE: Mapping[str, Callable[[object], bool]] = {
    "table": _is_text, "status": _is_text, "rows": _or_nothing(_is_whole), "seconds": _or_nothing(_is_number),
    "bytes": _or_nothing(_is_whole), "error": _or_nothing(_is_text), "changes": _object_of(_object_of(_is_whole)),
    "rejected": _is_whole, "retries": _is_whole, "compared": _or_nothing(_is_text), "rows_before": _is_whole,
    "staged": _is_flag, "mode": _or_nothing(_is_text),
}  # fmt: skip
_SPAN: Mapping[str, Callable[[object], bool]] = {
    "worker": _is_whole, "table": _is_text, "begin": _is_number, "end": _is_number, "tables": _is_whole,
}  # fmt: skip
_REASON: Mapping[str, Callable[[object], bool]] = {
    "column": _or_nothing(_is_text), "sqlstate": _is_text, "rows": _is_whole, "words": _is_text,
}  # fmt: skip

"""Whether a document is a progress file: its members, its entries, their statuses."""

from __future__ import annotations

import json
import re
from typing import Any

from hand_edits.reading import HandEditError
from hand_edits.statuses import STATUSES, Phase, near_status, read_status
from model.visible import json_text


def checked(document: object, phase: Phase, text: str) -> dict[str, Any]:
    """The document with all of it as a phase writes it: statuses that people spell otherwise are spelled so.

    `text` is what it was read from.

    Raises HandEditError.
    """
    if not isinstance(document, dict):
        raise HandEditError("the whole must be a JSON object")
    _check_members(document, text)
    tables = document.get("tables")
    if not isinstance(tables, dict):
        raise _wrong(text, '"tables"', '"tables" must be an object with an entry for each table')
    read = {table: _entry(table, entry, phase, text) for table, entry in tables.items()}
    facts = [document.get("session_id"), *document.get("consistency", {}).values()]
    if any(isinstance(fact, str) and re.search("[\x00\ud800-\udfff]", fact) for fact in facts):
        raise _wrong(text, '"session_id"', "a text in it holds half a character, or U+0000")
    return {**document, "tables": read}


def _check_members(document: dict[str, Any], text: str) -> None:
    """Raise HandEditError where what the tool keeps beside the tables is not as it wrote it."""
    options = document.get("type_map", {})
    if not isinstance(options, dict) or not all(isinstance(part, dict) for part in options.values()):
        raise _wrong(text, '"type_map"', '"type_map" must be an object like the type map itself')
    for name in ("consistency", "refresh"):
        if not _are_texts(document.get(name, {})):
            raise _wrong(text, f'"{name}"', f'"{name}" must be an object of texts, as sync-data.py wrote it')
    suspended = document.get("suspended", [])
    if not isinstance(suspended, list) or not all(
        isinstance(one, dict) and all(isinstance(part, (str, type(None))) for part in one.values()) for one in suspended
    ):
        raise _wrong(text, '"suspended"', '"suspended" must be a list of objects of texts, as sync-data.py wrote it')
    earlier = document.get("earlier_sessions", {})
    if not isinstance(earlier, dict) or not all(_is_earlier_session(part) for part in earlier.values()):
        raise _wrong(text, '"earlier_sessions"', '"earlier_sessions" must be as sync-data.py wrote it')


def _entry(table: str, entry: object, phase: Phase, text: str) -> dict[str, Any]:
    name = json.dumps(table, ensure_ascii=False)
    if not isinstance(entry, dict):
        raise _wrong(text, name, f"the entry of table {name} must be an object{_example(name, phase, entry)}")
    part = entry.get(phase)
    if part is None and phase not in entry:
        other = next((known for known in ("schema", "data") if known in entry), None)
        why = (
            f'; it has "{other}", as the other script writes it'
            if other
            else _example(name, phase, entry.get("status"))
        )
        raise _wrong(text, name, f'the entry of table {name} has no "{phase}" part{why}')
    if not isinstance(part, dict):
        raise _wrong(text, name, f'"{phase}" of table {name} must be an object{_example(name, phase, part)}')
    status = read_status(part.get("status"))
    if status is None:
        raise _wrong(text, name, _no_status(name, part))
    if "rows_synced" in part and not _is_whole_number(part["rows_synced"]):
        raise _wrong(
            text, name, f'"rows_synced" of table {name} must be a whole number, without quotes, or be left out'
        )
    return {**entry, phase: {**part, "status": status}}


def _no_status(name: str, part: dict[str, Any]) -> str:
    known = f"known are {', '.join(STATUSES)}"
    if "status" not in part:
        return f'table {name} has no "status"; {known}'
    near = near_status(part["status"])
    hint = f'. Did you mean "{near}"?' if near else ""
    return f"table {name} has the status {json_text(part['status'])}; {known}{hint}"


def _example(name: str, phase: Phase, written: object) -> str:
    """How an entry is written, with the status that somebody wrote in another place."""
    return f': {name}: {{"{phase}": {{"status": "{read_status(written) or "skipped"}"}}}}'


def _is_earlier_session(part: object) -> bool:
    if not isinstance(part, dict) or part.keys() - {"refresh"} != {"tables", "consistency"}:
        return False
    tables = part["tables"]
    return (
        isinstance(tables, list)
        and all(isinstance(name, str) for name in tables)
        and _are_texts(part["consistency"])
        and _are_texts(part.get("refresh", {}))
    )


def _are_texts(part: object) -> bool:
    return isinstance(part, dict) and all(isinstance(value, str) for value in part.values())


def _is_whole_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _wrong(text: str, name: str, words: str) -> HandEditError:
    """What is wrong, and in which line where the quoted name can be seen there as the key of something."""
    return HandEditError(_line_of(text, name) + words)


def line_of_entry(text: str, table: str) -> str:
    """Where a table's entry stands, `line 12: `; nothing where it cannot be seen."""
    tables = re.search(r'"tables"\s*:', text)
    return _line_of(text, json.dumps(table, ensure_ascii=False), tables.end() if tables else 0)


def _line_of(text: str, name: str, start: int = 0) -> str:
    found = re.compile(re.escape(name) + r"\s*:").search(text, start)
    return f"line {text.count(chr(10), 0, found.start()) + 1}: " if found else ""

"""The fidelity report: what became of every object of the source, as JSON and as a page for a person."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from hand_edits.whole_files import write_atomically
from model.findings import Finding
from model.visible import json_text, on_one_line, visible

JSON_FILE = "schema_report.json"
PAGE_FILE = "schema_report.md"


def write_report(folder: Path, source: str, target: str, findings: Sequence[Finding]) -> tuple[Path, Path]:
    """Write both files into `folder`; returns their paths. Raises OSError."""
    counts = Counter(finding.state for finding in findings)
    document = {
        "source": source,
        "target": target,
        "summary": {state: counts[state] for state in ("done", "changed", "skipped")},
        "objects": [
            {name: value for name, value in finding.document.items() if value is not None} for finding in findings
        ],
    }
    as_json, as_page = folder / JSON_FILE, folder / PAGE_FILE
    write_atomically(as_json, json_text(document, indent=2) + "\n")
    write_atomically(as_page, page(source, target, findings))
    return as_json, as_page


def page(source: str, target: str, findings: Sequence[Finding]) -> str:
    """The report as Markdown: counts by kind, then all that is changed or skipped, with its reason."""
    lines = [f"# Schema report: {on_one_line(source)} → {on_one_line(target)}", ""]
    lines += ["| object | done | changed | skipped |", "|---|---:|---:|---:|"]
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for finding in findings:
        by_kind[finding.kind][finding.state] += 1
    for kind, counts in sorted(by_kind.items()):
        lines.append(f"| {kind} | {counts['done']} | {counts['changed']} | {counts['skipped']} |")
    for state, title in (("skipped", "Skipped: not in PostgreSQL"), ("changed", "Changed: there, but not the same")):
        chosen = [finding for finding in findings if finding.state == state]
        if chosen:
            lines += ["", f"## {title}", "", *_entries(chosen)]
    remarks = [finding for finding in findings if finding.state == "done" and finding.reason]
    if remarks:
        lines += ["", "## Done, with a remark", "", *_entries(remarks)]
    return "\n".join(lines) + "\n"


def _entries(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        yield f"- **{finding.kind} {_escaped(finding.name)}**: {_escaped(finding.reason or '')}"
        if finding.original:
            yield from _block("source", finding.original)
        if finding.suggestion:
            yield from _block("suggestion", finding.suggestion)


def _block(label: str, text: str) -> Iterable[str]:
    stripped = visible(text.replace("\r\n", "\n").replace("\t", "    ")).strip()
    if "\n" not in stripped and "`" not in stripped:
        yield f"  - {label}: `{stripped}`"
        return
    fence = "```"
    while fence in stripped:
        fence += "`"
    yield f"  - {label}:"
    yield f"    {fence}"
    yield from (f"    {line}" for line in stripped.splitlines())
    yield f"    {fence}"


def _escaped(text: str) -> str:
    return visible(text).replace("*", "\\*").replace("\n", " ")

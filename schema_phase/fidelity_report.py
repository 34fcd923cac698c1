"""The fidelity report: what became of every object of the source, as JSON and as a page for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hand_edits.whole_files import write_atomically
from model.findings import Finding
from model.visible import json_text
from schema_phase.report_page import details, page

JSON_FILE = "schema_report.json"
PAGE_FILE = "schema_report.md"
DETAILS_FILE = "schema_report_details.md"


def write_report(folder: Path, source: str, target: str, findings: Sequence[Finding]) -> tuple[Path, Path]:
    """Write the JSON, the page and its details into `folder`; returns the paths of the first two. Raises OSError."""
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
    write_atomically(folder / DETAILS_FILE, details(source, target, findings))
    write_atomically(as_page, page(source, target, findings, DETAILS_FILE))
    return as_json, as_page

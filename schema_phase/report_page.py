"""The report as Markdown: a page that a person reads, and the details that stand behind it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from model.findings import Finding, State
from model.visible import on_one_line, visible

#: names of a group that the page shows, and characters of a text that it shows on one line
SHOWN, SHORT = 6, 100
#: kinds of what a table is made of, the most important first; all others follow
_KINDS = (
    "schema", "table", "column", "identity", "computed column", "default", "primary key", "unique constraint",
    "foreign key", "check", "index", "sequence", "collation", "alias type", "comment",
)  # fmt: skip
_TITLES: dict[State, str] = {
    "skipped": "Skipped: not in PostgreSQL",
    "changed": "Changed: there, but not the same",
    "done": "Done, with a remark",
}
_NAMED = re.compile(r"named (.+?), because its own name")
#: what differs between remarks that say the same, and what stands for it
_ALIKE = (
    (_NAMED, "named otherwise, because its own name"),
    (re.compile(r"without the included .+?: a"), "without some included columns: a"),
    (re.compile(r"the offset stands in [^;]+"), "the offset stands in a column of its own"),
    (re.compile(r"made of \S+: its offset"), "made of another column: its offset"),
    (re.compile(r"\d+ columns ignore"), "columns ignore"),
    (re.compile(r"'[^']*'"), "'…'"),
)


def page(source: str, target: str, findings: Sequence[Finding], details_file: str) -> str:
    """Counts by kind, then what is skipped, changed or remarked upon, equal remarks as one."""
    lines = [f"# Schema report: {on_one_line(source)} → {on_one_line(target)}", ""]
    lines += ["| object | done | changed | skipped |", "|---|---:|---:|---:|"]
    by_kind: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for finding in findings:
        by_kind[finding.kind][finding.state] += 1
    for kind, counts in sorted(by_kind.items()):
        lines.append(f"| {on_one_line(kind)} | {counts['done']} | {counts['changed']} | {counts['skipped']} |")
    lines += ["", f"Every object that is not simply done, with its whole text: {details_file}"]
    for state, title in _TITLES.items():
        groups = _groups(_told(findings, state))
        if groups:
            lines += ["", f"## {title}", ""]
            lines += [line for group in groups for line in _group(group)]
    return "\n".join(lines) + "\n"


def details(source: str, target: str, findings: Sequence[Finding]) -> str:
    """Everything that the page is about, one by one: its reason, the source's own text and what could be done."""
    lines = [f"# Schema report, details: {on_one_line(source)} → {on_one_line(target)}"]
    for state, title in _TITLES.items():
        chosen = _told(findings, state)
        if chosen:
            lines += ["", f"## {title}", "", *_entries(chosen)]
    return "\n".join(lines) + "\n"


def _told(findings: Iterable[Finding], state: State) -> list[Finding]:
    return [finding for finding in findings if finding.state == state and (state != "done" or finding.reason)]


# -- the page ------------------------------------------------------------------------------------------


def _groups(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings of one kind that say the same, in the order of kinds, the largest groups of each first."""
    groups: defaultdict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.kind, _alike(finding.reason or "")].append(finding)
    return sorted(groups.values(), key=lambda group: (_place(group[0]), group[0].kind, -len(group)))


def _place(finding: Finding) -> int:
    if finding.cause == "not looked at":
        return len(_KINDS) + 1
    return _KINDS.index(finding.kind) if finding.kind in _KINDS else len(_KINDS)


def _alike(reason: str) -> str:
    for pattern, stand_in in _ALIKE:
        reason = pattern.sub(stand_in, reason)
    return reason


def _group(group: Sequence[Finding]) -> Iterator[str]:
    first = group[0]
    reasons = {finding.reason or "" for finding in group}
    why = _line(reasons.pop() if len(reasons) == 1 else _alike(first.reason or ""))
    texts = {(finding.original, finding.suggestion) for finding in group}
    # One text of them all, if it is short; a view's is for the details.
    text = "".join(_inline(*texts.pop())) if len(texts) == 1 else ""
    if len(group) == 1:
        yield f"- **{_line(first.kind)} {_line(first.name)}**: {why}{text}"
        return
    yield f"- **{_line(first.kind)}, {len(group):,}**: {why}{text}"
    names = [_line(_with_its_name(finding)) for finding in group[:SHOWN]]
    more = f" and {len(group) - SHOWN:,} more" if len(group) > SHOWN else ""
    yield f"  - {', '.join(names)}{more}"


def _with_its_name(finding: Finding) -> str:
    """The object, and what it is called in PostgreSQL where that is another name."""
    named = _NAMED.search(finding.reason or "")
    return f"{finding.name} → {named[1]}" if named else finding.name


def _inline(original: str | None, suggestion: str | None) -> Iterator[str]:
    """A text and a suggestion as they end a line; nothing of what is long."""
    for label, text in (("", original), ("suggestion: ", suggestion)):
        if text and len(text) <= SHORT and "\n" not in text.strip() and "`" not in text:
            yield f"; {label}`{on_one_line(text.strip())}`"


def _line(text: str) -> str:
    return on_one_line(text).replace("*", "\\*")


# -- the details -----------------------------------------------------------------------------------------


def _entries(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        yield f"- **{_line(finding.kind)} {_escaped(finding.name)}**: {_escaped(finding.reason or '')}"
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
